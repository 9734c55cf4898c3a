//! The three doors at which somebody asks whether a bearer may act, over HTTP: AuthZEN, forward-auth, introspection.

use portcullis_domain::evaluation::Decision;
use portcullis_service::Limits;
use portcullis_testkit::{Exchange, Persona, ROOT_TOKEN};
use serde_json::{Value, json};

use crate::keys::session_of;
use crate::scim::provider::Provider;
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";
const EVALUATION: &str = "/access/v1/evaluation";
const INTROSPECTION: &str = "/oauth2/introspect";
/// What every admitted request is told, whatever of it is empty.
const TOLD: [&str; 8] =
    ["organization", "environment", "membership", "user", "email", "role", "teams", "agent"];

fn question(secret: &str) -> Value {
    json!({
        "subject": { "type": "token", "id": secret }, "action": { "name": "use" },
        "resource": { "type": "tool", "id": "Bash" }, "context": {},
    })
}

/// A service key with those scopes.
async fn service_key(scene: &Scene, org: &str, scopes: Value) -> String {
    let path = format!("/api/v1/organizations/{org}/service-keys");
    let made = scene.made(&path, json!({ "name": "gate", "scopes": scopes })).await;
    made["token"].as_str().unwrap().to_owned()
}

/// An agent of that member and a key of it.
async fn agent(scene: &Scene, owner: &Persona, name: &str) -> (String, String) {
    let wish = json!({ "name": name, "owner": owner.membership.to_string() });
    let made = scene.made(&format!("{ACME}/agents"), wish).await;
    let keys = format!("{ACME}/agents/{}/keys", id(&made));
    let key = scene.made(&keys, json!({ "name": "key" })).await;
    (id(&made), key["token"].as_str().unwrap().to_owned())
}

/// Asks as a proxy does, with these headers.
async fn forward(scene: &Scene, query: &str, headers: &[(&str, &str)]) -> Exchange {
    let answer = scene.bench.exchange("GET", &format!("/authz/forward{query}"), headers, &Value::Null).await;
    assert!(answer.body.is_empty(), "no answer has a body: {}", answer.text());
    answer
}

/// The status that a bearer gets.
async fn passes(scene: &Scene, query: &str, secret: &str) -> u16 {
    let bearer = format!("Bearer {secret}");
    forward(scene, query, &[("authorization", &bearer)]).await.status.as_u16()
}

