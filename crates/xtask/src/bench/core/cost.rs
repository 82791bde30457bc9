//! What has a limit of its own, in microseconds, messages, bytes and allocations.

use chopmark_core::session::Session;

use super::{super::Bound, BATCH, Failed, NOW, all_refused, open, ours, seal, timed};

/// Every row that has no peer.
pub(super) fn bounds() -> Result<Vec<Bound<'static>>, Failed> {
    let [idle, busy, gaps] = state_sizes()?;
    let [sealing, opening] = allocations()?;
    Ok(vec![
        without_header()?,
        far_ahead()?,
        counted("messages from start to activation of an epoch", "", 4.0, epoch_messages()?),
        counted("session state, idle", "B", 1_500.0, idle),
        counted("session state, during an epoch", "B", 3_000.0, busy),
        // 2,048 nodes of 37 bytes and what an idle session has.
        counted("session state, after 3,000 losses", "B", 2_048.0 * 37.0 + 3_000.0, gaps),
        counted("allocations of sealing, the envelope's too", "", 1.0, sealing),
        counted("allocations of opening, the content's too", "", 1.0, opening),
    ])
}

fn counted(name: &'static str, unit: &'static str, target: f64, value: f64) -> Bound<'static> {
    Bound { name, unit, target, rounds: 1, ours: Box::new(move || Ok(value)) }
}

/// A packet of the right length and version that nobody sealed.
pub(super) fn noise() -> Vec<u8> {
    let mut packet = vec![0x5a; 2048];
    if let Some(version) = packet.first_mut() {
        *version = 1;
    }
    packet
}

fn without_header() -> Result<Bound<'static>, Failed> {
    let (_, mut bob) = ours()?;
    let packet = noise();
    let ours = move || {
        let work = || {
            let refused = (0..BATCH).filter(|_| bob.open(&packet, NOW).is_err()).count();
            all_refused(refused)
        };
        Ok(timed(BATCH, work)?.0)
    };
    let (name, unit) = ("no valid header, per candidate session", "us");
    Ok(Bound { name, unit, target: 8.0, rounds: 301, ours: Box::new(ours) })
}

fn far_ahead() -> Result<Bound<'static>, Failed> {
    let (mut alice, bob) = ours()?;
    for _ in 0..25_000 {
        seal(&mut alice, b"lost")?;
    }
    let envelope = seal(&mut alice, b"far ahead")?;
    let stored = bob.export();
    let ours = move || {
        let mut bob = Session::import(&stored)?;
        Ok(timed(1, || open(&mut bob, &envelope))?.0)
    };
    let name = "opening the message 25,000 ahead";
    Ok(Bound { name, unit: "us", target: 60.0, rounds: 301, ours: Box::new(ours) })
}

/// One turn of a strict ping-pong of texts of this length.
fn turn(number: u32, length: usize, sides: &mut (Session, Session)) -> Result<(), Failed> {
    let (from, to) = match number % 2 {
        0 => (&mut sides.0, &mut sides.1),
        _ => (&mut sides.1, &mut sides.0),
    };
    let envelope = seal(from, &vec![7; length])?;
    open(to, &envelope)
}

/// The most messages of a strict ping-pong of 100 B, over 16 epochs, from the one that carries the key to the one whose
/// chain has the secret mixed in, both counted.
///
/// Texts that leave no room in their bucket hold the key back until it is due for sure. Then the first short message of
/// whoever makes it carries it.
fn epoch_messages() -> Result<f64, Failed> {
    let mut sides = ours()?;
    let mut most = 0;
    for _ in 0..16 {
        let before = sides.0.epoch();
        for number in 0..20 {
            turn(number, 1_900, &mut sides)?;
        }
        if before != sides.0.epoch() || before != sides.1.epoch() {
            return Err("an epoch came while no object had room".into());
        }
        // The initiator makes the keys of odd epochs.
        let first = before % 2;
        for number in 0..first {
            turn(number, 1_900, &mut sides)?;
        }
        let mut messages = 0;
        while sides.0.epoch().max(sides.1.epoch()) == before && messages < 100 {
            turn(first.saturating_add(messages), 100, &mut sides)?;
            messages += 1;
        }
        most = most.max(messages);
        // The next round begins with the initiator again, and not in the middle of an epoch.
        if first.saturating_add(messages) % 2 == 1 {
            turn(1, 1_900, &mut sides)?;
        }
    }
    Ok(f64::from(most))
}

/// Idle, the largest of an epoch, and after 3,000 losses.
fn state_sizes() -> Result<[f64; 3], Failed> {
    let mut sides = ours()?;
    let (mut idle, mut busy) = (0, 0);
    for number in 0..400 {
        let before = sides.0.epoch().max(sides.1.epoch());
        turn(number, 100, &mut sides)?;
        let length = sides.0.export().len().max(sides.1.export().len());
        busy = busy.max(length);
        if sides.0.epoch().max(sides.1.epoch()) > before {
            idle = idle.max(length);
        }
    }
    let (alice, bob) = &mut sides;
    for _ in 0..3_000 {
        seal(alice, b"lost")?;
        let envelope = seal(alice, b"found")?;
        open(bob, &envelope)?;
    }
    let sizes = [idle, busy, bob.export().len()];
    Ok(sizes.map(|bytes| u32::try_from(bytes).map_or(f64::NAN, f64::from)))
}

/// The most that a message took, of 1,000 in one chain and 200 that begin one each; an event is one more, as output.
fn allocations() -> Result<[f64; 2], Failed> {
    let mut sides = ours()?;
    let mut most = [0_u64; 2];
    for number in 0..1_204_u32 {
        let alice_sends = number < 1_002 || number % 2 == 0;
        let (from, to) = match alice_sends {
            true => (&mut sides.0, &mut sides.1),
            false => (&mut sides.1, &mut sides.0),
        };
        let epochs = (from.epoch(), to.epoch());
        let (mut sealed, mut opened) = (Err("nothing".into()), Ok(()));
        let sealing = allocation_counter::measure(|| sealed = seal(from, &[7; 100]));
        let envelope = sealed?;
        let opening = allocation_counter::measure(|| opened = open(to, &envelope));
        opened?;
        let told = [from.epoch() > epochs.0, to.epoch() > epochs.1].map(u64::from);
        // The first two take the room that all later ones use.
        if number > 4 {
            let counts = [sealing.count_total, opening.count_total];
            for ((most, count), told) in most.iter_mut().zip(counts).zip(told) {
                *most = (*most).max(count.saturating_sub(told));
            }
        }
    }
    Ok(most.map(|count| u32::try_from(count).map_or(f64::NAN, f64::from)))
}
