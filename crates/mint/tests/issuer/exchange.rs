//! Swaps, quotes, locks and restores by their rules.

use super::harness::{Blank, Node, blank, blanks, coins};
use cashu::{Proof, SecretKey, secret::Secret};
use serde_json::{Value, json};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn messages(outputs: &[Blank]) -> Vec<&cashu::BlindedMessage> {
    outputs.iter().map(|it| &it.message).collect()
}

#[test]
fn a_swap_gives_coins_that_can_be_swapped_again() {
    let folder = folder();
    let node = Node::start(folder.path());
    let keys = node.keys();
    let first = blanks(&keys, &[1024, 128, 64, 32, 2]);
    let (status, reply) = node.swap(&node.issue("12.50"), &first);
    assert_eq!(status, 200, "{reply}");
    let second = blanks(&keys, &[512, 512, 128, 64, 32, 2]);
    let (status, reply) = node.swap(&coins(&keys, &first, &reply), &second);
    assert_eq!(status, 200, "{reply}");
    let report = node.report();
    assert_eq!((&report["issued"], &report["outstanding"]), (&json!(1250), &json!(1250)));
}

// Tests [idempotent-replay] [outputs-once]
#[test]
fn the_same_swap_again_gets_the_same_signatures_and_issues_nothing() {
    let folder = folder();
    let node = Node::start(folder.path());
    let mut inputs = node.issue("0.07");
    let outputs = blanks(&node.keys(), &[4, 2, 1]);
    let (_, first) = node.swap(&inputs, &outputs);
    inputs.reverse();
    let (status, second) = node.swap(&inputs, &outputs);
    assert_eq!((status, &second), (200, &first), "the inputs are a set");

    let mut other = outputs.clone();
    other.reverse();
    let (status, refused) = node.swap(&inputs, &other);
    assert_eq!((status, &refused["code"]), (400, &json!(11001)), "the outputs are a list");
    let (_, refused) = node.swap(&inputs[..2], &outputs);
    assert_eq!(refused["code"], 11001, "a part of the inputs is another swap");
    let (_, refused) = node.swap(&node.issue("0.07"), &outputs);
    assert_eq!(refused["code"], 11003, "an output is signed once, for ever");
    assert_eq!(node.report()["outstanding"], 14);
}

#[test]
fn restore_finds_signed_outputs_by_their_point_alone() {
    let folder = folder();
    let node = Node::start(folder.path());
    let keys = node.keys();
    let outputs = blanks(&keys, &[2, 1]);
    let (_, reply) = node.swap(&node.issue("0.03"), &outputs);
    let mut asked = blanks(&keys, &[1]);
    asked.extend(outputs.into_iter().rev());
    // Which amount a wallet guesses does not matter.
    asked[1].message.amount = 64.into();
    let restored = node.restore(&asked);
    let signed = reply["signatures"].as_array().unwrap();
    assert_eq!(restored, [signed[1].clone(), signed[0].clone()]);
}

fn locked(key: &SecretKey, tags: Value) -> Secret {
    let nonce = Secret::generate().to_string();
    let body = json!({"nonce": nonce, "data": key.public_key().to_hex(), "tags": tags});
    Secret::new(json!(["P2PK", body]).to_string())
}

fn signed(proof: &Proof, key: &SecretKey) -> Value {
    let signature = key.sign(proof.secret.as_bytes()).unwrap().to_string();
    let mut input = json!(proof);
    input["witness"] = json!(json!({"signatures": [signature]}).to_string());
    input
}

// Tests [no-witness-on-plain-secret]
#[test]
fn a_locked_coin_is_spent_by_its_keys_only_and_the_witness_is_shown() {
    let folder = folder();
    let node = Node::start(folder.path());
    let keys = node.keys();
    let [payee, payer, thief] = [(); 3].map(|()| SecretKey::generate());
    let late = json!([["locktime", "1"], ["refund", payer.public_key().to_hex()]]);
    let early = json!([["locktime", "99999999999"], ["refund", payer.public_key().to_hex()]]);
    let outputs = [
        blank(&keys, 4, locked(&payee, early)),
        blank(&keys, 2, locked(&payee, late)),
        blank(&keys, 1, Secret::new("[\"P2PK\",{\"nonce\":\"0\"}]".to_owned())),
        blank(&keys, 8, Secret::generate()),
    ];
    let (status, reply) = node.swap(&node.issue("0.15"), &outputs);
    assert_eq!(status, 200, "{reply}");
    let proofs = coins(&keys, &outputs, &reply);

    let refused = |input: Value, amount: u64| {
        let outputs = blanks(&keys, &[amount]);
        let body = json!({"inputs": [input], "outputs": messages(&outputs)});
        let (status, reply) = node.post("/v1/swap", &body);
        assert_eq!((status, &reply["code"]), (400, &json!(10001)), "{reply}");
    };
    refused(json!(proofs[0]), 4);
    refused(signed(&proofs[0], &thief), 4);
    // Before the locktime the refund key opens nothing.
    refused(signed(&proofs[0], &payer), 4);
    refused(signed(&proofs[1], &thief), 2);
    // A malformed lock is nobody's coin, and a plain one takes no witness.
    refused(json!(proofs[2]), 1);
    refused(signed(&proofs[3], &payee), 8);
    assert!(node.states(&proofs).iter().all(|(state, _)| state == "UNSPENT"));

    for (proof, key, amount) in [(&proofs[0], &payee, 4), (&proofs[1], &payer, 2)] {
        let outputs = blanks(&keys, &[amount]);
        let input = signed(proof, key);
        let body = json!({"inputs": [input], "outputs": messages(&outputs)});
        let (status, reply) = node.post("/v1/swap", &body);
        assert_eq!(status, 200, "{reply}");
        let states = node.states(std::slice::from_ref(proof));
        assert_eq!(states, [("SPENT".to_owned(), input["witness"].clone())]);
        // SPEC §8.12 [idempotent-replay]: the same again succeeds, whatever its witness is by now.
        let again = json!({"inputs": [proof], "outputs": messages(&outputs)});
        assert_eq!(node.post("/v1/swap", &again), (200, reply));
    }
    node.report();
}

