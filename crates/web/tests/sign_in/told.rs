//! What the audit log says of a change that somebody asks it about later: whose signatures count, who is behind a membership,
//! by which credential, and why somebody has what they have.

use portcullis_emulator::{GOOGLE_TOKEN_URL, GoogleSettings, GoogleWorkspace, Surroundings, Workspace};
use serde_json::{Value, json};

use crate::local::joined;
use crate::people::{directory, scim_user};
use crate::ranks::member;
use crate::saml_idp::{Idp, key};
use crate::saml_trust::{one, print};
use crate::world::{ADA, World, outcome};

const ACME: &str = "/organizations/acme";
const CAROL: &str = "carol@acme.example";

/// The events about a thing, oldest first.
async fn about(world: &World, id: &str) -> Vec<Value> {
    let path = format!("{ACME}/audit-events?target={id}&limit=200");
    let (status, list) = world.root("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

fn of<'e>(events: &'e [Value], action: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["action"] == action).collect()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("`{field}` of {value}"))
}

async fn patched(world: &World, path: &str, body: Value) -> Value {
    let (status, changed) = world.root("PATCH", path, body).await;
    assert_eq!(status, 200, "{changed}");
    changed
}

#[tokio::test]
async fn every_certificate_and_key_of_a_connection_of_saml_and_what_is_set_of_it_has_its_event() {
    let (world, mut idp) = (World::new().await, Idp::start().await);
    let made =
        world.saml("acme", &idp, json!({ "metadata_url": null, "metadata_xml": idp.metadata() })).await;
    let id = text(&made, "id").to_owned();
    let prints = |events: &[Value], action: &str| -> Vec<String> {
        of(events, action).iter().map(|e| text(&e["detail"], "fingerprint").to_owned()).collect()
    };
    let events = about(&world, &id).await;
    let (first, second) = (idp.key.clone(), key());
    assert_eq!(prints(&events, "connection.certificate_trusted"), [print(&first)], "{events:?}");
    assert_eq!(of(&events, "connection.key_created").len(), 1, "{events:?}");
    let created = &of(&events, "connection.created")[0]["detail"]["saml"];
    assert_eq!(created["settings"]["idp_initiated"], false, "{created}");
    assert_eq!(created["certificates"], json!([print(&first)]));

    world.clock.pass_s(1);
    idp.publish(&[&first, &second]);
    let change = json!({ "metadata_xml": idp.metadata(), "saml": { "idp_initiated": true } });
    patched(&world, &one(&made), change).await;
    let events = about(&world, &id).await;
    let trusted = prints(&events, "connection.certificate_trusted");
    assert_eq!(trusted, [print(&first), print(&second)], "planted beside the real one: {events:?}");
    let updated = &of(&events, "connection.updated")[0]["detail"];
    let mut both = [print(&first), print(&second)];
    both.sort_unstable();
    assert_eq!(updated["saml_before"]["certificates"], json!([print(&first)]), "{updated}");
    assert_eq!(updated["saml_after"]["certificates"], json!(both), "{updated}");
    assert_eq!(updated["saml_after"]["settings"]["idp_initiated"], true, "{updated}");

    idp.entity = "https://idp.test/another".to_owned();
    world.clock.pass_s(1);
    idp.publish(&[&second]);
    patched(&world, &one(&made), json!({ "metadata_xml": idp.metadata() })).await;
    let events = about(&world, &id).await;
    assert_eq!(prints(&events, "connection.certificate_retired"), [print(&first)], "of the one before");
    let updated = &of(&events, "connection.updated")[1]["detail"];
    assert_eq!(updated["saml_after"]["certificates"], json!([print(&second)]), "{updated}");
}

