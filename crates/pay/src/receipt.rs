//! Checking a receipt without anyone's help.

use bytes::Bytes;
use chopmark_core::signature::VerifyingKey;
use chopmark_wire::payment::{PaymentReceipt, ReceiptStatement};
use thiserror::Error;

/// A receipt that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not a receipt.
    #[error("this is not a receipt: {0}")]
    Malformed(#[from] chopmark_wire::strict::DecodeError),
    /// The device did not sign it.
    #[error("the receipt is not signed by this device")]
    Unsigned,
}

/// What the owner of `device` stated in this receipt (SPEC §8.8). Needs no store, no clock and no network.
///
/// # Errors
/// [`ReceiptError`].
pub fn verify_receipt(
    receipt: &Bytes,
    device: &VerifyingKey,
) -> Result<ReceiptStatement, ReceiptError> {
    let receipt = PaymentReceipt::decode(receipt)?;
    receipt.verify(device).cloned().map_err(|_| ReceiptError::Unsigned)
}
