//! The puncturable tree of message keys. SPEC §5.3.

use chopmark_core::hazmat::chain::{Chain, NoKey};

use super::{Outcome, Outputs, Vector, drawn};

/// Days after which a gap is given up.
const GAP_DAYS: u32 = 30;

pub(super) fn cases() -> Vec<Vector> {
    let chain_key: [u8; 32] = drawn("chain: CK");
    let mut cases = Vec::new();
    for (n, what) in [
        (0, "The first leaf: segment 0 is this leaf alone."),
        (1, "Segment 1, left."),
        (2, "Segment 1, right."),
        (3, "Segment 2 begins."),
        (4, "Segment 2, left and right."),
        (6, "The last leaf of segment 2."),
        (7, "Segment 3 begins."),
        (62, "The last leaf of segment 5."),
        (63, "The first leaf of segment 6."),
        (1000, "Some leaf of segment 9."),
        (25_000, "A jump of 25,000."),
        (65_535, "Segment 16, the second leaf."),
        (1 << 31, "Leaf 2^31, the second of segment 31."),
        (2_863_311_530, "Leaf 0xaaaaaaaa: its bits alternate."),
        ((1 << 31) - 2, "The last leaf of segment 30."),
        ((1 << 31) - 1, "The first leaf of segment 31."),
        (u32::MAX - 1, "The last leaf that is used."),
    ] {
        let case = Vector::new(format!("leaf-{n:010}"), what, "ok");
        cases.push(case.with("operation", "leaf").with_bytes("CK", &chain_key).with("n", n));
    }
    let last = Vector::new("leaf-4294967295", "Index 2^32 - 1 is never used.", "beyond");
    let last = last.with("operation", "leaf").with_bytes("CK", &chain_key);
    cases.push(last.with("n", u32::MAX));
    let steps = |name: &str, comment: &str, expect: &str, steps: &str| {
        Vector::new(name, comment, expect)
            .with("operation", "steps")
            .with_bytes("CK", &chain_key)
            .with("steps", steps)
    };
    cases.extend([
        steps("take-in-order", "Leaves in order leave no node.", "ok", "take 0, take 1, take 2"),
        steps("take-3-first", "A jump to 3 leaves leaf 0, segment 1 and siblings.", "ok", "take 3"),
        steps("take-last-of-a-segment", "The last leaf of segment 3.", "ok", "take 14"),
        steps("take-25000-first", "A jump of 25,000 leaves few nodes.", "ok", "take 25000"),
        steps("take-2147483648-first", "A jump of 2^31.", "ok", "take 2147483648"),
        steps("take-backwards", "What was passed over is taken.", "ok", "take 6, take 5, take 0"),
        steps(
            "take-a-gap-within",
            "A gap in a gap: siblings stay.",
            "ok",
            "take 20, take 9, take 10",
        ),
        steps(
            "take-all-of-seven",
            "Seven leaves in any order.",
            "ok",
            "take 4, take 1, take 6, take 0, take 3, take 2, take 5",
        ),
        steps(
            "end-after-the-last",
            "An end where the chain is: the spine goes.",
            "ok",
            "take 0, take 1, take 2, end 3",
        ),
        steps("end-at-0", "A peer that never sent in its chain.", "ok", "end 0"),
        steps(
            "end-at-5",
            "An end within segment 2: leaves 3 and 4 stay, 5 and 6 go.",
            "ok",
            "take 0, end 5",
        ),
        steps("end-at-10-passed-over", "An end beyond what was taken.", "ok", "take 2, end 10"),
        steps("end-at-1000", "An end far away keeps O(log n) nodes.", "ok", "end 1000"),
        steps("end-at-2147483647", "An end where a segment ends.", "ok", "take 5, end 2147483647"),
        steps("end-at-4294967295", "The highest pn there is.", "ok", "take 5, end 4294967295"),
        steps(
            "end-then-take",
            "A leaf below the end is still taken.",
            "ok",
            "take 0, end 5, take 4",
        ),
        steps(
            "mark-and-expire",
            "Gaps below a note of 30 days ago are given up.",
            "ok",
            "take 3, mark 100, take 8, mark 101, expire 130",
        ),
        steps(
            "expire-too-early",
            "After 29 days nothing is given up.",
            "ok",
            "take 3, mark 100, take 8, expire 129",
        ),
        steps(
            "expire-an-ended-chain",
            "An end is a note of its length.",
            "ok",
            "take 3, end 9 day 100, expire 130",
        ),
        steps(
            "give-up-the-lowest",
            "The lowest gap is given up first.",
            "ok",
            "take 9, take 4, give up 1",
        ),
        steps("give-up-three", "Gaps that hold three nodes.", "ok", "take 9, take 4, give up 3"),
        steps("take-twice", "A leaf is taken once.", "replayed", "take 0, take 0"),
        steps(
            "take-twice-in-a-gap",
            "A leaf of a gap is taken once.",
            "replayed",
            "take 9, take 4, take 4",
        ),
        steps(
            "take-twice-after-the-end",
            "An end changes nothing of that.",
            "replayed",
            "take 4, end 9, take 4",
        ),
        steps(
            "take-beyond-the-end",
            "Nothing from the end on is taken.",
            "beyond",
            "take 0, end 5, take 5",
        ),
        steps(
            "take-far-beyond-the-end",
            "Nothing from the end on is taken.",
            "beyond",
            "take 0, end 5, take 2147483648",
        ),
        steps(
            "end-below-taken",
            "An end at the highest index taken.",
            "refused",
            "take 0, take 5, end 5",
        ),
        steps(
            "take-given-up",
            "What was given up is not taken.",
            "given up",
            "take 9, give up 3, take 1",
        ),
        steps(
            "take-expired",
            "What was given up is not taken.",
            "given up",
            "take 3, mark 100, take 8, expire 130, take 2",
        ),
        steps(
            "take-opened-below-the-watermark",
            "Below the watermark the two are not told apart.",
            "given up",
            "take 9, take 0, give up 3, take 0",
        ),
    ]);
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let mut chain = Chain::new(&vector.array("CK"));
    let no_key = |no_key| match no_key {
        NoKey::Taken => "replayed",
        NoKey::GivenUp => "given up",
        NoKey::Beyond => "beyond",
    };
    if vector.operation() == "leaf" {
        let leaf = chain.look(vector.number("n")).map_err(no_key)?;
        return Ok(Outputs::new().with_bytes("leaf", &leaf));
    }
    let mut outputs = Outputs::new();
    for step in vector.text("steps").split(", ") {
        let mut words = step.split(' ');
        let verb = words.next().unwrap_or_default();
        let numbers: Vec<u32> = words.filter_map(|word| word.parse().ok()).collect();
        match (verb, numbers.as_slice()) {
            ("take", [n]) => {
                let leaf = chain.take(*n).map_err(no_key)?;
                outputs = outputs.with_bytes(&format!("leaf {n}"), &leaf);
            }
            ("end", [length, day @ ..]) => {
                if !chain.end_at(*length, day.first().copied().unwrap_or(0)) {
                    return Err("refused");
                }
            }
            ("mark", [day]) => chain.mark(*day),
            ("expire", [day]) => drop(chain.expire(*day, GAP_DAYS)),
            ("give", [nodes]) => drop(chain.close_lowest_gaps(*nodes as usize)),
            _ => panic!("{}: step {step}", vector.name),
        }
    }
    for node in chain.nodes() {
        let key = format!("node {} of height {}", node.start, node.height);
        outputs = outputs.with_bytes(&key, &node.key);
    }
    if let Some((segment, key)) = chain.spine() {
        outputs = outputs.with_bytes(&format!("spine {segment}"), &key);
    }
    Ok(outputs.with("next", chain.next()).with("first gap", chain.contiguous()))
}
