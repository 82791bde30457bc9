//! NATS, as far as this needs it: publish to JetStream, hear its acks, and read from a push consumer.

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Fault, SENDERS,
    tcp::{Stream, Talk, Wire, connect, first_line, secured},
};

/// Publishes to a subject of its own, or acks what a consumer delivers.
pub(super) struct Speaker {
    number: usize,
    payload: Vec<u8>,
    reads: bool,
}

impl Talk for Speaker {
    fn ask(&mut self, out: &mut Vec<u8>) {
        let (number, bytes) = (self.number, self.payload.len());
        out.extend_from_slice(format!("PUB bench.{number} inbox.{number} {bytes}\r\n").as_bytes());
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }

    fn hear(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<u64, Fault> {
        let mut heard = 0;
        while let Some((line, length)) = first_line(input) {
            let text = std::str::from_utf8(line)?;
            let mut words = text.split_ascii_whitespace();
            match words.next() {
                Some("PING") => out.extend_from_slice(b"PONG\r\n"),
                Some("PONG" | "INFO" | "+OK") => {}
                Some("MSG") => {
                    let words: Vec<_> = words.collect();
                    let bytes: usize = words.last().ok_or("a message without length")?.parse()?;
                    let whole = length + bytes + 2;
                    let Some(body) = input.get(length..whole) else { break };
                    match words.as_slice() {
                        [_, _, reply, _] if self.reads => {
                            out.extend_from_slice(format!("PUB {reply} 0\r\n\r\n").as_bytes());
                        }
                        _ if body.windows(7).any(|part| part == b"\"error\"") => {
                            return Err(format!("nats: {}", String::from_utf8_lossy(body)).into());
                        }
                        _ => {}
                    }
                    input.advance(whole);
                    heard += 1;
                    continue;
                }
                _ => return Err(format!("nats: {text}").into()),
            }
            input.advance(length);
        }
        Ok(heard)
    }
}

/// What becomes of what was delivered and acked.
#[derive(Clone, Copy)]
pub(super) enum Retention {
    /// It stays.
    Limits,
    /// It goes, as a mailbox has it.
    WorkQueue,
}

/// Makes the stream.
pub(super) async fn stream(address: &str, tls: bool, retention: Retention) -> Result<(), Fault> {
    let retention = match retention {
        Retention::Limits => "limits",
        Retention::WorkQueue => "workqueue",
    };
    let config = format!(
        r#"{{"name":"BENCH","subjects":["bench.*"],"storage":"file","num_replicas":1,"retention":"{retention}"}}"#
    );
    let mut wire = speaker(address, tls, SENDERS, false).await?;
    request(&mut wire, "$JS.API.STREAM.CREATE.BENCH", &config).await
}

/// As many connections as there are senders, each with an inbox.
pub(super) async fn publishers(address: &str, tls: bool) -> Result<Vec<Wire<Speaker>>, Fault> {
    let mut wires = Vec::new();
    for number in 0..SENDERS {
        wires.push(speaker(address, tls, number, false).await?);
    }
    Ok(wires)
}

/// A push consumer of each sender's subject with the relay's window, each on a connection of its own.
pub(super) async fn readers(address: &str) -> Result<Vec<Wire<Speaker>>, Fault> {
    let mut wires = Vec::new();
    for number in 0..SENDERS {
        let config = format!(
            r#"{{"stream_name":"BENCH","config":{{"durable_name":"c{number}","deliver_subject":"deliver.{number}","filter_subject":"bench.{number}","ack_policy":"explicit","max_ack_pending":64}}}}"#
        );
        let mut wire = speaker(address, false, SENDERS + number, false).await?;
        wire.stream.write_all(format!("SUB deliver.{number} 2\r\n").as_bytes()).await?;
        let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.BENCH.c{number}");
        request(&mut wire, &subject, &config).await?;
        wire.talk.reads = true;
        wires.push(wire);
    }
    Ok(wires)
}

async fn request(wire: &mut Wire<Speaker>, subject: &str, body: &str) -> Result<(), Fault> {
    let (number, bytes) = (wire.talk.number, body.len());
    let text = format!("PUB {subject} inbox.{number} {bytes}\r\n{body}\r\n");
    wire.stream.write_all(text.as_bytes()).await?;
    wire.stream.flush().await?;
    wire.listen(1).await
}

async fn speaker(
    address: &str,
    tls: bool,
    number: usize,
    reads: bool,
) -> Result<Wire<Speaker>, Fault> {
    let mut stream = connect(address).await?;
    // The server speaks first, in the clear.
    let mut input = BytesMut::new();
    while first_line(&input).is_none() {
        if stream.read_buf(&mut input).await? == 0 {
            return Err("nats closed".into());
        }
    }
    let mut stream: Box<dyn Stream> = match tls {
        true => secured(stream).await?,
        false => Box::new(stream),
    };
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":{tls}}}\r\nSUB inbox.{number} 1\r\n"
    );
    stream.write_all(hello.as_bytes()).await?;
    stream.flush().await?;
    let talk = Speaker { number, payload: super::payload(), reads };
    Ok(Wire { stream, talk, input: BytesMut::new() })
}
