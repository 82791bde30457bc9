//! One party's half of the machine of KEM epochs, step by step. SPEC §5.7.

use std::slice::from_ref;

use chopmark_core::{
    hazmat::kem_epoch::{KemEpoch, Object, Refused, confirmed},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    time::Timestamp,
};

use super::{Outcome, Outputs, Vector, altered, drawn, draws::Draws};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What a `seal` may draw.
const SEED: &str = "ML-KEM seed";
const MESSAGE: &str = "m";

fn device() -> DecapsulationKey {
    DecapsulationKey::from_seed(&drawn("machine: A's device"))
}

/// A key, or a ciphertext with its confirmation, as it lies in a body.
fn key(what: &str) -> Vec<u8> {
    let key = DecapsulationKey::from_seed(&drawn(what));
    [&[1][..], key.encapsulation_key().as_bytes()].concat()
}

fn ciphertext(epoch: u32, to: &DecapsulationKey) -> Vec<u8> {
    let mut draws = Draws::of(&[&drawn::<32>("machine: m")]);
    let (ct, ss) = to.encapsulation_key().encapsulate(&mut draws).expect("a draw");
    let confirmation = confirmed(epoch, to.encapsulation_key(), &ct, ss.expose()).confirmation;
    [&[2][..], ct.as_bytes(), &confirmation].concat()
}

