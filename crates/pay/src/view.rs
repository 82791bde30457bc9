//! What a user sees.
#![allow(unused_variables, reason = "the body lands next")]
use crate::*;
use chopmark_wire::payment::PaymentId;
pub(crate) fn balance(pay: &Pay, records: &impl Records) -> Result<Vec<Balance>, RecordsError> {
    Err(RecordsError::Unavailable)
}
pub(crate) fn payments(records: &impl Records) -> Result<Vec<PaymentView>, RecordsError> {
    Err(RecordsError::Unavailable)
}
pub(crate) fn payment(
    records: &impl Records,
    id: &PaymentId,
) -> Result<Option<PaymentView>, RecordsError> {
    Err(RecordsError::Unavailable)
}
pub(crate) fn outcome(records: &impl Records, id: &PaymentId) -> Result<Outcome, RecordsError> {
    Err(RecordsError::Unavailable)
}
