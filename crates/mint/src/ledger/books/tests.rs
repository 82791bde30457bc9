//! The books against a model that counts coins one by one, and each rule by itself.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn terms(unit: &str, fee_ppk: u32, final_expiry: Option<u64>) -> Terms {
    Terms { unit: unit.to_owned(), exponent: 2, fee_ppk, final_expiry }
}

fn point(number: u64) -> Point {
    let mut point = [2; 33];
    point[..8].copy_from_slice(&number.to_be_bytes());
    point
}

fn input(number: u64, keyset: u16, power: u8) -> Input {
    Input { y: point(number), keyset, power, witness: None }
}

fn output(number: u64, keyset: u16, power: u8) -> Output {
    Output { blinded: point(number), keyset, power }
}

fn swap(inputs: Vec<Input>, outputs: Vec<Output>) -> Exchange {
    Exchange { at: 100, quote: QuoteStep::None, inputs, outputs }
}

/// Books with one coin of 2^power in keyset 0; its Y is point 1.
fn with_coin(power: u8) -> Books {
    let mut books = Books::default();
    books.begin_keyset([1; 33], terms("chop", 0, None));
    books.pay([9; 16], 1 << power, 0).unwrap();
    let quote = QuoteStep::Issue([9; 16]);
    let outputs = vec![output(1000, 0, power)];
    books.exchange(Exchange { at: 0, quote, inputs: Vec::new(), outputs }).unwrap();
    books
}

// Tests [inactive-inputs-only]
#[test]
fn an_old_keyset_is_spent_and_signs_nothing() {
    let mut books = with_coin(3);
    books.begin_keyset([2; 33], terms("chop", 0, None));
    let old = swap(vec![input(1, 0, 3)], vec![output(2, 0, 3)]);
    assert_eq!(books.exchange(old), Err(Refusal::InactiveKeyset));
    let new = swap(vec![input(1, 0, 3)], vec![output(2, 1, 3)]);
    assert_eq!(books.exchange(new.clone()), Ok(Accepted::Fresh));
    books.begin_keyset([3; 33], terms("chop", 0, None));
    assert_eq!(books.exchange(new), Ok(Accepted::Before), "a replay outlives its keyset");
}

#[test]
fn an_expired_keyset_is_worth_nothing() {
    let mut books = Books::default();
    books.begin_keyset([1; 33], terms("chop", 0, Some(100)));
    books.pay([9; 16], 8, 0).unwrap();
    let quote = QuoteStep::Issue([9; 16]);
    let mint = |at| Exchange { at, quote, inputs: Vec::new(), outputs: vec![output(1, 0, 3)] };
    assert_eq!(books.exchange(mint(100)), Err(Refusal::ExpiredKeyset));
    assert_eq!(books.exchange(mint(99)), Ok(Accepted::Fresh));
    let spend = swap(vec![input(1, 0, 3)], vec![output(2, 0, 3)]);
    assert_eq!(books.exchange(spend), Err(Refusal::ExpiredKeyset));
}

// Tests [one-unit]
#[test]
fn units_do_not_mix() {
    let mut books = with_coin(3);
    books.begin_keyset([2; 33], terms("point", 0, None));
    let mixed = swap(vec![input(1, 0, 3)], vec![output(2, 1, 3)]);
    assert_eq!(books.exchange(mixed), Err(Refusal::MixedUnits));
}

// Tests [fee-ceiling]
#[test]
fn every_started_thousand_of_ppk_costs_one() {
    for ppk in [1, 3, 100, 333, 999, 1000, 1001] {
        let mut books = Books::default();
        books.begin_keyset([1; 33], terms("chop", ppk, None));
        let mut inputs = Vec::new();
        for count in 1..=1000u64 {
            inputs.push(input(count, 0, 0));
            // Counted up one by one, without a division.
            let (mut owed, mut fee) = (count * u64::from(ppk), 0);
            while owed > 0 {
                (owed, fee) = (owed.saturating_sub(1000), fee + 1);
            }
            assert_eq!(books.fee(&inputs), Ok(fee), "{count} inputs of {ppk} ppk");
        }
    }
}

// Tests [alarm]
#[test]
fn more_spent_than_signed_raises_the_alarm_and_ends_all_exchange() {
    let mut books = with_coin(3);
    let forged = swap(vec![input(5, 0, 4)], vec![output(6, 0, 4)]);
    assert_eq!(books.exchange(forged), Err(Refusal::Alarm { keyset: 0 }));
    assert_eq!(books.alarm(), Some(0));
    let honest = swap(vec![input(1, 0, 3)], vec![output(2, 0, 3)]);
    assert_eq!(books.exchange(honest), Err(Refusal::Alarm { keyset: 0 }));
}

