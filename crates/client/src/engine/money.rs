//! Money in the engine: `chopmark-pay` over the sealed rows of the same transaction that holds the messages.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;
use chopmark_core::identity::SignedManifest;
use chopmark_core::secret::Secret;
use chopmark_pay::{
    Bill, CallId, Effect, Event, HttpReply, Issuer, Pay, Peer, Records, RecordsError,
    RedeemRefusal, Reference, Secrets, Settings, Unreachable,
};
use chopmark_wire::content::Body;
use chopmark_wire::payment::{self, IssuerUrl, PaymentCancel, PaymentRequest, Unit};
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::blob::Blob;
use super::contact::{Contact, Stage};
use super::turn::Turn;
use crate::error::Error;
use crate::event::{PaymentId, RequestId, What};
use crate::store::{Kind, StoreError, Tx};

/// A request that came in, under its id.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) contact: Blob,
    pub(crate) bytes: Blob,
    pub(crate) at_ms: u64,
    pub(crate) cancelled: bool,
    /// It is certain to be theirs: it did not come on a session that they only claim to have begun.
    #[serde(default = "confirmed")]
    pub(crate) confirmed: bool,
}

/// What was kept before there were claims.
const fn confirmed() -> bool {
    true
}

impl Account {
    /// The wallet of this account. It keeps nothing: it is made anew for every turn.
    pub(crate) fn pay(&self) -> Result<Pay, Error> {
        let secret =
            |blob: &Blob| Secret::from_slice(blob).ok_or(Error::Internal("a secret of the wallet"));
        let secrets = Secrets {
            epoch: self.wallet_epoch,
            wallet: secret(&self.wallet)?,
            payee_lock: secret(&self.payee_lock)?,
            refund: secret(&self.refund)?,
        };
        let issuers = self.issuers.iter().map(|(url, code, exponent)| {
            Ok(Issuer {
                url: IssuerUrl::parse(url).map_err(|_| Error::Issuer)?,
                unit: Unit::new(code, *exponent).map_err(|_| Error::Issuer)?,
            })
        });
        let settings =
            Settings { issuers: issuers.collect::<Result<_, Error>>()?, merchant: self.merchant };
        let device = self.device_keys()?.signing().to_secret();
        let device = chopmark_core::signature::SigningKey::from_secret(&device);
        Ok(Pay::new(*self.id()?.as_bytes(), device, secrets, settings))
    }
}

impl Turn<'_, '_> {
    /// Makes a request for money and queues it to someone.
    pub(crate) fn request(&mut self, to: &[u8; 32], bill: &Bill) -> Result<RequestId, Error> {
        self.accepted(to)?;
        let (now, pay) = (self.now, self.account()?.pay()?);
        let (id, bytes) = self.with_records(|records, rng| pay.request(records, bill, now, rng))?;
        self.send_body(to, Body::PaymentRequest(bytes), &summary(bill))?;
        Ok(RequestId(id.0))
    }

    /// Begins to pay a request that came in. Again, it is the same payment.
    pub(crate) fn pay(&mut self, request: &RequestId) -> Result<PaymentId, Error> {
        let asked = self.asked(request)?.ok_or(Error::NoSuchPayment)?;
        let payee = asked.contact.array().ok_or(Error::Internal("a payee"))?;
        self.accepted(&payee)?;
        // SPEC §5.8 [claimed-request-unpaid].
        if !asked.confirmed {
            return Err(Error::Unconfirmed);
        }
        let (now, pay) = (self.now, self.account()?.pay()?);
        let known = chopmark_wire::payment::PaymentId::of(
            &chopmark_wire::payment::RequestId(*request.as_bytes()),
            self.account()?.id()?.as_bytes(),
        );
        let known = self.with_records(|records, _| pay.payment(records, &known))?;
        // One that never locked a coin would begin again.
        let begun = known.is_some_and(|it| it.state != chopmark_pay::State::Cancelled);
        if asked.cancelled && !begun {
            return Err(Error::Stage("this request was taken back: ask for another one"));
        }
        let bytes = Bytes::copy_from_slice(&asked.bytes);
        let (id, effects) =
            self.with_records(|records, rng| pay.pay(records, &bytes, &payee, now, rng))?;
        self.perform(effects)?;
        Ok(PaymentId(id.0))
    }

