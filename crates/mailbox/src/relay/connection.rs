//! The machine of one connection at a relay.

use core::time::Duration;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use chopmark_core::{signature::SigningKey, time::Timestamp};
use chopmark_wire::relay::{
    Answer, ChannelBinding, Descriptor, EndReason, FrameReader, FromClient, FromRelay,
    GoAwayReason, MailboxId, MessageId, Notice, Refusal, RelayId, Request, RequestId, limits,
};

use super::{frame_rate::FrameRate, subscription::Subscription};
use crate::store::{StoreAnswer, StoreRequest};

/// A relay's identity key and what it says of itself: shared by all its connections.
#[derive(Debug)]
pub struct Identity {
    /// Signs the proof of each connection.
    pub key: SigningKey,
    /// What the proof says.
    pub descriptor: Descriptor,
}

/// Names a store request of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What happens to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes of the control stream, in order. Only while [`RelayConnection::wants_bytes`].
    Bytes(&'a [u8]),
    /// What the store says to [`Output::Store`]. It is durable.
    Answered {
        /// The request's.
        ticket: Ticket,
        /// What it says.
        answer: StoreAnswer,
    },
    /// The store cannot say what became of a request.
    Failed,
    /// Something is new in the mailbox to which this connection subscribed.
    Arrived,
    /// Another connection subscribed to its mailbox, or the mailbox was deleted.
    Ended(EndReason),
    /// The relay is stopping.
    Drain,
    /// Time passed: due no later than `wake_at()`.
    Tick,
}

/// What a connection wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Bytes for the control stream.
    Send(Bytes),
    /// A request to the store; what it says comes back as [`Input::Answered`] or [`Input::Failed`].
    Store {
        /// Names it.
        ticket: Ticket,
        /// The request.
        request: StoreRequest,
    },
    /// From now on this connection, and no other, hears of arrivals in this mailbox.
    Subscribed(MailboxId),
    /// This mailbox is gone; its subscriber is to hear of it.
    Deleted(MailboxId),
    /// Close with this reason's code. Nothing follows.
    Close(GoAwayReason),
}

/// A connection has one role, and its first frame decides which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Undecided,
    Owner(MailboxId),
    Sender,
}

/// What waits for the store.
#[derive(Debug)]
enum Pending {
    /// Answer the request with what the store says.
    Answer(RequestId),
    /// Answer a deletion, and tell the subscriber.
    Delete(RequestId, MailboxId),
    /// Open the subscription.
    Subscribe { id: RequestId, after: u64, mailbox: MailboxId },
    /// Deliver.
    Read { subscription: u64 },
    /// Nothing: an ack is not answered.
    Ack,
}

/// One connection at a relay.
///
/// Every mutation is followed by a complete drain of [`poll`](Self::poll).
pub struct RelayConnection {
    identity: Arc<Identity>,
    relay: RelayId,
    binding: ChannelBinding,
    role: Role,
    reader: FrameReader,
    frames: FrameRate,
    paused_until: Option<Timestamp>,
    pending: HashMap<Ticket, (Pending, usize)>,
    pending_bytes: usize,
    next: Ticket,
    subscription: Option<Subscription>,
    /// How many subscriptions there were: a read for an older one is dropped.
    subscriptions: u64,
    outbox: VecDeque<Output>,
    heard: Timestamp,
    draining: bool,
    closed: bool,
}

impl RelayConnection {
    /// A new connection. Its first output is the relay's proof for this `binding`.
    pub fn new(identity: Arc<Identity>, binding: ChannelBinding, now: Timestamp) -> Self {
        let info = identity.descriptor.sign(&identity.key, &binding);
        let first = FromRelay::Notice(Notice::Info(info)).encode();
        Self {
            relay: identity.descriptor.relay_id(),
            identity,
            binding,
            role: Role::Undecided,
            reader: FrameReader::new(),
            frames: FrameRate::new(now),
            paused_until: None,
            pending: HashMap::new(),
            pending_bytes: 0,
            next: Ticket(0),
            subscription: None,
            subscriptions: 0,
            outbox: VecDeque::from([Output::Send(first)]),
            heard: now,
            draining: false,
            closed: false,
        }
    }

    /// Whether more bytes of the stream may come in now. While not, they wait in the transport.
    pub fn wants_bytes(&self) -> bool {
        !self.closed && !self.draining && self.paused_until.is_none() && self.has_room()
    }

