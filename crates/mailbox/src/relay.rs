//! The relay's half: one machine a connection (SPEC §6.4, §6.5).

mod bounds;
mod connection;
mod effect;
mod frame_rate;
mod subscription;
mod token_bucket;
mod work;

pub use bounds::{Access, Bounds, Limited};
pub use connection::RelayConnection;
pub use effect::{Identity, Input, Output, Ticket};
pub use token_bucket::TokenBucket;
