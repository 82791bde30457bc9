//! A running relay: its endpoint, its connections, and who listens for which mailbox.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_mailbox::{
    relay::{Bounds, Identity},
    store::Disk as _,
};
use chopmark_wire::relay::{Descriptor, Epoch, GoAwayReason, RelayId, TtlClass};
use quinn::{Endpoint, Incoming, VarInt};
use rand::rngs::SysRng;
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    endpoint::{self, Certificate, ListenError},
    home::Home,
    limits::{Bites, Limit, Limits, LimitsError},
    metrics::Metrics,
    prefix::{Creates, Crowd},
    store::{FjallDisk, Grouping, Shelf, Source, Space, StoreError, Writer},
    subscribers::Subscribers,
    task,
};

/// A relay that serves. Dropping it without [`drain`](Self::drain) is like a kill: what was confirmed stays.
pub struct Node {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    relay: RelayId,
    writer: Option<(Writer, JoinHandle<()>)>,
    /// Chain and key of the certificate, kept for when the limits change.
    certificate: Mutex<Certificate>,
    source: Source,
    home: Home,
}

/// What a node has at this moment, for who watches it. Cheap to clone; stays when the node is gone, at what was.
#[derive(Clone)]
pub struct Gauges(Arc<Shared>);

impl Gauges {
    /// How often each limit was met.
    pub fn bites(&self) -> &Bites {
        &self.0.bites
    }

    /// Connections, those in their handshake included.
    pub fn connections(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Handshakes.
    pub fn handshakes(&self) -> usize {
        self.0.opening.load(Ordering::Acquire)
    }

    /// Mailboxes that somebody listens to.
    pub fn subscribers(&self) -> usize {
        self.0.subscribers.count()
    }
}

/// What every connection task sees.
pub(crate) struct Shared {
    /// Made again before what it says is over.
    identity: RwLock<Arc<Identity>>,
    /// Host and port that the descriptor names.
    public: (String, u16),
    limits: RwLock<Arc<Limits>>,
    pub(crate) bites: Arc<Bites>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) subscribers: Subscribers,
    /// Becomes `true` once, when the relay stops.
    pub(crate) draining: watch::Sender<bool>,
    /// Connections in their handshake, all of them, and those whose client takes nothing.
    pub(crate) opening: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) slow: AtomicUsize,
    /// What each address prefix has and may have.
    crowd: Arc<Crowd>,
    pub(crate) creates: Creates,
    /// Why the store stopped, if it did.
    failed: watch::Sender<Option<String>>,
}

