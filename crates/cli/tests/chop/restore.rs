//! A device that is lost: the account again from its words, and what its contacts are asked.

use crate::harness::{NO_ISSUER, Person, Worker};

// Seen to fail with a restored account taken for an ordinary new device: Bob was not asked.
#[test]
fn an_account_comes_back_from_its_words_and_who_compared_the_number_is_asked() {
    let relay = Worker::relay();
    let place = ["--relay", &relay.address, "--issuer", NO_ISSUER];
    let bob = Person::new(&relay.address, NO_ISSUER);
    let alice = Person::homeless();
    let made = alice.json(&[&["init"], &place[..]].concat());
    let (id, words) = (made["id"].as_str().unwrap(), made["words"].as_str().unwrap());
    assert_eq!(words.split(' ').count(), 24);

    let link = bob.json(&["link"])["link"].as_str().unwrap().to_owned();
    assert_eq!(alice.chop(&["add", &link, "bob"]).code, 0);
    assert_eq!(alice.chop(&["send", "bob", "hello"]).code, 0);
    bob.hears(": hello");
    assert_eq!(bob.chop(&["accept", id, "alice"]).code, 0);
    assert_eq!(bob.chop(&["send", "alice", "hi"]).code, 0);
    alice.hears("bob: hi");
    let number = bob.json(&["safety", "alice", "--verified"])["digits"].clone();
    assert_eq!(bob.chop(&["send", "alice", "did this reach you?"]).code, 0);
    drop(alice);

    // Another device, and nothing but paper.
    let again = Person::homeless();
    let restore = |words: &str| again.chop(&[&["restore"], &place[..], &[words]].concat());
    let mut others: Vec<&str> = words.split(' ').collect();
    others.swap(0, 1);
    assert_ne!(restore(&others[..23].join(" ")).code, 0);
    let restored = again.json(&[&["restore"], &place[..], &[words]].concat());
    assert_eq!(restored["id"], id);
    restore(words).fails(1, "there is a home in");
    assert!(again.chop(&["contacts", "--json"]).out.is_empty(), "nobody is in the words");

    let link = bob.json(&["link"])["link"].as_str().unwrap().to_owned();
    assert_eq!(again.chop(&["add", &link, "bob"]).code, 0);
    assert_eq!(again.chop(&["send", "bob", "it is me"]).code, 0);
    // Whoever has Bob's keys could say so: it is marked until the device has confirmed its session.
    let told = bob.hears("alice (session not confirmed: it may be somebody else): it is me");
    assert!(told.contains("alice restored their account on another device"), "{told}");
    let refused = bob.chop(&["send", "alice", "is it?"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("restored"), "{refused:?}");
    // The number is the account's, so it is what it was; it counts as compared no more.
    assert_eq!(bob.json(&["safety", "alice"])["digits"], number);
    assert_eq!(bob.json(&["safety", "alice"])["verified"], false);
    assert_eq!(bob.chop(&["safety", "alice", "--agree"]).code, 0);
    assert_eq!(bob.chop(&["send", "alice", "welcome back"]).code, 0);
    again.hears("bob: welcome back");
    assert_eq!(again.json(&["safety", "bob"])["digits"], number);
}
