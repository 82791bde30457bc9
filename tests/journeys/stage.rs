//! The programs as processes. Everything waits for a bounded time, and ends with the test.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// A program of the workspace. Those lie beside the tests, built with the packages whose own tests run them.
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join(name);
    assert!(
        path.exists(),
        "cargo test --workspace builds it; else: cargo build -p chopmark-cli -p chopmark-relay -p chopmark-mint"
    );
    path
}

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Looks again and again until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        pause(PAUSE);
    }
}

#[allow(clippy::disallowed_methods, reason = "real processes take real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// A process that runs until it is killed, with the lines it has printed so far.
pub(crate) struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// With its log in a file.
    pub(crate) fn start_logged(command: Command, log: &Path) -> Self {
        Self::start_with(command, File::create(log).unwrap().into())
    }

    fn start_with(mut command: Command, log: Stdio) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, kept) = (child.stdout.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn first_line(&self) -> String {
        wait_for("a first line", || self.lines().first().cloned())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A relay or an issuer on its folder, always at the same address.
pub(crate) struct Server {
    program: &'static str,
    data: PathBuf,
    running: Running,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(program: &'static str, data: PathBuf) -> Self {
        let running = Self::run(program, &data, "127.0.0.1:0");
        let address = running.first_line();
        Self { program, data, running, address }
    }

    fn run(name: &str, data: &Path, listen: &str) -> Running {
        let mut command = Command::new(program(name));
        command.args(["run", "--dev", "--listen", listen, "--data"]).arg(data);
        Running::start(command)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    pub(crate) fn start_again(&mut self) {
        let end = self.address.split('#').next().unwrap();
        let port = end.rsplit(':').next().unwrap();
        self.running = Self::run(self.program, &self.data, &format!("127.0.0.1:{port}"));
        assert_eq!(self.running.first_line(), self.address);
    }

    /// What a command of its operator prints.
    pub(crate) fn operate(&self, args: &[&str]) -> String {
        let mut command = Command::new(program(self.program));
        command.args(args).arg("--data").arg(&self.data);
        let ran = run(command);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out.trim().to_owned()
    }
}

/// What a command ended with; no code if it was killed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    #[allow(dead_code, reason = "shown when a command did not end as it should")]
    pub(crate) err: String,
}

pub(crate) fn run(command: Command) -> Ran {
    run_for(command, None)
}

/// Runs a command to its end, or kills it after this time.
pub(crate) fn run_for(mut command: Command, time: Option<Duration>) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    match time {
        Some(time) => {
            pause(time);
            let _ended = child.kill();
            child.wait().unwrap();
        }
        None => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                wait_for("a command to end", || child.try_wait().unwrap())
            }));
            if ended.is_err() {
                let _ended = child.kill();
                panic!("{command:?} did not end");
            }
        }
    }
    let read = |path| std::fs::read_to_string(path).unwrap();
    Ran { code: child.wait().unwrap().code(), out: read(&out), err: read(&err) }
}

/// Someone with a home.
pub(crate) struct Person {
    pub(crate) home: PathBuf,
    /// What opens it, as arguments.
    unlock: Vec<String>,
}

impl Person {
    pub(crate) fn new(home: PathBuf, unlock: [&str; 2], init: &[&str]) -> Self {
        let person = Self { home, unlock: unlock.map(str::to_owned).to_vec() };
        let made = person.chop(&[&["init"], init].concat());
        assert_eq!(made.code, Some(0), "{made:?}");
        person
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("chop"));
        command.arg("--home").arg(&self.home).args(&self.unlock).args(args);
        command
    }

    pub(crate) fn chop(&self, args: &[&str]) -> Ran {
        run(self.command(args))
    }

    /// Runs to a good end, and reads the objects that were printed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut command = self.command(args);
        command.arg("--json");
        let ran = run(command);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        objects(&ran.out)
    }

    pub(crate) fn listen(&self) -> Running {
        Running::start(self.command(&["listen", "--json"]))
    }

    /// The texts of a conversation that went this way, in order.
    pub(crate) fn texts(&self, with: &str, direction: &str) -> Vec<String> {
        let history = self.json(&["history", with]);
        let went = history.iter().filter(|message| message["direction"] == direction);
        went.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Events of a kind, of all that were printed.
pub(crate) fn events(lines: &[String], kind: &str) -> Vec<Value> {
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == kind).collect()
}
