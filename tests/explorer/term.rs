//! Keys as names: what a key was derived from, folded into a number. Two keys are the same if and only if their histories
//! are.

/// The name of a key, public or secret. Nothing is computed with it but equality and further names.
pub(super) type Term = u64;

/// What a name is the name of; names of different things never meet.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Of {
    Handshake,
    HeaderOfInitiator,
    HeaderOfResponder,
    Prekey,
    RatchetKey,
    Agreement,
    RootKey,
    Chain,
    NextHeader,
    DeviceKem,
    EncapsulationKey,
    Secret,
    Blend,
}

/// The name of what is derived from `parts`.
pub(super) fn term(of: Of, parts: &[u64]) -> Term {
    let mut state = Fold(0x9e37_79b9_7f4a_7c15 ^ (of as u64));
    for part in parts {
        state.add(*part);
    }
    state.end()
}

/// A fold of numbers into one of 64 bits.
pub(super) struct Fold(pub(super) u64);

impl Fold {
    pub(super) fn new() -> Self {
        Self(0x51_7c_c1_b7_27_22_0a_95)
    }

    pub(super) fn add(&mut self, part: u64) {
        let mixed = (self.0.rotate_left(23) ^ part).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub(super) fn end(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }
}

impl std::hash::Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, part: u8) {
        self.add(u64::from(part));
    }

    fn write_u32(&mut self, part: u32) {
        self.add(u64::from(part));
    }

    fn write_u64(&mut self, part: u64) {
        self.add(part);
    }

    fn write_usize(&mut self, part: usize) {
        self.add(part as u64);
    }

    fn finish(&self) -> u64 {
        self.end()
    }
}
