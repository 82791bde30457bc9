//! Time, what is due, and the connections: byte streams in order, as QUIC gives them, which come late, stall, are cut by a
//! partition or end at any frame. The two ends do not learn at the same time that a connection is gone.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_mailbox::ChannelBinding;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

/// One connection.
pub(super) type LinkId = u64;

/// What is due at some time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The next piece of a stream arrives.
    Arrive(LinkId, End),
    /// One end finds its connection gone.
    Learn(LinkId, End),
    /// A handshake is over, or failed.
    Dialed(LinkId),
    /// A machine at the relay wants to be woken.
    WakeRelay(LinkId),
    /// A client wants to be woken.
    WakeClient(usize),
    /// Someone has something to say.
    Write(usize),
    /// An owner commits what was delivered.
    Commit(usize),
    /// A sender learns that the application has a message.
    Heard(usize, u32),
    /// A sender learns that its relay began another life.
    Told(usize),
    /// The batch under way meets the disk.
    Batch(u64),
    /// Expired things are looked for.
    Sweep,
    /// The relay is started.
    Start,
    /// The relay has had its time to drain.
    Drained(u64),
    /// Something goes wrong.
    Fault(usize),
    /// Nothing goes wrong any more.
    Heal,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Relay,
    Client,
}

enum Piece {
    Bytes(Bytes),
    Close,
}

/// What a stream brought.
pub(super) enum Brought {
    Bytes(Bytes),
    Close,
    Nothing,
}

struct Link {
    client: usize,
    binding: ChannelBinding,
    /// Whether each end thinks that it has a connection.
    relay: bool,
    at_client: bool,
    /// Nothing that is sent now arrives.
    lost: bool,
    /// On their way, and when the last of them is there.
    flight: [VecDeque<Piece>; 2],
    last: [u64; 2],
    /// Bytes that the relay has written and the client has not read.
    unread: usize,
}

/// The network, and the only randomness of a run.
pub(super) struct Network {
    pub(super) now: u64,
    pub(super) rng: StdRng,
    due: BTreeMap<(u64, u64), Event>,
    numbers: u64,
    links: BTreeMap<LinkId, Link>,
    /// A connection ends at one in so many frames; 0 for never.
    pub(super) drop_one_in: u32,
    /// Until when packets are lost and sent again.
    pub(super) lossy_until: u64,
    /// Clients that are cut off, and until when.
    cuts: BTreeMap<usize, u64>,
    /// Clients that read a piece at a time, and how long they take.
    pub(super) slow: BTreeMap<usize, u64>,
    /// How far each clock is off: the relay's, then the clients'.
    pub(super) relay_clock: i64,
    pub(super) client_clocks: Vec<i64>,
    /// How often each kind of fault occurred.
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// When each client is woken next.
    wakes: BTreeMap<usize, u64>,
    pub(super) trace: bool,
}

/// 2026-01-01.
const BEGINNING: i64 = 1_767_225_600_000;
/// SPEC §6.1: a connection is gone after so much silence.
pub(super) const IDLE: u64 = 60_000;

impl Network {
    pub(super) fn new(seed: u64, clients: usize, trace: bool) -> Self {
        Self {
            now: 0,
            rng: StdRng::seed_from_u64(seed),
            due: BTreeMap::new(),
            numbers: 0,
            links: BTreeMap::new(),
            drop_one_in: 0,
            lossy_until: 0,
            cuts: BTreeMap::new(),
            slow: BTreeMap::new(),
            relay_clock: 0,
            client_clocks: vec![0; clients],
            faults: BTreeMap::new(),
            wakes: BTreeMap::new(),
            trace,
        }
    }

    pub(super) fn relay_time(&self) -> Timestamp {
        Timestamp((BEGINNING + self.now as i64 + self.relay_clock) as u64)
    }

