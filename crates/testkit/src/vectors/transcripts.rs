//! The conversations that are written down.

use super::{
    Vector,
    device::encoded,
    drawn,
    manifest::entry,
    transcript::{DAY, Transcript},
};

/// Where parts of an envelope of version 1 begin.
const HEADER: usize = 1;
const BODY: usize = 73;
const END: usize = 2048;

pub(super) fn cases() -> Vec<Vector> {
    let mut cases = vec![first_message(), without_one_time(), several_first(), introduced_late()];
    cases.extend([confirms(), second_epoch(), third_epoch(), lifts(), object_waits()]);
    cases.extend([lost(), reordered(), reordered_over_chains(), duplicated(), buckets()]);
    cases.extend([altered_first(), altered_later(), falls_back(), forks(), own_fall_back()]);
    cases.extend([gap_expires(), acknowledges_gaps(), late_object(), overdue_by_time()]);
    cases.extend([gapped_chains(), reflected(), overdue_by_count(), node_bound()]);
    cases.push(answers_another_life());
    cases.into_iter().map(|transcript| transcript.vector).collect()
}

fn first_message() -> Transcript {
    Transcript::new("first-message", "A writes, B answers; no more.").meet()
}

fn without_one_time() -> Transcript {
    let comment = "The same without a one-time prekey, and a reply.";
    let mut transcript = Transcript::with("first-message-without-one-time", comment, false).meet();
    let reply = transcript.seal("B", "hi");
    transcript.open("A", reply);
    transcript
}

fn several_first() -> Transcript {
    let comment =
        "Three messages before any reply: each carries the init block; the second comes first.";
    let mut transcript = Transcript::new("several-first-messages", comment);
    let sealed = ["one", "two", "three"].map(|content| transcript.seal("A", content));
    transcript.open("B", sealed[1]);
    transcript.open("B", sealed[0]);
    transcript.open("B", sealed[0]);
    transcript.open("B", sealed[2]);
    transcript.run("introduce B");
    let reply = transcript.seal("B", "hi");
    transcript.open("A", reply);
    let after = transcript.seal("A", "no init block any more");
    transcript.open("B", after);
    transcript
}

fn introduced_late() -> Transcript {
    let comment = "B cannot seal before A's entry is known; another entry is refused.";
    let mut transcript = Transcript::new("introduced-late", comment);
    let first = transcript.seal("A", "hello");
    transcript.open("B", first);
    transcript.seal("B", "too early");
    transcript.step("introduce B", None, Some(encoded(&entry("C", 3))));
    transcript.step("introduce B", None, Some(encoded(&entry("A", 5))));
    transcript.seal("B", "still too early");
    transcript.run("introduce B");
    let reply = transcript.seal("B", "now");
    transcript.open("A", reply);
    transcript
}

fn confirms() -> Transcript {
    let comment = "ct3 comes back, A mixes it: both sides are Confirmed.";
    Transcript::confirmed("confirms", comment)
}

fn second_epoch() -> Transcript {
    let comment =
        "Ping-pong until epoch 2: B makes a key after 8 messages, A encapsulates, B mixes.";
    let mut transcript = Transcript::confirmed("second-epoch", comment);
    transcript.exchange("B", "A", 7);
    transcript
}

fn third_epoch() -> Transcript {
    let comment = "Ping-pong until epoch 3: A's turn to make a key.";
    let mut transcript = Transcript::confirmed("third-epoch", comment);
    transcript.exchange("B", "A", 12);
    transcript
}

fn lifts() -> Transcript {
    let comment =
        "ct3 has no room beside the content: epoch 1 is overdue and lifts the bucket, once.";
    let mut transcript = Transcript::new("overdue-lifts", comment).meet();
    let (one, two) = (transcript.seal_long("B", 1900), transcript.seal_long("B", 1900));
    transcript.open("A", two);
    transcript.open("A", one);
    let reply = transcript.seal("A", "mixed");
    transcript.open("B", reply);
    transcript
}

