//! Text that matters for money: a merchant's name, a line item, a memo (SPEC §7.6).
//!
//! What is shown beside an amount must be what was sent: a character that reorders, hides or imitates space is
//! refused, not repaired, because the text is signed.

use std::fmt;

use thiserror::Error;

/// Text that shows what it contains (SPEC §7.6).
///
/// ```
/// use chopmark_wire::display::DisplayText;
/// assert_eq!(DisplayText::parse("two coffees", 64)?.as_str(), "two coffees");
/// assert!(DisplayText::parse("12.50 \u{202e}00.1", 64).is_err());
/// # Ok::<(), chopmark_wire::display::DisplayTextError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DisplayText(String);

/// Text that may not stand beside an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DisplayTextError {
    /// Longer than its field allows.
    #[error("text is longer than {0} bytes")]
    TooLong(usize),
    /// Begins or ends with a space.
    #[error("text begins or ends with a space")]
    Edge,
    /// A character that is invisible, reorders others or controls a terminal, at this byte.
    #[error("text has a character at byte {0} that does not show")]
    Hidden(usize),
}

impl DisplayText {
    /// Checks `text`, of at most `max` bytes; it may be empty.
    ///
    /// # Errors
    /// Which rule of SPEC §7.6 it breaks.
    pub fn parse(text: &str, max: usize) -> Result<Self, DisplayTextError> {
        if text.len() > max {
            return Err(DisplayTextError::TooLong(max));
        }
        let mut before = ' ';
        for (index, character) in text.char_indices() {
            // The emoji selector is innocent behind a symbol, and keyboards put it there.
            let selector = character == '\u{fe0f}' && before > '\u{2000}' && !is_hidden(before);
            if is_hidden(character) && !selector {
                return Err(DisplayTextError::Hidden(index));
            }
            before = character;
        }
        if text.starts_with(is_space) || text.ends_with(is_space) {
            return Err(DisplayTextError::Edge);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is there nothing to show?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `text` with every character replaced by U+FFFD that [`DisplayText`] would refuse: for text of strangers that is shown
/// but not signed, such as a name.
pub fn sanitised(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

impl fmt::Display for DisplayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people buy is nobody else's business: not for logs.
impl fmt::Debug for DisplayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayText({} bytes)", self.0.len())
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{3000}')
}

/// Controls, format characters, fillers, tags, selectors, odd spaces, private use and noncharacters.
fn is_hidden(c: char) -> bool {
    let plane_end = u32::from(c) & 0xfffe == 0xfffe;
    plane_end || c.is_control() || HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Ranges of Unicode 16 that show nothing, or change how others show. Controls are asked of `char`.
const HIDDEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),        // soft hyphen
    ('\u{34f}', '\u{34f}'),      // grapheme joiner
    ('\u{600}', '\u{605}'),      // Arabic number signs
    ('\u{61c}', '\u{61c}'),      // Arabic letter mark
    ('\u{6dd}', '\u{6dd}'),      // Arabic end of ayah
    ('\u{70f}', '\u{70f}'),      // Syriac abbreviation mark
    ('\u{890}', '\u{891}'),      // Arabic currency marks above
    ('\u{8e2}', '\u{8e2}'),      // Arabic disputed end of ayah
    ('\u{115f}', '\u{1160}'),    // Hangul fillers
    ('\u{1680}', '\u{1680}'),    // Ogham space
    ('\u{17b4}', '\u{17b5}'),    // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),    // Mongolian selectors and separator
    ('\u{2000}', '\u{200f}'),    // spaces of many widths, zero-width characters, direction marks
    ('\u{2028}', '\u{202e}'),    // line and paragraph separators, embeddings and overrides
    ('\u{205f}', '\u{206f}'),    // mathematical space, joiners, isolates
    ('\u{2800}', '\u{2800}'),    // empty braille cell
    ('\u{3164}', '\u{3164}'),    // Hangul filler
    ('\u{e000}', '\u{f8ff}'),    // private use
    ('\u{fdd0}', '\u{fdef}'),    // noncharacters
    ('\u{fe00}', '\u{fe0f}'),    // variation selectors
    ('\u{feff}', '\u{feff}'),    // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),    // half-width Hangul filler
    ('\u{fff0}', '\u{fffc}'),    // specials but the replacement character
    ('\u{110bd}', '\u{110bd}'),  // Kaithi number sign
    ('\u{110cd}', '\u{110cd}'),  // Kaithi number sign above
    ('\u{13430}', '\u{1345f}'),  // Egyptian format controls
    ('\u{16fe4}', '\u{16fe4}'),  // Khitan filler
    ('\u{1bca0}', '\u{1bca3}'),  // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'),  // musical format controls
    ('\u{e0000}', '\u{10ffff}'), // tags, more selectors, private planes
];

#[cfg(test)]
mod tests {
    use super::*;

    // Tests [display-text]. Seen to fail with the row of the overrides removed.
    #[test]
    fn what_hides_or_reorders_is_refused() {
        for hidden in [
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{200d}',
            '\u{feff}',
            '\u{61c}',
            '\u{ad}',
            '\u{7f}',
            '\n',
            '\u{1b}',
            '\u{85}',
            '\u{2028}',
            '\u{3164}',
            '\u{e0041}',
            '\u{2009}',
            '\u{e000}',
            '\u{1ffff}',
        ] {
            let text = format!("ab{hidden}c");
            assert_eq!(DisplayText::parse(&text, 64), Err(DisplayTextError::Hidden(2)), "{text:?}");
            assert_eq!(sanitised(&text), "ab\u{fffd}c");
        }
    }

    #[test]
    fn what_people_write_is_taken() {
        for text in
            ["", "Café Zürich", "咖啡 两杯", "☕\u{fe0f} flat white", "قهوة", "12\u{a0}€", "नमस्ते"]
        {
            assert_eq!(DisplayText::parse(text, 64).unwrap().as_str(), text);
        }
        assert_eq!(DisplayText::parse("a\u{fe0f}", 64), Err(DisplayTextError::Hidden(1)));
        assert_eq!(DisplayText::parse(" a", 64), Err(DisplayTextError::Edge));
        assert_eq!(DisplayText::parse("abc", 2), Err(DisplayTextError::TooLong(2)));
    }
}
