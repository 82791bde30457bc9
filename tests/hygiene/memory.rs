//! Secrets in memory after their owners are gone: T25.
//!
//! A child process, this test binary again, makes keys and sessions whose every secret byte it can recompute, uses
//! them, drops them, and searches all of its own writable memory for them between the steps. Keys are compared byte by
//! byte with what a mask hides, so that the search itself is not what it finds.

mod life;
mod needle;
mod scan;

use std::{
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use life::Life;
use needle::{Kind, Needles};
use scan::{Found, Memory, Place};

/// Runs the child and shows what it says.
///
/// What is searched for: the seed and each of its children, device keys, prekeys and the link's secret; every secret
/// that a session drew or held, at each step of a conversation with KEM epochs and lost messages. Halves of 16 bytes are
/// searched for, so that a clamped or half-overwritten copy is found too.
#[test]
fn t25_no_secret_is_left_in_memory() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hygiene::memory::searches_itself", "--ignored", "--nocapture"])
        .args(["--test-threads", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let complained = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{said}\n{complained}");
    let summary: Vec<&str> = said.lines().filter(|line| line.contains("memory:")).collect();
    assert_eq!(summary.len(), 7, "{said}\n{complained}");
    eprintln!("{}", summary.join("\n"));
}

/// What the thread that lives the secrets' life tells the one that searches.
enum Step {
    /// Everything is in use. With it, an address on this thread's stack.
    Alive(Needles, u64),
    /// Everything was dropped.
    Dropped,
    /// Another life was lived on the same stack, and is over too.
    LivedAgain,
    /// One key was leaked on purpose, and one was freed without being wiped.
    Leaked(Needles),
}

#[test]
#[ignore = "run by t25_no_secret_is_left_in_memory, in a process of its own"]
fn searches_itself() {
    let (tell, told) = channel();
    let (go_on, went_on) = channel();
    let lives = thread::spawn(move || live(&tell, &went_on));
    let (mut memory, mut known, mut stack) = (Memory::of_this_process(), Needles::default(), 0);
    for step in told {
        match step {
            Step::Alive(needles, on_stack) => {
                (known, stack) = (needles, on_stack);
                let found = memory.search(&known, stack);
                // The search works: what is in use is found.
                let missing = found.missing(&known, Kind::Held);
                assert!(missing.is_empty(), "in use and not found: {missing:?}");
                report("in use, the held", &found, &known, Kind::Held);
                let past = report("in use, the past", &found, &known, Kind::Past);
                assert!(past.is_empty(), "outlived its use: {past:#?}");
            }
            Step::Dropped => {
                let found = memory.search(&known, stack);
                for kind in [Kind::Held, Kind::Past] {
                    let left = report("dropped", &found, &known, kind);
                    assert!(left.is_empty(), "left behind: {left:#?}");
                }
            }
            Step::LivedAgain => {
                let found = memory.search(&known, stack);
                for kind in [Kind::Held, Kind::Past] {
                    let mut left = report("dropped, and others used since", &found, &known, kind);
                    left.extend(found.of(&known, kind, Place::Stack));
                    assert!(left.is_empty(), "left behind: {left:#?}");
                }
            }
            Step::Leaked(needles) => {
                let found = memory.search(&needles, stack);
                let missing = found.missing(&needles, Kind::Held);
                assert!(missing.is_empty(), "leaked and not found: {missing:?}");
                report("leaked on purpose", &found, &needles, Kind::Held);
            }
        }
        go_on.send(()).unwrap();
    }
    lives.join().unwrap();
}

/// Says how many keys of this kind were found, and which on the stack; returns those that were found elsewhere.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn report(when: &str, found: &Found, needles: &Needles, kind: Kind) -> Vec<String> {
    let elsewhere = found.of(needles, kind, Place::Elsewhere);
    let stack = found.of(needles, kind, Place::Stack);
    let (all, here, there) = (needles.count(kind), elsewhere.len(), stack.len());
    println!("memory: {when}, {kind:?}: of {all} keys {here} found, and {there} on the stack");
    for hit in stack {
        println!("    on the stack: {hit}");
    }
    elsewhere
}

/// The life of the secrets, on a stack of its own that stays mapped until the last search.
fn live(tell: &Sender<Step>, went_on: &Receiver<()>) {
    let mut needles = Needles::default();
    let life = Life::lived(1, &mut needles);
    life.note(&mut needles);
    let on_stack = &raw const life as u64;
    tell.send(Step::Alive(needles, on_stack)).unwrap();
    went_on.recv().unwrap();

    drop(life);
    tell.send(Step::Dropped).unwrap();
    went_on.recv().unwrap();

    let mut others = Needles::default();
    Life::lived(2, &mut others).note(&mut others);
    tell.send(Step::LivedAgain).unwrap();
    went_on.recv().unwrap();

    let mut needles = Needles::default();
    life::leak(&mut needles);
    tell.send(Step::Leaked(needles)).unwrap();
    went_on.recv().unwrap();
}
