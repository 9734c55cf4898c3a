//! What a refusal says: which field is wrong, what is to be done, and never what was sent.

use portcullis_testkit::{PUBLIC_URL, ROOT_TOKEN};
use portcullis_web::api;
use portcullis_web::openapi::{MOUNTED_AT, document};
use serde_json::{Value, json};

use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

/// Every row that takes a body: its method, a path where nothing is but the organization, and the fields that it knows.
fn bodies() -> Vec<(String, String, Vec<String>)> {
    let document = document(&api::operations());
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, row) in methods.as_object().unwrap() {
            let Some(schema) = row.pointer("/requestBody/content/application~1json/schema/$ref") else {
                continue;
            };
            let schema = document.pointer(schema.as_str().unwrap().trim_start_matches('#')).unwrap();
            let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
            let path = path.replace("{org}", "acme").replace(['{', '}'], "");
            found.push((method.to_uppercase(), format!("{MOUNTED_AT}{path}"), fields.collect()));
        }
    }
    assert!(found.len() > 30, "{} are too few to be all", found.len());
    found
}

/// Sends a text as the root token: the status, and the answer as it came.
async fn sent(scene: &Scene, method: &str, path: &str, body: &str) -> (u16, String) {
    let authorization = format!("Bearer {ROOT_TOKEN}");
    let answer = scene.bench.exchange_text(method, path, &[("authorization", &authorization)], body).await;
    (answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn no_refusal_says_a_secret_back_wherever_it_was_sent() {
    let scene = Scene::new();
    let secret = scene.member.key.clone();
    let is_silent = |(status, answer): (u16, String), what: &str| {
        assert!(status < 400 || !answer.contains(&secret), "{what}: {answer}");
    };
    for (method, path, fields) in bodies() {
        let mut wrong = vec![json!(secret), json!([secret]), json!({ (secret.as_str()): 1 })];
        for field in &fields {
            wrong.extend([
                json!({ (field.as_str()): secret }),
                json!({ (field.as_str()): [secret] }),
                json!({ (field.as_str()): { (secret.as_str()): secret } }),
            ]);
        }
        for body in wrong {
            let what = format!("{method} {path} {body}");
            is_silent(sent(&scene, &method, &path, &body.to_string()).await, &what);
        }
    }
    let role = json!({ "slug": "auditor", "rank": 200, "permissions": [secret] });
    is_silent(
        sent(&scene, "POST", &format!("{ACME}/roles"), &role.to_string()).await,
        "a permission of that name",
    );
    for question in [
        json!({ "subject": secret, "action": { "name": "use" }, "resource": { "type": "tool", "id": "Bash" } }),
        json!({ "subject": { "type": "token", "id": [secret] } }),
        json!({ "subject": { "type": secret, "id": "x" }, "action": { "name": "use" }, "resource": { "type": "a", "id": "b" } }),
        json!({ "subject": { "type": "token", "id": "x" }, "action": secret }),
        json!({ "context": secret }),
        json!(secret),
    ] {
        let answer = sent(&scene, "POST", "/access/v1/evaluation", &question.to_string()).await;
        assert_eq!(answer.0, 400, "{question}: {}", answer.1);
        is_silent(answer, &question.to_string());
    }
    for query in [
        "members?state",
        "members?limit",
        "audit-events?after",
        "audit-events?action",
        "teams?cursor",
        "holds?state",
    ] {
        is_silent(sent(&scene, "GET", &format!("{ACME}/{query}={secret}"), "").await, query);
    }
    is_silent(sent(&scene, "GET", &format!("{ACME}/teams?{secret}=1"), "").await, "a parameter of that name");
}

#[tokio::test]
async fn no_refusal_is_as_long_as_what_was_sent() {
    let scene = Scene::new();
    let long = "x".repeat(100_000);
    for (method, path, body) in [
        ("POST", format!("{ACME}/directories"), json!({ "settle_s": long })),
        ("POST", format!("{ACME}/directories"), json!({ "kind": long })),
        ("POST", format!("{ACME}/teams"), json!({ (long.as_str()): 1 })),
        ("POST", format!("{ACME}/teams"), json!(long)),
        ("POST", "/access/v1/evaluation".to_owned(), json!({ "subject": long[..50_000] })),
        ("GET", format!("{ACME}/teams?{}=1", &long[..5_000]), json!({})),
        ("GET", format!("{ACME}/members?state={}", &long[..5_000]), json!({})),
    ] {
        let (status, answer) = sent(&scene, method, &path, &body.to_string()).await;
        assert_eq!(status, 400, "{method} {path}: {answer}");
        assert!(answer.len() < 1_000, "{method} {path} is answered by {} bytes", answer.len());
    }
}

/// Asserts that a call was refused with that status and code, and says first which field is wrong.
#[track_caller]
fn refused_by_field((status, body): (u16, Value), code: &str, field: &str) {
    assert_eq!((status, body["code"].as_str()), (400, Some(code)), "{field}: {body}");
    let detail = body["detail"].as_str().unwrap();
    let (named, rest) =
        detail.strip_prefix('`').and_then(|rest| rest.split_once("`: ")).unwrap_or(("", detail));
    assert_eq!(named, field, "{detail}");
    for word in ["struct ", "i64", "a map", "sequence", "line 1", "column"] {
        assert!(!rest.contains(word), "words of ours or of a parser: {detail}");
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_is_refused_by_the_name_of_its_field_in_every_row() {
    let scene = Scene::new();
    let mut seen = 0;
    for (method, path, fields) in bodies() {
        for field in fields {
            // A list in a list is none of ours.
            let body = json!({ (field.as_str()): [[7]] });
            let (status, answer) = scene.root(&method, &path, body).await;
            let detail = answer["detail"].as_str().unwrap_or_default();
            assert_eq!(
                (status, answer["code"].as_str()),
                (400, Some("invalid_field")),
                "{path} {field}: {answer}"
            );
            let is_named =
                detail.starts_with(&format!("`{field}`: ")) || detail.starts_with(&format!("`{field}[0]`: "));
            assert!(is_named, "{method} {path} {field}: {detail}");
            seen += 1;
        }
    }
    assert!(seen > 90, "{seen} are too few to be all");
}

#[tokio::test]
async fn whatever_is_wrong_at_any_depth_is_refused_by_its_place() {
    let scene = Scene::new();
    let (directories, mappings) = (format!("{ACME}/directories"), format!("{ACME}/mappings"));
    for (path, body, field) in [
        (&mappings, json!({ "role": 5 }), "role"),
        (&mappings, json!({ "team_role": "owner" }), "team_role"),
        (&mappings, json!({ "group": { "external_id": 5 } }), "group.external_id"),
        (&directories, json!({ "brake": { "above": "never" } }), "brake.above"),
        (&directories, json!({ "brake": { "max_people": 1.5 } }), "brake.max_people"),
        (&directories, json!({ "brake": 5 }), "brake"),
        (&directories, json!({ "settle_s": 1.5 }), "settle_s"),
        (&directories, json!({ "nested": "yes" }), "nested"),
        (&format!("{ACME}/service-keys"), json!({ "scopes": ["evaluate", 7] }), "scopes[1]"),
        (&format!("{ACME}/members/mem/keys"), json!({ "expires_at": "tomorrow" }), "expires_at"),
        (&format!("{ACME}/agents"), json!({ "owner": "usr_1" }), "owner"),
        (&format!("{ACME}/members"), json!({ "user": "mem_1" }), "user"),
    ] {
        refused_by_field(scene.root("POST", path, body).await, "invalid_field", field);
    }
    let (status, unknown) = scene.root("POST", &directories, json!({ "brake": { "colour": 1 } })).await;
    assert_eq!((status, &unknown["code"]), (400, &json!("unknown_field")), "{unknown}");
    let detail = unknown["detail"].as_str().unwrap();
    assert!(detail.starts_with("`brake`: ") && detail.contains("`colour`"), "{detail}");
    for whole in [json!(5), json!([]), json!("x"), Value::Bool(true)] {
        let (status, answer) = scene.root("POST", &directories, whole).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_field")), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("where an object belongs"), "{answer}");
    }
}

#[tokio::test]
async fn a_parameter_that_does_not_read_is_refused_by_its_name_and_in_our_words() {
    let scene = Scene::new();
    for (query, field) in [
        ("teams?limit=ten", "limit"),
        ("teams?limit=99999999999999999999999", "limit"),
        ("audit-events?after=99999999999999999999999", "after"),
        ("audit-events?after=-1", "after"),
        ("members?state=asleep", "state"),
        ("holds?state=asleep", "state"),
        ("audit-events?since=yesterday", "since"),
    ] {
        let answer = scene.root("GET", &format!("{ACME}/{query}"), Value::Null).await;
        let detail = answer.1["detail"].as_str().unwrap().to_owned();
        assert!(!detail.contains("digit") && !detail.contains("target type"), "{query}: {detail}");
        refused_by_field(answer, "invalid_field", field);
    }
}

#[tokio::test]
async fn a_slug_an_address_a_domain_and_a_name_are_refused_by_one_code_and_their_field_wherever_they_stand() {
    let scene = Scene::new();
    let member = scene.member.membership.to_string();
    let directory =
        scene.made(&format!("{ACME}/directories"), json!({ "kind": "scim", "name": "Okta" })).await;
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
    });
    let connection = scene.made(&format!("{ACME}/connections"), oidc.clone()).await;
    let agent = scene.made(&format!("{ACME}/agents"), json!({ "name": "bot", "owner": member })).await;
    let named = json!({ "slug": "apollo", "name": "Apollo" });
    let role = json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] });
    let scim = json!({ "kind": "scim", "name": "Okta" });
    let mapping = json!({ "directory": id(&directory), "group": { "external_id": "g" } });
    let mut of_team = mapping.clone();
    of_team["team_role"] = json!("member");
    let grant = json!({ "member": member, "role": "admin", "reason": "on call" });
    let invitation = json!({ "email": "new@acme.test", "role": "member" });
    let bot = json!({ "name": "bot", "owner": member });
    let key = json!({ "name": "laptop" });
    let gate = json!({ "name": "gate", "scopes": ["evaluate"] });
    let keys = format!("members/{member}/keys");
    let with = |of: &Value, field: &str, value: Value| {
        let mut body = of.clone();
        body[field] = value;
        body
    };
    for (list, of, fields) in [
        ("environments", &named, &["slug", "name"][..]),
        ("teams", &named, &["slug", "name"]),
        ("roles", &role, &["slug"]),
        ("domains", &json!({}), &["domain"]),
        ("directories", &scim, &["name", "default_role"]),
        ("mappings", &mapping, &["role", "environment"]),
        ("mappings", &of_team, &["team"]),
        ("mappings/preview", &mapping, &["role", "environment"]),
        ("grants", &grant, &["role"]),
        ("invitations", &invitation, &["email", "role"]),
        ("connections", &oidc, &["name", "default_role", "environment", "domains"]),
        ("agents", &bot, &["name", "environment"]),
        (&keys, &key, &["name", "environment"]),
        ("service-keys", &gate, &["name"]),
    ] {
        for field in fields {
            let (code, value) = wrong(field);
            let answer = scene.root("POST", &format!("{ACME}/{list}"), with(of, field, value)).await;
            refused_by_field(answer, code, field);
        }
    }
    for field in ["slug", "name", "owner_email"] {
        let (code, value) = wrong(field);
        let answer = scene.root("POST", "/api/v1/organizations", with(&named, field, value)).await;
        refused_by_field(answer, code, field);
    }
    for (one, fields) in [
        (String::new(), &["name"][..]),
        ("/environments/production".to_owned(), &["name"]),
        (format!("/directories/{}", id(&directory)), &["name", "default_role"]),
        (format!("/connections/{}", id(&connection)), &["name", "default_role", "environment", "domains"]),
        (format!("/agents/{}", id(&agent)), &["name", "environment"]),
    ] {
        for field in fields {
            let (code, value) = wrong(field);
            let answer = scene.root("PATCH", &format!("{ACME}{one}"), json!({ (*field): value })).await;
            refused_by_field(answer, code, field);
        }
    }
}

