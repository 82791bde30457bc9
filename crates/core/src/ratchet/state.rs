//! A ratchet as bytes: everything here is secret. SPEC §5.10.

use super::{
    Chain, KemEpoch, MAX_GAPPED, Ratchet, Receiving, Recent, Sending, acknowledgement::Acknowledged,
};
use crate::{
    codec::{DecodeError, Reader, Writer},
    dh::{EphemeralKey, PublicKey},
};

impl Ratchet {
    /// Appends the whole state.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.key(&self.root).flag(self.ours.is_some());
        if let Some(ours) = &self.ours {
            to.key(ours.as_key());
        }
        to.bytes(self.theirs.as_bytes());
        to.u64(self.chains_sent).key(&self.next_header_sending);
        to.u64(self.chains_received).key(&self.next_header_receiving);
        to.flag(self.must_step);
        to.flag(self.stuck.is_some());
        if let Some(stuck) = self.stuck {
            to.u64(stuck.chain).u32(stuck.count);
        }
        to.flag(self.sending.is_some());
        if let Some(sending) = &self.sending {
            to.u64(sending.number).key(&sending.header_key);
            to.bytes(sending.ratchet_key.as_bytes()).u32(sending.previous).u32(sending.epoch);
            sending.chain.write(to);
        }
        to.flag(self.receiving.is_some());
        if let Some(receiving) = &self.receiving {
            receiving.write(to);
        }
        to.u8(u8::try_from(self.gapped.len()).unwrap_or(u8::MAX));
        for gapped in &self.gapped {
            gapped.write(to);
        }
        self.kem.write(to);
        self.recent.write(to);
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Box<Self>, DecodeError> {
        let root = from.key()?;
        let ours = match from.flag()? {
            true => Some(EphemeralKey::from_key(from.key()?)),
            false => None,
        };
        let theirs = PublicKey::parse(from.array()?)?;
        let (chains_sent, next_header_sending) = (from.u64()?, from.key()?);
        let (chains_received, next_header_receiving) = (from.u64()?, from.key()?);
        let must_step = from.flag()?;
        let stuck = match from.flag()? {
            true => Some(Acknowledged { chain: from.u64()?, count: from.u32()? }),
            false => None,
        };
        let sending = match from.flag()? {
            true => Some(Sending {
                number: from.u64()?,
                header_key: from.key()?,
                ratchet_key: PublicKey::parse(from.array()?)?,
                previous: from.u32()?,
                epoch: from.u32()?,
                chain: Chain::read(from)?,
            }),
            false => None,
        };
        let receiving = match from.flag()? {
            true => Some(Box::new(Receiving::read(from)?)),
            false => None,
        };
        let count = usize::from(from.u8()?);
        if count > MAX_GAPPED {
            return Err(DecodeError::OutOfRange);
        }
        let mut gapped = Vec::with_capacity(count.saturating_add(1));
        for _ in 0..count {
            gapped.push(Box::new(Receiving::read(from)?));
        }
        Ok(Box::new(Self {
            root,
            ours,
            theirs,
            sending,
            chains_sent,
            next_header_sending,
            receiving,
            chains_received,
            next_header_receiving,
            gapped,
            must_step,
            kem: KemEpoch::read(from)?,
            recent: Recent::read(from)?,
            stuck,
        }))
    }
}

impl Receiving {
    fn write(&self, to: &mut Writer) {
        to.u64(self.number).key(&self.header_key).bytes(&self.ratchet_key).u32(self.epoch);
        self.chain.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: from.u64()?,
            header_key: from.key()?,
            ratchet_key: *from.array()?,
            epoch: from.u32()?,
            chain: Chain::read(from)?,
        })
    }
}
