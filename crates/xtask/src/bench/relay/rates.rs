//! Messages a second, and what one costs the server.

use std::time::Duration;

use super::{
    Bench, Fault, SENDERS, WINDOW, beside,
    load::{self, Crowd, PER_CAPABILITY},
    median,
    nats::{self, Retention},
    ratio_row, raw, redis,
    server::{Server, own_cpu},
    tcp,
};

/// One round of one side.
#[derive(Clone, Copy)]
struct Sample {
    /// Messages a second.
    rate: f64,
    /// Microseconds of the server's processor time a message.
    server: f64,
    /// And of the client's.
    client: f64,
}

/// Processor times before.
struct Meter {
    server: f64,
    client: f64,
}

impl Meter {
    fn start(server: &Server) -> Result<Self, Fault> {
        Ok(Self { server: server.cpu()?, client: own_cpu()? })
    }

    fn stop(self, server: &Server, count: u64, time: Duration) -> Result<Sample, Fault> {
        let count = count.max(1) as f64;
        Ok(Sample {
            rate: count / time.as_secs_f64(),
            server: (server.cpu()? - self.server) * 1e6 / count,
            client: (own_cpu()? - self.client) * 1e6 / count,
        })
    }
}

/// Every sample of one side.
#[derive(Default)]
struct Side(Vec<Sample>);

impl Side {
    fn median(&self, of: fn(&Sample) -> f64) -> f64 {
        median(self.0.iter().map(of).collect())
    }

    fn against(&self, peer: &Self, of: fn(&Sample) -> f64) -> Vec<(f64, f64)> {
        self.0.iter().map(of).zip(peer.0.iter().map(of)).collect()
    }
}

const NO_END: u64 = u64::MAX;

/// Deposits a second of 64 senders, each answered when it is on disk.
pub(super) fn deposits(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let (mut relay, mut other) = (Side::default(), Side::default());
    let mut peers = [const { Side(Vec::new()) }; 5];
    let (mut syncs, mut packets) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        relay.0.push(relay_deposits(bench, bench.relay()?)?);
        if let Some(program) = &bench.beside {
            other.0.push(relay_deposits(bench, Server::relay(program)?)?);
        }
        let samples = [
            nats_publishes(bench, false)?,
            redis_sets(bench, false, 1)?,
            redis_sets(bench, false, WINDOW)?,
            nats_publishes(bench, true)?,
            redis_sets(bench, true, WINDOW)?,
        ];
        peers.iter_mut().zip(samples).for_each(|(side, sample)| side.0.push(sample));
        let part = bench.round_time() / 5;
        syncs.push(raw::Log::new()?.per_second(part)?);
        packets.push(raw::packets_per_second(part)?);
    }
    let [nats, single, pipelined, nats_tls, redis_tls] = &peers;
    let rate = |sample: &Sample| sample.rate;
    let mut row = ratio_row(
        "durable deposits, 64 senders / NATS",
        "/s",
        "NATS JetStream publish acks",
        &relay.against(nats, rate),
        (1.0, true),
    );
    row.beside = vec![
        beside("server CPU a deposit", relay.median(|it| it.server), "us"),
        beside("client CPU a deposit (quinn)", relay.median(|it| it.client), "us"),
        beside("server CPU a publish, NATS", nats.median(|it| it.server), "us"),
        beside("client CPU a publish, NATS", nats.median(|it| it.client), "us"),
        beside("NATS over TLS", nats_tls.median(rate), "/s"),
        beside("raw: appends of 2,048 B + fdatasync", median(syncs), "/s"),
        beside("raw: UDP packets of 1,200 B over loopback", median(packets), "/s"),
    ];
    if !other.0.is_empty() {
        row.beside.push(beside("the other build", other.median(rate), "/s"));
        row.beside.push(beside("server CPU, the other build", other.median(|it| it.server), "us"));
        let ratios = relay.against(&other, rate).into_iter().map(|(a, b)| a / b).collect();
        row.beside.push(beside("this build / the other", median(ratios), ""));
    }
    bench.row(row)?;
    let mut row = ratio_row(
        "durable deposits / Redis, one in flight",
        "/s",
        "Redis SET, appendfsync always, one in flight",
        &relay.against(single, rate),
        (1.0, true),
    );
    row.beside = vec![beside("server CPU a SET", single.median(|it| it.server), "us")];
    bench.row(row)?;
    let mut row = ratio_row(
        "durable deposits / Redis, 16 in flight",
        "/s",
        "Redis SET, appendfsync always, 16 in flight",
        &relay.against(pipelined, rate),
        (0.7, true),
    );
    row.beside = vec![
        beside("server CPU a SET", pipelined.median(|it| it.server), "us"),
        beside("Redis over TLS", redis_tls.median(rate), "/s"),
    ];
    bench.row(row)
}

