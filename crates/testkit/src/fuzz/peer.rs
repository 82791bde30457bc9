//! A peer written from the specification alone, with other code than the core's: what an honest one does, and by
//! request whatever a hostile one could do with the same keys.
//!
//! It is always A, who begins. It keeps every key for ever and knows no bound. SPEC §4, §5.

use chopmark_core::{
    dh,
    handshake::InitBlock,
    hash,
    identity::DeviceKeys,
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    label,
};
use hkdf::Hkdf;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use sha2::Sha256;

use super::{
    definition::{Key, confirm, leaf, mac, open, seal, step},
    message::{Header, Text},
};
use crate::party::{DEVICE, Party};

/// One chain, in either direction.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) header_key: Key,
    pub(super) ratchet_key: Key,
    pub(super) pn: u32,
    pub(super) epoch: u32,
    pub(super) chain: Key,
    /// The index after the highest that was used.
    pub(super) next: u32,
}

/// Our half of the KEM machine, as a peer needs it: no pace, no counting.
#[derive(Clone)]
pub(super) enum Stage {
    /// I: this key's ciphertext is awaited; whether the key must be sent first.
    SendEk(DecapsulationKey, bool),
    /// I: to be mixed with our next step.
    Ready(Key, Key),
    /// E: nothing came yet.
    RecvEk,
    /// E: what is sent until the peer says that it was mixed.
    SendCt(Vec<u8>, Key, Key),
}

#[derive(Clone)]
pub(super) struct Peer {
    session: Key,
    init: Vec<u8>,
    /// Until a reply was opened.
    init_rides: bool,
    root: Key,
    ours: Option<std::sync::Arc<dh::SecretKey>>,
    theirs: dh::PublicKey,
    pub(super) sent: Vec<Line>,
    next_sending: Key,
    pub(super) heard: Vec<Line>,
    next_receiving: Key,
    pub(super) owes_step: bool,
    pub(super) epoch: u32,
    pub(super) stage: Stage,
    pub(super) rng: ChaCha20Rng,
}

impl Peer {
    /// The handshake of section 4, with `own` as A.
    pub(super) fn begin(own: &Party, to: &Party, one_time: bool, mut rng: ChaCha20Rng) -> Self {
        let keys: &DeviceKeys = &own.keys;
        let entry = to.manifest.device(DEVICE).expect("its device");
        let ephemeral = dh::SecretKey::generate(&mut rng).expect("randomness");
        let prekey = if one_time { to.one_time.kem() } else { to.signed.kem() };
        let (ct1, ss1) = prekey.encapsulation_key().encapsulate(&mut rng).expect("randomness");
        let (ct2, ss2) = entry.kem().encapsulate(&mut rng).expect("randomness");
        let agree = |own: &dh::SecretKey, with: &dh::PublicKey| {
            *own.diffie_hellman(with).expect("an honest key").expose()
        };
        let signed = to.signed.dh().public();
        let dh4 = one_time.then(|| agree(&ephemeral, to.one_time.dh().public()));
        let mut offer: Vec<Vec<u8>> = vec![
            vec![1],
            to.account.as_bytes().to_vec(),
            DEVICE.0.to_be_bytes().to_vec(),
            entry.hash().to_vec(),
            to.signed.id().0.to_be_bytes().to_vec(),
            signed.as_bytes().to_vec(),
            to.signed.kem().encapsulation_key().as_bytes().to_vec(),
        ];
        offer.extend(match one_time {
            true => [
                to.one_time.id().0.to_be_bytes().to_vec(),
                to.one_time.dh().public().as_bytes().to_vec(),
                to.one_time.kem().encapsulation_key().as_bytes().to_vec(),
            ],
            false => [vec![], vec![], vec![]],
        });
        offer.push(ephemeral.public().as_bytes().to_vec());
        offer.push(ct1.as_bytes().to_vec());
        offer.push(ct2.as_bytes().to_vec());
        let parts: Vec<&[u8]> = offer.iter().map(Vec::as_slice).collect();
        let t0 = hash::sha256(label::HANDSHAKE_OFFER, &parts);
        let dh4: &[u8] = dh4.as_ref().map_or(&[], |key| key);
        let secrets = [
            &agree(&ephemeral, entry.dh()),
            &agree(&ephemeral, signed),
            dh4,
            ss1.expose(),
            ss2.expose(),
        ]
        .concat();
        let (ck, early) = Hkdf::<Sha256>::extract(Some(&t0), &secrets);
        let mine = keys.entry(DEVICE);
        let identity = [
            own.account.as_bytes().as_slice(),
            &DEVICE.0.to_be_bytes(),
            &mine.hash(),
            mine.dh().as_bytes(),
        ]
        .concat();
        let mut box_key = [0; 32];
        early.expand(&label::framed(label::HANDSHAKE_BOX, &[]), &mut box_key).expect("short");
        let mut sealed_identity = identity;
        let tag = seal(&box_key, &[0; 12], &t0, &mut sealed_identity);
        sealed_identity.extend(tag);
        let transcript = hash::sha256(label::HANDSHAKE_TRANSCRIPT, &[&t0, &sealed_identity]);
        let mut out = [0; 128];
        Hkdf::<Sha256>::new(Some(&ck), &agree(keys.dh(), signed))
            .expand(&label::framed(label::HANDSHAKE_ROOT, &[&transcript]), &mut out)
            .expect("short");
        let part = |at: usize| Key::try_from(&out[32 * at..][..32]).expect("32 bytes");
        let init = [
            &to.signed.id().0.to_be_bytes()[..],
            &[u8::from(one_time)],
            &(if one_time { to.one_time.id().0 } else { 0 }).to_be_bytes(),
            ephemeral.public().as_bytes(),
            ct1.as_bytes(),
            ct2.as_bytes(),
            &sealed_identity,
        ]
        .concat();
        assert_eq!(init.len(), InitBlock::LENGTH);
        Self {
            session: part(3),
            init,
            init_rides: true,
            root: part(0),
            ours: None,
            theirs: *signed,
            sent: Vec::new(),
            next_sending: part(1),
            heard: Vec::new(),
            next_receiving: part(2),
            owes_step: true,
            epoch: 0,
            stage: Stage::SendEk(keys.kem().clone(), false),
            rng,
        }
    }

