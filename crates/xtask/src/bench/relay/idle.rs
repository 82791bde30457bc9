//! What a connection costs that does nothing, and what it costs to open one.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{
    Bench, Fault, beside,
    line::{Dialer, Exchange},
    own_row, ratio_row,
    server::Server,
};

/// Connections of the row.
const CONNECTIONS: u64 = 5000;
/// Connections of one socket.
const PER_SOCKET: u64 = 500;
/// Handshakes at once: few enough that nobody is asked for its address first.
const AT_ONCE: u64 = 25;

/// Resident memory of a connection that is subscribed to a mailbox of its own and hears nothing.
pub(super) fn connections(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let server = bench.relay()?;
    let kibibytes = bench.runtime.block_on(async {
        // The first few take what all later ones share.
        let mut owners = open(&server, 0, AT_ONCE).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = server.memory()?;
        owners.extend(open(&server, AT_ONCE, CONNECTIONS).await?);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let more = server.memory()?.saturating_sub(before);
        let alive = owners.iter().filter(|it| it.line.connection.close_reason().is_none()).count();
        if alive as u64 != CONNECTIONS + AT_ONCE {
            return Err(format!("{alive} connections are left").into());
        }
        Ok::<_, Fault>(more as f64 / 1024.0 / CONNECTIONS as f64)
    })?;
    let mut row = own_row("idle subscribed connection, resident", "KiB", kibibytes, 36.0);
    row.beside = vec![
        beside("connections", (CONNECTIONS + AT_ONCE) as f64, ""),
        beside("resident memory of the relay", server.memory()? as f64 / 1024.0 / 1024.0, "MiB"),
    ];
    bench.row(row)
}

async fn open(server: &Server, first: u64, count: u64) -> Result<Vec<super::line::Owner>, Fault> {
    let mut owners = Vec::new();
    let mut dialer = Dialer::new(&server.address, Exchange::Hybrid)?;
    for begin in (first..first + count).step_by(usize::try_from(AT_ONCE)?) {
        if begin % PER_SOCKET == 0 {
            dialer = Dialer::new(&server.address, Exchange::Hybrid)?;
        }
        let mut tasks = JoinSet::new();
        for number in begin..(begin + AT_ONCE).min(first + count) {
            let dialer = dialer.clone();
            tasks.spawn(async move {
                let mut owner = dialer.owner(number, 1).await?;
                owner.subscribe().await?;
                Ok::<_, Fault>(owner)
            });
        }
        while let Some(owner) = tasks.join_next().await {
            owners.push(owner??);
        }
    }
    Ok(owners)
}

/// What a handshake costs the server, its keys agreed in both ways in turn.
pub(super) fn handshakes(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let server = bench.relay()?;
    let (rounds, each) = if bench.quick { (5, 200) } else { (11, 500) };
    let samples = bench.runtime.block_on(async {
        let mut samples = Vec::new();
        for round in 0..=rounds {
            let hybrid = shake_hands(&server, Exchange::Hybrid, each).await?;
            let classical = shake_hands(&server, Exchange::Classical, each).await?;
            // One round warms up.
            if round > 0 {
                samples.push((hybrid, classical));
            }
        }
        Ok::<_, Fault>(samples)
    })?;
    bench.row(ratio_row(
        "handshake, server CPU, hybrid / classical",
        "us",
        "the same relay with X25519 alone",
        &samples,
        (1.3, false),
    ))
}

/// Microseconds of the server's processor time a handshake, with all that a connection brings.
async fn shake_hands(server: &Server, exchange: Exchange, count: u32) -> Result<f64, Fault> {
    let dialer = Dialer::new(&server.address, exchange)?;
    let before = server.cpu()?;
    for _ in 0..count {
        dialer.open().await?.close();
    }
    // The last ones' ends.
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok((server.cpu()? - before) * 1e6 / f64::from(count))
}
