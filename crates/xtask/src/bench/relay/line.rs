//! The relay's client: quinn, and frames as they are on the wire.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_wire::{
    address::RelayAddress,
    relay::{
        Answer, Auth, Capability, CapabilityKind, ChannelBinding, Descriptor, FrameReader,
        FromClient, FromRelay, Grant, Handle, Notice, Rate, RelayHash, Request, RequestId,
        binding::{ALPN, EXPORTER_LABEL},
        limits,
    },
};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime,
    TransportConfig, VarInt, crypto::rustls::QuicClientConfig,
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs, aws_lc_rs::kx_group},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::Fault;

/// Opens connections to one relay from one socket.
#[derive(Clone)]
pub(super) struct Dialer {
    endpoint: Endpoint,
    config: ClientConfig,
    relay: RelayAddress,
}

/// How the keys of a connection are agreed.
#[derive(Clone, Copy)]
pub(super) enum Exchange {
    /// X25519 with ML-KEM-768.
    Hybrid,
    /// X25519 alone.
    Classical,
}

/// One connection with its control stream.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) sink: SendStream,
    pub(super) source: RecvStream,
    pub(super) reader: FrameReader,
    binding: ChannelBinding,
    descriptor: Descriptor,
}

/// What the kernel may keep of a socket's packets until they are read.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;
/// As in the client: a subscription's window and as much again.
const STREAM_WINDOW: u32 = 512 * 1024;
/// How much is read at once.
pub(super) const READ_BYTES: usize = 64 * 1024;

impl Dialer {
    /// Call it on a tokio runtime.
    pub(super) fn new(address: &str, exchange: Exchange) -> Result<Self, Fault> {
        let mut provider = aws_lc_rs::default_provider();
        let hybrid: &'static dyn SupportedKxGroup = kx_group::X25519MLKEM768;
        provider.kx_groups = match exchange {
            Exchange::Hybrid => vec![hybrid, kx_group::X25519],
            Exchange::Classical => vec![kx_group::X25519],
        };
        let provider = Arc::new(provider);
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
            .receive_window(VarInt::from_u32(STREAM_WINDOW))
            .send_window(u64::from(STREAM_WINDOW))
            .datagram_receive_buffer_size(None)
            .keep_alive_interval(Some(Duration::from_secs(15)));
        config.transport_config(Arc::new(transport));
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES)?;
        let here = EndpointConfig::default();
        let endpoint = Endpoint::new(here, None, socket, Arc::new(TokioRuntime))?;
        Ok(Self { endpoint, config, relay: address.parse()? })
    }

    /// A handshake and nothing more.
    pub(super) async fn shake_hands(&self) -> Result<Connection, Fault> {
        let to: SocketAddr = self.relay.host_port().parse()?;
        Ok(self.endpoint.connect_with(self.config.clone(), to, "relay.invalid")?.await?)
    }

    /// A connection to the relay of the address, and to no other.
    pub(super) async fn open(&self) -> Result<Line, Fault> {
        let connection = self.shake_hands().await?;
        let mut binding = [0; ChannelBinding::LENGTH];
        connection
            .export_keying_material(&mut binding, EXPORTER_LABEL, b"")
            .map_err(|_| "no channel binding")?;
        let binding = ChannelBinding(binding);
        let (sink, source) = connection.accept_bi().await?;
        let mut reader = FrameReader::new();
        let mut source = source;
        let frame = next_frame(&mut reader, &mut source).await?;
        let FromRelay::Notice(Notice::Info(info)) = frame else {
            return Err("no proof of the relay's".into());
        };
        let descriptor = info.verify(&RelayHash(*self.relay.hash()), &binding)?;
        Ok(Line { connection, sink, source, reader, binding, descriptor })
    }

    /// The connection of the owner of mailbox `number`, made here, with as many capabilities that are full.
    pub(super) async fn owner(&self, number: u64, capabilities: u64) -> Result<Owner, Fault> {
        let mut line = self.open().await?;
        let key = SigningKey::from_secret(&Secret::new(bytes_of(number, 0)));
        let auth = Auth::sign(&key, &line.binding, &line.descriptor.relay_id());
        let mut asked = RequestId::FIRST;
        let mut ask = |request: Request, frames: &mut Vec<Bytes>| {
            frames.push(FromClient::Request { id: asked, request }.encode());
            asked = asked.next();
        };
        let mut frames = Vec::new();
        ask(Request::Auth(auth), &mut frames);
        ask(Request::Create { token: None }, &mut frames);
        let capabilities: Vec<_> =
            (1..=capabilities).map(|n| Capability::new(Secret::new(bytes_of(number, n)))).collect();
        for capability in &capabilities {
            let most = limits::CAPABILITY_RATE_MAX;
            let grant = Grant {
                capability: capability.hash(),
                handle: Handle(number.to_be_bytes()),
                kind: CapabilityKind::Private,
                expires: None,
                rate: Rate::new(most, most).ok_or("no such rate")?,
            };
            ask(Request::Grant(grant), &mut frames);
        }
        let answers = frames.len();
        line.sink.write_all_chunks(&mut frames).await?;
        for _ in 0..answers {
            match line.next().await? {
                FromRelay::Answer { answer: Answer::Done, .. } => {}
                _ => return Err("the relay refuses a mailbox".into()),
            }
        }
        Ok(Owner { line, capabilities, asked })
    }
}

/// Whoever owns a mailbox.
pub(super) struct Owner {
    pub(super) line: Line,
    pub(super) capabilities: Vec<Capability>,
    asked: RequestId,
}

impl Owner {
    /// From now on it hears what comes.
    pub(super) async fn subscribe(&mut self) -> Result<(), Fault> {
        let request = Request::Subscribe { after: 0 };
        let frame = FromClient::Request { id: self.asked, request }.encode();
        self.asked = self.asked.next();
        self.line.sink.write_chunk(frame).await?;
        match self.line.next().await? {
            FromRelay::Answer { answer: Answer::Subscribed { .. }, .. } => Ok(()),
            _ => Err("the relay refuses a subscription".into()),
        }
    }
}

impl Line {
    /// What the relay says next.
    pub(super) async fn next(&mut self) -> Result<FromRelay, Fault> {
        next_frame(&mut self.reader, &mut self.source).await
    }

    /// Closes it as a client does that is done.
    pub(super) fn close(&self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

async fn next_frame(reader: &mut FrameReader, source: &mut RecvStream) -> Result<FromRelay, Fault> {
    loop {
        if let Some(frame) = reader.next_frame()? {
            return Ok(FromRelay::decode(&frame)?);
        }
        let chunk = source.read_chunk(READ_BYTES, true).await?.ok_or("the relay closed")?;
        reader.push(&chunk.bytes);
    }
}

/// A secret that is nobody's.
fn bytes_of(number: u64, which: u64) -> [u8; 32] {
    let mut bytes = [0x42; 32];
    let numbers = [number.to_be_bytes(), which.to_be_bytes()].concat();
    bytes.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
    bytes
}

/// The identity of a relay is not in its certificate (SPEC §6.2).
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

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS client for the peers, which takes any certificate.
pub(super) fn tls() -> Result<tokio_rustls::TlsConnector, Fault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}
