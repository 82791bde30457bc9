//! Poly1305 (RFC 8439, section 2.5) of whole blocks, which is all that the AEAD asks of it.
//!
//! The multiplication modulo 2^130 - 5 and the reduction are fiat-crypto's, which come with a proof that they are right
//! for numbers within the bounds named there. What is left here is how bytes become limbs, and the order of the steps.
//! Nothing branches on what it computes with, and no sum can overflow.

use fiat_crypto::poly1305_64::{
    fiat_poly1305_carry, fiat_poly1305_carry_mul, fiat_poly1305_carry_square,
    fiat_poly1305_loose_field_element as Loose, fiat_poly1305_tight_field_element as Tight,
    fiat_poly1305_to_bytes,
};
use zeroize::Zeroize;

use super::TAG;

/// The authenticator of one message, under a key that is used once.
pub(super) struct Poly1305 {
    r: Loose,
    r_squared: Loose,
    /// At most two tight numbers: with a block, which is a third, it is within the loose bound.
    sum: [u64; 3],
    pad: u128,
}

impl Poly1305 {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let (r, pad) = key.split_at(16);
        let [r, pad] = [r, pad].map(|half| half.first_chunk().copied().unwrap_or_default());
        let r = Loose(limbs((u128::from_le_bytes(r) & CLAMP).to_le_bytes()));
        let mut squared = Tight([0; 3]);
        fiat_poly1305_carry_square(&mut squared, &r);
        let pad = u128::from_le_bytes(pad);
        Self { r, r_squared: Loose(squared.0), sum: [0; 3], pad }
    }

    /// Takes `bytes`, filled up with zeros to a whole block.
    pub(super) fn take_padded(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<{ 2 * BLOCK }>();
        for pair in pairs {
            let (first, second) = pair.split_at(BLOCK);
            if let (Some(first), Some(second)) = (first.first_chunk(), second.first_chunk()) {
                self.take_two(*first, *second);
            }
        }
        let (blocks, rest) = rest.as_chunks::<BLOCK>();
        for block in blocks {
            self.take(*block);
        }
        if !rest.is_empty() {
            let mut block = [0; BLOCK];
            block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.take(block);
        }
    }

    fn take(&mut self, block: [u8; BLOCK]) {
        let sum = Loose(plus(self.sum, number(block)));
        self.sum = times(&sum, &self.r);
    }

    /// `(sum + first) r^2 + second r`: two products that need not wait for each other.
    fn take_two(&mut self, first: [u8; BLOCK], second: [u8; BLOCK]) {
        let sum = Loose(plus(self.sum, number(first)));
        let second = Loose(number(second));
        self.sum = plus(times(&sum, &self.r_squared), times(&second, &self.r));
    }

    pub(super) fn finish(self) -> [u8; TAG] {
        let mut sum = Tight([0; 3]);
        fiat_poly1305_carry(&mut sum, &Loose(self.sum));
        let mut bytes = [0; 17];
        fiat_poly1305_to_bytes(&mut bytes, &sum);
        let [low @ .., _] = bytes;
        u128::from_le_bytes(low).wrapping_add(self.pad).to_le_bytes()
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        let Self { r, r_squared, sum, pad } = self;
        for limbs in [&mut r.0, &mut r_squared.0, sum] {
            limbs.zeroize();
        }
        pad.zeroize();
    }
}

const BLOCK: usize = 16;

/// The bits that the key of the polynomial may have.
const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;

const LOW: u64 = (1 << 44) - 1;
const MIDDLE: u64 = (1 << 43) - 1;

/// The bit above a block, which tells a block from one with zeros behind it.
const ABOVE: u64 = 1 << 41;

/// 128 bits as limbs of 44, 43 and 41.
fn limbs(bytes: [u8; BLOCK]) -> [u64; 3] {
    let [low, high] = [bytes.first_chunk(), bytes.last_chunk()]
        .map(|half| u64::from_le_bytes(half.copied().unwrap_or_default()));
    [low & LOW, ((low >> 44) | (high << 20)) & MIDDLE, high >> 23]
}

/// A block and the bit above it: a tight number.
fn number(block: [u8; BLOCK]) -> [u64; 3] {
    let [low, middle, high] = limbs(block);
    [low, middle, high | ABOVE]
}

fn plus([a, b, c]: [u64; 3], [d, e, f]: [u64; 3]) -> [u64; 3] {
    [a.wrapping_add(d), b.wrapping_add(e), c.wrapping_add(f)]
}

fn times(one: &Loose, other: &Loose) -> [u64; 3] {
    let mut product = Tight([0; 3]);
    fiat_poly1305_carry_mul(&mut product, one, other);
    product.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: [[u8; 16]; 2], blocks: &[[u8; 16]]) -> [u8; 16] {
        let [mut one, mut both] =
            [(); 2].map(|()| Poly1305::new(key.as_flattened().first_chunk().unwrap()));
        blocks.iter().for_each(|block| one.take(*block));
        both.take_padded(blocks.as_flattened());
        let tag = one.finish();
        assert_eq!(both.finish(), tag);
        tag
    }

    fn block(begins: &[u8], then: u8) -> [u8; 16] {
        let mut block = [then; 16];
        block[..begins.len()].copy_from_slice(begins);
        block
    }

    // RFC 8439, appendix A.3, test vectors 7 to 11: where a carry is easily lost.
    #[test]
    fn sums_at_the_edge_of_the_modulus_are_reduced() {
        let (zeros, ones) = ([0; 16], [0xff; 16]);
        let [one, two] = [1, 2].map(|number| block(&[number], 0));
        assert_eq!(tag([two, zeros], &[ones]), block(&[3], 0));
        assert_eq!(tag([two, ones], &[two]), block(&[3], 0));
        let blocks = [ones, block(&[0xf0], 0xff), block(&[0x11], 0)];
        assert_eq!(tag([one, zeros], &blocks), block(&[5], 0));
        let blocks = [ones, block(&[0xfb], 0xfe), [1; 16]];
        assert_eq!(tag([one, zeros], &blocks), zeros);
        assert_eq!(tag([two, zeros], &[block(&[0xfd], 0xff)]), block(&[0xfa], 0xff));
    }

    // RFC 8439, appendix A.3, test vectors 12 and 13: and where one is lost between limbs.
    #[test]
    fn sums_at_the_edge_of_a_word_are_carried() {
        let key = [block(&[1, 0, 0, 0, 0, 0, 0, 0, 4], 0), [0; 16]];
        let blocks = [
            block(&[0xe3, 0x35, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0xb9], 0),
            block(&[0x33, 0x94, 0xd7, 0x50, 0x5e, 0x43, 0x79, 0xcd, 1], 0),
            [0; 16],
            block(&[1], 0),
        ];
        assert_eq!(tag(key, &blocks), block(&[0x14, 0, 0, 0, 0, 0, 0, 0, 0x55], 0));
        assert_eq!(tag(key, &blocks[..3]), block(&[0x13], 0));
    }
}
