//! Entries: what one accepted step leaves in the log, and its bytes.
//!
//! SPEC §8.12 gives the layout. Decoding is the inverse of encoding and of nothing else: trailing bytes, unknown kinds
//! and lengths beyond the entry are refused.

use crate::keyset::Terms;

/// A compressed point: a `Y` or a `B_`.
pub(crate) type Point = [u8; 33];

/// A keyset id of NUT-02, version 2: `01` and a hash.
pub(crate) type KeysetId = [u8; 33];

/// Sixteen random bytes that name a quote.
pub(crate) type QuoteKey = [u8; 16];

/// One accepted step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A keyset begins; it is the active one, and those before it become inputs only.
    Keyset { id: KeysetId, terms: Terms },
    /// The treasury pays a mint quote.
    Pay { quote: QuoteKey, amount: u64, at: u64 },
    /// Coins in, signatures out.
    Exchange(Exchange),
}

/// A swap, or with a quote step a mint or a melt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Unix seconds.
    pub(crate) at: u64,
    pub(crate) quote: QuoteStep,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
}

/// What an exchange does to a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuoteStep {
    /// A swap.
    None,
    /// A mint: the paid quote is issued as outputs.
    Issue(QuoteKey),
    /// A melt: inputs leave circulation, the amount is redeemed.
    Redeem { quote: QuoteKey, amount: u64 },
}

/// A coin that is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) y: Point,
    pub(crate) keyset: u16,
    /// The amount is two to this power.
    pub(crate) power: u8,
    pub(crate) witness: Option<Box<str>>,
}

/// A blinded message that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) blinded: Point,
    pub(crate) keyset: u16,
    pub(crate) power: u8,
}

/// These bytes are not an entry.
#[derive(Debug, thiserror::Error)]
#[error("entry is malformed")]
pub(crate) struct Malformed;

impl Entry {
    /// Appends the entry's bytes.
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Self::Keyset { id, terms } => {
                to.push(KEYSET);
                to.extend_from_slice(id);
                variable(to, terms.unit.as_bytes());
                to.push(terms.exponent);
                to.extend_from_slice(&terms.fee_ppk.to_be_bytes());
                to.extend_from_slice(&terms.final_expiry.unwrap_or(0).to_be_bytes());
            }
            Self::Pay { quote, amount, at } => {
                to.push(PAY);
                to.extend_from_slice(quote);
                to.extend_from_slice(&amount.to_be_bytes());
                to.extend_from_slice(&at.to_be_bytes());
            }
            Self::Exchange(exchange) => exchange.encode(to),
        }
    }

    /// Reads all entries of a frame.
    pub(crate) fn decode_all(mut bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            entries.push(Self::decode(&mut bytes)?);
        }
        Ok(entries)
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let [kind] = fixed(from)?;
        Ok(match kind {
            KEYSET => {
                let id = fixed(from)?;
                let unit = text(from)?;
                let [exponent] = fixed(from)?;
                let fee_ppk = u32::from_be_bytes(fixed(from)?);
                let final_expiry = Some(u64::from_be_bytes(fixed(from)?)).filter(|&at| at != 0);
                let terms = Terms { unit: unit.into(), exponent, fee_ppk, final_expiry };
                Self::Keyset { id, terms }
            }
            PAY => Self::Pay {
                quote: fixed(from)?,
                amount: u64::from_be_bytes(fixed(from)?),
                at: u64::from_be_bytes(fixed(from)?),
            },
            SWAP => Self::Exchange(Exchange::decode(QuoteStep::None, from)?),
            MINT => {
                let quote = QuoteStep::Issue(fixed(from)?);
                Self::Exchange(Exchange::decode(quote, from)?)
            }
            MELT => {
                let quote = QuoteStep::Redeem {
                    quote: fixed(from)?,
                    amount: u64::from_be_bytes(fixed(from)?),
                };
                Self::Exchange(Exchange::decode(quote, from)?)
            }
            _ => return Err(Malformed),
        })
    }
}

