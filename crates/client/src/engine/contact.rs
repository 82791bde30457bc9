//! People: how far we are with each, how they are reached, and what we gave them to reach us.

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
    /// Keys that coins for them may be locked to, 33 bytes each.
    pub(crate) lock_keys: Vec<Blob>,
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
            reach: Vec::new(),
            grant: None,
            fetch: None,
            verified: false,
            unanswered: 0,
            lock_keys: Vec::new(),
        }
    }

    pub(crate) fn load(tx: &Tx<'_>, id: &[u8; 32]) -> Result<Option<Self>, StoreError> {
        tx.find(Kind::Contact, id)
    }

    pub(crate) fn save(&self, tx: &mut Tx<'_>, id: &[u8; 32]) -> Result<(), StoreError> {
        tx.put(Kind::Contact, id, self)
    }
}
