//! A request to be paid.

use core::fmt;

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use prost::Message;

use super::{Amount, ISSUERS_MAX, ITEMS_MAX, REQUEST_MAX, RequestId, URL_MAX};
use crate::{
    generated::{payment as pb, shapes},
    strict::{self, DecodeError},
};

/// Please pay me: what, how much, to which key, until when (SPEC §8.2).
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    /// 16 random bytes of the payee's.
    pub nonce: [u8; 16],
    /// The account that is to be paid.
    pub payee: [u8; 32],
    /// The whole amount, not zero.
    pub amount: Amount,
    /// The lines of the bill. Empty, or they sum to the amount.
    pub items: Vec<LineItem>,
    /// A word from the payee; may be empty.
    pub memo: String,
    /// Issuers whose coins are taken: at least one.
    pub issuers: Vec<IssuerUrl>,
    /// The key of this request: a compressed point, not yet checked to be on the curve.
    pub lock_key: [u8; 33],
    /// When it was made, by the payee's clock.
    pub created_at: Timestamp,
    /// After this it is not paid any more.
    pub expires_at: Timestamp,
}

/// Neither who is paid nor what for.
impl fmt::Debug for PaymentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { amount, items, created_at, expires_at, .. } = self;
        f.debug_struct("PaymentRequest")
            .field("amount", amount)
            .field("items", &items.len())
            .field("created_at", created_at)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

/// One line of a bill.
#[derive(Clone, PartialEq, Eq)]
pub struct LineItem {
    /// What it is: shown to the payer, so it holds no invisible characters and no bidirectional override.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// Price of one, in minor units of the request's unit.
    pub unit_price_minor: u64,
}

impl fmt::Debug for LineItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineItem(..)")
    }
}

/// Where an issuer is: `http://` or `https://`, no trailing slash, no query, printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerUrl(String);

impl IssuerUrl {
    /// Takes a URL; a trailing slash is taken off.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let bad = DecodeError::Invalid("issuer url");
        let text = text.trim_end_matches('/');
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let allowed = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@' | b'"' | b'\\')
        };
        if host.is_empty()
            || text.len() > URL_MAX
            || !text.bytes().all(allowed)
            || host.bytes().any(|byte| byte.is_ascii_uppercase())
        {
            return Err(bad);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PaymentRequest {
    /// Reads a request and gives it its id, the hash of exactly these bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever is not a request by the rules of SPEC §8.2.
    pub fn decode(bytes: &Bytes) -> Result<(RequestId, Self), DecodeError> {
        let message: pb::PaymentRequest =
            strict::decode(bytes, &shapes::PAYMENT_PAYMENT_REQUEST, REQUEST_MAX)?;
        let unit = message.unit.ok_or(DecodeError::Missing("unit"))?;
        let request = Self {
            nonce: super::fixed(&message.nonce, "nonce")?,
            payee: super::fixed(&message.payee, "payee")?,
            amount: Amount::new(message.minor, super::unit(&unit)?),
            items: message
                .items
                .into_iter()
                .map(|item| LineItem {
                    name: item.name,
                    quantity: item.quantity,
                    unit_price_minor: item.unit_price_minor,
                })
                .collect(),
            memo: message.memo,
            issuers: message
                .issuers
                .iter()
                .map(|url| {
                    // One issuer has one spelling here, or the allow list could be walked around.
                    IssuerUrl::parse(url).ok().filter(|parsed| parsed.as_str() == url)
                })
                .collect::<Option<_>>()
                .ok_or(DecodeError::Invalid("issuer url"))?,
            lock_key: super::fixed(&message.lock_key, "lock key")?,
            created_at: Timestamp(message.created_at_ms),
            expires_at: Timestamp(message.expires_at_ms),
        };
        request.check()?;
        Ok((RequestId::of(bytes), request))
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// [`DecodeError`] for a request that nobody would take.
    pub fn encode(&self) -> Result<Bytes, DecodeError> {
        self.check()?;
        let message = pb::PaymentRequest {
            nonce: self.nonce.to_vec().into(),
            payee: self.payee.to_vec().into(),
            minor: self.amount.minor(),
            unit: Some(pb::Unit {
                code: self.amount.unit().code().to_owned(),
                exponent: u32::from(self.amount.unit().exponent()),
            }),
            items: self
                .items
                .iter()
                .map(|item| pb::LineItem {
                    name: item.name.clone(),
                    quantity: item.quantity,
                    unit_price_minor: item.unit_price_minor,
                })
                .collect(),
            memo: self.memo.clone(),
            issuers: self.issuers.iter().map(|url| url.as_str().to_owned()).collect(),
            lock_key: self.lock_key.to_vec().into(),
            created_at_ms: self.created_at.as_millis(),
            expires_at_ms: self.expires_at.as_millis(),
        };
        let bytes = Bytes::from(message.encode_to_vec());
        if bytes.len() > REQUEST_MAX {
            return Err(DecodeError::TooLong(REQUEST_MAX));
        }
        Ok(bytes)
    }

    fn check(&self) -> Result<(), DecodeError> {
        if self.amount.minor() == 0 {
            return Err(DecodeError::Invalid("amount"));
        }
        if self.issuers.is_empty() || self.issuers.len() > ISSUERS_MAX {
            return Err(DecodeError::Invalid("issuers"));
        }
        if !matches!(self.lock_key.first(), Some(2 | 3)) {
            return Err(DecodeError::Invalid("lock key"));
        }
        if self.expires_at <= self.created_at {
            return Err(DecodeError::Invalid("expiry"));
        }
        if !super::shows_what_it_says(&self.memo) {
            return Err(DecodeError::Invalid("memo"));
        }
        if self.items.len() > ITEMS_MAX {
            return Err(DecodeError::Invalid("items"));
        }
        let mut sum = 0_u64;
        for item in &self.items {
            if item.name.is_empty() || item.quantity == 0 || !super::shows_what_it_says(&item.name)
            {
                return Err(DecodeError::Invalid("line item"));
            }
            sum = u64::from(item.quantity)
                .checked_mul(item.unit_price_minor)
                .and_then(|line| sum.checked_add(line))
                .ok_or(DecodeError::Invalid("line item"))?;
        }
        // SPEC §8.2 [items-sum-to-the-amount].
        if !self.items.is_empty() && sum != self.amount.minor() {
            return Err(DecodeError::Invalid("sum of the items"));
        }
        Ok(())
    }
}
