//! The books: which coins are spent, which outputs signed, which quotes settled, and how much there is of everything.
//!
//! One owner, the sequencer, changes them, in order, ahead of the disk; what a batch did is undone if the disk turned
//! it away. Every rule that needs to know the past is here and nowhere else. SPEC §8.12.

use super::entry::{Entry, Exchange, Input, KeysetId, Output, Point, QuoteKey, QuoteStep};
use crate::keyset::{self, Terms};
use std::collections::{HashMap, HashSet};

/// Everything that the log says, in memory.
#[derive(Default)]
pub(crate) struct Books {
    keysets: Vec<KeysetBook>,
    spent: HashMap<Point, Spent>,
    signed: HashMap<Point, Signed>,
    quotes: HashMap<QuoteKey, Quote>,
    /// How many inputs and outputs exchange number i had: what a replay must match.
    shapes: Vec<(usize, usize)>,
    minted: u64,
    redeemed: u64,
    fees: u64,
    /// Accepted and not yet in the log.
    fresh: Vec<Entry>,
    /// Set once, when more would be spent of a keyset than was issued.
    alarm: Option<u16>,
}

struct KeysetBook {
    id: KeysetId,
    terms: Terms,
    issued: u64,
    spent: u64,
}

struct Spent {
    exchange: usize,
    witness: Option<Box<str>>,
}

#[derive(Clone, Copy)]
struct Signed {
    exchange: usize,
    position: usize,
    output: Output,
}

/// What happened to a quote that the books know: nobody's unpaid quote is in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quote {
    /// Paid by the treasury: the amount, and unix seconds.
    pub(crate) paid: Option<(u64, u64)>,
    /// Issued or redeemed: the exchange's number, and unix seconds.
    pub(crate) settled: Option<(usize, u64)>,
}

/// How an exchange was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Now.
    Fresh,
    /// Earlier: the same inputs, outputs and quote. The answer is the same again.
    Before,
}

/// Why a step was refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// An input is there twice.
    #[error("an input is there twice")]
    DuplicateInputs,
    /// An output is there twice.
    #[error("an output is there twice")]
    DuplicateOutputs,
    /// An input was spent in another exchange.
    #[error("an input is already spent")]
    AlreadySpent,
    /// An output was signed before; blinded messages are used once, for ever.
    #[error("an output was already signed")]
    AlreadySigned,
    /// Inputs, outputs, fee and quote do not add up.
    #[error("inputs less the fee of {fee} are not the outputs")]
    Unbalanced {
        /// The fee that these inputs cost.
        fee: u64,
    },
    /// Neither inputs nor outputs, or only those that its kind may not have.
    #[error("inputs or outputs are missing")]
    Empty,
    /// An amount that no keyset has, or a sum beyond 64 bits.
    #[error("an amount is none of the keyset's, or too large")]
    Amount,
    /// More than one unit.
    #[error("inputs and outputs are of different units")]
    MixedUnits,
    /// Not a keyset of this issuer.
    #[error("keyset is not known")]
    UnknownKeyset,
    /// Signs nothing any more.
    #[error("keyset is inactive: take the active one for outputs")]
    InactiveKeyset,
    /// Beyond its final expiry.
    #[error("keyset has expired")]
    ExpiredKeyset,
    /// The treasury has not paid this quote.
    #[error("quote is not paid")]
    QuoteUnpaid,
    /// Paid or settled before, with something else.
    #[error("quote is already settled")]
    QuoteSettled,
    /// More would be spent of a keyset than was ever issued: the node stops.
    #[error("the issuer has stopped: more would be spent of keyset {keyset} than was issued")]
    Alarm {
        /// Its number.
        keyset: u16,
    },
}

