//! Two parties for tests: device keys and prekeys without the manifests around them.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::handshake::schedule::{self, Early};
use crate::{codec::Writer, dh, identity::DeviceId, kem::DecapsulationKey, prekey::PrekeyId};
use crate::{identity::DeviceKeys, random};

/// Noon of some day.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// One device of one account.
pub(crate) struct Party {
    pub(crate) account: AccountId,
    pub(crate) keys: DeviceKeys,
    pub(crate) signed: (dh::SecretKey, DecapsulationKey),
    pub(crate) one_time: (dh::SecretKey, DecapsulationKey),
}

impl Party {
    pub(crate) fn new(rng: &mut ChaCha20Rng) -> Self {
        let pair = |rng: &mut ChaCha20Rng| {
            (dh::SecretKey::generate(rng).unwrap(), DecapsulationKey::generate(rng).unwrap())
        };
        Self {
            account: AccountId::from_bytes(random::array(rng).unwrap()),
            keys: DeviceKeys::generate(rng).unwrap(),
            signed: pair(rng),
            one_time: pair(rng),
        }
    }

    pub(crate) fn own(&self) -> Own<'_> {
        Own { account: self.account, device: DeviceId(1), keys: &self.keys }
    }

    pub(crate) fn entry(&self) -> DeviceEntry {
        self.keys.entry(DeviceId(1))
    }

    pub(crate) fn initiate(
        &self,
        peer: &Self,
        one_time_used: bool,
        rng: &mut ChaCha20Rng,
    ) -> Session {
        let (dh, kem) = &peer.signed;
        let signed = Prekey { id: PrekeyId(7), dh: dh.public(), kem: kem.encapsulation_key() };
        let (dh, kem) = &peer.one_time;
        let one_time = Prekey { id: PrekeyId(9), dh: dh.public(), kem: kem.encapsulation_key() };
        let one_time = one_time_used.then_some(one_time);
        let (own, entry) = (self.own(), peer.entry());
        Session::initiate_with(&own, peer.account, &entry, &signed, one_time.as_ref(), NOW, rng)
            .unwrap()
    }

    /// A session that somebody who stole `robbed`'s signed prekey begins with it in our name: with our public keys, and a
    /// device key for ct3 that is not ours.
    pub(crate) fn impersonated(&self, robbed: &Self, rng: &mut ChaCha20Rng) -> Session {
        let ephemeral = dh::SecretKey::generate(rng).unwrap();
        let (prekey, kem) = &robbed.signed;
        let signed = Prekey { id: PrekeyId(7), dh: prekey.public(), kem: kem.encapsulation_key() };
        let (first, ss1) = signed.kem.encapsulate(rng).unwrap();
        let (second, ss2) = robbed.entry().kem().encapsulate(rng).unwrap();
        // DH1 takes our private key, or that of the prekey.
        let dh1 = prekey.diffie_hellman(self.entry().dh()).unwrap();
        let dh2 = ephemeral.diffie_hellman(robbed.entry().dh()).unwrap();
        let dh3 = ephemeral.diffie_hellman(prekey.public()).unwrap();
        let peer = PeerIdentity::of(robbed.account, &robbed.entry());
        let offer = schedule::offer(&peer, &signed, None, ephemeral.public(), &first, &second);
        let early = Early::new(offer, &[&dh2, &dh3, &ss1, &ss2]);
        let mut writer = Writer::new();
        PeerIdentity::of(self.account, &self.entry()).write(&mut writer);
        let identity_box = early.seal_identity(&writer.finish().try_into().unwrap()).unwrap();
        let keys = early.finish(&dh1, &identity_box);
        let block = InitBlock {
            signed_prekey: PrekeyId(7),
            one_time_prekey: None,
            ephemeral: *ephemeral.public(),
            first,
            second,
            identity_box,
        };
        let kem = KemEpoch::initiator(DecapsulationKey::generate(rng).unwrap(), NOW);
        let (header_a, header_b) = (keys.header_a, keys.header_b);
        Session {
            id: keys.session,
            role: Role::Initiator,
            peer,
            init: block.id(),
            init_block: Some(block.encode()),
            created: NOW,
            stale: false,
            draft: Box::default(),
            ratchet: Ratchet::initiator(keys.root, *prekey.public(), header_a, header_b, kem),
        }
    }

    /// Answers with the prekeys that the message asks for.
    pub(crate) fn respond(&self, envelope: &[u8]) -> Result<Answered, RespondError> {
        let one_time = InitBlock::peek(envelope).ok_or(RespondError::NoInitBlock)?.one_time_prekey;
        let (dh, kem) = &self.signed;
        let signed = PrekeySecret { id: PrekeyId(7), dh, kem };
        let (dh, kem) = &self.one_time;
        let one_time = one_time.map(|id| PrekeySecret { id, dh, kem });
        Session::respond_with(&self.own(), &signed, one_time.as_ref(), envelope, NOW)
    }
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Seals and stores: the session moves on.
pub(crate) fn seal(session: &mut Session, content: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let sealed = session.seal(content, NOW, rng).unwrap();
    sealed.commit(|_, _| Ok::<_, ()>(())).unwrap().envelope.into_bytes()
}

/// Opens and stores: the session moves on.
pub(crate) fn open(session: &mut Session, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
    Ok(receive(session, envelope)?.content.to_vec())
}

/// Opens and stores, and says all there is to say.
pub(crate) fn receive(session: &mut Session, envelope: &[u8]) -> Result<Incoming, OpenError> {
    Ok(session.open(envelope, NOW)?.commit(|_, _| Ok::<_, ()>(())).unwrap())
}

/// A second session in the same state, as a copied disk has it.
pub(crate) fn copy(session: &Session) -> Session {
    Session::import(&session.export()).unwrap()
}

/// Two parties after the first message, the responder introduced.
pub(crate) fn met(seed: u64) -> (Session, Session, ChaCha20Rng) {
    let mut rng = rng(seed);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, true, &mut rng);
    let first = seal(&mut alice, b"hello", &mut rng);
    let mut bob = b.respond(&first).unwrap().session;
    bob.introduce(&a.account, &a.entry()).unwrap();
    (alice, bob, rng)
}

/// Two parties with a confirmed session, each with a chain of the other's open.
pub(crate) fn confirmed(seed: u64) -> (Session, Session, ChaCha20Rng) {
    let (mut alice, mut bob, mut rng) = met(seed);
    for _ in 0..2 {
        let message = seal(&mut bob, b"ping", &mut rng);
        open(&mut alice, &message).unwrap();
        let message = seal(&mut alice, b"pong", &mut rng);
        open(&mut bob, &message).unwrap();
    }
    assert_eq!((alice.status(), bob.status()), (Status::Confirmed, Status::Confirmed));
    (alice, bob, rng)
}
