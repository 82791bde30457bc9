//! Payments that we make, from the coins set aside to their end (SPEC §8.6).
//!
//! `Locking -> Queued -> Sent -> Delivered -> Claimed`, and beside it `Returning -> Declined`, `Reclaiming -> Reclaimed`,
//! `Split` and `Cancelled`. The id follows from the request and ourselves, so paying twice is paying once.

use std::time::Duration;

use bytes::Bytes;
use cashu::PublicKey;
use chopmark_core::{label, time::Timestamp};
use chopmark_wire::payment::{
    Amount, CompactProof, DeclineReason, IssuerUrl, PROOFS_MAX, Payment, PaymentDecline, PaymentId,
    PaymentReceipt, PaymentRequest, RequestId, Stage, Unit,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    Body, Effect, Event, Outbound, Part, Pay, PayError, Peer, Records, RecordsError, Reference,
    State,
    coin::{self, Chosen},
    derive,
    job::{self, Held, Input, Job, Lock, Purpose, Signed, Turn},
    lock::{self, Template},
    records::{self, Kind},
    verify,
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) id: [u8; 32],
    pub(crate) request: [u8; 32],
    pub(crate) payee: [u8; 32],
    pub(crate) minor: u64,
    pub(crate) unit: String,
    pub(crate) exponent: u8,
    pub(crate) issuer: String,
    pub(crate) state: State,
    pub(crate) at: u64,
    /// Numbers the refund key and the ephemeral key.
    intent: u64,
    template: Template,
    keyset: Vec<u8>,
    /// What was locked, in the order of the payment's bytes. Empty before.
    pub(crate) proofs: Vec<Proof>,
    bytes: Vec<u8>,
    pub(crate) receipt: Option<Vec<u8>>,
    pub(crate) declined: Option<u8>,
    /// Some coins are known to have gone to the payee.
    partly: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) amount: u64,
    nonce: [u8; 32],
    c: String,
}

impl Outgoing {
    pub(crate) fn amount(&self) -> Result<Amount, RecordsError> {
        let unit = Unit::new(&self.unit, self.exponent).map_err(|_| RecordsError::Damaged)?;
        Ok(Amount::new(self.minor, unit))
    }

    /// Are its coins locked, and nobody's for sure?
    pub(crate) fn is_locked(&self) -> bool {
        use State::{Delivered, Queued, Reclaiming, Returning, Sent};
        matches!(self.state, Queued | Sent | Delivered | Returning | Reclaiming)
    }
}

pub(crate) fn load(
    records: &impl Records,
    id: &[u8; 32],
) -> Result<Option<Outgoing>, RecordsError> {
    records::get(records, Kind::Outgoing, id)
}

fn store(records: &mut impl Records, payment: &Outgoing) -> Result<(), RecordsError> {
    records::put(records, Kind::Outgoing, &payment.id, payment)
}

fn existing(records: &impl Records, id: &[u8; 32]) -> Result<Outgoing, RecordsError> {
    load(records, id)?.ok_or(RecordsError::Damaged)
}

