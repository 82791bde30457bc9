//! People: how far we are with each, how they are reached, and what we gave them to reach us.

use chopmark_core::identity::{ManifestRef, SignedManifest, Standing};
use chopmark_wire::payload::ManifestMark;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::claim::Claim;
use crate::event::{Hold, Renewal};
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
    /// Where they are reached: their introduction's endpoints, or the knock of the link that was added. What came on no
    /// session that is vouched for is in `claims`.
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
    /// The knock of the link by which they were added last.
    #[serde(default)]
    pub(crate) added: Option<Blob>,
    /// Where a fresh bundle of theirs is fetched: their link at first, then what their introduction names.
    #[serde(default)]
    pub(crate) source: Option<Source>,
    /// The handle under which our bundle is published for them alone.
    #[serde(default)]
    pub(crate) renewal: Option<Blob>,
    /// For when a session with them was last begun anew without the user.
    #[serde(default)]
    pub(crate) renewed_ms: Option<u64>,
    /// Our own state may be an older one: what is acknowledged on the sessions there are may be another life's.
    #[serde(default)]
    pub(crate) doubtful: bool,
    /// What of the session before the newest arrived here, said in its first messages.
    #[serde(default)]
    pub(crate) resend: Option<Resend>,
    /// Their account told two stories, and has not recovered since.
    #[serde(default)]
    pub(crate) frozen: bool,
    /// Their safety number was compared, their account recovered since, and the user has not agreed to that yet.
    #[serde(default)]
    pub(crate) unacknowledged: bool,
    /// How many sessions they began on a day.
    #[serde(default)]
    pub(crate) begun: (u64, u32),
    /// What sessions that are not confirmed claim of them, the first that claimed first.
    #[serde(default)]
    pub(crate) claims: Vec<Claim>,
}

/// A chain of a session that was given up, and how much of it arrived (SPEC §5.9).
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Resend {
    pub(crate) chain: [u8; 8],
    pub(crate) count: u32,
}

/// Where a bundle is fetched.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) relay: String,
    /// The link secret: 16 bytes.
    pub(crate) secret: Blob,
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

/// Two manifests with one number, now or before: neither is believed until the account recovers.
pub(crate) struct Equivocation;

/// A manifest beside the one that was known.
pub(crate) enum Met {
    /// It is the first, or the one already known.
    Known,
    /// It came before the one that is known, which is this.
    Older(Box<SignedManifest>),
    /// It takes the place of the one that was known.
    Newer { recovered: bool, gap: bool },
}

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
    pub(crate) source: Source,
    pub(crate) id: Blob,
    pub(crate) next_ms: u64,
    pub(crate) tries: u32,
    pub(crate) aim: Aim,
}

/// What a bundle is fetched for.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Aim {
    /// The user added a link: to meet its owner, or to be connected with a contact anew.
    Meet,
    /// A session cannot be gone on with.
    Renew(Renewal),
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
            added: None,
            source: None,
            renewal: None,
            renewed_ms: None,
            doubtful: false,
            resend: None,
            frozen: false,
            unacknowledged: false,
            begun: (0, 0),
            claims: Vec::new(),
        }
    }

    /// Takes a manifest that was verified, unless a newer one is known (SPEC §2.4). `Err`: the account's root vouched for two
    /// stories under one number; nothing more goes out to it, and only a recovery lifts that.
    pub(crate) fn meet_manifest(&mut self, manifest: &SignedManifest) -> Result<Met, Equivocation> {
        let Some(known) = &self.manifest else {
            self.set_manifest(manifest);
            return Ok(Met::Known);
        };
        let known = SignedManifest::verify(known).map_err(|_| Equivocation)?;
        match Standing::of(manifest, &ManifestRef::from(&known)).map_err(|_| Equivocation)? {
            Standing::Same => Ok(Met::Known),
            Standing::Older => Ok(Met::Older(Box::new(known))),
            // SPEC §2.4 [equivocation-freezes]: the next version of either story is no way out.
            Standing::Newer { recovered: false, .. } if self.frozen => Err(Equivocation),
            Standing::Newer { recovered, gap } => {
                if recovered {
                    // SPEC §2.4 [recovery-is-acknowledged].
                    self.frozen = false;
                    self.unacknowledged |= self.verified;
                    self.verified = false;
                }
                self.set_manifest(manifest);
                Ok(Met::Newer { recovered, gap })
            }
            _ => {
                self.frozen = true;
                Err(Equivocation)
            }
        }
    }

    /// Did they, or did we, want this contact: may anything leave because of them (SPEC §6.9 [no-reaction-before-consent])?
    pub(crate) fn may_be_answered(&self) -> bool {
        matches!(self.stage, Stage::Accepted | Stage::Knocked)
    }

    /// Why nothing goes out to them, if nothing does.
    pub(crate) fn hold(&self) -> Option<Hold> {
        match (self.frozen, self.unacknowledged) {
            (true, _) => Some(Hold::TwoStories),
            (false, true) => Some(Hold::Recovered),
            (false, false) => None,
        }
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
