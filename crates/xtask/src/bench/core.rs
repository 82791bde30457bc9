//! The core beside vodozemac's Olm: the same texts through both, in memory, without storing on either side.
//!
//! Ours hides headers, pads to 2 kB and mixes ML-KEM; the peer does none of that, and signs no prekeys. Targets are
//! those of the design.

use chopmark_core::{
    identity::SignedManifest,
    prekey::{OneTimePrekeySecret, VerifiedBundle},
    session::Session,
};
use chopmark_testkit::{
    party::{DEVICE, NOW, Party},
    seed::Seed,
};
use vodozemac::olm;

use super::{Contest, Failed, Race, timed};

mod cost;

/// Whom we are measured beside.
pub(super) const PEER: &str = "vodozemac 0.11";

/// Messages a sample: few, so that a sample mostly fits between two interruptions of a busy machine.
const BATCH: u32 = 10;

/// Every row.
pub(super) fn contests() -> Result<Vec<Contest<'static>>, Failed> {
    let races = [
        in_chain("in-chain encrypt+decrypt, 100 B", 100, 0.65)?,
        in_chain("in-chain encrypt+decrypt, 1.9 kB", 1_900, 0.5)?,
        ping_pong()?,
        begin("set-up, initiator, manifest known", false, 2.2)?,
        answer("set-up, responder, manifest known", false, 2.2)?,
        begin("set-up, initiator, first contact", true, 4.0)?,
        answer("set-up, responder, first contact", true, 4.0)?,
        noise()?,
        // The design sets no target: being lied to shall not cost more than it costs the peer.
        forged()?,
    ];
    let bounds = cost::bounds()?;
    Ok(races.into_iter().map(Contest::Race).chain(bounds.into_iter().map(Contest::Bound)).collect())
}

fn party(number: u64) -> Party {
    Party::new(&mut Seed::fixed(number).rng())
}

fn bundle(of: &Party) -> Result<VerifiedBundle, Failed> {
    let one_time = Some(of.one_time_part.as_slice());
    Ok(VerifiedBundle::verify(&of.signed_part, one_time, &of.account, NOW)?)
}

fn respond(
    party: &Party,
    one_time: &OneTimePrekeySecret,
    envelope: &[u8],
) -> Result<Session, Failed> {
    Ok(Session::respond(&party.own(), &party.signed, Some(one_time), envelope, NOW)?.session)
}

fn seal(session: &mut Session, text: &[u8]) -> Result<Vec<u8>, Failed> {
    let sealed = session.seal(text, NOW, &mut rand::rng())?;
    Ok(sealed.commit(|_, _| Ok::<_, Failed>(()))?.envelope.into_bytes())
}

fn open(session: &mut Session, envelope: &[u8]) -> Result<(), Failed> {
    session.open(envelope, NOW)?.commit(|_, _| Ok::<_, Failed>(()))?;
    Ok(())
}

/// Two sessions of ours, each of which has heard the other, with KEM epoch 1 mixed.
fn ours() -> Result<(Session, Session), Failed> {
    let (a, b) = (party(1), party(2));
    let mut alice = Session::initiate(&a.own(), &bundle(&b)?, NOW, &mut rand::rng())?;
    let mut bob = respond(&b, &b.one_time, &seal(&mut alice, b"hello")?)?;
    bob.introduce(&a.account, &a.keys.entry(DEVICE))?;
    for _ in 0..4 {
        open(&mut alice, &seal(&mut bob, b"ping")?)?;
        open(&mut bob, &seal(&mut alice, b"pong")?)?;
    }
    Ok((alice, bob))
}

fn config() -> olm::SessionConfig {
    olm::SessionConfig::version_1()
}

/// An account of the peer's with one one-time key, and a session begun with it.
fn peer_begins(alice: &olm::Account) -> Result<(olm::Session, olm::Account), Failed> {
    let (bob, key) = peer_account()?;
    let identity = bob.curve25519_key();
    Ok((alice.create_outbound_session(config(), identity, key)?, bob))
}

