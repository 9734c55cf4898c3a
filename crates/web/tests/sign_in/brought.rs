//! Whoever came just in time and is named anew by the provider is the same member; and whom nothing makes that member.

use portcullis_emulator::{Browser, OidcProvider};
use serde_json::{Value, json};

use crate::named_anew::{ada, groups_are_mapped, named, one, patched, role};
use crate::people::{directory, scim_user};
use crate::saml_idp::{Idp, PERSISTENT, Says, key};
use crate::world::{ADA, CLIENT_SECRET, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

fn open() -> Value {
    json!({ "jit": true, "default_role": "member" })
}

/// A key of Ada's.
async fn key_of_ada(world: &World) -> String {
    let keys = format!("{}/keys", one("members", &ada(world).await));
    let key = world.made(&keys, json!({ "name": "laptop" })).await;
    key["token"].as_str().unwrap().to_owned()
}

/// Ada came just in time by OpenID, and another provider takes the place of the one that brought her.
struct Moved {
    world: World,
    connection: Value,
    next: OidcProvider,
    /// Who she is.
    ada: Value,
}

impl Moved {
    async fn new(before: impl AsyncFnOnce(&World, &Value)) -> Self {
        let world = World::new().await;
        let fields = json!({ "jit": true, "default_role": "member", "client_id": "ours" });
        let connection = world.connection("acme", fields).await;
        assert_eq!(world.outcome(&connection, ADA).await, "ok");
        before(&world, &connection).await;
        let ada = ada(&world).await["id"].clone();
        let next = world.another_provider("ours", connection["redirect_uri"].as_str().unwrap()).await;
        let to = json!({ "issuer": next.issuer(), "client_secret": CLIENT_SECRET });
        patched(&world, &connection, to).await;
        Self { world, connection, next, ada }
    }

    async fn outcome(&self) -> String {
        self.world.outcome(&self.connection, ADA).await
    }

    async fn is_ada(&self) {
        assert_eq!(self.outcome().await, "ok");
        assert_eq!(ada(&self.world).await["id"], self.ada, "the same member");
    }

    fn say_too(&self, claims: Value) {
        self.next.say_too(claims.as_object().unwrap().clone());
    }
}

async fn off_boarded(world: &World, email: &str) {
    let member = world.members("acme", email).await.remove(0);
    let path = format!("{}/offboard", one("members", &member));
    assert_eq!(world.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
}

#[tokio::test]
async fn a_name_that_stays_takes_the_place_of_an_address_for_whoever_came_just_in_time_too() {
    for former in [Says::by_address(ADA), named("ada", UNSPECIFIED, &[]), named(ADA, PERSISTENT, &[])] {
        let (world, idp) = (World::new().await, Idp::start().await);
        let connection = world.saml("acme", &idp, open()).await;
        assert_eq!(world.saml_outcome(&idp, &connection, &former).await, "ok");
        let before = ada(&world).await;
        let key = key_of_ada(&world).await;
        let how = format!("{} {}", former.format, former.name_id);
        assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "{how}");
        assert_eq!(ada(&world).await["id"], before["id"], "{how}: the same member");
        assert_eq!(world.decision(&key).await, "allowed", "{how}");
        assert_eq!(world.events("acme", "member.unlinked").await.len(), 1, "{how}");
        for (other, format) in [("ada-2", PERSISTENT), ("ada2", UNSPECIFIED), (ADA, PERSISTENT)] {
            let other = named(other, format, &[]);
            let came = world.saml_outcome(&idp, &connection, &other).await;
            assert_eq!(came, "address_recycled", "{how}, then {format} {}", other.name_id);
        }
        let by_address = world.saml_outcome(&idp, &connection, &Says::by_address(ADA)).await;
        assert_eq!(by_address, "address_recycled", "{how}");
        assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&[])).await, "ok", "{how}");
    }
}

#[tokio::test]
async fn another_subject_with_the_address_of_whoever_came_just_in_time_is_another_person() {
    let world = World::new().await;
    let connection = world.connection("acme", open()).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.renew(ADA, "somebody-else");
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled");
    world.renew(ADA, "person-000000");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let idp = Idp::start().await;
    let elsewhere = world.saml("acme", &idp, open()).await;
    let came = world.saml_outcome(&idp, &elsewhere, &Says::ada(&[])).await;
    assert_eq!(came, "not_invited", "a connection that did not bring her");
}

