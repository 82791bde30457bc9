//! Two engines over the store that relays have, which loses answers, is put back to a backup, and is read by homes that die:
//! everything that was written is shown, once.
//!
//! `SEEDS=1000 cargo test` runs more of it, `SEED=7` one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use chopmark_mailbox::store::{
    Disk, DiskError, MailboxStore as _, Shelf, StoreAnswer, StoreRequest, Writes,
};
use chopmark_wire::relay::{self as wire, Epoch, FetchId, MailboxId, TtlClass};
use rand::RngExt as _;

use super::*;

/// A disk without faults of its own: what is committed is there.
#[derive(Clone, Default)]
struct Map(BTreeMap<Vec<u8>, Bytes>);

impl Disk for Map {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let (mut found, mut seen) = (Vec::new(), 0);
        for (key, value) in self.0.range(from.to_vec()..) {
            if found.len() >= count || seen >= bytes || !key.starts_with(prefix) {
                break;
            }
            seen += value.len();
            found.push((key.clone(), value.clone()));
        }
        Ok(found)
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        for (key, value) in writes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        true
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}

struct Served {
    world: World,
    shelf: Shelf<Map>,
    backup: Option<Map>,
    lives: u8,
    rng: StdRng,
    written: [BTreeSet<String>; 2],
    count: u32,
}

fn open(map: Map) -> Shelf<Map> {
    Shelf::open(map, || Epoch([200; 16])).unwrap()
}

/// Two people who have met over such a store, to be copied by every run.
fn met() -> &'static Mutex<Served> {
    static MET: OnceLock<Mutex<Served>> = OnceLock::new();
    MET.get_or_init(|| {
        let mut served = Served::of(World::new(5), Map::default(), 0);
        let link = served.world.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
        served.tell(1);
        served.world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        served.round();
        served.round();
        for who in [0, 1] {
            served.write(who);
        }
        served.settle();
        served.check(0);
        Mutex::new(served)
    })
}

impl Served {
    fn of(world: World, map: Map, seed: u64) -> Self {
        Self {
            world,
            shelf: open(map),
            backup: None,
            lives: 0,
            rng: StdRng::seed_from_u64(seed),
            written: Default::default(),
            count: 0,
        }
    }

