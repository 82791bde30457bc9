//! `chop` as a program: what it prints, on which stream, and with which exit code it ends.

mod demo;
mod errors;
mod harness;
mod output;
