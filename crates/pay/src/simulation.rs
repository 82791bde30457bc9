//! Two wallets, an issuer and everything that goes wrong between them.
//!
//! The issuer is a real signer on the real curve, small enough to be read. Wallets crash between a commit and its
//! effects, calls are lost before and after the issuer, messages come twice; at the end every payment has ended and
//! issued = spendable + fees, to the unit.

mod attacks;
mod declines;
mod doubts;
mod issuer;
mod outcomes;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_wire::payment::{
    Amount, DeclineReason, IssuerUrl, PaymentId, PaymentReceipt, PaymentRequest, Stage, Unit,
};
use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::*;
use issuer::TestIssuer;

const URL: &str = "http://127.0.0.1:3338";
const START: u64 = 1_795_000_000_000;

struct Person {
    pay: Pay,
    records: MemoryRecords,
    effects: VecDeque<Effect>,
    wakes: Vec<Timestamp>,
    events: Vec<Event>,
}

/// What goes wrong, in percent.
#[derive(Clone, Copy, Default)]
struct Faults {
    crash: u32,
    lost_call: u32,
    lost_answer: u32,
    server_error: u32,
    twice: u32,
    /// Another process on the same store starts, and asks for everything that is under way once more.
    second: u32,
}

struct World {
    people: [Person; 2],
    issuer: TestIssuer,
    now: Timestamp,
    rng: ChaCha20Rng,
    faults: Faults,
}

const ALICE: usize = 0;
const BOB: usize = 1;

fn unit() -> Unit {
    Unit::new("chop", 2).unwrap()
}

fn person(byte: u8, merchant: bool) -> Person {
    let secret = |kind: u8| Secret::new([byte.wrapping_mul(16).wrapping_add(kind); 32]);
    let secrets = Secrets { epoch: 0, wallet: secret(1), payee_lock: secret(2), refund: secret(3) };
    let url = IssuerUrl::parse(URL).unwrap();
    let settings = Settings { issuers: vec![Issuer { url, unit: unit() }], merchant };
    let device = SigningKey::from_secret(&secret(4));
    Person {
        pay: Pay::new([byte; 32], device, secrets, settings),
        records: MemoryRecords::new(),
        effects: VecDeque::new(),
        wakes: Vec::new(),
        events: Vec::new(),
    }
}

impl Person {
    fn peer(&self) -> Peer {
        Peer { account: self.pay.account, device: self.pay.device.verifying_key() }
    }

    fn balance(&self) -> Balance {
        self.pay.balance(&self.records).unwrap().remove(0)
    }
}