/// The books in numbers: minor units.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Supply {
    /// Every keyset, in order of number.
    pub(crate) keysets: Vec<KeysetSupply>,
    /// Put into circulation by the treasury.
    pub(crate) issued: u64,
    /// Coins outstanding: signed and not spent, over all keysets.
    pub(crate) outstanding: u64,
    /// Taken out of circulation by melts.
    pub(crate) redeemed: u64,
    /// Kept as fees.
    pub(crate) fees: u64,
    /// Paid quotes that nobody has minted yet.
    pub(crate) promised: u64,
    /// Does `issued = outstanding + redeemed + fees` hold?
    pub(crate) balanced: bool,
}

/// One keyset in numbers: minor units.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeysetSupply {
    /// Signed, by treasury and swaps.
    pub(crate) signed: u64,
    /// Spent, by swaps and melts.
    pub(crate) spent: u64,
    /// Is it the one that signs?
    pub(crate) active: bool,
}

impl Books {
    /// Takes an entry of the log on, which must have been acceptable when it was written.
    pub(crate) fn replay(&mut self, entry: Entry) -> Result<(), Refusal> {
        match &entry {
            Entry::Keyset { .. } => {}
            Entry::Pay { quote, .. } => self.may_pay(quote)?,
            Entry::Exchange(exchange) => self.may_exchange(exchange)?,
        }
        self.apply(&entry);
        Ok(())
    }

    /// Begins a keyset; the earlier ones become inputs only.
    pub(crate) fn begin_keyset(&mut self, id: KeysetId, terms: Terms) {
        self.accept(Entry::Keyset { id, terms });
    }

    /// The id and terms of every keyset, by number.
    pub(crate) fn keysets(&self) -> impl Iterator<Item = (KeysetId, &Terms)> {
        self.keysets.iter().map(|book| (book.id, &book.terms))
    }

    /// The treasury pays a mint quote.
    pub(crate) fn pay(
        &mut self,
        quote: QuoteKey,
        amount: u64,
        at: u64,
    ) -> Result<Accepted, Refusal> {
        if self.quotes.get(&quote).and_then(|it| it.paid).is_some_and(|(paid, _)| paid == amount) {
            return Ok(Accepted::Before);
        }
        self.may_pay(&quote)?;
        if amount == 0 || self.minted.checked_add(amount).is_none() {
            return Err(Refusal::Amount);
        }
        self.accept(Entry::Pay { quote, amount, at });
        Ok(Accepted::Fresh)
    }

    /// Decides an exchange. SPEC §8.12 `[idempotent-replay]`, `[one-winner]`.
    pub(crate) fn exchange(&mut self, exchange: Exchange) -> Result<Accepted, Refusal> {
        if self.happened(&exchange) {
            return Ok(Accepted::Before);
        }
        if let Some(keyset) = self.alarm {
            return Err(Refusal::Alarm { keyset });
        }
        if let Err(refusal) = self.may_exchange(&exchange) {
            if let Refusal::Alarm { keyset } = refusal {
                self.alarm = Some(keyset);
            }
            return Err(refusal);
        }
        self.accept(Entry::Exchange(exchange));
        Ok(Accepted::Fresh)
    }

    /// Did exactly this exchange happen: the same set of Ys, the same list of outputs, the same quote?
    pub(crate) fn happened(&self, exchange: &Exchange) -> bool {
        let number = match (exchange.inputs.first(), exchange.outputs.first()) {
            (Some(input), _) => self.spent.get(&input.y).map(|it| it.exchange),
            (None, Some(output)) => self.signed.get(&output.blinded).map(|it| it.exchange),
            (None, None) => None,
        };
        let Some(number) = number else { return false };
        let settles = |quote: &QuoteKey| {
            self.quotes.get(quote).and_then(|it| it.settled).is_some_and(|(it, _)| it == number)
        };
        let quote = match &exchange.quote {
            QuoteStep::None => {
                // A melt has no outputs and a mint no inputs, so the shape alone tells them from a swap.
                !exchange.inputs.is_empty() && !exchange.outputs.is_empty()
            }
            QuoteStep::Issue(quote) | QuoteStep::Redeem { quote, .. } => settles(quote),
        };
        quote
            && self.shapes.get(number) == Some(&(exchange.inputs.len(), exchange.outputs.len()))
            && no_duplicates(exchange).is_ok()
            && exchange
                .inputs
                .iter()
                .all(|input| self.spent.get(&input.y).is_some_and(|it| it.exchange == number))
            && exchange.outputs.iter().enumerate().all(|(position, output)| {
                self.signed.get(&output.blinded).is_some_and(|it| {
                    it.exchange == number && it.position == position && it.output == *output
                })
            })
    }

