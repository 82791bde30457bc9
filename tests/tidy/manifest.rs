//! `attacks/MANIFEST.toml` lists every attack, and what it calls covered exists.

use std::collections::BTreeSet;

use super::{assert_none, read, sources};

#[test]
fn the_manifest_lists_every_attack_once_and_in_order() {
    let manifest: toml::Table = read("tests/attacks/MANIFEST.toml").parse().unwrap();
    let attacks = manifest["attack"].as_array().unwrap();
    let ids: Vec<&str> = attacks.iter().map(|attack| attack["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=82).map(|number| format!("T{number:02}")).collect();
    assert_eq!(ids, expected);
}

// Seen to fail with the name of a test changed in the manifest.
#[test]
fn every_covered_attack_has_its_test() {
    let manifest: toml::Table = read("tests/attacks/MANIFEST.toml").parse().unwrap();
    let functions: BTreeSet<String> = sources()
        .iter()
        .flat_map(|source| source.text.lines())
        .filter_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "))
        .filter_map(|rest| rest.split('(').next().map(str::to_owned))
        .collect();
    let mut findings = Vec::new();
    for attack in manifest["attack"].as_array().unwrap() {
        let text = |key: &str| attack.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        match text("status") {
            "pending" => {}
            "covered" => {
                let prefix = format!("{}_", text("id").to_lowercase());
                let tests = attack.get("tests").and_then(toml::Value::as_array);
                let names: Vec<&str> = tests
                    .into_iter()
                    .flatten()
                    .filter_map(|test| test.as_str()?.rsplit("::").next())
                    .collect();
                let exists = |name: &&str| functions.contains(*name) && name.starts_with(&prefix);
                if names.is_empty() || !names.iter().all(exists) || text("package").is_empty() {
                    findings.push(format!("{}: {names:?}", text("id")));
                }
            }
            other => findings.push(format!("{}: status {other:?}", text("id"))),
        }
    }
    assert_none("covered without a test", &findings);
}

#[test]
fn every_attack_test_is_in_the_manifest() {
    let manifest = read("tests/attacks/MANIFEST.toml");
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("tests/attacks/")) {
        for line in source.text.lines() {
            let name =
                line.trim().trim_start_matches("async ").strip_prefix("fn ").unwrap_or_default();
            let name = name.split('(').next().unwrap_or_default();
            let mut letters = name.chars();
            let attack = letters.next() == Some('t') && letters.take(2).all(|c| c.is_ascii_digit());
            if attack && name.len() > 3 && !manifest.contains(name) {
                findings.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert_none("not in the manifest", &findings);
}
