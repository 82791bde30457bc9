//! The tree of message keys.

use std::collections::BTreeSet;

use chopmark_core::hazmat::chain::{Chain, NoKey};
use proptest::prelude::*;

use super::cases;

/// Near ones, far ones, and those at the edges of the tree.
fn index() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => 0_u32..300,
        2 => (0_u32..32, -2_i64..3).prop_map(|(power, beside)| {
            u32::try_from((1_i64 << power) + beside).unwrap_or(0).min(u32::MAX - 1)
        }),
        1 => 0..u32::MAX,
    ]
}

/// How many leaves a node still holds the keys of.
fn covered(chain: &Chain) -> BTreeSet<(u32, u8)> {
    chain.nodes().iter().map(|node| (node.start, node.height)).collect()
}

proptest! {
    #![proptest_config(cases(64))]

    // Tests [chain-tree], [jump-is-logarithmic].
    #[test]
    fn a_jump_gives_the_key_that_steps_give(key: [u8; 32], n in 0_u32..400) {
        let (mut steps, mut jump) = (Chain::new(&key), Chain::new(&key));
        let stepped = (0..=n).map(|n| steps.take(n).unwrap()).last().unwrap();
        prop_assert!(jump.take(n).unwrap() == stepped);
        prop_assert!(steps.spine().is_some() == jump.spine().is_some());
        prop_assert_eq!(steps.next(), jump.next());
        // What comes next does not depend on the way.
        prop_assert!(steps.take(n + 1).unwrap() == jump.take(n + 1).unwrap());
    }

    // Tests [leaf-once].
    #[test]
    fn a_leaf_that_was_taken_is_never_given_again(key: [u8; 32], order in prop::collection::vec(index(), 1..24)) {
        let (mut chain, mut taken) = (Chain::new(&key), BTreeSet::new());
        for n in order {
            prop_assert_eq!(chain.take(n).is_ok(), taken.insert(n));
            for gone in &taken {
                prop_assert_eq!(chain.look(*gone), Err(NoKey::Taken));
            }
            for (start, height) in covered(&chain) {
                let end = u64::from(start) + (1_u64 << height);
                let inside = taken.range(start..).next().is_some_and(|n| u64::from(*n) < end);
                prop_assert!(!inside, "a node over a taken leaf");
            }
        }
    }

    // Tests [jump-is-logarithmic].
    #[test]
    fn what_is_held_is_bounded_by_the_number_of_jumps(key: [u8; 32], order in prop::collection::vec(index(), 1..24)) {
        let mut chain = Chain::new(&key);
        let mut jumps = 0;
        for n in order {
            jumps += usize::from(chain.take(n).is_ok());
            prop_assert!(chain.nodes().len() <= 32 + 32 * jumps);
        }
    }

    // Tests [chain-tree].
    #[test]
    fn the_order_in_which_leaves_are_taken_changes_no_key(key: [u8; 32], mut order in prop::collection::btree_set(index(), 1..16)) {
        let (mut up, mut down) = (Chain::new(&key), Chain::new(&key));
        let rising: Vec<_> = order.iter().map(|n| up.take(*n).unwrap()).collect();
        let mut falling = Vec::new();
        while let Some(n) = order.pop_last() {
            falling.push(down.take(n).unwrap());
        }
        falling.reverse();
        prop_assert!(rising == falling);
        prop_assert!(covered(&up) == covered(&down), "two trees for one set of leaves");
    }

    // Tests [pn-not-below-opened].
    #[test]
    fn an_ended_chain_gives_what_it_owes_and_no_more(key: [u8; 32], taken in prop::collection::btree_set(0_u32..60, 0..9), end in 0_u32..90) {
        let mut chain = Chain::new(&key);
        for n in &taken {
            chain.take(*n).unwrap();
        }
        let free = Chain::new(&key);
        let ends = chain.end_at(end, 7);
        prop_assert_eq!(ends, taken.last().is_none_or(|highest| *highest < end));
        if ends {
            for n in 0..end + 40 {
                let expected = if taken.contains(&n) {
                    Err(NoKey::Taken)
                } else if n >= end {
                    Err(NoKey::Beyond)
                } else {
                    free.look(n)
                };
                prop_assert_eq!(chain.take(n), expected, "{}", n);
            }
            prop_assert!(chain.nodes().is_empty() && chain.spine().is_none());
        }
    }

    // Tests [gaps-are-bounded].
    #[test]
    fn what_is_given_up_is_the_lowest_and_stays_so(key: [u8; 32], taken in prop::collection::btree_set(0_u32..200, 2..20), nodes in 1_usize..12) {
        let mut chain = Chain::new(&key);
        for n in &taken {
            chain.take(*n).unwrap();
        }
        let before = chain.nodes();
        if let Some(below) = chain.close_lowest_gaps(nodes) {
            prop_assert!(before[before.len() - chain.nodes().len()..] == chain.nodes()[..]);
            for n in 0..below {
                prop_assert_eq!(chain.look(n), Err(NoKey::GivenUp));
            }
            prop_assert!(chain.contiguous() >= below);
        } else {
            prop_assert!(!(0..chain.next()).any(|n| !taken.contains(&n)));
        }
    }

    // Tests [gaps-expire].
    #[test]
    fn a_gap_lives_thirty_days_and_not_much_longer(key: [u8; 32], days in prop::collection::vec(0_u32..9, 1..12)) {
        // Every other message is lost; the first of a day notes how far the chain had come.
        let (mut chain, mut day, mut noted) = (Chain::new(&key), 100, Vec::new());
        for (at, gone_by) in days.iter().enumerate() {
            day += gone_by;
            noted.push((day, chain.next()));
            chain.mark(day);
            chain.take(2 * at as u32 + 1).unwrap();
            chain.expire(day, 30);
            for n in (0..chain.next()).step_by(2) {
                // The last note made before the leaf was passed over is at least as old as the gap.
                let passed = noted.iter().filter(|(_, next)| *next > n).map(|(day, _)| *day).min();
                if passed.is_none_or(|passed| passed + 30 > day) {
                    prop_assert!(chain.look(n).is_ok(), "{} is gone on day {}", n, day);
                }
            }
        }
    }
}