    /// Is the coin spent, and with which witness?
    pub(crate) fn spent(&self, y: &Point) -> Option<Option<&str>> {
        self.spent.get(y).map(|spent| spent.witness.as_deref())
    }

    /// The output that was signed, if it was.
    pub(crate) fn signed(&self, blinded: &Point) -> Option<Output> {
        self.signed.get(blinded).map(|signed| signed.output)
    }

    /// What happened to a quote.
    pub(crate) fn quote(&self, quote: &QuoteKey) -> Quote {
        self.quotes.get(quote).copied().unwrap_or_default()
    }

    /// Everything in numbers. SPEC §8.13.
    pub(crate) fn supply(&self) -> Supply {
        let (mut signed, mut spent) = (0u64, 0u64);
        for book in &self.keysets {
            signed = signed.saturating_add(book.issued);
            spent = spent.saturating_add(book.spent);
        }
        let outstanding = signed.saturating_sub(spent);
        let promised = self
            .quotes
            .values()
            .filter(|quote| quote.settled.is_none())
            .filter_map(|quote| quote.paid)
            .fold(0u64, |sum, (amount, _)| sum.saturating_add(amount));
        let accounted =
            outstanding.checked_add(self.redeemed).and_then(|sum| sum.checked_add(self.fees));
        Supply {
            keysets: (1..)
                .zip(&self.keysets)
                .map(|(number, book)| KeysetSupply {
                    signed: book.issued,
                    spent: book.spent,
                    active: number == self.keysets.len(),
                })
                .collect(),
            issued: self.minted,
            outstanding,
            redeemed: self.redeemed,
            fees: self.fees,
            promised,
            balanced: accounted == Some(self.minted) && spent <= signed,
        }
    }

    /// What is to be written.
    pub(crate) fn fresh(&self) -> &[Entry] {
        &self.fresh
    }

    /// What was to be written is written.
    pub(crate) fn written(&mut self) {
        self.fresh.clear();
    }

    /// The disk turned the batch away: none of it happened.
    pub(crate) fn undo(&mut self) {
        for entry in std::mem::take(&mut self.fresh).iter().rev() {
            self.unapply(entry);
        }
    }

    /// The keyset that raised the alarm.
    pub(crate) fn alarm(&self) -> Option<u16> {
        self.alarm
    }

    fn may_pay(&self, quote: &QuoteKey) -> Result<(), Refusal> {
        if self.quotes.contains_key(quote) { Err(Refusal::QuoteSettled) } else { Ok(()) }
    }

