//! `status`: how the running relay is, on one screen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Told, grouped, size, span, unix_now};
use crate::{admin::client::ask_text, cli::Common};

/// What a relay says of itself. All counts are since its start; times are seconds of Unix time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    /// `ready`, or why it serves nobody.
    pub(crate) state: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
    pub(crate) started: i64,
    pub(crate) connections: u64,
    pub(crate) connections_max: u64,
    pub(crate) handshakes: u64,
    pub(crate) subscriptions: u64,
    pub(crate) disk_free: u64,
    pub(crate) disk_floor: u64,
    pub(crate) store_bytes: u64,
    pub(crate) memory: u64,
    pub(crate) open_files: u64,
    pub(crate) open_files_max: u64,
    pub(crate) certificate: String,
    pub(crate) certificate_ends: i64,
    pub(crate) sandbox: String,
    /// Keys of limits that were wrong when the settings were read again last.
    pub(crate) reload_faults: Vec<String>,
    /// 0 for none since the start.
    pub(crate) backed_up: i64,
    /// Limits that bit, and how often.
    pub(crate) limited: Vec<(String, u64)>,
}

/// Asks and shows. The code is 0 only when the relay serves.
pub(crate) fn run(common: &Common) -> Told {
    let settings = match common.to_find_it() {
        Ok(settings) => settings,
        Err(told) => return told,
    };
    let text = match ask_text(&settings.data, hyper::Method::GET, "/status") {
        Ok(text) => text,
        Err(error) => return Told::cannot_json(common, &format!("no status: {error}")),
    };
    let status: Status = match serde_json::from_str(&text) {
        Ok(status) => status,
        Err(_) => return Told::cannot_json(common, "no status: the relay is of another version"),
    };
    let code = u8::from(status.state != "ready");
    if common.json {
        return Told::done().line(text).code(code);
    }
    Told::done().line(shown(&status, unix_now())).code(code)
}

fn shown(status: &Status, now: i64) -> String {
    let since =
        |then: i64| span(Duration::from_secs(now.saturating_sub(then).try_into().unwrap_or(0)));
    let until = |then: i64| match u64::try_from(then.saturating_sub(now)) {
        Ok(left) => format!("ends in {}", span(Duration::from_secs(left))),
        Err(_) => "HAS ENDED".to_owned(),
    };
    let limited = match status.limited.as_slice() {
        [] => "none was met".to_owned(),
        limited => limited
            .iter()
            .map(|(name, count)| format!("{name} {} times", grouped(*count)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let floor = if status.disk_free < status.disk_floor { "BELOW the floor of" } else { "floor" };
    let backup = match status.backed_up {
        0 => "none since the start".to_owned(),
        then => format!("{} ago", since(then)),
    };
    let mut lines = vec![
        ("relay", status.address.clone()),
        (
            "state",
            format!(
                "{} · up {} · version {} · pid {}",
                status.state,
                since(status.started),
                status.version,
                status.pid
            ),
        ),
        (
            "clients",
            format!(
                "{} of {} connections · {} handshakes · {} subscriptions",
                grouped(status.connections),
                grouped(status.connections_max),
                grouped(status.handshakes),
                grouped(status.subscriptions)
            ),
        ),
        (
            "disk",
            format!(
                "{} free, {floor} {} · store {}",
                size(status.disk_free),
                size(status.disk_floor),
                size(status.store_bytes)
            ),
        ),
        (
            "process",
            format!(
                "{} memory · {} of {} open files · sandbox {}",
                size(status.memory),
                status.open_files,
                grouped(status.open_files_max),
                status.sandbox
            ),
        ),
        ("certificate", format!("{} · {}", status.certificate, until(status.certificate_ends))),
        ("backup", backup),
        ("limits", limited),
    ];
    if !status.reload_faults.is_empty() {
        let faults = status.reload_faults.join(", ");
        lines.push(("SETTINGS", format!("read again and NOT taken: {faults} · see `check`")));
    }
    let lines: Vec<_> = lines.iter().map(|(name, text)| format!("{name:<12}{text}")).collect();
    lines.join("\n")
}
