//! The command line, for the binary `chopmark-mint` and for whoever runs the issuer inside another executable.

use crate::desk::{self, Desk, DeskError};
use crate::door;
use crate::http;
use crate::keyset::Terms;
use crate::refusal::Refusal;
use crate::settings::{Folder, FolderError, Settings};
use crate::treasury::{Answer, Order, show_amount};
use cashu::util::hex;
use chopmark_core::random;
use clap::{Parser, Subcommand};
use serde_json::json;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The issuer of an operator's own coin.
#[derive(Debug, Parser)]
#[command(name = "chopmark-mint", version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the issuer until SIGTERM. The first line on stdout is its URL.
    Run {
        /// The folder of seed, settings and ledger.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
        /// Set the folder up first if it is not there: a coin `chop` with two decimals, on loopback.
        #[arg(long)]
        dev: bool,
        /// Listen here instead of where the settings say; port 0 takes any.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Create the folder: master seed, settings, and a ledger with its first keyset.
    Init {
        /// The folder to create.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
        /// The unit's code: lower-case letters and digits.
        #[arg(long, default_value = "chop")]
        unit: String,
        /// Decimal places of the unit.
        #[arg(long, default_value_t = 2)]
        exponent: u8,
        /// Fee per thousand inputs, in minor units.
        #[arg(long, default_value_t = 0)]
        fee_ppk: u32,
        /// Unix seconds from which the keyset's coins are worth nothing.
        #[arg(long)]
        final_expiry: Option<u64>,
        /// The name that wallets show.
        #[arg(long, default_value = "Chopmark issuer")]
        name: String,
        /// The address to listen on.
        #[arg(long, default_value = "127.0.0.1:3338")]
        listen: SocketAddr,
        /// The URL that wallets use, if it is not the address.
        #[arg(long)]
        url: Option<String>,
    },
    /// Begin a new keyset, with the issuer stopped. Coins of the old ones can still be spent.
    Rotate {
        /// The folder of the issuer.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
        /// Fee per thousand inputs of the new keyset, in minor units.
        #[arg(long, default_value_t = 0)]
        fee_ppk: u32,
        /// Unix seconds from which the new keyset's coins are worth nothing.
        #[arg(long)]
        final_expiry: Option<u64>,
    },
    /// Issue coins and print them as a token, which is worth its amount to whoever reads it first.
    Issue {
        /// The amount, such as 100.00.
        amount: String,
        /// The folder of the issuer, running or not.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
        /// Issue under this id: the same id prints the same token and issues nothing more.
        #[arg(long)]
        id: Option<String>,
        /// Pay this mint quote of a wallet instead of printing a token.
        #[arg(long, conflicts_with = "id")]
        quote: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the supply: issued, outstanding, redeemed, fees.
    Report {
        /// The folder of the issuer, running or not.
        #[arg(long, default_value = DATA)]
        data: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command to its end: 0 when it did what was asked, 1 when it did not, 2 for a wrong command line.
///
/// It starts a runtime of its own, so it must not be called inside one.
pub fn run(args: Args) -> ExitCode {
    // This crate's own lines and no other's at any level: hyper's hold bodies and addresses, cashu's hold coins.
    let level = std::env::var("CHOPMARK_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(tracing::Level::INFO);
    let filter = tracing_subscriber::EnvFilter::new(format!("off,chopmark_mint={level}"));
    // A host executable may have set its own up.
    let _set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    match carry_out(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("the system refused: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Stopped(crate::ledger::Stop),
    #[error("the books do not balance: stop the issuer and compare the ledger with a copy")]
    Unbalanced,
}

fn carry_out(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run { data, dev, listen } => serve(&data, dev, listen),
        Command::Init { data, unit, exponent, fee_ppk, final_expiry, name, listen, url } => {
            let terms = Terms { unit, exponent, fee_ppk, final_expiry };
            Ok(Folder::create(&data, &Settings { name, listen, url }, &terms)?)
        }
        Command::Rotate { data, fee_ppk, final_expiry } => {
            let id = Folder::take(&data)?.rotate(fee_ppk, final_expiry)?;
            Ok(writeln!(io::stdout().lock(), "{id}")?)
        }
        Command::Issue { amount, data, id: _, quote: Some(quote), json } => {
            show(order(&data, Order::Pay { quote, amount })?, None, json)
        }
        Command::Issue { amount, data, id, quote: None, json } => {
            let drawn = random::array::<16>(&mut rand::rngs::SysRng).map_err(FolderError::from)?;
            let id = id.unwrap_or_else(|| hex::encode(drawn));
            let answer = order(&data, Order::Issue { id: id.clone(), amount });
            if answer.is_err() {
                // Whatever happened, the same id finds it again.
                tracing::info!("to try again: --id {id}");
            }
            show(answer?, Some(&id), json)
        }
        Command::Report { data, json } => show(order(&data, Order::Report)?, None, json),
    }
}

/// Has the issuer of a folder carry out an order: the running one, or this process if none runs.
fn order(data: &Path, order: Order) -> Result<Answer, Failure> {
    let folder = match Folder::take(data) {
        Err(FolderError::InUse) => return Ok(desk::ask(data, order)?),
        folder => folder?,
    };
    let (issuer, seed) = folder.open()?;
    let url = issuer.settings.url(issuer.settings.listen);
    let answer = runtime()?.block_on(issuer.order(order, &seed, &url, http::now()));
    issuer.ledger.close();
    Ok(answer?)
}

fn show(answer: Answer, id: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match answer {
        Answer::Issued { token, amount, unit } if json => {
            writeln!(out, "{}", json!({"token": token, "amount": amount, "unit": unit, "id": id}))?;
        }
        Answer::Issued { token, .. } => writeln!(out, "{token}")?,
        Answer::Paid { amount, unit } if json => {
            writeln!(out, "{}", json!({"paid": amount, "unit": unit}))?;
        }
        Answer::Paid { .. } => writeln!(out, "paid: the wallet can mint now")?,
        Answer::Report { unit, exponent, supply } => {
            if json {
                let mut object = json!(supply);
                if let Some(object) = object.as_object_mut() {
                    object.insert("unit".to_owned(), json!(unit));
                    object.insert("exponent".to_owned(), json!(exponent));
                }
                writeln!(out, "{object}")?;
            } else {
                for (name, amount) in [
                    ("issued", supply.issued),
                    ("outstanding", supply.outstanding),
                    ("redeemed", supply.redeemed),
                    ("fees", supply.fees),
                    ("promised", supply.promised),
                ] {
                    writeln!(out, "{name:12} {:>16} {unit}", show_amount(amount, exponent))?;
                }
                let says = if supply.balanced { "to the unit" } else { "NO" };
                writeln!(out, "{:12} {says:>16}", "balanced")?;
            }
            if !supply.balanced {
                return Err(Failure::Unbalanced);
            }
        }
    }
    Ok(())
}

/// No core dump, nobody of this user looks into our memory, no file that others can read: they hold the keys of the coin.
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

fn serve(data: &Path, dev: bool, listen: Option<SocketAddr>) -> Result<(), Failure> {
    keep_to_ourselves();
    if dev && !data.join("ledger").exists() {
        let terms = Terms { unit: "chop".to_owned(), exponent: 2, fee_ppk: 0, final_expiry: None };
        let settings = Settings {
            name: "Chopmark development issuer".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3338)),
            url: None,
        };
        Folder::create(data, &settings, &terms)?;
    }
    let folder = Folder::take(data)?;
    let (issuer, seed) = folder.open()?;
    runtime()?.block_on(async {
        let address = listen.unwrap_or(issuer.settings.listen);
        let listener =
            TcpListener::bind(address).await.map_err(|error| Failure::Listen(address, error))?;
        let url = issuer.settings.url(listener.local_addr()?);
        let issuer = Arc::new(issuer);
        let desk = Desk::open(&folder, Arc::clone(&issuer), seed, url.clone()).await?;
        let desk = tokio::spawn(desk.serve());
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (drain, drained) = watch::channel(false);
        let router = http::router(Arc::clone(&issuer));
        let server = tokio::spawn(door::serve(listener, router, door::Limits::ISSUER, drained));
        let mut out = io::stdout().lock();
        writeln!(out, "{url}")?;
        out.flush()?;
        drop(out);
        let stop = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            stop = issuer.ledger.stopped() => Some(stop),
        };
        tracing::info!("draining");
        drain.send_replace(true);
        if tokio::time::timeout(DRAIN, server).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        desk.abort();
        let _aborted = desk.await;
        // The sequencer ends when nobody can ask it any more; what it was given it finishes.
        if let Some(issuer) = Arc::into_inner(issuer) {
            issuer.ledger.close();
        }
        stop.map_or(Ok(()), |stop| Err(Failure::Stopped(stop)))
    })
}

fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread().enable_all().max_blocking_threads(2 * cores).build()
}

const DATA: &str = "chopmark-mint-data";
/// How long open requests have after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
