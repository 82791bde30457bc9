//! KEM epochs: post-quantum healing that rides in the padding. SPEC §5.7.
//!
//! ```text
//! I: Pause ──8 messages──> SendEk ──ct, confirmation right──> Ready ──own root step mixes──> e + 1, RecvEk
//! E: RecvEk ──ek──> Encapsulate ──own send──> SendCt ──peer's chain says e + 1──> e + 1, Pause
//! ```
//! I(e) is the handshake's initiator for odd e, else its responder. Epoch 1 begins half done: the initiator's device
//! key is its encapsulation key, which the responder learns from a verified manifest ([`KemEpoch::introduce`]).
//! Only the owner of a root step mixes, and only in its own step. What sealing does to the machine is computed beside it,
//! in a [`Draft`], and committed with the message.

mod state;

use core::time::Duration;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;

use super::root::Mix;
use crate::{
    hash::sha256,
    kdf,
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, OneUseKey},
    label,
    random::RandomnessError,
    secret::Key,
    time::{DAY, Timestamp},
};

/// Messages of the conversation, both directions, before a new epoch starts.
pub(crate) const PACE: u32 = 8;

/// Messages after which an epoch is overdue and may lift a bucket.
pub(crate) const OVERDUE_MESSAGES: u32 = 50;

/// Time after which an epoch is overdue.
pub(crate) const OVERDUE_AFTER: Duration = Duration::from_secs(7 * DAY.as_secs());

/// Bytes of a ciphertext with its confirmation.
pub(crate) const CONFIRMED_CIPHERTEXT: usize = Ciphertext::LENGTH + 32;

/// One party's half of the machine.
pub(crate) struct KemEpoch {
    /// Whether we began the handshake.
    initiator: bool,
    progress: Progress,
    stage: Stage,
}

/// How far the machine is, its keys apart.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// The last epoch mixed.
    pub(crate) epoch: u32,
    /// Messages sent and opened since `epoch` began here.
    messages: u32,
    since: Timestamp,
    /// The pending object rode in the current sending chain already.
    pub(crate) carried: bool,
}

/// The stage that a message which is being sealed leads to, if it is another one.
#[derive(Default)]
pub(crate) struct Draft {
    stage: Stage,
    changes: bool,
}

#[allow(
    clippy::large_enum_variant,
    reason = "it lies in a boxed state; objects need no allocation"
)]
#[derive(Default)]
enum Stage {
    /// I: too early for a new key.
    Pause,
    /// I of epoch 1: our device's own key, which the peer has from our manifest and which is never sent.
    AwaitCt(DecapsulationKey),
    /// I: our key is out, or on its way.
    SendEk(OneUseKey),
    /// I: decapsulated, to be mixed into our next root step.
    Ready(Mix),
    /// E, epoch 1: the peer's device entry is not verified yet.
    AwaitEntry,
    /// E: waiting for the peer's key.
    #[default]
    RecvEk,
    /// E: has the key, encapsulates with the next message.
    Encapsulate(EncapsulationKey),
    /// E: sends the ciphertext and keeps the secret until the peer's chain says that it was mixed.
    SendCt { ciphertext: Ciphertext, confirmation: [u8; 32], mix: Mix },
}

/// An object, to be sent or received in an authentic body.
#[allow(clippy::large_enum_variant, reason = "both are large, and objects need no allocation")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// A key as it came, which may be above the modulus.
    EncapsulationKey([u8; EncapsulationKey::LENGTH]),
    Ciphertext(Ciphertext, [u8; 32]),
}

/// The chain names an epoch that it cannot have: the peer misbehaved.
#[derive(Debug)]
pub(crate) struct WrongEpoch;

