//! Locking coins to a payee: the one template, the blinded key (NUT-28), and signing (SPEC §8.3).

use cashu::{PublicKey, SECP256K1, SecretKey};
use chopmark_core::time::Timestamp;
use secp256k1::{Keypair, Message, ecdh};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// All that the locked secrets of one payment share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Template {
    #[serde(with = "crate::nut::key_bytes")]
    pub(crate) lock_key: [u8; 33],
    #[serde(with = "crate::nut::key_bytes")]
    pub(crate) refund_key: [u8; 33],
    pub(crate) locktime: u64,
}

const DAY: u64 = 86_400;
/// Days a payee has at least.
const LOCK_DAYS: u64 = 8;
/// Seconds after the locktime at which the payer takes back what was not claimed.
pub(crate) const RECLAIM_AFTER: u64 = DAY;
/// Seconds that a keyset must live on after the locktime.
pub(crate) const KEYSET_MARGIN: u64 = 30 * DAY;

impl Template {
    /// The secret with this nonce, byte for byte: the payee builds it again and compares.
    pub(crate) fn secret(&self, nonce: &[u8; 32]) -> String {
        format!(
            "[\"P2PK\",{{\"nonce\":\"{}\",\"data\":\"{}\",\"tags\":[[\"locktime\",\"{}\"],[\"refund\",\"{}\"],[\"sigflag\",\"SIG_INPUTS\"]]}}]",
            crate::hex::encode(nonce),
            crate::hex::encode(&self.lock_key),
            self.locktime,
            crate::hex::encode(&self.refund_key),
        )
    }
}

/// The first midnight (UTC) that is at least eight days ahead: a precise time would link claim to lock.
pub(crate) fn locktime(now: Timestamp) -> u64 {
    let earliest = now.as_secs().saturating_add(LOCK_DAYS.saturating_mul(DAY));
    earliest.div_ceil(DAY).saturating_mul(DAY)
}

/// The factor that blinds the payee's key, known to both sides (NUT-28, slot 0).
pub(crate) fn blinding(ours: &SecretKey, theirs: &PublicKey) -> Option<SecretKey> {
    // In constant time, unlike the library's helper: one of the two is a long-lived secret.
    let shared = Zeroizing::new(ecdh::shared_secret_point(theirs, ours));
    let (x, _) = shared.split_at_checked(32)?;
    let material = Zeroizing::new([b"Cashu_P2BK_v1", x, &[0]].concat());
    SecretKey::from_slice(&crate::hash::sha256(&material)).ok().or_else(|| {
        let again = Zeroizing::new([material.as_slice(), &[0xff]].concat());
        SecretKey::from_slice(&crate::hash::sha256(&again)).ok()
    })
}

/// The payee's key, blinded.
pub(crate) fn blind_public(key: &PublicKey, factor: &SecretKey) -> Option<PublicKey> {
    key.combine(&factor.public_key()).ok().map(Into::into)
}

/// The payee's secret key of the blinded key.
pub(crate) fn blind_secret(key: &SecretKey, factor: &SecretKey) -> Option<SecretKey> {
    key.add_tweak(&factor.as_scalar()).ok().map(Into::into)
}

/// A signature over a secret (NUT-11), without randomness: the same swap has the same bytes.
pub(crate) fn sign(key: &SecretKey, secret: &str) -> [u8; 64] {
    let digest = Message::from_digest(crate::hash::sha256(secret.as_bytes()));
    let pair = Keypair::from_secret_key(&SECP256K1, key);
    SECP256K1.sign_schnorr_no_aux_rand(&digest, &pair).serialize()
}

/// The witness with one signature.
pub(crate) fn witness(signature: &[u8; 64]) -> String {
    format!("{{\"signatures\":[\"{}\"]}}", crate::hex::encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{self, Input, Purpose};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_slice(&[byte; 32]).unwrap()
    }

    // Tests [locktime-at-midnight].
    #[test]
    fn the_locktime_is_a_midnight_eight_to_nine_days_ahead() {
        for now in [0, 1, DAY - 1, DAY, 1_795_000_000] {
            let locktime = locktime(Timestamp::from_secs(now).unwrap());
            assert_eq!(locktime % DAY, 0);
            assert!((now + 8 * DAY..now + 9 * DAY).contains(&locktime));
        }
    }

    // The library's NUT-28 gives the same keys on both sides.
    #[test]
    fn both_sides_find_the_blinded_key_of_nut_28() {
        for (payer, payee) in [(1, 2), (3, 4), (5, 6), (7, 8)] {
            let (payer, payee) = (key(payer), key(payee));
            let factor = blinding(&payer, &payee.public_key()).unwrap();
            assert_eq!(blinding(&payee, &payer.public_key()).unwrap(), factor);
            let theirs = cashu::nut28::ecdh_kdf(&payer, &payee.public_key(), 0).unwrap();
            assert_eq!(theirs, factor);
            let blinded = blind_public(&payee.public_key(), &factor).unwrap();
            assert_eq!(blind_secret(&payee, &factor).unwrap().public_key(), blinded);
        }
    }

    // Tests [template-is-spendable]: the payee at any time, the payer after the locktime, nobody else ever.
    #[test]
    fn a_locked_coin_opens_for_the_payee_and_later_for_the_payer() {
        let (payee, payer, thief) = (key(1), key(2), key(3));
        let template = Template {
            lock_key: payee.public_key().to_bytes(),
            refund_key: payer.public_key().to_bytes(),
            locktime: 100,
        };
        let secret = template.secret(&[9; 32]);
        let opens = |key: &SecretKey, at: u64| {
            let witness = witness(&sign(key, &secret));
            let input =
                Input { secret: secret.as_bytes(), signature: [2; 33], witness: Some(&witness) };
            verify::check(&[input], &[], Purpose::Swap, Timestamp::from_secs(at).unwrap()).is_ok()
        };
        assert!(opens(&payee, 0) && opens(&payee, 101));
        assert!(!opens(&payer, 100) && opens(&payer, 101));
        assert!(!opens(&thief, 0) && !opens(&thief, 101));
    }
}
