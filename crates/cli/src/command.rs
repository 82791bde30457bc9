//! The commands, one file each.

pub(crate) mod accept;
pub(crate) mod add;
pub(crate) mod balance;
pub(crate) mod contacts;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod listen;
pub(crate) mod pay;
pub(crate) mod payments;
pub(crate) mod receipt;
pub(crate) mod redeem;
pub(crate) mod reject;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod restore;
pub(crate) mod safety;
pub(crate) mod send;

use std::time::Duration;

use crate::arguments::{Arguments, Command};
use crate::outcome::Done;
use crate::show::Show;

/// Runs the command that was asked for.
pub(crate) async fn run(arguments: Arguments, show: &Show) -> Done {
    let Arguments { global, command } = arguments;
    let show = *show;
    // What needs no open home.
    let command = match command {
        Command::Demo(demo) => return demo.run(show).await,
        Command::Init(init) => return init.run(&global, show).await,
        Command::Restore(restore) => return restore.run(&global, show).await,
        Command::Receipt(receipt) if receipt.needs_no_home() => return receipt.run_alone(show),
        command => command,
    };
    let client = global.open().await?;
    let done = match command {
        Command::Link(link) => link.run(&client, show).await,
        Command::Links => links::run(&client, show).await,
        Command::Add(add) => add.run(&client, show).await,
        Command::Accept(accept) => accept.run(&client, show).await,
        Command::Reject(reject) => reject.run(&client, show).await,
        Command::Contacts => contacts::run(&client, show).await,
        Command::Send(send) => send.run(&client, show).await,
        Command::Listen(listen) => listen.run(&client, show).await,
        Command::History(history) => history.run(&client, show).await,
        Command::Safety(safety) => safety.run(&client, show).await,
        Command::Request(request) => request.run(&client, show).await,
        Command::Requests => requests::run(&client, show).await,
        Command::Pay(pay) => pay.run(&client, show).await,
        Command::Payments => payments::run(&client, show).await,
        Command::Balance => balance::run(&client, show).await,
        Command::Redeem(redeem) => redeem.run(&client, show).await,
        Command::Receipt(receipt) => receipt.run(&client, show).await,
        Command::Demo(_) | Command::Init(_) | Command::Restore(_) => Ok(()),
    };
    // What is on the way is finished or kept, however the command ended.
    client.close().await;
    done
}

/// How long a command waits for a relay or an issuer, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends when the user or the system asks this process to stop.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// An argument, or standard input where it is `-`: what should not stand in a shell's history.
fn argument(text: String) -> Done<String> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    // A little more than the longest token or text there can be.
    std::io::Read::read_to_string(
        &mut std::io::Read::take(std::io::stdin(), ARGUMENT_MAX),
        &mut read,
    )?;
    Ok(read.trim_end_matches(['\n', '\r']).to_owned())
}

const ARGUMENT_MAX: u64 = 1 << 20;
