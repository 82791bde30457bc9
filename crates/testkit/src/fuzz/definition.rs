//! The derivations of SPEC §5 from their text, with other code than the core's.

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use chopmark_core::{
    hash,
    kem::{Ciphertext, EncapsulationKey},
    label,
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

pub(super) type Key = [u8; 32];

/// The confirmation of an encapsulation, and its transcript.
pub(super) fn confirm(
    epoch: u32,
    key: &EncapsulationKey,
    ciphertext: &Ciphertext,
    shared: &Key,
) -> (Key, Key) {
    let (key, ciphertext) = (key.as_bytes().as_slice(), ciphertext.as_bytes().as_slice());
    let parts = [
        &epoch.to_be_bytes()[..],
        &hash::sha256(label::KEM_KEY, &[key]),
        &hash::sha256(label::KEM_CIPHERTEXT, &[ciphertext]),
    ];
    (
        mac(shared, label::KEM_CONFIRMATION, &parts),
        hash::sha256(label::KEM_TRANSCRIPT, &[key, ciphertext]),
    )
}

/// Leaf `n` of a chain, straight from the definition of SPEC §5.3.
pub(super) fn leaf(chain: &Key, n: u32) -> Key {
    let (mut spine, mut start, mut height) = (*chain, 0_u64, 0_u32);
    while start + (1 << height) <= u64::from(n) {
        spine = mac(&spine, label::CHAIN_SPINE, &[]);
        start += 1 << height;
        height += 1;
    }
    let offset = u64::from(n) - start;
    let root = mac(&spine, label::CHAIN_SEGMENT, &[]);
    (0..height).rev().fold(root, |node, level| {
        let right = offset >> level & 1 == 1;
        mac(&node, if right { label::CHAIN_RIGHT } else { label::CHAIN_LEFT }, &[])
    })
}

pub(super) fn step(root: &Key, agreed: &Key, epoch: u32, mix: Option<(Key, Key)>) -> [Key; 3] {
    let epoch = epoch.to_be_bytes();
    let (secrets, info) = match mix {
        Some((shared, transcript)) => {
            ([*agreed, shared].concat(), label::framed(label::ROOT_MIXED, &[&epoch, &transcript]))
        }
        None => (agreed.to_vec(), label::framed(label::ROOT_PLAIN, &[&epoch])),
    };
    let mut out = [0; 96];
    Hkdf::<Sha256>::new(Some(root), &secrets).expand(&info, &mut out).expect("short");
    [0, 1, 2].map(|at: usize| out[32 * at..][..32].try_into().expect("32"))
}

pub(super) fn mac(key: &Key, label: &str, parts: &[&[u8]]) -> Key {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("any length");
    mac.update(&label::framed(label, parts));
    mac.finalize().into_bytes().into()
}

pub(super) fn seal(key: &Key, nonce: &[u8; 12], bound: &[u8], text: &mut [u8]) -> [u8; 16] {
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.encrypt_inout_detached(nonce.into(), bound, text.into()).expect("short").into()
}

pub(super) fn open(
    key: &Key,
    nonce: &[u8; 12],
    bound: &[u8],
    text: &[u8],
    tag: &[u8],
) -> Option<Vec<u8>> {
    let tag: &[u8; 16] = tag.try_into().expect("16");
    let mut text = text.to_vec();
    let cipher = ChaCha20Poly1305::new(key.into());
    let opened =
        cipher.decrypt_inout_detached(nonce.into(), bound, text.as_mut_slice().into(), tag.into());
    opened.ok().map(|()| text)
}
