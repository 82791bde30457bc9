//! What a swap asks for: its outputs, derived and never stored, and its body.

use cashu::{PublicKey, SecretKey, dhke};
use chopmark_wire::payment::PROOFS_MAX;

use super::{Held, Input, InputState, Job, Plan, Planned, Purpose, Stage, Turn};
use crate::{
    Records, RecordsError, derive,
    keyset::{self, Keyset},
    nut,
};

/// A signed output, unblinded.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) planned: Planned,
    pub(crate) nonce: [u8; 32],
    pub(crate) c: [u8; 33],
    pub(crate) e: [u8; 32],
    pub(crate) s: [u8; 32],
    pub(crate) r: [u8; 32],
}

impl<R: Records> Turn<'_, R> {
    /// The keys are there: plans the swap and posts it.
    pub(crate) fn ready(&mut self, mut job: Job) -> Result<(), RecordsError> {
        match job.purpose {
            Purpose::Verify(payment) => {
                self.end(&job)?;
                return crate::incoming::verify(self, payment);
            }
            Purpose::Redeem(id) if job.plans.is_empty() => {
                match crate::redeem::resolve(self, &mut job)? {
                    None => {}
                    Some(refusal) => return crate::redeem::refused(self, &job, id, refusal),
                }
            }
            _ => {}
        }
        if self.stands(&job)? {
            return self.enter(job, Stage::Swap);
        }
        self.plan(job)
    }

    /// Would a new plan ask for what the last one asks for already? Then it is posted again: plans stay few.
    fn stands(&self, job: &Job) -> Result<bool, RecordsError> {
        let Some(plan) = job.plans.last().filter(|plan| plan.lock.is_none()) else {
            return Ok(false);
        };
        let active = keyset::active(self.records, &job.issuer, &job.unit, None)?;
        let sum = plan.outputs.iter().try_fold(0_u64, |sum, it| sum.checked_add(it.amount));
        Ok(active.is_some_and(|keyset| keyset.id == plan.keyset) && self.net(job)? == sum)
    }

    /// Takes fresh counters and posts a swap for outputs under them.
    pub(crate) fn plan(&mut self, mut job: Job) -> Result<(), RecordsError> {
        // Only the first plan locks. Every later one takes the coins back: it is the fence of the first.
        let lock = job.lock.clone().filter(|_| job.plans.is_empty());
        let until = lock.as_ref().map(|lock| lock.template.locktime);
        let until = until.map(|it| it.saturating_add(crate::lock::KEYSET_MARGIN));
        let active = keyset::active(self.records, &job.issuer, &job.unit, until)?;
        let Some(keyset) = active.filter(|keyset| !keyset.keys.is_empty()) else {
            // Nothing was posted yet, or the earlier plans still stand: look again later.
            if lock.is_some() && job.refusals > 0 {
                return self.unplanned(job);
            }
            job.refusals = job.refusals.saturating_add(1);
            return self.back_off_to(job, Stage::Keysets);
        };
        let Some(total) = self.net(&job)? else { return self.worthless(job) };
        let change = match &lock {
            Some(lock) => total.checked_sub(lock.amount),
            None => Some(total),
        };
        let locked = match &lock {
            Some(lock) => keyset::split(&keyset, lock.amount),
            None => Some(Vec::new()),
        };
        let own = change.and_then(|change| keyset::split(&keyset, change));
        let (Some(locked), Some(own)) = (locked, own) else { return self.unplanned(job) };
        let mut outputs: Vec<_> = locked
            .into_iter()
            .map(|amount| (amount, true))
            .chain(own.into_iter().map(|amount| (amount, false)))
            .collect();
        let locked = outputs.iter().filter(|(_, locked)| *locked).count();
        if outputs.is_empty() || outputs.len() > super::OUTPUTS_MAX || locked > PROOFS_MAX {
            return self.worthless(job);
        }
        // Sorted by amount alone, so that the order does not say which are change; equal amounts fall as counters do.
        outputs.sort_by_key(|(amount, _)| *amount);
        let epoch = self.pay.secrets.epoch;
        let first = crate::coin::take_counters(self.records, epoch, &keyset.id, outputs.len())?;
        let outputs = (first..)
            .zip(outputs)
            .map(|(counter, (amount, locked))| Planned { amount, counter, locked })
            .collect();
        job.plans.push(Plan { keyset: keyset.id, lock, outputs, adrift: None });
        job.failures = 0;
        self.enter(job, Stage::Swap)
    }

    /// What the inputs are worth less the fee of spending them; `None` if nothing is left.
    fn net(&self, job: &Job) -> Result<Option<u64>, RecordsError> {
        let (mut sum, mut ppks) = (Some(0_u64), Vec::new());
        for input in &job.inputs {
            sum = sum.and_then(|sum| sum.checked_add(input.amount));
            let keyset = keyset::load(self.records, &job.issuer, &input.keyset)?;
            ppks.push(keyset.map_or(0, |keyset| keyset.fee_ppk));
        }
        let fee = keyset::fee(ppks);
        Ok(sum.zip(fee).and_then(|(sum, fee)| sum.checked_sub(fee)).filter(|net| *net > 0))
    }

    fn secret_of(&self, input: &Input) -> Result<String, RecordsError> {
        match &input.held {
            Held::Given { secret, .. } => Ok(secret.clone()),
            Held::Own(counter) => {
                let wallet = self.pay.secrets.wallet.expose();
                let output = derive::bearer(wallet, &input.keyset, *counter);
                Ok(output.ok_or(RecordsError::Damaged)?.secret.to_string())
            }
        }
    }

    pub(super) fn y(&self, input: &Input) -> Result<String, RecordsError> {
        let y = dhke::hash_to_curve(self.secret_of(input)?.as_bytes());
        y.map(|y| y.to_hex()).map_err(|_| RecordsError::Damaged)
    }

    pub(super) fn swap_body(&self, job: &Job) -> Result<Vec<u8>, RecordsError> {
        let mut inputs = Vec::with_capacity(job.inputs.len());
        for input in &job.inputs {
            inputs.push(nut::Proof {
                amount: input.amount,
                id: crate::hex::encode(&input.keyset),
                secret: self.secret_of(input)?,
                c: input.c.clone(),
                witness: match &input.held {
                    Held::Given { witness, .. } => witness.clone(),
                    Held::Own(_) => None,
                },
            });
        }
        let outputs = match job.plans.last() {
            Some(plan) => self.outputs(plan)?,
            None => Vec::new(),
        };
        Ok(nut::write(&nut::Swap { inputs, outputs }))
    }

    fn derived(&self, plan: &Plan, planned: &Planned) -> Option<derive::Output> {
        let wallet = &self.pay.secrets.wallet;
        match plan.lock.as_ref().filter(|_| planned.locked) {
            Some(lock) => derive::locked(wallet, &plan.keyset, planned.counter, &lock.template),
            None => derive::bearer(wallet.expose(), &plan.keyset, planned.counter),
        }
    }

    fn blinded(
        &self,
        plan: &Plan,
        planned: &Planned,
    ) -> Result<(PublicKey, derive::Output), RecordsError> {
        let output = self.derived(plan, planned).ok_or(RecordsError::Damaged)?;
        let blinded = dhke::blind_message(output.secret.as_bytes(), Some(output.blinding.clone()));
        let (blinded, _) = blinded.map_err(|_| RecordsError::Damaged)?;
        Ok((blinded, output))
    }

    pub(super) fn outputs(&self, plan: &Plan) -> Result<Vec<nut::Output>, RecordsError> {
        let id = crate::hex::encode(&plan.keyset);
        plan.outputs
            .iter()
            .map(|planned| {
                let (blinded, _) = self.blinded(plan, planned)?;
                Ok(nut::Output {
                    amount: planned.amount,
                    id: id.clone(),
                    blinded: blinded.to_hex(),
                })
            })
            .collect()
    }

    /// The states of the inputs, in their order. `None` if the issuer left one out.
    pub(super) fn states(
        &self,
        job: &Job,
        states: &nut::States,
    ) -> Result<Option<Vec<InputState>>, RecordsError> {
        let mut found = Vec::with_capacity(job.inputs.len());
        for input in &job.inputs {
            let y = self.y(input)?;
            let state = states.states.iter().find(|state| state.y.eq_ignore_ascii_case(&y));
            found.push(match state.map(|state| state.state.as_str()) {
                Some("UNSPENT") => InputState::Unspent,
                Some("PENDING") => InputState::Pending,
                Some("SPENT") => InputState::Spent,
                _ => return Ok(None),
            });
        }
        Ok(Some(found))
    }

    /// The coins that these signatures make, in the order of the plan. `None` unless there is one for each output, of
    /// its amount and keyset and with a proof that the keyset's key made it (SPEC §8.9 `[dleq-required]`).
    pub(super) fn unblind(
        &self,
        job: &Job,
        plan: &Plan,
        signatures: &[nut::Signature],
    ) -> Result<Option<Vec<Signed>>, RecordsError> {
        let Some(keyset) = keyset::load(self.records, &job.issuer, &plan.keyset)? else {
            return Ok(None);
        };
        if signatures.len() != plan.outputs.len() {
            return Ok(None);
        }
        let mut coins = Vec::with_capacity(signatures.len());
        for (planned, signature) in plan.outputs.iter().zip(signatures) {
            let (blinded, output) = self.blinded(plan, planned)?;
            match unblind_one(&keyset, planned, signature, blinded, &output) {
                Some(signed) => coins.push(signed),
                None => return Ok(None),
            }
        }
        Ok(Some(coins))
    }

    /// For each output of a plan the signature that `restore` returned for its `B_`, wherever it stood in the answer.
    pub(super) fn restored(
        &self,
        plan: &Plan,
        restored: &nut::Restored,
    ) -> Result<Vec<Option<nut::Signature>>, RecordsError> {
        let outputs = self.outputs(plan)?;
        let find = |output: nut::Output| {
            let mut pairs = restored.outputs.iter().zip(&restored.signatures);
            let found = pairs.find(|(it, _)| it.blinded.eq_ignore_ascii_case(&output.blinded));
            found.map(|(_, signature)| signature.clone())
        };
        Ok(outputs.into_iter().map(find).collect())
    }
}

