//! Two handshakes that cross: on which session each side sends. SPEC §5.8.

use chopmark_core::{
    hazmat::handshake,
    session::{Session, SessionId},
    sessions::Sessions,
    time::Timestamp,
};

use super::{
    Outcome, Outputs, Vector,
    device::{Device, Prekeys, signed_secret, with_device},
    drawn,
    draws::Draws,
    sealing, sha256,
};

const NOW: u64 = 1_800_000_000_000;
const NAMES: [&str; 2] = ["A", "B"];

pub(super) fn cases() -> Vec<Vector> {
    let case = |name: &str, comment: &str, lower: &str, steps: &str| {
        // Which session has the lower id is a matter of luck: look until it is the one asked for.
        let mut tries = 0_u32..;
        let case = tries.find_map(|number| {
            let case = crossing(Vector::new(name, comment, "ok"), &format!("{name} {number}"));
            let [a, b] = NAMES.map(|name| Side::of(&case, name));
            let ids = [a.begin(&b), b.begin(&a)].map(|session| session.id());
            ((ids[0] < ids[1]) == (lower == "A")).then_some(case)
        });
        case.expect("one of both orders").with("steps", steps)
    };
    let both = "A begins, B begins, A opens, B opens";
    vec![
        case(
            "a-is-lower",
            "Both begin; A's session has the lower id, and each sends on its own.",
            "A",
            both,
        ),
        case(
            "b-is-lower",
            "Both begin; B's session has the lower id, and each sends on its own.",
            "B",
            both,
        ),
        case(
            "b-opens-first",
            "The same in another order.",
            "A",
            "B begins, A begins, B opens, A opens",
        ),
        case("no-crossing", "Only A begins.", "A", "A begins, B opens"),
        case(
            "answered-then-begun",
            "B answers, and begins another all the same.",
            "B",
            "A begins, B opens, B begins, A opens",
        ),
    ]
}

fn crossing(case: Vector, what: &str) -> Vector {
    let case = with_device(with_device(case, "A", 3), "B", 4).with("now", NOW);
    NAMES.iter().fold(case, |case, name| {
        let drawn = |value: &str| drawn::<32>(&format!("sessions {what}: {value} of {name}"));
        case.with_bytes(
            &format!("SPK{} secrets", name.to_lowercase()),
            &signed_secret(name, 7, NOW),
        )
        .with_bytes(&format!("{name} EK private key"), &drawn("EK"))
        .with_bytes(&format!("{name} m of ct1"), &drawn("m1"))
        .with_bytes(&format!("{name} m of ct2"), &drawn("m2"))
        .with_bytes(&format!("{name} ratchet private key"), &drawn("ratchet key"))
        .with_bytes(&format!("{name} hedge"), &drawn("hedge"))
    })
}

/// One device, what it draws and what it holds.
struct Side {
    device: Device,
    prekeys: Prekeys,
    to_begin: Vec<u8>,
    to_seal: Vec<u8>,
    sessions: Sessions,
}

impl Side {
    fn of(vector: &Vector, name: &str) -> Self {
        let bytes = |key: &str| vector.bytes(&format!("{name} {key}"));
        let prekey = vector.bytes(&format!("SPK{} secrets", name.to_lowercase()));
        Self {
            device: Device::of(vector, name),
            prekeys: Prekeys::signed(&prekey),
            to_begin: ["EK private key", "m of ct1", "m of ct2"].map(bytes).concat(),
            to_seal: ["ratchet private key", "hedge"].map(bytes).concat(),
            sessions: Sessions::new(),
        }
    }

    fn begin(&self, peer: &Self) -> Session {
        let entry = peer.device.entry();
        let to = peer.device.responder(&entry, &peer.prekeys);
        let mut draws = Draws::of(&[&self.to_begin]);
        let begun = handshake::begin(&self.device.own(), &to, Timestamp(NOW), &mut draws);
        begun.expect("good keys")
    }

    /// Begins and seals a first message.
    fn write(&mut self, peer: &Self, now: Timestamp) -> (SessionId, Vec<u8>) {
        let mut session = self.begin(peer);
        let mut draws = Draws::of(&[&self.to_seal]);
        let (envelope, _) =
            sealing::seal(&mut session, b"hello", now, &mut draws).expect("a session that sends");
        let id = session.id();
        self.sessions.insert(session);
        (id, envelope)
    }

    /// Answers, and learns who it is.
    fn answer(&mut self, peer: &Self, envelope: &[u8], now: Timestamp) {
        let (own, signed) = (self.device.own(), &self.prekeys.signed);
        let (session, _) =
            sealing::answer(&own, signed, None, envelope, now).expect("a first message for us");
        self.sessions.insert(session);
        let introduced = self.sessions.introduce(&peer.device.account, &peer.device.entry());
        introduced.expect("the entry that the handshake bound");
    }
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let [mut a, mut b] = NAMES.map(|name| Side::of(vector, name));
    let now = Timestamp(vector.number("now"));
    let mut begun: [Option<(SessionId, Vec<u8>)>; 2] = [None, None];
    let mut outputs = Outputs::new();
    for (number, step) in (1..).zip(vector.text("steps").split(", ")) {
        let (name, verb) = step.split_once(' ').expect("who does what");
        let key = |key: &str| format!("{number} {key}");
        let (at, us, peer) = if name == "A" { (0, &mut a, &b) } else { (1, &mut b, &a) };
        if verb == "begins" {
            let (id, envelope) = us.write(peer, now);
            outputs = outputs
                .with_bytes(&key("session id"), id.as_bytes())
                .with_bytes(&key("sha256 of the envelope"), &sha256(&envelope));
            begun[at] = Some((id, envelope));
        } else {
            let (_, envelope) = begun[1 - at].as_ref().expect("the peer began");
            us.answer(peer, envelope, now);
        }
        let sends = us.sessions.sending().map(Session::id);
        let of = NAMES
            .iter()
            .zip(&begun)
            .find(|(_, begun)| begun.as_ref().is_some_and(|(id, _)| Some(*id) == sends));
        let of = of.map_or("none", |(name, _)| *name);
        outputs = outputs.with(&key("sends on the session of"), of);
    }
    Ok(outputs)
}
