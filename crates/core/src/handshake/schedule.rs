//! The key schedule, which both sides run with the same inputs. SPEC §4.2.

use zeroize::Zeroizing;

use super::{init_block::InitBlock, peer::PeerIdentity};
use crate::{
    aead::{self, NotAuthentic, TAG},
    dh,
    hash::sha256,
    kdf::{self, Key},
    kem::{Ciphertext, EncapsulationKey},
    label,
    prekey::PrekeyId,
    secret::Secret,
    session::SessionId,
};

/// The one suite.
const SUITE: u8 = 1;

/// The public half of a prekey of either kind.
#[derive(Clone, Copy)]
pub(crate) struct Prekey<'a> {
    pub(crate) id: PrekeyId,
    pub(crate) dh: &'a dh::PublicKey,
    pub(crate) kem: &'a EncapsulationKey,
}

/// T0: everything that is public before the identity box.
pub(crate) fn offer(
    responder: &PeerIdentity,
    signed: &Prekey<'_>,
    one_time: Option<&Prekey<'_>>,
    ephemeral: &dh::PublicKey,
    first: &Ciphertext,
    second: &Ciphertext,
) -> [u8; 32] {
    let signed_id = signed.id.0.to_be_bytes();
    let one_time_id = one_time.map(|prekey| prekey.id.0.to_be_bytes());
    let no_bytes: &[u8] = &[];
    sha256(
        label::HANDSHAKE_OFFER,
        &[
            &[SUITE],
            responder.account.as_bytes(),
            &responder.device.0.to_be_bytes(),
            &responder.entry,
            &signed_id,
            signed.dh.as_bytes(),
            signed.kem.as_bytes(),
            one_time_id.as_ref().map_or(no_bytes, |id| id),
            one_time.map_or(no_bytes, |prekey| prekey.dh.as_bytes()),
            one_time.map_or(no_bytes, |prekey| prekey.kem.as_bytes()),
            ephemeral.as_bytes(),
            first.as_bytes(),
            second.as_bytes(),
        ],
    )
}

/// The schedule before the initiator's identity is known: it opens and seals the identity box.
pub(crate) struct Early {
    offer: [u8; 32],
    chaining: Key,
}

/// What the handshake yields.
pub(crate) struct Keys {
    pub(crate) session: SessionId,
    pub(crate) root: Secret,
    /// The initiator's first header key.
    pub(crate) header_a: Secret,
    /// The responder's first header key.
    pub(crate) header_b: Secret,
}

impl Early {
    /// `secrets` are DH2, DH3, DH4 if there is one, ss1 and ss2, in this order.
    pub(crate) fn new(offer: [u8; 32], secrets: &[&Secret]) -> Self {
        let mut inputs: [&[u8]; 5] = [&[]; 5];
        for (slot, secret) in inputs.iter_mut().zip(secrets) {
            *slot = secret.expose();
        }
        let chaining = kdf::extract(&offer, &inputs);
        Self { offer, chaining }
    }

    pub(crate) fn seal_identity(
        &self,
        identity: &[u8; PeerIdentity::LENGTH],
    ) -> Result<[u8; PeerIdentity::LENGTH + TAG], NotAuthentic> {
        let mut plain = Zeroizing::new(*identity);
        let [key] = kdf::expand(&self.chaining, label::HANDSHAKE_BOX, &[]);
        let tag = aead::seal(&key, &[0; 12], &self.offer, &mut plain[..])?;
        let mut sealed = [0; PeerIdentity::LENGTH + TAG];
        for (slot, byte) in sealed.iter_mut().zip(plain.iter().chain(&tag)) {
            *slot = *byte;
        }
        Ok(sealed)
    }

    pub(crate) fn open_identity(
        &self,
        block: &InitBlock,
    ) -> Result<Zeroizing<[u8; PeerIdentity::LENGTH]>, NotAuthentic> {
        let (sealed, tag) = block
            .identity_box
            .split_first_chunk::<{ PeerIdentity::LENGTH }>()
            .ok_or(NotAuthentic)?;
        let mut plain = Zeroizing::new(*sealed);
        let tag = tag.first_chunk().ok_or(NotAuthentic)?;
        let [key] = kdf::expand(&self.chaining, label::HANDSHAKE_BOX, &[]);
        aead::open(&key, &[0; 12], &self.offer, &mut plain[..], tag)?;
        Ok(plain)
    }

    /// Binds the initiator: DH1 and the box.
    pub(crate) fn finish(self, first_agreement: &Secret, identity_box: &[u8]) -> Keys {
        let transcript =
            sha256(label::HANDSHAKE_TRANSCRIPT, &[self.offer.as_slice(), identity_box]);
        let extracted = kdf::extract(&self.chaining, &[first_agreement.expose()]);
        let [root, header_a, header_b, session]: [Key; 4] =
            kdf::expand(&extracted, label::HANDSHAKE_ROOT, &[&transcript]);
        Keys {
            session: SessionId::from_bytes(*session),
            root: Secret::new(*root),
            header_a: Secret::new(*header_a),
            header_b: Secret::new(*header_b),
        }
    }
}
