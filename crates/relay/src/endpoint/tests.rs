//! What a handshake came to, read back at both ends.

use std::{
    net::Ipv4Addr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use chopmark_core::secret::Secret;
use quinn::{ClientConfig, Incoming, TokenStore, crypto::rustls::QuicClientConfig};
use rustls::{
    DigitallySignedStruct, NamedGroup, SignatureScheme,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup},
    pki_types::{ServerName, UnixTime},
};

use super::*;

fn identity() -> SigningKey {
    SigningKey::from_secret(&Secret::new([1; 32]))
}

fn relay(limits: &Limits) -> Endpoint {
    let server = server_config(Certificate::self_signed().unwrap(), limits).unwrap();
    listen((Ipv4Addr::LOCALHOST, 0).into(), &identity(), server).unwrap()
}

/// Everything that a relay gives to a client for its next connection.
#[derive(Debug)]
struct Given {
    tickets: AtomicUsize,
    tokens: AtomicUsize,
    sessions: ClientSessionMemoryCache,
    token: Mutex<Option<Bytes>>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            tickets: AtomicUsize::new(0),
            tokens: AtomicUsize::new(0),
            sessions: ClientSessionMemoryCache::new(8),
            token: Mutex::default(),
        }
    }
}

impl TokenStore for Given {
    fn insert(&self, _: &str, token: Bytes) {
        self.tokens.fetch_add(1, Ordering::SeqCst);
        *self.token.lock().unwrap() = Some(token);
    }

    fn take(&self, _: &str) -> Option<Bytes> {
        self.token.lock().unwrap().take()
    }
}

impl ClientSessionStore for Given {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.sessions.set_kx_hint(server, group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::SeqCst);
        self.sessions.insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.sessions.take_tls13_ticket(server)
    }
}

#[derive(Debug)]
struct AnyCertificate;

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
        Err(rustls::Error::General("tls 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that offers these groups in this order and takes everything that it is given.
fn client(groups: &[&'static dyn SupportedKxGroup], given: &Arc<Given>) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = groups.to_vec();
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = true;
    tls.resumption = Resumption::store(Arc::clone(given) as Arc<dyn ClientSessionStore>);
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.token_store(Arc::clone(given) as Arc<dyn TokenStore>);
    config
}

/// A group that says when a shared secret was made with it.
#[derive(Debug)]
struct Seen {
    group: &'static dyn SupportedKxGroup,
    made: Arc<Mutex<Vec<NamedGroup>>>,
}

impl Seen {
    fn of(
        group: &'static dyn SupportedKxGroup,
        made: &Arc<Mutex<Vec<NamedGroup>>>,
    ) -> &'static Self {
        Box::leak(Box::new(Self { group, made: Arc::clone(made) }))
    }
}

impl SupportedKxGroup for Seen {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        Ok(Box::new(Exchange { running: self.group.start()?, made: Arc::clone(&self.made) }))
    }

    fn name(&self) -> NamedGroup {
        self.group.name()
    }
}

struct Exchange {
    running: Box<dyn ActiveKeyExchange>,
    made: Arc<Mutex<Vec<NamedGroup>>>,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
        self.made.lock().unwrap().push(self.running.group());
        self.running.complete(peer)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        self.running.hybrid_component()
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        peer: &[u8],
    ) -> Result<SharedSecret, rustls::Error> {
        let (group, _) = self.running.hybrid_component().unwrap();
        self.made.lock().unwrap().push(group);
        self.running.complete_hybrid_component(peer)
    }

    fn pub_key(&self) -> &[u8] {
        self.running.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.running.group()
    }
}

/// Accepts one connection, opens its stream and says hello on it.
async fn greet(incoming: Incoming) -> Connection {
    let connection = incoming.await.unwrap();
    let (mut sink, _) = connection.open_bi().await.unwrap();
    sink.write_all(b"hello").await.unwrap();
    connection
}

