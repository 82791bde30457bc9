//! Owners and senders that go on whatever becomes of their relay, and keep book.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_mailbox::{
    ChannelBinding, Input, Output, OwnerConnection, OwnerEvent, SenderConnection, SenderEvent,
};
use chopmark_wire::{
    address::RelayAddress,
    relay::{
        Capability, CapabilityKind, Deposit, Epoch, Grant, Handle, Rate, RelayHash, TtlClass,
        Urgency,
        binding::{ALPN, EXPORTER_LABEL},
    },
};
use quinn::{
    ClientConfig, Connection, Endpoint, RecvStream, SendStream, crypto::rustls::QuicClientConfig,
};
use rustls::crypto::aws_lc_rs;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::super::client::{AnyCertificate, now};

/// Who wrote it, and its number.
type Name = (u8, u32);

/// Clients under way.
pub(super) struct Load {
    shared: Arc<Shared>,
    owners: Vec<JoinHandle<()>>,
    senders: Vec<JoinHandle<()>>,
}

struct Shared {
    endpoint: Endpoint,
    relay: RelayAddress,
    /// Which life of the relay this is.
    life: watch::Sender<u64>,
    /// Nothing new is written.
    ending: watch::Sender<bool>,
    books: Mutex<Books>,
    /// How many owners have their mailbox.
    ready: watch::Sender<usize>,
}

/// What was said and shown.
#[derive(Default)]
struct Books {
    stored: HashSet<Name>,
    shown: HashSet<Name>,
    last: BTreeMap<u8, u32>,
}

/// How much one capability takes in an hour: the most there is.
const WRITTEN_MAX: u32 = 4_000;
const WINDOW: usize = 6;
/// How long everything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

impl Load {
    /// So many owners, and so many senders for each, against the relay with this address.
    pub(super) async fn start(address: &str, owners: u8, senders: u8) -> Self {
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(config());
        let shared = Arc::new(Shared {
            endpoint,
            relay: address.parse().unwrap(),
            life: watch::Sender::new(0),
            ending: watch::Sender::new(false),
            books: Mutex::default(),
            ready: watch::Sender::new(0),
        });
        let owner = |n| tokio::spawn(own(Arc::clone(&shared), n, senders));
        let written_to = owners.saturating_mul(senders);
        let owners: Vec<_> = (0..owners).map(owner).collect();
        let mut ready = shared.ready.subscribe();
        let all = ready.wait_for(|ready| *ready >= owners.len());
        drop(timeout(PATIENCE, all).await.unwrap().unwrap());
        let sender = |n| tokio::spawn(send(Arc::clone(&shared), n));
        let senders = (0..written_to).map(sender).collect();
        Self { shared, owners, senders }
    }

    /// The relay was started again.
    pub(super) fn restarted(&self) {
        self.shared.life.send_modify(|life| *life += 1);
    }

    /// Waits until everything that was stored is shown. Answers how much that is.
    pub(super) async fn end(self) -> usize {
        self.shared.ending.send_replace(true);
        for sender in self.senders {
            timeout(PATIENCE, sender).await.expect("a sender gets no answer").unwrap();
        }
        let wait = async {
            while !self.shared.lost().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(self.owners.iter().all(|owner| !owner.is_finished()), "an owner ended");
            }
        };
        let all = timeout(PATIENCE, wait).await;
        assert!(all.is_ok(), "stored and lost: {:?}", self.shared.lost());
        self.owners.iter().for_each(JoinHandle::abort);
        let books = self.shared.books.lock().unwrap();
        books.stored.len()
    }
}

impl Shared {
    fn lost(&self) -> Vec<Name> {
        let books = self.books.lock().unwrap();
        books.stored.difference(&books.shown).copied().collect()
    }

    /// A connection, unless the relay is gone meanwhile.
    async fn dial(&self) -> Option<(Wire, RelayHash, ChannelBinding)> {
        let mut life = self.life.subscribe();
        life.mark_unchanged();
        let to = self.relay.host_port().parse().unwrap();
        let dial = async {
            let connection = self.endpoint.connect(to, "relay.invalid").unwrap().await.ok()?;
            let mut binding = [0; 32];
            connection.export_keying_material(&mut binding, EXPORTER_LABEL, b"").ok()?;
            let (sink, source) = connection.accept_bi().await.ok()?;
            Some((sink, source, connection, ChannelBinding(binding)))
        };
        tokio::select! {
            dialed = timeout(Duration::from_secs(3), dial) => {
                let (sink, source, connection, binding) = dialed.ok()??;
                let wire = Wire { sink, source, _connection: connection, life };
                Some((wire, RelayHash(*self.relay.hash()), binding))
            }
            _ = life.changed() => None,
        }
    }
}

struct Wire {
    sink: SendStream,
    source: RecvStream,
    _connection: Connection,
    life: watch::Receiver<u64>,
}

impl Wire {
    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        tokio::select! {
            written = self.sink.write_all(bytes) => written.ok(),
            _ = self.life.changed() => None,
        }
    }

    /// What comes next; `None` when the connection, or the relay at its other end, is gone.
    async fn read(&mut self) -> Option<Bytes> {
        tokio::select! {
            chunk = self.source.read_chunk(65_536, true) => Some(chunk.ok()??.bytes),
            _ = self.life.changed() => None,
        }
    }
}

fn config() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

fn capability(sender: u8) -> Capability {
    Capability::new(Secret::new([sender + 100; 32]))
}

