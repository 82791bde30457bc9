//! A device with its prekeys, from bytes that stand in a vector. SPEC §2.3, §3.1, §3.2.

use chopmark_core::{
    codec::Writer,
    handshake::Own,
    hazmat::handshake::{PublicPrekey, Responder},
    identity::{AccountId, DeviceEntry, DeviceId, DeviceKeys},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret},
};

use super::{Vector, drawn};

/// One side of a handshake.
pub(super) struct Device {
    pub(super) account: AccountId,
    pub(super) id: DeviceId,
    pub(super) keys: DeviceKeys,
}

/// Stored secrets of a device: `1 | Ed25519 seed | X25519 | ML-KEM seed`.
pub(super) fn device_secrets(name: &str) -> Vec<u8> {
    let drawn: [u8; 128] = drawn(&format!("device {name}"));
    [&[1][..], &drawn].concat()
}

/// A stored signed prekey.
pub(super) fn signed_secret(name: &str, id: u32, expiry: u64) -> Vec<u8> {
    let drawn: [u8; 96] = drawn(&format!("signed prekey {name}"));
    [&[1][..], &id.to_be_bytes(), &expiry.to_be_bytes(), &drawn].concat()
}

/// A stored one-time prekey.
pub(super) fn one_time_secret(name: &str, id: u32) -> Vec<u8> {
    let drawn: [u8; 96] = drawn(&format!("one-time prekey {name}"));
    [&[1][..], &id.to_be_bytes(), &drawn].concat()
}

/// Gives `name account id`, `name device id` and `name device secrets`.
pub(super) fn with_device(case: Vector, name: &str, id: u32) -> Vector {
    case.with_bytes(&format!("{name} account id"), &drawn::<32>(&format!("account {name}")))
        .with(&format!("{name} device id"), id)
        .with_bytes(&format!("{name} device secrets"), &device_secrets(name))
}

impl Device {
    /// The device whose values are given under `name`.
    pub(super) fn of(vector: &Vector, name: &str) -> Self {
        let secrets = vector.bytes(&format!("{name} device secrets"));
        Self {
            account: AccountId::from_bytes(vector.array(&format!("{name} account id"))),
            id: DeviceId(vector.number(&format!("{name} device id"))),
            keys: DeviceKeys::import(&secrets).expect("129 bytes"),
        }
    }

    pub(super) fn own(&self) -> Own<'_> {
        Own { account: self.account, device: self.id, keys: &self.keys }
    }

    pub(super) fn entry(&self) -> DeviceEntry {
        self.keys.entry(self.id)
    }

    /// What an initiator takes of this device and these prekeys.
    pub(super) fn responder<'a>(
        &self,
        entry: &'a DeviceEntry,
        prekeys: &'a Prekeys,
    ) -> Responder<'a> {
        let signed = &prekeys.signed;
        let one_time = prekeys.one_time.as_ref().map(|one| PublicPrekey {
            id: one.id(),
            dh: one.dh().public(),
            kem: one.kem().encapsulation_key(),
        });
        Responder {
            account: self.account,
            entry,
            signed: PublicPrekey {
                id: signed.id(),
                dh: signed.dh().public(),
                kem: signed.kem().encapsulation_key(),
            },
            one_time,
        }
    }
}

/// The private prekeys that a handshake uses.
pub(super) struct Prekeys {
    pub(super) signed: SignedPrekeySecret,
    pub(super) one_time: Option<OneTimePrekeySecret>,
}

impl Prekeys {
    /// A signed prekey alone.
    pub(super) fn signed(secrets: &[u8]) -> Self {
        Self { signed: SignedPrekeySecret::import(secrets).expect("109 bytes"), one_time: None }
    }

    /// Those given as `SPKb secrets` and, if there is one, `OPKb secrets`.
    pub(super) fn of(vector: &Vector) -> Self {
        let signed = SignedPrekeySecret::import(&vector.bytes("SPKb secrets"));
        let one_time = vector.find("OPKb secrets").map(|_| {
            OneTimePrekeySecret::import(&vector.bytes("OPKb secrets")).expect("101 bytes")
        });
        Self { signed: signed.expect("109 bytes"), one_time }
    }
}

/// An encoded device entry.
pub(super) fn encoded(entry: &DeviceEntry) -> Vec<u8> {
    let mut writer = Writer::new();
    entry.write(&mut writer);
    writer.finish()
}
