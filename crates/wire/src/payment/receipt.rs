//! A receipt: a statement in a fixed layout, and a device's signature over exactly those bytes.

use core::fmt;

use bytes::Bytes;
use chopmark_core::{
    codec::{Reader, Writer},
    label,
    signature::{InvalidSignature, Signature, SigningKey, VerifyingKey},
    time::Timestamp,
};
use prost::Message;

use super::{ANSWER_MAX, Amount, IssuerUrl, PaymentId, RequestId, URL_MAX, Unit};
use crate::{
    generated::{payment as pb, shapes},
    strict::{self, DecodeError},
};

/// A receipt as it was received. The statement is not yet believed: see [`PaymentReceipt::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentReceipt {
    statement: Bytes,
    signature: Signature,
    parsed: ReceiptStatement,
}

impl fmt::Debug for PaymentReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statement: _, signature: _, parsed } = self;
        f.debug_tuple("PaymentReceipt").field(parsed).finish()
    }
}

/// What a receipt states: payment fields only, never a word of the conversation (SPEC §8.8).
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptStatement {
    /// How far the payee has got.
    pub stage: Stage,
    /// The payment.
    pub payment: PaymentId,
    /// The request that it paid.
    pub request: RequestId,
    /// The account that was paid.
    pub payee: [u8; 32],
    /// The account that paid.
    pub payer: [u8; 32],
    /// What was paid.
    pub amount: Amount,
    /// In whose coins.
    pub issuer: IssuerUrl,
    /// When, by the payee's clock.
    pub at: Timestamp,
}

/// Not who paid whom.
impl fmt::Debug for ReceiptStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, amount, at, .. } = self;
        f.debug_struct("ReceiptStatement")
            .field("stage", stage)
            .field("amount", amount)
            .field("at", at)
            .finish_non_exhaustive()
    }
}

/// How far the payee has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The coins are good as far as can be told without the issuer.
    Accepted,
    /// The coins were claimed at the issuer.
    Settled,
}

const VERSION: u8 = 1;

impl ReceiptStatement {
    /// The bytes that are signed (SPEC §8.8).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        let unit = self.amount.unit();
        writer
            .u8(VERSION)
            .u8(match self.stage {
                Stage::Accepted => 1,
                Stage::Settled => 2,
            })
            .bytes(&self.payment.0)
            .bytes(&self.request.0)
            .bytes(&self.payee)
            .bytes(&self.payer)
            .u64(self.amount.minor())
            .u8(unit.exponent());
        for text in [unit.code(), self.issuer.as_str()] {
            // Both are shorter than their type's limit, which fits the prefix.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            writer.u16(length).bytes(text.as_bytes());
        }
        writer.u64(self.at.as_millis());
        writer.finish().into()
    }

    /// Reads a statement. Encoding it again gives the same bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bad = |_| DecodeError::Invalid("statement");
        let mut reader = Reader::new(bytes);
        if reader.u8().map_err(bad)? != VERSION {
            return Err(DecodeError::Invalid("version of the statement"));
        }
        let stage = match reader.u8().map_err(bad)? {
            1 => Stage::Accepted,
            2 => Stage::Settled,
            _ => return Err(DecodeError::Invalid("stage")),
        };
        let payment = PaymentId(*reader.array().map_err(bad)?);
        let request = RequestId(*reader.array().map_err(bad)?);
        let payee = *reader.array().map_err(bad)?;
        let payer = *reader.array().map_err(bad)?;
        let minor = reader.u64().map_err(bad)?;
        let exponent = reader.u8().map_err(bad)?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8);
        let code = text(reader.var16(Unit::CODE_MAX).map_err(bad)?)?;
        let issuer = text(reader.var16(URL_MAX).map_err(bad)?)?;
        let at = Timestamp(reader.u64().map_err(bad)?);
        reader.finish().map_err(bad)?;
        let unit = Unit::new(code, exponent).map_err(|_| DecodeError::Invalid("unit"))?;
        let statement = Self {
            stage,
            payment,
            request,
            payee,
            payer,
            amount: Amount::new(minor, unit),
            issuer: IssuerUrl::parse(issuer)?,
            at,
        };
        if statement.issuer.as_str() != issuer {
            return Err(DecodeError::Invalid("issuer url"));
        }
        Ok(statement)
    }
}

impl PaymentReceipt {
    /// What the text form begins with.
    pub const TEXT_PREFIX: &str = "chopreceipt1";

    /// States `statement`, signed by one of the payee's devices.
    #[must_use]
    pub fn sign(statement: &ReceiptStatement, device: &SigningKey) -> Self {
        let bytes = statement.encode();
        let signature = device.sign(label::PAYMENT_RECEIPT, &[&bytes]);
        Self { statement: bytes, signature, parsed: statement.clone() }
    }

    /// Believes the statement if `device` signed exactly these bytes (SPEC §8.8 `[receipt-signed]`).
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(&self, device: &VerifyingKey) -> Result<&ReceiptStatement, InvalidSignature> {
        device.verify(label::PAYMENT_RECEIPT, &[&self.statement], &self.signature)?;
        Ok(&self.parsed)
    }

    /// What the receipt claims, believed or not.
    #[must_use]
    pub const fn claims(&self) -> &ReceiptStatement {
        &self.parsed
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::PaymentReceipt =
            strict::decode(bytes, &shapes::PAYMENT_PAYMENT_RECEIPT, ANSWER_MAX)?;
        let parsed = ReceiptStatement::decode(&message.statement)?;
        let signature = Signature::from_bytes(super::fixed(&message.signature, "signature")?);
        Ok(Self { statement: message.statement.to_vec().into(), signature, parsed })
    }

    /// The bytes to send and to keep.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::PaymentReceipt {
            statement: self.statement.to_vec().into(),
            signature: self.signature.as_bytes().to_vec().into(),
        }
        .encode_to_vec()
        .into()
    }

    /// The text to hand to someone else: `chopreceipt1` and base64url of the bytes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = Self::TEXT_PREFIX.to_owned();
        data_encoding::BASE64URL_NOPAD.encode_append(&self.encode(), &mut text);
        text
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_text(text: &str) -> Result<Self, DecodeError> {
        let bad = DecodeError::Invalid("text of a receipt");
        let encoded = text.trim().strip_prefix(Self::TEXT_PREFIX).ok_or(bad)?;
        if encoded.len() > ANSWER_MAX {
            return Err(DecodeError::TooLong(ANSWER_MAX));
        }
        let bytes = data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| bad)?;
        Self::decode(&bytes.into())
    }
}
