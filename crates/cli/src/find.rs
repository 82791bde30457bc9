//! Contacts, requests and payments by what a person calls them.

use chopmark::{Client, ContactId, ContactInfo, RequestInfo};
use chopmark_pay::PaymentView;

use crate::outcome::{Done, Failure};
use crate::show::{plain, short};

/// The contact with this name, or the only one whose id begins so.
pub(crate) async fn contact(client: &Client, called: &str) -> Done<ContactInfo> {
    let contacts = client.contacts().await?;
    if let Some(found) = contacts.iter().find(|it| !it.name.is_empty() && it.name == called) {
        return Ok(found.clone());
    }
    only(contacts, called, |it| it.id.to_string(), "contact", "`chop contacts` lists them")
}

/// The request that came in whose id begins so.
pub(crate) async fn request(client: &Client, called: &str) -> Done<RequestInfo> {
    let requests = client.requests().await?;
    only(requests, called, |it| it.id.to_string(), "request", "`chop requests` lists them")
}

/// The payment whose id, or whose request's id, begins so.
pub(crate) async fn payment(client: &Client, called: &str) -> Done<PaymentView> {
    let payments = client.payments().await?;
    if let Some(found) =
        payments.iter().find(|it| is_id(called) && it.request.to_string().starts_with(called))
    {
        return Ok(found.clone());
    }
    only(payments, called, |it| it.id.to_string(), "payment", "`chop payments` lists them")
}

fn only<T>(
    all: Vec<T>,
    called: &str,
    id: impl Fn(&T) -> String,
    what: &str,
    list: &str,
) -> Done<T> {
    let called = called.to_ascii_lowercase();
    let mut found = all.into_iter().filter(|it| is_id(&called) && id(it).starts_with(&called));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "more than one {what} begins with {called}: give more digits; {list}"
        ))),
        (None, _) => {
            Err(Failure::not_found(format!("there is no {what} called {}: {list}", plain(&called))))
        }
    }
}

/// Few digits would find something by accident.
fn is_id(called: &str) -> bool {
    called.len() >= SHORTEST_ID && called.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name for a contact that is new: one line, not taken.
pub(crate) async fn new_name(client: &Client, name: &str, of: Option<ContactId>) -> Done {
    if name.trim().is_empty() || name != plain(name) || name.contains('\n') {
        return Err(Failure::usage("a name is a line of text that shows what it says"));
    }
    let taken = client.contacts().await?;
    match taken.iter().any(|it| it.name == name && Some(it.id) != of) {
        true => {
            Err(Failure::usage(format!("you have a contact called {name}: choose another name")))
        }
        false => Ok(()),
    }
}

/// How to show a contact: by name, else by the beginning of the id.
pub(crate) fn called(contact: &ContactInfo) -> String {
    match contact.name.as_str() {
        "" => short(&contact.id),
        name => plain(name),
    }
}

/// How a contact is called: by name, else by the beginning of the id.
pub(crate) struct Names(Vec<ContactInfo>);

impl Names {
    pub(crate) async fn of(client: &Client) -> Done<Self> {
        Ok(Self(client.contacts().await?))
    }

    /// Whether the user has named them.
    pub(crate) fn has(&self, id: &ContactId) -> bool {
        self.0.iter().any(|it| it.id == *id && !it.name.is_empty())
    }

    pub(crate) fn name(&self, id: &ContactId) -> String {
        match self.0.iter().find(|it| it.id == *id) {
            Some(contact) if !contact.name.is_empty() => contact.name.clone(),
            _ => short(id),
        }
    }
}

const SHORTEST_ID: usize = 4;
