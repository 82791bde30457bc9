//! Opening: whose key a header opens under, what the message behind it is, and how the ratchet stands after it. SPEC §5.5.

use core::mem::swap;

use zeroize::{Zeroize, Zeroizing};

use super::{
    Acknowledged, Draft, Parts, Position, Ratchet, Receiving,
    body::Body,
    chain::{self, Chain, NoKey},
    header::Header,
    message_key::{Associated, Binding, MessageKeys},
    recent::Seen,
    root,
};
use crate::{
    aead::TAG,
    dh,
    secret::{Key, on_wiped_stack},
    session::{Event, OpenError},
    time::Timestamp,
};

/// A header that one of our keys opened: authentic, and nothing derived for it yet.
pub(crate) struct Located {
    under: Under,
    header: Header,
}

/// The chain that the header is of.
#[derive(Clone, Copy)]
enum Under {
    Current,
    Next,
    /// Which of those that ended.
    Gapped(usize),
}

/// An authentic message and what committing it takes beside the [`Draft`]: no keys.
pub(crate) struct Ahead {
    /// Which message this is.
    pub(crate) position: Position,
    /// What the body said.
    pub(crate) body: Body,
    located: Located,
    tag: [u8; TAG],
    chain: chain::Ahead,
    begins: Option<Begins>,
}

/// A chain of the peer's that begins with the message.
struct Begins {
    theirs: dh::PublicKey,
    mixed: bool,
}

/// What a committed message leaves for the caller.
pub(crate) struct Committed {
    pub(crate) position: Position,
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) acknowledged: Option<Acknowledged>,
    pub(crate) events: Vec<Event>,
}

impl Ratchet {
    /// Finds the chain of a message by trying header keys, and derives nothing. `None` says that it is not for this
    /// session.
    pub(crate) fn locate(&self, parts: &Parts<'_>) -> Option<Located> {
        // SPEC §5.5 [headers-first].
        let current = self.receiving.iter().map(|chain| (Under::Current, &chain.header_key));
        let next = [(Under::Next, &self.next_header_receiving)];
        let gapped = self.gapped.iter().enumerate().rev();
        let gapped = gapped.map(|(at, chain)| (Under::Gapped(at), &chain.header_key));
        let mut keys = current.chain(next).chain(gapped);
        // Here too: for an envelope that is not ours nothing follows that would wipe the keys that were tried.
        on_wiped_stack(|| {
            keys.find_map(|(under, key)| {
                let header = Header::open(key, parts.header, parts.tag)?;
                Some(Located { under, header })
            })
        })
    }

    /// Opens one message without changing anything: at most one root step and one chain of derivations, then the
    /// body's tag.
    pub(crate) fn look_ahead_opening(
        &self,
        located: Located,
        binding: &Binding<'_>,
        parts: &Parts<'_>,
        draft: &mut Draft,
    ) -> Result<Ahead, OpenError> {
        draft.clear();
        let Located { under, header } = &located;
        let n = header.n;
        let (number, begins, (chain, leaf)) = match under {
            Under::Next => {
                let (begins, first) = self.next_chain(header, draft)?;
                (self.chains_received, Some(begins), first)
            }
            Under::Current | Under::Gapped(_) => {
                let receiving = self.chain_under(*under).ok_or(OpenError::NotForThisSession)?;
                (receiving.number, None, self.ahead_in(receiving, header, parts, draft)?)
            }
        };
        let associated = Associated::of(parts.version, binding, header);
        let mut text = Zeroizing::new(parts.body.to_vec());
        associated
            .open(&MessageKeys::body_of(&leaf), header, &mut text, parts.tag)
            .map_err(|_| OpenError::Forged)?;
        let body = Body::parse(text).map_err(|_| OpenError::PeerMisbehaved)?;
        let position = Position { chain: number, n };
        Ok(Ahead { position, body, located, tag: *parts.tag, chain, begins })
    }

    fn chain_under(&self, under: Under) -> Option<&Receiving> {
        match under {
            Under::Current => self.receiving.as_deref(),
            Under::Next => None,
            Under::Gapped(at) => self.gapped.get(at).map(|gapped| &**gapped),
        }
    }

    fn ahead_in(
        &self,
        receiving: &Receiving,
        header: &Header,
        parts: &Parts<'_>,
        draft: &mut Draft,
    ) -> Result<(chain::Ahead, Key), OpenError> {
        // SPEC §5.8 [fork-is-seen]: one chain has one key, unless two devices hold the same state.
        if header.ratchet_key != receiving.ratchet_key {
            return Err(OpenError::PeerForked);
        }
        if header.epoch != receiving.epoch {
            return Err(OpenError::PeerMisbehaved);
        }
        let position = Position { chain: receiving.number, n: header.n };
        receiving.chain.look_ahead(header.n, &mut draft.chain).map_err(|no_key| match no_key {
            // The header is authentic and its nonce is the tag: a header with another tag is another message.
            NoKey::Taken => match self.recent.find(position, parts.tag) {
                Seen::Different => OpenError::PeerRolledBack,
                Seen::Same => OpenError::AlreadyOpened { remembered: true },
                Seen::Forgotten => OpenError::AlreadyOpened { remembered: false },
            },
            NoKey::Closed => OpenError::GivenUp,
            NoKey::Beyond => OpenError::PeerMisbehaved,
        })
    }

