//! The tree against a chain that a child could write, and its bounds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn chain() -> Chain {
    Chain::new(Key::new([7; 32]))
}

/// Leaf `n` straight from the definition (SPEC §5.3).
fn leaf(n: u32) -> [u8; 32] {
    let (mut spine, mut start, mut height) = (Key::new([7; 32]), 0_u64, 0_u32);
    while start + (1 << height) <= u64::from(n) {
        spine = kdf::mac(spine.expose(), label::CHAIN_SPINE, &[]);
        start += 1 << height;
        height += 1;
    }
    let mut key = kdf::mac(spine.expose(), label::CHAIN_SEGMENT, &[]);
    let offset = u64::from(n) - start;
    for level in (0..height).rev() {
        let right = offset >> level & 1 == 1;
        let side = if right { label::CHAIN_RIGHT } else { label::CHAIN_LEFT };
        key = kdf::mac(key.expose(), side, &[]);
    }
    *key.expose()
}

fn take(chain: &mut Chain, n: u32) -> Result<[u8; 32], NoKey> {
    chain.take_now(n)
}

// Tests [chain-tree].
#[test]
fn leaves_are_those_of_the_definition() {
    let mut chain = chain();
    for n in (0..70).chain([1000, 1001, 25_000, 1 << 31, u32::MAX - 1]) {
        assert_eq!(take(&mut chain, n), Ok(leaf(n)), "{n}");
    }
}

proptest! {
    // Tests [chain-tree], [leaf-once].
    // Seen to fail with left siblings put after right ones, and with `splice` keeping the node of the leaf that was taken.
    #[test]
    fn any_order_gives_each_leaf_once(
        order in prop::collection::vec(0_u32..200, 1..150), end in 0_u32..300
    ) {
        let (mut chain, mut taken) = (chain(), BTreeSet::new());
        for n in &order {
            let expected = if taken.insert(*n) { Ok(leaf(*n)) } else { Err(NoKey::Taken) };
            prop_assert_eq!(take(&mut chain, *n), expected);
            let gaps = (0..chain.next()).any(|n| !taken.contains(&n));
            prop_assert_eq!(chain.has_gaps(), gaps);
            let contiguous = (0..).find(|n| !taken.contains(n)).unwrap();
            prop_assert_eq!(chain.contiguous(), contiguous.min(chain.next()));
        }
        let mut writer = Writer::new();
        chain.write(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        let mut chain = Chain::read(&mut reader).unwrap();
        prop_assert!(reader.finish().is_ok());

        let highest = chain.next();
        prop_assert_eq!(chain.end_at(end, 0), end >= highest);
        if end >= highest {
            for n in 0..end + 40 {
                let expected = match n {
                    n if taken.contains(&n) => Err(NoKey::Taken),
                    n if n >= end => Err(NoKey::Beyond),
                    n => Ok(leaf(n)),
                };
                prop_assert_eq!(take(&mut chain, n), expected, "{}", n);
            }
            prop_assert!(chain.is_spent());
        }
    }
}

// Tests [jump-is-logarithmic].
#[test]
fn a_jump_of_any_length_costs_a_few_nodes() {
    let mut chain = chain();
    take(&mut chain, u32::MAX - 1).unwrap();
    assert!(chain.size() <= 63, "{}", chain.size());
    assert_eq!(chain.contiguous(), 0);
    assert_eq!(take(&mut chain, u32::MAX).unwrap_err(), NoKey::Beyond);
    // An ended chain of any length too.
    let mut chain = Chain::new(Key::new([7; 32]));
    take(&mut chain, 3).unwrap();
    assert!(chain.end_at(1 << 31, 0));
    assert!(chain.size() <= 64, "{}", chain.size());
}

// Tests [leaf-once].
// Seen to fail with `look_ahead` answering `Taken` below the watermark.
#[test]
fn what_was_given_up_is_told_from_what_was_taken() {
    let mut chain = chain();
    for n in [0, 2, 5] {
        take(&mut chain, n).unwrap();
    }
    assert_eq!(chain.close_lowest_gaps(1), Some(2));
    assert_eq!(take(&mut chain, 1), Err(NoKey::Closed));
    assert_eq!(take(&mut chain, 2), Err(NoKey::Taken));
    assert_eq!(take(&mut chain, 3), Ok(leaf(3)));
    assert_eq!(chain.close_lowest_gaps(1), Some(5));
    assert_eq!(chain.close_lowest_gaps(1), None);
    assert_eq!(take(&mut chain, 6), Ok(leaf(6)));
}

// Tests [gaps-expire].
// Seen to fail with the comparison of days turned round.
#[test]
fn a_gap_is_given_up_thirty_days_after_it_was_passed() {
    let mut chain = chain();
    for (day, n) in [(100, 1), (100, 3), (101, 5), (129, 7)] {
        chain.mark(day);
        take(&mut chain, n).unwrap();
    }
    assert_eq!(chain.expire(129, 30), None);
    // Of what was passed on day 100, that below 2 was certainly passed then.
    assert_eq!(chain.expire(130, 30), Some(2));
    // When day 101 began everything below 4 had been passed.
    assert_eq!(chain.expire(131, 30), Some(4));
    assert_eq!(take(&mut chain, 2), Err(NoKey::Closed));
    assert_eq!(take(&mut chain, 4), Ok(leaf(4)));
    // The clock fell back by ten years, then stands right again: nothing more happens.
    assert_eq!(chain.expire(1, 30), None);
    assert_eq!(take(&mut chain, 6), Ok(leaf(6)));
    assert!(!chain.has_gaps());
}

// A state that was made up could have more, and could not be written any more once another one joined them.
#[test]
fn no_more_marks_are_read_than_a_chain_has() {
    let most = u8::try_from(MAX_MARKS).unwrap();
    let mut chain = chain();
    let mut written = |day| {
        take(&mut chain, 2 * day).unwrap();
        chain.mark(day);
        chain.expire(day, GAP_DAYS);
        let mut writer = Writer::new();
        chain.write(&mut writer);
        (chain.marks.len(), writer.finish())
    };
    for day in 1..200 {
        let (marks, bytes) = written(day);
        assert!(marks <= usize::from(most));
        assert!(Chain::read(&mut Reader::new(&bytes)).is_ok());
    }
    let (marks, bytes) = written(200);
    let (front, tail) = bytes.split_at(bytes.len() - 8 * marks - 1);
    let with = |count: u8| [front, &[count], &[0; 8 * 255][..8 * usize::from(count)]].concat();
    assert_eq!(usize::from(tail[0]), marks);
    assert!(Chain::read(&mut Reader::new(&with(most))).is_ok());
    for count in [most + 1, 255] {
        let read = Chain::read(&mut Reader::new(&with(count)));
        assert_eq!(read.err(), Some(DecodeError::OutOfRange));
    }
}
