//! Both halves against each other, over the model store, in memory.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chopmark_core::{
    secret::Secret,
    signature::SigningKey,
    time::{HOUR, Timestamp},
};
use chopmark_wire::relay::{
    AccessToken, Auth, Capability, CapabilityKind, Deposit, Descriptor, EndReason, Epoch, Fetch,
    FetchId, FromClient, FromRelay, GoAwayReason, Grant, Handle, LinkUse, Notice, Publish, Rate,
    Refusal, RelayHash, Request, RequestId, Reserved, TtlClass, Urgency, limits,
};

use crate::{
    ChannelBinding, ConnectionError, Input, Output, OwnerConnection, OwnerEvent, RelayConnection,
    SenderConnection, SenderEvent,
    relay::{self, Access, Bounds, Identity, Limited},
    store::{MailboxStore, StoreAnswer, StoreRequest, model::Model},
};

mod bounds;
mod delivery;
mod durability;
mod mailbox;
mod role;

const NOW: Timestamp = Timestamp(1_000_000_000_000);
const BINDING: ChannelBinding = ChannelBinding([9; 32]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::new([seed; 32]))
}

fn identity(seed: u8) -> Arc<Identity> {
    let key = key(seed);
    let descriptor = Descriptor {
        identity: key.verifying_key(),
        not_before: NOW,
        not_after: NOW.saturating_add(HOUR),
        addresses: Vec::new(),
        certificates: [None, None],
        forwarding: None,
        window_messages: 64,
        window_bytes: 262_144,
        retention_hours: 720,
    };
    Arc::new(Identity { key, descriptor })
}

fn hash(identity: &Identity) -> RelayHash {
    identity.descriptor.relay_id().short()
}

/// Anything that has the client's end of a stream.
trait Client {
    type Event;
    fn take(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), ConnectionError>;
    fn next(&mut self) -> Option<Output<Self::Event>>;
}

impl Client for OwnerConnection {
    type Event = OwnerEvent;
    fn take(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.handle(now, Input::Bytes(bytes))
    }
    fn next(&mut self) -> Option<Output<OwnerEvent>> {
        self.poll()
    }
}

impl Client for SenderConnection {
    type Event = SenderEvent;
    fn take(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.handle(now, Input::Bytes(bytes))
    }
    fn next(&mut self) -> Option<Output<SenderEvent>> {
        self.poll()
    }
}

/// A client that sends these bytes whatever it hears, and keeps what it hears.
#[derive(Default)]
struct Raw(Vec<Bytes>);

impl Raw {
    fn says(frames: &[FromClient]) -> Self {
        Self(frames.iter().rev().map(FromClient::encode).collect())
    }
}

impl Client for Raw {
    type Event = ();
    fn take(&mut self, _: Timestamp, _: &[u8]) -> Result<(), ConnectionError> {
        Ok(())
    }
    fn next(&mut self) -> Option<Output<()>> {
        self.0.pop().map(Output::Send)
    }
}

/// A relay with one store and the connections that a test gives it.
struct Relay {
    identity: Arc<Identity>,
    store: Model,
    asked: Vec<StoreRequest>,
    limited: Vec<Limited>,
    bounds: Bounds,
}

/// What a run of a connection came to.
struct Ran<E> {
    events: Vec<E>,
    closed: Option<GoAwayReason>,
}

impl Relay {
    fn new() -> Self {
        Self {
            identity: identity(1),
            store: Model::new(Epoch([5; 16])),
            asked: Vec::new(),
            limited: Vec::new(),
            bounds: Bounds::default(),
        }
    }

    fn connection(&self) -> RelayConnection {
        let bounds = Arc::new(self.bounds.clone());
        RelayConnection::with_bounds(Arc::clone(&self.identity), bounds, BINDING, NOW)
    }

    /// Moves everything between the two ends until both are quiet.
    fn run<C: Client>(
        &mut self,
        now: Timestamp,
        relay: &mut RelayConnection,
        client: &mut C,
    ) -> Result<Ran<C::Event>, ConnectionError> {
        let mut ran = Ran { events: Vec::new(), closed: None };
        loop {
            let mut quiet = true;
            while let Some(output) = relay.poll() {
                quiet = false;
                match output {
                    relay::Output::Send(bytes) => client.take(now, &bytes)?,
                    relay::Output::Store { ticket, request } => {
                        self.asked.push(request.clone());
                        let answer = self.store.apply(now, vec![request]).unwrap().remove(0);
                        relay.handle(now, relay::Input::Answered { ticket, answer });
                    }
                    relay::Output::Close(reason) => ran.closed = Some(reason),
                    relay::Output::Limited(limited) => self.limited.push(limited),
                    relay::Output::Subscribed(_) | relay::Output::Deleted(_) => {}
                }
            }
            while let Some(output) = client.next() {
                quiet = false;
                match output {
                    Output::Send(bytes) => relay.handle(now, relay::Input::Bytes(&bytes)),
                    Output::Event(event) => ran.events.push(event),
                }
            }
            if quiet {
                return Ok(ran);
            }
        }
    }

    fn owner(&self, seed: u8) -> OwnerConnection {
        OwnerConnection::new(hash(&self.identity), BINDING, key(seed), NOW)
    }

    fn sender(&self) -> SenderConnection {
        SenderConnection::new(hash(&self.identity), BINDING, NOW)
    }

    /// A mailbox of owner 2 with one capability of this kind.
    fn with_grant(kind: CapabilityKind, rate: Rate) -> Self {
        let mut this = Self::new();
        let (mut relay, mut owner) = (this.connection(), this.owner(2));
        owner.create(NOW);
        owner.grant(NOW, grant(kind, rate));
        let ran = this.run(NOW, &mut relay, &mut owner).unwrap();
        assert!(matches!(ran.events[1..], [OwnerEvent::Done { .. }, OwnerEvent::Done { .. }]));
        this
    }

    fn deposit(&mut self, now: Timestamp, fill: u16) -> SenderEvent {
        let (mut relay, mut sender) = (self.connection(), self.sender());
        sender.deposit(now, deposit(fill));
        self.run(now, &mut relay, &mut sender).unwrap().events.pop().unwrap()
    }
}

fn capability() -> Capability {
    Capability::new(Secret::new([7; 32]))
}

fn grant(kind: CapabilityKind, rate: Rate) -> Grant {
    Grant { capability: capability().hash(), handle: Handle([3; 8]), kind, expires: None, rate }
}

fn deposit(fill: u16) -> Deposit {
    let mut envelope = vec![0; 2048];
    envelope[..2].copy_from_slice(&fill.to_be_bytes());
    Deposit {
        capability: capability(),
        ttl: TtlClass::Month,
        urgency: Urgency::Normal,
        envelope: envelope.into(),
    }
}

fn request(number: u64, request: Request) -> FromClient {
    FromClient::Request { id: RequestId::new(number).unwrap(), request }
}
