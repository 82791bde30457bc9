//! The store keeps what it promised: sealed, bound to its place, all or nothing.

use super::*;

const KIND: u8 = Kind::Contact as u8;

fn key_file(directory: &Path) -> Unlock {
    let path = directory.join("key");
    std::fs::write(&path, [7; 32]).unwrap();
    Unlock::KeyFile(path)
}

fn store(directory: &Path) -> Store {
    Store::create(directory, &key_file(directory)).unwrap()
}

fn reopen(directory: &Path) -> Store {
    Store::open(directory, &key_file(directory)).unwrap()
}

fn raw(directory: &Path) -> Connection {
    Connection::open(directory.join(FILE)).unwrap()
}

#[test]
fn a_record_is_there_after_reopening_and_unreadable_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    store(home.path())
        .transaction(|tx| tx.store(KIND, b"a name in the clear", b"a value in the clear"))
        .unwrap();
    let value =
        reopen(home.path()).transaction(|tx| tx.load(KIND, b"a name in the clear")).unwrap();
    assert_eq!(value.unwrap().as_slice(), b"a value in the clear");
    for file in std::fs::read_dir(home.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"in the clear"));
    }
}

#[test]
fn a_transaction_that_fails_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    let failed: Result<(), StoreError> = store.transaction(|tx| {
        tx.store(KIND, b"k", b"v")?;
        tx.append(Log::Outbox, b"t", b"row")?;
        Err(StoreError::Damaged)
    });
    assert!(failed.is_err());
    store
        .transaction(|tx| {
            assert!(tx.load(KIND, b"k")?.is_none());
            assert!(tx.rows_after(Log::Outbox, None, 0, 10)?.is_empty());
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn the_wrong_passphrase_and_the_wrong_kind_of_key_open_nothing() {
    let home = tempfile::tempdir().unwrap();
    drop(Store::create(home.path(), &Unlock::passphrase("correct horse")).unwrap());
    for wrong in [Unlock::passphrase("battery staple"), key_file(home.path())] {
        assert!(matches!(Store::open(home.path(), &wrong), Err(StoreError::WrongKey)));
    }
    assert!(Store::open(home.path(), &Unlock::passphrase("correct horse")).is_ok());
}

// Tests [cost-floor]. Seen to fail with the bounds of `Cost::from_bytes` removed: the file then opens in microseconds.
#[test]
fn a_lowered_cost_in_the_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    drop(Store::create(home.path(), &Unlock::passphrase("correct horse")).unwrap());
    let cost: Vec<u8> = [8u32.to_be_bytes(), 1u32.to_be_bytes()].concat();
    raw(home.path()).execute("UPDATE store_key SET cost = ?1", [cost]).unwrap();
    let opened = Store::open(home.path(), &Unlock::passphrase("correct horse"));
    assert!(matches!(opened, Err(StoreError::WrongKey)));
}

// Tests [row-bound]. Seen to fail with the name, and with the version, left out of the context.
#[test]
fn a_row_moved_or_relabelled_does_not_open() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    store
        .transaction(|tx| {
            tx.store(KIND, b"a", b"one")?;
            tx.store(KIND, b"b", b"two")
        })
        .unwrap();
    let swap = "CREATE TEMP TABLE other AS SELECT a.name, b.sealed FROM records a, records b WHERE a.name != b.name;
        UPDATE records SET sealed = (SELECT sealed FROM other WHERE other.name = records.name);";
    raw(home.path()).execute_batch(swap).unwrap();
    assert!(matches!(store.transaction(|tx| tx.load(KIND, b"a")), Err(StoreError::Damaged)));
    raw(home.path()).execute_batch(swap).unwrap();
    assert!(store.transaction(|tx| tx.load(KIND, b"a")).unwrap().is_some());
    raw(home.path()).execute("UPDATE records SET version = version + 1", []).unwrap();
    assert!(matches!(store.transaction(|tx| tx.load(KIND, b"a")), Err(StoreError::Damaged)));
}

#[test]
fn a_log_is_read_in_order_by_thread_and_numbers_are_not_reused() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    store
        .transaction(|tx| {
            let first = tx.append(Log::Messages, b"alice", b"1")?;
            tx.append(Log::Messages, b"bob", b"2")?;
            let third = tx.append(Log::Messages, b"alice", b"3")?;
            tx.rewrite(Log::Messages, first, b"one")?;
            let rows = tx.rows_after(Log::Messages, Some(b"alice"), 0, 10)?;
            let values: Vec<_> = rows.iter().map(|row| row.value.to_vec()).collect();
            assert_eq!(values, [b"one".to_vec(), b"3".to_vec()]);
            tx.remove(Log::Messages, third)?;
            assert!(tx.append(Log::Messages, b"alice", b"4")? > third);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

// Tests [one-receives].
#[test]
fn only_one_process_receives_while_another_writes() {
    let home = tempfile::tempdir().unwrap();
    let first = store(home.path());
    let mut second = reopen(home.path());
    let lock = first.receive_lock().unwrap().unwrap();
    assert!(second.receive_lock().unwrap().is_none());
    let before = first.foreign_changes().unwrap();
    second.transaction(|tx| tx.store(KIND, b"k", b"v")).unwrap();
    assert_ne!(first.foreign_changes().unwrap(), before);
    drop(lock);
    assert!(second.receive_lock().unwrap().is_some());
}

#[test]
fn a_home_is_created_once_and_opened_only_if_it_exists() {
    let home = tempfile::tempdir().unwrap();
    let key = key_file(home.path());
    assert!(matches!(Store::open(home.path(), &key), Err(StoreError::NotThere)));
    drop(store(home.path()));
    assert!(matches!(Store::create(home.path(), &key), Err(StoreError::AlreadyThere)));
}
