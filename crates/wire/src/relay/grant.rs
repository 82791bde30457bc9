//! Capabilities and what is said about them, SPEC §6.6.

use core::fmt;

use chopmark_core::{hash, label, secret::Secret, time::Timestamp};

use super::{limits, opaque};
use crate::{generated::relay as pb, strict::DecodeError};

/// What a sender shows to deposit or to fetch: 32 secret bytes, chosen by the mailbox's owner. Never printed.
#[derive(PartialEq, Eq)]
pub struct Capability(Secret);

/// A capability is used beside where it is kept: by every connection that deposits with it. Each copy is wiped on its own.
impl Clone for Capability {
    fn clone(&self) -> Self {
        Self(Secret::written(|copy| copy.copy_from_slice(self.0.expose())))
    }
}

impl Capability {
    /// A capability of these bytes.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// What the relay keeps of it: `LH(label; capability)`.
    pub fn hash(&self) -> CapabilityHash {
        CapabilityHash(hash::sha256(label::CAPABILITY_HASH, &[self.0.expose()]))
    }

    /// The secret bytes.
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        Secret::from_slice(bytes).map(Self).ok_or(DecodeError::Invalid("capability"))
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capability(..)")
    }
}

opaque! {
    /// What a relay keeps of a capability.
    CapabilityHash(32);
    /// Chosen by the owner with a capability; comes back with every message deposited under it.
    Handle(8);
}

impl CapabilityHash {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_slice(bytes).ok_or(DecodeError::Invalid("capability hash"))
    }
}

/// Whole hours since 1970: the finest time that a relay writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u64);

impl Hour {
    /// The hour in which `time` lies.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.as_secs() / 3600)
    }

    /// This hour and `hours` more, or the end of time.
    pub const fn plus(self, hours: u64) -> Self {
        Self(self.0.saturating_add(hours))
    }
}

/// Who holds a capability, and what it therefore opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CapabilityKind {
    /// One contact: deposits only.
    Private,
    /// Whoever holds a contact link: deposits within the mailbox's share for knocks, and fetches the link's bundle.
    Knock,
}

/// A token bucket of deposits: `burst` at once, `per_hour` come back in an hour. Both 1 to 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    per_hour: u32,
}

impl Rate {
    /// What a contact gets unless the owner says otherwise.
    pub const PRIVATE: Self = Self { burst: 1024, per_hour: 1024 };
    /// What a link gets unless the owner says otherwise.
    pub const KNOCK: Self = Self { burst: 64, per_hour: 64 };

    /// A rate, or `None` outside 1 to [`limits::CAPABILITY_RATE_MAX`].
    pub const fn new(burst: u32, per_hour: u32) -> Option<Self> {
        let most = limits::CAPABILITY_RATE_MAX;
        if burst == 0 || burst > most || per_hour == 0 || per_hour > most {
            return None;
        }
        Some(Self { burst, per_hour })
    }

    /// Deposits at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Deposits that come back in an hour.
    pub const fn per_hour(self) -> u32 {
        self.per_hour
    }
}

/// An owner's word to the relay: who shows the capability with this hash may deposit here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The hash of the capability.
    pub capability: CapabilityHash,
    /// What `Deliver` says of whose message it is.
    pub handle: Handle,
    /// Contact or link.
    pub kind: CapabilityKind,
    /// The first hour in which it is no longer good; `None` never comes.
    pub expires: Option<Hour>,
    /// How much may be deposited over time.
    pub rate: Rate,
}

/// How long a message waits: a property of the conversation, the same for every body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TtlClass {
    /// One day.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    #[default]
    Month,
}

impl TtlClass {
    /// Its length in hours.
    pub const fn hours(self) -> u64 {
        match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
        }
    }
}

/// Whether a sleeping owner is to be woken; today's relays treat both the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Urgency {
    /// No hurry.
    #[default]
    Normal,
    /// Worth waking for.
    Wake,
}

/// What kind of link a bundle is published under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkUse {
    /// For one person: one one-time prekey is handed out, ever.
    OneTime,
    /// For many: ten one-time prekeys an hour.
    Reusable,
}

impl TryFrom<pb::Grant> for Grant {
    type Error = DecodeError;

    fn try_from(grant: pb::Grant) -> Result<Self, DecodeError> {
        Ok(Self {
            capability: CapabilityHash::parse(&grant.capability_hash)?,
            handle: Handle::from_slice(&grant.handle).ok_or(DecodeError::Invalid("handle"))?,
            kind: match grant.kind() {
                pb::CapabilityKind::Private => CapabilityKind::Private,
                pb::CapabilityKind::Knock => CapabilityKind::Knock,
                pb::CapabilityKind::Unspecified => {
                    return Err(DecodeError::Invalid("capability kind"));
                }
            },
            expires: (grant.expires_hour != 0).then_some(Hour(grant.expires_hour)),
            rate: Rate::new(grant.burst, grant.per_hour).ok_or(DecodeError::Invalid("rate"))?,
        })
    }
}

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        Self {
            capability_hash: grant.capability.0.to_vec().into(),
            handle: grant.handle.0.to_vec().into(),
            kind: match grant.kind {
                CapabilityKind::Private => pb::CapabilityKind::Private,
                CapabilityKind::Knock => pb::CapabilityKind::Knock,
            }
            .into(),
            expires_hour: grant.expires.map_or(0, |hour| hour.0),
            burst: grant.rate.burst,
            per_hour: grant.rate.per_hour,
        }
    }
}

impl TtlClass {
    pub(super) const fn from_pb(ttl: pb::TtlClass) -> Result<Self, DecodeError> {
        match ttl {
            pb::TtlClass::Day => Ok(Self::Day),
            pb::TtlClass::Week => Ok(Self::Week),
            pb::TtlClass::Month => Ok(Self::Month),
            pb::TtlClass::Unspecified => Err(DecodeError::Invalid("ttl class")),
        }
    }

    pub(super) const fn to_pb(self) -> pb::TtlClass {
        match self {
            Self::Day => pb::TtlClass::Day,
            Self::Week => pb::TtlClass::Week,
            Self::Month => pb::TtlClass::Month,
        }
    }
}

impl Urgency {
    pub(super) const fn from_pb(urgency: pb::Urgency) -> Result<Self, DecodeError> {
        match urgency {
            pb::Urgency::Normal => Ok(Self::Normal),
            pb::Urgency::Wake => Ok(Self::Wake),
            pb::Urgency::Unspecified => Err(DecodeError::Invalid("urgency")),
        }
    }

    pub(super) const fn to_pb(self) -> pb::Urgency {
        match self {
            Self::Normal => pb::Urgency::Normal,
            Self::Wake => pb::Urgency::Wake,
        }
    }
}

impl LinkUse {
    pub(super) const fn from_pb(link: pb::LinkUse) -> Result<Self, DecodeError> {
        match link {
            pb::LinkUse::OneTime => Ok(Self::OneTime),
            pb::LinkUse::Reusable => Ok(Self::Reusable),
            pb::LinkUse::Unspecified => Err(DecodeError::Invalid("link use")),
        }
    }

    pub(super) const fn to_pb(self) -> pb::LinkUse {
        match self {
            Self::OneTime => pb::LinkUse::OneTime,
            Self::Reusable => pb::LinkUse::Reusable,
        }
    }
}
