//! The treasury's desk: how the operator's commands reach a running issuer.
//!
//! One line of JSON in, one line out, on a loopback port of its own; where it is and the word that opens it stand in
//! the file `desk` of the issuer's folder, which only its owner can read. SPEC §8.13.

use crate::http::now;
use crate::issuer::Issuer;
use crate::keyset::MasterSeed;
use crate::settings::{Folder, FolderError};
use crate::treasury::{Answer, Order};
use cashu::util::hex;
use chopmark_core::random;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The file `desk`.
#[derive(Serialize, Deserialize)]
struct Address {
    at: SocketAddr,
    word: String,
}

#[derive(Serialize, Deserialize)]
struct Request {
    word: String,
    order: Order,
}

type Response = Result<Answer, String>;

/// A desk that is open.
pub(crate) struct Desk {
    listener: TcpListener,
    word: String,
    issuer: Arc<Issuer>,
    seed: MasterSeed,
    url: String,
}

/// Why an order came to nothing that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DeskError {
    /// The running issuer does not answer.
    #[error("the running issuer does not answer: give the same order with the same id again")]
    Unreachable,
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

impl Desk {
    /// Opens a desk and writes down where it is.
    pub(crate) async fn open(
        folder: &Folder,
        issuer: Arc<Issuer>,
        seed: MasterSeed,
        url: String,
    ) -> Result<Self, FolderError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let word = hex::encode(random::array::<32>(&mut rand::rngs::SysRng)?);
        let address = Address { at: listener.local_addr()?, word: word.clone() };
        let text = serde_json::to_string(&address).map_err(std::io::Error::from)?;
        folder.write(FILE, text.as_bytes())?;
        Ok(Self { listener, word, issuer, seed, url })
    }

    /// Serves one order after the other, for ever.
    pub(crate) async fn serve(self) {
        loop {
            let Ok((mut stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let turn = async {
                let (read, mut write) = stream.split();
                let mut line = String::new();
                let mut read = tokio::io::BufReader::new(read.take(MAX_LINE));
                read.read_line(&mut line).await.ok()?;
                let response = self.answer(&line).await;
                let mut text = serde_json::to_string(&response).ok()?;
                text.push('\n');
                write.write_all(text.as_bytes()).await.ok()
            };
            let _late = tokio::time::timeout(PATIENCE, turn).await;
        }
    }

    async fn answer(&self, line: &str) -> Response {
        let request: Request =
            serde_json::from_str(line).map_err(|_| "order is malformed".to_owned())?;
        if !bool::from(request.word.as_bytes().ct_eq(self.word.as_bytes())) {
            return Err("the word is wrong".to_owned());
        }
        let answer = self.issuer.order(request.order, &self.seed, &self.url, now()).await;
        answer.map_err(|refusal| refusal.to_string())
    }
}

/// Gives an order to the issuer that runs on this folder.
pub(crate) fn ask(data: &Path, order: Order) -> Result<Answer, DeskError> {
    let lost = |_| DeskError::Unreachable;
    let text = std::fs::read_to_string(data.join(FILE)).map_err(lost)?;
    let address: Address = serde_json::from_str(&text).map_err(|_| DeskError::Unreachable)?;
    let mut stream = TcpStream::connect_timeout(&address.at, PATIENCE).map_err(lost)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(lost)?;
    let request = Request { word: address.word, order };
    let mut line = serde_json::to_string(&request).map_err(|_| DeskError::Unreachable)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(lost)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line).map_err(lost)?;
    let response: Response = serde_json::from_str(&line).map_err(|_| DeskError::Unreachable)?;
    response.map_err(DeskError::Refused)
}

const FILE: &str = "desk";
const MAX_LINE: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
