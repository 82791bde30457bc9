//! Senders and readers of a relay, as cheap as a client of it can be.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chopmark_wire::relay::{
    Answer, Capability, Deposit, FromClient, FromRelay, Notice, Request, RequestId, TtlClass,
    Urgency, limits,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::{
    Fault, SENDERS, WINDOW,
    line::{Dialer, Exchange, Line, Owner, READ_BYTES},
    now, payload,
};

/// Deposits that a capability takes at once.
pub(super) const PER_CAPABILITY: u64 = limits::CAPABILITY_RATE_MAX as u64;

/// Someone who deposits, each message once.
pub(super) struct Sender {
    line: Line,
    /// A whole frame for each capability; the request's number and the payload's begin are filled in.
    frames: Vec<Vec<u8>>,
    sent: u64,
    origin: Instant,
}

/// Numbers of requests that all have four bytes on the wire, so that a frame keeps its length.
const NUMBERS: std::ops::Range<u64> = 1 << 21..1 << 28;
/// Behind the frame's length and the field's key.
const NUMBER_AT: usize = 5;

impl Sender {
    /// `origin` is what the times in the messages count from.
    pub(super) fn new(
        line: Line,
        capabilities: &[Capability],
        origin: Instant,
    ) -> Result<Self, Fault> {
        let envelope = Bytes::from(payload());
        let template = |capability: &Capability| {
            let id = RequestId::new(NUMBERS.start).ok_or("no such number")?;
            let deposit = Deposit {
                capability: capability.clone(),
                ttl: TtlClass::Month,
                urgency: Urgency::Normal,
                envelope: envelope.clone(),
            };
            let request = Request::Deposit(deposit);
            Ok::<_, Fault>(FromClient::Request { id, request }.encode().to_vec())
        };
        let frames = capabilities.iter().map(template).collect::<Result<_, _>>()?;
        let sender = Self { line, frames, sent: 0, origin };
        // What is filled in by hand must be what would be encoded.
        let frame = sender.frame(NUMBERS.start + 77)?;
        let body = frame.slice(limits::FRAME_LENGTH_BYTES..);
        match FromClient::decode(&body)? {
            FromClient::Request { id, request: Request::Deposit(deposit) }
                if id.number() == NUMBERS.start + 77
                    && deposit.envelope.get(8..16) == Some(&[0; 8])
                    && deposit.envelope.get(16..) == envelope.get(16..) =>
            {
                Ok(sender)
            }
            _ => Err("the frame is not filled in rightly".into()),
        }
    }

    fn frame(&self, number: u64) -> Result<Bytes, Fault> {
        let which = usize::try_from(self.sent / PER_CAPABILITY)?;
        let mut frame = self.frames.get(which).ok_or("no capability is left")?.clone();
        let [.., a, b, c, d] = (number & 0x7f
            | (number << 1) & 0x7f00
            | (number << 2) & 0x7f_0000
            | (number << 3) & 0x7f00_0000
            | 0x0080_8080)
            .to_be_bytes();
        let number = [d, c, b, a];
        let envelope_at = envelope_at(&frame);
        let nanos = u64::try_from(self.origin.elapsed().as_nanos())?;
        put(&mut frame, NUMBER_AT, &number)?;
        put(&mut frame, envelope_at, &nanos.to_be_bytes())?;
        put(&mut frame, envelope_at + 8, &self.sent.to_be_bytes())?;
        Ok(frame.into())
    }

    fn next(&mut self) -> Result<Bytes, Fault> {
        let frame = self.frame(NUMBERS.start + self.sent % (NUMBERS.end - NUMBERS.start))?;
        self.sent += 1;
        Ok(frame)
    }

    /// Deposits so many, or until then, with a window under way; how many were stored.
    pub(super) async fn deposit(
        &mut self,
        count: u64,
        until: Instant,
        window: usize,
    ) -> Result<u64, Fault> {
        let (mut begun, mut stored) = (0_u64, 0_u64);
        let window = window as u64;
        let mut frames = Vec::new();
        loop {
            if begun < count && now() < until {
                while begun < count.min(stored + window) {
                    frames.push(self.next()?);
                    begun += 1;
                }
            }
            if !frames.is_empty() {
                self.line.sink.write_all_chunks(&mut frames).await?;
                frames.clear();
            }
            if stored == begun {
                return Ok(stored);
            }
            stored += self.stored().await?;
        }
    }

    /// Deposits so many, one each time that `every` is over.
    pub(super) async fn deposit_paced(&mut self, count: u64, every: Duration) -> Result<(), Fault> {
        let mut clock = tokio::time::interval(every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut begun, mut stored) = (0, 0);
        while stored < count {
            tokio::select! {
                _ = clock.tick(), if begun < count => {
                    let frame = self.next()?;
                    self.line.sink.write_chunk(frame).await?;
                    begun += 1;
                }
                more = self.stored() => stored += more?,
            }
        }
        Ok(())
    }

    /// Waits for answers: how many more are stored. Cancelled, it loses nothing.
    async fn stored(&mut self) -> Result<u64, Fault> {
        let Line { source, reader, .. } = &mut self.line;
        let chunk = source.read_chunk(READ_BYTES, true).await?.ok_or("the relay closed")?;
        reader.push(&chunk.bytes);
        let mut stored = 0;
        while let Some(frame) = reader.next_frame()? {
            match FromRelay::decode(&frame)? {
                FromRelay::Answer { answer: Answer::Stored, .. } => stored += 1,
                other => return Err(format!("a deposit got {other:?}").into()),
            }
        }
        Ok(stored)
    }
}

