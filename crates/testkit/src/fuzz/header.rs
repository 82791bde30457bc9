//! Headers by a peer that has the keys: every field, in every place where it can stand.

use chopmark_core::session::{BUCKETS, OpenError};

use super::{
    machine::Came,
    message::{Header, Text},
    scene::{self, Scene},
    script::Script,
};

const OPERATIONS: usize = 96;

/// Keys of low order, at or above p, or with the high bit set (SPEC §1.2).
const BAD_KEYS: [[u8; 32]; 6] = {
    let mut bad = [[0; 32]; 6];
    bad[1][0] = 1;
    bad[2] = [0xff; 32];
    bad[2][0] = 0xec;
    bad[2][31] = 0x7f;
    bad[3] = [0xff; 32];
    bad[3][0] = 0xed;
    bad[3][31] = 0x7f;
    bad[4] = [0xff; 32];
    bad[5][0] = 9;
    bad[5][31] = 0x80;
    bad
};

/// Jumps, late messages, wrong indices, lengths, epochs and keys: B opens what is honest, refuses the rest for the right
/// reason, and is as it was.
pub fn header(data: &[u8]) {
    let mut script = Script::new(data);
    let mut scene = Scene::new(script.u8());
    scene.introduce();
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        match operation % 16 {
            0 => {
                let object = scene.peer.object();
                let came = scene::came(&object);
                scene.say(0, usize::from(script.u8()), object, came);
            }
            1 => scene.say(u32::from(script.u8() % 8), 10, (0, Vec::new()), Came::Nothing),
            2 => {
                let skipped = 1_u32 << (script.u8() % 32);
                scene.say(
                    skipped.saturating_add(u32::from(script.u8())),
                    1,
                    (0, vec![]),
                    Came::Nothing,
                );
            }
            3 => late(&mut scene, &mut script),
            4 => scene.reply(usize::from(script.u8()) * 9, false),
            5 => scene.read(usize::from(script.u8())),
            6 => scene.wait(script.u8()),
            7 => scene.bob.restart(),
            8 => scene.exchange(),
            9 => wrong_header(&mut scene, &mut script),
            10 => wrong_start(&mut scene, &mut script),
            11 => wrong_place(&mut scene, &mut script),
            12 => wrong_body(&mut scene, &mut script),
            13 => again(&mut scene, &mut script),
            14 => acknowledge(&mut scene, &mut script),
            _ => odd_length(&mut scene, &mut script),
        }
    }
    for _ in 0..3 {
        scene.exchange();
    }
}

/// A message that was skipped comes after all.
fn late(scene: &mut Scene, script: &mut Script<'_>) {
    let line = script.below(scene.opened.len());
    let n = script.index(scene.opened[line].last().copied().unwrap_or(0));
    if n >= scene.peer.sent[line].next || scene.opened[line].contains(&n) {
        return;
    }
    let text = scene.text(3, (0, Vec::new()));
    scene.hear(line, n, None, &text, Came::Nothing);
}

/// One field of a header in a chain that B knows.
fn wrong_header(scene: &mut Scene, script: &mut Script<'_>) {
    let line = scene.opened.len() - 1;
    let n = scene.peer.sent[line].next;
    let honest = scene.peer.header(line, n);
    let text = scene.text(3, (0, Vec::new()));
    let mut header = honest;
    let kind = script.u8() % 5;
    let reasons: &[OpenError] = match kind {
        0 => {
            header.ratchet_key[script.below(32)] ^= script.change();
            &[OpenError::PeerForked]
        }
        1 => {
            header.epoch = header.epoch.wrapping_add(u32::from(script.change()));
            &[OpenError::PeerMisbehaved]
        }
        2 => {
            header.n = u32::MAX;
            &[OpenError::PeerMisbehaved]
        }
        3 => {
            // The body is another leaf's.
            header.n = n.wrapping_add(u32::from(script.change()));
            &[OpenError::Forged, OpenError::PeerMisbehaved]
        }
        _ => {
            // The nonce of the body is not the one that it was sealed with.
            let envelope = scene.peer.envelope(line, n, &header, &text);
            let mut other = header;
            other.nonce[script.below(12)] ^= script.change();
            let stolen = scene.peer.envelope_with(line, &other, &envelope);
            scene.refuse(&stolen, &[OpenError::Forged]);
            return;
        }
    };
    let envelope = scene.peer.envelope(line, n, &header, &text);
    scene.refuse(&envelope, reasons);
}

/// One field of the header that begins a chain.
fn wrong_start(scene: &mut Scene, script: &mut Script<'_>) {
    if !scene.peer.owes_step {
        return;
    }
    let before = scene.peer.clone();
    scene.peer.step();
    let line = scene.peer.sent.len() - 1;
    let mut header = scene.peer.header(line, 0);
    let text = scene.text(3, (0, Vec::new()));
    let reasons: &[OpenError] = match script.u8() % 4 {
        0 => {
            // Shorter than what was opened of it.
            let opened = scene.opened[line - 1].last().map_or(0, |highest| highest + 1);
            header.pn = opened.saturating_sub(1 + u32::from(script.u8() % 4));
            if opened == 0 {
                return;
            }
            &[OpenError::PeerMisbehaved]
        }
        1 => {
            // One more is a mixed step if B sent a ciphertext, which the peer then did not make.
            header.epoch = match script.u8() % 4 {
                0 => header.epoch.wrapping_add(1),
                1 => header.epoch.wrapping_sub(1),
                2 => u32::MAX,
                _ => script.u32(),
            };
            if header.epoch == scene.peer.sent[line].epoch {
                return;
            }
            &[OpenError::PeerMisbehaved, OpenError::Forged]
        }
        2 => {
            header.ratchet_key = script.one_of(&BAD_KEYS);
            &[OpenError::NonContributory]
        }
        _ => {
            // A good key, and not the one of the step.
            header.ratchet_key = scene.peer.sent[0].ratchet_key;
            if line == 0 {
                return;
            }
            &[OpenError::Forged]
        }
    };
    let envelope = scene.peer.envelope(line, 0, &header, &text);
    scene.refuse(&envelope, reasons);
    scene.peer = before;
}

