//! Generated from `proto/` by `cargo xtask codegen`. Do not edit.

use crate::strict::{Field, Kind, Shape};

/// `chopmark.identity.v1.Endpoint`.
pub(crate) static IDENTITY_ENDPOINT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Text, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::U32, max: None, one_of: None },
        Field { number: 4, kind: Kind::U32, max: None, one_of: None },
        Field { number: 5, kind: Kind::Bytes, max: None, one_of: None },
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

/// `chopmark.relay.v1.FromClient`.
pub(crate) static RELAY_FROM_CLIENT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U64, max: None, one_of: None },
        Field { number: 2, kind: Kind::Message(&RELAY_AUTH), max: None, one_of: Some(0) },
        Field { number: 3, kind: Kind::Message(&RELAY_CREATE), max: None, one_of: Some(0) },
        Field { number: 4, kind: Kind::Message(&RELAY_GRANT), max: None, one_of: Some(0) },
        Field { number: 5, kind: Kind::Message(&RELAY_REVOKE), max: None, one_of: Some(0) },
        Field { number: 6, kind: Kind::Message(&RELAY_PUBLISH), max: None, one_of: Some(0) },
        Field { number: 7, kind: Kind::Message(&RELAY_SUBSCRIBE), max: None, one_of: Some(0) },
        Field { number: 8, kind: Kind::Message(&RELAY_ACK), max: None, one_of: Some(0) },
        Field { number: 9, kind: Kind::Message(&RELAY_DELETE), max: None, one_of: Some(0) },
        Field { number: 10, kind: Kind::Message(&RELAY_DEPOSIT), max: None, one_of: Some(0) },
        Field { number: 11, kind: Kind::Message(&RELAY_PROBE), max: None, one_of: Some(0) },
        Field { number: 12, kind: Kind::Message(&RELAY_FETCH), max: None, one_of: Some(0) },
        Field { number: 20, kind: Kind::Message(&RELAY_RESERVED), max: None, one_of: Some(0) },
        Field { number: 21, kind: Kind::Message(&RELAY_RESERVED), max: None, one_of: Some(0) },
        Field { number: 22, kind: Kind::Message(&RELAY_RESERVED), max: None, one_of: Some(0) },
        Field { number: 23, kind: Kind::Message(&RELAY_RESERVED), max: None, one_of: Some(0) },
        Field { number: 24, kind: Kind::Message(&RELAY_RESERVED), max: None, one_of: Some(0) },
    ],
};

/// `chopmark.relay.v1.FromRelay`.
pub(crate) static RELAY_FROM_RELAY: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U64, max: None, one_of: None },
        Field { number: 2, kind: Kind::Message(&RELAY_INFO), max: None, one_of: Some(0) },
        Field { number: 3, kind: Kind::Message(&RELAY_DONE), max: None, one_of: Some(0) },
        Field { number: 4, kind: Kind::Message(&RELAY_REFUSED), max: None, one_of: Some(0) },
        Field { number: 5, kind: Kind::Message(&RELAY_STORED), max: None, one_of: Some(0) },
        Field { number: 6, kind: Kind::Message(&RELAY_SUBSCRIBED), max: None, one_of: Some(0) },
        Field { number: 7, kind: Kind::Message(&RELAY_DELIVER), max: None, one_of: Some(0) },
        Field { number: 8, kind: Kind::Message(&RELAY_FETCHED), max: None, one_of: Some(0) },
        Field { number: 9, kind: Kind::Message(&RELAY_ENDED), max: None, one_of: Some(0) },
        Field { number: 10, kind: Kind::Message(&RELAY_GO_AWAY), max: None, one_of: Some(0) },
    ],
};

/// `chopmark.relay.v1.Reserved`.
pub(crate) static RELAY_RESERVED: Shape = Shape {
    fields: &[
    ],
};

/// `chopmark.relay.v1.Info`.
pub(crate) static RELAY_INFO: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Auth`.
pub(crate) static RELAY_AUTH: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Create`.
pub(crate) static RELAY_CREATE: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Grant`.
pub(crate) static RELAY_GRANT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::U32, max: None, one_of: None },
        Field { number: 4, kind: Kind::U64, max: None, one_of: None },
        Field { number: 5, kind: Kind::U32, max: None, one_of: None },
        Field { number: 6, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Revoke`.
pub(crate) static RELAY_REVOKE: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Publish`.
pub(crate) static RELAY_PUBLISH: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
        Field { number: 3, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 4, kind: Kind::Bytes, max: Some(32), one_of: None },
        Field { number: 5, kind: Kind::Bool, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Subscribe`.
pub(crate) static RELAY_SUBSCRIBE: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U64, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Ack`.
pub(crate) static RELAY_ACK: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::PackedU64, max: Some(64), one_of: None },
    ],
};

/// `chopmark.relay.v1.Delete`.
pub(crate) static RELAY_DELETE: Shape = Shape {
    fields: &[
    ],
};

/// `chopmark.relay.v1.Deposit`.
pub(crate) static RELAY_DEPOSIT: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
        Field { number: 3, kind: Kind::U32, max: None, one_of: None },
        Field { number: 4, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Probe`.
pub(crate) static RELAY_PROBE: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Fetch`.
pub(crate) static RELAY_FETCH: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Done`.
pub(crate) static RELAY_DONE: Shape = Shape {
    fields: &[
    ],
};

/// `chopmark.relay.v1.Refused`.
pub(crate) static RELAY_REFUSED: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
        Field { number: 2, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Stored`.
pub(crate) static RELAY_STORED: Shape = Shape {
    fields: &[
    ],
};

/// `chopmark.relay.v1.Subscribed`.
pub(crate) static RELAY_SUBSCRIBED: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::U64, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Deliver`.
pub(crate) static RELAY_DELIVER: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U64, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 3, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Fetched`.
pub(crate) static RELAY_FETCHED: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::Bytes, max: None, one_of: None },
        Field { number: 2, kind: Kind::Bytes, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.Ended`.
pub(crate) static RELAY_ENDED: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
    ],
};

/// `chopmark.relay.v1.GoAway`.
pub(crate) static RELAY_GO_AWAY: Shape = Shape {
    fields: &[
        Field { number: 1, kind: Kind::U32, max: None, one_of: None },
    ],
};
