//! Which session sends, which one opens, and which ones have to go.

use super::*;
use crate::session::pair::{NOW, Party, copy, met, open, rng, seal};

fn send(sessions: &mut Sessions, content: &[u8], rng: &mut rand_chacha::ChaCha20Rng) -> Vec<u8> {
    let sealed = sessions.seal(content, NOW, rng).unwrap();
    sealed.commit(|_, _| Ok::<_, ()>(())).unwrap().envelope.into_bytes()
}

fn probe(sessions: &mut Sessions, rng: &mut rand_chacha::ChaCha20Rng) -> Option<Vec<u8>> {
    let sealed = sessions.seal_probe(sessions.probe_due()?, &[], NOW, rng).unwrap();
    Some(sealed.commit(|_, _| Ok::<_, ()>(())).unwrap().envelope.into_bytes())
}

fn receive(sessions: &mut Sessions, envelope: &[u8]) -> (Vec<u8>, bool) {
    let message = sessions.open(envelope, NOW).unwrap().commit(|_, _| Ok::<_, ()>(())).unwrap();
    *sessions = Sessions::import(&sessions.export()).unwrap();
    (message.content.to_vec(), message.moved)
}

/// All the empty messages that one side owes arrive at the other, and so on until none is owed.
fn settle(alice: &mut Sessions, bob: &mut Sessions, rng: &mut rand_chacha::ChaCha20Rng) {
    loop {
        let (from_alice, from_bob) = (owed(alice, rng), owed(bob, rng));
        if from_alice.is_empty() && from_bob.is_empty() {
            return;
        }
        for (to, envelopes) in [(&mut *bob, from_alice), (&mut *alice, from_bob)] {
            envelopes.iter().for_each(|envelope| drop(receive(to, envelope)));
        }
    }
}

/// What a client sends by itself: what the session that sends owes, and the probes beside it.
fn owed(sessions: &mut Sessions, rng: &mut rand_chacha::ChaCha20Rng) -> Vec<Vec<u8>> {
    let mut envelopes = Vec::new();
    if sessions.sending().is_some_and(Session::owes_progress) {
        envelopes.push(send(sessions, b"", rng));
    }
    envelopes.extend(core::iter::from_fn(|| probe(sessions, rng)));
    envelopes
}

/// Two who begin at once: each has its own session, and the other's first message has just arrived.
fn glare(seed: u64) -> (Sessions, Sessions, rand_chacha::ChaCha20Rng) {
    let mut rng = rng(seed);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let (mut alice, mut bob) = (Sessions::new(), Sessions::new());
    alice.insert(a.initiate(&b, true, &mut rng));
    bob.insert(b.initiate(&a, true, &mut rng));
    let (from_alice, from_bob) =
        (send(&mut alice, b"I first", &mut rng), send(&mut bob, b"no, I", &mut rng));
    alice.insert(a.respond(&from_bob).unwrap().session);
    bob.insert(b.respond(&from_alice).unwrap().session);
    alice.introduce(&b.account, &b.entry()).unwrap();
    bob.introduce(&a.account, &a.entry()).unwrap();
    (alice, bob, rng)
}

// Tests [own-before-claimed], [probed-until-confirmed], [glare-by-lower-id].
// Seen to fail with the lower of two that are not confirmed chosen, with probes beside a confirmed session only, and
// with the session that is confirmed last chosen.
#[test]
fn both_sides_of_a_glare_send_on_their_own_until_both_choose_the_same_one() {
    for seed in 0..6 {
        let (mut alice, mut bob, mut rng) = glare(seed);
        for sessions in [&alice, &bob] {
            assert_eq!(sessions.sending().unwrap().role(), Role::Initiator);
        }
        let lower = alice.iter().map(Session::id).min().unwrap();
        // Whoever is heard first: what is owed goes one way before it goes the other.
        let (first, second) =
            if seed % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let words = send(first, b"ping", &mut rng);
        assert_eq!(receive(second, &words).0, b"ping");
        owed(first, &mut rng).iter().for_each(|it| drop(receive(second, it)));
        settle(&mut alice, &mut bob, &mut rng);
        for sessions in [&alice, &bob] {
            assert!(sessions.iter().all(|session| session.status() == Status::Confirmed));
            assert_eq!(sessions.sending().unwrap().id(), lower);
        }
        for _ in 0..3 {
            let message = send(&mut alice, b"ping", &mut rng);
            assert_eq!(receive(&mut bob, &message).0, b"ping");
            let message = send(&mut bob, b"pong", &mut rng);
            assert_eq!(receive(&mut alice, &message).0, b"pong");
        }
        assert_eq!((alice.probe_due(), bob.probe_due()), (None, None));
    }
}