impl World {
    fn new(seed: u64, fee_ppk: u64, faults: Faults) -> Self {
        Self {
            people: [person(1, false), person(2, true)],
            issuer: TestIssuer::new(fee_ppk),
            now: Timestamp(START),
            rng: ChaCha20Rng::seed_from_u64(seed),
            faults,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.next_u32() % 100 < percent
    }

    /// One transaction of a person's, and then perhaps a crash before any of its effects.
    fn turn(
        &mut self,
        who: usize,
        act: impl FnOnce(&Pay, &mut MemoryRecords, Timestamp, &mut ChaCha20Rng) -> Vec<Effect>,
    ) {
        let (crash, second) = (self.chance(self.faults.crash), self.chance(self.faults.second));
        let person = &mut self.people[who];
        let effects = act(&person.pay, &mut person.records, self.now, &mut self.rng);
        person.effects.extend(effects);
        if crash {
            person.effects.clear();
            person.wakes.clear();
        }
        if crash || second {
            let resumed = person.pay.resume(&mut person.records, self.now, &mut self.rng).unwrap();
            person.effects.extend(resumed);
        }
    }

    fn step(&mut self, who: usize) -> bool {
        let Some(effect) = self.people[who].effects.pop_front() else { return false };
        match effect {
            Effect::Call(call) => {
                let answer = self.ask(&call);
                self.turn(who, |pay, records, now, rng| {
                    pay.reply(records, call.id, answer, now, rng).unwrap()
                });
            }
            Effect::Send(outbound) => {
                let reference = outbound.reference;
                self.turn(who, |pay, records, _, _| pay.sent(records, reference).unwrap());
                let times = if self.chance(self.faults.twice) { 2 } else { 1 };
                for _ in 0..times {
                    let from = self.people[who].peer();
                    let body = outbound.body.clone();
                    let to = 1 - who;
                    self.turn(to, |pay, records, now, rng| {
                        pay.receive(records, &from, &body, now, rng).unwrap()
                    });
                }
                self.turn(who, |pay, records, _, _| pay.delivered(records, reference).unwrap());
            }
            Effect::Event(event) => self.people[who].events.push(event),
            Effect::WakeAt(at) => self.people[who].wakes.push(at),
        }
        true
    }

    fn ask(&mut self, call: &Call) -> Result<HttpReply, Unreachable> {
        assert_eq!(call.issuer.as_str(), URL);
        if self.chance(self.faults.lost_call) {
            return Err(Unreachable);
        }
        if self.chance(self.faults.server_error) {
            return Ok(HttpReply { status: 500, body: b"oops".to_vec() });
        }
        let answer = self.issuer.answer(call, self.now);
        if self.chance(self.faults.lost_answer) { Err(Unreachable) } else { Ok(answer) }
    }

    /// Until nothing more happens at this moment.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if !(self.step(ALICE) | self.step(BOB)) {
                return;
            }
        }
        panic!("no end");
    }

    /// Lets time pass from one wake-up to the next.
    fn run(&mut self, span: Duration) {
        let end = self.now.saturating_add(span);
        self.settle();
        for _ in 0..2_000 {
            let next = self.people.iter().flat_map(|it| it.wakes.iter()).min().copied();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for who in [ALICE, BOB] {
                let now = self.now;
                let person = &mut self.people[who];
                let before = person.wakes.len();
                person.wakes.retain(|wake| *wake > now);
                if person.wakes.len() < before {
                    self.turn(who, |pay, records, now, rng| pay.wake(records, now, rng).unwrap());
                }
            }
            self.settle();
        }
        self.now = end;
    }

    fn fund(&mut self, who: usize, amount: u64) {
        let token = self.issuer.token(amount, URL);
        self.turn(who, |pay, records, now, rng| pay.redeem(records, &token, now, rng).unwrap().1);
    }

    fn request(&mut self, from: usize, minor: u64) -> Bytes {
        let bill = Bill {
            amount: Amount::new(minor, unit()),
            items: Vec::new(),
            memo: String::new(),
            expires_at: self.now.saturating_add(Duration::from_secs(86_400)),
            payer: None,
        };
        let person = &mut self.people[from];
        person.pay.request(&mut person.records, &bill, self.now, &mut self.rng).unwrap().1
    }

    fn pay(&mut self, who: usize, request: &Bytes) -> Result<PaymentId, PayError> {
        let payee = self.people[1 - who].pay.account;
        let person = &mut self.people[who];
        let records = &mut person.records;
        let (id, effects) = person.pay.pay(records, request, &payee, self.now, &mut self.rng)?;
        person.effects.extend(effects);
        Ok(id)
    }

    fn state(&self, who: usize, id: &PaymentId) -> State {
        let person = &self.people[who];
        person.pay.payment(&person.records, id).unwrap().unwrap().state
    }

    fn assert_balanced(&self) {
        let balances = self.people.each_ref().map(Person::balance);
        for balance in &balances {
            assert_eq!(
                (balance.reserved, balance.locked, balance.incoming),
                (0, 0, 0),
                "{balance:?}"
            );
        }
        let held: u64 = balances.iter().map(|balance| balance.spendable).sum();
        assert_eq!(self.issuer.issued, held + self.issuer.fees);
        assert_eq!(self.issuer.outstanding(), held);
    }
}

#[test]
fn a_request_is_paid_and_signed_for() {
    let mut world = World::new(1, 0, Faults::default());
    world.fund(ALICE, 5_000);
    world.settle();
    assert_eq!(world.people[ALICE].balance().spendable, 5_000);
    let request = world.request(BOB, 1_250);
    let id = world.pay(ALICE, &request).unwrap();
    world.settle();
    assert_eq!((world.state(ALICE, &id), world.state(BOB, &id)), (State::Claimed, State::Claimed));
    let [alice, bob] = &world.people;
    assert_eq!((alice.balance().spendable, bob.balance().spendable), (3_750, 1_250));
    let Outcome::Paid(receipt) = alice.pay.outcome(&alice.records, &id).unwrap() else {
        panic!("not paid")
    };
    let statement = verify_receipt(&receipt.encode(), &bob.peer().device).unwrap();
    assert_eq!((statement.stage, statement.amount.minor()), (Stage::Settled, 1_250));
    assert_eq!(PaymentReceipt::from_text(&receipt.to_text()).unwrap(), *receipt);
    assert!(verify_receipt(&receipt.encode(), &alice.peer().device).is_err());
    world.assert_balanced();
}

