//! Which home a command works on, and what opens it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use chopmark::{Client, Unlock};
use chopmark_core::random;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::arguments::Global;
use crate::outcome::{Done, Failure};

impl Global {
    /// The directory of the home.
    pub(crate) fn directory(&self) -> Done<PathBuf> {
        match &self.home {
            Some(home) => Ok(home.clone()),
            None => std::env::home_dir()
                .map(|home| home.join(".chopmark"))
                .ok_or_else(|| Failure::usage("where is your home? Say it with --home DIR")),
        }
    }

    /// What opens the home. With `make`, a key file that is not there is made.
    pub(crate) fn unlock(&self, make: bool) -> Done<Unlock> {
        match (&self.passphrase_file, &self.key_file) {
            // Given as an argument, the key file means more than a passphrase file that the environment names.
            (_, Some(path)) => {
                if make && !path.exists() {
                    make_key(path)?;
                }
                Ok(Unlock::KeyFile(path.clone()))
            }
            (Some(path), None) => Ok(Unlock::Passphrase(passphrase(path)?)),
            (None, None) => Err(Failure::usage(
                "what opens the home? Give --passphrase-file FILE or --key-file FILE",
            )),
        }
    }

    /// Opens the home.
    pub(crate) async fn open(&self) -> Done<Client> {
        Ok(Client::open(&self.directory()?, self.unlock(false)?).await?)
    }
}

/// The first line of a file.
fn passphrase(path: &Path) -> Done<Zeroizing<String>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        Failure::failed(format!("the passphrase file {shown} cannot be read: {error}"))
    })?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::failed(format!(
            "the passphrase file {shown} has an empty first line"
        )));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn make_key(path: &Path) -> Done {
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(
        random::array(&mut SysRng).map_err(|error| Failure::failed(error.to_string()))?,
    );
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(key.as_slice())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::failed(format!("the key file {} cannot be made: {error}", path.display()))
    })
}
