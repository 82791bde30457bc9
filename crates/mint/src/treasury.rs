//! The treasury: coins into circulation, and the books in numbers.
//!
//! What it issues is derived from the seed and an id that the operator's command draws, so asking again under the same
//! id gives the same token and issues nothing more. SPEC §8.13.

use crate::issuer::Issuer;
use crate::keyset::{MasterSeed, unit};
use crate::ledger::books::{Books, Supply};
use crate::ledger::entry::{Exchange, Output, QuoteKey, QuoteStep};
use crate::quote::Purpose;
use crate::refusal::Refusal;
use cashu::{MintUrl, PublicKey, SecretKey, Token, dhke, secret::Secret, util::hex};
use chopmark_core::{hash, label, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the operator asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// A token of this amount, in decimal. The id makes asking again harmless.
    Issue { id: String, amount: String },
    /// Pay a wallet's mint quote of this amount.
    Pay { quote: String, amount: String },
    /// The books in numbers.
    Report,
}

/// What the operator gets.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Coins for whoever reads them first.
    Issued { token: String, amount: u64, unit: String },
    /// The wallet can mint now.
    Paid { amount: u64, unit: String },
    /// The supply, with the unit it is counted in.
    Report { unit: String, exponent: u8, supply: Supply },
}

/// The coins of one order, before they are signed.
struct Blanks {
    outputs: Vec<Output>,
    points: Vec<PublicKey>,
    secrets: Vec<Secret>,
    blinds: Vec<SecretKey>,
}

impl Issuer {
    /// Carries out an order. `url` is what the token says of this issuer.
    pub(crate) async fn order(
        &self,
        order: Order,
        seed: &MasterSeed,
        url: &str,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        let (number, active) = self.keys.active().ok_or(Refusal::Broken)?;
        let terms = active.terms.clone();
        let minor = |amount: &str| parse_amount(amount, terms.exponent).ok_or(Refusal::Amount);
        match order {
            Order::Report => {
                let supply = self.ledger.settle(|books| books.supply(), |supply| supply).await?;
                Ok(Answer::Report { unit: terms.unit, exponent: terms.exponent, supply })
            }
            Order::Pay { quote, amount } => {
                let amount = minor(&amount)?;
                let quote = self.quotes.read(&quote).ok_or(Refusal::UnknownQuote)?;
                if !matches!(quote.purpose, Purpose::Mint(_)) {
                    return Err(Refusal::UnknownQuote);
                }
                if quote.amount != amount {
                    return Err(Refusal::Amount);
                }
                let at = now.as_secs();
                self.ledger
                    .settle(move |books| books.pay(quote.key, amount, at), |paid| paid)
                    .await??;
                Ok(Answer::Paid { amount, unit: terms.unit })
            }
            Order::Issue { id, amount } => {
                let amount = minor(&amount)?;
                let key = hash::sha256(label::ISSUER_TREASURY, &[id.as_bytes()]);
                let key = *key.first_chunk().ok_or(Refusal::Broken)?;
                let blanks = Blanks::derive(seed, number, &id, amount).ok_or(Refusal::Amount)?;
                let token = self.issue(key, amount, blanks, url, now).await?;
                Ok(Answer::Issued { token, amount, unit: terms.unit })
            }
        }
    }

    /// Pays and issues in one batch: both are durable, or neither.
    async fn issue(
        &self,
        key: QuoteKey,
        amount: u64,
        blanks: Blanks,
        url: &str,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let at = now.as_secs();
        let quote = QuoteStep::Issue(key);
        let exchange = Exchange { at, quote, inputs: Vec::new(), outputs: blanks.outputs.clone() };
        let decide = move |books: &mut Books| {
            books.pay(key, amount, at)?;
            books.exchange(exchange)
        };
        let keys = Arc::clone(&self.keys);
        let url: MintUrl = url.parse().map_err(|_| Refusal::Broken)?;
        let token = move |decision: Result<_, _>| {
            decision.map_err(Refusal::Books)?;
            let signatures = blanks
                .outputs
                .iter()
                .zip(&blanks.points)
                .map(|(output, point)| keys.sign(*output, point))
                .collect::<Result<Vec<_>, _>>()?;
            let (_, active) = keys.active().ok_or(Refusal::Broken)?;
            let public = active.announce(true).keys;
            let proofs = dhke::construct_proofs(signatures, blanks.blinds, blanks.secrets, &public)
                .map_err(|_| Refusal::Broken)?;
            Ok(Token::new(url, proofs, None, unit(&active.terms)).to_string())
        };
        self.ledger.settle(decide, token).await?
    }
}

impl Blanks {
    /// One coin per bit of the amount, each from the seed, the id and its place. `None` beyond a keyset's amounts.
    fn derive(seed: &MasterSeed, keyset: u16, id: &str, amount: u64) -> Option<Self> {
        let largest = 1u64.checked_shl(crate::keyset::AMOUNTS.into())?;
        if amount == 0 || amount >= largest {
            return None;
        }
        let mut blanks = Self {
            outputs: Vec::new(),
            points: Vec::new(),
            secrets: Vec::new(),
            blinds: Vec::new(),
        };
        for power in (0..crate::keyset::AMOUNTS).filter(|power| amount >> power & 1 == 1) {
            let place = hash::sha256(label::ISSUER_TREASURY, &[id.as_bytes(), &[power]]);
            let secret = seed.derive(label::ISSUER_TREASURY, &[&place, b"secret"]);
            let secret = Secret::new(hex::encode(secret.as_slice()));
            let blind = seed.scalar(label::ISSUER_TREASURY, &place)?;
            let (point, blind) = dhke::blind_message(secret.as_bytes(), Some(blind)).ok()?;
            blanks.outputs.push(Output { blinded: point.to_bytes(), keyset, power });
            blanks.points.push(point);
            blanks.secrets.push(secret);
            blanks.blinds.push(blind);
        }
        Some(blanks)
    }
}

/// `12.50` with two decimals is 1250. Fewer decimals may be written, not more; no sign, no exponent, no spaces.
pub(crate) fn parse_amount(text: &str, exponent: u8) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    let places = usize::from(exponent);
    if whole.is_empty()
        || !digits(whole)
        || !digits(decimals)
        || decimals.len() > places
        || (decimals.is_empty() && text.contains('.'))
    {
        return None;
    }
    format!("{whole}{decimals:0<places$}").parse().ok()
}

/// 1250 with two decimals is `12.50`.
pub(crate) fn show_amount(minor: u64, exponent: u8) -> String {
    let places = usize::from(exponent);
    let digits = format!("{minor:0>width$}", width = places + 1);
    match digits.split_at_checked(digits.len() - places) {
        Some((whole, decimals)) if places > 0 => format!("{whole}.{decimals}"),
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_exactly() {
        for (text, minor) in [("12.50", 1250), ("12.5", 1250), ("12", 1200), ("0.01", 1)] {
            assert_eq!(parse_amount(text, 2), Some(minor));
        }
        for wrong in
            ["", ".5", "1.", "1.234", "-1", "+1", "1e2", " 1", "1,5", "99999999999999999999"]
        {
            assert_eq!(parse_amount(wrong, 2), None, "{wrong}");
        }
        assert_eq!(show_amount(1250, 2), "12.50");
        assert_eq!(show_amount(5, 2), "0.05");
        assert_eq!(show_amount(5, 0), "5");
    }
}
