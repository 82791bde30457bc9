//! Two honest devices that crash, over a network that an attacker owns.
//!
//! Whatever happens between them: nothing is opened twice, nothing that was altered is opened, what does not open leaves
//! the state as it was, what is honest still opens, and both mix the same KEM epochs.

use std::sync::OnceLock;

use chopmark_core::{
    session::{BUCKETS, Event, OpenError, SealError, Session},
    time::{DAY, Timestamp},
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;

use super::{
    alter,
    device::{Device, Letter},
    script::Script,
};
use crate::{
    party::{self, Party},
    seed::Seed,
};

/// The most operations that are done: an input is to be small.
const OPERATIONS: usize = 160;

/// What is remembered of letters at once.
const LETTERS: usize = 96;

struct World {
    sides: [Device; 2],
    /// Everything sent, in order; `None` once the network lost it.
    letters: Vec<Letter>,
    /// By letter: to whom it goes, whether it is lost, whether it was opened.
    to: Vec<usize>,
    lost: Vec<bool>,
    opened: Vec<bool>,
    /// States from before, to fall back to.
    backups: [Vec<u8>; 2],
    /// A side fell back to an older state: only what holds even then is asked.
    torn: bool,
    now: Timestamp,
    rng: ChaCha20Rng,
}

/// Two devices and a network, driven by `data`: the state to begin with, a seed, then operations.
pub fn session_ops(data: &[u8]) {
    let mut script = Script::new(data);
    let begin = script.u8();
    let mut world = World::new(usize::from(begin), script.u8());
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        world.step(operation, &mut script);
    }
    world.end();
}

impl World {
    fn new(begin: usize, seed: u8) -> Self {
        // Met; confirmed; in the middle of epoch 2; with gaps in ended chains.
        static BEGINNINGS: OnceLock<Vec<[Vec<u8>; 2]>> = OnceLock::new();
        let beginnings = BEGINNINGS.get_or_init(beginnings);
        let states = &beginnings[begin % beginnings.len()];
        let side = |n: usize| Device::new(Session::import(&states[n]).expect("its own state"));
        Self {
            sides: [side(0), side(1)],
            letters: Vec::new(),
            to: Vec::new(),
            lost: Vec::new(),
            opened: Vec::new(),
            backups: states.clone(),
            torn: false,
            now: party::NOW,
            rng: Seed::fixed(u64::from(seed)).rng(),
        }
    }

    fn step(&mut self, operation: u8, script: &mut Script<'_>) {
        // The low bit names the side.
        let side = usize::from(operation & 1);
        match operation >> 1 & 0x0f {
            0..=2 => self.send(side, script.u8(), false),
            3 => self.send(side, script.u8(), true),
            4..=5 => self.deliver(side, script.u8(), false),
            6 => self.deliver(side, script.u8(), true),
            7 => self.deliver_all(side),
            8 => self.tamper(script),
            9 => self.replay(script.u8()),
            10 => self.lose(script.u8()),
            11 => self.reflect(script.u8()),
            12 => self.sides[side].restart(),
            13 => self.wait(script.u8()),
            14 => self.without_randomness(side),
            _ => match script.u8() % 4 {
                0 => self.backups[side] = self.sides[side].stored().to_vec(),
                1 => {
                    let backup = self.backups[side].clone();
                    self.torn = true;
                    self.sides[side].fall_back(&backup);
                }
                2 => self.exchange(side),
                _ => self.noise(side, script),
            },
        }
    }

