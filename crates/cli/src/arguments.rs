//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

/// Private chat with money in it, from a terminal.
#[derive(Parser)]
#[command(name = "chop", version, about, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Args)]
pub(crate) struct Global {
    /// Where everything of yours is kept, sealed. Default: ~/.chopmark
    #[arg(long, global = true, value_name = "DIR", env = "CHOP_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// The file whose first line is the passphrase of the home.
    #[arg(long, global = true, value_name = "FILE", env = "CHOP_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The file of 32 random bytes that opens the home instead of a passphrase; `init` makes it if it is not there.
    #[arg(long, global = true, value_name = "FILE", env = "CHOP_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on standard error; twice for even more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// See the whole path run by itself: two people, a relay, an issuer, on this machine.
    Demo(crate::demo::Demo),
    /// Make a home: an account, a mailbox, a wallet. Prints the 24 words that are its root.
    Init(crate::command::init::Init),
    /// Make a home for an account that exists, from its 24 words. They bring back its id, and neither contacts nor coins.
    Restore(crate::command::restore::Restore),
    /// Make a link by which someone can reach you; or `link revoke` one.
    Link(crate::command::link::Link),
    /// List the links that still work.
    Links,
    /// Add the owner of a link as a contact.
    Add(crate::command::add::Add),
    /// Accept someone who wrote to you by a reusable link.
    Accept(crate::command::accept::Accept),
    /// Reject someone: they are told nothing and reach you no more.
    Reject(crate::command::reject::Reject),
    /// List your contacts.
    Contacts,
    /// Write to a contact.
    Send(crate::command::send::Send),
    /// Print what arrives, as it arrives, until Ctrl-C.
    Listen(crate::command::listen::Listen),
    /// Print the conversation with a contact.
    History(crate::command::history::History),
    /// Show the safety number with a contact, to compare by voice or side by side.
    Safety(crate::command::safety::Safety),
    /// Ask a contact for money.
    Request(crate::command::request::Request),
    /// List the requests for money that came in.
    Requests,
    /// Pay a request. Paying it again is the same payment.
    Pay(crate::command::pay::Pay),
    /// List payments, yours and those to you.
    Payments,
    /// Show what you have.
    Balance,
    /// Take in a token that an issuer or someone else gave you.
    Redeem(crate::command::redeem::Redeem),
    /// Show or verify a receipt.
    Receipt(crate::command::receipt::Receipt),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the message says what to do
  2  the command line is wrong
  3  not found: no such home, contact, link, request or payment
  4  not reached in time; it is kept and goes on with the next command or `chop listen`
  5  refused by someone else: a link that was revoked, a spent token, a declined payment, a forged receipt
  6  locked: wrong passphrase or key file

A contact is named by the name you gave, or by the beginning of its id. Ids may be shortened likewise.
Passphrases and keys are read from files; a link, a token or a text is read from standard input where it is `-`.";
