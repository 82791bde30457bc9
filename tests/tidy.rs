//! The rules of the house that no compiler checks: who imports whom, what stays out of which crate, and that SPEC.md,
//! the code and the tests name the same things.

mod arrows;
mod fuzz;
mod manifest;
mod mutants;
mod sources;
mod spec;
mod threats;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Rust file: its path from the root, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The code that ships, line by line with its number: no comments, nothing after the unit tests begin.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let shipped = if self.is_test() { "" } else { self.text.as_str() };
        shipped
            .lines()
            .enumerate()
            .take_while(|(_, line)| *line != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }

    /// Comments, one string a run of comment lines.
    fn comments(&self) -> Vec<String> {
        let mut comments = vec![String::new()];
        for line in self.text.lines() {
            match line.trim_start().strip_prefix("//") {
                Some(words) => {
                    let last = comments.last_mut().unwrap();
                    last.push_str(words.trim_start_matches(['/', '!']));
                    last.push(' ');
                }
                None => comments.push(String::new()),
            }
        }
        comments.retain(|comment| !comment.is_empty());
        comments
    }

    fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/examples/", "/benches/"]
            .iter()
            .any(|part| self.path.contains(part))
            || self.path.starts_with("tests/")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// Every Rust file of the workspace and of `fuzz/`.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "tests", "fuzz"] {
        walk(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path: relative, text: fs::read_to_string(path).unwrap() });
            }
        });
    }
    assert!(found.len() > 20, "only {} files found", found.len());
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

/// Fails with every finding on a line of its own.
pub(crate) fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
