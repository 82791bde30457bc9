//! Says what happens, in calm short lines, and remembers the step for when something does not hold.

use std::cell::RefCell;
use std::io::Write as _;

use crate::outcome::{Done, Failure};

/// Standard output for people; standard error beside the JSON object.
pub(super) struct Narrator {
    aside: bool,
    step: RefCell<String>,
}

impl Narrator {
    pub(super) fn new(aside: bool) -> Self {
        Self { aside, step: RefCell::new("starting".to_owned()) }
    }

    /// A new step begins.
    pub(super) fn step(&self, text: &str) -> Done {
        text.clone_into(&mut self.step.borrow_mut());
        self.say(&format!("\n{text}"))
    }

    /// Something was seen.
    pub(super) fn seen(&self, text: &str) -> Done {
        self.say(&format!("  · {text}"))
    }

    /// A line.
    pub(super) fn say(&self, text: &str) -> Done {
        match self.aside {
            true => Ok(writeln!(std::io::stderr().lock(), "{text}")?),
            false => Ok(writeln!(std::io::stdout().lock(), "{text}")?),
        }
    }

    /// A statement that must hold.
    pub(super) fn check(&self, holds: bool, statement: &str) -> Done {
        match holds {
            true => self.seen(statement),
            false => Err(Failure::failed(format!("this does not hold: {statement}"))),
        }
    }

    /// The failure with the step it came from.
    pub(super) fn failed(&self, failure: &Failure) -> Failure {
        failure.during(&self.step.borrow())
    }
}
