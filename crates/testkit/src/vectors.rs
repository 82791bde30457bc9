//! Vector files: one case a file, `key: value` a line, `#` before a comment; bytes are lower-case hexadecimal.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// One case.
#[derive(Clone, Debug)]
pub struct Vector {
    /// The file, for the message of a failed test.
    pub name: String,
    values: BTreeMap<String, String>,
}

impl Vector {
    /// Reads the text of a file.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once(':').expect("a line of a vector is `key: value`");
            let before = values.insert(key.trim().to_owned(), value.trim().to_owned());
            assert!(before.is_none(), "{name}: {key} stands twice");
        }
        Self { name: name.to_owned(), values }
    }

    /// The text behind `key`.
    pub fn text(&self, key: &str) -> &str {
        match self.values.get(key) {
            Some(value) => value,
            None => panic!("{}: no {key}", self.name),
        }
    }

    /// The bytes behind `key`.
    pub fn bytes(&self, key: &str) -> Vec<u8> {
        let text = self.text(key);
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        match digits {
            Some(digits) if digits.len() % 2 == 0 => digits
                .chunks_exact(2)
                .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default())
                .collect(),
            _ => panic!("{}: {key} is not hexadecimal", self.name),
        }
    }
}

/// Every case in `tests/vectors/<folder>/`, by name.
pub fn load(folder: &str) -> Vec<Vector> {
    let path = workspace().join("tests/vectors").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("tests/vectors/{folder}: {error}"))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a readable vector");
    files.iter().map(|path| Vector::parse(&name(path), &read(path))).collect()
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_text_and_bytes() {
        let vector = Vector::parse("case", "# why\nexpect: ok\n\nkey: 00ff10\n");
        assert_eq!(vector.text("expect"), "ok");
        assert_eq!(vector.bytes("key"), [0, 255, 16]);
    }

    #[test]
    #[should_panic(expected = "case: no nonce")]
    fn a_missing_value_says_which() {
        Vector::parse("case", "key: 00").text("nonce");
    }
}