fn peer_account() -> Result<(olm::Account, vodozemac::Curve25519PublicKey), Failed> {
    let mut bob = olm::Account::new();
    bob.generate_one_time_keys(1);
    let key = *bob.one_time_keys().values().next().ok_or("no one-time key")?;
    bob.mark_keys_as_published();
    Ok((bob, key))
}

fn peer_answers(
    bob: &mut olm::Account,
    alice: &olm::Account,
    message: &olm::OlmMessage,
) -> Result<olm::Session, Failed> {
    let olm::OlmMessage::PreKey(message) = message else {
        return Err("not a first message".into());
    };
    Ok(bob.create_inbound_session(config(), alice.curve25519_key(), message)?.session)
}

fn peers() -> Result<(olm::Session, olm::Session), Failed> {
    let account = olm::Account::new();
    let (mut alice, mut account_of_bob) = peer_begins(&account)?;
    let mut bob = peer_answers(&mut account_of_bob, &account, &alice.encrypt("hello")?)?;
    for _ in 0..4 {
        alice.decrypt(&bob.encrypt("ping")?)?;
        bob.decrypt(&alice.encrypt("pong")?)?;
    }
    Ok((alice, bob))
}

fn in_chain(name: &'static str, length: usize, target: f64) -> Result<Race<'static>, Failed> {
    let text = vec![b'a'; length];
    let same = text.clone();
    let (mut alice, mut bob) = ours()?;
    let (mut peer_alice, mut peer_bob) = peers()?;
    let ours = move || {
        let batch = || (0..BATCH).try_for_each(|_| open(&mut bob, &seal(&mut alice, &text)?));
        Ok(timed(BATCH, batch)?.0)
    };
    let peer = move || {
        let batch = || {
            (0..BATCH).try_for_each(|_| {
                peer_bob.decrypt(&peer_alice.encrypt(&same)?)?;
                Ok(())
            })
        };
        Ok(timed(BATCH, batch)?.0)
    };
    Ok(Race { name, target, ours: Box::new(ours), peer: Box::new(peer) })
}

fn ping_pong() -> Result<Race<'static>, Failed> {
    let text = [b'a'; 100];
    let (mut alice, mut bob) = ours()?;
    let (mut peer_alice, mut peer_bob) = peers()?;
    let ours = move || {
        let batch = || {
            (0..BATCH / 2).try_for_each(|_| {
                open(&mut bob, &seal(&mut alice, &text)?)?;
                open(&mut alice, &seal(&mut bob, &text)?)
            })
        };
        Ok(timed(BATCH, batch)?.0)
    };
    let peer = move || {
        let batch = || {
            (0..BATCH / 2).try_for_each(|_| {
                peer_bob.decrypt(&peer_alice.encrypt(text)?)?;
                peer_alice.decrypt(&peer_bob.encrypt(text)?)?;
                Ok(())
            })
        };
        Ok(timed(BATCH, batch)?.0)
    };
    let name = "ping-pong, per message";
    Ok(Race { name, target: 1.15, ours: Box::new(ours), peer: Box::new(peer) })
}

