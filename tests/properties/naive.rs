//! Protobuf read by somebody else's rules: the schema's own text and the list of SPEC §1.3, with no thought of speed.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::tidy::read;

/// The messages of all of `proto/`, by name.
pub(super) struct Schema(HashMap<String, Vec<Field>>);

struct Field {
    number: u64,
    kind: String,
    at_most: usize,
    one_of: bool,
}

impl Schema {
    pub(super) fn of(files: &[&str]) -> Self {
        let mut messages: HashMap<String, Vec<Field>> = HashMap::new();
        let (mut message, mut one_of, mut cap) = (None, false, 1);
        for line in
            files.iter().flat_map(|file| read(file).lines().map(str::to_owned).collect::<Vec<_>>())
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            match *words.as_slice() {
                ["message", name, "{"] => message = Some(name.to_owned()),
                ["enum", ..] => message = None,
                ["oneof", ..] => one_of = true,
                ["}"] if one_of => one_of = false,
                ["}"] => message = None,
                ["//", "At", "most", number, ..] => {
                    cap = number.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
                }
                [.., kind, _, "=", number] if message.is_some() && !line.contains("//") => {
                    let repeated = words[0] == "repeated";
                    let field = Field {
                        number: number.trim_end_matches(';').parse().unwrap(),
                        kind: kind.rsplit('.').next().unwrap().to_owned(),
                        at_most: if repeated { cap } else { 1 },
                        one_of,
                    };
                    messages.entry(message.clone().unwrap()).or_default().push(field);
                    cap = 1;
                }
                _ => {}
            }
        }
        Self(messages)
    }

    /// Whether `bytes` are a message of this name by the rules of SPEC §1.3.
    pub(super) fn takes(&self, name: &str, bytes: &[u8]) -> bool {
        self.message(name, bytes, 8).is_some()
    }

    fn message(&self, name: &str, mut rest: &[u8], depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        let mut chosen = HashSet::new();
        while !rest.is_empty() {
            let key = shortest(&mut rest)?;
            let (number, wire) = (key >> 3, key & 7);
            if number == 0 || number > (1 << 29) - 1 {
                return None;
            }
            let (mut value, mut inner) = (0, &rest[..0]);
            match wire {
                0 => value = shortest(&mut rest)?,
                1 => rest = rest.get(8..)?,
                2 => {
                    let length = usize::try_from(shortest(&mut rest)?).ok()?;
                    inner = rest.get(..length)?;
                    rest = &rest[length..];
                }
                5 => rest = rest.get(4..)?,
                _ => return None,
            }
            let Some(field) = self.0[name].iter().find(|field| field.number == number) else {
                continue;
            };
            let fits = match field.kind.as_str() {
                "bool" => wire == 0 && value <= 1,
                "uint32" => wire == 0 && value <= u64::from(u32::MAX),
                "uint64" => wire == 0,
                "bytes" => wire == 2,
                "string" => wire == 2 && std::str::from_utf8(inner).is_ok(),
                message if self.0.contains_key(message) => {
                    wire == 2 && self.message(message, inner, depth).is_some()
                }
                // An enumeration.
                _ => wire == 0 && value <= u64::from(u32::MAX),
            };
            let count = counts.entry(number).or_default();
            *count += 1;
            if field.one_of {
                chosen.insert(number);
            }
            if !fits || *count > field.at_most || chosen.len() > 1 {
                return None;
            }
        }
        Some(())
    }
}

/// A varint of 64 bits, in no more bytes than it needs.
fn shortest(rest: &mut &[u8]) -> Option<u64> {
    let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (taken, left) = rest.split_at(length);
    *rest = left;
    let value = taken.iter().rev().fold(0_u128, |value, byte| value << 7 | u128::from(byte & 0x7f));
    let value = u64::try_from(value).ok().filter(|_| length <= 10)?;
    (varint(value) == taken).then_some(value)
}

/// The shortest varint.
pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The key of a field.
pub(super) fn key(number: u32, wire: u8) -> Vec<u8> {
    varint(u64::from(number) << 3 | u64::from(wire))
}
