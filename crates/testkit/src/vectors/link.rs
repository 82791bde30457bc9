//! Contact links. SPEC §2.7.

use chopmark_core::{hazmat::derivation, link::LinkSecret};
use chopmark_wire::{
    address::RelayAddress,
    link::{ContactLink, LinkError, LinkUse},
};

use super::{Outcome, Outputs, Vector, drawn};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const RELAY: &str = "relay.example.org:4433";

pub(super) fn cases() -> Vec<Vector> {
    let new = |name: &str, comment: &str, expect: &str, operation: &str| {
        Vector::new(name, comment, expect).with("operation", operation)
    };
    let children = |name: &str, comment: &str, secret: [u8; 16]| {
        new(name, comment, "ok", "children").with_bytes("link secret", &secret)
    };
    let encode = |name: &str, comment: &str, flags: u8, relay: &str| {
        new(&format!("encode-{name}"), comment, "ok", "encode")
            .with("flags", flags)
            .with_bytes("account id", &drawn::<32>("account A"))
            .with_bytes("relay hash", &drawn::<16>("link: relay hash"))
            .with_bytes("link secret", &drawn::<16>("link: secret"))
            .with("relay", relay)
    };
    let mut cases = vec![
        children("children", "What follows from a link secret.", drawn("link: secret")),
        children("children-of-zeros", "From zeros.", [0; 16]),
        encode("one-time", "A one-time link.", 1, RELAY),
        encode("reusable", "A reusable link.", 0, RELAY),
        encode("ipv4", "A relay by IPv4 address.", 1, "192.0.2.7:443"),
        encode("ipv6", "A relay by IPv6 address.", 1, "[2001:db8::7]:65535"),
    ];
    cases.extend(read_cases());
    cases
}

fn read_cases() -> Vec<Vector> {
    let case = |name: &str, comment: &str, expect: &str, text: &str| {
        let case = Vector::new(format!("read-{name}"), comment, expect);
        case.with("operation", "read").with("text", text)
    };
    let link = |flags: u8, relay: &str| {
        let mut bytes = vec![1, flags];
        bytes.extend(drawn::<32>("account A"));
        bytes.extend(drawn::<16>("link: relay hash"));
        bytes.extend(drawn::<16>("link: secret"));
        bytes.push(u8::try_from(relay.len()).expect("a short name"));
        bytes.extend(relay.bytes());
        bytes
    };
    let text = |bytes: &[u8]| format!("chop:{}", base64url(bytes));
    let good = link(1, RELAY);
    let read = ContactLink::decode(&good).expect("a link");
    let (copied, code) = (read.to_string(), read.to_qr_text());
    let mut version_2 = good.clone();
    version_2[0] = 2;
    let code_of = |first: &str| format!("CHOP:{first}{}", &code["CHOP:AE".len()..]);
    // The first ten bits: a version, and the first two bits of the flags.
    let (code_2, code_64) = (code_of("AI"), code_of("AF"));
    let (malformed, unknown) = ("malformed", "unknown version");
    let cut = &good[..good.len() - 1];
    let relay = |relay: &str| text(&link(1, relay));
    vec![
        case("copied", "The text to copy.", "ok", &copied),
        case("code", "The text of a QR code.", "ok", &code),
        case(
            "scheme-in-capitals",
            "The scheme in capitals.",
            "ok",
            &copied.replacen("chop:", "CHOP:", 1),
        ),
        case("code-in-small-letters", "Base32 in small letters.", "ok", &code.to_lowercase()),
        case("other-scheme", "Another scheme.", malformed, &copied.replacen("chop:", "chip:", 1)),
        case("padded", "Padding behind base64url.", malformed, &format!("{copied}=")),
        case(
            "alphabet",
            "A character of the other base64.",
            malformed,
            &format!("{}+{}", &copied[..20], &copied[21..]),
        ),
        case("cut", "A byte is missing.", malformed, &text(cut)),
        case("cut-to-nothing", "No byte.", malformed, "chop:"),
        case("left-over", "A byte is left over.", malformed, &text(&[&good[..], &[0]].concat())),
        case(
            "unused-bits",
            "The last character has bits that no byte has.",
            malformed,
            &with_unused_bits(&good),
        ),
        case(
            "capital-host",
            "The relay's name in capitals.",
            malformed,
            &relay("Relay.example.org:4433"),
        ),
        case(
            "port-with-zero",
            "A port with a leading zero.",
            malformed,
            &relay("relay.example.org:04433"),
        ),
        case("port-zero", "Port 0.", malformed, &relay("relay.example.org:0")),
        case("port-too-high", "Port 65536.", malformed, &relay("relay.example.org:65536")),
        case("no-port", "No port.", malformed, &relay("relay.example.org")),
        case("no-host", "No name.", malformed, &relay(":4433")),
        case("ipv4", "An IPv4 address.", "ok", &relay("192.0.2.7:4433")),
        case("ipv4-with-zero", "A leading zero in it.", malformed, &relay("192.0.2.07:4433")),
        case("ipv4-short", "Three numbers of it.", malformed, &relay("192.0.2:4433")),
        case("ipv6", "An IPv6 address.", "ok", &relay("[2001:db8::7]:4433")),
        case("ipv6-long", "All its groups.", malformed, &relay("[2001:db8:0:0:0:0:0:7]:4433")),
        case("ipv6-with-zero", "A leading zero in it.", malformed, &relay("[2001:0db8::7]:4433")),
        case("ipv6-capital", "In capitals.", malformed, &relay("[2001:DB8::7]:4433")),
        case("version-2", "Of version 2.", unknown, &text(&version_2)),
        case("code-version-2", "Of version 2, in base32: it begins with AI.", unknown, &code_2),
        case("code-version-2-longer", "A longer one.", unknown, &format!("{code_2}AAAAAAAA")),
        case("code-flags-64", "Flags of a later version, in base32.", unknown, &code_64),
        case("flags-2", "Flags of a later version.", unknown, &text(&link(2, RELAY))),
    ]
}

