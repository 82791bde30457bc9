//! Sessions begun anew: what causes it, how often, and that nothing is lost or shown twice by it.

use std::collections::HashSet;

use super::*;
use crate::engine::duty::hash_of;

impl World {
    /// Puts noise into someone's mailbox, under the handle of what the other one holds.
    fn noise(&mut self, to: usize, seed: u64) {
        let noise: [u8; 2048] = array(&mut StdRng::seed_from_u64(seed)).unwrap();
        let handle = self.private_handle(to);
        self.relay.boxes[to].push((handle, [&[1], &noise[1..]].concat()));
        self.arrive(to);
        self.forget_delivered(to);
    }

    fn private_handle(&mut self, of: usize) -> [u8; 8] {
        let other = self.id(1 - of);
        self.turn(of, |turn| Ok(Contact::load(turn.tx, &other)?.unwrap().grant.unwrap().handle))
            .unwrap()
            .array()
            .unwrap()
    }

    pub(super) fn sending(&mut self, who: usize) -> chopmark_core::session::SessionId {
        let other = self.id(1 - who);
        self.turn(who, |turn| turn.sending_session(&other)).unwrap().unwrap()
    }

    /// Every envelope that reached a mailbox has its own tag, so that no header nonce repeats.
    fn no_tag_repeats(&self) {
        for boxed in &self.relay.boxes {
            let distinct: HashSet<_> = boxed.iter().map(|(_, envelope)| envelope).collect();
            let tags: HashSet<_> =
                distinct.iter().map(|envelope| &envelope[envelope.len() - 16..][..12]).collect();
            assert_eq!(tags.len(), distinct.len());
        }
    }
}

pub(super) fn talked() -> World {
    let mut world = World::meet(LinkUse::OneTime);
    for text in ["one", "two"] {
        world.send(0, text);
        world.send(1, text);
        world.settle();
    }
    world
}

// Tests [orphan-renews], [renewed-by-itself], [renewal-is-published].
#[test]
fn what_nothing_opens_begins_a_session_anew_and_sending_moves_to_it() {
    let mut world = talked();
    let before = [world.sending(0), world.sending(1)];
    world.noise(1, 7);
    assert_eq!(world.renewals(1), [Renewal::Unreadable]);
    world.send(1, "meanwhile");
    world.settle();
    world.settle();
    let after = [world.sending(0), world.sending(1)];
    assert!(after[0] == after[1] && before[0] != after[0]);
    world.send(0, "and on");
    world.settle();
    assert_eq!(world.texts(0), ["one", "two", "meanwhile"]);
    assert_eq!(world.texts(1), ["one", "two", "and on"]);
}

// Tests [claim-shows].
#[test]
fn a_contact_is_not_called_confirmed_while_it_only_claims_to_be_itself_on_a_session() {
    let mut world = talked();
    let peer = world.id(1);
    assert!(world.turn(0, |turn| turn.confirmed(&peer)).unwrap());
    world.noise(1, 7);
    let want = world.turn(1, |turn| turn.wanted()).unwrap().remove(0);
    let (bundle, _) = world.relay.bundles[&hash_of(&want.capability).to_vec()].clone();
    world.turn(1, |turn| turn.fetched(&want.contact, &want.fetch_id, &bundle, None)).unwrap();
    world.depart(1);
    world.arrive(0);
    assert!(!world.turn(0, |turn| turn.confirmed(&peer)).unwrap());
    world.settle();
    world.settle();
    assert!(world.turn(0, |turn| turn.confirmed(&peer)).unwrap());
}

// Tests [replay-renews-nothing].
#[test]
fn t10_an_old_envelope_of_a_session_that_is_gone_begins_nothing() {
    let mut world = talked();
    let old = world.relay.boxes[1].clone();
    // Three sessions later nothing of the first is left.
    for round in 0..4 {
        world.noise(1, 100 + round);
        world.settle();
        world.settle();
        world.pass(25);
    }
    let (texts, renewals) = (world.texts(1), world.renewals(1).len());
    assert_eq!(renewals, 4);
    world.users[1].reopen();
    for entry in old {
        world.relay.boxes[1].push(entry);
        world.arrive(1);
    }
    assert_eq!(world.texts(1), texts);
    assert_eq!(world.renewals(1).len(), renewals, "an old envelope renews nothing");
    world.no_tag_repeats();
}

