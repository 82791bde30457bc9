//! The data folder and what lies in it, the disk under it, and the files that the settings name.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::fs::{Access, access};

use super::Finding;
use crate::{
    access::who_may,
    certificate::Source,
    command::{hash, hex, size, span, unix_now},
    home::{Home, HomeError},
    settings::{CertificateMode, Settings},
};

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    folder(&settings.data, &mut findings);
    findings.push(identity(&settings.data));
    findings.push(space(settings));
    findings.push(certificate(settings));
    if let Err(error) = who_may(&settings.access) {
        findings.push(Finding::wrong("access", error.to_string()));
    }
    findings.push(clock(&settings.data));
    findings
}

/// The nearest folder that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    folder.ancestors().find(|folder| folder.exists()).map(Path::to_owned)
}

fn folder(folder: &Path, findings: &mut Vec<Finding>) {
    const WHAT: &str = "data folder";
    let shown = folder.display();
    let mut wrong = |why: String| findings.push(Finding::wrong(WHAT, format!("{shown}: {why}")));
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => return wrong("is not a folder".into()),
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = existing(folder).unwrap_or_default();
            match access(&parent, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => {
                    findings.push(Finding::ok(WHAT, format!("{shown}, which the start makes")));
                }
                Err(error) => wrong(format!(
                    "is not there and cannot be made in {}: {error}",
                    parent.display()
                )),
            }
            return;
        }
        Err(error) => return wrong(error.to_string()),
    };
    if let Err(error) = access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return wrong(format!("cannot be written: {error}"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return wrong(format!("others write in it ({mode:03o}); chmod 700"));
    }
    let ours = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    findings.push(if ours != owner && ours != 0 {
        Finding::look(WHAT, format!("{shown} is of user {owner} and this is user {ours}"))
    } else if mode & 0o055 != 0 {
        Finding::look(WHAT, format!("{shown}: others look in ({mode:03o}); chmod 700"))
    } else {
        Finding::ok(WHAT, shown.to_string())
    });
    match Home::is_free(folder) {
        Ok(true) => {}
        Ok(false) => findings.push(Finding::look(WHAT, "a relay runs in it; see `status`")),
        Err(error) => findings.push(Finding::wrong(WHAT, error.to_string())),
    }
}

fn identity(folder: &Path) -> Finding {
    const WHAT: &str = "identity";
    match Home::identity_in(folder) {
        Ok(None) => Finding::ok(WHAT, "none yet; the start makes one"),
        Ok(Some(key)) => {
            let mode = fs::metadata(folder.join("identity.key")).map(|it| it.permissions().mode());
            match mode.map_or(0, |mode| mode & 0o077) {
                0 => Finding::ok(WHAT, hex(&hash(&key))),
                _ => Finding::wrong(WHAT, "others may read identity.key; chmod 600"),
            }
        }
        Err(HomeError::Io(error)) => Finding::wrong(WHAT, format!("identity.key: {error}")),
        Err(error) => Finding::wrong(WHAT, error.to_string()),
    }
}

fn space(settings: &Settings) -> Finding {
    const WHAT: &str = "disk";
    let Some(Ok(free)) = existing(&settings.data).map(fs4::available_space) else {
        return Finding::wrong(WHAT, "the disk of the data folder does not say what is free");
    };
    let (floor, ballast) = (settings.store.keep_free.bytes(), settings.store.ballast.bytes());
    let (is, floors) = (size(free), size(floor));
    if free < floor {
        return Finding::wrong(
            WHAT,
            format!("{is} free, below store.keep_free of {floors}: no message is taken"),
        );
    }
    if free < floor.saturating_add(ballast.saturating_mul(2)).saturating_mul(4) {
        return Finding::look(
            WHAT,
            format!("{is} free, not much above store.keep_free of {floors}"),
        );
    }
    Finding::ok(WHAT, format!("{is} free, store.keep_free {floors}"))
}

fn certificate(settings: &Settings) -> Finding {
    const WHAT: &str = "certificate";
    /// Who renews it should have done so by now.
    const SOON: i64 = 7 * 86_400;
    if settings.certificate.mode == CertificateMode::SelfSigned {
        let every = span(settings.certificate.rotate_every);
        return Finding::ok(WHAT, format!("self-signed, made anew every {every}"));
    }
    let now = unix_now();
    match Source::of(&settings.certificate).load(now) {
        Err(error) => Finding::wrong(WHAT, error.to_string()),
        Ok(it) if it.ends <= now => Finding::wrong(WHAT, "has ended; renew it"),
        Ok(it) if it.begins > now => Finding::look(WHAT, "is not valid yet; is the clock right?"),
        Ok(it) => {
            let left = it.ends.saturating_sub(now);
            let shown = span(Duration::from_secs(u64::try_from(left).unwrap_or(0)));
            match left < SOON {
                true => Finding::look(WHAT, format!("ends in {shown}; is it being renewed?")),
                false => Finding::ok(WHAT, format!("from files, ends in {shown}")),
            }
        }
    }
}

/// A clock that is wrong makes messages expire too early or never.
fn clock(folder: &Path) -> Finding {
    const WHAT: &str = "clock";
    /// This program was not written earlier: the start of 2026.
    const WRITTEN: i64 = 1_767_225_600;
    const HOUR: Duration = Duration::from_secs(3600);
    #[allow(clippy::disallowed_methods, reason = "it is the clock that is looked at")]
    let now = SystemTime::now();
    if unix_now() < WRITTEN {
        return Finding::wrong(WHAT, "is before 2026; set it, and keep it by NTP");
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let newest = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max();
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok()).unwrap_or_default();
    if ahead > HOUR {
        return Finding::wrong(
            WHAT,
            format!(
                "went back: a file here is of {} from now; set it, and keep it by NTP",
                span(ahead)
            ),
        );
    }
    Finding::ok(WHAT, "set")
}