/// An object that no honest peer sends: it was dropped, the machine is where it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl KemEpoch {
    /// The initiator's half: awaits the ciphertext for its device's own key.
    pub(crate) fn initiator(ours: DecapsulationKey, now: Timestamp) -> Self {
        Self::at(true, Stage::AwaitCt(ours), now)
    }

    /// The responder's half: encapsulates as soon as it is introduced.
    pub(crate) fn responder(now: Timestamp) -> Self {
        Self::at(false, Stage::AwaitEntry, now)
    }

    fn at(initiator: bool, stage: Stage, now: Timestamp) -> Self {
        let progress = Progress { epoch: 0, messages: 0, since: now, carried: false };
        Self { initiator, progress, stage }
    }

    /// The last epoch mixed; 0 until the session is confirmed.
    pub(crate) fn epoch(&self) -> u32 {
        self.progress.epoch
    }

    /// Whether the peer's device key is still missing.
    pub(crate) fn awaits_entry(&self) -> bool {
        matches!(self.stage, Stage::AwaitEntry)
    }

    /// The stage by the name that the diagram gives it.
    #[cfg(feature = "hazmat")]
    pub(crate) fn stage(&self) -> &'static str {
        match self.stage {
            Stage::Pause => "Pause",
            Stage::AwaitCt(_) | Stage::SendEk(_) => "SendEk",
            Stage::Ready(_) => "Ready",
            Stage::AwaitEntry => "AwaitEntry",
            Stage::RecvEk => "RecvEk",
            Stage::Encapsulate(_) => "Encapsulate",
            Stage::SendCt { .. } => "SendCt",
        }
    }

    /// Gives the responder the initiator's verified device key.
    pub(crate) fn introduce(&mut self, peer: EncapsulationKey) {
        if self.awaits_entry() {
            self.stage = Stage::Encapsulate(peer);
        }
    }

    /// Whether there is an object that the peer needs and that has not been sent in the current chain. A secret that is
    /// ready is none: it waits for our next step, and that is due when the peer stepped.
    pub(crate) fn has_news(&self) -> bool {
        matches!(self.stage, Stage::Encapsulate(_))
            || (matches!(self.stage, Stage::SendCt { .. }) && !self.progress.carried)
    }

    /// What our own root step mixes in, if anything.
    pub(crate) fn to_mix(&self) -> Option<&Mix> {
        match &self.stage {
            Stage::Ready(mix) => Some(mix),
            _ => None,
        }
    }

    /// How far the machine is without a root step of ours.
    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// How far it is behind our own root step: a new sending chain, mixed if [`Self::to_mix`] is something.
    pub(crate) fn stepped(&self, now: Timestamp, draft: &mut Draft) -> Progress {
        if matches!(self.stage, Stage::Ready(_)) {
            let (progress, stage) = self.entered(now);
            draft.lead_to(stage);
            return progress;
        }
        Progress { carried: false, ..self.progress }
    }

    /// What the peer's root step mixed in, judging by the epoch that its new chain names.
    pub(crate) fn mixed_by_peer(&self, epoch: u32) -> Result<Option<&Mix>, WrongEpoch> {
        if epoch == self.progress.epoch {
            return Ok(None);
        }
        match &self.stage {
            Stage::SendCt { mix, .. } if self.progress.epoch.checked_add(1) == Some(epoch) => {
                Ok(Some(mix))
            }
            _ => Err(WrongEpoch),
        }
    }

    /// The peer's new chain proved authentic and had mixed.
    pub(crate) fn peer_mixed(&mut self, now: Timestamp) {
        (self.progress, self.stage) = self.entered(now);
    }

    /// The beginning of the next epoch.
    fn entered(&self, now: Timestamp) -> (Progress, Stage) {
        let epoch = self.progress.epoch.saturating_add(1);
        // I of the epoch after that begins it.
        let begins = epoch.is_multiple_of(2) == self.initiator;
        let stage = if begins { Stage::Pause } else { Stage::RecvEk };
        (Progress { epoch, messages: 0, since: now, carried: false }, stage)
    }

    /// As if so many epochs had been mixed.
    #[cfg(test)]
    pub(crate) fn set_epoch(&mut self, epoch: u32) {
        self.progress.epoch = epoch.saturating_sub(1);
        (self.progress, self.stage) = self.entered(self.progress.since);
    }

    /// Counts a message that is about to be sealed, and makes the object that is due.
    pub(crate) fn sending(
        &self,
        mut progress: Progress,
        rng: &mut (impl TryCryptoRng + ?Sized),
        draft: &mut Draft,
    ) -> Result<Progress, RandomnessError> {
        progress.messages = progress.messages.saturating_add(1);
        // SPEC §1.5 [counters-never-wrap].
        let Some(next) = progress.epoch.checked_add(1) else { return Ok(progress) };
        match self.stage_in(draft) {
            Stage::Pause if progress.messages >= PACE => {
                draft.lead_to(Stage::SendEk(OneUseKey::generate(rng)?));
                progress.carried = false;
            }
            Stage::Encapsulate(public) => {
                let (ciphertext, shared) = public.encapsulate(rng)?;
                let (confirmation, mix) = confirmed(next, public, &ciphertext, shared);
                draft.lead_to(Stage::SendCt { ciphertext, confirmation, mix });
                progress.carried = false;
            }
            _ => {}
        }
        Ok(progress)
    }

    fn stage_in<'a>(&'a self, draft: &'a Draft) -> &'a Stage {
        if draft.changes { &draft.stage } else { &self.stage }
    }

    /// How many bytes the object takes that waits for room, unless it rode in this chain already.
    pub(crate) fn pending_length(&self, progress: Progress, draft: &Draft) -> Option<usize> {
        match self.stage_in(draft) {
            _ if progress.carried => None,
            Stage::SendEk(_) => Some(EncapsulationKey::LENGTH),
            Stage::SendCt { .. } => Some(CONFIRMED_CIPHERTEXT),
            _ => None,
        }
    }

    /// That object.
    pub(crate) fn pending(&self, progress: Progress, draft: &Draft) -> Option<Object> {
        match self.stage_in(draft) {
            _ if progress.carried => None,
            Stage::SendEk(ours) => {
                Some(Object::EncapsulationKey(*ours.encapsulation_key().as_bytes()))
            }
            Stage::SendCt { ciphertext, confirmation, .. } => {
                Some(Object::Ciphertext(ciphertext.clone(), *confirmation))
            }
            _ => None,
        }
    }

    /// The message was sealed and is to be sent.
    pub(crate) fn commit(&mut self, progress: Progress, draft: &mut Draft) {
        self.progress = progress;
        if draft.changes {
            core::mem::swap(&mut self.stage, &mut draft.stage);
        }
        draft.clear();
    }

    /// Counts a message that was opened, and takes the object that it carried in a chain of `epoch`.
    pub(crate) fn opened(&mut self, object: Option<Object>, epoch: u32) -> Result<(), Refused> {
        self.progress.messages = self.progress.messages.saturating_add(1);
        // An object is for the epoch after that of the chain in which it rides: another one is late.
        let Some(object) = object.filter(|_| epoch == self.progress.epoch) else { return Ok(()) };
        match (&self.stage, object) {
            (Stage::RecvEk, Object::EncapsulationKey(bytes)) => {
                let key = EncapsulationKey::parse(&bytes).map_err(|_| Refused)?;
                self.stage = Stage::Encapsulate(key);
                Ok(())
            }
            (Stage::AwaitCt(ours), Object::Ciphertext(ciphertext, confirmation)) => {
                let shared = ours.decapsulate(&ciphertext);
                self.answered(ours.encapsulation_key().clone(), &ciphertext, shared, &confirmation)
            }
            (Stage::SendEk(ours), Object::Ciphertext(ciphertext, confirmation)) => {
                let (shared, public) = ours.decapsulate(&ciphertext);
                self.answered(public, &ciphertext, shared, &confirmation)
            }
            // Epoch 1's key must come from a manifest: one sent in-band would not authenticate the peer.
            (_, Object::EncapsulationKey(_)) if self.epoch() == 0 => Err(Refused),
            // The same object again, in another chain.
            _ => Ok(()),
        }
    }

    /// A ciphertext for our key: it counts if its confirmation is right.
    fn answered(
        &mut self,
        public: EncapsulationKey,
        ciphertext: &Ciphertext,
        shared: Key,
        confirmation: &[u8; 32],
    ) -> Result<(), Refused> {
        let next = self.progress.epoch.saturating_add(1);
        let (expected, mix) = confirmed(next, &public, ciphertext, shared);
        if !bool::from(expected.ct_eq(confirmation)) {
            return Err(Refused);
        }
        self.stage = Stage::Ready(mix);
        Ok(())
    }
}

