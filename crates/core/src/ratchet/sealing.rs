//! Sealing: what the next message is, and how the ratchet stands behind it. SPEC §5.5.

use core::mem::{self, swap};

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::{
    Draft, Envelope, FIRST_MESSAGE, MAX_CONTENT, MESSAGE, OVERHEAD, Position, Ratchet, Sending,
    body, bucket,
    chain::{self, Chain},
    header::{self, Header},
    kem_epoch::Progress,
    message_key::{Associated, Binding, MessageKeys},
    root,
};
use crate::{
    aead,
    codec::lay,
    dh::{self, EphemeralKey},
    random::RandomnessError,
    secret::Key,
    session::SealError,
    time::Timestamp,
};

/// A sealed message and what committing it takes beside the [`Draft`]: no keys.
pub(crate) struct Ahead {
    pub(crate) envelope: Envelope,
    pub(crate) position: Position,
    begins: Option<Begins>,
    chain: chain::Ahead,
    kem: Progress,
}

/// A chain of ours that begins with the message.
#[derive(Clone, Copy)]
struct Begins {
    ratchet_key: dh::PublicKey,
    previous: u32,
    epoch: u32,
}

impl Ratchet {
    /// Seals the next message without changing anything.
    pub(crate) fn look_ahead_sealing(
        &self,
        binding: &Binding<'_>,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
        draft: &mut Draft,
    ) -> Result<Ahead, SealError> {
        draft.clear();
        let begins = self.must_step.then(|| self.step_ahead(rng, draft)).transpose()?;
        let kem = match begins {
            Some(_) => self.kem.stepped(now, &mut draft.kem),
            None => self.kem.progress(),
        };
        let mut kem = self.kem.sending(kem, rng, &mut draft.kem)?;
        let place = self.next_place(begins, draft)?;
        let hedge = Key::random(rng)?;
        // Last, so that nothing but a bug leaves a text that was written and not sealed.
        let mut blank = self.write_body(binding, content, now, &mut kem, draft)?;
        blank.seal(binding, &place, &hedge)?;
        let (envelope, Place { position, chain, .. }) = (Envelope::new(blank.finish()), place);
        Ok(Ahead { envelope, position, begins, chain, kem })
    }

    /// Commits a message that was sealed. `ahead` and `draft` must come from this very state.
    pub(crate) fn commit_sealed(
        &mut self,
        ahead: Ahead,
        draft: &mut Draft,
    ) -> (Envelope, Position) {
        let Ahead { envelope, position, begins, chain, kem } = ahead;
        if let Some(begins) = begins {
            self.begin_sending(begins, position.chain, chain, draft);
        } else if let Some(sending) = &mut self.sending {
            sending.chain.take(chain, &mut draft.chain);
        }
        self.kem.commit(kem, &mut draft.kem);
        draft.clear();
        (envelope, position)
    }

    /// Our half of a root step: a new key, a new chain, the KEM secret if it is ours to mix. SPEC §5.4.
    fn step_ahead(
        &self,
        rng: &mut (impl TryCryptoRng + ?Sized),
        draft: &mut Draft,
    ) -> Result<Begins, SealError> {
        let ours = EphemeralKey::generate(rng)?;
        let agreed = ours.diffie_hellman(&self.theirs).map_err(|_| SealError::Internal)?;
        let mix = self.kem.to_mix();
        let epoch = self.kem.epoch().saturating_add(u32::from(mix.is_some()));
        let previous = self.sending.as_ref().map_or(0, |sending| sending.chain.next());
        let begins = Begins { ratchet_key: ours.public(), previous, epoch };
        draft.step = Some(root::step(&self.root, &agreed, epoch, mix));
        draft.ours = Some(ours);
        Ok(begins)
    }

    fn begin_sending(
        &mut self,
        begins: Begins,
        number: u64,
        first: chain::Ahead,
        draft: &mut Draft,
    ) {
        let Draft { chain: keys, step: Some(step), ours, kem: _ } = draft else { return };
        let Begins { ratchet_key, previous, epoch } = begins;
        let sending = self.sending.get_or_insert_with(|| Sending {
            number,
            header_key: Key::new([0; 32]),
            ratchet_key,
            previous,
            epoch,
            chain: Chain::default(),
        });
        (sending.number, sending.ratchet_key) = (number, ratchet_key);
        (sending.previous, sending.epoch) = (previous, epoch);
        sending.chain.begin(first, keys);
        swap(&mut sending.header_key, &mut self.next_header_sending);
        swap(&mut self.next_header_sending, &mut step.next_header);
        swap(&mut self.root, &mut step.root);
        swap(&mut self.ours, ours);
        self.chains_sent = number.saturating_add(1);
        self.must_step = false;
    }

