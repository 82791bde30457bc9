//! The NUT vectors, and every way found so far to make a lock look open.

use cashu::{PublicKey, SecretKey};
use proptest::prelude::*;

use super::*;

const LOCK: &str = "[\"P2PK\",{\"nonce\":\"859d4935c4907062a6297cf4e663e2835d90d97ecdd510745d32f6816323a41f\",\"data\":\"0249098aa8b9d2fbec49ff8598feb17b592b986e62319a4fa488a3dc36387157a7\",\"tags\":[[\"sigflag\",\"SIG_INPUTS\"]]}]";
const LOCK_WITNESS: &str = "{\"signatures\":[\"60f3c9b766770b46caac1d27e1ae6b77c8866ebaeba0b9489fe6a15a837eaa6fcd6eaa825499c72ac342983983fd3ba3a8a41f56677cc99ffd73da68b59e1383\"]}";
const WRONG_WITNESS: &str = "{\"signatures\":[\"3426df9730d365a9d18d79bed2f3e78e9172d7107c55306ac5ddd1b2d065893366cfa24ff3c874ebf1fc22360ba5888ddf6ff5dbcb9e5f2f5a1368f7afc64f15\"]}";
const MULTI: &str = "[\"P2PK\",{\"nonce\":\"0ed3fcb22c649dd7bbbdcca36e0c52d4f0187dd3b6a19efcc2bfbebb5f85b2a1\",\"data\":\"0249098aa8b9d2fbec49ff8598feb17b592b986e62319a4fa488a3dc36387157a7\",\"tags\":[[\"pubkeys\",\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\",\"02142715675faf8da1ecc4d51e0b9e539fa0d52fdd96ed60dbe99adb15d6b05ad9\"],[\"n_sigs\",\"2\"],[\"sigflag\",\"SIG_INPUTS\"]]}]";
const MULTI_WITNESS: &str = "{\"signatures\":[\"83564aca48c668f50d022a426ce0ed19d3a9bdcffeeaee0dc1e7ea7e98e9eff1840fcc821724f623468c94f72a8b0a7280fa9ef5a54a1b130ef3055217f467b3\",\"9a72ca2d4d5075be5b511ee48dbc5e45f259bcf4a4e8bf18587f433098a9cd61ff9737dc6e8022de57c76560214c4568377792d4c2c6432886cc7050487a1f22\"]}";
const MULTI_ONE: &str = "{\"signatures\":[\"83564aca48c668f50d022a426ce0ed19d3a9bdcffeeaee0dc1e7ea7e98e9eff1840fcc821724f623468c94f72a8b0a7280fa9ef5a54a1b130ef3055217f467b3\"]}";
const REFUND: &str = "[\"P2PK\",{\"nonce\":\"902685f492ef3bb2ca35a47ddbba484a3365d143b9776d453947dcbf1ddf9689\",\"data\":\"026f6a2b1d709dbca78124a9f30a742985f7eddd894e72f637f7085bf69b997b9a\",\"tags\":[[\"pubkeys\",\"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\",\"03142715675faf8da1ecc4d51e0b9e539fa0d52fdd96ed60dbe99adb15d6b05ad9\"],[\"locktime\",\"21\"],[\"n_sigs\",\"2\"],[\"refund\",\"026f6a2b1d709dbca78124a9f30a742985f7eddd894e72f637f7085bf69b997b9a\"],[\"sigflag\",\"SIG_INPUTS\"]]}]";
const REFUND_WITNESS: &str = "{\"signatures\":[\"710507b4bc202355c91ea3c147c0d0189c75e179d995e566336afd759cb342bcad9a593345f559d9b9e108ac2c9b5bd9f0b4b6a295028a98606a0a2e95eb54f7\"]}";

