//! What an operator may decide: every key of `relay.toml`, and where each value came from.
//!
//! [`keys`] is the one table: a line a key, with what it means, its type and its default. [`layers`] knows no relay: it
//! reads a file, the environment and flags over each other into any table of that shape, refuses what it does not
//! know, and remembers for each value which of them it is from. [`value`] is how values are written: `64 MiB`, `30 s`.
//!
//! Start at [`load`].

pub mod keys;
pub mod layers;
pub mod value;

use std::path::{Path, PathBuf};

use chopmark_mailbox::relay::Access as WhoMay;

pub use keys::{Access, Admin, Certificate, Limits, Log, Settings, Store};
pub use layers::{Fault, Key, Keys, Loaded, Origin};
pub use value::{AccessMode, CertificateMode, HostPort, Level, LogFormat, Sandbox, Size};

/// What stands before every variable of the environment that is a setting: `limits.connections` is
/// `CHOPMARK_RELAY_LIMITS_CONNECTIONS`.
pub const ENVIRONMENT: &str = "CHOPMARK_RELAY_";
/// The file that is read when no other is named, if it is there.
pub const FILE: &str = "relay.toml";
/// The file that a package's unit names.
pub const SYSTEM_FILE: &str = "/etc/chopmark-relay/relay.toml";

/// Where settings are looked for.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that was asked for; without one, [`FILE`] here and then [`SYSTEM_FILE`], each only if it exists.
    pub file: Option<PathBuf>,
    /// Neither of the two: what is asked for on the command line is all there is.
    pub no_file: bool,
    /// Keys and values under everything else, and what asks for them: `--dev`.
    pub presets: Option<(&'static str, Vec<(&'static str, String)>)>,
    /// Names and values of the environment.
    pub environment: Vec<(String, String)>,
    /// Keys and values of the command line.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The file that is read, if any.
    pub fn path(&self) -> Option<PathBuf> {
        if let Some(file) = &self.file {
            return Some(file.clone());
        }
        let found = [FILE, SYSTEM_FILE].map(Path::new).into_iter().find(|path| path.is_file());
        found.filter(|_| !self.no_file).map(Path::to_owned)
    }
}

/// Reads everything: presets, file, environment, flags, each over what comes before it.
///
/// # Errors
/// Every fault that was found, not only the first.
pub fn load(sources: &Sources) -> Result<Loaded<Settings>, Vec<Fault>> {
    let (loaded, mut faults) = load_what_is_right(sources);
    if faults.is_empty() {
        faults = self::faults(&loaded);
    }
    if faults.is_empty() { Ok(loaded) } else { Err(faults) }
}

/// Reads everything and leaves out what is wrong: for who asks a relay that runs, and needs only to find it.
pub fn load_what_is_right(sources: &Sources) -> (Loaded<Settings>, Vec<Fault>) {
    let path = sources.path();
    let mut faults = Vec::new();
    let text = path.as_ref().and_then(|path| match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) => {
            faults.push(Fault::unreadable(path, &error));
            None
        }
    });
    let (loaded, others) = layers::load_what_is_right(&layers::Layers {
        presets: sources.presets.as_ref().map(|(by, keys)| (*by, keys.as_slice())),
        file: path.as_deref().zip(text.as_deref()),
        prefix: ENVIRONMENT,
        environment: &sources.environment,
        flags: &sources.flags,
    });
    faults.extend(others);
    (loaded, faults)
}

/// The key of a field of the node's limits.
fn key_of(field: &str) -> &'static str {
    let field = field.rsplit('.').next().unwrap_or(field).replace("bytes", "size");
    let key = format!("limits.{field}");
    let known = Settings::keys().iter().find(|known| known.name == key);
    known.map_or("limits.connections", |known| known.name)
}

/// What is right alone and wrong together.
fn faults(loaded: &Loaded<Settings>) -> Vec<Fault> {
    let Settings { certificate, admin, access, limits, .. } = &loaded.values;
    let mut faults = Vec::new();
    let mut fault = |key: &'static str, why: &str| {
        faults.push(Fault::of(key, loaded.origin(key).clone(), why.to_owned()));
    };
    match certificate.mode {
        CertificateMode::Files => {
            if certificate.chain.is_none() {
                fault("certificate.chain", "mode \"files\" needs the path of a PEM file here");
            }
            if certificate.key.is_none() {
                fault("certificate.key", "mode \"files\" needs the path of a PEM file here");
            }
        }
        CertificateMode::Acme => fault(
            "certificate.mode",
            "mode \"acme\" is not in this version; use \"self-signed\", which clients trust as much, or \"files\"",
        ),
        CertificateMode::SelfSigned => {
            if certificate.rotate_every >= certificate.valid_for {
                fault("certificate.rotate_every", "must be shorter than certificate.valid_for");
            }
        }
    }
    if admin.listen.is_some_and(|listen| !listen.ip().is_loopback()) {
        fault("admin.listen", "must be a loopback address: the page has no password");
    }
    if access.mode == AccessMode::Tokens && access.tokens.is_none() {
        fault("access.tokens", "mode \"tokens\" needs the path of a file here");
    }
    if let Err(error) = limits.of_node(WhoMay::Closed).check() {
        fault(key_of(error.name()), &error.to_string());
    }
    faults
}

#[cfg(test)]
mod tests;
