//! QUIC as a relay wants it: every default that matters is set (SPEC §6.1, §6.8).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chopmark_core::{hash::hmac_sha256, label, secret::Secret, signature::SigningKey};
use chopmark_wire::relay::{
    ChannelBinding,
    binding::{ALPN, EXPORTER_LABEL},
};
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig,
    VarInt,
    crypto::{CryptoError, HmacKey, rustls::QuicServerConfig},
};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::{
    crypto::aws_lc_rs::{self, kx_group},
    pki_types::PrivatePkcs8KeyDer,
    server::NoServerSessionStorage,
};
use thiserror::Error;

/// Why the relay cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The certificate of this start could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refused its configuration.
    #[error("tls could not be set up: {0}")]
    Tls(String),
    /// The port is taken, or not ours to take.
    #[error("cannot listen there: {0}; choose another address with --listen")]
    Socket(#[from] std::io::Error),
}

/// Connections that may wait to be looked at.
const INCOMING_MAX: usize = 1024;
/// Bytes that one such connection, and all of them, may have sent before.
const INCOMING_BYTES: u64 = 16 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 8 * 1024 * 1024;
/// Bytes that a client may send before they are read: one largest frame and a little.
const RECEIVE_WINDOW: u32 = 128 * 1024;
/// Bytes that wait for a client to take them: a whole window of deliveries.
const SEND_WINDOW: u64 = 384 * 1024;
/// Silence after which a connection is gone. Owners keep theirs alive.
const IDLE_MILLIS: u32 = 60_000;

/// Listens on `address` with a certificate made for this start: the relay's identity is not in TLS (SPEC §6.2), and only
/// lends its secret to the keys by which connections of an earlier start are known.
///
/// # Errors
/// [`ListenError`].
pub fn listen(address: SocketAddr, identity: &SigningKey) -> Result<Endpoint, ListenError> {
    let server = config()?;
    let socket = std::net::UdpSocket::bind(address)?;
    Ok(Endpoint::new(after_a_restart(identity), Some(server), socket, Arc::new(TokioRuntime))?)
}

/// SPEC §6.1 [restart-resets]: the same keys in every life of the relay.
fn after_a_restart(identity: &SigningKey) -> EndpointConfig {
    let secret = identity.to_secret();
    let derive = |what: &[u8]| hmac_sha256(secret.expose(), label::RELAY_RESET, &[what]);
    let [a, b, c, d, e, f, g, h, ..] = derive(b"connection ids");
    let ids = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut config = EndpointConfig::new(Arc::new(ResetKey(Secret::new(derive(b"token")))));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}

/// Makes the tokens of stateless resets: HMAC-SHA-256.
struct ResetKey(Secret);

impl ResetKey {
    fn tag(&self, data: &[u8]) -> Secret {
        Secret::new(hmac_sha256(self.0.expose(), label::RELAY_RESET, &[data]))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let tag = self.tag(data);
        signature_out.iter_mut().zip(tag.expose()).for_each(|(to, from)| *to = *from);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        match Secret::from_slice(signature) {
            Some(signature) if signature == self.tag(data) => Ok(()),
            _ => Err(CryptoError),
        }
    }
}

fn config() -> Result<ServerConfig, ListenError> {
    let tls = |error: &dyn std::fmt::Display| ListenError::Tls(error.to_string());
    let made = rcgen::generate_simple_self_signed(["relay.invalid".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // No 0-RTT, no tickets, no resumption: two connections of one client have nothing in common.
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});

    let mut transport = TransportConfig::default();
    transport
        // The relay opens the control stream; a client opens none.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MILLIS))))
        .keep_alive_interval(None::<Duration>);

    let crypto = QuicServerConfig::try_from(config).map_err(|error| tls(&error))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport))
        // Phones change their port; without migration their packets are dropped.
        .migration(true)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL)
        .retry_token_lifetime(Duration::from_secs(15));
    Ok(server)
}

/// The binding of a connection (SPEC §6.3); `None` when TLS gives none, and then nothing may be signed.
pub fn channel_binding(connection: &Connection) -> Option<ChannelBinding> {
    let mut binding = [0; ChannelBinding::LENGTH];
    connection.export_keying_material(&mut binding, EXPORTER_LABEL, b"").ok()?;
    Some(ChannelBinding(binding))
}