fn secs(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn input<'a>(secret: &'a str, witness: Option<&'a str>) -> Input<'a> {
    Input { secret: secret.as_bytes(), signature: [2; 33], witness }
}

fn spend(secret: &str, witness: Option<&str>, now: u64) -> Result<(), Unspendable> {
    check(&[input(secret, witness)], &[], Purpose::Swap, secs(now))
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_slice(&[byte; 32]).unwrap()
}

fn hex_of(key: &SecretKey) -> String {
    key.public_key().to_hex()
}

fn sign(keys: &[&SecretKey], message: &[u8]) -> String {
    let signatures: Vec<_> =
        keys.iter().map(|key| format!("\"{}\"", key.sign(message).unwrap())).collect();
    format!("{{\"signatures\":[{}]}}", signatures.join(","))
}

#[test]
fn the_vectors_of_nut_11_hold() {
    assert_eq!(spend(LOCK, Some(LOCK_WITNESS), 0), Ok(()));
    let too_few = |found, needed| Err(Unspendable::TooFewSignatures { found, needed });
    assert_eq!(spend(LOCK, Some(WRONG_WITNESS), 0), too_few(0, 1));
    assert_eq!(spend(LOCK, None, 0), Err(Unspendable::WitnessMissing));
    assert_eq!(spend(MULTI, Some(MULTI_WITNESS), 0), Ok(()));
    assert_eq!(spend(MULTI, Some(MULTI_ONE), 0), too_few(1, 2));
    assert_eq!(spend(REFUND, Some(REFUND_WITNESS), 22), Ok(()));
}

#[test]
fn a_refund_waits_for_the_locktime() {
    let too_few = Err(Unspendable::TooFewSignatures { found: 1, needed: 2 });
    assert_eq!(spend(REFUND, Some(REFUND_WITNESS), 20), too_few);
    assert_eq!(spend(REFUND, Some(REFUND_WITNESS), 21), too_few);
}

// Tests [no-witness-on-plain-secret]. Seen to fail with the first arm of `check_each` removed.
#[test]
fn a_plain_secret_needs_and_takes_no_witness() {
    let plain = "9a1f293253e41e9a1f293253e41e9a1f293253e41e9a1f293253e41e00000000";
    assert_eq!(spend(plain, None, 0), Ok(()));
    assert_eq!(spend(plain, Some(LOCK_WITNESS), 0), Err(Unspendable::WitnessOnPlainSecret));
    assert_eq!(spend(plain, Some(""), 0), Err(Unspendable::WitnessOnPlainSecret));
}

// Tests [malformed-is-unspendable]. Seen to fail with a condition that does not parse taken for a plain secret.
#[test]
fn what_looks_like_a_lock_and_is_none_is_never_spendable() {
    let (a, b) = (hex_of(&key(1)), hex_of(&key(2)));
    let p2pk = |rest: &str| format!("[\"P2PK\",{{{rest}}}]");
    let tags = |tags: &str| p2pk(&format!("\"nonce\":\"x\",\"data\":\"{a}\",\"tags\":[{tags}]"));
    // The same key under the other parity is the same signer.
    let twin = format!("0{}{}", if a.starts_with("02") { 3 } else { 2 }, &a[2..]);
    let cases = [
        ("[".to_owned(), Malformed::Shape),
        ("[]".to_owned(), Malformed::Shape),
        (" \n[1]".to_owned(), Malformed::Shape),
        (format!("\u{feff}{LOCK}"), Malformed::Shape),
        (format!("{LOCK} x"), Malformed::Shape),
        // Seen to fail with `Fields` read without `Object`: serde takes an array for a struct.
        (format!("[\"P2PK\",[\"x\",\"{a}\",[]]]"), Malformed::Shape),
        (format!("[\"P2PK\",{{\"nonce\":\"x\",\"data\":\"{a}\"}},1]"), Malformed::Shape),
        (p2pk(&format!("\"data\":\"{a}\"")), Malformed::Shape),
        (p2pk("\"nonce\":\"x\""), Malformed::Shape),
        (p2pk(&format!("\"nonce\":\"x\",\"nonce\":\"y\",\"data\":\"{a}\"")), Malformed::Shape),
        (p2pk(&format!("\"nonce\":\"x\",\"data\":\"{a}\",\"data\":\"{b}\"")), Malformed::Shape),
        (p2pk(&format!("\"nonce\":\"x\",\"data\":\"{a}\",\"tags\":null")), Malformed::Shape),
        (
            p2pk(&format!("\"nonce\":\"x\",\"data\":\"{a}\",\"tags\":[],\"tags\":[]")),
            Malformed::Shape,
        ),
        (p2pk(&format!("\"nonce\":\"x\",\"data\":\"{a}\",\"more\":1")), Malformed::Shape),
        (p2pk(&format!("\"nonce\":\"\",\"data\":\"{a}\"")), Malformed::Nonce),
        (format!("[\"p2pk\",{{\"nonce\":\"x\",\"data\":\"{a}\"}}]"), Malformed::UnknownKind),
        (format!("[\"DLC\",{{\"nonce\":\"x\",\"data\":\"{a}\"}}]"), Malformed::UnknownKind),
        (p2pk("\"nonce\":\"x\",\"data\":\"02ff\""), Malformed::Key),
        (p2pk(&format!("\"nonce\":\"x\",\"data\":\"{}\"", "04".repeat(33))), Malformed::Key),
        (tags("[]"), Malformed::Tag),
        (tags("[\"n_sigs\"]"), Malformed::Tag),
        (tags("[\"n_sigs\",\"1\",\"1\"]"), Malformed::Tag),
        (tags("[\"n_sigs\",\"1\"],[\"n_sigs\",\"1\"]"), Malformed::Tag),
        (tags("[\"locktime\",\"1\"],[\"locktime\",\"2\"]"), Malformed::Tag),
        (tags("[\"note\",\"1\"],[\"note\",\"2\"]"), Malformed::Tag),
        (tags("[\"pubkeys\"]"), Malformed::Tag),
        (tags("[\"n_sigs\",\"0\"]"), Malformed::Number),
        (tags("[\"n_sigs\",\"2\"]"), Malformed::Number),
        (tags("[\"n_sigs\",\"-1\"]"), Malformed::Number),
        (tags("[\"n_sigs\",\"+1\"]"), Malformed::Number),
        (tags("[\"n_sigs\",\"01\"]"), Malformed::Number),
        (tags("[\"n_sigs\",\"\"]"), Malformed::Number),
        (tags("[\"locktime\",\"1e3\"]"), Malformed::Number),
        (tags("[\"locktime\",\"99999999999999999999\"]"), Malformed::Number),
        (tags(&format!("[\"refund\",\"{b}\"],[\"n_sigs_refund\",\"0\"]")), Malformed::Number),
        (tags(&format!("[\"refund\",\"{b}\"],[\"n_sigs_refund\",\"2\"]")), Malformed::Number),
        (tags("[\"n_sigs_refund\",\"1\"]"), Malformed::Number),
        (tags("[\"pubkeys\",\"zz\"]"), Malformed::Key),
        (tags(&format!("[\"pubkeys\",\"{a}\"]")), Malformed::Key),
        (tags(&format!("[\"pubkeys\",\"{twin}\"]")), Malformed::Key),
        (tags(&format!("[\"refund\",\"{b}\",\"{b}\"]")), Malformed::Key),
        (tags("[\"sigflag\",\"SIG_NONE\"]"), Malformed::SigFlag),
        ("[\"HTLC\",{\"nonce\":\"x\",\"data\":\"00\"}]".to_owned(), Malformed::Hash),
    ];
    for (secret, why) in cases {
        // Even the right key cannot open it.
        let witness = sign(&[&key(1), &key(2)], secret.as_bytes());
        for witness in [None, Some(witness.as_str())] {
            for now in [0, u64::MAX / 1000] {
                assert_eq!(spend(&secret, witness, now), Err(why.into()), "{secret}");
            }
        }
    }
}

#[test]
fn a_malformed_witness_opens_nothing() {
    let signature = key(1).sign(b"x").unwrap().to_string();
    for witness in [
        "",
        "{}",
        "[]",
        "null",
        "{\"signatures\":null}",
        "{\"signatures\":[1]}",
        "{\"signatures\":[\"00\"]}",
        "{\"signatures\":[],\"signatures\":[]}",
        "{\"signatures\":[],\"more\":1}",
        // Seen to fail with `P2pk` read without `Object`.
        &LOCK_WITNESS.replace("{\"signatures\":", "[").replace('}', "]"),
        &format!("{{\"signatures\":[\"{signature}\",\"{signature}\"]}}"),
        &format!("{{\"signatures\":[\"{signature}\",\"{}\"]}}", signature.to_uppercase()),
    ] {
        assert_eq!(spend(LOCK, Some(witness), 0), Err(Unspendable::WitnessMalformed), "{witness}");
    }
}

#[test]
fn two_signatures_of_one_key_count_once() {
    let (a, b) = (hex_of(&key(1)), hex_of(&key(2)));
    let secret = format!(
        "[\"P2PK\",{{\"nonce\":\"x\",\"data\":\"{a}\",\"tags\":[[\"pubkeys\",\"{b}\"],[\"n_sigs\",\"2\"]]}}]"
    );
    // Two different signatures of one key over one message: the aux randomness differs.
    let twice = sign(&[&key(1), &key(1)], secret.as_bytes());
    let few = Err(Unspendable::TooFewSignatures { found: 1, needed: 2 });
    assert_eq!(spend(&secret, Some(&twice), 0), few);
    assert_eq!(spend(&secret, Some(&sign(&[&key(1), &key(2)], secret.as_bytes())), 0), Ok(()));
}

#[test]
fn after_the_locktime_either_side_may_spend_and_without_refund_keys_anyone() {
    let (a, b) = (hex_of(&key(1)), hex_of(&key(2)));
    let lock =
        |tags: &str| format!("[\"P2PK\",{{\"nonce\":\"x\",\"data\":\"{a}\",\"tags\":[{tags}]}}]");
    let refundable = lock(&format!("[\"locktime\",\"100\"],[\"refund\",\"{b}\"]"));
    for (signer, early, late) in [(1, true, true), (2, false, true), (3, false, false)] {
        let witness = sign(&[&key(signer)], refundable.as_bytes());
        assert_eq!(spend(&refundable, Some(&witness), 100).is_ok(), early);
        assert_eq!(spend(&refundable, Some(&witness), 101).is_ok(), late);
    }
    let free = lock("[\"locktime\",\"100\"]");
    assert_eq!(spend(&free, None, 100), Err(Unspendable::WitnessMissing));
    assert_eq!(spend(&free, None, 101), Ok(()));
}

#[test]
fn a_hash_lock_wants_its_preimage_and_its_key() {
    let hash = crate::hex::encode(&crate::hash::sha256(&[7; 32]));
    let a = hex_of(&key(1));
    let secret = format!(
        "[\"HTLC\",{{\"nonce\":\"x\",\"data\":\"{hash}\",\"tags\":[[\"pubkeys\",\"{a}\"]]}}]"
    );
    let signature = key(1).sign(secret.as_bytes()).unwrap();
    let witness = |preimage: &[u8]| {
        format!(
            "{{\"preimage\":\"{}\",\"signatures\":[\"{signature}\"]}}",
            crate::hex::encode(preimage)
        )
    };
    assert_eq!(spend(&secret, Some(&witness(&[7; 32])), 0), Ok(()));
    assert_eq!(spend(&secret, Some(&witness(&[8; 32])), 0), Err(Unspendable::WrongPreimage));
    assert_eq!(spend(&secret, Some(&witness(&[7; 31])), 0), Err(Unspendable::WitnessMalformed));
    let unsigned = format!("{{\"preimage\":\"{}\"}}", "07".repeat(32));
    assert_eq!(spend(&secret, Some(&unsigned), 0), Err(Unspendable::WitnessMissing));
}

// Tests [sig-all-covers-everything]. Seen to fail with `everything` leaving the outputs out.
#[test]
fn a_signature_over_all_covers_every_output() {
    let a = hex_of(&key(1));
    let lock = |nonce: &str, flag: &str| {
        format!(
            "[\"P2PK\",{{\"nonce\":\"{nonce}\",\"data\":\"{a}\",\"tags\":[[\"sigflag\",\"{flag}\"]]}}]"
        )
    };
    let (one, two) = (lock("x", "SIG_ALL"), lock("y", "SIG_ALL"));
    let output = |byte: u8| Output { amount: 4, blinded: [byte; 33] };
    let unsigned = [input(&one, None), input(&two, None)];
    let message = everything(&unsigned, &[output(2)], Purpose::Swap);
    let witness = sign(&[&key(1)], &message);
    let signed = [input(&one, Some(&witness)), input(&two, None)];
    let now = secs(0);
    assert_eq!(check(&signed, &[output(2)], Purpose::Swap, now), Ok(()));
    assert!(check(&signed, &[output(3)], Purpose::Swap, now).is_err());
    assert!(check(&signed, &[], Purpose::Swap, now).is_err());
    assert!(check(&signed, &[output(2)], Purpose::Melt { quote: "q" }, now).is_err());
    let mixed = lock("z", "SIG_INPUTS");
    let mixed = [input(&one, Some(&witness)), input(&mixed, None)];
    assert_eq!(check(&mixed, &[output(2)], Purpose::Swap, now), Err(Unspendable::MixedConditions));
    let plain = [input("plain", None), input(&one, Some(&witness))];
    assert_eq!(check(&plain, &[output(2)], Purpose::Swap, now), Err(Unspendable::MixedConditions));
}

#[test]
fn an_input_is_there_once() {
    let inputs = [input("plain", None), input("plain", None)];
    assert_eq!(check(&inputs, &[], Purpose::Swap, secs(0)), Err(Unspendable::Duplicate));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(secret: Vec<u8>, witness: Option<String>, now: u64) {
        let input = Input { secret: &secret, signature: [0; 33], witness: witness.as_deref() };
        let _ = check(&[input], &[], Purpose::Swap, Timestamp(now));
    }

    // A mutated lock is never open: it needs a witness that nobody has.
    #[test]
    fn a_mutated_lock_stays_shut(position in 1_usize..200, byte: u8) {
        let mut secret = LOCK.as_bytes().to_vec();
        let position = position % secret.len();
        secret[position] = byte;
        prop_assume!(position != 0 && secret != LOCK.as_bytes());
        let input = Input { secret: &secret, signature: [0; 33], witness: Some(LOCK_WITNESS) };
        prop_assert!(check(&[input], &[], Purpose::Swap, secs(0)).is_err());
    }

    // What `cashu` makes is what we accept: the two agree on well-formed locks.
    #[test]
    fn a_lock_that_cashu_builds_is_well_formed(
        locktime in proptest::option::of(1_u64..u64::MAX / 1000),
        signers in 1_usize..5,
        refund in any::<bool>(),
    ) {
        let keys: Vec<PublicKey> = (2..=10).map(|byte| key(byte).public_key()).collect();
        let conditions = cashu::Conditions {
            locktime,
            pubkeys: Some(keys[..4].to_vec()),
            refund_keys: (refund && locktime.is_some()).then(|| keys[4..6].to_vec()),
            num_sigs: Some(signers as u64),
            sig_flag: cashu::SigFlag::SigInputs,
            num_sigs_refund: None,
        };
        let lock = cashu::SpendingConditions::new_p2pk(key(1).public_key(), Some(conditions));
        let secret: cashu::Nut10Secret = lock.try_into().unwrap();
        let secret: cashu::secret::Secret = secret.try_into().unwrap();
        let signing: Vec<SecretKey> = (1..=5).map(key).collect();
        for count in 0..=5 {
            let chosen: Vec<_> = signing.iter().take(count).collect();
            let witness = sign(&chosen, secret.as_bytes());
            let input =
                Input { secret: secret.as_bytes(), signature: [0; 33], witness: Some(&witness) };
            let spent = check(&[input], &[], Purpose::Swap, secs(0)).is_ok();
            prop_assert_eq!(spent, count >= signers);
        }
    }
}
