//! Generated from `proto/relay.proto` by `cargo xtask codegen`. Do not edit.

