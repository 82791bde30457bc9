//! Two people and a relay that loses, repeats and reorders; crashes, old copies of a home, lost devices. Whatever happens,
//! everything that was written arrives in the end, and is shown once.
//!
//! `SEEDS=1000 cargo test` runs more of it, `SEED=7` one alone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use chopmark_core::hazmat::sealings::recorded;
use rand::RngExt as _;

use super::super::blob::Blob;
use super::*;

/// What can happen in a run besides loss, repeats, other orders and crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing else.
    Network,
    /// Someone goes on with an older copy of their home.
    OldCopy,
    /// Someone loses their device and makes another from the words.
    LostDevice,
}

/// Number, handle and envelope.
type Waiting = (u64, [u8; 8], Vec<u8>);

struct Run {
    world: World,
    rng: StdRng,
    /// Delivered next: mailbox, number and envelope.
    waiting: [Vec<Waiting>; 2],
    next: [u64; 2],
    /// Every envelope that the relay of someone ever took.
    taken: [BTreeSet<Vec<u8>>; 2],
    /// What each wrote that has to arrive.
    written: [BTreeSet<String>; 2],
    count: u32,
}

/// Two people who have met, to be copied by every run: making accounts takes longer than all the rest.
fn met() -> &'static std::sync::Mutex<World> {
    static MET: OnceLock<std::sync::Mutex<World>> = OnceLock::new();
    MET.get_or_init(|| {
        let mut world = World::meet(LinkUse::OneTime);
        for who in [0, 1] {
            world.send(who, "before it all");
            world.settle();
        }
        std::sync::Mutex::new(world)
    })
}

