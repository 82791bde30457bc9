//! The few lines of the README, by the programs that it names, with `kill -9` of each of them at some point.

use std::{collections::BTreeSet, time::Duration};

use super::stage::{Person, Server, events, objects, pause, run_for, wait_for};

/// The README says so. Words in capitals stand for what was printed before.
fn says(command: &str) {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    assert!(readme.contains(command), "the README does not say: {command}");
}

#[test]
fn two_people_chat_and_pay_while_every_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = folder.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let at = |name: &str| folder.path().join(name);

    says("chopmark-relay run --dev");
    let mut relay = Server::start("chopmark-relay", at("relay"));
    says("chopmark-mint run --dev");
    let mut mint = Server::start("chopmark-mint", at("mint"));

    says("chop --home alice init --relay RELAY --issuer URL");
    let unlock = ["--passphrase-file", passphrase.to_str().unwrap()];
    let init = ["--relay", &relay.address, "--issuer", &mint.address, "--merchant"];
    let alice = Person::new(at("alice"), unlock, &init[..4]);
    // He sells coffee, and claims at once.
    says("and the same for bob, --merchant");
    let bob = Person::new(at("bob"), unlock, &init);

    says("chop --home bob link");
    let link = bob.json(&["link"])[0]["link"].as_str().unwrap().to_owned();
    says("chop --home alice add chop:… bob");
    alice.json(&["add", &link, "bob"]);
    says("chop --home alice send bob hello");
    alice.json(&["send", "bob", "hello"]);

    // Bob's `listen`, killed as soon as it has printed something; what it was about to say it says again.
    says("chop --home bob listen");
    let mut listening = bob.listen();
    let accepted =
        wait_for("Alice", || events(&listening.lines(), "contact_accepted").first().cloned());
    listening.kill();
    says("chop --home bob accept ID alice");
    bob.json(&["accept", accepted["contact"].as_str().unwrap(), "alice"]);
    let alice_id = bob.json(&["contacts"])[0]["id"].as_str().unwrap().to_owned();
    wait_for("hello", || {
        bob.json(&["listen", "--timeout", "1s"]);
        bob.texts("alice", "received").contains(&"hello".to_owned()).then_some(())
    });

    // The relay, between an accepted deposit and its delivery.
    let sent = alice.json(&["send", "bob", "before the relay died"]);
    assert_eq!(sent[0]["progress"], "stored");
    relay.kill();
    let waiting = alice.chop(&["send", "bob", "while it was dead", "--timeout", "1s"]);
    assert_eq!(waiting.code, Some(4), "{waiting:?}");
    relay.start_again();

    // `send`, at any moment: what the history has, arrives; what it has not, was never sent.
    for (index, millis) in [30, 200, 350, 500, 700].into_iter().enumerate() {
        let text = format!("killed {index}");
        run_for(alice.command(&["send", "bob", &text]), Some(Duration::from_millis(millis)));
    }
    let listening = (bob.listen(), alice.listen());
    let sent = alice.texts("bob", "sent");
    assert!(sent.len() >= 3, "{sent:?}");
    wait_for("all that was sent", || {
        (bob.texts("alice", "received").len() >= sent.len()).then_some(())
    });
    pause(Duration::from_millis(500));
    assert_eq!(sorted(bob.texts("alice", "received")), sorted(sent.clone()), "all of it, once");
    let told: Vec<_> = events(&listening.0.lines(), "message");
    let ids: BTreeSet<_> = told.iter().map(|event| event["message"].to_string()).collect();
    assert_eq!(ids.len(), told.len(), "nothing is told twice: {told:?}");
    drop(listening);

    // `redeem`, at any moment, and the issuer.
    says("chopmark-mint issue 50");
    let token = mint.operate(&["issue", "50"]);
    says("chop --home alice redeem TOKEN");
    for millis in [250, 450] {
        run_for(alice.command(&["redeem", &token]), Some(Duration::from_millis(millis)));
    }
    mint.kill();
    mint.start_again();
    let money = |person: &Person| person.json(&["balance"])[0].clone();
    let redeemed = alice.chop(&["redeem", &token]);
    wait_for("Alice's money", || {
        alice.json(&["listen", "--timeout", "1s"]);
        (money(&alice)["spendable"] == 5000).then_some(())
    });
    assert!(matches!(redeemed.code, Some(0 | 4)), "{redeemed:?}");

    // `request` and `pay`, at any moment, and the issuer once more.
    says("chop --home bob request alice 12.50");
    let request =
        bob.json(&["request", "alice", "12.50"])[0]["request"].as_str().unwrap().to_owned();
    wait_for("the request", || {
        alice.json(&["listen", "--timeout", "1s"]);
        (!alice.json(&["requests"]).is_empty()).then_some(())
    });
    for millis in [250, 400, 550] {
        run_for(alice.command(&["pay", &request]), Some(Duration::from_millis(millis)));
    }
    mint.kill();
    let unpaid = alice.chop(&["pay", &request, "--timeout", "1s"]);
    assert!(matches!(unpaid.code, Some(0 | 4)), "{unpaid:?}");
    mint.start_again();
    let mut listening = bob.listen();
    pause(Duration::from_millis(700));
    listening.kill();
    let listening = bob.listen();
    says("chop --home alice pay --wait REQUEST");
    let paid = alice.json(&["pay", "--wait", &request]);
    assert_eq!(paid[0]["outcome"], "paid", "{paid:?}");
    let again = alice.json(&["pay", "--wait", &request]);
    assert_eq!(again[0]["payment"], paid[0]["payment"]);

    wait_for("Bob's money", || (money(&bob)["spendable"] == 1250).then_some(()));
    assert_eq!(money(&alice)["spendable"], 3750);
    wait_for("the settled receipt", || {
        alice.json(&["listen", "--timeout", "1s"]);
        (money(&alice)["locked"] == 0).then_some(())
    });
    drop(listening);
    let receipt =
        alice.json(&["receipt", "show", &request])[0]["receipt"].as_str().unwrap().to_owned();
    let verified = alice.json(&["receipt", "verify", &receipt, "--payee", "bob"]);
    assert_eq!((&verified[0]["verified"], &verified[0]["minor"]), (&true.into(), &1250.into()));
    assert_eq!(verified[0]["payer"], alice_id);

    let report = objects(&mint.operate(&["report", "--json"]));
    assert_eq!((&report[0]["issued"], &report[0]["balanced"]), (&5000.into(), &true.into()));
    assert_eq!(report[0]["outstanding"], 5000, "all of it is Alice's and Bob's");
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}
