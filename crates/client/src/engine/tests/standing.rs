//! Accounts that tell two stories, recover, or lose devices.

use chopmark_core::identity::{
    DeviceEntry, DeviceId, DeviceKeys, Manifest, RootKeys, SignedManifest,
};

use super::super::contact::Met;
use super::*;
use crate::event::Hold;

/// A list of devices that the root of the user of that seed signs.
fn manifest(words: u64, epoch: u32, devices: Vec<DeviceEntry>) -> SignedManifest {
    let seed = User::words(words);
    let root = RootKeys::from_seed(&seed);
    let next = RootKeys::from_seed(&seed.next()).public().commitment();
    Manifest::restored(root.public(), next, epoch, devices).sign(&root).unwrap()
}

fn other_device(number: u32) -> DeviceEntry {
    DeviceKeys::generate(&mut StdRng::seed_from_u64(99)).unwrap().entry(DeviceId(number))
}

impl World {
    fn meets(&mut self, who: usize, of: usize, manifest: &SignedManifest) -> Option<Met> {
        let id = self.id(of);
        self.turn(who, |turn| {
            let mut contact = Contact::load(turn.tx, &id)?.unwrap();
            let met = turn.meet(&id, &mut contact, manifest)?;
            contact.save(turn.tx, &id)?;
            Ok(met)
        })
        .unwrap()
    }

    fn frozen_events(&mut self, who: usize) -> usize {
        let frozen = |what: &&What| matches!(what, What::ContactFrozen { .. });
        self.events(who).iter().filter(frozen).count()
    }

    /// The other one's home is lost; another device is made from the words, and meets by a new link.
    fn restore_alice(&mut self, seed: u64) {
        let now = self.now;
        self.users[0] = User::restored(1, seed, now);
        self.relay.grants.retain(|_, (owner, _)| *owner != 0);
        self.relay.boxes[0].clear();
        let link = self.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
        self.duties(1);
        self.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    }
}

// Tests [equivocation-freezes].
#[test]
fn two_stories_freeze_a_contact_until_the_account_recovers() {
    let mut world = World::meet(LinkUse::OneTime);
    let alice = world.id(0);
    world.settle();
    let own = world.turn(0, |turn| turn.account()?.signed_manifest()).unwrap();
    world.send(1, "before");
    let other = manifest(1, 0, vec![other_device(1)]);
    assert!(world.meets(1, 0, &other).is_none());
    assert!(world.meets(1, 0, &other).is_none());
    assert_eq!(world.frozen_events(1), 1);
    world.users[1].reopen();
    let sent = world.turn(1, |turn| turn.send_text(&alice, "after"));
    assert!(matches!(sent, Err(Error::Held(Hold::TwoStories))));
    // A receipt that the wallet owes waits, and so does what was on its way.
    let body =
        Body::Custom(chopmark_wire::content::Custom { kind: "x".into(), data: Default::default() });
    world.turn(1, |turn| turn.send_body(&alice, body, "")).unwrap();
    let boxed = world.relay.boxes[0].len();
    world.pass(26);
    world.turn(1, |turn| turn.upkeep()).unwrap();
    world.settle();
    assert_eq!(world.relay.boxes[0].len(), boxed);
    // The next version of either story does not lift it.
    let root = RootKeys::from_seed(&User::words(1));
    for story in [&own, &other] {
        let next = story.updated(vec![other_device(2)]).unwrap().sign(&root).unwrap();
        assert!(world.meets(1, 0, &next).is_none());
    }
    assert!(matches!(
        world.turn(1, |turn| turn.agree_to_recovery(&alice)),
        Err(Error::Held(Hold::TwoStories))
    ));
    let recovered = manifest(1, 1, own.devices().to_vec());
    assert!(matches!(world.meets(1, 0, &recovered), Some(Met::Newer { recovered: true, .. })));
    world.turn(1, |turn| turn.agree_to_recovery(&alice)).unwrap();
    world.send(1, "again");
    world.settle();
    assert_eq!(world.texts(0), ["before", "again"]);
}

// Tests [recovery-is-acknowledged], [restore-outbids].
#[test]
fn t17_a_verified_contact_who_was_restored_is_written_to_once_the_user_agrees() {
    let mut world = World::meet(LinkUse::OneTime);
    let (alice, before) = (world.id(0), world.id(0));
    world
        .turn(1, |turn| {
            let mut contact = Contact::load(turn.tx, &alice)?.unwrap();
            contact.verified = true;
            Ok(contact.save(turn.tx, &alice)?)
        })
        .unwrap();
    world.send(1, "while you were away");
    world.settle();
    world.restore_alice(801);
    assert_eq!(world.id(0), before, "the same account");
    world.settle();
    let changed = |what: &What| matches!(what, What::DevicesChanged { recovered: true, .. });
    assert!(world.events(1).iter().any(changed));
    let verified =
        world.turn(1, |turn| Ok(Contact::load(turn.tx, &alice)?.unwrap().verified)).unwrap();
    assert!(!verified);
    let sent = world.turn(1, |turn| turn.send_text(&alice, "who is there?"));
    assert!(matches!(sent, Err(Error::Held(Hold::Recovered))));
    assert!(world.relay.boxes[0].is_empty(), "nothing leaves before the user agreed");
    world.turn(1, |turn| turn.agree_to_recovery(&alice)).unwrap();
    world.settle();
    world.settle();
    world.send(1, "welcome back");
    world.settle();
    assert_eq!(world.texts(0), ["while you were away", "welcome back"]);
}

#[test]
fn who_restores_from_the_words_is_connected_again_and_misses_nothing() {
    for contact_adds in [false, true] {
        let mut world = World::meet(LinkUse::OneTime);
        world.send(0, "before");
        world.settle();
        world.send(1, "unread");
        if contact_adds {
            let now = world.now;
            world.users[0] = User::restored(1, 803, now);
            world.relay.grants.retain(|_, (owner, _)| *owner != 0);
            world.relay.boxes[0].clear();
            let link = world.turn(0, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
            world.duties(0);
            world.turn(1, |turn| turn.add(&link, "alice")).unwrap();
        } else {
            world.restore_alice(802);
        }
        world.settle();
        world.settle();
        world.send(0, "back again");
        world.settle();
        world.settle();
        assert_eq!(world.texts(0), ["unread"]);
        assert_eq!(world.texts(1), ["before", "back again"]);
        let epochs =
            world.turn(0, |turn| Ok((turn.account()?.wallet_epoch, turn.account()?.device_id().0)));
        let (wallet, device) = epochs.unwrap();
        assert!(wallet > 0 && device > 1, "neither was ever used");
    }
}

// Tests [removed-device-ends], [newest-manifest-vouches].
#[test]
fn a_device_that_was_removed_is_neither_written_to_nor_heard() {
    let mut world = World::meet(LinkUse::OneTime);
    let mut stolen = world.users[0].copy(804);
    world.send(1, "to the new one only");
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.restore_alice(805);
    world.settle();
    world.settle();
    assert_eq!(world.texts(0), ["to the new one only"]);
    // The thief has the old home, and a link of Bob's that still works.
    let before = world.texts(1);
    std::mem::swap(&mut world.users[0], &mut stolen);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.send(0, "it is me, on the old device");
    world.depart(0);
    world.arrive(1);
    assert_eq!(world.texts(1), before);
    std::mem::swap(&mut world.users[0], &mut stolen);
    world.send(0, "still me");
    world.settle();
    assert_eq!(world.texts(1).last().unwrap(), "still me");
}
