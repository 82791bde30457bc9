//! Who may import whom, read from the manifests.

use super::{assert_none, read, root};

/// What each package of ours may depend on, of ours. Tests may use the testkit besides.
const ARROWS: &[(&str, &str, &[&str])] = &[
    ("core", "chopmark-core", &[]),
    ("wire", "chopmark-wire", &["chopmark-core"]),
    ("mailbox", "chopmark-mailbox", &["chopmark-core", "chopmark-wire"]),
    ("pay", "chopmark-pay", &["chopmark-core", "chopmark-wire"]),
    ("client", "chopmark", &["chopmark-core", "chopmark-wire", "chopmark-mailbox", "chopmark-pay"]),
    ("relay", "chopmark-relay", &["chopmark-core", "chopmark-wire", "chopmark-mailbox"]),
    ("mint", "chopmark-mint", &["chopmark-core", "chopmark-wire", "chopmark-pay"]),
    (
        "cli",
        "chopmark-cli",
        &[
            "chopmark",
            "chopmark-core",
            "chopmark-wire",
            "chopmark-pay",
            "chopmark-relay",
            "chopmark-mint",
        ],
    ),
    ("testkit", "chopmark-testkit", &["chopmark-core", "chopmark-wire", "chopmark-mailbox"]),
    ("xtask", "xtask", &["chopmark-core", "chopmark-testkit", "chopmark-wire"]),
];

/// Packages of others that only some of ours may use.
const WALLS: &[(&str, &[&str])] = &[
    ("prost", &["wire"]),
    ("prost-types", &[]),
    ("prost-build", &["xtask"]),
    ("protox", &["xtask"]),
    ("cashu", &["pay", "mint"]),
    ("tokio", &["client", "relay", "mint", "cli", "xtask"]),
    ("quinn", &["client", "relay", "xtask"]),
    ("rusqlite", &["client"]),
    ("fjall", &["relay"]),
    ("openmls", &[]),
];

struct Manifest {
    folder: String,
    table: toml::Table,
}

impl Manifest {
    fn dependencies(&self, section: &str) -> Vec<(String, toml::Value)> {
        let table = self.table.get(section).and_then(toml::Value::as_table);
        table.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

fn manifests() -> Vec<Manifest> {
    let mut folders: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let table = read(&format!("crates/{folder}/Cargo.toml")).parse().unwrap();
            Manifest { folder, table }
        })
        .collect()
}

// Seen to fail with chopmark-pay among the relay's dependencies.
#[test]
fn no_crate_imports_against_the_arrows() {
    let ours: Vec<&str> = ARROWS.iter().map(|(_, package, _)| *package).collect();
    let mut findings = Vec::new();
    for manifest in manifests() {
        let Some((_, _, allowed)) = ARROWS.iter().find(|(folder, _, _)| *folder == manifest.folder)
        else {
            findings.push(format!("crates/{} has no arrows yet", manifest.folder));
            continue;
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, _) in manifest.dependencies(section) {
                let testing = section == "dev-dependencies" && name == "chopmark-testkit";
                if ours.contains(&name.as_str()) && !allowed.contains(&name.as_str()) && !testing {
                    findings.push(format!("{} -> {name} ({section})", manifest.folder));
                }
            }
        }
    }
    assert_none("an arrow that DESIGN does not have", &findings);
}

// Seen to fail with prost among the relay's dependencies.
#[test]
fn walls_around_dependencies_hold() {
    let mut findings = Vec::new();
    for manifest in manifests() {
        for (name, _) in manifest.dependencies("dependencies") {
            let wall = WALLS.iter().find(|(wall, _)| *wall == name);
            if wall.is_some_and(|(_, inside)| !inside.contains(&manifest.folder.as_str())) {
                findings.push(format!("{} uses {name}", manifest.folder));
            }
        }
    }
    assert_none("a dependency outside its wall", &findings);
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    let mut findings = Vec::new();
    for manifest in manifests() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in manifest.dependencies(section) {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                if !inherits {
                    findings.push(format!("crates/{}: {name}", manifest.folder));
                }
            }
        }
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("crates/{}: lints are not the workspace's", manifest.folder));
        }
    }
    assert_none("not from the root manifest", &findings);
}

// Seen to fail with the feature among the client's dependencies.
#[test]
fn nothing_that_ships_has_the_doors_of_the_core_that_are_for_tests() {
    let opens = |value: &toml::Value| {
        let features = value.get("features").and_then(toml::Value::as_array);
        features.into_iter().flatten().any(|feature| feature.as_str() == Some("hazmat"))
    };
    let mut findings = Vec::new();
    for manifest in manifests() {
        let for_tests = ["testkit", "xtask"].contains(&manifest.folder.as_str());
        for (name, value) in manifest.dependencies("dependencies") {
            if opens(&value) && !for_tests {
                findings.push(format!("{}: {name}", manifest.folder));
            }
        }
    }
    let root: toml::Table = read("Cargo.toml").parse().unwrap();
    let shared = root["workspace"]["dependencies"].as_table().unwrap();
    findings.extend(shared.iter().filter(|(_, value)| opens(value)).map(|(name, _)| name.clone()));
    assert_none("hazmat in what ships", &findings);
}
