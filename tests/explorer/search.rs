//! Every state that a scenario reaches, each with a proof that the conversation goes on from there.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::planted::{Planted, Rules};
use super::world::{Action, Log, Violation, World};

/// Where an exploration begins and how far it goes.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) rules: Rules,
    /// Done before anything is explored.
    pub(super) prefix: Vec<Action>,
    /// How many messages each user writes beyond the prefix.
    pub(super) writes: [u8; 2],
    /// Whether a written message may also be one that leaves no room for an object.
    pub(super) big: bool,
    /// How many sessions each begins beyond the prefix.
    pub(super) begins: [u8; 2],
    /// Which device may lose everything, once.
    pub(super) loses: [bool; 2],
}

/// What an exploration saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Actions on the longest of the shortest ways.
    pub(super) depth: usize,
    /// States of the continuations beyond.
    pub(super) continued: usize,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, continued } = self;
        write!(f, "{states} states, {transitions} transitions, depth {depth}, ")?;
        write!(f, "{continued} states of continuations")
    }
}

/// A violation and the way to it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) violation: Violation,
    pub(super) trace: Vec<Action>,
}

impl Scenario {
    /// The world after the prefix.
    pub(super) fn start(&self) -> Result<World, Violation> {
        let mut world = World::new(self.rules);
        for action in &self.prefix {
            world = world.apply(*action, &mut Log::none())?;
        }
        Ok(world)
    }

    /// The limits of the users' messages, sessions and losses.
    fn limits(&self, start: &World) -> [(u8, u8, u8); 2] {
        [0, 1].map(|p| {
            let party = &start.parties[p];
            let loses = party.life + u8::from(self.loses[p]);
            (party.written + self.writes[p], party.begun + self.begins[p] + loses, loses)
        })
    }

    /// What can happen next. Crashes and altered bodies change nothing and are left out, unless a planted bug makes them
    /// matter or `all` asks for them.
    pub(super) fn actions(&self, start: &World, world: &World, all: bool) -> Vec<Action> {
        let limits = self.limits(start);
        let crash_sealing = all || self.rules.has(Planted::SentBeforePersisted);
        let crash_opening = all
            || self.rules.has(Planted::OwnKeyWipedBeforeCommit)
            || self.rules.has(Planted::AcknowledgedBeforeCommit);
        let maul = all || self.rules.has(Planted::StepBeforeAuthentication);
        let mut actions = Vec::new();
        for p in [0, 1] {
            let party = &world.parties[p];
            let (written, begun, loses) = limits[p];
            if party.written < written && world.can_write(p) {
                actions.push(Action::Write(p, false));
                if self.big {
                    actions.push(Action::Write(p, true));
                }
                if crash_sealing {
                    actions.push(Action::CrashSealing(p));
                }
            }
            if party.begun < begun.min(4) {
                actions.push(Action::Begin(p));
            }
            if party.life < loses {
                actions.push(Action::Lose(p));
            }
            if !self.rules.eager && world.owes(p) {
                actions.push(Action::Nudge(p));
            }
            for at in 0..world.parties[1 - p].envelopes.len() {
                if world.parties[p].opened >> at & 1 == 1 {
                    // A second delivery is looked at in `check`.
                    if self.rules.has(Planted::HandshakeForgotten) || all {
                        actions.push(Action::Deliver(p, at));
                    }
                } else if all || world.is_for(p, at) {
                    actions.push(Action::Deliver(p, at));
                    if crash_opening {
                        actions.push(Action::CrashOpening(p, at));
                    }
                    if maul {
                        actions.push(Action::Maul(p, at));
                    }
                }
            }
        }
        actions
    }

