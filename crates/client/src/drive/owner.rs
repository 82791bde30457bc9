//! The own mailbox: what the relay must be told, and what it delivers.
//!
//! One process of a home does this, the one with the receive lock. A delivery is acknowledged after the turn that took it
//! in is on disk (SPEC §9.3 `[commit-before-ack]`), so that a crash in between costs a second delivery, never a message.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chopmark_mailbox::{OwnerConnection, OwnerEvent};
use chopmark_wire::address::RelayAddress;
use chopmark_wire::relay::{Deliver, RequestId};
use tokio::sync::watch;

use super::Shared;
use crate::connection::talk::{Lost, Talk};
use crate::engine::duty::Duty;
use crate::error::Error;
use crate::event::What;

pub(super) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let Some(_lock) = lock(&shared, &mut stopped).await else { return };
    shared.health.send_modify(|health| health.receiving = true);
    let mut failures = 0u32;
    let mut warned = HashSet::new();
    while !*stopped.borrow() {
        let began = crate::clock::now();
        let served = serve(&shared, &mut stopped, &mut warned).await;
        // A relay that takes us in and throws us out, or another device that does, is not met twice a second.
        let stood = crate::clock::now().saturating_since(began) >= STOOD;
        let worked = shared.health.borrow().connected && stood;
        failures = if worked { 0 } else { failures.saturating_add(1) };
        shared.health.send_modify(|health| {
            health.connected = false;
            health.relay_failures = failures;
        });
        match served {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "the own relay's connection ended"),
        }
        let pause = Duration::from_millis(crate::engine::outbox::pause_ms(failures).min(30_000));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.changed() => {}
        }
    }
}

