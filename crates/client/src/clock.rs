//! The one place of the SDK that asks what time it is.

use std::time::{Duration, UNIX_EPOCH};

use chopmark_core::time::Timestamp;

/// The device's clock, as it is: possibly wrong, and able to go backwards.
pub(crate) fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the edge where time comes in")]
    let now = std::time::SystemTime::now();
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Waits until then by the device's clock, or for ever.
pub(crate) async fn sleep_until(due: Option<Timestamp>) {
    match due {
        Some(due) => {
            tokio::time::sleep(due.saturating_since(now()) + Duration::from_millis(1)).await
        }
        None => std::future::pending().await,
    }
}
