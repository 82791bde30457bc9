//! One control stream, driven: a machine of `chopmark-mailbox` on one side, QUIC on the other.

use bytes::{Buf, BytesMut};
use chopmark_core::signature::SigningKey;
use chopmark_mailbox::{Input, Output, OwnerConnection, OwnerEvent, SenderConnection, SenderEvent};
use chopmark_wire::address::RelayAddress;
use chopmark_wire::relay::RelayHash;

use super::quic::{DialError, Dialer, Line};
use crate::clock;

/// A machine that talks to a relay.
pub(crate) trait Machine {
    type Event;

    fn take(&mut self, input: Input<'_>) -> Result<(), Lost>;
    fn give(&mut self) -> Option<Output<Self::Event>>;
    fn due(&self) -> Option<chopmark_core::time::Timestamp>;
}

/// The connection is gone. What had no answer is undecided and is asked again on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Relay(#[from] chopmark_mailbox::ConnectionError),
    #[error("the relay closed the connection")]
    Closed,
}

/// A machine at work on a line.
pub(crate) struct Talk<M> {
    line: Line,
    pub(crate) machine: M,
    unsent: BytesMut,
}

impl Talk<OwnerConnection> {
    pub(crate) async fn owner(
        dialer: &Dialer,
        relay: &RelayAddress,
        owner: SigningKey,
    ) -> Result<Self, Lost> {
        let line = dialer.dial(relay).await?;
        let hash = RelayHash(*relay.hash());
        let machine = OwnerConnection::new(hash, line.binding, owner, clock::now());
        Ok(Self { line, machine, unsent: BytesMut::new() })
    }
}

impl Talk<SenderConnection> {
    pub(crate) async fn sender(dialer: &Dialer, relay: &RelayAddress) -> Result<Self, Lost> {
        let line = dialer.dial(relay).await?;
        let machine = SenderConnection::new(RelayHash(*relay.hash()), line.binding, clock::now());
        Ok(Self { line, machine, unsent: BytesMut::new() })
    }
}

impl<M: Machine> Talk<M> {
    /// The next event. Dropping the future before it is done loses nothing.
    pub(crate) async fn next(&mut self) -> Result<M::Event, Lost> {
        loop {
            while let Some(output) = self.machine.give() {
                match output {
                    Output::Event(event) => return Ok(event),
                    Output::Send(bytes) => self.unsent.extend_from_slice(&bytes),
                    _ => {}
                }
            }
            let due = self.machine.due();
            tokio::select! {
                written = self.line.send.write(&self.unsent), if !self.unsent.is_empty() => {
                    self.unsent.advance(written.map_err(|_| Lost::Closed)?);
                }
                read = self.line.recv.read_chunk(READ, true) => {
                    let chunk = read.ok().flatten().ok_or(Lost::Closed)?;
                    self.machine.take(Input::Bytes(&chunk.bytes))?;
                }
                () = clock::sleep_until(due) => self.machine.take(Input::Tick)?,
            }
        }
    }

    /// Sends what is left and closes in good order.
    pub(crate) async fn close(mut self) {
        while let Some(output) = self.machine.give() {
            if let Output::Send(bytes) = output {
                self.unsent.extend_from_slice(&bytes);
            }
        }
        let goodbye = async {
            let _ = self.line.send.write_all(&self.unsent).await;
            let _ = self.line.send.finish();
            let _ = self.line.send.stopped().await;
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), goodbye).await;
        self.line.connection.close(0u8.into(), b"");
    }
}

impl Machine for OwnerConnection {
    type Event = OwnerEvent;

    fn take(&mut self, input: Input<'_>) -> Result<(), Lost> {
        Ok(self.handle(clock::now(), input)?)
    }

    fn give(&mut self) -> Option<Output<OwnerEvent>> {
        self.poll()
    }

    fn due(&self) -> Option<chopmark_core::time::Timestamp> {
        self.wake_at()
    }
}

impl Machine for SenderConnection {
    type Event = SenderEvent;

    fn take(&mut self, input: Input<'_>) -> Result<(), Lost> {
        Ok(self.handle(clock::now(), input)?)
    }

    fn give(&mut self) -> Option<Output<SenderEvent>> {
        self.poll()
    }

    fn due(&self) -> Option<chopmark_core::time::Timestamp> {
        self.wake_at()
    }
}

const READ: usize = 256 * 1024;
