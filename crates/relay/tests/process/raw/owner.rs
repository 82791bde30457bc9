//! A mailbox's owner over a connection whose packets are the test's.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_mailbox::{ChannelBinding, Input, Output, OwnerConnection, OwnerEvent};
use chopmark_wire::relay::RelayHash;

use super::{
    CONTROL, Raw,
    packet::{Space, stream},
};
use crate::process::{client::now, inside::Inside};

/// The mailbox's owner over a raw connection: its machine says what, the test when.
pub(crate) struct RawOwner {
    pub(crate) raw: Raw,
    pub(crate) machine: OwnerConnection,
    at: u64,
    read: usize,
}

impl RawOwner {
    pub(crate) fn connect(inside: &Inside, window: u64) -> Self {
        Self::connect_as((inside.to(), inside.hash()), [4; 32], window)
    }

    /// The owner with this key, at this relay.
    pub(crate) fn connect_as(
        (to, hash): (SocketAddr, RelayHash),
        key: [u8; 32],
        window: u64,
    ) -> Self {
        let local = IpAddr::from([127, 0, 0, 1]);
        let mut raw = Raw::with_window(to, local, window);
        assert!(raw.connect());
        let key = SigningKey::from_secret(&Secret::new(key));
        let binding = ChannelBinding(raw.binding());
        let machine = OwnerConnection::new(hash, binding, key, now());
        let mut owner = Self { raw, machine, at: 0, read: 0 };
        while !matches!(owner.turn().first(), Some(OwnerEvent::Ready(_))) {}
        owner
    }

    /// Reads what came, sends what the machine says.
    pub(crate) fn turn(&mut self) -> Vec<OwnerEvent> {
        self.raw.listen(Duration::from_millis(20), true);
        let control = self.raw.control();
        self.machine.handle(now(), Input::Bytes(&control[self.read..])).unwrap();
        self.read = control.len();
        let mut events = Vec::new();
        while let Some(event) = self.say() {
            events.push(event);
        }
        events
    }

    /// Sends what the machine says, up to its next event.
    pub(crate) fn say(&mut self) -> Option<OwnerEvent> {
        loop {
            match self.machine.poll()? {
                Output::Event(event) => return Some(event),
                Output::Send(bytes) => {
                    self.raw.send(Space::Data, &stream(CONTROL, self.at, &bytes));
                    self.at += bytes.len() as u64;
                }
                _ => {}
            }
        }
    }
}
