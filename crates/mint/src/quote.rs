//! Quotes: what a wallet asks the treasury to pay for, or to take back.
//!
//! An unpaid quote costs the issuer nothing: its id carries its own terms under a MAC, so nobody can fill memory or
//! disk by asking. Only a paid or settled one is in the ledger, under its key. SPEC §8.11 `[quote-ids-carry-terms]`.

use crate::keyset::MasterSeed;
use crate::ledger::entry::QuoteKey;
use cashu::{PublicKey, util::hex};
use chopmark_core::{hash, label};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// What a quote is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// NUT-04, locked to a key by NUT-20 if there is one.
    Mint(Option<PublicKey>),
    /// NUT-05: a redemption under the payee's reference.
    Melt(String),
}

/// The terms that a quote's id carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) key: QuoteKey,
    /// In minor units.
    pub(crate) amount: u64,
    /// Unix seconds.
    pub(crate) expiry: u64,
    pub(crate) purpose: Purpose,
}

/// Makes and reads ids.
pub(crate) struct Quotes(Zeroizing<[u8; 32]>);

impl Quotes {
    pub(crate) fn new(seed: &MasterSeed) -> Self {
        Self(seed.derive(label::ISSUER_QUOTE, &[]))
    }

    /// The id: hex of `u8 kind | key 16 | u64 amount | u64 expiry | rest | tag 16`.
    pub(crate) fn id(&self, quote: &Quote) -> String {
        let (kind, rest) = match &quote.purpose {
            Purpose::Mint(None) => (MINT, Vec::new()),
            Purpose::Mint(Some(key)) => (MINT_LOCKED, key.to_bytes().to_vec()),
            Purpose::Melt(request) => (MELT, request.clone().into_bytes()),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&quote.key);
        bytes.extend_from_slice(&quote.amount.to_be_bytes());
        bytes.extend_from_slice(&quote.expiry.to_be_bytes());
        bytes.extend_from_slice(&rest);
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(&tag);
        hex::encode(bytes)
    }

    /// The terms of an id that this issuer made; `None` for any other.
    pub(crate) fn read(&self, id: &str) -> Option<Quote> {
        if id.len() > MAX_ID || !id.is_ascii() {
            return None;
        }
        let bytes = hex::decode(id).ok()?;
        let (bytes, tag) = bytes.split_last_chunk::<16>()?;
        if !bool::from(self.tag(bytes).ct_eq(tag)) || hex::encode([bytes, tag].concat()) != id {
            return None;
        }
        let (&kind, bytes) = bytes.split_first()?;
        let (key, bytes) = bytes.split_first_chunk()?;
        let (amount, bytes) = bytes.split_first_chunk()?;
        let (expiry, rest) = bytes.split_first_chunk()?;
        let purpose = match kind {
            MINT => Purpose::Mint(None),
            MINT_LOCKED => Purpose::Mint(Some(PublicKey::from_slice(rest).ok()?)),
            MELT => Purpose::Melt(String::from_utf8(rest.to_vec()).ok()?),
            _ => return None,
        };
        let (amount, expiry) = (u64::from_be_bytes(*amount), u64::from_be_bytes(*expiry));
        Some(Quote { key: *key, amount, expiry, purpose })
    }

    fn tag(&self, bytes: &[u8]) -> [u8; 16] {
        let mac = hash::hmac_sha256(&self.0, label::ISSUER_QUOTE, &[bytes]);
        let mut tag = [0; 16];
        tag.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        tag
    }
}

/// Longest reference of a melt, in bytes.
pub(crate) const MAX_REQUEST: usize = 128;
const MAX_ID: usize = 2 * (1 + 16 + 8 + 8 + MAX_REQUEST + 16);
const MINT: u8 = 1;
const MINT_LOCKED: u8 = 2;
const MELT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn quotes() -> Vec<Quote> {
        let key = cashu::SecretKey::from_slice(&[3; 32]).unwrap().public_key();
        [
            Purpose::Mint(None),
            Purpose::Mint(Some(key)),
            Purpose::Melt(String::new()),
            Purpose::Melt("r".repeat(MAX_REQUEST)),
        ]
        .map(|purpose| Quote { key: [1; 16], amount: 1250, expiry: 9, purpose })
        .to_vec()
    }

    #[test]
    fn an_id_gives_its_terms_back() {
        let maker = Quotes::new(&MasterSeed::new([1; 32]));
        for quote in quotes() {
            assert_eq!(maker.read(&maker.id(&quote)), Some(quote));
        }
    }

    // Tests [quote-ids-carry-terms]
    // Seen to fail with the comparison of the tag removed.
    #[test]
    fn an_altered_or_foreign_id_is_nobodys() {
        let maker = Quotes::new(&MasterSeed::new([1; 32]));
        let other = Quotes::new(&MasterSeed::new([2; 32]));
        for quote in quotes() {
            let id = maker.id(&quote);
            assert_eq!(other.read(&id), None);
            assert_eq!(maker.read(&id.to_uppercase()), None, "one id a quote");
            for at in 0..id.len() {
                let mut altered = id.clone().into_bytes();
                altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(maker.read(str::from_utf8(&altered).unwrap()), None, "digit {at}");
                assert_eq!(maker.read(&id[..at]), None);
            }
        }
        assert_eq!(maker.read("é"), None);
    }
}