#[tokio::test]
async fn who_came_just_in_time_waits_for_the_next_provider_and_is_back_by_it() {
    let world = World::new().await;
    let fields = json!({ "jit": true, "client_id": "ours", "groups_claim": "teams" });
    let connection = world.connection("acme", fields).await;
    groups_are_mapped(&world, &connection).await;
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let (before, key) = (ada(&world).await, key_of_ada(&world).await);
    let next = world.another_provider("ours", connection["redirect_uri"].as_str().unwrap()).await;
    let to = json!({ "issuer": next.issuer(), "client_secret": CLIENT_SECRET });
    patched(&world, &connection, to).await;
    assert_ne!(world.decision(&key).await, "allowed", "she lived by what the former one said");
    world.clock.pass_s(48 * 3_600);
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(ada(&world).await["state"], "suspended", "nobody is off-boarded by a setting");
    assert_eq!(world.outcome(&connection, ADA).await, "member_inactive", "nor back by a word without groups");
    next.say_too(json!({ "teams": ["Engineering"] }).as_object().unwrap().clone());
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!((&ada(&world).await["id"], role(&world).await.as_str()), (&before["id"], "member"));
    assert_eq!(world.decision(&key).await, "allowed");
    next.change_company(|company| company.find_person_mut(ADA).unwrap().id = "somebody-else".to_owned());
    assert_eq!(world.outcome(&connection, ADA).await, "address_recycled", "the next one has named her");
}

#[tokio::test]
async fn a_stolen_key_that_named_whoever_came_just_in_time_anew_leaves_them_nothing_and_off_boards_nobody() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "jit": true })).await;
    groups_are_mapped(&world, &connection).await;
    let by_address =
        |groups: &[&str]| Says { attributes: Says::ada(groups).attributes, ..Says::by_address(ADA) };
    assert_eq!(world.saml_outcome(&idp, &connection, &by_address(&["Engineering"])).await, "ok");
    let (before, secret) = (ada(&world).await, key_of_ada(&world).await);
    let (stolen, honest) = (idp.key.clone(), key());
    idp.publish(&[&stolen, &honest]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    let forged = named("evil", PERSISTENT, &["Leads"]);
    assert_eq!(world.saml_outcome(&idp, &connection, &forged).await, "ok");
    assert_eq!(role(&world).await, "admin");
    idp.key = honest;
    let print: String = stolen.certificate().sha256().iter().map(|b| format!("{b:02x}")).collect();
    let retire = format!("{}/certificates/{print}/retire?links=end", one("connections", &connection));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    let waits = ada(&world).await;
    assert_eq!((&waits["state"], &waits["role"]), (&json!("suspended"), &Value::Null), "{waits}");
    world.clock.pass_s(48 * 3_600);
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(ada(&world).await["state"], "suspended", "and goes on waiting");
    assert_eq!(world.saml_outcome(&idp, &connection, &by_address(&["Engineering"])).await, "ok");
    assert_eq!((&ada(&world).await["id"], role(&world).await.as_str()), (&before["id"], "member"));
    assert_eq!(world.decision(&secret).await, "allowed");
}

#[tokio::test]
async fn who_waits_where_the_connection_asks_a_directory_by_now_lives_again_by_what_that_gives() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({ "jit": true })).await;
    groups_are_mapped(&world, &connection).await;
    let by_address = Says { attributes: Says::ada(&["Engineering"]).attributes, ..Says::by_address(ADA) };
    assert_eq!(world.saml_outcome(&idp, &connection, &by_address).await, "ok");
    let (before, secret) = (ada(&world).await, key_of_ada(&world).await);
    let (stolen, honest) = (idp.key.clone(), key());
    idp.publish(&[&stolen, &honest]);
    world.clock.pass_s(86_400);
    assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
    let forged = named("evil", PERSISTENT, &["Leads"]);
    assert_eq!(world.saml_outcome(&idp, &connection, &forged).await, "ok");
    idp.key = honest;
    let (made, users, token) = directory(&world).await;
    patched(&world, &connection, json!({ "jit": false, "directory": made["id"] })).await;
    let print: String = stolen.certificate().sha256().iter().map(|b| format!("{b:02x}")).collect();
    let retire = format!("{}/certificates/{print}/retire?links=end", one("connections", &connection));
    assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
    assert_eq!(ada(&world).await["role"], Value::Null, "what the stolen key said gives nothing on");
    world.clock.pass_s(48 * 3_600);
    world.portcullis.step_rules().await.unwrap();
    assert_eq!(ada(&world).await["state"], "suspended", "and nobody is off-boarded by it");
    let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ada")).await;
    assert_eq!(status, 201, "{told}");
    assert_eq!((&ada(&world).await["id"], role(&world).await.as_str()), (&before["id"], "member"));
    assert_eq!(world.decision(&secret).await, "allowed");
}

