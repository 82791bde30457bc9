//! An issuer's keysets, believed only when their id follows from their keys (NUT-02).

use std::collections::BTreeMap;

use cashu::PublicKey;
use chopmark_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Records, RecordsError,
    nut::{KeysOf, Keysets},
    records::{self, Kind},
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keyset {
    pub(crate) id: Vec<u8>,
    pub(crate) unit: String,
    pub(crate) active: bool,
    pub(crate) fee_ppk: u64,
    pub(crate) expiry: Option<u64>,
    /// Amounts are powers of two. Empty until fetched.
    pub(crate) keys: BTreeMap<u64, String>,
}

/// A thousandth of a minor unit for each input: whoever asks for more is not paid with.
const FEE_PPK_MAX: u64 = 1_000;
const KEYSETS_MAX: usize = 256;

impl Keyset {
    pub(crate) fn key(&self, amount: u64) -> Option<PublicKey> {
        PublicKey::from_hex(self.keys.get(&amount)?).ok()
    }

    fn usable(&self, unit: &str, until: Option<u64>) -> bool {
        self.active
            && self.unit == unit
            && self.fee_ppk <= FEE_PPK_MAX
            && match (until, self.expiry) {
                (Some(until), Some(expiry)) => expiry >= until,
                _ => true,
            }
    }
}

pub(crate) fn record_key(issuer: &str, id: &[u8]) -> Vec<u8> {
    [issuer.as_bytes(), &[0], id].concat()
}

pub(crate) fn load(
    records: &impl Records,
    issuer: &str,
    id: &[u8],
) -> Result<Option<Keyset>, RecordsError> {
    records::get(records, Kind::Keyset, &record_key(issuer, id))
}

pub(crate) fn all(records: &impl Records, issuer: &str) -> Result<Vec<Keyset>, RecordsError> {
    let found = records::all(records, Kind::Keyset, &record_key(issuer, &[]))?;
    Ok(found.into_iter().map(|(_, keyset)| keyset).collect())
}

/// The cheapest keyset that makes coins now, and lives until `until`. Its keys may not be there yet.
pub(crate) fn active(
    records: &impl Records,
    issuer: &str,
    unit: &str,
    until: Option<u64>,
) -> Result<Option<Keyset>, RecordsError> {
    let mut found = all(records, issuer)?;
    found.retain(|keyset| keyset.usable(unit, until));
    Ok(found.into_iter().min_by_key(|keyset| (keyset.fee_ppk, keyset.id.clone())))
}

