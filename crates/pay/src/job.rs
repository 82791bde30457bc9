//! A swap at an issuer, from the intent on disk to its end (SPEC §8.9).
//!
//! A job holds its inputs and every plan of outputs that was ever posted for them. It ends only when the issuer is
//! known to have taken the inputs, for one of these plans or for someone else's; "already spent", an error or silence
//! say nothing by themselves. Its calls are numbered, and whatever is lost is asked for again.
//!
//! State: `Keysets -> Keys -> Swap`, and on any doubt `Swap -> States -> Restore -> (done | Swap again)`.

mod fate;
mod plan;

pub(crate) use plan::Signed;

use chopmark_core::time::Timestamp;
use chopmark_wire::payment::IssuerUrl;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    Call, CallId, Effect, Event, HttpReply, Method, Pay, Records, RecordsError, Unreachable,
    keyset,
    lock::Template,
    nut,
    records::{self, Kind},
};

/// Outputs of one swap.
pub(crate) const OUTPUTS_MAX: usize = 128;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) issuer: String,
    pub(crate) unit: String,
    pub(crate) purpose: Purpose,
    pub(crate) stage: Stage,
    pub(crate) inputs: Vec<Input>,
    /// What was posted, oldest first; the last one is being posted.
    pub(crate) plans: Vec<Plan>,
    /// What the first plan locks, if it locks.
    pub(crate) lock: Option<Lock>,
    /// Calls made.
    pub(crate) attempt: u32,
    /// The first call of this stage: answers to earlier ones are void.
    pub(crate) since: u32,
    /// In a row, without an answer.
    pub(crate) failures: u32,
    /// The issuer said no and took nothing.
    pub(crate) refusals: u32,
    /// When to call, or to call again.
    pub(crate) due: u64,
    /// No call is out: it waits for `due`.
    pub(crate) idle: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Purpose {
    Redeem([u8; 32]),
    Lock([u8; 32]),
    /// Fetches keys and nothing else.
    Verify([u8; 32]),
    Claim([u8; 32]),
    Reclaim([u8; 32]),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    Keysets,
    Keys(Vec<Vec<u8>>),
    Swap,
    /// Did the issuer answer the swap with a refusal?
    States {
        refused: bool,
    },
    Restore {
        refused: bool,
        states: Vec<InputState>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InputState {
    Unspent,
    Pending,
    Spent,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) amount: u64,
    pub(crate) keyset: Vec<u8>,
    pub(crate) c: String,
    pub(crate) held: Held,
}

/// Where an input's secret comes from.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Held {
    /// A coin of ours.
    Own(u32),
    /// It was given to us, or is locked.
    Given { secret: String, witness: Option<String> },
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) keyset: Vec<u8>,
    pub(crate) lock: Option<Lock>,
    pub(crate) outputs: Vec<Planned>,
    /// When it was last posted without an answer: from then on a copy of it may be on its way.
    #[serde(default)]
    pub(crate) adrift: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) amount: u64,
    pub(crate) counter: u32,
    pub(crate) locked: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lock {
    pub(crate) template: Template,
    pub(crate) amount: u64,
}

/// What one call of this crate is about: the wallet, its records, the time, and what has come of it so far.
pub(crate) struct Turn<'a, R: Records> {
    pub(crate) pay: &'a Pay,
    pub(crate) records: &'a mut R,
    pub(crate) now: Timestamp,
    /// Random bits for waits.
    pub(crate) jitter: u64,
    pub(crate) effects: Vec<Effect>,
}

const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const BACKOFF_FIRST: u64 = 1_000;
const BACKOFF_MAX: u64 = 600_000;
/// A call is given up after a minute; no copy of it arrives later than this.
const ADRIFT_MAX: u64 = 86_400_000;

impl Job {
    pub(crate) fn new(issuer: &str, unit: &str, purpose: Purpose, inputs: Vec<Input>) -> Self {
        Self {
            number: 0,
            issuer: issuer.to_owned(),
            unit: unit.to_owned(),
            purpose,
            stage: Stage::Keysets,
            inputs,
            plans: Vec::new(),
            lock: None,
            attempt: 0,
            since: 0,
            failures: 0,
            refusals: 0,
            due: 0,
            idle: false,
        }
    }

