//! KEM epochs: post-quantum healing that rides in the padding. SPEC §5.7.
//!
//! ```text
//! I: Pause ──8 messages──> SendEk ──ct, confirmation right──> Ready ──own root step mixes──> e + 1, RecvEk
//! E: RecvEk ──ek──> Encapsulate ──own send──> SendCt ──peer's chain says e + 1──> e + 1, Pause
//! ```
//! I(e) is the handshake's initiator for odd e, else its responder. Epoch 1 begins half done: the initiator's device
//! key is its encapsulation key, which the responder learns from a verified manifest ([`KemEpoch::introduce`]).
//! Only the owner of a root step mixes, and only in its own step.

use core::time::Duration;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;

use super::root::Mix;
use crate::{
    codec::{DecodeError, Reader, Writer},
    hash::sha256,
    kdf,
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    label,
    random::RandomnessError,
    secret::Secret,
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
#[derive(Clone)]
pub(crate) struct KemEpoch {
    /// Whether we began the handshake.
    initiator: bool,
    /// The last epoch mixed.
    epoch: u32,
    stage: Stage,
    /// Messages sent and opened since `epoch` began here.
    messages: u32,
    since: Timestamp,
    /// The pending object rode in the current sending chain already.
    carried: bool,
}

#[derive(Clone)]
enum Stage {
    /// I: too early for a new key.
    Pause,
    /// I: our key is out, or on its way; `known` when the peer has it from elsewhere and it is never sent.
    SendEk { ours: DecapsulationKey, known: bool },
    /// I: decapsulated, to be mixed into our next root step.
    Ready(Mix),
    /// E, epoch 1: the peer's device entry is not verified yet.
    AwaitEntry,
    /// E: waiting for the peer's key.
    RecvEk,
    /// E: has the key, encapsulates with the next message.
    Encapsulate(EncapsulationKey),
    /// E: sends the ciphertext and keeps the secret until the peer's chain says that it was mixed.
    SendCt { ciphertext: Ciphertext, confirmation: [u8; 32], mix: Mix },
}

/// An object to be sent.
pub(crate) enum ObjectRef<'a> {
    EncapsulationKey(&'a EncapsulationKey),
    Ciphertext(&'a Ciphertext, &'a [u8; 32]),
}

/// An object that was received in an authentic body.
pub(crate) enum Object {
    EncapsulationKey(Box<[u8; EncapsulationKey::LENGTH]>),
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
        Self::at(true, Stage::SendEk { ours, known: true }, now)
    }

    /// The responder's half: encapsulates as soon as it is introduced.
    pub(crate) fn responder(now: Timestamp) -> Self {
        Self::at(false, Stage::AwaitEntry, now)
    }

    fn at(initiator: bool, stage: Stage, now: Timestamp) -> Self {
        Self { initiator, epoch: 0, stage, messages: 0, since: now, carried: false }
    }

    /// The last epoch mixed; 0 until the session is confirmed.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
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
            Stage::SendEk { .. } => "SendEk",
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

    /// Whether there is something that the peer needs and that has not been sent in the current chain.
    pub(crate) fn has_news(&self) -> bool {
        matches!(self.stage, Stage::Ready(_) | Stage::Encapsulate(_))
            || (matches!(self.stage, Stage::SendCt { .. }) && !self.carried)
    }

    /// What our own root step mixes in, if anything.
    pub(crate) fn to_mix(&self) -> Option<&Mix> {
        match &self.stage {
            Stage::Ready(mix) => Some(mix),
            _ => None,
        }
    }

    /// Our own root step was made: a new sending chain begins, mixed if [`Self::to_mix`] was something.
    pub(crate) fn stepped(&mut self, now: Timestamp) {
        self.carried = false;
        if matches!(self.stage, Stage::Ready(_)) {
            self.enter(now);
        }
    }

    /// What the peer's root step mixed in, judging by the epoch that its new chain names.
    pub(crate) fn mixed_by_peer(&self, epoch: u32) -> Result<Option<&Mix>, WrongEpoch> {
        if epoch == self.epoch {
            return Ok(None);
        }
        match &self.stage {
            Stage::SendCt { mix, .. } if self.epoch.checked_add(1) == Some(epoch) => Ok(Some(mix)),
            _ => Err(WrongEpoch),
        }
    }

    /// The peer's new chain proved authentic and had mixed.
    pub(crate) fn peer_mixed(&mut self, now: Timestamp) {
        self.enter(now);
    }

    fn enter(&mut self, now: Timestamp) {
        self.epoch = self.epoch.saturating_add(1);
        self.stage = if self.begins_next() { Stage::Pause } else { Stage::RecvEk };
        self.messages = 0;
        self.since = now;
        self.carried = false;
    }

    /// Whether we are I of the next epoch.
    fn begins_next(&self) -> bool {
        self.epoch.is_multiple_of(2) == self.initiator
    }

    /// Counts a message that is about to be sealed, and makes the object that is due.
    pub(crate) fn sending(
        &mut self,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<(), RandomnessError> {
        self.messages = self.messages.saturating_add(1);
        match &self.stage {
            Stage::Pause if self.messages >= PACE => {
                let ours = DecapsulationKey::generate(rng)?;
                self.stage = Stage::SendEk { ours, known: false };
                self.carried = false;
            }
            Stage::Encapsulate(public) => {
                let (ciphertext, shared) = public.encapsulate(rng)?;
                let (confirmation, mix) =
                    confirmed(self.epoch.saturating_add(1), public, &ciphertext, shared);
                self.stage = Stage::SendCt { ciphertext, confirmation, mix };
                self.carried = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// The object that waits for room, unless it rode in this chain already.
    pub(crate) fn pending(&self) -> Option<ObjectRef<'_>> {
        if self.carried {
            return None;
        }
        match &self.stage {
            Stage::SendEk { ours, known: false } => {
                Some(ObjectRef::EncapsulationKey(ours.encapsulation_key()))
            }
            Stage::SendCt { ciphertext, confirmation, .. } => {
                Some(ObjectRef::Ciphertext(ciphertext, confirmation))
            }
            _ => None,
        }
    }

    /// Whether the pending object is worth a larger bucket. Epoch 1 always is: it confirms the session.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        self.epoch == 0
            || self.messages >= OVERDUE_MESSAGES
            || now.saturating_since(self.since) >= OVERDUE_AFTER
    }

    /// The pending object rides in the message that is being sealed.
    pub(crate) fn carry(&mut self) {
        self.carried = true;
    }

    /// Counts a message that was opened, and takes the object that it carried in a chain of `epoch`.
    pub(crate) fn opened(&mut self, object: Option<Object>, epoch: u32) -> Result<(), Refused> {
        self.messages = self.messages.saturating_add(1);
        // An object is for the epoch after that of the chain in which it rides: another one is late.
        let Some(object) = object.filter(|_| epoch == self.epoch) else { return Ok(()) };
        match (&self.stage, object) {
            (Stage::RecvEk, Object::EncapsulationKey(bytes)) => {
                let key = EncapsulationKey::parse(&bytes).map_err(|_| Refused)?;
                self.stage = Stage::Encapsulate(key);
                Ok(())
            }
            (Stage::SendEk { ours, .. }, Object::Ciphertext(ciphertext, confirmation)) => {
                let (epoch, public) = (self.epoch.saturating_add(1), ours.encapsulation_key());
                let shared = ours.decapsulate(&ciphertext);
                let (expected, mix) = confirmed(epoch, public, &ciphertext, shared);
                if !bool::from(expected.ct_eq(&confirmation)) {
                    return Err(Refused);
                }
                self.stage = Stage::Ready(mix);
                Ok(())
            }
            // Epoch 1's key must come from a manifest: one sent in-band would not authenticate the peer.
            (_, Object::EncapsulationKey(_)) if self.epoch == 0 => Err(Refused),
            // The same object again, in another chain.
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.flag(self.initiator).u32(self.epoch).u32(self.messages).u64(self.since.0);
        to.flag(self.carried);
        match &self.stage {
            Stage::Pause => {
                to.u8(0);
            }
            Stage::SendEk { ours, known } => {
                to.u8(1).bytes(ours.expose_seed()).flag(*known);
            }
            Stage::Ready(mix) => {
                to.u8(2).secret(&mix.shared).bytes(&mix.transcript);
            }
            Stage::AwaitEntry => {
                to.u8(3);
            }
            Stage::RecvEk => {
                to.u8(4);
            }
            Stage::Encapsulate(public) => {
                to.u8(5).bytes(public.as_bytes());
            }
            Stage::SendCt { ciphertext, confirmation, mix } => {
                to.u8(6).bytes(ciphertext.as_bytes()).bytes(confirmation);
                to.secret(&mix.shared).bytes(&mix.transcript);
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (initiator, epoch, messages) = (from.flag()?, from.u32()?, from.u32()?);
        let (since, carried) = (Timestamp(from.u64()?), from.flag()?);
        let mix = |from: &mut Reader<'_>| {
            Ok::<_, DecodeError>(Mix { shared: from.secret()?, transcript: *from.array()? })
        };
        let stage = match from.u8()? {
            0 => Stage::Pause,
            1 => Stage::SendEk {
                ours: DecapsulationKey::from_seed(from.array()?),
                known: from.flag()?,
            },
            2 => Stage::Ready(mix(from)?),
            3 => Stage::AwaitEntry,
            4 => Stage::RecvEk,
            5 => Stage::Encapsulate(EncapsulationKey::parse(from.array()?)?),
            6 => Stage::SendCt {
                ciphertext: Ciphertext::from_bytes(from.array()?),
                confirmation: *from.array()?,
                mix: mix(from)?,
            },
            other => return Err(DecodeError::Unknown(other)),
        };
        Ok(Self { initiator, epoch, stage, messages, since, carried })
    }
}

/// The confirmation of an encapsulation for `epoch`, and what is to be mixed.
pub(crate) fn confirmed(
    epoch: u32,
    public: &EncapsulationKey,
    ciphertext: &Ciphertext,
    shared: Secret,
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
    (*confirmation, Mix { shared, transcript })
}

#[cfg(test)]
mod tests;
