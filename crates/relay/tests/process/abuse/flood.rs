//! What a flood has to work with.

use std::net::{IpAddr, SocketAddr};

use chopmark_wire::{address::RelayAddress, relay::RelayHash};

use crate::process::client::Sender;

/// Where it goes, and how large it is.
pub(super) struct Flood {
    pub(super) to: SocketAddr,
    pub(super) address: String,
    pub(super) scale: usize,
}

impl Flood {
    pub(super) fn new(to: SocketAddr, address: &str, scale: usize) -> Self {
        Self { to, address: address.to_owned(), scale }
    }

    pub(super) fn hash(&self) -> RelayHash {
        let address: RelayAddress = self.address.parse().unwrap();
        RelayHash(*address.hash())
    }

    /// One of many addresses of this machine.
    pub(super) fn from(&self, n: usize) -> IpAddr {
        let [_, _, a, b] = u32::try_from(n).unwrap().to_be_bytes();
        IpAddr::from([127, 1, a, b.max(1)])
    }

    /// So many senders at once, each doing this so many times.
    pub(super) fn senders<F>(&self, count: usize, each: impl Fn(usize, Sender) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = crate::runtime();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..count {
                tasks.spawn(each(n, Sender::connect(&self.address).await));
            }
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        });
    }
}
