//! What a session vouches for: nothing that outlives a way in which would be shut now.

use portcullis_emulator::Browser;
use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use crate::local::joined;
use crate::people::{directory, scim_user};
use crate::ranks::{it, member, tokens};
use crate::saml_idp::{Idp, key};
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
pub async fn linked(world: &World, browser: &mut Browser, connection: &Value, account: &str) -> String {
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
        assert_eq!(
            linked(&world, &mut browser, at, account).await,
            "linking_session_over",
            "{account}: it rests"
        );
    }
    assert_eq!(world.sessions(&browser), before, "it runs out when it would have");
    let ada = format!("{users}/{}", told["id"].as_str().unwrap());
    assert_eq!(world.call("PUT", &ada, &token, said).await.0, 200);
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok", "said again");
    assert_eq!(linked(&world, &mut browser, &second, BARBARA).await, "ok");
}

/// A role of rank 800, above every administrator.
async fn security(world: &World, explicit_only: bool) -> String {
    let role =
        json!({ "slug": "security", "rank": 800, "permissions": ["use"], "explicit_only": explicit_only });
    let made = world.made("/organizations/acme/roles", role).await;
    format!("/organizations/acme/roles/{}", made["id"].as_str().unwrap())
}

async fn granted(world: &World, email: &str, role: &str) {
    let grant = json!({ "member": member(world, email).await, "role": role, "reason": "raised" });
    world.made("/organizations/acme/grants", grant).await;
}

async fn confirmed(world: &World, connection: &Value, owner: &str) {
    let confirm = format!("{PATH}/{}/confirm", connection["id"].as_str().unwrap());
    let (status, confirmed) = world.call("POST", &confirm, owner, Value::Null).await;
    assert_eq!((status, &confirmed["confirmed"]), (200, &json!(true)), "{confirmed}");
}

#[tokio::test]
async fn an_unconfirmed_connection_opens_nobody_who_came_to_stand_above_whoever_chose_it() {
    for was_explicit_only in [false, true] {
        let world = World::new().await;
        let (theirs, owner, _) = unconfirmed(&world).await;
        let mut password = joined(&world, "acme", ADA, "lead").await;
        joined(&world, "acme", BARBARA, "lead").await;
        let mut browser = Browser::new().unwrap();
        assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok", "as a lead");
        let session = world.sessions(&browser).remove(0);
        let keys = format!("/api/v1/organizations/acme/members/{}/keys", member(&world, ADA).await);
        let (status, key) = world.call("POST", &keys, &session, json!({ "name": "theirs" })).await;
        assert_eq!(status, 201, "{key}");
        let key = key["token"].as_str().unwrap().to_owned();
        let acts = async || [world.decision(&session).await, world.decision(&key).await];
        granted(&world, ADA, "admin").await;
        assert_eq!(acts().await, ["allowed"; 2], "as high as whoever chose it");
        assert_eq!(world.outcome(&theirs, ADA).await, "ok");

        let role = security(&world, was_explicit_only).await;
        granted(&world, ADA, "security").await;
        granted(&world, BARBARA, "security").await;
        if was_explicit_only {
            assert_eq!(world.root("PATCH", &role, json!({ "explicit_only": false })).await.0, 200);
        }
        assert_eq!(acts().await, ["not_permitted"; 2], "explicit only before: {was_explicit_only}");
        for known in [ADA, BARBARA] {
            assert_eq!(world.outcome(&theirs, known).await, "connection_unconfirmed", "{known}");
        }
        let linking = linked(&world, &mut password, &theirs, "person-000009").await;
        assert_eq!(linking, "connection_unconfirmed", "nor from their own session");
        confirmed(&world, &theirs, &owner).await;
        assert_eq!(acts().await, ["allowed"; 2]);
        for known in [ADA, BARBARA] {
            assert_eq!(world.outcome(&theirs, known).await, "ok", "{known}");
        }
    }
}