    /// Our half of a root step, if one is owed: SPEC §5.4.
    pub(super) fn step(&mut self) {
        if !core::mem::take(&mut self.owes_step) {
            return;
        }
        let ours = dh::SecretKey::generate(&mut self.rng).expect("randomness");
        let agreed = *ours.diffie_hellman(&self.theirs).expect("an honest key").expose();
        let mix = match self.stage.clone() {
            Stage::Ready(shared, transcript) => {
                self.enter();
                Some((shared, transcript))
            }
            _ => None,
        };
        let [root, chain, next] = step(&self.root, &agreed, self.epoch, mix);
        self.root = root;
        let pn = self.sent.last().map_or(0, |line| line.next);
        self.sent.push(Line {
            header_key: core::mem::replace(&mut self.next_sending, next),
            ratchet_key: *ours.public().as_bytes(),
            pn,
            epoch: self.epoch,
            chain,
            next: 0,
        });
        self.ours = Some(ours.into());
    }

    fn enter(&mut self) {
        self.epoch += 1;
        // The next epoch is made by A if it is odd.
        self.stage = if self.epoch.is_multiple_of(2) {
            let key = DecapsulationKey::generate(&mut self.rng).expect("randomness");
            Stage::SendEk(key, true)
        } else {
            Stage::RecvEk
        };
    }

    /// The object that an honest peer would send.
    pub(super) fn object(&self) -> (u8, Vec<u8>) {
        match &self.stage {
            Stage::SendEk(key, true) => (1, key.encapsulation_key().as_bytes().to_vec()),
            Stage::SendCt(object, ..) => (2, object.clone()),
            _ => (0, Vec::new()),
        }
    }

    /// The header of message `n` of one of our chains.
    pub(super) fn header(&mut self, line: usize, n: u32) -> Header {
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        let line = &self.sent[line];
        Header { ratchet_key: line.ratchet_key, n, pn: line.pn, epoch: line.epoch, nonce }
    }

    /// An envelope of one of our chains: its header key, and the leaf `n`, whatever the header says.
    pub(super) fn envelope(&self, line: usize, n: u32, header: &Header, text: &[u8]) -> Vec<u8> {
        let line = &self.sent[line];
        let (version, init): (u8, &[u8]) = if self.init_rides { (2, &self.init) } else { (1, &[]) };
        let key = mac(&leaf(&line.chain, n), label::BODY_KEY, &[]);
        let mut body = text.to_vec();
        let header_bytes = header.encode();
        let bound = self.associated(version, &header_bytes);
        let tag = seal(&key, &header.nonce, &bound, &mut body);
        let mut sealed = header_bytes.to_vec();
        let header_tag =
            seal(&line.header_key, &tag[..12].try_into().expect("12"), &[], &mut sealed);
        [&[version], init, &sealed, &header_tag, &body, &tag].concat()
    }

    /// `envelope` with its body under another header of the same chain.
    pub(super) fn envelope_with(&self, line: usize, header: &Header, envelope: &[u8]) -> Vec<u8> {
        let front = if self.init_rides { 1 + self.init.len() } else { 1 };
        let nonce = envelope[envelope.len() - 16..][..12].try_into().expect("12");
        let mut sealed = header.encode();
        let tag = seal(&self.sent[line].header_key, &nonce, &[], &mut sealed);
        [&envelope[..front], &sealed, &tag, &envelope[front + 72..]].concat()
    }

