//! A session as bytes. SPEC §5.10.

use zeroize::Zeroizing;

use super::{Role, Session, SessionId};
use crate::{
    codec::{DecodeError, Reader, Writer},
    handshake::{InitId, PeerIdentity},
    ratchet::Ratchet,
    secret::on_wiped_stack,
    time::Timestamp,
};

const EXPORT_VERSION: u8 = 1;

/// Room for an ordinary session, so that an export seldom grows.
const ROOM: usize = 8192;

impl Session {
    /// The whole state, to be stored sealed: secret, versioned, of no dependency's format (SPEC §5.10).
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(ROOM);
        writer.u8(EXPORT_VERSION).bytes(self.id.as_bytes()).flag(self.role == Role::Initiator);
        self.peer.write(&mut writer);
        writer.bytes(self.init.as_bytes()).u64(self.created.0);
        writer.flag(self.init_block.is_some());
        if let Some(block) = &self.init_block {
            writer.bytes(&block[..]);
        }
        self.ratchet.write(&mut writer);
        writer.finish_secret()
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else; authenticity is the store's business.
    pub fn import(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            EXPORT_VERSION => {}
            other => return Err(DecodeError::Unknown(other)),
        }
        let id = SessionId::from_bytes(*reader.array()?);
        let role = if reader.flag()? { Role::Initiator } else { Role::Responder };
        let peer = PeerIdentity::read(&mut reader)?;
        let init = InitId::from_bytes(*reader.array()?);
        let created = Timestamp(reader.u64()?);
        let init_block = match reader.flag()? {
            true => Some(Box::new(*reader.array()?)),
            false => None,
        };
        let ratchet = on_wiped_stack(|| Ratchet::read(&mut reader))?;
        reader.finish()?;
        let (stale, draft) = (false, Box::default());
        Ok(Self { id, role, peer, init, init_block, created, stale, ratchet, draft })
    }
}
