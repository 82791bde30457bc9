//! A client of the relay: quinn under `mailbox`'s client half, as thin as it can be.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_mailbox::{
    ChannelBinding, Input, Output, OwnerConnection, OwnerEvent, SenderConnection, SenderEvent,
};
use chopmark_wire::{
    address::RelayAddress,
    relay::{
        Capability, CapabilityKind, Deliver, Deposit, EndReason, Epoch, Fetch, FetchId,
        GoAwayReason, Grant, Handle, LinkUse, Publish, Rate, Refusal, RelayHash, TtlClass, Urgency,
        binding::{ALPN, EXPORTER_LABEL},
    },
};
use quinn::{
    ClientConfig, Connection, Endpoint, RecvStream, SendStream, crypto::rustls::QuicClientConfig,
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::time::timeout;

/// The handle of every capability here, as text: a log may not hold it.
pub(crate) const CANARY: &str = "canaryyy";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn envelope(n: u16) -> Vec<u8> {
    let mut envelope = vec![0x5a; 2048];
    envelope[..2].copy_from_slice(&n.to_be_bytes());
    envelope
}

/// The largest there is, of bytes that do not compress.
pub(crate) fn large_envelope(n: u16) -> Vec<u8> {
    let mut state = u64::from(n) + 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let mut envelope: Vec<_> = (0..65_536).map(|_| random()).collect();
    envelope[..2].copy_from_slice(&n.to_be_bytes());
    envelope
}

pub(crate) fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "a test against real processes")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

/// Connection and control stream.
struct Wire {
    sink: SendStream,
    source: RecvStream,
    connection: Connection,
    endpoint: Endpoint,
}

async fn connect(address: &str) -> (Wire, RelayHash, ChannelBinding) {
    connect_from(address, "127.0.0.1").await
}

async fn connect_from(address: &str, local: &str) -> (Wire, RelayHash, ChannelBinding) {
    try_connect(address, local).await.expect("the relay lets nobody in")
}

async fn try_connect(address: &str, local: &str) -> Option<(Wire, RelayHash, ChannelBinding)> {
    let address: RelayAddress = address.parse().unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint =
        Endpoint::client((local.parse::<std::net::IpAddr>().unwrap(), 0).into()).unwrap();
    let to = address.host_port().parse().unwrap();
    let connecting = endpoint.connect_with(config, to, "relay.invalid").unwrap();
    let connection = timeout(PATIENCE, connecting).await.unwrap().ok()?;
    let mut binding = [0; 32];
    connection.export_keying_material(&mut binding, EXPORTER_LABEL, b"").unwrap();
    let (sink, source) = timeout(PATIENCE, connection.accept_bi()).await.unwrap().unwrap();
    let wire = Wire { sink, source, connection, endpoint };
    Some((wire, RelayHash(*address.hash()), ChannelBinding(binding)))
}

/// The identity of a relay is not in its certificate.
#[derive(Debug)]
pub(crate) struct AnyCertificate(pub(crate) Arc<CryptoProvider>);

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
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Sends what the machine wants sent and answers its next event.
macro_rules! next_event {
    ($self:ident) => {
        loop {
            match $self.machine.poll() {
                Some(Output::Send(bytes)) => $self.wire.sink.write_all(&bytes).await.unwrap(),
                Some(Output::Event(event)) => break event,
                Some(_) => {}
                None => {
                    let read = $self.wire.source.read_chunk(65_536, true);
                    let chunk = timeout(PATIENCE, read).await.expect("the relay is silent");
                    let chunk = chunk.unwrap().expect("the relay closed");
                    $self.machine.handle(now(), Input::Bytes(&chunk.bytes)).unwrap();
                }
            }
        }
    };
}

/// The owner of the one mailbox of these tests.
pub(crate) struct Owner {
    machine: OwnerConnection,
    wire: Wire,
}

impl Owner {
    pub(crate) async fn connect(address: &str) -> Self {
        Self::connect_as(address, [4; 32]).await
    }

    /// The owner of another mailbox.
    pub(crate) async fn connect_as(address: &str, key: [u8; 32]) -> Self {
        Self::connect_from(address, key, "127.0.0.1").await
    }

