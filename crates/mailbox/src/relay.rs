//! The relay's half: one machine a connection (SPEC §6.4, §6.5).

mod connection;
mod frame_rate;
mod subscription;
mod token_bucket;

pub use connection::{Identity, Input, Output, RelayConnection, Ticket};
pub use token_bucket::TokenBucket;
