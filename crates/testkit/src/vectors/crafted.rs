//! First messages that no honest initiator seals, authentic in all else. SPEC §5.4, §5.5, §5.7.

use chopmark_core::{
    dh::SecretKey,
    handshake::InitBlock,
    hazmat::{
        chain::Chain,
        envelope::{Keys, Text},
        handshake,
        header::Header,
        kem_epoch::Object,
        root,
    },
    kem::DecapsulationKey,
    secret::Secret,
    session::Acknowledged,
};

use super::{
    Vector,
    device::{Device, Prekeys},
    drawn,
    draws::Draws,
    transcript::Transcript,
};

/// Bytes of an envelope of version 2 that are not text.
const AROUND: usize = 1 + InitBlock::LENGTH + 72 + 16;

/// What is put into a message.
struct Craft {
    ratchet_key: Option<[u8; 32]>,
    n: u32,
    pn: u32,
    epoch: u32,
    object: Option<Object>,
    last: u8,
}

const HONEST: Craft = Craft { ratchet_key: None, n: 0, pn: 0, epoch: 0, object: None, last: 0 };

pub(super) fn cases() -> Vec<Vector> {
    let key = DecapsulationKey::from_seed(&drawn("crafted: ML-KEM seed"));
    let key = Object::EncapsulationKey(key.encapsulation_key().as_bytes().to_vec());
    let ciphertext = Object::Ciphertext(drawn::<1088>("crafted: ct").to_vec(), drawn("crafted"));
    [
        ("honest", "For comparison: a first message put together by hand.", HONEST),
        ("far-ahead", "The message at index 100,000 comes first.", Craft { n: 100_000, ..HONEST }),
        ("pn-1", "A first chain whose header says a length before.", Craft { pn: 1, ..HONEST }),
        ("epoch-1", "A first chain of epoch 1.", Craft { epoch: 1, ..HONEST }),
        ("last-index", "Index 2^32 - 1.", Craft { n: u32::MAX, ..HONEST }),
        ("key-zero", "The ratchet key is 0.", Craft { ratchet_key: Some([0; 32]), ..HONEST }),
        ("padding", "The last byte of the padding is 1.", Craft { last: 1, ..HONEST }),
        ("key-in-message", "A key for epoch 1 in a message: dropped with an event.", {
            Craft { object: Some(key), ..HONEST }
        }),
        ("ciphertext", "A ciphertext to B, which made no key: late, ignored.", {
            Craft { object: Some(ciphertext), ..HONEST }
        }),
    ]
    .into_iter()
    .map(|(name, comment, craft)| {
        let mut transcript = Transcript::new(&format!("crafted-{name}"), comment);
        let envelope = craft.envelope(&transcript.vector);
        transcript.deliver("B", envelope);
        transcript.vector
    })
    .collect()
}

impl Craft {
    fn envelope(&self, vector: &Vector) -> Vec<u8> {
        let (a, b) = (Device::of(vector, "A"), Device::of(vector, "B"));
        let (entry, prekeys) = (b.entry(), Prekeys::of(vector));
        let draws = ["EK private key", "m of ct1", "m of ct2"].map(|key| vector.bytes(key));
        let mut draws = Draws::of(&draws.each_ref().map(Vec::as_slice));
        let begun = handshake::initiate(&a.own(), &b.responder(&entry, &prekeys), &mut draws);
        let (block, keys) = begun.expect("good keys");

        let ratchet = SecretKey::from_secret(Secret::new(drawn("crafted: ratchet key")));
        let agreed = ratchet.diffie_hellman(prekeys.signed.dh().public()).expect("good keys");
        let step = root::step(&keys.root, agreed.expose(), self.epoch, None);
        // An index that is never used has no leaf: any will do.
        let leaf = Chain::new(&step.chain).look(self.n).unwrap_or([0; 32]);
        let header = Header {
            ratchet_key: self.ratchet_key.unwrap_or(*ratchet.public().as_bytes()),
            n: self.n,
            pn: self.pn,
            epoch: self.epoch,
            nonce: drawn("crafted: body nonce"),
        };
        let text = Text {
            acknowledged: Acknowledged::NOTHING,
            content: b"hello".to_vec(),
            object: self.object.clone(),
        };
        let (mut text, _) = text.encode(4096 - AROUND).expect("it fits");
        *text.last_mut().expect("a text") = self.last;
        let init = block.as_slice().try_into().expect("its length");
        let (session, header_key) = (&keys.session, &keys.header_a);
        let keys = Keys { session, init: Some(init), header: header_key, leaf: &leaf };
        keys.seal(&header, &text).expect("it seals")
    }
}