/// Why a relay does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk under its store failed.
    #[error("the store cannot be opened: {0}")]
    Disk(#[from] crate::store::DiskError),
    /// No randomness for the epoch of a new store.
    #[error("the system gives no random numbers")]
    Randomness,
    /// A limit that no relay can work with.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// No thread for the writer.
    #[error("the writer cannot be started: {0}")]
    Writer(#[from] std::io::Error),
}

/// How a relay is started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Host and port that its descriptor names; where it listens if `None`.
    pub public: Option<(String, u16)>,
    /// What it keeps free.
    pub space: Space,
    /// What its writer takes at once.
    pub grouping: Grouping,
    /// Hours without a request of its owner after which a mailbox is deleted.
    pub idle_hours: u64,
    /// Hours after which what was acked is erased.
    pub erase_hours: u64,
    /// What it lets others take.
    pub limits: Limits,
    /// What TLS shows from the first connection on; one made now if `None`.
    pub certificate: Option<Certificate>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

impl Node {
    /// Opens the store in `home` and listens. Call it on a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(home: Home, settings: &Settings) -> Result<Self, StartError> {
        settings.limits.check()?;
        let mut epoch = Err(StartError::Randomness);
        if let Ok(random) = chopmark_core::random::array(&mut SysRng) {
            epoch = Ok(Epoch(random));
        }
        let epoch = epoch?;
        let disk = FjallDisk::open(home.folder(), settings.space)?;
        let mut disk = disk.with_erase_hours(settings.erase_hours);
        // A disk without room is told of now, and not with the first request.
        let _ = disk.has_room();
        let source = disk.source();
        let shelf = Shelf::open(disk, || epoch)?.with_idle_hours(settings.idle_hours);
        let certificate = match &settings.certificate {
            Some(certificate) => certificate.clone(),
            None => Certificate::self_signed()?,
        };
        let server = endpoint::server_config(certificate.clone(), &settings.limits)?;
        let endpoint = endpoint::listen(settings.listen, home.identity(), server)?;
        let local = endpoint.local_addr().map_err(ListenError::Socket)?;
        let public =
            settings.public.clone().unwrap_or_else(|| (local.ip().to_string(), local.port()));

        let identity = describe(home.identity(), public.clone(), &settings.limits.connection);
        let relay = identity.descriptor.relay_id();
        let shared = Arc::new(Shared {
            identity: RwLock::new(Arc::new(identity)),
            public,
            limits: RwLock::new(Arc::new(settings.limits.clone())),
            bites: Arc::default(),
            metrics: Arc::clone(&settings.metrics),
            subscribers: Subscribers::default(),
            draining: watch::Sender::new(false),
            opening: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            slow: AtomicUsize::new(0),
            crowd: Arc::default(),
            creates: Creates::default(),
            failed: watch::Sender::new(None),
        });
        let (hears, fails) = (Arc::clone(&shared), Arc::clone(&shared));
        let (writer, thread) = Writer::start(
            shelf,
            settings.grouping,
            Arc::clone(&settings.metrics),
            now,
            move |mailbox| hears.subscribers.arrived(mailbox),
            move |error| {
                fails.failed.send_replace(Some(error.to_string()));
            },
        )?;
        tokio::spawn(accept(Arc::clone(&shared), endpoint.clone(), writer.clone()));
        Ok(Self {
            shared,
            endpoint,
            relay,
            writer: Some((writer, thread)),
            certificate: Mutex::new(certificate),
            source,
            home,
        })
    }

    /// The relay's id; the address carries half of it.
    pub const fn relay_id(&self) -> RelayId {
        self.relay
    }

    /// The address it listens on, its port included.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Waits until the store fails, and says why. The node is to be dropped then and the process to end.
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// From now on these limits: newcomers come under them, connections that are here stay under theirs. The share of new
    /// mailboxes of a prefix that was counted already changes with its next hour.
    ///
    /// # Errors
    /// [`StartError`] when no relay can work with them; the ones before hold then.
    pub fn set_limits(&self, limits: Limits) -> Result<(), StartError> {
        limits.check()?;
        let certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.endpoint.set_server_config(Some(endpoint::server_config(certificate, &limits)?));
        *self.shared.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
        Ok(())
    }

    /// From now on this certificate: for newcomers; connections that are here stay.
    ///
    /// # Errors
    /// [`StartError`] when key and chain do not fit; the one before stays then.
    pub fn set_certificate(&self, certificate: Certificate) -> Result<(), StartError> {
        let limits = self.shared.limits();
        let server = endpoint::server_config(certificate.clone(), &limits)?;
        self.endpoint.set_server_config(Some(server));
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
        Ok(())
    }

    /// What it has at each moment, for who watches it.
    pub fn gauges(&self) -> Gauges {
        Gauges(Arc::clone(&self.shared))
    }

    /// Its store, to be backed up meanwhile.
    pub fn store(&self) -> Source {
        self.source.clone()
    }

    /// Stops: nobody new is let in, every client is told at once, what is under way and what still comes is answered until
    /// it is quiet or [`Bounds::drain_time`] is over, and the store is closed.
    pub async fn drain(mut self) {
        let grace = self.shared.limits().connection.drain_time;
        self.endpoint.set_server_config(None);
        self.shared.draining.send_replace(true);
        let all_gone = async {
            while self.shared.open.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(grace.saturating_add(LAST_FRAMES_TIME), all_gone).await;
        self.endpoint.close(VarInt::from_u32(GoAwayReason::Draining.close_code()), b"");
        let _ = tokio::time::timeout(CLOSE_TIME, self.endpoint.wait_idle()).await;
        if let Some((writer, thread)) = self.writer.take() {
            drop(writer);
            let _ = tokio::time::timeout(
                CLOSE_TIME,
                tokio::task::spawn_blocking(move || thread.join().is_ok()),
            )
            .await;
        }
        // The lock goes last.
        drop(self.home);
    }
}

/// How long the last frames of all connections may take after their grace.
const LAST_FRAMES_TIME: Duration = Duration::from_secs(2);
/// How long closing may take.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long a descriptor may be passed on.
const DESCRIPTOR_TIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How old a descriptor may be before another one is made.
const DESCRIPTOR_AGE: Duration = Duration::from_secs(24 * 3600);

fn describe(key: &SigningKey, public: (String, u16), bounds: &Bounds) -> Identity {
    let key = SigningKey::from_secret(&Secret::new(*key.to_secret().expose()));
    let now = now();
    let descriptor = Descriptor {
        identity: key.verifying_key(),
        not_before: now.floor_hour(),
        not_after: now.floor_hour().saturating_add(DESCRIPTOR_TIME),
        addresses: vec![public],
        certificates: [None, None],
        forwarding: None,
        window_messages: u32::try_from(bounds.window_messages).unwrap_or(u32::MAX),
        window_bytes: u32::try_from(bounds.window_bytes).unwrap_or(u32::MAX),
        retention_hours: u32::try_from(TtlClass::Month.hours()).unwrap_or(u32::MAX),
    };
    Identity { key, descriptor }
}

impl Shared {
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The identity, with a descriptor of the last day: also after a clock that was set back, or new windows.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        let held = Arc::clone(&self.identity.read().unwrap_or_else(PoisonError::into_inner));
        let limits = self.limits();
        if is_current(&held.descriptor, now(), &limits.connection) {
            return held;
        }
        let made = Arc::new(describe(&held.key, self.public.clone(), &limits.connection));
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&made);
        made
    }
}

