//! Bad input at every door: a typed error or nothing at all, and everything as it was.

use bytes::Bytes;
use chopmark_pay::{CallId, HttpReply};
use chopmark_wire::content::Body;
use chopmark_wire::link::ContactLink;

use super::*;

/// Truncated, altered and overlong versions of something genuine, and things that never were.
fn spoiled(genuine: &[u8]) -> Vec<Vec<u8>> {
    let mut bad = vec![Vec::new(), vec![0], vec![0xff; 2048], vec![2; 65_536], vec![1; 70_000]];
    for end in [1, 16, genuine.len() / 2, genuine.len().saturating_sub(1)] {
        bad.push(genuine[..end.min(genuine.len())].to_vec());
    }
    for at in (0..genuine.len()).step_by(genuine.len() / 40 + 1) {
        let mut altered = genuine.to_vec();
        altered[at] ^= 1;
        bad.push(altered);
    }
    bad.push([genuine, &[0]].concat());
    bad.push([genuine, genuine].concat());
    bad
}

/// Everything that a person would notice.
fn seen(world: &mut World, who: usize) -> (Vec<String>, usize, usize, Option<Stage>) {
    let rows = |world: &mut World, log| {
        world.turn(who, |turn| Ok(turn.tx.rows_after(log, None, 0, 10_000)?.len())).unwrap()
    };
    let (outbox, duties) = (rows(world, Log::Outbox), rows(world, Log::Duties));
    (world.texts(who), outbox, duties, world.stage(who, 1 - who))
}

#[test]
fn t05_a_spoiled_envelope_changes_nothing_and_the_genuine_one_opens() {
    let mut world = World::meet(LinkUse::OneTime);
    world.send(0, "genuine");
    world.depart(0);
    let (handle, genuine) = world.relay.boxes[1].pop().unwrap();
    let (before, events) = (seen(&mut world, 1), world.events(1).len());
    for envelope in spoiled(&genuine) {
        world.relay.boxes[1].push((handle, envelope));
    }
    world.arrive(1);
    assert_eq!(seen(&mut world, 1), before);
    // It looks like a message of a state that one side lost: a session is begun anew, once.
    let new = world.events(1).split_off(events);
    assert!(matches!(new.as_slice(), [What::SessionRenewed { .. }]));
    world.relay.boxes[1].push((handle, genuine));
    world.arrive(1);
    assert_eq!(world.texts(1), ["genuine"]);
}

#[test]
fn t05_a_spoiled_first_message_makes_nobody_known_and_the_genuine_one_does() {
    let mut world = World::new(41);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.depart(0);
    let (handle, genuine) = world.relay.boxes[1].pop().unwrap();
    let before = seen(&mut world, 1);
    for envelope in spoiled(&genuine) {
        world.relay.boxes[1].push((handle, envelope));
    }
    world.arrive(1);
    assert_eq!(seen(&mut world, 1), before);
    assert!(world.events(1).is_empty());
    world.relay.boxes[1].push((handle, genuine));
    world.arrive(1);
    assert_eq!(world.stage(1, 0), Some(Stage::Accepted));
}

// Tests [poison-is-skipped].
#[test]
fn t35_a_spoiled_content_is_skipped_and_the_next_one_arrives() {
    let mut world = World::meet(LinkUse::OneTime);
    let bob = world.id(1);
    for (n, content) in (0u8..).zip(spoiled(b"\x0a\x10no content at all")) {
        if content.is_empty() || content.len() > 56_000 {
            continue;
        }
        let id = MessageId([n; 32]);
        world.turn(0, |turn| turn.queue(&bob, &content, id, None, None)).unwrap();
    }
    for kind in 0..5 {
        let junk = Bytes::from_static(b"no message about money");
        let body = match kind {
            0 => Body::PaymentRequest(junk),
            1 => Body::Payment(junk),
            2 => Body::PaymentReceipt(junk),
            3 => Body::PaymentDecline(junk),
            _ => Body::PaymentCancel(junk),
        };
        world.turn(0, |turn| turn.send_body(&bob, body, "")).unwrap();
    }
    world.send(0, "still here");
    world.settle();
    world.settle();
    assert_eq!(world.texts(1), ["still here"]);
    assert!(!world.events(1).iter().any(|event| matches!(event, What::PaymentRequested { .. })));
}

