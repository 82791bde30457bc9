//! No branch and no address depends on a secret: T24. The programs are in `constant_time/`, a package of its own; what
//! they take for public is listed in its `src/undefined.rs`.
//!
//! Not constant-time, and not meant to be: reading the 24 words, a link or a passphrase, which a person types or scans.

use std::process::Command;

use crate::tidy;

#[test]
#[ignore = "builds a release and runs it under valgrind: `cargo xtask attacks`, or tests/hygiene/constant_time/run"]
fn t24_no_branch_and_no_address_depends_on_a_secret() {
    let script = tidy::root().join("tests/hygiene/constant_time/run");
    // Cargo says for which build it runs a test; that build is another one.
    let ran = Command::new(script).env_remove("CARGO_TARGET_DIR").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    eprintln!("{out}{err}");
    assert_eq!(
        ran.status.code(),
        Some(0),
        "1 is a finding, 2 that valgrind is missing:\n{out}{err}"
    );
    assert!(out.contains("found, as expected"), "the planted comparison was not found");
}

// Versions in which a side channel was closed: RUSTSEC-2024-0344, RUSTSEC-2025-0144 and KyberSlash.
#[test]
fn t24_no_library_is_below_the_version_that_closed_a_side_channel() {
    let floors = [
        ("curve25519-dalek", [4, 1, 3]),
        ("ed25519-dalek", [2, 0, 0]),
        ("subtle", [2, 6, 0]),
        ("ml-dsa", [0, 1, 0]),
        ("libcrux-ml-kem", [0, 0, 11]),
        ("vodozemac", [0, 7, 0]),
    ];
    let lock: toml::Table = tidy::read("Cargo.lock").parse().unwrap();
    for (name, floor) in floors {
        let mut versions = 0;
        for package in lock["package"].as_array().unwrap() {
            if package["name"].as_str() == Some(name) {
                let version = package["version"].as_str().unwrap();
                let mut numbers =
                    version.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
                let version: [u32; 3] = core::array::from_fn(|_| numbers.next().unwrap());
                assert!(version >= floor, "{name} {version:?}");
                versions += 1;
            }
        }
        assert!(versions > 0, "{name} is not used");
    }
    // What is compared goes through `Secret` or `ct_eq`; nobody takes a slice of one to compare it.
    let mut findings = Vec::new();
    for source in tidy::sources().iter().filter(|source| source.path.starts_with("crates/core/src"))
    {
        for (number, line) in source.code() {
            let reads = line.contains("expose()") || line.contains("expose_seed()");
            if reads && (line.contains(" == ") || line.contains(" != ")) {
                findings.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    assert!(findings.is_empty(), "secrets are compared in variable time: {findings:#?}");
}
