//! Paying.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::payment::PaymentId;
use rand_core::CryptoRng;
pub(crate) fn begin(
    pay: &Pay,
    records: &mut impl Records,
    request: &Bytes,
    payee: &[u8; 32],
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(PaymentId, Vec<Effect>), PayError> {
    Err(RecordsError::Unavailable.into())
}
pub(crate) fn sent(
    records: &mut impl Records,
    reference: Reference,
    delivered: bool,
) -> Result<Vec<Effect>, RecordsError> {
    Err(RecordsError::Unavailable)
}
