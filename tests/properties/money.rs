//! Amounts, the text beside them, and what is paid.

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::{
    display::{DisplayText, sanitised},
    payment::{
        Amount, AmountError, CompactProof, DeclineReason, IssuerUrl, LineItem, Payment, PaymentId,
        PaymentRequest, ReceiptStatement, RequestId, Stage, Unit,
    },
};
use proptest::prelude::*;

use super::cases;

fn unit() -> impl Strategy<Value = Unit> {
    ("[a-z0-9_-]{1,16}", 0_u8..=18).prop_map(|(code, places)| Unit::new(&code, places).unwrap())
}

fn url() -> impl Strategy<Value = IssuerUrl> {
    "https?://[a-z0-9]{1,20}(\\.[a-z]{1,9})?(:[1-9][0-9]{0,3})?(/[a-z]{1,9})?"
        .prop_filter_map("a url", |text| IssuerUrl::parse(&text).ok())
}

/// A compressed point as far as its shape goes.
fn point() -> impl Strategy<Value = [u8; 33]> {
    (2_u8..=3, any::<[u8; 32]>()).prop_map(|(sign, x)| {
        let mut point = [sign; 33];
        point[1..].copy_from_slice(&x);
        point
    })
}

fn text() -> impl Strategy<Value = String> {
    // Much that shows and some that does not.
    prop::collection::vec(
        prop_oneof![
            6 => any::<char>(),
            6 => prop::char::range(' ', '~'),
            2 => prop::sample::select(vec!['\u{200b}', '\u{202e}', '\u{fe0f}', '\u{2764}', '\u{a0}', '\u{e0041}', '\u{3164}', '\t']),
        ],
        0..24,
    )
    .prop_map(String::from_iter)
}

prop_compose! {
    fn request()(
        nonce: [u8; 16], payee: [u8; 32], unit in unit(), lock_key in point(),
        items in prop::collection::vec(("[a-z]{1,9}( [a-z]{1,9})?", 1_u32..9, 1_u64..1_000_000), 1..5),
        memo in "([a-zA-Z]{1,9}( [a-z]{1,9}){0,3})?", issuers in prop::collection::btree_set(url(), 1..4),
        created in 1_000_000_000_000_u64..2_000_000_000_000, lasts in 60_000_u64..3_600_000,
    ) -> Option<PaymentRequest> {
        let total = items.iter().map(|(_, quantity, price)| u64::from(*quantity) * price).sum();
        let items = items
            .into_iter()
            .map(|(name, quantity, unit_price_minor)| LineItem { name, quantity, unit_price_minor })
            .collect();
        let request = PaymentRequest {
            nonce: nonce.to_vec().try_into().ok()?,
            payee,
            amount: Amount::new(total, unit),
            items,
            memo,
            issuers: issuers.into_iter().collect(),
            lock_key,
            created_at: Timestamp(created),
            expires_at: Timestamp(created + lasts),
        };
        request.encode().ok().map(|_| request)
    }
}

