//! `mutants/*.toml` names planted bugs that still fit the code, and tests that exist.

use std::{collections::BTreeSet, fs};

use super::{assert_none, read, root, sources};

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
    for entry in fs::read_dir(root().join("tests/mutants")).unwrap() {
        let area: toml::Table = fs::read_to_string(entry.unwrap().path()).unwrap().parse().unwrap();
        for mutant in area["mutant"].as_array().unwrap() {
            let text = |key: &str| mutant[key].as_str().unwrap();
            let name = text("name");
            if !names.insert(name.to_owned()) {
                findings.push(format!("{name}: stands twice"));
            }
            if read(text("file")).matches(text("find")).count() != 1 {
                findings.push(format!("{name}: `find` must occur once in {}", text("file")));
            }
            if text("find") == text("replace") {
                findings.push(format!("{name}: changes nothing"));
            }
            let killers = mutant["killed_by"].as_array().unwrap();
            if killers.is_empty() {
                findings.push(format!("{name}: no test"));
            }
            for killer in killers.iter().map(|killer| killer.as_str().unwrap()) {
                let test = killer.split_once(' ').and_then(|(_, test)| test.rsplit("::").next());
                if !test.is_some_and(|test| functions.contains(test)) {
                    findings.push(format!("{name}: no test {killer}"));
                }
            }
        }
    }
    assert_none("mutants that are out of date", &findings);
}
