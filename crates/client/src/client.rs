//! The door of the SDK.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chopmark_core::identity::{AccountId, SafetyNumber, Seed, SignedManifest};
use chopmark_core::time::Timestamp;
use chopmark_pay::{Balance, Bill, Outcome, PaymentView};
use chopmark_wire::link::{ContactLink, LinkUse};
use chopmark_wire::payment::{self, PaymentRequest};
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::drive::{Drivers, Health, Shared};
use crate::engine::account::Setup;
use crate::engine::contact::{Contact, Stage};
use crate::engine::money::Asked;
use crate::error::Error;
use crate::event::{
    ContactId, Event, Hold, Message, MessageId, PaymentId, Progress, RequestId, What,
};
use crate::store::{Kind, Log, Store, Unlock};

/// One person on one device. Cheap to use from many tasks; several processes may open one home at once.
pub struct Client {
    shared: Arc<Shared>,
    drivers: Drivers,
}

/// The 24 words from which everything comes back: shown once, to be written down.
pub struct Words(Zeroizing<String>);

impl Words {
    /// The words, separated by spaces.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(..)")
    }
}

/// A person, as a list shows them.
#[derive(Clone)]
pub struct ContactInfo {
    /// Their id.
    pub id: ContactId,
    /// What the user calls them, as it was given; empty for someone who knocked and was not named yet. To show it, use
    /// [`ContactInfo::shown_name`].
    pub name: String,
    /// How far we are with them.
    pub stage: Stage,
    /// Their safety number was compared.
    pub verified: bool,
    /// Why nothing goes out to them, if nothing does.
    pub hold: Option<Hold>,
    /// Both sides are authenticated post-quantum in the session that sends. Until then they are who they claim to be as
    /// far as classical cryptography goes.
    pub confirmed: bool,
}

impl ContactInfo {
    /// The name as it may be shown: what would hide, reorder or imitate other characters is replaced by U+FFFD (SPEC §7.6).
    pub fn shown_name(&self) -> String {
        chopmark_wire::display::sanitised(&self.name)
    }
}

impl std::fmt::Debug for ContactInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContactInfo").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// A request for money that came in.
#[derive(Clone)]
pub struct RequestInfo {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub contact: ContactId,
    /// What it says.
    pub request: PaymentRequest,
    /// It was taken back.
    pub cancelled: bool,
    /// It is certain to be theirs; if not, it cannot be paid before they confirmed the session on which it came.
    pub confirmed: bool,
}