    pub(super) fn client_time(&self, client: usize) -> Timestamp {
        Timestamp((BEGINNING + self.now as i64 + self.client_clocks[client]) as u64)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n)
    }

    pub(super) fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.rng.random_range(0..n) == 0
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>9} {}", self.now, what());
        }
    }

    pub(super) fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
        self.say(|| format!("FAULT {fault}"));
    }

    pub(super) fn after(&mut self, millis: u64, event: Event) {
        self.numbers += 1;
        self.due.insert((self.now + millis, self.numbers), event);
    }

    /// What is due next, and its time comes. `None` once nothing is due before `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<Event> {
        let first = self.due.first_entry()?;
        let at = first.key().0;
        if at > until {
            return None;
        }
        let event = first.remove();
        self.now = at;
        Some(event)
    }

    /// Begins a handshake. [`Event::Dialed`] says that it is over.
    pub(super) fn dial(&mut self, client: usize) -> LinkId {
        self.numbers += 1;
        let id = self.numbers;
        let mut binding = [0; 32];
        self.rng.fill_bytes(&mut binding);
        let link = Link {
            client,
            binding: ChannelBinding(binding),
            relay: false,
            at_client: true,
            lost: false,
            flight: Default::default(),
            last: [0; 2],
            unread: 0,
        };
        self.links.insert(id, link);
        let time = if self.is_cut(client) { 5_000 } else { 20 };
        let more = self.below(200);
        self.after(time + more, Event::Dialed(id));
        id
    }

    /// The handshake's end at the relay: who dialed, and the binding, if it still wants to and can.
    pub(super) fn accept(&mut self, id: LinkId) -> Option<(usize, ChannelBinding)> {
        let client = self.links.get(&id)?.client;
        let cut = self.is_cut(client);
        let link = self.links.get_mut(&id).filter(|link| link.at_client && !cut)?;
        link.relay = true;
        Some((client, link.binding))
    }

    /// Whose connection this is, while that end has it.
    pub(super) fn client(&self, id: LinkId) -> Option<usize> {
        self.links.get(&id).filter(|link| link.at_client).map(|link| link.client)
    }

    /// The binding of a connection that was accepted.
    pub(super) fn binding(&self, id: LinkId) -> ChannelBinding {
        self.links[&id].binding
    }

    /// Wakes a client when its own clock shows this.
    pub(super) fn wake(&mut self, client: usize, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let wait = at.as_millis().saturating_sub(self.client_time(client).as_millis());
        let wait = wait.clamp(1, 3_600_000);
        let planned = self.wakes.get(&client).copied().unwrap_or(0);
        if planned <= self.now || self.now + wait < planned {
            self.wakes.insert(client, self.now + wait);
            self.after(wait, Event::WakeClient(client));
        }
    }

    pub(super) fn unread(&self, id: LinkId) -> usize {
        self.links.get(&id).map_or(0, |link| link.unread)
    }

    fn is_cut(&self, client: usize) -> bool {
        self.cuts.get(&client).is_some_and(|until| *until > self.now)
    }

    /// Bytes from one end to the other.
    pub(super) fn send(&mut self, id: LinkId, from: End, bytes: &Bytes) {
        let to_relay = usize::from(from == End::Relay);
        let dropped = self.one_in(self.drop_one_in);
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.lost {
            return;
        }
        if dropped {
            self.count("connection lost at a frame");
            return self.lose(id);
        }
        if from == End::Relay {
            link.unread += bytes.len();
        }
        // Streams know no frames.
        let cut = self.rng.random_range(0..=bytes.len() * 2).min(bytes.len());
        for part in [bytes.slice(..cut), bytes.slice(cut..)] {
            if !part.is_empty() {
                self.fly(id, to_relay, Piece::Bytes(part));
            }
        }
    }

    fn fly(&mut self, id: LinkId, way: usize, piece: Piece) {
        let mut latency = 1 + self.below(40);
        if self.now < self.lossy_until && self.one_in(4) {
            // QUIC sends it again, and what is behind it waits.
            latency += 200 + self.below(4_000);
            self.count("packets lost and sent again");
        }
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.flight[way].push_back(piece);
        let at = link.last[way].max(now + latency);
        link.last[way] = at;
        let to = if way == 0 { End::Relay } else { End::Client };
        self.after(at - now, Event::Arrive(id, to));
    }

    /// The next piece for this end, unless it is held up.
    pub(super) fn arrive(&mut self, id: LinkId, at: End) -> Brought {
        let Some(client) = self.links.get(&id).map(|link| link.client) else {
            return Brought::Nothing;
        };
        if let Some(until) = self.cuts.get(&client).copied().filter(|until| *until > self.now) {
            self.after(until - self.now, Event::Arrive(id, at));
            return Brought::Nothing;
        }
        let way = usize::from(at == End::Client);
        if let Some(pause) = self.slow.get(&client).copied().filter(|_| at == End::Client) {
            // One piece at a time: all that is behind it waits as long again.
            let link = self.links.get_mut(&id).unwrap();
            let free = link.last[1].max(self.now) + pause;
            link.last[1] = free;
            if link.flight[1].len() > 1 {
                let wait = free - self.now;
                let waits = self.one_in(2);
                if waits {
                    self.after(wait, Event::Arrive(id, at));
                    return Brought::Nothing;
                }
            }
        }
        let link = self.links.get_mut(&id).unwrap();
        let open = if at == End::Relay { link.relay } else { link.at_client };
        match link.flight[way].pop_front().filter(|_| open) {
            Some(Piece::Bytes(bytes)) => {
                if at == End::Client {
                    link.unread = link.unread.saturating_sub(bytes.len());
                }
                Brought::Bytes(bytes)
            }
            Some(Piece::Close) => Brought::Close,
            None => Brought::Nothing,
        }
    }

    /// One end has done with it; the other learns it behind all that was sent.
    pub(super) fn close(&mut self, id: LinkId, by: End) {
        self.forget(id, by);
        let Some(link) = self.links.get(&id) else { return };
        if !link.lost {
            self.fly(id, usize::from(by == End::Relay), Piece::Close);
        }
        let other = if by == End::Relay { End::Client } else { End::Relay };
        self.after(IDLE, Event::Learn(id, other));
    }

    /// An end has it no more. Answers whether it had.
    pub(super) fn forget(&mut self, id: LinkId, end: End) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        let open = if end == End::Relay { &mut link.relay } else { &mut link.at_client };
        let was = std::mem::take(open);
        if !link.relay && !link.at_client {
            self.links.remove(&id);
        }
        was
    }

    /// Nothing goes through it from now on. Both ends find out, in their own time; what is on its way still comes.
    pub(super) fn lose(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.lost = true;
        let (client, relay) = (self.below(3_000), self.below(IDLE));
        self.after(client, Event::Learn(id, End::Client));
        self.after(relay, Event::Learn(id, End::Relay));
    }

    /// A client's connections.
    pub(super) fn of(&self, client: usize) -> Vec<LinkId> {
        let of = self.links.iter().filter(|(_, link)| link.client == client);
        of.map(|(id, _)| *id).collect()
    }

    /// The relay is gone with all that was on its way to it; clients hear of it when it resets them.
    pub(super) fn relay_died(&mut self) {
        let all: Vec<_> = self.links.keys().copied().collect();
        for id in all {
            let after = self.below(20_000);
            if let Some(link) = self.links.get_mut(&id) {
                link.lost = true;
                self.after(after, Event::Learn(id, End::Client));
                self.forget(id, End::Relay);
            }
        }
    }

    /// A client dies, or is cut off for longer than a connection lives.
    pub(super) fn client_died(&mut self, client: usize) {
        for id in self.of(client) {
            self.lose(id);
            self.forget(id, End::Client);
        }
    }

    /// Cuts a client off for so long.
    pub(super) fn cut(&mut self, client: usize, millis: u64) {
        self.cuts.insert(client, self.now + millis);
        if millis > IDLE {
            for id in self.of(client) {
                let link = self.links.get_mut(&id).unwrap();
                link.lost = true;
                link.flight = Default::default();
                self.after(IDLE, Event::Learn(id, End::Client));
                self.after(IDLE, Event::Learn(id, End::Relay));
            }
        }
    }

    /// The network as it should be.
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.slow.clear();
        (self.drop_one_in, self.lossy_until, self.relay_clock) = (0, 0, 0);
        self.client_clocks.fill(0);
    }
}