pub(crate) fn begin(
    pay: &Pay,
    records: &mut impl Records,
    bytes: &Bytes,
    payee: &[u8; 32],
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(PaymentId, Vec<Effect>), PayError> {
    let (request_id, request) = PaymentRequest::decode(bytes)?;
    // SPEC §8.6 [payee-is-the-sender]: a request passed on by someone else is not paid.
    if request.payee != *payee {
        return Err(PayError::WrongPayee);
    }
    if request.payee == pay.account {
        return Err(PayError::OwnRequest);
    }
    let id = PaymentId::of(&request_id, &pay.account);
    // SPEC §8.6 [pay-once]. Only a payment that never locked a coin may begin again.
    if let Some(known) = load(records, &id.0)?
        && known.state != State::Cancelled
    {
        return Ok((id, vec![Effect::Event(Event::OutgoingChanged(id))]));
    }
    if now > request.expires_at {
        return Err(PayError::Expired);
    }
    let (issuer, coins) = fund(pay, records, &request)?;
    let intent = job::numbered(records)?;
    let template = template(pay, intent, &request, now).ok_or(PayError::BadKey)?;
    let payment = Outgoing {
        id: id.0,
        request: request_id.0,
        payee: *payee,
        minor: request.amount.minor(),
        unit: request.amount.unit().code().to_owned(),
        exponent: request.amount.unit().exponent(),
        issuer: issuer.as_str().to_owned(),
        state: State::Locking,
        at: now.as_millis(),
        intent,
        template: template.clone(),
        keyset: Vec::new(),
        proofs: Vec::new(),
        bytes: Vec::new(),
        receipt: None,
        declined: None,
        partly: false,
    };
    store(records, &payment)?;
    let inputs = coins
        .into_iter()
        .map(|coin| Input {
            amount: coin.amount,
            keyset: coin.keyset,
            c: coin.c,
            held: Held::Own(coin.counter),
        })
        .collect();
    let mut job = Job::new(&payment.issuer, &payment.unit, Purpose::Lock(id.0), inputs);
    job.lock = Some(Lock { template, amount: payment.minor });
    let mut turn = Turn { pay, records, now, jitter: rng.next_u64(), effects: Vec::new() };
    turn.begin(job, Duration::ZERO)?;
    turn.event(Event::OutgoingChanged(id));
    Ok((id, turn.effects))
}

/// Coins for the request, of the first issuer on our list that has enough.
fn fund(
    pay: &Pay,
    records: &impl Records,
    request: &PaymentRequest,
) -> Result<(IssuerUrl, Vec<coin::Coin>), PayError> {
    let minor = request.amount.minor();
    let mut failure = PayError::NotListed;
    let mut most = None;
    for issuer in &pay.settings.issuers {
        if issuer.unit != *request.amount.unit() || !request.issuers.contains(&issuer.url) {
            continue;
        }
        let epoch = pay.secrets.epoch;
        let (url, unit) = (issuer.url.as_str(), issuer.unit.code());
        match coin::choose(records, url, unit, epoch, minor)? {
            Chosen::Coins(coins) => return Ok((issuer.url.clone(), coins)),
            Chosen::TooMany => failure = PayError::TooManyCoins,
            Chosen::TooLittle { spendable, needed } => {
                if most.is_none_or(|most| spendable >= most) {
                    most = Some(spendable);
                    failure = PayError::InsufficientFunds { spendable, needed };
                }
            }
        }
    }
    Err(failure)
}

fn template(pay: &Pay, intent: u64, request: &PaymentRequest, now: Timestamp) -> Option<Template> {
    let payee = PublicKey::from_slice(&request.lock_key).ok()?;
    let number = intent.to_be_bytes();
    let refund = derive::key(&pay.secrets.refund, label::LOCK_REFUND, &[&number])?;
    let ephemeral = derive::key(&pay.secrets.wallet, label::LOCK_EPHEMERAL, &[&number])?;
    let factor = lock::blinding(&ephemeral, &payee)?;
    Some(Template {
        lock_key: lock::blind_public(&payee, &factor)?.to_bytes(),
        refund_key: refund.public_key().to_bytes(),
        locktime: lock::locktime(now),
    })
}

/// The issuer has locked the coins: writes the message and asks to send it.
pub(crate) fn locked<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
    keyset: &[u8],
    coins: &[Signed],
) -> Result<(), RecordsError> {
    let mut payment = existing(turn.records, &id)?;
    let mut sorted: Vec<_> = coins.iter().collect();
    sorted.sort_by_key(|coin| (coin.planned.amount, coin.nonce));
    let number = payment.intent.to_be_bytes();
    let ephemeral = derive::key(&turn.pay.secrets.wallet, label::LOCK_EPHEMERAL, &[&number]);
    let message = Payment {
        payment: PaymentId(id),
        request: RequestId(payment.request),
        issuer: IssuerUrl::parse(&payment.issuer).map_err(|_| RecordsError::Damaged)?,
        keyset: keyset.to_vec(),
        ephemeral_key: ephemeral.ok_or(RecordsError::Damaged)?.public_key().to_bytes(),
        refund_key: payment.template.refund_key,
        locktime: payment.template.locktime,
        proofs: sorted
            .iter()
            .map(|coin| CompactProof {
                exponent: u8::try_from(coin.planned.amount.trailing_zeros()).unwrap_or(u8::MAX),
                nonce: coin.nonce,
                signature: coin.c,
                dleq_e: coin.e,
                dleq_s: coin.s,
                dleq_r: coin.r,
            })
            .collect(),
    };
    payment.keyset = keyset.to_vec();
    payment.proofs = sorted
        .iter()
        .map(|coin| Proof {
            amount: coin.planned.amount,
            nonce: coin.nonce,
            c: crate::hex::encode(&coin.c),
        })
        .collect();
    payment.bytes = message.encode().to_vec();
    payment.state = State::Queued;
    store(turn.records, &payment)?;
    send(turn, &payment);
    changed(turn, &payment);
    turn.effects.push(Effect::WakeAt(reclaim_at(&payment)));
    Ok(())
}

/// The locked coins as a Cashu token: whoever has it still needs the payee's key.
pub(crate) fn token(payment: &Outgoing) -> Option<String> {
    let keyset_id = cashu::Id::from_bytes(&payment.keyset).ok()?;
    let proof = |proof: &Proof| {
        Some(cashu::Proof {
            amount: proof.amount.into(),
            keyset_id,
            secret: cashu::secret::Secret::new(payment.template.secret(&proof.nonce)),
            c: PublicKey::from_hex(&proof.c).ok()?,
            witness: None,
            dleq: None,
            p2pk_e: None,
        })
    };
    let proofs = payment.proofs.iter().map(proof).collect::<Option<Vec<_>>>()?;
    let issuer = payment.issuer.parse().ok()?;
    let unit = payment.unit.parse().ok()?;
    Some(cashu::Token::new(issuer, proofs, None, unit).to_string())
}

