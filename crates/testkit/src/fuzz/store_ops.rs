//! The relay's store on a disk that fails, beside the model that has none.

use std::collections::BTreeMap;

use bytes::Bytes;
use chopmark_core::{secret::Secret, time::Timestamp};
use chopmark_mailbox::store::{
    MailboxStore as _, Shelf, StoreAnswer, StoreError, StoreRequest,
    model::Model,
    record::{self, Counted},
};
use chopmark_wire::relay::{
    Capability, CapabilityHash, CapabilityKind, Epoch, FetchId, Grant, Handle, Hour, LinkUse,
    MailboxId, MessageId, Publish, Rate, Refusal, TtlClass,
};

use super::script::Script;
use crate::crashing_disk::{CrashingDisk, Fault};

const OPERATIONS: usize = 120;
const HOUR: u64 = 3_600_000;
const MAILBOXES: u8 = 3;

/// Batches, rounds, hours, faults of the disk and lives of the store: whatever is answered is what the model answers;
/// after a fault the batch is there whole or not at all; and the disk holds what the counts say, and nothing of what was
/// deleted.
pub fn store_ops(data: &[u8]) {
    let mut script = Script::new(data);
    let disk = CrashingDisk::default();
    let mut run = Run {
        shelf: Shelf::open(disk.clone(), || Epoch([1; 16])).expect("a new disk"),
        model: Model::new(Epoch([1; 16])),
        disk,
        now: Timestamp(1_000 * HOUR * 480),
        epochs: 1,
    };
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        match operation % 16 {
            0..=9 => run.batch(&mut script, None),
            10 => run.round(&[]),
            11 => {
                let hours = u64::from(script.u8() % 40);
                run.now = run.now.saturating_add(std::time::Duration::from_millis(hours * HOUR));
                run.round(&[]);
            }
            12 => {
                // A clock that jumps: it does to the one what it does to the other.
                run.now = Timestamp(HOUR * u64::from(script.u32() >> 8));
                run.round(&[]);
            }
            13 => {
                let fault = fault(&mut script);
                run.batch(&mut script, Some(fault));
            }
            14 => {
                let before = script.below(3);
                let faults = [None, None, None].into_iter().take(before);
                let faults: Vec<_> = faults.chain([Some(fault(&mut script))]).collect();
                run.round(&faults);
            }
            _ => run.another_life(&mut script),
        }
    }
    run.check();
    run.end();
}

struct Run {
    disk: CrashingDisk,
    shelf: Shelf<CrashingDisk>,
    model: Model,
    now: Timestamp,
    epochs: u8,
}

fn fault(script: &mut Script<'_>) -> Fault {
    script.one_of(&[
        Fault::Full,
        Fault::FullButThere,
        Fault::Broken,
        Fault::CutBefore,
        Fault::CutBehind,
    ])
}

impl Run {
    fn batch(&mut self, script: &mut Script<'_>, fault: Option<Fault>) {
        let count = 1 + script.below(6);
        let room = script.u8() % 16 != 15;
        let requests: Vec<_> = (0..count).map(|_| self.request(script)).collect();
        self.disk.set_room(room);
        let mut after = self.model.clone();
        let expected: Vec<_> = requests
            .iter()
            .map(|request| match !room && grows(request) {
                true => StoreAnswer::Refused(Refusal::Unavailable { hours: 1 }),
                false => after.apply(self.now, vec![request.clone()]).expect("a model").remove(0),
            })
            .collect();
        self.disk.plan(&[fault]);
        let commits = self.disk.commits();
        match self.shelf.apply(self.now, requests.clone()) {
            Ok(answers) => {
                assert_eq!(answers, expected, "{requests:?}");
                assert!(self.disk.commits() <= commits + 1, "more than one commit for a batch");
                // Planned for a batch that wrote nothing.
                self.disk.plan(&[]);
                self.model = after;
            }
            Err(error) => {
                let applied = self.disk.applied();
                let lost = self.fails(error, fault, script.flag());
                if applied && !lost {
                    self.model = after;
                }
                self.disk.plan(&[]);
            }
        }
    }

    /// Goes on after a fault. Is what the disk had taken gone?
    fn fails(&mut self, error: StoreError, fault: Option<Fault>, power: bool) -> bool {
        match (error, fault) {
            // Full: opened again within the process.
            (StoreError::Full, Some(Fault::Full | Fault::FullButThere)) => false,
            (StoreError::Stopped(_), Some(Fault::Broken)) if power => {
                self.disk.cut_power();
                self.open();
                true
            }
            (StoreError::Stopped(_), Some(fault)) if fault != Fault::Full => {
                self.disk.start_again();
                self.open();
                false
            }
            (error, fault) => panic!("{error} of {fault:?}"),
        }
    }

    fn open(&mut self) {
        let opened = Shelf::open(self.disk.clone(), || panic!("an epoch was lost"));
        self.shelf = opened.expect("what was committed can be opened");
    }