// Tests [renewed-once-an-hour].
#[test]
fn noise_without_end_begins_one_session_an_hour_at_most() {
    let mut world = talked();
    let mut fetches = Vec::new();
    for minute in 0..(6 * 60) {
        if minute % 10 == 0 {
            world.noise(1, 1_000 + minute);
        }
        for want in world.turn(1, |turn| turn.wanted()).unwrap() {
            fetches.push(minute);
            let key = hash_of(&want.capability).to_vec();
            let link = world.relay.bundles.get_mut(&key).unwrap();
            let (bundle, one_time) = (link.0.clone(), link.1.pop_front());
            world
                .turn(1, |turn| {
                    turn.fetched(&want.contact, &want.fetch_id, &bundle, one_time.as_deref())
                })
                .unwrap();
            // The contact is there, so that each session is confirmed before the next one.
            for _ in 0..3 {
                world.depart(1);
                world.arrive(0);
                world.depart(0);
                world.arrive(1);
            }
        }
        world.now = Timestamp(world.now.0 + 60_000);
    }
    assert!((4..=6).contains(&fetches.len()), "{fetches:?}");
    assert!(fetches.windows(2).all(|pair| pair[1] - pair[0] >= 59), "{fetches:?}");
    // A contact who is away is not asked again before a day is over.
    world.noise(1, 9);
    world.pass(2);
    let first = world.turn(1, |turn| turn.wanted()).unwrap();
    for want in &first {
        let key = hash_of(&want.capability).to_vec();
        let (bundle, _) = world.relay.bundles[&key].clone();
        world.turn(1, |turn| turn.fetched(&want.contact, &want.fetch_id, &bundle, None)).unwrap();
    }
    for hour in 0..22 {
        world.noise(1, 10_000 + hour);
        world.pass(1);
        assert!(world.turn(1, |turn| turn.wanted()).unwrap().is_empty(), "hour {hour}");
    }
    world.send(0, "through all of it");
    world.settle();
    world.settle();
    assert_eq!(world.texts(1).last().unwrap(), "through all of it");
}

// Tests [strangers-renew-nothing].
#[test]
fn noise_by_a_link_or_of_someone_who_waits_begins_nothing() {
    let mut world = World::meet(LinkUse::Reusable);
    assert_eq!(world.stage(1, 0), Some(Stage::Waiting));
    let handle = world.relay.boxes[1][0].0;
    let noise: [u8; 2048] = array(&mut StdRng::seed_from_u64(3)).unwrap();
    for version in [1, 2] {
        world.relay.boxes[1].push((handle, [&[version], &noise[1..]].concat()));
    }
    world.arrive(1);
    let alice = world.id(0);
    world.turn(1, |turn| turn.renew(&alice, Renewal::PeerForked)).unwrap();
    assert!(world.renewals(1).is_empty());
    assert!(world.turn(1, |turn| turn.wanted()).unwrap().is_empty());
}

// Tests [missed-deliveries-renew], [doubtful-acknowledgements].
#[test]
fn t70_a_backup_that_missed_deliveries_notices_by_the_relays_numbers() {
    let mut world = talked();
    let backup = world.users[0].copy(71);
    world.send(1, "delivered to the life that is over");
    world.settle();
    world.forget_delivered(0);
    world.users[0] = backup;
    world.send(1, "to the backup");
    world.depart(1);
    world.arrive(0);
    assert_eq!(world.renewals(0), [Renewal::MessagesLost]);
    let bob = world.id(1);
    assert!(world.turn(0, |turn| Ok(Contact::load(turn.tx, &bob)?.unwrap().doubtful)).unwrap());
    let mut quiet = talked();
    let backup = quiet.users[0].copy(72);
    quiet.send(1, "the last one");
    quiet.settle();
    quiet.forget_delivered(0);
    quiet.users[0] = backup;
    let head = quiet.relay.boxes[0].len() as u64;
    quiet.turn(0, |turn| turn.subscribed([0; 16], head)).unwrap();
    quiet.turn(0, |turn| turn.upkeep()).unwrap();
    assert!(quiet.renewals(0).is_empty(), "it may be on its way");
    quiet.pass(1);
    quiet.turn(0, |turn| turn.upkeep()).unwrap();
    assert_eq!(quiet.renewals(0), [Renewal::MessagesLost]);
}

