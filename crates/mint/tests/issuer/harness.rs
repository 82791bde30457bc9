//! A running issuer, and a wallet of a few lines to talk to it.

use cashu::dhke::{blind_message, construct_proofs};
use cashu::{BlindSignature, BlindedMessage, KeySet, Proof, SecretKey, Token};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process on a folder. Killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
    pub(crate) data: PathBuf,
}

/// An output with what turns its signature into a coin.
#[derive(Clone)]
pub(crate) struct Blank {
    pub(crate) message: BlindedMessage,
    secret: cashu::secret::Secret,
    blind: SecretKey,
}

/// The executable lies beside the tests, whichever package they are of.
pub(crate) fn executable() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("chopmark-mint");
    assert!(path.exists(), "build it first: cargo build -p chopmark-mint");
    path
}

impl Node {
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = Command::new(executable());
        command.args(["run", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        Self::spawn(command, data)
    }

    pub(crate) fn spawn(mut command: Command, data: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("a URL first").to_owned();
        Self { child, address, data: data.to_owned() }
    }

    /// SIGKILL, and wait.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit code, if the process ends by itself within ten seconds.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        for _ in 0..200 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        ask(&self.address, "GET", path, "").expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.address, "POST", path, &body.to_string()).expect("an answer")
    }

    /// What the operator's command prints with `--json`.
    pub(crate) fn command(&self, args: &[&str]) -> Value {
        let output = Command::new(executable())
            .args(args)
            .arg("--json")
            .arg("--data")
            .arg(&self.data)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The active keyset.
    pub(crate) fn keys(&self) -> KeySet {
        let (_, reply) = self.get("/v1/keys");
        let set: KeySet = serde_json::from_value(reply["keysets"][0].clone()).unwrap();
        set.verify_id().unwrap();
        set
    }

    /// Coins from the treasury.
    pub(crate) fn issue(&self, amount: &str) -> Vec<Proof> {
        let issued = self.command(&["issue", amount]);
        let token: Token = issued["token"].as_str().unwrap().parse().unwrap();
        let (_, sets) = self.get("/v1/keysets");
        let proofs =
            token.proofs(&serde_json::from_value::<Vec<_>>(sets["keysets"].clone()).unwrap());
        bare(proofs.unwrap())
    }

    /// Coins of exactly one minor unit each.
    pub(crate) fn ones(&self, count: usize) -> Vec<Proof> {
        let keys = self.keys();
        let inputs = self.issue(&format!("{}.{:02}", count / 100, count % 100));
        let outputs = blanks(&keys, &vec![1; count]);
        let (status, reply) = self.swap(&inputs, &outputs);
        assert_eq!(status, 200, "{reply}");
        coins(&keys, &outputs, &reply)
    }

    pub(crate) fn swap(&self, inputs: &[Proof], outputs: &[Blank]) -> (u16, Value) {
        self.post("/v1/swap", &swap_body(inputs, outputs))
    }

    /// The supply, which must balance.
    pub(crate) fn report(&self) -> Value {
        let report = self.command(&["report"]);
        assert_eq!(report["balanced"], true, "{report}");
        report
    }

    pub(crate) fn states(&self, proofs: &[Proof]) -> Vec<(String, Value)> {
        let ys: Vec<_> = proofs.iter().map(|proof| proof.y().unwrap()).collect();
        let (status, reply) = self.post("/v1/checkstate", &json!({"Ys": ys}));
        assert_eq!(status, 200, "{reply}");
        let states = reply["states"].as_array().unwrap();
        states
            .iter()
            .map(|it| (it["state"].as_str().unwrap().to_owned(), it["witness"].clone()))
            .collect()
    }

    /// The signatures that the issuer has given on these outputs.
    pub(crate) fn restore(&self, outputs: &[Blank]) -> Vec<Value> {
        let messages: Vec<_> = outputs.iter().map(|it| &it.message).collect();
        let (status, reply) = self.post("/v1/restore", &json!({"outputs": messages}));
        assert_eq!(status, 200, "{reply}");
        reply["signatures"].as_array().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn swap_body(inputs: &[Proof], outputs: &[Blank]) -> Value {
    let messages: Vec<_> = outputs.iter().map(|it| &it.message).collect();
    json!({"inputs": inputs, "outputs": messages})
}

/// Fresh outputs of these amounts.
pub(crate) fn blanks(keys: &KeySet, amounts: &[u64]) -> Vec<Blank> {
    let secrets = amounts.iter().map(|_| cashu::secret::Secret::generate()).collect::<Vec<_>>();
    amounts.iter().zip(secrets).map(|(amount, secret)| blank(keys, *amount, secret)).collect()
}

pub(crate) fn blank(keys: &KeySet, amount: u64, secret: cashu::secret::Secret) -> Blank {
    let (point, blind) = blind_message(secret.as_bytes(), None).unwrap();
    Blank { message: BlindedMessage::new(amount.into(), keys.id, point), secret, blind }
}

/// Coins out of a reply, each with a proof that its signature is honest.
pub(crate) fn coins(keys: &KeySet, outputs: &[Blank], reply: &Value) -> Vec<Proof> {
    let signatures: Vec<BlindSignature> =
        serde_json::from_value(reply["signatures"].clone()).unwrap();
    assert_eq!(signatures.len(), outputs.len());
    let blinds = outputs.iter().map(|it| it.blind.clone()).collect();
    let secrets = outputs.iter().map(|it| it.secret.clone()).collect();
    let proofs = construct_proofs(signatures, blinds, secrets, &keys.keys).unwrap();
    for proof in &proofs {
        proof.verify_dleq(keys.keys.amount_key(proof.amount).unwrap()).unwrap();
    }
    bare(proofs)
}

/// Without what only the wallet needs.
fn bare(mut proofs: Vec<Proof>) -> Vec<Proof> {
    proofs.iter_mut().for_each(|proof| proof.dleq = None);
    proofs
}

/// One request on a connection of its own: status and JSON. An error when the connection broke.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, Value)> {
    let mut stream = send(address, method, path, body)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let broken = || std::io::Error::other("half an answer");
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(broken)?;
    // Tests [head-on-replies]
    assert!(head.contains("chopmark-ledger: ") || !head.contains(" 200 "), "{head}");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(broken)?;
    Ok((status, serde_json::from_str(body).map_err(|_| broken())?))
}

/// Sends a request and waits for nothing.
pub(crate) fn send(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: mint\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}
