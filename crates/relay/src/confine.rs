//! What the process gives up before it serves, and what it asks the system for.
//!
//! Nothing here is of a relay.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use thiserror::Error;

/// No core dump, nobody of this user looks into our memory, no file that others can read (SPEC §6.8 [no-core-dump]).
pub(crate) fn keep_to_ourselves() {
    // Whatever the folder's own mode is, and whoever makes the file.
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let limited = limited.and_then(|()| {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    });
    if let Err(error) = limited {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}

/// Files and sockets that may be open at once, after asking for as many as we are let, up to `wanted`.
pub(crate) fn raise_open_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (now, most) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let next = wanted.min(most);
    if now >= next {
        return now;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(next), maximum }) {
        Ok(()) => next,
        Err(_) => now,
    }
}

/// What the kernel keeps us from, from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confined {
    /// Everything but the folders that were named.
    Fully,
    /// Most of it: the kernel is older than what we ask for.
    Partly,
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Not,
}

/// The kernel has Landlock and it did not take our rules. Nothing is confined.
#[derive(Debug, Error)]
#[error("the kernel does not take the rules of the sandbox: {0}")]
pub(crate) struct ConfineError(String);

/// What may still be touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// Everything below, also to write.
    pub(crate) writes: Vec<PathBuf>,
    /// Everything below, to read.
    pub(crate) reads: Vec<PathBuf>,
}

/// Takes from this thread, and from those that it starts, the right to touch any file beyond `reach`, and to listen or
/// connect by TCP; who listens already goes on. There is no way back. To be called while there is one thread.
#[cfg(target_os = "linux")]
pub(crate) fn confine(reach: &Reach) -> Result<Confined, ConfineError> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus, path_beneath_rules,
    };
    // What this knows of; an older kernel does less of it, and says so.
    const KNOWN: ABI = ABI::V5;
    let wrong = |error: landlock::RulesetError| ConfineError(error.to_string());
    let existing = |paths: &[PathBuf]| -> Vec<PathBuf> {
        paths.iter().filter(|path| path.exists()).cloned().collect()
    };
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(|rules| {
            rules.add_rules(path_beneath_rules(existing(&reach.writes), AccessFs::from_all(KNOWN)))
        })
        .and_then(|rules| {
            rules.add_rules(path_beneath_rules(existing(&reach.reads), AccessFs::from_read(KNOWN)))
        })
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(wrong)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Fully,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

/// There is no Landlock elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn confine(_: &Reach) -> Result<Confined, ConfineError> {
    Ok(Confined::Not)
}

/// Does `work` as the user whose folder it is, if we are root and it is not root's: what is made there stays theirs.
#[cfg(target_os = "linux")]
pub(crate) fn as_owner_of<T: Send>(
    folder: &Path,
    work: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    use std::os::unix::fs::MetadataExt as _;

    use rustix::{
        process::{Gid, Uid, geteuid},
        thread::{set_thread_gid, set_thread_groups, set_thread_uid},
    };
    let owner = std::fs::metadata(folder).ok().filter(|it| it.uid() != 0 && geteuid().is_root());
    let Some(owner) = owner else { return Ok(work()) };
    // On Linux a thread has its own user, and so have the threads that it starts. This one ends with the work.
    let become_owner = || {
        set_thread_groups(&[])?;
        set_thread_gid(Gid::from_raw(owner.gid()))?;
        set_thread_uid(Uid::from_raw(owner.uid()))
    };
    std::thread::scope(|scope| {
        let done = scope.spawn(|| become_owner().map(|()| work())).join();
        done.map_err(|_| std::io::Error::other("the work broke off"))?.map_err(Into::into)
    })
}

/// There is no user of a thread elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn as_owner_of<T: Send>(
    _: &Path,
    work: impl FnOnce() -> T + Send,
) -> std::io::Result<T> {
    Ok(work())
}

/// The folder that a file is in: a file that is replaced by another of its name is found only through it.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Resident memory in bytes and open files of this process; what the system does not tell is 0.
pub(crate) fn usage() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let memory = kib.unwrap_or(0).saturating_mul(1024);
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (memory, u64::try_from(files).unwrap_or(0))
}

/// Has the kernel Landlock? Tried on a thread that ends, so that nothing is given up.
pub(crate) fn is_possible() -> bool {
    let tried = std::thread::spawn(|| {
        let reach = Reach { writes: vec!["/".into()], reads: Vec::new() };
        matches!(confine(&reach), Ok(Confined::Fully | Confined::Partly))
    });
    tried.join().unwrap_or(false)
}
