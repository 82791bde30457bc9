//! The body of a message: acknowledgement, content, KEM object, padding. SPEC §5.5.

use core::ops::Range;

use zeroize::Zeroizing;

use super::{acknowledgement::Acknowledged, kem_epoch::Object};
use crate::{
    codec::{DecodeError, Reader},
    kem::{Ciphertext, EncapsulationKey},
};

/// Bytes of a body besides content, object and padding.
pub(crate) const FIXED: usize = FRONT + 1;

const NO_OBJECT: u8 = 0;
const ENCAPSULATION_KEY: u8 = 1;
const CIPHERTEXT: u8 = 2;

/// Writes a body into the front of `buffer`, which holds zeros and has room. Returns how many bytes it took.
pub(crate) fn write(
    buffer: &mut [u8],
    acknowledged: Acknowledged,
    content: &[u8],
    object: Option<&Object>,
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
        Some(Object::EncapsulationKey(key)) => {
            put(&[ENCAPSULATION_KEY])?;
            put(key)?;
        }
        Some(Object::Ciphertext(ciphertext, confirmation)) => {
            put(&[CIPHERTEXT])?;
            put(ciphertext.as_bytes())?;
            put(confirmation)?;
        }
    }
    Some(room.saturating_sub(rest.len()))
}

/// A body that proved authentic, taken apart where it lies.
pub(crate) struct Body {
    pub(crate) acknowledged: Acknowledged,
    text: Zeroizing<Vec<u8>>,
    content: Range<usize>,
    object: u8,
}

impl Body {
    /// Takes a decrypted body apart.
    pub(crate) fn parse(text: Zeroizing<Vec<u8>>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&text);
        let acknowledged = Acknowledged { chain: reader.u64()?, count: reader.u32()? };
        let length = reader.var32(text.len())?.len();
        let object = reader.u8()?;
        read_object(object, &mut reader)?;
        // SPEC §5.5 [padding-is-zeros].
        if reader.rest().iter().fold(0, |seen, byte| seen | byte) != 0 {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(Self { acknowledged, text, content: FRONT..FRONT.saturating_add(length), object })
    }

    pub(crate) fn content(&self) -> &[u8] {
        self.text.get(self.content.clone()).unwrap_or_default()
    }

    pub(crate) fn object(&self) -> Option<Object> {
        let behind = self.content.end.saturating_add(1);
        let mut reader = Reader::new(self.text.get(behind..).unwrap_or_default());
        // What `parse` took is read once more.
        let read = read_object(self.object, &mut reader).ok().flatten()?;
        Some(match read {
            ObjectRef::EncapsulationKey(key) => Object::EncapsulationKey(*key),
            ObjectRef::Ciphertext(ciphertext, confirmation) => {
                Object::Ciphertext(Ciphertext::from_bytes(ciphertext), *confirmation)
            }
        })
    }

    /// The content, in the buffer that held the body.
    pub(crate) fn into_content(self) -> Zeroizing<Vec<u8>> {
        let Self { mut text, content, .. } = self;
        let length = content.len();
        text.copy_within(content, 0);
        text.truncate(length);
        text
    }
}

/// What stands in front of the content.
const FRONT: usize = 8 + 4 + 4;

enum ObjectRef<'a> {
    EncapsulationKey(&'a [u8; EncapsulationKey::LENGTH]),
    Ciphertext(&'a [u8; Ciphertext::LENGTH], &'a [u8; 32]),
}

fn read_object<'a>(kind: u8, from: &mut Reader<'a>) -> Result<Option<ObjectRef<'a>>, DecodeError> {
    Ok(match kind {
        NO_OBJECT => None,
        ENCAPSULATION_KEY => Some(ObjectRef::EncapsulationKey(from.array()?)),
        CIPHERTEXT => Some(ObjectRef::Ciphertext(from.array()?, from.array()?)),
        other => return Err(DecodeError::Unknown(other)),
    })
}
