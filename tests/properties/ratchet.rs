//! What holds of a session whatever is said, lost and altered.

use std::{collections::BTreeSet, sync::OnceLock};

use chopmark_core::session::{
    Acknowledged, BUCKETS, MAX_CONTENT, OpenError, Position, SealError, Session, Status,
};
use chopmark_testkit::party::{self, NOW, Party};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

use super::{cases, open, rng};

/// The people of every property here.
pub(super) fn people() -> &'static [Party; 2] {
    static PEOPLE: OnceLock<[Party; 2]> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        let mut rng = rng(41);
        [Party::new(&mut rng), Party::new(&mut rng)]
    })
}

/// Two who met, after some turns of a conversation.
fn talked(turns: usize, rng: &mut ChaCha20Rng) -> [Session; 2] {
    let [a, b] = people();
    let mut alice = a.initiate(b, rng);
    let first = party::seal(&mut alice, b"hello", rng);
    let mut sides = [alice, b.respond(a, &first)];
    for turn in 1..=turns {
        let envelope = party::seal(&mut sides[turn % 2], b"turn", rng);
        assert!(open(&mut sides[1 - turn % 2], &envelope).is_ok());
    }
    sides
}

fn smallest(length: usize) -> usize {
    BUCKETS.into_iter().find(|bucket| *bucket >= length).unwrap_or(usize::MAX)
}

