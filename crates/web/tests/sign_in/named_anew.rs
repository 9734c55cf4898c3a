//! Whoever the provider names anew, and what it said of them under the name of before: one person is told of once.

use portcullis_emulator::Browser;
use portcullis_store::Priority;
use serde_json::{Value, json};

use crate::local::PASSWORD;
use crate::saml_idp::{Idp, PERSISTENT, Says, key};
use crate::world::{ADA, CLIENT_SECRET, World, outcome};

const BARBARA: &str = "barbara.brandt@acme.example";
const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

/// The groups of the claims of that connection: engineers are members, leads are administrators.
pub async fn groups_are_mapped(world: &World, connection: &Value) {
    for (group, role) in [("Engineering", "member"), ("Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        world.made("/organizations/acme/mappings", mapping).await;
    }
}

pub async fn ada(world: &World) -> Value {
    let mut all = world.members("acme", ADA).await;
    all.retain(|member| member["state"] != "deprovisioned");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub async fn role(world: &World) -> String {
    ada(world).await["role"].as_str().unwrap_or("none").to_owned()
}

pub fn one(of: &str, made: &Value) -> String {
    format!("/organizations/acme/{of}/{}", made["id"].as_str().unwrap())
}

pub async fn patched(world: &World, connection: &Value, body: Value) {
    let (status, changed) = world.root("PATCH", &one("connections", connection), body).await;
    assert_eq!(status, 200, "{changed}");
}

/// Somebody by that name of that format, with Ada's address, in these groups.
pub fn named(name: &str, format: &'static str, groups: &[&str]) -> Says {
    Says { name_id: name.to_owned(), format, ..Says::ada(groups) }
}

/// What the trace of the last sign-in with that outcome shows.
async fn traced(world: &World, outcome: &str) -> Vec<Value> {
    world.portcullis.store_traces().await.unwrap();
    let path = format!("/organizations/acme/traces?kind=sign_in&outcome={outcome}");
    let (status, list) = world.root("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_said_under_a_former_name_is_over_with_it() {
    let by_address = Says { attributes: Says::ada(&["Leads"]).attributes, ..Says::by_address(ADA) };
    let by_attribute = |groups: &[&str]| {
        let mut says = named("ada-1", PERSISTENT, groups);
        says.attributes.push(("employeeId", vec!["7".to_owned()]));
        says
    };
    for (before, set, after) in [
        (by_address, None, [named("ada-1", PERSISTENT, &["Engineering"]), Says::ada(&[])]),
        (
            named("ada", UNSPECIFIED, &["Leads"]),
            None,
            [named("ada-1", PERSISTENT, &["Engineering"]), Says::ada(&[])],
        ),
        (by_attribute(&["Leads"]), Some("employeeId"), [by_attribute(&["Engineering"]), by_attribute(&[])]),
    ] {
        let (world, idp) = (World::new().await, Idp::start().await);
        let connection = world.saml("acme", &idp, json!({})).await;
        groups_are_mapped(&world, &connection).await;
        world.invite("acme", ADA, "viewer").await;
        let how = format!("{} {}, then {set:?}", before.format, before.name_id);
        assert_eq!(world.saml_outcome(&idp, &connection, &before).await, "ok", "{how}");
        assert_eq!(role(&world).await, "admin", "{how}");
        if let Some(name) = set {
            patched(&world, &connection, json!({ "saml": { "subject_attribute": name } })).await;
        }
        let [engineer, nobody] = after;
        let silent = engineer.clone().without_groups();
        for (says, expected) in [(&silent, "admin"), (&engineer, "member"), (&nobody, "viewer")] {
            assert_eq!(world.saml_outcome(&idp, &connection, says).await, "ok", "{how}");
            assert_eq!(role(&world).await, expected, "{how}: {:?}", says.attributes);
        }
    }
}

#[tokio::test]
async fn of_two_accounts_of_one_member_the_one_that_was_heard_last_counts() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "groups_claim": "teams" })).await;
    groups_are_mapped(&world, &connection).await;
    world.invite("acme", ADA, "viewer").await;
    world.say_too(json!({ "teams": ["Leads"] }));
    let mut browser = Browser::new().unwrap();
    assert_eq!(outcome(&world.sign_in(&mut browser, &connection, ADA).await), "ok");
    assert_eq!(role(&world).await, "admin");
    world.say_too(json!({ "teams": ["Engineering"] }));
    world.provider.sign_in_as(Some(BARBARA));
    let form = format!("{}/sso/oidc/{}/link", world.base, connection["id"].as_str().unwrap());
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
    world.provider.sign_in_as(None);
    assert_eq!(role(&world).await, "member", "what the other account says");
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role(&world).await, "admin", "and the first one again");
}

