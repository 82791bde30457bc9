//! The strict verifier of spending conditions (NUT-10, NUT-11, NUT-14): may these inputs be spent, now, with these witnesses?
//!
//! It knows no clock, no wallet and no ledger; the issuer and the wallet ask it the same question. A secret that is
//! shaped like a NUT-10 secret and is not well-formed can never be spent: failing open here would hand the coin to
//! whoever saw it first.
//!
//! Start at [`check`].

mod condition;
mod object;
mod witness;

use chopmark_core::time::Timestamp;
use std::collections::BTreeSet;

pub use condition::{Condition, Kind, Malformed, SigFlag};

use condition::Signers;
use witness::Witness;

/// One input of a swap or a melt, as it came.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The secret: the bytes inside the JSON string, that is the preimage of `Y`.
    pub secret: &'a [u8],
    /// The unblinded signature `C`, compressed. Only a `SIG_ALL` signature covers it.
    pub signature: [u8; 33],
    /// The witness: the JSON text inside the JSON string, if there is one.
    pub witness: Option<&'a str>,
}

/// One output of the same swap or melt. Only a `SIG_ALL` signature covers it.
#[derive(Clone, Copy)]
pub struct Output {
    /// In minor units.
    pub amount: u64,
    /// The blinded message `B_`, compressed.
    pub blinded: [u8; 33],
}

/// What besides inputs and outputs a `SIG_ALL` signature covers.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// A swap (NUT-03).
    Swap,
    /// A melt (NUT-05) under this quote.
    Melt {
        /// The id of the quote.
        quote: &'a str,
    },
}

/// Why inputs cannot be spent. Nothing has changed; the same inputs may be spendable later or with another witness,
/// except where the secret is [`Unspendable::Malformed`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unspendable {
    /// The secret looks like a spending condition and is not a well-formed one: never spendable.
    #[error("spending condition is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// A plain secret came with a witness.
    #[error("witness on a secret that has no spending condition")]
    WitnessOnPlainSecret,
    /// The witness is missing.
    #[error("witness is missing")]
    WitnessMissing,
    /// The witness is not the JSON object its kind asks for, or holds a signature twice.
    #[error("witness is malformed")]
    WitnessMalformed,
    /// Too few different keys signed.
    #[error("{found} of {needed} signatures")]
    TooFewSignatures {
        /// Keys of the pathway that came closest, which signed.
        found: usize,
        /// Keys that must sign.
        needed: usize,
    },
    /// The preimage does not hash to the lock.
    #[error("preimage does not match")]
    WrongPreimage,
    /// Inputs under `SIG_ALL` must all have the same condition.
    #[error("inputs under SIG_ALL differ in their conditions")]
    MixedConditions,
    /// The same secret twice.
    #[error("an input is there twice")]
    Duplicate,
    /// More inputs, or longer ones, than anyone needs.
    #[error("inputs exceed a limit")]
    TooLarge,
}

/// Longest secret in bytes: eleven keys in two pathways fit twice.
pub const MAX_SECRET_LENGTH: usize = 4096;
/// Longest witness in bytes: twenty-two signatures fit.
pub const MAX_WITNESS_LENGTH: usize = 4096;

