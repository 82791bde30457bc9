//! What is written about those who use a relay: nothing that names them.

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::Path,
};

use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_wire::relay::MailboxId;

use super::scale;
use crate::process::{
    client::{CANARY, Owner, Sender, envelope},
    server::Server,
};

/// A page of the relay's socket.
fn page(data: &Path, name: &str) -> String {
    let mut socket = UnixStream::connect(data.join("admin.sock")).unwrap();
    write!(socket, "GET {name} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}

/// The ways in which bytes get into text.
fn spellings(bytes: &[u8]) -> [String; 3] {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{bytes:?}");
    [hex.to_uppercase(), hex, list.trim_matches(['[', ']']).to_owned()]
}

// 50 users here and 1,000 in `cargo xtask abuse`, each from an address of its own. Tests [log-names-nobody], [no-core-dump].
// Seen to fail with a line that has the address of a connection, and with memory left open to the user's other processes.
#[test]
fn t56_a_thousand_users_leave_no_trace_in_log_or_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), None, &[("CHOPMARK_LOG", "trace")]);
    let users = if scale() == 1 { 50 } else { 1000 };
    let mut canaries = vec![CANARY.to_owned(), "127.45.".to_owned()];
    crate::runtime().block_on(async {
        let mut sender = Sender::connect(&server.address).await;
        for n in 0..users {
            let [a, b] = u16::to_be_bytes(n);
            let key = [0xc5, a, b, 0xca].repeat(8).try_into().unwrap();
            let from = format!("127.45.{a}.{}", b.max(1));
            let mut owner = Owner::connect_from(&server.address, key, &from).await;
            owner.create().await;
            let most = chopmark_wire::relay::Rate::PRIVATE;
            let kind = chopmark_wire::relay::CapabilityKind::Private;
            let capability = owner.grant(key, kind, most).await;
            owner.subscribe().await;
            sender.stored(&capability, envelope(n)).await;
            let it = owner.delivered().await;
            // Frames that nobody may send, and a capability that opens nothing, are met by complaints at most.
            owner.ack(it.seq).await;
            owner.settle().await;
            let public = SigningKey::from_secret(&Secret::new(key)).verifying_key();
            let mailbox = MailboxId::of(&public);
            for bytes in [&key[..], public.as_bytes(), mailbox.as_bytes(), &capability.hash().0] {
                canaries.extend(spellings(&bytes[..8]));
            }
        }
    });
    let told = ["/metrics", "/status", "/healthz", "/readyz"].map(|name| page(folder.path(), name));
    assert!(told[0].contains("chopmark_relay_"), "{}", told[0]);
    server.terminate();
    assert!(server.wait().success());
    let log = server.log();
    assert!(log.contains("relay ready"));
    let everything = [told.concat(), log.clone()].concat();
    for canary in &canaries {
        assert!(!everything.contains(canary), "{canary} was told");
    }
    // The operator's own page says which relay it is; log and metrics do not.
    let hash = server.address.rsplit('#').next().unwrap();
    assert!(!log.contains(hash) && !told[0].contains(hash));
}

// Tests [no-core-dump]: memory. Root sees every process, so the relay runs as nobody where the test may make it so. Seen to
// fail with the process left dumpable.
#[test]
#[cfg(target_os = "linux")]
fn t56_the_memory_of_a_relay_is_closed_to_its_own_user() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let server = if root {
        Server::start_as(folder.path(), 65_534)
    } else {
        Server::start(folder.path(), None, &[])
    };
    let process = format!("/proc/{}", server.id());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(!user.trim().starts_with("0\t"), "runs as {user}");
    // The kernel gives the files of a process that is not dumpable to root.
    for file in ["mem", "environ", "maps"] {
        assert_eq!(std::fs::metadata(format!("{process}/{file}")).unwrap().uid(), 0, "{file}");
    }
}