    /// Begins to take in a token.
    pub(crate) fn redeem(&mut self, token: &str) -> Result<[u8; 32], Error> {
        let (now, pay) = (self.now, self.account()?.pay()?);
        let (id, effects) =
            self.with_records(|records, rng| pay.redeem(records, token, now, rng))?;
        self.perform(effects)?;
        Ok(id.0)
    }

    /// What became of a token, if that is known.
    pub(crate) fn redeemed(&self, token: &[u8; 32]) -> Result<Option<Result<(), String>>, Error> {
        Ok(self.tx.find(Kind::Redeemed, token)?)
    }

    /// Something about money came from a contact. From someone who is not accepted it waits.
    pub(crate) fn take_money(
        &mut self,
        from: &[u8; 32],
        body: &Body,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let contact = Contact::load(self.tx, from)?.ok_or(Error::NoSuchContact)?;
        let body = match body {
            Body::PaymentRequest(bytes) => return self.take_request(from, bytes, claim),
            Body::PaymentCancel(bytes) => return self.take_cancel(from, bytes),
            Body::Payment(bytes) => chopmark_pay::Body::Payment(bytes.clone()),
            Body::PaymentReceipt(bytes) => chopmark_pay::Body::Receipt(bytes.clone()),
            Body::PaymentDecline(bytes) => chopmark_pay::Body::Decline(bytes.clone()),
            _ => return Ok(()),
        };
        debug_assert_eq!(contact.stage, Stage::Accepted);
        let manifest = contact.manifest.ok_or(Error::Internal("a contact without a manifest"))?;
        let manifest =
            SignedManifest::verify(&manifest).map_err(|_| Error::Internal("a manifest"))?;
        // An account may have other devices and not this one: what it says of money cannot be checked, and blocks nothing.
        let Some(device) = manifest.devices().first() else {
            return self.emit(What::Warning {
                contact: Some((*from).into()),
                text: "a message about money came from a device that does not handle money"
                    .to_owned(),
            });
        };
        let peer = Peer { account: *from, device: *device.signing() };
        let (now, pay) = (self.now, self.account()?.pay()?);
        let effects =
            self.with_records(|records, rng| pay.receive(records, &peer, &body, now, rng))?;
        self.perform(effects)
    }

    fn take_request(
        &mut self,
        from: &[u8; 32],
        bytes: &Bytes,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let Ok((id, request)) = PaymentRequest::decode(bytes) else { return Ok(()) };
        // SPEC §8.6 [payee-is-the-sender]: passed on by someone else it would stand in the payee's way.
        if request.payee != *from {
            return Ok(());
        }
        match self.tx.find::<Asked>(Kind::Request, &id.0)? {
            // What is only claimed gives way to what is certain, which may ask for something else under the same id.
            Some(known) if known.confirmed || claim.is_some() => return Ok(()),
            Some(known) if *known.contact == from[..] && *known.bytes == bytes[..] => {
                return self.lift_request(&id.0);
            }
            _ => {}
        }
        let asked = Asked {
            contact: Blob::new(from),
            bytes: Blob::new(bytes),
            at_ms: self.now.as_millis(),
            cancelled: false,
            confirmed: claim.is_none(),
        };
        self.tx.put(Kind::Request, &id.0, &asked)?;
        if let Some(session) = claim {
            self.mark_request(from, session, &id.0)?;
        }
        let (contact, request) = ((*from).into(), RequestId(id.0));
        self.emit(What::PaymentRequested { contact, request, confirmed: claim.is_none() })
    }