#[tokio::test]
async fn whoever_left_is_not_named_anew_as_whoever_came_just_in_time_by_any_of_their_names() {
    let moved = Moved::new(async |world: &World, connection: &Value| {
        assert_eq!(world.outcome(connection, BARBARA).await, "ok");
        off_boarded(world, BARBARA).await;
    });
    let moved = moved.await;
    moved.say_too(json!({ "preferred_username": BARBARA }));
    assert_eq!(moved.outcome().await, "tombstoned");
    moved.say_too(json!({ "preferred_username": "ada" }));
    moved.is_ada().await;
}

#[tokio::test]
async fn another_member_is_not_named_anew_as_whoever_came_just_in_time() {
    let moved = Moved::new(async |world: &World, connection: &Value| {
        assert_eq!(world.outcome(connection, BARBARA).await, "ok");
    });
    let moved = moved.await;
    moved.say_too(json!({ "preferred_username": BARBARA }));
    assert_eq!(moved.outcome().await, "not_invited");
    moved.say_too(json!({ "preferred_username": ADA }));
    moved.is_ada().await;
}

#[tokio::test]
async fn an_address_that_was_said_no_more_of_whoever_came_just_in_time_names_them_no_more() {
    let alias = "ada.king@acme.example";
    for (renamed, expected) in [(true, "not_invited"), (false, "ok")] {
        let moved = Moved::new(async |world: &World, connection: &Value| {
            if renamed {
                let rename = |p: &mut portcullis_emulator::Person| p.email = alias.to_owned();
                world.provider.change_company(|company| rename(company.find_person_mut(ADA).unwrap()));
                assert_eq!(world.outcome(connection, "person-000000").await, "ok");
            }
        });
        assert_eq!(moved.await.outcome().await, expected, "renamed: {renamed}");
    }
}

#[tokio::test]
async fn whom_a_directory_has_taken_over_is_named_anew_by_it_alone() {
    for (gives_life, expected) in [(true, "not_invited"), (false, "ok")] {
        let moved = Moved::new(async |world: &World, _: &Value| {
            let (made, users, token) = directory(world).await;
            if !gives_life {
                let path = one("directories", &made);
                assert_eq!(world.root("PATCH", &path, json!({ "default_role": null })).await.0, 200);
            }
            let (status, told) = world.call("POST", &users, &token, scim_user(ADA, ADA, "ext-ada")).await;
            assert_eq!(status, 201, "{told}");
        });
        assert_eq!(moved.await.outcome().await, expected, "gives life: {gives_life}");
    }
}

#[tokio::test]
async fn nobody_is_named_anew_who_holds_a_role_that_people_alone_give_or_whom_an_administrator_suspended() {
    for (how, expected) in [("owner", "own_session_only"), ("suspended", "member_inactive"), ("none", "ok")] {
        let moved = Moved::new(async |world: &World, _: &Value| {
            let member = ada(world).await;
            let grant = json!({ "member": member["id"], "role": "owner", "reason": "founder" });
            match how {
                "owner" => drop(world.made("/organizations/acme/grants", grant).await),
                "suspended" => {
                    let path = one("members", &member);
                    let (status, _) = world.root("PATCH", &path, json!({ "state": "suspended" })).await;
                    assert_eq!(status, 200);
                }
                _ => {}
            }
        });
        let moved = moved.await;
        let links = moved.world.events("acme", "member.linked").await.len();
        assert_eq!(moved.outcome().await, expected, "{how}");
        let after = moved.world.events("acme", "member.linked").await.len();
        assert_eq!(after - links, usize::from(expected == "ok"), "{how}: nothing is kept of a refusal");
    }
}

#[tokio::test]
async fn whoever_came_just_in_time_and_lives_by_the_default_role_goes_on_while_another_provider_comes() {
    let moved = Moved::new(async |world: &World, _: &Value| {
        assert_eq!(world.decision(&key_of_ada(world).await).await, "allowed");
    });
    let moved = moved.await;
    assert_eq!(ada(&moved.world).await["state"], "active");
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&moved.world.sign_in(&mut browser, &moved.connection, ADA).await), "ok");
    moved.is_ada().await;
}
