//! Being paid.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use chopmark_core::time::Timestamp;
use rand_core::CryptoRng;
pub(crate) fn receive(
    pay: &Pay,
    records: &mut impl Records,
    from: &Peer,
    body: &Body,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Effect>, RecordsError> {
    Err(RecordsError::Unavailable)
}
