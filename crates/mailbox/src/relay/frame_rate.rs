//! How many frames of one connection are read, by the second (SPEC §6.8).

use chopmark_core::time::Timestamp;

/// A burst, and so many more with every second that begins.
#[derive(Debug)]
pub(super) struct FrameRate {
    burst: u32,
    per_second: u32,
    left: u32,
    second: u64,
}

impl FrameRate {
    pub(super) const fn new(now: Timestamp, burst: u32, per_second: u32) -> Self {
        Self { burst, per_second, left: burst, second: now.as_secs() }
    }

    /// Counts a frame; `false` when it was the last for now.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let seconds = now.as_secs().saturating_sub(self.second);
        let back = self.per_second.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
        self.left = self.left.saturating_add(back).min(self.burst).saturating_sub(1);
        self.second = now.as_secs();
        self.left > 0
    }
}
