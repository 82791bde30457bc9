//! Several sessions between two devices: both sides come to the same one.

use std::collections::BTreeSet;

use chopmark_core::{
    handshake::{InitBlock, InitId},
    session::{Role, Session, Status},
    sessions::Sessions,
};
use chopmark_testkit::party::{self, DEVICE};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

use super::{cases, open_one, probe, ratchet::people, rng, send};

/// Two sets of sessions, and what is on its way to each.
struct Pair {
    sides: [Sessions; 2],
    wire: [Vec<Vec<u8>>; 2],
    /// Handshakes that were answered: each once (SPEC §4.5).
    answered: BTreeSet<InitId>,
    rng: ChaCha20Rng,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self {
            sides: [Sessions::new(), Sessions::new()],
            wire: [vec![], vec![]],
            answered: BTreeSet::new(),
            rng: rng(seed),
        }
    }

    /// One side begins a session and writes on it, unless one that it began is still on its way.
    fn begin(&mut self, side: usize) {
        let pending = |session: &Session| {
            session.role() == Role::Initiator && session.status() != Status::Confirmed
        };
        if self.sides[side].iter().any(pending) {
            return;
        }
        let session = people()[side].initiate(&people()[1 - side], &mut self.rng);
        self.sides[side].insert(session);
        self.write(side);
    }

    fn write(&mut self, side: usize) {
        if self.sides[side].sending().is_none() {
            return;
        }
        let envelope = send(&mut self.sides[side], b"words", &mut self.rng);
        self.wire[1 - side].push(envelope);
        self.nudge(side);
    }

    /// What is owed leaves at once, as a client has it.
    fn nudge(&mut self, side: usize) {
        if self.sides[side].sending().is_some_and(Session::owes_progress) {
            let envelope = send(&mut self.sides[side], b"", &mut self.rng);
            self.wire[1 - side].push(envelope);
        }
        while let Some(envelope) = probe(&mut self.sides[side], &mut self.rng) {
            self.wire[1 - side].push(envelope);
        }
    }

    /// One of the letters under way arrives; a first message makes a session.
    fn deliver(&mut self, to: usize, at: usize) {
        if self.wire[to].is_empty() {
            return;
        }
        let at = at % self.wire[to].len();
        let envelope = self.wire[to].remove(at);
        if open_one(&mut self.sides[to], &envelope) {
            return self.nudge(to);
        }
        if !InitBlock::peek(&envelope).is_some_and(|peeked| self.answered.insert(peeked.id)) {
            return;
        }
        let (own, peer) = (&people()[to], &people()[1 - to]);
        let one_time = Some(&own.one_time);
        let answered = Session::respond(&own.own(), &own.signed, one_time, &envelope, party::NOW);
        if let Ok(answered) = answered {
            let mut session = answered.session;
            session.introduce(&peer.account, peer.manifest.device(DEVICE).unwrap()).unwrap();
            self.sides[to].insert(session);
            self.nudge(to);
        }
    }

    fn bounds(&self) -> Result<(), TestCaseError> {
        for side in &self.sides {
            let confirmed = |session: &&Session| session.status() == Status::Confirmed;
            let ours = |session: &&Session| session.role() == Role::Initiator;
            let (sure, open): (Vec<_>, Vec<_>) = side.iter().partition(confirmed);
            let begun = open.iter().filter(|it| ours(it)).count();
            prop_assert!(sure.len() <= 3 && begun <= 2 && open.len() - begun <= 2);
            let stored = side.export();
            prop_assert!(*Sessions::import(&stored).unwrap().export() == *stored);
        }
        Ok(())
    }

    /// Everything arrives, and each answers as often as it takes.
    fn settle(&mut self) {
        for round in 0..10 {
            for side in [round % 2, 1 - round % 2] {
                while !self.wire[side].is_empty() {
                    self.deliver(side, 0);
                }
                self.write(side);
            }
        }
    }
}

/// Somebody does something: begins (seldom), writes, or hears.
fn doings() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0_u8..10, 0_usize..2, 0_usize..16), 0..24)
}

proptest! {
    #![proptest_config(cases(24))]

    // Tests [glare-by-lower-id], [own-before-claimed].
    #[test]
    fn both_sides_choose_alike_whatever_they_begin_where_nothing_is_overtaken(seed: u64, doings in doings()) {
        let mut pair = Pair::new(seed);
        pair.begin(0);
        pair.begin(1);
        for (doing, side, _) in doings {
            match doing {
                0 => pair.begin(side),
                1..=4 => pair.write(side),
                _ => pair.deliver(side, 0),
            }
            pair.bounds()?;
            for side in &pair.sides {
                let ours = side.iter().any(|session| session.role() == Role::Initiator);
                let sending = side.sending();
                let claimed = sending.is_some_and(|it| it.role() == Role::Responder && it.status() != Status::Confirmed);
                prop_assert!(!(ours && claimed));
            }
        }
        pair.settle();
        let sending = [0, 1].map(|side: usize| pair.sides[side].sending().unwrap());
        prop_assert!(sending[0].id() == sending[1].id(), "they send on two sessions");
        prop_assert_eq!([sending[0].status(), sending[1].status()], [Status::Confirmed; 2]);
    }

    // Tests [unconfirmed-evicts-no-confirmed], [answered-where-it-came].
    #[test]
    fn sessions_have_bounds_and_both_still_hear_each_other(seed: u64, doings in doings()) {
        let mut pair = Pair::new(seed);
        pair.begin(0);
        for (doing, side, at) in doings {
            match doing {
                0 => pair.begin(side),
                1..=4 => pair.write(side),
                _ => pair.deliver(side, at),
            }
            pair.bounds()?;
        }
        pair.settle();
        pair.bounds()?;
        for side in [0, 1] {
            pair.wire = [vec![], vec![]];
            let envelope = send(&mut pair.sides[side], b"in the end", &mut pair.rng);
            prop_assert!(open_one(&mut pair.sides[1 - side], &envelope), "deaf in the end");
        }
    }

    // Tests [unconfirmed-evicts-no-confirmed].
    #[test]
    fn sessions_that_strangers_could_begin_push_out_no_confirmed_one(seed: u64, count in 1_usize..9) {
        let mut pair = Pair::new(seed);
        pair.begin(0);
        pair.settle();
        let sure = pair.sides[1].sending().unwrap().id();
        for _ in 0..count {
            let mut fresh = people()[0].initiate(&people()[1], &mut pair.rng);
            let first = party::seal(&mut fresh, b"again", &mut pair.rng);
            pair.wire[1] = vec![first];
            pair.deliver(1, 0);
            pair.bounds()?;
        }
        prop_assert!(pair.sides[1].sending().unwrap().id() == sure);
    }
}
