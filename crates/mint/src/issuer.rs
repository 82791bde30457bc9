//! The issuer: checks that need no past, then the ledger, then signatures.
//!
//! A request is checked on a worker, decided by the sequencer, and signed on a worker while the batch is synced. A
//! request that happened before is answered as before, whatever the checks would say today: a locktime may have
//! passed, a keyset may be inactive by now. SPEC §8.11, §8.12.

use crate::keyset::{self, Keyset, MasterSeed, Terms};
use crate::ledger::Ledger;
use crate::ledger::books::{self, Accepted};
use crate::ledger::entry::{self, Exchange, Input, KeysetId, QuoteStep};
use crate::quote::{Purpose, Quote, Quotes};
use crate::refusal::Refusal;
use crate::settings::Settings;
use cashu::{BlindSignature, BlindedMessage, Id, PublicKey};
use chopmark_core::time::Timestamp;
use chopmark_pay::verify;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Most inputs, and most outputs, of one request. Announced as `max_array_length`.
pub(crate) const MAX_ARRAY: usize = 1000;

/// The running issuer.
pub(crate) struct Issuer {
    pub(crate) settings: Settings,
    pub(crate) ledger: Ledger,
    pub(crate) quotes: Quotes,
    pub(crate) keys: Arc<Keysets>,
    /// What it calls itself: `MintInfo.pubkey`.
    pub(crate) identity: Option<PublicKey>,
}

/// Every keyset, by number and by id.
pub(crate) struct Keysets {
    sets: Vec<Keyset>,
    numbers: HashMap<Id, u16>,
}

/// An input as it comes: `dleq` and what else a wallet may send are not looked at.
#[derive(Deserialize)]
pub(crate) struct Proof {
    amount: u64,
    id: Id,
    secret: String,
    #[serde(rename = "C")]
    signature: PublicKey,
    #[serde(default)]
    witness: Option<String>,
}

/// A checked request: what it would be in the ledger, and what is wrong with it apart from that.
pub(crate) struct Checked {
    exchange: Exchange,
    outputs: Vec<PublicKey>,
    authentic: Result<(), Refusal>,
}

impl Issuer {
    /// Decides a checked exchange, and gives the signatures on its outputs once it is durable.
    pub(crate) async fn exchange(&self, checked: Checked) -> Result<Vec<BlindSignature>, Refusal> {
        let keys = Arc::clone(&self.keys);
        let Checked { exchange, outputs, authentic } = checked;
        let wanted = exchange.outputs.clone();
        let decide = move |books: &mut books::Books| match authentic {
            Ok(()) => books.exchange(exchange).map_err(Refusal::from),
            Err(_) if books.happened(&exchange) => Ok(Accepted::Before),
            Err(refusal) => Err(refusal),
        };
        let sign = move |decision: Result<Accepted, Refusal>| {
            decision?;
            wanted.iter().zip(&outputs).map(|(output, point)| keys.sign(*output, point)).collect()
        };
        self.ledger.settle(decide, sign).await?
    }

    /// Checks a swap.
    pub(crate) fn check_swap(
        &self,
        inputs: &[Proof],
        outputs: &[BlindedMessage],
        now: Timestamp,
    ) -> Result<Checked, Refusal> {
        self.keys.check(inputs, outputs, QuoteStep::None, verify::Purpose::Swap, now)
    }

    /// Checks a melt under the quote with this id.
    pub(crate) fn check_melt(
        &self,
        id: &str,
        inputs: &[Proof],
        now: Timestamp,
    ) -> Result<(Quote, Checked), Refusal> {
        let quote = self.quotes.read(id).ok_or(Refusal::UnknownQuote)?;
        let Purpose::Melt(_) = quote.purpose else { return Err(Refusal::UnknownQuote) };
        let step = QuoteStep::Redeem { quote: quote.key, amount: quote.amount };
        let purpose = verify::Purpose::Melt { quote: id };
        let mut checked = self.keys.check(inputs, &[], step, purpose, now)?;
        if checked.authentic.is_ok() && now.as_secs() >= quote.expiry {
            checked.authentic = Err(Refusal::ExpiredQuote);
        }
        Ok((quote, checked))
    }

    /// Checks a mint under the quote with this id. `signed` says whether NUT-20's signature is good, given the key.
    pub(crate) fn check_mint(
        &self,
        id: &str,
        outputs: &[BlindedMessage],
        signed: impl FnOnce(PublicKey) -> bool,
        now: Timestamp,
    ) -> Result<Checked, Refusal> {
        let quote = self.quotes.read(id).ok_or(Refusal::UnknownQuote)?;
        let Purpose::Mint(lock) = quote.purpose else { return Err(Refusal::UnknownQuote) };
        let step = QuoteStep::Issue(quote.key);
        let mut checked = self.keys.check(&[], outputs, step, verify::Purpose::Swap, now)?;
        if lock.is_some_and(|key| !signed(key)) {
            checked.authentic = Err(Refusal::QuoteSignature);
        }
        Ok(checked)
    }
}