    fn new(seed: u64) -> Self {
        let met = met().lock().unwrap();
        let users = [met.world.users[0].copy(2 * seed), met.world.users[1].copy(2 * seed + 1)];
        let world = World { users, relay: Relay::default(), now: met.world.now };
        let mut served = Self::of(world, met.shelf.disk().clone(), seed);
        served.count = 100;
        served
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn ask(&mut self, request: StoreRequest) -> StoreAnswer {
        self.shelf.apply(self.world.now, vec![request]).unwrap().remove(0)
    }

    fn mailbox(who: usize) -> MailboxId {
        MailboxId([u8::try_from(who).unwrap() + 1; 32])
    }

    fn write(&mut self, who: usize) {
        let text = format!("{who} says {}", self.count);
        self.count += 1;
        self.world.send(who, &text);
        self.written[who].insert(text);
    }

    /// What someone's relay must be told.
    fn tell(&mut self, who: usize) {
        let mailbox = Self::mailbox(who);
        self.ask(StoreRequest::Create { mailbox, new: true });
        for (seq, duty) in self.world.turn(who, |turn| turn.duties()).unwrap() {
            let request = match duty {
                Duty::Grant(grant) => {
                    StoreRequest::Grant { mailbox, grant: grant.to_wire().unwrap() }
                }
                Duty::Revoke(hash) => {
                    StoreRequest::Revoke { mailbox, capability: Duty::hash(&hash).unwrap() }
                }
                Duty::Publish(publish) => {
                    StoreRequest::Publish { mailbox, publish: publish.to_wire().unwrap() }
                }
            };
            if self.ask(request) == StoreAnswer::Done {
                self.world.turn(who, |turn| turn.duty_done(seq)).unwrap();
            }
        }
    }

    fn hash(capability: &[u8; 32]) -> wire::CapabilityHash {
        wire::CapabilityHash::from_slice(&hash_of(capability)).unwrap()
    }

    /// Someone's fetches and deposits; with a bad network some do not get there, and some answers do not come back.
    fn depart(&mut self, who: usize, bad: bool) {
        for want in self.world.turn(who, |turn| turn.wanted()).unwrap() {
            let (capability, id) = (Self::hash(&want.capability), FetchId(want.fetch_id));
            let answer = self.ask(StoreRequest::Fetch { capability, id });
            if bad && self.one_in(3) {
                continue;
            }
            let (contact, id) = (want.contact, want.fetch_id);
            self.world
                .turn(who, |turn| match &answer {
                    StoreAnswer::Fetched { bundle, one_time } => {
                        turn.fetched(&contact, &id, bundle, one_time.as_deref())
                    }
                    _ => turn.not_fetched(&contact, &id, true),
                })
                .unwrap();
        }
        for due in self.world.turn(who, |turn| turn.due(64)).unwrap() {
            if bad && self.one_in(4) {
                self.world.turn(who, |turn| turn.not_stored(due.seq, 0)).unwrap();
                continue;
            }
            let answer = self.ask(StoreRequest::Deposit {
                capability: Self::hash(&due.capability),
                ttl: TtlClass::Month,
                id: wire::MessageId::of(&due.envelope),
                envelope: due.envelope.into(),
            });
            if bad && self.one_in(5) {
                continue;
            }
            match answer {
                StoreAnswer::Stored { .. } => {
                    self.world.turn(who, |turn| turn.stored(due.seq)).unwrap();
                }
                _ => self.world.turn(who, |turn| turn.not_stored(due.seq, 0)).unwrap(),
            }
        }
    }

    /// Someone connects and takes what waits; with a bad network acks are lost, and the home dies in the middle.
    fn arrive(&mut self, who: usize, bad: bool) {
        let mailbox = Self::mailbox(who);
        self.tell(who);
        for _ in 0..2 {
            let StoreAnswer::Subscribed { epoch, head } =
                self.ask(StoreRequest::Subscribe { mailbox })
            else {
                panic!("no mailbox")
            };
            if !self.world.turn(who, |turn| turn.subscribed(epoch.0, head)).unwrap() {
                break;
            }
        }
        let mut after = 0;
        loop {
            let read = StoreRequest::Read { mailbox, after, messages: 64, bytes: 262_144 };
            let StoreAnswer::Messages(messages) = self.ask(read) else { panic!("no messages") };
            if messages.is_empty() {
                return;
            }
            for delivery in messages {
                after = delivery.seq;
                if bad && self.one_in(8) {
                    let died: Result<(), Error> = self.world.turn(who, |turn| {
                        turn.deliver(&delivery)?;
                        Err(Error::Internal("died"))
                    });
                    assert!(died.is_err());
                    return;
                }
                self.world.turn(who, |turn| turn.deliver(&delivery)).unwrap();
                if !(bad && self.one_in(3)) {
                    self.ask(StoreRequest::Ack { mailbox, seqs: vec![delivery.seq] });
                }
            }
        }
    }

    /// The store is what it was, under another epoch.
    fn restore(&mut self) {
        if let Some(map) = self.backup.clone() {
            self.lives += 1;
            self.shelf = open(map);
            self.shelf.renew_epoch(Epoch([self.lives; 16])).unwrap();
        }
    }

    fn step(&mut self) {
        let who = self.rng.random_range(0..2);
        match self.rng.random_range(0..14) {
            0..4 => self.write(who),
            4..7 => self.depart(who, true),
            7..11 => self.arrive(who, true),
            11 => self.backup = Some(self.shelf.disk().clone()),
            12 => self.restore(),
            _ => {
                let hours = [0, 1, 5, 30][self.rng.random_range(0..4)];
                self.world.pass(hours);
                self.world.turn(who, |turn| turn.upkeep()).unwrap();
                self.world.users[who].reopen();
            }
        }
    }

    fn round(&mut self) {
        for who in [0, 1] {
            self.world.turn(who, |turn| turn.upkeep()).unwrap();
            self.tell(who);
            self.depart(who, false);
            self.arrive(who, false);
        }
    }

    /// How many contents of someone are not acknowledged.
    fn waiting(&mut self, who: usize) -> usize {
        let rows: Vec<(u64, super::super::outbox::Item)> =
            self.world.turn(who, |turn| Ok(turn.tx.list(Log::Outbox, None, 0, 10_000)?)).unwrap();
        rows.iter()
            .filter(|(_, item)| item.content.is_some() && !item.stage.is_acknowledged())
            .count()
    }

    /// A good network, and time.
    fn settle(&mut self) {
        for round in 0..40 {
            self.round();
            self.world.pass(if round % 4 == 0 { 25 } else { 1 });
            if round > 4 && [0, 1].into_iter().all(|who| self.waiting(who) == 0) {
                return;
            }
        }
    }

    fn check(&mut self, seed: u64) {
        for who in [0, 1] {
            let shown = self.world.texts(1 - who);
            let once: BTreeSet<String> = shown.iter().cloned().collect();
            assert_eq!(shown.len(), once.len(), "seed {seed}: shown twice: {shown:?}");
            let lost: Vec<_> = self.written[who].difference(&once).collect();
            assert!(lost.is_empty(), "seed {seed}: of {who} lost {lost:?}");
            assert_eq!(self.waiting(who), 0, "seed {seed}: {who} still waits");
        }
    }
}

// Tests [new-epoch-starts-over], [restore-is-a-new-epoch].
#[test]
fn t55_what_is_written_is_shown_once_over_a_relay_that_is_put_back_to_its_backups() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(60),
    };
    let mut restored = 0;
    for seed in seeds.clone() {
        let mut run = Served::new(seed);
        (0..40).for_each(|_| run.step());
        run.settle();
        run.check(seed);
        restored += u32::from(run.lives > 0);
    }
    assert!(seeds.end - seeds.start < 60 || restored > 5, "only {restored} restored");
}
