//! What client and relay say to each other.

use bytes::Bytes;
use chopmark_wire::relay::{FrameReader, FromClient, FromRelay};

/// Frames of both directions, alone and cut from a stream that arrives in two pieces.
pub fn wire_frame(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    if let Ok(read) = FromClient::decode(&frame) {
        assert_eq!(FromClient::decode(&without_length(&read.encode())), Ok(read));
    }
    if let Ok(read) = FromRelay::decode(&frame) {
        assert_eq!(FromRelay::decode(&without_length(&read.encode())), Ok(read));
    }
    let mut whole = FrameReader::new();
    whole.push(data);
    let mut pieces = FrameReader::new();
    let middle = data.first().map_or(0, |first| usize::from(*first) % data.len());
    pieces.push(&data[..middle]);
    let mut early = Vec::new();
    while let Ok(Some(frame)) = pieces.next_frame() {
        early.push(frame);
    }
    pieces.push(&data[middle..]);
    for expected in early {
        assert_eq!(whole.next_frame(), Ok(Some(expected)), "cutting depends on the pieces");
    }
    loop {
        let (one, other) = (whole.next_frame(), pieces.next_frame());
        assert_eq!(one, other, "cutting depends on the pieces");
        if !matches!(one, Ok(Some(_))) {
            break;
        }
    }
}

fn without_length(frame: &Bytes) -> Bytes {
    let mut reader = FrameReader::new();
    reader.push(frame);
    reader.next_frame().ok().flatten().expect("an encoded frame is whole")
}