// Tests [new-link-connects-anew].
#[test]
fn a_new_link_of_a_contact_connects_anew_and_the_same_link_only_renames() {
    let mut world = World::new(31);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.settle();
    let alice = world.id(0);
    world.turn(1, |turn| turn.accept(&alice)).unwrap();
    world.settle();
    world.send(0, "first");
    world.settle();
    let before = world.sending(0);
    world.turn(0, |turn| turn.add(&link, "robert")).unwrap();
    world.settle();
    assert_eq!(world.sending(0), before);
    // Bob's sessions with Alice are gone: nothing he could do about it by himself.
    world.turn(1, |turn| Ok(turn.tx.drop_record(Kind::Sessions, &alice)?)).unwrap();
    world.send(0, "into the void");
    let link = world.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.settle();
    world.settle();
    assert_ne!(world.sending(0), before);
    assert_eq!(world.texts(1), ["first", "into the void"]);
    world.send(1, "there you are");
    world.settle();
    assert_eq!(world.texts(0), ["there you are"]);
}

// Tests [unanswered-begins-anew].
#[test]
fn a_session_that_nobody_answers_is_begun_anew_after_two_weeks() {
    let mut world = World::new(33);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.send(0, "is anybody there?");
    world.duties(0);
    world.depart(0);
    let first = std::mem::take(&mut world.relay.boxes[1]);
    assert_eq!(first.len(), 2);
    world.pass(13 * 24);
    world.turn(0, |turn| turn.upkeep()).unwrap();
    assert!(world.renewals(0).is_empty());
    world.pass(2 * 24);
    world.turn(0, |turn| turn.upkeep()).unwrap();
    assert_eq!(world.renewals(0), [Renewal::Unanswered]);
    world.settle();
    let alice = world.id(0);
    world.turn(1, |turn| turn.accept(&alice)).unwrap();
    world.settle();
    // And the first ones after all: shown once.
    world.relay.boxes[1].extend(first);
    world.settle();
    assert_eq!(world.texts(1), ["is anybody there?"]);
    assert_eq!(world.stage(0, 1), Some(Stage::Accepted));
}

// Tests [one-way-is-acknowledged].
#[test]
fn who_only_reads_acknowledges_now_and_then_and_strangers_hear_nothing() {
    let mut world = talked();
    let rows = |world: &mut World| {
        let rows: Vec<(u64, super::super::outbox::Item)> =
            world.turn(0, |turn| Ok(turn.tx.list(Log::Outbox, None, 0, 1_000)?)).unwrap();
        rows.iter().filter(|(_, item)| !item.stage.is_acknowledged()).count()
    };
    world.settle();
    for n in 0..40 {
        world.send(0, &format!("line {n}"));
    }
    world.depart(0);
    world.arrive(1);
    world.depart(1);
    world.arrive(0);
    assert!(rows(&mut world) <= 9, "32 were acknowledged at once");
    world.pass(1);
    world.turn(1, |turn| turn.upkeep()).unwrap();
    world.depart(1);
    world.arrive(0);
    assert_eq!(rows(&mut world), 0);
    // What is acknowledged is not acknowledged again, and nobody answers an acknowledgement.
    for _ in 0..5 {
        world.pass(2);
        for who in [0, 1] {
            world.turn(who, |turn| turn.upkeep()).unwrap();
        }
        let before = world.relay.boxes.clone().map(|boxed| boxed.len());
        world.settle();
        assert_eq!(world.relay.boxes.clone().map(|boxed| boxed.len()), before);
    }
    let mut world = World::meet(LinkUse::Reusable);
    for n in 0..50 {
        world.send(0, &format!("let me in {n}"));
    }
    world.settle();
    world.pass(2);
    world.turn(1, |turn| turn.upkeep()).unwrap();
    world.settle();
    assert!(world.relay.boxes[0].is_empty());
}

// Tests [renewal-ends-with-the-contact].
#[test]
fn who_is_rejected_fetches_nothing_any_more() {
    let mut world = talked();
    let bundles = world.relay.bundles.len();
    let alice = world.id(0);
    world.turn(1, |turn| turn.reject(&alice)).unwrap();
    world.duties(1);
    assert_eq!(world.relay.bundles.len(), bundles - 1);
    let keys = world.turn(1, |turn| Ok(turn.tx.scan(Kind::Prekey as u8, &[])?.len())).unwrap();
    assert_eq!(keys, 1, "the shelf is all that is left");
}

#[test]
fn nothing_is_looked_for_while_nothing_is_due() {
    let mut world = talked();
    world.settle();
    world.settle();
    for who in [0, 1] {
        world.turn(who, |turn| turn.due(64)).unwrap();
        world.turn(who, |turn| turn.wanted()).unwrap();
        assert!(!world.turn(who, |turn| turn.anything_due()).unwrap());
    }
    world.send(0, "now there is");
    assert!(world.turn(0, |turn| turn.anything_due()).unwrap());
}
