//! The double ratchet with encrypted headers: chains, lazy root steps, KEM epochs.
//!
//! [`Ratchet`] owns the keys of one session and knows nothing of who the peer is: that is [`crate::session`]'s. Opening
//! is in two halves, a pure one that ends with an authentic body and one that commits it. SPEC §5.
//!
//! Start at [`Ratchet::seal`], [`Ratchet::look_ahead`] and [`Ratchet::commit`].

mod acknowledgement;
pub(crate) mod body;
mod bucket;
pub(crate) mod chain;
pub(crate) mod header;
pub(crate) mod kem_epoch;
mod recent;
pub(crate) mod root;
mod state;
#[cfg(test)]
mod tests;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

pub use acknowledgement::{Acknowledged, Position};
pub use bucket::{BUCKETS, Envelope, OVERHEAD};
pub(crate) use bucket::{FIRST_MESSAGE, MESSAGE, Parts};
pub(crate) use kem_epoch::KemEpoch;

use crate::{
    aead,
    dh::{self, SecretKey},
    handshake::InitBlock,
    hash::sha256,
    kdf::{self, Key},
    label,
    random::{self, RandomnessError},
    secret::Secret,
    session::{Event, OpenError, SealError, SessionId},
    time::Timestamp,
};
use body::Body;
use chain::{Chain, NoKey};
use header::Header;
use recent::{Recent, Seen};

/// The most content in bytes that one message takes when no init block rides along: room for the largest KEM object
/// is always kept.
pub const MAX_CONTENT: usize = 65536 - OVERHEAD - 1300;

/// How many keys of unopened messages a session holds, over all its chains.
pub(crate) const MAX_NODES: usize = 2048;

/// How many ended chains with gaps a session keeps.
pub(crate) const MAX_GAPPED: usize = 5;

/// Days after which a gap is given up.
pub(crate) const GAP_DAYS: u32 = 30;

/// The keys and counters of one session.
#[derive(Clone)]
pub(crate) struct Ratchet {
    root: Secret,
    /// Our ratchet key; none between the peer's step and our next.
    ours: Option<SecretKey>,
    /// The peer's ratchet key, against which our next step is made.
    theirs: dh::PublicKey,
    sending: Option<Sending>,
    /// How many chains we began.
    chains_sent: u64,
    next_header_sending: Secret,
    receiving: Option<Receiving>,
    /// How many chains the peer began.
    chains_received: u64,
    next_header_receiving: Secret,
    /// Ended chains with gaps, oldest first.
    gapped: Vec<Receiving>,
    /// The peer stepped: our next message begins a new chain.
    must_step: bool,
    kem: KemEpoch,
    recent: Recent,
    /// Where acknowledgement stopped for good because messages were given up.
    stuck: Option<Acknowledged>,
}

/// The chain in which we send.
#[derive(Clone)]
struct Sending {
    number: u64,
    header_key: Secret,
    ratchet_key: dh::PublicKey,
    /// Length of our chain before this one.
    previous: u32,
    epoch: u32,
    chain: Chain,
}

/// A chain in which the peer sends, or sent.
#[derive(Clone)]
struct Receiving {
    number: u64,
    header_key: Secret,
    ratchet_key: [u8; 32],
    epoch: u32,
    chain: Chain,
}

/// A message that was sealed and the state was advanced for.
pub(crate) struct SealedMessage {
    pub(crate) envelope: Envelope,
    pub(crate) position: Position,
}

/// An authentic message and all that committing it needs.
pub(crate) struct Ahead {
    place: Place,
    header: Header,
    tag: [u8; aead::TAG],
    /// Which message this is.
    pub(crate) position: Position,
    /// What the body said.
    pub(crate) body: Body,
}

enum Place {
    Current(chain::Ahead),
    Gapped(usize, chain::Ahead),
    Next(Box<NextChain>),
}

/// The peer's root step, made on the side.
struct NextChain {
    step: root::Step,
    theirs: dh::PublicKey,
    mixed: bool,
    chain: Chain,
    ahead: chain::Ahead,
}

/// What binds a body to its session.
pub(crate) struct Binding<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) init: Option<&'a [u8; InitBlock::LENGTH]>,
}