#[tokio::test]
async fn what_is_set_of_a_connection_of_openid_and_its_first_key_are_told_when_they_come_to_count() {
    let world = World::new().await;
    let made = world.connection("acme", json!({ "oidc": { "max_age_s": 600 } })).await;
    let id = text(&made, "id").to_owned();
    let created = about(&world, &id).await;
    assert_eq!(of(&created, "connection.created")[0]["detail"]["oidc"]["max_age_s"], 600, "{created:?}");
    let change = json!({ "oidc": { "max_age_s": 60, "client_auth": "private_key_jwt" } });
    patched(&world, &one(&made), change).await;
    let events = about(&world, &id).await;
    let detail = &of(&events, "connection.updated")[0]["detail"];
    assert_eq!(
        (&detail["oidc_before"]["max_age_s"], &detail["oidc_after"]["max_age_s"]),
        (&json!(600), &json!(60))
    );
    assert_eq!(detail["oidc_after"]["client_auth"], "private_key_jwt", "{detail}");
    assert_eq!(of(&events, "connection.key_created").len(), 1, "{events:?}");
}

#[tokio::test]
async fn whoever_a_membership_becomes_by_a_link_is_named_and_who_it_was_ends_by_an_event() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    joined(&world, "globex", CAROL, "member").await;
    let hers = text(&world.members("globex", CAROL).await[0]["user"], "id").to_owned();
    let link = world.invite("acme", CAROL, "member").await;
    let before = text(&world.members("acme", CAROL).await[0]["user"], "id").to_owned();
    let mut browser = portcullis_emulator::Browser::new().unwrap();
    let fields = [("token", link.rsplit_once('=').unwrap().1), ("password", crate::local::PASSWORD)];
    let page = browser.submit(&format!("{}/invite", world.base), &fields).await.unwrap();
    assert_eq!(outcome(&page), "ok");
    let id = member(&world, CAROL).await;
    let joined = world.events("acme", "member.joined").await.remove(0);
    assert_eq!(joined["detail"]["user"], json!({ "from": before, "to": hers }), "{joined}");
    assert_eq!(joined["detail"]["believed_up_to"], 1000, "by a link that the root token saw alone: {joined}");
    let ended = world.events("acme", "user.ended").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(
        ended[0]["targets"],
        json!([{ "type": "user", "id": before }, { "type": "membership", "id": id }])
    );
}

#[tokio::test]
async fn how_far_a_token_is_believed_and_when_it_runs_out_are_told_when_it_is_issued() {
    let world = World::new().await;
    let browser = joined(&world, "acme", ADA, "member").await;
    let session = world.sessions(&browser).remove(0);
    let path = format!("/api/v1{ACME}/members/{}/keys", member(&world, ADA).await);
    let (status, key) = world.call("POST", &path, &session, json!({ "name": "laptop" })).await;
    assert_eq!(status, 201, "{key}");
    let issued = world.events("acme", "token.issued").await;
    let detail = |kind: &str| {
        issued.iter().find(|e| e["detail"]["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {issued:?}"))["detail"]
            .clone()
    };
    for kind in ["session", "member_key"] {
        assert!(detail(kind)["believed_up_to"].is_i64(), "{kind}: {issued:?}");
        assert!(detail(kind).as_object().unwrap().contains_key("parent"), "{kind}: {issued:?}");
    }
    assert!(detail("session")["expires_at"].is_string(), "{issued:?}");
    assert_eq!(detail("session")["environment"], "production", "{issued:?}");
}

