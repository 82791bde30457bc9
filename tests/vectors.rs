//! Every vector file against the code, from its inputs.

use std::path::{Path, PathBuf};

use chopmark_testkit::vectors::{AREAS, Area};

use crate::tidy::assert_none;

/// Vectors of our own that there are at least.
const AT_LEAST: usize = 200;

// Seen to fail with one digit of a leaf changed in a file.
#[test]
fn every_vector_is_what_the_code_gives() {
    let mut findings = Vec::new();
    for area in AREAS {
        for vector in area.load() {
            if let Err(finding) = area.check(&vector) {
                findings.push(format!("{}/{}: {finding}", area.name, vector.name));
            }
        }
    }
    assert_none("another outcome", &findings);
}

#[test]
fn no_area_is_empty_and_no_folder_is_unknown() {
    assert!(AREAS.iter().map(|area| area.load().len()).sum::<usize>() >= AT_LEAST);
    assert!(AREAS.iter().all(|area| area.load().len() > 2));
    let folder = AREAS[0].folder();
    let mut folders: Vec<String> = std::fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir() && holds_vectors(&entry.path()))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut areas: Vec<&str> = AREAS.iter().map(|area: &Area| area.name).collect();
    areas.sort_unstable();
    assert_eq!(folders, areas);
}

fn holds_vectors(folder: &Path) -> bool {
    let is_text = |path: PathBuf| path.extension().is_some_and(|extension| extension == "txt");
    std::fs::read_dir(folder).unwrap().any(|entry| is_text(entry.unwrap().path()))
}

// A checker in another language reads with these rules alone.
#[test]
fn a_file_has_one_form() {
    let mut findings = Vec::new();
    for area in AREAS {
        for vector in area.load() {
            let path = area.folder().join(format!("{}.txt", vector.name));
            if std::fs::read_to_string(path).unwrap() != vector.to_text() {
                findings.push(format!("{}/{}", area.name, vector.name));
            }
        }
    }
    assert_none("not as it would be written", &findings);
}
