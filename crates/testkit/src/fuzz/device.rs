//! A session and what the store holds of it: the one place where the fuzz bodies touch [`Session`].

use std::{collections::BTreeSet, convert::Infallible};

use chopmark_core::{
    session::{Acknowledged, BUCKETS, Event, OpenError, Position, SealError, Session, Status},
    time::Timestamp,
};
use rand_core::TryCryptoRng;

/// One side of a session, which stores whatever it does before anyone sees it.
pub(super) struct Device {
    pub(super) session: Session,
    stored: Vec<u8>,
    /// What it opened since it was made.
    pub(super) opened: BTreeSet<Position>,
    /// Chains and the index below which their keys were given up.
    given_up: Vec<(u64, u32)>,
    /// Its state was made up.
    damaged: bool,
}

/// A message that left its sender.
#[derive(Clone)]
pub(super) struct Letter {
    pub(super) position: Position,
    pub(super) content: Vec<u8>,
    pub(super) envelope: Vec<u8>,
}

/// A message that was opened and stored.
pub(super) struct Received {
    pub(super) position: Position,
    pub(super) content: Vec<u8>,
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) events: Vec<Event>,
}

impl Device {
    pub(super) fn new(session: Session) -> Self {
        let stored = session.export().to_vec();
        Self { session, stored, opened: BTreeSet::new(), given_up: Vec::new(), damaged: false }
    }

    /// A session of which nothing is expected, not even that it keeps its bounds.
    pub(super) fn damaged(session: Session) -> Self {
        Self { damaged: true, ..Self::new(session) }
    }

    /// What the store holds.
    pub(super) fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The process dies and comes back with what it had stored.
    pub(super) fn restart(&mut self) {
        self.session = Session::import(&self.stored).expect("what was stored can be read");
        self.is_unchanged("reading");
    }

    /// An older state is put in place: a backup, or another process that had a copy.
    pub(super) fn fall_back(&mut self, stored: &[u8]) {
        self.stored = stored.to_vec();
        self.restart();
    }

    /// Stores a change that was made on the session itself.
    pub(super) fn store(&mut self) {
        self.stored = self.session.export().to_vec();
        assert!(self.damaged || self.session.held_keys() <= 2_048, "too many keys are held");
    }

    pub(super) fn is_unchanged(&self, what: &str) {
        assert!(*self.session.export() == self.stored, "{what} changed the session");
    }

    /// Seals; the process may die between sealing and storing, and nobody sees the message then.
    pub(super) fn seal(
        &mut self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
        crash: bool,
    ) -> Result<Option<Letter>, SealError> {
        let sealed = match self.session.seal(content, now, rng) {
            Ok(sealed) => sealed,
            Err(error) => {
                self.is_unchanged("a message that was not sealed");
                return Err(error);
            }
        };
        if crash {
            drop(sealed);
            self.restart();
            return Ok(None);
        }
        let position = sealed.position();
        let sent = sealed.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
        self.store();
        let envelope = sent.envelope.into_bytes();
        assert!(BUCKETS.contains(&envelope.len()), "{} is no bucket", envelope.len());
        Ok(Some(Letter { position, content: content.to_vec(), envelope }))
    }

    /// Opens and stores; or dies in between and knows nothing of it. A message that does not open changes nothing.
    pub(super) fn open(
        &mut self,
        envelope: &[u8],
        now: Timestamp,
        crash: bool,
    ) -> Result<Received, OpenError> {
        let opened = match self.session.open(envelope, now) {
            Ok(opened) => opened,
            Err(error) => {
                self.is_unchanged("a message that was not opened");
                return Err(error);
            }
        };
        if crash {
            let (position, content) = (opened.position(), opened.content().to_vec());
            drop(opened);
            self.is_unchanged("a message that was not committed");
            self.restart();
            return Ok(Received { position, content, acknowledged: None, events: Vec::new() });
        }
        let message = opened.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
        self.store();
        self.opened.insert(message.position);
        for event in &message.events {
            if let Event::Evicted { chain, below } = event {
                self.given_up.push((*chain, *below));
            }
        }
        Ok(Received {
            position: message.position,
            content: message.content.to_vec(),
            acknowledged: message.acknowledged,
            events: message.events,
        })
    }

    /// Whether the key of a message that was never opened is gone for a reason that was told.
    pub(super) fn gave_up(&self, position: Position) -> bool {
        self.given_up.iter().any(|(chain, below)| position.chain == *chain && position.n < *below)
    }

    pub(super) fn epoch(&self) -> u32 {
        self.session.epoch()
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.session.status() == Status::Confirmed
    }
}