    /// The swap that is being posted got no answer.
    fn drift(&mut self, now: Timestamp) {
        if self.stage == Stage::Swap
            && let Some(plan) = self.plans.last_mut()
        {
            plan.adrift = Some(now.as_millis());
        }
    }

    /// May a copy of a plan still reach the issuer, so that the inputs could yet be spent for it?
    pub(crate) fn is_adrift(&self, now: Timestamp) -> bool {
        let arrives = |since: u64| now.as_millis() < since.saturating_add(ADRIFT_MAX);
        self.plans.iter().filter_map(|plan| plan.adrift).any(arrives)
    }
}

impl Plan {
    /// Two jobs that came of one remember the same plan.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let first = |plan: &Self| plan.outputs.first().map(|output| output.counter);
        self.keyset == other.keyset && first(self) == first(other)
    }
}

pub(crate) fn numbered(records: &mut impl Records) -> Result<u64, RecordsError> {
    let next: u64 = records::get(records, Kind::Sequence, &[])?.unwrap_or(1);
    let after = next.checked_add(1).ok_or(RecordsError::Damaged)?;
    records::put(records, Kind::Sequence, &[], &after)?;
    Ok(next)
}

pub(crate) fn all(records: &impl Records) -> Result<Vec<Job>, RecordsError> {
    Ok(records::all(records, Kind::Job, &[])?.into_iter().map(|(_, job)| job).collect())
}

