//! Attacks on mailboxes at a relay: other people's queues, captured proofs, floods, and a disk that fails.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use chopmark_core::{
    secret::Secret,
    signature::SigningKey,
    time::{HOUR, Timestamp},
};
use chopmark_mailbox::{
    ChannelBinding, RelayConnection,
    relay::{Identity, Input, Output},
    store::{MailboxStore, StoreAnswer, StoreRequest, model::Model},
};
use chopmark_relay::store::{Disk, DiskError, Shelf, StoreError, disk::Writes};
use chopmark_wire::relay::{
    Answer, Auth, Capability, CapabilityKind, Deposit, Descriptor, Epoch, Fetch, FetchId,
    FromClient, FromRelay, GoAwayReason, Grant, Handle, LinkUse, MailboxId, MessageId, Notice,
    Publish, Rate, Refusal, Request, RequestId, TtlClass, Urgency,
};

const NOW: Timestamp = Timestamp(1_000_000_000_000);
const HERE: ChannelBinding = ChannelBinding([1; 32]);
const ELSEWHERE: ChannelBinding = ChannelBinding([2; 32]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::new([seed; 32]))
}

fn identity(seed: u8) -> Arc<Identity> {
    let key = key(seed);
    let descriptor = Descriptor {
        identity: key.verifying_key(),
        not_before: NOW,
        not_after: NOW,
        addresses: Vec::new(),
        certificates: [None, None],
        forwarding: None,
        window_messages: 64,
        window_bytes: 262_144,
        retention_hours: 720,
    };
    Arc::new(Identity { key, descriptor })
}

fn capability(n: u8) -> Capability {
    Capability::new(Secret::new([n; 32]))
}

fn grant(n: u8, kind: CapabilityKind, rate: Rate) -> Request {
    let (capability, handle) = (capability(n).hash(), Handle([n; 8]));
    Request::Grant(Grant { capability, handle, kind, expires: None, rate })
}

fn envelope(n: u32) -> Bytes {
    let mut envelope = vec![0; 2048];
    envelope[..4].copy_from_slice(&n.to_be_bytes());
    envelope.into()
}

fn deposit(n: u8, fill: u32) -> Request {
    let (capability, envelope) = (capability(n), envelope(fill));
    Request::Deposit(Deposit {
        capability,
        ttl: TtlClass::Month,
        urgency: Urgency::Normal,
        envelope,
    })
}

/// A connection's frames, and everything that the relay says to them until it is quiet or closes.
fn talk(
    store: &mut impl MailboxStore<Error: std::fmt::Debug>,
    relay: &Arc<Identity>,
    binding: ChannelBinding,
    now: Timestamp,
    frames: Vec<FromClient>,
) -> (Vec<FromRelay>, Option<GoAwayReason>) {
    let mut connection = RelayConnection::new(Arc::clone(relay), binding, now);
    let (mut said, mut closed) = (Vec::new(), None);
    let mut drain = |connection: &mut RelayConnection| {
        while let Some(output) = connection.poll() {
            match output {
                Output::Send(frame) => said.push(FromRelay::decode(&frame.slice(4..)).unwrap()),
                Output::Store { ticket, request } => {
                    let answer = store.apply(now, vec![request]).unwrap().remove(0);
                    connection.handle(now, Input::Answered { ticket, answer });
                }
                Output::Close(reason) => closed = Some(reason),
                _ => {}
            }
        }
    };
    drain(&mut connection);
    for frame in frames {
        connection.handle(now, Input::Bytes(&frame.encode()));
        drain(&mut connection);
    }
    (said.split_off(1), closed)
}

fn requests(requests: impl IntoIterator<Item = Request>) -> Vec<FromClient> {
    let numbered = requests.into_iter().zip(1_u64..);
    numbered
        .map(|(request, n)| FromClient::Request { id: RequestId::new(n).unwrap(), request })
        .collect()
}

fn auth(owner: u8, binding: &ChannelBinding, relay: &Identity) -> Request {
    Request::Auth(Auth::sign(&key(owner), binding, &relay.descriptor.relay_id()))
}

fn answers(said: &[FromRelay]) -> Vec<&Answer> {
    said.iter()
        .filter_map(|frame| match frame {
            FromRelay::Answer { answer, .. } => Some(answer),
            _ => None,
        })
        .collect()
}

fn delivered(said: &[FromRelay]) -> Vec<u64> {
    said.iter()
        .filter_map(|frame| match frame {
            FromRelay::Notice(Notice::Deliver(it)) => Some(it.seq),
            _ => None,
        })
        .collect()
}

/// Owner 3's mailbox with capability 1, and two messages in it.
fn victim(relay: &Arc<Identity>) -> Model {
    let mut store = Model::new(Epoch([0; 16]));
    let grant = grant(1, CapabilityKind::Private, Rate::PRIVATE);
    let frames = requests([auth(3, &HERE, relay), Request::Create { token: None }, grant]);
    talk(&mut store, relay, HERE, NOW, frames);
    talk(&mut store, relay, HERE, NOW, requests([deposit(1, 1), deposit(1, 2)]));
    store
}

