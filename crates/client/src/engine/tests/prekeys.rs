//! Prekeys over months of virtual time, first messages that come again, one-time prekeys that a relay hands out twice.

use super::*;
use crate::engine::duty::hash_of;

const DAY: u64 = 24;

// Tests [prekeys-are-deleted].
#[test]
fn signed_prekeys_are_replaced_every_two_days_and_deleted_after_thirty_two() {
    let mut world = World::meet(LinkUse::OneTime);
    let mut seen = Vec::new();
    for _ in 0..(80 * 4) {
        world.pass(6);
        world.turn(1, |turn| turn.upkeep()).unwrap();
        world.duties(1);
        let alive = world.turn(1, |turn| turn.signed_prekeys()).unwrap();
        let now = world.now.0;
        assert!(alive.len() <= 17, "{alive:?}");
        let day = DAY * 3_600_000;
        assert!(alive.iter().all(|(_, at)| at.is_none_or(|at| now <= at + 33 * day)), "{alive:?}");
        // None goes before its time.
        seen.extend(alive.iter().filter_map(|(number, at)| Some((*number, (*at)?))));
        seen.sort_unstable();
        seen.dedup();
        let young = seen.iter().filter(|(_, at)| now < at + 31 * day);
        assert!(young.clone().all(|(number, _)| alive.iter().any(|(id, _)| id == number)));
        let (_, newest) = alive.last().unwrap();
        assert!(newest.is_none());
    }
    assert!((38..=41).contains(&seen.len()), "one every two days: {}", seen.len());
}

#[test]
fn a_first_message_is_accepted_across_rotations_for_as_long_as_a_relay_keeps_it() {
    for (days, accepted) in [(20, true), (29, true), (40, false)] {
        let mut world = World::new(51);
        let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
        world.duties(1);
        world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        world.depart(0);
        for _ in 0..days {
            world.pass(DAY);
            world.turn(1, |turn| turn.upkeep()).unwrap();
        }
        world.arrive(1);
        assert_eq!(world.stage(1, 0).is_some(), accepted, "{days} days");
    }
}

#[test]
fn a_link_gets_one_time_prekeys_again_when_fewer_than_eight_are_left() {
    let mut world = World::new(53);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    let secret = chopmark_core::link::LinkSecret::from_bytes(link.expose_secret());
    let knock = hash_of(secret.knock_capability().expose()).to_vec();
    let stock = |world: &World| world.relay.bundles[&knock].1.len();
    for n in 0..25 {
        let now = world.now;
        world.users[0] = User::new(700 + n as u64, now);
        world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        world.depart(0);
        world.arrive(1);
        world.relay.grants.retain(|_, (owner, _)| *owner != 0);
        assert_eq!(stock(&world), 31 - n);
        world.turn(1, |turn| turn.upkeep()).unwrap();
        world.duties(1);
        if n < 24 {
            assert_eq!(stock(&world), 31 - n, "not before");
        }
    }
    assert_eq!(stock(&world), 32);
}

#[test]
fn t21_a_first_message_that_comes_again_makes_no_second_session() {
    let mut world = World::new(55);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.send(0, "hello");
    world.depart(0);
    world.arrive(1);
    let first = world.relay.boxes[1].clone();
    let alice = world.id(0);
    let state = |world: &mut World| {
        let sessions =
            world.turn(1, |turn| Ok(turn.tx.load(Kind::Sessions as u8, &alice)?.unwrap().to_vec()));
        (sessions.unwrap(), world.texts(1), world.events(1).len())
    };
    let before = state(&mut world);
    let again = |world: &mut World| {
        for entry in &first {
            world.relay.boxes[1].push(entry.clone());
        }
        world.arrive(1);
    };
    // Its one-time prekey is gone with its use.
    again(&mut world);
    assert_eq!(state(&mut world), before);
    world.users[1].reopen();
    again(&mut world);
    assert_eq!(state(&mut world), before);
    // The signed prekey was replaced, then deleted, and what was remembered of the handshake with it.
    for days in [4, 40] {
        for _ in 0..days {
            world.pass(DAY);
            world.turn(1, |turn| turn.upkeep()).unwrap();
        }
        world.duties(1);
        again(&mut world);
        assert_eq!(state(&mut world), before, "after {days} days");
    }
    // Without the session there is still none.
    world.turn(1, |turn| turn.agree(&alice, "alice")).unwrap();
    world.turn(1, |turn| Ok(turn.tx.drop_record(Kind::Sessions, &alice)?)).unwrap();
    again(&mut world);
    let sessions = world.turn(1, |turn| Ok(turn.tx.load(Kind::Sessions as u8, &alice)?));
    assert!(sessions.unwrap().is_none());
}