pub(crate) fn reply(
    pay: &Pay,
    records: &mut impl Records,
    call: CallId,
    answer: Result<HttpReply, Unreachable>,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<Effect>, RecordsError> {
    let mut turn = Turn { pay, records, now, jitter: rng.next_u64(), effects: Vec::new() };
    let job: Option<Job> = records::get(turn.records, Kind::Job, &call.job.to_be_bytes())?;
    match job {
        // An answer to an earlier stage, or to a job that is over, tells nothing new.
        Some(job) if (job.since..=job.attempt).contains(&call.attempt) && !job.idle => {
            turn.answered(job, answer.ok())?;
        }
        _ => {}
    }
    Ok(turn.effects)
}

pub(crate) fn wake(
    pay: &Pay,
    records: &mut impl Records,
    now: Timestamp,
    rng: &mut impl CryptoRng,
    resume: bool,
) -> Result<Vec<Effect>, RecordsError> {
    let mut turn = Turn { pay, records, now, jitter: rng.next_u64(), effects: Vec::new() };
    for job in all(turn.records)? {
        if now.as_millis() >= job.due || (resume && !job.idle) {
            turn.call(job)?;
        } else {
            turn.effects.push(Effect::WakeAt(Timestamp(job.due)));
        }
    }
    crate::outgoing::wake(&mut turn, resume)?;
    crate::incoming::wake(&mut turn, resume)?;
    Ok(turn.effects)
}

impl<R: Records> Turn<'_, R> {
    pub(crate) fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    fn save(&mut self, job: &Job) -> Result<(), RecordsError> {
        records::put(self.records, Kind::Job, &job.number.to_be_bytes(), job)
    }

    pub(crate) fn end(&mut self, job: &Job) -> Result<(), RecordsError> {
        self.records.delete(Kind::Job, &job.number.to_be_bytes())
    }

    /// Begins a job, after `wait`.
    pub(crate) fn begin(&mut self, mut job: Job, wait: Duration) -> Result<(), RecordsError> {
        job.number = numbered(self.records)?;
        for input in &job.inputs {
            if let Held::Own(counter) = input.held {
                crate::coin::reserve(self.records, &input.keyset, counter, job.number)?;
            }
        }
        if wait.is_zero() {
            return self.prepare(job);
        }
        job.idle = true;
        self.wait(job, wait)
    }

    fn wait(&mut self, mut job: Job, wait: Duration) -> Result<(), RecordsError> {
        job.idle = true;
        job.due = self.now.saturating_add(wait).as_millis();
        self.effects.push(Effect::WakeAt(Timestamp(job.due)));
        self.save(&job)
    }

    /// Goes to a stage, later.
    fn back_off_to(&mut self, mut job: Job, stage: Stage) -> Result<(), RecordsError> {
        job.stage = stage;
        job.since = job.attempt.saturating_add(1);
        self.back_off(job)
    }

    /// Tries the same again, later and later.
    pub(crate) fn back_off(&mut self, mut job: Job) -> Result<(), RecordsError> {
        let wait =
            BACKOFF_FIRST.saturating_mul(1_u64.checked_shl(job.failures).unwrap_or(u64::MAX));
        let wait = wait.min(BACKOFF_MAX);
        let spread = self.jitter.checked_rem(wait / 4).unwrap_or(0);
        job.failures = job.failures.saturating_add(1).min(16);
        self.wait(job, Duration::from_millis(wait.saturating_add(spread)))
    }

    /// Are all keys there that the job needs? Then it goes on, else they are fetched.
    fn prepare(&mut self, job: Job) -> Result<(), RecordsError> {
        if job.plans.is_empty() && job.stage == Stage::Keysets && job.refusals == 0 {
            let known = keyset::active(self.records, &job.issuer, &job.unit, None)?
                .is_some_and(|keyset| !keyset.keys.is_empty());
            let mut inputs_known = true;
            for input in &job.inputs {
                let found = keyset::find(self.records, &job.issuer, &input.keyset)?;
                inputs_known &= found.is_some_and(|keyset| !keyset.keys.is_empty());
            }
            if known && inputs_known {
                return self.ready(job);
            }
        }
        self.enter(job, Stage::Keysets)
    }

    /// Goes to a stage and makes its first call.
    pub(crate) fn enter(&mut self, mut job: Job, stage: Stage) -> Result<(), RecordsError> {
        job.stage = stage;
        job.since = job.attempt.saturating_add(1);
        self.call(job)
    }

    /// Makes the call of the job's stage. The job is stored first, by the same transaction.
    fn call(&mut self, mut job: Job) -> Result<(), RecordsError> {
        if job.attempt == 0 && job.idle && job.stage == Stage::Keysets {
            // It was begun with a wait, which is over.
            job.idle = false;
            job.attempt = 1;
            return self.prepare(job);
        }
        let (method, path, body) = match &job.stage {
            Stage::Keysets => (Method::Get, "/v1/keysets".to_owned(), Vec::new()),
            Stage::Keys(missing) => {
                let id = missing.first().map(|id| crate::hex::encode(id)).unwrap_or_default();
                (Method::Get, format!("/v1/keys/{id}"), Vec::new())
            }
            Stage::Swap => (Method::Post, "/v1/swap".to_owned(), self.swap_body(&job)?),
            Stage::States { .. } => {
                let ys = job.inputs.iter().map(|input| self.y(input)).collect::<Result<_, _>>()?;
                let body = nut::write(&nut::CheckState { ys });
                (Method::Post, "/v1/checkstate".to_owned(), body)
            }
            Stage::Restore { .. } => {
                let mut outputs = Vec::new();
                for plan in &job.plans {
                    outputs.extend(self.outputs(plan)?);
                }
                (Method::Post, "/v1/restore".to_owned(), nut::write(&nut::Restore { outputs }))
            }
        };
        if !job.idle && job.since <= job.attempt {
            // The call before this one was not answered, or its answer has not been seen.
            job.drift(self.now);
        }
        // SPEC §1.5 [counters-never-wrap].
        job.attempt = job.attempt.checked_add(1).ok_or(RecordsError::Damaged)?;
        job.idle = false;
        job.due = self.now.saturating_add(CALL_TIMEOUT).as_millis();
        self.save(&job)?;
        // [listed-issuers-only]: whatever a record says, nobody else is called.
        let listed = self.pay.settings.issuers.iter().find(|it| it.url.as_str() == job.issuer);
        let Some(issuer) = listed.map(|it| it.url.clone()) else { return Ok(()) };
        let id = CallId { job: job.number, attempt: job.attempt };
        self.effects.push(Effect::Call(Call { id, issuer, method, path, body }));
        self.effects.push(Effect::WakeAt(Timestamp(job.due)));
        Ok(())
    }

    fn answered(&mut self, mut job: Job, answer: Option<HttpReply>) -> Result<(), RecordsError> {
        let Some(answer) = answer.filter(|answer| answer.status < 500 && answer.status != 429)
        else {
            job.drift(self.now);
            return self.back_off(job);
        };
        let ok = answer.status == 200;
        match job.stage.clone() {
            // An issuer without a keyset is none.
            Stage::Keysets => match nut::read::<nut::Keysets>(&answer.body)
                .filter(|list| ok && !list.keysets.is_empty())
            {
                Some(list) => {
                    keyset::learn(self.records, &job.issuer, &list)?;
                    job.failures = 0;
                    self.fetch_keys(job)
                }
                None => self.misbehaved(job),
            },
            Stage::Keys(mut missing) => {
                let id = if missing.is_empty() { Vec::new() } else { missing.remove(0) };
                let keys = nut::read::<nut::KeysReply>(&answer.body).filter(|_| ok);
                let hex = crate::hex::encode(&id);
                let keys = keys.and_then(|mut reply| {
                    reply.keysets.retain(|keys| keys.id == hex);
                    reply.keysets.pop()
                });
                let learnt = match keys {
                    Some(keys) => keyset::learn_keys(self.records, &job.issuer, &id, &keys)?,
                    None => false,
                };
                if !learnt {
                    return self.misbehaved(job);
                }
                job.failures = 0;
                if missing.is_empty() {
                    self.ready(job)
                } else {
                    self.enter(job, Stage::Keys(missing))
                }
            }
            Stage::Swap if ok => {
                let signed = nut::read::<nut::Signatures>(&answer.body);
                let index = job.plans.len().saturating_sub(1);
                if let (Some(signed), Some(plan)) = (signed, job.plans.last())
                    && let Some(coins) = self.unblind(&job, plan, &signed.signatures)?
                {
                    return self.committed(job, index, &coins);
                }
                // The issuer may have taken the inputs and answered rubbish.
                self.enter(job, Stage::States { refused: false })
            }
            Stage::Swap => self.enter(job, Stage::States { refused: true }),
            Stage::States { refused } => {
                let states = nut::read::<nut::States>(&answer.body).filter(|_| ok);
                match states.map(|states| self.states(&job, &states)).transpose()?.flatten() {
                    Some(states) => {
                        job.failures = 0;
                        self.enter(job, Stage::Restore { refused, states })
                    }
                    None => self.misbehaved(job),
                }
            }
            Stage::Restore { refused, states } => {
                match nut::read::<nut::Restored>(&answer.body).filter(|_| ok) {
                    Some(restored) => self.decide(job, refused, &states, &restored),
                    None => self.misbehaved(job),
                }
            }
        }
    }

    /// The issuer answered what no honest one does. The money waits, and the user hears of it once.
    pub(crate) fn misbehaved(&mut self, job: Job) -> Result<(), RecordsError> {
        if job.failures == 0
            && let Ok(url) = IssuerUrl::parse(&job.issuer)
        {
            self.event(Event::IssuerMisbehaved(url));
        }
        self.back_off(job)
    }

    /// Which keys are missing, of the keyset that will make coins and of those that made the inputs?
    fn fetch_keys(&mut self, job: Job) -> Result<(), RecordsError> {
        let mut missing = Vec::new();
        let until = job.lock.as_ref().map(|_| keyset::lock_until(self.now));
        let active = keyset::active(self.records, &job.issuer, &job.unit, until)?;
        let mut wanted: Vec<_> = active.into_iter().collect();
        for input in &job.inputs {
            wanted.extend(keyset::find(self.records, &job.issuer, &input.keyset)?);
        }
        for keyset in wanted {
            if keyset.keys.is_empty() && !missing.contains(&keyset.id) {
                missing.push(keyset.id);
            }
        }
        if missing.is_empty() { self.ready(job) } else { self.enter(job, Stage::Keys(missing)) }
    }
}
