//! An answer waits for the disk.

use super::*;

// Tests [stored-after-fsync]. Seen to fail with `Answer::Stored` sent as the request is handed to the store.
#[test]
fn stored_waits_for_the_store() {
    let relay = Relay::new();
    let mut served = relay.connection();
    served.poll();
    let frame = request(1, Request::Deposit(deposit(1))).encode();
    served.handle(NOW, relay::Input::Bytes(&frame));
    let Some(relay::Output::Store { ticket, .. }) = served.poll() else { panic!() };
    assert_eq!(served.poll(), None);
    let answer = StoreAnswer::Stored { arrived: None };
    served.handle(NOW, relay::Input::Answered { ticket, answer });
    assert!(matches!(served.poll(), Some(relay::Output::Send(_))));
}

// Tests [no-answer-of-a-failed-batch]. Seen to fail with a refusal sent instead.
#[test]
fn a_store_that_cannot_say_leaves_the_request_unanswered() {
    let relay = Relay::new();
    let (mut served, mut sender) = (relay.connection(), relay.sender());
    let Some(relay::Output::Send(proof)) = served.poll() else { panic!() };
    sender.deposit(NOW, deposit(1));
    sender.handle(NOW, Input::Bytes(&proof)).unwrap();
    while let Some(output) = sender.poll() {
        if let Output::Send(bytes) = output {
            served.handle(NOW, relay::Input::Bytes(&bytes));
        }
    }
    assert!(matches!(served.poll(), Some(relay::Output::Store { .. })));
    served.handle(NOW, relay::Input::Failed);
    let Some(relay::Output::Send(bytes)) = served.poll() else { panic!() };
    sender.handle(NOW, Input::Bytes(&bytes)).unwrap();
    assert_eq!(sender.poll(), Some(Output::Event(SenderEvent::GoAway(GoAwayReason::Unavailable))));
    assert_eq!(sender.unanswered(), 1);
    assert_eq!(served.poll(), Some(relay::Output::Close(GoAwayReason::Unavailable)));
}
