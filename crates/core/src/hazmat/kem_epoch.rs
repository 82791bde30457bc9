//! The machine of KEM epochs, and the confirmation of an encapsulation. SPEC §5.7.

use core::fmt;

use rand_core::TryCryptoRng;

use crate::{
    codec::DecodeError,
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    random::RandomnessError,
    ratchet::kem_epoch::{self, Draft},
    secret::Key,
    time::Timestamp,
};

/// What follows from an encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The confirmation that rides with the ciphertext.
    pub confirmation: [u8; 32],
    /// `LH(kem transcript; ek, ct)`.
    pub transcript: [u8; 32],
}

/// The confirmation and the transcript of an encapsulation for `epoch`.
pub fn confirmed(
    epoch: u32,
    public: &EncapsulationKey,
    ciphertext: &Ciphertext,
    shared: &[u8; 32],
) -> Confirmed {
    let shared = Key::new(*shared);
    let (confirmation, mix) = kem_epoch::confirmed(epoch, public, ciphertext, shared);
    Confirmed { confirmation, transcript: mix.transcript }
}

/// A KEM object as it travels.
#[derive(Clone, PartialEq, Eq)]
pub enum Object {
    /// Kind 1: 1,184 bytes, which may break the modulus.
    EncapsulationKey(Vec<u8>),
    /// Kind 2: 1,088 bytes and their confirmation.
    Ciphertext(Vec<u8>, [u8; 32]),
}

/// Why the machine did not go on; it is where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An object that no honest peer sends.
    Object,
    /// An epoch that a chain cannot have.
    Epoch,
}

/// One party's half of the machine.
pub struct KemEpoch(kem_epoch::KemEpoch);

impl Clone for KemEpoch {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl KemEpoch {
    /// A's half, with its device's ML-KEM seed.
    pub fn initiator(seed: &[u8; 64], now: Timestamp) -> Self {
        Self(kem_epoch::KemEpoch::initiator(DecapsulationKey::from_seed(seed), now))
    }

    /// B's half.
    pub fn responder(now: Timestamp) -> Self {
        Self(kem_epoch::KemEpoch::responder(now))
    }

    /// Gives B the key of A's verified device entry.
    pub fn introduce(&mut self, peer: EncapsulationKey) {
        self.0.introduce(peer);
    }

    /// The stage, by the name that SPEC gives it.
    pub fn stage(&self) -> &'static str {
        self.0.stage()
    }

    /// The last epoch mixed.
    pub fn epoch(&self) -> u32 {
        self.0.epoch()
    }

    /// Counts a message that is sealed and makes the object that is due.
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn sending(
        &mut self,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<(), RandomnessError> {
        let mut draft = Draft::default();
        let progress = self.0.sending(self.0.progress(), rng, &mut draft)?;
        self.0.commit(progress, &mut draft);
        Ok(())
    }

    /// The object that waits for room, unless it rode in this chain.
    pub fn pending(&self) -> Option<Object> {
        self.0.pending(self.0.progress(), &Draft::default()).map(Object::from)
    }

    /// Whether the pending object lifts a bucket.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.0.progress().is_overdue(now)
    }

    /// The pending object rides.
    pub fn carry(&mut self) {
        let mut progress = self.0.progress();
        progress.carried = true;
        self.0.commit(progress, &mut Draft::default());
    }

    /// Counts a message that was opened in a chain of `epoch`, and takes its object.
    ///
    /// # Errors
    /// [`Refused::Object`].
    pub fn opened(&mut self, object: Option<&Object>, epoch: u32) -> Result<(), Refused> {
        let object = object.map(Object::received).transpose().map_err(|_| Refused::Object)?;
        self.0.opened(object, epoch).map_err(|_| Refused::Object)
    }

    /// Whether our next root step mixes.
    pub fn will_mix(&self) -> bool {
        self.0.to_mix().is_some()
    }

    /// We made our root step.
    pub fn stepped(&mut self, now: Timestamp) {
        let mut draft = Draft::default();
        let progress = self.0.stepped(now, &mut draft);
        self.0.commit(progress, &mut draft);
    }

    /// The peer began a chain of `epoch`: whether it mixed.
    ///
    /// # Errors
    /// [`Refused::Epoch`].
    pub fn peer_stepped(&mut self, epoch: u32, now: Timestamp) -> Result<bool, Refused> {
        let mixed = self.0.mixed_by_peer(epoch).map_err(|_| Refused::Epoch)?.is_some();
        if mixed {
            self.0.peer_mixed(now);
        }
        Ok(mixed)
    }
}

impl fmt::Debug for KemEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KemEpoch")
            .field("stage", &self.stage())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl Object {
    /// As it comes out of a body.
    pub(super) fn received(&self) -> Result<kem_epoch::Object, DecodeError> {
        Ok(match self {
            Self::EncapsulationKey(key) => kem_epoch::Object::EncapsulationKey(*whole(key)?),
            Self::Ciphertext(ciphertext, confirmation) => {
                let ciphertext = Ciphertext::from_bytes(whole(ciphertext)?);
                kem_epoch::Object::Ciphertext(ciphertext, *confirmation)
            }
        })
    }
}

impl From<kem_epoch::Object> for Object {
    fn from(object: kem_epoch::Object) -> Self {
        match object {
            kem_epoch::Object::EncapsulationKey(key) => Self::EncapsulationKey(key.to_vec()),
            kem_epoch::Object::Ciphertext(ciphertext, confirmation) => {
                Self::Ciphertext(ciphertext.as_bytes().to_vec(), confirmation)
            }
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncapsulationKey(_) => "EncapsulationKey(..)",
            Self::Ciphertext(..) => "Ciphertext(..)",
        })
    }
}

/// All of `bytes`, if they have the length.
fn whole<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Truncated)
}
