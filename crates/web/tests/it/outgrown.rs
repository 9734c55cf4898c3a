//! A key is worth no more than whoever else saw its secret: it rests while what it acts as stands above them, at every
//! door, whatever raised the one or lowered the other, and acts again when their ranks are in order.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, GrantChange, OrganizationChange};
use portcullis_domain::grant::Grant;
use portcullis_domain::id::GrantId;
use portcullis_domain::plan::Plan;
use portcullis_testkit::Persona;
use serde_json::{Value, json};

use crate::people::{directory, group, person};
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

/// What each door says of a key: the API, AuthZEN, a proxy, introspection.
async fn doors(scene: &Scene, secret: &str) -> (u16, String, u16, bool) {
    let (me, _) = scene.bench.call("GET", "/api/v1/me", secret, Value::Null).await;
    let gate = json!({ "name": "gate", "scopes": ["evaluate", "introspect"] });
    let gate = scene.made(&format!("{ACME}/service-keys"), gate).await["token"].as_str().unwrap().to_owned();
    let question = json!({
        "subject": { "type": "token", "id": secret }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" },
    });
    let (_, answer) = scene.bench.call("POST", "/access/v1/evaluation", &gate, question).await;
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str())];
    let forward = "/authz/forward?organization=acme";
    let passed = scene.bench.exchange("GET", forward, &headers, &Value::Null).await.status.as_u16();
    let bearer = format!("Bearer {gate}");
    let form = "application/x-www-form-urlencoded";
    let headers = [("authorization", bearer.as_str()), ("content-type", form)];
    let introspected =
        scene.bench.exchange_text("POST", "/oauth2/introspect", &headers, &format!("token={secret}")).await;
    let code = answer["context"]["code"].as_str().unwrap().to_owned();
    (me, code, passed, introspected.json()["active"].as_bool().unwrap())
}

async fn acts(scene: &Scene, secret: &str, why: &str) {
    assert_eq!(doors(scene, secret).await, (200, "allowed".into(), 200, true), "{why}");
}

async fn rests(scene: &Scene, secret: &str, why: &str) {
    assert_eq!(doors(scene, secret).await, (401, "not_permitted".into(), 403, false), "{why}");
}

/// Somebody of rank 400 who may issue keys for others, and steer their agents.
async fn helpdesk(scene: &Scene) -> Persona {
    let permissions = json!(["use", "members.read", "keys.write", "agents.write"]);
    let role = json!({ "slug": "helpdesk", "rank": 400, "permissions": permissions });
    scene.made(&format!("{ACME}/roles"), role).await;
    scene.bench.member(scene.owner.organization, "helpdesk@acme.test", "helpdesk")
}

async fn key_for(scene: &Scene, who: &Persona, member: &str) -> String {
    let path = format!("{ACME}/members/{member}/keys");
    let (status, made) = scene.as_of(who, "POST", &path, json!({ "name": "for another" })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["shown_to"], json!(who.membership.to_string()));
    made["token"].as_str().unwrap().to_owned()
}

/// Gives a role; the path by which it is taken back.
async fn granted(scene: &Scene, member: &str, role: &str) -> String {
    let path = format!("{ACME}/grants");
    let made = scene.made(&path, json!({ "member": member, "role": role, "reason": "raised" })).await;
    format!("{path}/{}", id(&made))
}

