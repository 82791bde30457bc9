//! What a mailbox answers: once, alike, and within its limits.

use super::*;

// Tests [dedupe-same-answer].
#[test]
fn the_same_envelope_is_kept_once_read_or_not() {
    let mut relay = Relay::with_grant(CapabilityKind::Private, Rate::new(2, 1).unwrap());
    for _ in 0..5 {
        assert!(matches!(relay.deposit(NOW, 1), SenderEvent::Stored { .. }));
    }
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    owner.ack(&[1]);
    let ran = relay.run(NOW, &mut served, &mut owner).unwrap();
    assert!(ran.events.len() <= 3);
    assert!(matches!(relay.deposit(NOW, 1), SenderEvent::Stored { .. }));
    owner.subscribe(NOW, 0);
    let ran = relay.run(NOW, &mut served, &mut owner).unwrap();
    assert!(!ran.events.iter().any(|event| matches!(event, OwnerEvent::Delivered(_))));
}

// Tests [full-looks-empty], [knocks-share]. Seen to fail with another refusal for a mailbox without room.
#[test]
fn a_full_mailbox_answers_like_an_empty_bucket() {
    let full = Rate::new(4096, 4096).unwrap();
    let mut crowded = Relay::with_grant(CapabilityKind::Knock, full);
    let mut poor = Relay::with_grant(CapabilityKind::Knock, Rate::new(64, 1).unwrap());
    for fill in 0..64 {
        assert!(matches!(crowded.deposit(NOW, fill), SenderEvent::Stored { .. }));
        assert!(matches!(poor.deposit(NOW, fill), SenderEvent::Stored { .. }));
    }
    let (crowded, poor) = (crowded.deposit(NOW, 64), poor.deposit(NOW, 64));
    assert_eq!(crowded, poor);
    assert!(
        matches!(crowded, SenderEvent::Refused { refusal: Refusal::Later { hours: 1 }, .. }),
        "{crowded:?}"
    );
}

// Tests [capability-same-answer].
#[test]
fn unknown_revoked_expired_and_foreign_are_one_answer() {
    let answer = |prepare: &dyn Fn(&mut OwnerConnection), now: Timestamp| {
        let mut relay = Relay::new();
        let (mut served, mut owner) = (relay.connection(), relay.owner(2));
        owner.create(NOW);
        prepare(&mut owner);
        relay.run(NOW, &mut served, &mut owner).unwrap();
        relay.deposit(now, 1)
    };
    let unknown = answer(&|_| {}, NOW);
    let revoked = answer(
        &|owner| {
            owner.grant(NOW, grant(CapabilityKind::Private, Rate::PRIVATE));
            owner.revoke(NOW, capability().hash());
        },
        NOW,
    );
    let expired = answer(
        &|owner| {
            let expires = Some(chopmark_wire::relay::Hour::of(NOW).plus(1));
            let grant = Grant { expires, ..grant(CapabilityKind::Private, Rate::PRIVATE) };
            owner.grant(NOW, grant);
        },
        NOW.saturating_add(2 * HOUR),
    );
    let refused = Refusal::NotAccepted;
    let expected = SenderEvent::Refused { id: RequestId::FIRST, refusal: refused };
    assert_eq!([unknown, revoked, expired], [expected.clone(), expected.clone(), expected]);
}

// Tests [fetch-once]. Seen to fail with the answers of a fetch id not remembered.
#[test]
fn a_one_time_prekey_is_handed_out_once_and_to_the_same_fetch_again() {
    let mut relay = Relay::with_grant(CapabilityKind::Knock, Rate::KNOCK);
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    let blobs: Vec<_> = (0..32_u8).map(|n| Bytes::from(vec![n; 1300])).collect();
    owner.publish(
        NOW,
        Publish {
            knock: capability().hash(),
            link: LinkUse::Reusable,
            bundle: Bytes::from(vec![1; 6000]),
            one_time: blobs.clone(),
            replace_one_time: false,
        },
    );
    relay.run(NOW, &mut served, &mut owner).unwrap();
    let mut fetch = |now: Timestamp, id: u8| {
        let (mut served, mut sender) = (relay.connection(), relay.sender());
        sender.fetch(now, Fetch { knock: capability(), id: FetchId([id; 16]) });
        match relay.run(now, &mut served, &mut sender).unwrap().events.pop() {
            Some(SenderEvent::Fetched { one_time, .. }) => one_time,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch(NOW, 0), Some(blobs[0].clone()));
    assert_eq!(fetch(NOW, 0), Some(blobs[0].clone()));
    for id in 1..10 {
        assert_eq!(fetch(NOW, id), Some(blobs[usize::from(id)].clone()));
    }
    // Ten an hour, then the bundle alone.
    assert_eq!(fetch(NOW, 10), None);
    assert_eq!(fetch(NOW.saturating_add(HOUR), 11), Some(blobs[10].clone()));
}
