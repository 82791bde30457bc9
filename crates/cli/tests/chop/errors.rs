//! What goes wrong, what is said then, and the exit code.

use std::process::{Command, Stdio};

use crate::harness::{CHOP, NO_ISSUER, NO_RELAY, Person, Worker, run};

fn nobody() -> Person {
    Person::new(NO_RELAY, NO_ISSUER)
}

#[test]
fn a_wrong_passphrase_says_so_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, "correct horse\n").unwrap();
    std::fs::write(&wrong, "battery staple\n").unwrap();
    let chop = |passphrase: &std::path::Path, args: &[&str]| {
        let mut command = Command::new(CHOP);
        command.arg("--home").arg(folder.path().join("home")).args(args);
        command.arg("--passphrase-file").arg(passphrase).stdin(Stdio::null());
        run(command)
    };
    assert_eq!(chop(&right, &["init", "--relay", NO_RELAY]).code, 0);
    chop(&wrong, &["contacts"]).fails(6, "wrong passphrase");
    assert_eq!(chop(&right, &["contacts"]).code, 0);
    chop(&right, &["init", "--relay", NO_RELAY]).fails(1, "there is a home");
    chop(&folder.path().join("none"), &["contacts"]).fails(1, "cannot be read");
    std::fs::write(&wrong, "\n").unwrap();
    chop(&wrong, &["contacts"]).fails(1, "empty first line");
}

#[test]
fn no_home_and_no_key_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, [1; 32]).unwrap();
    let mut command = Command::new(CHOP);
    command.arg("--home").arg(folder.path()).arg("--key-file").arg(&key).arg("contacts");
    run(command).fails(3, "chop init");
    let mut command = Command::new(CHOP);
    command.arg("--home").arg(folder.path()).arg("contacts");
    command.env_remove("CHOP_PASSPHRASE_FILE").env_remove("CHOP_KEY_FILE");
    run(command).fails(2, "--passphrase-file");
    let person = nobody();
    std::fs::write(person.key(), [1; 31]).unwrap();
    person.chop(&["contacts"]).fails(6, "32 bytes");
}

#[test]
fn a_set_up_that_names_no_relay_or_issuer_makes_no_home() {
    let folder = tempfile::tempdir().unwrap();
    let init = |relay: &str, issuer: &str| {
        let mut command = Command::new(CHOP);
        command.arg("--home").arg(folder.path().join("home"));
        command.arg("--key-file").arg(folder.path().join("key"));
        command.args(["init", "--relay", relay, "--issuer", issuer]);
        run(command)
    };
    init("relay.example.org:4433", NO_ISSUER).fails(2, "chop-relay:host:port#hash");
    init(NO_RELAY, "ftp://127.0.0.1").fails(2, "http");
    assert!(!folder.path().join("home").join("chopmark.db").exists());
    assert_eq!(init(NO_RELAY, NO_ISSUER).code, 0);
}

#[test]
fn a_relay_that_is_down_loses_nothing() {
    let mut relay = Worker::relay();
    let (alice, bob) = (Person::new(&relay.address, NO_ISSUER), nobody());
    let link = alice.json(&["link", "--reusable"]);
    let link = link["link"].as_str().unwrap();
    relay.kill();

    bob.chop(&["link", "--timeout", "1s"]).fails(4, "could not be reached in time");
    assert_eq!(bob.chop(&["links"]).out.lines().count(), 2, "a head and the link");
    bob.chop(&["add", link, "alice", "--timeout", "1s"]).fails(4, "tried again");
    bob.chop(&["send", "alice", "hello", "--timeout", "1s"]).fails(4, "the message is kept");
    assert_eq!(bob.chop(&["send", "alice", "hello again", "--no-wait"]).code, 0);
    let history = bob.chop(&["history", "alice"]);
    assert!(history.out.contains("hello  (waiting)"), "{history:?}");
    assert!(history.out.contains("hello again  (waiting)"), "{history:?}");
    let listened = bob.chop(&["listen", "--timeout", "4s"]);
    assert!(listened.err.contains("your relay cannot be reached"), "{listened:?}");
    bob.chop(&["listen", "--count", "1", "--timeout", "1s"]).fails(4, "1 more");
}

