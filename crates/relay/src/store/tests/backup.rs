//! Backups that are made under load, come back, and are not believed when they are damaged.

use std::{fs, path::Path, sync::mpsc::channel, thread};

use chopmark_wire::relay::Deliver;

use super::*;
use crate::store::{BackupError, CheckError, backup, check, restore, verify};

const AFTER: Epoch = Epoch([6; 16]);

fn deposit(n: u32) -> StoreRequest {
    let mut envelope = vec![0; 2048];
    envelope[..4].copy_from_slice(&n.to_be_bytes());
    StoreRequest::Deposit {
        capability: capability(1).hash(),
        ttl: TtlClass::Month,
        id: MessageId::of(&envelope),
        envelope: envelope.into(),
    }
}

fn mailbox_with_a_link(shelf: &mut Shelf<FjallDisk>) {
    let mailbox = MailboxId([1; 32]);
    let grant = |n, kind| StoreRequest::Grant {
        mailbox,
        grant: Grant {
            capability: capability(n).hash(),
            handle: Handle([0; 8]),
            kind,
            expires: None,
            rate: Rate::new(4096, 4096).unwrap(),
        },
    };
    let publish = Publish {
        knock: capability(2).hash(),
        link: LinkUse::Reusable,
        bundle: Bytes::from_static(b"bundle"),
        one_time: vec![Bytes::from_static(b"one-time")],
        replace_one_time: false,
    };
    let batch = vec![
        StoreRequest::Create { mailbox, new: true },
        grant(1, CapabilityKind::Private),
        grant(2, CapabilityKind::Knock),
        StoreRequest::Publish { mailbox, publish },
    ];
    let answers = shelf.apply(NOW, batch).unwrap();
    assert!(!answers.iter().any(|it| matches!(it, StoreAnswer::Refused(_))), "{answers:?}");
}

fn waiting(shelf: &mut Shelf<FjallDisk>) -> Vec<Deliver> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map_or(0, |it: &Deliver| it.seq);
        let (mailbox, messages, bytes) = (MailboxId([1; 32]), 64, usize::MAX);
        let read = StoreRequest::Read { mailbox, after, messages, bytes };
        match shelf.apply(NOW, vec![read]).unwrap().remove(0) {
            StoreAnswer::Messages(some) if some.is_empty() => return all,
            StoreAnswer::Messages(some) => all.extend(some),
            other => panic!("{other:?}"),
        }
    }
}

// Tests [restore-is-a-new-epoch]. Seen to fail with the backup's own epoch restored, and with one-time prekeys
// restored.
#[test]
fn a_backup_under_load_comes_back_with_all_that_was_answered_before_and_another_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let mut shelf = shelf(&home);
    mailbox_with_a_link(&mut shelf);
    for n in 0..300 {
        shelf.apply(NOW, vec![deposit(n)]).unwrap();
    }
    let source = shelf.disk().source();
    let (begun, begins) = channel();
    let taking = thread::spawn(move || {
        begun.send(()).unwrap();
        let mut copy = Vec::new();
        (backup(&source, NOW, &mut copy).unwrap(), copy)
    });
    begins.recv().unwrap();
    let mut more = 300;
    while !taking.is_finished() && more < 4000 {
        shelf.apply(NOW, vec![deposit(more)]).unwrap();
        more += 1;
    }
    let (manifest, copy) = taking.join().unwrap();
    assert_eq!(verify(&copy[..]).unwrap(), manifest);
    assert_eq!(manifest.bytes, copy.len() as u64);
    let all = waiting(&mut shelf);
    drop(shelf);

    let other = folder.path().join("other");
    assert_eq!(restore(&copy[..], &other, AFTER).unwrap(), manifest);
    let contents = check(&other).unwrap();
    let mut restored = self::shelf(&other);
    let there = waiting(&mut restored);
    assert!(there.len() >= 300, "{}", there.len());
    assert_eq!(there, all[..there.len()]);
    assert_eq!((contents.mailboxes, contents.messages), (1, there.len() as u64));
    assert_eq!((manifest.mailboxes, manifest.messages), (1, there.len() as u64));

    let mailbox = MailboxId([1; 32]);
    let (capability, id) = (capability(2).hash(), FetchId([1; 16]));
    let ask = vec![StoreRequest::Subscribe { mailbox }, StoreRequest::Fetch { capability, id }];
    let answers = restored.apply(NOW, ask).unwrap();
    assert_eq!(answers[0], StoreAnswer::Subscribed { epoch: AFTER, head: there.len() as u64 });
    let bundle = Bytes::from_static(b"bundle");
    assert_eq!(answers[1], StoreAnswer::Fetched { bundle, one_time: None });
}

// Seen to fail with the checksum not compared, and with the store named before its end was read.
#[test]
fn a_damaged_backup_is_refused_and_leaves_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = shelf(folder.path());
    mailbox_with_a_link(&mut shelf);
    shelf.apply(NOW, vec![deposit(1)]).unwrap();
    let source = shelf.disk().source();
    let mut copy = Vec::new();
    backup(&source, NOW, &mut copy).unwrap();
    let other = folder.path().join("other");
    for at in (0..copy.len()).step_by(97).chain([copy.len() - 1]) {
        let mut damaged = copy.clone();
        damaged[at] ^= 1;
        let why = verify(&damaged[..]).unwrap_err();
        assert!(matches!(why, BackupError::Damaged | BackupError::Unknown), "{at}: {why}");
        assert!(verify(&copy[..at]).is_err(), "cut at {at}");
    }
    for damaged in [&copy[..copy.len() - 1], &[&copy[..500], &[1], &copy[501..]].concat()] {
        assert!(matches!(restore(damaged, &other, AFTER), Err(BackupError::Damaged)));
        assert!(!other.join("queue").exists() && !other.join("restoring").exists());
    }
    restore(&copy[..], &other, AFTER).unwrap();
    // And a store that is there is not written over.
    assert!(matches!(restore(&copy[..], &other, AFTER), Err(BackupError::NotEmpty)));
    // Nothing is read from a store that is closed.
    drop(shelf);
    assert!(matches!(backup(&source, NOW, &mut copy), Err(BackupError::Store(_))));
}

// Seen to fail with `check` not decoding, and with it opening the store itself.
#[test]
fn a_check_finds_a_damaged_record_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(check(folder.path()), Err(CheckError::None)));
    let mut shelf = shelf(folder.path());
    mailbox_with_a_link(&mut shelf);
    shelf.apply(NOW, vec![deposit(1)]).unwrap();
    drop(shelf);
    let before = files(folder.path());
    let contents = check(folder.path()).unwrap();
    assert_eq!((contents.mailboxes, contents.messages, contents.bytes), (1, 1, 2048));
    assert_eq!(files(folder.path()), before);

    let mut disk = FjallDisk::open(folder.path(), TEST_SPACE).unwrap();
    disk.commit(vec![(b"s damaged".to_vec(), Some(Bytes::from_static(b"short")))]).unwrap();
    drop(disk);
    assert!(matches!(check(folder.path()), Err(CheckError::Records(1))));
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}
