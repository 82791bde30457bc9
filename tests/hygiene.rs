//! How secrets are made, kept, shown and forgotten; and which keys and points are refused wherever a peer can put them.

mod constant_time;
mod copied;
mod memory;
mod points;
mod printed;
mod randomness;
mod signing;
mod talk;
