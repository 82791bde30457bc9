//! The machine of one connection at a relay.

use core::time::Duration;
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{
    Answer, ChannelBinding, FrameReader, FromClient, FromRelay, GoAwayReason, MailboxId, MessageId,
    Notice, Refusal, RelayId, Request, RequestId,
};

use super::{
    bounds::{Bounds, Limited},
    effect::{Identity, Input, Output, Ticket},
    frame_rate::FrameRate,
    subscription::{Next, Subscription},
    work::{Pending, Work},
};
use crate::store::{StoreAnswer, StoreRequest};

/// A connection has one role, and its first frame decides which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Undecided,
    Owner(MailboxId),
    Sender,
}

/// One connection at a relay.
///
/// Every mutation is followed by a complete drain of [`poll`](Self::poll).
pub struct RelayConnection {
    identity: Arc<Identity>,
    bounds: Arc<Bounds>,
    relay: RelayId,
    binding: ChannelBinding,
    role: Role,
    reader: FrameReader,
    frames: FrameRate,
    paused_until: Option<Timestamp>,
    work: Work,
    /// The work was found full since there was room.
    full: bool,
    subscription: Option<Subscription>,
    /// How many subscriptions there were: a read for an older one is dropped.
    subscriptions: u64,
    outbox: VecDeque<Output>,
    heard: Timestamp,
    /// Since when the relay is stopping.
    draining: Option<Timestamp>,
    closed: bool,
}

impl RelayConnection {
    /// A new connection under the bounds of SPEC §6.8. Its first output is the relay's proof for this `binding`.
    pub fn new(identity: Arc<Identity>, binding: ChannelBinding, now: Timestamp) -> Self {
        Self::with_bounds(identity, Arc::default(), binding, now)
    }

    /// The same under bounds of the relay's own.
    pub fn with_bounds(
        identity: Arc<Identity>,
        bounds: Arc<Bounds>,
        binding: ChannelBinding,
        now: Timestamp,
    ) -> Self {
        let info = identity.descriptor.sign(&identity.key, &binding);
        let first = FromRelay::Notice(Notice::Info(info)).encode();
        Self {
            relay: identity.descriptor.relay_id(),
            identity,
            binding,
            role: Role::Undecided,
            reader: FrameReader::new(),
            frames: FrameRate::new(now, bounds.frames_burst, bounds.frames_per_second),
            paused_until: None,
            work: Work::default(),
            full: false,
            bounds,
            subscription: None,
            subscriptions: 0,
            outbox: VecDeque::from([Output::Send(first)]),
            heard: now,
            draining: None,
            closed: false,
        }
    }

    /// Whether more bytes of the stream may come in now. While not, they wait in the transport.
    pub fn wants_bytes(&self) -> bool {
        !self.closed && self.paused_until.is_none() && self.work.has_room(&self.bounds)
    }

    /// Takes one input. Afterwards drain [`poll`](Self::poll).
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) {
        if self.closed {
            return;
        }
        // A clock that was set back: what is waited for is no further away than when the wait began.
        self.heard = self.heard.min(now);
        self.paused_until = self.paused_until.map(|until| until.min(now.saturating_add(PAUSE)));
        self.draining = self.draining.map(|since| since.min(now));
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
                if self.draining.is_none() {
                    self.draining = Some(now);
                    self.notice(Notice::GoAway(GoAwayReason::Draining));
                }
            }
            Input::Tick => {
                if self.idle_at().is_some_and(|due| due <= now) {
                    self.limited(match self.role {
                        Role::Undecided => Limited::FirstFrame,
                        _ => Limited::SenderIdle,
                    });
                    return self.go_away(GoAwayReason::Idle);
                }
            }
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        self.frames(now);
        self.deliver();
        // What is still with the store at the end of the grace stays undecided: the client asks again elsewhere.
        if !self.closed && self.drained_at().is_some_and(|due| due <= now) {
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
        [self.paused_until, self.idle_at(), self.drained_at()].into_iter().flatten().min()
    }

    /// Reads frames while there are any, there is room, and their rate allows.
    fn frames(&mut self, now: Timestamp) {
        while self.wants_bytes() {
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
                self.limited(Limited::Frames);
            }
            match FromClient::decode(&frame) {
                Ok(FromClient::Request { id, request }) => self.request(id, request),
                Ok(FromClient::Ack(seqs)) => self.ack(seqs),
                Ok(_) | Err(_) => self.go_away(GoAwayReason::BrokenFrame),
            }
        }
        let full = !self.closed && !self.work.has_room(&self.bounds);
        if full && !self.full {
            self.limited(Limited::Requests);
        }
        self.full = full;
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
            Request::Create { token } => {
                let allowed = self.bounds.access.allows(token.as_ref());
                let request = StoreRequest::Create { mailbox, new: allowed };
                self.store(Pending::Create { id, allowed }, 0, request);
            }
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
        let Some(pending) = self.work.take(ticket) else { return };
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
            // It is not there, and access makes none: waiting would not help.
            (
                Pending::Create { id, allowed: false },
                StoreAnswer::Refused(Refusal::Later { .. }),
            ) => {
                self.limited(Limited::Access);
                self.answer(id, Answer::Refused(Refusal::Closed));
            }
            (
                Pending::Answer(id)
                | Pending::Create { id, .. }
                | Pending::Subscribe { id, .. }
                | Pending::Delete(id, _),
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
        // A relay that stops leaves in the mailbox what would not be acked any more.
        if self.closed || self.draining.is_some() {
            return;
        }
        let subscription = self.subscriptions;
        match self.subscription.as_mut().map(|open| open.next(&self.bounds)) {
            None | Some(Next::Nothing) => {}
            Some(Next::Full) => self.limited(Limited::Window),
            Some(Next::Read { after, messages, bytes }) => self.store(
                Pending::Read { subscription },
                0,
                StoreRequest::Read { mailbox, after, messages, bytes },
            ),
        }
    }

    fn store(&mut self, pending: Pending, bytes: usize, request: StoreRequest) {
        let ticket = self.work.add(pending, bytes);
        self.outbox.push_back(Output::Store { ticket, request });
    }

    fn limited(&mut self, by: Limited) {
        self.outbox.push_back(Output::Limited(by));
    }

    /// SPEC §6.1 [drain-has-grace]: when a connection of a relay that stops is over. Once nothing is under way and
    /// nothing more comes, or at the end of the grace.
    fn drained_at(&self) -> Option<Timestamp> {
        let since = self.draining?;
        let latest = since.saturating_add(self.bounds.drain_time);
        if self.work.is_empty() {
            Some(latest.min(self.heard.max(since).saturating_add(QUIET)))
        } else {
            Some(latest)
        }
    }

    fn idle_at(&self) -> Option<Timestamp> {
        match self.role {
            Role::Undecided => Some(self.heard.saturating_add(self.bounds.first_frame_time)),
            Role::Sender if self.work.is_empty() => {
                Some(self.heard.saturating_add(self.bounds.sender_idle_time))
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
/// How long nothing more must come until a relay that stops takes a client for done.
const QUIET: Duration = Duration::from_millis(500);
