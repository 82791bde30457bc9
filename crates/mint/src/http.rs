//! The Cashu HTTP interface: paths, limits, and the head of the ledger on every reply.
//!
//! It parses and prints; what is decided is the issuer's and the ledger's. Logs name a path and a code, never a body,
//! an address or a coin. SPEC §8.11.

use crate::issuer::{Issuer, MAX_ARRAY, Proof};
use crate::ledger::entry::Point;
use crate::quote::{MAX_REQUEST, Purpose, Quote};
use crate::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cashu::nuts::nut05::QuoteState;
use cashu::{BlindedMessage, CurrencyUnit, Id, PublicKey};
use chopmark_core::{random, time::Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

/// The one payment method: the operator's treasury.
pub(crate) const METHOD: &str = "treasury";
/// Longest body in bytes: a thousand locked inputs with witnesses, and a thousand outputs.
pub(crate) const MAX_BODY: usize = 2 << 20;

/// Longest body in bytes of a thousand outputs alone, of a thousand Ys, and of a quote: who knows no coin makes the
/// issuer hold and parse no more than this.
const MAX_OUTPUTS_BODY: usize = 512 << 10;
const MAX_POINTS_BODY: usize = 128 << 10;
const MAX_QUOTE_BODY: usize = 4 << 10;
/// The head of the ledger: `EPOCH.SEQ.HASH`, decimal, decimal, hex.
const HEAD: &str = "chopmark-ledger";
/// Requests answered at once.
const IN_FLIGHT: usize = 1024;
/// From the first byte of a request to its reply.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a quote may stay unpaid.
const QUOTE_LIFE: u64 = 24 * 3600;

type Shared = State<Arc<Issuer>>;
type Reply = Result<Json<Value>, Refusal>;

/// The routes of an issuer.
pub(crate) fn router(issuer: Arc<Issuer>) -> Router {
    let gate = Arc::new(Semaphore::new(IN_FLIGHT));
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/keys", get(keys))
        .route("/v1/keys/{id}", get(keys_of))
        .route("/v1/keysets", get(keysets))
        .route("/v1/swap", post(swap))
        .route("/v1/mint/quote/{method}", post(mint_quote).layer(small()))
        .route("/v1/mint/quote/{method}/{id}", get(show_mint_quote))
        .route("/v1/mint/{method}", post(mint).layer(DefaultBodyLimit::max(MAX_OUTPUTS_BODY)))
        .route("/v1/melt/quote/{method}", post(melt_quote).layer(small()))
        .route("/v1/melt/quote/{method}/{id}", get(show_melt_quote))
        .route("/v1/melt/{method}", post(melt))
        .route("/v1/checkstate", post(check_state).layer(DefaultBodyLimit::max(MAX_POINTS_BODY)))
        .route("/v1/restore", post(restore).layer(DefaultBodyLimit::max(MAX_OUTPUTS_BODY)))
        .fallback(|| async { Refusal::Path })
        .method_not_allowed_fallback(|| async { Refusal::Path })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&issuer), stamp))
        .layer(middleware::from_fn_with_state(gate, admit))
        .with_state(issuer)
}

fn small() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_QUOTE_BODY)
}

/// What the clock of this machine says.
#[expect(clippy::disallowed_methods, reason = "the edge where the issuer's time comes from")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

async fn info(State(issuer): Shared) -> Reply {
    let (_, active) = issuer.keys.active().ok_or(Refusal::Broken)?;
    let (unit, exponent) = (&active.terms.unit, active.terms.exponent);
    let largest = (1u64 << crate::keyset::AMOUNTS) - 1;
    let methods = json!([{"method": METHOD, "unit": unit, "min_amount": 1, "max_amount": largest}]);
    let yes = json!({"supported": true});
    let cached = |path: &str| json!({"method": "POST", "path": path});
    Ok(Json(json!({
        "name": issuer.settings.name,
        "pubkey": issuer.identity,
        "version": concat!("chopmark-mint/", env!("CARGO_PKG_VERSION")),
        "time": now().as_secs(),
        "max_array_length": MAX_ARRAY,
        "nuts": {
            "4": {"methods": methods, "disabled": false},
            "5": {"methods": methods, "disabled": false},
            "7": yes, "8": {"supported": false}, "9": yes, "10": yes, "11": yes, "12": yes, "14": yes,
            "19": {"ttl": null, "cached_endpoints": [
                cached("/v1/swap"), cached("/v1/mint/treasury"), cached("/v1/melt/treasury"),
            ]},
            "20": yes,
        },
        "chopmark": {
            "units": {unit: {"exponent": exponent}},
            "max_inputs": MAX_ARRAY,
            "max_outputs": MAX_ARRAY,
            "max_body": MAX_BODY,
        },
    })))
}

