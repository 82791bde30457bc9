//! The strict reader beside the naive one.

use bytes::Bytes;
use chopmark_wire::{content::Content, payload::Payload, strict::DecodeError};
use proptest::prelude::*;

use super::{
    cases,
    content::{content, payload},
    naive::{Schema, key, varint},
};

/// Whether the reader refused the form, whatever it thinks of the meaning.
fn refused_form<T>(read: &Result<T, DecodeError>) -> bool {
    !matches!(read, Ok(_) | Err(DecodeError::Missing(_) | DecodeError::Invalid(_)))
}

/// One thing that is done to the fields of a message.
#[derive(Clone, Debug)]
enum Change {
    /// A field again, or one more: number, wire type, value.
    Add(u32, u8, Vec<u8>),
    /// A field in the place of another.
    Swap(prop::sample::Index, prop::sample::Index),
    /// A byte of the message.
    Byte(prop::sample::Index, u8),
    /// The last byte of a varint, continued with nothing.
    Overlong(prop::sample::Index),
    Cut(prop::sample::Index),
    Twice(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0_u32..140, 0_u8..8, prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(number, wire, value)| Change::Add(number, wire, value)),
        any::<[prop::sample::Index; 2]>().prop_map(|[a, b]| Change::Swap(a, b)),
        any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<prop::sample::Index>().prop_map(Change::Overlong),
        any::<prop::sample::Index>().prop_map(Change::Cut),
        any::<[prop::sample::Index; 2]>().prop_map(|[a, b]| Change::Twice(a, b)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match change {
        Change::Add(number, wire, value) => {
            bytes.extend(key(*number, *wire));
            match wire {
                0 => {
                    bytes.extend(varint(value.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))))
                }
                2 => {
                    bytes.extend(varint(value.len() as u64));
                    bytes.extend_from_slice(value);
                }
                _ => bytes.extend_from_slice(value),
            }
        }
        Change::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
        Change::Byte(at, byte) => bytes[at.index(length)] = *byte,
        Change::Overlong(at) => {
            let at = at.index(length);
            bytes[at] |= 0x80;
            bytes.insert(at + 1, 0);
        }
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Twice(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(to..to, part);
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

    // Tests [lengths-within], [varint-shortest], [no-groups], [field-once], [elements-are-capped].
    #[test]
    fn contents_are_refused_as_the_naive_reader_refuses_them(
        content in content(), changes in prop::collection::vec(change(), 0..3)
    ) {
        let schema = Schema::of(&["proto/content.proto", "proto/identity.proto"]);
        let mut bytes = content.encode().unwrap().to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        let read = Content::decode(&Bytes::from(bytes.clone()));
        prop_assert_eq!(refused_form(&read), !schema.takes("Content", &bytes), "{:?}", read.err());
    }

    // Tests [lengths-within], [varint-shortest], [no-groups], [field-once].
    #[test]
    fn payloads_are_refused_as_the_naive_reader_refuses_them(
        payload in payload(), changes in prop::collection::vec(change(), 0..3)
    ) {
        let schema = Schema::of(&["proto/envelope.proto"]);
        let mut bytes = payload.encode().unwrap().to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        let read = Payload::decode(&Bytes::from(bytes.clone()));
        prop_assert_eq!(refused_form(&read), !schema.takes("Payload", &bytes), "{:?}", read.err());
    }

    #[test]
    fn an_unknown_field_changes_nothing_that_is_known(payload in payload(), number in 7_u32..99, value: Vec<u8>) {
        let mut bytes = payload.encode().unwrap().to_vec();
        bytes.extend(key(number, 2));
        bytes.extend(varint(value.len() as u64));
        bytes.extend(value);
        prop_assert_eq!(Payload::decode(&bytes.into()), Ok(payload));
    }
}
