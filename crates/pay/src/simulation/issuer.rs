//! An issuer small enough to be read: keysets, a set of spent coins, and what it has signed.

use std::collections::{BTreeMap, BTreeSet};

use cashu::{PublicKey, SecretKey, dhke};
use chopmark_core::time::Timestamp;
use serde_json::{Value, json};

use crate::{Call, HttpReply, Method, verify};

pub(super) struct TestIssuer {
    keysets: Vec<(String, BTreeMap<u64, SecretKey>)>,
    fee_ppk: u64,
    spent: BTreeSet<String>,
    signed: BTreeMap<String, Value>,
    pub(super) issued: u64,
    redeemed: u64,
    signed_value: u64,
    pub(super) fees: u64,
    pub(super) swaps: u64,
    pub(super) max_inputs: usize,
    minted: u8,
    pub(super) proofs: Proofs,
}

/// What the issuer sends with a signature.
#[derive(Clone, Copy)]
pub(super) enum Proofs {
    Right,
    Missing,
    Wrong,
}

impl TestIssuer {
    pub(super) fn new(fee_ppk: u64) -> Self {
        let mut issuer = Self {
            keysets: Vec::new(),
            fee_ppk,
            spent: BTreeSet::new(),
            signed: BTreeMap::new(),
            issued: 0,
            redeemed: 0,
            signed_value: 0,
            fees: 0,
            swaps: 0,
            max_inputs: 1_000,
            minted: 0,
            proofs: Proofs::Right,
        };
        issuer.rotate();
        issuer
    }

    /// A new keyset; the old ones only take coins back.
    pub(super) fn rotate(&mut self) {
        let number = u8::try_from(self.keysets.len()).unwrap();
        let keys: BTreeMap<u64, SecretKey> = (0..20_u8)
            .map(|i| {
                let bytes = crate::hash::sha256(&[number, i]);
                (1_u64 << i, SecretKey::from_slice(&bytes).unwrap())
            })
            .collect();
        let list: Vec<_> =
            keys.iter().map(|(a, key)| format!("{a}:{}", key.public_key().to_hex())).collect();
        let mut text = format!("{}|unit:chop", list.join(","));
        if self.fee_ppk > 0 {
            text.push_str(&format!("|input_fee_ppk:{}", self.fee_ppk));
        }
        let id = format!("01{}", crate::hex::encode(&crate::hash::sha256(text.as_bytes())));
        self.keysets.push((id, keys));
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.signed_value - self.redeemed
    }

    /// A bearer token out of thin air.
    pub(super) fn token(&mut self, amount: u64, url: &str) -> String {
        let (id, keys) = self.keysets.last().unwrap().clone();
        self.minted += 1;
        let mut proofs = Vec::new();
        for (bit, (part, key)) in (0_u8..).zip(&keys) {
            if amount & part != 0 {
                let secret = crate::hex::encode(&crate::hash::sha256(&[self.minted, bit]));
                let y = dhke::hash_to_curve(secret.as_bytes()).unwrap();
                let c = dhke::sign_message(key, &y).unwrap();
                proofs.push(json!({"amount": part, "id": id, "secret": secret, "C": c.to_hex()}));
            }
        }
        self.issued += amount;
        self.signed_value += amount;
        let token = json!({"token": [{"mint": url, "proofs": proofs}], "unit": "chop"});
        let text = data_encoding::BASE64URL_NOPAD.encode(token.to_string().as_bytes());
        format!("cashuA{text}")
    }

    pub(super) fn answer(&mut self, call: &Call, now: Timestamp) -> HttpReply {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
        let answer = match (call.method, call.path.as_str()) {
            (Method::Get, "/v1/keysets") => Ok(self.list()),
            (Method::Get, path) => self.keys(path.trim_start_matches("/v1/keys/")),
            (Method::Post, "/v1/swap") => self.swap(&body, now),
            (Method::Post, "/v1/checkstate") => Ok(self.states(&body)),
            (Method::Post, "/v1/restore") => Ok(self.restore(&body)),
            (Method::Post, _) => Err("no such path"),
        };
        match answer {
            Ok(mut body) => {
                self.tamper(&mut body);
                HttpReply { status: 200, body: body.to_string().into_bytes() }
            }
            Err(detail) => {
                let body = json!({"detail": detail, "code": 1}).to_string().into_bytes();
                HttpReply { status: 400, body }
            }
        }
    }

    fn tamper(&self, body: &mut Value) {
        for signature in body["signatures"].as_array_mut().into_iter().flatten() {
            match self.proofs {
                Proofs::Right => {}
                Proofs::Missing => signature["dleq"] = Value::Null,
                Proofs::Wrong => signature["dleq"]["e"] = signature["dleq"]["s"].clone(),
            }
        }
    }

