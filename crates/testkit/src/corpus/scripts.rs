//! Seeds of the targets that read scripts: a theme each, and long mixtures.

use rand::RngExt as _;

use crate::{fuzz, seed::Seed};

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
    for begin in [0, 1, 4] {
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
        let crash =
            |n: u8| [by(n, 3), 30, by(n, 0), 40, by(1 - n, 6), 0, by(1 - n, 4), 0, by(n, 12)];
        scripts.push(script(&[(0..8).flat_map(|n| crash(n % 2)).collect(), talk(2)]));
        // Replays of what was just opened and of what was opened long ago; letters that come back.
        let replays: Vec<u8> = (0..9).flat_map(|n| [by(0, 9), n, by(0, 11), n]).collect();
        scripts.push(script(&[talk(9), replays.clone(), talk(9), replays]));
        // Every way to alter, on letters that are under way, and then they arrive.
        let sent = [send(0, 20), send(0, 130), send(1, 60), send(1, 61)].concat();
        let altered: Vec<u8> = (0..16).flat_map(|how| tamper(how % 4, how)).collect();
        scripts.push(script(&[sent, altered, talk(2)]));
        // Every edge of a bucket, with and without an object.
        let edges: Vec<u8> =
            (128..216).step_by(3).flat_map(|length| send(length % 2, length)).collect();
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
    mixtures(&mut scripts, 1, 6);
    scripts
}

/// Scripts of `kem_epoch`: a beginning, operations.
pub(super) fn kem_epoch() -> Vec<Vec<u8>> {
    let reply = |length: u8| vec![4, length, 7, 0];
    let hostile = |kind: u8, more: [u8; 3]| [vec![11, kind], more.to_vec()].concat();
    let mut scripts = Vec::new();
    for begin in 0..2 {
        let script = |parts: &[Vec<u8>]| [vec![begin], parts.concat()].concat();
        // Ping-pong over several epochs, and the same with messages that leave no room.
        scripts.push(script(&[vec![15; 36]]));
        let full: Vec<u8> = (0..26).flat_map(|n| [0, 9, 4, 160 + n, 7, 0]).collect();
        scripts.push(script(&[vec![10], full]));
        // A reply before the manifest is verified, a key that comes before it, an introduction twice.
        scripts.push(script(&[reply(9), hostile(0, [0; 3]), reply(9), vec![10, 10], vec![15; 9]]));
        // Each hostile object at each stage, and the honest one behind it.
        for kind in 0..7 {
            for before in if begin == 0 { [1, 4, 9] } else { [3, 6, 7] } {
                let more = [before * 20, kind * 31 + 1, 5];
                let attack = [hostile(kind, more), hostile(kind, [200, 7, 1]), vec![15; 7]];
                scripts.push(script(&[
                    vec![15; usize::from(before)],
                    attack.concat(),
                    hostile(kind, more),
                ]));
            }
        }
        // Objects that are lost or late, on both ways.
        let lost: Vec<u8> = (0..14).flat_map(|n| [2, 4, 9, 9, n, 0, 9, 4, 1, 7, n]).collect();
        scripts.push(script(&[vec![15], lost, vec![15; 4]]));
        let late: Vec<u8> = (0..12).flat_map(|n| [0, 9, 4, 1, 4, 2, 3, 2, 7, n, 5, 3]).collect();
        scripts.push(script(&[vec![15], late, (0..30).flat_map(|n| [7, n]).collect()]));
        // An epoch that is overdue by messages and one by days, in messages that have no room.
        let many: Vec<u8> = (0..52).flat_map(|_| [2, 4, 165]).collect();
        scripts.push(script(&[vec![15; 9], many, vec![7, 0, 15, 15]]));
        scripts.push(script(&[
            vec![15; 9],
            vec![13, 208, 2, 4, 165, 7, 0, 13, 209, 1, 3],
            vec![15; 5],
        ]));
        // Crashes around each step.
        let crash: Vec<u8> =
            (0..20).flat_map(|_| [14, 6, 9, 14, 0, 3, 6, 9, 4, 9, 14, 7, 0]).collect();
        scripts.push(script(&[vec![15], crash]));
    }
    mixtures(&mut scripts, 2, 4);
    scripts
}

