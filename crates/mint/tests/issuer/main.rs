//! The issuer as a process, over loopback: what it answers, what survives, and what reaches the disk.

mod crash;
mod exchange;
mod harness;
mod load;
