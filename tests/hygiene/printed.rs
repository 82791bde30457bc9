//! What `{:?}` shows of each public type of the core, and what the programs log: T26.

mod logged;
mod samples;

use std::{collections::BTreeSet, fmt::Write as _, fs};

use crate::tidy;

/// A type's name by the file that it stands in, `ratchet::bucket::Envelope`, and what `{:?}` shows of its samples.
type Shown = (&'static str, Vec<String>);

/// Compares `now` with a file of the repository. With `CHOPMARK_ACCEPT=1` the file is written instead: its change is
/// then for a reader to judge.
fn compare(path: &str, now: &str) {
    if std::env::var_os("CHOPMARK_ACCEPT").is_some() {
        fs::write(tidy::root().join(path), now).unwrap();
    }
    let known = tidy::read(path);
    let missing: Vec<&str> =
        known.lines().filter(|line| !now.lines().any(|n| n == *line)).collect();
    let new: Vec<&str> = now.lines().filter(|line| !known.lines().any(|k| k == *line)).collect();
    assert!(known == now, "{path} is not what it was: gone {missing:#?}, new {new:#?}");
}

/// Three numbers in a row, or more than 8 hexadecimal digits: bytes, whatever type they stand in.
fn shows_bytes(text: &str) -> bool {
    let numbers = text.split(", ").collect::<Vec<_>>();
    let number = |part: &&str| part.trim_matches(['[', ']']).parse::<u8>().is_ok();
    let hex = text.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() > 16);
    hex || numbers.windows(3).any(|three| three.iter().all(number))
}

// Tests [no-ids-in-debug].
#[test]
fn t26_no_type_of_the_core_shows_its_bytes() {
    let mut text = String::new();
    for (name, shown) in samples::all() {
        for shown in shown {
            assert!(!shown.contains("CANARY"), "{name} shows a content: {shown}");
            assert!(!shows_bytes(&shown), "{name} shows bytes: {shown}");
            writeln!(text, "{name}: {shown}").unwrap();
        }
    }
    compare("tests/hygiene/printed.txt", &text);
}

#[test]
fn t26_every_type_of_the_core_has_a_sample() {
    let shown: BTreeSet<String> =
        samples::all().iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut public = BTreeSet::new();
    for source in tidy::sources() {
        let Some(file) = source.path.strip_prefix("crates/core/src/") else { continue };
        // Types of `hazmat` hold keys in the open, which is their use; each hides them by hand.
        if source.is_test() || file.starts_with("hazmat") || file.ends_with("tests.rs") {
            continue;
        }
        let module = file.trim_end_matches(".rs").replace('/', "::");
        for line in source.text.lines() {
            let declared = line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum "));
            if let Some(name) = declared {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
                public.insert(format!("{module}::{name}"));
            }
        }
    }
    let missing: Vec<_> = public.difference(&shown).collect();
    let gone: Vec<_> = shown.difference(&public).collect();
    assert!(missing.is_empty() && gone.is_empty(), "no sample of {missing:#?}; gone: {gone:#?}");
}