impl Exchange {
    fn encode(&self, to: &mut Vec<u8>) {
        match &self.quote {
            QuoteStep::None => to.push(SWAP),
            QuoteStep::Issue(quote) => {
                to.push(MINT);
                to.extend_from_slice(quote);
            }
            QuoteStep::Redeem { quote, amount } => {
                to.push(MELT);
                to.extend_from_slice(quote);
                to.extend_from_slice(&amount.to_be_bytes());
            }
        }
        to.extend_from_slice(&self.at.to_be_bytes());
        to.extend_from_slice(&length(self.inputs.len()));
        to.extend_from_slice(&length(self.outputs.len()));
        for input in &self.inputs {
            to.extend_from_slice(&input.y);
            to.extend_from_slice(&input.keyset.to_be_bytes());
            to.push(input.power);
            variable(to, input.witness.as_deref().unwrap_or_default().as_bytes());
        }
        for output in &self.outputs {
            to.extend_from_slice(&output.blinded);
            to.extend_from_slice(&output.keyset.to_be_bytes());
            to.push(output.power);
        }
    }

    fn decode(quote: QuoteStep, from: &mut &[u8]) -> Result<Self, Malformed> {
        let at = u64::from_be_bytes(fixed(from)?);
        let inputs = u16::from_be_bytes(fixed(from)?);
        let outputs = u16::from_be_bytes(fixed(from)?);
        let inputs = (0..inputs)
            .map(|_| {
                let y = fixed(from)?;
                let keyset = u16::from_be_bytes(fixed(from)?);
                let [power] = fixed(from)?;
                let witness = Some(text(from)?).filter(|witness| !witness.is_empty());
                Ok(Input { y, keyset, power, witness: witness.map(Into::into) })
            })
            .collect::<Result<_, _>>()?;
        let outputs = (0..outputs)
            .map(|_| {
                let blinded = fixed(from)?;
                let keyset = u16::from_be_bytes(fixed(from)?);
                let [power] = fixed(from)?;
                Ok(Output { blinded, keyset, power })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { at, quote, inputs, outputs })
    }
}

/// A length that the issuer's limits keep within 16 bits; what is beyond would not decode, and does not get here.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn variable(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&length(bytes.len()));
    to.extend_from_slice(bytes);
}

fn fixed<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, rest) = from.split_first_chunk().ok_or(Malformed)?;
    *from = rest;
    Ok(*first)
}

fn text<'a>(from: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    let length = u16::from_be_bytes(fixed(from)?);
    let (text, rest) = from.split_at_checked(length.into()).ok_or(Malformed)?;
    *from = rest;
    str::from_utf8(text).map_err(|_| Malformed)
}

const KEYSET: u8 = 1;
const PAY: u8 = 2;
const SWAP: u8 = 3;
const MINT: u8 = 4;
const MELT: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let exchange = |quote| {
            Entry::Exchange(Exchange {
                at: 9,
                quote,
                inputs: vec![
                    Input { y: [2; 33], keyset: 1, power: 3, witness: None },
                    Input { y: [3; 33], keyset: 0, power: 39, witness: Some("{}".into()) },
                ],
                outputs: vec![Output { blinded: [2; 33], keyset: 1, power: 0 }],
            })
        };
        vec![
            Entry::Keyset {
                id: [1; 33],
                terms: Terms {
                    unit: "chop".to_owned(),
                    exponent: 2,
                    fee_ppk: 100,
                    final_expiry: Some(7),
                },
            },
            Entry::Pay { quote: [1; 16], amount: 5, at: 6 },
            exchange(QuoteStep::None),
            exchange(QuoteStep::Issue([4; 16])),
            exchange(QuoteStep::Redeem { quote: [5; 16], amount: 77 }),
        ]
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let mut bytes = Vec::new();
        entries().iter().for_each(|entry| entry.encode(&mut bytes));
        assert_eq!(Entry::decode_all(&bytes).unwrap(), entries());
    }

    #[test]
    fn a_truncated_entry_is_refused() {
        for entry in entries() {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            for end in 1..bytes.len() {
                assert!(Entry::decode_all(&bytes[..end]).is_err(), "{entry:?} cut at {end}");
            }
        }
    }
}
