//! The vectors of `tests/vectors/`: one case a file, in a form that any language reads (`tests/vectors/README.md`).
//!
//! An [`Area`] lists its cases as inputs with the answer that each must have, and evaluates a case from its inputs
//! alone. `cargo xtask vectors --write` evaluates and writes; the test reads every file and evaluates again.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use chopmark_core::hash;
use sha2::{Digest, Sha256};

mod body;
mod chain;
mod content;
mod crafted;
mod derivation;
mod device;
mod dh;
mod draws;
mod handshake;
mod header;
mod identity;
mod kem;
mod kem_machine;
mod link;
mod manifest;
mod prekey;
mod root;
mod sealing;
mod session;
mod sessions;
mod signature;
mod transcript;
mod transcripts;

/// One case: what is given, what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The file's name without `.txt`.
    pub name: String,
    comment: String,
    given: Lines,
    expect: String,
    outputs: Lines,
}

type Lines = Vec<(String, String)>;

/// A folder of vectors.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// The folder in `tests/vectors/`.
    pub name: &'static str,
    cases: fn() -> Vec<Vector>,
    evaluate: fn(&Vector) -> Outcome,
}

/// What comes of a case: its outputs, or the word for why there are none.
pub(crate) type Outcome = Result<Outputs, &'static str>;

/// Every area, in the order of SPEC.
pub const AREAS: &[Area] = &[
    Area { name: "derivation", cases: derivation::cases, evaluate: derivation::evaluate },
    Area { name: "dh", cases: dh::cases, evaluate: dh::evaluate },
    Area { name: "signature", cases: signature::cases, evaluate: signature::evaluate },
    Area { name: "identity", cases: identity::cases, evaluate: identity::evaluate },
    Area { name: "link", cases: link::cases, evaluate: link::evaluate },
    Area { name: "prekey", cases: prekey::cases, evaluate: prekey::evaluate },
    Area { name: "handshake", cases: handshake::cases, evaluate: handshake::evaluate },
    Area { name: "header", cases: header::cases, evaluate: header::evaluate },
    Area { name: "chain", cases: chain::cases, evaluate: chain::evaluate },
    Area { name: "root", cases: root::cases, evaluate: root::evaluate },
    Area { name: "body", cases: body::cases, evaluate: body::evaluate },
    Area { name: "kem", cases: kem::cases, evaluate: kem::evaluate },
    Area { name: "session", cases: session::cases, evaluate: session::evaluate },
    Area { name: "sessions", cases: sessions::cases, evaluate: sessions::evaluate },
    Area { name: "content", cases: content::cases, evaluate: content::evaluate },
];

impl Area {
    /// Every case with the outputs that the code gives it.
    ///
    /// # Panics
    /// If the answer is another than the case says.
    pub fn generate(&self) -> Vec<Vector> {
        let complete = |mut case: Vector| {
            let (expect, outputs) = answer(&(self.evaluate)(&case));
            assert_eq!(case.expect, expect, "{}/{}", self.name, case.name);
            case.outputs = outputs;
            assert_eq!(Vector::parse(&case.name, &case.to_text()), case, "it reads back");
            case
        };
        (self.cases)().into_iter().map(complete).collect()
    }

    /// Evaluates a vector that was read from its inputs, and says where it differs.
    ///
    /// # Errors
    /// The first line that is another.
    pub fn check(&self, vector: &Vector) -> Result<(), String> {
        let (expect, outputs) = answer(&(self.evaluate)(vector));
        if expect != vector.expect {
            return Err(format!("expect: {} and came {expect}", vector.expect));
        }
        let differing = outputs.iter().zip(&vector.outputs).find(|(came, said)| came != said);
        match differing {
            Some(((came, value), (said, _))) => Err(format!("{said}: came {came}: {value}")),
            None if outputs.len() == vector.outputs.len() => Ok(()),
            None => Err(format!("{} outputs came", outputs.len())),
        }
    }

    /// Every file of the folder, by name.
    ///
    /// # Panics
    /// If the folder or a file cannot be read.
    pub fn load(&self) -> Vec<Vector> {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.folder())
            .unwrap_or_else(|error| panic!("tests/vectors/{}: {error}", self.name))
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        paths.sort();
        let stem =
            |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let read = |path: &PathBuf| fs::read_to_string(path).expect("a readable vector");
        paths.iter().map(|path| Vector::parse(&stem(path), &read(path))).collect()
    }

    /// The folder.
    pub fn folder(&self) -> PathBuf {
        workspace().join("tests/vectors").join(self.name)
    }
}

fn answer(outcome: &Outcome) -> (&'static str, Lines) {
    match outcome {
        Ok(outputs) => ("ok", outputs.0.clone()),
        Err(word) => (word, Lines::new()),
    }
}