fn object_waits() -> Transcript {
    let comment = "A key that is not overdue waits for a message with room.";
    let mut transcript = Transcript::confirmed("object-waits", comment);
    for _ in 0..5 {
        let ping = transcript.seal_long("B", 1900);
        transcript.open("A", ping);
        let pong = transcript.seal_long("A", 1900);
        transcript.open("B", pong);
    }
    let (full, room) = (transcript.seal_long("B", 1900), transcript.seal("B", "room"));
    transcript.open("A", full);
    transcript.open("A", room);
    transcript.exchange("A", "B", 2);
    transcript
}

fn lost() -> Transcript {
    let comment =
        "Messages are lost in a chain and at its end; what came stays acknowledged so far.";
    let mut transcript = Transcript::confirmed("lost", comment);
    let sealed: Vec<usize> =
        (0..5).map(|n| transcript.seal("B", &format!("message {n}"))).collect();
    transcript.open("A", sealed[0]);
    transcript.open("A", sealed[3]);
    transcript.exchange("A", "B", 2);
    transcript
}

fn reordered() -> Transcript {
    let comment = "Messages of one chain in another order.";
    let mut transcript = Transcript::confirmed("reordered", comment);
    let sealed: Vec<usize> =
        (0..6).map(|n| transcript.seal("B", &format!("message {n}"))).collect();
    for at in [4, 0, 5, 2, 1, 3] {
        transcript.open("A", sealed[at]);
    }
    transcript.exchange("A", "B", 1);
    transcript
}

fn reordered_over_chains() -> Transcript {
    let comment =
        "A new chain comes before the rest of the one before, and that before the one before.";
    let mut transcript = Transcript::confirmed("reordered-over-chains", comment);
    let mut late = Vec::new();
    for round in 0..3 {
        late.push(transcript.seal("B", &format!("late of chain {round}")));
        transcript.exchange("B", "A", 1);
    }
    for envelope in late.into_iter().rev() {
        transcript.open("A", envelope);
        transcript.open("A", envelope);
    }
    transcript.exchange("A", "B", 1);
    transcript
}

fn duplicated() -> Transcript {
    let comment = "Each message twice, at once and after a chain: refused, and nothing changes.";
    let mut transcript = Transcript::confirmed("duplicated", comment);
    let (one, two) = (transcript.seal("B", "one"), transcript.seal("B", "two"));
    transcript.open("A", one);
    transcript.open("A", one);
    transcript.open("A", two);
    transcript.exchange("A", "B", 1);
    transcript.open("A", two);
    let later = transcript.seal("B", "three");
    transcript.open("A", later);
    transcript
}

fn buckets() -> Transcript {
    let comment = "Contents at the edges of the buckets, and the longest.";
    let mut transcript = Transcript::confirmed("buckets", comment);
    for length in [0, 1942, 1943, 3990, 3991, 64_147, 64_148] {
        let sealed = transcript.seal_long("B", length);
        if length < 64_000 {
            transcript.open("A", sealed);
        }
    }
    transcript.exchange("A", "B", 1);
    transcript
}

fn altered_first() -> Transcript {
    let comment =
        "A first message altered in each part makes no session; the right one still does.";
    let mut transcript = Transcript::new("altered-first-message", comment);
    let first = transcript.seal("A", "hello");
    // Version, signed prekey id, flag, one-time id, EK, ct1, ct2, box, header, body, tag.
    for at in [0, 4, 5, 9, 10, 42, 1130, 2218, 2334, 2406, 4095] {
        transcript.open_altered("B", first, at);
    }
    transcript.run("open B 01 cut");
    transcript.open("B", first);
    transcript.open_altered("B", first, 10);
    transcript.open_altered("B", first, 1130);
    transcript.open("B", first);
    transcript
}

