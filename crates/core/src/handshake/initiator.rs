//! The initiator's half. SPEC §4.3.

use rand_core::TryCryptoRng;

use super::{
    InitiateError,
    init_block::InitBlock,
    peer::{Own, PeerIdentity},
    schedule::{self, Early, Keys, Prekey},
};
use crate::{
    codec::Writer,
    dh::EphemeralKey,
    identity::{AccountId, DeviceEntry},
};

/// Makes the init block and the keys for a peer whose entry and prekeys were verified.
pub(crate) fn initiate(
    own: &Own<'_>,
    account: AccountId,
    entry: &DeviceEntry,
    signed: &Prekey<'_>,
    one_time: Option<&Prekey<'_>>,
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<(InitBlock, Keys), InitiateError> {
    let refused = |_| InitiateError::NonContributory;
    let ephemeral = EphemeralKey::generate(rng)?;
    let ephemeral_public = ephemeral.public();
    let (first, first_shared) = one_time.unwrap_or(signed).kem.encapsulate(rng)?;
    let (second, second_shared) = entry.kem().encapsulate(rng)?;
    let dh1 = own.keys.dh().diffie_hellman(signed.dh).map_err(refused)?;
    let dh2 = ephemeral.diffie_hellman(entry.dh()).map_err(refused)?;
    let dh3 = ephemeral.diffie_hellman(signed.dh).map_err(refused)?;
    let dh4 =
        one_time.map(|prekey| ephemeral.diffie_hellman(prekey.dh)).transpose().map_err(refused)?;

    let responder = PeerIdentity::of(account, entry);
    let offer = schedule::offer(&responder, signed, one_time, &ephemeral_public, &first, &second);
    let early = match &dh4 {
        Some(dh4) => Early::new(offer, &[&dh2, &dh3, dh4, &first_shared, &second_shared]),
        None => Early::new(offer, &[&dh2, &dh3, &first_shared, &second_shared]),
    };

    let mut identity = [0; PeerIdentity::LENGTH];
    let mut writer = Writer::with_capacity(PeerIdentity::LENGTH);
    PeerIdentity::of(own.account, &own.entry()).write(&mut writer);
    for (slot, byte) in identity.iter_mut().zip(writer.finish_secret().iter()) {
        *slot = *byte;
    }
    let identity_box = early.seal_identity(&identity).map_err(|_| InitiateError::Internal)?;
    let keys = early.finish(&dh1, &identity_box);
    let block = InitBlock {
        signed_prekey: signed.id,
        one_time_prekey: one_time.map(|prekey| prekey.id),
        ephemeral: ephemeral_public,
        first,
        second,
        identity_box,
    };
    Ok((block, keys))
}
