//! Attacks from the network on a relay that runs: packets that no client sends.

mod established;
mod first_packets;
mod moves;
mod readers;
mod retry;

use chopmark_wire::relay::{FromClient, Request, RequestId, Reserved};

use super::{
    client::{Owner, Sender, large_envelope},
    inside::Inside,
};

/// A frame that opens a connection and costs the store nothing.
pub(super) fn harmless(number: u64) -> Vec<u8> {
    let id = RequestId::new(number).unwrap();
    FromClient::Request { id, request: Request::Reserved(Reserved::Log) }.encode().to_vec()
}

/// So many messages of 64 KiB wait in the mailbox of these tests.
fn waiting(inside: &Inside, messages: u16) {
    let address = inside.address();
    inside.runtime.block_on(async {
        let capability = Owner::connect(&address).await.mailbox(1).await;
        let mut sender = Sender::connect(&address).await;
        for n in 0..messages {
            sender.stored(&capability, large_envelope(n)).await;
        }
    });
}
