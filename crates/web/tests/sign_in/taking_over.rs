//! Whoever came just in time, and of whom a directory comes to tell: it governs them from then on, and claims give nothing.

use portcullis_emulator::{Browser, GooglePerson, Workspace};
use serde_json::{Value, json};

use crate::people::{ada_is_held, directory, scim_user};
use crate::world::{ADA, World, outcome};

/// What acts as Ada: a session, a key of hers, a key of an agent of hers.
struct Acting([String; 3]);

impl Acting {
    /// What a check says of each.
    async fn decisions(&self, world: &World) -> Vec<String> {
        let mut all = Vec::new();
        for secret in &self.0 {
            all.push(world.decision(secret).await);
        }
        all
    }

    async fn is_allowed(&self, world: &World) -> bool {
        self.decisions(world).await.iter().all(|decision| decision == "allowed")
    }

    /// Whether none of them acts any more.
    async fn is_over(&self, world: &World) -> bool {
        self.decisions(world).await.iter().all(|decision| decision != "allowed")
    }
}

/// Ada comes by that connection, and has a key and an agent.
async fn came(world: &World, connection: &Value) -> Acting {
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, connection, ADA).await), "ok");
    let session = world.sessions(&browser).remove(0);
    let ada = ada(world).await["id"].clone();
    let keys = format!("/organizations/acme/members/{}/keys", ada.as_str().unwrap());
    let key = world.made(&keys, json!({ "name": "laptop" })).await;
    let agent = world.made("/organizations/acme/agents", json!({ "name": "bot", "owner": ada })).await;
    let keys = format!("/organizations/acme/agents/{}/keys", agent["id"].as_str().unwrap());
    let run = world.made(&keys, json!({ "name": "run" })).await;
    let secret = |made: &Value| made["token"].as_str().unwrap().to_owned();
    let acting = Acting([session, secret(&key), secret(&run)]);
    assert!(acting.is_allowed(world).await);
    acting
}

async fn ada(world: &World) -> Value {
    let mut all = world.members("acme", ADA).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn just_in_time() -> Value {
    json!({ "jit": true, "default_role": "member" })
}

/// Ada is told of there; the path of her user.
async fn told(world: &World, (users, token): (&str, &str)) -> String {
    let (status, user) = world.call("POST", users, token, scim_user(ADA, ADA, "ext-ada")).await;
    assert_eq!(status, 201, "{user}");
    format!("{users}/{}", user["id"].as_str().unwrap())
}

/// A directory that gives nobody life, by a mapping or by itself: its answer, its users, its token.
async fn of_nothing(world: &World) -> (Value, String, String) {
    let (made, users, token) = directory(world).await;
    let one = format!("/organizations/acme/directories/{}", made["id"].as_str().unwrap());
    assert_eq!(world.root("PATCH", &one, json!({ "default_role": null })).await.0, 200);
    (made, users, token)
}

fn one(of: &str, made: &Value) -> String {
    format!("/organizations/acme/{of}/{}", made["id"].as_str().unwrap())
}

/// Nothing of Ada acts, her receipt is there, and she does not come back.
async fn is_gone(world: &World, connection: &Value, acting: &Acting, because: &str, how: &str) {
    assert!(acting.is_over(world).await, "{how}: {:?}", acting.decisions(world).await);
    let ada = ada(world).await;
    assert_eq!((&ada["state"], &ada["ended_because"]), (&json!("deprovisioned"), &json!(because)), "{how}");
    let receipts = world.root("GET", "/organizations/acme/receipts", Value::Null).await.1;
    let receipts = receipts["items"].as_array().unwrap();
    assert_eq!((receipts.len(), &receipts[0]["member"]), (1, &ada["id"]), "{how}");
    let receipt = world.root("GET", &one("receipts", &receipts[0]), Value::Null).await.1;
    let count =
        |of: &str| receipt["ended"].as_array().unwrap().iter().filter(|line| line["type"] == of).count();
    assert!(count("token") >= 2 && count("agent") == 1, "{how}, her session and her key: {receipt}");
    assert_eq!(world.outcome(connection, ADA).await, "tombstoned", "{how}");
}

const WAYS_OUT: [&str; 3] = ["PATCH", "PUT", "DELETE"];

/// The directory says that Ada leaves; why she has ended then.
async fn leaves(world: &World, (ada, token): (&str, &str), how: &str) -> &'static str {
    let mut inactive = scim_user(ADA, ADA, "ext-ada");
    inactive["active"] = json!(false);
    let (body, status) = match how {
        "PATCH" => (
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "active", "value": false }] }),
            200,
        ),
        "PUT" => (inactive, 200),
        _ => (Value::Null, 204),
    };
    assert_eq!(world.call(how, ada, token, body).await.0, status);
    if how == "DELETE" { "deleted" } else { "inactive" }
}