#[test]
fn a_mint_quote_is_minted_once_after_the_treasury_paid_it() {
    let folder = folder();
    let node = Node::start(folder.path());
    let keys = node.keys();
    let lock = SecretKey::generate();
    let (_, quote) = node.post(
        "/v1/mint/quote/treasury",
        &json!({"amount": 3, "unit": "chop", "pubkey": lock.public_key()}),
    );
    assert_eq!(quote["state"], "UNPAID");
    let id = quote["quote"].as_str().unwrap();
    let outputs = blanks(&keys, &[2, 1]);
    let mut request = cashu::MintRequest {
        quote: id.to_owned(),
        outputs: messages(&outputs).into_iter().cloned().collect(),
        signature: None,
    };
    let mint =
        |request: &cashu::MintRequest<String>| node.post("/v1/mint/treasury", &json!(request));
    assert_eq!(mint(&request).1["code"], 20008, "locked by NUT-20");
    request.sign(&lock).unwrap();
    assert_eq!(mint(&request).1["code"], 20001, "not paid");
    node.command(&["issue", "0.03", "--quote", id]);
    node.command(&["issue", "0.03", "--quote", id]);
    assert_eq!(node.report()["promised"], 3, "paid twice is paid once");
    assert_eq!(node.get(&format!("/v1/mint/quote/treasury/{id}")).1["state"], "PAID");
    let (status, first) = mint(&request);
    assert_eq!(status, 200, "{first}");
    assert_eq!(mint(&request), (200, first));
    request.outputs = blanks(&keys, &[2, 1]).into_iter().map(|it| it.message).collect();
    request.sign(&lock).unwrap();
    assert_eq!(mint(&request).1["code"], 20002);
    assert_eq!(node.get(&format!("/v1/mint/quote/treasury/{id}")).1["state"], "ISSUED");
    assert_eq!(node.report()["outstanding"], 3);
}

#[test]
fn a_melt_takes_coins_out_once_and_gives_no_change() {
    let folder = folder();
    let node = Node::start(folder.path());
    let ask = json!({"amount": 5, "unit": "chop", "request": "till 7"});
    let (_, quote) = node.post("/v1/melt/quote/treasury", &ask);
    let inputs = node.issue("0.05");
    let too_much = node.issue("0.07");
    let melt = |inputs: &[Proof]| {
        node.post("/v1/melt/treasury", &json!({"quote": quote["quote"], "inputs": inputs}))
    };
    assert_eq!(melt(&too_much).1["code"], 11005);
    let (status, paid) = melt(&inputs);
    assert_eq!((status, &paid["state"]), (200, &json!("PAID")), "{paid}");
    assert_eq!(melt(&inputs), (200, paid));
    let (_, again) = melt(&node.issue("0.05"));
    assert_eq!(again["code"], 20002, "a quote is redeemed once");
    let report = node.report();
    assert_eq!((&report["redeemed"], &report["outstanding"]), (&json!(5), &json!(12)));
}

