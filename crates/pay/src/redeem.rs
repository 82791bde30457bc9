//! Handing in bearer tokens: they are swapped for coins of our own, and only then ours.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use cashu::{Token, dhke};
use chopmark_core::{hash, label, time::Timestamp};
use chopmark_wire::payment::PROOFS_MAX;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    Effect, Event, Pay, Records, RecordsError, RedeemError, RedeemId, RedeemRefusal,
    job::{Held, Input, Job, Purpose, Turn},
    keyset,
    records::{self, Kind},
    verify::Condition,
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Redeem {
    pub(crate) issuer: String,
    pub(crate) unit: String,
    pub(crate) amount: u64,
    pub(crate) pending: bool,
    /// In the order of the job's inputs. Gone when it is over.
    dleqs: Vec<Option<Dleq>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Dleq {
    e: [u8; 32],
    s: [u8; 32],
    r: [u8; 32],
}

/// Bytes of the longest token.
const TOKEN_MAX: usize = 65_536;

struct Parsed {
    issuer: String,
    unit: Option<String>,
    inputs: Vec<Input>,
    dleqs: Vec<Option<Dleq>>,
}

pub(crate) fn begin(
    pay: &Pay,
    records: &mut impl Records,
    token: &str,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(RedeemId, Vec<Effect>), RedeemError> {
    let parsed = parse(token.trim()).ok_or(RedeemError::Malformed)?;
    let issuer = chopmark_wire::payment::IssuerUrl::parse(&parsed.issuer);
    let issuer = issuer.map_err(|_| RedeemError::Malformed)?;
    let listed = pay.settings.issuers.iter().find(|listed| {
        let unit = parsed.unit.as_deref().unwrap_or(listed.unit.code());
        listed.url == issuer && listed.unit.code() == unit
    });
    let listed = listed.ok_or(RedeemError::NotListed)?;
    let mut ys = BTreeSet::new();
    let mut amount = 0_u64;
    for input in &parsed.inputs {
        let Held::Given { secret, .. } = &input.held else { return Err(RedeemError::Malformed) };
        if !matches!(Condition::parse(secret.as_bytes()), Ok(None)) {
            return Err(RedeemError::Locked);
        }
        let y = dhke::hash_to_curve(secret.as_bytes()).map_err(|_| RedeemError::Malformed)?;
        ys.insert(y.to_bytes());
        amount = amount.checked_add(input.amount).ok_or(RedeemError::Malformed)?;
    }
    if ys.is_empty() || ys.len() != parsed.inputs.len() || ys.len() > PROOFS_MAX {
        return Err(RedeemError::Malformed);
    }
    let parts: Vec<&[u8]> = ys.iter().map(|y| y.as_slice()).collect();
    let id = RedeemId(hash::sha256(label::PAYMENT_TOKEN, &parts));
    let known: Option<Redeem> = records::get(records, Kind::Redeem, &id.0)?;
    if known.is_some_and(|known| known.pending) {
        return Ok((id, Vec::new()));
    }
    let redeem = Redeem {
        issuer: listed.url.as_str().to_owned(),
        unit: listed.unit.code().to_owned(),
        amount,
        pending: true,
        dleqs: parsed.dleqs,
    };
    records::put(records, Kind::Redeem, &id.0, &redeem)?;
    let job = Job::new(&redeem.issuer, &redeem.unit, Purpose::Redeem(id.0), parsed.inputs);
    let mut turn = Turn { pay, records, now, jitter: rng.next_u64(), effects: Vec::new() };
    turn.begin(job, Duration::ZERO)?;
    Ok((id, turn.effects))
}

fn parse(token: &str) -> Option<Parsed> {
    if token.len() > TOKEN_MAX {
        return None;
    }
    let token = Token::from_str(token).ok()?;
    let issuer = token.mint_url().ok()?.to_string();
    let unit = token.unit().map(|unit| unit.to_string());
    let mut parsed = Parsed { issuer, unit, inputs: Vec::new(), dleqs: Vec::new() };
    let mut push = |keyset: Vec<u8>,
                    amount: cashu::Amount,
                    secret: String,
                    c: cashu::PublicKey,
                    dleq: Option<cashu::ProofDleq>| {
        parsed.inputs.push(Input {
            amount: u64::from(amount),
            keyset,
            c: c.to_hex(),
            held: Held::Given { secret, witness: None },
        });
        parsed.dleqs.push(dleq.map(|dleq| Dleq {
            e: dleq.e.to_secret_bytes(),
            s: dleq.s.to_secret_bytes(),
            r: dleq.r.to_secret_bytes(),
        }));
    };
    match token {
        Token::TokenV4(token) => {
            for group in token.token {
                for proof in group.proofs {
                    let keyset = group.keyset_id.to_bytes();
                    push(keyset, proof.amount, proof.secret.to_string(), proof.c, proof.dleq);
                }
            }
        }
        Token::TokenV3(token) => {
            for proof in token.token.into_iter().flat_map(|group| group.proofs) {
                let keyset = proof.keyset_id.to_bytes();
                push(keyset, proof.amount, proof.secret.to_string(), proof.c, proof.dleq);
            }
        }
    }
    Some(parsed)
}

/// The keys are there: writes full keyset ids into the inputs, and checks what proofs of origin there are.
pub(crate) fn resolve<R: Records>(
    turn: &mut Turn<'_, R>,
    job: &mut Job,
) -> Result<Option<RedeemRefusal>, RecordsError> {
    let Purpose::Redeem(id) = job.purpose else { return Ok(None) };
    let redeem: Option<Redeem> = records::get(turn.records, Kind::Redeem, &id)?;
    let redeem = redeem.ok_or(RecordsError::Damaged)?;
    for (input, dleq) in job.inputs.iter_mut().zip(&redeem.dleqs) {
        let found = keyset::find(turn.records, &job.issuer, &input.keyset)?;
        let Some(keyset) = found.filter(|keyset| keyset.unit == job.unit) else {
            return Ok(Some(RedeemRefusal::UnknownKeyset));
        };
        input.keyset.clone_from(&keyset.id);
        let Held::Given { secret, .. } = &input.held else { return Err(RecordsError::Damaged) };
        if let Some(dleq) = dleq
            && !crate::coin::genuine(
                &keyset,
                input.amount,
                secret,
                &input.c,
                [&dleq.e, &dleq.s, &dleq.r],
            )
        {
            return Ok(Some(RedeemRefusal::Forged));
        }
    }
    Ok(None)
}

pub(crate) fn done<R: Records>(turn: &mut Turn<'_, R>, id: [u8; 32]) -> Result<(), RecordsError> {
    finish(turn, id)?;
    turn.event(Event::Redeemed(RedeemId(id)));
    Ok(())
}

pub(crate) fn refused<R: Records>(
    turn: &mut Turn<'_, R>,
    job: &Job,
    id: [u8; 32],
    why: RedeemRefusal,
) -> Result<(), RecordsError> {
    turn.end(job)?;
    finish(turn, id)?;
    turn.event(Event::RedeemRefused(RedeemId(id), why));
    Ok(())
}

fn finish<R: Records>(turn: &mut Turn<'_, R>, id: [u8; 32]) -> Result<(), RecordsError> {
    if let Some(mut redeem) = records::get::<Redeem>(turn.records, Kind::Redeem, &id)? {
        redeem.pending = false;
        redeem.dleqs.clear();
        records::put(turn.records, Kind::Redeem, &id, &redeem)?;
    }
    Ok(())
}