/// Waits until no other process receives for this home.
async fn lock(
    shared: &Arc<Shared>,
    stopped: &mut watch::Receiver<bool>,
) -> Option<crate::store::ReceiveLock> {
    loop {
        match shared.with_store(crate::store::Store::receive_lock) {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the receive lock failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
            _ = stopped.changed() => return None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("the relay said: go away")]
    Told,
    #[error("the relay refused the mailbox")]
    Refused,
    #[error("the relay's store begins another life with each answer")]
    Restless,
}

/// One connection, until it ends; `Ok` when we are told to stop.
async fn serve(
    shared: &Arc<Shared>,
    stopped: &mut watch::Receiver<bool>,
    warned: &mut HashSet<u64>,
) -> Result<(), Ended> {
    shared.turn(|turn| turn.refresh_links()).await?;
    let (relay, owner) = shared.view(|turn| turn.mailbox_address()).await?;
    let relay: RelayAddress = relay.parse().map_err(|_| Error::RelayAddress)?;
    let mut talk = tokio::select! {
        talk = Talk::owner(&shared.dialer, &relay, owner) => talk?,
        // A relay that does not answer must not hold up the end of the process.
        _ = stopped.changed() => return Ok(()),
    };
    let mut asked = Asked::default();
    let now = crate::clock::now();
    let created = talk.machine.create(now);
    // From the beginning: the relay has only what was not acknowledged, and what is here already is acknowledged again, or
    // it would lie there, and fill the mailbox, until its time is over.
    let mut subscribed = talk.machine.subscribe(now, 0);
    let mut started_over = false;
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut retry = tokio::time::interval(RETRY);
    retry.tick().await;
    loop {
        asked.ask(shared, &mut talk).await?;
        tokio::select! {
            event = talk.next() => match event? {
                OwnerEvent::Subscribed { epoch, head, .. } => {
                    let again = shared.turn(move |turn| turn.subscribed(epoch.0, head)).await?;
                    if again && started_over {
                        return Err(Ended::Restless);
                    }
                    if again {
                        started_over = true;
                        asked = Asked::default();
                        subscribed = talk.machine.subscribe(crate::clock::now(), 0);
                    } else {
                        shared.health.send_modify(|health| {
                            health.connected = true;
                            health.relay_failures = 0;
                        });
                    }
                }
                OwnerEvent::Delivered(delivered) => {
                    let seq = delivered.seq;
                    take(shared, delivered).await?;
                    // SPEC §9.3 [commit-before-ack]
                    talk.machine.ack(&[seq]);
                }
                OwnerEvent::Done { id } => asked.done(shared, id).await?,
                OwnerEvent::Refused { id, .. } if id == created || id == subscribed => {
                    return Err(Ended::Refused);
                }
                OwnerEvent::Refused { id, refusal } => {
                    asked.refused(shared, id, refusal, warned).await?;
                }
                OwnerEvent::Ended(_) | OwnerEvent::GoAway(_) => return Err(Ended::Told),
                _ => {}
            },
            () = shared.owner_wake.notified() => {}
            _ = upkeep.tick() => shared.turn(|turn| turn.upkeep()).await?,
            _ = retry.tick() => asked.refused.clear(),
            _ = stopped.changed() => {
                talk.close().await;
                return Ok(());
            }
        }
    }
}

/// Takes one delivery in. What fails for a reason of its own, and would fail for ever, is skipped: SPEC §9.3
/// [poison-is-skipped].
async fn take(shared: &Arc<Shared>, delivered: Deliver) -> Result<(), Error> {
    let seq = delivered.seq;
    match shared.turn(move |turn| turn.deliver(&delivered)).await {
        Err(error) if !error.is_of_the_device() => {
            tracing::warn!(%error, "a delivery failed and is skipped");
            shared.turn(move |turn| turn.skip(seq)).await
        }
        taken => taken,
    }
}

/// The duties that this connection was asked, by the number of their request.
#[derive(Default)]
struct Asked {
    requests: HashMap<RequestId, u64>,
    refused: Vec<u64>,
}

impl Asked {
    async fn ask(
        &mut self,
        shared: &Arc<Shared>,
        talk: &mut Talk<OwnerConnection>,
    ) -> Result<(), Ended> {
        for (seq, duty) in shared.view(|turn| turn.duties()).await? {
            if self.requests.values().any(|asked| *asked == seq) || self.refused.contains(&seq) {
                continue;
            }
            let now = crate::clock::now();
            let id = match duty {
                Duty::Grant(grant) => talk.machine.grant(now, grant.to_wire()?),
                Duty::Revoke(hash) => talk.machine.revoke(now, Duty::hash(&hash)?),
                Duty::Publish(publish) => talk.machine.publish(now, publish.to_wire()?),
            };
            self.requests.insert(id, seq);
        }
        Ok(())
    }

    async fn done(&mut self, shared: &Arc<Shared>, id: RequestId) -> Result<(), Ended> {
        if let Some(seq) = self.requests.remove(&id) {
            shared.turn(move |turn| turn.duty_done(seq)).await?;
        }
        Ok(())
    }

    /// What the relay refuses now is asked again in a while. The user is told once, however often it refuses.
    async fn refused(
        &mut self,
        shared: &Arc<Shared>,
        id: RequestId,
        refusal: chopmark_wire::relay::Refusal,
        warned: &mut HashSet<u64>,
    ) -> Result<(), Ended> {
        let Some(seq) = self.requests.remove(&id) else { return Ok(()) };
        self.refused.push(seq);
        if !warned.insert(seq) {
            return Ok(());
        }
        tracing::warn!(?refusal, "the own relay refused");
        shared
            .turn(|turn| {
                turn.emit(What::Warning {
                    contact: None,
                    text: "the own relay refused a link or a contact; it is asked again later"
                        .to_owned(),
                })
            })
            .await?;
        Ok(())
    }
}

/// How often prekeys, acknowledgements and old records are looked after while connected.
const UPKEEP: Duration = Duration::from_secs(600);
/// How long after a refusal the same is asked again.
const RETRY: Duration = Duration::from_secs(60);
/// A connection that stood so long was a good one.
const STOOD: Duration = Duration::from_secs(10);