#[test]
fn a_spoiled_link_is_an_error_or_another_link() {
    let mut world = World::new(43);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
    let genuine = link.to_string();
    for text in spoiled(genuine.as_bytes()) {
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Ok(other) = text.parse::<ContactLink>() {
            assert_ne!(other.to_string(), genuine);
        }
    }
    let own = world.turn(0, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
    assert!(matches!(world.turn(0, |turn| turn.add(&own, "me")), Err(Error::OwnLink)));
    assert!(matches!(world.turn(0, |turn| turn.revoke_link(&link)), Err(Error::NoSuchLink)));
}

#[test]
fn a_spoiled_bundle_is_told_and_begins_nothing() {
    let mut world = World::new(45);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
    world.duties(1);
    let (bundle, one_time) = world.relay.bundles.values().next().unwrap().clone();
    let one_time = one_time[0].clone();
    let cases = spoiled(&bundle)
        .into_iter()
        .map(|bad| (bad, one_time.clone()))
        .chain(spoiled(&one_time).into_iter().map(|bad| (bundle.clone(), bad)));
    for (bundle, one_time) in cases {
        world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        world.now = Timestamp(world.now.0 + 600_000);
        let want = world.turn(0, |turn| turn.wanted()).unwrap().pop().unwrap();
        let before = world.events(0).len();
        world
            .turn(0, |turn| turn.fetched(&want.contact, &want.fetch_id, &bundle, Some(&one_time)))
            .unwrap();
        let events = world.events(0);
        assert_eq!(events.len(), before + 1);
        assert!(matches!(events.last(), Some(What::LinkFailed { .. })));
        assert_eq!(world.stage(0, 1), Some(Stage::Fetching));
    }
}

#[test]
fn a_spoiled_token_and_a_spoiled_answer_of_an_issuer_touch_no_coin() {
    let mut world = World::meet(LinkUse::OneTime);
    for token in ["", "cashuB", "cashuBo2F0gA", "cashuA{}", "💰", &"cashuB".repeat(50_000)] {
        assert!(world.turn(0, |turn| turn.redeem(token)).is_err());
    }
    for status in [0, 200, 400, 500, 65_535] {
        for body in [&b""[..], b"{", b"{\"signatures\":[]}", &[0xff; 70_000]] {
            for call in [0, 1, u64::MAX] {
                let reply = HttpReply { status, body: body.to_vec() };
                world
                    .turn(0, |turn| turn.replied(CallId { job: call, attempt: 1 }, Ok(reply)))
                    .unwrap();
            }
        }
    }
    let pay = |turn: &mut Turn<'_, '_>| {
        let pay = turn.account()?.pay()?;
        turn.with_records(|records, _| pay.balance(records))
    };
    assert!(world.turn(0, pay).unwrap().iter().all(|line| line.spendable == 0));
}

#[test]
fn a_text_that_is_empty_or_too_long_is_an_error_and_stands_nowhere() {
    let mut world = World::meet(LinkUse::OneTime);
    let bob = world.id(1);
    for text in [String::new(), "x".repeat(chopmark_wire::limits::TEXT_MAX + 1)] {
        let sent = world.turn(0, |turn| turn.send_text(&bob, &text));
        assert!(matches!(sent, Err(Error::Text(_))));
    }
    assert!(matches!(
        world.turn(0, |turn| turn.send_text(&[7; 32], "to nobody")),
        Err(Error::NoSuchContact)
    ));
    assert_eq!(world.turn(0, |turn| turn.waiting()).unwrap(), 0);
}
