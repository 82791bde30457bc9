//! Who asks: the commands, of the program that runs in a folder.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;

use super::server::reachable;

/// Why there was no answer. Nothing was changed that the text does not name.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum AskError {
    /// Nobody listens.
    #[error("nothing runs in this data folder")]
    NotRunning,
    /// Another user's.
    #[error("its admin socket is another user's; run this as the user that it runs as, or as root")]
    Denied,
    /// It answers that it cannot.
    #[error("it answers: {0}")]
    Refused(String),
    /// The connection broke, or nothing came.
    #[error("its admin socket gave no answer: {0}")]
    Broken(String),
}

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks, and gives the answer's body to `take` part by part.
pub(crate) fn ask(
    folder: &Path,
    method: Method,
    path: &'static str,
    mut take: impl FnMut(Bytes) -> io::Result<()>,
) -> Result<(), AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| broken(&error))?;
    runtime.block_on(async {
        let response = tokio::time::timeout(PATIENCE, begin(folder, method, path)).await;
        let mut response = response.map_err(|_| AskError::Broken("it took too long".into()))??;
        if !response.status().is_success() {
            let why = response.into_body().collect().await.map_err(|error| broken(&error))?;
            let why = String::from_utf8_lossy(&why.to_bytes()).trim().to_owned();
            return Err(AskError::Refused(why));
        }
        while let Some(frame) = response.frame().await {
            let frame = frame.map_err(|error| broken(&error))?;
            if let Ok(bytes) = frame.into_data() {
                take(bytes).map_err(|error| broken(&error))?;
            }
        }
        Ok(())
    })
}

/// Asks, and reads the whole answer as text.
pub(crate) fn ask_text(
    folder: &Path,
    method: Method,
    path: &'static str,
) -> Result<String, AskError> {
    let mut whole = Vec::new();
    ask(folder, method, path, |part| {
        whole.extend_from_slice(&part);
        Ok(())
    })?;
    String::from_utf8(whole).map_err(|error| broken(&error))
}

async fn begin(
    folder: &Path,
    method: Method,
    path: &'static str,
) -> Result<Response<Incoming>, AskError> {
    let (at, _held) = reachable(folder).map_err(unreachable)?;
    let stream = UnixStream::connect(at).await.map_err(unreachable)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error))?;
    sender.send_request(request).await.map_err(|error| broken(&error))
}

fn unreachable(error: io::Error) -> AskError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning,
        io::ErrorKind::PermissionDenied => AskError::Denied,
        _ => broken(&error),
    }
}

fn broken(error: &dyn std::fmt::Display) -> AskError {
    AskError::Broken(error.to_string())
}