// Tests [fee-ceiling]
#[test]
fn the_fee_is_the_ceiling_of_the_inputs_ppk_and_neither_more_nor_less() {
    let folder = folder();
    let data = folder.path().join("mint");
    let done = std::process::Command::new(super::harness::executable())
        .args(["init", "--fee-ppk", "500", "--unit", "point", "--exponent", "0", "--data"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(done.success());
    let node = Node::start(&data);
    let keys = node.keys();
    // Three inputs at 500 ppk cost two.
    let inputs = node.issue("7");
    for wrong in [&[4u64, 2, 1] as &[_], &[4, 2], &[4]] {
        assert_eq!(node.swap(&inputs, &blanks(&keys, wrong)).1["code"], 11005);
    }
    assert_eq!(node.swap(&inputs, &blanks(&keys, &[4, 1])).0, 200);
    assert_eq!(node.report()["fees"], 2);
}

#[test]
fn whatever_is_not_a_request_is_refused_in_words() {
    let folder = folder();
    let node = Node::start(folder.path());
    let address = &node.address;
    for path in
        ["swap", "mint/treasury", "mint/quote/treasury", "melt/treasury", "checkstate", "restore"]
    {
        for body in
            ["", "{", "[]", "null", "{\"inputs\":1}", "{\"inputs\":[{}],\"outputs\":[{}]}", "\u{0}"]
        {
            let (status, reply) =
                super::harness::ask(address, "POST", &format!("/v1/{path}"), body).unwrap();
            assert_eq!((status, &reply["code"]), (400, &json!(10000)), "{path} {body}");
        }
        let long = format!("{{\"x\":\"{}\"}}", "x".repeat(3 << 20));
        // The issuer may answer and close before all of it is sent.
        if let Ok((status, _)) = super::harness::ask(address, "POST", &format!("/v1/{path}"), &long)
        {
            assert_eq!(status, 413);
        }
    }
    assert_eq!(node.get("/v1/nothing").0, 404);
    assert_eq!(node.get("/v1/keys/00").1["code"], 12001);
    assert_eq!(node.post("/v1/mint/quote/bolt11", &json!({"amount": 1, "unit": "chop"})).0, 400);
    let other = json!({"amount": 1, "unit": "sat"});
    assert_eq!(node.post("/v1/mint/quote/treasury", &other).1["code"], 11013);
    node.report();
}

// Tests [issue-by-id]
#[test]
fn issuing_twice_under_one_id_gives_one_token_and_one_amount() {
    let folder = folder();
    let node = Node::start(folder.path());
    let first = node.command(&["issue", "100.00", "--id", "payroll 7"]);
    assert_eq!(node.command(&["issue", "100.00", "--id", "payroll 7"]), first);
    assert_eq!(node.report()["issued"], 10_000);
    let token: cashu::Token = first["token"].as_str().unwrap().parse().unwrap();
    assert_eq!(token.value().unwrap().to_u64(), 10_000);
    assert_ne!(node.command(&["issue", "100.00", "--id", "payroll 8"])["token"], first["token"]);
    // The same id for another amount is a mistake, and refused.
    let wrong = std::process::Command::new(super::harness::executable())
        .args(["issue", "99.00", "--id", "payroll 7", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
    assert_eq!(node.report()["issued"], 20_000);
}

// Tests [inactive-inputs-only] [deterministic-signatures]
#[test]
fn after_a_rotation_old_coins_are_swapped_into_the_new_keyset_and_old_answers_stand() {
    let folder = folder();
    let node = Node::start(folder.path());
    let (old, mut inputs) = (node.keys(), node.issue("0.07"));
    let outputs = blanks(&old, &[1]);
    let (_, before) = node.swap(&inputs.split_off(2), &blanks(&old, &[4]));
    assert!(before["signatures"].is_array(), "{before}");
    let one: Vec<_> = inputs.iter().filter(|it| it.amount.to_u64() == 1).cloned().collect();
    let (_, first) = node.swap(&one, &outputs);
    drop(node);
    let rotated = std::process::Command::new(super::harness::executable())
        .args(["rotate", "--fee-ppk", "1000", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(rotated.status.success());
    let node = Node::start(folder.path());
    let new = node.keys();
    assert_ne!(old.id, new.id);
    assert_eq!(node.swap(&one, &outputs), (200, first.clone()), "a replay outlives its keyset");
    assert_eq!(&node.restore(&outputs), first["signatures"].as_array().unwrap());
    let coin = coins(&old, &outputs, &first);
    assert_eq!(node.swap(&coin, &blanks(&old, &[1])).1["code"], 12002);
    // The fee is that of the inputs' keyset: none for the old, one for the new.
    let fresh = blanks(&new, &[1]);
    let (status, reply) = node.swap(&coin, &fresh);
    assert_eq!(status, 200, "{reply}");
    let two: Vec<_> = inputs.into_iter().filter(|it| it.amount.to_u64() == 2).collect();
    let more = blanks(&new, &[2]);
    let (_, replied) = node.swap(&two, &more);
    let all = [coins(&new, &fresh, &reply), coins(&new, &more, &replied)].concat();
    assert_eq!(node.swap(&all, &blanks(&new, &[1])).0, 200);
    let report = node.report();
    assert_eq!((&report["fees"], &report["outstanding"]), (&json!(2), &json!(5)));
}

#[test]
fn a_foreign_seed_or_a_raised_alarm_stops_the_start() {
    let folder = folder();
    drop(Node::start(folder.path()));
    let start = || {
        std::process::Command::new(super::harness::executable())
            .args(["run", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path())
            .output()
            .unwrap()
    };
    let refused = |word: &str| {
        let output = start();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && output.stdout.is_empty() && said.contains(word),
            "{said}"
        );
    };
    let seed = folder.path().join("seed");
    let good = std::fs::read(&seed).unwrap();
    std::fs::write(&seed, "11".repeat(32)).unwrap();
    refused("master seed");
    std::fs::write(&seed, good).unwrap();
    let alarm = folder.path().join("alarm");
    std::fs::write(&alarm, "").unwrap();
    refused("alarm");
    std::fs::remove_file(&alarm).unwrap();
    Node::start(folder.path()).report();
}