fn send<R: Records>(turn: &mut Turn<'_, R>, payment: &Outgoing) {
    turn.effects.push(Effect::Send(Outbound {
        to: payment.payee,
        reference: Reference { payment: PaymentId(payment.id), part: Part::Payment },
        body: Body::Payment(Bytes::copy_from_slice(&payment.bytes)),
    }));
}

fn changed<R: Records>(turn: &mut Turn<'_, R>, payment: &Outgoing) {
    turn.event(Event::OutgoingChanged(PaymentId(payment.id)));
}

pub(crate) fn sent(
    records: &mut impl Records,
    reference: Reference,
    delivered: bool,
) -> Result<Vec<Effect>, RecordsError> {
    let id = reference.payment;
    if reference.part != Part::Payment {
        return crate::incoming::answered(records, &id.0, reference.part);
    }
    let Some(mut payment) = load(records, &id.0)? else { return Ok(Vec::new()) };
    payment.state = match (payment.state, delivered) {
        (State::Queued, false) => State::Sent,
        (State::Queued | State::Sent, true) => State::Delivered,
        _ => return Ok(Vec::new()),
    };
    store(records, &payment)?;
    Ok(vec![Effect::Event(Event::OutgoingChanged(id))])
}

/// From when on we take back what was not claimed: a day after the locktime, and up to six hours later.
fn reclaim_at(payment: &Outgoing) -> Timestamp {
    let [high, low, ..] = payment.id;
    let spread = u64::from(u16::from_be_bytes([high, low])).checked_rem(21_600).unwrap_or(0);
    let after = lock::RECLAIM_AFTER.saturating_add(spread);
    let seconds = payment.template.locktime.saturating_add(after);
    Timestamp::from_secs(seconds).unwrap_or(Timestamp::MAX)
}

pub(crate) fn wake<R: Records>(turn: &mut Turn<'_, R>, resume: bool) -> Result<(), RecordsError> {
    for (_, mut payment) in records::all::<Outgoing>(turn.records, Kind::Outgoing, &[])? {
        if resume && payment.state == State::Queued {
            send(turn, &payment);
        }
        let waits = matches!(payment.state, State::Queued | State::Sent | State::Delivered)
            // Declined by someone who did not let go of the coins.
            || (payment.state == State::Returning && !in_a_job(turn.records, &payment.id)?);
        if !waits {
            continue;
        }
        if turn.now < reclaim_at(&payment) {
            turn.effects.push(Effect::WakeAt(reclaim_at(&payment)));
            continue;
        }
        let number = payment.intent.to_be_bytes();
        let key = derive::key(&turn.pay.secrets.refund, label::LOCK_REFUND, &[&number]);
        let key = key.ok_or(RecordsError::Damaged)?;
        let signatures = secrets(&payment).iter().map(|secret| lock::sign(&key, secret)).collect();
        payment.state = State::Reclaiming;
        take_back(turn, &payment, signatures)?;
    }
    Ok(())
}

fn in_a_job(records: &impl Records, id: &[u8; 32]) -> Result<bool, RecordsError> {
    Ok(job::all(records)?.iter().any(|job| job.purpose == Purpose::Reclaim(*id)))
}

fn secrets(payment: &Outgoing) -> Vec<String> {
    payment.proofs.iter().map(|proof| payment.template.secret(&proof.nonce)).collect()
}

/// Swaps the locked coins back, with one signature for each.
fn take_back<R: Records>(
    turn: &mut Turn<'_, R>,
    payment: &Outgoing,
    signatures: Vec<[u8; 64]>,
) -> Result<(), RecordsError> {
    store(turn.records, payment)?;
    let inputs = payment
        .proofs
        .iter()
        .zip(secrets(payment))
        .zip(signatures)
        .map(|((proof, secret), signature)| Input {
            amount: proof.amount,
            keyset: payment.keyset.clone(),
            c: proof.c.clone(),
            held: Held::Given { secret, witness: Some(lock::witness(&signature)) },
        })
        .collect();
    let job = Job::new(&payment.issuer, &payment.unit, Purpose::Reclaim(payment.id), inputs);
    turn.begin(job, Duration::ZERO)?;
    changed(turn, payment);
    Ok(())
}

fn set<R: Records>(
    turn: &mut Turn<'_, R>,
    mut payment: Outgoing,
    state: State,
) -> Result<(), RecordsError> {
    payment.state = state;
    store(turn.records, &payment)?;
    changed(turn, &payment);
    Ok(())
}