// Tests [glare-by-lower-id].
// Seen to fail with the lower of any two chosen, and with an answer of ours not counted.
#[test]
fn a_session_begun_by_who_had_answered_another_one_takes_over_whatever_its_id() {
    for seed in 0..6 {
        let mut rng = rng(seed);
        let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
        let (mut alice, mut bob) = (Sessions::new(), Sessions::new());
        alice.insert(a.initiate(&b, true, &mut rng));
        let first = send(&mut alice, b"hello", &mut rng);
        bob.insert(b.respond(&first).unwrap().session);
        bob.introduce(&a.account, &a.entry()).unwrap();
        // Bob answers, and begins another one before the first is confirmed there: its first message leaves after that.
        let theirs = bob.sending().unwrap().id();
        let anew = b.initiate(&a, false, &mut rng);
        let new = anew.id();
        bob.insert(anew);
        let ct3 = bob.seal_probe(theirs, b"", NOW, &mut rng).unwrap();
        let ct3 = ct3.commit(|_, _| Ok::<_, ()>(())).unwrap().envelope.into_bytes();
        assert_eq!(bob.sending().unwrap().id(), new);
        let second = send(&mut bob, b"and another", &mut rng);
        receive(&mut alice, &ct3);
        alice.insert(a.respond(&second).unwrap().session);
        alice.introduce(&b.account, &b.entry()).unwrap();
        settle(&mut alice, &mut bob, &mut rng);
        assert_eq!(alice.sending().unwrap().id(), new);
        assert_eq!(bob.sending().unwrap().id(), new);
    }
}

// Tests [own-before-claimed], [ct3-confirms].
// Seen to fail with the lower of two that are not confirmed chosen.
#[test]
fn a_thief_of_prekeys_draws_nothing_from_a_session_of_ours_whatever_its_ids_are() {
    let mut rng = rng(900);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut bob = Sessions::new();
    bob.insert(b.initiate(&a, true, &mut rng));
    let ours = bob.sending().unwrap().id();
    let first = send(&mut bob, b"for Alice alone", &mut rng);
    for _ in 0..6 {
        let mut thief = a.impersonated(&b, &mut rng);
        let claim = seal(&mut thief, b"I am Alice", &mut rng);
        bob.insert(b.respond(&claim).unwrap().session);
        bob.introduce(&a.account, &a.entry()).unwrap();
        assert_eq!(bob.sending().unwrap().id(), ours);
        // It is answered, so that an honest one gets on; that says nothing, and takes Alice's key to go on from.
        for answer in owed(&mut bob, &mut rng) {
            let Ok(said) = open(&mut thief, &answer) else { continue };
            assert!(said.is_empty());
        }
        let more = seal(&mut thief, b"really", &mut rng);
        assert_eq!(receive(&mut bob, &more), (b"really".to_vec(), false));
        assert_eq!(bob.find(thief.id()).unwrap().status(), Status::Unconfirmed);
        let words = send(&mut bob, b"for Alice alone", &mut rng);
        assert!(thief.open(&words, NOW).is_err());
    }
    // Two of them are left, and ours beside them: Alice answers it in the end.
    assert_eq!(bob.iter().count(), 3);
    let mut alice = Sessions::new();
    alice.insert(a.respond(&first).unwrap().session);
    alice.introduce(&b.account, &b.entry()).unwrap();
    owed(&mut alice, &mut rng).iter().for_each(|it| drop(receive(&mut bob, it)));
    assert!(bob.sending().unwrap().owes_progress());
    owed(&mut bob, &mut rng);
    assert_eq!(bob.sending().unwrap().status(), Status::Confirmed);
    assert_eq!(bob.sending().unwrap().id(), ours);
}

