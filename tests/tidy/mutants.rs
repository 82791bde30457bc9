//! `mutants/*.toml` names planted bugs that still fit the code, and tests that exist; every covered attack has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{assert_none, manifest, read, root, sources};

/// Every mutant of every area.
fn mutants() -> Vec<toml::Table> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("tests/mutants")).unwrap() {
        let area: toml::Table = fs::read_to_string(entry.unwrap().path()).unwrap().parse().unwrap();
        let mutants = area["mutant"].as_array().unwrap().iter();
        found.extend(mutants.map(|mutant| mutant.as_table().unwrap().clone()));
    }
    found
}

fn text<'a>(table: &'a toml::Table, key: &str) -> &'a str {
    table[key].as_str().unwrap()
}

fn list<'a>(table: &'a toml::Table, key: &str) -> Vec<&'a toml::Value> {
    table.get(key).and_then(toml::Value::as_array).into_iter().flatten().collect()
}

fn killers(mutant: &toml::Table) -> Vec<&str> {
    list(mutant, "killed_by").into_iter().map(|killer| killer.as_str().unwrap()).collect()
}

// Seen to fail with a line changed that a mutant changes, and with the name of a test changed.
#[test]
fn every_mutant_fits_the_code_and_names_tests() {
    let functions: BTreeSet<String> = sources()
        .iter()
        .flat_map(|source| source.text.lines())
        .filter_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "))
        .filter_map(|rest| rest.split('(').next().map(str::to_owned))
        .collect();
    let (mut names, mut findings) = (BTreeSet::new(), Vec::new());
    for mutant in mutants() {
        let name = text(&mutant, "name");
        if !names.insert(name.to_owned()) {
            findings.push(format!("{name}: stands twice"));
        }
        let also = list(&mutant, "also").into_iter().map(|edit| edit.as_table().unwrap());
        for edit in also.chain([&mutant]) {
            if read(text(edit, "file")).matches(text(edit, "find")).count() != 1 {
                findings.push(format!("{name}: `find` must occur once in {}", text(edit, "file")));
            }
            if text(edit, "find") == text(edit, "replace") {
                findings.push(format!("{name}: changes nothing"));
            }
        }
        let killers = killers(&mutant);
        if killers.is_empty() {
            findings.push(format!("{name}: no test"));
        }
        for killer in killers {
            let test = killer.split_once(' ').and_then(|(_, test)| test.rsplit("::").next());
            if !test.is_some_and(|test| functions.contains(test)) {
                findings.push(format!("{name}: no test {killer}"));
            }
        }
    }
    assert_none("mutants that are out of date", &findings);
}

/// Covered attacks that no planted bug brings back, and why. This list only shrinks.
const UNPLANTED: &[(&str, &str)] =
    &[("T04", "the defence is the shape of an interface: a call that breaks it does not compile")];

// Seen to fail with the planted bug of an attack taken out, and with an exception that has one.
#[test]
fn every_covered_attack_has_a_planted_bug() {
    let killers: BTreeSet<String> = mutants().iter().flat_map(killers).map(str::to_owned).collect();
    let excepted: BTreeMap<&str, &str> = UNPLANTED.iter().copied().collect();
    let mut findings = Vec::new();
    let covered = manifest::covered();
    for (id, tests) in &covered {
        let planted = tests.iter().any(|test| killers.contains(test));
        match (planted, excepted.contains_key(id.as_str())) {
            (false, false) => {
                findings.push(format!("{id}: no mutant is killed by one of its tests"))
            }
            (true, true) => findings.push(format!("{id}: is no exception any more")),
            _ => {}
        }
    }
    let gone = excepted.keys().filter(|id| !covered.contains_key(**id));
    findings.extend(gone.map(|id| format!("{id}: an exception that is not covered")));
    assert!(excepted.len() <= 1, "the list of exceptions only shrinks");
    assert_none("covered attacks and planted bugs", &findings);
}