// Seen to fail with `MailboxId::of` a constant, and with the verification of Auth removed.
#[test]
fn t47_a_queue_is_its_owners_alone() {
    let relay = identity(9);
    let mut store = victim(&relay);
    // The attacker claims the victim's key with a signature of its own.
    let mut forged = Auth::sign(&key(4), &HERE, &relay.descriptor.relay_id());
    forged.owner = key(3).verifying_key();
    let frames = requests([Request::Auth(forged), Request::Subscribe { after: 0 }]);
    let (said, closed) = talk(&mut store, &relay, HERE, NOW, frames);
    assert_eq!((delivered(&said), closed), (vec![], Some(GoAwayReason::NotAuthentic)));
    // The attacker is itself, with and without a mailbox: it guesses numbers, revokes, publishes, deletes.
    let publish = Request::Publish(Publish {
        knock: capability(1).hash(),
        link: LinkUse::Reusable,
        bundle: Bytes::from_static(b"bundle"),
        one_time: Vec::new(),
        replace_one_time: true,
    });
    let mut frames = requests([
        auth(4, &HERE, &relay),
        Request::Subscribe { after: 0 },
        Request::Create { token: None },
        Request::Subscribe { after: 0 },
        Request::Revoke(capability(1).hash()),
        grant(1, CapabilityKind::Private, Rate::PRIVATE),
        publish,
        Request::Delete,
    ]);
    frames.insert(4, FromClient::Ack((1..=64).collect()));
    let (said, _) = talk(&mut store, &relay, HERE, NOW, frames);
    let not_accepted = Answer::Refused(Refusal::NotAccepted);
    let said = answers(&said);
    assert_eq!(said[1], &not_accepted, "a mailbox that is not there");
    assert_eq!(said[5], &Answer::Refused(Refusal::Conflict), "a capability that is taken");
    assert_eq!(said[6], &not_accepted, "a capability of somebody else");
    // The victim's queue is as it was, and its capability still opens it.
    let (said, _) = talk(&mut store, &relay, HERE, NOW, requests([deposit(1, 3)]));
    assert_eq!(answers(&said), [&Answer::Stored]);
    let frames = requests([auth(3, &HERE, &relay), Request::Subscribe { after: 0 }]);
    assert_eq!(delivered(&talk(&mut store, &relay, HERE, NOW, frames).0), [1, 2, 3]);
}

// Seen to fail with the channel binding, and with the relay's id, left out of what Auth signs.
#[test]
fn t48_a_captured_proof_opens_nothing_elsewhere() {
    let (relay, other) = (identity(9), identity(8));
    let mut store = victim(&relay);
    let captured = || requests([auth(3, &HERE, &relay), Request::Subscribe { after: 0 }]);
    assert_eq!(delivered(&talk(&mut store, &relay, HERE, NOW, captured()).0), [1, 2]);
    for (relay, binding) in [(&relay, ELSEWHERE), (&other, HERE), (&other, ELSEWHERE)] {
        let (said, closed) = talk(&mut store, relay, binding, NOW, captured());
        assert_eq!((delivered(&said), closed), (vec![], Some(GoAwayReason::NotAuthentic)));
    }
}

// Seen to fail with no share for knocks.
#[test]
fn t49_a_flood_of_knocks_leaves_room_for_contacts() {
    let relay = identity(9);
    let mut store = victim(&relay);
    let most = Rate::new(4096, 4096).unwrap();
    let links = (10..20).map(|n| grant(n, CapabilityKind::Knock, most));
    let frames = requests([auth(3, &HERE, &relay)].into_iter().chain(links));
    talk(&mut store, &relay, HERE, NOW, frames);
    let mut taken = 0;
    for n in 0..10_000_u32 {
        let link = 10 + u8::try_from(n % 10).unwrap();
        let envelope = envelope(100 + n);
        let request = StoreRequest::Deposit {
            capability: capability(link).hash(),
            ttl: TtlClass::Month,
            id: MessageId::of(&envelope),
            envelope,
        };
        let answer = store.apply(NOW, vec![request]).unwrap().remove(0);
        taken += u32::from(matches!(answer, StoreAnswer::Stored { .. }));
    }
    assert_eq!(taken, 64);
    let (said, _) = talk(&mut store, &relay, HERE, NOW, requests([deposit(1, 3)]));
    assert_eq!(answers(&said), [&Answer::Stored]);
}

// Seen to fail with the link's budget never empty.
#[test]
fn t22_draining_one_time_prekeys_takes_ten_an_hour() {
    let relay = identity(9);
    let mut store = victim(&relay);
    let publish = Request::Publish(Publish {
        knock: capability(10).hash(),
        link: LinkUse::Reusable,
        bundle: Bytes::from_static(b"bundle"),
        one_time: (0..32).map(|n| Bytes::from(vec![n; 1300])).collect(),
        replace_one_time: false,
    });
    let knock = grant(10, CapabilityKind::Knock, Rate::KNOCK);
    talk(&mut store, &relay, HERE, NOW, requests([auth(3, &HERE, &relay), knock, publish]));
    for hour in 0..2 {
        let now = NOW.saturating_add(HOUR * hour);
        let mut handed = 0;
        for n in 0..10_000_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&(n + 10_000 * hour).to_be_bytes());
            let fetch = Request::Fetch(Fetch { knock: capability(10), id: FetchId(id) });
            let (said, _) = talk(&mut store, &relay, HERE, now, requests([fetch]));
            match answers(&said)[..] {
                [Answer::Fetched { one_time: Some(_), .. }] => handed += 1,
                [Answer::Fetched { .. } | Answer::Refused(Refusal::Later { .. })] => {}
                ref other => panic!("{other:?}"),
            }
        }
        assert_eq!(handed, 10, "hour {hour}");
    }
}

