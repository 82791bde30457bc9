//! The command line, for the binary `chopmark-mint` and for whoever runs the issuer inside another executable.

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

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

const DATA: &str = "chopmark-mint-data";

/// Runs a command to its end: 0 when it did what was asked, 1 when it did not, 2 for a wrong command line.
///
/// It starts a runtime of its own, so it must not be called inside one.
pub fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