#[tokio::test]
async fn of_several_who_chose_a_connection_the_lowest_counts_until_an_owner_confirms_it() {
    for (first, second, expected) in
        [("chief", "chief", "ok"), ("chief", "admin", "refused"), ("admin", "chief", "refused")]
    {
        let world = World::new().await;
        let chief = json!({
            "slug": "chief", "rank": 750, "permissions": ["connections.read", "connections.write"], "explicit_only": true,
        });
        world.made("/organizations/acme/roles", chief).await;
        let mut sessions = Vec::new();
        for role in [first, second] {
            let email = format!("{role}-{}@acme.example", sessions.len());
            sessions.push(world.sessions(&joined(&world, "acme", &email, role).await).remove(0));
        }
        let body = json!({
            "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "theirs",
            "client_secret": "a-client-secret-for-tests",
        });
        let (status, made) = world.call("POST", PATH, &sessions[0], body).await;
        assert_eq!(status, 201, "{made}");
        world.register("theirs", made["redirect_uri"].as_str().unwrap());
        let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
        let again = json!({ "client_secret": "a-client-secret-for-tests" });
        let (status, changed) = world.call("PATCH", &one, &sessions[1], again).await;
        assert_eq!((status, &changed["confirmed"]), (200, &json!(false)), "{changed}");

        let senior = json!({ "slug": "senior", "rank": 720, "permissions": ["use"] });
        world.made("/organizations/acme/roles", senior).await;
        joined(&world, "acme", ADA, "senior").await;
        let expected = if expected == "ok" { "ok" } else { "connection_unconfirmed" };
        assert_eq!(world.outcome(&made, ADA).await, expected, "{first}, then {second}");
    }
}

#[tokio::test]
async fn what_an_unconfirmed_provider_says_gives_no_role_above_whoever_chose_it() {
    let world = World::new().await;
    let (theirs, owner, _) = unconfirmed(&world).await;
    let role = security(&world, false).await;
    let middle = json!({ "slug": "middle", "rank": 690, "permissions": ["use"] });
    let middle = world.made("/organizations/acme/roles", middle).await;
    let middle = format!("/organizations/acme/roles/{}", middle["id"].as_str().unwrap());
    let maps = |role: &str| {
        let group = json!({ "display_name": format!("the-{role}") });
        json!({ "directory": theirs["claims_directory"], "group": group, "role": role })
    };
    let mapped = async |role: &str| {
        let (status, made) = world.root("POST", "/organizations/acme/mappings", maps(role)).await;
        (status, made["code"].as_str().unwrap_or("none").to_owned())
    };
    let one = format!("/organizations/acme/connections/{}", theirs["id"].as_str().unwrap());
    let changed = async |path: &str, body: Value| {
        let (status, made) = world.root("PATCH", path, body).await;
        (status, made["code"].as_str().unwrap_or("none").to_owned())
    };
    let refused = (409, "provider_chosen_below".to_owned());
    let done = |status: u16| (status, "none".to_owned());
    assert_eq!(mapped("middle").await, done(201), "they have as much");
    assert_eq!(mapped("security").await, refused);
    assert_eq!(changed(&one, json!({ "default_role": "security" })).await, refused);
    assert_eq!(changed(&one, json!({ "default_role": "middle" })).await, done(200));
    assert_eq!(changed(&middle, json!({ "rank": 710 })).await, refused);
    assert_eq!(
        changed(&middle, json!({ "explicit_only": true, "rank": 710 })).await,
        done(200),
        "no claim gives it"
    );
    assert_eq!(changed(&middle, json!({ "explicit_only": false })).await, refused);
    assert_eq!(changed(&middle, json!({ "explicit_only": false, "rank": 695 })).await, done(200));

    confirmed(&world, &theirs, &owner).await;
    assert_eq!(mapped("security").await, done(201));
    assert_eq!(changed(&one, json!({ "default_role": "security" })).await, done(200));
    assert_eq!(changed(&middle, json!({ "rank": 710 })).await, done(200));
    assert_eq!(changed(&role, json!({ "rank": 810 })).await, done(200));
}

