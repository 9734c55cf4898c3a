//! Who brings a leaver's names back: their own directory and an administrator, nobody else, and never a colleague.

use serde_json::{Value, json};

use crate::local::joined;
use crate::people::{ada_is_held, directory, scim_user};
use crate::world::{ADA, World};

const BARBARA: &str = "barbara.brandt@acme.example";

/// A person with a second address, as many may write one into their profile themselves.
fn with_second(user_name: &str, second: &str) -> Value {
    let mut user = scim_user(user_name, user_name, user_name);
    user["emails"] =
        json!([{ "value": user_name, "primary": true, "type": "work" }, { "value": second, "type": "home" }]);
    user
}

async fn told(world: &World, (users, token): (&str, &str), body: Value) -> String {
    let (status, user) = world.call("POST", users, token, body).await;
    assert_eq!(status, 201, "{user}");
    format!("{users}/{}", user["id"].as_str().unwrap())
}

#[tokio::test]
async fn neither_a_colleagues_address_nor_another_directory_lets_a_leaver_in_just_in_time() {
    let world = World::new().await;
    let jit = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    let (_, users, token) = directory(&world).await;
    let own = (users.as_str(), token.as_str());
    let ada = told(&world, own, scim_user(ADA, ADA, "ext-ada")).await;
    assert_eq!(world.call("DELETE", &ada, &token, Value::Null).await.0, 204);
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned");

    let carol = told(&world, own, with_second("carol@acme.example", "carol@home.example")).await;
    assert_eq!(world.call("PUT", &carol, &token, with_second("carol@acme.example", ADA)).await.0, 200);
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned", "a colleague wrote it into her profile");
    told(&world, own, with_second("carl@acme.example", ADA)).await;
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned", "a newcomer came with it");

    let (_, others, other_token) = directory(&world).await;
    let elsewhere = (others.as_str(), other_token.as_str());
    told(&world, elsewhere, with_second("cora@acme.example", ADA)).await;
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned", "another directory's colleague");
    told(&world, elsewhere, scim_user(ADA, ADA, "ext-ada")).await;
    assert_eq!(
        world.outcome(&jit, ADA).await,
        "tombstoned",
        "another directory does not lift what this one laid"
    );
}

#[tokio::test]
async fn who_moves_to_another_directory_comes_in_by_its_connection_whatever_the_former_one_says() {
    let world = World::new().await;
    let (_, users, token) = directory(&world).await;
    let ada = told(&world, (&users, &token), scim_user("ada.of.old", ADA, "ext-ada")).await;
    assert_eq!(world.call("DELETE", &ada, &token, Value::Null).await.0, 204);
    let (other, others, other_token) = directory(&world).await;
    let governed = world.connection("acme", json!({ "directory": other["id"] })).await;
    assert_eq!(world.outcome(&governed, ADA).await, "tombstoned");
    told(&world, (&others, &other_token), scim_user(ADA, ADA, "new-ada")).await;
    assert_eq!(world.outcome(&governed, ADA).await, "ok", "its governing directory names her");
    let jit = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned", "no other way");
}

#[tokio::test]
async fn the_own_directory_brings_a_leaver_back_with_the_other_addresses_of_before() {
    let world = World::new().await;
    let jit = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    let (_, users, token) = directory(&world).await;
    let own = (users.as_str(), token.as_str());
    let ada = told(&world, own, with_second("ada.king@acme.example", ADA)).await;
    assert_eq!(world.call("DELETE", &ada, &token, Value::Null).await.0, 204);
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned");
    told(&world, own, with_second("ada.king@acme.example", ADA)).await;
    assert_eq!(world.outcome(&jit, ADA).await, "not_invited", "the directory's person, who is not doubled");
    assert_eq!(world.members("acme", ADA).await, Vec::<Value>::new(), "nobody came by that address");
}

#[tokio::test]
async fn who_has_an_address_anew_signs_in_although_whoever_had_it_leaves_later() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let own = (users.as_str(), token.as_str());
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let former = told(&world, own, scim_user(ADA, ADA, "first")).await;
    let renamed = scim_user("ada.king@acme.example", "ada.king@acme.example", "first");
    assert_eq!(world.call("PUT", &former, &token, renamed).await.0, 200);
    told(&world, own, scim_user(ADA, ADA, "second")).await;
    assert_eq!(world.call("DELETE", &former, &token, Value::Null).await.0, 204);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "the directory says whose it is");
    let jit = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
    assert_eq!(world.outcome(&jit, ADA).await, "tombstoned");
}

#[tokio::test]
async fn an_end_by_hand_of_somebody_held_leaves_the_newcomer_their_address() {
    let world = World::new().await;
    let (made, users, token) = ada_is_held(&world).await;
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let held = world.members("acme", ADA).await.remove(0);
    told(&world, (&users, &token), scim_user(ADA, ADA, "person-000000")).await;
    let path = format!("/organizations/acme/members/{}/offboard", held["id"].as_str().unwrap());
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "as after a release");
}

