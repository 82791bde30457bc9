//! The KEM epoch machine of SPEC §5.7, over names.

use super::planted::{Planted, Rules};
use super::term::{Of, Term, term};

/// Messages after which an epoch is overdue.
const OVERDUE: u8 = 50;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kem {
    initiator: bool,
    pub(super) epoch: u8,
    stage: Stage,
    messages: u8,
    carried: bool,
    /// Where the ciphertext rode first; known to a planted bug only.
    carried_at: Option<(u8, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Pause,
    SendEk { key: Term, known: bool },
    Ready { secret: Term },
    AwaitEntry,
    RecvEk,
    Encapsulate { key: Term },
    SendCt { key: Term, secret: Term },
}

/// What rides in the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Object {
    EncapsulationKey(Term),
    Ciphertext { key: Term, secret: Term },
}

impl Object {
    pub(super) fn length(self) -> usize {
        match self {
            Self::EncapsulationKey(_) => 1184,
            Self::Ciphertext { .. } => 1088 + 32,
        }
    }
}

impl Kem {
    pub(super) fn initiator(device: Term) -> Self {
        Self::at(true, Stage::SendEk { key: device, known: true })
    }

    pub(super) fn responder() -> Self {
        Self::at(false, Stage::AwaitEntry)
    }

    fn at(initiator: bool, stage: Stage) -> Self {
        Self { initiator, epoch: 0, stage, messages: 0, carried: false, carried_at: None }
    }

    pub(super) fn awaits_entry(&self) -> bool {
        self.stage == Stage::AwaitEntry
    }

    pub(super) fn introduce(&mut self, device: Term) {
        if self.awaits_entry() {
            self.stage = Stage::Encapsulate { key: device };
        }
    }

    pub(super) fn has_news(&self) -> bool {
        match self.stage {
            Stage::Encapsulate { .. } => true,
            Stage::SendCt { .. } => !self.carried,
            _ => false,
        }
    }

    /// What our own step mixes.
    pub(super) fn to_mix(&self, rules: &Rules) -> Option<Term> {
        match self.stage {
            Stage::Ready { secret } => Some(secret),
            Stage::SendCt { secret, .. } if rules.has(Planted::EncapsulatorMixesAtItsOwnStep) => {
                Some(secret)
            }
            _ => None,
        }
    }

    pub(super) fn stepped(&mut self, mixed: bool) {
        self.carried = false;
        if mixed {
            self.enter();
        }
    }

    /// What the peer's step mixed, by the epoch that its chain says; an error if it cannot say so.
    pub(super) fn mixed_by_peer(&self, epoch: u8, rules: &Rules) -> Result<Option<Term>, ()> {
        if epoch == self.epoch {
            return Ok(None);
        }
        match self.stage {
            Stage::SendCt { secret, .. } if epoch == self.epoch + 1 => Ok(Some(secret)),
            Stage::Ready { secret }
                if epoch == self.epoch + 1 && rules.has(Planted::EncapsulatorMixesAtItsOwnStep) =>
            {
                Ok(Some(secret))
            }
            _ => Err(()),
        }
    }

    pub(super) fn enter(&mut self) {
        self.epoch += 1;
        let begins_next = self.epoch.is_multiple_of(2) == self.initiator;
        self.stage = if begins_next { Stage::Pause } else { Stage::RecvEk };
        self.messages = 0;
        self.carried = false;
        self.carried_at = None;
    }

    /// Counts a message that is about to be sealed. `fresh` names what is drawn for it.
    pub(super) fn sending(&mut self, fresh: Term, rules: &Rules) {
        self.messages = self.messages.saturating_add(1);
        match self.stage {
            Stage::Pause if self.messages >= rules.pace => {
                let key = term(Of::EncapsulationKey, &[fresh]);
                self.stage = Stage::SendEk { key, known: false };
                self.carried = false;
            }
            Stage::Encapsulate { key } => {
                self.stage = Stage::SendCt { key, secret: term(Of::Secret, &[key, fresh]) };
                self.carried = false;
            }
            _ => {}
        }
    }

    pub(super) fn pending(&self) -> Option<Object> {
        match self.stage {
            _ if self.carried => None,
            Stage::SendEk { key, known: false } => Some(Object::EncapsulationKey(key)),
            Stage::SendCt { key, secret } => Some(Object::Ciphertext { key, secret }),
            _ => None,
        }
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.epoch == 0 || self.messages >= OVERDUE
    }

    pub(super) fn carry(&mut self, at: (u8, u8), rules: &Rules) {
        self.carried = true;
        if rules.has(Planted::SecretFreedOnAcknowledgement) && self.carried_at.is_none() {
            self.carried_at = Some(at);
        }
    }

    /// Counts a message that was opened and takes its object. Says whether the object was refused, and the secret that a
    /// planted bug mixes right now.
    pub(super) fn opened(
        &mut self,
        object: Option<Object>,
        epoch: u8,
        rules: &Rules,
    ) -> (bool, Option<Term>) {
        self.messages = self.messages.saturating_add(1);
        let timely = |_: &Object| epoch == self.epoch || rules.has(Planted::LateObjectTaken);
        match (&self.stage, object.filter(timely)) {
            (Stage::RecvEk, Some(Object::EncapsulationKey(key))) => {
                self.stage = Stage::Encapsulate { key };
            }
            (Stage::SendEk { key, .. }, Some(Object::Ciphertext { key: theirs, secret })) => {
                if *key != theirs {
                    return (true, None);
                }
                if rules.has(Planted::MixedAtDecapsulation) {
                    self.enter();
                    return (false, Some(secret));
                }
                self.stage = Stage::Ready { secret };
            }
            (Stage::AwaitEntry, Some(Object::EncapsulationKey(_))) => return (true, None),
            _ => {}
        }
        (false, None)
    }

    /// The peer acknowledged our messages up to here: nothing to the machine as it is.
    pub(super) fn acknowledged(&mut self, (chain, count): (u8, u8), rules: &Rules) {
        if rules.has(Planted::SecretFreedOnAcknowledgement)
            && let (Stage::SendCt { .. }, Some((at, n))) = (&self.stage, self.carried_at)
            && (at < chain || (at == chain && n < count))
        {
            self.stage = Stage::RecvEk;
        }
    }
}
