//! Seeds of the targets that read scripts: a theme each, and long mixtures.

use rand::RngExt as _;

use crate::seed::Seed;

/// Scripts of `session_ops`: a beginning, a seed, operations.
pub(super) fn session_ops() -> Vec<Vec<u8>> {
    // An operation of one side, with its operands.
    let by = |side: u8, operation: u8| operation << 1 | side;
    let send = |side, length| vec![by(side, 0), length];
    let hear = |side| vec![by(side, 7)];
    let turn = |side: u8| [send(side, 20), hear(1 - side)].concat();
    let talk = |turns: u8| (0..turns).flat_map(|n| turn((n + 1) % 2)).collect::<Vec<u8>>();
    let tamper = |at: u8, how: u8| {
        (0..4).flat_map(|n| [by(0, 8), at, at + n, how, 17 * n, n + 1]).collect::<Vec<u8>>()
    };
    let mut scripts = Vec::new();
    for begin in 0..5 {
        let script = |parts: &[Vec<u8>]| [vec![begin, begin], parts.concat()].concat();
        // A conversation long enough for several epochs.
        scripts.push(script(&[talk(40)]));
        // Everything comes late and backwards.
        let flood: Vec<u8> = (0..8).flat_map(|n| send(n % 2, n * 30)).collect();
        let backwards: Vec<u8> = (0..8).flat_map(|n| vec![by(n % 2, 4), 255 - n]).collect();
        scripts.push(script(&[flood, backwards, talk(4)]));
        // Losses, one in three, over several chains.
        let losses = (0..9).flat_map(|n| [send(n % 2, 9), send(n % 2, 200), vec![by(0, 10), n]]);
        scripts.push(script(&[losses.flatten().collect(), talk(3), hear(0), hear(1)]));
        // Crashes before and after each step.
        let crash = |n: u8| [by(n, 3), 30, by(n, 0), 40, by(1 - n, 6), 0, by(1 - n, 4), 0, by(n, 12)];
        scripts.push(script(&[(0..8).flat_map(|n| crash(n % 2)).collect(), talk(2)]));
        // Replays of what was just opened and of what was opened long ago; letters that come back.
        let replays: Vec<u8> = (0..9).flat_map(|n| [by(0, 9), n, by(0, 11), n]).collect();
        scripts.push(script(&[talk(9), replays.clone(), talk(9), replays]));
        // Every way to alter, on letters that are under way, and then they arrive.
        let sent = [send(0, 20), send(0, 130), send(1, 60), send(1, 61)].concat();
        let altered: Vec<u8> = (0..16).flat_map(|how| tamper(how % 4, how)).collect();
        scripts.push(script(&[sent, altered, talk(2)]));
        // Every edge of a bucket, with and without an object.
        let edges: Vec<u8> = (128..216).step_by(3).flat_map(|length| send(length % 2, length)).collect();
        scripts.push(script(&[edges, hear(0), hear(1)]));
        // Weeks go by over a gap.
        let late = [send(1, 5), send(1, 6), vec![by(0, 4), 1, by(0, 13), 255], talk(3)].concat();
        scripts.push(script(&[late, vec![by(0, 13), 230], talk(5), hear(0)]));
        // A backup is put in place, and both go on.
        let back = [vec![by(1, 15), 0], talk(5), vec![by(1, 15), 1], talk(6)].concat();
        scripts.push(script(&[talk(3), back]));
        // No randomness, noise, restarts.
        let rest = [by(0, 14), by(1, 14), by(0, 15), 3, 0, 1, by(1, 15), 3, 1, 2, by(0, 12)];
        scripts.push(script(&[talk(2), rest.into(), talk(2)]));
    }
    mixtures(&mut scripts, 1, 10);
    scripts
}

/// Adds scripts of anything, long enough to get somewhere.
fn mixtures(scripts: &mut Vec<Vec<u8>>, seed: u64, count: u64) {
    for case in 0..count {
        let mut rng = Seed::fixed(seed).case(case);
        let length = rng.random_range(40..280);
        scripts.push((0..length).map(|_| rng.random()).collect());
    }
}
