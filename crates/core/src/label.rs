//! One label for every use of a signature, a key derivation, an AEAD or a hash (SPEC §1.4).
//!
//! This file is the whole list: nothing else of the workspace spells a label out. No label is a prefix of another and
//! none contains a zero byte; signatures and derivations put a zero byte after it ([`framed`]), hashes a length before
//! it ([`hash`](crate::hash)), so that what is made for one purpose cannot be read as made for another.

/// `label | 0x00 | parts…`: what an Ed25519 signature signs, and the `info` of a derivation (SPEC §1.3). The parts are
/// concatenated; give lengths where they vary.
pub fn framed(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let length = label.len() + 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut framed = Vec::with_capacity(length);
    framed.extend_from_slice(label.as_bytes());
    framed.push(0);
    for part in parts {
        framed.extend_from_slice(part);
    }
    framed
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every label there is, in the order of this file.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

// One line a label, grouped by the section that uses it. SPEC §1.4 lists the same in the same order.
labels! {
    /// Hash: an account id from both root keys and the commitment to the next (SPEC §2.2).
    ACCOUNT_ID = "chopmark/1 account id";
    /// Hash: the commitment to the next root keys (SPEC §2.2).
    NEXT_ROOT = "chopmark/1 next root";
    /// KDF, the salt of the extraction: the seed's entropy (SPEC §2.1).
    SEED_EXTRACT = "chopmark/1 extract seed";
    /// KDF: the root Ed25519 seed (SPEC §2.1).
    SEED_ROOT_ED25519 = "chopmark/1 seed root ed25519";
    /// KDF: the root ML-DSA-65 seed (SPEC §2.1).
    SEED_ROOT_ML_DSA = "chopmark/1 seed root ml-dsa-65";
    /// KDF: the seed of the next root, where no recovery card is kept (SPEC §2.1).
    SEED_NEXT_ROOT = "chopmark/1 seed next root";
    /// KDF: the wallet secret of one wallet epoch (SPEC §2.1).
    SEED_WALLET = "chopmark/1 seed wallet";
    /// KDF: payee lock keys (SPEC §2.1).
    SEED_PAYEE_LOCK = "chopmark/1 seed payee lock";
    /// KDF: refund keys (SPEC §2.1).
    SEED_REFUND = "chopmark/1 seed refund";
    /// KDF: mint quote keys (SPEC §2.1).
    SEED_QUOTE = "chopmark/1 seed quote";
    /// KDF: the vault mailbox's owner key (SPEC §2.1).
    SEED_VAULT = "chopmark/1 seed vault mailbox";
    /// KDF: the backup key (SPEC §2.1).
    SEED_BACKUP = "chopmark/1 seed backup";
    /// Hash: a device entry (SPEC §2.3).
    DEVICE_ENTRY = "chopmark/1 device entry";
    /// Signature, Ed25519 and ML-DSA-65: a manifest by its account's root keys (SPEC §2.4).
    MANIFEST = "chopmark/1 manifest signature";
    /// Hash: a signed manifest (SPEC §2.4).
    MANIFEST_HASH = "chopmark/1 manifest hash";
    /// Signature: a stamp by a device key (SPEC §2.5).
    STAMP = "chopmark/1 stamp";
    /// Hash, iterated: an account's half of a safety number (SPEC §2.6).
    SAFETY_NUMBER = "chopmark/1 safety number";
    /// KDF, the salt of the extraction: a link's secret (SPEC §2.7).
    LINK_EXTRACT = "chopmark/1 extract link";
    /// KDF: a link's knock capability (SPEC §2.7).
    LINK_KNOCK = "chopmark/1 link knock";
    /// KDF: a link's bundle key (SPEC §2.7).
    LINK_BUNDLE_KEY = "chopmark/1 link bundle key";
    /// AEAD: the sealed signed part of a bundle (SPEC §3.3).
    BUNDLE_SIGNED_PART = "chopmark/1 bundle signed part";
    /// AEAD: a sealed one-time prekey (SPEC §3.3).
    BUNDLE_ONE_TIME = "chopmark/1 bundle one-time prekey";
    /// Signature: a prekey, of either kind (SPEC §3.1, §3.2).
    PREKEY = "chopmark/1 prekey";
    /// Hash: the name of a handshake, from its ephemeral key and first ciphertext (SPEC §4.1).
    INIT_ID = "chopmark/1 init id";
    /// Hash: an init block, bound by every body that it rides with (SPEC §5.5).
    INIT_BLOCK = "chopmark/1 init block";
    /// Hash: T0: the handshake up to the identity box (SPEC §4.2).
    HANDSHAKE_OFFER = "chopmark/1 handshake offer";
    /// KDF: the key of the identity box, then its AEAD (SPEC §4.2).
    HANDSHAKE_BOX = "chopmark/1 handshake identity box";
    /// Hash: T: the handshake with the identity box (SPEC §4.2).
    HANDSHAKE_TRANSCRIPT = "chopmark/1 handshake transcript";
    /// KDF: the first root key, header keys and session id (SPEC §4.2).
    HANDSHAKE_ROOT = "chopmark/1 handshake root";
    /// KDF: a root step without a KEM secret; its header keys' AEAD (SPEC §5.4).
    ROOT_PLAIN = "chopmark/1 root plain step";
    /// KDF: a root step with a KEM secret; its header keys' AEAD (SPEC §5.4).
    ROOT_MIXED = "chopmark/1 root mixed step";
    /// KDF: a segment's tree, from the spine (SPEC §5.3).
    CHAIN_SEGMENT = "chopmark/1 chain segment";
    /// KDF: the spine after a segment (SPEC §5.3).
    CHAIN_SPINE = "chopmark/1 chain spine";
    /// KDF: a subtree's left half (SPEC §5.3).
    CHAIN_LEFT = "chopmark/1 chain left";
    /// KDF: a subtree's right half (SPEC §5.3).
    CHAIN_RIGHT = "chopmark/1 chain right";
    /// KDF: the key of one body, then its AEAD (SPEC §5.5).
    BODY_KEY = "chopmark/1 body key";
    /// KDF: the key from which one body's nonce is hedged (SPEC §5.5).
    BODY_NONCE_KEY = "chopmark/1 body nonce key";
    /// MAC: the nonce of one body (SPEC §5.5).
    BODY_NONCE = "chopmark/1 body hedged nonce";
    /// Hash: what a body's nonce depends on (SPEC §5.5).
    BODY_TEXT = "chopmark/1 body text";
    /// Hash: an encapsulation key (SPEC §5.7).
    KEM_KEY = "chopmark/1 kem encapsulation key";
    /// Hash: a ciphertext (SPEC §5.7).
    KEM_CIPHERTEXT = "chopmark/1 kem ciphertext";
    /// Hash: an encapsulation, bound by the root step that mixes it (SPEC §5.7).
    KEM_TRANSCRIPT = "chopmark/1 kem transcript";
    /// MAC: the confirmation of an encapsulation (SPEC §5.7).
    KEM_CONFIRMATION = "chopmark/1 kem confirmation";
    /// Hash: a payment request as it was received (SPEC §8.2).
    PAYMENT_REQUEST_ID = "chopmark/1 payment request id";
    /// Hash: a payment, from its request and its payer (SPEC §8.6).
    PAYMENT_ID = "chopmark/1 payment id";
    /// Signature: a receipt, by one of the payee's devices (SPEC §8.8).
    PAYMENT_RECEIPT = "chopmark/1 payment receipt";
    /// Hash: a token that was handed in, from its coins (SPEC §8.5).
    PAYMENT_TOKEN = "chopmark/1 token id";
    /// KDF: the payee's key of one request (SPEC §8.3).
    LOCK_KEY = "chopmark/1 request lock key";
    /// KDF: the nonce of a locked output (SPEC §8.5).
    LOCK_NONCE = "chopmark/1 locked output nonce";
    /// KDF: the blinding factor of a locked output (SPEC §8.5).
    LOCK_BLINDING = "chopmark/1 locked output blinding";
    /// KDF: the payer's ephemeral key of one payment (SPEC §8.3).
    LOCK_EPHEMERAL = "chopmark/1 lock ephemeral key";
    /// KDF: the payer's refund key of one payment (SPEC §8.3).
    LOCK_REFUND = "chopmark/1 lock refund key";
    /// Hash: a mailbox id from its owner's key (SPEC §6.6).
    MAILBOX_ID = "chopmark/1 mailbox id";
    /// Hash: what a relay keeps of a capability (SPEC §6.6).
    CAPABILITY_HASH = "chopmark/1 capability hash";
    /// Hash: what a relay keeps of an access token (SPEC §6.6).
    ACCESS_TOKEN_HASH = "chopmark/1 access token hash";
    /// Hash: a relay's name for a stored envelope (SPEC §6.7).
    RELAY_MESSAGE_ID = "chopmark/1 relay message id";
    /// Hash: a relay id from its identity key (SPEC §6.2).
    RELAY_ID = "chopmark/1 relay id";
    /// Signature: a relay's descriptor on one connection (SPEC §6.2).
    RELAY_INFO = "chopmark/1 relay info";
    /// Signature: an owner's proof on one connection to one relay (SPEC §6.4).
    RELAY_AUTH = "chopmark/1 relay auth";
    /// KDF: how a relay that was started again knows connections of its former life (SPEC §6.1).
    RELAY_RESET = "chopmark/1 relay reset";
    /// KDF: an issuer's signing key of one amount (SPEC §8.11).
    ISSUER_KEY = "chopmark/1 issuer key";
    /// KDF: an issuer's own key, shown in its info (SPEC §8.11).
    ISSUER_IDENTITY = "chopmark/1 issuer identity";
    /// KDF: the key that authenticates quote ids (SPEC §8.11).
    ISSUER_QUOTE = "chopmark/1 issuer quote";
    /// KDF: secrets and blinding factors of what the treasury issues (SPEC §8.13).
    ISSUER_TREASURY = "chopmark/1 issuer treasury";
    /// Hash: the head of an empty ledger (SPEC §8.12).
    LEDGER_GENESIS = "chopmark/1 ledger genesis";
    /// Hash: the head after a frame (SPEC §8.12).
    LEDGER_HEAD = "chopmark/1 ledger head";
    /// Hash: a message id, from conversation, sender and the content as received (SPEC §7.2).
    MESSAGE_ID = "chopmark/1 message id";

    /// Hash: the conversation of two accounts (SPEC §7.2).
    CONVERSATION = "chopmark/1 conversation";
    /// KDF: the key that wraps a store's key, from a passphrase or a key file (SPEC §9.1).
    STORE_WRAP = "chopmark/1 store wrap";
    /// KDF and AEAD: the rows of a store (SPEC §9.2).
    STORE_ROW = "chopmark/1 store row";
    /// KDF and MAC: the hidden names of a store's rows (SPEC §9.2).
    STORE_NAME = "chopmark/1 store name";
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests [labels-are-distinct].
    // Seen to fail with the text of one label given to a second.
    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (i, one) in ALL.iter().enumerate() {
            for (j, other) in ALL.iter().enumerate() {
                assert!(i == j || !other.starts_with(one), "{one} and {other}");
            }
        }
    }

    // Tests [labels-are-distinct].
    #[test]
    fn every_label_names_the_protocol_and_fits_a_context() {
        for label in ALL {
            assert!(label.starts_with("chopmark/1 "), "{label}");
            assert!(label.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{label}");
            // FIPS 204 allows a context of 255 bytes.
            assert!(label.len() < 64, "{label}");
        }
    }

    // Tests [labels-are-listed]. Seen to fail with a row removed, and with a row twice.
    #[test]
    fn the_specification_lists_every_label() {
        let spec = include_str!("../../../SPEC.md");
        let (_, table) = spec.split_once("### 1.4 Labels").unwrap();
        let (table, _) = table.split_once("### 1.5").unwrap();
        let mut listed: Vec<_> =
            table.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect();
        let mut labels = ALL.to_vec();
        listed.sort_unstable();
        labels.sort_unstable();
        assert_eq!(listed, labels);
    }
}