#[tokio::test]
async fn a_directory_speaks_no_higher_by_the_token_of_such_a_session_than_whoever_chose_its_provider() {
    let world = World::new().await;
    let (theirs, owner, _) = unconfirmed(&world).await;
    let (made, ..) = directory(&world).await;
    joined(&world, "acme", ADA, "admin").await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    let (status, token) = world.call("POST", &tokens(&made), &session, json!({})).await;
    assert_eq!(status, 201, "{token}");
    security(&world, false).await;
    granted(&world, ADA, "security").await;
    let group = json!({ "display_name": "security" });
    let mapping = json!({ "directory": made["id"], "group": group, "role": "security" });
    let (status, problem) = world.root("POST", "/organizations/acme/mappings", mapping.clone()).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("token_seen_below")),
        "Ada stands as high: {problem}"
    );
    assert!(problem["detail"].as_str().unwrap().contains(token["id"].as_str().unwrap()), "{problem}");
    confirmed(&world, &theirs, &owner).await;
    world.made("/organizations/acme/mappings", mapping).await;
}

#[tokio::test]
async fn such_a_token_speaks_no_higher_once_the_connection_is_gone() {
    let world = World::new().await;
    let (theirs, owner, _) = unconfirmed(&world).await;
    let (made, ..) = directory(&world).await;
    joined(&world, "acme", ADA, "admin").await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &theirs, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    assert_eq!(world.call("POST", &tokens(&made), &session, json!({})).await.0, 201);
    security(&world, false).await;
    granted(&world, ADA, "security").await;
    let one = format!("{PATH}/{}", theirs["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &one, &owner, Value::Null).await.0, 204);
    let group = json!({ "display_name": "security" });
    let mapping = json!({ "directory": made["id"], "group": group, "role": "security" });
    let (status, problem) = world.root("POST", "/organizations/acme/mappings", mapping).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("token_seen_below")), "{problem}");
}

#[tokio::test]
async fn an_owner_who_names_what_they_looked_at_confirms_nothing_else() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let (theirs, owner, admin) = unconfirmed(&world).await;
    let body = json!({ "kind": "saml", "name": "Okta", "metadata_xml": idp.metadata() });
    let (status, honest) = world.call("POST", PATH, &admin, body).await;
    assert_eq!((status, &honest["confirmed"]), (201, &json!(false)), "{honest}");
    let confirm = async |path: &str, revision: &Value| {
        let body = json!({ "revision": revision });
        let (status, confirmed) = world.call("POST", &format!("{path}/confirm"), &owner, body).await;
        (status, confirmed["code"].as_str().unwrap_or("none").to_owned())
    };
    let look = async |path: &str| {
        let (status, shown) = world.call("GET", path, &owner, Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        shown["revision"].clone()
    };
    let change = async |path: &str, body: Value| {
        let (status, changed) = world.call("PATCH", path, &admin, body).await;
        assert_eq!(status, 200, "{changed}");
    };
    let refused = (409, "changed_meanwhile".to_owned());

    // The same provider with a key of the admin's own beside its own, between the look and the confirmation.
    let one = format!("{PATH}/{}", honest["id"].as_str().unwrap());
    let seen = look(&one).await;
    assert_eq!(seen, honest["revision"], "another look shows the same");
    idp.publish(&[&key()]);
    change(&one, json!({ "metadata_xml": idp.metadata() })).await;
    assert_eq!(confirm(&one, &seen).await, refused);
    let (_, shown) = world.call("GET", &one, &owner, Value::Null).await;
    assert_eq!(shown["confirmed"], false, "nothing was confirmed");
    assert_eq!(confirm(&one, &look(&one).await).await, (200, "none".to_owned()));
    assert_eq!(confirm(&one, &seen).await, (200, "none".to_owned()), "nothing waits any more");

    // What was changed and changed back may have let somebody in meanwhile.
    let one = format!("{PATH}/{}", theirs["id"].as_str().unwrap());
    let seen = look(&one).await;
    for max_age_s in [json!(3_600), Value::Null] {
        world.clock.pass_s(1);
        change(&one, json!({ "oidc": { "max_age_s": max_age_s } })).await;
    }
    assert_eq!(confirm(&one, &seen).await, refused);
    change(&one, json!({ "jit": true })).await;
    let seen = look(&one).await;
    change(&one, json!({ "jit": false })).await;
    assert_eq!(confirm(&one, &seen).await, refused, "who comes in is what was looked at");
    for (field, there) in [("jit", json!(true)), ("default_role", json!("member"))] {
        let before = look(&one).await;
        for value in [&there, &world.call("GET", &one, &owner, Value::Null).await.1[field]] {
            world.clock.pass_s(1);
            change(&one, json!({ field: value })).await;
        }
        assert_eq!(confirm(&one, &before).await, refused, "`{field}` was changed and changed back");
    }
    let (status, _) = world.call("POST", &format!("{one}/confirm"), &owner, Value::Null).await;
    assert_eq!(status, 200, "an empty body confirms what stands there");
}

