//! The model against the core: what the model does, the core does on real keys, and both must show the same.
//!
//! That makes the model evidence: the rules that [`search`](super::search) explores are those of the code.

use std::collections::{HashSet, VecDeque};

use chopmark_testkit::seed::Seed;
use rand_core::Rng as _;

use super::real::Real;
use super::search::{Prints, Scenario};
use super::world::{Action, Log, Violation, World};

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    pub(super) states: usize,
    pub(super) actions: usize,
    pub(super) epochs: u8,
}

/// Both sides of a comparison.
#[derive(Clone)]
struct Both {
    model: World,
    real: Real,
}

impl Both {
    fn new(scenario: &Scenario, seed: u64) -> Self {
        let real = Real::new(scenario.rules, seed);
        let mut both = Self { model: World::new(scenario.rules), real };
        for action in &scenario.prefix {
            both = both.after(*action).unwrap_or_else(|why| panic!("{}: {why}", scenario.name));
        }
        both
    }

    fn after(&self, action: Action) -> Result<Self, String> {
        self.follow(
            |log| self.model.apply(action, log),
            |real| match action {
                Action::CrashSealing(p) => real.crash_sealing(p),
                Action::CrashOpening(to, envelope) => real.crash_opening(to, envelope),
                _ => Ok(()),
            },
        )
    }

    fn follow(
        &self,
        act: impl FnOnce(&mut Log) -> Result<World, Violation>,
        crash: impl FnOnce(&mut Real) -> Result<(), String>,
    ) -> Result<Self, String> {
        let mut log = Log::recording();
        let model = act(&mut log).map_err(|violation| violation.0)?;
        let mut real = self.real.clone();
        crash(&mut real)?;
        real.follow(&log.steps.unwrap_or_default(), &model)?;
        Ok(Self { model, real })
    }
}

/// Does every action of every state on the core too, breadth first, until `limit` actions were compared.
pub(super) fn every_action(scenario: &Scenario, limit: usize) -> Compared {
    let start = Both::new(scenario, 1);
    let first = start.model.clone();
    let mut seen: HashSet<u64, Prints> = HashSet::from_iter([first.fingerprint()]);
    let mut queue = VecDeque::from([start]);
    let mut compared = Compared::default();
    while let Some(both) = queue.pop_front() {
        compared.states += 1;
        for action in scenario.actions(&first, &both.model, true) {
            if compared.actions >= limit {
                return compared;
            }
            compared.actions += 1;
            let next = both.after(action).unwrap_or_else(|why| {
                panic!("{}: {why}, after {action:?} in {:?}", scenario.name, both.model)
            });
            if seen.insert(next.model.fingerprint()) {
                queue.push_back(next);
            }
        }
    }
    compared
}

/// One long way through a scenario at random, then its fair continuation, both on the core too.
pub(super) fn at_random(scenario: &Scenario, seed: u64, steps: usize) -> Compared {
    let mut rng = Seed::fixed(seed).rng();
    let mut both = Both::new(scenario, seed);
    let first = both.model.clone();
    let mut compared = Compared::default();
    let fail = |why: String, action: &dyn std::fmt::Debug| -> ! {
        panic!("{}, seed {seed}: {why}, after {action:?}", scenario.name)
    };
    for _ in 0..steps {
        let actions = scenario.actions(&first, &both.model, true);
        let late = |action: &Action| match action {
            Action::Deliver(to, at) => both.model.parties[*to].opened >> at & 1 == 0,
            _ => false,
        };
        // Half of the time something arrives, or nothing ever would.
        let new: Vec<Action> = actions.iter().copied().filter(late).collect();
        let from =
            if rng.next_u32().is_multiple_of(2) && !new.is_empty() { &new } else { &actions };
        let Some(action) = from.get(rng.next_u32() as usize % from.len().max(1)).copied() else {
            break;
        };
        let next = both.after(action).unwrap_or_else(|why| fail(why, &action));
        // The model knows no bound on gaps; full masks end it too.
        if next.model.is_within_its_means() {
            both = next;
            compared.actions += 1;
        }
    }
    while let Some(step) = both.model.continuation().unwrap_or_else(|why| fail(why.0, &"rest")) {
        let next = both.follow(|log| both.model.go_on(&step, log), |_| Ok(()));
        both = next.unwrap_or_else(|why| fail(why, &step));
        compared.actions += 1;
        if !both.model.is_within_its_means() {
            return compared;
        }
        compared.states += 1;
    }
    both.model.arrived().unwrap_or_else(|why| fail(why.0, &"the continuation"));
    let epochs = both.model.parties[0].entries.iter().map(|entry| entry.session.kem.epoch);
    compared.epochs = epochs.max().unwrap_or_default();
    compared
}
