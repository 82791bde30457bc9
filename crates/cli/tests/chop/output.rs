//! What is printed: objects for programs, lines for people, and nothing that breaks when nobody reads on.

use std::process::Stdio;

use crate::harness::{NO_ISSUER, Person, Worker};

#[test]
fn a_closed_pipe_is_no_panic() {
    let person = Person::new(crate::harness::NO_RELAY, NO_ISSUER);
    for args in [&["balance"][..], &["contacts"], &["listen", "--timeout", "1s"], &["--help"]] {
        let mut command = person.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        assert!(output.status.code().is_some(), "{args:?} ended by itself");
    }
}

#[test]
fn what_someone_else_wrote_does_not_reach_the_terminal_as_it_is() {
    let relay = Worker::relay();
    let people = (Person::new(&relay.address, NO_ISSUER), Person::new(&relay.address, NO_ISSUER));
    let (alice, bob) = people;
    let link = bob.json(&["link"]);
    assert_eq!(alice.chop(&["add", link["link"].as_str().unwrap(), "bob"]).code, 0);
    let text = "\u{1b}[2J\u{1b}]0;gone\u{7}12.50 \u{202e}00.1";
    assert_eq!(alice.chop(&["send", "bob", text]).code, 0);
    let heard = bob.chop(&["listen", "--count", "2", "--timeout", "20s"]);
    assert_eq!(heard.code, 0, "{heard:?}");
    assert!(heard.out.contains("12.50"), "{heard:?}");
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!heard.out.contains(steers), "{heard:?}");
    // A program gets it as it was.
    let contact = bob.json(&["contacts"]);
    let history = bob.json(&["history", &contact["id"].as_str().unwrap()[..12]]);
    assert_eq!(history["text"], text);
}

#[test]
fn help_lists_the_exit_codes() {
    let person = Person::new(crate::harness::NO_RELAY, NO_ISSUER);
    let help = person.chop(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes:") && help.out.contains("6  locked"), "{}", help.out);
    assert!(!help.out.contains("__"), "the demo's own commands are not for people");
}