// Tests [pay-once]. Seen to fail with the look-up in `outgoing::begin` removed.
#[test]
fn paying_the_same_request_again_moves_no_coin() {
    let mut world = World::new(2, 0, Faults::default());
    world.fund(ALICE, 5_000);
    world.settle();
    let request = world.request(BOB, 1_250);
    let id = world.pay(ALICE, &request).unwrap();
    // Even at once, and later, and after the request has expired.
    assert_eq!(world.pay(ALICE, &request).unwrap(), id);
    world.settle();
    let first = world.people[ALICE].pay.outcome(&world.people[ALICE].records, &id).unwrap();
    let swaps = world.issuer.swaps;
    world.now = world.now.saturating_add(Duration::from_secs(100 * 86_400));
    assert_eq!(world.pay(ALICE, &request).unwrap(), id);
    world.settle();
    assert_eq!(world.people[ALICE].pay.outcome(&world.people[ALICE].records, &id).unwrap(), first);
    assert_eq!(world.issuer.swaps, swaps);
    world.assert_balanced();
}

#[test]
fn without_enough_money_nothing_is_touched() {
    let mut world = World::new(3, 100, Faults::default());
    world.fund(ALICE, 1_000);
    world.settle();
    let request = world.request(BOB, 1_000);
    assert!(matches!(world.pay(ALICE, &request), Err(PayError::InsufficientFunds { .. })));
    let balance = world.people[ALICE].balance();
    assert_eq!((balance.reserved, balance.locked), (0, 0));
}

#[test]
fn a_payee_who_is_never_there_loses_the_coins_to_the_payer_again() {
    let mut world = World::new(4, 0, Faults::default());
    world.fund(ALICE, 2_000);
    world.settle();
    let request = world.request(BOB, 700);
    let id = world.pay(ALICE, &request).unwrap();
    while world.people[ALICE].effects.iter().all(|effect| !matches!(effect, Effect::Send(_))) {
        assert!(world.step(ALICE));
    }
    world.people[ALICE].effects.retain(|effect| !matches!(effect, Effect::Send(_)));
    world.settle();
    assert_eq!(world.people[ALICE].balance().locked, 700);
    world.run(Duration::from_secs(12 * 86_400));
    assert_eq!(world.state(ALICE, &id), State::Reclaimed);
    assert_eq!(world.people[ALICE].balance().spendable, 2_000);
    world.assert_balanced();
}

// Tests [single-use], [decline-releases]. Seen to fail with the look at the first payment removed.
#[test]
fn the_second_payer_of_a_request_has_the_coins_back_at_once() {
    let mut world = World::new(5, 0, Faults::default());
    world.fund(ALICE, 2_000);
    world.settle();
    let request = world.request(BOB, 700);
    let (request_id, _) = PaymentRequest::decode(&request).unwrap();
    // Someone else has paid it before.
    let bob = &mut world.people[BOB];
    let (mut made, _) = crate::request::load(&bob.records, &request_id).unwrap().unwrap();
    made.paid_by = Some([9; 32]);
    crate::request::store(&mut bob.records, &request_id, &made).unwrap();
    let id = world.pay(ALICE, &request).unwrap();
    world.settle();
    assert_eq!(
        (world.state(ALICE, &id), world.state(BOB, &id)),
        (State::Declined, State::Declined)
    );
    assert!(world.people[ALICE].events.contains(&Event::Declined(id, DeclineReason::AlreadyPaid)));
    assert_eq!(world.people[ALICE].balance().spendable, 2_000);
    world.assert_balanced();
}

#[test]
fn a_keyset_that_is_rotated_before_the_lock_cancels_and_gives_back() {
    let mut world = World::new(7, 0, Faults::default());
    world.fund(ALICE, 2_000);
    world.settle();
    world.issuer.rotate();
    let request = world.request(BOB, 700);
    let id = world.pay(ALICE, &request).unwrap();
    world.run(Duration::from_secs(3_600));
    assert_eq!(world.state(ALICE, &id), State::Cancelled);
    // Now the new keyset is known, and the same request can be paid.
    assert_eq!(world.pay(ALICE, &request).unwrap(), id);
    world.run(Duration::from_secs(3_600));
    assert_eq!(world.state(BOB, &id), State::Claimed);
    world.assert_balanced();
}

