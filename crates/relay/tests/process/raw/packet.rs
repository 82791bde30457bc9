//! Packets and frames of QUIC version 1, made and read by hand (RFC 9000, sections 16 to 19).

use rustls::quic::DirectionalKeys;

/// A varint (RFC 9000, section 16).
pub(crate) fn varint(value: u64) -> Vec<u8> {
    match value {
        0..64 => vec![u8::try_from(value).unwrap()],
        64..16_384 => (u16::try_from(value).unwrap() | 0x4000).to_be_bytes().to_vec(),
        16_384..1_073_741_824 => {
            (u32::try_from(value).unwrap() | 0x8000_0000).to_be_bytes().to_vec()
        }
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

/// Reads from the front of bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let mut value = u64::from(first & 0x3f);
        for byte in &bytes[1..] {
            value = value << 8 | u64::from(*byte);
        }
        Some(value)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.varint()?;
        self.take(usize::try_from(length).ok()?)
    }
}

/// What these tests look at in a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Crypto(u64, Vec<u8>),
    Stream {
        id: u64,
        at: u64,
        data: Vec<u8>,
    },
    PathChallenge([u8; 8]),
    HandshakeDone,
    NewToken,
    /// CONNECTION_CLOSE: whether it is the application's, and its code.
    Close(bool, u64),
    /// Anything else that asks for an ack.
    Other(u64),
}

/// Every frame of a payload but padding and acks.
pub(crate) fn frames(payload: &[u8]) -> Vec<Frame> {
    let mut reader = Reader(payload);
    let mut found = Vec::new();
    while let Some(frame) = frame(&mut reader) {
        found.extend(frame);
    }
    found
}

fn frame(reader: &mut Reader<'_>) -> Option<Option<Frame>> {
    let kind = reader.varint()?;
    let skip = |reader: &mut Reader<'_>, count: usize| {
        (0..count).try_for_each(|_| reader.varint().map(drop))?;
        Some(Some(Frame::Other(kind)))
    };
    Some(match kind {
        0x00 => None,
        0x02 | 0x03 => {
            let (_, _, more, _) =
                (reader.varint()?, reader.varint()?, reader.varint()?, reader.varint()?);
            for _ in 0..2 * more + if kind == 3 { 3 } else { 0 } {
                reader.varint()?;
            }
            None
        }
        0x06 => Some(Frame::Crypto(reader.varint()?, reader.block()?.to_vec())),
        0x07 => {
            reader.block()?;
            Some(Frame::NewToken)
        }
        0x08..=0x0f => {
            let id = reader.varint()?;
            let at = if kind & 4 == 0 { 0 } else { reader.varint()? };
            let data =
                if kind & 2 == 0 { std::mem::take(&mut reader.0) } else { reader.block()? };
            Some(Frame::Stream { id, at, data: data.to_vec() })
        }
        0x1a => Some(Frame::PathChallenge(reader.take(8)?.try_into().unwrap())),
        0x1b => {
            reader.take(8)?;
            Some(Frame::Other(kind))
        }
        0x18 => {
            let (_, _, length) = (reader.varint()?, reader.varint()?, reader.byte()?);
            reader.take(usize::from(length) + 16)?;
            Some(Frame::Other(kind))
        }
        0x1c | 0x1d => {
            let code = reader.varint()?;
            if kind == 0x1c {
                reader.varint()?;
            }
            reader.block()?;
            Some(Frame::Close(kind == 0x1d, code))
        }
        0x1e => Some(Frame::HandshakeDone),
        0x04 => return skip(reader, 3),
        0x05 | 0x11 | 0x15 => return skip(reader, 2),
        0x10 | 0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x19 => return skip(reader, 1),
        _ => Some(Frame::Other(kind)),
    })
}

/// CRYPTO.
pub(crate) fn crypto(at: u64, data: &[u8]) -> Vec<u8> {
    [vec![6], varint(at), varint(data.len() as u64), data.to_vec()].concat()
}

/// STREAM with offset and length.
pub(crate) fn stream(id: u64, at: u64, data: &[u8]) -> Vec<u8> {
    [vec![0x0e], varint(id), varint(at), varint(data.len() as u64), data.to_vec()].concat()
}

/// ACK of exactly these numbers.
pub(crate) fn ack(numbers: &std::collections::BTreeSet<u64>) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers.iter().rev() {
        match ranges.last_mut() {
            Some((low, _)) if *low == number + 1 => *low = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    ranges.truncate(32);
    let Some(&(low, high)) = ranges.first() else { return Vec::new() };
    let mut out =
        [vec![2], varint(high), varint(0), varint(ranges.len() as u64 - 1), varint(high - low)]
            .concat();
    for pair in ranges.windows(2) {
        out.extend(varint(pair[0].0 - pair[1].1 - 2));
        out.extend(varint(pair[1].1 - pair[1].0));
    }
    out
}

/// Which keys a packet is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    Initial,
    Handshake,
    Data,
}

/// A packet under these keys. `token` is an Initial's.
pub(crate) fn seal(
    keys: &DirectionalKeys,
    space: Space,
    (to, from): (&[u8], &[u8]),
    token: &[u8],
    number: u64,
    payload: &[u8],
) -> Vec<u8> {
    let number_bytes = u32::try_from(number).unwrap().to_be_bytes();
    let mut packet = match space {
        Space::Data => [&[0x43], to].concat(),
        _ => {
            let first = if space == Space::Initial { 0xc3 } else { 0xe3 };
            let length = u16::try_from(4 + payload.len() + 16).unwrap() | 0x4000;
            let mut header = vec![first, 0, 0, 0, 1, u8::try_from(to.len()).unwrap()];
            header.extend(to);
            header.push(u8::try_from(from.len()).unwrap());
            header.extend(from);
            if space == Space::Initial {
                header.extend(varint(token.len() as u64));
                header.extend(token);
            }
            header.extend(length.to_be_bytes());
            header
        }
    };
    let at = packet.len();
    packet.extend(number_bytes);
    let header = packet.clone();
    let mut sealed = payload.to_vec();
    let tag = keys.packet.encrypt_in_place(number, &header, &mut sealed).unwrap();
    packet.extend(sealed);
    packet.extend(tag.as_ref());
    let (head, rest) = packet.split_at_mut(at);
    let (number, rest) = rest.split_at_mut(4);
    keys.header.encrypt_in_place(&rest[..16], &mut head[0], number).unwrap();
    packet
}