#[derive(Debug, Clone)]
enum Op {
    Issue(u64),
    /// Coins to spend by their place in the purse, and how many ones to take off the largest output.
    Swap(Vec<usize>),
    Melt(Vec<usize>),
    SpendAgain(usize),
    SignAgain(usize),
    Replay(usize),
    TakeMore(usize),
    DiskFull,
    Synced,
    Restart,
    Rotate,
}

fn ops() -> impl Strategy<Value = Op> {
    let some = || prop::collection::vec(any::<usize>(), 1..5);
    prop_oneof![
        4 => (1u64..5000).prop_map(Op::Issue),
        8 => some().prop_map(Op::Swap),
        2 => some().prop_map(Op::Melt),
        2 => any::<usize>().prop_map(Op::SpendAgain),
        1 => any::<usize>().prop_map(Op::SignAgain),
        3 => any::<usize>().prop_map(Op::Replay),
        2 => any::<usize>().prop_map(Op::TakeMore),
        1 => Just(Op::DiskFull),
        3 => Just(Op::Synced),
        1 => Just(Op::Restart),
        1 => Just(Op::Rotate),
    ]
}

/// What a thoughtful child would keep: a purse of coins, a pile of what is gone.
#[derive(Clone, Default)]
struct Model {
    /// Y of each coin and what it is.
    purse: BTreeMap<u64, (u16, u8)>,
    gone: Vec<(u64, (u16, u8))>,
    done: Vec<Exchange>,
    keysets: u16,
    issued: u64,
    redeemed: u64,
    fees: u64,
}

struct World {
    books: Books,
    model: Model,
    /// What the disk has.
    durable: Vec<Entry>,
    durable_model: Model,
    next: u64,
}

const PPK: u32 = 300;

impl World {
    fn new() -> Self {
        let mut world = Self {
            books: Books::default(),
            model: Model::default(),
            durable: Vec::new(),
            durable_model: Model::default(),
            next: 1,
        };
        world.step(Op::Rotate);
        world
    }

    /// Outputs that make up an amount; each coin's Y is its output's number.
    fn outputs(&mut self, amount: u64) -> Vec<Output> {
        (0..40u8)
            .filter(|power| amount >> power & 1 == 1)
            .map(|power| {
                self.next += 1;
                output(self.next, self.model.keysets - 1, power)
            })
            .collect()
    }

    fn pick(&self, places: &[usize]) -> BTreeMap<u64, (u16, u8)> {
        let coins: Vec<_> = self.model.purse.iter().collect();
        if coins.is_empty() {
            return BTreeMap::new();
        }
        places.iter().map(|place| coins[place % coins.len()]).map(|(y, it)| (*y, *it)).collect()
    }

    fn accept(&mut self, exchange: Exchange) {
        assert_eq!(self.books.exchange(exchange.clone()), Ok(Accepted::Fresh));
        let value = |power: u8| 1u64 << power;
        let number = |point: &Point| u64::from_be_bytes(*point.first_chunk().unwrap());
        let taken: u64 = exchange.inputs.iter().map(|it| value(it.power)).sum();
        let given: u64 = exchange.outputs.iter().map(|it| value(it.power)).sum();
        for spent in &exchange.inputs {
            let coin = self.model.purse.remove(&number(&spent.y)).unwrap();
            self.model.gone.push((number(&spent.y), coin));
        }
        for made in &exchange.outputs {
            self.model.purse.insert(number(&made.blinded), (made.keyset, made.power));
        }
        match exchange.quote {
            QuoteStep::None => self.model.fees += taken - given,
            QuoteStep::Issue(_) => self.model.issued += given,
            QuoteStep::Redeem { amount, .. } => {
                self.model.redeemed += amount;
                self.model.fees += taken - amount;
            }
        }
        self.model.done.push(exchange);
    }