async fn taken_back(scene: &Scene, path: &str) {
    assert_eq!(scene.root("DELETE", path, Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_key_rests_once_its_holder_stands_above_whoever_saw_it() {
    let scene = Scene::new();
    let bob = scene.member.membership.to_string();
    let key = key_for(&scene, &scene.admin, &bob).await;
    let own = key_for(&scene, &scene.member, &bob).await;
    acts(&scene, &key, "an administrator's, for a member").await;
    let same = granted(&scene, &bob, "admin").await;
    acts(&scene, &key, "of the same rank").await;
    let above = granted(&scene, &bob, "owner").await;
    rests(&scene, &key, "an owner's, seen by an administrator").await;
    acts(&scene, &own, "seen by nobody else").await;
    let mallory = json!({ "member": scene.admin.membership.to_string(), "role": "owner", "reason": "mine" });
    let made = scene.bench.call("POST", &format!("{ACME}/grants"), &key, mallory).await;
    refused(made, 401, "unauthenticated");
    taken_back(&scene, &above).await;
    acts(&scene, &key, "in order again").await;
    taken_back(&scene, &same).await;
    acts(&scene, &key, "as on the first day").await;
}

#[tokio::test]
async fn a_key_rests_whichever_rule_raised_its_holder() {
    let scene = Scene::new();
    let helpdesk = helpdesk(&scene).await;
    let org = scene.owner.organization;
    let wish = json!({ "kind": "scim", "name": "Okta", "default_role": "member" });
    let made = scene.made(&format!("{ACME}/directories"), wish).await;
    let bob = person(&scene.bench, org, directory(&made), "bob@acme.test");
    group(&scene.bench, org, directory(&made), "Platform", &[bob.user]);
    let key = key_for(&scene, &helpdesk, &bob.membership.to_string()).await;
    acts(&scene, &key, "the default role stands below").await;
    let mapping = json!({ "directory": made["id"], "group": { "display_name": "platform" }, "role": "lead" });
    let mapping = scene.made(&format!("{ACME}/mappings"), mapping).await;
    rests(&scene, &key, "a mapping raised the holder").await;
    taken_back(&scene, &format!("{ACME}/mappings/{}", id(&mapping))).await;
    acts(&scene, &key, "and is gone").await;

    let junior = json!({ "slug": "junior", "rank": 350, "permissions": ["use"] });
    let junior = scene.made(&format!("{ACME}/roles"), junior).await;
    granted(&scene, &bob.membership.to_string(), "junior").await;
    acts(&scene, &key, "a role below").await;
    let one = format!("{ACME}/roles/{}", id(&junior));
    for (rank, is_above) in [(450, true), (350, false)] {
        assert_eq!(scene.root("PATCH", &one, json!({ "rank": rank })).await.0, 200);
        if is_above {
            rests(&scene, &key, "the role itself was raised").await;
        } else {
            acts(&scene, &key, "and lowered").await;
        }
    }
}

#[tokio::test]
async fn a_key_rests_once_whoever_saw_it_is_lowered() {
    let scene = Scene::new();
    let helpdesk = helpdesk(&scene).await;
    let key = key_for(&scene, &helpdesk, &scene.member.membership.to_string()).await;
    acts(&scene, &key, "as it was issued").await;
    let grants = scene.all(&format!("{ACME}/grants")).await;
    let own = grants.iter().find(|grant| grant["role"] == "helpdesk").unwrap();
    granted(&scene, &helpdesk.membership.to_string(), "viewer").await;
    acts(&scene, &key, "the higher role counts").await;
    taken_back(&scene, &format!("{ACME}/grants/{}", id(own))).await;
    rests(&scene, &key, "a viewer saw a member's key").await;
}

#[tokio::test]
async fn an_agents_key_rests_once_its_owner_stands_above_whoever_saw_it() {
    let scene = Scene::new();
    let helpdesk = helpdesk(&scene).await;
    let code = async |secret: &str| doors(&scene, secret).await.1;
    let agent = json!({ "name": "bot", "owner": scene.member.membership.to_string() });
    let agent = format!("{ACME}/agents/{}", id(&scene.made(&format!("{ACME}/agents"), agent).await));
    let key = async |who: &Persona| {
        let (status, made) =
            scene.as_of(who, "POST", &format!("{agent}/keys"), json!({ "name": "run" })).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    };
    let (of_helpdesk, of_admin) = (key(&helpdesk).await, key(&scene.admin).await);
    assert_eq!(code(&of_helpdesk).await, "allowed");
    let raised = granted(&scene, &scene.member.membership.to_string(), "lead").await;
    assert_eq!(code(&of_helpdesk).await, "not_permitted", "the owner was raised");
    assert_eq!(code(&of_admin).await, "allowed");
    taken_back(&scene, &raised).await;
    assert_eq!(code(&of_helpdesk).await, "allowed");
    for (owner, of) in [(&scene.owner, "not_permitted"), (&scene.admin, "allowed")] {
        let given = json!({ "owner": owner.membership.to_string() });
        assert_eq!(scene.root("POST", &format!("{agent}/owner"), given).await.0, 200);
        assert_eq!(code(&of_helpdesk).await, "not_permitted", "given to somebody above");
        assert_eq!(code(&of_admin).await, of, "as to the administrator");
    }
}

/// A grant that is given or taken under rules that nobody has settled yet, as after a change for many.
fn unsettled(scene: &Scene, change: impl Fn(GrantId) -> Change + Send + 'static) {
    let organization = scene.owner.organization;
    scene.bench.write(move |tx, moment| {
        let grant = GrantId::fresh(moment.now, &mut moment.random);
        let event = EventDraft::new(Action::GrantCreated, grant);
        let changes = vec![change(grant), OrganizationChange::RaiseRules(organization).into()];
        let plan = Plan::because(organization, Cause::system()).then_all(event, changes);
        moment.apply(tx, &plan)?;
        Ok(())
    });
}

#[tokio::test]
async fn ranks_under_rules_that_nobody_has_settled_count_on_both_sides() {
    let scene = Scene::new();
    let helpdesk = helpdesk(&scene).await;
    let key = key_for(&scene, &helpdesk, &scene.member.membership.to_string()).await;
    acts(&scene, &key, "as it was issued").await;
    let give = |to: &Persona, role: &'static str| {
        let (organization, membership) = (to.organization, to.membership);
        let created_at = scene.bench.portcullis().now();
        move |id| {
            let (granted_by, request, ended_at) = (None, None, None);
            let (role, reason) = (role.parse().unwrap(), "raised".to_owned());
            let grant = Grant {
                id,
                organization,
                membership,
                role,
                granted_by,
                reason,
                request,
                created_at,
                ended_at,
            };
            GrantChange::Create(grant).into()
        }
    };
    unsettled(&scene, give(&scene.member, "lead"));
    rests(&scene, &key, "the holder was raised").await;
    unsettled(&scene, give(&helpdesk, "admin"));
    acts(&scene, &key, "and whoever saw it too").await;
    let (membership, at) = (helpdesk.membership, scene.bench.portcullis().now());
    unsettled(&scene, move |_| GrantChange::EndOf { membership, keep: None, at }.into());
    rests(&scene, &key, "who has no role at all now").await;
}

#[tokio::test]
async fn a_key_that_a_seen_key_issued_rests_with_it_and_ends_with_whoever_saw_that() {
    let scene = Scene::new();
    let bob = scene.member.membership.to_string();
    let seen = key_for(&scene, &scene.admin, &bob).await;
    let by_seen = async |path: &str, body: Value| scene.bench.call("POST", path, &seen, body).await;
    let (status, made) = by_seen(&format!("{ACME}/members/{bob}/keys"), json!({ "name": "second" })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["shown_to"], json!(scene.admin.membership.to_string()), "who may have called with it");
    let second = made["token"].as_str().unwrap().to_owned();
    let own = key_for(&scene, &scene.member, &bob).await;
    acts(&scene, &second, "of the same member").await;
    let above = granted(&scene, &bob, "owner").await;
    rests(&scene, &seen, "an owner's, seen by an administrator").await;
    rests(&scene, &second, "as the one that it came from").await;
    acts(&scene, &own, "that nobody else saw").await;
    taken_back(&scene, &above).await;
    acts(&scene, &second, "in order again").await;
    let path = format!("{ACME}/members/{}/offboard", scene.admin.membership);
    assert_eq!(scene.root("POST", &path, json!({ "reason": "left" })).await.0, 200);
    for secret in [&seen, &second] {
        assert_eq!(doors(&scene, secret).await, (401, "token_ended".into(), 401, false));
    }
    acts(&scene, &own, "what they never saw goes on").await;
}

/// What a member issues by a key that another saw: the secrets that must fall with either, and the ids of those that
/// are to be rotated then.
struct Issued {
    falls: Vec<(&'static str, String)>,
    rotates: Vec<String>,
    seen_key: String,
}

async fn issued_by_a_seen_key(scene: &Scene, bob: &Persona) -> Issued {
    let seen = key_for(scene, &scene.admin, &bob.membership.to_string()).await;
    let by = async |secret: &str, path: &str, body: Value| {
        let (status, made) = scene.bench.call("POST", &format!("{ACME}/{path}"), secret, body).await;
        assert_eq!(status, 201, "{path}: {made}");
        made
    };
    let text = |made: &Value| made["token"].as_str().unwrap().to_owned();
    let carol = scene.member.membership.to_string();
    let agent = json!({
        "name": "bot", "owner": bob.membership.to_string(), "heir": carol, "on_owner_loss": "hand_over",
    });
    let agent = id(&by(&seen, "agents", agent).await);
    let others = id(&by(&seen, "agents", json!({ "name": "other", "owner": carol })).await);
    let name = json!({ "name": "run" });
    let carols = text(&by(&seen, &format!("members/{carol}/keys"), name.clone()).await);
    let directory = by(&seen, "directories", json!({ "kind": "scim", "name": "Okta" })).await;
    let token = by(&seen, &format!("directories/{}/tokens", id(&directory)), json!({})).await;
    let gate = by(&seen, "service-keys", json!({ "name": "gate", "scopes": ["evaluate"] })).await;
    for made in [&token, &gate] {
        assert_eq!(made["shown_to"], json!(scene.admin.membership.to_string()), "{made}");
    }
    let invitation = json!({ "email": "guest@elsewhere.test", "role": "viewer" });
    let link = by(&seen, "invitations", invitation).await["link"].as_str().unwrap().to_owned();
    // That one may be known to three by now.
    let again =
        scene.bench.call("POST", &format!("{ACME}/members/{carol}/keys"), &carols, name.clone()).await;
    assert_eq!((again.0, &again.1["code"]), (403, &json!("seen_by_others")), "{}", again.1);
    let falls = vec![
        ("a key of their agent", text(&by(&seen, &format!("agents/{agent}/keys"), name.clone()).await)),
        ("a key of another's", text(&by(&seen, &format!("agents/{others}/keys"), name).await)),
        ("another's key", carols),
        ("an invitation", link.rsplit(['/', '#', '=']).next().unwrap().to_owned()),
    ];
    let first = scene.all(&format!("{ACME}/directories/{}/tokens", id(&directory))).await;
    let rotates = first.iter().chain([&gate]).map(id).collect();
    Issued { falls, rotates, seen_key: seen }
}

#[tokio::test]
async fn what_a_seen_key_issues_falls_with_its_holder_and_with_whoever_saw_it() {
    for leaves_is_holder in [true, false] {
        let scene = Scene::new();
        let bob = scene.bench.member(scene.owner.organization, "bob@acme.test", "admin");
        let issued = issued_by_a_seen_key(&scene, &bob).await;
        let code = async |secret: &str| doors(&scene, secret).await.1;
        let is_key = |what: &str| what != "an invitation";
        let codes = async |must: &str| {
            for (what, secret) in issued.falls.iter().filter(|(what, _)| is_key(what)) {
                assert_eq!(code(secret).await, must, "{what}, holder: {leaves_is_holder}");
            }
        };
        codes("allowed").await;
        let leaver = if leaves_is_holder { &bob } else { &scene.admin };
        let member = format!("{ACME}/members/{}", leaver.membership);
        assert_eq!(scene.root("PATCH", &member, json!({ "state": "suspended" })).await.0, 200);
        for (what, secret) in issued.falls.iter().filter(|(what, _)| is_key(what)) {
            assert_eq!(code(secret).await, "member_inactive", "{what}, holder: {leaves_is_holder}");
        }
        assert_eq!(scene.root("PATCH", &member, json!({ "state": "active" })).await.0, 200);
        codes("allowed").await;
        let left = scene.root("POST", &format!("{member}/offboard"), json!({ "reason": "left" })).await;
        assert_eq!(left.0, 200);
        for (what, secret) in &issued.falls {
            assert_eq!(code(secret).await, "token_ended", "{what}, holder: {leaves_is_holder}");
        }
        let receipts = scene.all(&format!("{ACME}/receipts")).await;
        let kept = receipts.last().unwrap()["kept"].as_array().unwrap();
        for token in &issued.rotates {
            let line = json!({ "type": "token", "id": token, "why": "rotate" });
            assert!(kept.contains(&line), "{kept:?} has no {line}, holder: {leaves_is_holder}");
        }
    }
}

#[tokio::test]
async fn what_a_seen_key_issued_goes_on_when_that_key_alone_is_ended() {
    let scene = Scene::new();
    let bob = scene.bench.member(scene.owner.organization, "bob@acme.test", "admin");
    let issued = issued_by_a_seen_key(&scene, &bob).await;
    let keys = scene.all(&format!("{ACME}/members/{}/keys", bob.membership)).await;
    let seen = keys.iter().find(|key| key["name"] == "for another").unwrap();
    let path = format!("{ACME}/members/{}/keys/{}", bob.membership, id(seen));
    assert_eq!(scene.root("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(doors(&scene, &issued.seen_key).await.1, "token_ended");
    for (what, secret) in issued.falls.iter().filter(|(what, _)| *what != "an invitation") {
        assert_eq!(doors(&scene, secret).await.1, "allowed", "{what}");
    }
}