proptest! {
    #![proptest_config(cases(32))]

    // Tests [object-fits-always], [bucket-before-anything].
    #[test]
    fn every_sealed_length_is_a_bucket_and_no_larger_than_it_must_be(
        seed: u64, turns in 0_usize..14, lengths in prop::collection::vec(0..MAX_CONTENT - 2_333, 1..6)
    ) {
        let mut rng = rng(seed);
        let mut sides = talked(turns, &mut rng);
        for (at, length) in lengths.into_iter().enumerate() {
            let side = (turns + 1 + at / 2) % 2;
            let init = if sides[side].status() == Status::Opening { 2_333 } else { 0 };
            let envelope = party::seal(&mut sides[side], &vec![1; length], &mut rng);
            // What stands besides the content, and with the largest object.
            let bare = length + 106 + init;
            let expected = [smallest(bare), smallest(bare + 1_184)];
            prop_assert!(expected.contains(&envelope.len()), "{} for {}", envelope.len(), length);
            prop_assert_eq!(open(&mut sides[1 - side], &envelope), Ok(vec![1; length]));
        }
    }

    // Tests [object-fits-always].
    #[test]
    fn the_longest_content_is_sealed_and_one_byte_more_is_not(seed: u64, turns in 0_usize..24) {
        let mut rng = rng(seed);
        let mut sides = talked(turns, &mut rng);
        let from = (turns + 1) % 2;
        let limit = sides[from].max_content();
        let before = sides[from].export();
        let refused = sides[from].seal(&vec![1; limit + 1], NOW, &mut rng).err();
        prop_assert_eq!(refused, Some(SealError::TooLong { limit }));
        prop_assert!(*sides[from].export() == *before);
        let envelope = party::seal(&mut sides[from], &vec![1; limit], &mut rng);
        prop_assert_eq!(envelope.len(), BUCKETS[5]);
        prop_assert_eq!(open(&mut sides[1 - from], &envelope).map(|content| content.len()), Ok(limit));
    }

    // Tests [leaf-once], [open-then-commit], [replay-changes-nothing].
    #[test]
    fn messages_open_in_any_order_and_each_of_them_once(
        seed: u64, chains in prop::collection::vec(1_usize..5, 1..5), order in prop::collection::vec(any::<prop::sample::Index>(), 20)
    ) {
        let mut rng = rng(seed);
        let mut sides = talked(4, &mut rng);
        let mut waiting = Vec::new();
        // Of each chain of hers he opens the first message only, and answers it.
        for length in chains {
            for n in 0..length {
                let envelope = party::seal(&mut sides[0], &[n as u8], &mut rng);
                if n == 0 {
                    prop_assert!(open(&mut sides[1], &envelope).is_ok());
                } else {
                    waiting.push((n, envelope));
                }
            }
            let answer = party::seal(&mut sides[1], b"answer", &mut rng);
            prop_assert!(open(&mut sides[0], &answer).is_ok());
        }
        for at in order {
            if waiting.is_empty() {
                break;
            }
            let (n, envelope) = waiting.swap_remove(at.index(waiting.len()));
            prop_assert_eq!(open(&mut sides[1], &envelope), Ok(vec![n as u8]));
            let stored = sides[1].export();
            prop_assert!(open(&mut sides[1], &envelope).is_err());
            prop_assert!(*sides[1].export() == *stored, "a replay changed the session");
        }
    }

    // Tests [acknowledgement-is-true].
    #[test]
    fn acknowledgements_rise_and_cover_only_what_was_opened(
        seed: u64, moves in prop::collection::vec((any::<bool>(), any::<bool>()), 1..40)
    ) {
        let mut rng = rng(seed);
        let mut sides = talked(0, &mut rng);
        let (mut opened, mut known, mut before) = (BTreeSet::new(), BTreeSet::new(), Acknowledged::NOTHING);
        let (mut chain, mut n, mut heard) = (0, 1, false);
        opened.insert(Position { chain: 0, n: 0 });
        for (hers, lost) in moves {
            if hers {
                if core::mem::take(&mut heard) {
                    (chain, n) = (chain + 1, 0);
                }
                let envelope = party::seal(&mut sides[0], b"hers", &mut rng);
                let position = Position { chain, n };
                n += 1;
                known.insert(position);
                if !lost {
                    prop_assert!(open(&mut sides[1], &envelope).is_ok());
                    opened.insert(position);
                }
            } else {
                // She begins a chain only when he began one, and he only when he opened one of hers.
                let new = opened.iter().any(|position| position.chain == chain);
                let envelope = party::seal(&mut sides[1], b"his", &mut rng);
                prop_assert!(open(&mut sides[0], &envelope).is_ok());
                heard |= new && n > 0;
                if !new {
                    heard = false;
                }
            }
            let said = sides[1].acknowledgement();
            prop_assert!(said >= before, "{:?} after {:?}", said, before);
            before = said;
            let false_ones = known.difference(&opened).filter(|position| said.covers(**position)).count();
            prop_assert_eq!(false_ones, 0, "{:?}", said);
        }
    }

    #[test]
    fn what_a_lower_acknowledgement_covers_a_higher_one_covers_too(a: (u64, u32), b: (u64, u32), position: (u64, u32)) {
        let of = |(chain, count)| Acknowledged { chain, count };
        let (low, high) = (of(a.min(b)), of(a.max(b)));
        let position = Position { chain: position.0, n: position.1 };
        prop_assert!(low <= high && (!low.covers(position) || high.covers(position)));
        prop_assert_eq!(high.covers(position), position.chain < high.chain || (position.chain == high.chain && position.n < high.count));
    }

    // Tests [one-encoding].
    #[test]
    fn a_stored_session_is_the_same_session(seed: u64, turns in 0_usize..30, more in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut rng = rng(seed);
        let mut sides = talked(turns, &mut rng);
        for side in &mut sides {
            let stored = side.export();
            let read = Session::import(&stored).unwrap();
            prop_assert!(*read.export() == *stored);
            prop_assert_eq!((read.id(), read.status(), read.epoch()), (side.id(), side.status(), side.epoch()));
            prop_assert!(Session::import(&[&stored[..], &more].concat()).is_err());
            prop_assert!(Session::import(&stored[..stored.len() - more.len()]).is_err());
            *side = read;
        }
        let envelope = party::seal(&mut sides[(turns + 1) % 2], b"on", &mut rng);
        prop_assert!(open(&mut sides[turns % 2], &envelope).is_ok());
    }

    // Tests [open-then-commit].
    #[test]
    fn an_altered_message_changes_nothing_and_the_honest_one_still_opens(
        seed: u64, turns in 0_usize..12, places in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..9)
    ) {
        let mut rng = rng(seed);
        let mut sides = talked(turns, &mut rng);
        let from = (turns + 1) % 2;
        let envelope = party::seal(&mut sides[from], b"honest", &mut rng);
        let stored = sides[1 - from].export();
        for (at, change) in places {
            let mut altered = envelope.clone();
            altered[at.index(envelope.len())] ^= change;
            let refused = open(&mut sides[1 - from], &altered);
            prop_assert!(matches!(refused, Err(OpenError::Forged | OpenError::NotForThisSession | OpenError::NotAnEnvelope)));
            prop_assert!(*sides[1 - from].export() == *stored);
        }
        prop_assert_eq!(open(&mut sides[1 - from], &envelope), Ok(b"honest".to_vec()));
    }

    // Tests [init-block-is-bound].
    #[test]
    fn nothing_of_an_altered_first_message_makes_a_session(seed: u64, at in 1_usize..2_406, change in 1_u8..) {
        let mut rng = rng(seed);
        let [a, b] = people();
        let mut alice = a.initiate(b, &mut rng);
        let mut first = party::seal(&mut alice, b"hello", &mut rng);
        first[at] ^= change;
        let opened = Session::respond(&b.own(), &b.signed, Some(&b.one_time), &first, NOW);
        prop_assert!(opened.is_err(), "byte {}", at);
    }

    #[test]
    fn two_sessions_of_the_same_people_have_nothing_in_common(seeds: [u64; 2]) {
        prop_assume!(seeds[0] != seeds[1]);
        let [mut one, mut other] = seeds.map(|seed| talked(3, &mut rng(seed)));
        prop_assert!(one[0].id() == one[1].id() && one[0].id() != other[0].id());
        prop_assert!(one[0].init_id() != other[0].init_id());
        let mut rng = rng(seeds[0]);
        let envelope = party::seal(&mut one[0], b"one", &mut rng);
        prop_assert_eq!(open(&mut other[1], &envelope), Err(OpenError::NotForThisSession));
    }
}