#[tokio::test]
async fn the_cause_names_the_credential_that_was_presented() {
    let world = World::new().await;
    let browser = joined(&world, "acme", ADA, "admin").await;
    let session = world.sessions(&browser).remove(0);
    let path = format!("/api/v1{ACME}/members/{}/keys", member(&world, ADA).await);
    let mut tokens = Vec::new();
    for name in ["one", "two"] {
        world.clock.pass_s(1);
        let (status, key) = world.call("POST", &path, &session, json!({ "name": name })).await;
        assert_eq!(status, 201, "{key}");
        let (secret, id) = (text(&key, "token").to_owned(), text(&key, "id").to_owned());
        let team = json!({ "slug": name, "name": name });
        let (status, made) = world.call("POST", &format!("/api/v1{ACME}/teams"), &secret, team).await;
        assert_eq!(status, 201, "{made}");
        tokens.push(json!(id));
    }
    let by: Vec<_> =
        world.events("acme", "team.created").await.iter().map(|e| e["cause"]["token"].clone()).collect();
    assert_eq!(by, tokens, "each by its own key");
    let issued = world.events("acme", "token.issued").await;
    let opened = issued.iter().find(|e| e["detail"]["kind"] == "session").unwrap();
    let keys: Vec<_> = issued.iter().filter(|e| e["detail"]["kind"] == "member_key").collect();
    assert!(
        keys.iter().all(|e| e["cause"]["token"] == opened["targets"][0]["id"]),
        "by the session: {keys:?}"
    );

    let (made, users, scim) = directory(&world).await;
    assert_eq!(
        world.events("acme", "directory.created").await[0]["cause"]["token"],
        Value::Null,
        "the root token"
    );
    let listed = format!("{ACME}/directories/{}/tokens", text(&made, "id"));
    let spoken = world.root("GET", &listed, Value::Null).await.1["items"][0]["id"].clone();
    let (status, told) = world.call("POST", &users, &scim, scim_user(CAROL, CAROL, "carol")).await;
    assert_eq!(status, 201, "{told}");
    let told = world.events("acme", "directory_user.created").await.remove(0);
    assert_eq!(told["cause"]["token"], spoken, "{told}");
    let created = world.events("acme", "member.created").await;
    let created = created.iter().find(|event| event["actor"]["type"] == "directory").unwrap();
    assert_eq!(created["cause"]["token"], spoken, "what follows too: {created}");
}

#[tokio::test]
async fn of_changed_access_the_reasons_and_the_directory_that_governs_are_told() {
    let world = World::new().await;
    let (made, users, token) = directory(&world).await;
    let (status, told) = world.call("POST", &users, &token, scim_user(CAROL, CAROL, "carol")).await;
    assert_eq!(status, 201, "{told}");
    let groups = users.replace("/Users", "/Groups");
    for name in ["a", "b"] {
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name,
            "members": [{ "value": told["id"] }],
        });
        let (status, group) = world.call("POST", &groups, &token, group).await;
        assert_eq!(status, 201, "{group}");
        let mapping = json!({ "directory": made["id"], "group": { "id": group["id"] }, "role": "admin" });
        world.made(&format!("{ACME}/mappings"), mapping).await;
        if name == "a" {
            continue;
        }
        let (status, _) =
            world.call("DELETE", &format!("{groups}/{}", text(&group, "id")), &token, Value::Null).await;
        assert_eq!(status, 204);
    }
    for event in world.events("acme", "member.access_changed").await {
        let (from, to) = (&event["detail"]["from"], &event["detail"]["to"]);
        assert_ne!(from, to, "something of it is another: {event}");
        assert_eq!(to["governed_by"], made["id"], "{event}");
        assert!(to["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{event}");
        assert!(to.as_object().unwrap().contains_key("until"), "{event}");
    }
}

#[tokio::test]
async fn an_agent_whose_heir_or_whose_rules_chooser_leaves_has_an_event_of_it() {
    let world = World::new().await;
    let browser = joined(&world, "acme", CAROL, "admin").await;
    let session = world.sessions(&browser).remove(0);
    joined(&world, "acme", ADA, "member").await;
    let (owner, leaver) = (member(&world, ADA).await, member(&world, CAROL).await);
    let wish = json!({ "name": "bot", "owner": owner, "heir": leaver, "on_owner_loss": "keep" });
    let (status, agent) = world.call("POST", &format!("/api/v1{ACME}/agents"), &session, wish).await;
    assert_eq!(status, 201, "{agent}");
    let agent = text(&agent, "id").to_owned();
    assert_eq!(about(&world, &agent).await[0]["detail"]["rule_chosen_by"], json!(leaver));
    let off_board = format!("{ACME}/members/{leaver}/offboard");
    assert_eq!(world.root("POST", &off_board, json!({ "reason": "left" })).await.0, 200);
    let events = about(&world, &agent).await;
    let updated = of(&events, "agent.updated");
    let (from, to): (Vec<_>, Vec<_>) =
        updated.iter().map(|e| (&e["detail"]["from"], &e["detail"]["to"])).unzip();
    assert_eq!(from, [&json!({ "heir": leaver, "rule_chosen_by": leaver })], "{events:?}");
    assert_eq!(to, [&json!({ "heir": null, "rule_chosen_by": null })], "{events:?}");
    let ended = &world.events("acme", "member.deprovisioned").await[0];
    assert_eq!(updated[0]["cause"]["event"], ended["id"], "it follows from the end");
}

