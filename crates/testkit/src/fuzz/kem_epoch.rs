//! The KEM machine of a session, driven by a peer with the right keys and the worst intentions.

use chopmark_core::kem::{Ciphertext, DecapsulationKey, EncapsulationKey};
use rand_core::Rng as _;

use super::{
    definition::confirm,
    machine::{Came, Stage::Encapsulate},
    peer::Stage,
    scene::{self, Scene},
    script::Script,
};

const OPERATIONS: usize = 120;

/// Objects of every kind, honest, late, mauled and never asked for: B does what SPEC §5.7 says, message by message, and
/// heals as soon as the peer is honest.
pub fn kem_epoch(data: &[u8]) {
    let mut script = Script::new(data);
    let mut scene = Scene::new(script.u8());
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        match operation % 16 {
            0 | 1 => {
                let object = scene.peer.object();
                let came = scene::came(&object);
                scene.say(0, usize::from(script.u8()), object, came);
            }
            2 => scene.say(0, 10, (0, Vec::new()), Came::Nothing),
            3 => scene.say(u32::from(script.u8() % 4), 10, (0, Vec::new()), Came::Nothing),
            4 | 5 => scene.reply(lengths(script.u8()), false),
            6 => scene.reply(lengths(script.u8()), true),
            7 | 8 => scene.read(usize::from(script.u8())),
            9 => {
                // The reply is lost.
                let waiting = scene.replies.len().max(1);
                let at = usize::from(script.u8()) % waiting;
                if at < scene.replies.len() {
                    scene.replies.remove(at);
                }
            }
            10 => scene.introduce(),
            11 | 12 => {
                let (object, came, key) = hostile(&mut scene, &mut script);
                let before = scene.machine.stage;
                scene.say(0, 10, object, came);
                let taken = before != scene.machine.stage && scene.machine.stage == Encapsulate;
                if let Some(key) = key.filter(|_| taken) {
                    scene.peer.stage = Stage::SendEk(key, true);
                }
            }
            13 => scene.wait(script.u8()),
            14 => scene.bob.restart(),
            _ => scene.exchange(),
        }
    }
    // Whatever was sent before, an honest peer is healed with.
    let before = scene.bob.epoch();
    let healed = (0..24).any(|_| {
        scene.exchange();
        scene.bob.epoch() > before
    });
    assert!(healed && scene.bob.is_confirmed(), "no epoch in 24 rounds: {:?}", scene.machine);
}

/// Lengths that leave room for an object, and others.
fn lengths(byte: u8) -> usize {
    match byte {
        0..=99 => usize::from(byte),
        100..=199 => 700 + 13 * usize::from(byte - 100),
        _ => 250 * usize::from(byte),
    }
}

/// An object that no honest peer sends now.
fn hostile(
    scene: &mut Scene,
    script: &mut Script<'_>,
) -> ((u8, Vec<u8>), Came, Option<DecapsulationKey>) {
    let rng = &mut scene.peer.rng;
    let (object, came) = match script.u8() % 7 {
        // A key that nobody asked for; it is taken where one is awaited, so it becomes the peer's own.
        0 => {
            let key = DecapsulationKey::generate(rng).expect("randomness");
            let bytes = key.encapsulation_key().as_bytes().to_vec();
            return ((1, bytes), Came::Key { valid: true }, Some(key));
        }
        // A key with coefficients at or above the modulus, in a place of choice.
        1 => {
            let key = DecapsulationKey::generate(rng).expect("randomness");
            let mut bytes = key.encapsulation_key().as_bytes().to_vec();
            let at = script.below(384) * 3;
            bytes[at] = 0x01 + script.u8() % 0x80;
            bytes[at + 1] |= 0x0d;
            bytes[at + 1] |= 0x0f & script.u8();
            let valid = EncapsulationKey::parse(bytes.as_slice().try_into().expect("1184")).is_ok();
            assert!(valid == below_modulus(&bytes), "the modulus check of FIPS 203");
            ((1, bytes), Came::Key { valid })
        }
        // Noise as a ciphertext.
        2 => {
            let mut bytes = vec![0; Ciphertext::LENGTH + 32];
            rng.fill_bytes(&mut bytes);
            ((2, bytes), Came::Ciphertext { right: false })
        }
        // The right ciphertext with one bit of it or of its confirmation wrong.
        3 | 4 => match &scene.peer.stage {
            Stage::SendCt(object, ..) => {
                let mut bytes = object.clone();
                let at = script.below(bytes.len());
                bytes[at] ^= script.change();
                ((2, bytes), Came::Ciphertext { right: false })
            }
            _ => ((2, vec![0; Ciphertext::LENGTH + 32]), Came::Ciphertext { right: false }),
        },
        // A right encapsulation to another key, with the confirmation that belongs to it.
        5 => {
            let key = DecapsulationKey::generate(rng).expect("randomness");
            let key = key.encapsulation_key();
            let (ciphertext, shared) = key.encapsulate(rng).expect("randomness");
            let (confirmation, _) =
                confirm(scene.peer.epoch + 1, key, &ciphertext, shared.expose());
            let bytes = [&ciphertext.as_bytes()[..], &confirmation].concat();
            ((2, bytes), Came::Ciphertext { right: false })
        }
        // The right ciphertext, confirmed for another epoch or with another secret.
        _ => match &scene.peer.stage {
            Stage::SendCt(object, shared, _) => {
                let ciphertext = Ciphertext::from_bytes(object[..1088].try_into().expect("1088"));
                let key = DecapsulationKey::generate(rng).expect("randomness");
                let epoch = scene.peer.epoch + u32::from(script.u8());
                let (wrong, _) = confirm(epoch, key.encapsulation_key(), &ciphertext, shared);
                let bytes = [&ciphertext.as_bytes()[..], &wrong].concat();
                ((2, bytes), Came::Ciphertext { right: false })
            }
            _ => ((0, Vec::new()), Came::Nothing),
        },
    };
    (object, came, None)
}

/// FIPS 203, section 7.2: twelve bits a coefficient, each below 3329.
fn below_modulus(key: &[u8]) -> bool {
    key[..1152].chunks(3).all(|three| {
        let [a, b, c] = [three[0], three[1], three[2]].map(u16::from);
        a | (b & 0x0f) << 8 < 3329 && b >> 4 | c << 4 < 3329
    })
}
