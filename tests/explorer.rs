//! Every state that two parties reach over a network that loses, repeats and reorders, while they crash and both begin at
//! once: no honest message is lost for good or opened twice, and no session wedges.
//!
//! The model ([`world`]) is SPEC §5.4, §5.7, §5.8 and §5.9 over names instead of keys. [`search`] visits its states,
//! [`planted`] breaks its rules one by one, to show that a broken one is found, and [`conformance`] does what the model
//! does on the core, to show that its rules are those of the code.
//!
//! What is bounded is how much the users write, how many sessions they begin and how often a device loses everything;
//! [`Scenario`] says each bound. Loss, repetition, reordering and crashes are not bounded: the network keeps all that was
//! ever released and delivers it at any time, again, or never; what a crash leaves behind is nothing. From each state a
//! fair continuation must deliver all that was written and fresh messages both ways, with nothing left on the network but
//! what the outboxes deposit again. `cargo test -p chopmark-tests --release explorer -- --ignored --nocapture` goes further.

mod conformance;
mod kem;
mod party;
mod planted;
mod real;
mod search;
mod session;
mod term;
mod world;

use std::time::Instant;

use planted::{ALL, Planted, Rules};
use search::Scenario;
use world::Action::{self, Begin, Deliver, Nudge, Write};
use world::{Log, World};

/// The lower id is that of the session which party 0 begins, or which party 1 begins.
const LOWER: [[u8; 8]; 2] = [[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 3, 2, 5, 4, 7, 6]];

fn rules(pace: u8, eager: bool) -> Rules {
    Rules { planted: None, pace, eager, ranks: LOWER[0] }
}

fn scenario(name: &'static str, rules: Rules, prefix: Vec<Action>, writes: [u8; 2]) -> Scenario {
    let (big, begins, loses) = (false, [0, 0], [false, false]);
    Scenario { name, rules, prefix, writes, big, begins, loses }
}

/// Nobody answered yet, and what is owed is sent at any time.
fn meeting(writes: [u8; 2]) -> Scenario {
    scenario("meeting", rules(1, false), vec![Begin(0)], writes)
}

/// A confirmed session, in which epochs follow each other as fast as they can.
fn epochs(writes: [u8; 2], big: bool) -> Scenario {
    Scenario { big, ..scenario("epochs", rules(1, true), confirmed(), writes) }
}

/// Two epochs on, a first message with an encapsulation key is still on its way.
fn late(writes: [u8; 2]) -> Scenario {
    let mut way = Way::after(rules(1, true), confirmed());
    way.write(1);
    way.write(0);
    way.arrive(1);
    for p in [1, 0, 1, 0, 1, 0] {
        way.write(p);
        way.arrive_last(1 - p);
    }
    scenario("late object", rules(1, true), way.actions, writes)
}

/// Both begin at once.
fn glare(lower: usize, eager: bool, writes: [u8; 2]) -> Scenario {
    let rules = Rules { ranks: LOWER[lower], ..rules(1, eager) };
    scenario("glare", rules, vec![Begin(0), Begin(1)], writes)
}

/// Each may begin another session beside a confirmed one.
fn renewal(eager: bool, begins: [u8; 2], writes: [u8; 2]) -> Scenario {
    Scenario { begins, ..scenario("renewal", rules(1, eager), confirmed(), writes) }
}

/// One device loses everything and begins anew.
fn loss(eager: bool, writes: [u8; 2]) -> Scenario {
    let loses = [false, true];
    Scenario { loses, ..scenario("loss of a device", rules(1, eager), confirmed(), writes) }
}

/// A session that both sides confirmed.
fn confirmed() -> Vec<Action> {
    let (hello, ct3, step) = (Deliver(1, 0), Deliver(0, 0), Deliver(1, 1));
    vec![Begin(0), Write(0, false), hello, Nudge(1), ct3, Nudge(0), step]
}

/// A way through the model, written down as it is walked.
struct Way {
    world: World,
    actions: Vec<Action>,
}

impl Way {
    fn after(rules: Rules, actions: Vec<Action>) -> Self {
        let mut way = Self { world: World::new(rules), actions: Vec::new() };
        actions.into_iter().for_each(|action| way.walk(action));
        way
    }

    fn walk(&mut self, action: Action) {
        self.world = self.world.apply(action, &mut Log::none()).unwrap();
        self.actions.push(action);
    }

    fn write(&mut self, p: usize) {
        self.walk(Write(p, false));
    }

    /// All that was released and not opened arrives, in order.
    fn arrive(&mut self, to: usize) {
        for at in 0..self.world.parties[1 - to].envelopes.len() {
            if self.world.parties[to].opened >> at & 1 == 0 {
                self.walk(Deliver(to, at));
            }
        }
    }

    /// What was released last arrives.
    fn arrive_last(&mut self, to: usize) {
        self.walk(Deliver(to, self.world.parties[1 - to].envelopes.len() - 1));
    }
}

#[allow(clippy::disallowed_methods, reason = "how long it took is for whoever reads the output")]
fn now() -> Instant {
    Instant::now()
}

fn explore(scenario: &Scenario) {
    let began = now();
    match scenario.explore() {
        Ok(explored) => eprintln!("{}: {explored}, {:.1?}", scenario.name, began.elapsed()),
        Err(found) => panic!("{}: {} after {:?}", scenario.name, found.violation, found.trace),
    }
}

// Tests [open-then-commit], [nothing-lost-silently], [acknowledgement-is-true], [whoever-steps-mixes].
#[test]
fn no_order_of_first_messages_loses_one_or_wedges_the_session() {
    explore(&meeting([2, 2]));
}