/// A disk with two images: what is readable, and what would be left of it after a power cut.
#[derive(Default)]
struct Faulty {
    live: BTreeMap<Vec<u8>, Bytes>,
    durable: BTreeMap<Vec<u8>, Bytes>,
    fault: Option<Fault>,
    low: bool,
    reopened: u32,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// ENOSPC after this many writes of a commit.
    FullAfter(usize),
    /// The sync fails: everything is readable, nothing is durable.
    Sync,
}

impl Disk for Faulty {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        Ok(self.live.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        _: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let found = self.live.range(from.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.take(count).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        for (n, (key, value)) in writes.into_iter().enumerate() {
            if matches!(self.fault, Some(Fault::FullAfter(kept)) if kept == n) {
                return Err(DiskError::Full);
            }
            match value {
                Some(value) => self.live.insert(key, value),
                None => self.live.remove(&key),
            };
        }
        if let Some(Fault::Sync) = self.fault {
            return Err(DiskError::Broken("sync".into()));
        }
        self.durable = self.live.clone();
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        !self.low
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        // The journal's unfinished batch is not read again.
        self.live = self.durable.clone();
        self.fault = None;
        self.reopened += 1;
        Ok(())
    }
}

// Seen to fail with a full disk or a failed sync answered as if the commit had succeeded, with acks refused below the
// floor, and with no floor.
#[test]
fn t51_a_full_or_failing_disk_never_acks_what_it_did_not_keep() {
    let mailbox = MailboxId([3; 32]);
    let mut shelf = Shelf::open(Faulty::default(), || Epoch([0; 16])).unwrap();
    let Request::Grant(granted) = grant(1, CapabilityKind::Private, Rate::PRIVATE) else {
        panic!()
    };
    let deposit = |n: u32| StoreRequest::Deposit {
        capability: capability(1).hash(),
        ttl: TtlClass::Month,
        id: MessageId::of(&envelope(n)),
        envelope: envelope(n),
    };
    let read = || StoreRequest::Read { mailbox, after: 0, messages: 64, bytes: 262_144 };
    let seqs = |answer: &StoreAnswer| match answer {
        StoreAnswer::Messages(messages) => messages.iter().map(|it| it.seq).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let create = StoreRequest::Create { mailbox, new: true };
    let granting = StoreRequest::Grant { mailbox, grant: granted };
    shelf.apply(NOW, vec![create, granting, deposit(1)]).unwrap();

    // The disk is full in the middle of a batch: nothing of it is answered, the node goes on.
    shelf.disk_mut().fault = Some(Fault::FullAfter(2));
    assert!(matches!(shelf.apply(NOW, vec![deposit(2), deposit(3)]), Err(StoreError::Full)));
    assert_eq!(shelf.disk().reopened, 1);
    let answers = shelf.apply(NOW, vec![read()]).unwrap();
    assert_eq!(seqs(&answers[0]), [1], "no torn batch");

    // Below the floor: deposits are told to come later, acks are taken.
    shelf.disk_mut().low = true;
    let ack = StoreRequest::Ack { mailbox, seqs: vec![1] };
    let answers = shelf.apply(NOW, vec![deposit(2), ack, read()]).unwrap();
    assert_eq!(answers[0], StoreAnswer::Refused(Refusal::Unavailable { hours: 1 }));
    assert_eq!(answers[1], StoreAnswer::Done);
    assert!(seqs(&answers[2]).is_empty());

    // Space is back: the sender tries again.
    shelf.disk_mut().low = false;
    let answers = shelf.apply(NOW, vec![deposit(2), deposit(2)]).unwrap();
    assert_eq!(answers[0], StoreAnswer::Stored { arrived: Some(mailbox) });
    assert_eq!(answers[1], StoreAnswer::Stored { arrived: None });

    // The sync fails: what is readable may not be on disk, so the node stops and has said nothing.
    shelf.disk_mut().fault = Some(Fault::Sync);
    assert!(matches!(shelf.apply(NOW, vec![deposit(4)]), Err(StoreError::Stopped(_))));
    let durable = std::mem::take(&mut shelf.disk_mut().durable);
    let after = Faulty { live: durable.clone(), durable, ..Faulty::default() };
    let mut after = Shelf::open(after, || panic!("the epoch is gone")).unwrap();
    let answers = after.apply(NOW, vec![read()]).unwrap();
    assert_eq!(seqs(&answers[0]), [2], "message 4 was never confirmed and is not there");
}
