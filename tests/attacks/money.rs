//! Well-formed things for the attacks to alter: requests, payments, receipts, a relay's descriptor, a link.

use bytes::Bytes;
use chopmark_core::{
    signature::{Signature, SigningKey, VerifyingKey},
    time::Timestamp,
};
use chopmark_wire::{
    link::{ContactLink, LinkUse},
    payment::{
        Amount, CompactProof, IssuerUrl, Payment, PaymentId, PaymentReceipt, PaymentRequest,
        ReceiptStatement, RequestId, Stage, Unit,
    },
    relay::Descriptor,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn issuer() -> IssuerUrl {
    IssuerUrl::parse("https://mint.example.org").unwrap()
}

fn amount() -> Amount {
    Amount::new(1_250, Unit::new("chop", 2).unwrap())
}

/// A request for 12.50, without a bill.
pub(super) fn request() -> PaymentRequest {
    PaymentRequest {
        nonce: [1; 16],
        payee: [2; 32],
        amount: amount(),
        items: Vec::new(),
        memo: String::new(),
        issuers: vec![issuer()],
        lock_key: [2; 33],
        created_at: NOW,
        expires_at: Timestamp(NOW.0 + 600_000),
    }
}

/// A payment of so many coins.
pub(super) fn payment(coins: u8) -> Payment {
    let proof = |exponent| CompactProof {
        exponent,
        nonce: [exponent; 32],
        signature: [2; 33],
        dleq_e: [3; 32],
        dleq_s: [4; 32],
        dleq_r: [5; 32],
    };
    Payment {
        payment: PaymentId([1; 32]),
        request: RequestId([2; 32]),
        issuer: issuer(),
        keyset: vec![1; 33],
        ephemeral_key: [2; 33],
        refund_key: [3; 33],
        locktime: 1_800_000_000,
        proofs: (0..coins).map(proof).collect(),
    }
}

/// A receipt for it, by this device.
pub(super) fn receipt(device: &SigningKey) -> PaymentReceipt {
    let statement = ReceiptStatement {
        stage: Stage::Settled,
        payment: PaymentId([1; 32]),
        request: RequestId([2; 32]),
        payee: [3; 32],
        payer: [4; 32],
        amount: amount(),
        issuer: issuer(),
        at: NOW,
    };
    PaymentReceipt::sign(&statement, device)
}

/// The receipt with this statement and this signature, whatever they are.
pub(super) fn receipt_of(statement: &[u8], signature: &Signature) -> Bytes {
    let mut raw = vec![0x0a];
    let length = statement.len();
    if length >= 128 {
        raw.push(length as u8 | 0x80);
    }
    raw.push(if length >= 128 { (length >> 7) as u8 } else { length as u8 });
    raw.extend_from_slice(statement);
    raw.extend_from_slice(&[0x12, 64]);
    raw.extend_from_slice(signature.as_bytes());
    raw.into()
}

/// What the relay with this identity says of itself.
pub(super) fn descriptor(identity: &VerifyingKey) -> Descriptor {
    Descriptor {
        identity: *identity,
        not_before: Timestamp(1),
        not_after: Timestamp(2),
        addresses: vec![("relay.example".into(), 7667)],
        certificates: [Some([3; 32]), None],
        forwarding: None,
        window_messages: 64,
        window_bytes: 262_144,
        retention_hours: 720,
    }
}

/// A link to somebody.
pub(super) fn link() -> ContactLink {
    let relay = "chop-relay:relay.example.org:4433#000102030405060708090a0b0c0d0e0f";
    ContactLink::new(LinkUse::Reusable, [7; 32], relay.parse().unwrap(), [8; 16])
}
