//! What people say to each other, and the money in it.

use bytes::Bytes;
use chopmark_wire::{
    content::{Body, Content},
    payment::{Payment, PaymentCancel, PaymentDecline, PaymentReceipt, PaymentRequest},
};

/// A content and, where it is of money, the message inside its body.
pub fn content(data: &[u8]) {
    let Ok(read) = Content::decode(&Bytes::copy_from_slice(data)) else { return };
    let again = read.encode().expect("what was taken can be sent");
    let back = Content::decode(&again).expect("what was sent is taken");
    assert_eq!(back.encode().as_ref(), Ok(&again), "a content has two forms");
    match &read.body {
        Body::Unknown(unknown) => assert_eq!(unknown.raw, data, "an unknown body was not kept"),
        _ => assert!(back == read, "a content changed by being sent"),
    }
    match &read.body {
        Body::PaymentRequest(bytes) => {
            if let Ok((_, request)) = PaymentRequest::decode(bytes) {
                let again = request.encode().expect("what was taken can be sent");
                assert!(PaymentRequest::decode(&again).is_ok(), "a request cannot be sent again");
            }
        }
        Body::Payment(bytes) => {
            if let Ok(payment) = Payment::decode(bytes) {
                let back = Payment::decode(&payment.encode());
                assert!(back.as_ref() == Ok(&payment), "a payment changed by being sent");
            }
        }
        Body::PaymentReceipt(bytes) => drop(PaymentReceipt::decode(bytes)),
        Body::PaymentDecline(bytes) => drop(PaymentDecline::decode(bytes)),
        Body::PaymentCancel(bytes) => drop(PaymentCancel::decode(bytes)),
        _ => {}
    }
}
