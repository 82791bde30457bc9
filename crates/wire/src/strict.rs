//! The scanner that every received protobuf message passes before prost sees it.
//!
//! prost is lenient: it takes overlong varints, wraps 64-bit values into 32-bit fields, lets the last of two values
//! win, follows groups, and has no cap on the number of elements, so that a megabyte of empty submessages becomes
//! a hundred. The scanner walks the bytes along a shape generated from the schema and refuses all of that with a
//! typed error, without allocating (SPEC §1.3). Fields that the schema does not name are stepped over, never
//! descended into.
//!
//! Start at [`DecodeError`]; inside this crate, at `decode`.

use bytes::Bytes;
use prost::Message;
use thiserror::Error;

use crate::limits;

/// Bytes that are not a message of this protocol. Nothing was changed by them; blame is the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than any message of this kind.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// The input ends inside a field, or a length points beyond the end.
    #[error("cut short")]
    Truncated,
    /// A varint longer than its value needs, or of more than 64 bits.
    #[error("a varint is not in its shortest form")]
    Varint,
    /// Field number 0, or one above 2^29 - 1.
    #[error("a field number is out of range")]
    FieldNumber,
    /// A group, or wire type 6 or 7.
    #[error("a group or unknown wire type")]
    WireType,
    /// A known field with the wire type of another kind.
    #[error("field {0} is of the wrong kind")]
    WrongKind(u32),
    /// A value beyond the type of its field.
    #[error("field {0} is out of range")]
    OutOfRange(u32),
    /// A field that stands once stands twice.
    #[error("field {0} stands twice")]
    Repeated(u32),
    /// More elements than the schema allows.
    #[error("field {field} has more than {max} elements")]
    TooMany {
        /// The number of the field.
        field: u32,
        /// How many there may be.
        max: u32,
    },
    /// Messages inside messages, deeper than any of ours.
    #[error("nested too deep")]
    TooDeep,
    /// Text that is not UTF-8.
    #[error("text is not utf-8")]
    Utf8,
    /// A part that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A part that is well-formed and not allowed: a length, a number or a text outside its rule.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

/// A value that the other side would refuse with the error inside; nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the other side would refuse this: {0}")]
pub struct EncodeError(#[source] pub DecodeError);

/// What a message may look like: one entry for each field of the schema.
pub(crate) struct Shape {
    pub(crate) fields: &'static [Field],
}

/// One field of a [`Shape`].
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    /// How many elements; `None` is a field that stands at most once.
    pub(crate) max: Option<u32>,
    /// The oneof that it is a member of.
    pub(crate) one_of: Option<u8>,
}

/// What a field holds.
#[allow(dead_code, reason = "a kind may be unused while no schema uses it")]
pub(crate) enum Kind {
    Bool,
    U32,
    U64,
    PackedU64,
    Bytes,
    Text,
    Message(&'static Shape),
}

/// The one way from bytes to a prost message: at most `max` bytes, of the shape, then decoded without copying `bytes`.
pub(crate) fn decode<M: Message + Default>(
    input: &Bytes,
    shape: &'static Shape,
    max: usize,
) -> Result<M, DecodeError> {
    if input.len() > max {
        return Err(DecodeError::TooLong(max));
    }
    scan(input, shape, limits::DEPTH_MAX)?;
    // The scanner has refused everything that prost would refuse; what is left is our own fault and still an error.
    M::decode(input.clone()).map_err(|_| DecodeError::Invalid("message"))
}

/// Walks one message and everything inside it.
pub(crate) fn scan(input: &[u8], shape: &'static Shape, depth: u32) -> Result<(), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let mut rest = input;
    // Shapes have few fields: one counter each, on the stack.
    let mut counts = [0_u32; limits::FIELDS_MAX];
    let mut chosen = 0_u64;
    while !rest.is_empty() {
        let (number, value) = field(&mut rest)?;
        let Some((slot, known)) = shape
            .fields
            .iter()
            .zip(&mut counts)
            .find_map(|(known, slot)| (known.number == number).then_some((slot, known)))
        else {
            continue;
        };
        *slot = slot.saturating_add(check(known, value, depth)?);
        match known.max {
            None if *slot > 1 => return Err(DecodeError::Repeated(number)),
            Some(max) if *slot > max => return Err(DecodeError::TooMany { field: number, max }),
            _ => {}
        }
        if let Some(bit) = known.one_of.and_then(|index| 1_u64.checked_shl(index.into())) {
            if chosen & bit != 0 {
                return Err(DecodeError::Repeated(number));
            }
            chosen |= bit;
        }
    }
    Ok(())
}

/// Is the value of the kind that the field has? Returns how many elements it is.
fn check(field: &Field, value: Value<'_>, depth: u32) -> Result<u32, DecodeError> {
    match (&field.kind, value) {
        (Kind::Bool, Value::Varint(value)) if value > 1 => {
            Err(DecodeError::OutOfRange(field.number))
        }
        (Kind::U32, Value::Varint(value)) if value > u64::from(u32::MAX) => {
            Err(DecodeError::OutOfRange(field.number))
        }
        (Kind::Bool | Kind::U32 | Kind::U64, Value::Varint(_)) | (Kind::Bytes, Value::Bytes(_)) => {
            Ok(1)
        }
        (Kind::PackedU64, Value::Bytes(mut packed)) => {
            let mut count = 0_u32;
            while !packed.is_empty() {
                varint(&mut packed)?;
                count = count.saturating_add(1);
            }
            Ok(count)
        }
        (Kind::Text, Value::Bytes(text)) => {
            std::str::from_utf8(text).map_err(|_| DecodeError::Utf8).map(|_| 1)
        }
        (Kind::Message(shape), Value::Bytes(inner)) => scan(inner, shape, depth).map(|()| 1),
        _ => Err(DecodeError::WrongKind(field.number)),
    }
}

/// The value of one field, as the wire type tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Takes one field off the front.
pub(crate) fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Value<'a>), DecodeError> {
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3).map_err(|_| DecodeError::FieldNumber)?;
    if number == 0 || number >= 1 << 29 {
        return Err(DecodeError::FieldNumber);
    }
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let length = varint(rest)?;
            let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
            Value::Bytes(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| Value::Fixed)?,
        _ => return Err(DecodeError::WireType),
    };
    Ok((number, value))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *rest = left;
    Ok(taken)
}