#[tokio::test]
async fn what_one_provider_said_is_over_when_another_takes_its_place() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "client_id": "ours", "groups_claim": "teams" })).await;
    groups_are_mapped(&world, &connection).await;
    world.invite("acme", ADA, "viewer").await;
    world.say_too(json!({ "teams": ["Leads"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    patched(&world, &connection, json!({ "client_secret": "another-secret-of-ours" })).await;
    assert_eq!(role(&world).await, "admin", "the same provider");
    let next = world.another_provider("ours", connection["redirect_uri"].as_str().unwrap()).await;
    let to = json!({ "issuer": next.issuer(), "client_secret": CLIENT_SECRET });
    patched(&world, &connection, to).await;
    assert_eq!(role(&world).await, "viewer", "at once, whether she signs in or not");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role(&world).await, "viewer");
    next.say_too(json!({ "teams": ["Engineering"] }).as_object().unwrap().clone());
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role(&world).await, "member", "what the next one says");

    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({})).await;
    groups_are_mapped(&world, &connection).await;
    world.invite("acme", ADA, "viewer").await;
    assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&["Leads"])).await, "ok");
    let mut next = Idp::start().await;
    "https://next.test/entity".clone_into(&mut next.entity);
    next.publish(&[&next.key]);
    // It counts its messages from one, as the other does, and an id is used once.
    (0..20).for_each(|_| drop(next.id()));
    patched(&world, &connection, json!({ "metadata_url": next.metadata_url() })).await;
    assert_eq!(role(&world).await, "viewer");
    assert_eq!(world.saml_outcome(&next, &connection, &Says::ada(&["Engineering"])).await, "ok");
    assert_eq!(role(&world).await, "member");
}

#[tokio::test]
async fn what_a_stolen_key_said_of_groups_ends_with_the_links_that_it_made() {
    for later in [false, true] {
        let (world, mut idp) = (World::new().await, Idp::start().await);
        let connection = world.saml("acme", &idp, json!({})).await;
        groups_are_mapped(&world, &connection).await;
        world.invite("acme", ADA, "viewer").await;
        let (stolen, honest) = (idp.key.clone(), key());
        idp.publish(&[&stolen, &honest]);
        world.clock.pass_s(86_400);
        assert_eq!(world.portcullis.refresh_due_metadata().await.unwrap(), 1);
        let forged = named("evil", PERSISTENT, &["Leads"]);
        assert_eq!(world.saml_outcome(&idp, &connection, &forged).await, "ok");
        assert_eq!(role(&world).await, "admin");
        idp.key = honest;
        if later {
            // An honest word that says nothing of groups takes none of them.
            let silent = forged.without_groups();
            assert_eq!(world.saml_outcome(&idp, &connection, &silent).await, "ok");
        }
        let print: String = stolen.certificate().sha256().iter().map(|b| format!("{b:02x}")).collect();
        let retire = format!("{}/certificates/{print}/retire", one("connections", &connection));
        assert_eq!(world.root("POST", &retire, Value::Null).await.0, 200);
        assert_eq!(role(&world).await, "admin", "the provider merely has another key");
        assert_eq!(world.root("POST", &format!("{retire}?links=end"), Value::Null).await.0, 200);
        assert_eq!(role(&world).await, "viewer", "later: {later}");
        assert_eq!(world.saml_outcome(&idp, &connection, &Says::ada(&["Engineering"])).await, "ok");
        assert_eq!(role(&world).await, "member");
    }
}