impl Run {
    fn new(seed: u64) -> Self {
        let met = met().lock().unwrap();
        let mut world = World {
            users: [met.users[0].copy(2 * seed), met.users[1].copy(2 * seed + 1)],
            relay: Relay {
                grants: met.relay.grants.clone(),
                bundles: met.relay.bundles.clone(),
                ..Relay::default()
            },
            now: met.now,
        };
        let next = [0, 1].map(|who| met.relay.boxes[who].len() as u64 + 1);
        drop(met);
        world.pass(1);
        Self {
            world,
            rng: StdRng::seed_from_u64(seed),
            waiting: Default::default(),
            next,
            taken: Default::default(),
            written: Default::default(),
            count: 0,
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn write(&mut self, who: usize) {
        let text = format!("{who} says {}", self.count);
        self.count += 1;
        self.world.send(who, &text);
        self.written[who].insert(text);
    }

    /// Someone's deposits and fetches. With a bad network one in three is lost.
    fn depart(&mut self, who: usize, bad: bool) {
        self.world.duties(who);
        for due in self.world.turn(who, |turn| turn.due(64)).unwrap() {
            if bad && self.one_in(3) {
                self.world.turn(who, |turn| turn.not_stored(due.seq, 0)).unwrap();
                continue;
            }
            let hash = hash_of(&due.capability).to_vec();
            let Some((owner, handle)) = self.world.relay.grants.get(&hash).copied() else {
                self.world.turn(who, |turn| turn.not_stored(due.seq, 0)).unwrap();
                continue;
            };
            // The relay takes the same envelope once, unless it lost what it had.
            if self.taken[owner].insert(due.envelope.clone()) || (bad && self.one_in(4)) {
                let seq = self.next[owner];
                self.next[owner] += 1;
                self.waiting[owner].push((seq, handle, due.envelope));
            }
            if !(bad && self.one_in(8)) {
                self.world.turn(who, |turn| turn.stored(due.seq)).unwrap();
            }
        }
        if !(bad && self.one_in(3)) {
            self.fetch(who);
        }
    }

    fn fetch(&mut self, who: usize) {
        for want in self.world.turn(who, |turn| turn.wanted()).unwrap() {
            let link = self.world.relay.bundles.get_mut(&hash_of(&want.capability).to_vec());
            let found = link.map(|(bundle, one_time)| (bundle.clone(), one_time.pop_front()));
            self.world
                .turn(who, |turn| match &found {
                    Some((bundle, one_time)) => {
                        let one_time = one_time.as_deref();
                        turn.fetched(&want.contact, &want.fetch_id, bundle, one_time)
                    }
                    None => turn.not_fetched(&want.contact, &want.fetch_id, true),
                })
                .unwrap();
        }
    }

    /// Some of what waits for someone arrives: in another order, twice, or in a turn that is lost.
    fn arrive(&mut self, who: usize, bad: bool) {
        let count = if bad { self.rng.random_range(0..4) } else { usize::MAX };
        for _ in 0..count.min(self.waiting[who].len()) {
            if self.waiting[who].is_empty() {
                return;
            }
            if bad && self.one_in(4) {
                // The relay gives what it has another order: numbers rise, envelopes change places.
                let other = self.rng.random_range(0..self.waiting[who].len());
                let (one, two) =
                    (self.waiting[who][0].2.clone(), self.waiting[who][other].2.clone());
                let handles = (self.waiting[who][0].1, self.waiting[who][other].1);
                (self.waiting[who][0].2, self.waiting[who][other].2) = (two, one);
                (self.waiting[who][0].1, self.waiting[who][other].1) = (handles.1, handles.0);
            }
            let (seq, handle, envelope) = self.waiting[who][0].clone();
            let delivery =
                Deliver { seq, handle: Handle(handle), envelope: envelope.clone().into() };
            if bad && self.one_in(6) {
                // The process dies before the commit.
                let died: Result<(), Error> = self.world.turn(who, |turn| {
                    turn.deliver(&delivery)?;
                    Err(Error::Internal("died"))
                });
                assert!(died.is_err());
                continue;
            }
            self.world.turn(who, |turn| turn.deliver(&delivery)).unwrap();
            self.waiting[who].remove(0);
            if bad && self.one_in(6) {
                let seq = self.next[who];
                self.next[who] += 1;
                self.waiting[who].push((seq, handle, envelope));
            }
        }
    }

    fn step(&mut self, bad: bool) {
        let who = self.rng.random_range(0..2);
        match self.rng.random_range(0..10) {
            0..3 => self.write(who),
            3..6 => self.depart(who, bad),
            6..9 => self.arrive(who, bad),
            _ => {
                let hours = [0, 1, 5, 30][self.rng.random_range(0..4)];
                self.world.pass(hours);
                self.world.turn(who, |turn| turn.upkeep()).unwrap();
            }
        }
    }

    /// A good network, and time.
    fn settle(&mut self) {
        for round in 0..40 {
            for who in [0, 1] {
                self.world.turn(who, |turn| turn.upkeep()).unwrap();
                self.depart(who, false);
                self.arrive(who, false);
            }
            self.world.pass(if round % 4 == 0 { 25 } else { 1 });
            if round > 4 && [0, 1].into_iter().all(|who| self.contents(who) == 0) {
                return;
            }
        }
    }

    /// How many contents of someone are not acknowledged.
    fn contents(&mut self, who: usize) -> usize {
        let rows: Vec<(u64, super::super::outbox::Item)> =
            self.world.turn(who, |turn| Ok(turn.tx.list(Log::Outbox, None, 0, 10_000)?)).unwrap();
        rows.iter()
            .filter(|(_, item)| item.content.is_some() && !item.stage.is_acknowledged())
            .count()
    }

    /// What someone wrote or was shown so far counts no more: their home is gone.
    fn end_life(&mut self, who: usize) {
        let shown = self.world.texts(who);
        self.written[1 - who].retain(|text| !shown.contains(text));
        self.written[who].clear();
    }

    /// What was written is on its way or was shown.
    fn nothing_is_forgotten(&mut self, when: &str) {
        for who in [0, 1] {
            let shown = self.world.texts(1 - who);
            let rows: Vec<(u64, super::super::outbox::Item)> = self
                .world
                .turn(who, |turn| Ok(turn.tx.list(Log::Outbox, None, 0, 10_000)?))
                .unwrap();
            let on_its_way = |text: &str| {
                let holds = |content: &Blob| {
                    content.windows(text.len()).any(|window| window == text.as_bytes())
                };
                rows.iter().any(|(_, item)| item.content.as_ref().is_some_and(holds))
            };
            for text in &self.written[who] {
                assert!(shown.contains(text) || on_its_way(text), "{when}: {text:?} is forgotten");
            }
        }
    }

    fn check(&mut self, seed: u64, fate: Fate) {
        for who in [0, 1] {
            let shown = self.world.texts(1 - who);
            let once: BTreeSet<String> = shown.iter().cloned().collect();
            assert_eq!(shown.len(), once.len(), "seed {seed}, {fate:?}: shown twice: {shown:?}");
            assert_eq!(self.contents(who), 0, "seed {seed}, {fate:?}: {who} still waits");
            let lost: Vec<_> = self.written[who].difference(&once).collect();
            assert!(lost.is_empty(), "seed {seed}, {fate:?}: of {who} lost {lost:?}");
        }
    }
}

fn run(seed: u64, fate: Fate) {
    let mut run = Run::new(seed);
    let who = (seed % 2) as usize;
    let mut copy = None;
    for step in 0..30 {
        run.step(true);
        if step % 10 == 0 {
            run.nothing_is_forgotten(&format!("seed {seed}, {fate:?}, step {step}"));
        }
        if step == 10 && fate == Fate::OldCopy {
            copy = Some(run.world.users[who].copy(seed + 7_000));
        }
        if step != 20 {
            continue;
        }
        match fate {
            Fate::Network => run.world.users[who].reopen(),
            Fate::OldCopy => {
                run.end_life(who);
                run.world.users[who] = copy.take().unwrap();
                let head = run.next[who] - 1;
                assert!(!run.world.turn(who, |turn| turn.subscribed([0; 16], head)).unwrap());
            }
            Fate::LostDevice => {
                run.end_life(who);
                run.lose_device(seed, who);
            }
        }
    }
    if fate == Fate::OldCopy {
        // SPEC §5.9: of what it sent before anyone noticed, all that the peer's last words may cover counts as delivered
        // once it is kept no longer.
        run.written[who].clear();
    }
    run.settle();
    run.check(seed, fate);
    if fate != Fate::Network {
        // And on it goes.
        for who in [0, 1] {
            run.write(who);
        }
        run.settle();
        run.check(seed, fate);
    }
}

impl Run {
    /// Another device, from the words: another mailbox, and nobody in it. The contact's link connects the two again.
    fn lose_device(&mut self, seed: u64, who: usize) {
        let now = self.world.now;
        self.world.users[who] = User::restored(1 + who as u64, seed + 9_000, now);
        self.waiting[who].clear();
        self.next[who] = 1;
        self.world.relay.grants.retain(|_, (owner, _)| *owner != who);
        let link = self.world.turn(1 - who, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
        self.world.turn(who, |turn| turn.add(&link, "again")).unwrap();
        self.world.duties(1 - who);
    }
}

fn seeds(from: u64, count: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (from..from + number("SEEDS").unwrap_or(count)).collect(),
    }
}

#[test]
fn what_is_written_arrives_once_whatever_the_network_does() {
    seeds(0, 200).into_iter().for_each(|seed| run(seed, Fate::Network));
}

#[test]
fn what_is_written_arrives_once_although_someone_goes_on_with_an_old_copy() {
    seeds(1_000, 60).into_iter().for_each(|seed| run(seed, Fate::OldCopy));
}

// Loss, repeats, turns that are lost, and a home that goes on with what it was: whatever is sealed again has another nonce.
#[test]
fn t70_no_key_meets_a_nonce_twice_in_runs_with_an_old_copy() {
    for seed in seeds(3_000, 10) {
        let ((), sealings) = recorded(|| run(seed, Fate::OldCopy));
        super::copies::no_pair_repeats(&sealings);
    }
}

#[test]
fn what_is_written_arrives_once_although_someone_loses_their_device() {
    seeds(2_000, 40).into_iter().for_each(|seed| run(seed, Fate::LostDevice));
}