impl Ratchet {
    /// The initiator's ratchet. It sends first, so its first message makes the first step.
    pub(crate) fn initiator(
        root: Secret,
        their_prekey: dh::PublicKey,
        header_a: Secret,
        header_b: Secret,
        kem: KemEpoch,
    ) -> Self {
        Self {
            ours: None,
            theirs: their_prekey,
            next_header_sending: header_a,
            next_header_receiving: header_b,
            must_step: true,
            ..Self::blank(root, their_prekey, kem)
        }
    }

    /// The responder's ratchet, before it opened the first message. It cannot send before that.
    pub(crate) fn responder(
        root: Secret,
        our_prekey: SecretKey,
        header_a: Secret,
        header_b: Secret,
        kem: KemEpoch,
    ) -> Self {
        let public = *our_prekey.public();
        Self {
            ours: Some(our_prekey),
            next_header_sending: header_b,
            next_header_receiving: header_a,
            ..Self::blank(root, public, kem)
        }
    }

    fn blank(root: Secret, theirs: dh::PublicKey, kem: KemEpoch) -> Self {
        Self {
            root,
            ours: None,
            theirs,
            sending: None,
            chains_sent: 0,
            next_header_sending: Secret::new([0; 32]),
            receiving: None,
            chains_received: 0,
            next_header_receiving: Secret::new([0; 32]),
            gapped: Vec::new(),
            must_step: false,
            kem,
            recent: Recent::default(),
            stuck: None,
        }
    }

    pub(crate) fn kem(&self) -> &KemEpoch {
        &self.kem
    }

    pub(crate) fn kem_mut(&mut self) -> &mut KemEpoch {
        &mut self.kem
    }

    /// Whether something of the peer was opened since we last began a chain.
    pub(crate) fn owes_a_step(&self) -> bool {
        self.must_step
    }

    /// Whether anything of the peer was ever opened.
    pub(crate) fn has_received(&self) -> bool {
        self.receiving.is_some()
    }

    /// What our next message will acknowledge.
    pub(crate) fn acknowledgement(&self) -> Acknowledged {
        if let Some(stuck) = self.stuck {
            return stuck;
        }
        self.gapped.first().or(self.receiving.as_ref()).map_or(Acknowledged::NOTHING, |chain| {
            Acknowledged { chain: chain.number, count: chain.chain.contiguous() }
        })
    }

    /// How many keys of unopened messages are held, the spines not counted.
    pub(crate) fn nodes(&self) -> usize {
        self.receiving_chains().map(|receiving| receiving.chain.size()).sum()
    }

    fn receiving_chains(&self) -> impl Iterator<Item = &Receiving> {
        self.gapped.iter().chain(&self.receiving)
    }

    /// Seals one message and advances. On an error the ratchet is half advanced and must be dropped: the caller works
    /// on a copy. SPEC §5.5.
    pub(crate) fn seal(
        &mut self,
        binding: &Binding<'_>,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<SealedMessage, SealError> {
        if self.must_step {
            self.step(now, rng)?;
        }
        self.kem.sending(rng)?;
        let acknowledged = self.acknowledgement();

        let init = binding.init.map_or(0, |init| init.len());
        let bare = OVERHEAD.saturating_add(init).saturating_add(body::FIXED);
        let length = bare.saturating_add(content.len());
        let too_long = SealError::TooLong { limit: MAX_CONTENT.saturating_sub(init) };
        let mut bucket = bucket::smallest(length).ok_or(too_long)?;
        let object = self.kem.pending().and_then(|object| {
            let with = bucket::smallest(length.saturating_add(body::object_length(&object)))?;
            // SPEC §5.7 [overdue-lifts]: the bucket grows for an object only when it is overdue.
            (with == bucket || self.kem.is_overdue(now)).then(|| {
                bucket = with;
                object
            })
        });
        let carries = object.is_some();

        let mut envelope = vec![0; bucket];
        let front = 1_usize.saturating_add(init).saturating_add(header::SEALED);
        let written = envelope
            .get_mut(front..bucket.saturating_sub(aead::TAG))
            .and_then(|text| body::write(text, acknowledged, content, object.as_ref()))
            .ok_or(SealError::Internal)?;

        let sending = self.sending.as_mut().ok_or(SealError::CannotSendFirst)?;
        let n = sending.chain.next();
        let ahead = sending.chain.look_ahead(n).map_err(|_| SealError::Exhausted)?;
        let mut header = Header {
            ratchet_key: *sending.ratchet_key.as_bytes(),
            n,
            pn: sending.previous,
            epoch: sending.epoch,
            nonce: [0; 12],
        };
        let keys = MessageKeys::of(&ahead.leaf);
        sending.chain.take(ahead);
        let position = Position { chain: sending.number, n };

        let hedge = Zeroizing::new(random::array::<32>(rng)?);
        let text = envelope.get_mut(front..).unwrap_or_default();
        let plain = text.get(..written).unwrap_or_default();
        header.nonce = keys.nonce(&hedge, &header, bucket, plain);
        let version = if binding.init.is_some() { FIRST_MESSAGE } else { MESSAGE };
        let end = text.len().saturating_sub(aead::TAG);
        let (plain, tag_slot) = text.split_at_mut(end);
        let associated = Associated::of(version, binding, &header);
        let tag = aead::seal(&keys.body, &header.nonce, associated.bytes(), plain)
            .map_err(|_| SealError::Internal)?;
        tag_slot.copy_from_slice(&tag);
        let sealed = header.seal(&sending.header_key, &tag).map_err(|_| SealError::Internal)?;
        let head = [version];
        let fields = head.iter().chain(binding.init.into_iter().flatten()).chain(&sealed);
        for (slot, byte) in envelope.iter_mut().zip(fields) {
            *slot = *byte;
        }
        if carries {
            self.kem.carry();
        }
        Ok(SealedMessage { envelope: Envelope::new(envelope), position })
    }

