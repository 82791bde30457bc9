//! `backup`: messages and identity in a new file, from a relay that runs or not.
//!
//! ```text
//! "chopmark relay identity 1\n" | identity secret | relay hash | the store's stream
//! ```
//! A relay that runs is in a sandbox and writes nowhere but in its folder: it sends its store over the admin socket, and
//! this process writes it. The identity goes from file to file and over no socket.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_wire::relay::RelayHash;
use hyper::Method;
use thiserror::Error;

use super::{Told, grouped, hash, hex, size};
use crate::{
    admin::client::{AskError, ask},
    cli::Common,
    confine::{as_owner_of, folder_of},
    home::{Home, HomeError},
    node::now,
    store::{
        FjallDisk, Manifest, Space,
        backup::{BackupError, backup, verify},
        fjall_disk::sync_folder,
    },
};

/// Why there is no backup. Nothing lies under the name that was given.
#[derive(Debug, Error)]
#[non_exhaustive]
enum Failure {
    /// Never over another file.
    #[error("there is a file of that name already; name another one")]
    Exists,
    /// Nothing to back up.
    #[error("the data folder has no identity.key: there is no relay in it")]
    NoRelay,
    /// The folder is in use, and its relay does not answer.
    #[error("the relay runs, and gives no backup: {0}")]
    Ask(AskError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The store cannot be read, or what was written reads differently.
    #[error(transparent)]
    Store(#[from] BackupError),
    /// The file cannot be written.
    #[error("the backup cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Writes, reads it again whole, and only then gives it its name.
pub(crate) fn run(common: &Common, to: &Path) -> Told {
    let settings = match common.to_find_it() {
        Ok(settings) => settings,
        Err(told) => return told,
    };
    match write(&settings.data, to) {
        Ok((identity, manifest)) => shown(common, to, &identity, &manifest, "backed up"),
        Err(failure) => Told::cannot_json(common, &format!("no backup: {failure}")),
    }
}

fn write(folder: &Path, to: &Path) -> Result<(SigningKey, Manifest), Failure> {
    if to.exists() {
        return Err(Failure::Exists);
    }
    let key = Home::identity_in(folder)?.ok_or(Failure::NoRelay)?;
    let unfinished = unfinished(to);
    let written = write_as(folder, &key, &unfinished).and_then(|manifest| {
        // Linked and not renamed: a file that came meanwhile stays.
        fs::hard_link(&unfinished, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Exists,
            _ => Failure::Io(error),
        })?;
        Ok(manifest)
    });
    let _ = fs::remove_file(&unfinished);
    let manifest = written?;
    sync_folder(&folder_of(to))?;
    Ok((key, manifest))
}

fn write_as(folder: &Path, key: &SigningKey, to: &Path) -> Result<Manifest, Failure> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(to)?;
    file.write_all(MAGIC)?;
    file.write_all(key.to_secret().expose())?;
    file.write_all(&hash(key).0)?;
    let asked = ask(folder, Method::GET, "/backup", |part| file.write_all(&part));
    match asked {
        Ok(()) => {}
        // Nobody runs: we are who opens the store.
        Err(AskError::NotRunning) => as_owner_of(folder, || {
            let _home = Home::open(folder)?;
            let disk = FjallDisk::open(folder, Space { floor: 0, ballast: 0 })
                .map_err(BackupError::Store)?;
            backup(&disk.source(), now(), &mut file)?;
            Ok::<_, Failure>(())
        })??,
        Err(error) => return Err(Failure::Ask(error)),
    }
    file.sync_all()?;
    let (_, store) = open(to)?;
    Ok(verify(store)?)
}

/// The identity in a backup, and its store's stream.
pub(super) fn open(from: &Path) -> Result<(Secret, BufReader<File>), BackupError> {
    let mut file = BufReader::new(File::open(from)?);
    let mut magic = [0; MAGIC.len()];
    let (mut secret, mut named) = ([0; 32], RelayHash([0; 16]));
    let whole = file
        .read_exact(&mut magic)
        .and_then(|()| file.read_exact(&mut secret))
        .and_then(|()| file.read_exact(&mut named.0));
    if whole.is_err() || magic != *MAGIC {
        return Err(BackupError::Unknown);
    }
    let secret = Secret::new(secret);
    if hash(&SigningKey::from_secret(&secret)) != named {
        return Err(BackupError::Damaged);
    }
    Ok((secret, file))
}

const MAGIC: &[u8; 26] = b"chopmark relay identity 1\n";

/// What a backup holds, for whoever made or used it.
pub(super) fn shown(
    common: &Common,
    file: &Path,
    identity: &SigningKey,
    manifest: &Manifest,
    done: &str,
) -> Told {
    let hash = hex(&hash(identity));
    if common.json {
        return Told::done().line(
            serde_json::json!({
                "file": file, "hash": hash, "mailboxes": manifest.mailboxes,
                "messages": manifest.messages, "bytes": manifest.bytes,
                "taken": manifest.taken.0.saturating_mul(3600),
            })
            .to_string(),
        );
    }
    Told::done().line(format!(
        "{done}: {} messages in {} mailboxes, {}, of the relay {hash}",
        grouped(manifest.messages),
        grouped(manifest.mailboxes),
        size(manifest.bytes)
    ))
}

fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    to.with_file_name(name)
}
