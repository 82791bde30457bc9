//! A copy of the working tree, in which one file at a time is broken and mended again.

use std::{error::Error, fs, path::PathBuf, process::Command};

use super::Mutant;
use crate::codegen::root;

/// The copy, under `target/`.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies what git knows, and what it would be told of next. A file that did not change keeps its time, so that
    /// cargo builds anew only what it must.
    pub(super) fn copy() -> Result<Self, Box<dyn Error>> {
        let from = root().canonicalize()?;
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or(from.join("target"), PathBuf::from);
        let tree = Self { root: target.join("mutants") };
        let listed = Command::new("git")
            .current_dir(&from)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()?;
        if !listed.status.success() {
            return Err("git does not list the files of this tree".into());
        }
        let listed = String::from_utf8(listed.stdout)?;
        for name in listed.split_terminator('\0') {
            let (here, there) = (from.join(name), tree.root.join(name));
            let Ok(wanted) = fs::read(&here) else { continue };
            if fs::read(&there).is_ok_and(|found| found == wanted) {
                continue;
            }
            fs::create_dir_all(there.parent().unwrap_or(&tree.root))?;
            fs::write(there, wanted)?;
        }
        Ok(tree)
    }

    /// Cargo, in the copy and with a target directory of its own: cargo takes what two trees of one name built for the same,
    /// and a mutant must not be found where the real thing is looked for.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", self.root.join("target"));
        cargo
    }

    /// The folder in which cargo runs the tests of a package.
    pub(super) fn folder_of(&self, package: &str) -> PathBuf {
        match package {
            "chopmark" => self.root.join("crates/client"),
            "chopmark-tests" => self.root.join("tests"),
            other => self.root.join("crates").join(other.trim_start_matches("chopmark-")),
        }
    }

    /// Breaks the copy, does `work`, and mends it whatever came of that.
    pub(super) fn with<T>(
        &self,
        mutant: &Mutant,
        work: impl FnOnce() -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        let path = self.root.join(&mutant.file);
        let whole =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
        if whole.matches(&mutant.find).count() != 1 {
            return Err(
                format!("{}: `find` must occur once in {}", mutant.name, mutant.file).into()
            );
        }
        fs::write(&path, whole.replace(&mutant.find, &mutant.replace))?;
        let result = work();
        fs::write(&path, whole)?;
        result
    }
}