/// Scripts of `header`: a beginning, operations.
pub(super) fn header() -> Vec<Vec<u8>> {
    let mut scripts = Vec::new();
    for begin in 0..2 {
        let script = |parts: &[Vec<u8>]| [vec![begin], parts.concat()].concat();
        scripts.push(script(&[vec![8; 40]]));
        // Losses in every chain, and then they come.
        let gaps: Vec<u8> = (1..7).flat_map(|n| [1, n, 1, n, 1, 8 - n, 8]).collect();
        let late: Vec<u8> = (0..30).flat_map(|n| [3, n, n % 11 + 55]).collect();
        scripts.push(script(&[gaps.clone(), late.clone(), vec![8; 3], late]));
        // Jumps by every power of two, within one chain and over many.
        scripts.push(script(&[(0..31).flat_map(|n| [2, n, n]).collect()]));
        scripts.push(script(&[(0..16).flat_map(|n| [2, 2 * n, 1, 8]).collect(), gaps.clone()]));
        // Each wrong field at three places of a conversation.
        for operation in 9..16 {
            let wrong: Vec<u8> =
                (0..12).flat_map(|n| [operation, n, 3 * n + 1, 7 * n, 40, 1, 0, 9]).collect();
            if begin == 0 {
                scripts.push(script(&[wrong.clone(), vec![8; 2], wrong]));
            } else {
                scripts.push(script(&[gaps.clone(), wrong, vec![8; 4]]));
            }
        }
        // Another beginning of a chain, while B waits for it and while it owes nothing.
        for field in 0..4 {
            let wrong: Vec<u8> = (0..6).flat_map(|n| [10, field, n, 1, 2, 3, 5, n, 8]).collect();
            scripts.push(script(&[
                vec![8, 1, 3, 4, 9, 5, 0],
                wrong.clone(),
                vec![4, 1, 5, 0],
                wrong,
            ]));
        }
        // Indices that were opened, in the chain, in ended ones and in forgotten ones.
        let again: Vec<u8> = (0..20).flat_map(|n| [13, n, n, 5, 11, n, n * 3]).collect();
        scripts.push(script(&[gaps.clone(), again.clone(), vec![8; 8], again]));
        // A month and a half over gaps.
        scripts.push(script(&[gaps.clone(), vec![6, 232, 1, 2, 6, 231, 8, 3, 0, 56], gaps]));
        // Acknowledgements below, at and above the truth.
        let said: Vec<u8> = (0..30).flat_map(|n| [14, n % 4, n % 8, 4, 3, 5, 0]).collect();
        scripts.push(script(&[said]));
    }
    mixtures(&mut scripts, 3, 6);
    scripts
}