prop_compose! {
    fn payment()(
        payment: [u8; 32], request: [u8; 32], issuer in url(), short: bool, keyset: [u8; 32],
        ephemeral_key in point(), refund_key in point(), locktime: u64,
        proofs in prop::collection::btree_map((0_u8..64, any::<[u8; 32]>()), (point(), any::<[[u8; 32]; 3]>()), 1..6),
    ) -> Payment {
        let proofs = proofs
            .into_iter()
            .map(|((exponent, nonce), (signature, [dleq_e, dleq_s, dleq_r]))| CompactProof {
                exponent, nonce, signature, dleq_e, dleq_s, dleq_r,
            })
            .collect();
        let keyset = if short { keyset[..8].to_vec() } else { [&[1], &keyset[..]].concat() };
        Payment {
            payment: PaymentId(payment), request: RequestId(request), issuer, keyset, ephemeral_key,
            refund_key, locktime, proofs,
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn an_amount_is_read_as_it_is_written(minor: u64, unit in unit()) {
        let amount = Amount::new(minor, unit.clone());
        let written = amount.to_string();
        let (number, code) = written.split_once(' ').unwrap();
        prop_assert_eq!(code, unit.code());
        prop_assert_eq!(Amount::parse(number, &unit), Ok(amount));
    }

    #[test]
    fn a_number_that_is_read_is_that_of_plain_decimals(text in "[0-9]{1,22}(\\.[0-9]{0,19})?", unit in unit()) {
        let places = usize::from(unit.exponent());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let exact = format!("{whole}{fraction:0<places$}").parse::<u128>();
        let expected = match exact {
            _ if fraction.len() > places || text.ends_with('.') => Err(AmountError::Text(unit.exponent())),
            Ok(minor) => u64::try_from(minor).map_err(|_| AmountError::OutOfRange),
            Err(_) => Err(AmountError::OutOfRange),
        };
        prop_assert_eq!(Amount::parse(&text, &unit).map(|amount| amount.minor()), expected);
    }

    #[test]
    fn sums_and_differences_are_those_of_integers(a: u64, b: u64, unit in unit(), other in unit()) {
        let (one, two) = (Amount::new(a, unit.clone()), Amount::new(b, unit.clone()));
        let sum = one.checked_add(&two);
        prop_assert_eq!(sum.as_ref().ok().map(Amount::minor), a.checked_add(b));
        prop_assert_eq!(two.checked_add(&one), sum.clone());
        prop_assert_eq!(one.checked_sub(&two).ok().map(|left| left.minor()), a.checked_sub(b));
        if let Ok(sum) = sum {
            prop_assert_eq!(sum.checked_sub(&two), Ok(one.clone()));
        }
        if other != unit {
            let foreign = Amount::new(b, other);
            prop_assert_eq!(one.checked_add(&foreign), Err(AmountError::MixedUnits));
            prop_assert_eq!(one.checked_sub(&foreign), Err(AmountError::MixedUnits));
        }
    }

    // Tests [display-text].
    #[test]
    fn what_was_made_to_show_stays_as_it_is(text in text()) {
        let shown = sanitised(&text);
        prop_assert_eq!(&sanitised(&shown), &shown);
        let trimmed = shown.trim_matches([' ', '\u{a0}', '\u{202f}', '\u{3000}']);
        let read = DisplayText::parse(trimmed, 1 << 16).unwrap();
        prop_assert_eq!(read.as_str(), trimmed);
    }

    // Tests [display-text].
    #[test]
    fn display_text_is_taken_as_it_is_or_refused(text in text(), max in 0_usize..80) {
        if let Ok(read) = DisplayText::parse(&text, max) {
            prop_assert_eq!(read.as_str(), &text);
            prop_assert!(text.len() <= max);
            prop_assert_eq!(text.trim(), &text);
            // A part of it that does not begin or end with a space or a selector is as good.
            let without: String = text.chars().filter(|c| *c != '\u{fe0f}').collect();
            prop_assert_eq!(sanitised(&without), without);
        }
    }

    #[test]
    fn a_request_comes_back_and_its_id_is_that_of_its_bytes(request in request()) {
        let Some(request) = request else { return Err(TestCaseError::reject("nobody would take it")) };
        let bytes = request.encode().unwrap();
        let (id, read) = PaymentRequest::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &request);
        prop_assert_eq!(id, RequestId::of(&bytes));
        prop_assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn a_payment_comes_back_sorted_whatever_the_order(payment in payment(), turn: prop::sample::Index) {
        let bytes = payment.encode();
        let read = Payment::decode(&bytes).unwrap();
        prop_assert!(read == payment);
        let mut turned = payment.clone();
        turned.proofs.rotate_left(turn.index(payment.proofs.len()));
        prop_assert_eq!(turned.encode(), bytes);
    }

    // Tests [proofs-sorted].
    #[test]
    fn a_coin_twice_or_out_of_order_is_refused(payment in payment(), at: prop::sample::Index) {
        let mut twice = payment.clone();
        let at = at.index(payment.proofs.len());
        twice.proofs.push(payment.proofs[at].clone());
        prop_assert!(Payment::decode(&twice.encode()).is_err());
        if payment.proofs.len() > 1 {
            // The proofs are the last field: change two of them in place.
            let mut bytes = payment.encode().to_vec();
            let length = CompactProof::LENGTH;
            let end = bytes.len();
            let (first, last) = (end - length * payment.proofs.len(), end - length);
            for n in 0..length {
                bytes.swap(first + n, last + n);
            }
            prop_assert!(Payment::decode(&Bytes::from(bytes)).is_err());
        }
    }

    #[test]
    fn a_receipt_states_the_same_bytes_again(
        ids: [[u8; 32]; 4], settled: bool, minor: u64, unit in unit(), issuer in url(), at: u64,
        byte: prop::sample::Index, bit in 0..8
    ) {
        let statement = ReceiptStatement {
            stage: if settled { Stage::Settled } else { Stage::Accepted },
            payment: PaymentId(ids[0]), request: RequestId(ids[1]), payee: ids[2], payer: ids[3],
            amount: Amount::new(minor, unit), issuer, at: Timestamp(at),
        };
        let mut bytes = statement.encode().to_vec();
        prop_assert_eq!(ReceiptStatement::decode(&bytes), Ok(statement.clone()));
        let index = byte.index(bytes.len());
        bytes[index] ^= 1_u8 << bit;
        if let Ok(other) = ReceiptStatement::decode(&bytes) {
            prop_assert!(other != statement);
            prop_assert_eq!(other.encode().to_vec(), bytes);
        }
    }

    #[test]
    fn a_reason_to_decline_is_its_number(number: u8) {
        let reason = DeclineReason::from_number(number);
        prop_assert_eq!(DeclineReason::from_number(reason.number()), reason);
        prop_assert!(reason.number() == number || reason.number() == 0);
    }
}