#[tokio::test]
async fn who_was_off_boarded_and_comes_back_has_nothing_of_what_claims_said_of_them_before() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({ "groups_claim": "teams" })).await;
    groups_are_mapped(&world, &connection).await;
    let value = json!({
        "directory": connection["claims_directory"], "attribute": { "name": "site", "value": "HQ" }, "role": "lead",
    });
    world.made("/organizations/acme/mappings", value).await;
    world.invite("acme", ADA, "viewer").await;
    world.say_too(json!({ "teams": ["Leads"], "site": "HQ" }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role(&world).await, "admin");
    let end = format!("{}/offboard", one("members", &ada(&world).await));
    assert_eq!(world.root("POST", &end, json!({ "reason": "left" })).await.0, 200);
    let link = world.invite("acme", ADA, "viewer").await;
    let mut browser = Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    // In none of the groups: most providers leave the claim out then.
    world.say_too(json!({}));
    world.provider.sign_in_as(Some(ADA));
    let form = format!("{}/sso/oidc/{}/link", world.base, connection["id"].as_str().unwrap());
    assert_eq!(outcome(&browser.submit(&form, &[]).await.unwrap()), "ok");
    let back = ada(&world).await;
    assert_eq!(back["role"], "viewer", "{back}");
    let claims = connection["claims_directory"].as_str().unwrap();
    assert!(!back["reasons"].to_string().contains(claims), "{back}");
    world.say_too(json!({ "teams": ["Engineering"] }));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(role(&world).await, "member", "what is said of her now");
}

#[tokio::test]
async fn an_address_in_another_case_is_the_same_person_and_a_name_in_another_case_is_another() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let connection = world.saml("acme", &idp, json!({})).await;
    world.invite("acme", ADA, "member").await;
    for written in [ADA, "Ada.Abel@Acme.Example", ADA] {
        let came = world.saml_outcome(&idp, &connection, &Says::by_address(written)).await;
        assert_eq!(came, "ok", "{written}");
    }
    assert_eq!(world.events("acme", "member.joined").await.len(), 1);
    world.invite("acme", BARBARA, "member").await;
    let at = |name: &str, address: &str| Says {
        attributes: vec![("email", vec![address.to_owned()])],
        ..named(name, PERSISTENT, &[])
    };
    for says in [at("x-7", ADA), at("X-7", BARBARA), at("x-7", ADA)] {
        assert_eq!(world.saml_outcome(&idp, &connection, &says).await, "ok", "{}", says.name_id);
    }
    let barbara = world.members("acme", BARBARA).await[0]["id"].clone();
    let linked = world.events("acme", "member.linked").await;
    let whose = |event: &&Value| event["targets"][0]["id"] == barbara;
    assert_eq!(linked.iter().filter(whose).count(), 1, "{linked:?}");
}

#[tokio::test]
async fn whoever_is_proven_and_meets_a_fault_of_ours_leaves_a_trace() {
    let world = World::new().await;
    let connection = world.connection("acme", json!({})).await;
    world.invite("acme", ADA, "member").await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert!(traced(&world, "internal").await.is_empty());
    let planted = "UPDATE memberships SET state = 'no state'";
    world.portcullis.write(Priority::Ordinary, move |tx, _| Ok(tx.batch(planted)?)).await.unwrap();
    let mut browser = Browser::new().unwrap();
    assert_eq!(world.sign_in(&mut browser, &connection, ADA).await.status, 500);
    let traces = traced(&world, "internal").await;
    assert_eq!(traces.len(), 1, "{traces:?}");
    assert_eq!(traces[0]["subject"], ADA, "{traces:?}");
    let trace = world.root("GET", &one("traces", &traces[0]), Value::Null).await.1;
    let content = &trace["content"];
    assert!(content["claims"]["subject"].is_string() || content["claims"].is_object(), "{trace}");
    assert!(
        !content["message"].as_str().unwrap().contains("no state"),
        "how it looks inside is the log's: {trace}"
    );
    world.provider.behave(portcullis_emulator::Behaviour::AlgNone);
    let mut browser = Browser::new().unwrap();
    world.sign_in(&mut browser, &connection, ADA).await;
    assert_eq!(traced(&world, "internal").await.len(), 1, "nobody is proven there");
}
