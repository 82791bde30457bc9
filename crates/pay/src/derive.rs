//! What follows from the seed: secrets and blinding factors of outputs, and keys (SPEC §8.5).
//!
//! Every output takes the next number of its keyset's counter, and nothing that another party chose.

use cashu::SecretKey;
use chopmark_core::{hash, label, secret::Secret};
use zeroize::{Zeroize, Zeroizing};

use crate::lock::Template;

/// The secret of an output and its blinding factor.
pub(crate) struct Output {
    pub(crate) secret: Zeroizing<String>,
    /// Of a locked output only.
    pub(crate) nonce: [u8; 32],
    pub(crate) blinding: SecretKey,
}

/// A bearer output: NUT-13, second version, over the wallet secret.
pub(crate) fn bearer(wallet: &[u8], keyset: &[u8], counter: u32) -> Option<Output> {
    let derive = |kind: u8| {
        let counter = u64::from(counter).to_be_bytes();
        crate::hash::hmac(wallet, &[b"Cashu_KDF_HMAC_SHA256", keyset, &counter, &[kind]])
    };
    let nonce = Zeroizing::new(derive(0));
    let blinding = Zeroizing::new(derive(1));
    Some(Output {
        secret: Zeroizing::new(crate::hex::encode(&*nonce)),
        nonce: [0; 32],
        blinding: SecretKey::from_slice(&*blinding).ok()?,
    })
}

/// A locked output: the nonce from the counter, the rest from the template.
pub(crate) fn locked(
    wallet: &Secret,
    keyset: &[u8],
    counter: u32,
    template: &Template,
) -> Option<Output> {
    let position = counter.to_be_bytes();
    let nonce = hash::hmac_sha256(wallet.expose(), label::LOCK_NONCE, &[keyset, &position]);
    let blinding = key(wallet, label::LOCK_BLINDING, &[keyset, &position])?;
    Some(Output { secret: Zeroizing::new(template.secret(&nonce)), nonce, blinding })
}

/// A key of the curve, by rejection sampling.
pub(crate) fn key(secret: &Secret, label: &str, parts: &[&[u8]]) -> Option<SecretKey> {
    (0_u8..=u8::MAX).find_map(|attempt| {
        let attempt = [attempt];
        let parts: Vec<&[u8]> = parts.iter().copied().chain([attempt.as_slice()]).collect();
        let mut bytes = hash::hmac_sha256(secret.expose(), label, &parts);
        let key = SecretKey::from_slice(&bytes).ok();
        bytes.zeroize();
        key
    })
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    // Tests [outputs-nut-13]: the library derives the same from a seed of 64 bytes.
    proptest! {
        #[test]
        fn bearer_outputs_are_those_of_nut_13(
            low in any::<[u8; 32]>(),
            high in any::<[u8; 32]>(),
            counter in 0_u32..1 << 31,
        ) {
            let seed: [u8; 64] = [low, high].concat().try_into().unwrap();
            let id = "012e23479a0029432eaad0d2040c09be53bab592d5cbf1d55e0dd26c9495951b30";
            let id = cashu::Id::from_str(id).unwrap();
            let ours = bearer(&seed, &id.to_bytes(), counter).unwrap();
            let secret = cashu::secret::Secret::from_seed(&seed, id, counter).unwrap();
            prop_assert_eq!(&*ours.secret, &secret.to_string());
            prop_assert_eq!(ours.blinding, SecretKey::from_seed(&seed, id, counter).unwrap());
        }
    }

    // Tests [outputs-never-repeat].
    #[test]
    fn a_locked_and_a_bearer_output_of_one_number_have_nothing_in_common() {
        let wallet = Secret::new([7; 32]);
        let template = Template { lock_key: [2; 33], refund_key: [3; 33], locktime: 5 };
        let locked = locked(&wallet, &[1; 33], 9, &template).unwrap();
        let bearer = bearer(wallet.expose(), &[1; 33], 9).unwrap();
        assert!(!locked.secret.contains(&*bearer.secret));
        assert_ne!(locked.blinding, bearer.blinding);
    }
}
