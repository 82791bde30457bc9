//! `chop listen`.

use std::time::Duration;

use chopmark::{Client, ContactId, Event, Renewal, Revision, What};
use serde_json::{Value, json};

use crate::find::Names;
use crate::outcome::{Done, Failure};
use crate::show::{Show, complain, plain, short};
use crate::when::{date, span};

/// Print what arrives.
#[derive(clap::Args)]
pub(crate) struct Listen {
    /// Stop after so many events.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop after this time.
    #[arg(long, value_name = "TIME", value_parser = span)]
    timeout: Option<Duration>,
}

impl Listen {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let mut left = self.count;
        let end = async {
            match self.timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let mut events = client.events();
        let mut reachable = tokio::time::interval(LOOK);
        let mut alone = 0_u32;
        while left != Some(0) {
            tokio::select! {
                event = events.next() => {
                    let event = event?;
                    print(client, &event, show).await?;
                    // Only now: what was not printed is printed again by the next `chop listen`.
                    client.done(event.cursor).await?;
                    left = left.map(|left| left.saturating_sub(1));
                }
                () = &mut end => {
                    return match left {
                        None => Ok(()),
                        Some(left) => Err(Failure::not_in_time(format!(
                            "{left} more events were waited for and did not come in time"
                        ))),
                    };
                }
                _ = reachable.tick() => {
                    let health = client.health();
                    alone = if health.receiving && !health.connected { alone.saturating_add(1) } else { 0 };
                    if alone == LONG {
                        complain("your relay cannot be reached; trying again until it can");
                    }
                }
                () = super::interrupted() => return Ok(()),
            }
        }
        Ok(())
    }
}

async fn print(client: &Client, event: &Event, show: Show) -> Done {
    let names = Names::of(client).await?;
    let (kind, contact, fields, text) = told(client, &event.what, &names).await?;
    show.one(
        || {
            let mut object = json!({
                "cursor": event.cursor,
                "at_ms": event.at.as_millis(),
                "event": kind,
            });
            if let Some(object) = object.as_object_mut() {
                if let Some(contact) = &contact {
                    object.insert("contact".to_owned(), json!(contact.to_string()));
                    object.insert("name".to_owned(), json!(names.name(contact)));
                }
                if let Value::Object(fields) = fields {
                    object.extend(fields);
                }
            }
            object
        },
        || format!("{}  {text}", date(event.at)),
    )
}