async fn keys(State(issuer): Shared) -> Reply {
    let sets: Vec<_> = issuer
        .keys
        .iter()
        .filter(|(_, active)| *active)
        .map(|(set, active)| set.announce(active))
        .collect();
    Ok(Json(json!({"keysets": sets})))
}

async fn keys_of(State(issuer): Shared, Path(id): Path<String>) -> Reply {
    let unknown = crate::ledger::books::Refusal::UnknownKeyset;
    let id: Id = id.parse().map_err(|_| unknown)?;
    let found = issuer.keys.iter().find(|(set, _)| set.id == id);
    let (set, active) = found.ok_or(unknown)?;
    Ok(Json(json!({"keysets": [set.announce(active)]})))
}

async fn keysets(State(issuer): Shared) -> Reply {
    let sets: Vec<_> = issuer.keys.iter().map(|(set, active)| set.list(active)).collect();
    Ok(Json(json!({"keysets": sets})))
}

#[derive(Deserialize)]
struct Swap {
    inputs: Vec<Proof>,
    outputs: Vec<BlindedMessage>,
}

async fn swap(State(issuer): Shared, body: Result<Bytes, BodyError>) -> Reply {
    let Swap { inputs, outputs } = parse(body).await?;
    let checker = Arc::clone(&issuer);
    let check = move || checker.check_swap(&inputs, &outputs, now());
    let signatures = issuer.exchange(work(check).await?).await?;
    Ok(Json(json!({"signatures": signatures})))
}

#[derive(Deserialize)]
struct MintQuote {
    amount: u64,
    unit: CurrencyUnit,
    #[serde(default)]
    pubkey: Option<PublicKey>,
}

async fn mint_quote(
    State(issuer): Shared,
    Path(method): Path<String>,
    body: Result<Bytes, BodyError>,
) -> Reply {
    let asked: MintQuote = parse(body).await?;
    let quote =
        new_quote(&issuer, &method, asked.amount, &asked.unit, Purpose::Mint(asked.pubkey))?;
    let id = issuer.quotes.id(&quote);
    print_mint_quote(&issuer, &id, &quote).await
}

async fn show_mint_quote(
    State(issuer): Shared,
    Path((method, id)): Path<(String, String)>,
) -> Reply {
    let quote = known_quote(&issuer, &method, &id)?;
    print_mint_quote(&issuer, &id, &quote).await
}

async fn print_mint_quote(issuer: &Issuer, id: &str, quote: &Quote) -> Reply {
    let Purpose::Mint(lock) = &quote.purpose else { return Err(Refusal::UnknownQuote) };
    let key = quote.key;
    let found = issuer.ledger.settle(move |books| books.quote(&key), |found| found).await?;
    let paid = found.paid.map_or(0, |(amount, _)| amount);
    let issued = if found.settled.is_some() { paid } else { 0 };
    let state = match (found.paid, found.settled) {
        (_, Some(_)) => "ISSUED",
        (Some(_), None) => "PAID",
        (None, None) => "UNPAID",
    };
    let (_, active) = issuer.keys.active().ok_or(Refusal::Broken)?;
    let updated = found.settled.map(|(_, at)| at).or(found.paid.map(|(_, at)| at)).unwrap_or(0);
    let mut reply = json!({
        "quote": id, "request": id, "method": METHOD, "unit": active.terms.unit,
        "amount": quote.amount, "amount_paid": paid, "amount_issued": issued, "state": state,
        "updated_at": updated, "expiry": quote.expiry,
    });
    if let (Some(lock), Some(reply)) = (lock, reply.as_object_mut()) {
        reply.insert("pubkey".to_owned(), json!(lock));
    }
    Ok(Json(reply))
}

