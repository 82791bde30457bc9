//! Deposits and fetches: one connection to each relay of someone else, closed after thirty idle seconds.
//!
//! A sender connection never says who it is, and is never the owner's (SPEC §6.4): a relay that keeps our mailbox and our
//! contact's does not see that one writes to the other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chopmark_core::secret::Secret;
use chopmark_mailbox::{SenderConnection, SenderEvent};
use chopmark_wire::address::RelayAddress;
use chopmark_wire::relay::{
    Capability, Deposit, Fetch, FetchId, Refusal, RequestId, TtlClass, Urgency,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Shared;
use crate::connection::talk::{Lost, Talk};
use crate::engine::fetch::Wanted;
use crate::engine::outbox::Due;
use crate::engine::turn::Turn;
use crate::error::Error;

/// One thing to ask of a relay.
enum Job {
    Deposit(Due),
    Fetch(Wanted),
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut workers: HashMap<String, mpsc::UnboundedSender<Job>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let held = Held::default();
    loop {
        // Most wakes are for nothing that is ours to send: looking keeps nobody from writing.
        let idle = |turn: &mut Turn<'_, '_>| Ok(!turn.anything_due()?);
        if matches!(shared.view(idle).await, Ok(true)) {
            let _ = tokio::time::timeout(LOOK, shared.sender_wake.notified()).await;
            continue;
        }
        match shared.look(|turn| Ok((turn.due(BATCH)?, turn.wanted()?))).await {
            Ok((due, wanted)) => {
                let full = due.len() == BATCH;
                let deposits = due.into_iter().map(|due| (due.relay.clone(), Job::Deposit(due)));
                let fetches = wanted.into_iter().map(|want| (want.relay.clone(), Job::Fetch(want)));
                for (relay, job) in deposits.chain(fetches) {
                    // A worker that is slow has it still; asking for it renewed the mark on the row.
                    if !held.take(&job) {
                        continue;
                    }
                    let worker = workers.entry(relay.clone()).or_insert_with(|| {
                        let (jobs, queue) = mpsc::unbounded_channel();
                        tasks.spawn(work(shared.clone(), relay, queue, held.clone()));
                        jobs
                    });
                    let _ = worker.send(job);
                }
                if full {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "the outbox cannot be read"),
        }
        // Something new, or a retry that falls due.
        let _ = tokio::time::timeout(LOOK, shared.sender_wake.notified()).await;
    }
}

/// Serves one relay as long as the client is open.
async fn work(
    shared: Arc<Shared>,
    relay: String,
    mut queue: mpsc::UnboundedReceiver<Job>,
    held: Held,
) {
    while let Some(first) = queue.recv().await {
        let mut asked = HashMap::new();
        let ended = session(&shared, &relay, first, &mut queue, &mut asked, &held).await;
        // What had no answer is undecided: it is asked again, on another connection.
        let mut undecided: Vec<Job> = asked.into_values().collect();
        if let Err(error) = ended {
            tracing::debug!(%error, "a sender connection ended");
            shared.health.send_modify(|health| {
                health.sender_failures = health.sender_failures.saturating_add(1);
            });
            // So is what waited behind it: a dead relay is not dialled once for each message.
            while let Ok(job) = queue.try_recv() {
                undecided.push(job);
            }
        }
        for job in undecided {
            let key = job.key();
            let _ = settle(&shared, job, Outcome::Undecided).await;
            held.done(&key);
        }
    }
}

/// What the workers have in their hands, so that none of it is handed out twice.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<HashSet<Key>>>);

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Row(u64),
    Fetch([u8; 16]),
}

impl Held {
    fn take(&self, job: &Job) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job.key())
    }

    fn done(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Job {
    fn key(&self) -> Key {
        match self {
            Self::Deposit(due) => Key::Row(due.seq),
            Self::Fetch(want) => Key::Fetch(want.fetch_id),
        }
    }
}

/// One connection: from the first job until it is idle or lost. `asked` keeps what has no answer yet.
async fn session(
    shared: &Arc<Shared>,
    relay: &str,
    first: Job,
    queue: &mut mpsc::UnboundedReceiver<Job>,
    asked: &mut HashMap<Option<RequestId>, Job>,
    held: &Held,
) -> Result<(), Lost> {
    asked.insert(None, first);
    let Ok(address) = relay.parse::<RelayAddress>() else { return Ok(()) };
    let mut talk = Talk::sender(&shared.dialer, &address).await?;
    if let Some(first) = asked.remove(&None) {
        ask(&mut talk.machine, first, asked);
    }
    loop {
        while asked.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            ask(&mut talk.machine, job, asked);
        }
        tokio::select! {
            event = talk.next() => {
                let (id, outcome) = match event? {
                    SenderEvent::Stored { id } => (id, Outcome::Stored),
                    SenderEvent::Fetched { id, bundle, one_time } => {
                        (id, Outcome::Fetched(bundle.to_vec(), one_time.map(|blob| blob.to_vec())))
                    }
                    SenderEvent::Refused { id, refusal } => (id, Outcome::Refused(refusal)),
                    SenderEvent::GoAway(_) => return Err(Lost::Closed),
                    _ => continue,
                };
                shared.health.send_modify(|health| health.sender_failures = 0);
                if let Some(job) = asked.remove(&Some(id)) {
                    let key = job.key();
                    let _ = settle(shared, job, outcome).await;
                    held.done(&key);
                }
            }
            job = queue.recv(), if asked.len() < BATCH => match job {
                Some(job) => ask(&mut talk.machine, job, asked),
                None => return Ok(()),
            },
            () = tokio::time::sleep(IDLE), if asked.is_empty() => {
                talk.close().await;
                return Ok(());
            }
        }
    }
}

