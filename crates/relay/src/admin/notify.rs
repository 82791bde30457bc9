//! What systemd wants to hear of a service of `Type=notify`: `READY=1` on the datagram socket that `NOTIFY_SOCKET` names.

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whoever started us, if it listens. Made before anything is given up.
#[derive(Debug)]
pub(crate) struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// Finds the socket in the environment. Without one, nobody is told anything.
    pub(crate) fn of_environment() -> Self {
        let name = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
        Self(address(&name).zip(UnixDatagram::unbound().ok()).map(|(to, from)| (from, to)))
    }

    /// Says a line, as `READY=1`. That it is heard is not our business.
    pub(crate) fn say(&self, line: &str) {
        if let Some((socket, to)) = &self.0 {
            let _ = socket.send_to_addr(line.as_bytes(), to);
        }
    }
}

fn address(name: &str) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(abstract_name) = name.strip_prefix('@') {
        return SocketAddr::from_abstract_name(abstract_name).ok();
    }
    name.starts_with('/').then(|| SocketAddr::from_pathname(name).ok()).flatten()
}
