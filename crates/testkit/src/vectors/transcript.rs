//! A conversation that is written down while it runs.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::{
    Vector,
    device::{one_time_secret, signed_secret, with_device},
    drawn, hex,
    session::{Conversation, DRAWS, Step},
};

/// Noon of some day, and a day.
const NOW: u64 = 1_800_000_000_000;
pub(super) const DAY: u64 = 86_400_000;

/// A case that grows step by step.
pub(super) struct Transcript {
    pub(super) vector: Vector,
    conversation: Conversation,
    number: usize,
    /// The chain in which each party sealed last.
    chains: [Option<u64>; 2],
}

impl Transcript {
    pub(super) fn new(name: &str, comment: &str) -> Self {
        Self::with(name, comment, true)
    }

    pub(super) fn with(name: &str, comment: &str, one_time: bool) -> Self {
        let case = with_device(Vector::new(name, comment, "ok"), "A", 3);
        let case = with_device(case, "B", 4);
        let case = case.with_bytes("SPKb secrets", &signed_secret("B", 7, NOW + 30 * DAY));
        let case =
            if one_time { case.with_bytes("OPKb secrets", &one_time_secret("B", 9)) } else { case };
        let drawn = |what: &str| drawn::<32>(&format!("session {name}: {what}"));
        let vector = case
            .with_bytes("EK private key", &drawn("EK"))
            .with_bytes("m of ct1", &drawn("m1"))
            .with_bytes("m of ct2", &drawn("m2"))
            .with("now", NOW);
        let conversation = Conversation::begin(&vector);
        Self { vector, conversation, number: 0, chains: [None; 2] }
    }

    /// Runs a step and notes what it drew.
    pub(super) fn step(
        &mut self,
        command: &str,
        content: Option<(&str, &[u8])>,
        entry: Option<Vec<u8>>,
    ) -> usize {
        self.number += 1;
        let number = self.number;
        let key = |key: &str| format!("{number:02} {key}");
        let mut vector = self.vector.clone().with(&key("do"), command);
        let bytes = content.map_or(&[][..], |(_, bytes)| bytes);
        if let Some((name, bytes)) = content {
            vector = match name {
                "content" | "envelope" => vector.with_bytes(&key(name), bytes),
                _ => vector.with(&key(name), bytes.len()),
            };
        }
        if let Some(entry) = &entry {
            vector = vector.with_bytes(&key("entry"), entry);
        }
        let mut recorder = Recorder::new(&format!("session {} {number}", vector.name));
        let step = Step { number, command, content: bytes.to_vec(), entry };
        let outputs = self.conversation.run(&step, &mut recorder);
        let chain = outputs.lines().find(|(name, _)| *name == "message");
        let chain = chain.and_then(|(_, message)| message.split(' ').next()?.parse().ok());
        if command.starts_with("seal") && chain.is_some() {
            let before = &mut self.chains[usize::from(command == "seal B")];
            let stepped = *before != chain;
            *before = chain;
            for (name, draw) in recorder.named(stepped) {
                vector = vector.with(&key(name), hex(&draw));
            }
        } else {
            assert!(recorder.0.is_empty(), "{command} draws");
        }
        self.vector = vector;
        number
    }

    pub(super) fn seal(&mut self, party: &str, content: &str) -> usize {
        self.step(&format!("seal {party}"), Some(("content", content.as_bytes())), None)
    }

    pub(super) fn seal_long(&mut self, party: &str, length: usize) -> usize {
        let content = vec![b'x'; length];
        self.step(&format!("seal {party}"), Some(("content length", &content)), None)
    }

    pub(super) fn open(&mut self, party: &str, envelope: usize) -> usize {
        self.step(&format!("open {party} {envelope:02}"), None, None)
    }

    /// Opens an envelope that nobody sealed here.
    pub(super) fn deliver(&mut self, party: &str, envelope: Vec<u8>) {
        let given = ("envelope", envelope.as_slice());
        self.step(&format!("deliver {party}"), Some(given), None);
    }

    pub(super) fn open_altered(&mut self, party: &str, envelope: usize, at: usize) {
        self.step(&format!("open {party} {envelope:02} altered at {at}"), None, None);
    }

    pub(super) fn run(&mut self, command: &str) {
        self.step(command, None, None);
    }

    /// The first message, opened, and A introduced.
    pub(super) fn meet(mut self) -> Self {
        let first = self.seal("A", "hello");
        self.open("B", first);
        self.run("introduce B");
        self
    }

    /// The party's next message begins a chain, though it has the number of the last.
    pub(super) fn forget_chain_of_b(&mut self) {
        self.chains[1] = None;
    }

    /// One message from each, opened; `from` first.
    pub(super) fn exchange(&mut self, from: &str, to: &str, rounds: usize) {
        for _ in 0..rounds {
            let ping = self.seal(from, "ping");
            self.open(to, ping);
            let pong = self.seal(to, "pong");
            self.open(from, pong);
        }
    }

    /// Met and `Confirmed` on both sides; B's turn.
    pub(super) fn confirmed(name: &str, comment: &str) -> Self {
        let mut transcript = Self::new(name, comment).meet();
        transcript.exchange("B", "A", 1);
        transcript
    }
}

/// Draws that are the same in every run, and kept.
struct Recorder(Vec<[u8; 32]>, String);

impl Recorder {
    fn new(name: &str) -> Self {
        Self(Vec::new(), name.to_owned())
    }

    /// The draws of a seal by their names: what comes when follows from how many there are.
    fn named(self, stepped: bool) -> Vec<(&'static str, Vec<u8>)> {
        let [ratchet, seed, m, hedge] = DRAWS;
        let (mut named, mut draws) = (Vec::new(), self.0.into_iter());
        if stepped {
            named.push((ratchet, draws.next().expect("a ratchet key").to_vec()));
        }
        match draws.as_slice() {
            [_] => {}
            [message, _] => named.push((m, message.to_vec())),
            [d, z, _] => named.push((seed, [*d, *z].concat())),
            other => panic!("{} draws", other.len()),
        }
        named.push((hedge, draws.next_back().expect("a hedge").to_vec()));
        named
    }
}

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("every draw of the protocol is of bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("every draw of the protocol is of bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let draw: [u8; 32] = drawn(&format!("{}: draw {}", self.1, self.0.len()));
        bytes.copy_from_slice(&draw);
        self.0.push(draw);
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}
