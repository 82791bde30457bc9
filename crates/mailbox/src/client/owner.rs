//! The connection that owns a mailbox: it makes it, says who may deposit, and takes what arrived.

use std::collections::VecDeque;

use chopmark_core::{signature::SigningKey, time::Timestamp};
use chopmark_wire::relay::{
    AccessToken, Answer, Auth, CapabilityHash, ChannelBinding, Deliver, Descriptor, EndReason,
    Epoch, GoAwayReason, Grant, MailboxId, Notice, Publish, Refusal, RelayHash, Request, RequestId,
    limits,
};

use super::connection::{Asked, Connection, ConnectionError, Heard, Input, Output};

/// What an owner hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnerEvent {
    /// The relay is the one in the address. The owner's proof is on its way.
    Ready(Box<Descriptor>),
    /// It is so, on the relay's disk: a create, grant, revoke, publish or delete.
    Done {
        /// The request's.
        id: RequestId,
    },
    /// It is not so, and nothing was changed.
    Refused {
        /// The request's.
        id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// Deliveries follow. On another epoch than the last, or a head below a number already seen: subscribe from 0, and
    /// grant and publish again (SPEC §6.7).
    Subscribed {
        /// The request's.
        id: RequestId,
        /// The life of the relay's store.
        epoch: Epoch,
        /// The highest number that a message of this mailbox ever had.
        head: u64,
    },
    /// A message, at least once, in order. [`OwnerConnection::ack`] it once it is safe.
    Delivered(Deliver),
    /// No more deliveries here.
    Ended(EndReason),
    /// The relay will close. Requests without an answer are undecided.
    GoAway(GoAwayReason),
}

/// A client's connection to the relay of its mailbox. One account's, one mailbox's.
pub struct OwnerConnection {
    connection: Connection,
    owner: SigningKey,
    events: VecDeque<OwnerEvent>,
    /// The number that the next delivery must exceed, while there is a subscription.
    delivered: Option<u64>,
    /// What `subscribe` asked for, until it is answered.
    after: u64,
    outstanding: Vec<(u64, usize)>,
}

impl OwnerConnection {
    /// A connection on which `relay` (from the address) is expected to prove itself, and we to prove `owner`.
    ///
    /// `binding` is the transport's (SPEC §6.3); `now` starts the time that the relay has for its proof.
    pub fn new(
        relay: RelayHash,
        binding: ChannelBinding,
        owner: SigningKey,
        now: Timestamp,
    ) -> Self {
        Self {
            connection: Connection::new(relay, binding, now),
            owner,
            events: VecDeque::new(),
            delivered: None,
            after: 0,
            outstanding: Vec::new(),
        }
    }

    /// The mailbox that this connection owns.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.owner.verifying_key())
    }

    /// Makes the mailbox; again, it changes nothing. Answered by `Done` or `Refused`.
    pub fn create(&mut self, now: Timestamp) -> RequestId {
        self.connection.request(now, Request::Create { token: None })
    }

    /// Makes the mailbox at a relay that makes them only for who has a token (SPEC §6.6). Answered by `Done` or `Refused`.
    pub fn create_with(&mut self, now: Timestamp, token: AccessToken) -> RequestId {
        self.connection.request(now, Request::Create { token: Some(token) })
    }

    /// Accepts a capability. Answered by `Done` or `Refused`.
    pub fn grant(&mut self, now: Timestamp, grant: Grant) -> RequestId {
        self.connection.request(now, Request::Grant(grant))
    }

    /// Accepts a capability no longer. Answered by `Done`, whether it was there or not.
    pub fn revoke(&mut self, now: Timestamp, capability: CapabilityHash) -> RequestId {
        self.connection.request(now, Request::Revoke(capability))
    }

    /// Publishes a link's bundle under a granted knock capability. Answered by `Done` or `Refused`.
    pub fn publish(&mut self, now: Timestamp, publish: Publish) -> RequestId {
        self.connection.request(now, Request::Publish(publish))
    }

    /// Asks for everything with a number above `after`, now and as it comes. Answered by `Subscribed` or `Refused`.
    ///
    /// Asking again on the same connection starts over from the new `after`.
    pub fn subscribe(&mut self, now: Timestamp, after: u64) -> RequestId {
        self.after = after;
        self.connection.request(now, Request::Subscribe { after })
    }

    /// Says that these messages are safe, so that the relay forgets them and delivers as many more. Not answered.
    pub fn ack(&mut self, seqs: &[u64]) {
        self.outstanding.retain(|(seq, _)| !seqs.contains(seq));
        self.connection.ack(seqs);
    }

    /// Deletes the mailbox and everything in it. Answered by `Done`.
    pub fn delete(&mut self, now: Timestamp) -> RequestId {
        self.connection.request(now, Request::Delete)
    }

    /// Takes one input. Afterwards drain [`poll`](Self::poll).
    ///
    /// # Errors
    /// [`ConnectionError`]; the connection is to be dropped then and answers the same from now on.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), ConnectionError> {
        let Self { connection, owner, events, delivered, after, outstanding } = self;
        connection.handle(now, input, |connection, heard| {
            let event = match heard {
                Heard::Ready(descriptor) => {
                    let auth = Auth::sign(owner, connection.binding(), &descriptor.relay_id());
                    connection.release(Some(Request::Auth(auth)));
                    OwnerEvent::Ready(descriptor)
                }
                Heard::Answer { asked: Asked::Auth, answer: Answer::Done, .. } => return Ok(()),
                Heard::Answer { id, answer, .. } => match answer {
                    Answer::Done => OwnerEvent::Done { id },
                    Answer::Refused(refusal) => OwnerEvent::Refused { id, refusal },
                    Answer::Subscribed { epoch, head } => {
                        *delivered = Some(*after);
                        outstanding.clear();
                        OwnerEvent::Subscribed { id, epoch, head }
                    }
                    _ => return Err(ConnectionError::Misbehaved("a sender's answer")),
                },
                Heard::Notice(Notice::Deliver(deliver)) => {
                    check_delivery(&deliver, delivered, outstanding)?;
                    OwnerEvent::Delivered(deliver)
                }
                Heard::Notice(Notice::Ended(reason)) => {
                    *delivered = None;
                    OwnerEvent::Ended(reason)
                }
                Heard::Notice(Notice::GoAway(reason)) => OwnerEvent::GoAway(reason),
                Heard::Notice(_) => return Err(ConnectionError::Misbehaved("an unknown notice")),
            };
            events.push_back(event);
            Ok(())
        })
    }

    /// The next thing to be done, until `None`.
    pub fn poll(&mut self) -> Option<Output<OwnerEvent>> {
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

/// SPEC §6.5 [window]: in order, and no more than the window holds.
fn check_delivery(
    deliver: &Deliver,
    delivered: &mut Option<u64>,
    outstanding: &mut Vec<(u64, usize)>,
) -> Result<(), ConnectionError> {
    let Some(highest) = delivered else {
        return Err(ConnectionError::Misbehaved("a delivery without a subscription"));
    };
    if deliver.seq <= *highest {
        return Err(ConnectionError::Misbehaved("a delivery out of order"));
    }
    *highest = deliver.seq;
    outstanding.push((deliver.seq, deliver.envelope.len()));
    let bytes: usize = outstanding.iter().map(|(_, length)| *length).sum();
    if outstanding.len() > limits::WINDOW_MESSAGES || bytes > limits::WINDOW_BYTES {
        return Err(ConnectionError::Misbehaved("a delivery beyond the window"));
    }
    Ok(())
}