/// A form, as that caller.
async fn introspect(scene: &Scene, caller: Option<&str>, form: &str) -> Exchange {
    let bearer = caller.map(|caller| format!("Bearer {caller}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let headers = [headers, vec![("content-type", "application/x-www-form-urlencoded")]].concat();
    scene.bench.exchange_text("POST", INTROSPECTION, &headers, form).await
}

fn header(answer: &Exchange, name: &str) -> Option<String> {
    answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_proxy_is_told_of_everybody_who_may_act_and_of_nobody_else() {
    let scene = Scene::new();
    let (member, org) = (&scene.member, "?organization=acme");
    let (_, of_agent) = agent(&scene, member, "builder").await;
    for (secret, has_agent) in [(&member.key, false), (&of_agent, true)] {
        let bearer = format!("Bearer {secret}");
        let answer = forward(&scene, org, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status.as_u16(), 200);
        let told = TOLD.map(|name| header(&answer, &format!("x-portcullis-{name}")));
        assert!(told.iter().all(Option::is_some), "each of the eight is there, empty or not: {told:?}");
        let told = told.map(Option::unwrap);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("acme", "production"));
        assert_eq!(
            (told[2].clone(), told[3].clone()),
            (member.membership.to_string(), member.user.to_string())
        );
        assert_eq!(
            (told[4].as_str(), told[5].as_str(), told[6].as_str()),
            ("member@acme.test", "member", "")
        );
        assert_eq!(told[7].is_empty(), !has_agent);
        assert_eq!(header(&answer, "cache-control").as_deref(), Some("no-store"));
    }
    let refusals: [(&str, u16); 8] = [
        ("", 401),
        ("?organization=", 401),
        ("?organization=nowhere", 401),
        ("?organization=globex", 401),
        ("?organization=acme&organization=acme", 401),
        ("?organization=globex&organization=acme", 401),
        ("?organization=acme&environment=staging", 403),
        ("?organization=acme&environment=no%20slug", 403),
    ];
    for (query, must) in refusals {
        assert_eq!(passes(&scene, query, &member.key).await, must, "`{query}`");
        assert_eq!(passes(&scene, query, "nonsense").await, 401, "`{query}`: nobody known");
    }
    let mistyped = "?organization=acme&enviroment=staging";
    assert_eq!(passes(&scene, mistyped, &member.key).await, 401, "not answered for another environment");
    assert_eq!(
        passes(&scene, "?organization=acme&environment=production&action=use", &member.key).await,
        200
    );
    let nobody = forward(&scene, org, &[]).await;
    assert_eq!(nobody.status.as_u16(), 401);
    assert_eq!(header(&nobody, "www-authenticate").as_deref(), Some("Bearer realm=\"portcullis\""));
    assert_eq!(passes(&scene, org, "nonsense").await, 401);
    assert_eq!(passes(&scene, org, &scene.viewer.key).await, 403, "a viewer has no `use`");
    let key = service_key(&scene, "acme", json!(["evaluate"])).await;
    assert_eq!(passes(&scene, org, &key).await, 403, "what asks does not act");
}

#[tokio::test]
async fn another_scheme_of_the_application_does_not_hide_the_cookie_and_a_bearer_does() {
    let scene = Scene::new();
    let session = session_of(&scene.bench, &scene.member);
    let org = "?organization=acme";
    let status = async |headers: &[(&str, &str)]| forward(&scene, org, headers).await.status.as_u16();
    let cookie = ("cookie", format!("portcullis={session}"));
    let cookie = (cookie.0, cookie.1.as_str());
    let mine = format!("bearer {}", scene.member.key);
    assert_eq!(status(&[cookie]).await, 200);
    for other in ["Basic dXNlcjpwYXNz", "Negotiate YII=", ""] {
        assert_eq!(status(&[("authorization", other), cookie]).await, 200, "`{other}`");
        assert_eq!(status(&[("authorization", other), ("authorization", &mine)]).await, 200, "`{other}`");
    }
    for wrong in ["Bearer nonsense", "bearer", "BEARER "] {
        assert_eq!(status(&[("authorization", wrong), cookie]).await, 401, "`{wrong}`");
    }
    let twice = [("authorization", mine.as_str()), ("authorization", mine.as_str()), cookie];
    assert_eq!(status(&twice).await, 401, "two are none");
}

#[tokio::test]
async fn a_proxy_is_refused_whoever_is_stopped_and_what_has_ended_is_unknown() {
    let scene = Scene::new();
    let org = "?organization=acme";
    let (paused, of_paused) = agent(&scene, &scene.member, "paused").await;
    assert_eq!(scene.root("POST", &format!("{ACME}/agents/{paused}/pause"), json!({})).await.0, 200);
    assert_eq!(passes(&scene, org, &of_paused).await, 403);
    let (_, of_member) = agent(&scene, &scene.member, "builder").await;
    let member = format!("{ACME}/members/{}", scene.member.membership);
    for (state, must) in [("suspended", 403), ("active", 200)] {
        assert_eq!(scene.root("PATCH", &member, json!({ "state": state })).await.0, 200);
        assert_eq!(passes(&scene, org, &scene.member.key).await, must, "{state}");
        assert_eq!(passes(&scene, org, &of_member).await, must, "an agent of whoever is {state}");
    }
    assert_eq!(scene.root("POST", &format!("{member}/offboard"), json!({ "reason": "left" })).await.0, 200);
    assert_eq!(passes(&scene, org, &scene.member.key).await, 401, "ended");
    assert_eq!(passes(&scene, org, &of_member).await, 403, "orphaned");
}

#[tokio::test]
async fn authzen_answers_service_keys_of_the_organization_and_says_what_is_wrong_with_a_question() {
    let scene = Scene::new();
    let ask = async |caller: &str, body: Value| scene.bench.call("POST", EVALUATION, caller, body).await;
    let gate = service_key(&scene, "acme", json!(["evaluate"])).await;
    let other = service_key(&scene, "acme", json!(["introspect", "revocations"])).await;
    let foreign = service_key(&scene, "globex", json!(["evaluate"])).await;
    let about = question(&scene.member.key);
    let (status, answer) = ask(&gate, about.clone()).await;
    assert_eq!(
        (status, &answer["decision"], &answer["context"]["code"]),
        (200, &json!(true), &json!("allowed"))
    );
    for caller in [&other, &scene.owner.key] {
        refused(ask(caller, about.clone()).await, 403, "missing_scope");
        refused(ask(caller, json!({ "subject": 1 })).await, 403, "missing_scope");
    }
    refused(ask("nonsense", about.clone()).await, 401, "unauthenticated");
    let (status, answer) = ask(&foreign, about.clone()).await;
    assert_eq!((status, &answer["decision"]), (200, &json!(false)));
    assert_eq!(answer, ask(&foreign, question("nonsense")).await.1, "another's token is an unknown one");
    for (environment, code) in [("production", "allowed"), ("staging", "other_environment")] {
        let mut about = about.clone();
        about["context"]["environment"] = json!(environment);
        assert_eq!(ask(&gate, about).await.1["context"]["code"], json!(code), "{environment}");
    }
    let wrong: [(&str, Value, &str); 6] = [
        ("/context/environment", json!(7), "invalid_field"),
        ("/context/environment", json!("no slug"), "invalid_field"),
        ("/subject/type", json!("user"), "invalid_field"),
        ("/action/name", json!(""), "invalid_field"),
        ("/resource/id", json!(""), "invalid_field"),
        ("/resource/type", json!(""), "invalid_field"),
    ];
    for (at, value, code) in wrong {
        let mut about = question(&scene.member.key);
        about["context"]["environment"] = Value::Null;
        *about.pointer_mut(at).unwrap() = value;
        refused(ask(&gate, about).await, 400, code);
    }
    let mut headless = about.clone();
    headless.as_object_mut().unwrap().remove("action");
    refused(ask(&gate, headless).await, 400, "missing_field");
    let large = json!({ "subject": "x".repeat(64 * 1024) });
    refused(ask(&gate, large).await, 400, "body_too_large");

    let bearer = format!("Bearer {gate}");
    let echoed = async |own: Option<&str>| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(own.map(|own| ("x-request-id", own)));
        let answer = scene.bench.exchange("POST", EVALUATION, &headers, &about).await;
        header(&answer, "x-request-id").unwrap()
    };
    assert_eq!(
        echoed(Some("bfe9eb29-ab87-4ca3-be83-a1d5d8305716")).await,
        "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    );
    assert!(echoed(None).await.starts_with("req_"));
    assert!(echoed(Some(&"x".repeat(129))).await.starts_with("req_"), "as long as an id may be");
}

#[tokio::test]
async fn a_question_by_the_root_token_is_found_in_the_log_by_the_id_that_its_caller_gave_it() {
    let scene = Scene::new();
    scene.bench.clock.pass_s(60);
    let authorization = format!("Bearer {ROOT_TOKEN}");
    let mut called = Vec::new();
    for own in [Some("from-the-gateway-7"), None] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(own.map(|own| ("x-request-id", own)));
        let answer = scene.bench.exchange("POST", EVALUATION, &headers, &question(&scene.member.key)).await;
        assert_eq!(answer.status.as_u16(), 200);
        let path = format!("{ACME}/audit-events?action=root_token.used");
        let (_, page) = scene.as_of(&scene.owner, "GET", &path, Value::Null).await;
        let last = page["items"].as_array().unwrap().last().unwrap()["detail"].clone();
        assert_eq!(last["path"], EVALUATION, "{page}");
        called.push(last["callers_request_id"].clone());
        scene.bench.clock.pass_s(60);
    }
    assert_eq!(called, [json!("from-the-gateway-7"), Value::Null]);
}

/// A bearer of that member to whom that is answered, and the environment that is asked about.
async fn bearer_of(scene: &Scene, member: &Persona, decision: Decision) -> (String, &'static str) {
    let keys = format!("{ACME}/members/{}/keys", member.membership);
    let secret = |made: Value| made["token"].as_str().unwrap().to_owned();
    let of = match decision {
        Decision::Allowed | Decision::NotPermitted => member.key.clone(),
        Decision::TokenUnknown => "pc_key_nonsense".to_owned(),
        Decision::TokenEnded => {
            let made = scene.made(&keys, json!({ "name": "ended" })).await;
            let one = format!("{ACME}/tokens/{}", id(&made));
            assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
            secret(made)
        }
        Decision::TokenExpired => {
            let until = json!({ "name": "short", "expires_at": "2026-01-01T00:01:00Z" });
            let made = scene.made(&keys, until).await;
            scene.bench.clock.pass_s(60);
            secret(made)
        }
        Decision::MemberInactive => {
            let one = format!("{ACME}/members/{}", member.membership);
            assert_eq!(scene.root("PATCH", &one, json!({ "state": "suspended" })).await.0, 200);
            member.key.clone()
        }
        Decision::AgentPaused => {
            let (agent, key) = agent(scene, member, "bot").await;
            assert_eq!(scene.root("POST", &format!("{ACME}/agents/{agent}/pause"), json!({})).await.0, 200);
            key
        }
        Decision::AgentOrphaned => {
            let (_, key) = agent(scene, member, "bot").await;
            let order = format!("{ACME}/members/{}/offboard", member.membership);
            assert_eq!(scene.root("POST", &order, json!({ "reason": "left" })).await.0, 200);
            key
        }
        Decision::OtherEnvironment => return (member.key.clone(), "staging"),
    };
    (of, "production")
}

#[tokio::test]
async fn every_code_is_answered_with_who_the_bearer_is_and_the_unknown_one_with_nothing_more() {
    let scene = Scene::new();
    let gate = service_key(&scene, "acme", json!(["evaluate"])).await;
    for decision in Decision::ALL {
        let role = if decision == Decision::NotPermitted { "viewer" } else { "member" };
        let who =
            scene.bench.member(scene.owner.organization, &format!("{}@acme.test", decision.code()), role);
        let (secret, environment) = bearer_of(&scene, &who, decision).await;
        let mut asked = question(&secret);
        asked["context"]["environment"] = json!(environment);
        let (status, answer) = scene.bench.call("POST", EVALUATION, &gate, asked).await;
        assert_eq!((status, &answer["decision"]), (200, &json!(decision.is_allowed())), "{answer}");
        let context = answer["context"].as_object().unwrap();
        assert_eq!(
            (&context["code"], &context["reason_admin"]["en"]),
            (&json!(decision.code()), &json!(decision.reason()))
        );
        let mut names: Vec<&str> = context.keys().map(String::as_str).collect();
        names.sort_unstable();
        if decision == Decision::TokenUnknown {
            assert_eq!(names, ["code", "reason_admin"], "nothing is said of what is not known");
            continue;
        }
        assert_eq!(
            names,
            [
                "agent",
                "code",
                "environment",
                "membership",
                "organization",
                "policy_revision",
                "reason_admin",
                "role"
            ]
        );
        assert_eq!(context["organization"], json!(who.organization.to_string()), "{answer}");
        assert_eq!(context["membership"], json!(who.membership.to_string()), "{answer}");
        assert_eq!(context["environment"], "production", "{answer}");
        assert_eq!(context["policy_revision"], Value::Null, "{answer}");
        let is_agents = matches!(decision, Decision::AgentPaused | Decision::AgentOrphaned);
        let agent = context["agent"].as_str();
        assert_eq!(agent.is_some_and(|agent| agent.starts_with("agt_")), is_agents, "{answer}");
        // Who left has no role any more.
        let role = if decision == Decision::AgentOrphaned { Value::Null } else { json!(role) };
        assert_eq!(context["role"], role, "{answer}");
    }
}

#[tokio::test]
async fn a_proxy_is_told_teams_by_commas_and_addresses_in_ascii() {
    let scene = Scene::new();
    let jurgen = scene.bench.member(scene.owner.organization, "j\u{fc}rgen@acme.test", "member");
    let bearer = format!("Bearer {}", jurgen.key);
    let answer = forward(&scene, "?organization=acme", &[("authorization", &bearer)]).await;
    assert_eq!(header(&answer, "x-portcullis-email").as_deref(), Some("j%C3%BCrgen@acme.test"));

    let idp = Provider::new();
    let person = idp.user("ada").await;
    let group = idp.group("everyone", &[&person]).await;
    for team in ["platform", "data"] {
        assert_eq!(idp.admin("POST", "/teams", json!({ "slug": team, "name": team })).await.0, 201);
        let mapping = json!({
            "directory": idp.directory.to_string(), "group": { "id": group }, "role": "member", "team": team,
        });
        let (status, made) = idp.admin("POST", "/mappings", mapping).await;
        assert_eq!(status, 201, "{made}");
    }
    let member = idp.member("ada@acme.test").await;
    let bearer = format!("Bearer {}", idp.key(&member).await);
    let path = format!("/authz/forward?organization={}", idp.slug);
    let answer = idp.bench.exchange("GET", &path, &[("authorization", &bearer)], &Value::Null).await;
    let teams = header(&answer, "x-portcullis-teams").unwrap();
    let mut teams: Vec<&str> = teams.split(',').collect();
    teams.sort_unstable();
    assert_eq!(teams, ["data", "platform"]);
}

#[tokio::test]
async fn introspection_tells_what_is_in_force_and_nothing_of_anything_else() {
    let scene = Scene::new();
    let gate = service_key(&scene, "acme", json!(["introspect"])).await;
    let foreign = service_key(&scene, "globex", json!(["introspect"])).await;
    let (of, of_agent) = agent(&scene, &scene.member, "builder").await;
    for (secret, sub, kind) in
        [(&scene.member.key, scene.member.membership.to_string(), "member_key"), (&of_agent, of, "agent_key")]
    {
        let answer =
            introspect(&scene, Some(&gate), &format!("token={secret}&token_type_hint=access_token")).await;
        assert_eq!(answer.status.as_u16(), 200);
        let told = answer.json();
        assert_eq!((&told["active"], &told["sub"], &told["kind"]), (&json!(true), &json!(sub), &json!(kind)));
        assert_eq!((&told["username"], &told["role"]), (&json!("member@acme.test"), &json!("member")));
        assert!(
            told["jti"].as_str().unwrap().starts_with("tok_") && !told.to_string().contains("pc_"),
            "{told}"
        );
    }
    // Whoever keeps an answer until `exp` asks again before a session that rests has ended.
    let session = session_of(&scene.bench, &scene.member);
    let told = introspect(&scene, Some(&gate), &format!("token={session}")).await.json();
    let good_for = told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap();
    assert_eq!(good_for, Limits::default().session_idle_s, "{told}");
    let member = format!("{ACME}/members/{}", scene.member.membership);
    assert_eq!(scene.root("PATCH", &member, json!({ "state": "suspended" })).await.0, 200);
    for secret in ["nonsense", &scene.member.key, &of_agent, &scene.viewer.key, &gate, &scene.stranger.key] {
        let answer = introspect(&scene, Some(&gate), &format!("token={secret}")).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "active": false })));
    }
    let answer = introspect(&scene, Some(&foreign), &format!("token={}", scene.owner.key)).await;
    assert_eq!(answer.json(), json!({ "active": false }), "another organization's");
}

