//! The acts, in order.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use chopmark::{
    Amount, Bill, Client, ContactId, Error, LineItem, LinkUse, MessageId, Outcome, PaymentId,
    PaymentState, Progress, RequestId, Setup, Unit, What,
};
use chopmark_core::signature::VerifyingKey;
use chopmark_pay::RedeemError;
use chopmark_wire::payment::{PaymentReceipt, Stage};
use serde_json::Value;

use super::Findings;
use super::narrator::Narrator;
use super::person::{Money, PATIENCE, Person};
use super::sight::{self, RelaySight};
use super::thief;
use super::worker::Worker;
use crate::outcome::{Done, Failure};
use crate::when::now;
use crate::{qr, show};

/// Tells the story and answers what was seen.
pub(super) async fn tell(folder: &Path, say: &Narrator) -> Done<Findings> {
    let begun = tokio::time::Instant::now();
    let mut stage = Scene::set(folder, say).await?;
    let safety_numbers_match = stage.meet(say).await?;
    let delivered_after_relay_kill = stage.kill_the_relay(say).await?;
    let request = stage.ask_for_money(say).await?;
    let payment = stage.pay_while_bob_is_away(request, say).await?;
    let thief_refused = stage.steal(payment, say).await?;
    let paid = stage.claim(request, payment, say).await?;
    let supply_balanced = stage.balance(say).await?;
    stage.look_around(say)?;
    let (messages_delivered, duplicates) = stage.count(say).await?;
    let envelope_sizes = stage.envelopes.clone();
    stage.end().await?;
    Ok(Findings {
        messages_delivered,
        delivered_after_relay_kill,
        duplicates,
        safety_numbers_match,
        payment: paid.payment,
        receipt_verified: paid.receipt_verified,
        second_pay_same_receipt: paid.second_pay_same_receipt,
        thief_refused,
        supply_balanced,
        envelope_sizes,
        elapsed_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Everyone and everything of the story.
struct Scene<'f> {
    folder: &'f Path,
    relay: Option<Worker>,
    issuer: Worker,
    alice: Person,
    bob: Person,
    thief: Person,
    alices_id: ContactId,
    bobs_id: ContactId,
    unit: Unit,
    /// What was written, and must arrive once.
    written: Vec<String>,
    /// The length of every envelope that was seen waiting at the relay.
    envelopes: Vec<usize>,
    balanced_in_flight: bool,
    sights: Vec<RelaySight>,
}

/// The issuer's numbers, and the money of all three, in minor units.
struct Books {
    issued: u64,
    redeemed: u64,
    fees: u64,
    all: Money,
    balanced: bool,
}

/// What came of the payment.
struct Paid {
    payment: &'static str,
    receipt_verified: bool,
    second_pay_same_receipt: bool,
}

impl<'f> Scene<'f> {
    async fn set(folder: &'f Path, say: &Narrator) -> Done<Self> {
        say.step("A relay and an issuer start on this machine, each with its store on disk.")?;
        let (relay_folder, issuer_folder) = (folder.join("relay"), folder.join("issuer"));
        let (relay, issuer) =
            tokio::try_join!(Worker::relay(&relay_folder, 0), Worker::issuer(&issuer_folder),)?;
        say.seen(&format!("relay   {}", relay.address))?;
        say.seen(&format!("issuer  {}", issuer.address))?;

        say.step("Alice, Bob and a thief open their own encrypted stores.")?;
        let unit = Unit::new("chop", 2).map_err(|error| Failure::failed(error.to_string()))?;
        let setup = || Setup::new(&relay.address).issuer(&issuer.address, "chop", 2);
        let (alice, bob, thief) = tokio::try_join!(
            Person::new("Alice", folder.join("alice"), setup()),
            Person::new("Bob", folder.join("bob"), setup().merchant(true)),
            Person::new("the thief", folder.join("thief"), setup()),
        )?;
        let (alices_id, bobs_id) = (alice.client()?.id().await?, bob.client()?.id().await?);
        say.seen(&format!(
            "Alice is {}…, Bob is {}…",
            show::short(&alices_id),
            show::short(&bobs_id)
        ))?;
        Ok(Self {
            folder,
            relay: Some(relay),
            issuer,
            alice,
            bob,
            thief,
            alices_id,
            bobs_id,
            unit,
            written: Vec::new(),
            envelopes: Vec::new(),
            balanced_in_flight: false,
            sights: Vec::new(),
        })
    }

    /// Link, first contact, texts both ways, safety numbers.
    async fn meet(&mut self, say: &Narrator) -> Done<bool> {
        say.step("Bob makes a contact link. Alice scans it.")?;
        let link = self.bob.client()?.link(LinkUse::OneTime).await?;
        settled(self.bob.client()?, "Bob's link at his relay").await?;
        if let Some(code) = qr::render(link.to_qr_text().as_bytes()) {
            say.say(&code)?;
        }
        say.seen(&link.to_string())?;
        let bob = self.alice.client()?.add(&link, "bob").await?;
        say.check(bob == self.bobs_id, "the link leads to Bob's account, and to no other")?;

        say.step("They write to each other.")?;
        self.alice_writes("Hi Bob, is the café open?").await?;
        let knocked = |what: &What| match what {
            What::ContactAccepted { contact } => Some(*contact),
            _ => None,
        };
        let alice = self.bob.hears("Alice's first message", knocked).await?;
        say.check(alice == self.alices_id, "Bob knows that it is Alice's account that wrote")?;
        self.bob_hears("Hi Bob, is the café open?").await?;
        self.bob_writes("Until six. The usual?").await?;
        self.alice.hears_text("Until six. The usual?").await?;
        self.alice_writes("The usual, for two ☕").await?;
        self.bob_hears("The usual, for two ☕").await?;
        say.seen("texts arrived both ways")?;

        let alices = self.alice.client()?.safety_number(self.bobs_id).await?;
        let bobs = self.bob.client()?.safety_number(self.alices_id).await?;
        let same = alices.digits() == bobs.digits() && alices.matches_qr(&bobs.qr_bytes());
        say.check(same, "their safety numbers agree")?;
        let digits = alices.digits();
        let (one, two) = digits.split_at_checked(35).unwrap_or((&digits, ""));
        say.say(&format!("      {}\n      {}", one.trim(), two.trim()))?;
        self.alice.client()?.set_verified(self.bobs_id, true).await?;
        self.bob.client()?.set_verified(self.alices_id, true).await?;
        Ok(same)
    }

    /// SIGKILL between an accepted deposit and its delivery.
    async fn kill_the_relay(&mut self, say: &Narrator) -> Done<usize> {
        const TEXT: &str = "Keep this one safe.";
        say.step("Bob closes his app. Alice writes, and the relay is killed before Bob is back.")?;
        self.bob.leave().await;
        let message = self.alice_writes(TEXT).await?;
        stored(self.alice.client()?, self.bobs_id, message).await?;
        say.seen("the relay has said that the message is stored")?;
        self.alice.leave().await;
        let relay = self.relay.take().ok_or_else(|| Failure::failed("no relay"))?;
        let (port, address) = (relay.port()?, relay.address.clone());
        relay.kill().await?;
        say.seen("the relay is dead: SIGKILL")?;
        let waiting = self.look("relay-killed")?;
        say.check(
            waiting.len() == 1,
            &format!("its disk holds the one envelope, of {} bytes", sight::sizes(&waiting)),
        )?;

        let relay = Worker::relay(&self.folder.join("relay"), port).await?;
        say.check(relay.address == address, "started again on its data, it is the same relay")?;
        self.relay = Some(relay);
        tokio::try_join!(self.alice.come_back(), self.bob.come_back())?;
        self.bob_hears(TEXT).await?;
        self.bob.hears_nothing_more().await?;
        let times = self.bob.heard.get(TEXT).copied().unwrap_or_default();
        say.check(times == 1, &format!("Bob is back, and the message arrived {times} time"))?;
        Ok(times)
    }

    /// Alice is given money by the issuer; Bob asks for some of it.
    async fn ask_for_money(&mut self, say: &Narrator) -> Done<RequestId> {
        say.step("The issuer's operator gives Alice 100.00 of its coin.")?;
        let issued = self.issuer.operate(&["issue", "100.00"]).await?;
        let token = issued.get("token").and_then(Value::as_str).unwrap_or_default();
        match self.alice.client()?.redeem(token, PATIENCE).await? {
            Some(Ok(())) => {}
            Some(Err(why)) => return Err(Failure::failed(format!("the token was refused: {why}"))),
            None => return Err(Failure::failed("the issuer did not answer in time")),
        }
        let money = self.alice.money().await?;
        say.check(
            money.spendable == 10_000,
            &format!(
                "Alice has {}, in coins that the issuer cannot recognise",
                self.shown(money.spendable)
            ),
        )?;

        say.step("Bob asks for 12.50: two coffees and a cake.")?;
        let amount = Amount::parse("12.50", &self.unit);
        let bill = Bill {
            amount: amount.map_err(|error| Failure::failed(error.to_string()))?,
            items: vec![
                LineItem { name: "Coffee".to_owned(), quantity: 2, unit_price_minor: 400 },
                LineItem { name: "Cake".to_owned(), quantity: 1, unit_price_minor: 450 },
            ],
            memo: "Table 4".to_owned(),
            expires_at: now().saturating_add(Duration::from_secs(3600)),
            payer: Some(*self.alices_id.as_bytes()),
        };
        let made = self.bob.client()?.request(self.alices_id, bill).await?;
        let asked = |what: &What| match what {
            What::PaymentRequested { request, .. } => Some(*request),
            _ => None,
        };
        let request = self.alice.hears("Bob's request", asked).await?;
        say.check(request == made, "the request reached Alice as Bob made it")?;
        let requests = self.alice.client()?.requests().await?;
        for item in requests.iter().flat_map(|asked| &asked.request.items) {
            let price = u64::from(item.quantity).saturating_mul(item.unit_price_minor);
            say.say(&format!(
                "      {} x {:8} {:>12}",
                item.quantity,
                item.name,
                self.shown(price)
            ))?;
        }
        Ok(request)
    }

    /// The coins are locked and on their way while Bob's app is closed.
    async fn pay_while_bob_is_away(
        &mut self,
        request: RequestId,
        say: &Narrator,
    ) -> Done<PaymentId> {
        say.step("Alice pays while Bob's app is closed.")?;
        self.bob.leave().await;
        let payment = self.alice.client()?.pay(request).await?;
        let moved = |what: &What| matches!(what, What::PaymentChanged { .. }).then_some(());
        while !self.is_on_its_way(payment).await? {
            self.alice.hears("the issuer to lock the coins", moved).await?;
        }
        let hello = "On its way!".to_owned();
        let long = "A long letter. ".repeat(180);
        for text in [hello, long] {
            let message = self.alice_writes(&text).await?;
            stored(self.alice.client()?, self.bobs_id, message).await?;
        }
        settled(self.alice.client()?, "the payment to be stored at the relay").await?;
        let money = self.alice.money().await?;
        say.check(
            (money.spendable, money.locked) == (8_750, 1_250),
            &format!(
                "{} are locked to a key that Bob made for this request, {} are left",
                self.shown(money.locked),
                self.shown(money.spendable)
            ),
        )?;
        self.balanced_in_flight = self.books().await?.balanced;
        say.check(self.balanced_in_flight, "the books balance while the money is on its way")?;
        let waiting = self.look("relay-paid")?;
        let smallest = waiting.first().copied().unwrap_or_default();
        let same = waiting.iter().filter(|size| **size == smallest).count();
        say.check(
            waiting.len() >= 3 && same >= 2,
            &format!(
                "{} envelopes wait for Bob, of {} bytes: which is the payment, and which a hello?",
                waiting.len(),
                sight::sizes(&waiting)
            ),
        )?;
        Ok(payment)
    }

    async fn is_on_its_way(&self, payment: PaymentId) -> Done<bool> {
        let payments = self.alice.client()?.payments().await?;
        let found = payments.iter().find(|it| it.id.as_bytes() == payment.as_bytes());
        Ok(matches!(found.map(|it| it.state), Some(PaymentState::Sent | PaymentState::Delivered)))
    }

    /// Someone got hold of the very coins that were sent.
    async fn steal(&mut self, payment: PaymentId, say: &Narrator) -> Done<bool> {
        say.step("A thief has a copy of the coins, and is faster than Bob.")?;
        let token = self.alice.client()?.locked_token(payment).await?;
        let token = token.ok_or_else(|| Failure::failed("there are no coins to steal"))?;
        let wallet = self.thief.client()?.redeem(&token, PATIENCE).await;
        let by_wallet = matches!(wallet, Err(Error::Redeem(RedeemError::Locked)));
        say.check(by_wallet, "an honest wallet says that they are locked to someone else")?;
        let bare = thief::swap(&self.issuer.address, &token, false).await?;
        let signed = thief::swap(&self.issuer.address, &token, true).await?;
        let refused = [&bare, &signed].iter().all(|answer| answer.status == 400);
        say.check(
            refused,
            "a dishonest one is refused by the issuer, with and without a signature",
        )?;
        for answer in [bare, signed] {
            let why = answer.body.get("detail").and_then(Value::as_str).unwrap_or_default();
            say.say(&format!("      issuer: {}", show::plain(why)))?;
        }
        let money = self.thief.money().await?;
        say.check(money == Money::default(), "the thief has nothing")?;
        Ok(by_wallet && refused && money == Money::default())
    }

    /// Bob is back and claims at once; the receipt; paying again.
    async fn claim(
        &mut self,
        request: RequestId,
        payment: PaymentId,
        say: &Narrator,
    ) -> Done<Paid> {
        say.step("Bob is back. His client, a merchant's, claims at once.")?;
        self.bob.come_back().await?;
        let received = |what: &What| match what {
            What::PaymentReceived { payment, .. } => Some(*payment),
            _ => None,
        };
        let got = self.bob.hears("the payment", received).await?;
        let money = self.bob.money().await?;
        say.check(
            got == payment && money.spendable == 1_250,
            &format!("Bob has {}", self.shown(money.spendable)),
        )?;
        let receipt = self.settled_receipt(payment).await?;
        say.seen("Alice holds a receipt")?;

        let key = self.alice.client()?.receipt_key(self.bobs_id).await?;
        let text = receipt.to_text();
        let verified = verifies(&text, &key, payment, request);
        let forged = tampered(&text);
        let receipt_verified = verified && !verifies(&forged, &key, payment, request);
        say.check(
            receipt_verified,
            "it verifies offline with Bob's key; one changed letter, and it does not",
        )?;

        say.step("Alice pays the same request again.")?;
        let before = (self.alice.money().await?, self.bob.money().await?, self.ledger()?);
        let again = self.alice.client()?.pay(request).await?;
        let outcome = self.alice.client()?.paid(again, PATIENCE).await?;
        let same = matches!(&outcome, Outcome::Paid(second) if second.to_text() == text);
        self.alice.hears_nothing_more().await?;
        let after = (self.alice.money().await?, self.bob.money().await?, self.ledger()?);
        let second_pay_same_receipt = again == payment && same && before == after;
        say.check(
            second_pay_same_receipt,
            "the same receipt, no coin moved, the issuer was not even asked",
        )?;
        let payment = match outcome {
            Outcome::Paid(_) => "paid",
            Outcome::Refused(_) => "refused",
            _ => "unknown",
        };
        Ok(Paid { payment, receipt_verified, second_pay_same_receipt })
    }

    /// The receipt that says that the coins are claimed.
    async fn settled_receipt(&mut self, payment: PaymentId) -> Done<PaymentReceipt> {
        let moved = |what: &What| matches!(what, What::PaymentChanged { .. }).then_some(());
        loop {
            if let Outcome::Paid(receipt) = self.alice.client()?.outcome(payment).await?
                && receipt.claims().stage == Stage::Settled
            {
                return Ok(*receipt);
            }
            self.alice.hears("Bob's receipt", moved).await?;
        }
    }

    /// Everyone's money, and the issuer's books.
    async fn balance(&mut self, say: &Narrator) -> Done<bool> {
        say.step("The books.")?;
        let Books { issued, redeemed, fees, all, balanced } = self.books().await?;
        for (name, person) in [("Alice", &self.alice), ("Bob", &self.bob), ("thief", &self.thief)] {
            let money = person.money().await?;
            say.say(&format!("      {name:10} {:>14}", self.shown(money.spendable)))?;
        }
        for (name, minor) in [
            ("spendable", all.spendable),
            ("locked", all.locked.saturating_add(all.moving)),
            ("redeemed", redeemed),
            ("fees", fees),
            ("issued", issued),
        ] {
            say.say(&format!("      {name:10} {:>14}", self.shown(minor)))?;
        }
        say.check(balanced, "issued = spendable + locked + redeemed + fees, to the unit")?;
        Ok(balanced && self.balanced_in_flight)
    }

    /// The issuer's books beside everyone's money.
    async fn books(&self) -> Done<Books> {
        let report = self.issuer.operate(&["report"]).await?;
        let number = |name: &str| {
            let found = report.get(name).and_then(Value::as_u64);
            found.ok_or_else(|| Failure::failed("the issuer's report cannot be read"))
        };
        let (issued, redeemed, fees) = (number("issued")?, number("redeemed")?, number("fees")?);
        let mut all = Money::default();
        for person in [&self.alice, &self.bob, &self.thief] {
            // Whoever is away has nothing yet: it is Bob, before his first coin.
            let Ok(money) = person.money().await else { continue };
            all.spendable = all.spendable.saturating_add(money.spendable);
            all.locked = all.locked.saturating_add(money.locked);
            all.moving = all.moving.saturating_add(money.moving);
        }
        let sum = [all.spendable, all.locked, all.moving, redeemed, fees];
        let balanced = sum.into_iter().try_fold(0_u64, u64::checked_add) == Some(issued)
            && report.get("balanced").and_then(Value::as_bool) == Some(true);
        Ok(Books { issued, redeemed, fees, all, balanced })
    }

    /// What each party could see.
    fn look_around(&mut self, say: &Narrator) -> Done {
        say.step("What the relay could see.")?;
        let secrets = self.secrets();
        for sight in &self.sights {
            say.check(
                sight.knows_none_of(&secrets),
                &format!(
                    "mailboxes {}, {} capabilities, {} waiting of {} bytes; no account, no name, no word",
                    sight.mailboxes.join(" "),
                    sight.capabilities,
                    sight.envelopes.len(),
                    sight::sizes(&sight.envelopes)
                ),
            )?;
        }
        let bucket = |size: &usize| (2048..=65_536).contains(size) && size.is_power_of_two();
        say.check(
            !self.envelopes.is_empty() && self.envelopes.iter().all(bucket),
            "every envelope has the length of its bucket",
        )?;
        say.step("What the issuer could see.")?;
        let books = sight::issuer_bytes(&self.issuer.data)?;
        say.check(
            sight::knows_none_of(&books, &secrets),
            &format!(
                "{} bytes of blinded swaps; no account, no name, no request, no bill",
                books.len()
            ),
        )?;
        say.seen(
            "both still see when something happens and from which address; the issuer sees amounts",
        )
    }

    /// What must not stand on anybody else's disk.
    fn secrets(&self) -> Vec<Vec<u8>> {
        let texts = self.written.iter().map(String::as_str).chain(["Coffee", "Cake", "Table 4"]);
        let ids = [self.alices_id, self.bobs_id].map(|id| id.as_bytes().to_vec());
        texts.map(|text| text.as_bytes().to_vec()).chain(ids).collect()
    }

    /// Every text once.
    async fn count(&mut self, say: &Narrator) -> Done<(usize, usize)> {
        say.step("Counting.")?;
        self.alice.hears_nothing_more().await?;
        self.bob.hears_nothing_more().await?;
        let heard: Vec<_> = self.alice.heard.iter().chain(&self.bob.heard).collect();
        let delivered = self.written.iter().filter(|text| heard.iter().any(|(it, _)| it == text));
        let delivered = delivered.count();
        let duplicates = heard.iter().map(|(_, times)| times.saturating_sub(1)).sum();
        say.check(
            delivered == self.written.len() && duplicates == 0,
            &format!(
                "{} messages were written, {delivered} arrived, {duplicates} came twice",
                self.written.len()
            ),
        )?;
        Ok((delivered, duplicates))
    }

    async fn end(mut self) -> Done {
        tokio::join!(self.alice.leave(), self.bob.leave(), self.thief.leave());
        if let Some(relay) = self.relay.take() {
            relay.kill().await?;
        }
        self.issuer.kill().await
    }

    async fn alice_writes(&mut self, text: &str) -> Done<MessageId> {
        self.written.push(text.to_owned());
        Ok(self.alice.client()?.send(self.bobs_id, text).await?)
    }

    async fn bob_writes(&mut self, text: &str) -> Done<MessageId> {
        self.written.push(text.to_owned());
        Ok(self.bob.client()?.send(self.alices_id, text).await?)
    }

    async fn bob_hears(&mut self, text: &str) -> Done {
        match self.bob.heard.contains_key(text) {
            true => Ok(()),
            false => self.bob.hears_text(text).await,
        }
    }

    /// What waits at the relay, by its disk.
    fn look(&mut self, name: &str) -> Done<Vec<usize>> {
        let aside = self.folder.join(name);
        let sight = RelaySight::look(&self.folder.join("relay"), aside)?;
        let waiting = sight.envelopes.clone();
        self.envelopes.extend(&waiting);
        self.envelopes.sort_unstable();
        self.sights.push(sight);
        Ok(waiting)
    }

    /// How many bytes the issuer has written: whatever it does is in there.
    fn ledger(&self) -> Done<usize> {
        Ok(sight::issuer_bytes(&self.issuer.data)?.len())
    }

    fn shown(&self, minor: u64) -> String {
        Amount::new(minor, self.unit.clone()).to_string()
    }
}

/// Whether a receipt says, signed by this key, that this payment of this request is settled.
fn verifies(text: &str, key: &[u8; 32], payment: PaymentId, request: RequestId) -> bool {
    let check = || {
        let receipt: Bytes = PaymentReceipt::from_text(text).ok()?.encode();
        let key = VerifyingKey::parse(key).ok()?;
        let statement = chopmark_pay::verify_receipt(&receipt, &key).ok()?;
        Some(
            statement.payment.as_bytes() == payment.as_bytes()
                && statement.request.as_bytes() == request.as_bytes()
                && statement.stage == Stage::Settled
                && statement.amount.minor() == 1_250,
        )
    };
    check().unwrap_or(false)
}

/// The text with one letter of the statement changed.
fn tampered(text: &str) -> String {
    let middle = text.len() / 2;
    let change = |(at, letter): (usize, char)| match (at == middle, letter) {
        (true, 'A') => 'B',
        (true, _) => 'A',
        (false, letter) => letter,
    };
    text.chars().enumerate().map(change).collect()
}

async fn stored(client: &Client, to: ContactId, message: MessageId) -> Done {
    match client.reached(to, message, Progress::Stored, PATIENCE).await? {
        true => Ok(()),
        false => Err(Failure::failed("the relay did not store a message in time")),
    }
}

async fn settled(client: &Client, what: &str) -> Done {
    match client.settled(PATIENCE).await? {
        true => Ok(()),
        false => Err(Failure::failed(format!("waited too long for {what}"))),
    }
}
