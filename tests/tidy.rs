//! The rules of the house that no compiler checks: who imports whom, what stays out of which crate, and that SPEC.md,
//! the code and the tests name the same things.

mod arrows;
mod fuzz;
mod manifest;
mod mutants;
mod source;
mod sources;
mod spec;
mod threats;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) use source::{Source, sources};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with every finding on a line of its own.
pub(crate) fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
