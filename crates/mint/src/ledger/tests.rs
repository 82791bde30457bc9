//! The sequencer's promises: answers wait, and a disk that cannot be trusted ends it.

use super::*;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn fresh(folder: &Path) -> Ledger {
    let path = folder.join("ledger");
    Log::create(&path, [1; 32]).unwrap();
    Ledger::open(&path, |_| {}).unwrap().0
}

/// Holds the sequencer inside a step until the sender is dropped; the receiver hears when it is there.
fn hold(ledger: &Arc<Ledger>) -> (std::sync::mpsc::Sender<()>, oneshot::Receiver<()>) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (arrive, arrived) = oneshot::channel();
    let ledger = Arc::clone(ledger);
    tokio::spawn(async move {
        let step = move |_: &mut Books| {
            let _heard = arrive.send(());
            let _dropped = released.recv();
        };
        ledger.settle(step, |()| ()).await
    });
    (release, arrived)
}

// Tests [answers-wait]
// Seen to fail with `synced.await` removed from `Ledger::settle`.
#[tokio::test]
async fn no_answer_leaves_before_the_batch_it_was_decided_in_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(fresh(folder.path()));
    let (first, arrived) = hold(&ledger);
    arrived.await.unwrap();
    // Three steps of the next batch: one that is accepted, one that is refused because of it, one that only looks.
    let signed = Arc::new(AtomicBool::new(false));
    let pay = {
        let (ledger, signed) = (Arc::clone(&ledger), Arc::clone(&signed));
        tokio::spawn(async move {
            let beside = move |paid: Result<_, _>| {
                signed.store(true, Ordering::SeqCst);
                paid.is_ok()
            };
            ledger.settle(|books| books.pay([1; 16], 5, 0), beside).await
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            ledger.settle(|books| books.pay([1; 16], 6, 0), |paid| paid.is_err()).await
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let look = {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            ledger.settle(|books| books.quote(&[1; 16]), |it| it.paid.is_some()).await
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (second, arrived) = hold(&ledger);
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(first);
    arrived.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(signed.load(Ordering::SeqCst), "the work beside the sync was done");
    assert_eq!(ledger.head().seq, 0, "nothing is durable");
    assert!(!pay.is_finished() && !refused.is_finished() && !look.is_finished());
    drop(second);
    for answer in [pay, refused, look] {
        assert_eq!(answer.await.unwrap(), Ok(true));
    }
    assert_eq!(ledger.head().seq, 1, "one frame for the batch");
}

// Tests [sync-error-stops]
// Seen to fail with the error of `sync_data` ignored.
#[test]
fn a_failed_sync_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    Log::create(&path, [1; 32]).unwrap();
    let mut log = Log::open(&path, |_| Ok(())).unwrap();
    // A pipe takes the bytes and cannot be synced.
    let (_reader, writer) = std::io::pipe().unwrap();
    log.replace_file(OwnedFd::from(writer).into());
    let mut books = Books::default();
    books.pay([1; 16], 5, 0).unwrap();
    let before = log.head();
    assert!(matches!(log.append(books.fresh()), Err(AppendError::Broken(_))));
    assert_eq!(log.head(), before);

    let (head, heads) = watch::channel(before);
    let (stop, stopped) = watch::channel(None);
    let alarm = folder.path().join(ALARM_FILE);
    let sequencer = Sequencer { books: Books::default(), log, head, stop, alarm };
    let (sender, jobs) = mpsc::channel(QUEUE);
    let (durable, outcome) = oneshot::channel();
    let decide = Box::new(|books: &mut Books| {
        let _fresh = books.pay([2; 16], 5, 0);
    });
    sender.blocking_send(Job { decide, durable }).unwrap();
    sequencer.run(jobs);
    assert_eq!(outcome.blocking_recv().unwrap(), Err(Unsettled::Stopped));
    assert_eq!(*stopped.borrow(), Some(Stop::Disk));
    assert_eq!(*heads.borrow(), before);
}
