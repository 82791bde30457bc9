//! What became of a swap: the decision table of SPEC §8.9, and what follows for its purpose.

use super::{Held, InputState, Job, Plan, Purpose, Stage, Turn, plan::Signed};
use crate::{Records, RecordsError, RedeemRefusal, coin, nut};

impl<R: Records> Turn<'_, R> {
    /// All is known that can be known: the states of the inputs, and which outputs of which plan are signed.
    pub(super) fn decide(
        &mut self,
        job: Job,
        refused: bool,
        states: &[InputState],
        restored: &nut::Restored,
    ) -> Result<(), RecordsError> {
        if states.contains(&InputState::Pending) {
            // The issuer is still at it. Ask again, with the same swap.
            return self.back_off_to(job, Stage::Swap);
        }
        let all_spent = states.iter().all(|state| *state == InputState::Spent);
        let none_spent = states.iter().all(|state| *state == InputState::Unspent);
        let mut any_signed = false;
        for (index, plan) in job.plans.iter().enumerate() {
            let found = self.restored(plan, restored)?;
            any_signed |= found.iter().any(Option::is_some);
            let complete: Option<Vec<_>> = found.into_iter().collect();
            if !all_spent {
                continue;
            }
            if let Some(signatures) = complete {
                return match self.unblind(&job, plan, &signatures)? {
                    Some(coins) => self.committed(job, index, &coins),
                    None => self.misbehaved(job),
                };
            }
        }
        match (none_spent, any_signed) {
            // A clone of this wallet used our counters: go past them. The inputs are still ours.
            (true, true) => self.plan(job),
            (true, false) if refused => self.refused(job),
            // The swap never arrived.
            (true, false) => self.back_off_to(job, Stage::Swap),
            (false, _) if all_spent && any_signed => self.misbehaved(job),
            (false, _) => self.spent_elsewhere(job, states),
        }
    }

    /// The inputs are ours, nothing was signed, and the issuer says no.
    fn refused(&mut self, mut job: Job) -> Result<(), RecordsError> {
        job.refusals = job.refusals.saturating_add(1);
        job.failures = 0;
        if job.refusals == 1 {
            // Most often the keyset was rotated. Learn the keysets anew; the next swap of the same inputs ends this one.
            return self.enter(job, Stage::Keysets);
        }
        match job.purpose {
            Purpose::Lock(_) if job.inputs.len() > 1 => self.halve(job),
            Purpose::Redeem(_) | Purpose::Claim(_) if job.is_adrift(self.now) => self.hold(job),
            Purpose::Redeem(id) => crate::redeem::refused(self, &job, id, RedeemRefusal::Refused),
            Purpose::Claim(payment) => {
                self.end(&job)?;
                crate::incoming::unclaimable(self, payment)
            }
            Purpose::Lock(_) | Purpose::Reclaim(_) | Purpose::Verify(_) => self.hold(job),
        }
    }

    /// Nothing ends it yet: tries again, slowly.
    fn hold(&mut self, mut job: Job) -> Result<(), RecordsError> {
        job.failures = job.refusals.saturating_add(6).min(16);
        self.back_off_to(job, Stage::Keysets)
    }

    /// Too large for the issuer? Each half takes its coins back by itself, and remembers what was posted before.
    fn halve(&mut self, mut job: Job) -> Result<(), RecordsError> {
        let second = job.inputs.split_off(job.inputs.len() / 2);
        let mut other = job.clone();
        other.inputs = second;
        other.number = super::numbered(self.records)?;
        for input in &other.inputs {
            if let Held::Own(counter) = input.held {
                coin::reserve(self.records, &input.keyset, counter, other.number)?;
            }
        }
        for mut half in [job, other] {
            half.refusals = 1;
            self.plan(half)?;
        }
        Ok(())
    }

    /// Some inputs are gone, and not for outputs of ours.
    fn spent_elsewhere(&mut self, mut job: Job, states: &[InputState]) -> Result<(), RecordsError> {
        let mut left = Vec::new();
        for (input, state) in job.inputs.iter().zip(states) {
            match (&input.held, state) {
                (_, InputState::Unspent | InputState::Pending) => left.push(input.clone()),
                (Held::Own(counter), InputState::Spent) => {
                    coin::delete(self.records, &input.keyset, *counter)?;
                }
                (Held::Given { .. }, InputState::Spent) => {}
            }
        }
        job.inputs = left;
        // With fewer inputs no earlier plan can come true any more, and the next one takes back what is left.
        job.plans.iter_mut().for_each(|plan| plan.adrift = None);
        if let Purpose::Claim(payment) = job.purpose {
            // All or nothing: what is left is let go of, to the payer.
            self.end(&job)?;
            return crate::incoming::lost(self, payment);
        }
        if job.inputs.is_empty() {
            self.end(&job)?;
            return match job.purpose {
                Purpose::Redeem(id) => {
                    crate::redeem::refused(self, &job, id, RedeemRefusal::AlreadySpent)
                }
                Purpose::Lock(payment) => crate::outgoing::cancelled(self, payment),
                Purpose::Reclaim(payment) => crate::outgoing::claimed_by_payee(self, payment),
                Purpose::Claim(_) | Purpose::Verify(_) => Ok(()),
            };
        }
        if let Purpose::Reclaim(payment) = job.purpose {
            crate::outgoing::partly_claimed(self, payment)?;
        }
        self.plan(job)
    }

    /// The fee eats it all.
    pub(super) fn worthless(&mut self, job: Job) -> Result<(), RecordsError> {
        if job.is_adrift(self.now) {
            return self.hold(job);
        }
        match job.purpose {
            Purpose::Redeem(id) => crate::redeem::refused(self, &job, id, RedeemRefusal::BelowFee),
            Purpose::Claim(payment) => {
                self.end(&job)?;
                crate::incoming::unclaimable(self, payment)
            }
            Purpose::Lock(payment) => {
                self.give_back(&job)?;
                crate::outgoing::cancelled(self, payment)
            }
            Purpose::Reclaim(payment) => {
                self.end(&job)?;
                crate::outgoing::reclaimed(self, payment)
            }
            Purpose::Verify(_) => self.end(&job),
        }
    }

    /// No swap can be made of this, and none was posted.
    pub(super) fn unplanned(&mut self, job: Job) -> Result<(), RecordsError> {
        if job.plans.is_empty() {
            return self.worthless(job);
        }
        self.misbehaved(job)
    }

    fn give_back(&mut self, job: &Job) -> Result<(), RecordsError> {
        for input in &job.inputs {
            if let Held::Own(counter) = input.held {
                coin::release(self.records, &input.keyset, counter)?;
            }
        }
        self.end(job)
    }

    /// The issuer took the inputs and signed every output of this plan.
    pub(super) fn committed(
        &mut self,
        job: Job,
        index: usize,
        coins: &[Signed],
    ) -> Result<(), RecordsError> {
        for input in &job.inputs {
            if let Held::Own(counter) = input.held {
                coin::delete(self.records, &input.keyset, counter)?;
            }
        }
        let Some(plan) = job.plans.get(index) else { return Err(RecordsError::Damaged) };
        self.others_of(&job, plan)?;
        let mut locked = Vec::new();
        for signed in coins {
            if signed.planned.locked {
                locked.push(signed.clone());
                continue;
            }
            coin::Coin {
                issuer: job.issuer.clone(),
                unit: job.unit.clone(),
                keyset: plan.keyset.clone(),
                counter: signed.planned.counter,
                epoch: self.pay.secrets.epoch,
                amount: signed.planned.amount,
                c: crate::hex::encode(&signed.c),
                reserved: None,
            }
            .store(self.records)?;
        }
        self.end(&job)?;
        match job.purpose {
            Purpose::Redeem(id) => crate::redeem::done(self, id),
            Purpose::Lock(payment) if plan.lock.is_some() => {
                crate::outgoing::locked(self, payment, &plan.keyset, &locked)
            }
            Purpose::Lock(payment) => crate::outgoing::cancelled(self, payment),
            Purpose::Claim(payment) => crate::incoming::claimed(self, payment),
            Purpose::Reclaim(payment) => crate::outgoing::reclaimed(self, payment),
            Purpose::Verify(_) => Ok(()),
        }
    }

    /// Jobs that were halved off this one know the plans from before. The one that came true took their inputs too;
    /// else none of these plans can come true any more.
    fn others_of(&mut self, job: &Job, done: &Plan) -> Result<(), RecordsError> {
        for mut other in super::all(self.records)? {
            if other.number == job.number || other.purpose != job.purpose {
                continue;
            }
            if other.plans.iter().any(|plan| plan.is(done)) {
                for input in &other.inputs {
                    if let Held::Own(counter) = input.held {
                        coin::delete(self.records, &input.keyset, counter)?;
                    }
                }
                self.end(&other)?;
                continue;
            }
            for plan in &mut other.plans {
                if job.plans.iter().any(|shared| shared.is(plan)) {
                    plan.adrift = None;
                }
            }
            self.save(&other)?;
        }
        Ok(())
    }
}
