//! Attacks on payments, between our wallet and our issuer as a real process over loopback. The many more against an
//! issuer that lies stand beside the wallet, in `crates/pay/src/simulation/attacks.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::{collections::VecDeque, time::Duration};

use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_pay::{
    Bill, Call, Effect, HttpReply, Issuer, MemoryRecords, Method, Outcome, Pay, Peer, Secrets,
    Settings, Unreachable, verify_receipt,
};
use chopmark_wire::payment::{Amount, IssuerUrl, Unit};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::mint::harness::{Node, ask};

struct Person {
    pay: Pay,
    records: MemoryRecords,
    effects: VecDeque<Effect>,
    rng: ChaCha20Rng,
    now: Timestamp,
}

fn unit() -> Unit {
    Unit::new("chop", 2).unwrap()
}

impl Person {
    /// Another wallet in each round: the issuer signs an output only once.
    fn new(byte: u8, round: u8, node: &Node) -> Self {
        let secret = |kind: u8| Secret::new([byte * 16 + kind; 32]);
        let url = IssuerUrl::parse(&format!("http://{}", node.address)).unwrap();
        let settings = Settings { issuers: vec![Issuer { url, unit: unit() }], merchant: true };
        let mut wallet = [byte; 32];
        wallet[0] = round;
        let secrets = Secrets {
            epoch: 0,
            wallet: Secret::new(wallet),
            payee_lock: secret(2),
            refund: secret(3),
        };
        let device = SigningKey::from_secret(&secret(4));
        Self {
            pay: Pay::new([byte; 32], device, secrets, settings),
            records: MemoryRecords::new(),
            effects: VecDeque::new(),
            rng: ChaCha20Rng::seed_from_u64(u64::from(byte)),
            now: Timestamp(1_795_000_000_000),
        }
    }

    fn peer(byte: u8) -> Peer {
        let device = SigningKey::from_secret(&Secret::new([byte * 16 + 4; 32]));
        Peer { account: [byte; 32], device: device.verifying_key() }
    }

    fn redeem(&mut self, token: &str) {
        let (_, effects) =
            self.pay.redeem(&mut self.records, token, self.now, &mut self.rng).unwrap();
        self.effects.extend(effects);
    }

    fn spendable(&self) -> u64 {
        let balance = self.pay.balance(&self.records).unwrap().remove(0);
        assert_eq!((balance.reserved, balance.locked, balance.incoming), (0, 0, 0), "{balance:?}");
        balance.spendable
    }
}

/// The issuer's answer over a real connection.
fn answer(node: &Node, call: &Call) -> HttpReply {
    let method = if call.method == Method::Get { "GET" } else { "POST" };
    let body = String::from_utf8(call.body.clone()).unwrap();
    let (status, reply) = ask(&node.address, method, &call.path, &body).expect("an answer");
    HttpReply { status, body: reply.to_string().into_bytes() }
}

/// Carries out what both want done; the answers to the calls numbered in `lost` never arrive.
fn run(people: &mut [Person; 2], node: &Node, lost: &[usize]) {
    let mut calls = 0;
    for _ in 0..1_000 {
        let Some(who) = people.iter().position(|person| !person.effects.is_empty()) else {
            return;
        };
        match people[who].effects.pop_front().unwrap() {
            Effect::Call(call) => {
                calls += 1;
                let reply = answer(node, &call);
                let reply = if lost.contains(&calls) { Err(Unreachable) } else { Ok(reply) };
                let person = &mut people[who];
                let records = &mut person.records;
                let more =
                    person.pay.reply(records, call.id, reply, person.now, &mut person.rng).unwrap();
                person.effects.extend(more);
            }
            Effect::Send(outbound) => {
                let from = Person::peer(if who == 0 { 1 } else { 2 });
                let person = &mut people[1 - who];
                let records = &mut person.records;
                let body = &outbound.body;
                let more =
                    person.pay.receive(records, &from, body, person.now, &mut person.rng).unwrap();
                person.effects.extend(more);
            }
            Effect::WakeAt(at) => {
                let person = &mut people[who];
                let soon = person.now.saturating_add(Duration::from_secs(30));
                if at > person.now && at <= soon && person.effects.is_empty() {
                    person.now = at;
                    let records = &mut person.records;
                    let more = person.pay.wake(records, person.now, &mut person.rng).unwrap();
                    person.effects.extend(more);
                }
            }
            _ => {}
        }
    }
    panic!("no end");
}

// Tests [swap-ends-by-swap], [pay-once].
#[test]
fn t76_an_answer_of_the_real_issuer_that_is_lost_loses_no_coin() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path());
    let mut issued = 0;
    for lost in 0..7_u8 {
        let mut people = [Person::new(1, lost, &node), Person::new(2, lost, &node)];
        let token = node.command(&["issue", "30.00"])["token"].as_str().unwrap().to_owned();
        issued += 3_000;
        people[0].redeem(&token);
        run(&mut people, &node, &[]);
        assert_eq!(people[0].spendable(), 3_000);
        let bill = Bill {
            amount: Amount::new(1_250, unit()),
            items: Vec::new(),
            memo: "tea".to_owned(),
            expires_at: people[1].now.saturating_add(Duration::from_secs(3_600)),
            payer: Some([1; 32]),
        };
        let [alice, bob] = &mut people;
        let (_, request) = bob.pay.request(&mut bob.records, &bill, bob.now, &mut bob.rng).unwrap();
        let records = &mut alice.records;
        let (id, effects) =
            alice.pay.pay(records, &request, &[2; 32], alice.now, &mut alice.rng).unwrap();
        alice.effects.extend(effects);
        run(&mut people, &node, &[usize::from(lost)]);
        let [alice, bob] = &mut people;
        let Outcome::Paid(receipt) = alice.pay.outcome(&alice.records, &id).unwrap() else {
            panic!("not paid with answer {lost} lost");
        };
        assert!(verify_receipt(&receipt.encode(), &Person::peer(2).device).is_ok());
        assert_eq!((alice.spendable(), bob.spendable()), (1_750, 1_250));
        let again =
            alice.pay.pay(&mut alice.records, &request, &[2; 32], alice.now, &mut alice.rng);
        let (same, effects) = again.unwrap();
        assert_eq!(same, id);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Call(_) | Effect::Send(_))));
        // A copy of the token is worth nothing to a thief.
        people[1].redeem(&token);
        run(&mut people, &node, &[]);
        assert_eq!(people[1].spendable(), 1_250);
        assert_eq!(node.report()["outstanding"], issued);
    }
}
