//! Coins of our own: what the store knows of them, and choosing among them.

use chopmark_wire::payment::PROOFS_MAX;
use serde::{Deserialize, Serialize};

use crate::{
    Records, RecordsError,
    records::{self, Kind},
};

/// A coin. Its secret is not here: it follows from the seed, the keyset and the counter.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Coin {
    pub(crate) issuer: String,
    pub(crate) unit: String,
    pub(crate) keyset: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) epoch: u32,
    pub(crate) amount: u64,
    pub(crate) c: String,
    /// The job that spends it, if one does.
    pub(crate) reserved: Option<u64>,
}

fn record_key(keyset: &[u8], counter: u32) -> Vec<u8> {
    [keyset, &counter.to_be_bytes()].concat()
}

impl Coin {
    pub(crate) fn store(&self, records: &mut impl Records) -> Result<(), RecordsError> {
        records::put(records, Kind::Coin, &record_key(&self.keyset, self.counter), self)
    }
}

pub(crate) fn all(records: &impl Records) -> Result<Vec<Coin>, RecordsError> {
    Ok(records::all(records, Kind::Coin, &[])?.into_iter().map(|(_, coin)| coin).collect())
}

pub(crate) fn delete(
    records: &mut impl Records,
    keyset: &[u8],
    counter: u32,
) -> Result<(), RecordsError> {
    records.delete(Kind::Coin, &record_key(keyset, counter))
}

pub(crate) fn release(
    records: &mut impl Records,
    keyset: &[u8],
    counter: u32,
) -> Result<(), RecordsError> {
    let key = record_key(keyset, counter);
    if let Some(mut coin) = records::get::<Coin>(records, Kind::Coin, &key)? {
        coin.reserved = None;
        records::put(records, Kind::Coin, &key, &coin)?;
    }
    Ok(())
}

/// Takes `count` numbers of the keyset's counter, for ever (SPEC §8.5 `[counters-never-reused]`).
pub(crate) fn take_counters(
    records: &mut impl Records,
    epoch: u32,
    keyset: &[u8],
    count: usize,
) -> Result<u32, RecordsError> {
    let key = [&epoch.to_be_bytes(), keyset].concat();
    let first: u32 = records::get(records, Kind::Counter, &key)?.unwrap_or(0);
    let next = u32::try_from(count)
        .ok()
        .and_then(|count| first.checked_add(count))
        .ok_or(RecordsError::Damaged)?;
    records::put(records, Kind::Counter, &key, &next)?;
    Ok(first)
}

/// What was found when coins were looked for.
pub(crate) enum Chosen {
    Coins(Vec<Coin>),
    TooLittle { spendable: u64, needed: u64 },
    TooMany,
}

/// Coins worth `amount` and the fee of spending them, the largest first: few inputs, a small request.
pub(crate) fn choose(
    records: &impl Records,
    issuer: &str,
    unit: &str,
    epoch: u32,
    amount: u64,
) -> Result<Chosen, RecordsError> {
    let mut coins = all(records)?;
    coins.retain(|coin| {
        coin.reserved.is_none() && coin.issuer == issuer && coin.unit == unit && coin.epoch == epoch
    });
    coins.sort_by_key(|coin| std::cmp::Reverse((coin.amount, coin.counter)));
    let mut ppks = Vec::new();
    let (mut sum, mut needed) = (0_u64, amount);
    let mut chosen = Vec::new();
    let spendable = coins.iter().fold(0_u64, |sum, coin| sum.saturating_add(coin.amount));
    for coin in coins {
        let ppk = crate::keyset::load(records, issuer, &coin.keyset)?.map_or(0, |set| set.fee_ppk);
        ppks.push(ppk);
        sum = sum.saturating_add(coin.amount);
        chosen.push(coin);
        let fee = crate::keyset::fee(ppks.iter().copied()).unwrap_or(u64::MAX);
        needed = amount.saturating_add(fee);
        if sum >= needed {
            return Ok(if chosen.len() > PROOFS_MAX {
                Chosen::TooMany
            } else {
                Chosen::Coins(chosen)
            });
        }
    }
    Ok(Chosen::TooLittle { spendable, needed })
}

/// Sets a coin aside for a job.
pub(crate) fn reserve(
    records: &mut impl Records,
    keyset: &[u8],
    counter: u32,
    job: u64,
) -> Result<(), RecordsError> {
    let key = record_key(keyset, counter);
    let mut coin: Coin = records::get(records, Kind::Coin, &key)?.ok_or(RecordsError::Damaged)?;
    coin.reserved = Some(job);
    records::put(records, Kind::Coin, &key, &coin)
}

/// Did the keyset's key make this coin? Checked without the issuer (NUT-12); `dleq` is e, s and r.
pub(crate) fn genuine(
    keyset: &crate::keyset::Keyset,
    amount: u64,
    secret: &str,
    c: &str,
    dleq: [&[u8; 32]; 3],
) -> bool {
    let check = || {
        let [e, s, r] = dleq.map(|part| cashu::SecretKey::from_slice(part).ok());
        let proof = cashu::Proof {
            amount: amount.into(),
            keyset_id: cashu::Id::from_bytes(&keyset.id).ok()?,
            secret: cashu::secret::Secret::new(secret),
            c: cashu::PublicKey::from_hex(c).ok()?,
            witness: None,
            dleq: Some(cashu::ProofDleq::new(e?, s?, r?)),
            p2pk_e: None,
        };
        proof.verify_dleq(keyset.key(amount)?).ok()
    };
    check().is_some()
}
