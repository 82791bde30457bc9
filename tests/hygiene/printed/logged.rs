//! What the programs write to their logs at the finest level, while words, money and keys go through them.

use std::{path::Path, process::Command};

use crate::journeys::stage::{Person, Running, events, program, wait_for};

/// A server that logs everything it can log.
fn server(name: &str, folder: &Path) -> (Running, String) {
    let mut command = Command::new(program(name));
    command.env("CHOPMARK_LOG", "trace");
    command.args(["run", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join(name));
    let running = Running::start_logged(command, &folder.join(format!("{name}.log")));
    let address = running.first_line();
    (running, address)
}

/// Every log there is: its name and its text.
fn logs(folder: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned())
        })
        .collect()
}

// The clients log at the level of `-vvv`, libraries and all, where addresses of the network are to be expected; nothing
// else that is secret or private is. The servers log no address either.
#[test]
fn t26_no_log_has_a_key_a_token_a_text_or_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (relay, relay_address) = server("chopmark-relay", folder.path());
    let (mint, mint_address) = server("chopmark-mint", folder.path());
    let (text, memo, passphrase) = ("canary in a text", "canary in a memo", "canary horse staple");
    std::fs::write(at("passphrase"), format!("{passphrase}\n")).unwrap();
    let unlock = ["--passphrase-file", at("passphrase").to_str().unwrap()].map(str::to_owned);
    let unlock = [unlock[0].as_str(), unlock[1].as_str()];
    let init = ["--relay", &relay_address, "--issuer", &mint_address, "--merchant"];
    let alice = Person::new(at("alice"), unlock, &init[..4]);
    let bob = Person::new(at("bob"), unlock, &init);

    let link = bob.json(&["link"])[0]["link"].as_str().unwrap().to_owned();
    let mut logged = Vec::new();
    let mut said = |person: &Person, args: &[&str]| {
        let ran = person.chop(&[args, &["-vvv"]].concat());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        logged.push((args[0].to_owned(), ran.err));
    };
    said(&alice, &["add", &link, "bob"]);
    let listen = |person: &Person, log: &str| {
        Running::start_logged(person.command(&["listen", "--json", "-vvv"]), &at(log))
    };
    let (alices, bobs) = (listen(&alice, "alice.log"), listen(&bob, "bob.log"));
    let accepted = wait_for("Alice", || events(&bobs.lines(), "contact_accepted").first().cloned());
    said(&bob, &["accept", accepted["contact"].as_str().unwrap(), "alice"]);
    said(&alice, &["send", "bob", text]);
    wait_for("the text", || (!events(&bobs.lines(), "message").is_empty()).then_some(()));

    let mut issue = Command::new(program("chopmark-mint"));
    issue.args(["issue", "50", "--data"]).arg(at("chopmark-mint"));
    let token = String::from_utf8(issue.output().unwrap().stdout).unwrap().trim().to_owned();
    said(&alice, &["redeem", &token]);
    said(&bob, &["request", "alice", "5", "--memo", memo]);
    wait_for("the request", || {
        (!events(&alices.lines(), "payment_requested").is_empty()
            || alices.lines().iter().any(|line| line.contains(memo)))
        .then_some(())
    });
    drop((alices, bobs, relay, mint));

    let id = accepted["contact"].as_str().unwrap();
    // The secret of a link is in its second half.
    let secret = &link[link.len() - 20..];
    let private = [text, memo, passphrase, id, secret, &token[10..40]];
    let servers = logs(folder.path());
    assert_eq!(servers.len(), 4);
    for (name, log) in servers.iter().chain(&logged) {
        for canary in private {
            assert!(!log.contains(canary), "{canary} in the log of {name}");
        }
        let of_server = name.starts_with("chopmark-");
        assert!(!of_server || !log.contains("127.0.0.1"), "an address in the log of {name}");
    }
    let clients = servers.iter().filter(|(name, _)| !name.starts_with("chopmark-"));
    assert!(
        clients.into_iter().all(|(_, log)| log.contains("TRACE")),
        "logged at the finest level"
    );
}