    /// From another address of this machine.
    pub(crate) async fn connect_from(address: &str, key: [u8; 32], local: &str) -> Self {
        let (wire, relay, binding) = connect_from(address, local).await;
        let key = SigningKey::from_secret(&Secret::new(key));
        let machine = OwnerConnection::new(relay, binding, key, now());
        let mut owner = Self { machine, wire };
        assert!(matches!(owner.next().await, OwnerEvent::Ready(_)));
        owner
    }

    async fn next(&mut self) -> OwnerEvent {
        next_event!(self)
    }

    /// Makes the mailbox and grants one capability.
    pub(crate) async fn mailbox(&mut self, seed: u8) -> Capability {
        self.create().await;
        self.grant([seed; 32], CapabilityKind::Private, Rate::PRIVATE).await
    }

    pub(crate) async fn create(&mut self) {
        self.machine.create(now());
        assert!(matches!(self.next().await, OwnerEvent::Done { .. }));
    }

    pub(crate) async fn grant(
        &mut self,
        capability: [u8; 32],
        kind: CapabilityKind,
        rate: Rate,
    ) -> Capability {
        let capability = Capability::new(Secret::new(capability));
        let (hash, handle) = (capability.hash(), Handle(*CANARY.as_bytes().first_chunk().unwrap()));
        self.machine.grant(now(), Grant { capability: hash, handle, kind, expires: None, rate });
        assert!(matches!(self.next().await, OwnerEvent::Done { .. }));
        capability
    }

    /// A reusable link with 32 one-time prekeys.
    pub(crate) async fn link(&mut self, knock: [u8; 32]) -> Capability {
        let most = Rate::new(4096, 4096).unwrap();
        let knock = self.grant(knock, CapabilityKind::Knock, most).await;
        let publish = Publish {
            knock: knock.hash(),
            link: LinkUse::Reusable,
            bundle: vec![7; 4000].into(),
            one_time: (0..32).map(|n| vec![n; 1300].into()).collect(),
            replace_one_time: true,
        };
        self.machine.publish(now(), publish);
        assert!(matches!(self.next().await, OwnerEvent::Done { .. }));
        knock
    }

    pub(crate) async fn subscribe(&mut self) {
        assert!(self.try_subscribe().await);
    }

