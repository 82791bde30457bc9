//! `drain`: the running relay stops with grace, and this waits for it.

use std::time::Duration;

use hyper::Method;

use super::Told;
use crate::{
    admin::client::ask_text,
    cli::Common,
    home::{Home, HomeError},
};

/// How long beyond the grace it may take to close the store.
const CLOSING_TIME: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks it to stop, and waits until the folder is free.
pub(crate) fn run(common: &Common) -> Told {
    let settings = match common.to_find_it() {
        Ok(settings) => settings,
        Err(told) => return told,
    };
    let folder = &settings.data;
    if let Err(error) = ask_text(folder, Method::POST, "/drain") {
        return Told::cannot_json(common, &format!("not drained: {error}"));
    }
    let patience = settings.limits.drain_time.saturating_add(CLOSING_TIME);
    let looks = patience.as_millis() / LOOK_EVERY.as_millis().max(1);
    for _ in 0..looks {
        match Home::is_free(folder) {
            Ok(true) => {
                let line = if common.json { "{\"drained\":true}" } else { "drained" };
                return Told::done().line(line);
            }
            Ok(false) | Err(HomeError::InUse) => {}
            Err(error) => return Told::cannot_json(common, &error),
        }
        #[allow(clippy::disallowed_methods, reason = "another process ends without telling us")]
        std::thread::sleep(LOOK_EVERY);
    }
    Told::cannot_json(common, "it was told to drain and still runs; `status` says more")
}