/// Both ends after a handshake, and after everything that a relay says behind it has arrived.
async fn connect(relay: &Endpoint, config: ClientConfig) -> (Connection, Connection, Endpoint) {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let to = relay.local_addr().unwrap();
    let connecting = endpoint.connect_with(config, to, "relay.invalid").unwrap();
    // Nothing was kept of an earlier connection that would let bytes go before the handshake.
    let connecting = connecting.into_0rtt().err().expect("0-RTT is off");
    let server = async { greet(relay.accept().await.unwrap()).await };
    let (server, connection) = tokio::join!(server, connecting);
    let connection = connection.unwrap();
    let (_, mut source) = connection.accept_bi().await.unwrap();
    let mut hello = [0; 5];
    source.read_exact(&mut hello).await.unwrap();
    (server, connection, endpoint)
}

// The group is read back from the exchange that made the secret of the session. Seen to fail with X25519 first in the relay's list, and with it alone there.
#[tokio::test]
async fn the_hybrid_key_exchange_is_taken_by_whoever_begins_with_it() {
    let relay = relay(&Limits::default());
    let (hybrid, classical) = (kx_group::X25519MLKEM768, kx_group::X25519);
    for (offer, expected) in [
        (vec![hybrid], NamedGroup::X25519MLKEM768),
        (vec![hybrid, classical], NamedGroup::X25519MLKEM768),
        // Its own choice: it sent no share of the hybrid, and is not made to begin again.
        (vec![classical, hybrid], NamedGroup::X25519),
        (vec![classical], NamedGroup::X25519),
    ] {
        let made = Arc::default();
        let seen: Vec<_> =
            offer.iter().map(|it| Seen::of(*it, &made) as &dyn SupportedKxGroup).collect();
        let _both = connect(&relay, client(&seen, &Arc::default())).await;
        assert_eq!(*made.lock().unwrap(), [expected], "{offer:?}");
    }
}

#[tokio::test]
async fn a_client_without_either_group_or_our_protocol_is_turned_away() {
    let relay = relay(&Limits::default());
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = client(&[kx_group::SECP256R1], &Arc::default());
    let connecting = endpoint.connect_with(config, relay.local_addr().unwrap(), "relay.invalid");
    let server = async { relay.accept().await.unwrap().await.is_err() };
    let (refused, connection) = tokio::join!(server, connecting.unwrap());
    assert!(refused && connection.is_err());
}

// Tests [no-address-tokens]. Seen to fail with one token sent, with a ticket sent, and with early data allowed.
#[tokio::test]
async fn t45_a_relay_gives_nothing_with_which_a_later_connection_could_begin() {
    let relay = relay(&Limits::default());
    let given = Arc::new(Given::default());
    for _ in 0..2 {
        // `connect` sees that nothing is sent before the handshake.
        let config = client(&[kx_group::X25519MLKEM768], &given);
        let (_server, _connection, _endpoint) = connect(&relay, config).await;
    }
    assert_eq!(given.tickets.load(Ordering::SeqCst), 0, "session tickets");
    assert_eq!(given.tokens.load(Ordering::SeqCst), 0, "address tokens");
}

// The certificate changes under a relay that runs. Seen to fail with the endpoint's configuration left as it was.
#[tokio::test]
async fn a_new_certificate_is_for_newcomers_and_leaves_sessions_alone() {
    let relay = relay(&Limits::default());
    let config = || client(&[kx_group::X25519], &Arc::default());
    let certificate = |connection: &Connection| {
        let chain = connection.peer_identity().unwrap();
        chain.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].clone()
    };
    let (server, before, _one) = connect(&relay, config()).await;
    let next = Certificate::self_signed().unwrap();
    let expected = next.chain[0].clone();
    relay.set_server_config(Some(server_config(next, &Limits::default()).unwrap()));
    let (_, after, _two) = connect(&relay, config()).await;
    assert_eq!(certificate(&after), expected);
    assert_ne!(certificate(&before), expected);
    assert!(server.close_reason().is_none() && before.close_reason().is_none());
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let chain = Certificate::self_signed().unwrap().chain;
    let key = Certificate::self_signed().unwrap().key;
    let refused = server_config(Certificate { chain, key }, &Limits::default());
    assert!(matches!(refused, Err(ListenError::Tls(_))));
}