// Tests [probe-only-beside-confirmed], [ct3-confirms].
// Seen to fail with the newest session chosen before the one that is confirmed.
#[test]
fn a_thief_of_prekeys_draws_nothing_from_a_confirmed_session_or_from_the_first_that_came() {
    let mut rng = rng(901);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, true, &mut rng);
    let first = seal(&mut alice, b"hello", &mut rng);
    let mut bob = Sessions::new();
    bob.insert(b.respond(&first).unwrap().session);
    bob.introduce(&a.account, &a.entry()).unwrap();
    let theirs = alice.id();
    for confirm in [false, true] {
        if confirm {
            let ct3 = send(&mut bob, b"yes", &mut rng);
            open(&mut alice, &ct3).unwrap();
            let step = seal(&mut alice, b"it is me", &mut rng);
            receive(&mut bob, &step);
        }
        // More than there are places for.
        for _ in 0..4 {
            let mut thief = a.impersonated(&b, &mut rng);
            let claim = seal(&mut thief, b"I am Alice", &mut rng);
            bob.insert(b.respond(&claim).unwrap().session);
            bob.introduce(&a.account, &a.entry()).unwrap();
            let more = seal(&mut thief, b"pay me", &mut rng);
            assert!(!receive(&mut bob, &more).1, "nothing moves");
            assert_eq!(bob.sending().unwrap().id(), theirs);
        }
    }
    assert_eq!(bob.sending().unwrap().status(), Status::Confirmed);
}

// Tests [unconfirmed-expires].
// Seen to fail with no age looked at, and with the one that sends not spared.
#[test]
fn what_a_peer_began_and_never_confirmed_is_over_after_a_prekeys_life() {
    let mut rng = rng(90);
    let mut sessions = Sessions::new();
    let (ours, first, second) = (met(91).0, met(92).1, met(93).1);
    let [first_id, second_id] = [first.id(), second.id()];
    let late = NOW.saturating_add(32 * DAY);
    sessions.insert(first);
    sessions.insert(second);
    assert!(sessions.expire(Timestamp(late.0 - 1)).is_empty());
    assert!(sessions.expire(Timestamp::ZERO).is_empty(), "a clock that went back");
    assert_eq!(sessions.expire(late), [second_id]);
    assert_eq!(sessions.sending().unwrap().id(), first_id);
    sessions.insert(ours);
    assert_eq!(sessions.expire(late), [first_id]);
    assert!(sessions.expire(late).is_empty(), "ours waits");
    assert_eq!(send(&mut sessions, b"still", &mut rng).len(), 4096);
}

// Tests [probe-only-beside-confirmed], [answered-where-it-came].
// Seen to fail with the newest session chosen before the one that is confirmed, and with an answer answered as content.
#[test]
fn a_new_session_beside_a_confirmed_one_carries_probes_until_it_is_confirmed() {
    let mut rng = rng(20);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let (mut alice, mut bob) = (Sessions::new(), Sessions::new());
    alice.insert(a.initiate(&b, true, &mut rng));
    let first = send(&mut alice, b"hello", &mut rng);
    bob.insert(b.respond(&first).unwrap().session);
    bob.introduce(&a.account, &a.entry()).unwrap();
    for _ in 0..2 {
        let message = send(&mut bob, b"ping", &mut rng);
        receive(&mut alice, &message);
        let message = send(&mut alice, b"pong", &mut rng);
        receive(&mut bob, &message);
    }
    let old = alice.sending().unwrap().id();
    assert_eq!((alice.probe_due(), bob.probe_due()), (None, None));

    let anew = a.initiate(&b, false, &mut rng);
    let new = anew.id();
    alice.insert(anew);
    assert_eq!(alice.sending().unwrap().id(), old);
    assert_eq!(alice.probe_due(), Some(new));
    let message = probe(&mut alice, &mut rng).unwrap();
    let opened = b.respond(&message).unwrap();
    assert!(opened.message.content.is_empty());
    bob.insert(opened.session);
    assert_eq!(bob.probe_due(), None);
    bob.introduce(&a.account, &a.entry()).unwrap();
    assert_eq!(bob.sending().unwrap().id(), old);

    let message = probe(&mut bob, &mut rng).unwrap();
    assert_eq!(receive(&mut alice, &message), (vec![], false));
    let message = probe(&mut alice, &mut rng).unwrap();
    assert_eq!(alice.sending().unwrap().id(), new);
    assert_eq!(receive(&mut bob, &message), (vec![], true));
    assert_eq!(bob.sending().unwrap().id(), new);
    let late = seal(&mut copy(alice.find(old).unwrap()), b"late", &mut rng);
    // What was opened on the old one and not answered there is answered there still.
    assert_eq!(bob.probe_due(), Some(old));
    let answer = probe(&mut bob, &mut rng).unwrap();
    assert_eq!(receive(&mut alice, &answer), (vec![], false));
    // It ends there, and the old one still opens what was on its way.
    assert_eq!((probe(&mut alice, &mut rng), probe(&mut bob, &mut rng)), (None, None));
    assert_eq!(receive(&mut bob, &late), (b"late".to_vec(), false));
    // Such content is answered where it came, and the answer is not.
    assert_eq!(bob.probe_due(), Some(old));
    let answer = probe(&mut bob, &mut rng).unwrap();
    receive(&mut alice, &answer);
    assert_eq!((alice.probe_due(), bob.probe_due()), (None, None));
}