    fn may_exchange(&self, exchange: &Exchange) -> Result<(), Refusal> {
        no_duplicates(exchange)?;
        let (inputs, outputs) = (&exchange.inputs, &exchange.outputs);
        if inputs.iter().any(|input| self.spent.contains_key(&input.y)) {
            return Err(Refusal::AlreadySpent);
        }
        if outputs.iter().any(|output| self.signed.contains_key(&output.blinded)) {
            return Err(Refusal::AlreadySigned);
        }
        self.usable(exchange)?;
        let fee = self.fee(inputs)?;
        let taken = sum(inputs.iter().map(|input| input.power))?;
        let given = sum(outputs.iter().map(|output| output.power))?;
        let balanced = match &exchange.quote {
            QuoteStep::None if inputs.is_empty() || outputs.is_empty() => {
                return Err(Refusal::Empty);
            }
            QuoteStep::None => given.checked_add(fee) == Some(taken),
            QuoteStep::Issue(_) if !inputs.is_empty() || outputs.is_empty() => {
                return Err(Refusal::Empty);
            }
            QuoteStep::Issue(quote) => {
                let quote = self.quotes.get(quote).ok_or(Refusal::QuoteUnpaid)?;
                let (paid, _) = quote.paid.ok_or(Refusal::QuoteUnpaid)?;
                if quote.settled.is_some() {
                    return Err(Refusal::QuoteSettled);
                }
                given == paid && self.minted.checked_add(given).is_some()
            }
            QuoteStep::Redeem { .. } if inputs.is_empty() || !outputs.is_empty() => {
                return Err(Refusal::Empty);
            }
            QuoteStep::Redeem { quote, amount } => {
                if self.quotes.contains_key(quote) {
                    return Err(Refusal::QuoteSettled);
                }
                *amount > 0 && amount.checked_add(fee) == Some(taken)
            }
        };
        if !balanced {
            return Err(Refusal::Unbalanced { fee });
        }
        self.covered(inputs, outputs)
    }

    /// Keysets: known, of one unit, not expired, and outputs only in the active one.
    fn usable(&self, exchange: &Exchange) -> Result<(), Refusal> {
        let active = self.keysets.len().checked_sub(1);
        let mut unit = None;
        let ins = exchange.inputs.iter().map(|input| (input.keyset, false));
        let outs = exchange.outputs.iter().map(|output| (output.keyset, true));
        for (keyset, signs) in ins.chain(outs) {
            let terms = &self.book(keyset)?.terms;
            if unit.is_some_and(|unit| unit != &terms.unit) {
                return Err(Refusal::MixedUnits);
            }
            unit = Some(&terms.unit);
            if terms.final_expiry.is_some_and(|expiry| exchange.at >= expiry) {
                return Err(Refusal::ExpiredKeyset);
            }
            if signs && active != Some(keyset.into()) {
                return Err(Refusal::InactiveKeyset);
            }
        }
        Ok(())
    }

    /// The sum of the ppk of the inputs' keysets, rounded up to a whole unit. SPEC §8.11 `[fee-ceiling]`.
    fn fee(&self, inputs: &[Input]) -> Result<u64, Refusal> {
        let mut ppk = 0u64;
        for input in inputs {
            ppk = ppk
                .checked_add(self.book(input.keyset)?.terms.fee_ppk.into())
                .ok_or(Refusal::Amount)?;
        }
        Ok(ppk.div_ceil(1000))
    }

    /// Nothing is spent of a keyset beyond what it issued, and no sum overflows. SPEC §8.12 `[alarm]`.
    fn covered(&self, inputs: &[Input], outputs: &[Output]) -> Result<(), Refusal> {
        for (number, book) in (0u16..).zip(&self.keysets) {
            let of = |keyset: u16, power: u8| (keyset == number).then_some(power);
            let more = sum(inputs.iter().filter_map(|input| of(input.keyset, input.power)))?;
            if book.spent.checked_add(more).is_none_or(|spent| spent > book.issued) {
                return Err(Refusal::Alarm { keyset: number });
            }
            let more = sum(outputs.iter().filter_map(|output| of(output.keyset, output.power)))?;
            book.issued.checked_add(more).ok_or(Refusal::Amount)?;
        }
        Ok(())
    }

    fn book(&self, keyset: u16) -> Result<&KeysetBook, Refusal> {
        self.keysets.get(usize::from(keyset)).ok_or(Refusal::UnknownKeyset)
    }