// Tests [whoever-steps-mixes], [secret-until-activation], [epoch-of-chain], [late-object-ignored], [once-per-chain].
#[test]
fn no_order_of_messages_breaks_a_kem_epoch() {
    explore(&epochs([4, 3], false));
    explore(&epochs([3, 2], true));
    explore(&late([2, 2]));
}

// Tests [glare-by-lower-id].
#[test]
fn whoever_begins_at_once_ends_in_one_conversation() {
    for lower in [0, 1] {
        explore(&glare(lower, false, [1, 1]));
        explore(&glare(lower, true, [2, 1]));
    }
}

// Tests [probe-only-beside-confirmed], [answered-where-it-came], [unconfirmed-evicts-no-confirmed].
#[test]
fn sessions_beside_a_confirmed_one_lose_nothing() {
    explore(&renewal(true, [1, 1], [2, 0]));
    explore(&renewal(true, [1, 1], [1, 1]));
    explore(&renewal(true, [2, 1], [1, 0]));
    explore(&renewal(false, [1, 0], [1, 1]));
}

#[test]
fn a_device_that_lost_everything_is_talked_to_again() {
    explore(&loss(true, [1, 1]));
    explore(&loss(false, [1, 0]));
}

/// Where each planted bug shows.
fn scene(planted: Planted) -> Scenario {
    match planted {
        Planted::EncapsulatorMixesAtItsOwnStep => epochs([3, 3], false),
        Planted::LateObjectTaken => late([2, 2]),
        Planted::SecretFreedOnAcknowledgement
        | Planted::MixedAtDecapsulation
        | Planted::StepBeforeAuthentication
        | Planted::OwnKeyWipedBeforeCommit
        | Planted::OldChainDroppedAtStep
        | Planted::GapsForgottenInAcknowledgement
        | Planted::AcknowledgedBeforeCommit
        | Planted::SentBeforePersisted
        | Planted::HandshakeForgotten => meeting([2, 2]),
        Planted::ClaimedBeforeOwn
        | Planted::ProbesBesideConfirmedOnly
        | Planted::OutboxForgottenOnMove => glare(0, false, [1, 1]),
        Planted::LastConfirmedSends => glare(0, true, [1, 1]),
        Planted::ContentBesideConfirmed | Planted::AnsweredWhereItSends => {
            renewal(true, [1, 1], [2, 0])
        }
        Planted::UnconfirmedEvictsConfirmed => renewal(true, [2, 2], [1, 1]),
    }
}

#[test]
fn each_planted_bug_is_found() {
    for planted in ALL {
        let mut scenario = scene(planted);
        scenario.rules.planted = Some(planted);
        let found = scenario.explore().expect_err(&format!("{planted:?} went unnoticed"));
        eprintln!("{planted:?}: {} after {:?}", found.violation, found.trace);
    }
}

// Tests [open-then-commit], [replay-changes-nothing], [errors-change-nothing].
#[test]
fn the_core_does_what_the_model_does_in_every_state() {
    let real =
        |scenario: Scenario| Scenario { rules: Rules { pace: 8, ..scenario.rules }, ..scenario };
    let scenarios = [
        real(meeting([2, 2])),
        real(epochs([3, 3], true)),
        real(glare(0, false, [1, 1])),
        real(glare(1, true, [1, 1])),
        real(renewal(true, [1, 1], [1, 1])),
        real(loss(false, [1, 1])),
    ];
    for scenario in scenarios {
        let began = now();
        let compared = conformance::every_action(&scenario, 1_500);
        let conformance::Compared { states, actions, .. } = compared;
        eprintln!(
            "{}: {actions} actions of {states} states, {:.1?}",
            scenario.name,
            began.elapsed()
        );
    }
}

#[test]
fn the_core_does_what_the_model_does_on_long_ways() {
    let began = now();
    let (mut actions, mut epochs) = (0, 0);
    for seed in 0..60 {
        let compared = conformance::at_random(&long(seed), seed, 60);
        actions += compared.actions;
        epochs += u32::from(compared.epochs);
    }
    eprintln!("{actions} actions, {epochs} epochs in {:.1?}", began.elapsed());
}

// Some ten million states; an hour without optimisation, ten minutes with it.
#[test]
#[ignore = "for a long evening: --release --ignored"]
fn no_message_is_lost_in_a_wider_world() {
    let scenarios = [
        meeting([3, 3]),
        epochs([5, 4], false),
        epochs([4, 3], true),
        late([3, 3]),
        glare(0, false, [2, 1]),
        glare(1, false, [1, 2]),
        renewal(true, [1, 1], [2, 1]),
        renewal(true, [2, 2], [1, 0]),
        loss(true, [2, 2]),
    ];
    scenarios.iter().for_each(explore);
    for scenario in scenarios {
        let rules = Rules { pace: 8, ..scenario.rules };
        conformance::every_action(&Scenario { rules, ..scenario }, 20_000);
    }
}

/// A long conversation at the pace of SPEC, with one or more sessions.
fn long(seed: u64) -> Scenario {
    let eager = seed.is_multiple_of(2);
    let rules = Rules { ranks: LOWER[usize::from(seed % 4 > 1)], ..rules(8, eager) };
    let begun =
        [vec![Begin(0)], vec![Begin(0), Begin(1)], confirmed()][(seed % 3) as usize].clone();
    let begins = if seed.is_multiple_of(5) { [1, 1] } else { [0, 0] };
    let loses = [seed.is_multiple_of(7), false];
    Scenario { big: seed % 2 == 1, begins, loses, ..scenario("a long way", rules, begun, [20, 20]) }
}