// Tests [unconfirmed-evicts-no-confirmed].
// Seen to fail with confirmed sessions counted among the unconfirmed.
#[test]
fn unconfirmed_sessions_push_out_each_other_only() {
    let mut rng = rng(30);
    let (mut alice, mut bob, _) = met(30);
    for _ in 0..2 {
        let message = seal(&mut bob, b"ping", &mut rng);
        open(&mut alice, &message).unwrap();
        let message = seal(&mut alice, b"pong", &mut rng);
        open(&mut bob, &message).unwrap();
    }
    let confirmed = bob.id();
    let mut sessions = Sessions::new();
    assert!(sessions.insert(bob).is_empty());
    let mut pushed_out = Vec::new();
    let begun = [36, 37].map(|seed| met(seed).0);
    let ours = begun.each_ref().map(Session::id);
    begun.into_iter().for_each(|session| assert!(sessions.insert(session).is_empty()));
    for seed in 31..36 {
        pushed_out.extend(sessions.insert(met(seed).1));
    }
    assert_eq!(pushed_out.len(), 3);
    assert_eq!(sessions.iter().count(), 5);
    assert!(ours.iter().all(|id| sessions.find(*id).is_some()), "ours have places of their own");
    assert_eq!(sessions.sending().unwrap().id(), confirmed);
    // Confirmed ones push out the oldest confirmed.
    for seed in 41..44 {
        pushed_out.extend(sessions.insert(crate::session::pair::confirmed(seed).1));
    }
    assert_eq!(pushed_out.last(), Some(&confirmed));
    assert_eq!(sessions.iter().count(), 7);
    assert_eq!(Sessions::import(&sessions.export()).unwrap().export(), sessions.export());
}

#[test]
fn an_entry_that_the_handshake_did_not_bind_ends_the_session() {
    let mut rng = rng(50);
    let (a, b, c) = (Party::new(&mut rng), Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, true, &mut rng);
    let first = seal(&mut alice, b"hello", &mut rng);
    let mut sessions = Sessions::new();
    sessions.insert(b.respond(&first).unwrap().session);
    assert_eq!(sessions.seal(b"", NOW, &mut rng).unwrap_err(), SealError::NoSession);
    assert_eq!(sessions.introduce(&a.account, &c.entry()), Err(WrongEntry));
    assert!(sessions.is_empty());
}

// Tests [open-then-commit].
// Seen to fail with the session not asked whether it is stale.
#[test]
fn a_session_that_was_not_stored_is_not_used_in_a_set_either() {
    let (mut alice, mut bob, mut rng) = met(80);
    let [lost, next] = [b"lost", b"next"].map(|content| seal(&mut alice, content, &mut rng));
    assert!(bob.open(&lost, NOW).unwrap().commit(|_, _| Err(())).is_err());
    let mut sessions = Sessions::new();
    sessions.insert(bob);
    assert_eq!(sessions.open(&next, NOW).unwrap_err(), OpenError::Stale);
    assert_eq!(sessions.seal(b"", NOW, &mut rng).unwrap_err(), SealError::Stale);
}

