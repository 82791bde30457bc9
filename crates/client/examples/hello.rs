//! Chat and a payment, both people in one process: `hello RELAY ISSUER TOKEN`, as `chopmark-relay run --dev`,
//! `chopmark-mint run --dev` and `chopmark-mint issue 50` print them.
#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use chopmark::{Amount, Bill, Client, LinkUse, Outcome, Setup, Timestamp, Unit, Unlock, What};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [relay, issuer, token] = args.as_slice() else { return Err("RELAY ISSUER TOKEN".into()) };
    let (homes, soon) = (tempfile::tempdir()?, Duration::from_secs(20));
    let setup = || Setup::new(relay).issuer(issuer, "chop", 2).merchant(true);
    let unlock = || Unlock::passphrase("correct horse battery staple");
    let (alice, _words) = Client::create(&homes.path().join("alice"), unlock(), setup()).await?;
    let (bob, _words) = Client::create(&homes.path().join("bob"), unlock(), setup()).await?;

    let link = bob.link(LinkUse::OneTime).await?;
    bob.settled(soon).await?;
    let to_bob = alice.add(&link, "Bob").await?;
    alice.send(to_bob, "Coffee?").await?;
    let (mut alices, mut bobs) = (alice.events(), bob.events());
    let to_alice = loop {
        if let What::Message { contact, text, .. } = bobs.next().await?.what {
            println!("Alice: {text}");
            break contact;
        }
    };

    alice.redeem(token, soon).await?.ok_or("the issuer does not answer")??;
    let amount = Amount::parse("12.50", &Unit::new("chop", 2)?)?;
    let (items, memo, expires_at) = (Vec::new(), "Coffee".to_owned(), Timestamp(u64::MAX / 2));
    let request =
        bob.request(to_alice, Bill { amount, items, memo, expires_at, payer: None }).await?;
    while !matches!(alices.next().await?.what, What::PaymentRequested { .. }) {}
    let outcome = alice.paid(alice.pay(request).await?, soon).await?;
    let Outcome::Paid(receipt) = outcome else { return Err("not paid yet".into()) };
    println!("Bob was paid: {}", receipt.to_text());
    Ok(())
}
