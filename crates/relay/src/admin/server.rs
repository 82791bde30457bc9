//! Who is asked: the loopback page and the socket in the folder.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::Receiver},
};

use super::{Operated, SOCKET};

/// What a way in lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Anyone on this machine, who may look.
    Page,
    /// The user that the program runs as, who may command.
    Socket,
}

/// Who asks at once; more wait.
const ASKING: usize = 32;
/// How long a question may take to be asked.
const ASK_TIME: Duration = Duration::from_secs(10);
/// How long a page's visitor is kept at all.
const VISIT_TIME: Duration = Duration::from_secs(60);

/// Serves the page until the runtime ends.
pub(crate) async fn serve_page(listener: TcpListener, operated: Arc<dyn Operated>) {
    let room = Arc::new(Semaphore::new(ASKING));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => spawn(stream, Door::Page, &operated, place),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves the socket until the runtime ends.
pub(crate) async fn serve_socket(listener: UnixListener, operated: Arc<dyn Operated>) {
    let room = Arc::new(Semaphore::new(ASKING));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => spawn(stream, Door::Socket, &operated, place),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Makes the socket. Whoever holds the folder's lock may: what lies there under its name is of a former life.
pub(crate) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let path = folder.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (path, _held) = reachable(folder)?;
    UnixListener::bind(path)
}

/// The socket's path, short enough for the system: a long one goes through the open folder, which is to be held.
pub(super) fn reachable(folder: &Path) -> io::Result<(PathBuf, Option<File>)> {
    /// `sun_path` with its end, on the systems that have the shortest.
    const PATH_MAX: usize = 100;
    let path = folder.join(SOCKET);
    if path.as_os_str().len() <= PATH_MAX {
        return Ok((path, None));
    }
    let folder = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(SOCKET);
    Ok((path, Some(folder)))
}

fn spawn(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Door,
    operated: &Arc<dyn Operated>,
    place: OwnedSemaphorePermit,
) {
    let operated = Arc::clone(operated);
    tokio::spawn(async move {
        let _place = place;
        let service = service_fn(move |request| {
            let operated = Arc::clone(&operated);
            async move { Ok::<_, std::convert::Infallible>(answer(door, &request, &*operated)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(ASK_TIME)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        // Whoever asks on the socket may take its time: a backup is long.
        let _ = match door {
            Door::Page => tokio::time::timeout(VISIT_TIME, connection).await.unwrap_or(Ok(())),
            Door::Socket => connection.await,
        };
    });
}

fn answer(door: Door, request: &Request<Incoming>, operated: &dyn Operated) -> Response<Told> {
    let (method, path) = (request.method(), request.uri().path());
    let looks = matches!(*method, Method::GET | Method::HEAD);
    match (path, door) {
        ("/healthz" | "/readyz" | "/metrics", _) | ("/status" | "/backup", Door::Socket)
            if !looks =>
        {
            text(StatusCode::METHOD_NOT_ALLOWED, "GET only")
        }
        ("/healthz", _) => said(operated.sick()),
        ("/readyz", _) => said(operated.sick().or_else(|| operated.busy())),
        ("/metrics", _) => typed(Told::Whole(Some(operated.metrics().into())), METRICS),
        ("/status", Door::Socket) => typed(Told::Whole(Some(operated.status().into())), JSON),
        ("/drain", Door::Socket) if *method == Method::POST => {
            operated.drain();
            text(StatusCode::ACCEPTED, "draining")
        }
        ("/drain", Door::Socket) => text(StatusCode::METHOD_NOT_ALLOWED, "POST only"),
        ("/backup", Door::Socket) => match operated.backup() {
            Ok(parts) => typed(Told::Parts(parts), BYTES),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, &why),
        },
        _ => text(StatusCode::NOT_FOUND, "/healthz, /readyz or /metrics"),
    }
}

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

fn said(why_not: Option<&'static str>) -> Response<Told> {
    match why_not {
        None => text(StatusCode::OK, "ok"),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

fn text(status: StatusCode, line: &str) -> Response<Told> {
    let mut response = typed(Told::Whole(Some(format!("{line}\n").into())), "text/plain");
    *response.status_mut() = status;
    response
}

fn typed(body: Told, kind: &'static str) -> Response<Told> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is said: at once, or in parts as they come.
enum Told {
    Whole(Option<Bytes>),
    Parts(Receiver<io::Result<Bytes>>),
}

impl Body for Told {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Parts(parts) => {
                parts.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}