    /// The peer's half of a root step, made on the side.
    fn next_chain(
        &self,
        header: &Header,
        draft: &mut Draft,
    ) -> Result<(Begins, (chain::Ahead, Key)), OpenError> {
        // SPEC §5.8 [own-rollback-is-seen]: the peer begins a chain once it has seen our step, and we made none.
        let ours = self.ours.as_ref().ok_or(OpenError::OwnRolledBack)?;
        let opened = self.receiving.as_ref().map_or(0, |receiving| receiving.chain.next());
        // SPEC §5.3 [pn-not-below-opened].
        if header.pn < opened || (self.receiving.is_none() && header.pn != 0) {
            return Err(OpenError::PeerMisbehaved);
        }
        // SPEC §1.5 [counters-never-wrap].
        self.chains_received.checked_add(1).ok_or(OpenError::PeerMisbehaved)?;
        let mix = self.kem.mixed_by_peer(header.epoch).map_err(|_| OpenError::PeerMisbehaved)?;
        let theirs =
            dh::PublicKey::parse(&header.ratchet_key).map_err(|_| OpenError::NonContributory)?;
        let agreed = ours.diffie_hellman(&theirs).map_err(|_| OpenError::NonContributory)?;
        let step = root::step(&self.root, &agreed, header.epoch, mix);
        let key = Key::new(*step.chain.expose());
        let first = Chain::look_ahead_from(key, header.n, &mut draft.chain)
            .map_err(|_| OpenError::PeerMisbehaved)?;
        draft.step = Some(step);
        Ok((Begins { theirs, mixed: mix.is_some() }, first))
    }

    /// Commits an authentic message. `ahead` and `draft` must come from this very state.
    pub(crate) fn commit_opened(
        &mut self,
        ahead: Ahead,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Committed {
        let day = u32::try_from(now.day()).unwrap_or(u32::MAX);
        let mut events = Vec::new();
        let Ahead { position, body, located: Located { under, header }, tag, chain, begins } =
            ahead;
        match under {
            Under::Current => {
                if let Some(receiving) = &mut self.receiving {
                    receiving.chain.mark(day);
                    receiving.chain.take(chain, &mut draft.chain);
                }
            }
            Under::Gapped(at) => {
                if let Some(gapped) = self.gapped.get_mut(at) {
                    gapped.chain.take(chain, &mut draft.chain);
                    if gapped.chain.is_spent() {
                        self.gapped.remove(at);
                    }
                }
            }
            Under::Next => {
                if let Some(begins) = begins {
                    let mixed = begins.mixed;
                    self.begin_receiving(begins, &header, chain, day, draft);
                    if mixed {
                        self.kem.peer_mixed(now);
                        events.push(Event::EpochMixed { epoch: self.kem.epoch() });
                    }
                }
            }
        }
        self.recent.push(position, &tag);
        if self.kem.opened(body.object(), header.epoch).is_err() {
            events.push(Event::KemObjectRefused);
        }
        self.expire(day, &mut events);
        self.bound(&mut events);
        draft.clear();
        let acknowledged = self.believed(body.acknowledged, &mut events);
        Committed { position, content: body.into_content(), acknowledged, events }
    }

    /// The peer's old chain ends, a new one begins, and what we held for our own next messages is wiped: the key of the
    /// step, and the chain that no message of ours will use.
    fn begin_receiving(
        &mut self,
        begins: Begins,
        header: &Header,
        first: chain::Ahead,
        day: u32,
        draft: &mut Draft,
    ) {
        let Draft { chain: keys, step: Some(step), .. } = draft else { return };
        if let Some(ended) = &mut self.receiving {
            // Checked in `next_chain`: the chain cannot have been opened at or beyond its end.
            let _ = ended.chain.end_at(header.pn, day);
        }
        // A chain without gaps leaves its place to the next one.
        self.gapped.extend(self.receiving.take_if(|ended| !ended.chain.is_spent()));
        let number = self.chains_received;
        let (ratchet_key, epoch) = (header.ratchet_key, header.epoch);
        let receiving = self.receiving.get_or_insert_with(|| {
            let (header_key, chain) = (Key::new([0; 32]), Chain::default());
            Box::new(Receiving { number, header_key, ratchet_key, epoch, chain })
        });
        (receiving.number, receiving.ratchet_key) = (number, ratchet_key);
        receiving.epoch = epoch;
        receiving.chain.begin(first, keys);
        swap(&mut receiving.header_key, &mut self.next_header_receiving);
        swap(&mut self.next_header_receiving, &mut step.next_header);
        swap(&mut self.root, &mut step.root);
        self.chains_received = number.saturating_add(1);
        self.theirs = begins.theirs;
        // SPEC §5.4 [step-wipes-own-key].
        self.ours = None;
        if let Some(sending) = &mut self.sending {
            sending.chain.retire();
            sending.header_key.zeroize();
        }
        self.must_step = true;
    }

    /// What the peer says that it received of ours, if we sent as much.
    fn believed(&self, said: Acknowledged, events: &mut Vec<Event>) -> Option<Acknowledged> {
        let sent = self.sending.as_ref().map(|sending| (sending.number, sending.chain.next()));
        if said == Acknowledged::NOTHING {
            return None;
        }
        if sent.is_none_or(|sent| (said.chain, said.count) > sent) {
            events.push(Event::AcknowledgedBeyondSent);
            return None;
        }
        Some(said)
    }
}
