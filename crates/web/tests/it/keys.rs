//! Keys of members and of the organization, and `/tokens`.

use portcullis_domain::access::Access;
use portcullis_domain::id::RequestId;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::Slug;
use portcullis_domain::token::TokenKind;
use portcullis_service::session::{self, Opening};
use portcullis_service::{Limits, token_use};
use portcullis_testkit::{Bench, Persona};
use serde_json::{Value, json};

use crate::agents::change_access;
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

fn keys(member: &Persona) -> String {
    format!("{ACME}/members/{}/keys", member.membership)
}

async fn all_of(scene: &Scene, path: &str) -> Vec<String> {
    scene.all(path).await.iter().map(id).collect()
}

#[tokio::test]
async fn a_members_key_is_issued_once_shown_once_and_revoked() {
    let scene = Scene::new();
    let path = keys(&scene.member);
    let (status, made) = scene.as_of(&scene.member, "POST", &path, json!({ "name": "laptop" })).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["token"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("pc_key_"), "{secret}");
    assert_eq!((&made["kind"], &made["environment"]), (&json!("member_key"), &json!("production")));
    assert_eq!(made["shown_to"], json!(scene.member.membership.to_string()));
    assert_eq!(scene.bench.call("GET", "/api/v1/me", &secret, Value::Null).await.0, 200);

    let one = format!("{path}/{}", id(&made));
    let (_, shown) = scene.as_of(&scene.member, "GET", &one, Value::Null).await;
    assert_eq!((&shown["id"], shown.get("token")), (&made["id"], None), "never the secret again");
    assert_eq!(all_of(&scene, &path).await.len(), 2, "this one and the persona's");
    assert_eq!(scene.as_of(&scene.member, "DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(scene.bench.call("GET", "/api/v1/me", &secret, Value::Null).await.0, 401);
    let (_, ended) = scene.root("GET", &format!("{ACME}/tokens/{}", id(&made)), Value::Null).await;
    assert_eq!(ended["ended_because"], json!("revoked"));
    let event = format!("{ACME}/audit-events/{}", ended["ended_by_event"].as_str().unwrap());
    let (_, event) = scene.root("GET", &event, Value::Null).await;
    assert_eq!(event["actor"]["id"], json!(scene.member.membership.to_string()));
    assert_eq!(scene.as_of(&scene.member, "DELETE", &one, Value::Null).await.0, 204, "the end is the end");
}

#[tokio::test]
async fn a_repeat_of_an_issue_gives_the_same_key_without_its_secret() {
    let scene = Scene::new();
    let path = keys(&scene.member);
    let authorization = format!("Bearer {}", scene.member.key);
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "one")];
    let body = json!({ "name": "laptop" });
    let first = scene.bench.exchange("POST", &path, &headers, &body).await.json();
    let again = scene.bench.exchange("POST", &path, &headers, &body).await;
    assert_eq!(again.status, 201);
    let again = again.json();
    assert_eq!(
        (&again["id"], &again["token"], &again["secret_shown"]),
        (&first["id"], &Value::Null, &json!(true))
    );
    assert_eq!(all_of(&scene, &path).await.len(), 2, "one key was made");
    let other = scene.bench.exchange("POST", &path, &headers, &json!({ "name": "desktop" })).await;
    assert_eq!(other.json()["code"], json!("idempotency_mismatch"));
}

