//! One connection: bytes between quinn and the machine, requests between the machine and the writer.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chopmark_core::time::Timestamp;
use chopmark_mailbox::{
    RelayConnection,
    relay::{Input, Output},
    store::{StoreAnswer, StoreRequest},
};
use chopmark_wire::relay::{GoAwayReason, MailboxId};
use quinn::{Incoming, RecvStream, SendStream, VarInt};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    endpoint::channel_binding,
    limits::{Limit, Limits},
    metrics::Metrics,
    node::{Shared, now},
    prefix::{Place, Prefix},
    store::{
        Writer,
        inbox::{Inbox, Reply},
    },
    subscribers::Subscriber,
};

/// How long the last frame may take before the connection is closed over it.
const LAST_FRAME_TIME: Duration = Duration::from_secs(1);
/// How many parts of the stream are read at once, a packet's each: no more than the receive window in all.
const READ_PARTS: usize = 8;
/// Frames up to so many bytes are joined before they are handed to the transport, which keeps a record of each part.
const SMALL_FRAME: usize = 256;

/// Serves one connection from its first packet to its last.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    writer: Writer,
    incoming: Incoming,
    place: Place,
    (_open, opening): (Counted, Counted),
) {
    let opened = timeout(limits.handshake_time, open(&shared, &limits, incoming)).await;
    drop(opening);
    let (connection, machine, sink, source) = match opened {
        Ok(Some(opened)) => opened,
        // The client is gone, or was never one.
        Ok(None) => {
            shared.metrics.handshakes_failed.inc();
            return;
        }
        Err(_) => {
            shared.metrics.handshakes_failed.inc();
            return shared.bites.add(Limit::HandshakeTime);
        }
    };
    shared.metrics.connected.inc();
    let mut task = Task {
        shared: Arc::clone(&shared),
        limits,
        writer,
        machine,
        sink,
        source,
        inbox: Arc::default(),
        subscriber: Arc::default(),
        mailbox: None,
        prefix: place.prefix,
    };
    let reason = task.run().await;
    if let Some(mailbox) = &task.mailbox {
        shared.subscribers.leave(mailbox, &task.subscriber);
    }
    if let Some(reason) = reason {
        // The last frame says why; the code says it again to who lost that frame. Who takes nothing gets only the code.
        if reason != GoAwayReason::Limit {
            let _ = task.sink.finish();
            let _ = timeout(LAST_FRAME_TIME, task.sink.stopped()).await;
        }
        connection.close(VarInt::from_u32(reason.close_code()), b"");
    }
}

async fn open(
    shared: &Shared,
    limits: &Limits,
    incoming: Incoming,
) -> Option<(quinn::Connection, Box<RelayConnection>, SendStream, RecvStream)> {
    let connection = incoming.accept().ok()?.await.ok()?;
    let binding = channel_binding(&connection)?;
    let bounds = Arc::new(limits.connection.clone());
    // Boxed: a task has room for each place in which a value ever is, for as long as it lives.
    let machine = RelayConnection::with_bounds(shared.identity(), bounds, binding, now());
    let machine = Box::new(machine);
    // SPEC §6.1: the relay opens the control stream, because it speaks first.
    let (sink, source) = connection.open_bi().await.ok()?;
    Some((connection, machine, sink, source))
}

struct Task {
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    writer: Writer,
    machine: Box<RelayConnection>,
    sink: SendStream,
    source: RecvStream,
    /// Bounded by what the machine lets be under way.
    inbox: Arc<Inbox>,
    subscriber: Arc<Subscriber>,
    mailbox: Option<MailboxId>,
    /// Where it came from; none for loopback.
    prefix: Option<Prefix>,
}

impl Task {
    /// Until the connection ends; with a reason, if it is we who end it.
    async fn run(&mut self) -> Option<GoAwayReason> {
        let mut draining = self.shared.draining.subscribe();
        let mut draining = pin!(draining.wait_for(|draining| *draining));
        let mut drained = false;
        // Kept from turn to turn: it rings early when the machine was heard meanwhile, which does no harm.
        let mut alarm = pin!(sleep(FOREVER));
        let mut alarm_at = None;
        loop {
            if let Some(reason) = self.drain_outputs().await? {
                return Some(reason);
            }
            let wake = self.machine.wake_at();
            if wake.is_some_and(|wake| alarm_at.is_none_or(|at| wake < at)) {
                alarm_at = wake;
                alarm.as_mut().reset(Instant::now() + until(wake));
            }
            let mut parts = [const { Bytes::new() }; READ_PARTS];
            tokio::select! {
                read = self.source.read_chunks(&mut parts), if self.machine.wants_bytes() => {
                    // An end or an error: the client is gone.
                    let count = read.ok().flatten()?;
                    for part in parts.iter().take(count) {
                        self.machine.handle(now(), Input::Bytes(part));
                    }
                }
                () = self.inbox.ready() => {
                    for (ticket, answer) in self.inbox.take() {
                        count(&self.shared.metrics, answer.as_ref());
                        if answer == Some(StoreAnswer::Made) {
                            self.shared.creates.made(now(), self.prefix, &self.limits);
                        }
                        let input = match answer {
                            Some(answer) => Input::Answered { ticket, answer },
                            None => Input::Failed,
                        };
                        self.machine.handle(now(), input);
                    }
                }
                () = self.subscriber.wake.notified() => {
                    let input = match self.subscriber.take_end() {
                        Some(reason) => Input::Ended(reason),
                        None => Input::Arrived,
                    };
                    self.machine.handle(now(), input);
                }
                _ = &mut draining, if !drained => {
                    drained = true;
                    self.machine.handle(now(), Input::Drain);
                }
                () = &mut alarm => {
                    alarm_at = None;
                    alarm.as_mut().reset(Instant::now() + FOREVER);
                    self.machine.handle(now(), Input::Tick);
                }
            }
        }
    }

