//! Making requests.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::payment::{PaymentRequest, RequestId};
use rand_core::CryptoRng;
pub(crate) fn make(
    pay: &Pay,
    records: &mut impl Records,
    bill: &Bill,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(RequestId, Bytes), RequestError> {
    Err(RecordsError::Unavailable.into())
}
pub(crate) fn load(
    records: &impl Records,
    id: &RequestId,
) -> Result<Option<((), PaymentRequest)>, RecordsError> {
    Err(RecordsError::Unavailable)
}