    /// A request is taken back by who made it, and by nobody else.
    fn take_cancel(&mut self, from: &[u8; 32], bytes: &Bytes) -> Result<(), Error> {
        let Ok(cancel) = PaymentCancel::decode(bytes) else { return Ok(()) };
        let id = RequestId(cancel.request.0);
        match self.asked(&id)? {
            Some(mut asked) if *asked.contact == from[..] => {
                asked.cancelled = true;
                Ok(self.tx.put(Kind::Request, id.as_bytes(), &asked)?)
            }
            _ => Ok(()),
        }
    }

    /// A request that came in.
    pub(crate) fn asked(&self, request: &RequestId) -> Result<Option<Asked>, Error> {
        Ok(self.tx.find(Kind::Request, request.as_bytes())?)
    }

    /// What an issuer answered, or that it did not.
    pub(crate) fn replied(
        &mut self,
        call: CallId,
        answer: Result<HttpReply, Unreachable>,
    ) -> Result<(), Error> {
        let (now, pay) = (self.now, self.account()?.pay()?);
        let effects =
            self.with_records(|records, rng| pay.reply(records, call, answer, now, rng))?;
        self.perform(effects)
    }

    /// Drives every unfinished payment on; at the start of a process everything is asked again.
    pub(crate) fn drive_payments(&mut self, start: bool) -> Result<(), Error> {
        let (now, pay) = (self.now, self.account()?.pay()?);
        let effects = self.with_records(|records, rng| match start {
            true => pay.resume(records, now, rng),
            false => pay.wake(records, now, rng),
        })?;
        self.perform(effects)
    }

