//! Ways to alter an envelope, a field at a time.

use chopmark_core::{handshake::InitBlock, session::BUCKETS};

use super::script::Script;

const HEADER: usize = 72;
const TAG: usize = 16;

/// `envelope`, altered in one of its fields; parts of `donor`, another genuine one, may take the place of its own.
pub(super) fn envelope(envelope: &[u8], donor: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let mut altered = envelope.to_vec();
    let kind = script.u8() % 16;
    let front = front(&altered);
    let end = altered.len();
    match kind {
        0 => altered[0] ^= script.change(),
        1 => flip(&mut altered[front..front + HEADER - TAG], script),
        2 => flip(&mut altered[front + HEADER - TAG..front + HEADER], script),
        3 => flip(&mut altered[front + HEADER..end - TAG], script),
        // The part of the tag that is the header's nonce, and the rest of it.
        4 => flip(&mut altered[end - TAG..end - 4], script),
        5 => flip(&mut altered[end - 4..], script),
        6 => flip(&mut altered[1..], script),
        7 => altered.truncate(script.one_of(&BUCKETS).min(end)),
        8 => altered.resize(script.one_of(&BUCKETS).max(end), script.u8()),
        // Another length, that is no bucket.
        9 => altered.truncate(end - 1 - script.below(end - 1)),
        10 => {
            let header = donor[self::front(donor)..][..HEADER].to_vec();
            altered[front..front + HEADER].copy_from_slice(&header);
        }
        11 => {
            let tag = donor[donor.len() - TAG..].to_vec();
            altered[end - TAG..].copy_from_slice(&tag);
        }
        12 => {
            // The header with the tag that fits it, around this body.
            let header = donor[self::front(donor)..][..HEADER].to_vec();
            altered[front..front + HEADER].copy_from_slice(&header);
            altered[end - TAG..].copy_from_slice(&donor[donor.len() - TAG..]);
        }
        13 => {
            let length = front.min(self::front(donor));
            altered[..length].copy_from_slice(&donor[..length]);
        }
        // An init block in front of a message that has none, or none in front of one that has.
        14 if front == 1 => {
            let init =
                if self::front(donor) > 1 { &donor[1..=InitBlock::LENGTH] } else { &[0; 2333] };
            altered.splice(0..1, [2].into_iter().chain(init.iter().copied()));
            altered.resize(BUCKETS.into_iter().find(|b| *b >= altered.len()).unwrap_or(end), 0);
        }
        14 => {
            altered.splice(0..front, [1]);
            altered.resize(end, 0);
        }
        _ => altered.reverse(),
    }
    altered
}

/// Where the sealed header begins.
fn front(envelope: &[u8]) -> usize {
    if envelope.first() == Some(&2) { 1 + InitBlock::LENGTH } else { 1 }
}

fn flip(field: &mut [u8], script: &mut Script<'_>) {
    let at = script.below(field.len());
    field[at] ^= script.change();
}
