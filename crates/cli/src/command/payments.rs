//! `chop payments`.

use chopmark::{Client, ContactId, PaymentState};
use chopmark_pay::Direction;
use serde_json::json;

use crate::find::Names;
use crate::outcome::Done;
use crate::show::{Show, plain, short};
use crate::when::date;

pub(crate) async fn run(client: &Client, show: Show) -> Done {
    let names = Names::of(client).await?;
    let rows = client.payments().await?.into_iter().map(|payment| {
        let out = payment.direction == Direction::Out;
        let peer = ContactId::from(payment.peer);
        let object = json!({
            "payment": payment.id.to_string(),
            "request": payment.request.to_string(),
            "direction": if out { "out" } else { "in" },
            "peer": peer.to_string(),
            "amount": payment.amount.to_string(),
            "minor": payment.amount.minor(),
            "unit": payment.amount.unit().code(),
            "issuer": payment.issuer.as_str(),
            "state": state(payment.state),
            "at_ms": payment.at.as_millis(),
            "receipt": payment.receipt.is_some(),
        });
        let cells = [
            short(&payment.id),
            date(payment.at),
            if out { "to" } else { "from" }.to_owned(),
            plain(&names.name(&peer)),
            payment.amount.to_string(),
            state(payment.state).to_owned(),
            if payment.receipt.is_some() { "receipt" } else { "" }.to_owned(),
        ];
        (object, cells)
    });
    let heads = ["PAYMENT", "AT", "", "WHOM", "AMOUNT", "STATE", ""];
    show.list(rows.collect(), heads, "No payments.")
}

/// A state's name.
pub(crate) const fn state(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Locking => "locking",
        PaymentState::Queued => "queued",
        PaymentState::Sent => "sent",
        PaymentState::Delivered => "delivered",
        PaymentState::Returning => "returning",
        PaymentState::Reclaiming => "reclaiming",
        PaymentState::Received => "received",
        PaymentState::Claiming => "claiming",
        PaymentState::Claimed => "claimed",
        PaymentState::Declined => "declined",
        PaymentState::Reclaimed => "reclaimed",
        PaymentState::Split => "split",
        PaymentState::Cancelled => "cancelled",
        PaymentState::Lost => "lost",
        _ => "unknown",
    }
}