    /// Does everything that the machine wants done. `None` is a client that is gone or does not read.
    async fn drain_outputs(&mut self) -> Option<Option<GoAwayReason>> {
        let (mut bytes, mut small) = (Vec::new(), BytesMut::new());
        let mut close = None;
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send(frame) if frame.len() <= SMALL_FRAME => {
                    small.extend_from_slice(&frame);
                }
                Output::Send(frame) => {
                    if !small.is_empty() {
                        bytes.push(small.split().freeze());
                    }
                    bytes.push(frame);
                }
                Output::Store { ticket, mut request } => {
                    // SPEC §6.8 [prefix-share]: beyond its share a prefix still opens what it has.
                    if let StoreRequest::Create { new, .. } = &mut request
                        && *new
                        && !self.shared.creates.may(now(), self.prefix, &self.limits)
                    {
                        *new = false;
                    }
                    if let StoreRequest::Ack { seqs, .. } = &request {
                        self.shared.metrics.acknowledged.inc_by(seqs.len() as u64);
                    }
                    self.writer.ask(request, Reply::new(&self.inbox, ticket)).await;
                }
                Output::Subscribed(mailbox) => {
                    self.mailbox = Some(mailbox);
                    self.shared.subscribers.subscribe(mailbox, &self.subscriber);
                }
                Output::Limited(limited) => self.shared.bites.add(limited.into()),
                Output::Deleted(mailbox) => self.shared.subscribers.deleted(&mailbox),
                Output::Close(reason) => close = Some(reason),
                _ => {}
            }
        }
        if !small.is_empty() {
            bytes.push(small.freeze());
        }
        if !bytes.is_empty() && !self.write(&mut bytes).await? {
            return Some(Some(GoAwayReason::Limit));
        }
        Some(close)
    }

    /// Hands everything to the transport. `false` if the client takes too little of it, `None` if it is gone. What it did
    /// not take stays in its mailbox: only acks delete.
    async fn write(&mut self, bytes: &mut [Bytes]) -> Option<bool> {
        let mut writing = pin!(self.sink.write_all_chunks(bytes));
        if let Ok(written) = timeout(self.limits.slow_after, &mut writing).await {
            return written.ok().map(|()| true);
        }
        let slow = Counted::new(&self.shared, |shared| &shared.slow);
        if self.shared.slow.load(Ordering::Acquire) > self.limits.slow_readers {
            self.shared.bites.add(Limit::SlowReaders);
            return Some(false);
        }
        let Ok(written) = timeout(self.limits.write_time, &mut writing).await else {
            self.shared.bites.add(Limit::WriteTime);
            return Some(false);
        };
        drop(slow);
        written.ok().map(|()| true)
    }
}

/// What the relay did, as a whole.
fn count(metrics: &Metrics, answer: Option<&StoreAnswer>) {
    match answer {
        Some(StoreAnswer::Stored { arrived: Some(_) }) => metrics.stored.inc(),
        Some(StoreAnswer::Stored { arrived: None }) => metrics.repeated.inc(),
        Some(StoreAnswer::Refused(_)) => metrics.refused.inc(),
        Some(StoreAnswer::Messages(messages)) => metrics.delivered.inc_by(messages.len() as u64),
        _ => 0,
    };
}

/// How long a task sleeps that nobody wakes.
const FOREVER: Duration = Duration::from_secs(3600);

/// How long to sleep for a machine that wants to be woken then.
fn until(wake: Option<Timestamp>) -> Duration {
    // A clock that jumped makes this short or long, never an error; the machine looks again.
    wake.map_or(FOREVER, |wake| wake.saturating_since(now()).min(FOREVER))
}

/// Counts one up while it lives.
pub(crate) struct Counted {
    shared: Arc<Shared>,
    which: fn(&Shared) -> &std::sync::atomic::AtomicUsize,
}

impl Counted {
    /// A connection, and its handshake.
    pub(crate) fn connection(shared: &Arc<Shared>) -> (Self, Self) {
        (Self::new(shared, |shared| &shared.open), Self::new(shared, |shared| &shared.opening))
    }

    fn new(shared: &Arc<Shared>, which: fn(&Shared) -> &std::sync::atomic::AtomicUsize) -> Self {
        which(shared).fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(shared), which }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.shared).fetch_sub(1, Ordering::AcqRel);
    }
}
