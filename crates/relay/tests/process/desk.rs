//! An operator's desk: a file of settings, a data folder, and the commands.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::server::Server;

/// One relay's settings and folder.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    page: u16,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The one object on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program to its end.
pub(crate) fn relay(arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chopmark-relay"));
    let output = command.args(arguments).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Desk {
    /// A folder with a relay.toml for loopback, and `more` in it.
    pub(crate) fn new(more: &str) -> Self {
        let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let desk = Self { folder: tempfile::tempdir().unwrap(), page };
        desk.settings(more);
        desk
    }

    /// Writes relay.toml again.
    pub(crate) fn settings(&self, more: &str) {
        let data = self.data();
        let text = format!(
            "data = {data:?}\nlisten = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:{}\"\n{more}\n",
            self.page
        );
        fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        fs::create_dir_all(self.path("etc")).unwrap();
        self.path("etc/relay.toml")
    }

    /// Runs a command with these settings.
    pub(crate) fn say(&self, arguments: &[&str]) -> Said {
        let config = self.config();
        relay(&[arguments, &["--config", config.to_str().unwrap()]].concat())
    }

    pub(crate) fn start(&self) -> Server {
        self.start_with(&[], &[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chopmark-relay"));
        command.args(["run", "--config"]).arg(self.config()).args(arguments);
        command.envs(environment.iter().copied());
        Server::spawn(command)
    }

    /// Asks the page; status and body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.page)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // 1.0: the answer ends with the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A metric's value.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (_, page) = self.ask("GET", "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
    }

    /// Waits until a metric has at least this value.
    pub(crate) fn until(&self, name: &str, least: u64) {
        for _ in 0..400 {
            if self.metric(name) >= least {
                return;
            }
            pause();
        }
        panic!("{name} stays below {least}");
    }
}

pub(crate) fn pause() {
    #[allow(clippy::disallowed_methods, reason = "another process tells nobody when it is done")]
    std::thread::sleep(Duration::from_millis(25));
}

/// Everything below a folder: paths and lengths.
pub(crate) fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        found.extend(listing(&entry.path()));
        found.push((entry.path(), entry.metadata().unwrap().len()));
    }
    found.sort();
    found
}
