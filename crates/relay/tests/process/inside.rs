//! A relay inside the test, under limits of the test's.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use chopmark_relay::{
    home::Home,
    limits::{Limit, Limits},
    node::{Node, Settings},
    store::{Grouping, Space},
};
use chopmark_wire::relay::RelayHash;
use tokio::runtime::Runtime;

/// A relay, its runtime and its folder.
pub(crate) struct Inside {
    pub(crate) runtime: Runtime,
    pub(crate) node: Option<Node>,
    pub(crate) folder: tempfile::TempDir,
    listen: SocketAddr,
    hash: RelayHash,
}

impl Inside {
    pub(crate) fn start(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut inside = Self {
            runtime,
            node: None,
            folder,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            hash: RelayHash([0; 16]),
        };
        inside.begin(limits);
        inside
    }

    fn begin(&mut self, limits: Limits) {
        let home = Home::open(self.folder.path()).unwrap();
        let settings = Settings {
            listen: self.listen,
            public: None,
            space: Space { floor: 0, ..Space::DEFAULT },
            grouping: Grouping::default(),
            idle_hours: 4320,
            erase_hours: 24,
            limits,
            certificate: None,
            metrics: Arc::default(),
        };
        let node = self.runtime.block_on(async { Node::start(home, &settings) }).unwrap();
        self.hash = node.relay_id().short();
        self.listen = node.local_addr().unwrap();
        self.node = Some(node);
    }

    /// Stops, and starts again at the same port.
    pub(crate) fn again(&mut self, limits: Limits) {
        let node = self.node.take().unwrap();
        self.runtime.block_on(node.drain());
        self.begin(limits);
    }

    pub(crate) fn to(&self) -> SocketAddr {
        self.listen
    }

    pub(crate) fn hash(&self) -> RelayHash {
        self.hash
    }

    pub(crate) fn address(&self) -> String {
        let hash: String = self.hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("chop-relay:{}#{hash}", self.listen)
    }

    /// How often a limit was met.
    pub(crate) fn bites(&self, limit: Limit) -> u64 {
        self.node.as_ref().unwrap().gauges().bites().count(limit)
    }
}