impl std::fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestInfo").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a new home and its account. The directory is made if need be; it must hold no home yet.
    ///
    /// # Errors
    /// [`Error::Store`] if there is a home or the disk refuses, [`Error::RelayAddress`] or [`Error::Issuer`] if the
    /// set-up names something that is not one.
    pub async fn create(home: &Path, unlock: Unlock, setup: Setup) -> Result<(Self, Words), Error> {
        setup.check()?;
        let home = home.to_owned();
        let seed = Seed::generate(&mut SysRng)?;
        let words = Words(seed.words());
        let shared = blocking(move || Ok(Store::create(&home, &unlock)?)).await?;
        Self::start(shared, move |turn| turn.create_account(&seed, &setup))
            .await
            .map(|client| (client, words))
    }

    /// Makes a new home for an account that exists, from its 24 words. The directory must hold no home yet.
    ///
    /// The words bring back the account id and, with it, the safety numbers: whoever compared one is asked to agree, and every
    /// contact who meets this home again drops the devices that were there before. They bring back nothing else: no
    /// contacts, no links, no messages and, in this version, no coins. A device that still has the former home must not
    /// use it any more.
    ///
    /// # Errors
    /// As [`Client::create`], and [`Error::Words`] if these are not the words of a seed.
    pub async fn restore(
        home: &Path,
        unlock: Unlock,
        setup: Setup,
        words: &str,
    ) -> Result<Self, Error> {
        setup.check()?;
        let home = home.to_owned();
        let seed = Seed::from_words(words).map_err(|_| Error::Words)?;
        let store = blocking(move || Ok(Store::create(&home, &unlock)?)).await?;
        Self::start(store, move |turn| turn.restore_account(&seed, &setup)).await
    }

    /// Opens a home. Every unfinished send and payment goes on.
    ///
    /// # Errors
    /// [`Error::Store`] if there is no home, the key is wrong, or another process keeps it busy.
    pub async fn open(home: &Path, unlock: Unlock) -> Result<Self, Error> {
        let home = home.to_owned();
        let store = blocking(move || Ok(Store::open(&home, &unlock)?)).await?;
        Self::start(store, |turn| turn.account().map(|_| ())).await
    }

    /// Whether a directory holds a home.
    pub fn exists(home: &Path) -> bool {
        Store::exists(home)
    }

    async fn start(
        mut store: Store,
        first: impl FnOnce(&mut crate::engine::turn::Turn<'_, '_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<Self, Error> {
        // The account exists, durably, before any driver looks for it.
        let store = blocking(move || {
            crate::drive::turn_on(&mut store, first)?;
            Ok(store)
        })
        .await?;
        let (shared, drivers) = Shared::start(store)?;
        Ok(Self { shared, drivers })
    }

    /// Ends in good order: what is on the way is finished or stays for the next time.
    pub async fn close(self) {
        self.drivers.close().await;
    }

    /// Our own id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn id(&self) -> Result<ContactId, Error> {
        self.shared.look(|turn| Ok(ContactId(*turn.account()?.id()?.as_bytes()))).await
    }

    /// How the connections stand.
    pub fn health(&self) -> Health {
        *self.shared.health.borrow()
    }

    /// Makes a contact link. It works once the own relay has it; [`Client::settled`] waits for that.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn link(&self, uses: LinkUse) -> Result<ContactLink, Error> {
        self.shared.turn(move |turn| turn.make_link(uses)).await
    }

    /// Ends a link. Contacts that were made by it stay.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`].
    pub async fn revoke_link(&self, link: &ContactLink) -> Result<(), Error> {
        let link = link.clone();
        self.shared.turn(move |turn| turn.revoke_link(&link)).await
    }

    /// The links that still work, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn links(&self) -> Result<Vec<ContactLink>, Error> {
        self.shared.look(|turn| turn.links()).await
    }

    /// Adds the owner of a link under a name of ours. Messages may be sent from now on; they leave once the owner's relay
    /// has handed out the keys.
    ///
    /// # Errors
    /// [`Error::OwnLink`].
    pub async fn add(&self, link: &ContactLink, name: &str) -> Result<ContactId, Error> {
        let (link, name) = (link.clone(), name.to_owned());
        self.shared.turn(move |turn| turn.add(&link, &name)).await.map(ContactId)
    }

    /// Agrees to someone who wrote to us by a reusable link, and names them.
    ///
    /// # Errors
    /// [`Error::NoSuchContact`], [`Error::Stage`] if they were rejected before, or if we wrote to them and they have not
    /// answered yet.
    pub async fn accept(&self, contact: ContactId, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.shared.turn(move |turn| turn.agree(contact.as_bytes(), &name)).await
    }

    /// Wants nothing of someone any more; they are told nothing.
    ///
    /// # Errors
    /// [`Error::NoSuchContact`].
    pub async fn reject(&self, contact: ContactId) -> Result<(), Error> {
        self.shared.turn(move |turn| turn.reject(contact.as_bytes())).await
    }

    /// Everyone we know.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn contacts(&self) -> Result<Vec<ContactInfo>, Error> {
        self.shared
            .view(|turn| {
                let mut contacts = Vec::new();
                for (id, contact) in turn.tx.every::<Contact>(Kind::Contact)? {
                    let id: [u8; 32] =
                        id.try_into().map_err(|_| Error::Internal("a contact's id"))?;
                    contacts.push(ContactInfo {
                        id: ContactId(id),
                        confirmed: turn.confirmed(&id)?,
                        hold: contact.hold(),
                        name: contact.name,
                        stage: contact.stage,
                        verified: contact.verified,
                    });
                }
                Ok(contacts)
            })
            .await
    }

    /// Writes to someone. When this returns the message is on disk, sealed and in the history.
    ///
    /// # Errors
    /// [`Error::Text`], [`Error::NoSuchContact`], [`Error::Stage`].
    pub async fn send(&self, to: ContactId, text: &str) -> Result<MessageId, Error> {
        let text = text.to_owned();
        self.shared.turn(move |turn| turn.send_text(to.as_bytes(), &text)).await
    }

    /// The conversation with someone, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn history(&self, with: ContactId) -> Result<Vec<Message>, Error> {
        self.shared
            .view(move |turn| {
                let rows = turn.tx.list(Log::Messages, Some(with.as_bytes()), 0, u32::MAX)?;
                Ok(rows.into_iter().map(|(_, message)| message).collect())
            })
            .await
    }

    /// The 60 digits to compare with someone, by voice or side by side.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn safety_number(&self, with: ContactId) -> Result<SafetyNumber, Error> {
        let own = self.id().await?;
        Ok(SafetyNumber::of(
            &AccountId::from_bytes(*own.as_bytes()),
            &AccountId::from_bytes(*with.as_bytes()),
        ))
    }

    /// Notes that the safety number with someone was compared, or no longer counts.
    ///
    /// # Errors
    /// [`Error::NoSuchContact`].
    pub async fn set_verified(&self, contact: ContactId, verified: bool) -> Result<(), Error> {
        self.shared
            .turn(move |turn| {
                let mut record =
                    Contact::load(turn.tx, contact.as_bytes())?.ok_or(Error::NoSuchContact)?;
                record.verified = verified;
                record.save(turn.tx, contact.as_bytes())?;
                // Compared anew, they are who they were.
                match verified && record.hold() == Some(Hold::Recovered) {
                    true => turn.agree_to_recovery(contact.as_bytes()),
                    false => Ok(()),
                }
            })
            .await
    }

    /// Agrees to go on with a contact whose account was restored after their safety number was compared
    /// ([`Hold::Recovered`]). What waited goes out. It does not say that the number was compared anew.
    ///
    /// # Errors
    /// [`Error::NoSuchContact`], [`Error::Held`] if the account tells two stories.
    pub async fn agree_to_recovery(&self, contact: ContactId) -> Result<(), Error> {
        self.shared.turn(move |turn| turn.agree_to_recovery(contact.as_bytes())).await
    }

    /// What happened since the application last said [`Client::done`], and what happens from now on.
    pub fn events(&self) -> Events<'_> {
        Events { client: self, after: None, changes: self.shared.changes() }
    }

    /// The application has dealt with everything up to this cursor: it does not come again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn done(&self, cursor: u64) -> Result<(), Error> {
        self.shared
            .look(move |turn| {
                let before: u64 = turn.tx.find(Kind::Cursor, b"")?.unwrap_or(0);
                // No further than there are events, or the next ones would be behind it.
                let cursor = cursor.min(turn.tx.newest()?);
                turn.tx.remove_through(Log::Events, cursor)?;
                Ok(turn.tx.put(Kind::Cursor, b"", &before.max(cursor))?)
            })
            .await
    }

    /// Waits until nothing of ours waits for a relay any more; `false` when the time is over.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn settled(&self, patience: Duration) -> Result<bool, Error> {
        self.wait(patience, |turn| {
            let wanted = turn.tx.every::<Contact>(Kind::Contact)?;
            let fetching = wanted.iter().any(|(_, contact)| contact.fetch.is_some());
            let done = turn.duties()?.is_empty() && turn.waiting()? == 0 && !fetching;
            Ok(done.then_some(()))
        })
        .await
        .map(|settled| settled.is_some())
    }

    /// Waits until a message of ours has come at least so far; `false` when the time is over, and it goes on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn reached(
        &self,
        contact: ContactId,
        message: MessageId,
        progress: Progress,
        patience: Duration,
    ) -> Result<bool, Error> {
        self.wait(patience, move |turn| {
            let rows: Vec<(u64, Message)> =
                turn.tx.list(Log::Messages, Some(contact.as_bytes()), 0, u32::MAX)?;
            let found = rows.into_iter().rev().find(|(_, row)| row.id == message);
            Ok(found.filter(|(_, row)| row.progress >= progress).map(|_| ()))
        })
        .await
        .map(|reached| reached.is_some())
    }

    /// Asks someone for money.
    ///
    /// # Errors
    /// [`Error::Request`] for a bill that is not one, [`Error::Stage`] if they are not accepted.
    pub async fn request(&self, from: ContactId, bill: Bill) -> Result<RequestId, Error> {
        self.shared.turn(move |turn| turn.request(from.as_bytes(), &bill)).await
    }

    /// The requests that came in, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn requests(&self) -> Result<Vec<RequestInfo>, Error> {
        self.shared
            .view(|turn| {
                let mut requests = turn.tx.every::<Asked>(Kind::Request)?;
                requests.sort_by_key(|(_, asked)| asked.at_ms);
                Ok(requests.into_iter().filter_map(|(_, asked)| info(&asked)).collect())
            })
            .await
    }

    /// Begins to pay a request. Paying it again is the same payment: no coin moves twice. [`Client::outcome`] tells what
    /// became of it, [`Client::paid`] waits for that.
    ///
    /// # Errors
    /// [`Error::NoSuchPayment`], [`Error::Pay`]; no coin was touched.
    pub async fn pay(&self, request: RequestId) -> Result<PaymentId, Error> {
        self.shared.turn(move |turn| turn.pay(&request)).await
    }

    /// What became of a payment of ours so far.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn outcome(&self, payment: PaymentId) -> Result<Outcome, Error> {
        self.shared.look(move |turn| outcome(turn, payment)).await
    }

    /// Waits until a payment of ours has an outcome; `Unknown` when the time is over, and the payment goes on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn paid(&self, payment: PaymentId, patience: Duration) -> Result<Outcome, Error> {
        let known = self
            .wait(patience, move |turn| {
                let outcome = outcome(turn, payment)?;
                Ok((!matches!(outcome, Outcome::Unknown(_))).then_some(outcome))
            })
            .await?;
        match known {
            Some(outcome) => Ok(outcome),
            None => self.outcome(payment).await,
        }
    }

    /// The coins that a payment of ours locked to its payee, as a Cashu token for a program that takes no other form;
    /// `None` before they are locked. Only the payee can spend it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn locked_token(&self, payment: PaymentId) -> Result<Option<String>, Error> {
        self.shared
            .look(move |turn| {
                let pay = turn.account()?.pay()?;
                let id = payment::PaymentId(*payment.as_bytes());
                turn.with_records(|records, _| pay.token(records, &id))
            })
            .await
    }

    /// Every payment, ours and those to us, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn payments(&self) -> Result<Vec<PaymentView>, Error> {
        self.shared
            .view(|turn| {
                let pay = turn.account()?.pay()?;
                turn.with_records(|records, _| pay.payments(records))
            })
            .await
    }

    /// What there is, a line for each issuer.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn balance(&self) -> Result<Vec<Balance>, Error> {
        self.shared
            .view(|turn| {
                let pay = turn.account()?.pay()?;
                turn.with_records(|records, _| pay.balance(records))
            })
            .await
    }

    /// Takes in a token, waiting until the issuer has exchanged it; `None` when the time is over, and it goes on.
    ///
    /// # Errors
    /// [`Error::Redeem`] if it cannot be read or is not for us.
    pub async fn redeem(
        &self,
        token: &str,
        patience: Duration,
    ) -> Result<Option<Result<(), String>>, Error> {
        let token = token.to_owned();
        let id = self.shared.turn(move |turn| turn.redeem(&token)).await?;
        self.wait(patience, move |turn| turn.redeemed(&id)).await
    }

    /// The units of our issuers, in which amounts are written.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn units(&self) -> Result<Vec<payment::Unit>, Error> {
        self.shared
            .look(|turn| {
                let account = turn.account()?;
                account
                    .issuers
                    .iter()
                    .map(|(_, code, exponent)| {
                        payment::Unit::new(code, *exponent).map_err(|_| Error::Issuer)
                    })
                    .collect()
            })
            .await
    }

    /// The key that signs someone's receipts, as their manifest has it: 32 bytes; our own for our own id.
    ///
    /// # Errors
    /// [`Error::NoSuchContact`] if we do not know them, or not yet.
    pub async fn receipt_key(&self, of: ContactId) -> Result<[u8; 32], Error> {
        self.shared
            .look(move |turn| {
                let account = turn.account()?;
                let manifest = if account.id()?.as_bytes() == of.as_bytes() {
                    account.signed_manifest()?
                } else {
                    let contact =
                        Contact::load(turn.tx, of.as_bytes())?.ok_or(Error::NoSuchContact)?;
                    let bytes = contact.manifest.ok_or(Error::NoSuchContact)?;
                    SignedManifest::verify(&bytes).map_err(|_| Error::Internal("a manifest"))?
                };
                let device = manifest.devices().first().ok_or(Error::Internal("a device"))?;
                Ok(*device.signing().as_bytes())
            })
            .await
    }

    /// Waits until `look` finds something, looking again after every change.
    async fn wait<T: Send + 'static>(
        &self,
        patience: Duration,
        look: impl Fn(&mut crate::engine::turn::Turn<'_, '_>) -> Result<Option<T>, Error>
        + Clone
        + Send
        + 'static,
    ) -> Result<Option<T>, Error> {
        let mut changes = self.shared.changes();
        let deadline = tokio::time::sleep(patience);
        tokio::pin!(deadline);
        loop {
            changes.mark_unchanged();
            let look = look.clone();
            if let Some(found) = self.shared.view(move |turn| look(turn)).await? {
                return Ok(Some(found));
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = &mut deadline => return Ok(None),
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("health", &self.health()).finish_non_exhaustive()
    }
}

/// The events of a client, in order, from the application's cursor on.
pub struct Events<'c> {
    client: &'c Client,
    after: Option<u64>,
    changes: tokio::sync::watch::Receiver<u64>,
}