proptest! {
    #![proptest_config(cases(12))]

    // Tests [gaps-are-bounded], [jump-is-logarithmic].
    #[test]
    fn the_keys_that_are_held_have_a_bound_whatever_is_lost(seed: u64, losses in prop::collection::vec(0_u32..60, 4..40)) {
        let mut rng = rng(seed);
        let mut sides = talked(4, &mut rng);
        for (at, lost) in losses.into_iter().enumerate() {
            let mut last = Vec::new();
            for _ in 0..=lost {
                last = party::seal(&mut sides[0], b"", &mut rng);
            }
            prop_assert!(open(&mut sides[1], &last).is_ok());
            prop_assert!(sides[1].held_keys() <= 2_048);
            if at % 5 == 4 {
                let answer = party::seal(&mut sides[1], b"", &mut rng);
                prop_assert!(open(&mut sides[0], &answer).is_ok());
            }
        }
    }

    // Tests [epoch-pace], [whoever-steps-mixes], [secret-until-activation].
    #[test]
    fn epochs_advance_together_whatever_is_lost(seed: u64, losses in prop::collection::vec(0_u8..8, 20..60)) {
        let mut rng = rng(seed);
        let mut sides = talked(0, &mut rng);
        for (turn, lost) in losses.iter().enumerate() {
            let from = (turn + 1) % 2;
            for letter in 0..3 {
                let envelope = party::seal(&mut sides[from], b"turn", &mut rng);
                if lost >> letter & 1 == 0 {
                    prop_assert!(open(&mut sides[1 - from], &envelope).is_ok());
                }
            }
            let [one, other] = [0, 1].map(|side: usize| sides[side].epoch());
            prop_assert!(one.abs_diff(other) <= 1, "{} and {}", one, other);
        }
        let before = sides[0].epoch();
        for turn in 0..24 {
            let envelope = party::seal(&mut sides[turn % 2], b"turn", &mut rng);
            prop_assert!(open(&mut sides[1 - turn % 2], &envelope).is_ok());
        }
        prop_assert!(sides[0].epoch() > before && sides[0].status() == Status::Confirmed);
    }
}