async fn mint(
    State(issuer): Shared,
    Path(method): Path<String>,
    body: Result<Bytes, BodyError>,
) -> Reply {
    is_treasury(&method)?;
    let request: cashu::MintRequest<String> = parse(body).await?;
    let checker = Arc::clone(&issuer);
    let check = move || {
        let signed = |key: PublicKey| {
            let signature = request.signature.as_ref().and_then(|it| it.parse().ok());
            signature.is_some_and(|it| key.verify(&request.msg_to_sign(), &it).is_ok())
        };
        checker.check_mint(&request.quote, &request.outputs, signed, now())
    };
    let signatures = issuer.exchange(work(check).await?).await?;
    Ok(Json(json!({"signatures": signatures})))
}

#[derive(Deserialize)]
struct MeltQuote {
    request: String,
    unit: CurrencyUnit,
    amount: u64,
}

async fn melt_quote(
    State(issuer): Shared,
    Path(method): Path<String>,
    body: Result<Bytes, BodyError>,
) -> Reply {
    let asked: MeltQuote = parse(body).await?;
    if asked.request.len() > MAX_REQUEST {
        return Err(Refusal::Body("request is too long"));
    }
    let purpose = Purpose::Melt(asked.request);
    let quote = new_quote(&issuer, &method, asked.amount, &asked.unit, purpose)?;
    let id = issuer.quotes.id(&quote);
    print_melt_quote(&issuer, &id, &quote).await
}

async fn show_melt_quote(
    State(issuer): Shared,
    Path((method, id)): Path<(String, String)>,
) -> Reply {
    let quote = known_quote(&issuer, &method, &id)?;
    print_melt_quote(&issuer, &id, &quote).await
}

async fn print_melt_quote(issuer: &Issuer, id: &str, quote: &Quote) -> Reply {
    let key = quote.key;
    let found = issuer.ledger.settle(move |books| books.quote(&key), |found| found).await?;
    let state = if found.settled.is_some() { QuoteState::Paid } else { QuoteState::Unpaid };
    melt_reply(issuer, id, quote, state)
}

fn melt_reply(issuer: &Issuer, id: &str, quote: &Quote, state: QuoteState) -> Reply {
    let Purpose::Melt(request) = &quote.purpose else { return Err(Refusal::UnknownQuote) };
    let (_, active) = issuer.keys.active().ok_or(Refusal::Broken)?;
    Ok(Json(json!({
        "quote": id, "request": request, "method": METHOD, "unit": active.terms.unit,
        "amount": quote.amount, "fee_reserve": 0, "state": state, "expiry": quote.expiry,
        "payment_preimage": null,
    })))
}

#[derive(Deserialize)]
struct Melt {
    quote: String,
    inputs: Vec<Proof>,
    #[serde(default)]
    outputs: Option<Vec<BlindedMessage>>,
}

async fn melt(
    State(issuer): Shared,
    Path(method): Path<String>,
    body: Result<Bytes, BodyError>,
) -> Reply {
    is_treasury(&method)?;
    let Melt { quote: id, inputs, outputs } = parse(body).await?;
    if outputs.is_some_and(|outputs| !outputs.is_empty()) {
        return Err(Refusal::Change);
    }
    let checker = Arc::clone(&issuer);
    let check = move || {
        let (quote, checked) = checker.check_melt(&id, &inputs, now())?;
        Ok((id, quote, checked))
    };
    let (id, quote, checked) = work(check).await?;
    issuer.exchange(checked).await?;
    melt_reply(&issuer, &id, &quote, QuoteState::Paid)
}

#[derive(Deserialize)]
struct CheckState {
    #[serde(rename = "Ys")]
    ys: Vec<PublicKey>,
}

async fn check_state(State(issuer): Shared, body: Result<Bytes, BodyError>) -> Reply {
    let CheckState { ys } = parse(body).await?;
    limit(ys.len())?;
    let points: Vec<Point> = ys.iter().map(|y| y.to_bytes()).collect();
    let look = move |books: &mut crate::ledger::books::Books| {
        let state = |point| books.spent(point).map(|witness| witness.map(str::to_owned));
        points.iter().map(state).collect::<Vec<_>>()
    };
    let found = issuer.ledger.settle(look, |found| found).await?;
    let states: Vec<_> = ys
        .iter()
        .zip(found)
        .map(|(y, spent)| {
            let state = if spent.is_some() { "SPENT" } else { "UNSPENT" };
            json!({"Y": y, "state": state, "witness": spent.flatten()})
        })
        .collect();
    Ok(Json(json!({"states": states})))
}

