//! People: a link that many may use, who is accepted and who is not, and the number to compare.

use crate::harness::{NO_ISSUER, Person, Worker};

#[test]
fn a_reusable_link_lets_people_knock_and_its_owner_choose() {
    let relay = Worker::relay();
    let new = || Person::new(&relay.address, NO_ISSUER);
    let (shop, friend, pest, late) = (new(), new(), new(), new());
    let link = shop.json(&["link", "--reusable"])["link"].as_str().unwrap().to_owned();
    for (person, text) in [(&friend, "open today?"), (&pest, "buy my coins")] {
        assert_eq!(person.chop(&["add", &link, "shop"]).code, 0);
        assert_eq!(person.chop(&["send", "shop", text]).code, 0);
    }

    // They wait; what they wrote says who they may be.
    let knocks = shop.chop(&["listen", "--count", "4", "--timeout", "20s"]);
    assert_eq!(knocks.out.matches("wants to reach you: chop accept").count(), 2, "{knocks:?}");
    assert!(knocks.out.contains(": open today?"), "{knocks:?}");
    let id = |person: &Person| {
        let own = person.json(&["safety", "shop"])["digits"].clone();
        let waiting = shop.chop(&["contacts", "--json"]);
        let mut ids = waiting.out.lines().map(|line| {
            let contact: serde_json::Value = serde_json::from_str(line).unwrap();
            contact["id"].as_str().unwrap().to_owned()
        });
        // The number is the same on both sides, so it tells who is who.
        ids.find(|id| shop.json(&["safety", id])["digits"] == own).unwrap()
    };
    let (friends_id, pests_id) = (id(&friend), id(&pest));
    assert_ne!(friends_id, pests_id);

    assert_eq!(shop.chop(&["accept", &friends_id[..10], "friend"]).code, 0);
    assert_eq!(shop.chop(&["reject", &pests_id[..10]]).code, 0);
    let history = shop.json(&["history", "friend"]);
    assert_eq!(history["text"], "open today?");
    assert_eq!(shop.chop(&["send", "friend", "until six"]).code, 0);
    let heard = friend.chop(&["listen", "--count", "3", "--timeout", "20s"]);
    assert!(heard.out.contains("shop: until six"), "{heard:?}");
    shop.chop(&["send", &pests_id, "no"]).fails(1, "rejected");

    assert_eq!(shop.json(&["safety", "friend", "--verified"])["verified"], true);
    assert!(shop.chop(&["contacts"]).out.contains("verified"));
    shop.chop(&["accept", &pests_id, "friend"]).fails(2, "choose another name");

    // The link ends; who was accepted stays.
    assert_eq!(shop.chop(&["link", "revoke", &link]).code, 0);
    late.chop(&["add", &link, "shop"]).fails(5, "revoked");
    assert_eq!(friend.chop(&["send", "shop", "still there?"]).code, 0);
}
