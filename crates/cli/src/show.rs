//! What is printed, and how: lines for people, or one JSON object a line.
//!
//! What other people wrote is shown, never obeyed: characters that steer a terminal or reorder a line are replaced.

use std::io::{self, Write as _};

use serde_json::Value;

use crate::outcome::Done;

/// Standard output, in the form that was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Show {
    json: bool,
}

impl Show {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// One result: the object for programs, the text for people. Each is made only if it is wanted.
    pub(crate) fn one(self, object: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Done {
        match self.json {
            true => print(&object().to_string()),
            false => print(&text()),
        }
    }

    /// As [`Show::one`], for an object whose fields have an order.
    pub(crate) fn record(
        self,
        record: &impl serde::Serialize,
        text: impl FnOnce() -> String,
    ) -> Done {
        match self.json {
            true => print(&serde_json::to_string(record).map_err(std::io::Error::from)?),
            false => print(&text()),
        }
    }

    /// Something that only a person wants to read.
    pub(crate) fn text(self, text: &str) -> Done {
        match self.json {
            true => Ok(()),
            false => print(text),
        }
    }

    /// A list: an object a line, or a table; `nothing` if it is empty.
    pub(crate) fn list<const N: usize>(
        self,
        rows: Vec<(Value, [String; N])>,
        heads: [&str; N],
        nothing: &str,
    ) -> Done {
        if self.json {
            return rows.iter().try_for_each(|(object, _)| print(&object.to_string()));
        }
        if rows.is_empty() {
            return print(nothing);
        }
        let cells: Vec<[String; N]> = rows.into_iter().map(|(_, cells)| cells).collect();
        print(&table(&heads.map(str::to_owned), &cells))
    }
}

/// Columns as wide as their widest cell, two spaces between them; the last is not padded.
fn table<const N: usize>(heads: &[String; N], rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in std::iter::once(heads).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(heads).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

fn print(text: &str) -> Done {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// One or two lines for whoever asked, on standard error.
pub(crate) fn complain(text: &str) {
    // If nobody hears it, nobody can be told.
    let _ = writeln!(io::stderr().lock(), "chop: {text}");
}

/// Asks at the terminal, on standard error, so that standard output stays what was asked for.
pub(crate) fn confirm(question: &str) -> Done<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Text of someone else's: what would steer the terminal, hide or reorder is replaced; further lines are indented.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\n    "),
            '\t' => out.push(' '),
            _ if character.is_control() || is_hidden(character) => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

/// Overrides of direction, and characters without a shape that can imitate another text.
const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The beginning of an id, enough to name it by.
pub(crate) fn short(id: &impl std::fmt::Display) -> String {
    id.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail with `is_control` removed.
    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(plain("\x1b[2Jgone\r"), "\u{fffd}[2Jgone\u{fffd}");
        assert_eq!(plain("\u{9b}31m"), "\u{fffd}31m");
        assert_eq!(plain("12.50 \u{202e}00.1"), "12.50 \u{fffd}00.1");
        assert_eq!(plain("one\ntwo"), "one\n    two");
        assert_eq!(plain("Grüße, 你好 ☕"), "Grüße, 你好 ☕");
    }

    #[test]
    fn columns_line_up() {
        let heads = ["name".to_owned(), "id".to_owned()];
        let rows = [["bob".to_owned(), "7f".to_owned()], ["christina".to_owned(), "1".to_owned()]];
        assert_eq!(table(&heads, &rows), "name       id\nbob        7f\nchristina  1");
    }
}
