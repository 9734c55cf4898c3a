//! A second link of a member, which is believed less far than their own: what its account says takes nothing of what theirs said.

use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::local::joined;
use crate::named_anew::{groups_are_mapped, role};
use crate::ranks::{by_a_seen_link, member};
use crate::vouching::{in_two_environments, linked};
use crate::world::{ADA, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";

/// Ada came in by a link that a steward saw, and by an account of her own. While she stood low, Barbara's account was linked from
/// the session of the first: the connection, the session that this opened, and a key of the first.
async fn linked_while_low(world: &World) -> (Value, [String; 2]) {
    let (_, key, mut browser): (_, _, Browser) = by_a_seen_link(world).await;
    let connection = world.connection("acme", json!({ "groups_claim": "teams" })).await;
    groups_are_mapped(world, &connection).await;
    world.say_too(json!({ "teams": [] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "her own account, which nobody has seen");
    assert_eq!(linked(world, &mut browser, &connection, BARBARA).await, "ok");
    (connection, [world.sessions(&browser).remove(0), key])
}

#[tokio::test]
async fn an_account_that_may_not_open_a_member_lowers_nobody_until_it_does() {
    let world = World::new().await;
    let (connection, came_by_it) = linked_while_low(&world).await;
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let events = world.events("acme", "directory_group.members_changed").await.len();
    for said in [json!([]), json!(["Engineering"]), json!(["Leads"]), json!(["Leads", "Engineering"])] {
        world.say_too(json!({ "teams": said }));
        assert_eq!(world.outcome(&connection, BARBARA).await, "own_session_only", "{said}");
        assert_eq!(role(&world).await, "admin", "{said}: what her own account said stays");
        for secret in &came_by_it {
            assert_eq!(world.decision(secret).await, "not_permitted", "{said}");
        }
    }
    let after = world.events("acme", "directory_group.members_changed").await.len();
    assert_eq!(after, events, "nothing of it was kept");
    world.say_too(json!({ "teams": [] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "her own account is believed");
    assert_eq!(role(&world).await, "member");
    assert_eq!(world.outcome(&connection, BARBARA).await, "ok", "as far as she stands");
}

#[tokio::test]
async fn what_such_an_account_said_itself_it_takes_back() {
    let world = World::new().await;
    let (connection, _) = linked_while_low(&world).await;
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, BARBARA).await, "own_session_only");
    assert_eq!(role(&world).await, "admin", "by its own word");
    world.say_too(json!({ "teams": [] }));
    assert_eq!(world.outcome(&connection, BARBARA).await, "ok");
    assert_eq!(role(&world).await, "member");
}

#[tokio::test]
async fn whoever_is_to_vouch_is_shown_what_the_provider_calls_the_account_and_no_name_of_ours() {
    let world = World::new().await;
    let (connection, _) = linked_while_low(&world).await;
    let path = format!("/organizations/acme/members/{}/known-by", member(&world, ADA).await);
    let (status, shown) = world.root("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{shown}");
    let links = shown["links"].as_array().unwrap();
    let subject = &links.iter().find(|link| link["believed_up_to"] == 400).unwrap()["subject"];
    let called = json!({
        "directory": connection["claims_directory"], "user_name": null, "external_id": subject,
        "emails": [BARBARA], "believed_up_to": null,
    });
    assert_eq!(shown["told"], json!([called]));
}

#[tokio::test]
async fn of_several_sessions_the_one_that_vouches_for_most_links_whichever_was_opened_last() {
    let world = World::new().await;
    let mut browser = joined(&world, "acme", ADA, "admin").await;
    let (staging, _) = in_two_environments(&world).await;
    let admin = joined(&world, "acme", "admin@acme.example", "admin").await;
    let body = json!({
        "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "theirs",
        "client_secret": "a-client-secret-for-tests", "directory": staging["directory"], "environment": "staging",
    });
    let path = "/api/v1/organizations/acme/connections";
    let (status, theirs) = world.call("POST", path, &world.sessions(&admin).remove(0), body).await;
    assert_eq!((status, &theirs["confirmed"]), (201, &json!(false)), "{theirs}");
    world.register("theirs", theirs["redirect_uri"].as_str().unwrap());
    assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok");
    assert_eq!(world.sessions(&browser).len(), 2, "one by a password, of production, and that one");
    assert_eq!(linked(&world, &mut browser, &staging, BARBARA).await, "ok", "by the password");
    let mut other = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut other, &theirs, ADA).await), "ok");
    assert_eq!(linked(&world, &mut other, &staging, ADA).await, "connection_unconfirmed", "that one alone");
}