    /// Chooses the bucket, lets the KEM object ride that has room, and writes the body.
    fn write_body(
        &self,
        binding: &Binding<'_>,
        content: &[u8],
        now: Timestamp,
        kem: &mut Progress,
        draft: &Draft,
    ) -> Result<Blank, SealError> {
        let init = binding.init.map_or(0, |init| init.len());
        let bare = OVERHEAD.saturating_add(init).saturating_add(body::FIXED);
        let length = bare.saturating_add(content.len());
        let too_long = SealError::TooLong { limit: MAX_CONTENT.saturating_sub(init) };
        let mut bucket = bucket::smallest(length).ok_or(too_long)?;
        let mut object = None;
        // SPEC §5.7 [overdue-lifts]: the bucket grows for an object only when it is overdue.
        if let Some(more) = self.kem.pending_length(*kem, &draft.kem)
            && let Some(with) = bucket::smallest(length.saturating_add(more))
            && (with == bucket || kem.is_overdue(now))
        {
            // SPEC §5.7 [lifted-alike]: whether it had room would tell how long the content is.
            let lifted = kem.epoch > 0 && kem.is_overdue(now);
            let with = if lifted { with.max(bucket::SECOND) } else { with };
            bucket = with;
            object = self.kem.pending(*kem, &draft.kem);
            kem.carried = true;
        }
        let front = 1_usize.saturating_add(init).saturating_add(header::SEALED);
        let mut bytes = Zeroizing::new(vec![0; bucket]);
        let written = bytes
            .get_mut(front..bucket.saturating_sub(aead::TAG))
            .and_then(|text| body::write(text, self.acknowledgement(), content, object.as_ref()))
            .ok_or(SealError::Internal)?;
        Ok(Blank { bytes, front, written })
    }

    /// The next index of our chain, which is the new one if one begins.
    fn next_place(
        &self,
        begins: Option<Begins>,
        draft: &mut Draft,
    ) -> Result<Place<'_>, SealError> {
        let exhausted = |_| SealError::Exhausted;
        let header = |begins: Begins, n| Header {
            ratchet_key: *begins.ratchet_key.as_bytes(),
            n,
            pn: begins.previous,
            epoch: begins.epoch,
            nonce: [0; 12],
        };
        if let (Some(begins), Some(step)) = (begins, &draft.step) {
            // SPEC §1.5 [counters-never-wrap].
            let number = self.chains_sent;
            number.checked_add(1).ok_or(SealError::Exhausted)?;
            let key = Key::new(*step.chain.expose());
            let (chain, leaf) =
                Chain::look_ahead_from(key, 0, &mut draft.chain).map_err(exhausted)?;
            let position = Position { chain: number, n: 0 };
            let header_key = &self.next_header_sending;
            return Ok(Place { header: header(begins, 0), header_key, position, chain, leaf });
        }
        let sending = self.sending.as_ref().ok_or(SealError::CannotSendFirst)?;
        let Sending { number, header_key, ratchet_key, previous, epoch, chain } = sending;
        let n = chain.next();
        let (ahead, leaf) = chain.look_ahead(n, &mut draft.chain).map_err(exhausted)?;
        let begun = Begins { ratchet_key: *ratchet_key, previous: *previous, epoch: *epoch };
        let position = Position { chain: *number, n };
        Ok(Place { header: header(begun, n), header_key, position, chain: ahead, leaf })
    }
}

/// Where the next message stands, and what it is sealed with.
struct Place<'a> {
    header: Header,
    header_key: &'a Key,
    position: Position,
    chain: chain::Ahead,
    leaf: Key,
}

/// An envelope whose body is written in the clear, with zeros where header and tag will stand.
struct Blank {
    /// Wiped unless it is finished.
    bytes: Zeroizing<Vec<u8>>,
    /// Where the body begins.
    front: usize,
    /// How much of the body is not padding.
    written: usize,
}

impl Blank {
    fn seal(
        &mut self,
        binding: &Binding<'_>,
        place: &Place<'_>,
        hedge: &Key,
    ) -> Result<(), SealError> {
        let length = self.bytes.len();
        let internal = |_| SealError::Internal;
        let (front, text) =
            self.bytes.split_at_mut_checked(self.front).ok_or(SealError::Internal)?;
        let (text, tag_slot) = text.split_last_chunk_mut().ok_or(SealError::Internal)?;
        let plain = text.get(..self.written).ok_or(SealError::Internal)?;

        let keys = MessageKeys::of(&place.leaf);
        let mut header = place.header;
        header.nonce = keys.nonce(hedge.expose(), &header, length, plain);
        let version = if binding.init.is_some() { FIRST_MESSAGE } else { MESSAGE };
        let associated = Associated::of(version, binding, &header);
        let tag = associated.seal(&keys.body, &header, text).map_err(internal)?;
        *tag_slot = tag;
        let sealed = header.seal(place.header_key, &tag).map_err(internal)?;
        lay(front, &[&[version], binding.init.map_or(&[][..], |init| init), &sealed]);
        Ok(())
    }

    /// What was sealed.
    fn finish(mut self) -> Vec<u8> {
        mem::take(&mut *self.bytes)
    }
}

impl From<RandomnessError> for SealError {
    fn from(_: RandomnessError) -> Self {
        Self::Randomness
    }
}
