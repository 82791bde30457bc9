//! People: how far we are with each, how they are reached, and what we gave them to reach us.

use chopmark_core::identity::{ManifestRef, SignedManifest, Standing};
use chopmark_wire::payload::ManifestMark;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use crate::store::{Kind, StoreError, Tx};

/// One person, under their account id.
#[derive(Serialize, Deserialize)]
pub(crate) struct Contact {
    /// What the user calls them; ours alone, never sent.
    pub(crate) name: String,
    pub(crate) stage: Stage,
    /// Their manifest as received, once it verified.
    pub(crate) manifest: Option<Blob>,
    /// Its number and short hash.
    pub(crate) mark: Option<Mark>,
    /// Where they are reached: their introduction's endpoints, or the knock of the link that was added.
    pub(crate) reach: Vec<Reach>,
    /// What we gave them to reach us.
    pub(crate) grant: Option<Grant>,
    /// The link that we added, while its bundle is being fetched.
    pub(crate) fetch: Option<Fetch>,
    /// Their safety number was compared.
    pub(crate) verified: bool,
    /// How many messages went out before the first reply: every eighth carries our manifest.
    pub(crate) unanswered: u32,
    /// The manifest that they named and we do not know, once the user was told.
    pub(crate) warned_of: Option<Mark>,
    /// Keys that coins for them may be locked to, 33 bytes each.
    pub(crate) lock_keys: Vec<Blob>,
    /// How many contents they left while they waited to be accepted.
    #[serde(default)]
    pub(crate) left: u32,
}

/// Which manifest: its number, and enough of its hash.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    number: (u32, u32),
    hash: [u8; 16],
}

impl Mark {
    pub(crate) fn of(manifest: &SignedManifest) -> Self {
        let number = manifest.number();
        Self { number: (number.recovery_epoch, number.version), hash: manifest.short_hash() }
    }

    /// Is this a manifest that whoever knows `known` has not seen: a later one, or another one of the same number?
    pub(crate) fn is_news_to(&self, known: &Self) -> bool {
        self.number > known.number || (self.number == known.number && self.hash != known.hash)
    }
}

impl From<ManifestMark> for Mark {
    fn from(mark: ManifestMark) -> Self {
        Self { number: (mark.recovery_epoch, mark.version), hash: mark.hash }
    }
}

/// Two manifests with one number.
pub(crate) struct Equivocation;

/// How far we are with someone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stage {
    /// Their link was added; their relay has not handed out their keys yet.
    Fetching,
    /// We wrote to them; they have not answered.
    Knocked,
    /// They wrote to us by a link; we have neither accepted nor rejected.
    Waiting,
    /// Both sides agreed.
    Accepted,
    /// We want nothing of them.
    Rejected,
}

/// One place where someone is reached.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) relay: String,
    pub(crate) capability: Blob,
}

/// A capability of ours that someone holds.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) capability: Blob,
    pub(crate) handle: Blob,
}

/// A bundle on its way.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Fetch {
    pub(crate) secret: Blob,
    pub(crate) id: Blob,
    pub(crate) next_ms: u64,
    pub(crate) tries: u32,
}

impl Contact {
    pub(crate) fn new(name: String, stage: Stage) -> Self {
        Self {
            name,
            stage,
            manifest: None,
            mark: None,
            reach: Vec::new(),
            grant: None,
            fetch: None,
            verified: false,
            unanswered: 0,
            warned_of: None,
            lock_keys: Vec::new(),
            left: 0,
        }
    }

    /// Takes a manifest that was verified, unless a newer one is known (SPEC §2.4). `Err`: it is another one with the number
    /// of the one that is known, so the account's root vouches for two stories and neither is believed.
    pub(crate) fn meet_manifest(&mut self, manifest: &SignedManifest) -> Result<(), Equivocation> {
        if let Some(known) = &self.manifest {
            let known = SignedManifest::verify(known).map_err(|_| Equivocation)?;
            match Standing::of(manifest, &ManifestRef::from(&known)).map_err(|_| Equivocation)? {
                Standing::Newer { .. } => {}
                Standing::Same | Standing::Older => return Ok(()),
                _ => return Err(Equivocation),
            }
        }
        self.set_manifest(manifest);
        Ok(())
    }

    fn set_manifest(&mut self, manifest: &SignedManifest) {
        self.manifest = Some(Blob::new(manifest.as_bytes()));
        self.mark = Some(Mark::of(manifest));
    }

    pub(crate) fn load(tx: &Tx<'_>, id: &[u8; 32]) -> Result<Option<Self>, StoreError> {
        tx.find(Kind::Contact, id)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>, id: &[u8; 32]) -> Result<(), StoreError> {
        tx.put(Kind::Contact, id, self)
    }
}
