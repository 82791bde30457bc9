//! A running relay: its endpoint, its connections, and who listens for which mailbox.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_mailbox::relay::Identity;
use chopmark_wire::relay::{
    Descriptor, EndReason, Epoch, GoAwayReason, MailboxId, RelayId, TtlClass, limits,
};
use quinn::{Endpoint, VarInt};
use rand::rngs::SysRng;
use thiserror::Error;
use tokio::sync::{Notify, watch};

use crate::{
    endpoint::{self, ListenError},
    home::Home,
    prefix::{Creates, Crowd},
    store::{FjallDisk, Shelf, Space, StoreError, Writer},
    task,
};

/// A relay that serves. Dropping it without [`drain`](Self::drain) is like a kill: what was confirmed stays.
pub struct Node {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    relay: RelayId,
    writer: Option<(Writer, JoinHandle<()>)>,
    home: Home,
}

/// What every connection task sees.
pub(crate) struct Shared {
    pub(crate) identity: Arc<Identity>,
    pub(crate) subscribers: Subscribers,
    /// Becomes `true` once, when the relay stops.
    pub(crate) draining: watch::Sender<bool>,
    /// Connections in their handshake, and all of them.
    pub(crate) opening: AtomicUsize,
    pub(crate) open: AtomicUsize,
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
}

impl Node {
    /// Opens the store in `home` and listens. Call it on a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(home: Home, settings: &Settings) -> Result<Self, StartError> {
        let mut epoch = Err(StartError::Randomness);
        if let Ok(random) = chopmark_core::random::array(&mut SysRng) {
            epoch = Ok(Epoch(random));
        }
        let epoch = epoch?;
        let disk = FjallDisk::open(home.folder(), settings.space)?;
        let shelf = Shelf::open(disk, || epoch)?;
        let endpoint = endpoint::listen(settings.listen, home.identity())?;
        let local = endpoint.local_addr().map_err(ListenError::Socket)?;
        let public =
            settings.public.clone().unwrap_or_else(|| (local.ip().to_string(), local.port()));

        let key = SigningKey::from_secret(&Secret::new(*home.identity().to_secret().expose()));
        let descriptor = describe(&key, public);
        let relay = descriptor.relay_id();
        let shared = Arc::new(Shared {
            identity: Arc::new(Identity { key, descriptor }),
            subscribers: Subscribers::default(),
            draining: watch::Sender::new(false),
            opening: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            crowd: Arc::default(),
            creates: Creates::default(),
            failed: watch::Sender::new(None),
        });
        let (hears, fails) = (Arc::clone(&shared), Arc::clone(&shared));
        let (writer, thread) = Writer::start(
            shelf,
            now,
            move |mailbox| hears.subscribers.arrived(mailbox),
            move |error| {
                fails.failed.send_replace(Some(error.to_string()));
            },
        )?;
        tokio::spawn(accept(Arc::clone(&shared), endpoint.clone(), writer.clone()));
        Ok(Self { shared, endpoint, relay, writer: Some((writer, thread)), home })
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

    /// Stops: every client is told to come back later, what was asked is answered, the store is closed.
    pub async fn drain(mut self) {
        self.endpoint.set_server_config(None);
        self.shared.draining.send_replace(true);
        let all_gone = async {
            while self.shared.open.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_TIME, all_gone).await;
        self.endpoint.close(VarInt::from_u32(GoAwayReason::Draining.close_code()), b"");
        let _ = tokio::time::timeout(DRAIN_TIME, self.endpoint.wait_idle()).await;
        if let Some((writer, thread)) = self.writer.take() {
            drop(writer);
            let _ = tokio::time::timeout(
                DRAIN_TIME,
                tokio::task::spawn_blocking(move || thread.join().is_ok()),
            )
            .await;
        }
        // The lock goes last.
        drop(self.home);
    }
}

/// How long each step of stopping may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// How long a descriptor may be passed on.
const DESCRIPTOR_TIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Handshakes under way beyond which a client must prove its address first.
const RETRY_ABOVE: usize = 64;
/// Connections at once. Beyond, new ones are refused: failing closed for newcomers, not for those who are here.
const CONNECTIONS_MAX: usize = 8192;

fn describe(key: &SigningKey, public: (String, u16)) -> Descriptor {
    let now = now();
    Descriptor {
        identity: key.verifying_key(),
        not_before: now.floor_hour(),
        not_after: now.floor_hour().saturating_add(DESCRIPTOR_TIME),
        addresses: vec![public],
        certificates: [None, None],
        forwarding: None,
        window_messages: u32::try_from(limits::WINDOW_MESSAGES).unwrap_or(u32::MAX),
        window_bytes: u32::try_from(limits::WINDOW_BYTES).unwrap_or(u32::MAX),
        retention_hours: u32::try_from(TtlClass::Month.hours()).unwrap_or(u32::MAX),
    }
}

async fn accept(shared: Arc<Shared>, endpoint: Endpoint, writer: Writer) {
    while let Some(incoming) = endpoint.accept().await {
        if shared.open.load(Ordering::Acquire) >= CONNECTIONS_MAX {
            incoming.refuse();
            continue;
        }
        let crowded = shared.opening.load(Ordering::Acquire) > RETRY_ABOVE;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            // An error means that this one cannot be asked again; it is dropped either way.
            let _ = incoming.retry();
            continue;
        }
        // After the address is known to be real where it matters, so that nobody uses up another's share.
        let Some(place) = shared.crowd.enter(incoming.remote_address().ip()) else {
            incoming.refuse();
            continue;
        };
        tokio::spawn(task::serve(Arc::clone(&shared), writer.clone(), incoming, place));
    }
}

/// Who hears of arrivals in which mailbox: one connection each.
#[derive(Default)]
pub(crate) struct Subscribers {
    by_mailbox: Mutex<HashMap<MailboxId, Arc<Subscriber>>>,
}

/// A connection's ear. Arrivals run together; an end stays.
#[derive(Default)]
pub(crate) struct Subscriber {
    pub(crate) wake: Notify,
    pub(crate) ended: Mutex<Option<EndReason>>,
}

impl Subscriber {
    fn end(&self, reason: EndReason) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.wake.notify_one();
    }

    pub(crate) fn take_end(&self) -> Option<EndReason> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Subscribers {
    /// From now on `subscriber` hears, and who heard before is told so.
    pub(crate) fn subscribe(&self, mailbox: MailboxId, subscriber: &Arc<Subscriber>) {
        let before = self.lock().insert(mailbox, Arc::clone(subscriber));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, subscriber)) {
            before.end(EndReason::Superseded);
        }
    }

    pub(crate) fn deleted(&self, mailbox: &MailboxId) {
        if let Some(subscriber) = self.lock().remove(mailbox) {
            subscriber.end(EndReason::Deleted);
        }
    }

    /// The connection is gone; whoever took over stays.
    pub(crate) fn leave(&self, mailbox: &MailboxId, subscriber: &Arc<Subscriber>) {
        let mut by_mailbox = self.lock();
        if by_mailbox.get(mailbox).is_some_and(|held| Arc::ptr_eq(held, subscriber)) {
            by_mailbox.remove(mailbox);
        }
    }

    fn arrived(&self, mailbox: &MailboxId) {
        if let Some(subscriber) = self.lock().get(mailbox) {
            subscriber.wake.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<MailboxId, Arc<Subscriber>>> {
        self.by_mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock, read here and nowhere else in this crate.
#[allow(clippy::disallowed_methods, reason = "the edge where a relay learns the time")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