fn relay_deposits(bench: &Bench<'_>, server: Server) -> Result<Sample, Fault> {
    bench.runtime.block_on(async {
        let mut crowd = load::senders(&server.address, 3 * PER_CAPABILITY).await?;
        let meter = Meter::start(&server)?;
        let most = 3 * PER_CAPABILITY;
        let (count, time) = crowd.fill(most, bench.round_time(), WINDOW).await?;
        meter.stop(&server, count, time)
    })
}

fn nats_publishes(bench: &Bench<'_>, tls: bool) -> Result<Sample, Fault> {
    let server = Server::nats(tls)?;
    bench.runtime.block_on(async {
        nats::stream(&server.address, tls, Retention::Limits).await?;
        let mut wires = nats::publishers(&server.address, tls).await?;
        let meter = Meter::start(&server)?;
        let (count, time) = tcp::drive(&mut wires, NO_END, bench.round_time(), WINDOW).await?;
        meter.stop(&server, count, time)
    })
}

fn redis_sets(bench: &Bench<'_>, tls: bool, window: usize) -> Result<Sample, Fault> {
    let server = Server::redis(tls)?;
    bench.runtime.block_on(async {
        let mut wires = redis::setters(&server.address, tls).await?;
        let meter = Meter::start(&server)?;
        let (count, time) = tcp::drive(&mut wires, NO_END, bench.round_time(), window).await?;
        meter.stop(&server, count, time)
    })
}

/// What a message costs the server from its deposit to its ack, every sender with a mailbox and an online reader.
pub(super) fn delivered(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let each = if bench.quick { 500 } else { 3000 };
    let (mut relay, mut queue, mut kept) = (Side::default(), Side::default(), Side::default());
    for _ in 0..bench.rounds() {
        relay.0.push(relay_exchange(bench, each)?);
        queue.0.push(nats_exchange(bench, each, Retention::WorkQueue)?);
        kept.0.push(nats_exchange(bench, each, Retention::Limits)?);
    }
    let mut row = ratio_row(
        "stored + delivered + acked, server CPU / NATS",
        "us",
        "NATS JetStream work queue, publish + deliver + ack",
        &relay.against(&queue, |it| it.server),
        (1.0, false),
    );
    row.beside = vec![
        beside("messages a second", relay.median(|it| it.rate), "/s"),
        beside("client CPU a message (quinn)", relay.median(|it| it.client), "us"),
        beside("messages a second, NATS", queue.median(|it| it.rate), "/s"),
        beside("NATS that keeps what is acked: server CPU", kept.median(|it| it.server), "us"),
        beside("NATS that keeps what is acked", kept.median(|it| it.rate), "/s"),
    ];
    bench.row(row)
}

fn relay_exchange(bench: &Bench<'_>, each: u64) -> Result<Sample, Fault> {
    let server = bench.relay()?;
    bench.runtime.block_on(async {
        let mut crowd = Crowd::gather(&server.address, SENDERS, 1, 1).await?;
        for owner in &mut crowd.owners {
            owner.subscribe().await?;
        }
        let meter = Meter::start(&server)?;
        let (time, all) = crowd.exchange(each, None).await?;
        meter.stop(&server, all.len() as u64, time)
    })
}

fn nats_exchange(bench: &Bench<'_>, each: u64, retention: Retention) -> Result<Sample, Fault> {
    let server = Server::nats(false)?;
    bench.runtime.block_on(async {
        nats::stream(&server.address, false, retention).await?;
        let mut readers = tokio::task::JoinSet::new();
        let mut wires = nats::publishers(&server.address, false).await?;
        let meter = Meter::start(&server)?;
        for mut wire in nats::readers(&server.address).await? {
            readers.spawn(async move { wire.listen(each).await });
        }
        let begin = super::now();
        tcp::drive(&mut wires, each, Duration::from_secs(600), WINDOW).await?;
        while let Some(reader) = readers.join_next().await {
            reader??;
        }
        meter.stop(&server, each * SENDERS as u64, begin.elapsed())
    })
}
