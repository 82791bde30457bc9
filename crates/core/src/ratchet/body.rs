//! The body of a message: acknowledgement, content, KEM object, padding. SPEC §5.5.

use zeroize::Zeroizing;

use super::{
    acknowledgement::Acknowledged,
    kem_epoch::{CONFIRMED_CIPHERTEXT, Object, ObjectRef},
};
use crate::{
    codec::{DecodeError, Reader},
    kem::{Ciphertext, EncapsulationKey},
};

/// Bytes of a body besides content, object and padding.
pub(crate) const FIXED: usize = 8 + 4 + 4 + 1;

const NO_OBJECT: u8 = 0;
const ENCAPSULATION_KEY: u8 = 1;
const CIPHERTEXT: u8 = 2;

/// Writes a body into the front of `buffer`, which holds zeros and has room. Returns how many bytes it took.
pub(crate) fn write(
    buffer: &mut [u8],
    acknowledged: Acknowledged,
    content: &[u8],
    object: Option<&ObjectRef<'_>>,
) -> Option<usize> {
    let length = u32::try_from(content.len()).ok()?;
    let room = buffer.len();
    let mut rest = buffer;
    let mut put = |bytes: &[u8]| -> Option<()> {
        let (slot, after) = core::mem::take(&mut rest).split_at_mut_checked(bytes.len())?;
        slot.copy_from_slice(bytes);
        rest = after;
        Some(())
    };
    put(&acknowledged.chain.to_be_bytes())?;
    put(&acknowledged.count.to_be_bytes())?;
    put(&length.to_be_bytes())?;
    put(content)?;
    match object {
        None => put(&[NO_OBJECT])?,
        Some(ObjectRef::EncapsulationKey(key)) => {
            put(&[ENCAPSULATION_KEY])?;
            put(key.as_bytes())?;
        }
        Some(ObjectRef::Ciphertext(ciphertext, confirmation)) => {
            put(&[CIPHERTEXT])?;
            put(ciphertext.as_bytes())?;
            put(*confirmation)?;
        }
    }
    Some(room.saturating_sub(rest.len()))
}

/// A body that proved authentic, taken apart.
pub(crate) struct Body {
    pub(crate) acknowledged: Acknowledged,
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) object: Option<Object>,
}

impl Body {
    /// Takes a decrypted body apart, in place.
    pub(crate) fn parse(mut text: Zeroizing<Vec<u8>>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&text);
        let acknowledged = Acknowledged { chain: reader.u64()?, count: reader.u32()? };
        let length = reader.var32(text.len())?.len();
        let object = match reader.u8()? {
            NO_OBJECT => None,
            ENCAPSULATION_KEY => Some(Object::EncapsulationKey(Box::new(
                *reader.array::<{ EncapsulationKey::LENGTH }>()?,
            ))),
            CIPHERTEXT => {
                Some(Object::Ciphertext(Ciphertext::from_bytes(reader.array()?), *reader.array()?))
            }
            other => return Err(DecodeError::Unknown(other)),
        };
        // SPEC §5.5 [padding-is-zeros].
        if reader.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::TrailingBytes);
        }
        let front = FIXED.saturating_sub(1);
        text.copy_within(front..front.saturating_add(length), 0);
        text.truncate(length);
        Ok(Self { acknowledged, content: text, object })
    }
}

/// Bytes that an object takes in a body, its kind byte not counted.
pub(crate) fn object_length(object: &ObjectRef<'_>) -> usize {
    match object {
        ObjectRef::EncapsulationKey(_) => EncapsulationKey::LENGTH,
        ObjectRef::Ciphertext(..) => CONFIRMED_CIPHERTEXT,
    }
}