    /// Visits every state, breadth first.
    pub(super) fn explore(&self) -> Result<Explored, Box<Found>> {
        let found = |violation, trace| Box::new(Found { violation, trace });
        let start = self.start().map_err(|violation| found(violation, self.prefix.clone()))?;
        let mut ways: HashMap<u64, (u64, Action), Prints> = HashMap::default();
        let mut good: HashSet<u64, Prints> = HashSet::default();
        let root = start.fingerprint();
        let way = |ways: &HashMap<u64, (u64, Action), Prints>, mut at: u64| {
            let mut trace = Vec::new();
            while at != root
                && let Some((before, action)) = ways.get(&at)
            {
                trace.push(*action);
                at = *before;
            }
            trace.reverse();
            trace
        };
        let mut queue = VecDeque::from([(start.clone(), root, 0)]);
        ways.insert(root, (root, Action::Nudge(0)));
        let (mut transitions, mut depth) = (0, 0);
        let mut log = Log::none();
        while let Some((world, print, at)) = queue.pop_front() {
            depth = at;
            world
                .check()
                .and_then(|()| world.goes_on(&mut good))
                .map_err(|violation| found(violation, way(&ways, print)))?;
            for action in self.actions(&start, &world, false) {
                transitions += 1;
                let next = world.apply(action, &mut log).map_err(|violation| {
                    let mut trace = way(&ways, print);
                    trace.push(action);
                    found(violation, trace)
                })?;
                let after = next.fingerprint();
                if after != print && matches!(action, Action::Maul(..)) {
                    let mut trace = way(&ways, print);
                    trace.push(action);
                    let text = "an altered message changed the state".to_owned();
                    return Err(found(Violation(text), trace));
                }
                if let Entry::Vacant(new) = ways.entry(after) {
                    new.insert((print, action));
                    queue.push_back((next, after, at + 1));
                }
            }
        }
        let continued = good.len() - ways.keys().filter(|print| good.contains(print)).count();
        Ok(Explored { states: ways.len(), transitions, depth, continued })
    }
}

impl World {
    /// Whether an envelope that was not opened yet finds a session, or makes one.
    fn is_for(&self, to: usize, at: usize) -> bool {
        let (party, envelope) = (&self.parties[to], &self.parties[1 - to].envelopes[at]);
        let new = envelope.init == Some(party.life) && party.answered >> envelope.session & 1 == 0;
        party.entry(envelope.session).is_some() || new
    }

    /// Whether the model still says what SPEC does: it knows no bound on gaps, and has a bit for each envelope.
    pub(super) fn is_within_its_means(&self) -> bool {
        self.parties.iter().all(|party| {
            let gapped = party.entries.iter().map(|entry| entry.session.gapped()).max();
            party.envelopes.len() < 110 && party.written < 50 && gapped.unwrap_or_default() <= 5
        })
    }