    /// Takes one input. Afterwards drain [`poll`](Self::poll).
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) {
        if self.closed {
            return;
        }
        match input {
            Input::Bytes(bytes) => self.reader.push(bytes),
            Input::Answered { ticket, answer } => self.answered(ticket, answer),
            // SPEC §6.7 [no-answer-of-a-failed-batch]: neither yes nor no is known to be true.
            Input::Failed => return self.go_away(GoAwayReason::Unavailable),
            Input::Arrived => {
                if let Some(subscription) = &mut self.subscription {
                    subscription.arrived();
                }
            }
            Input::Ended(reason) => {
                if self.subscription.take().is_some() {
                    self.notice(Notice::Ended(reason));
                }
            }
            Input::Drain => {
                self.draining = true;
                self.notice(Notice::GoAway(GoAwayReason::Draining));
            }
            Input::Tick => {
                if self.idle_at().is_some_and(|due| due <= now) {
                    return self.go_away(GoAwayReason::Idle);
                }
            }
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        self.frames(now);
        self.deliver();
        if self.draining && self.pending.is_empty() {
            self.close(GoAwayReason::Draining);
        }
    }

    /// The next thing to be done, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Tick`] is due, if nothing comes before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.closed {
            return None;
        }
        match (self.paused_until, self.idle_at()) {
            (Some(pause), Some(idle)) => Some(pause.min(idle)),
            (pause, idle) => pause.or(idle),
        }
    }

    /// Reads frames while there are any, there is room, and their rate allows.
    fn frames(&mut self, now: Timestamp) {
        while !self.closed && !self.draining && self.paused_until.is_none() && self.has_room() {
            let frame = match self.reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(_) => return self.go_away(GoAwayReason::BrokenFrame),
            };
            // Whole frames only: a byte now and then does not keep a connection open.
            self.heard = now;
            // Counted by frame, not by byte: small frames cost as much as large ones.
            if !self.frames.take(now) {
                self.paused_until = Some(now.saturating_add(PAUSE));
            }
            match FromClient::decode(&frame) {
                Ok(FromClient::Request { id, request }) => self.request(id, request),
                Ok(FromClient::Ack(seqs)) => self.ack(seqs),
                Ok(_) | Err(_) => self.go_away(GoAwayReason::BrokenFrame),
            }
        }
    }

    fn request(&mut self, id: RequestId, request: Request) {
        // SPEC §6.4 [one-role]: the first frame decides, and the other role's frames end the connection.
        match (self.role, request) {
            (Role::Undecided, Request::Auth(auth)) => {
                match auth.verify(&self.binding, &self.relay) {
                    Ok(mailbox) => {
                        self.role = Role::Owner(mailbox);
                        self.answer(id, Answer::Done);
                    }
                    Err(_) => self.go_away(GoAwayReason::NotAuthentic),
                }
            }
            (Role::Owner(_), Request::Reserved(_)) => {
                self.answer(id, Answer::Refused(Refusal::Unsupported));
            }
            (Role::Owner(mailbox), request) => self.owner_request(id, mailbox, request),
            (Role::Undecided | Role::Sender, request) => {
                self.role = Role::Sender;
                self.sender_request(id, request);
            }
        }
    }

    fn owner_request(&mut self, id: RequestId, mailbox: MailboxId, request: Request) {
        let answer = Pending::Answer(id);
        match request {
            Request::Create => self.store(answer, 0, StoreRequest::Create { mailbox, new: true }),
            Request::Grant(grant) => self.store(answer, 0, StoreRequest::Grant { mailbox, grant }),
            Request::Revoke(capability) => {
                self.store(answer, 0, StoreRequest::Revoke { mailbox, capability });
            }
            Request::Publish(publish) => {
                let bytes = publish.one_time.iter().map(Bytes::len).sum::<usize>();
                let bytes = bytes.saturating_add(publish.bundle.len());
                self.store(answer, bytes, StoreRequest::Publish { mailbox, publish });
            }
            Request::Subscribe { after } => {
                let pending = Pending::Subscribe { id, after, mailbox };
                self.store(pending, 0, StoreRequest::Subscribe { mailbox });
            }
            Request::Delete => {
                self.store(Pending::Delete(id, mailbox), 0, StoreRequest::Delete { mailbox });
            }
            _ => self.go_away(GoAwayReason::WrongRole),
        }
    }

    fn sender_request(&mut self, id: RequestId, request: Request) {
        let answer = Pending::Answer(id);
        match request {
            Request::Deposit(deposit) => {
                let bytes = deposit.envelope.len();
                let request = StoreRequest::Deposit {
                    capability: deposit.capability.hash(),
                    ttl: deposit.ttl,
                    id: MessageId::of(&deposit.envelope),
                    envelope: deposit.envelope,
                };
                self.store(answer, bytes, request);
            }
            Request::Probe(capability) => {
                self.store(answer, 0, StoreRequest::Probe { capability: capability.hash() });
            }
            Request::Fetch(fetch) => {
                let request = StoreRequest::Fetch { capability: fetch.knock.hash(), id: fetch.id };
                self.store(answer, 0, request);
            }
            Request::Reserved(_) => self.answer(id, Answer::Refused(Refusal::Unsupported)),
            _ => self.go_away(GoAwayReason::WrongRole),
        }
    }

    fn ack(&mut self, seqs: Vec<u64>) {
        let Role::Owner(mailbox) = self.role else {
            return self.go_away(GoAwayReason::WrongRole);
        };
        if let Some(subscription) = &mut self.subscription {
            seqs.iter().for_each(|seq| subscription.acked(*seq));
        }
        self.store(Pending::Ack, 0, StoreRequest::Ack { mailbox, seqs });
    }

    fn answered(&mut self, ticket: Ticket, answer: StoreAnswer) {
        let Some((pending, bytes)) = self.pending.remove(&ticket) else {
            return;
        };
        self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
        match (pending, answer) {
            (Pending::Ack, _) => {}
            (Pending::Read { subscription }, StoreAnswer::Messages(messages)) => {
                let current = self.subscriptions == subscription;
                if let Some(open) = self.subscription.as_mut().filter(|_| current) {
                    open.delivered(&messages);
                    for message in messages {
                        self.notice(Notice::Deliver(message));
                    }
                }
            }
            (Pending::Read { .. }, _) => self.subscription = None,
            (
                Pending::Subscribe { id, after, mailbox },
                StoreAnswer::Subscribed { epoch, head },
            ) => {
                self.subscriptions = self.subscriptions.wrapping_add(1);
                self.subscription = Some(Subscription::new(after));
                self.answer(id, Answer::Subscribed { epoch, head });
                // Before the first read, so that nothing arrives unheard between the two.
                self.outbox.push_back(Output::Subscribed(mailbox));
            }
            (Pending::Delete(id, mailbox), StoreAnswer::Done) => {
                self.answer(id, Answer::Done);
                self.outbox.push_back(Output::Deleted(mailbox));
            }
            (
                Pending::Answer(id) | Pending::Subscribe { id, .. } | Pending::Delete(id, _),
                answer,
            ) => match answer {
                StoreAnswer::Done | StoreAnswer::Made => self.answer(id, Answer::Done),
                StoreAnswer::Refused(refusal) => self.answer(id, Answer::Refused(refusal)),
                // SPEC §6.7 [stored-after-fsync]: the sender hears it only once the store has said so.
                StoreAnswer::Stored { .. } => self.answer(id, Answer::Stored),
                StoreAnswer::Fetched { bundle, one_time } => {
                    self.answer(id, Answer::Fetched { bundle, one_time });
                }
                StoreAnswer::Subscribed { .. } | StoreAnswer::Messages(_) => {
                    self.go_away(GoAwayReason::Unavailable);
                }
            },
        }
    }

    /// Reads on for the subscriber while the window has room.
    fn deliver(&mut self) {
        let Role::Owner(mailbox) = self.role else { return };
        if self.closed || self.draining {
            return;
        }
        let subscription = self.subscriptions;
        if let Some((after, messages, bytes)) =
            self.subscription.as_mut().and_then(Subscription::read)
        {
            self.store(
                Pending::Read { subscription },
                0,
                StoreRequest::Read { mailbox, after, messages, bytes },
            );
        }
    }

    fn store(&mut self, pending: Pending, bytes: usize, request: StoreRequest) {
        let ticket = self.next;
        self.next = Ticket(ticket.0.wrapping_add(1));
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        self.pending.insert(ticket, (pending, bytes));
        self.outbox.push_back(Output::Store { ticket, request });
    }

    /// SPEC §6.8 [bounded-in-flight].
    fn has_room(&self) -> bool {
        self.pending.len() < limits::REQUESTS_IN_FLIGHT_MAX
            && self.pending_bytes < limits::REQUEST_BYTES_IN_FLIGHT_MAX
    }

    fn idle_at(&self) -> Option<Timestamp> {
        match self.role {
            Role::Undecided => Some(self.heard.saturating_add(limits::FIRST_FRAME_TIME)),
            Role::Sender if self.pending.is_empty() => {
                Some(self.heard.saturating_add(limits::SENDER_IDLE_TIME))
            }
            Role::Sender | Role::Owner(_) => None,
        }
    }

    fn answer(&mut self, id: RequestId, answer: Answer) {
        self.outbox.push_back(Output::Send(FromRelay::Answer { id, answer }.encode()));
    }

    fn notice(&mut self, notice: Notice) {
        self.outbox.push_back(Output::Send(FromRelay::Notice(notice).encode()));
    }

    fn go_away(&mut self, reason: GoAwayReason) {
        self.notice(Notice::GoAway(reason));
        self.close(reason);
    }

    fn close(&mut self, reason: GoAwayReason) {
        self.closed = true;
        self.subscription = None;
        self.outbox.push_back(Output::Close(reason));
    }

    /// The relay's identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// How long a connection that sends too many frames is not read.
const PAUSE: Duration = Duration::from_millis(20);