/// From a bundle to a sealed first message.
fn begin(name: &'static str, first_contact: bool, target: f64) -> Result<Race<'static>, Failed> {
    let (a, b) = (party(1), party(2));
    let known = bundle(&b)?;
    let account = olm::Account::new();
    let ours = move || {
        let work = || {
            let fresh = first_contact.then(|| bundle(&b)).transpose()?;
            let verified = fresh.as_ref().unwrap_or(&known);
            let mut session = Session::initiate(&a.own(), verified, NOW, &mut rand::rng())?;
            seal(&mut session, b"hello")
        };
        Ok(timed(1, work)?.0)
    };
    let peer = move || {
        let (bob, key) = peer_account()?;
        let work = || {
            let mut session =
                account.create_outbound_session(config(), bob.curve25519_key(), key)?;
            Ok(session.encrypt("hello")?)
        };
        Ok(timed(1, work)?.0)
    };
    Ok(Race { name, target, ours: Box::new(ours), peer: Box::new(peer) })
}

/// From a first message to its text and a session.
fn answer(name: &'static str, first_contact: bool, target: f64) -> Result<Race<'static>, Failed> {
    let (a, b) = (party(1), party(2));
    let published = bundle(&b)?;
    let account = olm::Account::new();
    let ours = move || {
        let mut session = Session::initiate(&a.own(), &published, NOW, &mut rand::rng())?;
        let envelope = seal(&mut session, b"hello")?;
        // Each first message has a one-time prekey of its own: what its seed expands to is not known beforehand.
        let one_time = OneTimePrekeySecret::import(&b.one_time.export())?;
        let work = || {
            let mut session = respond(&b, &one_time, &envelope)?;
            let manifest = first_contact
                .then(|| SignedManifest::verify_for(a.manifest.as_bytes(), &a.account))
                .transpose()?;
            let manifest = manifest.as_ref().unwrap_or(&a.manifest);
            let entry = manifest.device(DEVICE).ok_or("no device")?;
            session.introduce(manifest.account(), entry)?;
            Ok(session)
        };
        Ok(timed(1, work)?.0)
    };
    let peer = move || {
        let (mut alice, mut bob) = peer_begins(&account)?;
        let message = alice.encrypt("hello")?;
        Ok(timed(1, || peer_answers(&mut bob, &account, &message))?.0)
    };
    Ok(Race { name, target, ours: Box::new(ours), peer: Box::new(peer) })
}

/// A packet of the right length without a valid header, beside a forged message of the peer's that claims a gap of
/// 2,000: what an attacker sends who wants to cost the most.
fn noise() -> Result<Race<'static>, Failed> {
    let (_, mut bob) = ours()?;
    let (mut peer_alice, mut peer_bob) = peers()?;
    for _ in 1..2_000 {
        peer_alice.encrypt("lost")?;
    }
    let (kind, mut bytes) = peer_alice.encrypt("far ahead")?.to_parts();
    flip_last(&mut bytes);
    let message = olm::OlmMessage::from_parts(kind, &bytes)?;
    let packet = cost::noise();
    let ours = move || {
        let work = || {
            let refused = (0..BATCH).filter(|_| bob.open(&packet, NOW).is_err()).count();
            all_refused(refused)
        };
        Ok(timed(BATCH, work)?.0)
    };
    let peer = move || {
        let work = || match peer_bob.decrypt(&message) {
            Ok(_) => Err("a forgery was taken".into()),
            Err(_) => Ok(()),
        };
        Ok(timed(1, work)?.0)
    };
    let name = "no valid header / forged, gap of 2,000";
    Ok(Race { name, target: 0.03, ours: Box::new(ours), peer: Box::new(peer) })
}

/// A genuine message with its last byte changed: refused by both.
fn forged() -> Result<Race<'static>, Failed> {
    let text = [b'a'; 100];
    let (mut alice, mut bob) = ours()?;
    let (mut peer_alice, mut peer_bob) = peers()?;
    let ours = move || {
        let mut envelope = seal(&mut alice, &text)?;
        flip_last(&mut envelope);
        let work = || {
            let refused = (0..BATCH).filter(|_| bob.open(&envelope, NOW).is_err()).count();
            all_refused(refused)
        };
        Ok(timed(BATCH, work)?.0)
    };
    let peer = move || {
        let (kind, mut bytes) = peer_alice.encrypt(text)?.to_parts();
        flip_last(&mut bytes);
        let message = olm::OlmMessage::from_parts(kind, &bytes)?;
        let work = || {
            let refused = (0..BATCH).filter(|_| peer_bob.decrypt(&message).is_err()).count();
            all_refused(refused)
        };
        Ok(timed(BATCH, work)?.0)
    };
    Ok(Race { name: "forged message", target: 1.0, ours: Box::new(ours), peer: Box::new(peer) })
}

fn flip_last(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

fn all_refused(refused: usize) -> Result<(), Failed> {
    if u32::try_from(refused) == Ok(BATCH) { Ok(()) } else { Err("a forgery was taken".into()) }
}
