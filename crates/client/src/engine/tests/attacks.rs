//! Attacks on who said what: a relay that rewrites what stands beside an envelope, a contact who speaks for others.

use bytes::Bytes;
use chopmark_wire::content::{Content, Edit, Fallback, FallbackPolicy, Reaction};

use super::super::link::Holder;
use super::*;
use crate::event::Revision;

impl World {
    /// The conversation of `who` with this account, as the application sees it.
    fn conversation(&mut self, who: usize, with: &[u8; 32]) -> Vec<Message> {
        let rows: Vec<(u64, Message)> =
            self.turn(who, |turn| Ok(turn.tx.list(Log::Messages, Some(with), 0, 1000)?)).unwrap();
        rows.into_iter().map(|(_, message)| message).collect()
    }

    fn heard(&mut self, who: usize, from: &[u8; 32]) -> Vec<String> {
        let all = self.conversation(who, from).into_iter();
        all.filter(|message| message.direction == Direction::Received)
            .map(|message| message.text)
            .collect()
    }

    /// The handle under which this account's messages come to `who`.
    fn handle_of(&mut self, who: usize, contact: &[u8; 32]) -> [u8; 8] {
        let holders: Vec<(Vec<u8>, Holder)> =
            self.turn(who, |turn| Ok(turn.tx.every(Kind::Handle)?)).unwrap();
        let of = |holder: &Holder| matches!(holder, Holder::Contact(id) if **id == contact[..]);
        let (handle, _) = holders.into_iter().find(|(_, holder)| of(holder)).unwrap();
        handle.try_into().unwrap()
    }

    /// The envelope that user 0 writes to Bob next, taken out of the relay.
    fn intercepted(&mut self, text: &str) -> Vec<u8> {
        self.send(0, text);
        self.depart(0);
        self.relay.boxes[1].pop().unwrap().1
    }

    /// User 0 walks away and somebody new takes the seat, meets Bob, and is accepted.
    fn newcomer(&mut self, seed: u64) -> User {
        let now = self.now;
        let before = std::mem::replace(&mut self.users[0], User::new(seed, now));
        self.relay.boxes[0].clear();
        let link = self.turn(1, |turn| turn.make_link(LinkUse::OneTime)).unwrap();
        self.duties(1);
        self.turn(0, |turn| turn.add(&link, "bob")).unwrap();
        before
    }

    /// What `who` heard anyone say or do to what was said. What a relay breaks may be told and mended besides.
    fn told(&mut self, who: usize) -> usize {
        let said = |event: &What| {
            matches!(
                event,
                What::Message { .. } | What::MessageRevised { .. } | What::Reaction { .. }
            )
        };
        self.events(who).iter().filter(|event| said(event)).count()
    }

    fn says(&mut self, who: usize, body: Body) {
        let to = self.id(1 - who);
        self.turn(who, |turn| turn.send_body(&to, body, "")).unwrap();
    }
}