    fn step(&mut self, op: Op) {
        let inputs = |coins: &BTreeMap<u64, (u16, u8)>| -> Vec<Input> {
            coins.iter().map(|(y, (keyset, power))| input(*y, *keyset, *power)).collect()
        };
        let worth = |inputs: &[Input]| -> u64 { inputs.iter().map(|it| 1u64 << it.power).sum() };
        let fee = |count: usize| (count as u64 * u64::from(PPK)).div_ceil(1000);
        match op {
            Op::Issue(amount) => {
                self.next += 1;
                let mut key = [0; 16];
                key[..8].copy_from_slice(&self.next.to_be_bytes());
                let quote = QuoteStep::Issue(key);
                let outputs = self.outputs(amount);
                let mint = Exchange { at: 1, quote, inputs: Vec::new(), outputs };
                assert_eq!(self.books.exchange(mint.clone()), Err(Refusal::QuoteUnpaid));
                self.books.pay(key, amount, 1).unwrap();
                self.accept(mint);
            }
            Op::Swap(places) => {
                let inputs = inputs(&self.pick(&places));
                let (sum, fee) = (worth(&inputs), fee(inputs.len()));
                if sum > fee {
                    let outputs = self.outputs(sum - fee);
                    self.accept(swap(inputs, outputs));
                }
            }
            Op::Melt(places) => {
                let inputs = inputs(&self.pick(&places));
                let (sum, fee) = (worth(&inputs), fee(inputs.len()));
                if sum > fee {
                    self.next += 1;
                    let mut quote = [1; 16];
                    quote[..8].copy_from_slice(&self.next.to_be_bytes());
                    let quote = QuoteStep::Redeem { quote, amount: sum - fee };
                    self.accept(Exchange { at: 1, quote, inputs, outputs: Vec::new() });
                }
            }
            Op::SpendAgain(place) if !self.model.gone.is_empty() => {
                let (y, (keyset, power)) = self.model.gone[place % self.model.gone.len()];
                let outputs = self.outputs(1 << power);
                let again = swap(vec![input(y, keyset, power)], outputs);
                assert_eq!(self.books.exchange(again), Err(Refusal::AlreadySpent));
            }
            Op::SignAgain(place) => {
                let coins = self.pick(&[place]);
                let inputs = inputs(&coins);
                let Some((y, (_, power))) = coins.into_iter().next() else { return };
                // The output that made this very coin.
                let outputs = vec![output(y, self.model.keysets - 1, power)];
                assert_eq!(self.books.exchange(swap(inputs, outputs)), Err(Refusal::AlreadySigned));
            }
            Op::Replay(place) if !self.model.done.is_empty() => {
                let mut again = self.model.done[place % self.model.done.len()].clone();
                again.inputs.reverse();
                again.at = 999;
                assert_eq!(self.books.exchange(again), Ok(Accepted::Before));
            }
            Op::TakeMore(place) => {
                let inputs = inputs(&self.pick(&[place]));
                if inputs.is_empty() {
                    return;
                }
                let outputs = self.outputs(worth(&inputs));
                let more = swap(inputs, outputs);
                assert_eq!(self.books.exchange(more), Err(Refusal::Unbalanced { fee: 1 }));
            }
            Op::DiskFull => {
                self.books.undo();
                self.model = self.durable_model.clone();
            }
            Op::Synced => {
                self.durable.extend_from_slice(self.books.fresh());
                self.books.written();
                self.durable_model = self.model.clone();
            }
            Op::Restart => {
                let mut bytes = Vec::new();
                self.durable.iter().for_each(|entry| entry.encode(&mut bytes));
                self.books = Books::default();
                for entry in Entry::decode_all(&bytes).unwrap() {
                    self.books.replay(entry).unwrap();
                }
                self.model = self.durable_model.clone();
                if self.model.keysets == 0 {
                    self.step(Op::Rotate);
                }
            }
            Op::Rotate => {
                self.books.begin_keyset([3; 33], terms("chop", PPK, None));
                self.model.keysets += 1;
                // Rotation and the first keyset are always synced by those who make them.
                self.step(Op::Synced);
            }
            Op::SpendAgain(_) | Op::Replay(_) => {}
        }
    }

    fn check(&self) {
        let supply = self.books.supply();
        let outstanding: u64 = self.model.purse.values().map(|(_, power)| 1u64 << power).sum();
        assert!(supply.balanced);
        assert_eq!(supply.outstanding, outstanding);
        assert_eq!(supply.issued, self.model.issued);
        assert_eq!(supply.redeemed, self.model.redeemed);
        assert_eq!(supply.fees, self.model.fees);
        assert_eq!(self.model.issued, outstanding + self.model.redeemed + self.model.fees);
        assert!(self.model.purse.keys().all(|y| self.books.spent(&point(*y)).is_none()));
        assert!(self.model.gone.iter().all(|(y, _)| self.books.spent(&point(*y)).is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Tests [books-balance] [one-winner] [idempotent-replay] [outputs-once] [full-disk-undone]
    // Seen to fail with `count` left out of `unapply`, and with the search for signed outputs left out.
    #[test]
    fn whatever_happens_the_books_are_those_of_one_who_counts_coins(
        ops in prop::collection::vec(ops(), 1..80)
    ) {
        let mut world = World::new();
        for op in ops {
            world.step(op);
            world.check();
        }
    }
}