    /// Subscribes, and says in which life of the store.
    pub(crate) async fn epoch(&mut self) -> Epoch {
        self.machine.subscribe(now(), 0);
        match self.next().await {
            OwnerEvent::Subscribed { epoch, .. } => epoch,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the mailbox is there.
    pub(crate) async fn try_subscribe(&mut self) -> bool {
        self.machine.subscribe(now(), 0);
        match self.next().await {
            OwnerEvent::Subscribed { .. } => true,
            OwnerEvent::Refused { refusal: Refusal::NotAccepted, .. } => false,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn delivered(&mut self) -> Deliver {
        match self.next().await {
            OwnerEvent::Delivered(it) => it,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn ack(&mut self, seq: u64) {
        self.machine.ack(&[seq]);
        while let Some(Output::Send(bytes)) = self.machine.poll() {
            self.wire.sink.write_all(&bytes).await.unwrap();
        }
    }

    /// Everything sent so far has been done: requests of one connection are done in order.
    pub(crate) async fn settle(&mut self) {
        self.machine.revoke(now(), Capability::new(Secret::new([99; 32])).hash());
        assert!(matches!(self.next().await, OwnerEvent::Done { .. }));
    }

    /// Goes on from another port.
    pub(crate) fn moves(&self) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        self.wire.endpoint.rebind(socket).unwrap();
    }

    /// The same as [`settle`](Self::settle) while messages come.
    pub(crate) async fn settle_among_deliveries(&mut self) {
        self.machine.revoke(now(), Capability::new(Secret::new([99; 32])).hash());
        loop {
            match self.next().await {
                OwnerEvent::Done { .. } => return,
                OwnerEvent::Delivered(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn ended(&mut self) -> EndReason {
        match self.next().await {
            OwnerEvent::Ended(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn go_away(&mut self) -> GoAwayReason {
        match self.next().await {
            OwnerEvent::GoAway(reason) => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// Somebody who deposits.
pub(crate) struct Sender {
    machine: SenderConnection,
    wire: Wire,
    /// It heard that the relay goes.
    pub(crate) told_to_go: bool,
}

impl Sender {
    pub(crate) async fn connect(address: &str) -> Self {
        let (wire, relay, binding) = connect(address).await;
        let machine = SenderConnection::new(relay, binding, now());
        let mut sender = Self { machine, wire, told_to_go: false };
        assert!(matches!(sender.next().await, SenderEvent::Ready(_)));
        sender
    }

    /// What TLS showed.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        let identity = self.wire.connection.peer_identity().unwrap();
        identity.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].to_vec()
    }

    /// Is a newcomer let in?
    pub(crate) async fn is_let_in(address: &str) -> bool {
        try_connect(address, "127.0.0.1").await.is_some()
    }

    /// Whether it was stored; `false` as well when the relay goes.
    pub(crate) async fn is_stored(&mut self, capability: &Capability, envelope: Vec<u8>) -> bool {
        let deposit = Deposit {
            capability: capability.clone(),
            ttl: TtlClass::Month,
            urgency: Urgency::Normal,
            envelope: envelope.into(),
        };
        self.machine.deposit(now(), deposit);
        loop {
            match self.machine.poll() {
                Some(Output::Send(bytes)) => {
                    if self.wire.sink.write_all(&bytes).await.is_err() {
                        return false;
                    }
                }
                Some(Output::Event(SenderEvent::Stored { .. })) => return true,
                // The relay goes; what was asked before is still answered.
                Some(Output::Event(SenderEvent::GoAway(GoAwayReason::Draining))) => {
                    self.told_to_go = true;
                }
                Some(Output::Event(_)) => return false,
                Some(_) => {}
                None => {
                    let read = self.wire.source.read_chunk(65_536, true);
                    let Ok(Ok(Some(chunk))) = timeout(PATIENCE, read).await else { return false };
                    if self.machine.handle(now(), Input::Bytes(&chunk.bytes)).is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Sends a little, and waits until the connection is found to be gone.
    pub(crate) async fn lost(&mut self, patience: Duration) -> bool {
        let _ = self.wire.sink.write_all(&[0]).await;
        timeout(patience, self.wire.connection.closed()).await.is_ok()
    }

    async fn next(&mut self) -> SenderEvent {
        next_event!(self)
    }

    async fn deposit(&mut self, capability: &Capability, envelope: Vec<u8>) -> SenderEvent {
        let deposit = Deposit {
            capability: capability.clone(),
            ttl: TtlClass::Month,
            urgency: Urgency::Normal,
            envelope: envelope.into(),
        };
        self.machine.deposit(now(), deposit);
        self.next().await
    }

    /// Fetches a link's bundle: whether a one-time prekey came with it, `None` when it was refused.
    pub(crate) async fn fetch(&mut self, knock: &Capability) -> Option<bool> {
        let id = FetchId(rand::random());
        self.machine.fetch(now(), Fetch { knock: knock.clone(), id });
        match self.next().await {
            SenderEvent::Fetched { one_time, .. } => Some(one_time.is_some()),
            SenderEvent::Refused { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    /// Stored or refused, or `None` when the relay could not say.
    pub(crate) async fn outcome(
        &mut self,
        capability: &Capability,
        envelope: Vec<u8>,
    ) -> Option<bool> {
        match self.deposit(capability, envelope).await {
            SenderEvent::Stored { .. } => Some(true),
            SenderEvent::Refused { .. } => Some(false),
            SenderEvent::GoAway(GoAwayReason::Unavailable) => None,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stored(&mut self, capability: &Capability, envelope: Vec<u8>) {
        let event = self.deposit(capability, envelope).await;
        assert!(matches!(event, SenderEvent::Stored { .. }), "{event:?}");
    }

    pub(crate) async fn refused(&mut self, capability: &Capability, envelope: Vec<u8>) -> Refusal {
        match self.deposit(capability, envelope).await {
            SenderEvent::Refused { refusal, .. } => refusal,
            other => panic!("{other:?}"),
        }
    }
}
