//! The machine as bytes. SPEC §5.10.

use super::{KemEpoch, Progress, Stage};
use crate::{
    codec::{DecodeError, Reader, Writer},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, OneUseKey},
    ratchet::root::Mix,
    time::Timestamp,
};

impl KemEpoch {
    pub(crate) fn write(&self, to: &mut Writer) {
        let Progress { epoch, messages, since, carried } = self.progress;
        to.flag(self.initiator).u32(epoch).u32(messages).u64(since.0).flag(carried);
        match &self.stage {
            Stage::Pause => {
                to.u8(0);
            }
            Stage::AwaitCt(ours) => {
                to.u8(1).bytes(ours.expose_seed()).flag(true);
            }
            Stage::SendEk(ours) => {
                to.u8(1).bytes(ours.expose_seed()).flag(false);
            }
            Stage::Ready(mix) => {
                to.u8(2).key(&mix.shared).bytes(&mix.transcript);
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
                to.key(&mix.shared).bytes(&mix.transcript);
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (initiator, epoch, messages) = (from.flag()?, from.u32()?, from.u32()?);
        let (since, carried) = (Timestamp(from.u64()?), from.flag()?);
        let mix = |from: &mut Reader<'_>| {
            Ok::<_, DecodeError>(Mix { shared: from.key()?, transcript: *from.array()? })
        };
        let stage = match from.u8()? {
            0 => Stage::Pause,
            1 => match (from.array()?, from.flag()?) {
                (seed, true) => Stage::AwaitCt(DecapsulationKey::from_seed(seed)),
                (seed, false) => Stage::SendEk(OneUseKey::from_seed(seed)),
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
        Ok(Self { initiator, progress: Progress { epoch, messages, since, carried }, stage })
    }
}

#[cfg(feature = "hazmat")]
impl KemEpoch {
    /// A second machine in the same place, which no product has.
    pub(crate) fn duplicate(&self) -> Self {
        use crate::secret::Key;
        let copy =
            |mix: &Mix| Mix { shared: Key::new(*mix.shared.expose()), transcript: mix.transcript };
        let stage = match &self.stage {
            Stage::Pause => Stage::Pause,
            Stage::AwaitCt(ours) => Stage::AwaitCt(ours.clone()),
            Stage::SendEk(ours) => Stage::SendEk(OneUseKey::from_seed(ours.expose_seed())),
            Stage::Ready(mix) => Stage::Ready(copy(mix)),
            Stage::AwaitEntry => Stage::AwaitEntry,
            Stage::RecvEk => Stage::RecvEk,
            Stage::Encapsulate(public) => Stage::Encapsulate(public.clone()),
            Stage::SendCt { ciphertext, confirmation, mix } => Stage::SendCt {
                ciphertext: ciphertext.clone(),
                confirmation: *confirmation,
                mix: copy(mix),
            },
        };
        Self { initiator: self.initiator, progress: self.progress, stage }
    }
}
