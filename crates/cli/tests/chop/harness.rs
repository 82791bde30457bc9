//! The executable, run by a person with a home; and a relay and an issuer for them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) const CHOP: &str = env!("CARGO_BIN_EXE_chop");

/// What a run ended with.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The only object that was printed.
    pub(crate) fn object(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// Ended with this code, saying this on standard error in at most two lines, and nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(words), "{self:?}");
        assert!(self.err.starts_with("chop: ") && self.err.lines().count() <= 2, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
    }
}

/// Someone with a home that a key file opens: quicker than a passphrase, and the same otherwise.
pub(crate) struct Person {
    folder: tempfile::TempDir,
}

impl Person {
    pub(crate) fn new(relay: &str, issuer: &str) -> Self {
        let person = Self::homeless();
        let made = person.chop(&["init", "--relay", relay, "--issuer", issuer, "--merchant"]);
        assert_eq!(made.code, 0, "{made:?}");
        person
    }

    /// Someone who has no home yet.
    pub(crate) fn homeless() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Listens until something with these words was told, and says all that was.
    #[track_caller]
    pub(crate) fn hears(&self, words: &str) -> String {
        let mut told = String::new();
        for _ in 0..16 {
            let heard = self.chop(&["listen", "--count", "1", "--timeout", "30s"]);
            told.push_str(&heard.out);
            if told.contains(words) {
                return told;
            }
            assert_eq!(heard.code, 0, "no {words:?}: {told:?}, {heard:?}");
        }
        panic!("no {words:?}: {told:?}");
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(CHOP);
        command.arg("--home").arg(self.home()).arg("--key-file").arg(self.key()).args(args);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn chop(&self, args: &[&str]) -> Ran {
        run(self.command(args))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut command = self.command(args);
        command.arg("--json");
        run(command).object()
    }
}

pub(crate) fn run(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A relay or an issuer of the demo's kind; it ends with the test.
pub(crate) struct Worker {
    child: Child,
    pub(crate) address: String,
    data: tempfile::TempDir,
    hidden: &'static str,
}

impl Worker {
    pub(crate) fn relay() -> Self {
        Self::start("__relay")
    }

    pub(crate) fn issuer() -> Self {
        Self::start("__mint")
    }

    fn start(hidden: &'static str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(CHOP)
            .args([hidden, "run", "--dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "{hidden} did not start");
        Self { child, address: address.trim().to_owned(), data, hidden }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// A token of this amount.
    pub(crate) fn issue(&self, amount: &str) -> String {
        let mut command = Command::new(CHOP);
        command.args([self.hidden, "issue", amount, "--data"]).arg(self.data());
        let issued = run(command);
        assert_eq!(issued.code, 0, "{issued:?}");
        issued.out.trim().to_owned()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A relay's address at which nobody answers.
pub(crate) const NO_RELAY: &str = "chop-relay:127.0.0.1:9#000102030405060708090a0b0c0d0e0f";
/// An issuer at whose address nobody answers.
pub(crate) const NO_ISSUER: &str = "http://127.0.0.1:9";
