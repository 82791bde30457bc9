//! `check`: everything that is wrong before a start, and where each setting came from.

mod folder;
mod system;

use serde::Serialize;

use super::{Told, grouped};
use crate::{
    cli::Common,
    settings::{Keys as _, Loaded, Settings, layers::document},
};

/// What was found about one thing.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    what: &'static str,
    verdict: Verdict,
    detail: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// The relay starts, and an operator should look.
    Look,
    /// The relay does not start, or does not do its work.
    Wrong,
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, detail: detail.into() }
    }

    fn look(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Look, detail: detail.into() }
    }

    fn wrong(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Wrong, detail: detail.into() }
    }
}

/// Looks at everything and changes nothing. The code is 0 when nothing is wrong.
pub(crate) fn run(common: &Common, values: bool, keys: bool) -> Told {
    if keys {
        return Told::done().line(document(&Settings::default()).trim_end());
    }
    let loaded = match common.settings(false) {
        Ok(loaded) => loaded,
        Err(told) => return told,
    };
    if values {
        return shown_values(common, &loaded);
    }
    let mut findings = Vec::new();
    let file = common.sources(false).path();
    findings.push(match &file {
        Some(file) => Finding::ok("settings", file.display().to_string()),
        None => Finding::ok("settings", "no file; `init --config FILE` writes one"),
    });
    findings.extend(loaded.warnings.iter().map(|warning| Finding::look("settings", warning)));
    findings.extend(folder::findings(&loaded.values));
    findings.extend(system::findings(&loaded.values));
    shown(common, &findings)
}

fn shown(common: &Common, findings: &[Finding]) -> Told {
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    let code = u8::from(wrong > 0);
    if common.json {
        let json = serde_json::json!({ "ready": wrong == 0, "findings": findings });
        return Told::done().line(json.to_string()).code(code);
    }
    let mut told = Told::done().code(code);
    for Finding { what, verdict, detail } in findings {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Look => "look",
            Verdict::Wrong => "WRONG",
        };
        told = told.line(format!("{verdict:<7}{what:<14}{detail}"));
    }
    told.line(match wrong {
        0 => "ready to run".to_owned(),
        1 => "one thing is wrong".to_owned(),
        more => format!("{} things are wrong", grouped(more as u64)),
    })
}

fn shown_values(common: &Common, loaded: &Loaded<Settings>) -> Told {
    if common.json {
        let values: Vec<_> = loaded
            .explain()
            .map(|(key, value, origin)| {
                serde_json::json!({
                    "key": key.name, "value": value, "origin": origin.to_string(),
                    "about": key.about, "form": key.form, "live": key.live,
                })
            })
            .collect();
        return Told::done().line(serde_json::json!({ "values": values }).to_string());
    }
    let widest = Settings::keys().iter().map(|key| key.name.len()).max().unwrap_or(0);
    let lines = loaded
        .explain()
        .map(|(key, value, origin)| format!("{:<widest$}  {value:<24} {origin}", key.name));
    lines.fold(Told::done(), Told::line)
}