/// A message behind the end of a chain that ended, or at an index that is never used.
fn wrong_place(scene: &mut Scene, script: &mut Script<'_>) {
    let line = script.below(scene.opened.len());
    let ended = line + 1 < scene.opened.len();
    let n = if ended { script.index(scene.peer.sent[line].next) } else { u32::MAX };
    let text = scene.text(3, (0, Vec::new()));
    let header = scene.peer.header(line, n);
    let position = chopmark_core::session::Position { chain: line as u64, n };
    if n < scene.peer.sent[line].next && !scene.opened[line].contains(&n) {
        return;
    }
    let envelope = scene.peer.envelope(line, n, &header, &text);
    let opened = scene.opened[line].contains(&n);
    let given_up = scene.bob.gave_up(position);
    // A chain with nothing missing is forgotten, and its header key with it.
    let reasons: &[OpenError] = match (opened, given_up) {
        (true, true) => &[
            OpenError::GivenUp,
            OpenError::PeerRolledBack,
            OpenError::AlreadyOpened { remembered: false },
            OpenError::NotForThisSession,
        ],
        (true, false) => &[
            OpenError::PeerRolledBack,
            OpenError::AlreadyOpened { remembered: false },
            OpenError::NotForThisSession,
        ],
        (false, _) => {
            &[OpenError::PeerMisbehaved, OpenError::GivenUp, OpenError::NotForThisSession]
        }
    };
    scene.refuse(&envelope, reasons);
}

/// An authentic body that is none.
fn wrong_body(scene: &mut Scene, script: &mut Script<'_>) {
    let line = scene.opened.len() - 1;
    let n = scene.peer.sent[line].next;
    let header = scene.peer.header(line, n);
    let honest = Text { acknowledged: (0, 0), content: vec![7; 9], object: (0, Vec::new()) };
    let length = honest.encode().len();
    let mut text = scene.padded(honest.encode());
    match script.u8() % 5 {
        0 => {
            let at = length + script.below(text.len() - length);
            text[at] = script.change();
        }
        1 => text[15] = 0xff,
        2 => text[12 + script.below(3)] = script.change(),
        3 => text[length - 1] = 3 + script.u8() % 253,
        _ => {
            // An object that begins where there is no room for it.
            let content = text.len() - 17;
            text[12..16].copy_from_slice(&u32::try_from(content).expect("short").to_be_bytes());
            let last = text.len() - 1;
            text[last] = 1 + script.u8() % 2;
        }
    }
    // A longer content in front of zeros is one that could be meant.
    if Text::is_one(&text) {
        return;
    }
    let envelope = scene.peer.envelope(line, n, &header, &text);
    scene.refuse(&envelope, &[OpenError::PeerMisbehaved]);
}

/// Another message at an index that was opened.
fn again(scene: &mut Scene, script: &mut Script<'_>) {
    let line = script.below(scene.opened.len());
    let Some(n) = scene.opened[line].iter().nth(script.below(scene.opened[line].len())).copied()
    else {
        return;
    };
    let header: Header = scene.peer.header(line, n);
    let text = scene.text(usize::from(script.u8()), (0, Vec::new()));
    let envelope = scene.peer.envelope(line, n, &header, &text);
    let current = line + 1 == scene.opened.len();
    let mut reasons =
        vec![OpenError::PeerRolledBack, OpenError::AlreadyOpened { remembered: false }];
    if !current {
        reasons.push(OpenError::NotForThisSession);
    }
    let position = chopmark_core::session::Position { chain: line as u64, n };
    if scene.bob.gave_up(position) {
        reasons.push(OpenError::GivenUp);
    }
    scene.refuse(&envelope, &reasons);
}

/// The peer acknowledges whatever it likes.
fn acknowledge(scene: &mut Scene, script: &mut Script<'_>) {
    scene.peer.step();
    let line = scene.peer.sent.len() - 1;
    let n = scene.peer.sent[line].next;
    if n >= u32::MAX - 1 {
        return;
    }
    scene.peer.sent[line].next = n + 1;
    let (chain, count) = scene.acknowledgement();
    let chain = chain.wrapping_add(u64::from(script.u8() % 4)).wrapping_sub(1);
    let acknowledged = (chain, count.wrapping_add(u32::from(script.u8() % 8)).wrapping_sub(2));
    let text = Text { acknowledged, content: Vec::new(), object: (0, Vec::new()) };
    let text = scene.padded(text.encode());
    scene.hear(line, n, None, &text, Came::Nothing);
}

/// An authentic message of a length that is no bucket.
fn odd_length(scene: &mut Scene, script: &mut Script<'_>) {
    let line = scene.opened.len() - 1;
    let n = scene.peer.sent[line].next;
    let header = scene.peer.header(line, n);
    let mut text = scene.text(3, (0, Vec::new()));
    text.resize(text.len() + usize::from(script.change()), 0);
    let envelope = scene.peer.envelope(line, n, &header, &text);
    assert!(!BUCKETS.contains(&envelope.len()));
    scene.refuse(&envelope, &[OpenError::NotAnEnvelope]);
}