// Tests [sender-is-the-sessions], [capability-names-contact].
#[test]
fn t13_what_a_relay_writes_beside_an_envelope_names_nobody() {
    let mut world = World::meet(LinkUse::OneTime);
    world.settle();
    let alice = world.id(0);
    let of_alice = world.handle_of(1, &alice);
    let seat = world.newcomer(300);
    let carol = world.id(0);

    // Carol's first message under Alice's handle begins nothing, for Carol or for Alice.
    world.depart(0);
    let (by_link, first) = world.relay.boxes[1].pop().unwrap();
    world.relay.boxes[1].push((of_alice, first.clone()));
    world.arrive(1);
    assert_eq!(world.stage(1, 0), None);
    assert!(world.heard(1, &alice).is_empty());
    world.relay.boxes[1].push((by_link, first));
    world.settle();
    assert_eq!(world.stage(1, 0), Some(Stage::Accepted));
    let of_carol = world.handle_of(1, &carol);
    world.send(0, "I am Carol");
    world.settle();
    let from_carol = world.intercepted("Carol's words");
    let newcomer = std::mem::replace(&mut world.users[0], seat);
    let from_alice = world.intercepted("Alice's words");

    // Each under the handle of the other, of nobody, and of a link.
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    let holders: Vec<(Vec<u8>, Holder)> =
        world.turn(1, |turn| Ok(turn.tx.every(Kind::Handle)?)).unwrap();
    let link_handle = holders.into_iter().find(|(_, holder)| matches!(holder, Holder::Link));
    let link_handle: [u8; 8] = link_handle.unwrap().0.try_into().unwrap();
    let told = world.told(1);
    for (handle, envelope) in
        [(of_alice, &from_carol), (of_carol, &from_alice), ([0xee; 8], &from_alice)]
    {
        world.relay.boxes[1].push((handle, envelope.clone()));
    }
    world.arrive(1);
    assert_eq!(world.told(1), told, "refused, and nobody's words");
    // By a link anybody may write: there the session alone says who it is.
    world.relay.boxes[1].push((link_handle, from_carol));
    world.relay.boxes[1].push((link_handle, from_alice));
    world.arrive(1);
    assert_eq!(world.heard(1, &carol), ["I am Carol", "Carol's words"]);
    assert_eq!(world.heard(1, &alice), ["Alice's words"]);
    let named: Vec<_> = world
        .events(1)
        .into_iter()
        .filter_map(|event| match event {
            What::Message { contact, text, .. } => Some((*contact.as_bytes(), text)),
            _ => None,
        })
        .collect();
    assert!(named.contains(&(carol, "Carol's words".to_owned())));
    assert!(named.contains(&(alice, "Alice's words".to_owned())));
    assert_eq!(named.len(), 3);
    drop((link, newcomer));
}

// Tests [own-messages-only].
#[test]
fn t14_nobody_edits_takes_back_or_marks_what_is_not_theirs_to() {
    let mut world = World::meet(LinkUse::OneTime);
    world.settle();
    // In Bob's conversation with Carol, of which Alice came to know the ids.
    let alice = world.newcomer(300);
    world.settle();
    let carol = world.id(0);
    let carols = world.send(0, "Carol to Bob");
    let to_carol = world.send(1, "Bob to Carol");
    world.settle();
    let at_carol = std::mem::replace(&mut world.users[0], alice);
    let alice = world.id(0);
    world.relay.boxes[0].clear();
    let alices = world.send(0, "Alice to Bob");
    let bobs = world.send(1, "Bob to Alice");
    world.settle();

    let id = |id: MessageId| chopmark_wire::content::MessageId::from_bytes(*id.as_bytes());
    let unknown = MessageId([9; 32]);
    let before = [alice, carol].map(|with| {
        let all = world.conversation(1, &with).into_iter();
        all.map(|message| (message.text, message.revised)).collect::<Vec<_>>()
    });
    let told = world.told(1);
    for target in [bobs, carols, to_carol, unknown] {
        world.says(0, Body::Edit(Edit { message: id(target), text: "forged".into() }));
        world.says(0, Body::Retract(id(target)));
    }
    for target in [carols, to_carol, unknown] {
        world.says(0, Body::Reaction(Reaction { message: id(target), emoji: "👍".into() }));
    }
    // A fallback text does not say in another way what must not be said.
    let bob = world.id(1);
    let content = Content {
        salt: [1; 16],
        sent_at: world.now,
        fallback: Fallback { policy: FallbackPolicy::Show, text: "Bob took it back".into() },
        reply_to: None,
        thread_root: None,
        expiry: None,
        extensions: Vec::new(),
        body: Body::Retract(id(bobs)),
    };
    let raw = content.encode().unwrap();
    world.turn(0, |turn| turn.queue(&bob, &raw, MessageId([8; 32]), None, None)).unwrap();
    // And the relay itself, which cannot seal, says it in the clear.
    let of_alice = world.handle_of(1, &alice);
    for version in [0, 1, 2] {
        let mut clear = [&[version][..], &raw].concat();
        clear.resize(2048, 0);
        world.relay.boxes[1].push((of_alice, clear));
    }
    world.settle();
    let after = [alice, carol].map(|with| {
        let all = world.conversation(1, &with).into_iter();
        all.map(|message| (message.text, message.revised)).collect::<Vec<_>>()
    });
    assert_eq!(after, before);
    assert_eq!(world.told(1), told);

    // Her own she may edit, and take back for good; and mark what was said in this conversation.
    let last = |world: &mut World| {
        let mut all = world.conversation(1, &alice);
        let own = all.iter().rposition(|message| message.id == alices).unwrap();
        let message = all.remove(own);
        (message.text, message.revised)
    };
    world.says(0, Body::Edit(Edit { message: id(alices), text: "better".into() }));
    world.says(0, Body::Reaction(Reaction { message: id(bobs), emoji: "👍".into() }));
    world.says(0, Body::Reaction(Reaction { message: id(alices), emoji: "👍".into() }));
    world.settle();
    assert_eq!(last(&mut world), ("better".to_owned(), Revision::Edited));
    let marked = |event: &What| matches!(event, What::Reaction { .. });
    assert_eq!(world.events(1).iter().filter(|event| marked(event)).count(), 2);
    world.says(0, Body::Retract(id(alices)));
    world.says(0, Body::Edit(Edit { message: id(alices), text: "again".into() }));
    world.settle();
    assert_eq!(last(&mut world), (String::new(), Revision::Retracted));
    drop(at_carol);
}

