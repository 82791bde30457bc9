//! Dialling a relay: QUIC with any certificate, and the channel binding by which the relay then proves who it is.
//!
//! SPEC §6.1, §6.3. The certificate says nothing here: the relay's identity is a key of its own, pinned by the hash in its
//! address, and signs this very connection in its first frame. Every connection is a TLS session of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chopmark_wire::address::RelayAddress;
use chopmark_wire::relay::ChannelBinding;
use chopmark_wire::relay::binding::{ALPN, EXPORTER_LABEL};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::DigitallySignedStruct;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

/// Opens connections to relays, each on a socket and a TLS session of its own.
pub(crate) struct Dialer {
    config: quinn::ClientConfig,
}

/// A connection with its control stream and its binding.
pub(crate) struct Line {
    pub(crate) connection: quinn::Connection,
    pub(crate) send: quinn::SendStream,
    pub(crate) recv: quinn::RecvStream,
    pub(crate) binding: ChannelBinding,
    // Dropped last: the socket under the connection.
    _endpoint: quinn::Endpoint,
}

impl Dialer {
    pub(crate) fn new() -> Result<Self, DialError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| DialError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // SPEC §6.1: nothing of one connection is shown in another.
        tls.resumption = Resumption::disabled();
        tls.enable_early_data = false;
        let quic = QuicClientConfig::try_from(tls).map_err(|_| DialError::Tls)?;
        let mut config = quinn::ClientConfig::new(Arc::new(quic));
        config.transport_config(Arc::new(transport()));
        // Nor a token that a relay gave: every relay would see it, and which connections are of one client.
        config.token_store(Arc::new(quinn::NoneTokenStore));
        Ok(Self { config })
    }

    /// Connects and takes the control stream, which the relay opens. A relay that does not answer is given up after ten seconds.
    pub(crate) async fn dial(&self, relay: &RelayAddress) -> Result<Line, DialError> {
        tokio::time::timeout(PATIENCE, self.connect(relay)).await.map_err(|_| DialError::Silent)?
    }

    async fn connect(&self, relay: &RelayAddress) -> Result<Line, DialError> {
        let address = tokio::net::lookup_host((relay.host(), relay.port()))
            .await
            .map_err(|_| DialError::Name)?
            .next()
            .ok_or(DialError::Name)?;
        let local: SocketAddr = if address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let endpoint = quinn::Endpoint::client(local).map_err(|_| DialError::Socket)?;
        let connection = endpoint
            .connect_with(self.config.clone(), address, relay.host())
            .map_err(|_| DialError::Name)?
            .await
            .map_err(|_| DialError::Silent)?;
        let mut binding = [0; 32];
        connection
            .export_keying_material(&mut binding, EXPORTER_LABEL, &[])
            .map_err(|_| DialError::Tls)?;
        let (send, recv) = connection.accept_bi().await.map_err(|_| DialError::Silent)?;
        Ok(Line { connection, send, recv, binding: ChannelBinding(binding), _endpoint: endpoint })
    }
}

/// The relay could not be reached. What was to be sent is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    #[error("the relay's name has no address")]
    Name,
    #[error("no socket could be opened")]
    Socket,
    #[error("the relay does not answer")]
    Silent,
    #[error("the relay's TLS is not ours")]
    Tls,
}

fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(1u8.into())
        .max_concurrent_uni_streams(0u8.into())
        .stream_receive_window(WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(Duration::from_secs(15)))
        .max_idle_timeout(Some(quinn::VarInt::from_u32(40_000).into()));
    transport
}

/// Takes any certificate, and checks only that the other side holds its key: SPEC §6.2 says who the relay is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
/// A subscription's window is 256 KiB (SPEC §6.5); twice that is room for every answer beside it.
const WINDOW: u32 = 512 * 1024;
