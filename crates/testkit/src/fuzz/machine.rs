//! What the KEM machine of a responder must do, from the text of SPEC §5.7: which object rides, in which bucket, what is
//! taken and what is refused.

use chopmark_core::{
    session::BUCKETS,
    time::{DAY, Timestamp},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    AwaitEntry,
    Encapsulate,
    SendCt,
    Pause,
    SendEk,
    Ready,
    RecvEk,
}

/// What came as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Nothing,
    Key { valid: bool },
    Ciphertext { right: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) epoch: u32,
    pub(super) stage: Stage,
    messages: u32,
    since: Timestamp,
    carried: bool,
    owes_step: bool,
}

impl Machine {
    /// B, before it opened anything.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            epoch: 0,
            stage: Stage::AwaitEntry,
            messages: 0,
            since: now,
            carried: false,
            owes_step: false,
        }
    }

    pub(super) fn introduced(&mut self) {
        if self.stage == Stage::AwaitEntry {
            self.stage = Stage::Encapsulate;
        }
    }

    /// B opened a message, the first of its chain or not. Whether its object is refused.
    pub(super) fn opens(&mut self, begins: bool, epoch: u32, came: Came, now: Timestamp) -> bool {
        if begins {
            self.owes_step = true;
            if self.stage == Stage::SendCt && epoch == self.epoch + 1 {
                self.enter(now);
            }
        }
        self.messages += 1;
        if epoch != self.epoch {
            return false;
        }
        match (self.stage, came) {
            // The key of epoch 1 is the manifest's, at any stage.
            (_, Came::Key { .. }) if self.epoch == 0 => return true,
            (Stage::RecvEk, Came::Key { valid: true }) => self.stage = Stage::Encapsulate,
            (Stage::RecvEk, Came::Key { valid: false }) => return true,
            (Stage::SendEk, Came::Ciphertext { right: true }) => self.stage = Stage::Ready,
            (Stage::SendEk, Came::Ciphertext { right: false }) => return true,
            _ => {}
        }
        false
    }

    /// B seals `length` bytes: the kind of the object that rides, and the bucket.
    pub(super) fn seals(&mut self, length: usize, now: Timestamp) -> (u8, usize) {
        if core::mem::take(&mut self.owes_step) {
            self.carried = false;
            if self.stage == Stage::Ready {
                self.enter(now);
            }
        }
        self.messages += 1;
        match self.stage {
            Stage::Pause if self.messages >= 8 => {
                self.stage = Stage::SendEk;
                self.carried = false;
            }
            Stage::Encapsulate => {
                self.stage = Stage::SendCt;
                self.carried = false;
            }
            _ => {}
        }
        let (kind, object) = match self.stage {
            Stage::SendEk => (1, 1_184),
            Stage::SendCt => (2, 1_120),
            _ => (0, 0),
        };
        let bucket = smallest(length + 106);
        let lifted = smallest(length + 106 + object);
        let overdue =
            self.epoch == 0 || self.messages >= 50 || now.saturating_since(self.since) >= 7 * DAY;
        if kind == 0 || self.carried || (lifted != bucket && !overdue) {
            return (0, bucket);
        }
        self.carried = true;
        // Whether there was room is nobody's business.
        let alike = if overdue && self.epoch > 0 { BUCKETS[1] } else { BUCKETS[0] };
        (kind, lifted.max(alike))
    }

    fn enter(&mut self, now: Timestamp) {
        self.epoch += 1;
        // Even epochs are made by B.
        self.stage = if self.epoch.is_multiple_of(2) { Stage::RecvEk } else { Stage::Pause };
        self.messages = 0;
        self.since = now;
        self.carried = false;
    }
}

fn smallest(length: usize) -> usize {
    BUCKETS.into_iter().find(|bucket| *bucket >= length).expect("it fits")
}