    fn list(&self) -> Value {
        let last = self.keysets.len() - 1;
        let list = self.keysets.iter().enumerate().map(|(i, (id, _))| {
            json!({"id": id, "unit": "chop", "active": i == last, "input_fee_ppk": self.fee_ppk})
        });
        json!({"keysets": list.collect::<Vec<_>>()})
    }

    fn keys(&self, id: &str) -> Result<Value, &'static str> {
        let (_, keys) = self.keysets.iter().find(|(it, _)| it == id).ok_or("no such keyset")?;
        let keys: BTreeMap<_, _> =
            keys.iter().map(|(a, key)| (a.to_string(), key.public_key().to_hex())).collect();
        Ok(json!({"keysets": [{"id": id, "unit": "chop", "keys": keys}]}))
    }

    fn swap(&mut self, body: &Value, now: Timestamp) -> Result<Value, &'static str> {
        let (inputs, outputs) = (body["inputs"].as_array(), body["outputs"].as_array());
        let (inputs, outputs) = (inputs.ok_or("no inputs")?, outputs.ok_or("no outputs")?);
        if inputs.len() > self.max_inputs {
            return Err("too many inputs");
        }
        let mut ys = BTreeSet::new();
        let mut sum = 0;
        let mut checked = Vec::new();
        for input in inputs {
            assert!(input.get("dleq").is_none(), "a DLEQ proof is never shown to an issuer");
            let secret = input["secret"].as_str().ok_or("no secret")?;
            let amount = input["amount"].as_u64().ok_or("no amount")?;
            let (_, keys) =
                self.keysets.iter().find(|(id, _)| input["id"] == *id).ok_or("no such keyset")?;
            let c = PublicKey::from_hex(input["C"].as_str().unwrap()).map_err(|_| "no point")?;
            let key = keys.get(&amount).ok_or("no such amount")?;
            dhke::verify_message(key, c, secret.as_bytes()).map_err(|_| "not ours")?;
            ys.insert(dhke::hash_to_curve(secret.as_bytes()).unwrap().to_hex());
            sum += amount;
            checked.push(verify::Input {
                secret: secret.as_bytes(),
                signature: c.to_bytes(),
                witness: input["witness"].as_str(),
            });
        }
        verify::check(&checked, &[], verify::Purpose::Swap, now).map_err(|_| "locked")?;
        let out: u64 = outputs.iter().map(|output| output["amount"].as_u64().unwrap()).sum();
        let fee = (self.fee_ppk * inputs.len() as u64).div_ceil(1_000);
        if ys.len() != inputs.len() || sum != out + fee {
            return Err("unbalanced");
        }
        // As the specification of most mints has it: a replay is an error like any other.
        if ys.iter().any(|y| self.spent.contains(y)) {
            return Err("already spent");
        }
        if outputs.iter().any(|output| self.signed.contains_key(output["B_"].as_str().unwrap())) {
            return Err("already signed");
        }
        let (id, keys) = self.keysets.last().unwrap().clone();
        if outputs.iter().any(|output| output["id"] != id) {
            return Err("keyset is inactive");
        }
        let mut signatures = Vec::new();
        for output in outputs {
            let amount = output["amount"].as_u64().unwrap();
            let key = keys.get(&amount).ok_or("no such amount")?;
            let text = output["B_"].as_str().unwrap();
            let blinded = PublicKey::from_hex(text).map_err(|_| "no point")?;
            let c = dhke::sign_message(key, &blinded).unwrap();
            let keyset = std::str::FromStr::from_str(&id).unwrap();
            let signed =
                cashu::BlindSignature::new(amount.into(), c, keyset, &blinded, key).unwrap();
            let signed = serde_json::to_value(signed).unwrap();
            self.signed.insert(text.to_owned(), signed.clone());
            signatures.push(signed);
        }
        self.spent.extend(ys);
        self.redeemed += sum;
        self.signed_value += out;
        self.fees += fee;
        self.swaps += 1;
        Ok(json!({"signatures": signatures}))
    }

    fn states(&self, body: &Value) -> Value {
        let states = body["Ys"].as_array().unwrap().iter().map(|y| {
            let spent = self.spent.contains(y.as_str().unwrap());
            json!({"Y": y, "state": if spent { "SPENT" } else { "UNSPENT" }, "witness": null})
        });
        json!({"states": states.collect::<Vec<_>>()})
    }

    /// In an order of its own: an answer is matched by `B_`.
    fn restore(&self, body: &Value) -> Value {
        let mut found: Vec<_> = body["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|output| {
                let signature = self.signed.get(output["B_"].as_str().unwrap())?;
                Some((output.clone(), signature.clone()))
            })
            .collect();
        found.sort_by_key(|(output, _)| output["B_"].to_string());
        let (outputs, signatures): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        json!({"outputs": outputs, "signatures": signatures})
    }
}