/// An event's name, whom it concerns, what else there is to it, and the line for people.
async fn told(
    client: &Client,
    what: &What,
    names: &Names,
) -> Done<(&'static str, Option<ContactId>, Value, String)> {
    let call = |contact: &ContactId| plain(&names.name(contact));
    Ok(match what {
        What::ContactWaiting { contact } => (
            "contact_waiting",
            Some(*contact),
            json!({}),
            format!(
                "{0} wants to reach you: chop accept {0} NAME, or chop reject {0}",
                short(contact)
            ),
        ),
        What::ContactAccepted { contact } => (
            "contact_accepted",
            Some(*contact),
            json!({}),
            match names.has(contact) {
                true => format!("{} and you can write to each other now", call(contact)),
                false => format!(
                    "{0} and you can write to each other now; name them: chop accept {0} NAME",
                    short(contact)
                ),
            },
        ),
        What::LinkFailed { contact, why } => (
            "link_failed",
            Some(*contact),
            json!({"why": why}),
            format!("the link to {} does not work: {}", call(contact), plain(why)),
        ),
        What::Message { contact, message, text, sent_at_ms, confirmed } => (
            "message",
            Some(*contact),
            json!({
                "message": message.to_string(),
                "text": text,
                "sent_at_ms": sent_at_ms,
                "confirmed": confirmed,
            }),
            format!("{}{}: {}", call(contact), doubt(*confirmed), plain(text)),
        ),
        What::ContactConfirmed { contact } => (
            "contact_confirmed",
            Some(*contact),
            json!({}),
            format!("the session with {} is confirmed: what came on it is theirs", call(contact)),
        ),
        What::MessageRevised { contact, message, revised, text } => {
            let gone = *revised == Revision::Retracted;
            let (kind, fields) = match gone {
                true => ("message_retracted", json!({"message": message.to_string()})),
                false => ("message_edited", json!({"message": message.to_string(), "text": text})),
            };
            let line = match gone {
                true => format!("{} took back {}", call(contact), short(message)),
                false => format!("{} now says: {}", call(contact), plain(text)),
            };
            (kind, Some(*contact), fields, line)
        }
        What::Reaction { contact, message, emoji } => (
            "reaction",
            Some(*contact),
            json!({"message": message.to_string(), "emoji": emoji}),
            format!("{} at {}: {}", call(contact), short(message), plain(emoji)),
        ),
        What::Delivered { contact, message } => (
            "delivered",
            Some(*contact),
            json!({"message": message.to_string()}),
            format!("{} has your message {}", call(contact), short(message)),
        ),
        What::PaymentRequested { contact, request, confirmed } => {
            let all = client.requests().await?;
            let asked = all.iter().find(|it| it.id == *request);
            let amount = asked.map(|it| it.request.amount.to_string()).unwrap_or_default();
            let memo = asked.map(|it| plain(&it.request.memo)).unwrap_or_default();
            let text = format!(
                "{}{} asks for {amount} {memo}\n    chop pay {}",
                call(contact),
                doubt(*confirmed),
                short(request)
            );
            let fields = json!({
                "request": request.to_string(),
                "amount": amount,
                "memo": memo,
                "confirmed": confirmed,
            });
            ("payment_requested", Some(*contact), fields, text)
        }
        What::PaymentReceived { contact, payment } => {
            let (amount, _) = payment_line(client, payment.as_bytes()).await?;
            let text = format!("{} paid you {amount}", call(contact));
            let fields = json!({"payment": payment.to_string(), "amount": amount});
            ("payment_received", Some(*contact), fields, text)
        }
        What::PaymentChanged { contact, payment } => {
            let (amount, state) = payment_line(client, payment.as_bytes()).await?;
            let text =
                format!("payment {} with {}: {amount}, {state}", short(payment), call(contact));
            let fields = json!({"payment": payment.to_string(), "amount": amount, "state": state});
            ("payment_changed", Some(*contact), fields, text)
        }
        What::Redeemed { token } => (
            "redeemed",
            None,
            json!({"token": hex(token)}),
            "the coins of a token are yours now".to_owned(),
        ),
        What::RedeemRefused { token, why } => (
            "redeem_refused",
            None,
            json!({"token": hex(token), "why": why}),
            format!("a token was refused: {}", plain(why)),
        ),
        What::SessionRenewed { contact, why } => (
            "session_renewed",
            Some(*contact),
            json!({"why": renewal(*why)}),
            format!("beginning anew with {}: {}", call(contact), renewal(*why)),
        ),
        What::DevicesChanged { contact, recovered, gap } => (
            "devices_changed",
            Some(*contact),
            json!({"recovered": recovered, "gap": gap}),
            match recovered {
                true => format!(
                    "{0} restored their account on another device; if you compared the safety number, ask them, then: chop safety {0} --agree",
                    call(contact)
                ),
                false => format!("{} has other devices now", call(contact)),
            },
        ),
        What::ContactFrozen { contact } => (
            "contact_frozen",
            Some(*contact),
            json!({}),
            format!(
                "{}: the account shows two different lists of devices; nothing is sent until it is restored",
                call(contact)
            ),
        ),
        What::PrekeyReused => (
            "prekey_reused",
            None,
            json!({}),
            "a relay handed one of your one-time keys to two people, or someone pretends so"
                .to_owned(),
        ),
        What::PrekeyMissing { contact } => (
            "prekey_missing",
            Some(*contact),
            json!({}),
            format!(
                "{} got no one-time key of yours: a relay withholds them, or many people asked",
                call(contact)
            ),
        ),
        What::Warning { contact, text } => {
            let about = contact.as_ref().map(|it| format!("{}: ", call(it))).unwrap_or_default();
            let line = format!("warning: {about}{}", plain(text));
            ("warning", *contact, json!({"text": text}), line)
        }
        _ => ("other", None, json!({}), "something that needs a newer version of chop".to_owned()),
    })
}

const fn renewal(why: Renewal) -> &'static str {
    match why {
        Renewal::Unanswered => "no answer for two weeks",
        Renewal::Unreadable => "a message came that nothing opens",
        Renewal::MessagesLost => "messages were lost on their way; they come again if they can",
        Renewal::KeyRefused => "their device sent a wrong key",
        Renewal::OwnRollback => {
            "this home is an older copy of itself; what was sent since is unknown here"
        }
        Renewal::CopyNoticed => {
            "they say that this home fell back or is in use twice; someone may have copied it"
        }
        Renewal::PeerRolledBack => "their device fell back to an older copy of itself",
        Renewal::PeerForked => "their device is in use twice; someone may have copied it",
        _ => "the session cannot be gone on with",
    }
}

/// Amount and state of a payment as it is now.
async fn payment_line(client: &Client, id: &[u8; 32]) -> Done<(String, &'static str)> {
    let payments = client.payments().await?;
    let found = payments.iter().find(|it| it.id.as_bytes() == id);
    Ok(found.map_or((String::new(), "unknown"), |it| {
        (it.amount.to_string(), super::payments::state(it.state))
    }))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const LOOK: Duration = Duration::from_secs(1);
/// After so many looks without a connection the user is told; less may be a relay that restarts.
const LONG: u32 = 3;

/// What stands behind a name that somebody else may use.
const fn doubt(confirmed: bool) -> &'static str {
    if confirmed { "" } else { " (session not confirmed: it may be somebody else)" }
}
