//! Attacks that must fail, one test each: `tNN_sentence` in the file of its layer. `attacks/MANIFEST.toml` lists all of
//! them; `cargo xtask attacks` runs those that are covered and says how many are pending.

mod core;
mod identity;
mod mint;
mod money;
mod pay;
mod purposes;
mod relay;
mod sizes;
mod wire;