/// What is wrong in a field of that name, and the code that says so.
fn wrong(field: &str) -> (&'static str, Value) {
    match field {
        "name" => ("invalid_name", json!("")),
        "email" | "owner_email" => ("invalid_email", json!("nobody")),
        "domain" => ("invalid_domain", json!("no domain")),
        "domains" => ("invalid_domain", json!(["no domain"])),
        _ => ("invalid_slug", json!("NO SLUG")),
    }
}

#[tokio::test]
async fn what_is_in_use_is_said_with_what_uses_it_until_nothing_does() {
    let scene = Scene::new();
    let member = scene.member.membership.to_string();
    let named = json!({ "slug": "staging", "name": "Staging" });
    let role = json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] });
    for (list, body) in [("environments", &named), ("teams", &named), ("roles", &role)] {
        scene.made(&format!("{ACME}/{list}"), body.clone()).await;
    }
    let directory =
        scene.made(&format!("{ACME}/directories"), json!({ "kind": "scim", "name": "Okta" })).await;
    let directory = format!("{ACME}/directories/{}", id(&directory));
    let mapping = |gives: Value| {
        let mut mapping =
            json!({ "directory": directory.rsplit('/').next(), "group": { "external_id": "g" } });
        mapping.as_object_mut().unwrap().extend(gives.as_object().unwrap().clone());
        mapping
    };
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
        "environment": "staging",
    });
    let gives = json!({ "environment": "staging", "role": "member" });
    let grant = json!({ "member": member, "role": "auditor", "reason": "on call" });
    for (thing, list, body) in [
        ("teams/staging", "mappings", mapping(json!({ "team": "staging", "team_role": "member" }))),
        ("environments/staging", "mappings", mapping(gives)),
        ("environments/staging", "connections", oidc),
        ("roles/auditor", "mappings", mapping(json!({ "role": "auditor" }))),
        ("roles/auditor", "grants", grant),
    ] {
        let user = scene.made(&format!("{ACME}/{list}"), body).await;
        in_use_by(&scene, thing, &id(&user)).await;
        let (status, said) = scene.root("DELETE", &format!("{ACME}/{list}/{}", id(&user)), Value::Null).await;
        assert_eq!(status, 204, "{said}");
    }
    let (status, changed) = scene.root("PATCH", &directory, json!({ "default_role": "auditor" })).await;
    assert_eq!(status, 200, "{changed}");
    in_use_by(&scene, "roles/auditor", &id(&changed)).await;
    scene.root("PATCH", &directory, json!({ "default_role": null })).await;
    for thing in ["teams/staging", "environments/staging", "roles/auditor"] {
        assert_eq!(scene.root("DELETE", &format!("{ACME}/{thing}"), Value::Null).await.0, 204, "{thing}");
    }
}

