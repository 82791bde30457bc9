//! What both client connections share: the relay's proof, request numbers, and the time a relay may take.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{
    Answer, ChannelBinding, Descriptor, FrameError, FrameReader, FromClient, FromRelay, InfoError,
    Notice, RelayHash, Request, RequestId, limits,
};
use thiserror::Error;

/// Why a connection is of no more use. Requests without an answer are undecided: make them again on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The relay is not the one in the address, or someone stands in between. Nothing was sent.
    #[error(transparent)]
    Relay(#[from] InfoError),
    /// The relay sent bytes that are no frame.
    #[error("the relay sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    /// The relay sent a frame that does not belong here: {0} says which rule it broke.
    #[error("the relay broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// The relay did not answer in time. Connect again later.
    #[error("the relay does not answer; try again later")]
    Silent,
}

/// What happens to a client connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes of the control stream, in order.
    Bytes(&'a [u8]),
    /// Time passed: due no later than `wake_at()`.
    Tick,
}

/// What a client connection wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output<E> {
    /// Bytes for the control stream.
    Send(Bytes),
    /// Something for the client.
    Event(E),
}

/// A frame that has been checked against what was asked.
pub(super) enum Heard {
    Ready(Box<Descriptor>),
    Answer { id: RequestId, asked: Asked, answer: Answer },
    Notice(Notice),
}

/// What was asked under a number: enough to know which answers fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Auth,
    Plain,
    Subscribe,
    Deposit,
    Fetch,
}

impl Asked {
    const fn of(request: &Request) -> Self {
        match request {
            Request::Auth(_) => Self::Auth,
            Request::Subscribe { .. } => Self::Subscribe,
            Request::Deposit(_) => Self::Deposit,
            Request::Fetch(_) => Self::Fetch,
            _ => Self::Plain,
        }
    }

    const fn fits(self, answer: &Answer) -> bool {
        matches!(
            (self, answer),
            (_, Answer::Refused(_))
                | (Self::Auth | Self::Plain, Answer::Done)
                | (Self::Subscribe, Answer::Subscribed { .. })
                | (Self::Deposit, Answer::Stored)
                | (Self::Fetch, Answer::Fetched { .. })
        )
    }
}

/// The half that knows no role.
pub(super) struct Connection {
    relay: RelayHash,
    binding: ChannelBinding,
    reader: FrameReader,
    verified: bool,
    opened: Timestamp,
    next: RequestId,
    /// Requests without an answer, and since when.
    waiting: BTreeMap<RequestId, (Asked, Timestamp)>,
    /// Frames made before the relay was verified.
    held: VecDeque<(FromClient, Option<RequestId>)>,
    outbox: VecDeque<Bytes>,
    now: Timestamp,
    failed: Option<ConnectionError>,
}

impl Connection {
    pub(super) fn new(relay: RelayHash, binding: ChannelBinding, now: Timestamp) -> Self {
        Self {
            relay,
            binding,
            reader: FrameReader::new(),
            verified: false,
            opened: now,
            next: RequestId::FIRST,
            waiting: BTreeMap::new(),
            held: VecDeque::new(),
            outbox: VecDeque::new(),
            now,
            failed: None,
        }
    }

    pub(super) const fn binding(&self) -> &ChannelBinding {
        &self.binding
    }

    pub(super) fn request(&mut self, now: Timestamp, request: Request) -> RequestId {
        self.now = self.now.max(now);
        let id = self.next;
        self.next = id.next();
        self.waiting.insert(id, (Asked::of(&request), self.now));
        self.push(FromClient::Request { id, request }, Some(id));
        id
    }

    pub(super) fn ack(&mut self, seqs: &[u64]) {
        for seqs in seqs.chunks(limits::ACK_SEQS_MAX) {
            self.push(FromClient::Ack(seqs.to_vec()), None);
        }
    }

    fn push(&mut self, frame: FromClient, id: Option<RequestId>) {
        // SPEC §6.2 [verify-relay-first]: bytes come into being only once the relay is the right one.
        if self.verified {
            self.outbox.push_back(frame.encode());
        } else {
            self.held.push_back((frame, id));
        }
    }

    /// Lets what was held go; `proof` goes before it.
    pub(super) fn release(&mut self, proof: Option<Request>) {
        let held = std::mem::take(&mut self.held);
        if let Some(proof) = proof {
            self.request(self.now, proof);
        }
        for (frame, id) in held {
            if let Some((_, since)) = id.and_then(|id| self.waiting.get_mut(&id)) {
                *since = self.now;
            }
            self.push(frame, id);
        }
    }

    /// Takes one input; every frame in it goes to `heard`.
    pub(super) fn handle(
        &mut self,
        now: Timestamp,
        input: Input<'_>,
        mut heard: impl FnMut(&mut Self, Heard) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.now = self.now.max(now);
        let result = match input {
            Input::Bytes(bytes) => self.bytes(bytes, &mut heard),
            Input::Tick if self.wake_at().is_some_and(|due| due <= self.now) => {
                Err(ConnectionError::Silent)
            }
            Input::Tick => Ok(()),
        };
        if let Err(error) = result {
            self.failed = Some(error);
            self.outbox.clear();
            self.held.clear();
        }
        result
    }

    fn bytes(
        &mut self,
        bytes: &[u8],
        heard: &mut impl FnMut(&mut Self, Heard) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        self.reader.push(bytes);
        while let Some(frame) = self.reader.next_frame()? {
            let frame = FromRelay::decode(&frame).map_err(FrameError::from)?;
            let frame = self.check(frame)?;
            heard(self, frame)?;
        }
        Ok(())
    }

    fn check(&mut self, frame: FromRelay) -> Result<Heard, ConnectionError> {
        match frame {
            FromRelay::Notice(Notice::Info(info)) if !self.verified => {
                let descriptor = info.verify(&self.relay, &self.binding)?;
                self.verified = true;
                Ok(Heard::Ready(Box::new(descriptor)))
            }
            FromRelay::Notice(Notice::GoAway(reason)) => Ok(Heard::Notice(Notice::GoAway(reason))),
            _ if !self.verified => Err(ConnectionError::Misbehaved("something before its proof")),
            FromRelay::Notice(Notice::Info(_)) => Err(ConnectionError::Misbehaved("two proofs")),
            FromRelay::Notice(notice) => Ok(Heard::Notice(notice)),
            FromRelay::Answer { id, answer } => {
                let (asked, _) = self
                    .waiting
                    .remove(&id)
                    .ok_or(ConnectionError::Misbehaved("an answer to nothing"))?;
                if !asked.fits(&answer) {
                    return Err(ConnectionError::Misbehaved("an answer to another question"));
                }
                Ok(Heard::Answer { id, asked, answer })
            }
            _ => Err(ConnectionError::Misbehaved("an unknown frame")),
        }
    }

    pub(super) fn poll(&mut self) -> Option<Bytes> {
        self.outbox.pop_front()
    }

    /// When the relay has been silent for too long.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        if self.failed.is_some() {
            return None;
        }
        if !self.verified {
            return Some(self.opened.saturating_add(limits::FIRST_FRAME_TIME));
        }
        let oldest = self.waiting.values().map(|(_, since)| *since).min()?;
        Some(oldest.saturating_add(limits::ANSWER_TIME))
    }

    /// Requests without an answer.
    pub(super) fn unanswered(&self) -> usize {
        self.waiting.len()
    }
}