// Tests [prekey-reuse-is-told].
#[test]
fn t23_a_one_time_prekey_that_a_relay_gives_to_two_is_noticed_with_the_second() {
    let mut world = World::new(57);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    for (_, one_time) in world.relay.bundles.values_mut() {
        let same = one_time[0].clone();
        one_time.iter_mut().for_each(|blob| *blob = same.clone());
    }
    let reused = |world: &mut World| {
        let told = |what: &&What| matches!(what, What::PrekeyReused);
        world.events(1).iter().filter(told).count()
    };
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.depart(0);
    world.arrive(1);
    let genuine = world.relay.boxes[1].clone();
    world.arrive(1);
    assert_eq!(reused(&mut world), 0);
    let now = world.now;
    world.users[0] = User::new(571, now);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.send(0, "I was second");
    world.depart(0);
    world.arrive(1);
    assert_eq!(reused(&mut world), 1);
    assert_eq!(world.stage(1, 0), None);
    // Told once, however often, and a copy of the one that came first is none.
    let second = world.relay.boxes[1].clone();
    world.relay.boxes[1].extend(second.into_iter().chain(genuine));
    world.users[1].reopen();
    world.arrive(1);
    assert_eq!(reused(&mut world), 1);
    // The second is heard once it begins anew, with a prekey of its own.
    world.turn(1, |turn| turn.subscribed([1; 16], 9)).unwrap();
    world.turn(1, |turn| turn.subscribed([2; 16], 0)).unwrap();
    world.duties(1);
    world.pass(15 * DAY);
    world.turn(0, |turn| turn.upkeep()).unwrap();
    world.settle();
    assert_eq!(world.stage(1, 0), Some(Stage::Waiting));
    assert_eq!(world.texts(1), ["I was second"]);
}

#[test]
fn a_first_message_without_a_one_time_prekey_is_told_once_a_day() {
    let mut world = World::new(59);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    world.relay.bundles.values_mut().for_each(|(_, one_time)| one_time.clear());
    for n in 0..3 {
        let now = world.now;
        world.users[0] = User::new(590 + n, now);
        world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        world.depart(0);
        world.arrive(1);
        assert_eq!(world.stage(1, 0), Some(Stage::Waiting));
    }
    let told = |what: &&What| matches!(what, What::PrekeyMissing { .. });
    assert_eq!(world.events(1).iter().filter(told).count(), 1);
}

// Tests [sessions-a-day].
#[test]
fn nobody_begins_sessions_without_end() {
    let mut world = World::meet(LinkUse::OneTime);
    let (alice, bob) = (world.id(0), world.id(1));
    let source =
        world.turn(0, |turn| Ok(Contact::load(turn.tx, &bob)?.unwrap().source.unwrap())).unwrap();
    let begun = |world: &mut World| {
        world.turn(1, |turn| Ok(Contact::load(turn.tx, &alice)?.unwrap().begun.1)).unwrap()
    };
    world.pass(DAY);
    for n in 0..70 {
        let fetch = world
            .turn(0, |turn| {
                let mut contact = Contact::load(turn.tx, &bob)?.unwrap();
                let aim = super::super::contact::Aim::Meet;
                contact.fetch = Some(turn.fetch_of(source.clone(), aim, 0)?);
                contact.save(turn.tx, &bob)?;
                turn.expect_fetch(0)?;
                Ok(turn.wanted()?.remove(0))
            })
            .unwrap();
        let (bundle, _) = world.relay.bundles[&hash_of(&fetch.capability).to_vec()].clone();
        world.turn(0, |turn| turn.fetched(&bob, &fetch.fetch_id, &bundle, None)).unwrap();
        world.depart(0);
        world.arrive(1);
        world.forget_delivered(1);
        assert_eq!(begun(&mut world), (n + 1).min(64));
    }
    let kept = world.turn(1, |turn| Ok(turn.tx.scan(Kind::Init as u8, &[])?.len())).unwrap();
    assert!(kept <= 65);
}

// Tests [memory-expires].
#[test]
fn what_is_remembered_to_be_refused_is_forgotten_when_it_cannot_come_again() {
    let mut world = World::meet(LinkUse::OneTime);
    world.send(0, "once");
    world.settle();
    world.turn(1, |turn| turn.upkeep()).unwrap();
    let count = |world: &mut World, kind: Kind| {
        world.turn(1, |turn| Ok(turn.tx.scan(kind as u8, &[])?.len())).unwrap()
    };
    let kinds = [Kind::Seen, Kind::Init, Kind::Spent, Kind::Shown];
    assert!(kinds.iter().all(|kind| count(&mut world, *kind) > 0));
    let mut last = [0; 4];
    for day in 1..=410u64 {
        world.pass(DAY);
        if day % 2 == 1 {
            continue;
        }
        world.turn(1, |turn| turn.upkeep()).unwrap();
        for (at, kind) in kinds.iter().enumerate() {
            if count(&mut world, *kind) > 0 {
                last[at] = day;
            }
        }
    }
    let [seen, init, spent, shown] = last;
    assert!(seen == 32 && (32..=36).contains(&init) && spent == 70 && shown == 400, "{last:?}");
}
