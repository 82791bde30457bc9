//! Who may say what: the relay's proof, the owner's, roles, and bytes that are no frame.

use super::*;

// Tests [verify-relay-first]. Seen to fail with `push` encoding whether verified or not.
#[test]
fn nothing_leaves_before_the_relay_has_proved_itself() {
    let relay = Relay::new();
    let mut sender = relay.sender();
    sender.deposit(NOW, deposit(1));
    assert_eq!(sender.poll(), None);
    let mut owner = relay.owner(2);
    owner.create(NOW);
    assert_eq!(owner.poll(), None);
    // A relay with another identity, and one on another connection.
    let impostors = [
        RelayConnection::new(identity(8), BINDING, NOW),
        RelayConnection::new(Arc::clone(&relay.identity), ChannelBinding([8; 32]), NOW),
    ];
    for mut impostor in impostors {
        let Some(relay::Output::Send(proof)) = impostor.poll() else { panic!() };
        let mut owner = relay.owner(2);
        owner.create(NOW);
        let refused = owner.handle(NOW, Input::Bytes(&proof));
        assert!(matches!(refused, Err(ConnectionError::Relay(_))), "{refused:?}");
        assert_eq!(owner.poll(), None);
        assert_eq!(owner.handle(NOW, Input::Tick), refused);
    }
}

// Tests [auth-is-bound]. Seen to fail with the binding, and with the relay id, left out of what is signed.
#[test]
fn a_proof_is_good_on_its_own_connection_and_relay_only() {
    let mut relay = Relay::new();
    let id = relay.identity.descriptor.relay_id();
    let other = identity(8).descriptor.relay_id();
    let cases = [
        (Auth::sign(&key(2), &BINDING, &id), None),
        (Auth::sign(&key(2), &ChannelBinding([1; 32]), &id), Some(GoAwayReason::NotAuthentic)),
        (Auth::sign(&key(2), &BINDING, &other), Some(GoAwayReason::NotAuthentic)),
    ];
    for (auth, closed) in cases {
        let mut raw = Raw::says(&[
            request(1, Request::Auth(auth)),
            request(2, Request::Create { token: None }),
        ]);
        let mut served = relay.connection();
        assert_eq!(relay.run(NOW, &mut served, &mut raw).unwrap().closed, closed);
    }
    assert_eq!(relay.asked.len(), 1, "only the good proof reached the store");
}

// Tests [one-role]. Seen to fail with the arms for the other role answering instead of closing.
#[test]
fn a_connection_has_one_role() {
    let mut relay = Relay::new();
    let auth = || {
        let id = relay.identity.descriptor.relay_id();
        request(1, Request::Auth(Auth::sign(&key(2), &BINDING, &id)))
    };
    let owner_says = |it| vec![auth(), request(2, it)];
    let cases = [
        owner_says(Request::Deposit(deposit(1))),
        owner_says(Request::Probe(capability())),
        owner_says(Request::Fetch(Fetch { knock: capability(), id: FetchId([1; 16]) })),
        vec![auth(), auth()],
        vec![request(1, Request::Create { token: None })],
        vec![request(1, Request::Subscribe { after: 0 })],
        vec![FromClient::Ack(vec![1])],
        vec![request(1, Request::Probe(capability())), auth()],
        vec![request(1, Request::Probe(capability())), FromClient::Ack(vec![1])],
    ];
    for case in cases {
        let mut served = relay.connection();
        let ran = relay.run(NOW, &mut served, &mut Raw::says(&case)).unwrap();
        assert_eq!(ran.closed, Some(GoAwayReason::WrongRole), "{case:?}");
    }
    let touched = |it: &StoreRequest| !matches!(it, StoreRequest::Probe { .. });
    assert!(!relay.asked.iter().any(touched));
}

// Tests [reserved-refused].
#[test]
fn what_is_reserved_is_refused_by_name() {
    let mut relay = Relay::new();
    for reserved in
        [Reserved::Log, Reserved::Blob, Reserved::Forward, Reserved::Wake, Reserved::Token]
    {
        let mut served = relay.connection();
        let frame = request(4, Request::Reserved(reserved)).encode();
        assert!(matches!(served.poll(), Some(relay::Output::Send(_))));
        served.handle(NOW, relay::Input::Bytes(&frame));
        let Some(relay::Output::Send(answer)) = served.poll() else { panic!() };
        let answer = FromRelay::decode(&answer.slice(4..)).unwrap();
        let expected = chopmark_wire::relay::Answer::Refused(Refusal::Unsupported);
        assert_eq!(answer, FromRelay::Answer { id: RequestId::new(4).unwrap(), answer: expected });
    }
    assert!(relay.asked.is_empty());
    let _ = &mut relay;
}

#[test]
fn broken_bytes_close_the_connection_and_ask_nothing() {
    let mut relay = Relay::new();
    let good = request(1, Request::Deposit(deposit(1))).encode();
    for at in 0..good.len().min(64) {
        let mut broken = good.to_vec();
        broken[at] ^= 0xff;
        let mut served = relay.connection();
        let mut raw = Raw(vec![Bytes::from(broken)]);
        // Whatever it is, it is an answer, a close, or a wait for more: no panic.
        let _ = relay.run(NOW, &mut served, &mut raw);
    }
    let mut short = deposit(1);
    short.envelope = Bytes::from(vec![0; 2047]);
    let mut served = relay.connection();
    let mut raw = Raw::says(&[request(1, Request::Deposit(short))]);
    // Tests [deposit-is-a-bucket].
    assert_eq!(
        relay.run(NOW, &mut served, &mut raw).unwrap().closed,
        Some(GoAwayReason::BrokenFrame)
    );
}