fn is_current(descriptor: &Descriptor, now: Timestamp, bounds: &Bounds) -> bool {
    let window = usize::try_from(descriptor.window_messages).ok();
    let bytes = usize::try_from(descriptor.window_bytes).ok();
    descriptor.not_before <= now
        && now.saturating_since(descriptor.not_before) < DESCRIPTOR_AGE
        && window == Some(bounds.window_messages)
        && bytes == Some(bounds.window_bytes)
}

async fn accept(shared: Arc<Shared>, endpoint: Endpoint, writer: Writer) {
    while let Some(incoming) = endpoint.accept().await {
        let limits = shared.limits();
        let refuse = |incoming: Incoming, limit| {
            shared.bites.add(limit);
            incoming.refuse();
        };
        if shared.open.load(Ordering::Acquire) >= limits.connections {
            refuse(incoming, Limit::Connections);
            continue;
        }
        let opening = shared.opening.load(Ordering::Acquire);
        if opening >= limits.handshakes {
            refuse(incoming, Limit::Handshakes);
            continue;
        }
        let crowded = opening >= limits.retry_above;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            shared.bites.add(Limit::Retry);
            // An error means that this one cannot be asked again; it is dropped either way.
            let _ = incoming.retry();
            continue;
        }
        // After the address is known to be real where it matters, so that nobody uses up another's share.
        let from = incoming.remote_address().ip();
        let Some(place) = shared.crowd.enter(from, limits.prefix_connections) else {
            refuse(incoming, Limit::PrefixConnections);
            continue;
        };
        // Counted here and not in its task: the next one is judged before that task runs.
        let counted = task::Counted::connection(&shared);
        let writer = writer.clone();
        tokio::spawn(task::serve(Arc::clone(&shared), limits, writer, incoming, place, counted));
    }
}

/// The wall clock, read here and nowhere else in this crate.
#[allow(clippy::disallowed_methods, reason = "the edge where a relay learns the time")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
