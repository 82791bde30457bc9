//! Every test that looks at more than one crate.