    /// How many bytes a text has in an envelope of `length`.
    pub(super) fn room(&self, length: usize) -> usize {
        (length - 89).saturating_sub(if self.init_rides { self.init.len() } else { 0 })
    }

    fn associated(&self, version: u8, header: &[u8]) -> Vec<u8> {
        let init = hash::sha256(label::INIT_BLOCK, &[&self.init]);
        let init: &[u8] = if version == 2 { &init } else { &[] };
        [&[version], &self.session[..], init, header].concat()
    }

    /// Opens what the session under test sealed, which must be as SPEC says: its chain, header and body.
    pub(super) fn open(&mut self, envelope: &[u8]) -> (usize, Header, Text) {
        assert_eq!(envelope[0], 1, "B never sends an init block");
        let (sealed, body) = envelope[1..].split_at(72);
        let (body, tag) = body.split_at(body.len() - 16);
        let nonce = tag[..12].try_into().expect("12");
        let try_key = |key: &Key| open(key, &nonce, &[], &sealed[..56], &sealed[56..]);
        let known = self.heard.iter().rposition(|line| try_key(&line.header_key).is_some());
        let header = match known {
            Some(at) => try_key(&self.heard[at].header_key),
            None => try_key(&self.next_receiving),
        };
        let header = Header::decode(&header.expect("a header under a known key"));
        if known.is_none() {
            self.their_step(&header);
        }
        let at = known.unwrap_or(self.heard.len() - 1);
        let line = &mut self.heard[at];
        let said = (header.ratchet_key, header.pn, header.epoch);
        assert_eq!(said, (line.ratchet_key, line.pn, line.epoch), "one chain says two things");
        line.next = line.next.max(header.n + 1);
        let key = mac(&leaf(&line.chain, header.n), label::BODY_KEY, &[]);
        let bound = self.associated(1, &header.encode());
        let text = open(&key, &header.nonce, &bound, body, tag).expect("B's body");
        self.init_rides = false;
        (at, header, Text::decode(&text))
    }

    fn their_step(&mut self, header: &Header) {
        let mix = match &self.stage {
            Stage::SendCt(_, shared, transcript) if header.epoch == self.epoch + 1 => {
                let mix = (*shared, *transcript);
                self.enter();
                Some(mix)
            }
            _ => None,
        };
        assert_eq!(header.epoch, self.epoch, "B's epoch");
        let ours = self.ours.take().expect("B answers one of our chains once");
        self.theirs = dh::PublicKey::parse(&header.ratchet_key).expect("B's key");
        let agreed = *ours.diffie_hellman(&self.theirs).expect("B's key").expose();
        let [root, chain, next] = step(&self.root, &agreed, header.epoch, mix);
        self.root = root;
        self.heard.push(Line {
            header_key: core::mem::replace(&mut self.next_receiving, next),
            ratchet_key: header.ratchet_key,
            pn: header.pn,
            epoch: header.epoch,
            chain,
            next: 0,
        });
        self.owes_step = true;
    }

    /// Does with B's object what an honest A does.
    pub(super) fn take(&mut self, header: &Header, object: &(u8, Vec<u8>)) {
        if header.epoch != self.epoch {
            return;
        }
        match (&self.stage, object.0) {
            (Stage::SendEk(key, _), 2) => {
                let (ciphertext, confirmation) = object.1.split_at(Ciphertext::LENGTH);
                let ciphertext = Ciphertext::from_bytes(ciphertext.try_into().expect("1088"));
                let shared = *key.decapsulate(&ciphertext).expose();
                let public = key.encapsulation_key();
                let (expected, transcript) = confirm(self.epoch + 1, public, &ciphertext, &shared);
                assert_eq!(confirmation, expected, "B's confirmation");
                self.stage = Stage::Ready(shared, transcript);
            }
            (Stage::RecvEk, 1) => {
                let key = object.1.as_slice().try_into().expect("1184");
                self.encapsulate(&EncapsulationKey::parse(key).expect("B's key"));
            }
            _ => {}
        }
    }

    fn encapsulate(&mut self, key: &EncapsulationKey) {
        let (ciphertext, shared) = key.encapsulate(&mut self.rng).expect("randomness");
        let (confirmation, transcript) = confirm(self.epoch + 1, key, &ciphertext, shared.expose());
        let object = [&ciphertext.as_bytes()[..], &confirmation].concat();
        self.stage = Stage::SendCt(object, *shared.expose(), transcript);
    }
}
