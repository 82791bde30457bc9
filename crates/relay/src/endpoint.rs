//! QUIC as a relay wants it: every default that matters is set (SPEC §6.1, §6.8).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chopmark_core::{hash::hmac_sha256, label, secret::Secret, signature::SigningKey};
use chopmark_wire::relay::{
    ChannelBinding,
    binding::{ALPN, EXPORTER_LABEL},
};
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, NoneTokenLog, ServerConfig, TokioRuntime,
    TransportConfig, ValidationTokenConfig, VarInt,
    crypto::{CryptoError, HmacKey, rustls::QuicServerConfig},
};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::{
    crypto::aws_lc_rs::{self, kx_group},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::NoServerSessionStorage,
};
use thiserror::Error;

use crate::limits::Limits;

/// What the kernel may keep of packets until they are read.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;

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

/// A TLS certificate and its key. Any one will do: who the relay is, its identity says (SPEC §6.2).
pub struct Certificate {
    /// The certificate, and what vouches for it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Certificate {
    /// One made now, that vouches for itself.
    ///
    /// # Errors
    /// [`ListenError::Certificate`].
    pub fn self_signed() -> Result<Self, ListenError> {
        let made = rcgen::generate_simple_self_signed(["relay.invalid".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Ok(Self { chain: vec![made.cert.der().clone()], key: key.into() })
    }
}

/// Listens on `address`. The relay's identity is not in TLS (SPEC §6.2), and only lends its secret to the keys by which
/// connections of an earlier start are known.
///
/// # Errors
/// [`ListenError`].
pub fn listen(
    address: SocketAddr,
    identity: &SigningKey,
    server: ServerConfig,
) -> Result<Endpoint, ListenError> {
    let socket = std::net::UdpSocket::bind(address)?;
    // What comes in while all threads are busy: with the kernel's default a few connections lose packets. It gives less
    // where the system allows less (net.core.rmem_max).
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
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

/// What a connection is under: this certificate, these limits.
///
/// # Errors
/// [`ListenError::Tls`] when key and certificate do not fit.
pub fn server_config(
    certificate: Certificate,
    limits: &Limits,
) -> Result<ServerConfig, ListenError> {
    let tls = |error: &dyn std::fmt::Display| ListenError::Tls(error.to_string());
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_no_client_auth()
        .with_single_cert(certificate.chain, certificate.key)
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // No 0-RTT, no tickets, no resumption: two connections of one client have nothing in common.
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});

    let idle = u32::try_from(limits.idle_time.as_millis()).unwrap_or(u32::MAX);
    let mut transport = TransportConfig::default();
    transport
        // The relay opens the control stream; a client opens none.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(limits.receive_window))
        .receive_window(VarInt::from_u32(limits.receive_window))
        .send_window(limits.send_window)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
        .keep_alive_interval(None::<Duration>)
        // Whoever looks at the wire is not to read the path's round-trip time off a bit.
        .allow_spin(false);

    let crypto = QuicServerConfig::try_from(config).map_err(|error| tls(&error))?;
    let mut no_tokens = ValidationTokenConfig::default();
    no_tokens.sent(0).log(Arc::new(NoneTokenLog));
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport))
        // Phones change their port; without migration their packets are dropped.
        .migration(true)
        .max_incoming(limits.incoming)
        .incoming_buffer_size(limits.incoming_bytes)
        .incoming_buffer_size_total(limits.incoming_bytes_total)
        .retry_token_lifetime(limits.retry_token_time)
        // No NEW_TOKEN: it would tell that two connections are of one client.
        .validation_token_config(no_tokens);
    Ok(server)
}

/// The binding of a connection (SPEC §6.3); `None` when TLS gives none, and then nothing may be signed.
pub fn channel_binding(connection: &Connection) -> Option<ChannelBinding> {
    let mut binding = [0; ChannelBinding::LENGTH];
    connection.export_keying_material(&mut binding, EXPORTER_LABEL, b"").ok()?;
    Some(ChannelBinding(binding))
}

#[cfg(test)]
mod tests;
