//! The relay as a child process, and the disk under it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

/// A running relay; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// What it printed first.
    pub(crate) address: String,
    log: PathBuf,
    _log_folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(
        data: &Path,
        listen: Option<SocketAddr>,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_with(data, listen, &[], environment)
    }

    pub(crate) fn start_with(
        data: &Path,
        listen: Option<SocketAddr>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_chopmark-relay"));
        Self::start_by(command, data, listen, arguments, environment)
    }

    /// With so many files open at once, sockets included, and no more.
    pub(crate) fn start_with_files(data: &Path, files: u32) -> Self {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_chopmark-relay")]);
        Self::start_by(command, data, None, &[], &[])
    }

    /// As another user of this machine, who has nothing else.
    pub(crate) fn start_as(data: &Path, user: u32) -> Self {
        use std::os::unix::{fs::chown, process::CommandExt as _};

        chown(data, Some(user), Some(user)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chopmark-relay"));
        command.uid(user).gid(user);
        Self::start_by(command, data, None, &[], &[])
    }

    fn start_by(
        mut command: Command,
        data: &Path,
        listen: Option<SocketAddr>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        command.args(["run", "--dev", "--data"]).arg(data).args(arguments);
        if let Some(listen) = listen {
            command.arg("--listen").arg(listen.to_string());
        }
        command.envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts a `run`, however it is called.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let log_folder = tempfile::tempdir().unwrap();
        let log = log_folder.path().join("log");
        command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        assert!(
            address.starts_with("chop-relay:"),
            "{address}{}",
            fs::read_to_string(&log).unwrap()
        );
        Self { child, address: address.trim().to_owned(), log, _log_folder: log_folder }
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        let rest = self.address.strip_prefix("chop-relay:").unwrap();
        rest.split('#').next().unwrap().parse().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Time of the processor that it took so far, in hundredths of a second.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL: no destructor, no flush.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    pub(crate) fn signal(&self, which: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([which, &id]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        fs::File::open(&self.log).unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the relay {:?} had logged:\n{}", self.child.try_wait(), self.log());
        }
        self.kill();
    }
}

/// A disk that keeps only what was synced: see `tests/fsync/keep_synced.c`.
pub(crate) struct Image {
    folder: tempfile::TempDir,
    shim: String,
    from: String,
    to: String,
}

impl Image {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (from, to) = (root.join("data"), root.join("image"));
        fs::create_dir(&from).unwrap();
        fs::create_dir_all(to.join("root")).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Self { folder, shim: text(shim()), from: text(&from), to: text(&to) }
    }

    pub(crate) fn data(&self) -> PathBuf {
        PathBuf::from(&self.from)
    }

    /// What the disk holds, as a folder of its own.
    pub(crate) fn synced(&self) -> PathBuf {
        let copy = self.folder.path().join("after");
        let status = Command::new("cp")
            .args(["-r", "--sparse=always"])
            .arg(Path::new(&self.to).join("root"))
            .arg(&copy)
            .status()
            .unwrap();
        assert!(status.success());
        copy
    }

    pub(crate) fn environment<'a>(
        &'a self,
        more: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("LD_PRELOAD", self.shim.as_str()),
            ("KEEP_SYNCED_FROM", self.from.as_str()),
            ("KEEP_SYNCED_TO", self.to.as_str()),
        ];
        all.extend_from_slice(more);
        all
    }
}

/// The shim, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let name = format!("keep_synced.{}.so", std::process::id());
        let shim = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fsync/keep_synced.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&shim)
            .arg(&source)
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(compiled.success());
        shim
    })
}

/// A small disk of its own; unmounted when dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not ours to do.
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
