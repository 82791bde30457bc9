//! `chop receipt show` and `chop receipt verify`.

use bytes::Bytes;
use chopmark::{Client, ContactId};
use chopmark_core::signature::VerifyingKey;
use chopmark_wire::payment::{PaymentReceipt, ReceiptStatement, Stage};
use serde_json::{Value, json};

use super::listen::hex;
use crate::find::Names;
use crate::outcome::{Done, Failure};
use crate::show::{Show, plain};
use crate::when::date;

/// Show or verify a receipt.
#[derive(clap::Args)]
pub(crate) struct Receipt {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show the receipt of a payment, and the key with which anyone can verify it.
    Show {
        /// Which: the beginning of the payment's or the request's id.
        payment: String,
    },
    /// Verify a receipt. Nobody is asked: with --key not even a home is needed.
    Verify {
        /// The receipt, or `-` to read it from standard input.
        receipt: String,
        /// Who must have signed it: your name for them. Default: the payee that it names.
        #[arg(long, value_name = "NAME", conflicts_with = "key")]
        payee: Option<String>,
        /// The key that must have signed it: 64 hexadecimal digits, as `receipt show` prints it.
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
}

impl Receipt {
    /// A receipt is verified with a key alone.
    pub(crate) const fn needs_no_home(&self) -> bool {
        matches!(self.action, Action::Verify { key: Some(_), .. })
    }

    pub(crate) fn run_alone(self, show: Show) -> Done {
        match self.action {
            Action::Verify { receipt, key: Some(key), .. } => {
                let key: [u8; 32] = *key
                    .parse::<ContactId>()
                    .map_err(|_| Failure::usage("a key is 64 hexadecimal digits"))?
                    .as_bytes();
                verify(&super::argument(receipt)?, &key, |id| id.to_string(), show)
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let names = Names::of(client).await?;
        let own = client.id().await?;
        let name = |id: &ContactId| match *id == own {
            true => "you".to_owned(),
            false => names.name(id),
        };
        match self.action {
            Action::Show { payment } => {
                let view = crate::find::payment(client, &payment).await?;
                let bytes = view.receipt.ok_or_else(|| {
                    Failure::not_found(
                        "this payment has no receipt yet: `chop payments` shows how far it is",
                    )
                })?;
                let receipt = read(&bytes)?;
                let key = client.receipt_key(receipt.claims().payee.into()).await?;
                let text = receipt.to_text();
                let statement = receipt.claims();
                show.one(
                    || object(statement, json!({"receipt": text, "key": hex(&key)})),
                    || {
                        let lines = lines(statement, name);
                        format!("{lines}\nKey      {}\n\n{text}", hex(&key))
                    },
                )
            }
            Action::Verify { receipt, payee, key: _ } => {
                let text = super::argument(receipt)?;
                let payee = match payee {
                    Some(payee) => crate::find::contact(client, &payee).await?.id,
                    None => parse(&text)?.claims().payee.into(),
                };
                let key = client.receipt_key(payee).await.map_err(|_| {
                    Failure::not_found(
                        "the payee of this receipt is no contact of yours: give the key with --key",
                    )
                })?;
                verify(&text, &key, name, show)
            }
        }
    }
}

fn read(bytes: &Bytes) -> Done<PaymentReceipt> {
    PaymentReceipt::decode(bytes).map_err(|error| Failure::failed(error.to_string()))
}

fn parse(text: &str) -> Done<PaymentReceipt> {
    PaymentReceipt::from_text(text).map_err(|_| {
        Failure::usage("this is not a receipt: it begins with chopreceipt1; copy it whole")
    })
}

fn verify(text: &str, key: &[u8; 32], name: impl Fn(&ContactId) -> String, show: Show) -> Done {
    let receipt = parse(text)?;
    let key = VerifyingKey::parse(key).map_err(|_| Failure::usage("this is not a key"))?;
    let verified = chopmark_pay::verify_receipt(&receipt.encode(), &key);
    match verified {
        Ok(statement) => show.one(
            || object(&statement, json!({"verified": true})),
            || format!("The receipt is genuine.\n{}", lines(&statement, name)),
        ),
        Err(_) => {
            if show.is_json() {
                show.one(|| json!({"verified": false}), String::new)?;
            }
            Err(Failure::refused("the receipt is NOT signed by this payee: do not believe it"))
        }
    }
}

fn lines(statement: &ReceiptStatement, name: impl Fn(&ContactId) -> String) -> String {
    let stage = match statement.stage {
        Stage::Accepted => "accepted",
        Stage::Settled => "settled",
    };
    format!(
        "Paid     {}\nTo       {}\nFrom     {}\nAt       {}\nStage    {stage}\nPayment  {}\nRequest  {}\nIssuer   {}",
        statement.amount,
        plain(&name(&statement.payee.into())),
        plain(&name(&statement.payer.into())),
        date(statement.at),
        statement.payment,
        statement.request,
        statement.issuer,
    )
}

fn object(statement: &ReceiptStatement, more: Value) -> Value {
    let mut object = json!({
        "stage": match statement.stage {
            Stage::Accepted => "accepted",
            Stage::Settled => "settled",
        },
        "payment": statement.payment.to_string(),
        "request": statement.request.to_string(),
        "payee": hex(&statement.payee),
        "payer": hex(&statement.payer),
        "amount": statement.amount.to_string(),
        "minor": statement.amount.minor(),
        "unit": statement.amount.unit().code(),
        "issuer": statement.issuer.as_str(),
        "at_ms": statement.at.as_millis(),
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
