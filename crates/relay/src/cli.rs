//! The command line of `chopmark-relay`, and of the hidden command that runs a relay inside another program.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    command::{self, Told},
    settings::{ENVIRONMENT, Fault, Loaded, Origin, Settings, Sources, load, load_what_is_right},
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
    /// Make the data folder, the relay's identity, and a relay.toml that explains every key.
    Init(Common),
    /// Serve until SIGTERM, SIGINT or `drain`. The first line on standard output is the relay's address.
    Run {
        /// No configuration: loopback only, a port that is free, data in ./chopmark-relay-dev, no page, no sandbox.
        #[arg(long)]
        dev: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Say everything that is wrong before a start, and where each setting came from.
    Check {
        /// Every setting with its value and where that came from.
        #[arg(long)]
        values: bool,
        /// Every key, explained, as a relay.toml.
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Say how the running relay is.
    Status(Common),
    /// Stop the running relay with grace, and wait until it is gone.
    Drain(Common),
    /// Write messages and identity into a new file, while the relay runs or not.
    Backup {
        /// The file to make. It holds the relay's identity: keep it as safe as the relay.
        to: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Fill an empty data folder from a backup. Clients notice, and send again what was not acknowledged.
    Restore {
        /// The file that `backup` made.
        from: PathBuf,
        #[command(flatten)]
        common: Common,
    },
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Common {
    /// The settings; else ./relay.toml or /etc/chopmark-relay/relay.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder for everything that the relay keeps.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen, UDP.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// The name and port under which clients reach the relay, if not where it listens.
    #[arg(long, value_name = "HOST:PORT")]
    public: Option<String>,
    /// Space on the disk below which no message is taken, as "64 MiB"; a bare number counts MiB.
    #[arg(long, value_name = "SIZE")]
    keep_free: Option<String>,
    /// Any key of relay.toml: --set limits.connections=1000
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
    /// Where the settings are to be looked for.
    pub(crate) fn sources(&self, dev: bool) -> Sources {
        let mut flags: Vec<(String, String)> = Vec::new();
        let data = self.data.as_ref().map(|data| data.display().to_string());
        let named = [
            ("data", &data),
            ("listen", &self.listen),
            ("public", &self.public),
            ("store.keep_free", &self.keep_free),
        ];
        for (key, text) in named {
            flags.extend(text.as_ref().map(|text| (key.to_owned(), text.clone())));
        }
        // Without a `=` the value is empty, and the key says what it must be.
        let set = self.set.iter().map(|set| set.split_once('=').unwrap_or((set, "")));
        flags.extend(set.map(|(key, text)| (key.trim().to_owned(), text.trim().to_owned())));
        let mut environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        // One name for the log of all our programs; the relay's own stands over it.
        let level = |name: &str| environment.iter().any(|(known, _)| known == name);
        let own = format!("{ENVIRONMENT}LOG_LEVEL");
        if !level(&own)
            && let Some((name, _)) = environment.iter_mut().find(|(name, _)| name == "CHOPMARK_LOG")
        {
            *name = own;
        }
        let dev = dev.then(|| {
            let keys = [
                ("data", "chopmark-relay-dev"),
                ("listen", "127.0.0.1:0"),
                ("admin.listen", "none"),
                ("sandbox", "off"),
            ];
            ("--dev", keys.map(|(key, text)| (key, text.to_owned())).to_vec())
        });
        let no_file = dev.is_some();
        Sources { file: self.config.clone(), no_file, presets: dev, environment, flags }
    }

    /// The settings, or every fault in them told and the code to leave with.
    pub(crate) fn settings(&self, dev: bool) -> Result<Loaded<Settings>, Told> {
        load(&self.sources(dev)).map_err(|faults| self.faulty(&faults))
    }

    /// Settings to find a relay that runs with. What is wrong in them does not matter, unless it is the folder.
    pub(crate) fn to_find_it(&self) -> Result<Settings, Told> {
        let (loaded, faults) = load_what_is_right(&self.sources(false));
        let lost = |fault: &Fault| fault.key.as_deref().is_none_or(|key| key == "data");
        match *loaded.origin("data") {
            Origin::Flag | Origin::Environment(_) => Ok(loaded.values),
            _ if faults.iter().any(lost) => Err(self.faulty(&faults)),
            _ => Ok(loaded.values),
        }
    }

    fn faulty(&self, faults: &[Fault]) -> Told {
        if self.json {
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| {
                    serde_json::json!({
                        "key": fault.key, "origin": fault.origin.to_string(), "why": fault.why,
                    })
                })
                .collect();
            return Told::wrong_settings()
                .line(serde_json::json!({ "faults": faults }).to_string());
        }
        let lines = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
        Told::wrong_settings().complaint(format!("the settings are wrong:\n  {lines}"))
    }
}

/// Runs the command until it is done. Exit codes: 0 done or drained, 1 it cannot be done, 2 wrong arguments or settings,
/// 3 the store failed while running.
pub fn run(args: Args) -> ExitCode {
    let told = match args.command {
        Command::Run { dev, common } => command::run::run(&common, dev),
        Command::Init(common) => command::init::run(&common),
        Command::Check { values, keys, common } => command::check::run(&common, values, keys),
        Command::Status(common) => command::status::run(&common),
        Command::Drain(common) => command::drain::run(&common),
        Command::Backup { to, common } => command::backup::run(&common, &to),
        Command::Restore { from, common } => command::restore::run(&common, &from),
    };
    told.tell()
}
