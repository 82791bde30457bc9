//! What runs beside the calls of an open client: the own mailbox, deposits and fetches, calls to issuers.
//!
//! Every driver is a loop over what the store says is left to do. None keeps state that matters: a driver that dies, or
//! a process, is continued by the next one from the store alone.

mod issuer;
mod owner;
mod sender;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chopmark_core::random::RandomnessError;
use chopmark_core::time::Timestamp;
use chopmark_pay::Call;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::clock;
use crate::connection::quic::Dialer;
use crate::engine::turn::Turn;
use crate::error::Error;
use crate::store::{Store, StoreError};

/// What the calls and the drivers of one open client share.
pub(crate) struct Shared {
    store: Mutex<Store>,
    pub(crate) dialer: Dialer,
    /// Rises with every committed turn of this process, and with every commit of another that was noticed.
    changed: watch::Sender<u64>,
    /// Something may have to leave.
    pub(crate) owner_wake: Notify,
    pub(crate) sender_wake: Notify,
    work: mpsc::UnboundedSender<Work>,
    pub(crate) health: watch::Sender<Health>,
}

/// How the client's connections stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// This process receives for the home; otherwise another one does.
    pub receiving: bool,
    /// The own relay has verified and accepted us, and delivers.
    pub connected: bool,
    /// How often the own relay could not be reached, since the last time it could.
    pub relay_failures: u32,
    /// How often an issuer could not be reached, since the last time one could.
    pub issuer_failures: u32,
    /// How often a relay of someone else could not be reached, since the last time one could.
    pub sender_failures: u32,
}

/// What a committed turn leaves for the issuer driver.
pub(crate) enum Work {
    Call(Call),
    WakeAt(Timestamp),
}

/// The running drivers; dropped, they stop.
pub(crate) struct Drivers {
    _tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn start(store: Store) -> Result<(Arc<Self>, Drivers), Error> {
        let dialer = Dialer::new().map_err(|_| Error::Internal("TLS set-up"))?;
        // Before anyone looks: what another process commits from here on is noticed.
        let seen = store.foreign_changes()?;
        let (work, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Self {
            store: Mutex::new(store),
            dialer,
            changed: watch::Sender::new(0),
            owner_wake: Notify::new(),
            sender_wake: Notify::new(),
            work,
            health: watch::Sender::new(Health::default()),
        });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(owner::run(shared.clone(), stopped));
        tasks.spawn(sender::run(shared.clone()));
        tasks.spawn(issuer::run(shared.clone(), queue));
        tasks.spawn(watch_others(shared.clone(), seen));
        Ok((shared, Drivers { _tasks: tasks, stop }))
    }

    /// Runs one turn of the engine off the async threads. When this returns `Ok`, all that it changed is on disk, and the
    /// drivers know that there may be something to do.
    pub(crate) async fn turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let value = self.look(work).await?;
        self.woken();
        Ok(value)
    }

    /// As [`Shared::turn`], for a driver's own bookkeeping: wakes nobody.
    pub(crate) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || shared.turn_here(work)).await.map_err(unfinished)?
    }

    /// Reads with the engine, beside whoever writes. A hundred processes that wait for a change would keep each other from
    /// writing otherwise.
    pub(crate) async fn view<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.clone();
        let view = move || {
            let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
            let mut rng = randomness()?;
            store.view(|tx| work(&mut Turn::new(tx, clock::now(), &mut rng)))
        };
        tokio::task::spawn_blocking(view).await.map_err(unfinished)?
    }

    fn turn_here<T>(
        &self,
        work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // A panic in an earlier turn rolled its transaction back: the store is whole.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, work) = turn_with(&mut store, work)?;
        drop(store);
        // SPEC §9.3 [persist-before-send]: only now, after the commit.
        for work in work {
            let _ = self.work.send(work);
        }
        Ok(value)
    }

    fn woken(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        self.owner_wake.notify_one();
        self.sender_wake.notify_one();
    }

    /// Tells when something was committed since the receiver last looked.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn with_store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drivers {
    /// Lets the own mailbox's connection end in good order.
    pub(crate) async fn close(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(Duration::from_secs(2), self._tasks.join_next()).await;
        self._tasks.shutdown().await;
    }
}

/// One turn on a store that no driver works on yet.
pub(crate) fn turn_on<T>(
    store: &mut Store,
    work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error>,
) -> Result<T, Error> {
    turn_with(store, work).map(|(value, _)| value)
}

fn turn_with<T>(
    store: &mut Store,
    work: impl FnOnce(&mut Turn<'_, '_>) -> Result<T, Error>,
) -> Result<(T, Vec<Work>), Error> {
    let mut rng = randomness()?;
    store.transaction(|tx| {
        let mut turn = Turn::new(tx, clock::now(), &mut rng);
        let value = work(&mut turn)?;
        let calls = turn.calls.into_iter().map(Work::Call);
        Ok((value, calls.chain(turn.wakes.into_iter().map(Work::WakeAt)).collect()))
    })
}

/// Fresh randomness for every turn: nothing of a generator outlives a fork, a snapshot or a crash.
fn randomness() -> Result<StdRng, Error> {
    StdRng::try_from_rng(&mut SysRng).map_err(|_| RandomnessError.into())
}

/// Why a turn did not come to its end.
fn unfinished(error: JoinError) -> Error {
    match error.is_panic() {
        true => Error::Internal("a turn panicked"),
        false => Error::Ending,
    }
}

/// Another process may write to the same home: its commits wake our drivers and whoever waits for a change.
async fn watch_others(shared: Arc<Shared>, mut seen: i64) {
    loop {
        tokio::time::sleep(LOOK).await;
        let found: Result<i64, StoreError> = {
            let shared = shared.clone();
            match tokio::task::spawn_blocking(move || shared.with_store(Store::foreign_changes))
                .await
            {
                Ok(found) => found,
                Err(_) => return,
            }
        };
        if let Ok(found) = found
            && found != seen
        {
            seen = found;
            shared.woken();
        }
    }
}

const LOOK: Duration = Duration::from_millis(100);