impl Vector {
    /// A case with nothing given yet; `comment` is its first line, `expect` the word that must come.
    pub(crate) fn new(name: impl Into<String>, comment: &str, expect: &str) -> Self {
        let (name, comment, expect) = (name.into(), comment.to_owned(), expect.to_owned());
        Self { name, comment, given: Lines::new(), expect, outputs: Lines::new() }
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.given.push((key.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn with_bytes(self, key: &str, value: &[u8]) -> Self {
        self.with(key, hex(value))
    }

    /// With other bytes given under `key`.
    pub(crate) fn replaced(mut self, key: &str, value: &[u8]) -> Self {
        for (_, line) in self.given.iter_mut().filter(|(given, _)| given == key) {
            *line = hex(value);
        }
        self
    }

    /// Reads the text of a file.
    ///
    /// # Panics
    /// If it is none.
    pub fn parse(name: &str, text: &str) -> Self {
        let (comment, rest) = text.split_once('\n').expect("a vector has lines");
        let comment = comment.strip_prefix("# ").expect("a vector begins with a comment");
        let mut vector = Self::new(name, comment, "");
        for line in rest.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once(':').expect("a line of a vector is `key: value`");
            let (key, value) = (key.to_owned(), value.trim().to_owned());
            let twice =
                vector.given.iter().chain(&vector.outputs).any(|(before, _)| *before == key);
            assert!(!twice, "{name}: {key} stands twice");
            match (key.as_str(), vector.expect.is_empty()) {
                ("expect", true) => vector.expect = value,
                (_, true) => vector.given.push((key, value)),
                (_, false) => vector.outputs.push((key, value)),
            }
        }
        vector
    }

    /// The text of its file.
    pub fn to_text(&self) -> String {
        let mut text = format!("# {}\n", self.comment);
        let mut line = |key: &str, value: &str| {
            let gap = if value.is_empty() { "" } else { " " };
            writeln!(text, "{key}:{gap}{value}").expect("a string takes all");
        };
        self.given.iter().for_each(|(key, value)| line(key, value));
        line("expect", &self.expect);
        self.outputs.iter().for_each(|(key, value)| line(key, value));
        text
    }

    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        let line = self.given.iter().find(|(given, _)| given == key);
        line.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| panic!("{}: no {key}", self.name))
    }

    pub(crate) fn operation(&self) -> &str {
        self.text("operation")
    }

    pub(crate) fn number<N: TryFrom<u64>>(&self, key: &str) -> N {
        let number = self.text(key).parse().ok().and_then(|number: u64| number.try_into().ok());
        number.unwrap_or_else(|| panic!("{}: {key} is no such number", self.name))
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        unhex(self.text(key)).unwrap_or_else(|| panic!("{}: {key} is not hexadecimal", self.name))
    }

    pub(crate) fn array<const N: usize>(&self, key: &str) -> [u8; N] {
        let bytes = self.bytes(key);
        let length = bytes.len();
        bytes.try_into().unwrap_or_else(|_| panic!("{}: {key} has {length} bytes", self.name))
    }

    /// What is given under `first`, `second`, … : `key 1`, `key 2` and so on.
    pub(crate) fn numbered(&self, key: &str) -> Vec<Vec<u8>> {
        (1..)
            .map_while(|number| self.find(&format!("{key} {number}")))
            .map(|value| unhex(value).unwrap_or_else(|| panic!("{}: {key}", self.name)))
            .collect()
    }
}

/// What a case puts out, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs(Lines);

impl Outputs {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.0.push((key.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn with_bytes(self, key: &str, value: &[u8]) -> Self {
        self.with(key, hex(value))
    }

    /// What came so far.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Bytes for a case, the same in every run: `what` says which.
pub(crate) fn drawn<const N: usize>(what: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (block, chunk) in (0_u32..).zip(bytes.chunks_mut(32)) {
        let hash = hash::sha256("vectors", &[what.as_bytes(), &block.to_be_bytes()]);
        chunk.copy_from_slice(&hash[..chunk.len()]);
    }
    bytes
}

/// SHA-256 without any label.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `bytes` with one of them changed.
pub(crate) fn altered(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    altered[at] ^= 1;
    altered
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    // What planted bugs of the core are seen by, with no more than this package built.
    #[test]
    fn every_vector_is_what_the_code_gives() {
        for area in AREAS {
            for vector in area.load() {
                let name = format!("{}/{}", area.name, vector.name);
                assert_eq!(area.check(&vector), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn a_vector_comes_back_from_its_text() {
        let text = "# why\nkey: 00ff10\nnothing:\nexpect: ok\nout: 1\n";
        let vector = Vector::parse("case", text);
        assert_eq!(vector.bytes("key"), [0, 255, 16]);
        assert!(vector.bytes("nothing").is_empty());
        assert_eq!(vector.to_text(), text);
    }

    #[test]
    #[should_panic(expected = "case: no nonce")]
    fn a_missing_value_says_which() {
        Vector::parse("case", "# why\nkey: 00\nexpect: ok\n").text("nonce");
    }

    #[test]
    #[should_panic(expected = "key is not hexadecimal")]
    fn capital_digits_are_no_second_spelling() {
        Vector::parse("case", "# why\nkey: 0A\nexpect: ok\n").bytes("key");
    }
}