fn altered_later() -> Transcript {
    let comment =
        "A later message altered in each part changes nothing; the right one still opens.";
    let mut transcript = Transcript::confirmed("altered", comment);
    let sealed = transcript.seal("B", "here");
    for at in [0, HEADER, BODY - 1, BODY, END - 17, END - 16, END - 1] {
        transcript.open_altered("A", sealed, at);
    }
    transcript.open("A", sealed);
    transcript.open_altered("A", sealed, BODY);
    transcript
}

fn falls_back() -> Transcript {
    let comment =
        "B falls back to an older state and seals another message at an index that A opened.";
    let mut transcript = Transcript::confirmed("peer-falls-back", comment);
    let first = transcript.seal("B", "one");
    transcript.open("A", first);
    transcript.run("keep B");
    let second = transcript.seal("B", "two");
    transcript.open("A", second);
    transcript.run("swap B");
    let again = transcript.seal("B", "another two");
    transcript.open("A", again);
    transcript
}

fn forks() -> Transcript {
    let comment = "Two devices use one state: each begins the chain with a key of its own.";
    let mut transcript = Transcript::confirmed("peer-forks", comment);
    transcript.run("keep B");
    let one = transcript.seal("B", "I");
    transcript.open("A", one);
    transcript.run("swap B");
    transcript.forget_chain_of_b();
    let other = transcript.seal("B", "I too");
    transcript.open("A", other);
    transcript
}

fn own_fall_back() -> Transcript {
    let comment = "A fell back: B acknowledges what A's state never sent.";
    let mut transcript = Transcript::confirmed("own-state-falls-back", comment);
    let ping = transcript.seal("B", "ping");
    transcript.open("A", ping);
    let first = transcript.seal("A", "one");
    transcript.open("B", first);
    transcript.run("keep A");
    let second = transcript.seal("A", "two");
    transcript.open("B", second);
    let reply = transcript.seal("B", "seen");
    transcript.run("swap A");
    transcript.open("A", reply);
    transcript
}

fn gap_expires() -> Transcript {
    let comment = "A gap of 30 days ago is given up; acknowledgement stays before it.";
    let mut transcript = Transcript::confirmed("gap-expires", comment);
    let sealed: Vec<usize> =
        (0..3).map(|n| transcript.seal("B", &format!("message {n}"))).collect();
    transcript.open("A", sealed[0]);
    transcript.open("A", sealed[2]);
    transcript.exchange("A", "B", 1);
    transcript.run(&format!("wait {}", 31 * DAY));
    transcript.exchange("B", "A", 1);
    transcript.open("A", sealed[1]);
    transcript.exchange("A", "B", 1);
    transcript
}

fn acknowledges_gaps() -> Transcript {
    let comment =
        "What is acknowledged stops at the first gap of the oldest chain, until it is filled.";
    let mut transcript = Transcript::confirmed("acknowledges-gaps", comment);
    let early: Vec<usize> = (0..3).map(|n| transcript.seal("B", &format!("early {n}"))).collect();
    transcript.open("A", early[1]);
    transcript.exchange("A", "B", 2);
    transcript.open("A", early[0]);
    transcript.exchange("A", "B", 1);
    transcript.open("A", early[2]);
    transcript.exchange("A", "B", 1);
    transcript
}

fn late_object() -> Transcript {
    let comment = "ct3 comes again in an old chain after epoch 1 was mixed: ignored.";
    let mut transcript = Transcript::new("late-object", comment).meet();
    let late = transcript.seal("B", "with ct3, and late");
    let second = transcript.seal("B", "second");
    transcript.open("A", second);
    transcript.exchange("A", "B", 1);
    transcript.exchange("A", "B", 1);
    transcript.open("A", late);
    transcript.exchange("A", "B", 1);
    transcript
}