fn unblind_one(
    keyset: &Keyset,
    planned: &Planned,
    signature: &nut::Signature,
    blinded: PublicKey,
    output: &derive::Output,
) -> Option<Signed> {
    if signature.amount != planned.amount || signature.id != crate::hex::encode(&keyset.id) {
        return None;
    }
    let key = keyset.key(planned.amount)?;
    let c_blinded = PublicKey::from_hex(&signature.c).ok()?;
    let dleq = signature.dleq.as_ref()?;
    let (e, s) = (SecretKey::from_hex(&dleq.e).ok()?, SecretKey::from_hex(&dleq.s).ok()?);
    let signed = cashu::BlindSignature {
        amount: planned.amount.into(),
        keyset_id: cashu::Id::from_bytes(&keyset.id).ok()?,
        c: c_blinded,
        dleq: Some(cashu::BlindSignatureDleq { e: e.clone(), s: s.clone() }),
    };
    signed.verify_dleq(key, blinded).ok()?;
    let c = dhke::unblind_message(&c_blinded, &output.blinding, &key).ok()?;
    Some(Signed {
        planned: planned.clone(),
        nonce: output.nonce,
        c: c.to_bytes(),
        e: e.to_secret_bytes(),
        s: s.to_secret_bytes(),
        r: output.blinding.to_secret_bytes(),
    })
}
