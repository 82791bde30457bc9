//! Who may make mailboxes, as the settings and a file of hashes say.

use chopmark_mailbox::relay::Access;
use chopmark_wire::relay::AccessTokenHash;
use thiserror::Error;

use crate::settings::{self, AccessMode};

/// Why the file of tokens cannot be used. The texts hold no line of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum AccessError {
    /// It cannot be read.
    #[error("the file of access.tokens cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not a hash.
    #[error("line {0} of the file of access.tokens is not 64 hexadecimal digits")]
    Line(usize),
}

/// Reads the file, if the mode wants one.
pub(crate) fn who_may(settings: &settings::Access) -> Result<Access, AccessError> {
    match (settings.mode, &settings.tokens) {
        (AccessMode::Open, _) => Ok(Access::Open),
        (AccessMode::Tokens, Some(path)) => {
            let text = std::fs::read_to_string(path)?;
            let lines = text.lines().map(str::trim).zip(1..);
            lines
                .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
                .map(|(line, number)| {
                    AccessTokenHash::from_hex(line).ok_or(AccessError::Line(number))
                })
                .collect::<Result<_, _>>()
                .map(Access::Tokens)
        }
        // Failing closed.
        _ => Ok(Access::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_a_line_each_and_a_wrong_line_is_named_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings =
            settings::Access { mode: AccessMode::Tokens, tokens: Some(file.path().to_owned()) };
        std::fs::write(
            file.path(),
            format!("# first\n\n{}\n {}\n", "0a".repeat(32), "1b".repeat(32)),
        )
        .unwrap();
        let Ok(Access::Tokens(hashes)) = who_may(&settings) else { panic!("no tokens") };
        assert_eq!(hashes[1].to_hex(), "1b".repeat(32));
        assert_eq!(hashes.len(), 2);
        std::fs::write(file.path(), "\nsecret\n").unwrap();
        let error = who_may(&settings).unwrap_err().to_string();
        assert!(error.contains("line 2") && !error.contains("secret"), "{error}");
    }
}
