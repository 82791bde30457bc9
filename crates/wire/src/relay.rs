//! The relay protocol's frames as checked domain types, SPEC §6.
//!
//! A connection carries [`FromClient`] one way and [`FromRelay`] the other, each behind a length that [`FrameReader`]
//! cuts at. What a value of this module holds has passed every length and number check of SPEC §6.5; what a relay or
//! an owner signs stands in [`descriptor`] and [`binding`]. The machines that exchange frames live in
//! `chopmark-mailbox`.

pub mod access;
pub mod binding;
pub mod descriptor;
pub mod limits;

mod answer;
mod frame;
mod grant;
mod request;

pub use access::{AccessToken, AccessTokenHash};
pub use answer::{Answer, Deliver, EndReason, FromRelay, GoAwayReason, Info, Notice, Refusal};
pub use binding::{Auth, ChannelBinding};
pub use descriptor::{Descriptor, InfoError, RelayHash, RelayId};
pub use frame::{FrameError, FrameReader};
pub use grant::{
    Capability, CapabilityHash, CapabilityKind, Grant, Handle, Hour, LinkUse, Rate, TtlClass,
    Urgency,
};
pub use request::{Deposit, Fetch, FromClient, Publish, Request, RequestId, Reserved};

use chopmark_core::{hash, label, signature::VerifyingKey};

/// Identifiers of the relay protocol: fixed bytes, compared and hashed, never printed: a log may hold none of them.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident($length:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// How many bytes it has.
            pub const LENGTH: usize = $length;

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// From a slice, or `None` at any other length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}
use opaque;

opaque! {
    /// A mailbox: the hash of its owner's key. Only the owner and the relay know it.
    MailboxId(32);
    /// A message in a mailbox: the first 16 bytes of a labelled hash of its envelope, computed by the relay.
    MessageId(16);
    /// One life of a relay's store: new at init and at every restore from a backup (SPEC §6.7).
    Epoch(16);
    /// Names one fetch of a link's bundle, so that it can be repeated (SPEC §6.6).
    FetchId(16);
}

impl MailboxId {
    /// The mailbox that this key owns: `LH(label; owner key)` (SPEC §6.6).
    pub fn of(owner: &VerifyingKey) -> Self {
        Self(hash::sha256(label::MAILBOX_ID, &[owner.as_bytes()]))
    }
}

impl MessageId {
    /// The id of an envelope: `LH(label; envelope)[..16]` (SPEC §6.7).
    pub fn of(envelope: &[u8]) -> Self {
        let full = hash::sha256(label::RELAY_MESSAGE_ID, &[envelope]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(full) {
            *to = from;
        }
        Self(id)
    }
}

/// Does an envelope have one of the six lengths of SPEC §5.6?
pub const fn is_bucket(length: usize) -> bool {
    matches!(length, 2048 | 4096 | 8192 | 16384 | 32768 | 65536)
}