    fn accept(&mut self, entry: Entry) {
        self.apply(&entry);
        self.fresh.push(entry);
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Keyset { id, terms } => {
                let terms = terms.clone();
                self.keysets.push(KeysetBook { id: *id, terms, issued: 0, spent: 0 });
            }
            Entry::Pay { quote, amount, at } => {
                self.quotes.entry(*quote).or_default().paid = Some((*amount, *at));
            }
            Entry::Exchange(exchange) => {
                let number = self.shapes.len();
                self.shapes.push((exchange.inputs.len(), exchange.outputs.len()));
                for input in &exchange.inputs {
                    let spent = Spent { exchange: number, witness: input.witness.clone() };
                    self.spent.insert(input.y, spent);
                }
                for (position, output) in exchange.outputs.iter().enumerate() {
                    let signed = Signed { exchange: number, position, output: *output };
                    self.signed.insert(output.blinded, signed);
                }
                if let QuoteStep::Issue(quote) | QuoteStep::Redeem { quote, .. } = &exchange.quote {
                    let settled = Some((number, exchange.at));
                    self.quotes.entry(*quote).or_default().settled = settled;
                }
                self.count(exchange, u64::wrapping_add);
            }
        }
    }

    fn unapply(&mut self, entry: &Entry) {
        match entry {
            Entry::Keyset { .. } => {
                self.keysets.pop();
            }
            Entry::Pay { quote, .. } => {
                self.quotes.remove(quote);
            }
            Entry::Exchange(exchange) => {
                self.shapes.pop();
                for input in &exchange.inputs {
                    self.spent.remove(&input.y);
                }
                for output in &exchange.outputs {
                    self.signed.remove(&output.blinded);
                }
                match &exchange.quote {
                    QuoteStep::None => {}
                    QuoteStep::Issue(quote) => {
                        if let Some(quote) = self.quotes.get_mut(quote) {
                            quote.settled = None;
                        }
                    }
                    QuoteStep::Redeem { quote, .. } => {
                        self.quotes.remove(quote);
                    }
                }
                self.count(exchange, u64::wrapping_sub);
            }
        }
    }

    /// Moves the counters by an exchange, forth or back. `may_exchange` has seen that none can overflow.
    fn count(&mut self, exchange: &Exchange, step: fn(u64, u64) -> u64) {
        let (mut taken, mut given) = (0u64, 0u64);
        for input in &exchange.inputs {
            let amount = 1 << input.power;
            taken = taken.wrapping_add(amount);
            if let Some(book) = self.keysets.get_mut(usize::from(input.keyset)) {
                book.spent = step(book.spent, amount);
            }
        }
        for output in &exchange.outputs {
            let amount = 1 << output.power;
            given = given.wrapping_add(amount);
            if let Some(book) = self.keysets.get_mut(usize::from(output.keyset)) {
                book.issued = step(book.issued, amount);
            }
        }
        match &exchange.quote {
            QuoteStep::None => self.fees = step(self.fees, taken.wrapping_sub(given)),
            QuoteStep::Issue(_) => self.minted = step(self.minted, given),
            QuoteStep::Redeem { amount, .. } => {
                self.redeemed = step(self.redeemed, *amount);
                self.fees = step(self.fees, taken.wrapping_sub(*amount));
            }
        }
    }
}

fn no_duplicates(exchange: &Exchange) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity(exchange.inputs.len());
    if !exchange.inputs.iter().all(|input| seen.insert(input.y)) {
        return Err(Refusal::DuplicateInputs);
    }
    seen.clear();
    if !exchange.outputs.iter().all(|output| seen.insert(output.blinded)) {
        return Err(Refusal::DuplicateOutputs);
    }
    Ok(())
}

fn sum(mut powers: impl Iterator<Item = u8>) -> Result<u64, Refusal> {
    powers.try_fold(0u64, |sum, power| {
        let amount = (power < keyset::AMOUNTS).then(|| 1u64 << power).ok_or(Refusal::Amount)?;
        sum.checked_add(amount).ok_or(Refusal::Amount)
    })
}

#[cfg(test)]
mod tests;
