//! Generated from `proto/` by `cargo xtask codegen`. Do not edit.

use crate::strict::{Field, Kind, Shape};

/// `chopmark.identity.v1.Endpoint`.
pub(crate) static IDENTITY_ENDPOINT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::U32, max: None, one_of: None },
        Field { number: 4, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.envelope.v1.Payload`.
pub(crate) static ENVELOPE_PAYLOAD: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
        Field { number: 3, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 4, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 5, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 6, kind: Kind::Message(&ENVELOPE_RESEND_AFTER), max: None, one_of: None },
    ],
};

/// `chopmark.envelope.v1.ResendAfter`.
pub(crate) static ENVELOPE_RESEND_AFTER: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Content`.
pub(crate) static CONTENT_CONTENT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U64, max: None, one_of: None },
        Field { number: 3, kind: Kind::Message(&CONTENT_FALLBACK), max: None, one_of: None },
        Field { number: 4, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 5, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 6, kind: Kind::U32, max: None, one_of: None },
        Field { number: 7, kind: Kind::Message(&CONTENT_EXTENSION), max: Some(16), one_of: None },
        Field { number: 16, kind: Kind::Message(&CONTENT_INTRODUCTION), max: None, one_of: Some(0) },
        Field { number: 17, kind: Kind::Message(&CONTENT_TEXT), max: None, one_of: Some(0) },
        Field { number: 18, kind: Kind::Message(&CONTENT_RECEIPT), max: None, one_of: Some(0) },
        Field { number: 19, kind: Kind::Message(&CONTENT_REACTION), max: None, one_of: Some(0) },
        Field { number: 20, kind: Kind::Message(&CONTENT_EDIT), max: None, one_of: Some(0) },
        Field { number: 21, kind: Kind::Message(&CONTENT_RETRACT), max: None, one_of: Some(0) },
        Field { number: 22, kind: Kind::Bytes, max: None, one_of: Some(0) },
        Field { number: 23, kind: Kind::Bytes, max: None, one_of: Some(0) },
        Field { number: 24, kind: Kind::Bytes, max: None, one_of: Some(0) },
        Field { number: 25, kind: Kind::Bytes, max: None, one_of: Some(0) },
        Field { number: 26, kind: Kind::Bytes, max: None, one_of: Some(0) },
        Field { number: 27, kind: Kind::Message(&CONTENT_CUSTOM), max: None, one_of: Some(0) },
    ],
};

/// `chopmark.content.v1.Fallback`.
pub(crate) static CONTENT_FALLBACK: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
        Field { number: 2, kind: Kind::Text, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Extension`.
pub(crate) static CONTENT_EXTENSION: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bool, max: None, one_of: None },
        Field { number: 3, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Introduction`.
pub(crate) static CONTENT_INTRODUCTION: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Message(&IDENTITY_ENDPOINT), max: Some(4), one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: Some(4), one_of: None },
    ],
};

/// `chopmark.content.v1.Text`.
pub(crate) static CONTENT_TEXT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Receipt`.
pub(crate) static CONTENT_RECEIPT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: Some(64), one_of: None },
    ],
};

/// `chopmark.content.v1.Reaction`.
pub(crate) static CONTENT_REACTION: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Text, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Edit`.
pub(crate) static CONTENT_EDIT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Text, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Retract`.
pub(crate) static CONTENT_RETRACT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.content.v1.Custom`.
pub(crate) static CONTENT_CUSTOM: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.Unit`.
pub(crate) static PAYMENT_UNIT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.PaymentRequest`.
pub(crate) static PAYMENT_PAYMENT_REQUEST: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::U64, max: None, one_of: None },
        Field { number: 4, kind: Kind::Message(&PAYMENT_UNIT), max: None, one_of: None },
        Field { number: 5, kind: Kind::Message(&PAYMENT_LINE_ITEM), max: Some(32), one_of: None },
        Field { number: 6, kind: Kind::Text, max: None, one_of: None },
        Field { number: 7, kind: Kind::Text, max: Some(8), one_of: None },
        Field { number: 8, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 9, kind: Kind::U64, max: None, one_of: None },
        Field { number: 10, kind: Kind::U64, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.LineItem`.
pub(crate) static PAYMENT_LINE_ITEM: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
        Field { number: 3, kind: Kind::U64, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.Payment`.
pub(crate) static PAYMENT_PAYMENT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::Text, max: None, one_of: None },
        Field { number: 4, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 5, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 6, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 7, kind: Kind::U64, max: None, one_of: None },
        Field { number: 8, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.PaymentReceipt`.
pub(crate) static PAYMENT_PAYMENT_RECEIPT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.PaymentDecline`.
pub(crate) static PAYMENT_PAYMENT_DECLINE: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
        Field { number: 3, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.payment.v1.PaymentCancel`.
pub(crate) static PAYMENT_PAYMENT_CANCEL: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
    ],
};
