//! The certificate of TLS: made here and made anew in time, or read from files that somebody else renews.
//!
//! Nothing here is of a relay. A relay's identity is not in its certificate (SPEC §6.2): clients take any, and then ask
//! for the identity's signature, so a swap breaks no link and no connection.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{self, PemObject as _},
};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::settings;

/// A chain and its private key.
#[derive(Debug)]
pub struct Certificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
    /// From when on the leaf is valid, in seconds of Unix time.
    pub begins: i64,
    /// Until when the leaf is valid, in seconds of Unix time.
    pub ends: i64,
}

/// Why there is no certificate. The one in use stays in use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read. The text names no path: which file it is, is said around it.
    #[error("the file cannot be read: {0}")]
    Io(std::io::Error),
    /// A file is no PEM, or has nothing of what it should.
    #[error("the file holds no {0} in PEM")]
    Pem(&'static str),
    /// The leaf is no X.509 certificate.
    #[error("the first certificate of the chain cannot be read")]
    Leaf,
    /// The key does not belong to the leaf.
    #[error("the private key is not that of the first certificate of the chain")]
    Mismatch,
    /// TLS cannot use the key.
    #[error("tls cannot use the private key: {0}")]
    Key(rustls::Error),
    /// None could be made.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl Certificate {
    /// Makes one for the name `relay.invalid`, valid from an hour before `now` (seconds of Unix time).
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn self_signed(now: i64, valid_for: Duration) -> Result<Self, CertificateError> {
        const HOUR: i64 = 3600;
        let date = |seconds| {
            time::OffsetDateTime::from_unix_timestamp(seconds)
                .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        };
        let begins = now.saturating_sub(HOUR);
        let ends = now.saturating_add_unsigned(valid_for.as_secs());
        let mut parameters = CertificateParams::new(["relay.invalid".to_owned()])?;
        parameters.not_before = date(begins);
        parameters.not_after = date(ends);
        let key = KeyPair::generate()?;
        let made = parameters.self_signed(&key)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Self { chain: vec![made.der().clone()], key, begins, ends })
    }

    /// Reads a chain and its key, and sees that they belong together.
    ///
    /// # Errors
    /// Any but [`CertificateError::Make`].
    pub fn read(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| reading(error, "certificate"))?;
        let leaf = chain.first().ok_or(CertificateError::Pem("certificate"))?;
        let key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| reading(error, "private key"))?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::Leaf)?;
        let validity = parsed.validity();
        let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        match rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Ok(Self { chain, key, begins, ends }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
            Err(error) => Err(CertificateError::Key(error)),
        }
    }

    /// Is it the same certificate?
    pub fn same(&self, other: &Self) -> bool {
        self.chain == other.chain
    }
}

fn reading(error: pem::Error, what: &'static str) -> CertificateError {
    match error {
        pem::Error::Io(error) => CertificateError::Io(error),
        _ => CertificateError::Pem(what),
    }
}

/// Where certificates come from, one after the other.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made here.
    SelfSigned {
        /// How long each is valid.
        valid_for: Duration,
        /// After how long the next one is made.
        rotate_every: Duration,
    },
    /// Read from files.
    Files {
        /// The chain, leaf first.
        chain: PathBuf,
        /// The leaf's key.
        key: PathBuf,
        /// How often to look for a change.
        watch_every: Duration,
    },
}

impl Source {
    /// As the settings say; they were checked.
    pub fn of(settings: &settings::Certificate) -> Self {
        match (&settings.chain, &settings.key, settings.mode) {
            (Some(chain), Some(key), settings::CertificateMode::Files) => Self::Files {
                chain: chain.clone(),
                key: key.clone(),
                watch_every: settings.watch_every,
            },
            _ => Self::SelfSigned {
                valid_for: settings.valid_for,
                rotate_every: settings.rotate_every,
            },
        }
    }

    /// The certificate of now.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(&self, now: i64) -> Result<Certificate, CertificateError> {
        match self {
            Self::SelfSigned { valid_for, .. } => Certificate::self_signed(now, *valid_for),
            Self::Files { chain, key, .. } => Certificate::read(chain, key),
        }
    }

    /// How long to wait until there may be another one.
    pub const fn again(&self) -> Duration {
        match self {
            Self::SelfSigned { rotate_every, .. } => *rotate_every,
            Self::Files { watch_every, .. } => *watch_every,
        }
    }

    /// The files, if it is files.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::SelfSigned { .. } => Vec::new(),
            Self::Files { chain, key, .. } => vec![chain, key],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn write(folder: &Path, name: &str, certificate: &Certificate) -> (PathBuf, PathBuf) {
        let pem = |label: &str, der: &[u8]| {
            let text = data_encoding_of(der);
            format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
        };
        let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&chain, pem("CERTIFICATE", &certificate.chain[0])).unwrap();
        fs::write(&key, pem("PRIVATE KEY", certificate.key.secret_der())).unwrap();
        (chain, key)
    }

    fn data_encoding_of(der: &[u8]) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for part in der.chunks(3) {
            let bits = part.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - part.len()));
            for place in 0..=part.len() {
                let letter = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
                text.push(char::from(LETTERS[letter]));
            }
            text.push_str(&"=".repeat(3 - part.len()));
        }
        text
    }

    #[test]
    fn a_certificate_is_made_for_its_time_and_reads_the_same_from_files() {
        let made = Certificate::self_signed(NOW, Duration::from_secs(13 * 86_400)).unwrap();
        assert_eq!((made.begins, made.ends), (NOW - 3600, NOW + 13 * 86_400));
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = write(folder.path(), "it", &made);
        let read = Certificate::read(&chain, &key).unwrap();
        assert!(read.same(&made));
        assert_eq!((read.begins, read.ends), (made.begins, made.ends));
        let next = Certificate::self_signed(NOW, Duration::from_secs(86_400)).unwrap();
        assert!(!next.same(&made));
    }

    // Seen to fail with the key not compared with the leaf's.
    #[test]
    fn files_that_do_not_belong_together_or_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let make = || Certificate::self_signed(NOW, Duration::from_secs(86_400)).unwrap();
        let (chain, key) = write(folder.path(), "one", &make());
        let (_, other) = write(folder.path(), "other", &make());
        let why = |chain: &Path, key: &Path| Certificate::read(chain, key).unwrap_err().to_string();
        assert!(why(&chain, &other).contains("is not that of the first certificate"));
        assert!(why(&key, &chain).contains("no certificate in PEM"));
        assert!(why(&chain, &chain).contains("no private key in PEM"));
        assert!(why(&chain, &folder.path().join("none")).contains("cannot be read"));
        let text = fs::read_to_string(&chain).unwrap();
        fs::write(&chain, &text[..text.len() / 2]).unwrap();
        assert!(Certificate::read(&chain, &key).is_err());
    }
}
