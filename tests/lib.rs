//! Nothing to link: this package is its test suite, `main.rs`.