#[tokio::test]
async fn whoever_vouches_for_what_they_looked_at_vouches_for_nothing_else() {
    let world = World::new().await;
    let (made, users, _) = directory(&world).await;
    let (_, theirs) = it(&world, &made).await;
    let theirs = theirs["token"].as_str().unwrap();
    let (status, told) = world.call("POST", &users, theirs, scim_user(ADA, ADA, "ada")).await;
    assert_eq!(status, 201, "{told}");
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    let ada = member(&world, ADA).await;
    let look = async || {
        let path = format!("/organizations/acme/members/{ada}/known-by");
        let (status, shown) = world.root("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        shown
    };
    let grant = async |seen: &Value, vouched: bool| {
        let body = json!({
            "member": ada, "role": "owner", "reason": "raised", "vouched": vouched, "revision": seen["revision"],
        });
        let (status, made) = world.root("POST", "/organizations/acme/grants", body).await;
        (status, made["code"].as_str().unwrap_or("none").to_owned())
    };
    let refused = (409, "changed_meanwhile".to_owned());

    let seen = look().await;
    let called = json!({
        "directory": made["id"], "user_name": ADA, "external_id": "ada", "emails": [ADA], "believed_up_to": 400,
    });
    assert_eq!((&seen["told"], &seen["links"]), (&json!([called]), &json!([])));
    assert_eq!(
        grant(&seen, false).await,
        (400, "invalid_field".to_owned()),
        "of nothing that is vouched for"
    );
    // An account of theirs takes the place of hers between the look and the grant.
    let one = format!("{users}/{}", told["id"].as_str().unwrap());
    let (status, changed) = world.call("PUT", &one, theirs, scim_user(ADA, ADA, "person-000001")).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(grant(&seen, true).await, refused);
    let seen = look().await;
    assert_eq!(world.outcome(&connection, "person-000001").await, "ok", "and is linked");
    assert_eq!(grant(&seen, true).await, refused);
    let seen = look().await;
    let link = &seen["links"][0];
    assert_eq!((&link["connection"], &link["believed_up_to"]), (&connection["id"], &json!(400)));
    assert_eq!(world.members("acme", ADA).await[0]["role"], "member", "nothing was given");
    assert_eq!(grant(&seen, true).await, (201, "none".to_owned()));
    assert_eq!(world.members("acme", ADA).await[0]["role"], "owner");
}

/// Somebody whose role gives keys and invitations, by a directory whose token `it` had: what they sign in by is believed up to
/// 400. The directory, where its users are, its other token, what was told, the connection that asks it.
pub async fn named_from_below(world: &World) -> (String, String, String, Value, Value) {
    let permissions = json!([
        "use",
        "keys.read",
        "keys.write",
        "invitations.read",
        "invitations.write",
        "agents.read",
        "agents.write",
    ]);
    world
        .made(
            "/organizations/acme/roles",
            json!({ "slug": "keeper", "rank": 390, "permissions": permissions }),
        )
        .await;
    let (made, users, token) = directory(world).await;
    let gives = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "keeper" })).await.0, 200);
    let (_, theirs) = it(world, &made).await;
    let said = scim_user(ADA, ADA, THEIRS);
    let (status, told) = world.call("POST", &users, theirs["token"].as_str().unwrap(), said).await;
    assert_eq!(status, 201, "{told}");
    let one = format!("{}/{}", tokens(&made), theirs["id"].as_str().unwrap());
    assert_eq!(world.call("DELETE", &one, ROOT_TOKEN, Value::Null).await.0, 204);
    let connection = world.connection("acme", json!({ "directory": made["id"] })).await;
    (gives, format!("{users}/{}", told["id"].as_str().unwrap()), token, told, connection)
}

