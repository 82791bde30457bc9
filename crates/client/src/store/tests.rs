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

// Tests [counters-never-wrap].
#[test]
fn t07_the_last_version_of_a_row_is_followed_by_none() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    let seq = store
        .transaction(|tx| {
            tx.store(KIND, b"a", b"one")?;
            tx.append(Log::Messages, b"alice", b"1")
        })
        .unwrap();
    let last = "UPDATE records SET version = 9223372036854775807;
        UPDATE logs SET version = 9223372036854775807;";
    raw(home.path()).execute_batch(last).unwrap();
    let stored = store.transaction(|tx| tx.store(KIND, b"a", b"two"));
    assert!(matches!(stored, Err(StoreError::Damaged)));
    let rewritten = store.transaction(|tx| tx.rewrite(Log::Messages, seq, b"2"));
    assert!(matches!(rewritten, Err(StoreError::Damaged)));
    store.transaction(|tx| tx.store(KIND, b"b", b"another row")).unwrap();
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

#[test]
fn the_file_is_as_durable_and_as_forgetful_as_it_says() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let pragma = |name: &str| -> String {
        store
            .connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("secure_delete"), "Integer(1)");
    assert_eq!(pragma("journal_size_limit"), "Integer(0)");
    assert_eq!(pragma("temp_store"), "Integer(2)");
}

// Seen to fail with the lock open to others: another user could then hold it and stop us receiving.
#[cfg(unix)]
#[test]
fn nobody_else_can_open_a_file_of_a_home() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("home");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let key = key_file(parent.path());
    let mut store = Store::create(&home, &key).unwrap();
    store.transaction(|tx| tx.store(KIND, b"k", b"v")).unwrap();
    let _lock = store.receive_lock().unwrap().unwrap();
    assert_eq!(mode(&home), 0o700);
    let mut files = 0;
    for file in std::fs::read_dir(&home).unwrap() {
        files += 1;
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert_eq!(files, 4, "the file, its log, its index and the lock");
}

#[test]
fn two_processes_that_create_one_home_do_not_overwrite_each_other() {
    let home = tempfile::tempdir().unwrap();
    let key = key_file(home.path());
    let lock = ReceiveLock::take(home.path()).unwrap().unwrap();
    assert!(matches!(Store::create(home.path(), &key), Err(StoreError::Busy)));
    drop(lock);
    std::fs::write(home.path().join("chopmark.db.new"), b"left by a crash").unwrap();
    let _first = Store::create(home.path(), &key).unwrap();
    assert!(matches!(Store::create(home.path(), &key), Err(StoreError::AlreadyThere)));
}

// Seen to fail with one statement for both: asking for the outbox then read the whole history.
#[test]
fn what_is_asked_often_is_found_by_an_index() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    for (query, index) in [(tx::ROWS_OF_THREAD, "logs_by_thread"), (tx::ROWS_OF_LOG, "logs_by_log")]
    {
        let mut statement =
            store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        for at in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(at, 1).unwrap();
        }
        let plan: String = statement.raw_query().next().unwrap().unwrap().get(3).unwrap();
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn a_full_disk_is_an_error_of_its_own_and_space_heals_it() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    store.transaction(|tx| tx.store(KIND, b"before", b"v")).unwrap();
    store.limit_growth(0);
    let full = store.transaction(|tx| tx.store(KIND, b"k", &vec![1; 100_000]));
    assert!(matches!(full, Err(StoreError::DiskFull)));
    store.transaction(|tx| tx.load(KIND, b"before")).unwrap().unwrap();
    store.limit_growth(1_000);
    store.transaction(|tx| tx.store(KIND, b"k", &vec![1; 100_000])).unwrap();
    drop(store);
    assert!(reopen(home.path()).transaction(|tx| tx.load(KIND, b"k")).unwrap().is_some());
}

#[test]
fn errors_name_no_path() {
    let home = tempfile::tempdir().unwrap();
    let key = key_file(home.path());
    std::fs::create_dir(home.path().join(FILE)).unwrap();
    let error = Store::open(home.path(), &key).map(|_| ()).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(home.path().to_str().unwrap()), "{text}");
}

#[test]
fn a_file_that_is_no_store_or_another_version_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let key = key_file(home.path());
    let path = home.path().join(FILE);
    std::fs::write(&path, vec![0x5a; 8192]).unwrap();
    assert!(Store::open(home.path(), &key).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), vec![0x5a; 8192]);
    std::fs::remove_file(&path).unwrap();
    drop(Store::create(home.path(), &key).unwrap());
    raw(home.path()).pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(Store::open(home.path(), &key), Err(StoreError::Format(2))));
}

// `newest` bounds what the application says it is done with: a cursor beyond it would hide every later event.
#[test]
fn rows_up_to_a_number_go_at_once_and_other_logs_stay() {
    let home = tempfile::tempdir().unwrap();
    let mut store = store(home.path());
    store
        .transaction(|tx| {
            assert_eq!(tx.newest()?, 0);
            tx.append(Log::Events, b"", b"1")?;
            let message = tx.append(Log::Messages, b"a", b"2")?;
            let second = tx.append(Log::Events, b"", b"3")?;
            tx.append(Log::Events, b"", b"4")?;
            tx.remove_through(Log::Events, second)?;
            assert_eq!(tx.rows_after(Log::Events, None, 0, 10)?.len(), 1);
            assert!(tx.row(Log::Messages, message)?.is_some());
            assert_eq!(tx.newest()?, second + 1);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}