impl Draft {
    /// Wipes what nobody committed.
    pub(crate) fn clear(&mut self) {
        if self.changes {
            *self = Self::default();
        }
    }

    fn lead_to(&mut self, stage: Stage) {
        *self = Self { stage, changes: true };
    }
}

impl Progress {
    /// Whether the pending object is worth a larger bucket. Epoch 1 always is: it confirms the session.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        self.epoch == 0
            || self.messages >= OVERDUE_MESSAGES
            || now.saturating_since(self.since) >= OVERDUE_AFTER
    }
}

/// The confirmation of an encapsulation for `epoch`, and what is to be mixed.
pub(crate) fn confirmed(
    epoch: u32,
    public: &EncapsulationKey,
    ciphertext: &Ciphertext,
    shared: Key,
) -> ([u8; 32], Mix) {
    let confirmation = kdf::mac(
        shared.expose(),
        label::KEM_CONFIRMATION,
        &[
            &epoch.to_be_bytes(),
            &sha256(label::KEM_KEY, &[public.as_bytes()]),
            &sha256(label::KEM_CIPHERTEXT, &[ciphertext.as_bytes()]),
        ],
    );
    let transcript = sha256(label::KEM_TRANSCRIPT, &[public.as_bytes(), ciphertext.as_bytes()]);
    (*confirmation.expose(), Mix { shared, transcript })
}

#[cfg(test)]
mod tests;
