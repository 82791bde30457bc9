//! Attacks on the issuer, against the real process over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking, and wait for processes"
)]

#[allow(dead_code, reason = "the issuer's own tests use the rest")]
#[path = "../../crates/mint/tests/issuer/harness.rs"]
pub(super) mod harness;

use harness::{Blank, Node, blanks, coins, send, swap_body};
use serde_json::{Value, json};
use std::sync::Barrier;

fn start() -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path());
    (folder, node)
}

// Tests [one-winner]
// Seen to fail with the search for spent inputs removed from `Books::may_exchange`.
#[test]
fn t73_a_hundred_swaps_of_one_coin_have_one_winner_and_leave_nothing_behind() {
    let (_folder, node) = start();
    let (keys, coin) = (node.keys(), node.ones(1));
    let start = Barrier::new(100);
    let race = |outputs: Vec<Blank>| {
        start.wait();
        let (status, reply) = node.swap(&coin, &outputs);
        (outputs, status, reply)
    };
    let told = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..100).map(|_| scope.spawn(|| race(blanks(&keys, &[1])))).collect();
        racers.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    let (won, lost): (Vec<_>, Vec<_>) = told.into_iter().partition(|(_, status, _)| *status == 200);
    assert_eq!((won.len(), lost.len()), (1, 99));
    for (outputs, status, reply) in &lost {
        assert_eq!((*status, &reply["code"]), (400, &json!(11001)), "{reply}");
        assert!(node.restore(outputs).is_empty(), "a loser's output was signed");
    }
    // The winner's coin is good, and a loser's output can still be used.
    let (outputs, _, reply) = &won[0];
    assert_eq!(node.swap(&coins(&keys, outputs, reply), &lost[0].0).0, 200);
    assert_eq!(node.report()["outstanding"], 1);
}

/// The issuer has no pending state that a clean-up could undo: a swap whose sender is gone has happened or has not.
#[test]
fn t75_a_swap_whose_sender_vanished_is_whole_or_absent_whatever_comes_after() {
    let (_folder, node) = start();
    let keys = node.keys();
    for coin in node.ones(20) {
        let coin = [coin];
        let (first, second) = (blanks(&keys, &[1]), blanks(&keys, &[1]));
        let body = swap_body(&coin, &first).to_string();
        drop(send(&node.address, "POST", "/v1/swap", &body).unwrap());
        let (status, _) = node.swap(&coin, &second);
        let signed = (node.restore(&first).len(), node.restore(&second).len());
        match status {
            200 => assert_eq!(signed, (0, 1)),
            _ => assert_eq!(signed, (1, 0)),
        }
        assert_eq!(node.states(&coin)[0].0, "SPENT");
    }
    assert_eq!(node.report()["outstanding"], 20);
}

// Tests [announced-limits]
#[test]
fn t77_a_request_beyond_the_announced_limit_is_refused_and_its_inputs_stay_spendable() {
    let (_folder, node) = start();
    let (_, info) = node.get("/v1/info");
    assert_eq!(info["max_array_length"], 1000);
    let (keys, coins) = (node.keys(), node.ones(1000));
    let (_, extra) = (0, node.ones(1));
    let inputs = [coins.clone(), extra].concat();
    let outputs = blanks(&keys, &[512, 256, 128, 64, 32, 8, 1]);
    let (status, reply) = node.swap(&inputs, &outputs);
    assert_eq!((status, &reply["code"]), (400, &json!(11014)), "{reply}");
    let (status, reply) = node.swap(&inputs[..1], &blanks(&keys, &[1; 1001]));
    assert_eq!((status, &reply["code"]), (400, &json!(11014)), "{reply}");
    assert!(node.states(&coins).iter().all(|(state, _)| state == "UNSPENT"));
    // At the limit it works.
    let outputs = blanks(&keys, &[512, 256, 128, 64, 32, 8]);
    assert_eq!(node.swap(&coins, &outputs).0, 200);
}

// Tests [known-amounts] [no-duplicates]
// Seen to fail with `no_duplicates` removed from the ledger, and with every `C` taken for genuine.
#[test]
fn t78_duplicates_odd_amounts_and_foreign_keysets_are_refused_before_anything_changes() {
    let (_folder, node) = start();
    let (keys, inputs) = (node.keys(), node.issue("0.03"));
    let good = swap_body(&inputs, &blanks(&keys, &[2, 1]));
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        body
    };
    // One and two become two and two on either side: it balances, and one signature is for another amount.
    let raised = |it: &mut Value| {
        for side in ["inputs", "outputs"] {
            it[side][0]["amount"] = json!(2);
            it[side][1]["amount"] = json!(2);
        }
    };
    let foreign = format!("01{}", "ab".repeat(32));
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change<'_>, &[u64]); 13] = [
        ("an input twice", &|it| it["inputs"][1] = it["inputs"][0].clone(), &[11007]),
        ("an output twice", &|it| it["outputs"][1] = it["outputs"][0].clone(), &[11008]),
        ("an output of zero", &|it| it["outputs"][0]["amount"] = json!(0), &[11006]),
        ("an input of zero", &|it| it["inputs"][0]["amount"] = json!(0), &[11006]),
        ("three", &|it| it["outputs"][0]["amount"] = json!(3), &[11006]),
        ("beyond the keyset", &|it| it["outputs"][0]["amount"] = json!(1u64 << 63), &[11006]),
        ("the largest number", &|it| it["inputs"][0]["amount"] = json!(u64::MAX), &[11006]),
        ("a negative amount", &|it| it["outputs"][0]["amount"] = json!(-2), &[10000]),
        ("a fraction", &|it| it["outputs"][0]["amount"] = json!(1.5), &[10000]),
        ("a foreign keyset for inputs", &|it| it["inputs"][0]["id"] = json!(foreign), &[12001]),
        ("a foreign keyset for outputs", &|it| it["outputs"][0]["id"] = json!(foreign), &[12001]),
        ("more out than in", &|it| it["outputs"][0]["amount"] = json!(4), &[11005]),
        ("a raised input", &raised, &[10001]),
    ];
    for (name, change, codes) in cases {
        let (status, reply) = node.post("/v1/swap", &altered(change));
        assert_eq!(status, 400, "{name}: {reply}");
        assert!(codes.contains(&reply["code"].as_u64().unwrap()), "{name}: {reply}");
        assert!(node.states(&inputs).iter().all(|(state, _)| state == "UNSPENT"), "{name}");
    }
    // A point of the same x and the other sign is another point, and no coin.
    let mirrored = altered(&|it| {
        let c = it["inputs"][0]["C"].as_str().unwrap().to_owned();
        let sign = if c.starts_with("02") { "03" } else { "02" };
        it["inputs"][0]["C"] = json!(format!("{sign}{}", &c[2..]));
    });
    assert_eq!(node.post("/v1/swap", &mirrored).1["code"], 10001);
    assert_eq!(node.post("/v1/swap", &good).0, 200, "and the honest swap still goes through");
    assert_eq!(node.report()["outstanding"], 3);
}
