//! The responder's half. SPEC §4.4.

use super::{
    RespondError,
    init_block::InitBlock,
    peer::{Own, PeerIdentity},
    schedule::{self, Early, Keys, Prekey},
};
use crate::{codec::Reader, dh::SecretKey, kem::DecapsulationKey, prekey::PrekeyId};

/// A private prekey of either kind.
pub(crate) struct PrekeySecret<'a> {
    pub(crate) id: PrekeyId,
    pub(crate) dh: &'a SecretKey,
    pub(crate) kem: &'a DecapsulationKey,
}

impl PrekeySecret<'_> {
    fn public(&self) -> Prekey<'_> {
        Prekey { id: self.id, dh: self.dh.public(), kem: self.kem.encapsulation_key() }
    }
}

/// Runs the schedule for an init block: who the peer claims to be, and keys that the message behind it still has to
/// prove. Every mauled input ends at the identity box.
pub(crate) fn respond(
    own: &Own<'_>,
    signed: &PrekeySecret<'_>,
    one_time: Option<&PrekeySecret<'_>>,
    block: &InitBlock,
) -> Result<(PeerIdentity, Keys), RespondError> {
    if block.signed_prekey != signed.id || block.one_time_prekey != one_time.map(|prekey| prekey.id)
    {
        return Err(RespondError::WrongPrekey);
    }
    let refused = |_| RespondError::NonContributory;
    let dh2 = own.keys.dh().diffie_hellman(&block.ephemeral).map_err(refused)?;
    let dh3 = signed.dh.diffie_hellman(&block.ephemeral).map_err(refused)?;
    let dh4 = one_time
        .map(|prekey| prekey.dh.diffie_hellman(&block.ephemeral))
        .transpose()
        .map_err(refused)?;
    let first_shared = one_time.unwrap_or(signed).kem.decapsulate(&block.first);
    let second_shared = own.keys.kem().decapsulate(&block.second);

    let responder = PeerIdentity::of(own.account, &own.entry());
    let offer = schedule::offer(
        &responder,
        &signed.public(),
        one_time.map(PrekeySecret::public).as_ref(),
        &block.ephemeral,
        &block.first,
        &block.second,
    );
    let early = match &dh4 {
        Some(dh4) => Early::new(offer, &[&dh2, &dh3, dh4, &first_shared, &second_shared]),
        None => Early::new(offer, &[&dh2, &dh3, &first_shared, &second_shared]),
    };
    // SPEC §4.4 [box-is-the-only-oracle].
    let plain = early.open_identity(block).map_err(|_| RespondError::Forged)?;
    let claimed = PeerIdentity::read(&mut Reader::new(&plain[..]))
        .map_err(|_| RespondError::PeerMisbehaved)?;
    let dh1 = signed.dh.diffie_hellman(&claimed.dh).map_err(refused)?;
    let keys = early.finish(&dh1, &block.identity_box);
    Ok((claimed, keys))
}
