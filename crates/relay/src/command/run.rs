//! `run`: the relay, from its settings to its last connection.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use chopmark_wire::{address::RelayAddress, relay::RelayHash};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use super::{Told, hash, print, status::Status, unix_now};
use crate::{
    access,
    admin::{notify::Notify as Supervisor, server},
    certificate::{Certificate, Source},
    cli::Common,
    confine::{self, Confined, Reach},
    endpoint,
    home::Home,
    log::Log,
    metrics::Metrics,
    node::{self, Node},
    running::{self, Running},
    settings::{Loaded, Sandbox, Settings, Sources, load, value::Value as _},
    store::{Grouping, Space},
};

/// Open files that a relay wants, and below which it says so: the store's tables, and who asks.
const OPEN_FILES: u64 = 65_536;
pub(super) const OPEN_FILES_LEAST: u64 = 1024;
/// How often the supervisor hears that we live, and gauges are set that nobody asks for.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Serves until a signal, `drain` or a failing store ends it.
pub(crate) fn run(common: &Common, dev: bool) -> Told {
    let sources = common.sources(dev);
    let loaded = match common.settings(dev) {
        Ok(loaded) => loaded,
        Err(told) => return told,
    };
    match Start::prepare(sources, loaded) {
        Ok(start) => start.serve(),
        Err(error) => Told::cannot(&error),
    }
}

type Failure = Box<dyn std::error::Error>;

/// Everything that is made while there is one thread and nothing is given up.
struct Start {
    sources: Sources,
    loaded: Loaded<Settings>,
    log: Log,
    supervisor: Supervisor,
    metrics: Arc<Metrics>,
    home: Home,
    hash: RelayHash,
    source: Source,
    certificate: Certificate,
    limits: crate::limits::Limits,
    page: Option<TcpListener>,
    confined: &'static str,
    workers: usize,
}

impl Start {
    fn prepare(sources: Sources, loaded: Loaded<Settings>) -> Result<Self, Failure> {
        let settings = &loaded.values;
        let log = Log::begin("chopmark_relay", settings.log.level, settings.log.format);
        confine::keep_to_ourselves();
        if !loaded.warnings.is_empty() {
            tracing::warn!("a variable of the environment is no setting; `check` names it");
        }
        let metrics = Arc::new(Metrics::new());
        metrics.started.set(unix_now());
        metrics.floor.set(i64::try_from(settings.store.keep_free.bytes()).unwrap_or(i64::MAX));
        let files = confine::raise_open_files(OPEN_FILES);
        metrics.descriptors_max.set(i64::try_from(files).unwrap_or(i64::MAX));
        if files < OPEN_FILES_LEAST {
            tracing::warn!(files, least = OPEN_FILES_LEAST, "few files may be open at once");
        }
        let home = Home::open(&settings.data)?;
        let limits = settings.limits.of_node(access::who_may(&settings.access)?);
        let source = Source::of(&settings.certificate);
        let certificate =
            source.load(unix_now()).map_err(|error| format!("certificate: {error}"))?;
        if certificate.ends <= unix_now() {
            tracing::warn!("the certificate has ended; clients of this version do not mind");
        }
        let page = match settings.admin.listen {
            None => None,
            Some(listen) => Some(listen_tcp(listen).map_err(|error| {
                format!("the page cannot listen: {error}; choose another admin.listen, or \"none\"")
            })?),
        };
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let supervisor = Supervisor::of_environment();
        let confined = confine(&sources, settings, &source)?;
        Ok(Self {
            hash: hash(home.identity()),
            sources,
            log,
            supervisor,
            metrics,
            home,
            source,
            certificate,
            limits,
            page,
            confined,
            workers,
            loaded,
        })
    }

