//! A server under test: a child process, its data in a folder of its own, and what the kernel says of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{Fault, folder, now};

/// Killed when dropped, its data with it.
pub(super) struct Server {
    child: Child,
    /// Where it listens; of a relay the whole address.
    pub(super) address: String,
    folder: Arc<TempDir>,
}

/// How long a server may take until it listens.
const START_TIME: Duration = Duration::from_secs(120);
/// The kernel counts processor time in hundredths of a second for every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

impl Server {
    /// A relay with an empty store.
    pub(super) fn relay(program: &Path) -> Result<Self, Fault> {
        let folder = folder()?;
        let (child, address) = start_relay(program, folder.path())?;
        Ok(Self { child, address, folder: Arc::new(folder) })
    }

    /// The same relay after a kill, as soon as it says that it is ready; and how long that took.
    pub(super) fn killed_and_started(mut self, program: &Path) -> Result<(Self, Duration), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        let folder = Arc::clone(&self.folder);
        let begin = now();
        let (child, address) = start_relay(program, folder.path())?;
        Ok((Self { child, address, folder }, begin.elapsed()))
    }

    /// NATS with JetStream in a folder, over TLS if asked.
    pub(super) fn nats(tls: bool) -> Result<Self, Fault> {
        let (folder, port) = (folder()?, free_port()?);
        let mut text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", max_file: 8GB }}\n",
            folder.path().display()
        );
        if tls {
            let (certificate, key) = certificate(folder.path())?;
            text += &format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
                certificate.display(),
                key.display()
            );
        }
        let config = folder.path().join("nats.conf");
        fs::write(&config, text)?;
        let mut command = Command::new(installed("nats-server")?);
        command.arg("-c").arg(config);
        listening(command, folder, port)
    }

    /// Redis that syncs every write, over TLS if asked.
    pub(super) fn redis(tls: bool) -> Result<Self, Fault> {
        let (folder, port) = (folder()?, free_port()?);
        let mut command = Command::new(installed("redis-server")?);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]);
        command.arg("--dir").arg(folder.path());
        if tls {
            let (certificate, key) = certificate(folder.path())?;
            command.args(["--port", "0", "--tls-auth-clients", "no"]);
            command.arg("--tls-port").arg(port.to_string());
            command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key);
        } else {
            command.arg("--port").arg(port.to_string());
        }
        listening(command, folder, port)
    }

    /// Processor time of all its threads so far, in seconds.
    pub(super) fn cpu(&self) -> Result<f64, Fault> {
        cpu_of(&self.child.id().to_string())
    }

    /// Bytes that it made the kernel write to the disk, and bytes that it wrote to files and sockets.
    pub(super) fn written(&self) -> Result<(u64, u64), Fault> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.child.id()))
            .map_err(|error| format!("{error}: what the relay writes is root's to see"))?;
        Ok((field(&text, "write_bytes:")?, field(&text, "wchar:")?))
    }

    /// Resident memory, in bytes.
    pub(super) fn memory(&self) -> Result<u64, Fault> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(field(&text, "VmRSS:")?.saturating_mul(1024))
    }

    /// Bytes that its folder takes on the disk.
    pub(super) fn disk(&self) -> Result<u64, Fault> {
        blocks(self.folder.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this process and its threads so far, in seconds.
pub(super) fn own_cpu() -> Result<f64, Fault> {
    cpu_of("self")
}

fn cpu_of(process: &str) -> Result<f64, Fault> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything, the 12th and 13th: in user mode, in the kernel.
    let (_, fields) = text.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    match ticks.as_slice() {
        [user, kernel] => Ok((user + kernel) / TICKS_PER_SECOND),
        _ => Err("no times in stat".into()),
    }
}

fn field(text: &str, name: &str) -> Result<u64, Fault> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("the kernel says no {name}"))?.parse()?)
}

fn blocks(folder: &Path) -> Result<u64, Fault> {
    use std::os::unix::fs::MetadataExt as _;
    let mut sum = 0_u64;
    for entry in fs::read_dir(folder)? {
        // A file may be gone by now.
        let Ok(entry) = entry else { continue };
        let Ok(about) = entry.metadata() else { continue };
        let bytes = match about.is_dir() {
            true => blocks(&entry.path()).unwrap_or(0),
            false => about.blocks().saturating_mul(512),
        };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}

/// Its first line on standard output is its address, and it is ready then.
fn start_relay(program: &Path, data: &Path) -> Result<(Child, String), Fault> {
    let mut child = Command::new(program)
        .args(["run", "--dev", "--data"])
        .arg(data.join("relay"))
        .current_dir(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let out = child.stdout.take().ok_or("no standard output")?;
    let mut address = String::new();
    BufReader::new(out).read_line(&mut address)?;
    if address.is_empty() {
        let status = child.wait()?;
        return Err(format!("the relay does not start: {status}").into());
    }
    Ok((child, address.trim().to_owned()))
}

#[allow(clippy::disallowed_methods, reason = "waits for another process")]
fn listening(mut command: Command, folder: TempDir, port: u16) -> Result<Server, Fault> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let server = Server { child, address: address.to_string(), folder: Arc::new(folder) };
    let begin = now();
    while TcpStream::connect(address).is_err() {
        if begin.elapsed() > START_TIME {
            return Err("a peer does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(server)
}

fn installed(program: &str) -> Result<PathBuf, Fault> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|it| it.is_file());
    found.ok_or_else(|| {
        format!("{program} is not installed; on Debian: apt-get install nats-server redis-server")
            .into()
    })
}

fn free_port() -> Result<u16, Fault> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A certificate for a peer's TLS.
fn certificate(folder: &Path) -> Result<(PathBuf, PathBuf), Fault> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((certificate, key))
}