#[tokio::test]
async fn keys_are_issued_up_to_ones_own_rank_and_for_active_members_only() {
    let scene = Scene::new();
    let body = json!({ "name": "laptop" });
    let for_owner = scene.as_of(&scene.admin, "POST", &keys(&scene.owner), body.clone()).await;
    refused(for_owner, 403, "above_own_rank");
    let for_other = scene.as_of(&scene.member, "POST", &keys(&scene.viewer), body.clone()).await;
    refused(for_other, 403, "forbidden");
    let without_use = scene.as_of(&scene.viewer, "POST", &keys(&scene.viewer), body.clone()).await;
    refused(without_use, 403, "forbidden");
    assert_eq!(scene.as_of(&scene.admin, "POST", &keys(&scene.member), body.clone()).await.0, 201);

    let path = keys(&scene.member);
    let elsewhere = json!({ "name": "laptop", "environment": "staging" });
    refused(scene.root("POST", &path, elsewhere).await, 422, "other_environment");
    let past = json!({ "name": "laptop", "expires_at": "2020-01-01T00:00:00Z" });
    refused(scene.root("POST", &path, past).await, 400, "invalid_field");
    refused(scene.root("POST", &path, json!({ "name": "" })).await, 400, "invalid_name");
    refused(scene.root("POST", &path, json!({})).await, 400, "missing_field");
    refused(scene.root("POST", &path, json!({ "name": "x", "colour": 1 })).await, 400, "unknown_field");

    let member = format!("{ACME}/members/{}", scene.member.membership);
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "suspended" })).await.0, 200);
    refused(scene.root("POST", &path, body.clone()).await, 409, "member_inactive");
    let foreign = path.replace("acme", "globex");
    refused(scene.as_of(&scene.stranger, "POST", &foreign, body).await, 404, "not_found");
    refused(scene.as_of(&scene.stranger, "GET", &foreign, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn a_key_that_runs_out_is_refused_from_that_moment() {
    let scene = Scene::new();
    let body = json!({ "name": "short", "expires_at": "2026-01-01T00:01:00Z" });
    let (status, made) = scene.as_of(&scene.member, "POST", &keys(&scene.member), body).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["token"].as_str().unwrap();
    assert_eq!(scene.bench.call("GET", "/api/v1/me", secret, Value::Null).await.0, 200);
    scene.bench.clock.pass_s(60);
    assert_eq!(scene.bench.call("GET", "/api/v1/me", secret, Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_service_key_asks_for_its_organization_and_may_nothing_else() {
    let scene = Scene::new();
    let path = format!("{ACME}/service-keys");
    let body = json!({ "name": "gateway", "scopes": ["evaluate", "introspect"] });
    let (status, made) = scene.as_of(&scene.admin, "POST", &path, body.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["scopes"], json!(["evaluate", "introspect"]));
    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("pc_service_"), "{secret}");
    refused(scene.bench.call("GET", &path, secret, Value::Null).await, 403, "forbidden");
    for elsewhere in ["globex", "nowhere"] {
        let path = path.replace("acme", elsewhere);
        refused(scene.bench.call("GET", &path, secret, Value::Null).await, 404, "not_found");
    }
    assert_eq!(all_of(&scene, &path).await, [id(&made)]);
    refused(scene.as_of(&scene.member, "POST", &path, body.clone()).await, 403, "forbidden");
    let nothing = json!({ "name": "gateway", "scopes": [] });
    refused(scene.root("POST", &path, nothing).await, 400, "invalid_field");
    let unknown = json!({ "name": "gateway", "scopes": ["fly"] });
    refused(scene.root("POST", &path, unknown).await, 400, "invalid_field");

    let one = format!("{path}/{}", id(&made));
    let foreign = one.replace("acme", "globex");
    refused(scene.as_of(&scene.stranger, "GET", &foreign, Value::Null).await, 404, "not_found");
    refused(scene.as_of(&scene.stranger, "DELETE", &foreign, Value::Null).await, 404, "not_found");
    let key = scene.made(&keys(&scene.member), json!({ "name": "laptop" })).await;
    let not_one = format!("{path}/{}", id(&key));
    refused(scene.root("DELETE", &not_one, Value::Null).await, 404, "not_found");
    assert_eq!(scene.as_of(&scene.admin, "DELETE", &one, Value::Null).await.0, 204);
    assert_eq!(scene.bench.call("GET", "/api/v1/me", secret, Value::Null).await.0, 401);
}

#[tokio::test]
async fn tokens_are_seen_and_ended_by_whoever_has_the_right() {
    let scene = Scene::new();
    let path = format!("{ACME}/tokens");
    assert_eq!(all_of(&scene, &path).await.len(), 4, "one key for each persona");
    let of = |member: &Persona| format!("{path}?holder={}", member.membership);
    let (_, own) = scene.as_of(&scene.member, "GET", &of(&scene.member), Value::Null).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 1, "{own}");
    let own_key = format!("{path}/{}", id(&own["items"][0]));
    refused(scene.as_of(&scene.member, "GET", &path, Value::Null).await, 403, "forbidden");
    refused(scene.as_of(&scene.member, "GET", &of(&scene.viewer), Value::Null).await, 403, "forbidden");

    let (_, owners) = scene.root("GET", &of(&scene.owner), Value::Null).await;
    let owners_key = format!("{path}/{}", id(&owners["items"][0]));
    assert_eq!(owners["items"][0]["holder"], json!(scene.owner.membership.to_string()));
    refused(scene.as_of(&scene.admin, "DELETE", &owners_key, Value::Null).await, 403, "above_own_rank");
    refused(scene.as_of(&scene.member, "DELETE", &owners_key, Value::Null).await, 403, "forbidden");
    refused(scene.as_of(&scene.viewer, "DELETE", &own_key, Value::Null).await, 403, "forbidden");
    let foreign = own_key.replace("acme", "globex");
    refused(scene.as_of(&scene.stranger, "GET", &foreign, Value::Null).await, 404, "not_found");
    refused(scene.as_of(&scene.stranger, "DELETE", &foreign, Value::Null).await, 404, "not_found");

    assert_eq!(scene.as_of(&scene.member, "DELETE", &own_key, Value::Null).await.0, 204, "one's own");
    refused(scene.as_of(&scene.member, "GET", "/api/v1/me", Value::Null).await, 401, "unauthenticated");
    let (_, viewers) = scene.root("GET", &of(&scene.viewer), Value::Null).await;
    let viewers_key = format!("{path}/{}", id(&viewers["items"][0]));
    assert_eq!(scene.as_of(&scene.admin, "DELETE", &viewers_key, Value::Null).await.0, 204);
    refused(scene.as_of(&scene.viewer, "GET", "/api/v1/me", Value::Null).await, 401, "unauthenticated");
}

#[tokio::test]
async fn only_a_members_own_keys_are_found_below_them() {
    let scene = Scene::new();
    let key = scene.made(&keys(&scene.member), json!({ "name": "laptop" })).await;
    let service = json!({ "name": "gateway", "scopes": ["evaluate"] });
    let service = scene.made(&format!("{ACME}/service-keys"), service).await;
    let below = |member, key| format!("{}/{}", keys(member), id(key));
    assert_eq!(scene.root("GET", &below(&scene.member, &key), Value::Null).await.0, 200);
    for path in [below(&scene.viewer, &key), below(&scene.member, &service)] {
        refused(scene.root("GET", &path, Value::Null).await, 404, "not_found");
        refused(scene.root("DELETE", &path, Value::Null).await, 404, "not_found");
    }
}

#[tokio::test]
async fn whoever_asks_about_a_key_hears_whose_it_is_and_about_an_unknown_one_nothing() {
    let scene = Scene::new();
    let asked = async |secret: &str| {
        let question = json!({
            "subject": { "type": "token", "id": secret },
            "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let (status, answer) = scene.root("POST", "/access/v1/evaluation", question).await;
        assert_eq!(status, 200, "{answer}");
        ["code", "membership", "role"].map(|field| answer["context"][field].clone())
    };
    let member = json!(scene.member.membership.to_string());
    assert_eq!(asked(&scene.member.key).await, [json!("allowed"), member, json!("member")]);
    assert_eq!(asked("pc_key_of_nobody").await, [json!("token_unknown"), Value::Null, Value::Null]);
}

/// The secret of a session of that member.
pub fn session_of(bench: &Bench, who: &Persona) -> String {
    session_in(bench, who, Slug::production())
}

/// The secret of a session of that member in that environment.
fn session_in(bench: &Bench, who: &Persona, environment: Slug) -> String {
    let (organization, id) = (who.organization, who.membership);
    let opened = bench.write(move |tx, moment| {
        let membership = portcullis_store::membership::find(tx, organization, id)?.unwrap();
        let opening = Opening {
            membership: &membership,
            environment: environment.clone(),
            link: None,
            not_after: None,
            presented: &[],
            limits: Limits::default(),
            request: RequestId::fresh(moment.now, &mut moment.random),
        };
        session::open(tx, moment, &opening)
    });
    opened.secret.expose().to_owned()
}

/// A secret of that kind that a member, their agent, a directory or the organization may call with, and how it does;
/// `None` for links, which nobody calls with.
async fn caller_of(scene: &Scene, kind: TokenKind) -> Option<(String, &'static str, String)> {
    let secret_of = |made: Value| made["token"].as_str().unwrap().to_owned();
    let named = json!({ "name": "used" });
    let me = "/api/v1/me".to_owned();
    match kind {
        TokenKind::Session => Some((session_of(&scene.bench, &scene.member), "GET", me)),
        TokenKind::MemberKey => Some((secret_of(scene.made(&keys(&scene.member), named).await), "GET", me)),
        TokenKind::AgentKey => {
            let agent = json!({ "name": "bot", "owner": scene.member.membership.to_string() });
            let agent = id(&scene.made(&format!("{ACME}/agents"), agent).await);
            let made = scene.made(&format!("{ACME}/agents/{agent}/keys"), named).await;
            Some((secret_of(made), "GET", "/authz/forward?organization=acme".to_owned()))
        }
        TokenKind::ServiceKey => {
            let wish = json!({ "name": "used", "scopes": ["evaluate"] });
            let made = scene.made(&format!("{ACME}/service-keys"), wish).await;
            Some((secret_of(made), "POST", "/access/v1/evaluation".to_owned()))
        }
        TokenKind::ScimToken => {
            let wish = json!({ "kind": "scim", "name": "Okta" });
            let made = scene.made(&format!("{ACME}/directories"), wish).await;
            let path = format!("/scim/v2/{}/Users", id(&made));
            Some((secret_of(made), "GET", path))
        }
        TokenKind::Invitation | TokenKind::OwnerLink => None,
    }
}

#[tokio::test]
async fn whatever_kind_of_token_somebody_calls_with_its_last_use_is_told_to_the_minute() {
    for kind in TokenKind::ALL {
        let scene = Scene::new();
        let Some((secret, method, path)) = caller_of(&scene, kind).await else { continue };
        let found = async || {
            let tokens = scene.all(&format!("{ACME}/tokens")).await;
            let mut of_kind = tokens.into_iter().filter(|token| token["kind"] == kind.as_str());
            if kind == TokenKind::MemberKey {
                of_kind.find(|token| token["name"] == "used").unwrap()
            } else {
                of_kind.next().unwrap()
            }
        };
        assert_eq!(found().await["last_used_at"], Value::Null, "{kind:?}");
        scene.bench.clock.pass_s(90);
        let bearer = format!("Bearer {secret}");
        let question = json!({
            "subject": { "type": "token", "id": scene.viewer.key }, "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" },
        });
        let body = if method == "POST" { question } else { Value::Null };
        let answer = scene.bench.exchange(method, &path, &[("authorization", &bearer)], &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{kind:?}: {}", answer.text());
        let uses = scene.bench.portcullis().uses().take();
        scene.bench.write(move |tx, _| token_use::store(tx, &uses));
        assert_eq!(found().await["last_used_at"], json!("2026-01-01T00:01:00.000000Z"), "{kind:?}");
        let before = scene.bench.portcullis().uses().take();
        scene.bench.exchange(method, &path, &[("authorization", &bearer)], &body).await;
        let again = scene.bench.portcullis().uses().take();
        assert_eq!((before, again), (vec![], vec![]), "{kind:?}: nothing to write within the minute");
    }
}

#[tokio::test]
async fn a_use_that_is_not_stored_yet_keeps_a_session_from_being_idle() {
    let scene = Scene::new();
    let bearer = format!("Bearer {}", session_of(&scene.bench, &scene.member));
    for (after_s, status) in [(0, 200), (3_000, 200), (3_000, 200), (3_661, 401)] {
        scene.bench.clock.pass_s(after_s);
        let headers = [("authorization", bearer.as_str())];
        let answer = scene.bench.exchange("GET", "/api/v1/me", &headers, &Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_key_may_run_out_at_the_last_instant_that_others_write() {
    let scene = Scene::new();
    let never = json!({ "name": "laptop", "expires_at": "9999-12-31T23:59:59Z" });
    let made = scene.made(&keys(&scene.member), never).await;
    assert!(made["expires_at"].as_str().unwrap().starts_with("9999-12-3"), "{made}");
    let secret = made["token"].as_str().unwrap();
    assert_eq!(scene.bench.call("GET", "/api/v1/me", secret, Value::Null).await.0, 200);
    for wrong in ["9999-12-31T23:59:60", "9999-12-31T25:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31"] {
        let said = json!({ "name": "laptop", "expires_at": wrong });
        refused(scene.root("POST", &keys(&scene.member), said).await, 400, "invalid_field");
    }
}

/// A key of theirs, by that one.
async fn another(scene: &Scene, who: &Persona, wish: Value) -> (u16, Value) {
    let mut body = json!({ "name": "another" });
    body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    scene.as_of(who, "POST", &keys(who), body).await
}

/// The same person, by another key.
fn by(who: &Persona, (status, made): (u16, Value)) -> Persona {
    assert_eq!(status, 201, "{made}");
    Persona { key: made["token"].as_str().unwrap().to_owned(), ..who.clone() }
}

#[tokio::test]
async fn a_key_of_one_environment_is_worth_nothing_in_another() {
    let scene = Scene::new();
    let staging = json!({ "environment": "staging" });
    change_access(&scene, &scene.admin, |access| access.environments.push("staging".parse().unwrap()));
    let admin = &scene.admin;
    let confined = by(admin, another(&scene, admin, staging.clone()).await);
    refused(another(&scene, &confined, json!({})).await, 403, "outside_environment");
    assert_eq!(another(&scene, &confined, staging.clone()).await.0, 201, "for its own");

    // Its own agents there, and none elsewhere.
    let agent = |environment: &str| json!({ "name": "bot", "owner": admin.membership.to_string(), "environment": environment });
    let agents = format!("{ACME}/agents");
    refused(scene.as_of(&confined, "POST", &agents, agent("production")).await, 403, "outside_environment");
    let (status, own) = scene.as_of(&confined, "POST", &agents, agent("staging")).await;
    assert_eq!(status, 201, "{own}");
    let (_, elsewhere) = scene.as_of(admin, "POST", &agents, agent("production")).await;
    let run = json!({ "name": "run" });
    for (agent, is_there) in [(&own, true), (&elsewhere, false)] {
        let one = format!("{agents}/{}", id(agent));
        let (_, key) = scene.as_of(admin, "POST", &format!("{one}/keys"), run.clone()).await;
        let steps = [
            ("POST", format!("{one}/keys"), run.clone(), 201),
            ("POST", format!("{one}/pause"), Value::Null, 200),
            ("PATCH", one.clone(), json!({ "name": "robot" }), 200),
            ("DELETE", format!("{one}/keys/{}", id(&key)), Value::Null, 204),
            ("DELETE", one, Value::Null, 204),
        ];
        for (method, path, body, status) in steps {
            let answer = scene.as_of(&confined, method, &path, body).await;
            if is_there {
                assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
            } else {
                refused(answer, 403, "outside_environment");
            }
        }
    }
    let moved = scene.as_of(admin, "POST", &agents, agent("staging")).await.1;
    let out = json!({ "environment": "production" });
    let out = scene.as_of(&confined, "PATCH", &format!("{agents}/{}", id(&moved)), out).await;
    refused(out, 403, "outside_environment");

    // Nor what is the whole organization's, or a token of elsewhere.
    refused(
        scene.as_of(&confined, "GET", &format!("{ACME}/members"), Value::Null).await,
        403,
        "outside_environment",
    );
    let (_, production) = another(&scene, admin, json!({})).await;
    for path in [format!("{}/{}", keys(admin), id(&production)), format!("{ACME}/tokens/{}", id(&production))]
    {
        refused(scene.as_of(&confined, "DELETE", &path, Value::Null).await, 403, "outside_environment");
    }
    let (_, me) = scene.as_of(&confined, "GET", "/api/v1/me", Value::Null).await;
    assert_eq!(me["permissions"], json!(["use"]), "{me}");
    let (_, same) = another(&scene, admin, staging.clone()).await;
    let same = format!("{ACME}/tokens/{}", id(&same));
    assert_eq!(scene.as_of(&confined, "DELETE", &same, Value::Null).await.0, 204, "of its own");
}

#[tokio::test]
async fn whoever_loses_production_has_no_more_by_what_was_issued_before_nor_by_what_that_issues() {
    let scene = Scene::new();
    let staging = json!({ "environment": "staging" });
    let apart: Slug = "staging".parse().unwrap();
    let admin = &scene.admin;
    let alone = |access: &mut Access| access.environments = vec!["staging".parse().unwrap()];
    change_access(&scene, admin, |access| access.environments.push("staging".parse().unwrap()));
    let key = by(admin, another(&scene, admin, staging.clone()).await);
    let session = Persona { key: session_in(&scene.bench, admin, apart.clone()), ..admin.clone() };
    change_access(&scene, admin, alone);
    let issued = by(admin, another(&scene, &key, staging.clone()).await);
    let members = format!("{ACME}/members");
    for confined in [&key, &session, &issued] {
        refused(scene.as_of(confined, "GET", &members, Value::Null).await, 403, "outside_environment");
        let (_, me) = scene.as_of(confined, "GET", "/api/v1/me", Value::Null).await;
        assert_eq!(me["permissions"], json!(["use"]), "{me}");
    }
    // What is issued since then is worth the whole organization: there is no other.
    let key = by(admin, another(&scene, admin, staging.clone()).await);
    let session = Persona { key: session_in(&scene.bench, admin, apart), ..admin.clone() };
    let issued = by(admin, another(&scene, &session, staging).await);
    for whole in [&key, &session, &issued] {
        assert_eq!(scene.as_of(whole, "GET", &members, Value::Null).await.0, 200);
    }
    let issued = format!("{ACME}/audit-events?action=token.issued&limit=200");
    let (_, events) = scene.root("GET", &issued, Value::Null).await;
    let events = events["items"].as_array().unwrap();
    let confined = events.iter().filter(|event| event["detail"]["confined"] == json!(true)).count();
    assert_eq!(confined, 3, "{events:?}");
    // While they are in production beside it, those are not either.
    change_access(&scene, admin, |access| access.environments.push(Slug::production()));
    refused(scene.as_of(&key, "GET", &members, Value::Null).await, 403, "outside_environment");
}

#[tokio::test]
async fn a_lead_leads_nobody_by_a_key_of_one_environment() {
    let scene = Scene::new();
    let lead = scene.bench.member(scene.owner.organization, "lead@acme.test", "lead");
    scene.made(&format!("{ACME}/teams"), json!({ "slug": "ops", "name": "Ops" })).await;
    for (who, role) in [(&lead, TeamRole::Admin), (&scene.member, TeamRole::Member)] {
        change_access(&scene, who, move |access| {
            access.teams = vec![("ops".parse().unwrap(), role)];
            access.environments.push("staging".parse().unwrap());
        });
    }
    let confined = by(&lead, another(&scene, &lead, json!({ "environment": "staging" })).await);
    let member = format!("{ACME}/members/{}", scene.member.membership);
    assert_eq!(scene.as_of(&lead, "GET", &member, Value::Null).await.0, 200);
    refused(scene.as_of(&confined, "GET", &member, Value::Null).await, 403, "outside_environment");
}

#[tokio::test]
async fn a_key_with_an_end_makes_its_holder_none_that_is_good_for_longer() {
    let scene = Scene::new();
    let (end, later) = (json!("2026-01-02T00:00:00.000000Z"), json!("2026-01-02T00:00:00.000001Z"));
    let agent = json!({ "name": "bot", "owner": scene.admin.membership.to_string() });
    let agent = scene.made(&format!("{ACME}/agents"), agent).await;
    let others = json!({ "name": "bot", "owner": scene.member.membership.to_string() });
    let others = scene.made(&format!("{ACME}/agents"), others).await;
    let short = by(&scene.admin, another(&scene, &scene.admin, json!({ "expires_at": end })).await);
    let agents = |agent: &Value| format!("{ACME}/agents/{}/keys", id(agent));
    for own in [keys(&scene.admin), agents(&agent)] {
        let ask = async |wish: Value| scene.as_of(&short, "POST", &own, wish).await;
        refused(ask(json!({ "name": "x", "expires_at": later })).await, 400, "invalid_field");
        for wish in [json!({ "name": "x", "expires_at": end }), json!({ "name": "x" })] {
            let (status, made) = ask(wish).await;
            assert_eq!((status, &made["expires_at"]), (201, &end), "{own}: {made}");
        }
    }
    // What acts for others is not its holder's, and whoever signed in is there themselves.
    for others in [keys(&scene.member), agents(&others)] {
        let (status, made) = scene.as_of(&short, "POST", &others, json!({ "name": "x" })).await;
        assert_eq!((status, &made["expires_at"]), (201, &Value::Null), "{others}: {made}");
    }
    // Nor do they become its holder's by that key while something for them lasts longer.
    let handed = format!("{ACME}/agents/{}/owner", id(&others));
    let to = json!({ "owner": scene.admin.membership.to_string() });
    refused(scene.as_of(&short, "POST", &handed, to.clone()).await, 400, "invalid_field");
    for key in scene.all(&agents(&others)).await {
        let one = format!("{}/{}", agents(&others), id(&key));
        assert_eq!(scene.as_of(&short, "DELETE", &one, Value::Null).await.0, 204);
    }
    let until = json!({ "name": "x", "expires_at": end });
    assert_eq!(scene.as_of(&short, "POST", &agents(&others), until).await.0, 201);
    assert_eq!(scene.as_of(&short, "POST", &handed, to).await.0, 200, "as long as the key itself");
    let session = Persona { key: session_of(&scene.bench, &scene.admin), ..scene.admin.clone() };
    let (status, made) = another(&scene, &session, json!({})).await;
    assert_eq!((status, &made["expires_at"]), (201, &Value::Null), "{made}");
}