/// The account at the provider of whoever had the directory's token.
pub const THEIRS: &str = "person-000001";

async fn key_of(world: &World, of: &str, by: &str) -> String {
    let path = format!("/api/v1/organizations/acme/members/{}/keys", member(world, of).await);
    let (status, made) = world.call("POST", &path, by, json!({ "name": "laptop" })).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_came_by_a_link_rests_while_its_member_stands_above_it_until_the_word_is_said_again() {
    let world = World::new().await;
    let (gives, one, token, _, connection) = named_from_below(&world).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, THEIRS).await), "ok", "as a keeper");
    let session = world.sessions(&browser).remove(0);
    let first = key_of(&world, ADA, &session).await;
    let second = key_of(&world, ADA, &first).await;
    let all = async || {
        [world.decision(&session).await, world.decision(&first).await, world.decision(&second).await]
    };
    assert_eq!(all().await, ["allowed"; 3], "as a keeper");
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "admin" })).await.0, 200);
    assert_eq!(world.members("acme", ADA).await[0]["role"], "admin", "by the directory");
    assert_eq!(all().await, ["not_permitted"; 3], "as the sign-in is refused");
    assert_eq!(world.outcome(&connection, THEIRS).await, "own_session_only");
    for secret in [&session, &first, &second] {
        assert_eq!(world.call("GET", "/api/v1/me", secret, Value::Null).await.0, 401);
    }
    assert_eq!(world.call("PUT", &one, &token, scim_user(ADA, ADA, THEIRS)).await.0, 200);
    assert_eq!(all().await, ["not_permitted"; 3], "nobody has come in by that word");
    assert_eq!(world.outcome(&connection, THEIRS).await, "ok", "it is theirs");
    assert_eq!(all().await, ["allowed"; 3], "whose account it is was said again");
}

#[tokio::test]
async fn a_key_from_a_link_that_is_gone_is_believed_no_further_than_the_link_was() {
    let world = World::new().await;
    let (gives, one, token, _, connection) = named_from_below(&world).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, THEIRS).await), "ok", "as a keeper");
    let theirs = key_of(&world, ADA, &world.sessions(&browser).remove(0)).await;
    assert_eq!(world.call("PUT", &one, &token, scim_user(ADA, ADA, "person-000000")).await.0, 200);
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok", "Ada herself");
    let hers = key_of(&world, ADA, &world.sessions(&browser).remove(0)).await;
    assert_eq!(world.events("acme", "member.unlinked").await.len(), 1, "the other account is nobody's");
    assert_eq!([world.decision(&theirs).await, world.decision(&hers).await], ["allowed"; 2], "as a keeper");
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "admin" })).await.0, 200);
    assert_eq!([world.decision(&theirs).await, world.decision(&hers).await], ["not_permitted", "allowed"]);
}

