//! What a user sees of all this.

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::payment::{IssuerUrl, PaymentId, PaymentReceipt, RequestId, Stage};

use crate::{
    Balance, Direction, Outcome, Pay, PaymentView, Records, RecordsError, Refusal, State, coin,
    incoming::Incoming,
    outgoing::{self, Outgoing},
    records::{self, Kind},
    redeem::Redeem,
};

pub(crate) fn balance(pay: &Pay, records: &impl Records) -> Result<Vec<Balance>, RecordsError> {
    let coins = coin::all(records)?;
    let outgoing = records::all::<Outgoing>(records, Kind::Outgoing, &[])?;
    let incoming = records::all::<Incoming>(records, Kind::Incoming, &[])?;
    let redeems = records::all::<Redeem>(records, Kind::Redeem, &[])?;
    let line = |issuer: &crate::Issuer| {
        let of = |url: &str, unit: &str| issuer.url.as_str() == url && issuer.unit.code() == unit;
        let mine = || coins.iter().filter(|coin| of(&coin.issuer, &coin.unit));
        let locked = outgoing
            .iter()
            .map(|(_, it)| it)
            .filter(|it| of(&it.issuer, &it.unit) && it.is_locked());
        let claiming = incoming.iter().map(|(_, it)| it);
        let claiming =
            claiming.filter(|it| of(&it.issuer, &it.unit) && it.state == State::Claiming);
        let handed_in =
            redeems.iter().map(|(_, it)| it).filter(|it| of(&it.issuer, &it.unit) && it.pending);
        Balance {
            issuer: issuer.url.clone(),
            unit: issuer.unit.clone(),
            spendable: sum(mine().filter(|it| it.reserved.is_none()).map(|it| it.amount)),
            reserved: sum(mine().filter(|it| it.reserved.is_some()).map(|it| it.amount)),
            locked: sum(locked.map(|it| sum(it.proofs.iter().map(|proof| proof.amount)))),
            incoming: sum(claiming.map(|it| it.minor).chain(handed_in.map(|it| it.amount))),
        }
    };
    Ok(pay.settings.issuers.iter().map(line).collect())
}

fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

pub(crate) fn payments(records: &impl Records) -> Result<Vec<PaymentView>, RecordsError> {
    let mut views = Vec::new();
    for (_, payment) in records::all::<Outgoing>(records, Kind::Outgoing, &[])? {
        views.push(of_outgoing(&payment)?);
    }
    for (_, payment) in records::all::<Incoming>(records, Kind::Incoming, &[])? {
        views.push(of_incoming(&payment)?);
    }
    views.sort_by_key(|view| (view.at, view.id));
    Ok(views)
}

pub(crate) fn payment(
    records: &impl Records,
    id: &PaymentId,
) -> Result<Option<PaymentView>, RecordsError> {
    if let Some(payment) = outgoing::load(records, &id.0)? {
        return of_outgoing(&payment).map(Some);
    }
    let incoming = records::get::<Incoming>(records, Kind::Incoming, &id.0)?;
    incoming.map(|payment| of_incoming(&payment)).transpose()
}

fn of_outgoing(payment: &Outgoing) -> Result<PaymentView, RecordsError> {
    Ok(PaymentView {
        id: PaymentId(payment.id),
        request: RequestId(payment.request),
        direction: Direction::Out,
        peer: payment.payee,
        amount: payment.amount()?,
        issuer: IssuerUrl::parse(&payment.issuer).map_err(|_| RecordsError::Damaged)?,
        state: payment.state,
        at: Timestamp(payment.at),
        receipt: payment.receipt.clone().map(Bytes::from),
    })
}

fn of_incoming(payment: &Incoming) -> Result<PaymentView, RecordsError> {
    Ok(PaymentView {
        id: PaymentId(payment.id),
        request: RequestId(payment.request),
        direction: Direction::In,
        peer: payment.payer,
        amount: payment.amount()?,
        issuer: IssuerUrl::parse(&payment.issuer).map_err(|_| RecordsError::Damaged)?,
        state: payment.state,
        at: Timestamp(payment.at),
        receipt: payment.receipt().map(Bytes::copy_from_slice),
    })
}

/// The locked coins of a payment that we make as a token of the standard form, for a program that takes no other.
pub(crate) fn token(
    records: &impl Records,
    id: &PaymentId,
) -> Result<Option<String>, RecordsError> {
    let Some(payment) = outgoing::load(records, &id.0)? else { return Ok(None) };
    if payment.proofs.is_empty() {
        return Ok(None);
    }
    outgoing::token(&payment).ok_or(RecordsError::Damaged).map(Some)
}

pub(crate) fn outcome(records: &impl Records, id: &PaymentId) -> Result<Outcome, RecordsError> {
    let Some(payment) = outgoing::load(records, &id.0)? else { return Ok(Outcome::Unknown(*id)) };
    // Refused is only what is back: who has declined may still claim until then.
    let refusal = match payment.state {
        State::Cancelled => Some(Refusal::Issuer),
        State::Reclaimed => Some(Refusal::NotClaimed),
        State::Declined => outgoing::reason(&payment).map(Refusal::Declined),
        _ => None,
    };
    let receipt = payment.receipt.as_ref();
    let receipt = receipt.and_then(|it| PaymentReceipt::decode(&Bytes::copy_from_slice(it)).ok());
    Ok(match (receipt, refusal) {
        // The payee says that it has claimed. If it has not, that is its loss.
        (Some(receipt), _) if receipt.claims().stage == Stage::Settled => {
            Outcome::Paid(Box::new(receipt))
        }
        // What was only accepted, and is back, was not paid.
        (_, Some(refusal)) => Outcome::Refused(refusal),
        (Some(receipt), None) => match payment.state {
            State::Returning | State::Reclaiming | State::Split => Outcome::Unknown(*id),
            _ => Outcome::Paid(Box::new(receipt)),
        },
        (None, None) => Outcome::Unknown(*id),
    })
}
