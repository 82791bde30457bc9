//! Calls to an issuer: one fresh connection each, closed after the answer.
//!
//! SPEC §8.1: no resumption, no cookies, no kept connection, so that two calls show the issuer
//! nothing in common but what they ask and the address they come from.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What an issuer answered: the status and the body, whatever they are.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// No answer came. The issuer may or may not have done what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the issuer's address is not an http or https address")]
    Address,
    #[error("an issuer beyond this machine needs https")]
    Plain,
    #[error("the issuer cannot be reached")]
    Unreachable,
    #[error("the issuer's answer did not arrive whole")]
    Broken,
}

/// Asks once, within thirty seconds. An answer of more than `longest` bytes is none.
pub(crate) async fn call(
    method: &str,
    url: &str,
    body: Option<Bytes>,
    longest: usize,
) -> Result<Answer, NoAnswer> {
    let uri: Uri = url.parse().map_err(|_| NoAnswer::Address)?;
    tokio::time::timeout(PATIENCE, exchange(method, uri, body, longest))
        .await
        .map_err(|_| NoAnswer::Broken)?
}

async fn exchange(
    method: &str,
    uri: Uri,
    body: Option<Bytes>,
    longest: usize,
) -> Result<Answer, NoAnswer> {
    let host = uri.host().ok_or(NoAnswer::Address)?.trim_matches(['[', ']']).to_owned();
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if is_this_machine(&host) => false,
        Some("http") => return Err(NoAnswer::Plain),
        _ => return Err(NoAnswer::Address),
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|_| NoAnswer::Unreachable)?;
    // "localhost" is a name, and names are answered by others: what it came to must be this machine.
    let reached = tcp.peer_addr().map_err(|_| NoAnswer::Unreachable)?;
    if !secure && !reached.ip().is_loopback() {
        return Err(NoAnswer::Plain);
    }
    if secure {
        let name = ServerName::try_from(host).map_err(|_| NoAnswer::Address)?;
        let connector = tokio_rustls::TlsConnector::from(tls()?);
        let stream = connector.connect(name, tcp).await.map_err(|_| NoAnswer::Unreachable)?;
        ask(stream, method, &uri, body, longest).await
    } else {
        ask(tcp, method, &uri, body, longest).await
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: &str,
    uri: &Uri,
    body: Option<Bytes>,
    longest: usize,
) -> Result<Answer, NoAnswer> {
    let method: Method = method.parse().map_err(|_| NoAnswer::Address)?;
    let authority = uri.authority().ok_or(NoAnswer::Address)?.as_str();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .header("connection", "close")
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|_| NoAnswer::Address)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| NoAnswer::Unreachable)?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| NoAnswer::Broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), longest)
            .collect()
            .await
            .map_err(|_| NoAnswer::Broken)?;
        Ok(Answer { status, body: body.to_bytes() })
    }
    .await;
    driver.abort();
    answer
}

fn tls() -> Result<Arc<rustls::ClientConfig>, NoAnswer> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| NoAnswer::Unreachable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

const PATIENCE: Duration = Duration::from_secs(30);
