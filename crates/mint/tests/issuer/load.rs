//! Swaps from many threads at once, and what each was told.

use super::harness::{Blank, Node, ask, blanks, swap_body};
use cashu::{KeySet, Proof};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A swap and its answer, if one came.
pub(crate) struct Told {
    pub(crate) inputs: Vec<Proof>,
    pub(crate) outputs: Vec<Blank>,
    pub(crate) reply: Option<(u16, Value)>,
}

/// Each thread swaps its coins, one by one, until they are gone. `answered` hears how many were.
pub(crate) fn swap_all(
    node: &Node,
    keys: &KeySet,
    coins: Vec<Proof>,
    threads: usize,
    answered: impl Fn(usize) + Sync,
) -> Vec<Told> {
    let share = coins.len().div_ceil(threads);
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let swap = |coin: &Proof| {
            let (inputs, outputs) = (vec![coin.clone()], blanks(keys, &[1]));
            let body = swap_body(&inputs, &outputs).to_string();
            let reply = ask(&node.address, "POST", "/v1/swap", &body).ok();
            if reply.is_some() {
                answered(answers.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Told { inputs, outputs, reply }
        };
        let threads: Vec<_> = coins
            .chunks(share)
            .map(|coins| scope.spawn(move || coins.iter().map(swap).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Everything that was acknowledged is still so, and every doubt ends by asking the same again.
pub(crate) fn nothing_acknowledged_is_lost(node: &Node, told: &[Told]) {
    for Told { inputs, outputs, reply } in told {
        match reply {
            Some((200, reply)) => {
                assert_eq!(node.states(inputs)[0].0, "SPENT");
                assert_eq!(&node.restore(outputs), reply["signatures"].as_array().unwrap());
            }
            Some((status, reply)) => panic!("{status} {reply}"),
            None => {
                let (status, reply) = node.swap(inputs, outputs);
                assert_eq!(status, 200, "{reply}");
            }
        }
    }
}
