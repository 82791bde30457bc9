//! Tokens that let who has one make a mailbox, SPEC §6.6.

use core::fmt;

use chopmark_core::{hash, label, secret::Secret};

use super::opaque;
use crate::strict::DecodeError;

/// What an operator gives to who may make a mailbox: 32 random bytes. Never printed.
#[derive(PartialEq, Eq)]
pub struct AccessToken(Secret);

/// Shown on each connection until a mailbox is there. Each copy is wiped on its own.
impl Clone for AccessToken {
    fn clone(&self) -> Self {
        Self(Secret::written(|copy| copy.copy_from_slice(self.0.expose())))
    }
}

impl AccessToken {
    /// How many bytes it has.
    pub const LENGTH: usize = 32;

    /// A token of these bytes.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// From 64 hexadecimal digits, as an operator writes it; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes_of(text).map(Secret::new).map(Self)
    }

    /// What the relay keeps of it: `LH(label; token)`.
    pub fn hash(&self) -> AccessTokenHash {
        AccessTokenHash(hash::sha256(label::ACCESS_TOKEN_HASH, &[self.0.expose()]))
    }

    /// The secret bytes.
    pub const fn secret(&self) -> &Secret {
        &self.0
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        Secret::from_slice(bytes).map(Self).ok_or(DecodeError::Invalid("access token"))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

opaque! {
    /// What a relay keeps of an access token: it opens nothing.
    AccessTokenHash(32);
}

impl AccessTokenHash {
    /// From 64 hexadecimal digits, as it stands in a relay's settings; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes_of(text).map(Self)
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn bytes_of(text: &str) -> Option<[u8; AccessToken::LENGTH]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let digits: Vec<u8> = text.as_bytes().iter().map(digit).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high.wrapping_shl(4) | low),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_written_in_hexadecimal_and_kept_as_a_hash() {
        let text = "00ff10a0".repeat(8);
        let token = AccessToken::from_hex(&text).unwrap();
        assert_eq!(&token.secret().expose()[..4], &[0, 0xff, 0x10, 0xa0]);
        let hash = token.hash();
        assert_eq!(AccessTokenHash::from_hex(&hash.to_hex()), Some(hash));
        assert_ne!(&hash.0, token.secret().expose());
        for wrong in ["", &text[1..], &text[2..], &format!("{text}00"), &text.replace('f', "g")] {
            assert_eq!(AccessToken::from_hex(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{token:?} {hash:?}"), "AccessToken(..) AccessTokenHash(..)");
    }
}