impl Events<'_> {
    /// The next event; waits for one. An event comes again after a restart until [`Client::done`] was told its cursor.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            self.changes.mark_unchanged();
            let after = self.after;
            let found = self
                .client
                .shared
                .view(move |turn| {
                    let after = match after {
                        Some(after) => after,
                        None => turn.tx.find(Kind::Cursor, b"")?.unwrap_or(0),
                    };
                    let rows = turn.tx.list::<(u64, What)>(Log::Events, None, after, 1)?;
                    Ok(rows.into_iter().next())
                })
                .await?;
            if let Some((cursor, (at_ms, what))) = found {
                self.after = Some(cursor);
                return Ok(Event { cursor, at: Timestamp(at_ms), what });
            }
            let _ = self.changes.changed().await;
        }
    }
}

fn outcome(
    turn: &mut crate::engine::turn::Turn<'_, '_>,
    payment: PaymentId,
) -> Result<Outcome, Error> {
    let pay = turn.account()?.pay()?;
    let id = payment::PaymentId(*payment.as_bytes());
    turn.with_records(|records, _| pay.outcome(records, &id))
}

fn info(asked: &Asked) -> Option<RequestInfo> {
    let (id, request) = PaymentRequest::decode(&Bytes::copy_from_slice(&asked.bytes)).ok()?;
    Some(RequestInfo {
        id: RequestId(id.0),
        contact: ContactId(asked.contact.array()?),
        request,
        cancelled: asked.cancelled,
        confirmed: asked.confirmed,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Internal("a task panicked"))?
}
