//! A copy of the working tree, in which one file at a time is broken and mended again.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Mutant;
use crate::codegen::root;

/// The copy, under `target/`.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies what git knows, and what it would be told of next. A file that did not change keeps its time, so that
    /// cargo builds anew only what it must; one that is no longer there goes, so that cargo finds no test that was
    /// deleted.
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
        let mut kept = BTreeSet::new();
        for name in listed.split_terminator('\0') {
            let (here, there) = (from.join(name), tree.root.join(name));
            let Ok(wanted) = fs::read(&here) else { continue };
            kept.insert(there.clone());
            if fs::read(&there).is_ok_and(|found| found == wanted) {
                continue;
            }
            fs::create_dir_all(there.parent().unwrap_or(&tree.root))?;
            fs::write(there, wanted)?;
        }
        drop_others(&tree.root, &kept, &tree.target())?;
        Ok(tree)
    }

    /// Where cargo builds the copy.
    fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Cargo, in the copy and with a target directory of its own: cargo takes what two trees of one name built for the same,
    /// and a mutant must not be found where the real thing is looked for.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", self.target());
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
        let mut whole = BTreeMap::new();
        let broken = self.break_all(mutant, &mut whole);
        let result = broken.and_then(|()| work());
        for (path, text) in whole {
            fs::write(path, text)?;
        }
        result
    }

    /// Makes the edits of a mutant, and keeps what the files held before.
    fn break_all(
        &self,
        mutant: &Mutant,
        whole: &mut BTreeMap<PathBuf, String>,
    ) -> Result<(), Box<dyn Error>> {
        for edit in mutant.edits() {
            let path = self.root.join(&edit.file);
            let text =
                fs::read_to_string(&path).map_err(|error| format!("{}: {error}", edit.file))?;
            if text.matches(&edit.find).count() != 1 {
                let why = format!("{}: `find` must occur once in {}", mutant.name, edit.file);
                return Err(why.into());
            }
            fs::write(&path, text.replace(&edit.find, &edit.replace))?;
            whole.entry(path).or_insert(text);
        }
        Ok(())
    }
}

/// Deletes every file below `folder` that is not `kept`, and leaves the folder `spared` alone.
fn drop_others(
    folder: &Path,
    kept: &BTreeSet<PathBuf>,
    spared: &Path,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            if !kept.contains(&path) {
                fs::remove_file(&path)?;
            }
        } else if path != spared {
            drop_others(&path, kept, spared)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail with `drop_others` doing nothing.
    #[test]
    fn what_the_tree_deleted_goes_and_what_cargo_built_stays() {
        let root = std::env::temp_dir().join(format!("chopmark-mutants-{}", std::process::id()));
        let (kept, gone) = (root.join("src/kept.rs"), root.join("src/old/gone.rs"));
        let built = root.join("target/debug/built");
        for file in [&kept, &gone, &built] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        drop_others(&root, &BTreeSet::from([kept.clone()]), &root.join("target")).unwrap();
        assert_eq!([kept, gone, built].map(|file| file.exists()), [true, false, true]);
        fs::remove_dir_all(root).unwrap();
    }
}