// Tests [listed-issuers-only]: every call of a simulation goes to the one issuer that is listed, and what names another
// is refused. Seen to fail with the comparison of URLs in `redeem::begin` removed.
#[test]
fn an_issuer_that_is_not_listed_is_never_called() {
    let mut world = World::new(10, 0, Faults::default());
    let token = world.issuer.token(500, "http://127.0.0.1:9");
    let person = &mut world.people[ALICE];
    let refused = person.pay.redeem(&mut person.records, &token, world.now, &mut world.rng);
    assert!(matches!(refused, Err(RedeemError::NotListed)));
    let request = world.request(BOB, 10);
    let (_, mut request) = PaymentRequest::decode(&request).unwrap();
    request.issuers = vec![IssuerUrl::parse("http://127.0.0.1:9").unwrap()];
    let paid = world.pay(ALICE, &request.encode().unwrap());
    assert!(matches!(paid, Err(PayError::NotListed)));
    assert!(world.people.iter().all(|person| person.effects.is_empty()));
}

#[test]
fn a_spent_token_is_refused_and_its_second_copy_too() {
    let mut world = World::new(8, 0, Faults::default());
    let token = world.issuer.token(500, URL);
    for who in [ALICE, BOB] {
        world.turn(who, |pay, records, now, rng| pay.redeem(records, &token, now, rng).unwrap().1);
        world.settle();
    }
    assert_eq!(world.people[ALICE].balance().spendable, 500);
    let refused =
        |event: &Event| matches!(event, Event::RedeemRefused(_, RedeemRefusal::AlreadySpent));
    assert!(world.people[BOB].events.iter().any(refused));
    world.assert_balanced();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    // Tests [swap-ends-by-swap], [intent-first], [counters-never-reused], [match-by-blinded]. Seen to fail with a refused
    // swap treated as the end, with the counter left where it was, and with restored outputs matched by position.
    #[test]
    fn whatever_is_lost_no_coin_is(
        seed: u64,
        fee_ppk in prop_oneof![Just(0_u64), Just(100), Just(1_000)],
        crash in 0_u32..30,
        lost_call in 0_u32..40,
        lost_answer in 0_u32..50,
        server_error in 0_u32..20,
        twice in 0_u32..50,
        second in 0_u32..15,
        merchant: bool,
    ) {
        let faults = Faults { crash, lost_call, lost_answer, server_error, twice, second };
        let mut world = World::new(seed, fee_ppk, faults);
        world.people[BOB].pay.settings.merchant = merchant;
        world.fund(ALICE, 4_321);
        world.fund(BOB, 999);
        world.run(Duration::from_secs(7_200));
        let mut ids = Vec::new();
        for (payer, minor) in [(ALICE, 1_250), (ALICE, 7), (BOB, 300), (ALICE, 64)] {
            let request = world.request(1 - payer, minor);
            if let Ok(id) = world.pay(payer, &request) {
                ids.push((payer, id, minor));
            }
            world.run(Duration::from_secs(60));
        }
        world.faults = Faults::default();
        // A process that starts again drives everything on.
        for who in [ALICE, BOB] {
            world.turn(who, |pay, records, now, rng| pay.resume(records, now, rng).unwrap());
        }
        world.run(Duration::from_secs(14 * 86_400));
        prop_assert!(!ids.is_empty());
        for (payer, id, _) in ids {
            prop_assert_eq!(world.state(payer, &id), State::Claimed);
            prop_assert_eq!(world.state(1 - payer, &id), State::Claimed);
            let person = &world.people[payer];
            let outcome = person.pay.outcome(&person.records, &id).unwrap();
            prop_assert!(matches!(outcome, Outcome::Paid(_)));
        }
        world.assert_balanced();
    }

    #[test]
    fn no_answer_of_an_issuer_makes_a_wallet_panic(status: u16, body: Vec<u8>, steps in 0_usize..12) {
        let mut world = World::new(9, 0, Faults::default());
        world.fund(ALICE, 100);
        for _ in 0..steps {
            world.step(ALICE);
        }
        let answer = HttpReply { status, body };
        for attempt in 0..8 {
            let answer = answer.clone();
            world.turn(ALICE, |pay, records, now, rng| {
                let id = CallId { job: 1, attempt };
                pay.reply(records, id, Ok(answer), now, rng).unwrap()
            });
        }
        world.run(Duration::from_secs(86_400));
        prop_assert_eq!(world.people[ALICE].balance().spendable, 100);
    }
}
