//! What a header and a body say, whether an honest peer would say it or not. SPEC §5.2, §5.5.

use chopmark_core::kem::{Ciphertext, EncapsulationKey};

use super::definition::Key;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) ratchet_key: Key,
    pub(super) n: u32,
    pub(super) pn: u32,
    pub(super) epoch: u32,
    pub(super) nonce: [u8; 12],
}

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) acknowledged: (u64, u32),
    pub(super) content: Vec<u8>,
    /// Kind and bytes.
    pub(super) object: (u8, Vec<u8>),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; 56] {
        let numbers = [self.n, self.pn, self.epoch].map(u32::to_be_bytes).concat();
        let bytes = [&self.ratchet_key[..], &numbers, &self.nonce].concat();
        bytes.try_into().expect("56 bytes")
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4"));
        Self {
            ratchet_key: bytes[..32].try_into().expect("32"),
            n: number(32),
            pn: number(36),
            epoch: number(40),
            nonce: bytes[44..].try_into().expect("12"),
        }
    }
}

impl Text {
    /// The text, without padding.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (chain, count) = self.acknowledged;
        let length = u32::try_from(self.content.len()).expect("short").to_be_bytes();
        let fixed = [&chain.to_be_bytes()[..], &count.to_be_bytes(), &length].concat();
        [&fixed, &self.content, &vec![self.object.0], &self.object.1].map(Vec::as_slice).concat()
    }

    /// Whether this is a text: whole, of a known kind, zeros behind it.
    pub(super) fn is_one(text: &[u8]) -> bool {
        let length = u32::from_be_bytes(text[12..16].try_into().expect("4")) as usize;
        let Some(rest) = text[16..].get(length..) else { return false };
        let object = match rest.first() {
            Some(0) => 0,
            Some(1) => EncapsulationKey::LENGTH,
            Some(2) => Ciphertext::LENGTH + 32,
            _ => return false,
        };
        rest.get(1 + object..).is_some_and(|padding| padding.iter().all(|byte| *byte == 0))
    }

    pub(super) fn decode(text: &[u8]) -> Self {
        assert!(Self::is_one(text), "B's text");
        let length = u32::from_be_bytes(text[12..16].try_into().expect("4")) as usize;
        let (content, rest) = text[16..].split_at(length);
        let object = match rest[0] {
            0 => 0,
            1 => EncapsulationKey::LENGTH,
            _ => Ciphertext::LENGTH + 32,
        };
        Self {
            acknowledged: (
                u64::from_be_bytes(text[..8].try_into().expect("8")),
                u32::from_be_bytes(text[8..12].try_into().expect("4")),
            ),
            content: content.to_vec(),
            object: (rest[0], rest[1..1 + object].to_vec()),
        }
    }
}
