//! The issuer's folder: master seed, settings and ledger, and what must be true of it before anything is served.

use crate::issuer::{Issuer, Keysets};
use crate::keyset::{Keyset, MasterSeed, Terms};
use crate::ledger::log::{Log, OpenError, sync_folder};
use crate::ledger::{ALARM_FILE, Ledger};
use crate::quote::Quotes;
use cashu::util::hex;
use chopmark_core::{label, random};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// `mint.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What wallets show.
    pub(crate) name: String,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The URL that wallets use, if it is not `http://` and the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

impl Settings {
    /// The URL that wallets use when the issuer listens here.
    pub(crate) fn url(&self, at: SocketAddr) -> String {
        self.url.clone().unwrap_or_else(|| format!("http://{at}"))
    }
}

/// The folder, locked: one process at a time.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FolderError {
    /// There is nothing here yet.
    #[error("there is no issuer in this folder: create one with `chopmark-mint init`")]
    Missing,
    /// There is one already.
    #[error("there is an issuer in this folder already")]
    Exists,
    /// Another process has it.
    #[error("the issuer is running, or its folder is in use")]
    InUse,
    /// The operating system refused.
    #[error("the issuer's folder cannot be used: {0}")]
    Io(#[from] io::Error),
    /// `mint.toml` does not parse.
    #[error("mint.toml is malformed: {0}")]
    Settings(String),
    /// The seed file is missing, not 64 hex digits, or gives other keysets than the ledger's.
    #[error("the master seed is missing, damaged or not this ledger's: restore it from a copy")]
    Seed,
    /// The alarm was raised and nobody has taken it down.
    #[error("an alarm was raised: find its cause, then remove the file `alarm` from the folder")]
    Alarm,
    /// Terms that no keyset can have.
    #[error("unit must be 1 to 16 lower-case letters and digits, with at most 8 decimals")]
    Terms,
    /// The ledger did not open.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// No randomness.
    #[error("the system gave no randomness")]
    Random(#[from] random::RandomnessError),
}

impl Folder {
    /// Creates an issuer: the seed first, the ledger last, so that a half-made folder is not taken for one.
    pub(crate) fn create(
        path: &Path,
        settings: &Settings,
        terms: &Terms,
    ) -> Result<(), FolderError> {
        let unit = terms.unit.as_bytes();
        let plain = unit.iter().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
        if !plain || !(1..=16).contains(&unit.len()) || terms.exponent > 8 {
            return Err(FolderError::Terms);
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let folder = Self::lock(path)?;
        if folder.file("ledger").exists() {
            return Err(FolderError::Exists);
        }
        let rng = &mut rand::rngs::SysRng;
        if !folder.file("seed").exists() {
            let seed = Zeroizing::new(random::array::<32>(rng)?);
            folder.write("seed", Zeroizing::new(hex::encode(seed.as_slice())).as_bytes())?;
        }
        let first = Keyset::derive(&folder.seed()?, 0, terms.clone()).ok_or(FolderError::Seed)?;
        let id = first.id.to_bytes().try_into().map_err(|_| FolderError::Seed)?;
        let text =
            toml::to_string(settings).map_err(|error| FolderError::Settings(error.to_string()))?;
        folder.write("mint.toml", text.as_bytes())?;
        let draft = folder.file("ledger.new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Log::create(&draft, random::array(rng)?)?;
        let (ledger, _) = Ledger::open(&draft, |books| books.begin_keyset(id, terms.clone()))?;
        ledger.close();
        fs::rename(&draft, folder.file("ledger"))?;
        sync_folder(&draft)?;
        Ok(())
    }

    /// Begins another keyset of the same unit, which signs from the next start on; gives its id.
    pub(crate) fn rotate(
        &self,
        fee_ppk: u32,
        final_expiry: Option<u64>,
    ) -> Result<String, FolderError> {
        let (issuer, seed) = self.open()?;
        let (number, active) = issuer.keys.active().ok_or(FolderError::Seed)?;
        let terms = Terms { fee_ppk, final_expiry, ..active.terms.clone() };
        let number = number.checked_add(1).ok_or(FolderError::Terms)?;
        issuer.ledger.close();
        let next = Keyset::derive(&seed, number, terms.clone()).ok_or(FolderError::Seed)?;
        let id = next.id.to_bytes().try_into().map_err(|_| FolderError::Seed)?;
        let (ledger, _) =
            Ledger::open(&self.file("ledger"), |books| books.begin_keyset(id, terms))?;
        ledger.close();
        Ok(next.id.to_string())
    }

    /// Takes the folder of an issuer for this process.
    pub(crate) fn take(path: &Path) -> Result<Self, FolderError> {
        if !path.join("ledger").exists() {
            return Err(FolderError::Missing);
        }
        let folder = Self::lock(path)?;
        if folder.file(ALARM_FILE).exists() {
            return Err(FolderError::Alarm);
        }
        Ok(folder)
    }

    /// Opens everything in it.
    pub(crate) fn open(&self) -> Result<(Issuer, MasterSeed), FolderError> {
        let text = fs::read_to_string(self.file("mint.toml"))?;
        let settings: Settings =
            toml::from_str(&text).map_err(|error| FolderError::Settings(error.to_string()))?;
        let seed = self.seed()?;
        let (ledger, terms) = Ledger::open(&self.file("ledger"), |_| {})?;
        let keys = Arc::new(Keysets::derive(&seed, terms).ok_or(FolderError::Seed)?);
        let identity = seed.scalar(label::ISSUER_IDENTITY, &[]).map(|key| key.public_key());
        let quotes = Quotes::new(&seed);
        Ok((Issuer { settings, ledger, quotes, keys, identity }, seed))
    }

    fn seed(&self) -> Result<MasterSeed, FolderError> {
        let text = match fs::read_to_string(self.file("seed")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FolderError::Seed),
            text => Ok(Zeroizing::new(text?)),
        }?;
        let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| FolderError::Seed)?);
        Ok(MasterSeed::new(bytes.as_slice().try_into().map_err(|_| FolderError::Seed)?))
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner can read, whole or not at all.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let draft = self.file(&format!("{name}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, self.file(name))?;
        sync_folder(&draft)
    }

    fn lock(path: &Path) -> Result<Self, FolderError> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}
