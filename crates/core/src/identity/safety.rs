//! Sixty digits that two people read to each other (SPEC §2.6).

use core::fmt;

use super::AccountId;
use crate::{hash, label};

/// What two accounts compare to know that nobody stands between them: the same for both, whoever computes it.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    lower: [u8; 32],
    higher: [u8; 32],
}

impl SafetyNumber {
    /// The safety number of two accounts, in either order.
    pub fn of(one: &AccountId, other: &AccountId) -> Self {
        let (one, other) = (stretched(one), stretched(other));
        Self { lower: one.min(other), higher: one.max(other) }
    }

    /// Sixty digits in twelve groups of five, one space between them.
    pub fn digits(&self) -> String {
        let groups: Vec<String> =
            [self.lower, self.higher].iter().flat_map(groups).map(|n| format!("{n:05}")).collect();
        groups.join(" ")
    }

    /// What the QR code holds: `1 | lower half 32 | higher half 32`, 65 bytes.
    pub fn qr_bytes(&self) -> [u8; 65] {
        let mut bytes = [QR_VERSION; 65];
        let halves = self.lower.iter().chain(&self.higher);
        bytes.iter_mut().skip(1).zip(halves).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Whether a scanned code says the same. Scanning compares all 256 bits of each half, digits the first 100.
    pub fn matches_qr(&self, scanned: &[u8]) -> bool {
        self.qr_bytes() == *scanned
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SafetyNumber(..)")
    }
}

/// One account's half: its id hashed [`ROUNDS`] times, so that looking for an id with the same digits costs that much
/// more.
fn stretched(account: &AccountId) -> [u8; 32] {
    (0..ROUNDS).fold(*account.as_bytes(), |half, _| {
        hash::sha256(label::SAFETY_NUMBER, &[&half, account.as_bytes()])
    })
}

/// Six groups of five digits from the first thirty bytes: each five bytes big-endian, modulo 100,000.
fn groups(half: &[u8; 32]) -> impl Iterator<Item = u64> {
    let (groups, _) = half.as_chunks::<5>();
    groups.iter().map(|group| {
        group.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)) % 100_000
    })
}

const ROUNDS: usize = 5200;
const QR_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 32])
    }

    // Tests [safety-number-is-symmetric]. Seen to fail with `min` and `max` replaced by the order given.
    #[test]
    fn both_sides_read_the_same_digits() {
        let one = SafetyNumber::of(&account(1), &account(2));
        assert_eq!(one, SafetyNumber::of(&account(2), &account(1)));
        assert!(one.matches_qr(&SafetyNumber::of(&account(2), &account(1)).qr_bytes()));
        let digits = one.digits();
        assert_eq!(digits.len(), 71);
        assert_eq!(digits.split(' ').count(), 12);
        assert!(digits.split(' ').all(|group| group.len() == 5));
    }

    #[test]
    fn another_account_has_other_digits() {
        let one = SafetyNumber::of(&account(1), &account(2));
        let other = SafetyNumber::of(&account(1), &account(3));
        assert_ne!(one.digits(), other.digits());
        assert!(!one.matches_qr(&other.qr_bytes()));
        assert!(!one.matches_qr(&one.qr_bytes()[1..]));
    }

    // Computed apart from this code, with Python's hashlib.
    #[test]
    fn a_known_pair_has_known_digits() {
        let number = SafetyNumber::of(&account(1), &account(2));
        assert_eq!(
            number.digits(),
            "45646 03208 29617 67771 92344 18971 46204 70891 32681 93925 13056 29284"
        );
    }
}
