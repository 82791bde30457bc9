//! Payments that break one rule each, and are good but for that: a payee declines them for that reason.

use super::*;
use crate::{
    job::{self, Purpose},
    lock::Template,
    records,
};
use chopmark_wire::payment::{Payment, PaymentDecline, ReceiptStatement, RequestId};

type Change = fn(&mut Template, Timestamp);

/// A payment of Alice's for this request, under a template that she has changed; Bob does not have it yet.
fn made(world: &mut World, request: &Bytes, change: Change) -> Payment {
    world.fund(ALICE, 3_000);
    world.settle();
    world.pay(ALICE, request).unwrap();
    let records = &mut world.people[ALICE].records;
    let mut template = None;
    for mut job in job::all(records).unwrap() {
        assert!(matches!(job.purpose, Purpose::Lock(_)));
        for plan in &mut job.plans {
            let lock = plan.lock.as_mut().unwrap();
            change(&mut lock.template, world.now);
            template = Some(lock.template.clone());
        }
        records::put(records, Kind::Job, &job.number.to_be_bytes(), &job).unwrap();
    }
    world.people[ALICE].effects.clear();
    world.turn(ALICE, |pay, records, now, rng| pay.resume(records, now, rng).unwrap());
    loop {
        if let Some(Effect::Send(Outbound { body: Body::Payment(bytes), .. })) =
            world.people[ALICE].effects.front()
        {
            let template = template.unwrap();
            let mut payment = Payment::decode(bytes).unwrap();
            (payment.refund_key, payment.locktime) = (template.refund_key, template.locktime);
            return payment;
        }
        assert!(world.step(ALICE));
    }
}

/// What Bob answers, if he declines.
fn declined(world: &mut World, from: [u8; 32], payment: &Payment) -> Option<DeclineReason> {
    let from = Peer { account: from, ..world.people[ALICE].peer() };
    let body = Body::Payment(payment.encode());
    world.turn(BOB, |pay, records, now, rng| pay.receive(records, &from, &body, now, rng).unwrap());
    loop {
        match world.people[BOB].effects.front() {
            Some(Effect::Send(Outbound { body: Body::Decline(bytes), .. })) => {
                return Some(PaymentDecline::decode(bytes).unwrap().reason);
            }
            Some(Effect::Send(Outbound { body: Body::Receipt(_), .. })) | None => return None,
            Some(_) => assert!(world.step(BOB)),
        }
    }
}

fn new() -> (World, Bytes, [u8; 32]) {
    let mut world = World::new(60, 0, Faults::default());
    let request = world.request(BOB, 1_250);
    let alice = world.people[ALICE].pay.account;
    (world, request, alice)
}

fn as_it_is(_: &mut Template, _: Timestamp) {}

// Seen to fail with either comparison in `objection` removed.
#[test]
fn coins_that_the_payer_could_take_back_soon_are_declined() {
    let changes: [(Change, bool); 4] = [
        (as_it_is, true),
        (|template, now| template.locktime = now.as_secs() + 86_400, true),
        (|template, now| template.locktime = now.as_secs() + 86_399, false),
        (|template, _| template.refund_key = template.lock_key, false),
    ];
    for (change, good) in changes {
        let (mut world, request, alice) = new();
        let payment = made(&mut world, &request, change);
        let expected = (!good).then_some(DeclineReason::InvalidCoins);
        assert_eq!(declined(&mut world, alice, &payment), expected);
    }
}

// Seen to fail with the look at the expiry removed.
#[test]
fn a_payment_that_comes_after_the_requests_end_is_declined() {
    let (mut world, request, alice) = new();
    let payment = made(&mut world, &request, as_it_is);
    world.now = world.now.saturating_add(Duration::from_millis(86_400_001));
    assert_eq!(declined(&mut world, alice, &payment), Some(DeclineReason::Expired));
}

// Seen to fail with the comparison of the sum removed.
#[test]
fn a_payment_of_another_sum_is_declined() {
    for minor in [1_249, 1_251] {
        let (mut world, request, alice) = new();
        // Locked to the same key: that of the nonce.
        let (id, mut edited) = PaymentRequest::decode(&request).unwrap();
        edited.amount = Amount::new(minor, unit());
        let mut payment = made(&mut world, &edited.encode().unwrap(), as_it_is);
        (payment.request, payment.payment) = (id, PaymentId::of(&id, &alice));
        assert_eq!(declined(&mut world, alice, &payment), Some(DeclineReason::WrongAmount));
    }
}

// Seen to fail with the comparison of the payer removed.
#[test]
fn a_request_for_one_payer_takes_no_other() {
    let (mut world, request, alice) = new();
    let id = RequestId::of(&request);
    let payment = made(&mut world, &request, as_it_is);
    let records = &mut world.people[BOB].records;
    let (mut made, _) = crate::request::load(records, &id).unwrap().unwrap();
    made.payer = Some([9; 32]);
    crate::request::store(records, &id, &made).unwrap();
    assert_eq!(declined(&mut world, alice, &payment), Some(DeclineReason::UnknownRequest));
}

