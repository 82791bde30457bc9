//! The vectors that are checked in: compared with what the code gives, or written anew.

use std::{collections::BTreeSet, fs};

use chopmark_testkit::vectors::AREAS;

use crate::Outcome;

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
    println!("{total:>6} vectors of our own");
    if differing.is_empty() {
        Ok(())
    } else {
        let list = differing.join("\n  ");
        Err(format!("not what the code gives (cargo xtask vectors --write):\n  {list}").into())
    }
}