#[tokio::test]
async fn what_is_wrong_with_an_introspection_is_said_in_the_words_of_oauth() {
    let scene = Scene::new();
    let gate = service_key(&scene, "acme", json!(["introspect"])).await;
    let other = service_key(&scene, "acme", json!(["evaluate"])).await;
    let form = format!("token={}", scene.member.key);
    let long = format!("token={}", "x".repeat(8 * 1024));
    let twice = format!("{form}&{form}");
    let cases: [(Option<&str>, &str, u16, &str, &str); 7] = [
        (None, &form, 401, "invalid_token", "unauthenticated"),
        (Some("nonsense"), &form, 401, "invalid_token", "unauthenticated"),
        (Some(&other), &form, 403, "insufficient_scope", "missing_scope"),
        (Some(&scene.owner.key), "", 403, "insufficient_scope", "missing_scope"),
        (Some(&gate), "", 400, "invalid_request", "invalid_request"),
        (Some(&gate), &twice, 400, "invalid_request", "invalid_request"),
        (Some(&gate), &long, 400, "invalid_request", "body_too_large"),
    ];
    for (caller, form, status, error, code) in cases {
        let answer = introspect(&scene, caller, form).await;
        let body = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert_eq!((&body["error"], &body["code"]), (&json!(error), &json!(code)), "{body}");
        assert!(body["error_description"].is_string(), "{body}");
        assert_eq!(header(&answer, "content-type").as_deref(), Some("application/json"));
        let challenge = header(&answer, "www-authenticate");
        let says = challenge.as_deref().is_some_and(|c| c.contains(&format!("error=\"{error}\"")));
        assert_eq!(says, status != 400, "RFC 6750 §3: {challenge:?}");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_not_told_that_a_question_is_too_large() {
    let scene = Scene::new();
    let gate = service_key(&scene, "acme", json!(["revocations"])).await;
    let mut large = question("x");
    large["context"] = json!({ "more": "x".repeat(70_000) });
    let form = format!("token={}", "x".repeat(9_000));
    for (caller, status) in [("pc_service_nobody", 401), (gate.as_str(), 403)] {
        assert_eq!(scene.bench.call("POST", EVALUATION, caller, large.clone()).await.0, status, "{caller}");
        assert_eq!(introspect(&scene, Some(caller), &form).await.status.as_u16(), status, "{caller}");
    }
}

#[tokio::test]
async fn a_context_that_is_null_is_none() {
    let scene = Scene::new();
    let mut asked = question(&scene.member.key);
    asked["context"] = Value::Null;
    let (status, answer) = scene.root("POST", EVALUATION, asked).await;
    assert_eq!((status, &answer["decision"]), (200, &json!(true)), "{answer}");
}
