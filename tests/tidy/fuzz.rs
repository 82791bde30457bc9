//! Every fuzz target is whole: a shim for libFuzzer, a body, a corpus, a replay, and a planted bug that the corpus finds.

use std::{collections::BTreeSet, fs};

use chopmark_testkit::fuzz::TARGETS;

use super::{assert_none, read, root, sources};

/// Files of all corpora together, at least.
const FILES: usize = 300;

// Seen to fail with a target taken out of fuzz/Cargo.toml, and with a corpus that has nothing but three files.
#[test]
fn every_fuzz_target_has_shim_body_corpus_replay_and_planted_bug() {
    let manifest: toml::Table = read("fuzz/Cargo.toml").parse().unwrap();
    let shims: BTreeSet<String> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["name"].as_str().unwrap().to_owned())
        .collect();
    let named: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(shims, named, "fuzz/Cargo.toml and the testkit name other targets");

    let (replays, how_to) = (read("crates/testkit/src/fuzz/tests.rs"), read("fuzz/README.md"));
    let mutants = read("tests/mutants/fuzz.toml");
    let (mut findings, mut files) = (Vec::new(), 0);
    for name in &named {
        let shim = read(&format!("fuzz/fuzz_targets/{name}.rs"));
        if !shim.contains(&format!("chopmark_testkit::fuzz::{name}(data)")) {
            findings.push(format!("{name}: the shim calls another body"));
        }
        if !root().join(format!("crates/testkit/src/fuzz/{name}.rs")).exists() {
            findings.push(format!("{name}: no file for its body"));
        }
        let corpus = fs::read_dir(root().join("fuzz/corpus").join(name)).unwrap().count();
        files += corpus;
        if corpus < 12 {
            findings.push(format!("{name}: a corpus of {corpus} files"));
        }
        let replay = format!("the_corpus_of_{name}_is_replayed");
        if !replays.contains(&replay) {
            findings.push(format!("{name}: no test {replay}"));
        }
        if !mutants.contains(&format!("chopmark-testkit fuzz::tests::{replay}")) {
            findings.push(format!("{name}: no planted bug in tests/mutants/fuzz.toml"));
        }
        if !how_to.contains(&format!("`{name}`")) {
            findings.push(format!("{name}: not in fuzz/README.md"));
        }
    }
    assert_none("a fuzz target that is not whole", &findings);
    assert!(files >= FILES, "only {files} files in the corpora");
}

// A check that is off for a fuzzer is one that nobody fuzzed.
#[test]
fn no_code_knows_that_it_is_fuzzed() {
    // Spelt in two, so that this line is not a finding.
    let word = concat!("cfg(", "fuzzing");
    let findings: Vec<String> = sources()
        .iter()
        .filter(|source| source.text.contains(word))
        .map(|source| source.path.clone())
        .collect();
    assert_none("a bypass for fuzzers", &findings);
}
