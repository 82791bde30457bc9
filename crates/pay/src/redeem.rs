//! Handing in bearer tokens.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use chopmark_core::time::Timestamp;
use rand_core::CryptoRng;
pub(crate) fn begin(
    pay: &Pay,
    records: &mut impl Records,
    token: &str,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<(RedeemId, Vec<Effect>), RedeemError> {
    Err(RecordsError::Unavailable.into())
}