impl Keysets {
    /// The keysets of these terms. `None` if the seed is not the one that these ids came from.
    pub(crate) fn derive(seed: &MasterSeed, terms: Vec<(KeysetId, Terms)>) -> Option<Self> {
        let sets = (0u16..)
            .zip(terms)
            .map(|(number, (id, terms))| {
                Keyset::derive(seed, number, terms).filter(|set| set.id.to_bytes() == id)
            })
            .collect::<Option<Vec<_>>>()?;
        let numbers = (0u16..).zip(&sets).map(|(number, set)| (set.id, number)).collect();
        Some(Self { sets, numbers })
    }

    /// Every keyset, and whether it signs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Keyset, bool)> {
        let last = self.sets.len();
        (1..).zip(&self.sets).map(move |(number, set)| (set, number == last))
    }

    /// The keyset that signs, with its number.
    pub(crate) fn active(&self) -> Option<(u16, &Keyset)> {
        (0u16..).zip(&self.sets).last()
    }

    /// The signature on an output, the same every time.
    pub(crate) fn sign(
        &self,
        output: entry::Output,
        blinded: &PublicKey,
    ) -> Result<BlindSignature, Refusal> {
        let set = self.sets.get(usize::from(output.keyset)).ok_or(Refusal::Broken)?;
        let (signature, dleq) = set.pair(output.power).ok_or(Refusal::Broken)?.sign(blinded)?;
        Ok(BlindSignature {
            amount: cashu::Amount::from(1u64 << output.power),
            keyset_id: set.id,
            c: signature,
            dleq: Some(dleq),
        })
    }

    /// Everything about a request that needs no past.
    fn check(
        &self,
        inputs: &[Proof],
        outputs: &[BlindedMessage],
        quote: QuoteStep,
        purpose: verify::Purpose<'_>,
        now: Timestamp,
    ) -> Result<Checked, Refusal> {
        if inputs.len() > MAX_ARRAY || outputs.len() > MAX_ARRAY {
            return Err(Refusal::TooMany(MAX_ARRAY));
        }
        let mut exchange = Exchange {
            at: now.as_secs(),
            quote,
            inputs: Vec::with_capacity(inputs.len()),
            outputs: self.outputs(outputs)?,
        };
        let mut points = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (keyset, power) = self.place(&input.id, input.amount)?;
            let y =
                cashu::dhke::hash_to_curve(input.secret.as_bytes()).map_err(|_| Refusal::Forged)?;
            let witness = input.witness();
            if input.secret.len() > verify::MAX_SECRET_LENGTH
                || witness.is_some_and(|it| it.len() > verify::MAX_WITNESS_LENGTH)
            {
                return Err(verify::Unspendable::TooLarge.into());
            }
            points.push(y);
            let witness = witness.map(Into::into);
            exchange.inputs.push(Input { y: y.to_bytes(), keyset, power, witness });
        }
        let authentic = self
            .genuine(inputs, &points, &exchange)
            .and_then(|()| Ok(spendable(inputs, &exchange, purpose, now)?));
        let outputs = outputs.iter().map(|output| output.blinded_secret).collect();
        Ok(Checked { exchange, outputs, authentic })
    }

    /// Places blinded messages in keysets.
    pub(crate) fn outputs(
        &self,
        outputs: &[BlindedMessage],
    ) -> Result<Vec<entry::Output>, Refusal> {
        outputs
            .iter()
            .map(|output| {
                let (keyset, power) = self.place(&output.keyset_id, output.amount.to_u64())?;
                Ok(entry::Output { blinded: output.blinded_secret.to_bytes(), keyset, power })
            })
            .collect()
    }

    fn place(&self, id: &Id, amount: u64) -> Result<(u16, u8), Refusal> {
        let number = *self.numbers.get(id).ok_or(books::Refusal::UnknownKeyset)?;
        let power = keyset::power(amount).ok_or(books::Refusal::Amount)?;
        Ok((number, power))
    }

    /// Is every `C` this issuer's signature?
    fn genuine(
        &self,
        proofs: &[Proof],
        points: &[PublicKey],
        exchange: &Exchange,
    ) -> Result<(), Refusal> {
        let genuine = proofs.iter().zip(points).zip(&exchange.inputs).all(|((proof, y), input)| {
            self.sets
                .get(usize::from(input.keyset))
                .and_then(|set| set.pair(input.power))
                .is_some_and(|pair| pair.verifies(y, &proof.signature))
        });
        if genuine { Ok(()) } else { Err(Refusal::Forged) }
    }
}

impl Proof {
    /// Some wallets send an empty string for none.
    fn witness(&self) -> Option<&str> {
        self.witness.as_deref().filter(|witness| !witness.is_empty())
    }
}

/// May these inputs be spent together now? The strict verifier decides: SPEC §8.10.
fn spendable(
    proofs: &[Proof],
    exchange: &Exchange,
    purpose: verify::Purpose<'_>,
    now: Timestamp,
) -> Result<(), verify::Unspendable> {
    let inputs: Vec<_> = proofs
        .iter()
        .map(|proof| verify::Input {
            secret: proof.secret.as_bytes(),
            signature: proof.signature.to_bytes(),
            witness: proof.witness(),
        })
        .collect();
    let outputs: Vec<_> = exchange
        .outputs
        .iter()
        .map(|output| verify::Output { amount: 1 << output.power, blinded: output.blinded })
        .collect();
    match verify::check(&inputs, &outputs, purpose, now) {
        // Duplicates are the ledger's to refuse, under Cashu's code for them.
        Err(verify::Unspendable::Duplicate) => Ok(()),
        other => other,
    }
}
