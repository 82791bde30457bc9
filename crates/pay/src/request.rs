//! Requests that we make: each has a key of its own, and is paid once.

use bytes::Bytes;
use cashu::SecretKey;
use chopmark_core::{label, time::Timestamp};
use chopmark_wire::payment::{PaymentRequest, RequestId};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    Bill, Pay, Records, RecordsError, RequestError, derive,
    records::{self, Kind},
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    /// Whose payment alone is taken.
    pub(crate) payer: Option<[u8; 32]>,
    /// The payment that came first.
    pub(crate) paid_by: Option<[u8; 32]>,
}

pub(crate) fn make(
    pay: &Pay,
    records: &mut impl Records,
    bill: &Bill,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(RequestId, Bytes), RequestError> {
    let issuers: Vec<_> = pay
        .settings
        .issuers
        .iter()
        .filter(|issuer| issuer.unit == *bill.amount.unit())
        .map(|issuer| issuer.url.clone())
        .collect();
    if issuers.is_empty() {
        return Err(RequestError::NotListed);
    }
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    let key = lock_key(pay, &nonce).ok_or(RequestError::Randomness)?;
    let request = PaymentRequest {
        nonce,
        payee: pay.account,
        amount: bill.amount.clone(),
        items: bill.items.clone(),
        memo: bill.memo.clone(),
        issuers,
        lock_key: key.public_key().to_bytes(),
        created_at: now,
        expires_at: bill.expires_at,
    };
    let bytes = request.encode()?;
    let id = RequestId::of(&bytes);
    let made = Made { bytes: bytes.to_vec(), payer: bill.payer, paid_by: None };
    store(records, &id, &made)?;
    Ok((id, bytes))
}

/// The key that a request with this nonce is paid to. The nonce is ours, so nobody else chooses the key.
pub(crate) fn lock_key(pay: &Pay, nonce: &[u8; 16]) -> Option<SecretKey> {
    derive::key(&pay.secrets.payee_lock, label::LOCK_KEY, &[nonce])
}

pub(crate) fn load(
    records: &impl Records,
    id: &RequestId,
) -> Result<Option<(Made, PaymentRequest)>, RecordsError> {
    let Some(made) = records::get::<Made>(records, Kind::Request, &id.0)? else { return Ok(None) };
    let decoded = PaymentRequest::decode(&Bytes::copy_from_slice(&made.bytes));
    let (_, request) = decoded.map_err(|_| RecordsError::Damaged)?;
    Ok(Some((made, request)))
}

pub(crate) fn store(
    records: &mut impl Records,
    id: &RequestId,
    made: &Made,
) -> Result<(), RecordsError> {
    records::put(records, Kind::Request, &id.0, made)
}
