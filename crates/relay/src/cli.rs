//! The command line of `chopmark-relay`, and of the hidden command that runs a relay inside another program.

use std::{
    io::{IsTerminal as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use chopmark_core::signature::SigningKey;
use chopmark_wire::{
    address::RelayAddress,
    relay::{RelayHash, RelayId},
};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    home::Home,
    limits::Limits,
    node::{Node, Settings},
    store::Space,
};

/// Run a Chopmark relay: mailboxes that neither you nor anyone else can read.
#[derive(Clone, Debug, Parser)]
#[command(name = "chopmark-relay", version, about)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. The first line on standard output is the relay's address.
    Run {
        /// No configuration: loopback only, a port that is free, data in ./chopmark-relay-dev.
        #[arg(long)]
        dev: bool,
        /// The folder for everything that the relay keeps.
        #[arg(long, value_name = "DIR", env = "CHOPMARK_RELAY_DATA")]
        data: Option<PathBuf>,
        /// Where to listen, UDP.
        #[arg(long, value_name = "IP:PORT", env = "CHOPMARK_RELAY_LISTEN")]
        listen: Option<SocketAddr>,
        /// The name and port under which clients reach it, if not where it listens.
        #[arg(long, value_name = "HOST:PORT", env = "CHOPMARK_RELAY_PUBLIC")]
        public: Option<String>,
        /// Space on the disk, in MiB, below which no message is taken.
        #[arg(long, value_name = "MIB", default_value_t = 64)]
        keep_free: u64,
    },
    /// Make the data folder and the relay's identity, and print the identity's hash.
    Init {
        /// The folder for everything that the relay keeps.
        #[arg(long, value_name = "DIR", env = "CHOPMARK_RELAY_DATA")]
        data: PathBuf,
    },
}

/// The port that a relay listens on unless told otherwise.
const PORT: u16 = 7667;
const MIB: u64 = 1024 * 1024;

/// Runs the command until it is done. Exit codes: 0 done or drained, 1 cannot start, 2 wrong arguments, 3 the store
/// failed while running.
pub fn run(args: Args) -> ExitCode {
    log();
    match args.command {
        Command::Init { data } => match Home::open(&data) {
            Ok(home) => print(&hex(&hash(home.identity()))),
            Err(error) => complain(&error),
        },
        Command::Run { dev, data, listen, public, keep_free } => {
            let data = data.unwrap_or_else(|| {
                PathBuf::from(if dev { "chopmark-relay-dev" } else { "chopmark-relay-data" })
            });
            let listen = listen.unwrap_or(if dev {
                (Ipv4Addr::LOCALHOST, 0).into()
            } else {
                (Ipv6Addr::UNSPECIFIED, PORT).into()
            });
            let space = Space { floor: keep_free.saturating_mul(MIB), ..Space::DEFAULT };
            serve(&data, listen, public, space)
        }
    }
}

/// Logs this crate's own lines to standard error, at the level that `CHOPMARK_LOG` names (info by default), and no
/// other crate's at any level: quinn's hold addresses, fjall's hold paths.
fn log() {
    let level = std::env::var("CHOPMARK_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(tracing::Level::INFO);
    let filter = tracing_subscriber::EnvFilter::new(format!("off,chopmark_relay={level}"));
    // An error means that a program around this one logs already, by its own rules.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .try_init();
}

/// No core dump, nobody of this user looks into our memory, no file that others can read: they hold the keys of mailboxes and what waits in them.
fn keep_to_ourselves() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};
    // Whatever the folder's own mode is, and whoever makes the file.
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let limited = limited.and_then(|()| {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    });
    if let Err(error) = limited {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}

fn serve(
    data: &std::path::Path,
    listen: SocketAddr,
    public: Option<String>,
    space: Space,
) -> ExitCode {
    keep_to_ourselves();
    let home = match Home::open(data) {
        Ok(home) => home,
        Err(error) => return complain(&error),
    };
    let hash = hash(home.identity());
    let named = match public.map(|public| RelayAddress::from_host_port(&public, hash.0)) {
        Some(Ok(address)) => Some(address),
        Some(Err(error)) => return complain(&error),
        None => None,
    };
    let unnamed = named.is_none() && listen.ip().is_unspecified();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    let code = runtime.block_on(async {
        let public = named.as_ref().map(|named| (named.host().to_owned(), named.port()));
        let settings =
            Settings { listen, public, space, limits: Limits::default(), certificate: None };
        let node = match Node::start(home, &settings) {
            Ok(node) => node,
            Err(error) => return complain(&error),
        };
        let address = match named.map_or_else(|| address(&node, &hash), Ok) {
            Ok(address) => address,
            Err(error) => return complain(&error),
        };
        // Before anybody knows that we run: a signal that comes at once is heard.
        let signals = signal(SignalKind::terminate())
            .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
        let signals = match signals {
            Ok(signals) => signals,
            Err(error) => return complain(&error),
        };
        print(&address.to_string());
        tracing::info!("relay ready");
        if unnamed {
            tracing::warn!(
                "listening everywhere under no name: clients elsewhere need --public HOST:PORT"
            );
        }
        until_stopped(node, signals).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

async fn until_stopped(node: Node, (mut terminate, mut interrupt): (Signal, Signal)) -> ExitCode {
    tokio::select! {
        why = node.failed() => {
            tracing::error!("{why}");
            return ExitCode::from(3);
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    node.drain().await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// Where it listens. An address of all interfaces is nobody's: loopback stands for it.
fn address(node: &Node, hash: &RelayHash) -> Result<RelayAddress, Box<dyn std::error::Error>> {
    let local = node.local_addr()?;
    let host = match local {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    Ok(RelayAddress::new(&host, local.port(), hash.0)?)
}

fn hash(identity: &SigningKey) -> RelayHash {
    RelayId::of(&identity.verifying_key()).short()
}

fn hex(hash: &RelayHash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The one place that writes to standard output.
fn print(line: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(error: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "chopmark-relay: {error}");
    ExitCode::FAILURE
}