    /// A message about money is at the other device.
    pub(crate) fn money_delivered(&mut self, reference: Reference) -> Result<(), Error> {
        let pay = self.account()?.pay()?;
        let effects = self.with_records(|records, _| pay.delivered(records, reference))?;
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), Error> {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Call(call) => self.calls.push(call),
                Effect::WakeAt(at) => self.wakes.push(at),
                Effect::Event(event) => self.tell(event)?,
                Effect::Send(message) => {
                    let body = match message.body {
                        chopmark_pay::Body::Request(bytes) => Body::PaymentRequest(bytes),
                        chopmark_pay::Body::Payment(bytes) => Body::Payment(bytes),
                        chopmark_pay::Body::Receipt(bytes) => Body::PaymentReceipt(bytes),
                        chopmark_pay::Body::Decline(bytes) => Body::PaymentDecline(bytes),
                        chopmark_pay::Body::Cancel(bytes) => Body::PaymentCancel(bytes),
                    };
                    self.send_money(&message.to, body, message.reference)?;
                    let pay = self.account()?.pay()?;
                    effects.extend(
                        self.with_records(|records, _| pay.sent(records, message.reference))?,
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> Result<(), Error> {
        let pay = self.account()?.pay()?;
        let view = |turn: &mut Self, id: payment::PaymentId| {
            turn.with_records(|records, _| pay.payment(records, &id))
        };
        let warn = |text: &str| What::Warning { contact: None, text: text.to_owned() };
        let what = match event {
            Event::OutgoingChanged(id) | Event::Declined(id, _) => match view(self, id)? {
                Some(view) => {
                    What::PaymentChanged { contact: view.peer.into(), payment: PaymentId(id.0) }
                }
                None => return Ok(()),
            },
            Event::IncomingChanged(id) => match view(self, id)? {
                Some(view) if view.state == chopmark_pay::State::Claimed => {
                    What::PaymentReceived { contact: view.peer.into(), payment: PaymentId(id.0) }
                }
                Some(view) => {
                    What::PaymentChanged { contact: view.peer.into(), payment: PaymentId(id.0) }
                }
                None => return Ok(()),
            },
            Event::Redeemed(id) => {
                self.tx.put(Kind::Redeemed, &id.0, &Ok::<(), String>(()))?;
                What::Redeemed { token: id.0 }
            }
            Event::RedeemRefused(id, why) => {
                // A token that was taken in once stays so, whatever its second showing comes to.
                if matches!(self.redeemed(&id.0)?, Some(Ok(()))) {
                    return Ok(());
                }
                let why = refusal(why).to_owned();
                self.tx.put(Kind::Redeemed, &id.0, &Err::<(), _>(&why))?;
                What::RedeemRefused { token: id.0, why }
            }
            Event::IssuerMisbehaved(_) => {
                warn("an issuer gave an answer that no honest issuer gives; its money waits")
            }
            _ => return Ok(()),
        };
        self.emit(what)
    }

    /// Runs a step of the wallet over this transaction's rows.
    pub(crate) fn with_records<T, E>(
        &mut self,
        step: impl FnOnce(&mut Rows<'_, '_>, &mut StdRng) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        let mut rows = Rows { tx: self.tx, failed: RefCell::new(None) };
        match step(&mut rows, self.rng) {
            Ok(value) => Ok(value),
            Err(error) => Err(rows.failed.take().map_or_else(|| error.into(), Error::Store)),
        }
    }

    fn accepted(&self, contact: &[u8; 32]) -> Result<(), Error> {
        let known = Contact::load(self.tx, contact)?;
        if let Some(hold) = known.as_ref().and_then(Contact::hold) {
            return Err(Error::Held(hold));
        }
        match known.map(|contact| contact.stage) {
            Some(Stage::Accepted) => Ok(()),
            Some(_) => Err(Error::Stage("money needs a contact that both sides accepted")),
            None => Err(Error::NoSuchContact),
        }
    }
}

/// The wallet's records, among the sealed rows.
pub(crate) struct Rows<'a, 's> {
    tx: &'a mut Tx<'s>,
    /// Why the store failed, for the caller; the wallet only knows that it did.
    failed: RefCell<Option<StoreError>>,
}

impl Rows<'_, '_> {
    fn note(&self, error: StoreError) -> RecordsError {
        self.failed.replace(Some(error));
        RecordsError::Unavailable
    }
}

impl Records for Rows<'_, '_> {
    fn load(&self, kind: chopmark_pay::Kind, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        let found = self.tx.load(number(kind), key).map_err(|error| self.note(error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn store(
        &mut self,
        kind: chopmark_pay::Kind,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), RecordsError> {
        self.tx.store(number(kind), key, value).map_err(|error| self.note(error))
    }

    fn delete(&mut self, kind: chopmark_pay::Kind, key: &[u8]) -> Result<(), RecordsError> {
        self.tx.delete(number(kind), key).map_err(|error| self.note(error))
    }

    fn scan(
        &self,
        kind: chopmark_pay::Kind,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, RecordsError> {
        let found = self.tx.scan(number(kind), prefix).map_err(|error| self.note(error))?;
        Ok(found.into_iter().map(|(key, value)| (key, value.to_vec())).collect())
    }
}

fn number(kind: chopmark_pay::Kind) -> u8 {
    (Kind::Pay as u8).saturating_add(kind.number())
}

fn refusal(why: RedeemRefusal) -> &'static str {
    match why {
        RedeemRefusal::AlreadySpent => "its coins were spent before",
        RedeemRefusal::Refused => "the issuer does not take it",
        RedeemRefusal::BelowFee => "it is worth no more than the issuer's fee",
        RedeemRefusal::UnknownKeyset => "the issuer does not know its coins",
        RedeemRefusal::Forged => "the issuer's signature on it is wrong",
        _ => "the issuer refused it",
    }
}

/// What the history shows of a bill.
fn summary(bill: &Bill) -> String {
    match bill.memo.as_str() {
        "" => format!("asks for {}", bill.amount),
        memo => format!("asks for {}: {memo}", bill.amount),
    }
}
