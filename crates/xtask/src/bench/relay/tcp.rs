//! What the clients of both peers share: a connection with a window of requests under way.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{Fault, line, now};

/// Clear TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Requests and answers of a peer's protocol.
pub(super) trait Talk: Send + 'static {
    /// Writes one more request.
    fn ask(&mut self, out: &mut Vec<u8>);

    /// Takes whole answers off the front: how many there were. What is to be said to them goes to `out`.
    ///
    /// # Errors
    /// An answer that is not a yes.
    fn hear(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<u64, Fault>;
}

/// One connection.
pub(super) struct Wire<T> {
    pub(super) stream: Box<dyn Stream>,
    pub(super) talk: T,
    pub(super) input: BytesMut,
}

pub(super) async fn connect(address: &str) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) async fn secured(stream: TcpStream) -> Result<Box<dyn Stream>, Fault> {
    let name = rustls::pki_types::ServerName::try_from("localhost")?;
    Ok(Box::new(line::tls()?.connect(name, stream).await?))
}

impl<T: Talk> Wire<T> {
    /// Asks so many times, or until then, with a window under way; how many were answered with a yes.
    async fn ask(&mut self, count: u64, until: Instant, window: usize) -> Result<u64, Fault> {
        let (mut begun, mut done) = (0_u64, 0_u64);
        let mut out = Vec::new();
        loop {
            if begun < count && now() < until {
                while begun < count.min(done + window as u64) {
                    self.talk.ask(&mut out);
                    begun += 1;
                }
            }
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
                self.stream.flush().await?;
                out.clear();
            }
            if done == begun {
                return Ok(done);
            }
            done += self.hear(&mut out).await?;
        }
    }

    /// Hears so many.
    pub(super) async fn listen(&mut self, count: u64) -> Result<(), Fault> {
        let mut heard = 0;
        let mut out = Vec::new();
        while heard < count {
            heard += self.hear(&mut out).await?;
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
                self.stream.flush().await?;
                out.clear();
            }
        }
        Ok(())
    }

    async fn hear(&mut self, out: &mut Vec<u8>) -> Result<u64, Fault> {
        self.input.reserve(line::READ_BYTES);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err("a peer closed".into());
        }
        self.talk.hear(&mut self.input, out)
    }
}

/// All connections at once, for so long or so many requests each; how many were answered in what time.
pub(super) async fn drive<T: Talk>(
    wires: &mut Vec<Wire<T>>,
    count: u64,
    time: Duration,
    window: usize,
) -> Result<(u64, Duration), Fault> {
    let begin = now();
    let mut tasks = JoinSet::new();
    for mut wire in wires.drain(..) {
        tasks.spawn(async move {
            let done = wire.ask(count, begin + time, window).await?;
            Ok::<_, Fault>((wire, done))
        });
    }
    let mut sum = 0;
    while let Some(wire) = tasks.join_next().await {
        let (wire, done) = wire??;
        wires.push(wire);
        sum += done;
    }
    Ok((sum, begin.elapsed()))
}

/// The first line of the input, its end taken off, and how many bytes it has with its end.
pub(super) fn first_line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    Some((input.get(..end)?, end + 2))
}