/// The envelope is the last field with bytes; behind it stands nothing.
fn envelope_at(frame: &[u8]) -> usize {
    frame.len().saturating_sub(super::PAYLOAD)
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), Fault> {
    let to = frame.get_mut(at..at + bytes.len()).ok_or("a frame is too short")?;
    to.copy_from_slice(bytes);
    Ok(())
}

/// Takes so many messages and acks each read of them; the microseconds that each was under way.
pub(super) async fn take(
    owner: &mut Owner,
    count: u64,
    origin: Instant,
) -> Result<Vec<f64>, Fault> {
    let mut taken = Vec::new();
    let Line { sink, source, reader, .. } = &mut owner.line;
    while (taken.len() as u64) < count {
        let chunk = source.read_chunk(READ_BYTES, true).await?.ok_or("the relay closed")?;
        reader.push(&chunk.bytes);
        let mut seqs = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            let FromRelay::Notice(Notice::Deliver(message)) = FromRelay::decode(&frame)? else {
                return Err("something else than a message".into());
            };
            let sent = message.envelope.first_chunk().map_or(0, |it| u64::from_be_bytes(*it));
            let under_way = origin.elapsed().saturating_sub(Duration::from_nanos(sent));
            taken.push(under_way.as_secs_f64() * 1e6);
            seqs.push(message.seq);
        }
        for seqs in seqs.chunks(limits::ACK_SEQS_MAX) {
            sink.write_chunk(FromClient::Ack(seqs.to_vec()).encode()).await?;
        }
    }
    Ok(taken)
}

/// A mailbox of each sender.
pub(super) struct Crowd {
    pub(super) owners: Vec<Owner>,
    pub(super) senders: Vec<Sender>,
    pub(super) origin: Instant,
}

impl Crowd {
    /// Makes `boxes` mailboxes a sender, each with `capabilities`, and senders that fill the one after the other.
    pub(super) async fn gather(
        address: &str,
        senders: usize,
        boxes: usize,
        capabilities: u64,
    ) -> Result<Self, Fault> {
        let origin = now();
        let (mut owners, mut ready) = (Vec::new(), Vec::new());
        for number in 0..senders {
            // A few connections share a socket, as clients behind one address do.
            let dialer = Dialer::new(address, Exchange::Hybrid)?;
            let mut all = Vec::new();
            for which in 0..boxes {
                let mailbox = (number * boxes + which) as u64;
                let owner = dialer.owner(mailbox, capabilities).await?;
                all.extend(owner.capabilities.iter().cloned());
                owners.push(owner);
            }
            ready.push(Sender::new(dialer.open().await?, &all, origin)?);
        }
        Ok(Self { owners, senders: ready, origin })
    }

    /// Without those who own: they go offline.
    pub(super) fn offline(mut self) -> Self {
        self.owners.drain(..).for_each(|owner| owner.line.close());
        self
    }

    /// Everybody subscribes, sends `count` and takes as many; how long it took and what each message did.
    pub(super) async fn exchange(
        &mut self,
        count: u64,
        pace: Option<Duration>,
    ) -> Result<(Duration, Vec<f64>), Fault> {
        let Self { owners, senders, origin } = self;
        let (begin, origin) = (now(), *origin);
        let far = begin + Duration::from_secs(600);
        let mut tasks = JoinSet::new();
        let mut readers = JoinSet::new();
        for mut owner in owners.drain(..) {
            readers.spawn(async move {
                let taken = take(&mut owner, count, origin).await?;
                Ok::<_, Fault>((owner, taken))
            });
        }
        let parts = u32::try_from(senders.len())?;
        for (number, mut sender) in senders.drain(..).enumerate() {
            tasks.spawn(async move {
                match pace {
                    None => drop(sender.deposit(count, far, WINDOW).await?),
                    Some(every) => {
                        // Not all at once.
                        let wait = every / parts * u32::try_from(number)?;
                        tokio::time::sleep(wait).await;
                        sender.deposit_paced(count, every).await?;
                    }
                }
                Ok::<_, Fault>(sender)
            });
        }
        while let Some(sender) = tasks.join_next().await {
            senders.push(sender??);
        }
        let mut all = Vec::new();
        while let Some(reader) = readers.join_next().await {
            let (owner, taken) = reader??;
            owners.push(owner);
            all.extend(taken);
        }
        Ok((begin.elapsed(), all))
    }

    /// All senders at once, for so long or until each has deposited `count`; how many were stored in what time.
    pub(super) async fn fill(
        &mut self,
        count: u64,
        time: Duration,
        window: usize,
    ) -> Result<(u64, Duration), Fault> {
        let begin = now();
        let mut tasks = JoinSet::new();
        for mut sender in self.senders.drain(..) {
            tasks.spawn(async move {
                let stored = sender.deposit(count, begin + time, window).await?;
                Ok::<_, Fault>((sender, stored))
            });
        }
        let mut sum = 0;
        while let Some(sender) = tasks.join_next().await {
            let (sender, stored) = sender??;
            self.senders.push(sender);
            sum += stored;
        }
        Ok((sum, begin.elapsed()))
    }
}

/// Sixty-four senders with room for so many messages each that stay.
pub(super) async fn senders(address: &str, messages: u64) -> Result<Crowd, Fault> {
    let boxes = usize::try_from(messages.div_ceil(PER_CAPABILITY))?;
    Ok(Crowd::gather(address, SENDERS, boxes, 1).await?.offline())
}
