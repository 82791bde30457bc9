//! `attacks/MANIFEST.toml` lists every attack, and what it calls covered exists.

use std::collections::{BTreeMap, BTreeSet};

use super::{assert_none, read, sources};

#[test]
fn the_manifest_lists_every_attack_once_and_in_order() {
    let manifest: toml::Table = read("tests/attacks/MANIFEST.toml").parse().unwrap();
    let attacks = manifest["attack"].as_array().unwrap();
    let ids: Vec<&str> = attacks.iter().map(|attack| attack["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=82).map(|number| format!("T{number:02}")).collect();
    assert_eq!(ids, expected);
}

/// Where each package of the workspace has its sources.
fn folder(package: &str) -> String {
    match package {
        "chopmark-tests" => "tests/".to_owned(),
        "chopmark" => "crates/client/".to_owned(),
        "xtask" => "crates/xtask/".to_owned(),
        other => format!("crates/{}/", other.trim_start_matches("chopmark-")),
    }
}

/// Whether there is a function of this full name, as the test runner spells it: `module::file::tests::a_sentence`.
fn exists(package: &str, test: &str) -> bool {
    let (modules, name) = test.rsplit_once("::").unwrap_or(("", test));
    // Modules are files, but for a file's own `tests`.
    let path = modules.replace("::", "/");
    let paths = [path.clone(), path.trim_end_matches("/tests").to_owned(), "lib".to_owned()];
    let function = format!("fn {name}(");
    sources().iter().any(|source| {
        let within = source.path.strip_prefix(&folder(package)).unwrap_or_default();
        let within = within.trim_start_matches("src/").trim_start_matches("tests/");
        let at = within.trim_end_matches(".rs").trim_end_matches("/mod");
        let inline = modules.is_empty() || modules == "tests" || at != "lib";
        inline && paths.iter().any(|path| path == at) && source.text.contains(&function)
    })
}

struct Listed {
    id: String,
    status: String,
    package: String,
    tests: Vec<String>,
}

fn listed() -> Vec<Listed> {
    let manifest: toml::Table = read("tests/attacks/MANIFEST.toml").parse().unwrap();
    let attacks = manifest["attack"].as_array().unwrap().iter();
    let text = |attack: &toml::Value, key: &str| {
        attack.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    attacks
        .map(|attack| {
            let tests = attack.get("tests").and_then(toml::Value::as_array);
            let tests = tests.into_iter().flatten().filter_map(toml::Value::as_str);
            Listed {
                id: text(attack, "id"),
                status: text(attack, "status"),
                package: text(attack, "package"),
                tests: tests.map(str::to_owned).collect(),
            }
        })
        .collect()
}

/// The covered attacks, each with its tests as a mutant names them: package and full name.
pub(super) fn covered() -> BTreeMap<String, Vec<String>> {
    let covered = listed().into_iter().filter(|attack| attack.status == "covered");
    covered
        .map(|Listed { id, package, tests, .. }| {
            let full = |test: &String| match test.contains(' ') {
                true => test.clone(),
                false => format!("{package} {test}"),
            };
            (id, tests.iter().map(full).collect())
        })
        .collect()
}

// Seen to fail with the name of a test changed in the manifest, with its module changed, and with a pending attack that
// names a test which is not there.
#[test]
fn every_test_of_an_attack_exists_and_every_covered_attack_has_one() {
    let mut findings = Vec::new();
    for Listed { id, status, package, tests } in listed() {
        match status.as_str() {
            "covered" if tests.is_empty() => findings.push(format!("{id}: covered by nothing")),
            "covered" | "pending" => {}
            other => findings.push(format!("{id}: status {other:?}")),
        }
        if tests.is_empty() != package.is_empty() {
            findings.push(format!("{id}: a package without tests, or tests without a package"));
        }
        let prefix = format!("{}_", id.to_lowercase());
        let mut seen = BTreeSet::new();
        for test in &tests {
            let (package, test) = test.split_once(' ').unwrap_or((&package, test));
            let name = test.rsplit("::").next().unwrap_or_default();
            if !name.starts_with(&prefix) || !exists(package, test) {
                findings.push(format!("{id}: {package} {test}"));
            }
            if !seen.insert(name) {
                findings.push(format!("{id}: {name} twice"));
            }
        }
    }
    assert_none("the manifest of attacks and the tests disagree", &findings);
}

// Seen to fail with an entry taken out of the manifest, and with a test in a crate of its own left out.
#[test]
fn every_attack_test_is_in_the_manifest() {
    let listed: BTreeSet<String> = listed()
        .into_iter()
        .flat_map(|attack| attack.tests)
        .filter_map(|test| test.rsplit("::").next().map(str::to_owned))
        .collect();
    let mut findings = Vec::new();
    for source in sources() {
        for line in source.text.lines() {
            let line = line.trim().trim_start_matches("async ");
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            let name = name.unwrap_or_default();
            let number = name.strip_prefix('t').and_then(|rest| rest.split_once('_'));
            let attack = number.is_some_and(|(number, _)| {
                number.len() == 2 && number.chars().all(|c| c.is_ascii_digit())
            });
            if attack && !listed.contains(name) {
                findings.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert_none("not in the manifest", &findings);
}
