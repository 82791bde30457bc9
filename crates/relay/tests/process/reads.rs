//! What a refusal costs the store: the same, whatever is wrong.

use std::{cell::RefCell, collections::BTreeMap};

use bytes::Bytes;
use chopmark_core::time::{HOUR, Timestamp};
use chopmark_mailbox::store::{MailboxStore as _, StoreAnswer, StoreRequest};
use chopmark_relay::store::{Disk, DiskError, Shelf, disk::Writes};
use chopmark_wire::relay::{
    CapabilityHash, CapabilityKind, Epoch, FetchId, Grant, Handle, Hour, LinkUse, MailboxId,
    MessageId, Publish, Rate, Refusal, TtlClass,
};

const NOW: Timestamp = Timestamp(1_000_000_000_000);

/// A disk that remembers what it was asked, but not for which names.
#[derive(Default)]
struct Watched {
    map: BTreeMap<Vec<u8>, Bytes>,
    /// The kind of record, and how long its key is.
    asked: RefCell<Vec<(u8, usize)>>,
    written: Vec<usize>,
}

impl Disk for Watched {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        self.asked.borrow_mut().push((key[0], key.len()));
        Ok(self.map.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        _: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        self.asked.borrow_mut().push((prefix[0], from.len()));
        let found = self.map.range(from.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.take(count).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        self.written.push(writes.len());
        for (key, value) in writes {
            match value {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
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

/// What a request that is refused asks of the disk, and what it writes.
fn cost(
    shelf: &mut Shelf<Watched>,
    now: Timestamp,
    request: StoreRequest,
) -> (Vec<(u8, usize)>, Vec<usize>) {
    shelf.disk().asked.borrow_mut().clear();
    shelf.disk_mut().written.clear();
    let answer = shelf.apply(now, vec![request]).unwrap().remove(0);
    assert_eq!(answer, StoreAnswer::Refused(Refusal::NotAccepted));
    (shelf.disk().asked.borrow().clone(), shelf.disk().written.clone())
}

// Tests [capability-same-answer]: same answer, same reads in the same order, same writes. Seen to fail with a deposit
// refused as soon as its capability is not found, and with an expired link told apart.
#[test]
fn t50_unknown_revoked_expired_and_misused_cost_the_same_and_say_the_same() {
    let mut shelf = Shelf::open(Watched::default(), || Epoch([0; 16])).unwrap();
    let mailbox = MailboxId([3; 32]);
    let grant = |n: u8, kind, expires| StoreRequest::Grant {
        mailbox,
        grant: Grant {
            capability: CapabilityHash([n; 32]),
            handle: Handle([n; 8]),
            kind,
            expires,
            rate: Rate::PRIVATE,
        },
    };
    let soon = Some(Hour::of(NOW).plus(1));
    let publish = |n: u8| StoreRequest::Publish {
        mailbox,
        publish: Publish {
            knock: CapabilityHash([n; 32]),
            link: LinkUse::Reusable,
            bundle: Bytes::from_static(b"bundle"),
            one_time: vec![Bytes::from_static(b"prekey")],
            replace_one_time: false,
        },
    };
    let (private, knock) = (CapabilityKind::Private, CapabilityKind::Knock);
    let revoke = |n: u8| StoreRequest::Revoke { mailbox, capability: CapabilityHash([n; 32]) };
    let prepare = vec![
        StoreRequest::Create { mailbox, new: true },
        grant(1, private, None),
        revoke(1),
        grant(2, private, soon),
        grant(3, knock, None),
        publish(3),
        revoke(3),
        grant(4, knock, soon),
        publish(4),
        grant(5, private, None),
    ];
    let answers = shelf.apply(NOW, prepare).unwrap();
    assert!(answers.iter().all(|it| matches!(it, StoreAnswer::Done | StoreAnswer::Made)));

    let later = NOW.saturating_add(2 * HOUR);
    let envelope = Bytes::from(vec![9; 2048]);
    let deposit = |n: u8| StoreRequest::Deposit {
        capability: CapabilityHash([n; 32]),
        ttl: TtlClass::Month,
        id: MessageId::of(&envelope),
        envelope: envelope.clone(),
    };
    // One that is good: the same reads.
    let good = {
        shelf.disk().asked.borrow_mut().clear();
        let answer = shelf.apply(later, vec![deposit(5)]).unwrap().remove(0);
        assert!(matches!(answer, StoreAnswer::Stored { .. }));
        shelf.disk().asked.borrow().clone()
    };
    let probe = |n: u8| StoreRequest::Probe { capability: CapabilityHash([n; 32]) };
    let fetch =
        |n: u8| StoreRequest::Fetch { capability: CapabilityHash([n; 32]), id: FetchId([n; 16]) };
    // Unknown, revoked, expired; for a fetch also a capability that is good for something else.
    let unknown = cost(&mut shelf, later, deposit(99));
    assert!(!unknown.0.is_empty());
    assert_eq!(good, unknown.0, "a good one and none");
    for n in [1, 2, 3, 4] {
        assert_eq!(cost(&mut shelf, later, deposit(n)), unknown, "deposit {n}");
    }
    let unknown = cost(&mut shelf, later, probe(99));
    for n in [1, 2, 3, 4] {
        assert_eq!(cost(&mut shelf, later, probe(n)), unknown, "probe {n}");
    }
    let unknown = cost(&mut shelf, later, fetch(99));
    for n in [1, 2, 3, 4, 5] {
        assert_eq!(cost(&mut shelf, later, fetch(n)), unknown, "fetch {n}");
    }
    // An owner without a mailbox learns nothing of others: its own is not there, whatever it names.
    let foreign = MailboxId([4; 32]);
    let read = StoreRequest::Read { mailbox: foreign, after: 0, messages: 64, bytes: 262_144 };
    for request in [
        StoreRequest::Subscribe { mailbox: foreign },
        StoreRequest::Ack { mailbox: foreign, seqs: vec![1] },
        StoreRequest::Revoke { mailbox: foreign, capability: CapabilityHash([5; 32]) },
        read,
    ] {
        let (asked, _) = cost(&mut shelf, later, request);
        assert_eq!(asked.len(), 1, "its own mailbox, and nothing of another");
    }
}
