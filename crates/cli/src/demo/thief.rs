//! A third wallet with a stolen copy of a payment's coins, and no scruples: it does not ask its own wallet whether the
//! coins are for it, it asks the issuer.

use std::time::Duration;

use ciborium::Value as Cbor;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::command::listen::hex;
use crate::outcome::{Done, Failure};

/// What an issuer answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// A swap of the stolen coins into outputs of the thief's: as they are, and with a signature that is not the payee's.
pub(super) async fn swap(issuer: &str, token: &str, signed: bool) -> Done<Answer> {
    let coins = coins(token).ok_or_else(|| Failure::failed("the stolen token cannot be read"))?;
    let keys = ask(issuer, "GET", "/v1/keys", "").await?.body;
    let keyset = keys.pointer("/keysets/0").ok_or_else(bad)?;
    let id = keyset.get("id").and_then(Value::as_str).ok_or_else(bad)?;
    // The issuer's public keys are points of the curve: they do as blinded outputs for whoever will not get that far.
    let mut points = keyset.get("keys").and_then(Value::as_object).ok_or_else(bad)?.values();
    let mut inputs = Vec::new();
    let mut outputs = Vec::new();
    for coin in coins {
        let mut input =
            json!({"amount": coin.amount, "id": id, "secret": coin.secret, "C": coin.c});
        if signed && let Some(input) = input.as_object_mut() {
            let witness = json!({"signatures": ["5a".repeat(64)]}).to_string();
            input.insert("witness".to_owned(), json!(witness));
        }
        inputs.push(input);
        let point = points.next().ok_or_else(bad)?;
        outputs.push(json!({"amount": coin.amount, "id": id, "B_": point}));
    }
    let body = json!({"inputs": inputs, "outputs": outputs}).to_string();
    ask(issuer, "POST", "/v1/swap", &body).await
}

struct Coin {
    amount: u64,
    secret: String,
    c: String,
}

/// The coins of a `cashuB` token.
fn coins(token: &str) -> Option<Vec<Coin>> {
    let bytes =
        BASE64URL_NOPAD.decode(token.strip_prefix("cashuB")?.trim_end_matches('=').as_bytes());
    let token: Cbor = ciborium::from_reader(bytes.ok()?.as_slice()).ok()?;
    let mut coins = Vec::new();
    for group in field(&token, "t")?.as_array()? {
        for proof in field(group, "p")?.as_array()? {
            coins.push(Coin {
                amount: field(proof, "a")?.as_integer()?.try_into().ok()?,
                secret: field(proof, "s")?.as_text()?.to_owned(),
                c: hex(field(proof, "c")?.as_bytes()?),
            });
        }
    }
    Some(coins)
}

fn field<'a>(map: &'a Cbor, name: &str) -> Option<&'a Cbor> {
    map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

async fn ask(issuer: &str, method: &str, path: &str, body: &str) -> Done<Answer> {
    let host = issuer.strip_prefix("http://").ok_or_else(bad)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let talk = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, talk).await.map_err(|_| bad())??;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    let body = serde_json::from_str(body).map_err(|_| bad())?;
    Ok(Answer { status, body })
}

fn bad() -> Failure {
    Failure::failed("the issuer gave the thief no answer that can be read")
}

const PATIENCE: Duration = Duration::from_secs(15);
const ANSWER_MAX: u64 = 1 << 20;
