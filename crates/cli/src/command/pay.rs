//! `chop pay`.

use std::io::IsTerminal as _;
use std::time::Duration;

use chopmark::{
    Amount, Client, ContactInfo, Outcome, PaymentId, PaymentState, Refusal, RequestInfo,
};
use serde_json::{Value, json};

use crate::find::called;
use crate::outcome::{Done, Failure};
use crate::show::{Show, confirm, plain, short};
use crate::when::{date, span};

/// Pay a request.
#[derive(clap::Args)]
pub(crate) struct Pay {
    /// Which: the beginning of its id.
    request: String,
    /// Wait for the receipt, not only until the payment has left.
    #[arg(long)]
    wait: bool,
    /// Do not ask for confirmation at a terminal.
    #[arg(long, short)]
    yes: bool,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    timeout: Duration,
}

impl Pay {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let asked = crate::find::request(client, &self.request).await?;
        let contacts = client.contacts().await?;
        let payee = contacts.into_iter().find(|it| it.id == asked.contact).ok_or_else(|| {
            Failure::not_found("whoever sent this request is no contact of yours")
        })?;
        show.text(&bill(&asked, &payee))?;
        if !self.yes && std::io::stdin().is_terminal() && !confirm("Pay it?")? {
            return Err(Failure::failed("not paid"));
        }
        let payment = client.pay(asked.id).await?;
        let outcome = match self.wait {
            true => client.paid(payment, self.timeout).await?,
            false => on_its_way(client, payment, self.timeout).await?,
        };
        report(client, payment, &asked.request.amount, outcome, self.wait, show).await
    }
}

/// The payee, verified or not; the amount; the lines.
fn bill(asked: &RequestInfo, payee: &ContactInfo) -> String {
    let request = &asked.request;
    let name = called(payee);
    let verified = match (payee.verified, payee.confirmed) {
        (true, true) => "safety number compared",
        (true, false) => "safety number compared, session not yet confirmed",
        (false, true) => "NOT verified: safety number not compared",
        (false, false) => "NOT verified: safety number not compared, session not yet confirmed",
    };
    let mut lines = vec![format!("To      {name}  ({verified})")];
    let amount = |minor| Amount::new(minor, request.amount.unit().clone()).to_string();
    for item in &request.items {
        let price = u64::from(item.quantity).saturating_mul(item.unit_price_minor);
        lines.push(format!(
            "        {:>14}  {} x {}",
            amount(price),
            item.quantity,
            plain(&item.name)
        ));
    }
    lines.push(format!("Amount  {:>14}", request.amount.to_string()));
    if !request.memo.is_empty() {
        lines.push(format!("Memo    {}", plain(&request.memo)));
    }
    lines.push(format!("Until   {}", date(request.expires_at)));
    lines.join("\n")
}

/// Waits until the payment has left for the payee's relay, or has an outcome.
async fn on_its_way(client: &Client, payment: PaymentId, patience: Duration) -> Done<Outcome> {
    let left = async {
        loop {
            let outcome = client.outcome(payment).await?;
            let state = state(client, payment).await?;
            let here = matches!(state, None | Some(PaymentState::Locking | PaymentState::Queued));
            if !matches!(outcome, Outcome::Unknown(_))
                || !here && client.settled(Duration::from_millis(200)).await?
            {
                return Ok(outcome);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(patience, left).await {
        Ok(outcome) => outcome,
        Err(_) => Ok(client.outcome(payment).await?),
    }
}

async fn state(client: &Client, payment: PaymentId) -> Done<Option<PaymentState>> {
    let payments = client.payments().await?;
    Ok(payments.iter().find(|it| it.id.as_bytes() == payment.as_bytes()).map(|it| it.state))
}

async fn report(
    client: &Client,
    payment: PaymentId,
    amount: &Amount,
    outcome: Outcome,
    waited: bool,
    show: Show,
) -> Done {
    let state = state(client, payment).await?;
    let object = |outcome: &str, more: Value| {
        let mut object = json!({
            "payment": payment.to_string(),
            "amount": amount.to_string(),
            "outcome": outcome,
            "state": state.map(super::payments::state),
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        object
    };
    match outcome {
        Outcome::Paid(receipt) => show.one(
            || object("paid", json!({"receipt": receipt.to_text()})),
            || format!("Paid {amount}. The receipt: chop receipt show {}", short(&payment)),
        ),
        Outcome::Refused(why) => {
            let why = refusal(why);
            if show.is_json() {
                show.one(|| object("refused", json!({"why": why})), String::new)?;
            }
            Err(Failure::refused(format!("not paid: {why}; the money is here or on its way back")))
        }
        _ => {
            let left = !matches!(state, None | Some(PaymentState::Locking | PaymentState::Queued));
            if left && !waited {
                return show.one(
                    || object("unknown", json!({})),
                    || format!(
                        "{amount} is on its way. The receipt comes by `chop listen`: chop receipt show {}",
                        short(&payment)
                    ),
                );
            }
            show.one(|| object("unknown", json!({})), || "No receipt yet.".to_owned())?;
            let health = client.health();
            let why = match (health.issuer_failures > 0, health.relay_failures > 0) {
                (true, _) => "the issuer cannot be reached",
                (_, true) => "your relay cannot be reached",
                _ => "the payee has not answered",
            };
            Err(Failure::not_in_time(format!(
                "{why}: the payment is kept and goes on with the next command or `chop listen`; paying again is safe"
            )))
        }
    }
}

fn refusal(why: Refusal) -> String {
    match why {
        Refusal::Declined(reason) => format!("the payee declined it: {}", reason.as_str()),
        Refusal::Issuer => "the issuer would not lock the coins".to_owned(),
        Refusal::NotClaimed => "the payee did not claim it in time".to_owned(),
        _ => "refused".to_owned(),
    }
}