    /// A round of both. With a fault the shelf goes on where it was, until both have come to the same hour.
    fn round(&mut self, faults: &[Option<Fault>]) {
        self.disk.plan(faults);
        let mut cut = false;
        loop {
            match self.shelf.sweep(self.now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    cut = true;
                    let fault = faults.last().copied().flatten();
                    if matches!(error, StoreError::Stopped(_)) {
                        self.disk.start_again();
                        self.open();
                    }
                    assert!(fault.is_some(), "{error}");
                }
            }
        }
        self.disk.plan(&[]);
        self.model.sweep(self.now).expect("a model");
        let hour = |hour: Option<Hour>| hour.map_or(0, |hour| hour.0);
        let now = Hour::of(self.now).0;
        for _ in 0..8 {
            let (shelf, model) = (hour(self.shelf.hour()), hour(self.model.hour()));
            if shelf == model {
                break;
            }
            assert!(cut, "{shelf} and {model}");
            if now.abs_diff(shelf) > now.abs_diff(model) {
                while self.shelf.sweep(self.now).expect("no fault") {}
            } else {
                self.model.sweep(self.now).expect("a model");
            }
        }
        assert_eq!(self.shelf.hour(), self.model.hour());
        self.check();
    }

    fn another_life(&mut self, script: &mut Script<'_>) {
        if script.flag() {
            self.epochs = self.epochs.wrapping_add(1);
            let epoch = Epoch([self.epochs; 16]);
            self.shelf.renew_epoch(epoch).expect("no fault");
            self.model.renew_epoch(epoch);
        } else {
            if script.flag() {
                self.disk.cut_power();
            }
            self.open();
        }
    }

    fn request(&self, script: &mut Script<'_>) -> StoreRequest {
        let mailbox = MailboxId([script.u8() % MAILBOXES; 32]);
        let capability = capability(script.u8() % 5);
        match script.u8() % 24 {
            0..=2 => StoreRequest::Create { mailbox, new: script.u8() % 4 != 3 },
            3..=5 => StoreRequest::Grant {
                mailbox,
                grant: Grant {
                    capability,
                    handle: Handle([script.u8(); 8]),
                    kind: script.one_of(&[CapabilityKind::Private, CapabilityKind::Knock]),
                    expires: (script.u8() % 4 == 3)
                        .then(|| Hour::of(self.now).plus(u64::from(script.u8() % 50))),
                    rate: Rate::new(
                        1 + u32::from(script.u8() % 80),
                        1 + u32::from(script.u8() % 9),
                    )
                    .expect("a rate"),
                },
            },
            6 => StoreRequest::Revoke { mailbox, capability },
            7 | 8 => StoreRequest::Publish {
                mailbox,
                publish: Publish {
                    knock: capability,
                    link: script.one_of(&[LinkUse::Reusable, LinkUse::OneTime]),
                    bundle: Bytes::from(vec![script.u8(); 90]),
                    one_time: (0..script.u8() % 33).map(|n| Bytes::from(vec![n; 20])).collect(),
                    replace_one_time: script.u8() % 3 == 2,
                },
            },
            9 => StoreRequest::Subscribe { mailbox },
            10 | 11 => StoreRequest::Read {
                mailbox,
                after: u64::from(script.u8() % 40),
                messages: 1 + script.below(20),
                bytes: 300 * (1 + script.below(20)),
            },
            12 | 13 => StoreRequest::Ack {
                mailbox,
                seqs: (0..script.u8() % 6).map(|_| u64::from(script.u8() % 60)).collect(),
            },
            14 if script.u8() % 4 == 3 => StoreRequest::Delete { mailbox },
            15 => StoreRequest::Probe { capability },
            16 | 17 => StoreRequest::Fetch { capability, id: FetchId([script.u8() % 12; 16]) },
            _ => {
                let mut envelope = vec![0; 256 << (script.u8() % 3)];
                envelope[0] = script.u8() % 64;
                StoreRequest::Deposit {
                    capability,
                    ttl: script.one_of(&[TtlClass::Day, TtlClass::Week, TtlClass::Month]),
                    id: MessageId::of(&envelope),
                    envelope: envelope.into(),
                }
            }
        }
    }

    /// What mailboxes say that they hold is there.
    fn check(&self) {
        let (mut told, mut there) = ((0, 0), (0, 0));
        let (mut dropped, mut waiting) = (Vec::new(), Vec::new());
        for (key, value) in self.disk.all() {
            match record::read(&key, &value).expect("a record") {
                Counted::Mailbox { messages, bytes } => told = (told.0 + messages, told.1 + bytes),
                Counted::Message { bytes, number } => waiting.push((number, bytes)),
                Counted::Dropped { number } => dropped.push(number),
                _ => {}
            }
        }
        for (number, bytes) in waiting {
            if !dropped.contains(&number) {
                there = (there.0 + 1, there.1 + bytes);
            }
        }
        assert_eq!(there, told, "messages and bytes that wait");
    }

    /// Everything is read once more, deleted and swept; then the disk holds nothing but what a store is.
    fn end(mut self) {
        self.disk.set_room(true);
        for id in 0..MAILBOXES {
            let mailbox = MailboxId([id; 32]);
            let batch = vec![
                StoreRequest::Read { mailbox, after: 0, messages: 9999, bytes: usize::MAX / 4 },
                StoreRequest::Delete { mailbox },
            ];
            let expected = self.model.apply(self.now, batch.clone()).expect("a model");
            assert_eq!(self.shelf.apply(self.now, batch).expect("no fault"), expected);
        }
        while self.shelf.sweep(self.now).expect("no fault") {}
        let mut left = BTreeMap::new();
        for (key, _) in self.disk.all() {
            // A mark to look at an idle mailbox goes when its hour comes.
            if key.first() != Some(&b'x') || key.get(9) != Some(&b'i') {
                *left.entry(char::from(key[0])).or_insert(0) += 1;
            }
        }
        left.retain(|kind, _| !"etc".contains(*kind));
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

fn capability(n: u8) -> CapabilityHash {
    Capability::new(Secret::new([n + 1; 32])).hash()
}

const fn grows(request: &StoreRequest) -> bool {
    !matches!(
        request,
        StoreRequest::Revoke { .. }
            | StoreRequest::Subscribe { .. }
            | StoreRequest::Read { .. }
            | StoreRequest::Ack { .. }
            | StoreRequest::Delete { .. }
    )
}
