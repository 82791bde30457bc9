//! How a command ends when it does not end well: what to say, and the exit code.

use std::process::ExitCode;

use chopmark::{Error, StoreError};
use chopmark_pay::{PayError, RedeemError};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    text: String,
}

/// The exit codes, as `chop --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    /// Kept, and it goes on.
    NotInTime = 4,
    Refused = 5,
    Locked = 6,
    /// Whoever read our output has gone: nothing is wrong.
    Closed = 0,
}

pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(Kind::Failed, text)
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Kind::Usage, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, text)
    }

    pub(crate) fn not_in_time(text: impl Into<String>) -> Self {
        Self::new(Kind::NotInTime, text)
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(Kind::Refused, text)
    }

    /// The same, with the step in which it happened.
    pub(crate) fn during(&self, step: &str) -> Self {
        Self::new(self.kind, format!("in the step \"{step}\": {}", self.text))
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        if self.kind != Kind::Closed {
            crate::show::complain(&self.text);
        }
        ExitCode::from(self.kind as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Store(error) => error.into(),
            Error::NoSuchContact => {
                Self::not_found("there is no such contact: `chop contacts` lists them")
            }
            Error::NoSuchLink => Self::not_found("there is no such link: `chop links` lists them"),
            Error::NoSuchPayment => {
                Self::not_found("there is no such request: `chop requests` lists them")
            }
            Error::Link(_)
            | Error::OwnLink
            | Error::RelayAddress
            | Error::Issuer
            | Error::Text(_) => Self::usage(text),
            Error::Pay(PayError::InsufficientFunds { .. }) => Self::failed(format!(
                "not enough money: {text}; `chop balance` shows what there is, `chop redeem` takes in more"
            )),
            Error::Pay(PayError::Expired | PayError::WrongPayee | PayError::OwnRequest) => {
                Self::refused(text)
            }
            Error::Redeem(RedeemError::Malformed) => Self::usage(text),
            Error::Redeem(RedeemError::NotListed | RedeemError::Locked) => Self::refused(text),
            _ => Self::failed(text),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::NotThere => Self::not_found(
                "there is no home here: make one with `chop init`, or name another with --home",
            ),
            StoreError::WrongKey => Self::new(
                Kind::Locked,
                "wrong passphrase or key file for this home; nothing was changed",
            ),
            StoreError::KeyFile => Self::new(Kind::Locked, text),
            _ => Self::failed(text),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Kind::Closed, ""),
            _ => Self::failed(format!("the system refused: {error}")),
        }
    }
}
