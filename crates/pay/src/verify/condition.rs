//! A spending condition, parsed strictly: the JSON array `[kind, {nonce, data, tags}]` of NUT-10 and nothing near it.

use cashu::PublicKey;
use chopmark_core::time::Timestamp;
use serde::Deserialize;

use super::object::Object;

/// Who may spend a coin, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    kind: Kind,
    receiver: Signers,
    refund: Option<Signers>,
    locktime: Option<u64>,
    sig_flag: SigFlag,
    lock: (String, Vec<Vec<String>>),
}

/// The kinds of condition that exist here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Pay to public key (NUT-11).
    P2pk,
    /// Hash time lock (NUT-14).
    Htlc {
        /// SHA-256 of the preimage.
        hash: [u8; 32],
    },
}

/// What a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigFlag {
    /// The secret of its own input.
    Inputs,
    /// All inputs and all outputs.
    All,
}

/// Some keys, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signers {
    pub(super) keys: Vec<PublicKey>,
    pub(super) needed: usize,
}

/// What is wrong with a condition. The coin can never be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not the array of a kind and an object with `nonce`, `data` and `tags`, each once.
    #[error("not a kind and one object with nonce, data and tags")]
    Shape,
    /// A kind that nobody defined.
    #[error("unknown kind")]
    UnknownKind,
    /// The nonce is empty.
    #[error("nonce is empty")]
    Nonce,
    /// A tag is there twice, is empty, or has the wrong number of values.
    #[error("a tag is empty, repeated or has the wrong number of values")]
    Tag,
    /// A number is not canonical decimal, or zero, or asks for more signatures than there are keys.
    #[error("a number is out of range")]
    Number,
    /// A key is not a compressed point, or is there twice.
    #[error("a key is invalid or repeated")]
    Key,
    /// The hash is not 64 lower-case hexadecimal digits.
    #[error("the hash is not 32 bytes in hexadecimal")]
    Hash,
    /// A signature flag that nobody defined.
    #[error("unknown signature flag")]
    SigFlag,
}

/// Most keys of one pathway (NUT-28 has eleven slots).
const MAX_KEYS: usize = 11;
const MAX_TAGS: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    nonce: String,
    data: String,
    #[serde(default)]
    tags: Vec<Vec<String>>,
}

