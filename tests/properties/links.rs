//! Links and addresses: one meaning, one spelling a form.

use chopmark_core::link::{LinkSecret, Published};
use chopmark_wire::{
    address::RelayAddress,
    link::{ContactLink, LinkUse},
};
use proptest::prelude::*;

use super::{cases, rng};

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,12}(\\.[a-z0-9]{1,8}){0,3}",
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
        any::<[u8; 16]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
    ]
}

fn address() -> impl Strategy<Value = RelayAddress> {
    (host(), 1_u16.., any::<[u8; 16]>())
        .prop_filter_map("a host", |(host, port, hash)| RelayAddress::new(&host, port, hash).ok())
}

fn link() -> impl Strategy<Value = ContactLink> {
    (any::<bool>(), any::<[u8; 32]>(), address(), any::<[u8; 16]>()).prop_map(
        |(one_time, account, relay, secret)| {
            let uses = if one_time { LinkUse::OneTime } else { LinkUse::Reusable };
            ContactLink::new(uses, account, relay, secret)
        },
    )
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn an_address_reads_as_it_is_written(relay in address()) {
        prop_assert_eq!(relay.to_string().parse(), Ok(relay.clone()));
        let parts = RelayAddress::from_host_port(&relay.host_port(), *relay.hash());
        prop_assert_eq!(parts.as_ref(), Ok(&relay));
    }

    #[test]
    fn an_address_has_one_text(text in "(chop-relay:)?[a-zA-Z0-9.:+\\[\\]-]{1,30}#[0-9a-fA-F]{30,34}") {
        if let Ok(relay) = text.parse::<RelayAddress>() {
            prop_assert_eq!(relay.to_string(), text);
        }
    }

    #[test]
    fn both_texts_and_the_bytes_are_one_link(link in link()) {
        prop_assert_eq!(ContactLink::decode(&link.encode()), Ok(link.clone()));
        for text in [link.to_string(), link.to_qr_text(), link.to_qr_text().to_lowercase()] {
            prop_assert_eq!(text.parse(), Ok(link.clone()), "{}", text);
        }
    }

    // Tests [link-is-whole], [one-encoding].
    #[test]
    fn an_altered_link_is_refused_or_another_one(link in link(), at: prop::sample::Index, bit in 0..8) {
        let mut bytes = link.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(other) = ContactLink::decode(&bytes) {
            prop_assert!(other != link);
            prop_assert!(*other.encode() == bytes);
        }
    }

    // Tests [link-is-whole].
    #[test]
    fn a_link_that_is_cut_or_continued_is_refused(link in link(), cut: prop::sample::Index, more in "[A-Z2-7]{1,9}") {
        for text in [link.to_string(), link.to_qr_text()] {
            prop_assert!(text[..cut.index(text.len())].parse::<ContactLink>().is_err());
            let longer = format!("{text}{more}");
            prop_assert!(longer.parse::<ContactLink>().is_err());
        }
    }

    // Tests [published-pieces-are-sealed], [link-children-are-apart].
    #[test]
    fn a_published_piece_opens_under_its_link_and_kind_only(
        one: [u8; 16], other: [u8; 16], piece: Vec<u8>, seed: u64, at: prop::sample::Index, bit in 0..8
    ) {
        prop_assume!(one != other);
        let (secret, stranger) = (LinkSecret::from_bytes(&one), LinkSecret::from_bytes(&other));
        let kinds = [Published::SignedPart, Published::OneTimePrekey];
        let sealed = secret.bundle_key().seal_published(kinds[0], &piece, &mut rng(seed)).unwrap();
        let opened = secret.bundle_key().open_published(kinds[0], &sealed).ok();
        prop_assert_eq!(opened, Some(piece));
        prop_assert!(secret.bundle_key().open_published(kinds[1], &sealed).is_err());
        prop_assert!(stranger.bundle_key().open_published(kinds[0], &sealed).is_err());
        let mut altered = sealed.clone();
        altered[at.index(sealed.len())] ^= 1_u8 << bit;
        prop_assert!(secret.bundle_key().open_published(kinds[0], &altered).is_err());
        prop_assert!(secret.knock_capability().expose() != stranger.knock_capability().expose());
    }
}