// Seen to fail with either half of the condition in `incoming::payment` removed.
#[test]
fn coins_of_an_issuer_that_is_not_named_or_not_listed_are_declined() {
    let other = IssuerUrl::parse("http://127.0.0.1:9").unwrap();
    for named in [true, false] {
        let (mut world, request, alice) = new();
        let mut payment = made(&mut world, &request, as_it_is);
        let listed = Issuer { url: other.clone(), unit: unit() };
        world.people[BOB].pay.settings.issuers = vec![listed];
        if !named {
            payment.issuer = other.clone();
        }
        assert_eq!(declined(&mut world, alice, &payment), Some(DeclineReason::WrongIssuer));
    }
}

// Tests [single-use]. Seen to fail with the first payment not written down, and with the look at it removed.
#[test]
fn two_good_payments_of_one_request_are_not_both_taken() {
    let (mut world, request, alice) = new();
    let first = made(&mut world, &request, as_it_is);
    assert_eq!(declined(&mut world, alice, &first), None);
    world.people[BOB].effects.clear();
    // Coins of her own, for the same request, from another account.
    let (mut second, id) = (first.clone(), RequestId::of(&request));
    second.payment = PaymentId::of(&id, &[9; 32]);
    assert_eq!(declined(&mut world, [9; 32], &second), Some(DeclineReason::AlreadyPaid));
}

// Tests [coin-seen-once]. Seen to fail with the look into `Kind::Seen` removed: the thief's copy was taken.
#[test]
fn coins_that_came_before_are_not_taken_when_the_request_is_open_again() {
    let (mut world, request, alice) = new();
    let (payment, id) = (made(&mut world, &request, as_it_is), RequestId::of(&request));
    assert_eq!(declined(&mut world, alice, &payment), None);
    world.people[BOB].effects.clear();
    let records = &mut world.people[BOB].records;
    let (mut made, _) = crate::request::load(records, &id).unwrap().unwrap();
    made.paid_by = None;
    crate::request::store(records, &id, &made).unwrap();
    let mut copy = payment.clone();
    copy.payment = PaymentId::of(&id, &[9; 32]);
    assert_eq!(declined(&mut world, [9; 32], &copy), Some(DeclineReason::InvalidCoins));
}

// Tests [doubt-holds-the-inputs]. Seen to fail with `choose` taking coins that are reserved.
#[test]
fn coins_of_a_lock_in_doubt_pay_nothing_else() {
    let (mut world, request, _) = new();
    world.fund(ALICE, 1_250);
    world.settle();
    world.pay(ALICE, &request).unwrap();
    for answer in [Err(Unreachable), Ok(HttpReply { status: 400, body: b"{}".to_vec() })] {
        let other = world.request(BOB, 2);
        assert!(matches!(world.pay(ALICE, &other), Err(PayError::InsufficientFunds { .. })));
        let call = world.people[ALICE].effects.iter().find_map(|effect| match effect {
            Effect::Call(call) => Some(call.id),
            _ => None,
        });
        world.people[ALICE].effects.clear();
        world.now = world.now.saturating_add(Duration::from_secs(10));
        world.turn(ALICE, |pay, records, now, rng| {
            let mut effects = pay.reply(records, call.unwrap(), answer, now, rng).unwrap();
            let later = now.saturating_add(Duration::from_secs(10));
            effects.extend(pay.wake(records, later, rng).unwrap());
            effects
        });
        assert_eq!(world.people[ALICE].balance().spendable, 0);
    }
}

// Tests [receipt-signed]. Seen to fail with the payment's payee not compared to the sender, with the issuer not compared,
// and with a receipt taken before the lock.
#[test]
fn a_receipt_of_another_payee_or_issuer_or_before_the_lock_pays_nothing() {
    let (mut world, request, alice) = new();
    world.fund(ALICE, 3_000);
    world.settle();
    let id = world.pay(ALICE, &request).unwrap();
    let bob = world.people[BOB].peer();
    let right = ReceiptStatement {
        stage: Stage::Settled,
        payment: id,
        request: RequestId::of(&request),
        payee: bob.account,
        payer: alice,
        amount: Amount::new(1_250, unit()),
        issuer: IssuerUrl::parse(URL).unwrap(),
        at: world.now,
    };
    let mallory = SigningKey::from_secret(&Secret::new([99; 32]));
    let hers = Peer { account: [5; 32], device: mallory.verifying_key() };
    let device = SigningKey::from_secret(&Secret::new([0x24; 32]));
    let give = |world: &mut World, from: Peer, statement: &ReceiptStatement, key: &SigningKey| {
        let body = Body::Receipt(PaymentReceipt::sign(statement, key).encode());
        world.turn(ALICE, |pay, records, now, rng| {
            pay.receive(records, &from, &body, now, rng).unwrap()
        });
        let alice = &world.people[ALICE];
        matches!(alice.pay.outcome(&alice.records, &id).unwrap(), Outcome::Paid(_))
    };
    assert!(!give(&mut world, bob, &right, &device), "before the lock");
    while world.state(ALICE, &id) == State::Locking {
        assert!(world.step(ALICE));
    }
    let other = ReceiptStatement { payee: hers.account, ..right.clone() };
    assert!(!give(&mut world, hers, &other, &mallory), "of another payee");
    let issuer = IssuerUrl::parse("http://127.0.0.1:9").unwrap();
    let other = ReceiptStatement { issuer, ..right.clone() };
    assert!(!give(&mut world, bob, &other, &device), "of another issuer");
    assert!(give(&mut world, bob, &right, &device));
}
