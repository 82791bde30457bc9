//! `cargo xtask attacks`: runs the tests that `tests/attacks/MANIFEST.toml` calls covered, by their full names, and
//! counts. A test that is named and did not run is a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use serde::Deserialize;

use crate::{Outcome, codegen::root};

#[derive(Deserialize)]
struct Manifest {
    attack: Vec<Attack>,
}

#[derive(Deserialize)]
struct Attack {
    id: String,
    title: String,
    status: Status,
    #[serde(default)]
    package: String,
    #[serde(default)]
    tests: Vec<String>,
}

impl Attack {
    /// Package and full name of each test. `other-package name::of::test` is a test of another package.
    fn tests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tests.iter().map(|test| test.split_once(' ').unwrap_or((&self.package, test)))
    }
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Covered,
    Pending,
}

/// Runs every covered attack, one cargo a package.
#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
pub(crate) fn run() -> Outcome {
    let text = fs::read_to_string(root().join("tests/attacks/MANIFEST.toml"))?;
    let manifest: Manifest = toml::from_str(&text)?;
    let (covered, pending): (Vec<_>, Vec<_>) =
        manifest.attack.iter().partition(|attack| attack.status == Status::Covered);
    let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (package, test) in covered.iter().flat_map(|attack| attack.tests()) {
        packages.entry(package).or_default().insert(test);
    }
    // Some attack a real process, which cargo builds for a package's own tests only.
    let servers =
        ["build", "--bins", "-p", "chopmark-mint", "-p", "chopmark-relay", "-p", "chopmark-cli"];
    if !Command::new(env!("CARGO")).current_dir(root()).args(servers).status()?.success() {
        return Err("the servers do not build".into());
    }
    let mut passed = BTreeSet::new();
    for (package, tests) in &packages {
        let output = Command::new(env!("CARGO"))
            .current_dir(root())
            // Some take minutes, which an ordinary run has not.
            .args(["test", "--no-fail-fast", "--package", package, "--", "--exact"])
            .arg("--include-ignored")
            .args(tests)
            .output()?;
        let shown = String::from_utf8_lossy(&output.stdout);
        for test in tests {
            let line = format!("test {test} ... ok");
            if shown.lines().any(|shown| shown.trim_end() == line) {
                passed.insert((*package, *test));
            }
        }
        if !output.status.success() {
            eprintln!("{shown}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let mut missing = Vec::new();
    for attack in &covered {
        let shown = !attack.tests.is_empty() && attack.tests().all(|test| passed.contains(&test));
        let verdict = if shown { "fails, as it must:" } else { "NOT SHOWN:" };
        println!("{} {verdict} {}", attack.id, attack.title);
        if !shown {
            missing.push(attack.id.as_str());
        }
    }
    println!("covered {}, pending {}", covered.len(), pending.len());
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not shown: {}", missing.join(", ")).into())
    }
}
