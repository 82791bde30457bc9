//! The log: this program's own lines on standard error, for people or for machines, and no other crate's.
//!
//! Nothing here is of a relay. Lines of other crates are left out at every level: quinn's hold addresses, fjall's hold
//! paths (SPEC §6.8 [log-names-nobody]).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::settings::{Level, LogFormat};

/// The log that was begun; its level can be changed.
pub(crate) struct Log {
    of: &'static str,
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl Log {
    /// Begins to log what the crate `of` says. Where a program around this one logs already, by its own rules, nothing
    /// changes.
    pub(crate) fn begin(of: &'static str, level: Level, format: LogFormat) -> Self {
        let builder = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_env_filter(filter(of, level));
        let set: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
            LogFormat::Text => {
                let builder = builder.with_filter_reloading();
                let handle = builder.reload_handle();
                let _ = builder.try_init();
                Box::new(move |filter| drop(handle.reload(filter)))
            }
            LogFormat::Json => {
                let builder = builder.json().flatten_event(true).with_filter_reloading();
                let handle = builder.reload_handle();
                let _ = builder.try_init();
                Box::new(move |filter| drop(handle.reload(filter)))
            }
        };
        Self { of, set }
    }

    /// From here on, so much.
    pub(crate) fn level(&self, level: Level) {
        (self.set)(filter(self.of, level));
    }
}

fn filter(of: &str, level: Level) -> EnvFilter {
    use crate::settings::value::Value as _;
    EnvFilter::new(format!("off,{of}={}", level.show()))
}