fn overdue_by_time() -> Transcript {
    let comment = "A key that waits for room is overdue after 7 days and lifts the bucket.";
    let mut transcript = Transcript::confirmed("overdue-by-time", comment);
    for _ in 0..5 {
        let ping = transcript.seal_long("B", 1900);
        transcript.open("A", ping);
        let pong = transcript.seal_long("A", 1900);
        transcript.open("B", pong);
    }
    transcript.run(&format!("wait {}", 7 * DAY));
    let lifted = transcript.seal_long("B", 1900);
    transcript.open("A", lifted);
    // A's ciphertext is not overdue yet by count, but by time: it lifts a short message all the same.
    transcript.exchange("A", "B", 1);
    transcript
}

fn gapped_chains() -> Transcript {
    let comment =
        "Six ended chains with gaps are one too many: the oldest is given up, the next one not.";
    let mut transcript = Transcript::confirmed("gapped-chains", comment);
    let mut late = Vec::new();
    for round in 0..7 {
        late.push(transcript.seal("B", &format!("late of chain {round}")));
        let second = transcript.seal("B", "second");
        transcript.open("A", second);
        let reply = transcript.seal("A", "reply");
        transcript.open("B", reply);
    }
    for envelope in &late[..3] {
        transcript.open("A", *envelope);
    }
    transcript.exchange("A", "B", 1);
    transcript
}

fn reflected() -> Transcript {
    let comment = "Messages given back to who sealed them, and noise of the right length.";
    let mut transcript = Transcript::new("reflected", comment);
    let first = transcript.seal("A", "hello");
    transcript.open("A", first);
    transcript.open("B", first);
    transcript.run("introduce B");
    let reply = transcript.seal("B", "hi");
    transcript.open("B", reply);
    transcript.open("A", reply);
    let later = transcript.seal("A", "later");
    transcript.open("A", later);
    let mut noise = drawn::<2048>("session reflected: noise");
    noise[0] = 1;
    transcript.deliver("B", noise.to_vec());
    transcript.deliver("B", noise[..2047].to_vec());
    transcript.open("B", later);
    transcript
}

fn overdue_by_count() -> Transcript {
    let comment =
        "A key that waits for room is overdue with the 50th message and lifts the bucket.";
    let mut transcript = Transcript::confirmed("overdue-by-count", comment);
    transcript.exchange("B", "A", 2);
    for _ in 0..23 {
        // The shortest that leaves no room for a key.
        let ping = transcript.seal_long("B", 1943 - 1184);
        transcript.open("A", ping);
        let pong = transcript.seal_long("A", 1);
        transcript.open("B", pong);
    }
    transcript.exchange("B", "A", 2);
    transcript
}

fn node_bound() -> Transcript {
    let comment =
        "Messages far apart in one chain leave more than 2,048 nodes: the lowest are given up.";
    let mut transcript = Transcript::confirmed("node-bound", comment);
    let early = transcript.seal("B", "before all gaps");
    let mut sealed = Vec::new();
    for place in 1..=84_u32 {
        transcript.run(&format!("skip B {}", place << 25));
        sealed.push(transcript.seal("B", "far apart"));
    }
    for envelope in &sealed {
        transcript.open("A", *envelope);
    }
    // Below the watermark, and above.
    transcript.open("A", early);
    transcript.open("A", sealed[0]);
    transcript.open("A", sealed[83]);
    transcript.exchange("A", "B", 1);
    transcript
}

fn answers_another_life() -> Transcript {
    let comment =
        "A's state is in use twice: B answers a step that this one, which owes it, never made.";
    let mut transcript = Transcript::confirmed("own-state-in-use-twice", comment);
    let ping = transcript.seal("B", "ping");
    transcript.open("A", ping);
    transcript.run("keep A");
    let by_the_other = transcript.seal("A", "by the other");
    transcript.open("B", by_the_other);
    let answer = transcript.seal("B", "to the other");
    transcript.run("swap A");
    transcript.open("A", answer);
    transcript
}