#[tokio::test]
async fn who_came_just_in_time_is_the_directorys_as_soon_as_it_gives_life_and_leaves_at_its_word() {
    for how in WAYS_OUT {
        let world = World::new().await;
        let connection = world.connection("acme", just_in_time()).await;
        let acting = came(&world, &connection).await;
        assert_eq!(ada(&world).await["governed_by"], connection["claims_directory"]);
        let (made, users, token) = directory(&world).await;
        let user = told(&world, (&users, &token)).await;
        assert_eq!(ada(&world).await["governed_by"], made["id"], "one member, and its directory");
        assert!(acting.is_allowed(&world).await, "being told of takes nothing");
        assert_eq!(world.outcome(&connection, ADA).await, "ok", "nor her way in");
        let because = leaves(&world, (&user, &token), how).await;
        is_gone(&world, &connection, &acting, because, how).await;
    }
}

#[tokio::test]
async fn a_directory_that_gave_no_life_ends_whoever_came_just_in_time_when_it_says_that_they_leave() {
    for how in WAYS_OUT {
        let world = World::new().await;
        let connection = world.connection("acme", just_in_time()).await;
        let acting = came(&world, &connection).await;
        let (_, users, token) = of_nothing(&world).await;
        let user = told(&world, (&users, &token)).await;
        assert_eq!(ada(&world).await["governed_by"], connection["claims_directory"], "it gives her nothing");
        assert!(acting.is_allowed(&world).await);
        let because = leaves(&world, (&user, &token), how).await;
        is_gone(&world, &connection, &acting, because, how).await;
    }
}

#[tokio::test]
async fn who_came_just_in_time_and_loses_the_directorys_last_group_is_suspended_at_once() {
    let world = World::new().await;
    let connection = world.connection("acme", just_in_time()).await;
    let acting = came(&world, &connection).await;
    let (made, users, token) = directory(&world).await;
    told(&world, (&users, &token)).await;
    let path = one("directories", &made);
    assert_eq!(world.root("PATCH", &path, json!({ "default_role": null })).await.0, 200);
    assert_eq!(ada(&world).await["state"], "suspended");
    assert!(acting.is_over(&world).await);
    assert_eq!(world.outcome(&connection, ADA).await, "member_inactive");
}

#[tokio::test]
async fn whom_google_tells_of_no_longer_leaves_although_they_came_just_in_time() {
    for how in ["missing", "suspended"] {
        let mut company = Workspace::new("acme.example");
        company.people.push(GooglePerson::new("1001", ADA));
        let (world, google) = World::beside_google(company).await;
        world.made("/organizations/acme/domains", json!({ "domain": "acme.example", "vouched": true })).await;
        let connection = world.connection("acme", just_in_time()).await;
        let acting = came(&world, &connection).await;
        let wish = json!({
            "kind": "google", "name": "Workspace", "default_role": "member", "google": {
                "delegated_admin": "admin@acme.example",
                "service_account_key": google.workspace().service_account_key(),
            },
        });
        let made = world.made("/organizations/acme/directories", wish).await;
        let poll = async || {
            world.clock.pass_s(1000);
            assert_eq!(world.portcullis.poll_google_once().await.unwrap(), 1);
        };
        poll().await;
        assert_eq!(ada(&world).await["governed_by"], made["id"], "{how}");
        assert!(acting.is_allowed(&world).await, "{how}");
        google.workspace().change(|company| match how {
            "missing" => company.people.retain(|person| !person.is_called(ADA)),
            _ => company.person_mut(ADA).unwrap().suspended = true,
        });
        poll().await;
        let because = if how == "missing" { "deleted" } else { "inactive" };
        is_gone(&world, &connection, &acting, because, how).await;
    }
}

