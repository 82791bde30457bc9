//! Payments that we get, from the message to the receipt (SPEC §8.7).
//!
//! `Received -> Claiming -> Claimed`, or `Declined`, or `Lost`. Coins are believed when the issuer's keys, fetched by
//! ourselves, say so, and claimed in one swap.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use cashu::{PublicKey, dhke};
use chopmark_core::time::Timestamp;
use chopmark_wire::payment::{
    Amount, DeclineReason, IssuerUrl, Payment, PaymentCancel, PaymentDecline, PaymentId,
    PaymentReceipt, PaymentRequest, ReceiptStatement, RequestId, Stage, Unit,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    Body, Effect, Event, Outbound, Part, Pay, Peer, Records, RecordsError, Reference, State, coin,
    job::{Held, Input, Job, Purpose, Turn},
    keyset,
    lock::{self, Template},
    records::{self, Kind},
    request::{self, Made},
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Incoming {
    pub(crate) id: [u8; 32],
    pub(crate) request: [u8; 32],
    pub(crate) payer: [u8; 32],
    pub(crate) minor: u64,
    pub(crate) unit: String,
    pub(crate) exponent: u8,
    pub(crate) issuer: String,
    pub(crate) state: State,
    pub(crate) at: u64,
    bytes: Vec<u8>,
    /// What we answer, last things last, and whether the outbox has it.
    answers: Vec<Answer>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Answer {
    part: u8,
    bytes: Vec<u8>,
    sent: bool,
}

impl Incoming {
    pub(crate) fn amount(&self) -> Result<Amount, RecordsError> {
        let unit = Unit::new(&self.unit, self.exponent).map_err(|_| RecordsError::Damaged)?;
        Ok(Amount::new(self.minor, unit))
    }

    /// The best receipt that we gave.
    pub(crate) fn receipt(&self) -> Option<&[u8]> {
        let mut receipts = self.answers.iter().rev();
        receipts
            .find(|answer| answer.part != number(Part::Decline))
            .map(|answer| answer.bytes.as_slice())
    }
}

/// Longest wait of someone who is no merchant before claiming.
const CLAIM_SPREAD: u64 = 300_000;
/// Coins that can be taken back sooner than this are not taken.
const CLAIM_MARGIN: u64 = 86_400;

fn number(part: Part) -> u8 {
    match part {
        Part::Payment => 0,
        Part::Accepted => 1,
        Part::Settled => 2,
        Part::Decline => 3,
    }
}

fn part(number: u8) -> Part {
    match number {
        1 => Part::Accepted,
        2 => Part::Settled,
        3 => Part::Decline,
        _ => Part::Payment,
    }
}

fn store(records: &mut impl Records, incoming: &Incoming) -> Result<(), RecordsError> {
    records::put(records, Kind::Incoming, &incoming.id, incoming)
}

fn existing(records: &impl Records, id: &[u8; 32]) -> Result<Incoming, RecordsError> {
    records::get(records, Kind::Incoming, id)?.ok_or(RecordsError::Damaged)
}

pub(crate) fn receive(
    pay: &Pay,
    records: &mut impl Records,
    from: &Peer,
    body: &Body,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Effect>, RecordsError> {
    let mut turn = Turn { pay, records, now, jitter: rng.next_u64(), effects: Vec::new() };
    match body {
        Body::Payment(bytes) => payment(&mut turn, from, bytes)?,
        Body::Receipt(bytes) => crate::outgoing::receipt(&mut turn, from, bytes)?,
        Body::Decline(bytes) => crate::outgoing::decline(&mut turn, from, bytes)?,
        Body::Cancel(bytes) => {
            if let Ok(cancel) = PaymentCancel::decode(bytes) {
                turn.event(Event::RequestCancelled(cancel.request));
            }
        }
        // The client keeps it with the conversation; it becomes ours when the user pays.
        Body::Request(_) => {}
    }
    Ok(turn.effects)
}

fn payment<R: Records>(
    turn: &mut Turn<'_, R>,
    from: &Peer,
    bytes: &Bytes,
) -> Result<(), RecordsError> {
    let Ok(payment) = Payment::decode(bytes) else { return Ok(()) };
    // SPEC §8.7 [payment-id-of-the-sender]: nobody pays in another's name.
    if payment.payment != PaymentId::of(&payment.request, &from.account) {
        return Ok(());
    }
    if let Some(known) = records::get::<Incoming>(turn.records, Kind::Incoming, &payment.payment.0)?
    {
        send(turn, &known, true);
        return Ok(());
    }
    let found = request::load(turn.records, &payment.request)?;
    let mut incoming = Incoming {
        id: payment.payment.0,
        request: payment.request.0,
        payer: from.account,
        minor: 0,
        unit: "-".to_owned(),
        exponent: 0,
        issuer: payment.issuer.as_str().to_owned(),
        state: State::Received,
        at: turn.now.as_millis(),
        bytes: bytes.to_vec(),
        answers: Vec::new(),
    };
    let Some((made, request)) = found else {
        return declined(turn, incoming, DeclineReason::UnknownRequest);
    };
    incoming.minor = request.amount.minor();
    request.amount.unit().code().clone_into(&mut incoming.unit);
    incoming.exponent = request.amount.unit().exponent();
    if made.payer.is_some_and(|payer| payer != from.account) {
        return declined(turn, incoming, DeclineReason::UnknownRequest);
    }
    let listed = turn
        .pay
        .settings
        .issuers
        .iter()
        .any(|issuer| issuer.url == payment.issuer && issuer.unit == *request.amount.unit());
    if !listed || !request.issuers.contains(&payment.issuer) {
        return declined(turn, incoming, DeclineReason::WrongIssuer);
    }
    store(turn.records, &incoming)?;
    turn.event(Event::IncomingChanged(payment.payment));
    let wanted = Input {
        amount: 0,
        keyset: payment.keyset,
        c: String::new(),
        held: Held::Given { secret: String::new(), witness: None },
    };
    let purpose = Purpose::Verify(incoming.id);
    let job = Job::new(&incoming.issuer, &incoming.unit, purpose, vec![wanted]);
    turn.begin(job, Duration::ZERO)
}

/// All that is known of a payment when it is checked and claimed.
struct Opened {
    payment: Payment,
    request: PaymentRequest,
    made: Made,
    key: cashu::SecretKey,
    template: Template,
}

impl Opened {
    fn secrets(&self) -> Vec<String> {
        self.payment.proofs.iter().map(|proof| self.template.secret(&proof.nonce)).collect()
    }
}

fn open<R: Records>(
    turn: &Turn<'_, R>,
    incoming: &Incoming,
) -> Result<Option<Opened>, RecordsError> {
    let payment = Payment::decode(&Bytes::copy_from_slice(&incoming.bytes));
    let payment = payment.map_err(|_| RecordsError::Damaged)?;
    let Some((made, request)) = request::load(turn.records, &payment.request)? else {
        return Ok(None);
    };
    let keys = || {
        let ours = request::lock_key(turn.pay, &request.nonce)?;
        let ephemeral = PublicKey::from_slice(&payment.ephemeral_key).ok()?;
        PublicKey::from_slice(&payment.refund_key).ok()?;
        let factor = lock::blinding(&ours, &ephemeral)?;
        lock::blind_secret(&ours, &factor)
    };
    let Some(key) = keys() else { return Ok(None) };
    let template = Template {
        lock_key: key.public_key().to_bytes(),
        refund_key: payment.refund_key,
        locktime: payment.locktime,
    };
    Ok(Some(Opened { payment, request, made, key, template }))
}

/// The issuer's keys are there: are these coins good, ours, new and right? (SPEC §8.7)
pub(crate) fn verify<R: Records>(turn: &mut Turn<'_, R>, id: [u8; 32]) -> Result<(), RecordsError> {
    let mut incoming = existing(turn.records, &id)?;
    if incoming.state != State::Received {
        return Ok(());
    }
    let Some(mut opened) = open(turn, &incoming)? else {
        return declined(turn, incoming, DeclineReason::InvalidCoins);
    };
    if let Some(reason) = objection(turn, &incoming, &opened)? {
        return declined(turn, incoming, reason);
    }
    for secret in opened.secrets() {
        let y = dhke::hash_to_curve(secret.as_bytes()).map_err(|_| RecordsError::Damaged)?;
        records::put(turn.records, Kind::Seen, &y.to_bytes(), &id)?;
    }
    opened.made.paid_by = Some(id);
    request::store(turn.records, &opened.payment.request, &opened.made)?;
    incoming.state = State::Claiming;
    let merchant = turn.pay.settings.merchant;
    if !merchant {
        acknowledge(turn, &mut incoming, Stage::Accepted)?;
    }
    store(turn.records, &incoming)?;
    turn.event(Event::IncomingChanged(PaymentId(id)));
    send(turn, &incoming, false);
    let inputs = opened
        .payment
        .proofs
        .iter()
        .zip(opened.secrets())
        .map(|(proof, secret)| Input {
            amount: proof.amount().unwrap_or(0),
            keyset: opened.payment.keyset.clone(),
            c: crate::hex::encode(&proof.signature),
            held: Held::Given {
                witness: Some(lock::witness(&lock::sign(&opened.key, &secret))),
                secret,
            },
        })
        .collect();
    let job = Job::new(&incoming.issuer, &incoming.unit, Purpose::Claim(id), inputs);
    let spread = turn.jitter.checked_rem(CLAIM_SPREAD).unwrap_or(0);
    let wait = if merchant { Duration::ZERO } else { Duration::from_millis(spread) };
    turn.begin(job, wait)
}

fn objection<R: Records>(
    turn: &Turn<'_, R>,
    incoming: &Incoming,
    opened: &Opened,
) -> Result<Option<DeclineReason>, RecordsError> {
    let (payment, request) = (&opened.payment, &opened.request);
    if opened.made.paid_by.is_some_and(|first| first != incoming.id) {
        return Ok(Some(DeclineReason::AlreadyPaid));
    }
    if Timestamp(incoming.at) > request.expires_at {
        return Ok(Some(DeclineReason::Expired));
    }
    let sum = payment
        .proofs
        .iter()
        .try_fold(0_u64, |sum, proof| proof.amount().and_then(|amount| sum.checked_add(amount)));
    if sum != Some(request.amount.minor()) {
        return Ok(Some(DeclineReason::WrongAmount));
    }
    let invalid = Ok(Some(DeclineReason::InvalidCoins));
    let earliest = turn.now.as_secs().saturating_add(CLAIM_MARGIN);
    let same_key = opened.template.lock_key.get(1..) == payment.refund_key.get(1..);
    if payment.locktime < earliest || same_key {
        return invalid;
    }
    let keyset = keyset::load(turn.records, &incoming.issuer, &payment.keyset)?;
    let Some(keyset) = keyset.filter(|keyset| keyset.unit == incoming.unit) else {
        return invalid;
    };
    // The issuer must still take them when we come, and after a while of its being away.
    let until = payment.locktime.saturating_add(lock::KEYSET_MARGIN);
    if keyset.expiry.is_some_and(|expiry| expiry < until) {
        return invalid;
    }
    // SPEC §8.7 [no-dust]: every coin costs us a fee.
    let coins = payment.proofs.len();
    let fee = keyset::fee(std::iter::repeat_n(keyset.fee_ppk, coins)).unwrap_or(u64::MAX);
    let needed = keyset::split(&keyset, request.amount.minor()).map_or(0, |split| split.len());
    if coins > needed || fee >= request.amount.minor() {
        return invalid;
    }
    let mut ys = BTreeSet::new();
    for (proof, secret) in payment.proofs.iter().zip(opened.secrets()) {
        let Ok(y) = dhke::hash_to_curve(secret.as_bytes()) else { return invalid };
        let c = crate::hex::encode(&proof.signature);
        let dleq = [&proof.dleq_e, &proof.dleq_s, &proof.dleq_r];
        let amount = proof.amount().unwrap_or(0);
        // SPEC §8.7 [coin-seen-once], [dleq-against-own-keys].
        if !ys.insert(y.to_bytes())
            || turn.records.load(Kind::Seen, &y.to_bytes())?.is_some()
            || !coin::genuine(&keyset, amount, &secret, &c, dleq)
        {
            return invalid;
        }
    }
    Ok(None)
}

/// The coins are ours now: signs for them.
pub(crate) fn claimed<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    let mut incoming = existing(turn.records, &id)?;
    incoming.state = State::Claimed;
    acknowledge(turn, &mut incoming, Stage::Settled)?;
    store(turn.records, &incoming)?;
    send(turn, &incoming, false);
    turn.event(Event::IncomingChanged(PaymentId(id)));
    Ok(())
}

/// The issuer does not let us claim: lets go of the coins.
pub(crate) fn unclaimable<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    let incoming = existing(turn.records, &id)?;
    reopen(turn, &incoming)?;
    declined(turn, incoming, DeclineReason::InvalidCoins)
}

/// Someone else had the coins first.
pub(crate) fn lost<R: Records>(turn: &mut Turn<'_, R>, id: [u8; 32]) -> Result<(), RecordsError> {
    let mut incoming = existing(turn.records, &id)?;
    reopen(turn, &incoming)?;
    incoming.state = State::Lost;
    declined(turn, incoming, DeclineReason::SpentElsewhere)
}

/// The request can be paid by someone else.
fn reopen<R: Records>(turn: &mut Turn<'_, R>, incoming: &Incoming) -> Result<(), RecordsError> {
    let id = RequestId(incoming.request);
    if let Some((mut made, _)) = request::load(turn.records, &id)? {
        made.paid_by = made.paid_by.filter(|first| *first != incoming.id);
        request::store(turn.records, &id, &made)?;
    }
    Ok(())
}

/// Declines, and releases the coins to the payer where we can tell what they are (SPEC §8.7 `[decline-releases]`).
fn declined<R: Records>(
    turn: &mut Turn<'_, R>,
    mut incoming: Incoming,
    reason: DeclineReason,
) -> Result<(), RecordsError> {
    let release = match open(turn, &incoming)? {
        Some(opened) => {
            opened.secrets().iter().map(|secret| lock::sign(&opened.key, secret)).collect()
        }
        None => Vec::new(),
    };
    let decline = PaymentDecline { payment: PaymentId(incoming.id), reason, release };
    if incoming.state != State::Lost {
        incoming.state = State::Declined;
    }
    incoming.answers.push(Answer {
        part: number(Part::Decline),
        bytes: decline.encode().to_vec(),
        sent: false,
    });
    store(turn.records, &incoming)?;
    send(turn, &incoming, false);
    turn.event(Event::IncomingChanged(PaymentId(incoming.id)));
    Ok(())
}

fn acknowledge<R: Records>(
    turn: &Turn<'_, R>,
    incoming: &mut Incoming,
    stage: Stage,
) -> Result<(), RecordsError> {
    let statement = ReceiptStatement {
        stage,
        payment: PaymentId(incoming.id),
        request: RequestId(incoming.request),
        payee: turn.pay.account,
        payer: incoming.payer,
        amount: incoming.amount()?,
        issuer: IssuerUrl::parse(&incoming.issuer).map_err(|_| RecordsError::Damaged)?,
        at: turn.now,
    };
    let receipt = PaymentReceipt::sign(&statement, &turn.pay.device);
    incoming.answers.push(Answer {
        part: number(if stage == Stage::Settled { Part::Settled } else { Part::Accepted }),
        bytes: receipt.encode().to_vec(),
        sent: false,
    });
    Ok(())
}

fn send<R: Records>(turn: &mut Turn<'_, R>, incoming: &Incoming, again: bool) {
    for answer in incoming.answers.iter().filter(|answer| again || !answer.sent) {
        let bytes = Bytes::copy_from_slice(&answer.bytes);
        let part = part(answer.part);
        turn.effects.push(Effect::Send(Outbound {
            to: incoming.payer,
            reference: Reference { payment: PaymentId(incoming.id), part },
            body: match part {
                Part::Decline => Body::Decline(bytes),
                _ => Body::Receipt(bytes),
            },
        }));
    }
}

pub(crate) fn answered(
    records: &mut impl Records,
    id: &[u8; 32],
    which: Part,
) -> Result<Vec<Effect>, RecordsError> {
    if let Some(mut incoming) = records::get::<Incoming>(records, Kind::Incoming, id)? {
        for answer in incoming.answers.iter_mut().filter(|answer| answer.part == number(which)) {
            answer.sent = true;
        }
        store(records, &incoming)?;
    }
    Ok(Vec::new())
}

pub(crate) fn wake<R: Records>(turn: &mut Turn<'_, R>, resume: bool) -> Result<(), RecordsError> {
    if resume {
        for (_, incoming) in records::all::<Incoming>(turn.records, Kind::Incoming, &[])? {
            send(turn, &incoming, false);
        }
    }
    Ok(())
}