/// Scripts of `chain_ops`: operations.
pub(super) fn chain_ops() -> Vec<Vec<u8>> {
    let take = |n: u8| vec![4, n];
    let mut scripts = vec![
        vec![0; 80],
        // Every power of two and what lies beside it.
        (0..64).flat_map(|n| take(128 + n)).collect(),
        (0..64).rev().flat_map(|n| take(128 + n)).collect(),
        // Jumps, then every gap.
        [(0..9).flat_map(|n| take(8 * n)).collect::<Vec<u8>>(), vec![8; 160]].concat(),
        // The last index that there is, and the one that is never used.
        [192, 193, 194, 195, 192].iter().flat_map(|n| take(*n)).chain([0, 10, 192]).collect(),
    ];
    // An end right behind each shape that the tree can have, and what is left then.
    for taken in 1..9 {
        scripts.push([vec![0; taken], vec![14, 0, 1, 8, 0, 8, 0], take(0)].concat());
    }
    // A gap on its last day, and on the day after.
    for day in [29, 30, 31] {
        scripts.push([vec![0], take(3), vec![11, 0, 12, day, 8, 0, 12, 1, 8, 0]].concat());
    }
    for skipped in [1, 5, 17, 40] {
        let gaps: Vec<u8> = (0..12).flat_map(|n| take((skipped + n) % 64)).collect();
        // An end at, above and far above the length; then what is left of it.
        for length in [0, 1, 7, 33, 63, 150, 190] {
            let end = [14, 0, length];
            scripts.push([gaps.clone(), end.to_vec(), vec![8; 40], end.to_vec(), take(3)].concat());
        }
        // Gaps are given up one by one, many at once, and by days.
        let bound: Vec<u8> = (0..9).flat_map(|n| [13, n, 8, n, 10, n]).collect();
        scripts.push([gaps.clone(), bound, gaps.clone(), take(64)].concat());
        let days: Vec<u8> = (0..9).flat_map(|n| [11, 4, 3 + n, 12, 9, 0]).collect();
        scripts
            .push([gaps, days.clone(), vec![12, 39, 8, 0], days, vec![14, 0, 9, 12, 31]].concat());
    }
    mixtures(&mut scripts, 4, 8);
    scripts
}

/// Scripts of `handshake`: a seed, whether there is a one-time prekey, how the bundle is altered, letters, attacks.
pub(super) fn handshake() -> Vec<Vec<u8>> {
    let mut scripts = Vec::new();
    for one_time in 0..2 {
        // A bundle as it was published, and each way to alter one.
        for how in (0..36).chain([40]) {
            for at in 0..if how < 28 { 1 } else { 2 } {
                let place = (u16::from(how) * 419 + at * 77).to_be_bytes();
                scripts.push(
                    [&[how, one_time, how][..], &place, &[1, 2, 20, 1, 30, 1, 9, 9]].concat(),
                );
            }
        }
        // Each field of the init block, each wrong key; then the letters in another order.
        for operation in 0..16 {
            let attack = |n: u8| [operation, n % 3, n % 10, 25 * n, 11 * n + 1];
            let attacks: Vec<u8> = (0..10).flat_map(attack).collect();
            let letters = [3, one_time, 99, 2, 0, 1, 40, 1, 200, 1];
            scripts.push([&letters[..], &attacks].concat());
        }
        // Crashes while the first letters are written.
        scripts.push(vec![5, one_time, 99, 4, 1, 0, 2, 16, 3, 1, 4, 32, 5, 1]);
    }
    mixtures(&mut scripts, 5, 6);
    scripts
}

/// Damaged states: each genuine one as it is, then with a few changes.
pub(super) fn state_import() -> Vec<Vec<u8>> {
    let states = u8::try_from(fuzz::state_import::states()).expect("few");
    // The numbers from 128 on name genuine states.
    let number = |state: u8| (128..=255).find(|n| n % states == state).expect("fewer than 128");
    let mut scripts: Vec<Vec<u8>> = (0..states).map(|state| vec![number(state)]).collect();
    for case in 0..48 {
        let mut rng = Seed::fixed(6).case(case);
        let state = number(u8::try_from(case).unwrap_or(0) % states);
        let changes = rng.random_range(1..4);
        let bytes = (0..changes).flat_map(|_| rng.random::<[u8; 4]>());
        scripts.push([state].into_iter().chain(bytes).collect());
    }
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

/// Scripts of `store_ops`: a mailbox with a grant and a link, then anything.
pub(super) fn store_ops() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for seed in 0..24 {
        let mut rng = Seed::fixed(700 + seed).rng();
        // A batch of three: create, grant a private capability, grant a knock.
        let mut script =
            vec![0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 70, 5, 0, 1, 3, 2, 1, 0, 70, 5];
        let length = 200 + rng.random_range(0..1400);
        script.extend((0..length).map(|_| rng.random::<u8>()));
        seeds.push(script);
    }
    seeds
}