/// Asserts that it is in use, and by what.
async fn in_use_by(scene: &Scene, thing: &str, user: &str) {
    let answer = scene.root("DELETE", &format!("{ACME}/{thing}"), Value::Null).await;
    let detail = answer.1["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&format!("`{user}`")), "{thing} is in use by {user}: {detail}");
    refused(answer, 409, "in_use");
}

#[tokio::test]
async fn an_agent_that_does_not_obey_says_its_state_and_what_leads_out_of_it() {
    let scene = Scene::new();
    let agents = format!("{ACME}/agents");
    let owned = |rule: &str| json!({ "name": "bot", "owner": scene.member.membership.to_string(), "on_owner_loss": rule });
    let (orphan, ended) =
        (scene.made(&agents, owned("pause")).await, scene.made(&agents, owned("disable")).await);
    let gone = format!("{ACME}/members/{}/offboard", scene.member.membership);
    assert_eq!(scene.root("POST", &gone, json!({ "reason": "left" })).await.0, 200);
    for (agent, state, way_out) in [(&orphan, "orphaned", "…/owner"), (&ended, "disabled", "make another")]
    {
        let one = format!("{agents}/{}", id(agent));
        let mut calls = vec![
            ("POST", format!("{one}/pause"), Value::Null),
            ("POST", format!("{one}/resume"), Value::Null),
            ("POST", format!("{one}/keys"), json!({ "name": "ci" })),
        ];
        if state == "disabled" {
            calls.push(("PATCH", one, json!({ "name": "other" })));
        }
        for (method, path, body) in calls {
            let answer = scene.root(method, &path, body).await;
            let detail = answer.1["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(state) && detail.contains(way_out), "{method} {path}: {detail}");
            refused(answer, 409, "agent_state");
        }
    }
}

#[tokio::test]
async fn what_is_taken_is_said_in_a_sentence_and_not_by_a_column() {
    let scene = Scene::new();
    let domain = json!({ "domain": "acme.example", "vouched": true });
    scene.made(&format!("{ACME}/domains"), domain.clone()).await;
    let user = json!({ "user": scene.member.user.to_string() });
    let invitation = json!({ "email": "member@acme.test", "role": "member" });
    for (path, body, words) in [
        (
            "/api/v1/organizations/globex/domains".to_owned(),
            domain,
            "another organization of this server has proven that domain",
        ),
        (format!("{ACME}/members"), user, "the user is a member here already"),
        (format!("{ACME}/invitations"), invitation, "somebody at that address is a member here already"),
    ] {
        let answer = scene.root("POST", &path, body).await;
        assert_eq!(answer.1["detail"], json!(words), "{path}");
        refused(answer, 409, "taken");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_json() {
    let scene = Scene::new();
    let host = PUBLIC_URL.trim_start_matches("http://");
    let authorization = format!("Bearer {ROOT_TOKEN}");
    for body in [&b"{\"\xff\":1}"[..], b"{\"name\":\"\xff\"}", b"\xff\xfe{}", b"{\"name\":\"a\xc3\"}"] {
        for path in [format!("{ACME}/teams"), "/access/v1/evaluation".to_owned()] {
            let request = http::Request::builder().method("POST").uri(&path).header("host", host);
            let request = request.header("authorization", &authorization);
            let request = request.body(http_body_util::Full::new(bytes::Bytes::from_static(body)));
            let answer = scene.bench.send(request.unwrap()).await;
            refused((answer.status.as_u16(), answer.json()), 400, "invalid_json");
        }
    }
    // That half of a pair is JSON by its grammar (RFC 8259 §8.2), and no text that anybody can keep.
    let (status, answer) = sent(&scene, "POST", &format!("{ACME}/teams"), "{\"name\":\"\\ud800\"}").await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    refused_by_field((status, answer), "invalid_field", "name");
}

#[tokio::test]
async fn the_document_knows_what_a_call_is_answered_that_is_no_json_and_whose_user_is_only_invited_elsewhere()
{
    // The bench holds every answer against the document.
    let scene = Scene::new();
    for row in api::operations().into_iter().filter(|row| ["POST", "PATCH"].contains(&row.method.as_str())) {
        let path = format!("{MOUNTED_AT}{}", row.path.replace("{org}", "acme").replace(['{', '}'], ""));
        for (body, code) in [("{", "invalid_json"), ("[]", "invalid_field")] {
            let (status, answer) = sent(&scene, row.method.as_str(), &path, body).await;
            refused((status, serde_json::from_str(&answer).unwrap()), 400, code);
        }
    }
    let invited = json!({ "email": "new@globex.test", "role": "member" });
    scene.made("/api/v1/organizations/globex/invitations", invited).await;
    let (_, page) =
        scene.root("GET", "/api/v1/organizations/globex/members?state=invited", Value::Null).await;
    let user = json!({ "user": page["items"][0]["user"]["id"] });
    refused(scene.root("POST", &format!("{ACME}/members"), user).await, 409, "member_inactive");
}
