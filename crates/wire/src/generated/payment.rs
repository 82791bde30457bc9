//! Generated from `proto/payment.proto` by `cargo xtask codegen`. Do not edit.