    /// A message of one of some lengths: mostly short, sometimes at the edge of a bucket or too long.
    fn send(&mut self, from: usize, length: u8, crash: bool) {
        let limit = self.sides[from].session.max_content();
        let length = match length {
            0..=127 => usize::from(length),
            128..=191 => {
                let bucket = BUCKETS[usize::from(length) % BUCKETS.len()];
                // What besides content stands in an envelope, an object in it or not.
                let besides =
                    [106, 106 + 1184, 106 + 1120, 106 + 2333][usize::from(length / 8) % 4];
                (bucket + usize::from(length % 3)).saturating_sub(besides + 1)
            }
            192..=207 => limit - usize::from(length - 192),
            208..=215 => limit + 1 + usize::from(length - 208),
            _ => usize::from(length) * 16,
        };
        let mut content = vec![0; length];
        self.rng.fill_bytes(&mut content);
        let sealed = self.sides[from].seal(&content, self.now, &mut self.rng, crash);
        if length > limit {
            assert_eq!(sealed.err(), Some(SealError::TooLong { limit }));
            return;
        }
        let Some(letter) = sealed.expect("what is not too long is sealed") else { return };
        let smallest = BUCKETS.into_iter().find(|bucket| *bucket >= length + 106);
        // An overdue object lifts to the next bucket at most; an init block adds its own length.
        let highest = BUCKETS.into_iter().find(|bucket| *bucket >= length + 106 + 2333 + 1184);
        let sealed = Some(letter.envelope.len());
        assert!(sealed >= smallest && (highest.is_none() || sealed <= highest), "a wrong bucket");
        let again = self.of(1 - from).any(|at| self.letters[at].position == letter.position);
        assert!(self.torn || !again, "a key was used twice");
        if self.letters.len() < LETTERS {
            self.letters.push(letter);
            self.to.push(1 - from);
            self.lost.push(false);
            self.opened.push(false);
        }
    }

    /// The letters that were sent to a side.
    fn of(&self, side: usize) -> impl Iterator<Item = usize> {
        (0..self.letters.len()).filter(move |at| self.to[*at] == side)
    }

    fn pick(&self, of: impl Iterator<Item = usize>, at: u8) -> Option<usize> {
        let letters: Vec<usize> = of.collect();
        letters.get(usize::from(at) % letters.len().max(1)).copied()
    }

    fn deliver(&mut self, to: usize, at: u8, crash: bool) {
        let waiting = self.of(to).filter(|at| !self.lost[*at] && !self.opened[*at]);
        if let Some(at) = self.pick(waiting, at) {
            self.receive(at, crash);
        }
    }

    fn deliver_all(&mut self, to: usize) {
        let waiting = self.of(to).filter(|at| !self.lost[*at] && !self.opened[*at]);
        for at in waiting.collect::<Vec<_>>() {
            self.receive(at, false);
        }
    }

    fn receive(&mut self, at: usize, crash: bool) {
        let (to, letter) = (self.to[at], self.letters[at].clone());
        match self.sides[to].open(&letter.envelope, self.now, crash) {
            Ok(received) => {
                assert!(received.content == letter.content, "it opened to something else");
                assert_eq!(received.position, letter.position);
                self.believe(to, &received.events, received.acknowledged);
                self.opened[at] = !crash;
            }
            Err(error) => {
                let expected = self.torn || self.sides[to].gave_up(letter.position);
                assert!(expected, "an honest message does not open: {error}");
            }
        }
    }

    /// What an honest peer says is true, and no honest message raises an alarm.
    fn believe(
        &self,
        to: usize,
        events: &[Event],
        said: Option<chopmark_core::session::Acknowledged>,
    ) {
        if self.torn {
            return;
        }
        for event in events {
            let alarm = matches!(event, Event::KemObjectRefused | Event::AcknowledgedBeyondSent);
            assert!(!alarm, "{event:?}");
        }
        let Some(said) = said else { return };
        for at in self.of(1 - to) {
            let covered = said.covers(self.letters[at].position);
            assert!(!covered || self.opened[at], "acknowledged and never opened");
        }
        let [one, other] = [0, 1].map(|side: usize| self.sides[side].epoch());
        assert!(one.abs_diff(other) <= 1, "epochs {one} and {other}");
    }

    fn replay(&mut self, at: u8) {
        let opened = (0..self.letters.len()).filter(|at| self.opened[*at]);
        let Some(at) = self.pick(opened, at) else { return };
        let (to, envelope) = (self.to[at], self.letters[at].envelope.clone());
        let again = self.sides[to].open(&envelope, self.now, true);
        assert!(self.torn || again.is_err(), "a message was opened twice");
        // Its chain is still known while anything of it is missing.
        let known = matches!(
            again.err(),
            None | Some(
                OpenError::AlreadyOpened { .. } | OpenError::GivenUp | OpenError::NotForThisSession
            )
        );
        assert!(self.torn || known, "a replay is mistaken for something else");
    }

    fn lose(&mut self, at: u8) {
        let waiting = (0..self.letters.len()).filter(|at| !self.opened[*at] && !self.lost[*at]);
        if let Some(at) = self.pick(waiting, at) {
            self.lost[at] = true;
        }
    }

