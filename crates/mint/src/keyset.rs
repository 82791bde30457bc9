//! Keysets: the issuer's signing keys, one per power of two, derived from the master seed and the keyset's terms.
//!
//! The terms are entries of the ledger, so a start with another seed or altered terms is seen at once: the id no
//! longer fits. SPEC §8.11.

use crate::curve::KeyPair;
use cashu::{CurrencyUnit, Id, KeySet, KeySetInfo, Keys, PublicKey, SecretKey};
use chopmark_core::label;
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The number of amounts of a keyset: 1, 2, 4, … up to 2^39 minor units.
pub(crate) const AMOUNTS: u8 = 40;

/// Thirty-two secret bytes from which every key of the issuer comes.
pub(crate) struct MasterSeed(Zeroizing<[u8; 32]>);

impl MasterSeed {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key for one purpose: `Expand(Extract("", seed), label | 0x00 | info)`.
    pub(crate) fn derive(&self, label: &str, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let filled = Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand(&label::framed(label, info), key.as_mut_slice());
        // 32 bytes are within what HKDF can give.
        debug_assert!(filled.is_ok());
        key
    }

    /// A scalar by rejection sampling: the first attempt that is in range, which is the first but for 2^-128.
    pub(crate) fn scalar(&self, label: &str, info: &[u8]) -> Option<SecretKey> {
        (0..=u8::MAX).find_map(|attempt| {
            SecretKey::from_slice(self.derive(label, &[info, &[attempt]]).as_slice()).ok()
        })
    }
}

/// What is fixed about a keyset for ever. An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The unit's code, such as `chop`.
    pub(crate) unit: String,
    /// Decimal places of the unit: 2 means that 1250 minor units are written 12.50.
    pub(crate) exponent: u8,
    /// Fee per thousand inputs, in minor units (NUT-02).
    pub(crate) fee_ppk: u32,
    /// Unix seconds from which nothing in this keyset can be spent or signed, if any.
    pub(crate) final_expiry: Option<u64>,
}

/// One keyset with its keys.
pub(crate) struct Keyset {
    pub(crate) id: Id,
    pub(crate) terms: Terms,
    pairs: Vec<KeyPair>,
}

impl Keyset {
    /// The keyset of this number and these terms. `None` of negligible probability.
    pub(crate) fn derive(seed: &MasterSeed, number: u16, terms: Terms) -> Option<Self> {
        let pairs = (0..AMOUNTS)
            .map(|power| {
                let [high, low] = number.to_be_bytes();
                seed.scalar(label::ISSUER_KEY, &[high, low, power]).map(KeyPair::new)
            })
            .collect::<Option<Vec<_>>>()?;
        let id = Id::v2_from_data(
            &public_keys(&pairs),
            &unit(&terms),
            terms.fee_ppk.into(),
            terms.final_expiry,
        );
        Some(Self { id, terms, pairs })
    }

    /// The pair that signs 2^power.
    pub(crate) fn pair(&self, power: u8) -> Option<&KeyPair> {
        self.pairs.get(usize::from(power))
    }

    /// As NUT-01 shows it.
    pub(crate) fn announce(&self, active: bool) -> KeySet {
        KeySet {
            id: self.id,
            unit: unit(&self.terms),
            active: Some(active),
            keys: public_keys(&self.pairs),
            input_fee_ppk: self.terms.fee_ppk.into(),
            final_expiry: self.terms.final_expiry,
        }
    }

    /// As NUT-02 lists it.
    pub(crate) fn list(&self, active: bool) -> KeySetInfo {
        KeySetInfo {
            id: self.id,
            unit: unit(&self.terms),
            active,
            input_fee_ppk: self.terms.fee_ppk.into(),
            final_expiry: self.terms.final_expiry,
        }
    }
}

/// The power of two that an amount is, if it is one of a keyset's.
pub(crate) fn power(amount: u64) -> Option<u8> {
    let power = u8::try_from(amount.trailing_zeros()).ok()?;
    (amount.is_power_of_two() && power < AMOUNTS).then_some(power)
}

/// The unit as `cashu` writes it.
pub(crate) fn unit(terms: &Terms) -> CurrencyUnit {
    CurrencyUnit::custom(&terms.unit)
}

fn public_keys(pairs: &[KeyPair]) -> Keys {
    let keys: BTreeMap<cashu::Amount, PublicKey> = (0u32..)
        .zip(pairs)
        .map(|(power, pair)| (cashu::Amount::from(1u64 << power), pair.public))
        .collect();
    Keys::new(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms { unit: "chop".to_owned(), exponent: 2, fee_ppk: 0, final_expiry: None }
    }

    #[test]
    fn the_same_seed_and_terms_give_the_same_keyset_and_others_another() {
        let seed = MasterSeed::new([1; 32]);
        let first = Keyset::derive(&seed, 0, terms()).unwrap();
        assert_eq!(first.id, Keyset::derive(&seed, 0, terms()).unwrap().id);
        assert_ne!(first.id, Keyset::derive(&seed, 1, terms()).unwrap().id);
        assert_ne!(first.id, Keyset::derive(&MasterSeed::new([2; 32]), 0, terms()).unwrap().id);
        let costly = Keyset::derive(&seed, 0, Terms { fee_ppk: 1, ..terms() }).unwrap();
        assert_ne!(first.id, costly.id, "an id commits to the fee");
        // Tests [keyset-v2]
        assert!(first.id.to_string().starts_with("01"));
        first.announce(true).verify_id().unwrap();
    }

    #[test]
    fn only_powers_of_two_within_the_keyset_are_amounts() {
        assert_eq!(power(1), Some(0));
        assert_eq!(power(1 << 39), Some(39));
        for wrong in [0, 3, 6, 1 << 40, u64::MAX, 1 << 63] {
            assert_eq!(power(wrong), None, "{wrong}");
        }
    }
}
