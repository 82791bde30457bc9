//! `cargo xtask attacks`: runs the tests that `tests/attacks/MANIFEST.toml` calls covered, by their full names, and
//! counts. A test that is named and did not run is a failure.

use std::{collections::BTreeMap, fs, process::Command};

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
    let mut packages: BTreeMap<&str, Vec<&Attack>> = BTreeMap::new();
    for attack in &covered {
        packages.entry(&attack.package).or_default().push(attack);
    }
    // Some attack a real process, which cargo builds for a package's own tests only.
    let servers =
        ["build", "--bins", "-p", "chopmark-mint", "-p", "chopmark-relay", "-p", "chopmark-cli"];
    if !Command::new(env!("CARGO")).current_dir(root()).args(servers).status()?.success() {
        return Err("the servers do not build".into());
    }
    let mut failed = Vec::new();
    for (package, attacks) in packages {
        let output = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["test", "--no-fail-fast", "--package", package, "--", "--exact"])
            .args(attacks.iter().flat_map(|attack| &attack.tests))
            .output()?;
        let shown = String::from_utf8_lossy(&output.stdout);
        for attack in attacks {
            let passed = |test: &String| {
                let line = format!("test {test} ... ok");
                shown.lines().any(|shown| shown.trim_end() == line)
            };
            let ok = !attack.tests.is_empty() && attack.tests.iter().all(passed);
            println!(
                "{} {} {}",
                attack.id,
                if ok { "fails, as it must:" } else { "NOT SHOWN:" },
                attack.title
            );
            if !ok {
                failed.push(attack.id.clone());
            }
        }
        if !output.status.success() {
            eprintln!("{shown}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    println!("covered {}, pending {}", covered.len(), pending.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("not shown: {}", failed.join(", ")).into()) }
}
