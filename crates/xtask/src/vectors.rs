//! The vectors that are checked in: compared with what the code gives, or written anew. And how many published by
//! others run beside them.

use std::{collections::BTreeSet, fs, process::Command};

use chopmark_testkit::vectors::AREAS;

use crate::{Outcome, codegen::root};

#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
/// Compares every file of `tests/vectors/` with what the code gives, or writes them; then counts.
pub(crate) fn run(write: bool) -> Outcome {
    let (mut total, mut differing) = (0, Vec::new());
    for area in AREAS {
        let vectors = area.generate();
        let folder = area.folder();
        if write {
            fs::create_dir_all(&folder)?;
        }
        let expected: BTreeSet<String> =
            vectors.iter().map(|vector| format!("{}.txt", vector.name)).collect();
        if expected.len() != vectors.len() {
            return Err(format!("{}: a name stands twice", area.name).into());
        }
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !expected.contains(&name) {
                if write {
                    fs::remove_file(folder.join(&name))?;
                } else {
                    differing.push(format!("{}/{name} has no case", area.name));
                }
            }
        }
        for vector in &vectors {
            let path = folder.join(format!("{}.txt", vector.name));
            if write {
                fs::write(path, vector.to_text())?;
            } else if fs::read_to_string(path).ok() != Some(vector.to_text()) {
                differing.push(format!("{}/{}.txt", area.name, vector.name));
            }
        }
        println!("{:>6} {}", vectors.len(), area.name);
        total += vectors.len();
    }
    println!("{total:>6} vectors of our own\n");
    if !differing.is_empty() {
        let list = differing.join("\n  ");
        let hint = "not what the code gives (cargo xtask vectors --write)";
        return Err(format!("{hint}:\n  {list}").into());
    }
    if write { Ok(()) } else { external() }
}

/// Runs the cases of others (`tests/external/`) and adds up what each set says of itself.
#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
fn external() -> Outcome {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["test", "--package", "chopmark-tests", "--test", "suite"])
        .args(["external::", "--", "--nocapture"])
        .output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        eprintln!("{shown}{}", String::from_utf8_lossy(&output.stderr));
        return Err("a case of others has another outcome".into());
    }
    let mut sets: Vec<(&str, usize)> = shown.lines().filter_map(set).collect();
    sets.sort_unstable();
    let (oracles, published): (Vec<_>, Vec<_>) =
        sets.iter().partition(|(name, _)| name.contains(" against "));
    for (sets, what) in [
        (&published, "external vectors"),
        (&oracles, "cases of one implementation against another"),
    ] {
        sets.iter().for_each(|(name, cases)| println!("{cases:>6} {name}"));
        let cases: usize = sets.iter().map(|(_, cases)| cases).sum();
        println!("{cases:>6} {what}\n");
    }
    if published.is_empty() { Err("no set of others ran".into()) } else { Ok(()) }
}

/// `external: <set>: <n> cases`.
fn set(line: &str) -> Option<(&str, usize)> {
    let (name, cases) = line.strip_prefix("external: ")?.rsplit_once(": ")?;
    Some((name, cases.strip_suffix(" cases")?.parse().ok()?))
}