#[tokio::test]
async fn another_right_to_ask_google_by_shows_in_its_event_though_what_is_new_is_sealed() {
    let world = World::new().await;
    let body = json!({
        "kind": "google", "name": "Google", "google": {
            "authorization": "consent", "hosted_domain": "acme.example", "client_id": "x", "client_secret": "y",
        },
    });
    let made = world.made(&format!("{ACME}/directories"), body).await;
    let path = format!("{ACME}/directories/{}", text(&made, "id"));
    patched(&world, &path, json!({ "google": { "client_secret": "z" } })).await;
    let updated = world.events("acme", "directory.updated").await.remove(0);
    let detail = &updated["detail"];
    assert_eq!(detail["secret_changed"], true, "{updated}");
    assert_eq!(detail["to"]["google"]["believed_up_to"], 1000, "{updated}");
    assert!(detail["to"]["google"].as_object().unwrap().contains_key("consented_at"), "{updated}");

    let google = GoogleWorkspace::new(GoogleSettings {
        token_url: GOOGLE_TOKEN_URL.to_owned(),
        workspace: Workspace::new("acme.example"),
        max_page: 500,
        surroundings: Surroundings::predictable(|| 0, 7),
    })
    .unwrap();
    let by_key = json!({ "google": {
        "delegated_admin": "admin@acme.example", "service_account_key": google.service_account_key(),
    } });
    let body = json!({ "kind": "google", "name": "G", "google": by_key["google"] });
    let made = world.made(&format!("{ACME}/directories"), body).await;
    let path = format!("{ACME}/directories/{}", text(&made, "id"));
    world.clock.pass_s(1);
    patched(&world, &path, json!({ "google": { "domain": "acme.example" } })).await;
    let updated = world.events("acme", "directory.updated").await.pop().unwrap();
    assert_eq!(updated["detail"]["secret_changed"], false, "{updated}");
}

#[tokio::test]
async fn the_log_says_how_many_people_and_agents_went_with_an_organization() {
    let world = World::new().await;
    joined(&world, "acme", ADA, "owner").await;
    let owner = member(&world, ADA).await;
    world.made(&format!("{ACME}/agents"), json!({ "name": "bot", "owner": owner })).await;
    assert_eq!(world.root("DELETE", &format!("{ACME}?members=offboard"), Value::Null).await.0, 204);
    let event = world.events("acme", "organization.deleted").await.remove(0);
    assert_eq!(event["detail"], json!({ "people": 1, "agents": 1 }), "{event}");
}

#[tokio::test]
async fn an_action_that_there_is_none_of_is_refused_and_each_that_is_written_down_can_be_asked_for() {
    let world = World::new().await;
    let asked = async |action: &str, more: &str| {
        world.root("GET", &format!("{ACME}/audit-events?action={action}{more}"), Value::Null).await
    };
    for more in ["", "&after=0"] {
        let (status, problem) = asked("member.deprovisiond", more).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{problem}");
    }
    for action in portcullis_domain::audit::Action::ALL {
        assert_eq!(asked(action.as_str(), "").await.0, 200, "{action:?}");
    }
    assert_eq!(asked("receipt.opened", "").await.0, 400, "an off-boarding is `member.deprovisioned`");
}
