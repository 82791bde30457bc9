//! A payment: coins in the compact encoding of SPEC §8.4.

use bytes::Bytes;
use prost::Message;

use super::{IssuerUrl, PAYMENT_MAX, PROOFS_MAX, PaymentId, RequestId};
use crate::{
    generated::{payment as pb, shapes},
    strict::{self, DecodeError},
};

/// Coins for a request, all of one keyset and under one template, sorted by amount and then by nonce.
#[derive(Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub payment: PaymentId,
    /// The request that it pays.
    pub request: RequestId,
    /// Who issued the coins.
    pub issuer: IssuerUrl,
    /// The keyset's id as bytes: 8 or 33.
    pub keyset: Vec<u8>,
    /// The payer's ephemeral key `E` (NUT-28), compressed.
    pub ephemeral_key: [u8; 33],
    /// The key that takes the coins back, compressed.
    pub refund_key: [u8; 33],
    /// From when on it can, in Unix seconds.
    pub locktime: u64,
    /// The coins: at least one.
    pub proofs: Vec<CompactProof>,
}

/// One coin less what the template says. Whoever holds it and the payee's key can spend it: it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CompactProof {
    /// Its amount is two to the power of this, in minor units.
    pub exponent: u8,
    /// The nonce of its secret.
    pub nonce: [u8; 32],
    /// The issuer's signature `C`, compressed.
    pub signature: [u8; 33],
    /// The challenge of the issuer's proof (NUT-12).
    pub dleq_e: [u8; 32],
    /// The response of the issuer's proof.
    pub dleq_s: [u8; 32],
    /// The blinding factor.
    pub dleq_r: [u8; 32],
}

impl std::fmt::Debug for Payment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payment").field("proofs", &self.proofs.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CompactProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CompactProof(..)")
    }
}

impl CompactProof {
    /// Bytes of one coin.
    pub const LENGTH: usize = 1 + 32 + 33 + 32 + 32 + 32;

    /// In minor units; `None` if two to the power of the exponent does not fit 64 bits.
    #[must_use]
    pub fn amount(&self) -> Option<u64> {
        1_u64.checked_shl(u32::from(self.exponent))
    }

    fn parse(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let (&[exponent], rest) = bytes.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let (dleq_e, rest) = rest.split_first_chunk()?;
        let (dleq_s, rest) = rest.split_first_chunk()?;
        let proof = Self {
            exponent,
            nonce: *nonce,
            signature: *signature,
            dleq_e: *dleq_e,
            dleq_s: *dleq_s,
            dleq_r: rest.try_into().ok()?,
        };
        proof.amount().map(|_| proof)
    }
}

impl Payment {
    /// Reads a payment.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever is not a payment by the rules of SPEC §8.4.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::Payment = strict::decode(bytes, &shapes::PAYMENT_PAYMENT, PAYMENT_MAX)?;
        let (proofs, rest) = message.proofs.as_chunks::<{ CompactProof::LENGTH }>();
        if !rest.is_empty() || proofs.is_empty() || proofs.len() > PROOFS_MAX {
            return Err(DecodeError::Invalid("proofs"));
        }
        let proofs: Vec<_> = proofs
            .iter()
            .map(CompactProof::parse)
            .collect::<Option<_>>()
            .ok_or(DecodeError::Invalid("proofs"))?;
        // SPEC §8.4 [proofs-sorted]: strictly, so a coin is there once, and the order tells nothing.
        let sorted = proofs
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if (a.exponent, a.nonce) < (b.exponent, b.nonce)));
        if !sorted {
            return Err(DecodeError::Invalid("order of the proofs"));
        }
        if !matches!(message.keyset.len(), 8 | 33) {
            return Err(DecodeError::Invalid("keyset"));
        }
        Ok(Self {
            payment: PaymentId(super::fixed(&message.payment, "payment id")?),
            request: RequestId(super::fixed(&message.request, "request id")?),
            issuer: IssuerUrl::parse(&message.issuer)
                .ok()
                .filter(|url| url.as_str() == message.issuer)
                .ok_or(DecodeError::Invalid("issuer url"))?,
            keyset: message.keyset.to_vec(),
            ephemeral_key: super::fixed(&message.ephemeral_key, "ephemeral key")?,
            refund_key: super::fixed(&message.refund_key, "refund key")?,
            locktime: message.locktime_s,
            proofs,
        })
    }

    /// The bytes to send, with the proofs sorted.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut sorted: Vec<_> = self.proofs.iter().collect();
        sorted.sort_by_key(|proof| (proof.exponent, proof.nonce));
        let mut proofs = Vec::with_capacity(sorted.len().saturating_mul(CompactProof::LENGTH));
        for proof in sorted {
            proofs.push(proof.exponent);
            proofs.extend_from_slice(&proof.nonce);
            proofs.extend_from_slice(&proof.signature);
            proofs.extend_from_slice(&proof.dleq_e);
            proofs.extend_from_slice(&proof.dleq_s);
            proofs.extend_from_slice(&proof.dleq_r);
        }
        pb::Payment {
            payment: self.payment.0.to_vec().into(),
            request: self.request.0.to_vec().into(),
            issuer: self.issuer.as_str().to_owned(),
            keyset: self.keyset.clone().into(),
            ephemeral_key: self.ephemeral_key.to_vec().into(),
            refund_key: self.refund_key.to_vec().into(),
            locktime_s: self.locktime,
            proofs: proofs.into(),
        }
        .encode_to_vec()
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(exponent: u8, nonce: u8) -> CompactProof {
        CompactProof {
            exponent,
            nonce: [nonce; 32],
            signature: [2; 33],
            dleq_e: [3; 32],
            dleq_s: [4; 32],
            dleq_r: [5; 32],
        }
    }

    fn payment(proofs: Vec<CompactProof>) -> Payment {
        Payment {
            payment: PaymentId([1; 32]),
            request: RequestId([2; 32]),
            issuer: IssuerUrl::parse("https://mint.example.org").unwrap(),
            keyset: vec![1; 33],
            ephemeral_key: [2; 33],
            refund_key: [3; 33],
            locktime: 1_800_000_000,
            proofs,
        }
    }

    // Tests [proofs-sorted]. Seen to fail with the comparison in `decode` removed.
    #[test]
    fn proofs_stand_in_one_order_and_once() {
        let sorted = vec![proof(0, 9), proof(3, 1), proof(3, 2)];
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        let bytes = payment(shuffled).encode();
        assert_eq!(Payment::decode(&bytes).unwrap(), payment(sorted));
        for wrong in [vec![proof(3, 1), proof(3, 1)], vec![proof(64, 1)], Vec::new()] {
            assert!(Payment::decode(&payment(wrong).encode()).is_err());
        }
        // Two proofs in the wrong order, written by hand.
        let right = payment(vec![proof(0, 7), proof(1, 8)]).encode();
        let mut swapped = right.to_vec();
        let start = right.windows(33).position(|it| it[0] == 0 && it[1..] == [7; 32]).unwrap();
        swapped[start..].rotate_left(CompactProof::LENGTH);
        assert_eq!(
            Payment::decode(&swapped.into()),
            Err(DecodeError::Invalid("order of the proofs"))
        );
    }

    // SPEC §8.4: a payment of ten coins shares its bucket with a text.
    #[test]
    fn ten_proofs_fit_the_smallest_bucket() {
        let proofs = (0..10).map(|exponent| proof(exponent, 1)).collect();
        assert!(payment(proofs).encode().len() <= 1_900);
    }
}
