//! One home, many processes: one listens while a hundred send.

use std::collections::BTreeSet;

use super::stage::{Person, Server, events, pause, run, wait_for};

/// How many send at once.
const SENDERS: usize = 100;
/// How many texts come in meanwhile.
const ANSWERS: usize = 10;

// A ratchet state that two processes had both used would give two messages one place in the chain: the second would not
// open, and the receiver would be warned that the sender's device was rolled back.
#[test]
fn a_hundred_sends_beside_a_listener_lose_nothing_and_use_no_key_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (alices_key, bobs_key) = (at("alice.key"), at("bob.key"));
    let relay = Server::start("chopmark-relay", at("relay"));
    let unlock =
        |key: &std::path::Path| ["--key-file".to_owned(), key.to_str().unwrap().to_owned()];
    let new = |name: &str, key: &std::path::Path| {
        let unlock = unlock(key);
        Person::new(at(name), [&unlock[0], &unlock[1]], &["--relay", &relay.address])
    };
    let (alice, bob) = (new("alice", &alices_key), new("bob", &bobs_key));
    let link = bob.json(&["link"])[0]["link"].as_str().unwrap().to_owned();
    alice.json(&["add", &link, "bob"]);
    let (alices, bobs) = (alice.listen(), bob.listen());
    wait_for("Alice and Bob to meet", || {
        let met = |lines: &[String]| !events(lines, "contact_accepted").is_empty();
        (met(&alices.lines()) && met(&bobs.lines())).then_some(())
    });
    let alice_id = bob.json(&["contacts"])[0]["id"].as_str().unwrap().to_owned();

    let texts: Vec<String> = (0..SENDERS).map(|number| format!("text {number}")).collect();
    std::thread::scope(|scope| {
        let (alice, bob, alice_id) = (&alice, &bob, &alice_id);
        for text in &texts {
            scope.spawn(move || {
                let sent = run(alice.command(&["send", "bob", text, "--timeout", "50s"]));
                assert_eq!(sent.code, Some(0), "{text}: {sent:?}");
            });
        }
        scope.spawn(move || {
            for number in 0..ANSWERS {
                bob.json(&["send", alice_id, &format!("answer {number}"), "--timeout", "50s"]);
            }
        });
    });

    wait_for("a hundred texts", || {
        let received = events(&bobs.lines(), "message");
        (received.len() >= SENDERS).then_some(())
    });
    wait_for("Bob's answers", || {
        (events(&alices.lines(), "message").len() >= ANSWERS).then_some(())
    });
    pause(std::time::Duration::from_millis(500));
    let told: Vec<_> = events(&bobs.lines(), "message");
    let heard: BTreeSet<_> =
        told.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!((told.len(), heard.len()), (SENDERS, SENDERS), "each once");
    assert_eq!(heard, texts.iter().cloned().collect(), "all of them");
    assert_eq!(events(&alices.lines(), "message").len(), ANSWERS);
    for lines in [alices.lines(), bobs.lines()] {
        let warned = events(&lines, "warning");
        assert!(warned.is_empty(), "{warned:?}");
    }
    assert_eq!(bob.texts(&alice_id, "received").len(), SENDERS);
}