#[derive(Deserialize)]
struct Restore {
    outputs: Vec<BlindedMessage>,
}

async fn restore(State(issuer): Shared, body: Result<Bytes, BodyError>) -> Reply {
    let Restore { outputs } = parse(body).await?;
    limit(outputs.len())?;
    let points: Vec<Point> = outputs.iter().map(|it| it.blinded_secret.to_bytes()).collect();
    let look = move |books: &mut crate::ledger::books::Books| {
        points.iter().map(|point| books.signed(point)).collect::<Vec<_>>()
    };
    let keys = Arc::clone(&issuer.keys);
    let sign = move |found: Vec<Option<_>>| {
        let (mut known, mut signatures) = (Vec::new(), Vec::new());
        for (output, signed) in outputs.into_iter().zip(found) {
            let Some(signed) = signed else { continue };
            let signature = keys.sign(signed, &output.blinded_secret)?;
            // As it was signed, whatever amount and keyset the wallet asked with.
            known.push(BlindedMessage::new(
                signature.amount,
                signature.keyset_id,
                output.blinded_secret,
            ));
            signatures.push(signature);
        }
        Ok::<_, Refusal>(json!({"outputs": known, "signatures": signatures}))
    };
    Ok(Json(issuer.ledger.settle(look, sign).await??))
}

fn new_quote(
    issuer: &Issuer,
    method: &str,
    amount: u64,
    unit: &CurrencyUnit,
    purpose: Purpose,
) -> Result<Quote, Refusal> {
    is_treasury(method)?;
    let (_, active) = issuer.keys.active().ok_or(Refusal::Broken)?;
    if *unit != crate::keyset::unit(&active.terms) {
        return Err(Refusal::Unit);
    }
    if amount == 0 || amount >= 1 << crate::keyset::AMOUNTS {
        return Err(Refusal::Amount);
    }
    let key = random::array(&mut rand::rngs::SysRng).map_err(|_| Refusal::Broken)?;
    let expiry = now().as_secs().saturating_add(QUOTE_LIFE);
    Ok(Quote { key, amount, expiry, purpose })
}

fn known_quote(issuer: &Issuer, method: &str, id: &str) -> Result<Quote, Refusal> {
    is_treasury(method)?;
    issuer.quotes.read(id).ok_or(Refusal::UnknownQuote)
}

fn is_treasury(method: &str) -> Result<(), Refusal> {
    if method == METHOD { Ok(()) } else { Err(Refusal::Method) }
}

fn limit(length: usize) -> Result<(), Refusal> {
    if length > MAX_ARRAY { Err(Refusal::TooMany(MAX_ARRAY)) } else { Ok(()) }
}

type BodyError = axum::extract::rejection::BytesRejection;

/// Reads a body. Each point in it costs a square root, so that is done away from the connections' threads.
async fn parse<T: DeserializeOwned + Send + 'static>(
    body: Result<Bytes, BodyError>,
) -> Result<T, Refusal> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLong,
        _ => Refusal::Body("not received whole"),
    })?;
    // What serde says could quote the body.
    let wrong = |_| Refusal::Body("not the JSON that this path takes");
    work(move || serde_json::from_slice(&body).map_err(wrong)).await
}

/// Runs what costs curve arithmetic away from the threads that hold connections.
async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Broken)?
}

/// Lets so many in at once, each for so long.
async fn admit(State(gate): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = gate.try_acquire() else { return Refusal::Busy.into_response() };
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Busy.into_response(),
    }
}

/// SPEC §8.12 `[head-on-replies]`.
async fn stamp(State(issuer): Shared, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let head = issuer.ledger.head();
    let text = format!("{}.{}.{}", head.epoch, head.seq, cashu::util::hex::encode(head.hash));
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(HEAD, value);
    }
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::debug!(code = self.code(), "refused");
        let body = json!({"detail": self.to_string(), "code": self.code()});
        (self.status(), Json(body)).into_response()
    }
}