#[tokio::test]
async fn who_was_invited_under_an_address_that_a_leaver_had_too_comes_in_by_a_new_invitation() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let (_, users, token) = directory(&world).await;
    let leaver = told(&world, (&users, &token), with_second("carol@acme.example", ADA)).await;
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.call("DELETE", &leaver, &token, Value::Null).await.0, 204);
    assert_eq!(world.outcome(&connection, ADA).await, "tombstoned", "the leaver, as far as anybody knows");
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "an administrator named the address anew");
    assert_eq!(world.outcome(&connection, BARBARA).await, "not_invited");
}

/// An administrator who came by an invitation: the membership, and the session that they call with.
async fn mallory(world: &World) -> (String, String) {
    let browser = joined(world, "acme", "mallory@acme.example", "admin").await;
    let member = world.members("acme", "mallory@acme.example").await.remove(0);
    (
        format!("/organizations/acme/members/{}", member["id"].as_str().unwrap()),
        world.sessions(&browser).remove(0),
    )
}

/// Ada is invited by somebody with that session; the path of the invitation's token.
async fn ada_invited(world: &World, session: &str) -> String {
    let body = json!({ "email": ADA, "role": "admin" });
    let (status, made) = world.call("POST", "/api/v1/organizations/acme/invitations", session, body).await;
    assert_eq!(status, 201, "{made}");
    format!("/organizations/acme/tokens/{}", made["id"].as_str().unwrap())
}

/// By none of these connections, until somebody invites her anew: then by the first.
async fn over_until_invited_anew(world: &World, connections: &[&Value], why: &str) {
    for connection in connections {
        assert_eq!(world.outcome(connection, ADA).await, "invitation_over", "{why}");
    }
    assert_eq!(world.members("acme", ADA).await[0]["state"], "invited", "{why}");
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.outcome(connections[0], ADA).await, "ok", "{why}");
    let ada = world.members("acme", ADA).await;
    assert_eq!(
        (ada.len(), &ada[0]["role"]),
        (1, &json!("member")),
        "nothing of the former invitation is left"
    );
}

#[tokio::test]
async fn an_invitation_that_ended_is_no_way_in_by_a_connection_either() {
    for why in ["its maker left", "it was revoked", "it ran out"] {
        let world = World::new().await;
        let connection = world.connection("acme", json!({})).await;
        let jit = world.connection("acme", json!({ "jit": true, "default_role": "member" })).await;
        let (maker, session) = mallory(&world).await;
        let token = ada_invited(&world, &session).await;
        match why {
            "its maker left" => {
                let left = json!({ "reason": "left" });
                assert_eq!(world.root("POST", &format!("{maker}/offboard"), left).await.0, 200);
            }
            "it was revoked" => assert_eq!(world.root("DELETE", &token, Value::Null).await.0, 204),
            _ => world.clock.pass_s(7 * 24 * 3_600),
        }
        over_until_invited_anew(&world, &[&connection, &jit], why).await;
    }
}

#[tokio::test]
async fn an_invitation_rests_by_a_connection_too_while_its_maker_does_not_stand_for_it() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let (maker, session) = mallory(&world).await;
    ada_invited(&world, &session).await;
    assert_eq!(world.root("PATCH", &maker, json!({ "state": "suspended" })).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "invitation_over", "the maker is suspended");
    assert_eq!(world.root("PATCH", &maker, json!({ "state": "active" })).await.0, 200);
    let (_, grants) = world.root("GET", "/organizations/acme/grants?limit=200", Value::Null).await;
    let of_maker = grants["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|grant| grant["role"] == "admin" && maker.ends_with(grant["member"].as_str().unwrap()));
    let of_maker = of_maker.unwrap()["id"].as_str().unwrap();
    let path = format!("/organizations/acme/grants/{of_maker}");
    let lead = json!({ "member": maker.rsplit_once('/').unwrap().1, "role": "lead", "reason": "lowered" });
    world.made("/organizations/acme/grants", lead).await;
    assert_eq!(world.root("DELETE", &path, Value::Null).await.0, 204);
    over_until_invited_anew(&world, &[&connection], "the maker stands below the role that waits").await;
}

#[tokio::test]
async fn an_invitation_that_is_good_is_accepted_by_a_connection() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    let (_, session) = mallory(&world).await;
    let token = ada_invited(&world, &session).await;
    world.clock.pass_s(7 * 24 * 3_600 - 60);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let (_, used) = world.root("GET", &token, Value::Null).await;
    assert_eq!(used["ended_because"], "used", "{used}");
}
