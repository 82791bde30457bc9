//! How long one message takes, on an idle machine and on a busy one.

use std::time::Duration;

use super::{
    Bench, Fault, SENDERS, beside,
    load::{Crowd, PER_CAPABILITY},
    median, now, own_row, quantile, ratio_row, raw,
};

/// A deposit and its answer beside the disk's own sync; a delivery at half load beside one at rest.
pub(super) fn rows(bench: &mut Bench<'_>) -> Result<(), Fault> {
    answers(bench)?;
    deliveries(bench)
}

/// One client that waits for each answer; between two deposits the disk is asked how fast it syncs.
fn answers(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let count: u32 = if bench.quick { 300 } else { 2000 };
    let server = bench.relay()?;
    let (mut answers, mut syncs) = (Vec::new(), Vec::new());
    bench.runtime.block_on(async {
        let mut crowd = Crowd::gather(&server.address, 1, 1, 1).await?;
        let sender = crowd.senders.first_mut().ok_or("no sender")?;
        let mut log = raw::Log::new()?;
        let far = now() + Duration::from_secs(600);
        for _ in 0..count {
            let begin = now();
            sender.deposit(1, far, 1).await?;
            answers.push(begin.elapsed().as_secs_f64() * 1e6);
            syncs.push(log.append()?);
        }
        Ok::<_, Fault>(())
    })?;
    let sync = median(syncs.clone());
    let mut row = own_row(
        "deposit answer p50, one client, idle",
        "us",
        median(answers.clone()),
        2.0 * sync + 150.0,
    );
    row.beside = vec![
        beside("p99", quantile(answers, 0.99), "us"),
        beside("raw: append of 2,048 B + fdatasync, p50", sync, "us"),
        beside("raw: the same, p99", quantile(syncs, 0.99), "us"),
    ];
    bench.row(row)
}

/// From the sender's write to the reader's read, in one process and by one clock.
fn deliveries(bench: &mut Bench<'_>) -> Result<(), Fault> {
    let rounds = if bench.quick { 1 } else { 3 };
    let mut samples = Vec::new();
    let (mut loads, mut medians, mut idle_tails) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (idle, _) = at_pace(bench, 1, 300, Some(Duration::from_millis(3)))?;
        let (_, most) = at_pace(bench, SENDERS, 500, None)?;
        // Half of what goes through, for about two seconds, within what a capability takes.
        let half = most / 2.0;
        let every = Duration::from_secs_f64(SENDERS as f64 / half);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let each = ((half * 2.0 / SENDERS as f64) as u64).clamp(1, PER_CAPABILITY);
        let (busy, reached) = at_pace(bench, SENDERS, each, Some(every))?;
        samples.push((quantile(busy.clone(), 0.99), median(idle.clone())));
        loads.push(reached);
        medians.push(median(busy));
        idle_tails.push(quantile(idle, 0.99));
    }
    let mut row = ratio_row(
        "delivery p99 at half load / idle p50",
        "us",
        "the relay itself, idle, p50",
        &samples,
        (10.0, false),
    );
    row.beside = vec![
        beside("half load", median(loads), "/s"),
        beside("p50 at half load", median(medians), "us"),
        beside("idle p99", median(idle_tails), "us"),
    ];
    bench.row(row)
}

/// What so many messages of each sender took, and how many a second it were in all.
fn at_pace(
    bench: &Bench<'_>,
    senders: usize,
    each: u64,
    pace: Option<Duration>,
) -> Result<(Vec<f64>, f64), Fault> {
    let server = bench.relay()?;
    bench.runtime.block_on(async {
        let mut crowd = Crowd::gather(&server.address, senders, 1, 1).await?;
        for owner in &mut crowd.owners {
            owner.subscribe().await?;
        }
        let (time, all) = crowd.exchange(each, pace).await?;
        let rate = all.len() as f64 / time.as_secs_f64();
        Ok((all, rate))
    })
}
