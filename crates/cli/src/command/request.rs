//! `chop request`.

use std::time::Duration;

use chopmark::{Amount, Bill, Client, LineItem, Unit};
use serde_json::json;

use crate::find::called;
use crate::outcome::{Done, Failure};
use crate::show::{Show, plain, short};
use crate::when::{now, span};

/// Ask a contact for money.
#[derive(clap::Args)]
pub(crate) struct Request {
    /// Whom: your name for them, or the beginning of the id.
    from: String,
    /// How much, such as 12.50; not needed where the lines of the bill say it.
    #[arg(conflicts_with = "item", required_unless_present = "item")]
    amount: Option<String>,
    /// A line of the bill, such as "2 x 4.00 Coffee" or "4.50 Cake"; once for each line.
    #[arg(long, value_name = "LINE")]
    item: Vec<String>,
    /// A word to the payer.
    #[arg(long, value_name = "TEXT", default_value = "")]
    memo: String,
    /// For how long it may be paid.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    expires: Duration,
    /// The unit, if your issuers have several.
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// How long to wait until the relay has it.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    timeout: Duration,
}

impl Request {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let from = crate::find::contact(client, &self.from).await?;
        let unit = unit(client, self.unit.as_deref()).await?;
        let (items, amount) = match &self.amount {
            Some(amount) => (Vec::new(), parse(amount, &unit)?),
            None => bill(&self.item, &unit)?,
        };
        let shown = amount.to_string();
        let bill = Bill {
            amount,
            items,
            memo: self.memo,
            expires_at: now().saturating_add(self.expires),
            payer: Some(*from.id.as_bytes()),
        };
        let id = client.request(from.id, bill).await?;
        let stored = client.settled(self.timeout).await?;
        show.one(
            || json!({"request": id.to_string(), "from": from.id.to_string(), "amount": shown, "stored": stored}),
            || format!("Asked {} for {shown}: request {}", called(&from), short(&id)),
        )?;
        match stored {
            true => Ok(()),
            false => Err(Failure::not_in_time(
                "the relay could not be reached in time: the request is kept and leaves with the next command or `chop listen`",
            )),
        }
    }
}

async fn unit(client: &Client, code: Option<&str>) -> Done<Unit> {
    let mut units = client.units().await?;
    units.sort();
    units.dedup();
    let mut found = units.into_iter().filter(|unit| code.is_none_or(|code| unit.code() == code));
    match (found.next(), found.next()) {
        (Some(unit), None) => Ok(unit),
        (Some(_), Some(_)) => {
            Err(Failure::usage("your issuers have several units: choose one with --unit CODE"))
        }
        (None, _) => Err(Failure::usage(
            "this home has no issuer of that unit: `chop init --issuer URL` names one",
        )),
    }
}

fn parse(text: &str, unit: &Unit) -> Done<Amount> {
    let amount = Amount::parse(text, unit)
        .map_err(|error| Failure::usage(format!("{}: {error}; 12.50 is one", plain(text))))?;
    match amount.minor() {
        0 => Err(Failure::usage("an amount is more than nothing")),
        _ => Ok(amount),
    }
}

/// The lines and their sum.
fn bill(lines: &[String], unit: &Unit) -> Done<(Vec<LineItem>, Amount)> {
    let mut items = Vec::new();
    let mut sum = Amount::new(0, unit.clone());
    for line in lines {
        let item = item(line, unit)?;
        let price = u64::from(item.quantity).checked_mul(item.unit_price_minor);
        sum = price
            .and_then(|price| sum.checked_add(&Amount::new(price, unit.clone())).ok())
            .ok_or_else(|| Failure::usage("the lines sum to more than there can be"))?;
        items.push(item);
    }
    Ok((items, sum))
}

/// `2 x 4.00 Coffee`, or `4.50 Cake` for one.
fn item(line: &str, unit: &Unit) -> Done<LineItem> {
    let bad = || {
        Failure::usage(format!(
            "{} is no line of a bill; it looks like \"2 x 4.00 Coffee\" or \"4.50 Cake\"",
            plain(line)
        ))
    };
    let line = line.trim();
    let (quantity, rest) = match line.split_once(" x ") {
        Some((quantity, rest)) if quantity.bytes().all(|byte| byte.is_ascii_digit()) => {
            (quantity.parse().map_err(|_| bad())?, rest)
        }
        _ => (1, line),
    };
    let (price, name) = rest.trim().split_once(' ').ok_or_else(bad)?;
    let name = name.trim();
    if quantity == 0 || name.is_empty() {
        return Err(bad());
    }
    let unit_price_minor = parse(price, unit)?.minor();
    Ok(LineItem { name: name.to_owned(), quantity, unit_price_minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chop() -> Unit {
        Unit::new("chop", 2).unwrap()
    }

    #[test]
    fn a_bill_sums_its_lines() {
        let lines = ["2 x 4.00 Coffee".to_owned(), "4.50 Apple x large".to_owned()];
        let (items, sum) = bill(&lines, &chop()).unwrap();
        assert_eq!(sum.to_string(), "12.50 chop");
        assert_eq!((items[0].quantity, items[0].name.as_str()), (2, "Coffee"));
        assert_eq!((items[1].quantity, items[1].name.as_str()), (1, "Apple x large"));
    }

    #[test]
    fn a_line_that_is_none_says_what_one_looks_like() {
        for bad in ["", "Coffee", "4.00", "0 x 4.00 Coffee", "2 x Coffee", "x", "1 x 0.001 Dust"] {
            assert!(bill(&[bad.to_owned()], &chop()).is_err(), "{bad}");
        }
        let most = "4294967295 x 184467440737095516.15 All".to_owned();
        assert!(bill(&[most], &chop()).is_err());
    }
}