    fn serve(self) -> Told {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return Told::cannot(&error),
        };
        let told = runtime.block_on(async {
            match self.begin() {
                Ok(mut relay) => relay.until_stopped().await,
                Err(error) => Told::cannot(&error),
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        told
    }

    fn begin(self) -> Result<Relay, Failure> {
        let Self { loaded, home, metrics, source, certificate, hash, .. } = self;
        let settings = &loaded.values;
        let folder = home.folder().to_owned();
        let named = match &settings.public {
            Some(public) => Some(RelayAddress::new(&public.host, public.port, hash.0)?),
            None => None,
        };
        let (begins_to_end, first) = (certificate.ends, endpoint_certificate(&certificate));
        let node = Node::start(
            home,
            &node::Settings {
                listen: settings.listen,
                public: named.as_ref().map(|named| (named.host().to_owned(), named.port())),
                space: Space {
                    floor: settings.store.keep_free.bytes(),
                    ballast: settings.store.ballast.bytes(),
                },
                grouping: grouping(&settings.store),
                idle_hours: hours(settings.store.mailbox_idle),
                erase_hours: hours(settings.store.erase_every),
                limits: self.limits,
                certificate: Some(first),
                metrics: Arc::clone(&metrics),
            },
        )?;
        metrics.certificate_ends.set(begins_to_end);
        let unnamed = named.is_none() && settings.listen.ip().is_unspecified();
        let address = match named {
            Some(named) => named,
            None => address(&node, &hash)?,
        };
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: address.to_string(),
            pid: std::process::id(),
            started: unix_now(),
            connections_max: u64::try_from(settings.limits.connections).unwrap_or(u64::MAX),
            certificate: settings.certificate.mode.show(),
            sandbox: self.confined.to_owned(),
            ..Status::default()
        };
        let told = running::Told { status, busy: Some("starting"), sick: None };
        let running = Arc::new(Running {
            metrics,
            gauges: node.gauges(),
            store: node.store(),
            folder: folder.clone(),
            drain: Notify::new(),
            backing_up: Arc::default(),
            told: Mutex::new(told),
        });
        // Before anybody knows that we run: a signal that comes at once is heard.
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        match server::listen(&folder) {
            Ok(socket) => drop(tokio::spawn(server::serve_socket(socket, running.clone()))),
            Err(error) => {
                let kind = error.kind().to_string();
                tracing::warn!(kind, "no admin socket: `status`, `drain` and `backup` cannot ask");
            }
        }
        if let Some(page) = self.page {
            let page = tokio::net::TcpListener::from_std(page)?;
            tokio::spawn(server::serve_page(page, running.clone()));
        }
        running.told().busy = None;
        if !print(&format!("{address}\n")) {
            return Err("the address cannot be printed: standard output is closed".into());
        }
        tracing::info!("relay ready");
        self.supervisor.say("READY=1");
        if unnamed {
            tracing::warn!(
                "listening everywhere under no name: clients elsewhere need --public HOST:PORT"
            );
        }
        Ok(Relay {
            sources: self.sources,
            log: self.log,
            supervisor: self.supervisor,
            node: Some(node),
            source,
            certificate,
            running,
            signals,
            loaded,
        })
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// A relay that serves.
struct Relay {
    sources: Sources,
    loaded: Loaded<Settings>,
    log: Log,
    supervisor: Supervisor,
    node: Option<Node>,
    source: Source,
    certificate: Certificate,
    running: Arc<Running>,
    signals: Signals,
}

impl Relay {
    async fn until_stopped(&mut self) -> Told {
        let Some(node) = self.node.take() else { return Told::done() };
        let mut again = tokio::time::interval(self.source.again());
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        // The first ticks come at once.
        again.reset();
        loop {
            tokio::select! {
                why = node.failed() => {
                    self.running.told().sick = Some("the store failed");
                    tracing::error!("{why}");
                    return Told::store_failed();
                }
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                () = self.running.drain.notified() => break,
                _ = self.signals.hangup.recv() => self.reload(&node),
                _ = again.tick() => self.next_certificate(&node),
                _ = alive.tick() => {
                    self.running.look();
                    self.supervisor.say("WATCHDOG=1");
                }
            }
        }
        tracing::info!("draining");
        self.running.told().busy = Some("draining");
        self.supervisor.say("STOPPING=1");
        tokio::select! {
            () = node.drain() => tracing::info!("stopped"),
            _ = self.signals.terminate.recv() => tracing::warn!("stopped at once, as told twice"),
            _ = self.signals.interrupt.recv() => tracing::warn!("stopped at once, as told twice"),
        }
        Told::done()
    }

    /// Reads the settings again and takes what can be taken. What is wrong changes nothing.
    fn reload(&mut self, node: &Node) {
        self.supervisor.say("RELOADING=1");
        match self.read_again(node) {
            Ok(()) => {
                self.running.metrics.reloads.inc();
                self.running.told().status.reload_faults.clear();
            }
            Err(faults) => {
                self.running.metrics.reloads_failed.inc();
                let keys = faults.join(", ");
                tracing::error!(keys, "settings not taken, the old ones hold; `check` says more");
                self.running.told().status.reload_faults = faults;
            }
        }
        self.supervisor.say("READY=1");
    }

    fn read_again(&mut self, node: &Node) -> Result<(), Vec<String>> {
        let next = load(&self.sources).map_err(|faults| -> Vec<String> {
            faults.iter().map(|fault| fault.in_short().to_owned()).collect()
        })?;
        let access =
            access::who_may(&next.values.access).map_err(|_| vec!["access.tokens".to_owned()])?;
        let limits = next.values.limits.of_node(access);
        node.set_limits(limits).map_err(|_| vec!["limits".to_owned()])?;
        self.log.level(next.values.log.level);
        let count = u64::try_from(next.values.limits.connections).unwrap_or(u64::MAX);
        self.running.told().status.connections_max = count;
        let changed = next.changed(&self.loaded);
        let (live, fixed): (Vec<_>, Vec<_>) = changed.into_iter().partition(|key| key.live);
        let names = |keys: Vec<&crate::settings::Key>| {
            keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
        };
        if !fixed.is_empty() {
            tracing::warn!(keys = names(fixed), "changed, and taken only by the next start");
        }
        tracing::info!(changed = names(live), "settings read again");
        // What waits for the next start is said again until then.
        let held = std::mem::take(&mut self.loaded.values);
        self.loaded.values = Settings {
            log: crate::settings::Log { format: held.log.format, ..next.values.log },
            access: next.values.access,
            limits: next.values.limits,
            ..held
        };
        Ok(())
    }

    /// Makes or reads the certificate again, and takes it if it is another one.
    fn next_certificate(&mut self, node: &Node) {
        let metrics = &self.running.metrics;
        match self.source.load(unix_now()) {
            Ok(next) if next.same(&self.certificate) => {}
            Ok(next) => match node.set_certificate(endpoint_certificate(&next)) {
                Ok(()) => {
                    metrics.certificates.inc();
                    metrics.certificate_ends.set(next.ends);
                    tracing::info!("certificate swapped");
                    self.certificate = next;
                }
                Err(error) => {
                    metrics.certificates_failed.inc();
                    tracing::error!(
                        "the new certificate was not taken, the old one stays: {error}"
                    );
                }
            },
            Err(error) => {
                metrics.certificates_failed.inc();
                tracing::error!("no new certificate, the old one stays: {error}");
            }
        }
    }
}

fn endpoint_certificate(certificate: &Certificate) -> endpoint::Certificate {
    endpoint::Certificate { chain: certificate.chain.clone(), key: certificate.key.clone_key() }
}

fn listen_tcp(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Gives up every file but ours, as the settings want it; what became of that, in a word.
fn confine(
    sources: &Sources,
    settings: &Settings,
    source: &Source,
) -> Result<&'static str, Failure> {
    if settings.sandbox == Sandbox::Off {
        return Ok("off");
    }
    // What may be read again later, by its folder: a file that is replaced is another file. Its own numbers besides.
    let mut reads = vec!["/proc/self".into()];
    reads.extend(sources.path().as_deref().map(confine::folder_of));
    reads.extend(source.files().into_iter().map(confine::folder_of));
    reads.extend(settings.access.tokens.as_deref().map(confine::folder_of));
    let reach = Reach { writes: vec![settings.data.clone()], reads };
    let confined = confine::confine(&reach);
    match (confined, settings.sandbox) {
        (Ok(Confined::Fully), _) => {
            tracing::info!("sandboxed: no file but the relay's own, no tcp");
            Ok("full")
        }
        (Ok(Confined::Partly), _) => {
            tracing::info!("sandboxed as far as this kernel can");
            Ok("partial")
        }
        (Ok(Confined::Not) | Err(_), Sandbox::Required) => {
            Err("this kernel has no Landlock; set sandbox to \"auto\" to run without".into())
        }
        (Ok(Confined::Not), _) => {
            tracing::warn!("not sandboxed: this kernel has no Landlock");
            Ok("none")
        }
        (Err(error), _) => {
            tracing::warn!("not sandboxed: {error}");
            Ok("none")
        }
    }
}

/// Where it listens. An address of all interfaces is nobody's: loopback stands for it.
fn address(node: &Node, hash: &RelayHash) -> Result<RelayAddress, Failure> {
    let local = node.local_addr()?;
    let host = match local {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    Ok(RelayAddress::new(&host, local.port(), hash.0)?)
}

fn grouping(store: &crate::settings::Store) -> Grouping {
    let bytes = |size: crate::settings::Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
    Grouping {
        queue_requests: store.queue_requests,
        queue_bytes: bytes(store.queue_size),
        batch_requests: store.batch_requests,
        batch_bytes: bytes(store.batch_size),
        sweep_every: store.sweep_every,
    }
}

/// Whole hours, as a store counts.
const fn hours(time: Duration) -> u64 {
    time.as_secs() / 3600
}