/// The text of a link, its last character with a bit that no byte has.
fn with_unused_bits(link: &[u8]) -> String {
    assert_ne!(link.len() % 3, 0, "bits are left over");
    let mut text = format!("chop:{}", base64url(link));
    let last = text.pop().expect("a character");
    let at = ALPHABET.iter().position(|letter| char::from(*letter) == last).expect("of these");
    text.push(char::from(ALPHABET[at + 1]));
    text
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let outputs = Outputs::new();
    match vector.operation() {
        "children" => {
            let secret = LinkSecret::from_bytes(&vector.array("link secret"));
            Ok(outputs
                .with_bytes("knock capability", secret.knock_capability().expose())
                .with_bytes("bundle key", &derivation::bundle_key(&secret)))
        }
        "encode" => {
            let relay = vector.text("relay");
            let relay = RelayAddress::from_host_port(relay, vector.array("relay hash"));
            let uses =
                if vector.text("flags") == "1" { LinkUse::OneTime } else { LinkUse::Reusable };
            let (account, secret) = (vector.array("account id"), vector.array("link secret"));
            let relay = relay.map_err(|_| "malformed")?;
            let link = ContactLink::new(uses, account, relay, secret);
            Ok(outputs
                .with_bytes("link", &link.encode())
                .with("text to copy", &link)
                .with("text for a QR code", link.to_qr_text()))
        }
        "read" => {
            let link: ContactLink = vector.text("text").parse().map_err(|error| match error {
                LinkError::Version(_) | LinkError::Flags => "unknown version",
                _ => "malformed",
            })?;
            let flags = u8::from(link.uses() == LinkUse::OneTime);
            Ok(outputs
                .with("flags", flags)
                .with_bytes("account id", link.account_id())
                .with_bytes("relay hash", link.relay().hash())
                .with_bytes("link secret", link.expose_secret())
                .with("relay", link.relay().host_port()))
        }
        other => panic!("{}: operation {other}", vector.name),
    }
}