    /// What holds in every state.
    fn check(&self) -> Result<(), Violation> {
        for to in [0, 1] {
            let (party, peer) = (&self.parties[to], &self.parties[1 - to]);
            for (at, envelope) in peer.envelopes.iter().enumerate() {
                if party.opened >> at & 1 == 1
                    && let Some(entry) = party.entry(envelope.session)
                    && party.entries[entry].session.open(envelope, false, &self.rules).is_ok()
                {
                    return Err(Violation(format!("party {to} opens envelope {at} a second time")));
                }
            }
            for entry in &party.entries {
                let session = &entry.session;
                if let Some(other) = peer.entry(session.name) {
                    let there = peer.entries[other].session.kem.epoch;
                    if session.kem.epoch.abs_diff(there) > 1 {
                        return Err(Violation(format!(
                            "session {} is in epochs {} and {there}",
                            session.name, session.kem.epoch
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// A fair continuation, in which the network forgot everything and the parties deposit again what their outboxes hold,
    /// delivers all that was written and fresh messages both ways. `good` holds the states of which that is known.
    fn goes_on(&self, good: &mut HashSet<u64, Prints>) -> Result<(), Violation> {
        let mut world = self.clone();
        let mut on_the_way = Vec::new();
        loop {
            let print = world.fingerprint();
            if good.contains(&print) {
                break;
            }
            on_the_way.push(print);
            match world.continuation()? {
                Some(step) => world = world.go_on(&step, &mut Log::none())?,
                None => {
                    world.arrived()?;
                    break;
                }
            }
            if world.parties.iter().any(|party| party.envelopes.len() > 50) {
                return Err(Violation("the parties never come to rest".to_owned()));
            }
        }
        good.extend(on_the_way);
        Ok(())
    }

    /// The next step of the fair continuation; none when all is at rest.
    pub(super) fn continuation(&self) -> Result<Option<Continued>, Violation> {
        for to in [0, 1] {
            for item in &self.parties[1 - to].outbox {
                let at = usize::from(item.envelope);
                if self.parties[to].opened >> at & 1 == 0 && self.is_for(to, at) {
                    return Ok(Some(Continued::By(Action::Deliver(to, at))));
                }
            }
        }
        if let Some(p) = [0, 1].into_iter().find(|p| self.owes(*p)) {
            return Ok(Some(Continued::By(Action::Nudge(p))));
        }
        // A device whose peer writes to a session that is not there any more begins another one.
        for to in [0, 1] {
            let (party, peer) = (&self.parties[to], &self.parties[1 - to]);
            let unheard = |content: u8| content > 0 && party.seen >> content & 1 == 0;
            let stuck = peer.outbox.iter().any(|item| unheard(item.content));
            if (stuck || !(self.can_write(to) || self.can_write(1 - to))) && party.begun < 4 {
                return Ok(Some(Continued::By(Action::Begin(to))));
            }
        }
        let extras = [0, 1].map(|p: usize| self.parties[p].extras);
        let p = usize::from(extras[0] > extras[1]);
        if extras[p] >= self.rules.pace / 2 + 5 {
            return Ok(None);
        }
        match (self.can_write(p), self.parties[p].begun) {
            (true, _) => Ok(Some(Continued::Fresh(p))),
            (false, 0..4) => Ok(Some(Continued::By(Action::Begin(p)))),
            _ => Err(Violation(format!("party {p} can never write again"))),
        }
    }

    /// Does a step of the fair continuation.
    pub(super) fn go_on(&self, step: &Continued, log: &mut Log) -> Result<Self, Violation> {
        match *step {
            Continued::By(action) => self.apply(action, log),
            Continued::Fresh(p) => {
                let mut next = self.apply(Action::Write(p, false), log)?;
                next.parties[p].extras += 1;
                next.mark = next.mark.or_else(|| self.sends_in(0));
                Ok(next)
            }
        }
    }

    fn sends_in(&self, p: usize) -> Option<(u8, u8)> {
        let session = &self.parties[p].entries[self.parties[p].sending(&self.rules)?].session;
        Some((session.name, session.kem.epoch))
    }

    /// At rest, after fresh messages both ways: nothing is missing and the session heals.
    pub(super) fn arrived(&self) -> Result<(), Violation> {
        for p in [0, 1] {
            let (party, peer) = (&self.parties[p], &self.parties[1 - p]);
            for content in 1..=party.written {
                if (party.gone | peer.seen) >> content & 1 == 0 {
                    return Err(Violation(format!("message {content} of party {p} is lost")));
                }
            }
            let waiting = party.outbox.iter().filter(|item| item.content > 0);
            let waiting = waiting.filter(|item| party.done >> item.content & 1 == 0).count();
            if waiting > 2 {
                return Err(Violation(format!("party {p} is never told what arrived")));
            }
            if self.sends_in(p).is_none_or(|(_, epoch)| epoch == 0) {
                return Err(Violation(format!("party {p} is never confirmed")));
            }
        }
        // Where answers leave at once and nothing is overtaken, both know which session was begun after which.
        let names = [0, 1].map(|p| self.sends_in(p).map(|(name, _)| name));
        if self.rules.eager && !self.overtaken && names[0] != names[1] {
            return Err(Violation(format!("the parties send on {names:?}")));
        }
        match (self.mark, self.sends_in(0)) {
            (Some((before, from)), Some((now, to))) if before == now && to <= from => {
                Err(Violation(format!("session {now} does not heal any more")))
            }
            _ => Ok(()),
        }
    }
}

/// A step of the fair continuation: something that was due, or a fresh message of one party.
#[derive(Clone, Copy, Debug)]
pub(super) enum Continued {
    By(Action),
    Fresh(usize),
}

/// Fingerprints are hashes already.
pub(super) type Prints = BuildHasherDefault<Print>;

#[derive(Default)]
pub(super) struct Print(u64);

impl Hasher for Print {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed here");
    }

    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
