//! What a user is told of a payment, whatever the payee and the issuer do.

use super::*;
use crate::lock;
use chopmark_wire::payment::{PaymentDecline, ReceiptStatement};

fn outcome(world: &World, id: &PaymentId) -> Outcome {
    let alice = &world.people[ALICE];
    alice.pay.outcome(&alice.records, id).unwrap()
}

/// A payment of Alice's, and Bob does not have it yet.
fn begun(world: &mut World) -> PaymentId {
    world.fund(ALICE, 3_000);
    world.settle();
    let request = world.request(BOB, 1_250);
    let id = world.pay(ALICE, &request).unwrap();
    while !world.people[ALICE].effects.iter().any(|it| matches!(it, Effect::Send(_))) {
        assert!(world.step(ALICE));
    }
    id
}

fn give(world: &mut World, body: Body) {
    let from = world.people[BOB].peer();
    world.turn(ALICE, |pay, records, now, rng| {
        pay.receive(records, &from, &body, now, rng).unwrap()
    });
}

fn receipt(world: &World, id: PaymentId, stage: Stage) -> Body {
    let alice = &world.people[ALICE];
    let view = alice.pay.payment(&alice.records, &id).unwrap().unwrap();
    let statement = ReceiptStatement {
        stage,
        payment: id,
        request: view.request,
        payee: view.peer,
        payer: alice.pay.account,
        amount: view.amount,
        issuer: view.issuer,
        at: world.now,
    };
    Body::Receipt(PaymentReceipt::sign(&statement, &world.people[BOB].pay.device).encode())
}

// A payee declines, keeps its signatures to itself, and claims. Seen to fail with a decline reported as the outcome
// before the coins were back, and with as few signatures as there are taken for a release.
#[test]
fn a_payee_who_declines_and_claims_is_not_reported_as_a_refusal() {
    let mut world = World::new(40, 0, Faults::default());
    let id = begun(&mut world);
    let decline = PaymentDecline { payment: id, reason: DeclineReason::Other, release: Vec::new() };
    give(&mut world, Body::Decline(decline.encode()));
    assert_eq!(outcome(&world, &id), Outcome::Unknown(id));
    // It claims after all; of its receipts none arrives.
    while let Some(effect) = world.people[ALICE].effects.pop_front() {
        let Effect::Send(outbound) = effect else { continue };
        let from = world.people[ALICE].peer();
        world.turn(BOB, |pay, records, now, rng| {
            pay.receive(records, &from, &outbound.body, now, rng).unwrap()
        });
    }
    while world.people[BOB].effects.iter().any(|it| matches!(it, Effect::Call(_))) {
        if let Some(Effect::Send(_)) = world.people[BOB].effects.front() {
            world.people[BOB].effects.pop_front();
        } else {
            world.step(BOB);
        }
    }
    world.people[BOB].effects.clear();
    assert_eq!(world.people[BOB].balance().spendable, 1_250);
    world.people[ALICE].wakes.push(world.now);
    world.run(Duration::from_secs(12 * 86_400));
    assert_eq!(world.state(ALICE, &id), State::Claimed);
    assert_eq!(outcome(&world, &id), Outcome::Unknown(id));
    world.assert_balanced();
}

// A payee accepts, and then does not claim, or lets the coins go. Seen to fail with any receipt taken for payment.
#[test]
fn coins_that_came_back_were_not_paid_whatever_was_accepted() {
    for declines in [false, true] {
        let mut world = World::new(41, 0, Faults::default());
        let id = begun(&mut world);
        let accepted = receipt(&world, id, Stage::Accepted);
        give(&mut world, accepted);
        assert!(matches!(outcome(&world, &id), Outcome::Paid(_)));
        if declines {
            let decline = PaymentDecline {
                payment: id,
                reason: DeclineReason::InvalidCoins,
                release: Vec::new(),
            };
            give(&mut world, Body::Decline(decline.encode()));
            assert_eq!(outcome(&world, &id), Outcome::Unknown(id));
        }
        world.people[ALICE].effects.retain(|effect| !matches!(effect, Effect::Send(_)));
        world.run(Duration::from_secs(12 * 86_400));
        assert_eq!(world.people[ALICE].balance().spendable, 3_000);
        assert!(matches!(outcome(&world, &id), Outcome::Refused(_)), "declines: {declines}");
        world.assert_balanced();
    }
}

// A settled receipt that nothing backs hurts only who signed it: the payer has it, and has the coins as well.
#[test]
fn a_payee_who_signs_and_releases_has_been_paid_and_has_nothing() {
    let mut world = World::new(42, 0, Faults::default());
    let id = begun(&mut world);
    let sent = world.people[ALICE].effects.iter().find_map(|effect| match effect {
        Effect::Send(Outbound { body: Body::Payment(bytes), .. }) => Some(bytes.clone()),
        _ => None,
    });
    let payment = chopmark_wire::payment::Payment::decode(&sent.unwrap()).unwrap();
    let bob = &world.people[BOB];
    let (_, request) = crate::request::load(&bob.records, &payment.request).unwrap().unwrap();
    let ours = crate::request::lock_key(&bob.pay, &request.nonce).unwrap();
    let ephemeral = cashu::PublicKey::from_slice(&payment.ephemeral_key).unwrap();
    let factor = lock::blinding(&ours, &ephemeral).unwrap();
    let key = lock::blind_secret(&ours, &factor).unwrap();
    let template = lock::Template {
        lock_key: key.public_key().to_bytes(),
        refund_key: payment.refund_key,
        locktime: payment.locktime,
    };
    let sign = |proof: &chopmark_wire::payment::CompactProof| {
        lock::sign(&key, &template.secret(&proof.nonce))
    };
    let decline = PaymentDecline {
        payment: id,
        reason: DeclineReason::Other,
        release: payment.proofs.iter().map(sign).collect(),
    };
    world.people[ALICE].effects.retain(|effect| !matches!(effect, Effect::Send(_)));
    give(&mut world, Body::Decline(decline.encode()));
    let settled = receipt(&world, id, Stage::Settled);
    give(&mut world, settled);
    world.settle();
    assert_eq!(world.state(ALICE, &id), State::Declined);
    assert!(matches!(outcome(&world, &id), Outcome::Paid(_)));
    assert_eq!(world.people[ALICE].balance().spendable, 3_000);
    world.assert_balanced();
}
