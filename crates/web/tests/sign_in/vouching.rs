//! What a session vouches for: nothing that outlives a way in which would be shut now.

use portcullis_emulator::Browser;
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::local::joined;
use crate::people::{directory, scim_user};
use crate::ranks::{it, member, tokens};
use crate::world::{ADA, World, outcome};

const PATH: &str = "/api/v1/organizations/acme/connections";
const BARBARA: &str = "barbara.brandt@acme.example";

/// A connection that an admin makes to a provider of theirs, and the sessions of an owner and of that admin.
async fn unconfirmed(world: &World) -> (Value, String, String) {
    let owner = joined(world, "acme", "owner@acme.example", "owner").await;
    let owner = world.sessions(&owner).remove(0);
    let admin = joined(world, "acme", "admin@acme.example", "admin").await;
    let admin = world.sessions(&admin).remove(0);
    let body = json!({
        "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "theirs",
        "client_secret": "a-client-secret-for-tests",
    });
    let (status, made) = world.call("POST", PATH, &admin, body).await;
    assert_eq!((status, &made["confirmed"]), (201, &json!(false)), "{made}");
    world.register("theirs", made["redirect_uri"].as_str().unwrap());
    (made, owner, admin)
}

/// Links another account at a connection from that browser's session.
async fn linked(world: &World, browser: &mut Browser, connection: &Value, account: &str) -> String {
    world.provider.sign_in_as(Some(account));
    let form = format!("{}/sso/oidc/{}/link", world.base, connection["id"].as_str().unwrap());
    let ended = outcome(&browser.submit(&form, &[]).await.unwrap());
    world.provider.sign_in_as(None);
    ended
}

#[tokio::test]
async fn a_session_by_a_connection_that_no_owner_has_confirmed_links_no_other_account() {
    let world = World::new().await;
    let (theirs, owner, _) = unconfirmed(&world).await;
    let company = world.connection("acme", json!({})).await;
    joined(&world, "acme", ADA, "lead").await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok", "as a lead");
    let links = async |browser: &mut Browser| linked(&world, browser, &company, BARBARA).await;
    assert_eq!(links(&mut browser).await, "connection_unconfirmed");
    assert_eq!(world.outcome(&company, BARBARA).await, "not_invited", "nothing was kept of it");
    let confirm = format!("{PATH}/{}/confirm", theirs["id"].as_str().unwrap());
    assert_eq!(world.call("POST", &confirm, &owner, Value::Null).await.0, 200);
    assert_eq!(links(&mut browser).await, "ok", "an owner has confirmed it");
    assert_eq!(world.outcome(&company, BARBARA).await, "ok");
}

#[tokio::test]
async fn a_key_from_an_unconfirmed_connection_that_somebody_else_saw_issues_nothing() {
    for deleted in [false, true] {
        let world = World::new().await;
        let (theirs, owner, _) = unconfirmed(&world).await;
        joined(&world, "acme", ADA, "admin").await;
        joined(&world, "acme", BARBARA, "lead").await;
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok");
        let session = world.sessions(&browser).remove(0);
        let keys = format!("/api/v1/organizations/acme/members/{}/keys", member(&world, BARBARA).await);
        let key = async |by: &str| world.call("POST", &keys, by, json!({ "name": "theirs" })).await;
        let (status, seen) = key(&session).await;
        assert_eq!(status, 201, "{seen}");
        let seen = seen["token"].as_str().unwrap().to_owned();
        let (status, refused) = key(&seen).await;
        assert_eq!((status, refused["code"].as_str()), (403, Some("seen_by_others")), "{refused}");
        let one = format!("{PATH}/{}", theirs["id"].as_str().unwrap());
        if deleted {
            assert_eq!(world.call("DELETE", &one, &owner, Value::Null).await.0, 204);
            assert_eq!(world.call("GET", "/api/v1/me", &seen, Value::Null).await.0, 401);
            continue;
        }
        assert_eq!(world.call("POST", &format!("{one}/confirm"), &owner, Value::Null).await.0, 200);
        let (status, second) = key(&seen).await;
        assert_eq!(status, 201, "an administrator's key for somebody who automates: {second}");
    }
}

#[tokio::test]
async fn a_session_by_a_link_that_stands_below_its_member_links_nothing_and_is_not_renewed() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let (_, theirs) = it(&world, &made).await;
    let said = scim_user(ADA, ADA, "person-000000");
    let (status, told) = world.call("POST", &users, theirs["token"].as_str().unwrap(), said.clone()).await;
    assert_eq!(status, 201, "{told}");
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let second = world.connection("acme", json!({})).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok", "as a member");
    let one = format!("{}/{}", tokens(&made), theirs["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
    let gives = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "lead" })).await.0, 200);
    let before = world.sessions(&browser);
    for (at, account) in [(&connection, ADA), (&second, BARBARA)] {
        assert_eq!(linked(&world, &mut browser, at, account).await, "own_session_only", "{account}");
    }
    assert_eq!(world.sessions(&browser), before, "it runs out when it would have");
    let ada = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("PUT", &ada, &token, said).await.0, 200);
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok", "said again");
    assert_eq!(linked(&world, &mut browser, &second, BARBARA).await, "ok");
}