/// The one keyset whose id begins with `prefix`: tokens shorten ids (NUT-00).
pub(crate) fn find(
    records: &impl Records,
    issuer: &str,
    prefix: &[u8],
) -> Result<Option<Keyset>, RecordsError> {
    let mut found = all(records, issuer)?;
    found.retain(|keyset| prefix.len() >= 8 && keyset.id.starts_with(prefix));
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// Takes in the list of keysets. A fee or expiry never changes under an id that was believed.
pub(crate) fn learn(
    records: &mut impl Records,
    issuer: &str,
    list: &Keysets,
) -> Result<(), RecordsError> {
    for mut known in all(records, issuer)? {
        known.active = false;
        records::put(records, Kind::Keyset, &record_key(issuer, &known.id), &known)?;
    }
    for info in list.keysets.iter().take(KEYSETS_MAX) {
        let id = match data_encoding::HEXLOWER.decode(info.id.as_bytes()) {
            Ok(id) if matches!((id.first(), id.len()), (Some(0), 8) | (Some(1), 33)) => id,
            _ => continue,
        };
        let mut keyset = load(records, issuer, &id)?.unwrap_or_else(|| Keyset {
            id: id.clone(),
            unit: info.unit.clone(),
            active: false,
            fee_ppk: info.input_fee_ppk.unwrap_or(0),
            expiry: info.final_expiry,
            keys: BTreeMap::new(),
        });
        keyset.active = info.active;
        if keyset.keys.is_empty() || id.first() == Some(&0) {
            keyset.fee_ppk = info.input_fee_ppk.unwrap_or(0);
            keyset.expiry = info.final_expiry;
        }
        records::put(records, Kind::Keyset, &record_key(issuer, &id), &keyset)?;
    }
    Ok(())
}

/// Takes in the keys of one keyset if its id follows from them (SPEC §8.5 `[keyset-id-checked]`).
pub(crate) fn learn_keys(
    records: &mut impl Records,
    issuer: &str,
    id: &[u8],
    keys: &KeysOf,
) -> Result<bool, RecordsError> {
    let Some(mut keyset) = load(records, issuer, id)? else { return Ok(false) };
    let mut parsed = BTreeMap::new();
    for (amount, key) in &keys.keys {
        let (Ok(amount), Ok(point)) = (amount.parse::<u64>(), PublicKey::from_hex(key)) else {
            return Ok(false);
        };
        parsed.insert(amount, point.to_hex());
    }
    if parsed.is_empty() || id_of(&keyset, &parsed) != id {
        return Ok(false);
    }
    keyset.keys = parsed;
    records::put(records, Kind::Keyset, &record_key(issuer, id), &keyset)?;
    Ok(true)
}

/// The id that follows from the keys (NUT-02), in the version of the id it is compared with.
fn id_of(keyset: &Keyset, keys: &BTreeMap<u64, String>) -> Vec<u8> {
    if keyset.id.first() == Some(&0) {
        let points =
            keys.values().filter_map(|key| crate::hex::decode::<33>(key)).collect::<Vec<_>>();
        let hash = crate::hash::sha256(&points.concat());
        return [&[0], hash.get(..7).unwrap_or_default()].concat();
    }
    let list: Vec<_> = keys.iter().map(|(amount, key)| format!("{amount}:{key}")).collect();
    let mut text = format!("{}|unit:{}", list.join(","), keyset.unit);
    if keyset.fee_ppk > 0 {
        text.push_str(&format!("|input_fee_ppk:{}", keyset.fee_ppk));
    }
    if let Some(expiry) = keyset.expiry.filter(|expiry| *expiry > 0) {
        text.push_str(&format!("|final_expiry:{expiry}"));
    }
    [&[1], crate::hash::sha256(text.as_bytes()).as_slice()].concat()
}

/// The fee for these inputs: the ceiling of the sum of their keysets' parts per thousand (NUT-02).
pub(crate) fn fee(ppks: impl IntoIterator<Item = u64>) -> Option<u64> {
    let sum = ppks.into_iter().try_fold(0_u64, u64::checked_add)?;
    Some(sum.div_ceil(1_000))
}

/// `amount` as powers of two that the keyset signs, at most one of each but the largest. `None` if it cannot be.
pub(crate) fn split(keyset: &Keyset, amount: u64) -> Option<Vec<u64>> {
    let mut rest = amount;
    let mut parts = Vec::new();
    for (&part, _) in keyset.keys.iter().rev().filter(|(amount, _)| amount.is_power_of_two()) {
        while rest >= part {
            rest = rest.checked_sub(part)?;
            parts.push(part);
            if parts.len() > crate::job::OUTPUTS_MAX {
                return None;
            }
        }
    }
    (rest == 0).then_some(parts)
}

/// Until when a keyset must live for coins locked now.
pub(crate) fn lock_until(now: Timestamp) -> u64 {
    crate::lock::locktime(now).saturating_add(crate::lock::KEYSET_MARGIN)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn a_fee_is_rounded_up_once_over_all_inputs() {
        assert_eq!(fee([]), Some(0));
        for inputs in 1..2_000 {
            let expected = u64::try_from(inputs).unwrap().div_ceil(10);
            assert_eq!(fee(std::iter::repeat_n(100, inputs)), Some(expected));
        }
        assert_eq!(fee([1]), Some(1));
        assert_eq!(fee([u64::MAX, 1]), None);
    }

    // Tests [keyset-id-checked]. Seen to fail with the comparison in `learn_keys` removed.
    #[test]
    fn keys_under_the_wrong_id_are_not_believed() {
        let secret = |byte: u8| cashu::SecretKey::from_slice(&[byte; 32]).unwrap();
        let keys: BTreeMap<_, _> =
            (0..8_u8).map(|i| (1_u64 << i, secret(i + 1).public_key())).collect();
        let library = cashu::Keys::new(
            keys.iter().map(|(amount, key)| (cashu::Amount::from(*amount), *key)).collect(),
        );
        let unit = cashu::CurrencyUnit::from_str("chop").unwrap();
        let v1 = cashu::Id::v1_from_keys(&library);
        let v2 = cashu::Id::v2_from_data(&library, &unit, 100, Some(1_900_000_000));
        for id in [v1, v2] {
            let mut records = crate::MemoryRecords::new();
            let list = serde_json::json!({"keysets": [{"id": id, "unit": "chop", "active": true,
                "input_fee_ppk": 100, "final_expiry": 1_900_000_000_u64}]});
            let list = crate::nut::read(list.to_string().as_bytes()).unwrap();
            learn(&mut records, "http://m", &list).unwrap();
            let mut reply = KeysOf {
                id: id.to_string(),
                keys: keys.iter().map(|(a, k)| (a.to_string(), k.to_hex())).collect(),
            };
            assert!(learn_keys(&mut records, "http://m", &id.to_bytes(), &reply).unwrap());
            reply.keys.insert("1".into(), secret(99).public_key().to_hex());
            assert!(!learn_keys(&mut records, "http://m", &id.to_bytes(), &reply).unwrap());
        }
    }
}