fn ask(machine: &mut SenderConnection, job: Job, asked: &mut HashMap<Option<RequestId>, Job>) {
    let now = crate::clock::now();
    let id = match &job {
        Job::Deposit(due) => machine.deposit(
            now,
            Deposit {
                capability: Capability::new(Secret::new(due.capability)),
                // SPEC §7.1 [one-ttl]: the same for every body, or a payment would show.
                ttl: TtlClass::Month,
                urgency: Urgency::Normal,
                envelope: due.envelope.clone().into(),
            },
        ),
        Job::Fetch(want) => machine.fetch(
            now,
            Fetch {
                knock: Capability::new(Secret::new(want.capability)),
                id: FetchId(want.fetch_id),
            },
        ),
    };
    asked.insert(Some(id), job);
}

enum Outcome {
    Stored,
    Fetched(Vec<u8>, Option<Vec<u8>>),
    Refused(Refusal),
    Undecided,
}

async fn settle(shared: &Arc<Shared>, job: Job, outcome: Outcome) -> Result<(), Error> {
    let settled = match (job, outcome) {
        (Job::Deposit(due), Outcome::Stored) => shared.turn(move |turn| turn.stored(due.seq)).await,
        (Job::Deposit(due), Outcome::Refused(refusal)) => {
            let hours = match refusal {
                Refusal::Later { hours } => hours,
                // A relay without space or in shutdown: soon again, as if it had been silent.
                _ => 0,
            };
            shared.look(move |turn| turn.not_stored(due.seq, hours)).await
        }
        (Job::Deposit(due), _) => shared.look(move |turn| turn.not_stored(due.seq, 0)).await,
        (Job::Fetch(want), Outcome::Fetched(bundle, one_time)) => {
            shared
                .turn(move |turn| {
                    turn.fetched(&want.contact, &want.fetch_id, &bundle, one_time.as_deref())
                })
                .await
        }
        (Job::Fetch(want), Outcome::Refused(refusal)) => {
            let refused = refusal == Refusal::NotAccepted;
            shared.turn(move |turn| turn.not_fetched(&want.contact, &want.fetch_id, refused)).await
        }
        (Job::Fetch(want), _) => {
            shared.look(move |turn| turn.not_fetched(&want.contact, &want.fetch_id, false)).await
        }
    };
    if let Err(error) = &settled {
        tracing::warn!(%error, "an answer of a relay could not be stored");
    }
    settled
}

const BATCH: usize = 64;
const IDLE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);
