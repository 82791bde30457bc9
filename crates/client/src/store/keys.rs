//! The store's keys: one random key for the rows, wrapped by what the user has or knows.
//!
//! SPEC §9.1. The wrapping key comes from a passphrase by Argon2id or is the 32 bytes of a key file; the cost parameters
//! stand in the file, and a file that names lower ones than [`MIN_MEMORY`] and [`MIN_PASSES`] is refused.

use std::fmt;
use std::path::PathBuf;

use argon2::{Algorithm, Argon2, Params, Version};
use chopmark_core::label;
use rand_core::TryCryptoRng;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::StoreError;
use super::seal::{RowKey, random};

/// What opens a store.
#[derive(Clone)]
#[non_exhaustive]
pub enum Unlock {
    /// A passphrase, stretched by Argon2id (64 MiB, 3 passes).
    Passphrase(Zeroizing<String>),
    /// A file of exactly 32 random bytes, such as a platform keystore provides.
    KeyFile(PathBuf),
}

impl Unlock {
    /// Opens with a passphrase.
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::Passphrase(Zeroizing::new(text.into()))
    }

    fn wrapping_key(&self, salt: &[u8], cost: Cost) -> Result<RowKey, StoreError> {
        let mut key = Zeroizing::new([0u8; 32]);
        match self {
            Self::Passphrase(text) => {
                Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?)
                    .hash_password_into(text.as_bytes(), salt, key.as_mut_slice())
                    .map_err(|_| StoreError::WrongKey)?
            }
            Self::KeyFile(path) => {
                let bytes = Zeroizing::new(std::fs::read(path).map_err(|_| StoreError::KeyFile)?);
                let bytes: &[u8; 32] =
                    bytes.as_slice().try_into().map_err(|_| StoreError::KeyFile)?;
                *key = *bytes;
            }
        }
        Ok(RowKey::derive(&key, label::STORE_WRAP))
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(..)",
            Self::KeyFile(_) => "KeyFile(..)",
        })
    }
}

/// The keys of an open store: one seals rows, one hides their names.
pub(super) struct StoreKeys {
    pub(super) rows: RowKey,
    pub(super) names: RowKey,
}

impl StoreKeys {
    /// Draws the store's key and writes it, wrapped, into slot 0.
    pub(super) fn create(
        connection: &Connection,
        unlock: &Unlock,
        rng: &mut impl TryCryptoRng,
    ) -> Result<(), StoreError> {
        let salt = random::<16>(rng)?;
        let key = random::<32>(rng)?;
        let cost = Cost::DEFAULT;
        let wrapped = unlock.wrapping_key(salt.as_slice(), cost)?.seal(
            &wrap_context(salt.as_slice(), cost),
            key.as_slice(),
            rng,
        )?;
        connection.execute(
            "INSERT INTO store_key (slot, salt, cost, wrapped) VALUES (0, ?1, ?2, ?3)",
            params![salt.as_slice(), cost.to_bytes().as_slice(), wrapped],
        )?;
        Ok(())
    }

    /// Unwraps the store's key.
    pub(super) fn open(connection: &Connection, unlock: &Unlock) -> Result<Self, StoreError> {
        let (salt, cost, wrapped): (Vec<u8>, Vec<u8>, Vec<u8>) = connection
            .query_row("SELECT salt, cost, wrapped FROM store_key WHERE slot = 0", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?
            .ok_or(StoreError::Damaged)?;
        let cost = Cost::from_bytes(&cost)?;
        let key = unlock
            .wrapping_key(&salt, cost)?
            .open(&wrap_context(&salt, cost), &wrapped)
            .map_err(|_| StoreError::WrongKey)?;
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(key.as_slice().try_into().map_err(|_| StoreError::WrongKey)?);
        Ok(Self {
            rows: RowKey::derive(&key, label::STORE_ROW),
            names: RowKey::derive(&key, label::STORE_NAME),
        })
    }
}

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    const DEFAULT: Self = Self { memory_kib: MIN_MEMORY, passes: MIN_PASSES };

    fn params(self) -> Result<Params, StoreError> {
        Params::new(self.memory_kib, self.passes, 1, Some(32)).map_err(|_| StoreError::WrongKey)
    }

    fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        let (memory, passes) = bytes.split_at_mut(4);
        memory.copy_from_slice(&self.memory_kib.to_be_bytes());
        passes.copy_from_slice(&self.passes.to_be_bytes());
        bytes
    }

    // The bounds keep an altered file from making the stretching cheap, or from using all memory.
    fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let bytes: [u8; 8] = bytes.try_into().map_err(|_| StoreError::WrongKey)?;
        let [a, b, c, d, e, f, g, h] = bytes;
        let cost = Self {
            memory_kib: u32::from_be_bytes([a, b, c, d]),
            passes: u32::from_be_bytes([e, f, g, h]),
        };
        let memory = MIN_MEMORY..=MIN_MEMORY.saturating_mul(16);
        let passes = MIN_PASSES..=MIN_PASSES.saturating_mul(16);
        if memory.contains(&cost.memory_kib) && passes.contains(&cost.passes) {
            Ok(cost)
        } else {
            Err(StoreError::WrongKey)
        }
    }
}

fn wrap_context(salt: &[u8], cost: Cost) -> Vec<u8> {
    [b"slot 0|".as_slice(), salt, &cost.to_bytes()].concat()
}

/// Argon2id memory in KiB: a file that asks for less is refused.
const MIN_MEMORY: u32 = 64 * 1024;
/// Argon2id passes: a file that asks for less is refused.
const MIN_PASSES: u32 = 3;
