//! How a running program is asked: over a socket in its folder, which only its own user can open, and over a page on
//! loopback, which only tells.
//!
//! Both speak HTTP/1.1. The page has `/healthz` (is it alive), `/readyz` (does it serve) and `/metrics`; the socket has
//! these and what an operator commands: `/status`, `/drain`, `/backup`. Nothing here is of a relay: whatever is
//! [`Operated`] is served the same way.

pub(crate) mod client;
pub(crate) mod notify;
pub(crate) mod server;

use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

/// The socket's name in the folder.
pub(crate) const SOCKET: &str = "admin.sock";

/// What runs and can be asked.
pub(crate) trait Operated: Send + Sync + 'static {
    /// Why it does not work, if it does not. What is sick is to be started again.
    fn sick(&self) -> Option<&'static str>;

    /// Why it serves nobody just now, if it does not.
    fn busy(&self) -> Option<&'static str>;

    /// All metrics as text.
    fn metrics(&self) -> String;

    /// What an operator wants to see, as JSON.
    fn status(&self) -> String;

    /// Stop, with grace.
    fn drain(&self);

    /// Begins a backup; its parts come one by one and an error is the last of them.
    ///
    /// # Errors
    /// Why there is none now.
    fn backup(&self) -> Result<Receiver<std::io::Result<Bytes>>, String>;
}
