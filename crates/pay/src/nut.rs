//! The JSON that issuers speak (NUT-01, 02, 03, 07, 09), as little of it as is needed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Serialize)]
pub(crate) struct Swap {
    pub(crate) inputs: Vec<Proof>,
    pub(crate) outputs: Vec<Output>,
}

/// A coin as an issuer is shown it: without the DLEQ proof, which would link it to its blinded form (NUT-12).
#[derive(Serialize)]
pub(crate) struct Proof {
    pub(crate) amount: u64,
    pub(crate) id: String,
    pub(crate) secret: String,
    #[serde(rename = "C")]
    pub(crate) c: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) witness: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) amount: u64,
    pub(crate) id: String,
    #[serde(rename = "B_")]
    pub(crate) blinded: String,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Signature {
    pub(crate) amount: u64,
    pub(crate) id: String,
    #[serde(rename = "C_")]
    pub(crate) c: String,
    pub(crate) dleq: Option<Dleq>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Dleq {
    pub(crate) e: String,
    pub(crate) s: String,
}

#[derive(Deserialize)]
pub(crate) struct Signatures {
    pub(crate) signatures: Vec<Signature>,
}

#[derive(Serialize)]
pub(crate) struct CheckState {
    #[serde(rename = "Ys")]
    pub(crate) ys: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct States {
    pub(crate) states: Vec<State>,
}

#[derive(Deserialize)]
pub(crate) struct State {
    #[serde(rename = "Y")]
    pub(crate) y: String,
    pub(crate) state: String,
}

#[derive(Serialize)]
pub(crate) struct Restore {
    pub(crate) outputs: Vec<Output>,
}

#[derive(Deserialize)]
pub(crate) struct Restored {
    pub(crate) outputs: Vec<Output>,
    pub(crate) signatures: Vec<Signature>,
}

#[derive(Deserialize)]
pub(crate) struct Keysets {
    pub(crate) keysets: Vec<KeysetInfo>,
}

#[derive(Deserialize)]
pub(crate) struct KeysetInfo {
    pub(crate) id: String,
    pub(crate) unit: String,
    pub(crate) active: bool,
    pub(crate) input_fee_ppk: Option<u64>,
    pub(crate) final_expiry: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct KeysReply {
    pub(crate) keysets: Vec<KeysOf>,
}

#[derive(Deserialize)]
pub(crate) struct KeysOf {
    pub(crate) id: String,
    pub(crate) keys: BTreeMap<String, String>,
}

pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

pub(crate) fn write<T: Serialize>(body: &T) -> Vec<u8> {
    // Nothing here has a map with keys that are not text, the only thing JSON cannot write.
    serde_json::to_vec(body).unwrap_or_default()
}

/// Thirty-three bytes in a record.
pub(crate) mod key_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(key: &[u8; 33], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::hex::encode(key))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 33], D::Error> {
        let text = String::deserialize(from)?;
        crate::hex::decode(&text).ok_or_else(|| D::Error::custom("not a key"))
    }
}
