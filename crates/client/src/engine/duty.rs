//! What the own relay must be told, kept until it says that it is done.

use chopmark_core::secret::Secret;
use chopmark_wire::relay::{
    Capability, CapabilityHash, CapabilityKind, Grant, Handle, LinkUse, Publish, Rate,
};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::turn::Turn;
use crate::error::Error;
use crate::store::Log;

/// One thing to tell the relay; telling it twice does no harm.
#[derive(Serialize, Deserialize)]
pub(crate) enum Duty {
    Grant(GrantDuty),
    Revoke(Blob),
    Publish(PublishDuty),
}

/// Who shows this capability may deposit.
#[derive(Serialize, Deserialize)]
pub(crate) struct GrantDuty {
    pub(crate) capability: Blob,
    pub(crate) handle: Blob,
    pub(crate) knock: bool,
}

/// What a link's holder may fetch.
#[derive(Serialize, Deserialize)]
pub(crate) struct PublishDuty {
    pub(crate) knock: Blob,
    pub(crate) one_time_link: bool,
    pub(crate) bundle: Blob,
    pub(crate) one_time: Vec<Blob>,
    /// These take the place of the one-time prekeys that are there, and do not join them.
    pub(crate) replace: bool,
}

impl Duty {
    pub(crate) fn grant(capability: &[u8; 32], handle: &[u8; 8], knock: bool) -> Self {
        Self::Grant(GrantDuty { capability: hash_of(capability), handle: Blob::new(handle), knock })
    }

    pub(crate) fn revoke(capability: &[u8; 32]) -> Self {
        Self::Revoke(hash_of(capability))
    }

    pub(crate) fn hash(hash: &Blob) -> Result<CapabilityHash, Error> {
        CapabilityHash::from_slice(hash).ok_or(Error::Internal("a capability's hash"))
    }
}

impl GrantDuty {
    pub(crate) fn to_wire(&self) -> Result<Grant, Error> {
        Ok(Grant {
            capability: Duty::hash(&self.capability)?,
            handle: Handle::from_slice(&self.handle).ok_or(Error::Internal("a handle"))?,
            kind: if self.knock { CapabilityKind::Knock } else { CapabilityKind::Private },
            expires: None,
            rate: if self.knock { Rate::KNOCK } else { Rate::PRIVATE },
        })
    }
}

impl PublishDuty {
    pub(crate) fn to_wire(&self) -> Result<Publish, Error> {
        Ok(Publish {
            knock: Duty::hash(&self.knock)?,
            link: if self.one_time_link { LinkUse::OneTime } else { LinkUse::Reusable },
            bundle: self.bundle.to_vec().into(),
            one_time: self.one_time.iter().map(|blob| blob.to_vec().into()).collect(),
            replace_one_time: self.replace,
        })
    }
}

/// The hash under which a relay knows a capability.
pub(crate) fn hash_of(capability: &[u8; 32]) -> Blob {
    Blob::new(Capability::new(Secret::new(*capability)).hash().as_bytes())
}

impl Turn<'_, '_> {
    pub(crate) fn owe(&mut self, duty: Duty) -> Result<(), Error> {
        let mut duty = duty;
        // What was asked before of the same capability is overtaken: a grant that was refused and is asked again must not
        // come after the end that it got meanwhile.
        for (seq, earlier) in self.duties()? {
            let overtaken = match (&duty, &earlier) {
                (Duty::Revoke(hash), Duty::Grant(GrantDuty { capability: other, .. }))
                | (Duty::Revoke(hash), Duty::Publish(PublishDuty { knock: other, .. })) => {
                    hash == other
                }
                (Duty::Grant(grant), Duty::Grant(other)) => grant.capability == other.capability,
                (Duty::Publish(publish), Duty::Publish(other)) => publish.knock == other.knock,
                _ => false,
            };
            if !overtaken {
                continue;
            }
            self.tx.remove(Log::Duties, seq)?;
            // What was to join the stock, or to replace it, and did not get there yet goes with what joins it now.
            if let (Duty::Publish(now), Duty::Publish(before)) = (&mut duty, earlier)
                && !now.replace
            {
                now.one_time.splice(0..0, before.one_time);
                now.replace = before.replace;
            }
        }
        self.tx.push(Log::Duties, b"", &duty)?;
        Ok(())
    }

    /// What the relay must be told, oldest first.
    pub(crate) fn duties(&self) -> Result<Vec<(u64, Duty)>, Error> {
        Ok(self.tx.list(Log::Duties, None, 0, 1_000)?)
    }

    pub(crate) fn duty_done(&mut self, seq: u64) -> Result<(), Error> {
        Ok(self.tx.remove(Log::Duties, seq)?)
    }
}