/// A varint in its shortest form and of at most 64 bits.
fn varint(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first().ok_or(DecodeError::Truncated)?;
        *rest = left;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(DecodeError::Varint);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return if byte == 0 && shift > 0 { Err(DecodeError::Varint) } else { Ok(value) };
        }
    }
    Err(DecodeError::Varint)
}

#[cfg(test)]
mod tests {
    use super::*;

    static INNER: Shape =
        Shape { fields: &[Field { number: 1, kind: Kind::U32, max: None, one_of: None }] };
    static OUTER: Shape = Shape {
        fields: &[
            Field { number: 1, kind: Kind::U64, max: None, one_of: None },
            Field { number: 2, kind: Kind::Message(&INNER), max: Some(2), one_of: None },
            Field { number: 3, kind: Kind::Text, max: None, one_of: None },
            Field { number: 4, kind: Kind::Bool, max: None, one_of: None },
            Field { number: 6, kind: Kind::Bytes, max: None, one_of: Some(0) },
            Field { number: 7, kind: Kind::Bytes, max: None, one_of: Some(0) },
            Field { number: 5, kind: Kind::PackedU64, max: Some(3), one_of: None },
        ],
    };

    fn outer(input: &[u8]) -> Result<(), DecodeError> {
        scan(input, &OUTER, limits::DEPTH_MAX)
    }

    // Tests [varint-shortest]: seen to fail with the check of the last byte removed.
    #[test]
    fn a_varint_has_one_form() {
        assert_eq!(outer(&[8, 0]), Ok(()));
        assert_eq!(outer(&[8, 0x80, 0]), Err(DecodeError::Varint));
        assert_eq!(outer(&[0x88, 0, 0]), Err(DecodeError::Varint));
        let largest = [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(outer(&largest), Ok(()));
        let mut beyond = largest;
        beyond[10] = 2;
        assert_eq!(outer(&beyond), Err(DecodeError::Varint));
        beyond[10] = 0x81;
        assert_eq!(outer(&beyond), Err(DecodeError::Varint));
    }

    #[test]
    fn a_field_stands_once_or_as_often_as_its_shape_says() {
        assert_eq!(outer(&[8, 1, 8, 1]), Err(DecodeError::Repeated(1)));
        assert_eq!(outer(&[18, 0, 18, 0]), Ok(()));
        assert_eq!(outer(&[18, 0, 18, 0, 18, 0]), Err(DecodeError::TooMany { field: 2, max: 2 }));
        assert_eq!(outer(&[50, 0, 58, 0]), Err(DecodeError::Repeated(7)));
        assert_eq!(outer(&[42, 3, 1, 1, 1]), Ok(()));
        assert_eq!(
            outer(&[42, 3, 1, 1, 1, 42, 1, 1]),
            Err(DecodeError::TooMany { field: 5, max: 3 })
        );
    }

    #[test]
    fn what_prost_would_wrap_or_follow_is_refused() {
        assert_eq!(
            outer(&[18, 6, 8, 0x80, 0x80, 0x80, 0x80, 0x10]),
            Err(DecodeError::OutOfRange(1))
        );
        assert_eq!(outer(&[32, 2]), Err(DecodeError::OutOfRange(4)));
        assert_eq!(outer(&[0xa3, 6, 0xa4, 6]), Err(DecodeError::WireType));
        assert_eq!(outer(&[10, 0]), Err(DecodeError::WrongKind(1)));
        assert_eq!(outer(&[0, 0]), Err(DecodeError::FieldNumber));
        assert_eq!(outer(&[26, 1, 0xff]), Err(DecodeError::Utf8));
        assert_eq!(outer(&[26, 2, b'a']), Err(DecodeError::Truncated));
        assert_eq!(scan(&[18, 2, 8, 1], &OUTER, 1), Err(DecodeError::TooDeep));
    }

    #[test]
    fn unknown_fields_are_stepped_over() {
        assert_eq!(outer(&[0xa2, 6, 2, 0xff, 0xff, 0xa0, 6, 1, 0xa5, 6, 1, 2, 3, 4]), Ok(()));
    }
}
