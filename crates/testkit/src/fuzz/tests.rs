//! The corpora, replayed; and a short walk around the seeds, since not everyone has libFuzzer.

use std::fs;

use super::*;
use crate::{corpus, seed::Seed, vectors::workspace};

fn corpus_of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = workspace().join("fuzz/corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", target.name));
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect()
}

// A test a target, so that a bug shows which corpus bites.

#[test]
fn the_corpus_of_envelope_is_replayed() {
    replay("envelope");
}

#[test]
fn the_corpus_of_wire_frame_is_replayed() {
    replay("wire_frame");
}

#[test]
fn the_corpus_of_content_is_replayed() {
    replay("content");
}

#[test]
fn the_corpus_of_link_is_replayed() {
    replay("link");
}

#[test]
fn the_corpus_of_state_import_is_replayed() {
    replay("state_import");
}

#[test]
fn the_corpus_of_handshake_is_replayed() {
    replay("handshake");
}

#[test]
fn the_corpus_of_chain_ops_is_replayed() {
    replay("chain_ops");
}

#[test]
fn the_corpus_of_header_is_replayed() {
    replay("header");
}

#[test]
fn the_corpus_of_kem_epoch_is_replayed() {
    replay("kem_epoch");
}

#[test]
fn the_corpus_of_session_ops_is_replayed() {
    replay("session_ops");
}

#[test]
fn the_corpus_of_relay_session_is_replayed() {
    replay("relay_session");
}

#[test]
fn the_corpus_of_store_ops_is_replayed() {
    replay("store_ops");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    // Any batches, hours and faults, made smaller until little is left of them.
    #[test]
    fn a_store_on_a_failing_disk_does_what_the_model_does(
        script in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..900),
    ) {
        store_ops(&script);
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let files = corpus_of(target);
    assert!(files.len() >= 12, "{name} has only {} files", files.len());
    for (path, data) in files {
        eprintln!("{path}");
        (target.body)(&data);
    }
}

// Run `cargo xtask seeds` when this fails: a door takes other bytes than it did.
#[test]
fn every_seed_is_in_its_corpus() {
    for target in TARGETS {
        let files = corpus_of(target);
        let seeds = corpus::seeds(target.name);
        for (name, data) in seeds.into_iter().filter(|(name, _)| !name.starts_with("live")) {
            assert!(files.iter().any(|(_, file)| *file == data), "{}/{name}", target.name);
        }
    }
}

// Seen to fail with `ContactLink::decode` ignoring what stands after the host.
#[test]
fn mutated_seeds_keep_the_promises() {
    let seed = Seed::fixed(20);
    for target in TARGETS {
        let seeds = corpus::seeds(target.name);
        for case in 0..target.tries {
            let mut rng = seed.case(case);
            (target.body)(&corpus::mutated(&seeds, &mut rng));
        }
    }
}
