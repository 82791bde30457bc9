//! Every command, with right and with wrong inputs.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
};

use super::desk::{Desk, listing, relay};

#[test]
fn a_stranger_goes_from_nothing_to_a_relay_that_runs_and_can_be_asked() {
    let desk = Desk::new("");
    let config = desk.path("new/relay.toml");
    let (config, data) = (config.to_str().unwrap(), desk.path("new/data"));
    let made = relay(&[
        "init",
        "--config",
        config,
        "--data",
        data.to_str().unwrap(),
        "--public",
        "relay.example:7667",
        "--listen",
        "127.0.0.1:0",
        "--set",
        "admin.listen=none",
        "--json",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let address = made.json()["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("chop-relay:relay.example:7667#"), "{address}");

    // Again changes nothing, and says the same.
    let before = fs::read_to_string(config).unwrap();
    let again = relay(&["init", "--config", config]);
    assert!(again.code == 0 && again.out.contains(&address), "{again:?}");
    assert_eq!(fs::read_to_string(config).unwrap(), before);

    let checked = relay(&["check", "--config", config]);
    assert!(checked.code == 0 && checked.out.ends_with("ready to run\n"), "{checked:?}");

    let not_yet = relay(&["status", "--config", config]);
    assert_eq!(not_yet.code, 1);
    assert!(not_yet.err.contains("nothing runs in this data folder"), "{not_yet:?}");

    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chopmark-relay"));
    command.args(["run", "--config", config]);
    let mut server = super::server::Server::spawn(command);
    assert_eq!(server.address, address);
    let status = relay(&["status", "--config", config]);
    assert!(status.code == 0 && status.out.contains("ready · up "), "{status:?}");
    let status = relay(&["status", "--config", config, "--json"]).json();
    assert_eq!((&status["state"], &status["address"]), (&"ready".into(), &address.into()));
    assert_eq!(status["pid"], server.id());

    let drained = relay(&["drain", "--config", config]);
    assert!(drained.code == 0 && drained.out == "drained\n", "{drained:?}");
    assert!(server.wait().success());
    assert_eq!(relay(&["drain", "--config", config]).code, 1);
}

// Seen to fail with the settings read up to the first fault.
#[test]
fn wrong_settings_are_told_all_at_once_and_nothing_is_made() {
    let desk = Desk::new(
        "lmits.connections = 1\n[limits]\nhandshakes = 0\n[certificate]\nmode = \"acme\"",
    );
    for command in ["run", "check", "init", "restore x"] {
        let words: Vec<&str> = command.split(' ').collect();
        let said = desk.say(&words);
        assert_eq!(said.code, 2, "{said:?}");
        for part in [
            "limits.handshakes: must be a whole number",
            "lmits: is not known; did you mean limits?",
        ] {
            assert!(said.err.contains(part), "{command}: {said:?}");
        }
        let json = desk.say(&[&words[..], &["--json"]].concat()).json();
        assert_eq!(json["faults"].as_array().unwrap().len(), 2, "{json}");
    }
    assert!(!desk.data().exists());
    // A relay that runs is found all the same, unless nobody can tell where it is.
    assert_eq!(desk.say(&["status"]).code, 1);
    desk.settings("[[[");
    assert_eq!(desk.say(&["status"]).code, 2);
    assert_eq!(desk.say(&["status", "--data", "/nowhere"]).code, 1);
    desk.settings("[certificate]\nmode = \"acme\"");
    assert!(desk.say(&["run"]).err.contains("mode \"acme\" is not in this version"));
    let said = desk.say(&["check", "--set", "limits.conections=5"]);
    assert!(said.err.contains("did you mean limits.connections? (command line)"), "{said:?}");
    assert_eq!(relay(&["run", "--config", "/nowhere/relay.toml"]).code, 2);
    assert_eq!(relay(&["fly"]).code, 2);
}

#[test]
fn check_says_where_each_value_came_from() {
    let desk = Desk::new("[limits]\nconnections = 9000");
    let said = desk.say(&["check", "--values", "--set", "log.level=debug", "--json"]).json();
    let origin = |name: &str| {
        let values = said["values"].as_array().unwrap();
        values.iter().find(|value| value["key"] == name).unwrap()["origin"].clone()
    };
    assert_eq!(origin("log.level"), "command line");
    assert_eq!(origin("limits.connections"), desk.config().to_str().unwrap());
    assert_eq!(origin("limits.handshakes"), "default");
    let said = desk.say(&["check", "--keys"]);
    assert!(said.out.contains("\n# connections = 8192\n"), "{said:?}");
}

#[test]
fn check_names_everything_that_is_wrong_and_changes_nothing() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let desk = Desk::new("");
    let files = "[certificate]\nmode = \"files\"\nchain = \"/nowhere/chain\"\nkey = \"/nowhere/key\"\n\
        [store]\nkeep_free = \"1000 TiB\"\n[access]\nmode = \"tokens\"\ntokens = \"/nowhere/tokens\"";
    desk.settings(files);
    fs::create_dir(desk.data()).unwrap();
    fs::set_permissions(desk.data(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(desk.data().join("identity.key"), [1; 31]).unwrap();
    let future = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(5_000_000_000);
    let file = fs::File::create(desk.data().join("from the future")).unwrap();
    file.set_modified(future).unwrap();
    let before = listing(&desk.data());

    let (udp, tcp) = (udp.local_addr().unwrap().to_string(), tcp.local_addr().unwrap().to_string());
    let tcp = format!("admin.listen={tcp}");
    let said = desk.say(&["check", "--json", "--listen", &udp, "--set", &tcp]);
    assert_eq!(said.code, 1);
    let json = said.json();
    assert_eq!(json["ready"], false);
    let wrong: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["verdict"] == "wrong")
        .map(|finding| finding["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        wrong,
        ["data folder", "identity", "disk", "certificate", "access", "clock", "udp port", "page"]
    );
    assert_eq!(listing(&desk.data()), before);
    let said = desk.say(&["check"]);
    assert!(said.out.contains("WRONG  identity      the file identity.key"), "{said:?}");
    // And a relay does not start on it.
    let said = desk.say(&["run"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("identity.key"), "{said:?}");
}

#[test]
fn a_page_shows_and_commands_nothing() {
    let desk = Desk::new("");
    let mut server = desk.start();
    assert_eq!(desk.ask("GET", "/healthz"), (200, "ok\n".into()));
    assert_eq!(desk.ask("GET", "/readyz"), (200, "ok\n".into()));
    let (code, metrics) = desk.ask("GET", "/metrics");
    assert!(code == 200 && metrics.ends_with("# EOF\n"), "{metrics}");
    assert_eq!(desk.metric("chopmark_relay_ready"), 1);
    for path in ["/status", "/drain", "/backup", "/"] {
        assert_eq!(desk.ask("GET", path).0, 404, "{path}");
        assert_eq!(desk.ask("POST", path).0, 404, "{path}");
    }
    assert_eq!(desk.ask("POST", "/metrics").0, 405);
    // No address, no identity: the page is for everyone on this machine.
    let hash = server.address.rsplit('#').next().unwrap().to_owned();
    assert!(!metrics.contains(&hash) && !metrics.contains("127.0.0.1"));
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn two_relays_do_not_run_in_one_folder_and_the_second_says_so() {
    let desk = Desk::new("");
    let _server = desk.start();
    let second = desk.say(&["run"]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("another relay uses this data folder"), "{second:?}");
    let checked = desk.say(&["check"]);
    assert!(checked.code == 0 && checked.out.contains("a relay runs in it"), "{checked:?}");
}

#[test]
fn a_data_folder_with_a_long_path_is_asked_all_the_same() {
    let desk = Desk::new("");
    let long = desk.path(&"long".repeat(40));
    let long = long.to_str().unwrap();
    let _server = desk.start_with(&["--data", long], &[]);
    assert_eq!(desk.say(&["status", "--data", long]).code, 0);
}

// Seen to fail with a backup that is used before it is verified.
#[test]
fn a_backup_is_never_written_over_a_file_and_a_damaged_one_is_never_used() {
    let desk = Desk::new("");
    let at = |name: &str| desk.path(name).to_str().unwrap().to_owned();
    let (backup, cut, bent) = (at("backup"), at("cut"), at("bent"));
    let none = desk.say(&["backup", &backup]);
    assert!(none.code == 1 && none.err.contains("there is no relay in it"), "{none:?}");
    desk.say(&["init"]);
    // Without a relay that runs.
    assert_eq!(desk.say(&["backup", &backup]).code, 0);
    let whole = fs::read(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = desk.say(&["backup", &backup]);
    assert!(again.code == 1 && again.err.contains("a file of that name"), "{again:?}");
    assert_eq!(fs::read(&backup).unwrap(), whole);

    fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    let mut other = whole.clone();
    other[30] ^= 1;
    fs::write(&bent, other).unwrap();
    for (file, why) in [(&cut, "damaged"), (&bent, "damaged"), (&at("none"), "No such file")] {
        let said = desk.say(&["restore", file, "--data", &at("fresh")]);
        assert!(said.code == 1 && said.err.contains(why), "{said:?}");
        assert!(!desk.path("fresh").exists());
    }
    // Not over a store, not into another relay's folder, not under one that runs.
    let there = desk.say(&["restore", &backup]);
    assert!(there.code == 1 && there.err.contains("has a store already"), "{there:?}");
    desk.say(&["init", "--data", &at("another")]);
    let another = desk.say(&["restore", &backup, "--data", &at("another")]);
    assert!(another.code == 1 && another.err.contains("another relay's"), "{another:?}");
    let _server = desk.start();
    let under = desk.say(&["restore", &backup]);
    assert!(under.code == 1 && under.err.contains("another relay uses"), "{under:?}");
}

// Root backs up and brings back, and the relay's user still owns what is its. Seen to fail with the work done as root.
#[test]
#[cfg(target_os = "linux")]
fn what_root_makes_in_the_folder_of_another_user_is_that_users() {
    use std::os::unix::fs::{MetadataExt as _, chown};

    const USER: u32 = 65_534;
    let desk = Desk::new("");
    fs::set_permissions(desk.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(desk.say(&["init"]).code, 0);
    let (backup, second) = (desk.path("backup"), desk.path("second"));
    fs::create_dir(&second).unwrap();
    if chown(&second, Some(USER), Some(USER)).is_err() {
        return;
    }
    for (path, _) in listing(&desk.data()).into_iter().chain([(desk.data(), 0)]) {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
    let said = desk.say(&["backup", backup.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = desk.say(&["restore", backup.to_str().unwrap(), "--data", second.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    for folder in [desk.data(), second] {
        let made = listing(&folder);
        assert!(made.len() > 3, "{made:?}");
        for (path, _) in made {
            assert_eq!(fs::metadata(&path).unwrap().uid(), USER, "{}", path.display());
        }
    }
}
