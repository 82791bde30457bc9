//! Root steps. SPEC §5.4.

use chopmark_core::{
    dh::{PublicKey, SecretKey},
    hash,
    hazmat::root,
    label,
    secret::Secret,
};

use super::{Outcome, Outputs, Vector, drawn};

pub(super) fn cases() -> Vec<Vector> {
    let case = |name: &str, comment: &str, epoch: u32| {
        let theirs = SecretKey::from_secret(Secret::new(drawn("root: the peer's ratchet key")));
        Vector::new(name, comment, "ok")
            .with_bytes("RK", &drawn::<32>("root: RK"))
            .with_bytes("ratchet private key", &drawn::<32>(&format!("root: {name}")))
            .with_bytes("ratchet key of the peer", theirs.public().as_bytes())
            .with("e", epoch)
    };
    let mixed = |name: &str, comment: &str, epoch: u32| {
        case(name, comment, epoch)
            .with_bytes("ss", &drawn::<32>(&format!("root: ss of {name}")))
            .with_bytes("ek", &drawn::<1184>("root: ek"))
            .with_bytes("ct", &drawn::<1088>(&format!("root: ct of {name}")))
    };
    vec![
        case("plain-at-epoch-0", "The first steps of a session: no KEM epoch yet.", 0),
        case("plain-at-epoch-1", "A plain step in epoch 1: the epoch is derived from.", 1),
        case("plain-at-epoch-258", "A plain step in epoch 258: big-endian.", 258),
        mixed("mixed-to-epoch-1", "The step that mixes epoch 1. ek and ct are any bytes here.", 1),
        mixed("mixed-to-epoch-2", "The step that mixes epoch 2.", 2),
        mixed("mixed-to-epoch-65536", "The step that mixes epoch 65536.", 65536),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let ours = SecretKey::from_secret(Secret::new(vector.array("ratchet private key")));
    let theirs = PublicKey::parse(&vector.array("ratchet key of the peer"));
    let theirs = theirs.map_err(|_| "invalid key")?;
    let agreed = ours.diffie_hellman(&theirs).map_err(|_| "invalid key")?;
    let mix = vector.find("ss").map(|_| {
        let (ek, ct) = (vector.bytes("ek"), vector.bytes("ct"));
        (vector.array("ss"), hash::sha256(label::KEM_TRANSCRIPT, &[&ek, &ct]))
    });
    let mix = mix.as_ref().map(|(shared, transcript)| (shared, transcript));
    let step = root::step(&vector.array("RK"), agreed.expose(), vector.number("e"), mix);
    Ok(Outputs::new()
        .with_bytes("ratchet key", ours.public().as_bytes())
        .with_bytes("agreed", agreed.expose())
        .with_bytes("RK'", &step.root)
        .with_bytes("CK", &step.chain)
        .with_bytes("NHK", &step.next_header))
}
