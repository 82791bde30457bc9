//! Rust files, and which of their lines ship.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::root;

/// A Rust file: its path from the root, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Whether the file is a module that is there in tests only.
    is_test_module: bool,
}

impl Source {
    /// The code that ships, line by line with its number: no comments, and nothing that is `#[cfg(test)]`.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let shipped = if self.is_test() { "" } else { self.text.as_str() };
        let lines: Vec<&str> = shipped.lines().collect();
        let mut skipped = 0;
        (0..lines.len()).filter_map(move |index| {
            if index >= skipped && lines[index].trim() == TEST_ONLY {
                skipped = end_of_item(&lines, index);
            }
            let is_comment = lines[index].trim_start().starts_with("//");
            (index >= skipped && !is_comment).then_some((index + 1, lines[index]))
        })
    }

    /// Comments, one string a run of comment lines.
    pub(super) fn comments(&self) -> Vec<String> {
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

    pub(super) fn is_generated(&self) -> bool {
        self.path.contains("/generated/")
    }

    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/tests.rs", "/examples/", "/benches/"]
            .iter()
            .any(|part| self.path.contains(part))
            || self.path.starts_with("tests/")
            || self.is_test_module
    }

    pub(super) fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Where the modules lie that this file has for tests only, without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let lines: Vec<&str> = self.text.lines().collect();
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main")) => folder,
            _ => stem,
        };
        let tests = (0..lines.len()).filter(|index| lines[*index].trim() == TEST_ONLY);
        tests
            .flat_map(|index| &lines[index..end_of_item(&lines, index)])
            .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod "))
            .map(|(_, name)| format!("{folder}/{name}"))
            .collect()
    }
}

/// What stands before an item that does not ship.
const TEST_ONLY: &str = "#[cfg(test)]";

/// The number of lines up to the end of the item that begins with the attribute at `index`. Lines are as rustfmt leaves
/// them: what belongs to an item lies deeper than its first line, or closes what it opened.
fn end_of_item(lines: &[&str], index: usize) -> usize {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let first = depth(lines[index]);
    let goes_on = |line: &&str| {
        let closes = [")", "]", "}", "{", "where"].iter().any(|part| line.trim().starts_with(part));
        line.trim().is_empty() || depth(line) > first || (depth(line) == first && closes)
    };
    let mut at = index;
    // Other attributes, their comments, and the item's own first line.
    while lines.get(at).is_some_and(|line| line.trim().starts_with(['#', '/'])) {
        at += 1;
    }
    at += 1;
    let ends = |line: &&str| line.ends_with([';', ',', '}']) && depth(line) == first;
    if !lines.get(at - 1).is_some_and(ends) {
        at += lines[at.min(lines.len())..].iter().take_while(|line| goes_on(line)).count();
    }
    at.min(lines.len())
}

/// Every Rust file of the workspace and of `fuzz/`.
pub(crate) fn sources() -> &'static [Source] {
    static READ: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &READ
}

fn read_all() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "tests", "fuzz"] {
        walk(&root().join(folder), &mut |path: PathBuf| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(root().join(&path)).unwrap();
                found.push(Source { path, text, is_test_module: false });
            }
        });
    }
    assert!(found.len() > 20, "only {} files found", found.len());
    let modules: BTreeSet<String> = found.iter().flat_map(Source::test_modules).collect();
    for source in &mut found {
        let stem = Path::new(source.path.trim_end_matches(".rs"));
        source.is_test_module = stem.ancestors().any(|at| modules.contains(at.to_str().unwrap()));
    }
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(PathBuf)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            visit(path);
        } else if !path.ends_with("target") {
            walk(&path, visit);
        }
    }
}

// A rule that reads no further than the first of these would see a tenth of some files.
#[test]
fn what_ships_is_read_around_what_is_for_tests_only() {
    let text = "\
//! A file.

#[cfg(test)]
mod pair;
mod sealed;

impl Chain {
    // Only for tests.
    #[cfg(test)]
    #[allow(dead_code, reason = \"sometimes\")]
    fn open<T>(&self) -> T
    where
        T: Default,
    {
        T::default()
    }

    fn step(&mut self) {
        #[cfg(test)]
        self.steps.with(|count| {
            count.set(1);
        });
        self.go();
        #[cfg(test)]
        self.seen
            .push(1);
        self.stop();
    }
}

#[cfg(test)]
use tests::{
    one,
};

#[cfg(test)]
mod tests {
    fn a() {}
}
const LAST: u8 = 1;
";
    let source =
        Source { path: "crates/x/src/y.rs".into(), text: text.into(), is_test_module: false };
    let code: Vec<&str> = source.code().map(|(_, line)| line.trim()).collect();
    let code = code.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    assert_eq!(
        code,
        "mod sealed; impl Chain { fn step(&mut self) { self.go(); self.stop(); } } const LAST: u8 = 1;"
    );
    assert_eq!(source.test_modules(), ["crates/x/src/y/pair"]);
    let numbers: Vec<usize> = source.code().map(|(number, _)| number).take(3).collect();
    assert_eq!(numbers, [2, 5, 6]);
}

// Seen to fail with `test_modules` empty.
#[test]
fn a_file_that_is_there_in_tests_only_is_a_test() {
    let sources = sources();
    let is_test = |path: &str| sources.iter().find(|source| source.path == path).unwrap().is_test();
    assert!(is_test("crates/core/src/session/pair.rs"));
    assert!(is_test("crates/pay/src/simulation/attacks.rs"));
    assert!(!is_test("crates/core/src/session/sealed.rs"));
    let session =
        sources.iter().find(|source| source.path == "crates/core/src/session.rs").unwrap();
    assert!(session.code().count() > 200, "most of it ships");
}