    /// Our half of a root step: a new key, a new chain, the KEM secret if it is ours to mix. SPEC §5.4.
    fn step(
        &mut self,
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<(), SealError> {
        let ours = SecretKey::generate(rng)?;
        let agreed = ours.diffie_hellman(&self.theirs).map_err(|_| SealError::Internal)?;
        let mix = self.kem.to_mix();
        let epoch = self.kem.epoch().saturating_add(u32::from(mix.is_some()));
        let step = root::step(&self.root, &agreed, epoch, mix);
        self.kem.stepped(now);
        let previous = self.sending.take().map_or(0, |sending| sending.chain.next());
        let header_key = core::mem::replace(&mut self.next_header_sending, step.next_header);
        self.root = step.root;
        self.sending = Some(Sending {
            number: self.chains_sent,
            header_key,
            ratchet_key: *ours.public(),
            previous,
            epoch,
            chain: Chain::new(&step.chain),
        });
        self.chains_sent = self.chains_sent.saturating_add(1);
        self.ours = Some(ours);
        self.must_step = false;
        Ok(())
    }

    /// Opens one message without changing anything. Header trials come first, then at most one root step and one
    /// chain of derivations, then the body's tag. SPEC §5.5.
    pub(crate) fn look_ahead(
        &self,
        binding: &Binding<'_>,
        parts: &Parts<'_>,
    ) -> Result<Ahead, OpenError> {
        let header = |key| Header::open(key, parts.header, parts.tag);
        if let Some(receiving) = &self.receiving
            && let Some(header) = header(&receiving.header_key)
        {
            let ahead = self.ahead_in(receiving, &header, parts)?;
            let position = Position { chain: receiving.number, n: header.n };
            return open_body(binding, parts, header, position, &ahead.leaf.clone(), || {
                Place::Current(ahead)
            });
        }
        if let Some(header) = header(&self.next_header_receiving) {
            let next = self.next_chain(&header)?;
            let position = Position { chain: self.chains_received, n: header.n };
            return open_body(binding, parts, header, position, &next.ahead.leaf.clone(), || {
                Place::Next(Box::new(next))
            });
        }
        for (at, gapped) in self.gapped.iter().enumerate().rev() {
            if let Some(header) = header(&gapped.header_key) {
                let ahead = self.ahead_in(gapped, &header, parts)?;
                let position = Position { chain: gapped.number, n: header.n };
                return open_body(binding, parts, header, position, &ahead.leaf.clone(), || {
                    Place::Gapped(at, ahead)
                });
            }
        }
        Err(OpenError::NotForThisSession)
    }

    fn ahead_in(
        &self,
        receiving: &Receiving,
        header: &Header,
        parts: &Parts<'_>,
    ) -> Result<chain::Ahead, OpenError> {
        // SPEC §5.8 [fork-is-seen]: one chain has one key, unless two devices hold the same state.
        if header.ratchet_key != receiving.ratchet_key {
            return Err(OpenError::PeerForked);
        }
        if header.epoch != receiving.epoch {
            return Err(OpenError::PeerMisbehaved);
        }
        let position = Position { chain: receiving.number, n: header.n };
        receiving.chain.look_ahead(header.n).map_err(|no_key| match no_key {
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

    fn next_chain(&self, header: &Header) -> Result<NextChain, OpenError> {
        let opened = self.receiving.as_ref().map_or(0, |receiving| receiving.chain.next());
        // SPEC §5.3 [pn-not-below-opened].
        if header.pn < opened || (self.receiving.is_none() && header.pn != 0) {
            return Err(OpenError::PeerMisbehaved);
        }
        let mix = self.kem.mixed_by_peer(header.epoch).map_err(|_| OpenError::PeerMisbehaved)?;
        let theirs =
            dh::PublicKey::parse(&header.ratchet_key).map_err(|_| OpenError::NonContributory)?;
        let ours = self.ours.as_ref().ok_or(OpenError::PeerMisbehaved)?;
        let agreed = ours.diffie_hellman(&theirs).map_err(|_| OpenError::NonContributory)?;
        let step = root::step(&self.root, &agreed, header.epoch, mix);
        let chain = Chain::new(&step.chain);
        let ahead = chain.look_ahead(header.n).map_err(|_| OpenError::PeerMisbehaved)?;
        Ok(NextChain { step, theirs, mixed: mix.is_some(), chain, ahead })
    }

    /// Commits an authentic message. `ahead` must come from this very state.
    pub(crate) fn commit(&mut self, ahead: Ahead, now: Timestamp) -> Committed {
        let day = u32::try_from(now.day()).unwrap_or(u32::MAX);
        let mut events = Vec::new();
        let Ahead { place, header, tag, position, body } = ahead;
        match place {
            Place::Current(taken) => {
                if let Some(receiving) = &mut self.receiving {
                    receiving.chain.mark(day);
                    receiving.chain.take(taken);
                }
            }
            Place::Gapped(at, taken) => {
                if let Some(gapped) = self.gapped.get_mut(at) {
                    gapped.chain.take(taken);
                    if gapped.chain.is_spent() {
                        self.gapped.remove(at);
                    }
                }
            }
            Place::Next(next) => self.begin_chain(*next, &header, now, day, &mut events),
        }
        self.recent.push(position, &tag);
        if self.kem.opened(body.object, header.epoch).is_err() {
            events.push(Event::KemObjectRefused);
        }
        self.expire(day, &mut events);
        self.bound(&mut events);

        let sent = self.sending.as_ref().map(|sending| (sending.number, sending.chain.next()));
        let said = body.acknowledged;
        let acknowledged = if said == Acknowledged::NOTHING {
            None
        } else if sent.is_none_or(|sent| (said.chain, said.count) > sent) {
            events.push(Event::AcknowledgedBeyondSent);
            None
        } else {
            Some(said)
        };
        Committed { content: body.content, acknowledged, events }
    }

    /// The peer's half of a root step: its old chain ends, a new one begins, our key is wiped.
    fn begin_chain(
        &mut self,
        next: NextChain,
        header: &Header,
        now: Timestamp,
        day: u32,
        events: &mut Vec<Event>,
    ) {
        if let Some(mut ended) = self.receiving.take() {
            // Checked in `next_chain`: the chain cannot have been opened at or beyond its end.
            let _ = ended.chain.end_at(header.pn, day);
            if !ended.chain.is_spent() {
                self.gapped.push(ended);
            }
        }
        let NextChain { step, theirs, mixed, mut chain, ahead } = next;
        chain.take(ahead);
        let header_key = core::mem::replace(&mut self.next_header_receiving, step.next_header);
        self.root = step.root;
        self.receiving = Some(Receiving {
            number: self.chains_received,
            header_key,
            ratchet_key: header.ratchet_key,
            epoch: header.epoch,
            chain,
        });
        self.chains_received = self.chains_received.saturating_add(1);
        self.theirs = theirs;
        // SPEC §5.4 [step-wipes-own-key].
        self.ours = None;
        self.must_step = true;
        if mixed {
            self.kem.peer_mixed(now);
            events.push(Event::EpochMixed { epoch: self.kem.epoch() });
        }
    }

    /// Gives up gaps that are older than anything a relay still holds.
    fn expire(&mut self, day: u32, events: &mut Vec<Event>) {
        for receiving in self.gapped.iter_mut().chain(&mut self.receiving) {
            let (number, count) = (receiving.number, receiving.chain.contiguous());
            if let Some(below) = receiving.chain.expire(day, GAP_DAYS) {
                give_up(&mut self.stuck, number, count, below, events);
            }
        }
        self.gapped.retain(|gapped| !gapped.chain.is_spent());
    }

    /// Holds the session to its bounds: the lowest gaps of the oldest chain go first.
    fn bound(&mut self, events: &mut Vec<Event>) {
        while self.gapped.len() > MAX_GAPPED {
            let oldest = self.gapped.remove(0);
            let (number, count) = (oldest.number, oldest.chain.contiguous());
            give_up(&mut self.stuck, number, count, oldest.chain.next(), events);
        }
        while let surplus @ 1.. = self.nodes().saturating_sub(MAX_NODES) {
            let Some(oldest) =
                self.gapped.iter_mut().chain(&mut self.receiving).find(|r| r.chain.has_gaps())
            else {
                break;
            };
            let (number, count) = (oldest.number, oldest.chain.contiguous());
            if let Some(below) = oldest.chain.close_lowest_gaps(surplus) {
                give_up(&mut self.stuck, number, count, below, events);
            }
            self.gapped.retain(|gapped| !gapped.chain.is_spent());
        }
    }
}

/// What a committed message leaves for the caller.
pub(crate) struct Committed {
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) acknowledged: Option<Acknowledged>,
    pub(crate) events: Vec<Event>,
}

/// Messages were given up: acknowledgement stops before the first of them, so that nothing is lost silently.
fn give_up(
    stuck: &mut Option<Acknowledged>,
    chain: u64,
    count: u32,
    below: u32,
    events: &mut Vec<Event>,
) {
    let here = Acknowledged { chain, count };
    *stuck = Some(stuck.map_or(here, |before| before.min(here)));
    events.push(Event::Evicted { chain, below });
}

fn open_body(
    binding: &Binding<'_>,
    parts: &Parts<'_>,
    header: Header,
    position: Position,
    leaf: &Key,
    place: impl FnOnce() -> Place,
) -> Result<Ahead, OpenError> {
    let keys = MessageKeys::of(leaf);
    let associated = Associated::of(parts.version, binding, &header);
    let mut text = Zeroizing::new(parts.body.to_vec());
    aead::open(&keys.body, &header.nonce, associated.bytes(), &mut text, parts.tag)
        .map_err(|_| OpenError::Forged)?;
    let body = Body::parse(text).map_err(|_| OpenError::PeerMisbehaved)?;
    Ok(Ahead { place: place(), header, tag: *parts.tag, position, body })
}

/// The two keys of one message.
pub(crate) struct MessageKeys {
    pub(crate) body: Key,
    pub(crate) nonce: Key,
}

impl MessageKeys {
    pub(crate) fn of(leaf: &Key) -> Self {
        Self {
            body: kdf::mac(leaf, label::BODY_KEY, &[]),
            nonce: kdf::mac(leaf, label::BODY_NONCE_KEY, &[]),
        }
    }

    /// The hedged nonce: a restored or cloned state, its randomness cloned too, repeats it only for the same message.
    pub(crate) fn nonce(
        &self,
        hedge: &[u8; 32],
        header: &Header,
        length: usize,
        text: &[u8],
    ) -> [u8; 12] {
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let text = sha256(label::BODY_TEXT, &[&header.without_nonce(), &length, text]);
        let mac = kdf::mac(&self.nonce, label::BODY_NONCE, &[hedge, &text]);
        core::array::from_fn(|i| mac.get(i).copied().unwrap_or_default())
    }
}

/// `version | session id | H(init block), if any | header`.
pub(crate) struct Associated {
    bytes: [u8; 1 + 32 + 32 + header::PLAIN],
    length: usize,
}

impl Associated {
    pub(crate) fn of(version: u8, binding: &Binding<'_>, header: &Header) -> Self {
        let init = binding.init.map(|init| sha256(label::INIT_BLOCK, &[init]));
        let mut bytes = [0; 1 + 32 + 32 + header::PLAIN];
        let mut length = 0;
        let fields = [version]
            .into_iter()
            .chain(*binding.session.as_bytes())
            .chain(init.into_iter().flatten())
            .chain(header.encode());
        for (slot, byte) in bytes.iter_mut().zip(fields) {
            *slot = byte;
            length += 1;
        }
        Self { bytes, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl From<RandomnessError> for SealError {
    fn from(_: RandomnessError) -> Self {
        Self::Randomness
    }
}
