//! A key is worth no more than whoever else saw its secret: it rests while what it acts as stands above them, at every
//! door, whatever raised the one or lowered the other, and acts again when their ranks are in order.

use portcullis_domain::audit::{Action, EventDraft, Target};
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
        let event = EventDraft::new(Action::GrantCreated, Target::new("grant", grant));
        let changes = vec![change(grant), OrganizationChange::RaiseRules(organization).into()];
        let plan = Plan::because(organization, Cause::system()).then_all(event, changes);
        portcullis_store::apply(tx, &plan, moment.now, &mut moment.random)?;
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
