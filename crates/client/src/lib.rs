//! The Chopmark SDK: private chat with embedded payments.
//!
//! A [`Client`] is one person on one device: a home directory with one sealed file, a mailbox at a relay, a wallet. Every
//! call that changes something returns once it is on disk; what has to leave the device leaves after that, as often as it
//! takes, also after a crash. What comes in is told as [`Event`]s, in one order, from a cursor that the application moves.
//!
//! ```no_run
//! # async fn hello() -> Result<(), chopmark::Error> {
//! use chopmark::{Client, LinkUse, Setup, Unlock};
//!
//! let relay = "chop-relay:relay.example.org:4433#000102030405060708090a0b0c0d0e0f";
//! let unlock = Unlock::passphrase("correct horse battery staple");
//! let (bob, words) = Client::create("bob-home".as_ref(), unlock, Setup::new(relay)).await?;
//! let link = bob.link(LinkUse::OneTime).await?;
//! # let alice = bob;
//! let bob = alice.add(&link, "bob").await?;
//! alice.send(bob, "hello").await?;
//! # Ok(()) }
//! ```
//!
//! Start at [`Client::create`] and [`Client::open`].

mod client;
mod clock;
mod connection;
mod drive;
mod engine;
mod error;
mod event;
mod store;

pub use chopmark_core::identity::SafetyNumber;
pub use chopmark_core::time::Timestamp;
pub use chopmark_pay::{Balance, Bill, Outcome, PaymentView, Refusal, State as PaymentState};
pub use chopmark_wire::link::{ContactLink, LinkUse};
pub use chopmark_wire::payment::{Amount, LineItem, Unit};
pub use client::{Client, ContactInfo, Events, RequestInfo, Words};
pub use drive::Health;
pub use engine::account::Setup;
pub use engine::contact::Stage;
pub use error::Error;
pub use event::{
    ContactId, Direction, Event, Hold, Message, MessageId, NotAnId, PaymentId, Progress, Renewal,
    RequestId, Revision, What,
};
pub use store::{StoreError, Unlock};