#[tokio::test]
async fn whoever_came_just_in_time_counts_against_the_directorys_brake() {
    let world = World::new().await;
    let connection = world.connection("acme", just_in_time()).await;
    let acting = came(&world, &connection).await;
    let (made, ..) = ada_is_held(&world).await;
    let held = ada(&world).await;
    assert_eq!((&held["state"], &held["governed_by"]), (&json!("suspended"), &made["id"]), "{held}");
    assert!(acting.is_over(&world).await, "refused before the answer");
    let holds = world.root("GET", "/organizations/acme/holds", Value::Null).await.1;
    assert_eq!((&holds["items"][0]["directory"], &holds["items"][0]["waiting"]), (&made["id"], &json!(1)));
    assert_eq!(world.outcome(&connection, ADA).await, "member_inactive");
}

#[tokio::test]
async fn a_connection_is_tidied_up_behind_a_directory_and_takes_nobodys_life() {
    let world = World::new().await;
    let connection = world.connection("acme", just_in_time()).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": "lead",
    });
    let mapping = world.made("/organizations/acme/mappings", mapping).await;
    let Acting([_, key, run]) = came(&world, &connection).await;
    let (made, users, token) = directory(&world).await;
    told(&world, (&users, &token)).await;
    let path = one("connections", &connection);
    let behind = json!({ "directory": made["id"], "jit": false });
    for (method, path, body, status) in [
        ("PATCH", &path, json!({ "default_role": null }), 200),
        ("DELETE", &one("mappings", &mapping), Value::Null, 204),
        ("PATCH", &path, behind, 200),
        ("DELETE", &path, Value::Null, 204),
    ] {
        let (answered, problem) = world.root(method, path, body).await;
        assert_eq!(answered, status, "{method} {path}: {problem}");
        let ada = ada(&world).await;
        assert_eq!((&ada["state"], &ada["role"]), (&json!("active"), &json!("member")), "{method} {path}");
        for secret in [&key, &run] {
            assert_eq!(world.decision(secret).await, "allowed", "{method} {path}");
        }
    }
}

/// A mapping of the claims of that connection.
async fn engineers_are(world: &World, connection: &Value, role: &str) {
    let mapping = json!({
        "directory": connection["claims_directory"], "group": { "external_id": "Engineering" }, "role": role,
    });
    world.made("/organizations/acme/mappings", mapping).await;
}

async fn changed(world: &World, connection: &Value, body: Value) {
    let (status, problem) = world.root("PATCH", &one("connections", connection), body).await;
    assert_eq!(status, 200, "{problem}");
}

#[tokio::test]
async fn claims_that_are_not_read_any_more_give_nothing_and_long_ago_is_forgotten_when_they_are_read_again() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "default_role": "lead" })).await;
    engineers_are(&world, &connection, "admin").await;
    world.invite("acme", ADA, "member").await;
    let acting = came(&world, &connection).await;
    assert_eq!(ada(&world).await["role"], "admin");
    let (made, users, token) = of_nothing(&world).await;
    told(&world, (&users, &token)).await;
    changed(&world, &connection, json!({ "directory": made["id"] })).await;
    let member = ada(&world).await;
    assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("member")), "her grant");
    assert!(!member["reasons"].to_string().contains(connection["claims_directory"].as_str().unwrap()));
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "she was linked before");
    assert_eq!(ada(&world).await["role"], "member");
    changed(&world, &connection, json!({ "directory": null, "default_role": null })).await;
    assert_eq!(ada(&world).await["role"], "member", "what was said before is forgotten");
    assert!(acting.is_allowed(&world).await);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "admin", "what is said now");
}

#[tokio::test]
async fn who_came_just_in_time_keeps_what_claims_gave_until_the_directory_speaks_of_them() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    engineers_are(&world, &connection, "admin").await;
    let acting = came(&world, &connection).await;
    let (made, users, token) = directory(&world).await;
    changed(&world, &connection, json!({ "directory": made["id"], "jit": false })).await;
    assert_eq!((ada(&world).await["role"].as_str(), acting.is_allowed(&world).await), (Some("admin"), true));
    told(&world, (&users, &token)).await;
    let member = ada(&world).await;
    assert_eq!((&member["role"], &member["governed_by"]), (&json!("member"), &made["id"]));
    assert!(acting.is_allowed(&world).await);
}