pub(super) fn cases() -> Vec<Vector> {
    let case = |name: &str, comment: &str, we: &str, objects: &[Vec<u8>], steps: &str| {
        let mut case = Vector::new(format!("machine-{name}"), comment, "ok")
            .with("operation", "machine")
            .with("we", we)
            .with_bytes(SEED, device().expose_seed());
        for (number, object) in (1..).zip(objects) {
            case = case.with_bytes(&format!("object {number}"), object);
        }
        for (number, step) in (1..).zip(steps.split(", ")) {
            let (step, draw) = step.split_once(" with ").unwrap_or((step, ""));
            case = case.with(&format!("{number:02} do"), step);
            let what = format!("machine {name}: {number}");
            case = match draw {
                "seed" => case.with_bytes(&format!("{number:02} {SEED}"), &drawn::<64>(&what)),
                "m" => case.with_bytes(&format!("{number:02} {MESSAGE}"), &drawn::<32>(&what)),
                _ => case,
            };
        }
        case
    };
    let seals = ["seal"; 6].join(", ");
    let ct1 = ciphertext(1, &device());
    let wrong = altered(&ct1, 1 + 1088);
    let mauled = altered(&ct1, 1);
    let second = DecapsulationKey::from_seed(&drawn("machine second-epoch-of-b: 13"));
    let (ek2, ct2) = (key("machine: B's second"), ciphertext(2, &second));
    let mut bad_key = ek2.clone();
    bad_key[1..3].copy_from_slice(&[0xff, 0xff]);
    let b_confirmed = "introduce, seal with m, carry, open, peer 1";
    let a_confirmed = "seal, open 1 in 0, step";
    vec![
        case(
            "first-epoch-of-b",
            "B encapsulates to A's device key and waits for the chain.",
            "B",
            &[],
            b_confirmed,
        ),
        case(
            "ciphertext-again",
            "A new chain of B carries the ciphertext again.",
            "B",
            &[],
            "introduce, seal with m, carry, seal, step, seal, carry, seal, peer 1, seal",
        ),
        case(
            "secret-until-activation",
            "A chain of epoch 0 does not end it; one of 2 cannot be.",
            "B",
            &[],
            "introduce, seal with m, carry, peer 0, step, peer 2, peer 0, peer 1",
        ),
        case(
            "key-in-message",
            "A key for epoch 1 in a message is dropped.",
            "B",
            &[key("machine: a key")],
            "open 1 in 0, introduce, open 1 in 0, seal with m",
        ),
        case(
            "first-epoch-of-a",
            "A takes the ciphertext and mixes it in its own step.",
            "A",
            from_ref(&ct1),
            a_confirmed,
        ),
        case(
            "wrong-confirmation",
            "A wrong one is dropped, and the right one still taken.",
            "A",
            &[wrong, mauled, ct1.clone()],
            "seal, open 1 in 0, open 2 in 0, open 3 in 0, step",
        ),
        case(
            "ready-keeps",
            "A second ciphertext changes nothing.",
            "A",
            &[ct1.clone(), ciphertext(2, &device())],
            "open 1 in 0, open 2 in 0, open 1 in 0, step",
        ),
        case(
            "late-ciphertext",
            "One that rides in a chain of epoch 0 after epoch 1 was mixed.",
            "A",
            from_ref(&ct1),
            "open 1 in 0, step, open 1 in 0, open 1 in 1",
        ),
        case(
            "peer-cannot-mix-a",
            "B does not mix epoch 1.",
            "A",
            from_ref(&ct1),
            "peer 1, open 1 in 0, peer 1, peer 0, step, peer 0, peer 1",
        ),
        case(
            "a-takes-key",
            "A takes B's key for epoch 2 and encapsulates.",
            "A",
            &[ct1.clone(), ek2.clone()],
            "seal, open 1 in 0, step, open 2 in 0, open 2 in 1, open 2 in 1, seal with m, carry, \
             open 2 in 1, seal, peer 2",
        ),
        case(
            "key-above-the-modulus",
            "A key above the modulus is dropped.",
            "A",
            &[ct1.clone(), bad_key, ek2],
            "open 1 in 0, step, open 2 in 1, open 3 in 1",
        ),
        case(
            "second-epoch-of-b",
            "B makes a key with the 8th message and mixes in its step.",
            "B",
            from_ref(&ct2),
            &format!(
                "{b_confirmed}, open, {seals}, seal with seed, carry, seal, step, seal, carry, \
                open 1 in 0, open 1 in 1, step"
            ),
        ),
        case(
            "pace",
            "Messages opened count too, and the key is made when one is sealed.",
            "B",
            &[],
            &format!(
                "{b_confirmed}, open, open, open, open, open, open, open, open, open, \
                seal with seed, seal"
            ),
        ),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let seed = vector.array(SEED);
    let mut machine = match vector.text("we") {
        "A" => KemEpoch::initiator(&seed, NOW),
        _ => KemEpoch::responder(NOW),
    };
    let device = DecapsulationKey::from_seed(&seed);
    let objects: Vec<Object> =
        vector.numbered("object").iter().map(|bytes| object(bytes)).collect();
    let mut outputs = Outputs::new();
    for number in 1..100 {
        let key = |key: &str| format!("{number:02} {key}");
        let Some(step) = vector.find(&key("do")) else { break };
        let draws = [SEED, MESSAGE].map(key);
        let draws = draws.iter().filter(|draw| vector.find(draw).is_some());
        let draws: Vec<Vec<u8>> = draws.map(|draw| vector.bytes(draw)).collect();
        let mut draws = Draws::of(&draws.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>());
        let refused = run(&mut machine, step, &objects, device.encapsulation_key(), &mut draws);
        assert!(draws.is_spent(), "{}: a draw of step {number} is left", vector.name);
        outputs = match refused {
            Ok(()) => outputs,
            Err(Refused::Object) => outputs.with(&key("refused"), "object"),
            Err(Refused::Epoch) => outputs.with(&key("refused"), "epoch"),
        };
        let pending = match machine.pending() {
            None => 0,
            Some(Object::EncapsulationKey(_)) => 1,
            Some(Object::Ciphertext(..)) => 2,
        };
        outputs = outputs
            .with(&key("stage"), machine.stage())
            .with(&key("epoch"), machine.epoch())
            .with(&key("pending"), pending);
    }
    Ok(outputs)
}

fn object(bytes: &[u8]) -> Object {
    match bytes {
        [1, key @ ..] => Object::EncapsulationKey(key.to_vec()),
        [2, rest @ ..] => {
            let (ciphertext, confirmation) = rest.split_at(Ciphertext::LENGTH);
            Object::Ciphertext(ciphertext.to_vec(), confirmation.try_into().expect("32 bytes"))
        }
        _ => panic!("no object"),
    }
}

fn run(
    machine: &mut KemEpoch,
    step: &str,
    objects: &[Object],
    device: &EncapsulationKey,
    draws: &mut Draws,
) -> Result<(), Refused> {
    let words: Vec<&str> = step.split(' ').collect();
    let number = |word: &str| word.parse::<u32>().expect("a number");
    match words.as_slice() {
        ["introduce"] => machine.introduce(device.clone()),
        ["seal"] => machine.sending(draws).expect("a draw"),
        ["carry"] => machine.carry(),
        ["open"] => return machine.opened(None, machine.epoch()),
        ["open", object, "in", epoch] => {
            let at = number(object) as usize - 1;
            return machine.opened(Some(&objects[at]), number(epoch));
        }
        ["step"] => machine.stepped(NOW),
        ["peer", epoch] => return machine.peer_stepped(number(epoch), NOW).map(drop),
        _ => panic!("step {step}"),
    }
    Ok(())
}
