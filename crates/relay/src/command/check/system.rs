//! What the system gives: ports, a name, open files, a sandbox.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::{
    command::{grouped, run::OPEN_FILES_LEAST},
    confine,
    home::Home,
    settings::{Sandbox, Settings, value::Value as _},
};

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    // The ports of a relay that runs are taken, by it.
    let free = Home::is_free(&settings.data).unwrap_or(true);
    let mut findings = Vec::new();
    if free {
        let bound = UdpSocket::bind(settings.listen).map(drop);
        findings.push(port("udp port", settings.listen, "listen", bound));
        if let Some(page) = settings.admin.listen {
            let bound = TcpListener::bind(page).map(drop);
            findings.push(port("page", page, "admin.listen", bound));
        }
    }
    findings.push(match &settings.public {
        Some(public) => Finding::ok("name", public.show()),
        None if settings.listen.ip().is_unspecified() => {
            Finding::look("name", "none: clients elsewhere need `public = \"HOST:PORT\"`")
        }
        None => Finding::ok(
            "name",
            format!("none; the address is where it listens, {}", settings.listen),
        ),
    });
    findings.push(open_files());
    findings.push(sandbox(settings.sandbox));
    findings
}

fn port(
    what: &'static str,
    at: SocketAddr,
    key: &'static str,
    bound: std::io::Result<()>,
) -> Finding {
    match bound {
        Ok(()) => Finding::ok(what, at.to_string()),
        Err(error) => Finding::wrong(what, format!("{at}: {error}; free it, or set {key}")),
    }
}

fn open_files() -> Finding {
    const WHAT: &str = "open files";
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if most < OPEN_FILES_LEAST {
        return Finding::wrong(
            WHAT,
            format!(
                "{most} at most; raise the hard limit to {OPEN_FILES_LEAST} or more (ulimit -Hn, LimitNOFILE=)"
            ),
        );
    }
    Finding::ok(WHAT, format!("{} at most", grouped(most)))
}

fn sandbox(wanted: Sandbox) -> Finding {
    const WHAT: &str = "sandbox";
    match (wanted, confine::is_possible()) {
        (Sandbox::Off, _) => {
            Finding::look(WHAT, "off: the process may touch every file of its user")
        }
        (_, true) => Finding::ok(WHAT, "Landlock: no file but the relay's own"),
        (Sandbox::Required, false) => Finding::wrong(
            WHAT,
            "this kernel has no Landlock; set sandbox to \"auto\" to run without",
        ),
        (_, false) => Finding::look(WHAT, "this kernel has no Landlock: the relay runs without"),
    }
}