#[tokio::test]
async fn what_such_a_session_made_for_others_is_believed_no_further_than_the_link_at_any_remove() {
    let world = World::new().await;
    let (gives, _, _, _, connection) = named_from_below(&world).await;
    joined(&world, "acme", BARBARA, "keeper").await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, THEIRS).await), "ok", "as a keeper");
    let session = world.sessions(&browser).remove(0);
    let first = key_of(&world, BARBARA, &session).await;
    let second = key_of(&world, BARBARA, &first).await;
    let invited = "new@acme.example";
    let body = json!({ "email": invited, "role": "member" });
    let (status, link) = world.call("POST", "/api/v1/organizations/acme/invitations", &session, body).await;
    assert_eq!(status, 201, "{link}");
    assert_eq!([world.decision(&first).await, world.decision(&second).await], ["allowed"; 2]);
    // All of them rise, so that nobody stands above whoever saw the secret.
    assert_eq!(world.root("PATCH", &gives, json!({ "default_role": "lead" })).await.0, 200);
    for who in [BARBARA, invited] {
        let grant = json!({ "member": member(&world, who).await, "role": "lead", "reason": "raised" });
        world.made("/organizations/acme/grants", grant).await;
    }
    assert_eq!([world.decision(&first).await, world.decision(&second).await], ["not_permitted"; 2]);
    let page = Browser::new().unwrap().open(link["link"].as_str().unwrap()).await.unwrap();
    assert_eq!(outcome(&page), "link_invalid");
}

/// Ada, an admin in `staging` and in `production`, and a connection of each.
pub async fn in_two_environments(world: &World) -> (Value, Value) {
    world.made("/organizations/acme/environments", json!({ "slug": "staging", "name": "Staging" })).await;
    let (made, users, token) = directory(world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "person-000000")).await;
    assert_eq!(status, 201, "{told}");
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Staff",
        "members": [{ "value": told["id"] }],
    });
    let (status, group) = world.call("POST", &users.replace("/Users", "/Groups"), &token, group).await;
    assert_eq!(status, 201, "{group}");
    for environment in ["staging", "production"] {
        let mapping = json!({
            "directory": made["id"], "group": { "display_name": "Staff" }, "role": "admin", "environment": environment,
        });
        world.made("/organizations/acme/mappings", mapping).await;
    }
    let staging = world
        .connection("acme", json!({ "directory": made["id"], "environment": "staging", "name": "Lab" }))
        .await;
    let production = world.connection("acme", json!({ "directory": made["id"] })).await;
    (staging, production)
}

#[tokio::test]
async fn a_session_of_one_environment_is_worth_nothing_in_another_and_links_nothing_there() {
    let world = World::new().await;
    let (staging, production) = in_two_environments(&world).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &staging, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    let (_, me) = world.call("GET", "/api/v1/me", &session, Value::Null).await;
    assert_eq!((&me["role"], &me["permissions"]), (&json!("admin"), &json!(["use"])), "{me}");
    let keys = format!("/api/v1/organizations/acme/members/{}/keys", member(&world, ADA).await);
    let mut asked = Vec::new();
    for body in [json!({ "name": "x" }), json!({ "name": "x", "environment": "staging" })] {
        asked.push(world.call("POST", &keys, &session, body).await.0);
    }
    assert_eq!(asked, [403, 201], "another environment; its own");
    let page = browser.open(&format!("{}/", world.base)).await.unwrap();
    assert!(page.body.contains("Link Lab") && !page.body.contains("Link Okta"), "{}", page.body);
    assert_eq!(linked(&world, &mut browser, &production, BARBARA).await, "linking_session_over");
    assert_eq!(world.outcome(&production, BARBARA).await, "not_in_directory", "nothing was kept of it");
    assert_eq!(linked(&world, &mut browser, &staging, BARBARA).await, "ok", "where the session is for");
}
