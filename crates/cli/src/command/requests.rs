//! `chop requests`.

use chopmark::{Client, RequestInfo};
use chopmark_pay::{Direction, PaymentView};
use serde_json::{Value, json};

use crate::find::Names;
use crate::outcome::Done;
use crate::show::{Show, plain, short};
use crate::when::{date, now};

pub(crate) async fn run(client: &Client, show: Show) -> Done {
    let names = Names::of(client).await?;
    let payments = client.payments().await?;
    let rows = client.requests().await?.into_iter().map(|asked| {
        let state = state(&asked, &payments);
        let object = object(&asked, state);
        let request = &asked.request;
        let cells = [
            short(&asked.id),
            plain(&names.name(&asked.contact)),
            request.amount.to_string(),
            state.to_owned(),
            date(request.expires_at),
            plain(&request.memo),
        ];
        (object, cells)
    });
    let heads = ["REQUEST", "FROM", "AMOUNT", "STATE", "UNTIL", "MEMO"];
    show.list(rows.collect(), heads, "Nobody asks you for money.")
}

/// What became of a request so far.
fn state(asked: &RequestInfo, payments: &[PaymentView]) -> &'static str {
    let paid = payments
        .iter()
        .find(|it| it.direction == Direction::Out && it.request.as_bytes() == asked.id.as_bytes());
    match paid {
        Some(payment) => super::payments::state(payment.state),
        None if asked.cancelled => "cancelled",
        None if !asked.confirmed => "not confirmed",
        None if asked.request.expires_at < now() => "expired",
        None => "open",
    }
}

fn object(asked: &RequestInfo, state: &str) -> Value {
    let request = &asked.request;
    let items: Vec<_> = request
        .items
        .iter()
        .map(|item| {
            json!({"name": item.name, "quantity": item.quantity, "unit_price_minor": item.unit_price_minor})
        })
        .collect();
    json!({
        "request": asked.id.to_string(),
        "from": asked.contact.to_string(),
        "amount": request.amount.to_string(),
        "minor": request.amount.minor(),
        "unit": request.amount.unit().code(),
        "items": items,
        "memo": request.memo,
        "expires_at_ms": request.expires_at.as_millis(),
        "state": state,
    })
}