#[tokio::test]
async fn what_a_former_claim_gave_ends_with_it_and_off_boards_nobody() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true, "default_role": "lead" })).await;
    engineers_are(&world, &connection, "admin").await;
    let acting = came(&world, &connection).await;
    changed(&world, &connection, json!({ "groups_claim": "groups" })).await;
    assert_eq!(ada(&world).await["role"], "admin", "the claim that was read already");
    changed(&world, &connection, json!({ "groups_claim": "teams" })).await;
    assert_eq!(ada(&world).await["role"], "lead", "at once");
    assert!(acting.is_allowed(&world).await);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "lead", "and the new one says nothing");

    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    engineers_are(&world, &connection, "member").await;
    let Acting([session, key, run]) = came(&world, &connection).await;
    let acting = Acting([session, key.clone(), run.clone()]);
    changed(&world, &connection, json!({ "groups_claim": "teams" })).await;
    assert!(acting.is_over(&world).await, "she lived by the former claim alone");
    world.clock.pass_s(48 * 3_600);
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(ada(&world).await["state"], "suspended", "until she signs in");
    world.say_too(json!({ "teams": ["Engineering"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    for secret in [key, run] {
        assert_eq!(world.decision(&secret).await, "allowed");
    }
}

#[tokio::test]
async fn who_signs_in_again_without_groups_confirms_nothing_that_nobody_doubts() {
    let world = World::new().await;
    let fields = json!({ "jit": true, "default_role": "lead", "groups_claim": "teams" });
    let connection = world.connection("acme", fields).await;
    let signs_in = async || {
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        world.events("acme", "directory_user.updated").await.len()
    };
    signs_in().await;
    assert_eq!(world.events("acme", "directory_user.created").await.len(), 1);
    let told = signs_in().await;
    assert_eq!(signs_in().await, told, "the same said again writes nothing");
}

#[tokio::test]
async fn a_claim_that_comes_to_carry_groups_gives_nothing_by_its_values_any_more() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true, "default_role": "lead" })).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "attribute": { "name": "teams", "value": "Leads" },
        "role": "admin",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "admin");
    changed(&world, &connection, json!({ "groups_claim": "teams" })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "lead", "a group of that name is mapped to nothing");
}

#[tokio::test]
async fn who_signs_in_without_the_claim_that_is_read_now_waits_on_and_is_back_when_it_is_set_right() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    engineers_are(&world, &connection, "member").await;
    let Acting([_, key, run]) = came(&world, &connection).await;
    changed(&world, &connection, json!({ "groups_claim": "rolles" })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "member_inactive");
    changed(&world, &connection, json!({ "groups_claim": null })).await;
    world.clock.pass_s(48 * 3_600);
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(ada(&world).await["state"], "suspended", "nothing ends by a setting");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    for secret in [key, run] {
        assert_eq!(world.decision(&secret).await, "allowed");
    }
}

#[tokio::test]
async fn who_waits_for_their_groups_is_back_without_them_where_they_live_by_something_else() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true })).await;
    engineers_are(&world, &connection, "admin").await;
    came(&world, &connection).await;
    changed(&world, &connection, json!({ "groups_claim": "rolles" })).await;
    changed(&world, &connection, json!({ "default_role": "lead" })).await;
    assert_eq!(ada(&world).await["state"], "suspended", "until she signs in");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "lead");
}

#[tokio::test]
async fn what_claims_said_long_ago_does_not_come_back_when_the_directory_that_took_over_is_deleted() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "jit": true, "default_role": "lead" })).await;
    engineers_are(&world, &connection, "admin").await;
    let acting = came(&world, &connection).await;
    let (made, users, token) = directory(&world).await;
    told(&world, (&users, &token)).await;
    assert_eq!(ada(&world).await["role"], "member");
    let keep = format!("{}?people=keep", one("directories", &made));
    assert_eq!(world.root("DELETE", &keep, Value::Null).await.0, 204);
    let member = ada(&world).await;
    assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("member")), "{member}");
    assert!(acting.is_allowed(&world).await);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "admin", "what is said now");
}

#[tokio::test]
async fn the_usual_claim_gives_nothing_by_its_values_any_more_once_it_carries_groups_again() {
    let world = World::new().await;
    let other = json!({ "jit": true, "default_role": "lead", "groups_claim": "teams" });
    let connection = world.connection("acme", other).await;
    let mapping = json!({
        "directory": connection["claims_directory"], "attribute": { "name": "groups", "value": "Engineering" },
        "role": "admin",
    });
    world.made("/organizations/acme/mappings", mapping).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "admin");
    changed(&world, &connection, json!({ "groups_claim": null })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(ada(&world).await["role"], "lead");
}
