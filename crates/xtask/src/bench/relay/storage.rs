//! What the store writes and keeps, and how long it takes to open it again.

use std::time::Duration;

use super::{
    Bench, Fault, PAYLOAD, SENDERS, WINDOW, beside,
    line::{Dialer, Exchange},
    load::{self, Crowd, PER_CAPABILITY},
    now, own_row,
};

const MIB: f64 = 1024.0 * 1024.0;

/// Bytes written to the disk by append + ack cycles, each message acked as it comes, and the largest that the store was.
pub(super) fn amplification(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let cycles: u64 = if bench.quick { 100_000 } else { 1_000_000 };
    let each = cycles / SENDERS as u64;
    let server = bench.relay()?;
    let (mut largest, mut time) = (0, Duration::ZERO);
    let before = server.written()?;
    bench.runtime.block_on(async {
        let capabilities = each.div_ceil(PER_CAPABILITY);
        let mut crowd = Crowd::gather(&server.address, SENDERS, 1, capabilities).await?;
        for owner in &mut crowd.owners {
            owner.subscribe().await?;
        }
        let work = crowd.exchange(each, None);
        tokio::pin!(work);
        let mut look = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                done = &mut work => {
                    time = done?.0;
                    break;
                }
                _ = look.tick() => largest = largest.max(server.disk()?),
            }
        }
        // What is still written behind the last ack counts too.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, Fault>(())
    })?;
    let (after, payload) = (server.written()?, (each * SENDERS as u64 * PAYLOAD as u64) as f64);
    let disk = after.0.saturating_sub(before.0) as f64 / payload;
    let calls = after.1.saturating_sub(before.1) as f64 / payload;
    let mut row = own_row("write amplification, append + ack", "x", disk, 1.8);
    row.beside = vec![
        beside("cycles", (each * SENDERS as u64) as f64, ""),
        beside("a second", (each * SENDERS as u64) as f64 / time.as_secs_f64(), "/s"),
        beside("bytes given to write calls, sockets excepted", calls, "x"),
        beside("store at the end", server.disk()? as f64 / MIB, "MiB"),
    ];
    bench.row(row)?;
    // All but a window of each mailbox is acked at any time: that is what is live.
    let live = (SENDERS * 64 * PAYLOAD) as f64 / MIB;
    bench.row(own_row("disk, of that the largest", "MiB", largest as f64 / MIB, 2.0 * live + 192.0))
}

/// A relay that was killed with so many messages in it, until it says that it is ready.
pub(super) fn restart(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let messages: u64 = if bench.quick { 100_000 } else { 1_000_000 };
    let each = messages / SENDERS as u64;
    let server = bench.relay()?;
    let stored = bench.runtime.block_on(async {
        let mut crowd = load::senders(&server.address, each).await?;
        Ok::<_, Fault>(crowd.fill(each, Duration::from_secs(900), WINDOW).await?.0)
    })?;
    let disk = server.disk()? as f64 / MIB;
    let (server, ready) = server.killed_and_started(&bench.relay)?;
    let begin = now();
    let answered = bench.runtime.block_on(async {
        let mut owner = Dialer::new(&server.address, Exchange::Hybrid)?.owner(0, 0).await?;
        owner.subscribe().await?;
        load::take(&mut owner, 1, begin).await?;
        Ok::<_, Fault>(begin.elapsed())
    })?;
    let memory = server.memory()? as f64 / MIB;
    let mut row = own_row("killed, started, ready", "s", ready.as_secs_f64(), 5.0);
    row.beside = vec![
        beside("live messages", stored as f64, ""),
        beside("live bytes", (stored * PAYLOAD as u64) as f64 / MIB, "MiB"),
        beside("store", disk, "MiB"),
        beside("from ready to a first delivery", answered.as_secs_f64() * 1e3, "ms"),
        beside("resident memory then", memory, "MiB"),
    ];
    bench.row(row)?;
    let live = (stored * PAYLOAD as u64) as f64 / MIB;
    bench.row(own_row("disk, with all of it live", "MiB", disk, 2.0 * live + 192.0))
}
