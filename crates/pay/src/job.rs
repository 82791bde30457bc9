//! Swaps.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use chopmark_core::time::Timestamp;
use rand_core::CryptoRng;
pub(crate) fn reply(
    pay: &Pay,
    records: &mut impl Records,
    call: CallId,
    answer: Result<HttpReply, Unreachable>,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Effect>, RecordsError> {
    Err(RecordsError::Unavailable)
}
pub(crate) fn wake(
    pay: &Pay,
    records: &mut impl Records,
    now: Timestamp,
    rng: &mut impl CryptoRng,
    all: bool,
) -> Result<Vec<Effect>, RecordsError> {
    Err(RecordsError::Unavailable)
}