    /// A letter comes back to who sent it.
    fn reflect(&mut self, at: u8) {
        let Some(at) = self.pick(0..self.letters.len(), at) else { return };
        let (from, envelope) = (1 - self.to[at], self.letters[at].envelope.clone());
        let opened = self.sides[from].open(&envelope, self.now, true);
        assert_eq!(opened.err(), Some(OpenError::NotForThisSession), "its own message");
    }

    fn tamper(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.pick(0..self.letters.len(), script.u8()) else { return };
        let Some(donor) = self.pick(0..self.letters.len(), script.u8()) else { return };
        let to = self.to[at];
        let (envelope, donor) = (&self.letters[at].envelope, &self.letters[donor].envelope);
        let altered = alter::envelope(envelope, donor, script);
        if self.letters.iter().any(|letter| letter.envelope == altered) {
            return;
        }
        let opened = self.sides[to].open(&altered, self.now, true);
        assert!(opened.is_err(), "what was altered is opened");
    }

    fn noise(&mut self, to: usize, script: &mut Script<'_>) {
        let mut envelope = vec![0; script.one_of(&BUCKETS)];
        self.rng.fill_bytes(&mut envelope);
        envelope[0] = script.u8() % 4;
        let opened = self.sides[to].open(&envelope, self.now, true).err();
        let refused = [Some(OpenError::NotForThisSession), Some(OpenError::NotAnEnvelope)];
        assert!(refused.contains(&opened), "noise is mistaken for something");
    }

    fn wait(&mut self, how_long: u8) {
        let minutes = match how_long {
            0..=199 => u64::from(how_long) + 1,
            200..=239 => (u64::from(how_long) - 199) * DAY.as_secs() / 60,
            _ => (u64::from(how_long) - 210) * DAY.as_secs() / 60,
        };
        self.now = Timestamp(self.now.0.saturating_add(minutes * 60_000));
    }

    fn without_randomness(&mut self, side: usize) {
        let sealed = self.sides[side].seal(b"never", self.now, &mut Broken, false);
        assert_eq!(sealed.err(), Some(SealError::Randomness));
    }

    /// A whole turn of each side, with everything delivered.
    fn exchange(&mut self, first: usize) {
        for from in [first, 1 - first] {
            self.send(from, 20, false);
            self.deliver_all(1 - from);
        }
    }

    /// In the end the network is honest: everything that it still has arrives, and both go on.
    fn end(&mut self) {
        for to in [0, 1] {
            self.deliver_all(to);
        }
        if self.torn {
            return;
        }
        for at in 0..self.letters.len() {
            let position = self.letters[at].position;
            let told =
                self.lost[at] || self.opened[at] || self.sides[self.to[at]].gave_up(position);
            assert!(told, "a message was lost in silence");
        }
        self.letters.truncate(LETTERS - 8);
        self.to.truncate(LETTERS - 8);
        self.lost.truncate(LETTERS - 8);
        self.opened.truncate(LETTERS - 8);
        for _ in 0..3 {
            self.exchange(1);
        }
        assert!(self.sides.iter().all(Device::is_confirmed), "they never confirm");
    }
}

/// A source of randomness that fails.
struct Broken;

impl rand_core::TryRng for Broken {
    type Error = rand_core::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Broken {}

/// Pairs of states to begin with.
fn beginnings() -> Vec<[Vec<u8>; 2]> {
    let mut rng = Seed::fixed(7).rng();
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, &mut rng);
    let first = party::seal(&mut alice, b"hello", &mut rng);
    let bob = b.respond(&a, &first);
    let mut states = vec![[alice.export().to_vec(), bob.export().to_vec()]];
    let mut sides = [Device::new(alice), Device::new(bob)];
    for turn in 1..46 {
        let from = turn % 2;
        // Later on, some letters are lost and leave gaps behind.
        for letter in 0..if turn > 20 { 3 } else { 1 } {
            let sealed = sides[from].seal(b"turn", party::NOW, &mut rng, false);
            let letter_sent = sealed.expect("short").expect("no crash");
            if letter != 1 {
                sides[1 - from].open(&letter_sent.envelope, party::NOW, false).expect("in order");
            }
        }
        if matches!(turn, 4 | 9 | 14 | 45) {
            states.push([0, 1].map(|side: usize| sides[side].stored().to_vec()));
        }
    }
    states
}