/// Alice and Bob with a confirmed session, and of each a second one. Bob answered Alice's before he began his own, so that
/// his takes over for him; his first message overtook that answer, so that for her they cross and hers has the lower id.
fn crossed(seed: u64) -> (Sessions, Sessions, rand_chacha::ChaCha20Rng) {
    let mut rng = rng(seed);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let (mut alice, mut bob) = (Sessions::new(), Sessions::new());
    alice.insert(a.initiate(&b, true, &mut rng));
    let first = send(&mut alice, b"hello", &mut rng);
    bob.insert(b.respond(&first).unwrap().session);
    bob.introduce(&a.account, &a.entry()).unwrap();
    settle(&mut alice, &mut bob, &mut rng);
    let (hers, his) = loop {
        let (hers, his) = (a.initiate(&b, false, &mut rng), b.initiate(&a, false, &mut rng));
        if hers.id() < his.id() {
            break (hers, his);
        }
    };
    alice.insert(hers);
    let from_alice = probe(&mut alice, &mut rng).unwrap();
    bob.insert(b.respond(&from_alice).unwrap().session);
    bob.introduce(&a.account, &a.entry()).unwrap();
    let ct3 = probe(&mut bob, &mut rng).unwrap();
    bob.insert(his);
    let from_bob = probe(&mut bob, &mut rng).unwrap();
    alice.insert(a.respond(&from_bob).unwrap().session);
    alice.introduce(&b.account, &b.entry()).unwrap();
    receive(&mut alice, &ct3);
    settle(&mut alice, &mut bob, &mut rng);
    assert!(alice.iter().chain(bob.iter()).all(|session| session.status() == Status::Confirmed));
    (alice, bob, rng)
}

// Tests [answered-where-it-came].
// Seen to fail with `unanswered` left out of `owes_a_probe`.
#[test]
fn two_sides_that_send_on_different_sessions_still_hear_and_heal_each_other() {
    for seed in 60..63 {
        let (mut alice, mut bob, mut rng) = crossed(seed);
        let (on_alices, on_bobs) = (bob.sending().unwrap().id(), alice.sending().unwrap().id());
        assert_ne!(on_alices, on_bobs);
        for _ in 0..20 {
            for alice_sends in [true, false] {
                let (from, to) =
                    if alice_sends { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
                let id = from.sending().unwrap().id();
                let sealed = from.seal(b"content", NOW, &mut rng).unwrap();
                let position = sealed.position();
                let sent = sealed.commit(|_, _| Ok::<_, ()>(())).unwrap();
                assert_eq!(receive(to, sent.envelope.as_bytes()).0, b"content");
                assert_eq!(to.probe_due(), Some(id));
                let answer = probe(to, &mut rng).unwrap();
                assert_eq!(to.probe_due(), None);
                let opened = from.open(&answer, NOW).unwrap();
                let opened = opened.commit(|_, _| Ok::<_, ()>(())).unwrap();
                assert!(opened.acknowledged.unwrap().covers(position));
                assert_eq!(from.probe_due(), None);
            }
        }
        let epochs = |id| [alice.find(id), bob.find(id)].map(|session| session.unwrap().epoch());
        assert!(epochs(on_alices).iter().chain(&epochs(on_bobs)).all(|epoch| *epoch >= 3));
    }
}

// Tests [counters-never-wrap].
#[test]
fn t07_confirmations_are_counted_anew_before_two_have_one_number() {
    let mut rng = rng(70);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut sessions = Sessions::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut alice = a.initiate(&b, false, &mut rng);
        let first = seal(&mut alice, b"hello", &mut rng);
        let mut bob = b.respond(&first).unwrap().session;
        bob.introduce(&a.account, &a.entry()).unwrap();
        let reply = seal(&mut bob, b"yes", &mut rng);
        open(&mut alice, &reply).unwrap();
        seal(&mut alice, b"confirmed", &mut rng);
        assert_eq!(alice.status(), Status::Confirmed);
        ids.push(alice.id());
        // The second takes the last number there is.
        if ids.len() == 2 {
            sessions.count = u64::MAX - 1;
        }
        assert!(sessions.insert(alice).is_empty());
        assert_eq!(sessions.sending().unwrap().id(), *ids.last().unwrap());
    }
    let counts = |entry: &mut Entry| entry.counts().map(|count| *count).collect::<Vec<_>>();
    let counts: Vec<_> = sessions.entries.iter_mut().map(counts).collect();
    assert_eq!(counts, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    // And the state is stored and read as it is.
    assert_eq!(Sessions::import(&sessions.export()).unwrap().sending().unwrap().id(), ids[2]);
}