async fn own(shared: Arc<Shared>, number: u8, senders: u8) {
    let mut owner = Owner { number, senders, seq: 0, epoch: None, ready: false };
    loop {
        owner.serve(&shared).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Owner {
    number: u8,
    senders: u8,
    /// Everything up to here is shown.
    seq: u64,
    epoch: Option<Epoch>,
    ready: bool,
}

impl Owner {
    /// One connection, until it ends.
    async fn serve(&mut self, shared: &Shared) -> Option<()> {
        let (mut wire, relay, binding) = shared.dial().await?;
        let key = SigningKey::from_secret(&Secret::new([self.number + 1; 32]));
        let mut machine = OwnerConnection::new(relay, binding, key, now());
        machine.create(now());
        let mut granting = HashSet::new();
        for sender in self.number * self.senders..(self.number + 1) * self.senders {
            let grant = Grant {
                capability: capability(sender).hash(),
                handle: Handle([sender; 8]),
                kind: CapabilityKind::Private,
                expires: None,
                rate: Rate::new(4_096, 4_096).unwrap(),
            };
            granting.insert(machine.grant(now(), grant));
        }
        machine.subscribe(now(), 0);
        loop {
            while let Some(output) = machine.poll() {
                match output {
                    Output::Send(bytes) => wire.write(&bytes).await?,
                    Output::Event(OwnerEvent::Delivered(it)) => {
                        if it.seq > self.seq {
                            self.seq = it.seq;
                            self.show(shared, &it.envelope);
                        }
                        machine.ack(&[it.seq]);
                    }
                    Output::Event(OwnerEvent::Subscribed { epoch, head, .. }) => {
                        let known = *self.epoch.get_or_insert(epoch);
                        assert_eq!(known, epoch, "another store");
                        assert!(head >= self.seq, "{head} of {}: the store went back", self.seq);
                    }
                    Output::Event(OwnerEvent::Done { id }) => {
                        granting.remove(&id);
                        if granting.is_empty() && !self.ready {
                            self.ready = true;
                            shared.ready.send_modify(|ready| *ready += 1);
                        }
                    }
                    Output::Event(OwnerEvent::Refused { refusal, .. }) => panic!("{refusal:?}"),
                    Output::Event(OwnerEvent::GoAway(_) | OwnerEvent::Ended(_)) => return None,
                    _ => {}
                }
            }
            let bytes = wire.read().await?;
            machine.handle(now(), Input::Bytes(&bytes)).expect("the relay breaks the protocol");
        }
    }

    fn show(&self, shared: &Shared, envelope: &[u8]) {
        let (sender, number) =
            (envelope[0], u32::from_be_bytes(*envelope[1..].first_chunk().unwrap()));
        let mut books = shared.books.lock().unwrap();
        assert!(books.shown.insert((sender, number)), "{sender}'s {number} is shown twice");
        let last = books.last.insert(sender, number);
        assert!(last.is_none_or(|last| last < number), "{sender}'s {number} comes after {last:?}");
    }
}

async fn send(shared: Arc<Shared>, sender: u8) {
    let mut outbox = Outbox { sender, undecided: Vec::new(), next: 0 };
    while outbox.serve(&shared).await.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Outbox {
    sender: u8,
    /// Deposited, and nobody has said what became of it.
    undecided: Vec<u32>,
    next: u32,
}

impl Outbox {
    /// One connection: `Some` when all is said, `None` when it ends before.
    async fn serve(&mut self, shared: &Shared) -> Option<()> {
        let (mut wire, relay, binding) = shared.dial().await?;
        let mut machine = SenderConnection::new(relay, binding, now());
        let mut asked = HashMap::new();
        for number in &self.undecided {
            asked.insert(machine.deposit(now(), self.deposit(*number)), *number);
        }
        loop {
            let ending = *shared.ending.borrow();
            while !ending && self.undecided.len() < WINDOW && self.next < WRITTEN_MAX {
                asked.insert(machine.deposit(now(), self.deposit(self.next)), self.next);
                self.undecided.push(self.next);
                self.next += 1;
            }
            while let Some(output) = machine.poll() {
                match output {
                    Output::Send(bytes) => wire.write(&bytes).await?,
                    Output::Event(SenderEvent::Stored { id }) => {
                        let number = asked.remove(&id).unwrap();
                        self.undecided.retain(|it| *it != number);
                        shared.books.lock().unwrap().stored.insert((self.sender, number));
                        // Not all that can be sent: some of it is left for the next life.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Output::Event(SenderEvent::Refused { refusal, .. }) => panic!("{refusal:?}"),
                    Output::Event(SenderEvent::GoAway(_)) => return None,
                    _ => {}
                }
            }
            let idle = self.next >= WRITTEN_MAX;
            if self.undecided.is_empty() && (ending || idle) {
                return Some(());
            }
            let ending = *shared.ending.borrow();
            if !(ending || self.undecided.len() >= WINDOW || idle) {
                continue;
            }
            let bytes = wire.read().await?;
            machine.handle(now(), Input::Bytes(&bytes)).expect("the relay breaks the protocol");
        }
    }

    fn deposit(&self, number: u32) -> Deposit {
        let mut envelope = vec![self.sender; 2_048];
        envelope[1..5].copy_from_slice(&number.to_be_bytes());
        Deposit {
            capability: capability(self.sender),
            ttl: TtlClass::Month,
            urgency: Urgency::Normal,
            envelope: envelope.into(),
        }
    }
}