/// Nothing was locked, and every coin is back or was spent by a clone of this wallet.
pub(crate) fn cancelled<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    // Half of the coins may still be on their way back: until then it must not begin again.
    if job::all(turn.records)?.iter().any(|job| job.purpose == Purpose::Lock(id)) {
        return Ok(());
    }
    let payment = existing(turn.records, &id)?;
    if payment.state == State::Locking { set(turn, payment, State::Cancelled) } else { Ok(()) }
}

/// We took back what there was.
pub(crate) fn reclaimed<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    let payment = existing(turn.records, &id)?;
    let state = match (payment.partly, payment.declined) {
        (true, _) => State::Split,
        (false, Some(_)) => State::Declined,
        (false, None) => State::Reclaimed,
    };
    set(turn, payment, state)
}

/// We came too late: the payee has claimed.
pub(crate) fn claimed_by_payee<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    let payment = existing(turn.records, &id)?;
    set(turn, payment, State::Claimed)
}

pub(crate) fn partly_claimed<R: Records>(
    turn: &mut Turn<'_, R>,
    id: [u8; 32],
) -> Result<(), RecordsError> {
    let mut payment = existing(turn.records, &id)?;
    payment.partly = true;
    store(turn.records, &payment)
}

/// The payee says that it has the coins. Every field must be ours, and the device's signature over it
/// (SPEC §8.8 `[receipt-signed]`).
pub(crate) fn receipt<R: Records>(
    turn: &mut Turn<'_, R>,
    from: &Peer,
    bytes: &Bytes,
) -> Result<(), RecordsError> {
    let Ok(receipt) = PaymentReceipt::decode(bytes) else { return Ok(()) };
    let Ok(states) = receipt.verify(&from.device) else { return Ok(()) };
    let Some(mut payment) = load(turn.records, &states.payment.0)? else { return Ok(()) };
    let ours = payment.payee == from.account
        && states.payee == from.account
        && states.payer == turn.pay.account
        && states.request.0 == payment.request
        && states.amount == payment.amount()?
        && states.issuer.as_str() == payment.issuer;
    // Nobody can have been paid before there was a payment.
    if !ours || payment.proofs.is_empty() {
        return Ok(());
    }
    let known = payment.receipt.as_ref().and_then(|bytes| {
        PaymentReceipt::decode(&Bytes::copy_from_slice(bytes)).ok().map(|it| it.claims().stage)
    });
    if known.is_some_and(|known| known >= states.stage) {
        return Ok(());
    }
    payment.receipt = Some(bytes.to_vec());
    payment.state = match (states.stage, payment.state) {
        (Stage::Settled, State::Queued | State::Sent | State::Delivered) => State::Claimed,
        (Stage::Accepted, State::Queued | State::Sent) => State::Delivered,
        (_, state) => state,
    };
    store(turn.records, &payment)?;
    changed(turn, &payment);
    Ok(())
}

/// The payee does not want the coins. If it let go of them they come back at once, else after the locktime.
pub(crate) fn decline<R: Records>(
    turn: &mut Turn<'_, R>,
    from: &Peer,
    bytes: &Bytes,
) -> Result<(), RecordsError> {
    let Ok(decline) = PaymentDecline::decode(bytes) else { return Ok(()) };
    let Some(mut payment) = load(turn.records, &decline.payment.0)? else { return Ok(()) };
    let open = matches!(payment.state, State::Queued | State::Sent | State::Delivered);
    if payment.payee != from.account || !open || payment.declined.is_some() {
        return Ok(());
    }
    payment.declined = Some(decline.reason.number());
    payment.state = State::Returning;
    let secrets = secrets(&payment);
    let witnesses: Vec<_> = decline.release.iter().map(lock::witness).collect();
    let inputs: Vec<_> = secrets
        .iter()
        .zip(&witnesses)
        .map(|(secret, witness)| verify::Input {
            secret: secret.as_bytes(),
            signature: [0; 33],
            witness: Some(witness),
        })
        .collect();
    let released = decline.release.len() == secrets.len()
        && verify::check(&inputs, &[], verify::Purpose::Swap, turn.now).is_ok();
    turn.event(Event::Declined(PaymentId(payment.id), decline.reason));
    if released {
        return take_back(turn, &payment, decline.release);
    }
    store(turn.records, &payment)?;
    turn.effects.push(Effect::WakeAt(reclaim_at(&payment)));
    changed(turn, &payment);
    Ok(())
}

/// Why it was declined, if it was.
pub(crate) fn reason(payment: &Outgoing) -> Option<DeclineReason> {
    payment.declined.map(DeclineReason::from_number)
}

const _: () = assert!(PROOFS_MAX <= job::OUTPUTS_MAX);
