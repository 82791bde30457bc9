//! `restore`: a data folder made of a backup, under a new epoch (SPEC §6.7 [restore-is-a-new-epoch]).

use std::path::Path;

use chopmark_core::signature::SigningKey;
use chopmark_wire::relay::Epoch;
use rand::rngs::SysRng;

use super::{Told, backup};
use crate::{
    cli::Common,
    confine::as_owner_of,
    home::Home,
    store::{self, Manifest, backup::verify},
};

/// Reads the backup whole, then makes identity and store of it.
pub(crate) fn run(common: &Common, from: &Path) -> Told {
    let loaded = match common.settings(false) {
        Ok(loaded) => loaded,
        Err(told) => return told,
    };
    match fill(&loaded.values.data, from) {
        Ok((identity, manifest)) => {
            let told = backup::shown(common, from, &identity, &manifest, "restored");
            if common.json {
                return told;
            }
            told.line("clients notice as they come back, and send again what was not acknowledged")
        }
        Err(error) => Told::cannot_json(common, &format!("nothing restored: {error}")),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn fill(folder: &Path, from: &Path) -> Result<(SigningKey, Manifest), Failure> {
    let (secret, stream) = backup::open(from)?;
    // Before anything is made of it.
    verify(stream)?;
    crate::confine::keep_to_ourselves();
    let epoch = chopmark_core::random::array(&mut SysRng)
        .map_err(|_| "the system gives no random numbers")?;
    let (_, stream) = backup::open(from)?;
    as_owner_of(folder, || {
        let _home = Home::open_as(folder, &secret)?;
        let manifest = store::backup::restore(stream, folder, Epoch(epoch))?;
        Ok((SigningKey::from_secret(&secret), manifest))
    })?
}