#[test]
fn an_issuer_that_is_down_loses_nothing() {
    let mut issuer = Worker::issuer();
    let alice = Person::new(NO_RELAY, &issuer.address);
    let (first, second) = (issuer.issue("5.00"), issuer.issue("7.00"));
    assert_eq!(alice.chop(&["redeem", &first]).code, 0);
    assert_eq!(alice.json(&["balance"])["spendable"], 500);
    issuer.kill();
    alice.chop(&["redeem", &second, "--timeout", "1s"]).fails(4, "the token is kept");
    assert_eq!(alice.json(&["balance"])["spendable"], 500);
}

#[test]
fn a_token_that_is_spent_foreign_or_none_is_refused() {
    let issuer = Worker::issuer();
    let alice = Person::new(NO_RELAY, &issuer.address);
    let bob = Person::new(NO_RELAY, &issuer.address);
    let stranger = nobody();
    let token = issuer.issue("5.00");
    stranger.chop(&["redeem", &token]).fails(5, "not on the list");
    assert_eq!(alice.chop(&["redeem", &token]).code, 0);
    bob.chop(&["redeem", &token]).fails(5, "spent before");
    assert_eq!(bob.json(&["balance"])["spendable"], 0);
    bob.chop(&["redeem", "cashuBnonsense"]).fails(2, "not a token");
    bob.chop(&["redeem", &token[..token.len() - 9]]).fails(2, "not a token");
}

#[test]
fn a_bad_link_says_what_is_wrong_with_it() {
    let person = nobody();
    let own = person.chop(&["link", "--timeout", "0s", "--json"]);
    let own: serde_json::Value = serde_json::from_str(&own.out).unwrap();
    let own = own["link"].as_str().unwrap();
    person.chop(&["add", "https://example.org", "bob"]).fails(2, "begins with chop:");
    person.chop(&["add", &own[..own.len() - 4], "bob"]).fails(2, "copy it whole");
    person.chop(&["add", &format!("{own}%"), "bob"]).fails(2, "contact link");
    person.chop(&["add", own, "me"]).fails(2, "your own link");
    person.chop(&["link", "revoke", "chop:"]).fails(2, "contact link");
    assert_eq!(
        person.chop(&["link", "revoke", own]).code,
        4,
        "revoked here, the relay not told yet"
    );
    person.chop(&["link", "revoke", own]).fails(3, "no such link");
}

#[test]
fn a_bad_amount_is_no_request() {
    let relay = Worker::relay();
    let (alice, bob) =
        (Person::new(&relay.address, NO_ISSUER), Person::new(&relay.address, NO_ISSUER));
    let link = bob.json(&["link"]);
    assert_eq!(alice.chop(&["add", link["link"].as_str().unwrap(), "bob"]).code, 0);
    for amount in ["0", "0.00", "-1", "1.234", "12,50", "1e3", "", "184467440737095516.16"] {
        let asked = alice.chop(&["request", "bob", "--", amount]);
        assert_eq!(asked.code, 2, "{amount}: {asked:?}");
    }
    for item in ["", "Coffee", "2 x Coffee", "0 x 1.00 Coffee", "1.00", "1 x 1.005 Coffee"] {
        let asked = alice.chop(&["request", "bob", &format!("--item={item}")]);
        assert_eq!(asked.code, 2, "{item}: {asked:?}");
    }
    assert_eq!(alice.chop(&["request", "bob"]).code, 2);
    assert!(alice.chop(&["history", "bob"]).out.contains("Nothing yet"));
}

#[test]
fn who_is_unknown_is_not_found() {
    let person = nobody();
    for command in
        [&["send", "bob", "hello"][..], &["history", "bob"], &["safety", "bob"], &["reject", "bob"]]
    {
        person.chop(command).fails(3, "no contact called bob");
    }
    person.chop(&["request", "bob", "1.00"]).fails(3, "no contact called bob");
    person.chop(&["pay", "0123456789ab"]).fails(3, "chop requests");
    person.chop(&["receipt", "show", "0123456789ab"]).fails(3, "chop payments");
    person.chop(&["receipt", "verify", "nonsense"]).fails(2, "chopreceipt1");
    let key = "00".repeat(31);
    person.chop(&["receipt", "verify", "nonsense", "--key", &key]).fails(2, "64 hexadecimal");
    assert_eq!(person.chop(&["frobnicate"]).code, 2);
}
