//! What a spender shows: signatures, and for a hash lock the preimage.

use super::{Condition, Kind, Unspendable, object::Object};
use secp256k1::schnorr::Signature;
use serde::Deserialize;
use std::collections::BTreeSet;

pub(super) struct Witness {
    preimage: Option<[u8; 32]>,
    signatures: Vec<Signature>,
}

/// Most signatures of one witness: both pathways in full.
const MAX_SIGNATURES: usize = 22;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct P2pk {
    signatures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Htlc {
    preimage: Option<String>,
    signatures: Option<Vec<String>>,
}

impl Witness {
    /// A missing witness is an empty one: after the locktime nothing may be needed.
    pub(super) fn parse(json: Option<&str>, condition: &Condition) -> Result<Self, Unspendable> {
        let Some(json) = json else {
            return Ok(Self { preimage: None, signatures: Vec::new() });
        };
        let bad = Unspendable::WitnessMalformed;
        let (preimage, signatures) = match condition.kind() {
            Kind::P2pk => {
                let Object(witness): Object<P2pk> =
                    serde_json::from_str(json).map_err(|_| bad.clone())?;
                (None, witness.signatures)
            }
            Kind::Htlc { .. } => {
                let Object(witness): Object<Htlc> =
                    serde_json::from_str(json).map_err(|_| bad.clone())?;
                // The refund pathway of some wallets carries an empty preimage.
                let preimage = witness.preimage.filter(|text| !text.is_empty());
                (preimage, witness.signatures.unwrap_or_default())
            }
        };
        let preimage = match preimage {
            Some(text) => Some(crate::hex::decode(&text).ok_or(bad.clone())?),
            None => None,
        };
        let distinct: BTreeSet<_> =
            signatures.iter().map(|text| text.to_ascii_lowercase()).collect();
        if signatures.len() > MAX_SIGNATURES || distinct.len() != signatures.len() {
            return Err(bad);
        }
        let signatures = signatures
            .iter()
            .map(|text| {
                let bytes = crate::hex::decode::<64>(text).ok_or(bad.clone())?;
                Signature::from_slice(&bytes).map_err(|_| bad.clone())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { preimage, signatures })
    }

    pub(super) fn preimage(&self) -> Option<&[u8; 32]> {
        self.preimage.as_ref()
    }

    pub(super) fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}
