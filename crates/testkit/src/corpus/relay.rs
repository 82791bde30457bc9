//! Seeds of `relay_session`: a theme each, and mixtures.

use rand::RngExt as _;

use crate::seed::Seed;

/// The operation of one connection.
const fn by(at: u8, operation: u8) -> u8 {
    at << 4 | operation
}

/// Scripts of `relay_session`: the bounds, then operations.
pub(super) fn relay_session() -> Vec<Vec<u8>> {
    let auth = |at: u8, owner: u8, how: u8| vec![by(at, 1), owner, how];
    // A request: which capability, which kind, its operands, where it is cut.
    let ask = |at: u8, capability: u8, kind: u8, operands: &[u8]| {
        [&[by(at, 2), capability, kind], operands, &[0]].concat()
    };
    let answer = |at: u8| vec![by(at, 8), 7];
    let create = |at| ask(at, 0, 0, &[]);
    let grant = |at, capability, kind: u8| ask(at, capability, 1, &[9, kind, 0, 0]);
    let subscribe = |at| ask(at, 0, 5, &[0]);
    let deposit = |at, capability, length: u8, fill: u8| ask(at, capability, 8, &[length, fill, 0]);
    let mailbox = |at: u8| {
        [auth(at, at, 0), create(at), grant(at, at, 0), grant(at, at + 2, 1), answer(at)].concat()
    };
    let deposits = |at: u8, capability: u8, count: u8| -> Vec<u8> {
        (0..count).flat_map(|n| [deposit(at, capability, 0, n), answer(at)].concat()).collect()
    };
    let acks = |at: u8, from: u8| vec![by(at, 6), 63, from];

    let mut scripts = Vec::new();
    for bounds in [0, 1, 2] {
        let mut script = |parts: &[Vec<u8>]| scripts.push([vec![bounds], parts.concat()].concat());
        let listening = [mailbox(0), subscribe(0), answer(0)].concat();
        // Messages come and are acked; more than a window of them.
        let arrive = [vec![by(0, 15)], answer(0), acks(0, 1)].concat();
        script(&[listening.clone(), deposits(2, 0, 30), arrive.clone(), arrive]);
        // They wait before there is a subscription, and the window is full of large ones.
        let large: Vec<u8> =
            (0..6).flat_map(|n| [deposit(2, 0, 2, n), answer(2)].concat()).collect();
        script(&[mailbox(0), large, subscribe(0), answer(0), answer(0), acks(0, 1), answer(0)]);
        // And of small ones, more than a window has of them.
        let eight = |from: u8| -> Vec<u8> {
            let deposits = (0..8).flat_map(|n| deposit(2, 0, 0, from + n));
            deposits.chain(answer(2)).collect()
        };
        let small: Vec<u8> = (0..10).flat_map(|n| eight(8 * n)).collect();
        let take = [answer(0), answer(0), acks(0, 1), answer(0), answer(0)].concat();
        script(&[mailbox(0), small, subscribe(0), take]);
        // Asked again and again, with reads under way.
        let again: Vec<u8> = (0..8).flat_map(|_| subscribe(0)).collect();
        script(&[listening.clone(), deposits(2, 0, 9), again, answer(0), answer(0), answer(0)]);
        // Both roles on one connection, in every order.
        script(&[auth(0, 0, 0), deposit(0, 0, 0, 1), deposit(1, 0, 0, 1), auth(1, 0, 0)]);
        script(&[auth(0, 0, 0), auth(0, 1, 0), create(1), acks(2, 1), auth(3, 0, 6)]);
        script(&[auth(0, 0, 7), auth(1, 0, 6), auth(2, 0, 0), create(2), answer(2)]);
        // A link: published, fetched, fetched again, revoked.
        let publish = ask(0, 2, 4, &[1, 40, 9, 0]);
        let fetch: Vec<u8> = (0..6).flat_map(|n| ask(3, 2, 14, &[n])).collect();
        script(&[mailbox(0), publish, answer(0), fetch.clone(), answer(3), ask(0, 2, 3, &[])]);
        script(&[fetch, answer(3), vec![by(3, 13), 0], vec![by(3, 8), 0]]);
        // More than may be with the store, answered in another order, and once not at all.
        let many: Vec<u8> = (0..70).flat_map(|n| deposit(2, 0, 0, n)).collect();
        let order: Vec<u8> = (0..20).flat_map(|n| [by(2, 11), 3 * n]).collect();
        script(&[mailbox(0), many.clone(), order.clone(), vec![by(2, 14)], answer(2)]);
        script(&[mailbox(0), many, order, vec![by(2, 13), 0], answer(2)]);
        // The relay stops while things are under way.
        let stop = vec![by(0, 13), 1, by(2, 13), 1];
        script(&[listening.clone(), deposit(2, 0, 0, 1), stop.clone(), answer(2), answer(0)]);
        script(&[listening, stop, vec![by(0, 14), by(0, 14), by(2, 14), by(0, 15)]]);
        // Frames in pieces, lengths that lie, silence, and a clock that is set back.
        let cut: Vec<u8> = (0..9).flat_map(|n| [by(1, 2), 0, 13, 3 + n]).collect();
        script(&[cut, answer(1), vec![by(1, 12), 255, 255, by(1, 13), 3, by(1, 14)]]);
        script(&[vec![by(0, 7), 4, 0, 0, 0, 0, by(1, 7), 6, 0, 0, 0, 1, 9, 9, by(2, 7), 2, 255]]);
    }
    for case in 0..3 {
        let mut rng = Seed::fixed(7).case(case);
        scripts.push((0..300).map(|_| rng.random()).collect());
    }
    scripts
}