// A request whose words would show as others: refused whole, the queue goes on.
#[test]
fn t33_a_request_that_hides_or_imitates_reaches_nobody() {
    let mut world = World::meet(LinkUse::OneTime);
    let unit = chopmark_wire::payment::Unit::new("chop", 2).unwrap();
    let bill = chopmark_pay::Bill {
        amount: chopmark_wire::payment::Amount::parse("12.50", &unit).unwrap(),
        items: Vec::new(),
        memo: "twelve coffees".to_owned(),
        expires_at: Timestamp(world.now.0 + 3_600_000),
        payer: None,
    };
    let now = world.now;
    let (_, bytes) = world
        .turn(1, |turn| {
            let pay = turn.account()?.pay()?;
            turn.with_records(|records, rng| pay.request(records, &bill, now, rng))
        })
        .unwrap();
    let at = bytes.windows(6).position(|window| window == b"twelve").unwrap();
    for word in ["tw\u{202e}e", "tw\u{200b}e", "tw\u{2066}e", "\u{442}w\u{435}v", "twe\u{1b}[m"] {
        let mut forged = bytes.to_vec();
        let word = word.as_bytes();
        forged[at..at + 6].copy_from_slice(&[word, b"xxxxxx"].concat()[..6]);
        world.says(1, Body::PaymentRequest(Bytes::from(forged)));
    }
    let mut invalid = bytes.to_vec();
    invalid[at] = 0xff;
    world.says(1, Body::PaymentRequest(Bytes::from(invalid)));
    world.send(1, "behind them");
    world.settle();
    assert_eq!(world.texts(0), ["behind them"]);
    let asked = |event: &What| matches!(event, What::PaymentRequested { .. });
    assert!(!world.events(0).iter().any(&asked));
    world.says(1, Body::PaymentRequest(bytes));
    world.settle();
    assert!(world.events(0).iter().any(asked));
}

// Tests [ct3-rides-alike].
#[test]
fn t68_ct3_rides_in_messages_that_no_user_wrote() {
    let mut world = World::new(61);
    let link = world.turn(1, |turn| turn.make_link(LinkUse::Reusable)).unwrap();
    world.duties(1);
    world.turn(0, |turn| turn.add(&link, "bob")).unwrap();
    world.settle();
    let alice = world.id(0);
    // Bob accepts, and writes at once as much as leaves no room for ct3.
    world.turn(1, |turn| turn.agree(&alice, "alice")).unwrap();
    world.send(1, &"x".repeat(1_500));
    world.depart(1);
    let lengths: Vec<usize> =
        world.relay.boxes[0].iter().map(|(_, envelope)| envelope.len()).collect();
    assert_eq!(lengths, [2048, 2048]);
    world.arrive(0);
    world.settle();
    let bob = world.id(1);
    assert!(world.turn(0, |turn| turn.confirmed(&bob)).unwrap());
}