/// May all `inputs` be spent together, at `now`, for `outputs`?
///
/// SPEC §8.10 `[malformed-is-unspendable]`.
///
/// # Errors
/// The first reason found. No input may be spent then.
pub fn check(
    inputs: &[Input<'_>],
    outputs: &[Output],
    purpose: Purpose<'_>,
    now: Timestamp,
) -> Result<(), Unspendable> {
    let mut seen = BTreeSet::new();
    let mut conditions = Vec::with_capacity(inputs.len());
    for input in inputs {
        if input.secret.len() > MAX_SECRET_LENGTH
            || input.witness.is_some_and(|witness| witness.len() > MAX_WITNESS_LENGTH)
        {
            return Err(Unspendable::TooLarge);
        }
        if !seen.insert(input.secret) {
            return Err(Unspendable::Duplicate);
        }
        conditions.push(Condition::parse(input.secret)?);
    }
    let all = conditions
        .iter()
        .any(|condition| condition.as_ref().is_some_and(|it| it.sig_flag() == SigFlag::All));
    if all {
        check_together(inputs, &conditions, outputs, purpose, now)
    } else {
        check_each(inputs, &conditions, now)
    }
}

fn check_each(
    inputs: &[Input<'_>],
    conditions: &[Option<Condition>],
    now: Timestamp,
) -> Result<(), Unspendable> {
    for (input, condition) in inputs.iter().zip(conditions) {
        match condition {
            // SPEC §8.10 [no-witness-on-plain-secret].
            None if input.witness.is_some() => return Err(Unspendable::WitnessOnPlainSecret),
            None => {}
            Some(condition) => {
                satisfied(
                    condition,
                    &Witness::parse(input.witness, condition)?,
                    input.secret,
                    now,
                )?;
            }
        }
    }
    Ok(())
}

/// SPEC §8.10 `[sig-all-covers-everything]`: one condition, one witness on the first input, one message.
fn check_together(
    inputs: &[Input<'_>],
    conditions: &[Option<Condition>],
    outputs: &[Output],
    purpose: Purpose<'_>,
    now: Timestamp,
) -> Result<(), Unspendable> {
    let (Some((first, rest)), Some((Some(condition), others))) =
        (inputs.split_first(), conditions.split_first())
    else {
        return Err(Unspendable::MixedConditions);
    };
    let same =
        |other: &Option<Condition>| other.as_ref().is_some_and(|other| other.same_lock(condition));
    if !others.iter().all(same) {
        return Err(Unspendable::MixedConditions);
    }
    if rest.iter().any(|input| input.witness.is_some()) {
        return Err(Unspendable::WitnessMalformed);
    }
    let message = everything(inputs, outputs, purpose);
    satisfied(condition, &Witness::parse(first.witness, condition)?, &message, now)
}

/// The message of a `SIG_ALL` signature (NUT-11): secrets and `C`s, then amounts and `B_`s, then the quote.
fn everything(inputs: &[Input<'_>], outputs: &[Output], purpose: Purpose<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    for input in inputs {
        message.extend_from_slice(input.secret);
        message.extend_from_slice(crate::hex::encode(&input.signature).as_bytes());
    }
    for output in outputs {
        message.extend_from_slice(output.amount.to_string().as_bytes());
        message.extend_from_slice(crate::hex::encode(&output.blinded).as_bytes());
    }
    if let Purpose::Melt { quote } = purpose {
        message.extend_from_slice(quote.as_bytes());
    }
    message
}

/// One pathway suffices: the receiver's at any time, the refund's after the locktime.
fn satisfied(
    condition: &Condition,
    witness: &Witness,
    message: &[u8],
    now: Timestamp,
) -> Result<(), Unspendable> {
    let receiver = receiver_path(condition, witness, message);
    if receiver.is_ok() || !condition.locktime_passed(now) {
        return receiver;
    }
    match condition.refund() {
        // After the locktime a coin without refund keys belongs to whoever holds it (NUT-11).
        None => Ok(()),
        Some(signers) => signed(signers, witness, message),
    }
}

fn receiver_path(
    condition: &Condition,
    witness: &Witness,
    message: &[u8],
) -> Result<(), Unspendable> {
    if let Kind::Htlc { hash } = condition.kind() {
        let preimage = witness.preimage().ok_or(Unspendable::WrongPreimage)?;
        if crate::hash::sha256(preimage) != *hash {
            return Err(Unspendable::WrongPreimage);
        }
    }
    signed(condition.receiver(), witness, message)
}

fn signed(signers: &Signers, witness: &Witness, message: &[u8]) -> Result<(), Unspendable> {
    // Each key counts once, however many signatures it made.
    let found = signers
        .keys
        .iter()
        .filter(|key| witness.signatures().iter().any(|one| key.verify(message, one).is_ok()))
        .count();
    if found >= signers.needed {
        return Ok(());
    }
    if witness.signatures().is_empty() {
        return Err(Unspendable::WitnessMissing);
    }
    Err(Unspendable::TooFewSignatures { found, needed: signers.needed })
}

#[cfg(test)]
mod tests;
