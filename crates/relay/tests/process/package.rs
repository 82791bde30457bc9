//! What is shipped around the program, in `crates/relay/ops`: it parses, and what it names is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chopmark_relay::{
    limits::Limit,
    metrics::Metrics,
    settings::{ENVIRONMENT, Keys as _, Settings, layers},
};
use yaml_rust2::{Yaml, YamlLoader};

use super::desk::relay;

fn ops(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every metric that an expression names, without the suffixes of a histogram.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(word).filter(|word| word.starts_with("chopmark_relay_"));
    names
        .map(|name| {
            let histogram =
                ["_bucket", "_count", "_sum"].iter().find_map(|it| name.strip_suffix(it));
            histogram.unwrap_or(name).to_owned()
        })
        .collect()
}

fn known() -> BTreeSet<String> {
    Metrics::TABLE.iter().map(|metric| metric.name.to_owned()).collect()
}

/// Brackets close in the order in which they open: more of PromQL is Prometheus' to judge.
fn is_balanced(expression: &str) -> bool {
    let mut open = Vec::new();
    for c in expression.chars() {
        match c {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty() && expression.matches('"').count().is_multiple_of(2)
}

// Seen to fail with a metric on it that is not in the table.
#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: serde_json::Value = serde_json::from_str(&ops("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        assert!(is_balanced(expression), "{expression}");
        shown.extend(metrics_in(expression));
    }
    assert_eq!(shown, known());
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

// Seen to fail with a limit that is not there.
#[test]
fn every_alert_names_metrics_and_limits_that_exist_and_says_what_to_do() {
    let documents = YamlLoader::load_from_str(&ops("alerts.yml")).unwrap();
    let rules = documents[0]["groups"][0]["rules"].as_vec().unwrap();
    assert!(rules.len() >= 10);
    let mut names = BTreeSet::new();
    for rule in rules {
        let text = |yaml: &Yaml| yaml.as_str().unwrap_or_else(|| panic!("{rule:?}")).to_owned();
        assert!(names.insert(text(&rule["alert"])));
        let expression = text(&rule["expr"]);
        assert!(is_balanced(&expression), "{expression}");
        let named = metrics_in(&expression);
        assert!(named.is_subset(&known()), "{expression}");
        assert!(!named.is_empty() || expression.starts_with("up{"), "{expression}");
        if let Some((_, limits)) = expression.split_once("limit=~\"") {
            let limits = limits.split('"').next().unwrap();
            for limit in limits.split('|') {
                assert!(Limit::ALL.iter().any(|known| known.name() == limit), "{limit}");
            }
        }
        assert!(["page", "ticket"].contains(&text(&rule["labels"]["severity"]).as_str()));
        for annotation in ["summary", "action"] {
            assert!(text(&rule["annotations"][annotation]).len() > 10, "{rule:?}");
        }
    }
}

/// Sections and their keys; a key may stand more than once.
fn unit(name: &str) -> Vec<(String, String, String)> {
    let (mut section, mut lines) = (String::new(), Vec::new());
    for line in ops(name).lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap().to_owned();
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: {line}"));
        assert!(key.chars().all(|c| c.is_ascii_alphabetic()), "{name}: {line}");
        lines.push((section.clone(), key.to_owned(), value.to_owned()));
    }
    lines
}

// Seen to fail with a flag that the program does not have.
#[test]
fn the_units_parse_and_call_commands_that_there_are() {
    let units =
        ["chopmark-relay.service", "chopmark-relay-backup.service", "chopmark-relay-backup.timer"];
    for name in units {
        let lines = unit(name);
        let sections: BTreeSet<_> = lines.iter().map(|(section, ..)| section.as_str()).collect();
        assert!(sections.is_subset(&["Unit", "Service", "Timer", "Install"].into()), "{name}");
        for (_, key, value) in &lines {
            let Some((_, call)) = value.split_once("/usr/local/bin/chopmark-relay ") else {
                continue;
            };
            assert!(key.starts_with("Exec"), "{name}: {key}");
            let mut words = call.split([' ', '"', '\'']).filter(|word| !word.is_empty());
            let command = words.next().unwrap();
            let help = relay(&[command, "--help"]);
            assert_eq!(help.code, 0, "{name}: {command}");
            for flag in words.filter(|word| word.starts_with("--")) {
                assert!(help.out.contains(&format!("{flag} ")), "{name}: {flag}");
            }
        }
    }
    let service = unit("chopmark-relay.service");
    let has = |key: &str, value: &str| service.iter().any(|(_, k, v)| k == key && v == value);
    for (key, value) in [
        ("Type", "notify"),
        ("User", "chopmark-relay"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("LimitCORE", "0"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert!(has(key, value), "{key}={value}");
    }
    verify(&units);
}

/// By systemd itself, where it is installed. It wants the program to be there, so its name is put in its place.
fn verify(units: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_chopmark-relay");
    let paths: Vec<PathBuf> = units
        .iter()
        .map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, ops(name).replace("/usr/local/bin/chopmark-relay", program)).unwrap();
            path
        })
        .collect();
    let Ok(output) = Command::new("systemd-analyze").arg("verify").args(&paths).output() else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours = said.lines().filter(|line| line.contains("chopmark-relay"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Lines of a Dockerfile, each with its instruction; those that go on in the next are joined.
fn instructions() -> Vec<(String, String)> {
    let text = ops("Dockerfile").replace("\\\n", " ");
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            (word.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

// Seen to fail with a folder that is not copied.
#[test]
fn the_dockerfile_parses_copies_what_there_is_and_all_that_the_build_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let instructions = instructions();
    let known = [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ];
    let (mut copied, mut stages) = (BTreeSet::new(), BTreeSet::new());
    for (word, rest) in &instructions {
        assert!(known.contains(&word.as_str()), "{word}");
        let mut words: Vec<&str> = rest.split(' ').collect();
        match word.as_str() {
            "FROM" => {
                let name = words.iter().position(|word| *word == "AS").map(|at| words[at + 1]);
                stages.extend(name.map(str::to_owned));
            }
            "COPY" => {
                let from = words[0].strip_prefix("--from=");
                if let Some(stage) = from {
                    assert!(stages.contains(stage), "{rest}");
                    assert_eq!(words[1], "/src/target/release/chopmark-relay");
                    continue;
                }
                words.pop();
                for source in words {
                    assert!(root.join(source).exists(), "{source}");
                    copied.insert(source.to_owned());
                }
            }
            "ENV" => {
                for (name, _) in words.iter().map(|word| word.split_once('=').unwrap()) {
                    let mut keys = Settings::keys().iter();
                    assert!(
                        keys.any(|key| layers::variable(ENVIRONMENT, key.name) == name),
                        "{name}"
                    );
                }
            }
            // The lists are JSON.
            "ENTRYPOINT" | "CMD" => drop(serde_json::from_str::<Vec<String>>(rest).unwrap()),
            _ => {}
        }
    }
    // Cargo reads every member of the workspace, whatever it builds.
    let manifest: toml::Table =
        fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let folder = member.as_str().unwrap().split('/').next().unwrap().to_owned();
        assert!(copied.contains(&folder), "{folder}");
    }
    assert!(copied.contains("Cargo.lock"));
    let from = instructions.iter().find(|(word, _)| word == "FROM").unwrap();
    let version = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(from.1.starts_with(&format!("rust:{version}")), "{}", from.1);
}

// Seen to fail with a default that the file does not have.
#[test]
fn the_example_of_the_settings_is_what_the_program_writes() {
    assert_eq!(ops("relay.toml"), relay(&["check", "--keys"]).out);
}
