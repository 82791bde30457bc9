//! The double ratchet with encrypted headers: chains, lazy root steps, KEM epochs.
//!
//! [`Ratchet`] owns the keys of one session and knows nothing of who the peer is: that is [`crate::session`]'s. Sealing
//! and opening are in two halves each: a pure one, which ends with a message and leaves the keys that it derived in a
//! [`Draft`], and one that commits it in place. SPEC §5.
//!
//! Start at [`Ratchet::look_ahead_sealing`] and [`Ratchet::commit_sealed`], then at [`Ratchet::locate`],
//! [`Ratchet::look_ahead_opening`] and [`Ratchet::commit_opened`].

mod acknowledgement;
pub(crate) mod body;
mod bucket;
pub(crate) mod chain;
mod gaps;
pub(crate) mod header;
pub(crate) mod kem_epoch;
pub(crate) mod message_key;
pub(crate) mod opening;
mod recent;
pub(crate) mod root;
pub(crate) mod sealing;
mod state;
#[cfg(test)]
mod tests;

pub use acknowledgement::{Acknowledged, Position};
pub use bucket::{BUCKETS, Envelope, OVERHEAD};
pub(crate) use bucket::{FIRST_MESSAGE, MESSAGE, Parts};
pub(crate) use kem_epoch::KemEpoch;
pub(crate) use message_key::Binding;

use crate::{
    dh::{self, EphemeralKey},
    secret::Key,
};
use chain::Chain;
use recent::Recent;

/// The most content in bytes that one message takes when no init block rides along: room for the largest KEM object
/// is always kept.
pub const MAX_CONTENT: usize = 65536 - OVERHEAD - 1300;

/// How many keys of unopened messages a session holds, over all its chains.
pub(crate) const MAX_NODES: usize = 2048;

/// How many ended chains with gaps a session keeps.
pub(crate) const MAX_GAPPED: usize = 5;

/// Days after which a gap is given up.
pub(crate) const GAP_DAYS: u32 = 30;

/// The keys and counters of one session. It lies in a box, so that its keys never move.
pub(crate) struct Ratchet {
    root: Key,
    /// Our ratchet key; none between the peer's step and our next.
    ours: Option<EphemeralKey>,
    /// The peer's ratchet key, against which our next step is made.
    theirs: dh::PublicKey,
    sending: Option<Sending>,
    /// How many chains we began.
    chains_sent: u64,
    next_header_sending: Key,
    receiving: Option<Box<Receiving>>,
    /// How many chains the peer began.
    chains_received: u64,
    next_header_receiving: Key,
    /// Ended chains with gaps, oldest first.
    #[allow(
        clippy::vec_box,
        reason = "a vector moves what it holds, and a moved key is not wiped"
    )]
    gapped: Vec<Box<Receiving>>,
    /// The peer stepped: our next message begins a new chain.
    must_step: bool,
    kem: KemEpoch,
    recent: Recent,
    /// Where acknowledgement stopped for good because messages were given up.
    stuck: Option<Acknowledged>,
}

/// The chain in which we send.
struct Sending {
    number: u64,
    header_key: Key,
    ratchet_key: dh::PublicKey,
    /// Length of our chain before this one.
    previous: u32,
    epoch: u32,
    chain: Chain,
}

/// A chain in which the peer sends, or sent.
struct Receiving {
    number: u64,
    header_key: Key,
    ratchet_key: [u8; 32],
    epoch: u32,
    chain: Chain,
}

/// The keys that the pure half of sealing or opening derived, until its other half takes them.
///
/// One stands beside each ratchet, so that neither half needs room of its own: what a look ahead left that was never
/// committed is wiped by the next one. All of it follows from the state that it was derived from, or is fresh and
/// unused, so it is worth no more to a thief than that state.
#[derive(Default)]
pub(crate) struct Draft {
    chain: chain::Draft,
    /// A root step, of either side.
    step: Option<root::Step>,
    /// The key with which our step was made.
    ours: Option<EphemeralKey>,
    kem: kem_epoch::Draft,
}

impl Ratchet {
    /// The initiator's ratchet. It sends first, so its first message makes the first step.
    pub(crate) fn initiator(
        root: Key,
        their_prekey: dh::PublicKey,
        header_a: Key,
        header_b: Key,
        kem: KemEpoch,
    ) -> Box<Self> {
        Box::new(Self {
            root,
            ours: None,
            theirs: their_prekey,
            sending: None,
            chains_sent: 0,
            next_header_sending: header_a,
            receiving: None,
            chains_received: 0,
            next_header_receiving: header_b,
            gapped: Vec::new(),
            must_step: true,
            kem,
            recent: Recent::new(),
            stuck: None,
        })
    }

    /// The responder's ratchet, before it opened the first message. It cannot send before that.
    pub(crate) fn responder(
        root: Key,
        our_prekey: &dh::SecretKey,
        header_a: Key,
        header_b: Key,
        kem: KemEpoch,
    ) -> Box<Self> {
        let mut ratchet = Self::initiator(root, *our_prekey.public(), header_b, header_a, kem);
        ratchet.ours = Some(EphemeralKey::copy_of(our_prekey));
        ratchet.must_step = false;
        ratchet
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
        let oldest = self.gapped.first().or(self.receiving.as_ref());
        let opened = oldest.map_or(Acknowledged::NOTHING, |oldest| Acknowledged {
            chain: oldest.number,
            count: oldest.chain.contiguous(),
        });
        // SPEC §5.9 [acknowledgement-is-true]: where a clock was set back, an older gap outlives what was given up.
        self.stuck.map_or(opened, |stuck| stuck.min(opened))
    }

    /// Goes on at this index, as if the messages before it had been sealed and lost. False if that is not ahead.
    #[cfg(feature = "hazmat")]
    pub(crate) fn skip_to(&mut self, n: u32) -> bool {
        let chain = self.sending.as_mut().map(|sending| &mut sending.chain);
        let last = n.checked_sub(1);
        chain.zip(last).is_some_and(|(chain, last)| chain.take_now(last).is_ok())
    }

    /// How many keys of unopened messages are held, the spines not counted.
    pub(crate) fn nodes(&self) -> usize {
        self.gapped.iter().chain(&self.receiving).map(|receiving| receiving.chain.size()).sum()
    }
}

impl Draft {
    /// Wipes what nobody committed.
    fn clear(&mut self) {
        let Self { chain, step, ours, kem } = self;
        chain.clear();
        (*step, *ours) = (None, None);
        kem.clear();
    }
}
