//! The door: who may hold a connection, how many, and for how long. SPEC §8.11 `[bounded-connections]`.
//!
//! Every limit fails closed for a newcomer and leaves who is inside alone. What a request may be once it is inside is
//! the business of [`crate::http`].

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// What a door lets in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once. Beyond, newcomers wait in the system's queue.
    pub(crate) connections: usize,
    /// Connections at once of one address prefix, a /24 or a /48. Beyond, they are closed. Loopback has no such limit:
    /// behind a proxy everybody comes from there.
    pub(crate) of_a_prefix: usize,
    /// From the last answer, or the beginning, to the end of the next request's header: silence included.
    pub(crate) header: Duration,
    /// From the first byte to the last of a connection. Then what is under way is answered, and it ends.
    pub(crate) life: Duration,
    /// What a connection that is told to end has for its last answer.
    pub(crate) farewell: Duration,
}

impl Limits {
    /// What an issuer lets in.
    pub(crate) const ISSUER: Self = Self {
        connections: 1024,
        of_a_prefix: 128,
        header: Duration::from_secs(15),
        life: Duration::from_secs(600),
        farewell: Duration::from_secs(35),
    };
}

/// Longest header of a request, in bytes.
const HEADER_BYTES: usize = 16 << 10;
/// How long to wait when the system has no more sockets to give.
const NO_SOCKET: Duration = Duration::from_millis(200);

/// Serves until `drain` is true and every connection has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut drain: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let crowd = Arc::new(Crowd::default());
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = drain.wait_for(|drain| *drain) => break,
        };
        let Some((stream, from, permit)) = accepted else {
            sleep(NO_SOCKET).await;
            continue;
        };
        let Some(counted) = crowd.enter(from, limits.of_a_prefix) else { continue };
        let (router, drain) = (router.clone(), drain.clone());
        tokio::spawn(async move {
            let _inside = (permit, counted);
            connection(stream, router, limits, drain).await;
        });
    }
    drop(listener);
    // Every connection gives its permit back when it ends.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _all_gone = room.acquire_many(all).await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    let (stream, from) = listener.accept().await.ok()?;
    Some((stream, from.ip(), permit))
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut drain: watch::Receiver<bool>,
) {
    // An answer is one small write: it must not wait for an acknowledgement.
    let _set = stream.set_nodelay(true);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    tokio::select! {
        _ended = served.as_mut() => return,
        () = sleep(limits.life) => {}
        _ = drain.wait_for(|drain| *drain) => {}
    }
    served.as_mut().graceful_shutdown();
    let _late = timeout(limits.farewell, served).await;
}

/// How many connections each prefix has. A prefix that has none is not remembered.
#[derive(Default)]
struct Crowd(Mutex<HashMap<Prefix, usize>>);

/// The first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Prefix {
    V4([u8; 3]),
    V6([u16; 3]),
}

impl Prefix {
    /// `None` for loopback.
    fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Some(Self::V4([a, b, c]))
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Some(Self::V6([a, b, c]))
            }
        }
    }
}

/// A place in the crowd, given back when dropped.
struct Counted(Arc<Crowd>, Option<Prefix>);

impl Crowd {
    fn enter(self: &Arc<Self>, from: IpAddr, most: usize) -> Option<Counted> {
        let prefix = Prefix::of(from);
        if let Some(prefix) = prefix {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(prefix).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Counted(Arc::clone(self), prefix))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(prefix) = self.1 else { return };
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(20);

    async fn open(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, drained) = watch::channel(false);
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, limits, drained));
        (address, drain)
    }

    /// What comes until the door closes the connection; `None` if it does not.
    async fn until_closed(stream: &mut TcpStream) -> Option<String> {
        let mut all = Vec::new();
        timeout(LONG, stream.read_to_end(&mut all)).await.ok()?.ok()?;
        Some(String::from_utf8(all).unwrap())
    }

    // Tests [bounded-connections]. Seen to fail with `header_read_timeout` removed.
    #[tokio::test]
    async fn who_says_nothing_or_half_a_header_or_nothing_more_is_put_out() {
        let (address, _drain) = open(Limits { header: SHORT, ..Limits::ISSUER }).await;
        for said in ["", "GET / HTTP/1.1\r\nhost: x\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let heard = until_closed(&mut stream).await.expect("put out");
            assert_eq!(heard.ends_with("here"), said.ends_with("\r\n\r\n"), "{heard}");
        }
    }

    // Seen to fail with the sleep for `life` removed.
    #[tokio::test]
    async fn a_busy_connection_ends_as_well() {
        let (address, _drain) = open(Limits { life: SHORT, ..Limits::ISSUER }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answers = 0;
        let mut answer = [0; 1024];
        while answers < 100 {
            let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
            if stream.write_all(request).await.is_err() {
                break;
            }
            match timeout(LONG, stream.read(&mut answer)).await.expect("an answer or an end") {
                Ok(0) | Err(_) => break,
                Ok(_) => answers += 1,
            }
            sleep(SHORT / 20).await;
        }
        assert!((1..100).contains(&answers), "{answers} answers and no end");
    }

    // Seen to fail with the permit dropped before the connection is served.
    #[tokio::test]
    async fn beyond_the_limit_a_newcomer_waits_until_somebody_leaves() {
        let (address, _drain) = open(Limits { connections: 1, ..Limits::ISSUER }).await;
        let first = TcpStream::connect(address).await.unwrap();
        sleep(SHORT).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut byte = [0; 1];
        assert!(timeout(SHORT, second.read(&mut byte)).await.is_err(), "served beyond the limit");
        drop(first);
        assert!(until_closed(&mut second).await.expect("served").ends_with("here"));
    }

    // Seen to fail with the count not compared.
    #[test]
    fn a_prefix_has_its_share_and_loopback_is_everybody() {
        let crowd = Arc::new(Crowd::default());
        let enter = |address: &str| crowd.enter(address.parse().unwrap(), 2);
        let first = enter("192.0.2.1");
        let _second = enter("::ffff:192.0.2.200").unwrap();
        assert!(first.is_some() && enter("192.0.2.3").is_none());
        let _v6 = (enter("2001:db8:1::1").unwrap(), enter("2001:db8:1:ffff::1").unwrap());
        assert!(enter("2001:db8:1:2::3").is_none() && enter("2001:db8:2::").is_some());
        drop(first);
        assert!(enter("192.0.2.3").is_some());
        let _many: Vec<_> = (0..9).map(|_| enter("127.0.0.1").unwrap()).collect();
        drop(crowd.enter("198.51.100.1".parse().unwrap(), 2));
        assert_eq!(crowd.0.lock().unwrap().len(), 2, "who left is forgotten");
    }
}
