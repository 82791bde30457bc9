//! The connection that deposits: it never says who it is, and serves one local account only (SPEC §6.4).

use std::collections::VecDeque;

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{
    Answer, Capability, ChannelBinding, Deposit, Descriptor, Fetch, GoAwayReason, Notice, Refusal,
    RelayHash, Request, RequestId,
};

use super::connection::{Connection, ConnectionError, Heard, Input, Output};

/// What a sender hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// The relay is the one in the address.
    Ready(Box<Descriptor>),
    /// The deposit is on the relay's disk, now or since before.
    Stored {
        /// The request's.
        id: RequestId,
    },
    /// A deposit under the probed capability would be taken.
    Accepted {
        /// The request's.
        id: RequestId,
    },
    /// A link's sealed bundle.
    Fetched {
        /// The request's.
        id: RequestId,
        /// The sealed bundle.
        bundle: Bytes,
        /// A sealed one-time prekey, while there is one to give.
        one_time: Option<Bytes>,
    },
    /// It is not so, and nothing was changed.
    Refused {
        /// The request's.
        id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// The relay will close. Requests without an answer are undecided.
    GoAway(GoAwayReason),
}

/// A client's connection to the relay of somebody else's mailbox. One account's, and closed after 30 s without use.
pub struct SenderConnection {
    connection: Connection,
    events: VecDeque<SenderEvent>,
}

impl SenderConnection {
    /// A connection on which `relay` (from the address) is expected to prove itself.
    ///
    /// `binding` is the transport's (SPEC §6.3); `now` starts the time that the relay has for its proof.
    pub fn new(relay: RelayHash, binding: ChannelBinding, now: Timestamp) -> Self {
        Self { connection: Connection::new(relay, binding, now), events: VecDeque::new() }
    }

    /// Leaves a message. Answered by `Stored` or `Refused`; the same envelope again gets the same answer.
    pub fn deposit(&mut self, now: Timestamp, deposit: Deposit) -> RequestId {
        self.connection.request(now, Request::Deposit(deposit))
    }

    /// Would a deposit be taken? Answered by `Accepted` or `Refused`.
    pub fn probe(&mut self, now: Timestamp, capability: Capability) -> RequestId {
        self.connection.request(now, Request::Probe(capability))
    }

    /// Fetches a link's bundle. Answered by `Fetched` or `Refused`; the same fetch id again gets the same answer for
    /// 24 hours.
    pub fn fetch(&mut self, now: Timestamp, fetch: Fetch) -> RequestId {
        self.connection.request(now, Request::Fetch(fetch))
    }

    /// Takes one input. Afterwards drain [`poll`](Self::poll).
    ///
    /// # Errors
    /// [`ConnectionError`]; the connection is to be dropped then and answers the same from now on.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), ConnectionError> {
        let Self { connection, events } = self;
        connection.handle(now, input, |connection, heard| {
            let event = match heard {
                Heard::Ready(descriptor) => {
                    connection.release(None);
                    SenderEvent::Ready(descriptor)
                }
                Heard::Answer { id, answer, .. } => match answer {
                    Answer::Stored => SenderEvent::Stored { id },
                    Answer::Done => SenderEvent::Accepted { id },
                    Answer::Refused(refusal) => SenderEvent::Refused { id, refusal },
                    Answer::Fetched { bundle, one_time } => {
                        SenderEvent::Fetched { id, bundle, one_time }
                    }
                    _ => return Err(ConnectionError::Misbehaved("an owner's answer")),
                },
                Heard::Notice(Notice::GoAway(reason)) => SenderEvent::GoAway(reason),
                Heard::Notice(_) => return Err(ConnectionError::Misbehaved("an owner's notice")),
            };
            events.push_back(event);
            Ok(())
        })
    }

    /// The next thing to be done, until `None`.
    pub fn poll(&mut self) -> Option<Output<SenderEvent>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Output::Event(event));
        }
        self.connection.poll().map(Output::Send)
    }

    /// When [`Input::Tick`] is due, if nothing comes before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.connection.wake_at()
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.connection.unanswered()
    }
}