impl Condition {
    /// Parse `secret`. `None`: it is a plain secret, without a condition.
    ///
    /// Whatever begins with `[` after white space is shaped like a condition and must be a well-formed one.
    ///
    /// # Errors
    /// [`Malformed`]: the coin can never be spent.
    pub fn parse(secret: &[u8]) -> Result<Option<Self>, Malformed> {
        let first = secret.iter().find(|byte| !byte.is_ascii_whitespace());
        // A byte order mark would hide the bracket from this test and not from every JSON parser.
        let marked = secret.starts_with(b"\xef\xbb\xbf");
        if first != Some(&b'[') && !marked {
            return Ok(None);
        }
        let (kind, Object(fields)): (String, Object<Fields>) =
            serde_json::from_slice(secret).map_err(|_| Malformed::Shape)?;
        if fields.nonce.is_empty() {
            return Err(Malformed::Nonce);
        }
        let tags = Tags::parse(&fields.tags)?;
        let more = tags.pubkeys.unwrap_or_default();
        let (kind, keys, least) = match kind.as_str() {
            "P2PK" => {
                let mut keys = vec![key(&fields.data)?];
                keys.extend(more);
                (Kind::P2pk, keys, 1)
            }
            "HTLC" => {
                let least = usize::from(!more.is_empty());
                (Kind::Htlc { hash: hash(&fields.data)? }, more, least)
            }
            _ => return Err(Malformed::UnknownKind),
        };
        let receiver = signers(keys, tags.n_sigs, least)?;
        let refund = match tags.refund {
            Some(keys) => Some(signers(keys, tags.n_sigs_refund, 1)?),
            None if tags.n_sigs_refund.is_some() => return Err(Malformed::Number),
            None => None,
        };
        Ok(Some(Self {
            kind,
            receiver,
            refund,
            locktime: tags.locktime,
            sig_flag: tags.sig_flag.unwrap_or(SigFlag::Inputs),
            lock: (fields.data, fields.tags),
        }))
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What its signatures cover.
    #[must_use]
    pub fn sig_flag(&self) -> SigFlag {
        self.sig_flag
    }

    /// From when on the refund pathway is open too, in Unix seconds.
    #[must_use]
    pub fn locktime(&self) -> Option<u64> {
        self.locktime
    }

    pub(super) fn receiver(&self) -> &Signers {
        &self.receiver
    }

    pub(super) fn refund(&self) -> Option<&Signers> {
        self.refund.as_ref()
    }

    pub(super) fn locktime_passed(&self, now: Timestamp) -> bool {
        self.locktime.is_some_and(|locktime| locktime < now.as_secs())
    }

    /// The same but for the nonce.
    pub(super) fn same_lock(&self, other: &Self) -> bool {
        self.kind == other.kind && self.lock == other.lock
    }
}

#[derive(Default)]
struct Tags {
    pubkeys: Option<Vec<PublicKey>>,
    refund: Option<Vec<PublicKey>>,
    n_sigs: Option<u64>,
    n_sigs_refund: Option<u64>,
    locktime: Option<u64>,
    sig_flag: Option<SigFlag>,
}

impl Tags {
    fn parse(tags: &[Vec<String>]) -> Result<Self, Malformed> {
        if tags.len() > MAX_TAGS {
            return Err(Malformed::Tag);
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut parsed = Self::default();
        for tag in tags {
            let (name, values) = tag.split_first().ok_or(Malformed::Tag)?;
            if !seen.insert(name) {
                return Err(Malformed::Tag);
            }
            match name.as_str() {
                "pubkeys" => parsed.pubkeys = Some(keys(values)?),
                "refund" => parsed.refund = Some(keys(values)?),
                "n_sigs" => parsed.n_sigs = Some(number(one(values)?)?),
                "n_sigs_refund" => parsed.n_sigs_refund = Some(number(one(values)?)?),
                "locktime" => parsed.locktime = Some(number(one(values)?)?),
                "sigflag" => parsed.sig_flag = Some(sig_flag(one(values)?)?),
                // A tag of a later version means nothing here; that it is unique is checked above.
                _ => {}
            }
        }
        Ok(parsed)
    }
}

fn signers(keys: Vec<PublicKey>, needed: Option<u64>, least: usize) -> Result<Signers, Malformed> {
    let needed = match needed {
        Some(needed) => usize::try_from(needed).map_err(|_| Malformed::Number)?,
        None => least,
    };
    if needed < least || needed > keys.len() {
        return Err(Malformed::Number);
    }
    if keys.len() > MAX_KEYS {
        return Err(Malformed::Key);
    }
    // Two keys with one x coordinate are one signer (BIP-340).
    let distinct: std::collections::BTreeSet<_> =
        keys.iter().map(|key| key.x_only_public_key().serialize()).collect();
    if distinct.len() != keys.len() {
        return Err(Malformed::Key);
    }
    Ok(Signers { keys, needed })
}

fn one(values: &[String]) -> Result<&str, Malformed> {
    match values {
        [value] => Ok(value),
        _ => Err(Malformed::Tag),
    }
}

/// Canonical decimal: digits only, no leading zero, at most `u64::MAX`.
fn number(text: &str) -> Result<u64, Malformed> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(Malformed::Number);
    }
    text.parse().map_err(|_| Malformed::Number)
}

fn keys(values: &[String]) -> Result<Vec<PublicKey>, Malformed> {
    if values.is_empty() {
        return Err(Malformed::Tag);
    }
    values.iter().map(|value| key(value)).collect()
}

fn key(text: &str) -> Result<PublicKey, Malformed> {
    let bytes = crate::hex::decode::<33>(text).ok_or(Malformed::Key)?;
    PublicKey::from_slice(&bytes).map_err(|_| Malformed::Key)
}

fn hash(text: &str) -> Result<[u8; 32], Malformed> {
    crate::hex::decode(text).ok_or(Malformed::Hash)
}

fn sig_flag(text: &str) -> Result<SigFlag, Malformed> {
    match text {
        "SIG_INPUTS" => Ok(SigFlag::Inputs),
        "SIG_ALL" => Ok(SigFlag::All),
        _ => Err(Malformed::SigFlag),
    }
}
