//! Redis, as far as this needs it: `SET` in RESP.

use bytes::{Buf as _, BytesMut};

use super::{
    Fault, SENDERS,
    tcp::{Stream, Talk, Wire, connect, first_line, secured},
};

/// Sets keys of its own, the one after the other. They come round, so that memory stays small: the cheapest write that
/// Redis knows.
pub(super) struct Setter {
    number: usize,
    asked: u64,
    payload: Vec<u8>,
}

const KEYS: u64 = 4096;

impl Talk for Setter {
    fn ask(&mut self, out: &mut Vec<u8>) {
        let key = format!("{:03}:{:04}", self.number, self.asked % KEYS);
        let (key_bytes, bytes) = (key.len(), self.payload.len());
        let head = format!("*3\r\n$3\r\nSET\r\n${key_bytes}\r\n{key}\r\n${bytes}\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
        self.asked += 1;
    }

    fn hear(&mut self, input: &mut BytesMut, _: &mut Vec<u8>) -> Result<u64, Fault> {
        let mut heard = 0;
        while let Some((line, length)) = first_line(input) {
            if line != b"+OK" {
                return Err(format!("redis: {}", String::from_utf8_lossy(line)).into());
            }
            input.advance(length);
            heard += 1;
        }
        Ok(heard)
    }
}

/// As many connections as there are senders.
pub(super) async fn setters(address: &str, tls: bool) -> Result<Vec<Wire<Setter>>, Fault> {
    let mut wires = Vec::new();
    for number in 0..SENDERS {
        let stream = connect(address).await?;
        let stream: Box<dyn Stream> = match tls {
            true => secured(stream).await?,
            false => Box::new(stream),
        };
        let talk = Setter { number, asked: 0, payload: super::payload() };
        wires.push(Wire { stream, talk, input: BytesMut::new() });
    }
    Ok(wires)
}
