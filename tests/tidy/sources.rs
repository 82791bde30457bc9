//! What may not stand in which source.

use super::{Source, assert_none, sources};

const SANS_IO: &[&str] = &[
    "crates/core/src/",
    "crates/wire/src/",
    "crates/mailbox/src/",
    "crates/pay/src/",
    "crates/client/src/engine",
];

/// Every shipped line of `folders` that has one of `words` as a path or name of its own.
fn uses(folders: &[&str], words: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(folders)) {
        for (number, line) in source.code() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                findings.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

// Seen to fail with `std::time::Instant` named in crates/core/src/time.rs.
#[test]
fn no_clock_socket_thread_or_hidden_randomness_where_effects_are_handed_out() {
    let words = [
        "tokio",
        "quinn",
        "Instant",
        "SystemTime",
        "std::thread",
        "thread::spawn",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "ToSocketAddrs",
        "std::fs",
        "std::process",
        "std::env",
        "SysRng",
        "OsRng",
        "thread_rng",
        "getrandom",
        "rand::rng",
    ];
    assert_none("an effect in a sans-IO crate", &uses(SANS_IO, &words));
}

#[test]
fn the_core_knows_no_protobuf_network_or_runtime() {
    let words = ["prost", "std::net", "tokio", "async", "await", "chopmark_wire"];
    assert_none("not for the core", &uses(&["crates/core/src/"], &words));
}

#[test]
fn prost_types_stay_inside_wire() {
    let others: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_in(&["crates/wire/", "crates/xtask/", "fuzz/"]))
        .filter(|source| source.code().any(|(_, line)| has_word(line, "prost")))
        .map(|source| source.path.clone())
        .collect();
    assert_none("prost outside wire", &others);
    let wire = sources().iter().find(|source| source.path == "crates/wire/src/lib.rs");
    assert!(wire.unwrap().text.contains("pub(crate) mod generated;"), "generated types are public");
}

// The relay cannot leak what it does not use.
// Seen to fail with `use chopmark_wire::content::Content;` in crates/mailbox/src/lib.rs.
#[test]
fn mailbox_and_relay_use_no_sessions_and_no_contents() {
    let mut findings = Vec::new();
    let folders = ["crates/mailbox/src/", "crates/relay/src/"];
    for source in sources().iter().filter(|source| source.is_in(&folders)) {
        for (package, forbidden) in [
            ("chopmark_core::", &["handshake", "session", "sessions", "ratchet"][..]),
            ("chopmark_wire::", &["content", "payment", "payload"][..]),
        ] {
            for name in imported(source, package) {
                if forbidden.contains(&name.as_str()) {
                    findings.push(format!("{}: {package}{name}", source.path));
                }
            }
        }
    }
    assert_none("not the relay's to know", &findings);
}

/// Every name that follows `package` in a path or in the braces of an import.
fn imported(source: &Source, package: &str) -> Vec<String> {
    let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let mut names = Vec::new();
    for (start, _) in code.match_indices(package) {
        let rest = &code[start + package.len()..];
        let end = if rest.starts_with('{') { rest.find(';') } else { rest.find("::") };
        let span = &rest[..end.unwrap_or(rest.len()).min(rest.len())];
        let words = span.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(words.filter(|word| !word.is_empty()).take(64).map(str::to_owned));
    }
    names
}

// Tests [constant-time-keys].
// Seen to fail with `multiply` of the issuer written as `point.mul_tweak(…)`.
#[test]
fn no_variable_time_helper_is_called_on_a_key_of_the_issuer() {
    let helpers = ["sign_message(", "verify_message(", "BlindSignature::new(", "add_dleq_proof("];
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(&["crates/mint/src/"])) {
        for (number, line) in source.code() {
            // On a point it is the variable-time multiplication; on a scalar it is constant-time.
            let points = line.matches("mul_tweak(").count() > line.matches("e.mul_tweak(").count();
            if points || helpers.iter().any(|helper| line.contains(helper)) {
                findings.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert_none("multiplies by a key in variable time", &findings);
}

#[test]
fn every_file_begins_with_a_module_doc() {
    let without: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !source.text.starts_with("#![no_main]"))
        .map(|source| source.path.clone())
        .collect();
    assert_none("no module doc", &without);
}

#[test]
fn no_file_has_an_unsafe_block() {
    // Spelt in two, so that this line is not a finding.
    let word = concat!("un", "safe");
    // A package of its own that ships nothing: it talks to valgrind and reads the cycle counter.
    let apart = [
        "tests/hygiene/constant_time/src/memcheck.rs",
        "tests/hygiene/constant_time/src/dudect.rs",
    ];
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.is_generated() && !source.is_in(&apart))
    {
        for (index, line) in source.text.lines().enumerate() {
            let code = line.trim_start();
            let opens = ["{", "fn", "impl", "extern"].map(|next| format!("{word} {next}"));
            if !code.starts_with("//") && opens.iter().any(|open| code.contains(open.as_str())) {
                findings.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    assert_none("an unsafe block", &findings);
}

#[test]
fn files_have_names_of_nouns_and_lengths_to_read() {
    let vague = ["mod", "utils", "util", "common", "helpers", "types", "misc", "manager"];
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.is_generated()) {
        let name = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if vague.contains(&name) {
            findings.push(format!("{}: what is in it?", source.path));
        }
        let lines = source.text.lines().count();
        if lines > 800 {
            findings.push(format!("{}: {lines} lines", source.path));
        }
    }
    assert_none("hard to read", &findings);
}

// Tests [counters-never-wrap]: where arithmetic was overlooked, what is shipped stops rather than wraps.
// Seen to fail with `overflow-checks` taken out of the profile.
#[test]
fn t07_what_is_shipped_stops_where_arithmetic_would_wrap() {
    let manifest: toml::Table = super::read("Cargo.toml").parse().unwrap();
    let profiles = manifest["profile"].as_table().unwrap();
    let checked = |profile: &toml::Value| {
        profile.get("overflow-checks").map(|value| value.as_bool() == Some(true))
    };
    assert_eq!(checked(&profiles["release"]), Some(true));
    for (name, profile) in profiles {
        assert_ne!(checked(profile), Some(false), "{name}");
        // One package is an exception, for a reason that stands beside it; none of ours is.
        let packages = profile.get("package").and_then(toml::Value::as_table);
        for (package, overrides) in packages.into_iter().flatten() {
            let excepted = package == "curve25519-dalek";
            assert!(excepted || checked(overrides) != Some(false), "{name}: {package}");
        }
        assert_ne!(profile.get("inherits").and_then(toml::Value::as_str), Some("bench"), "{name}");
    }
    let others = sources().iter().filter(|source| {
        !source.is_test() && source.code().any(|(_, line)| has_word(line, "unchecked_add"))
    });
    assert_none(
        "arithmetic without a check",
        &others.map(|source| source.path.clone()).collect::<Vec<_>>(),
    );
}
