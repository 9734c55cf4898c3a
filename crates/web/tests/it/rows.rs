//! What the table of routes promises of each row: held for all of them, so that the next row cannot forget it.

use portcullis_testkit::{Exchange, ROOT_TOKEN};
use portcullis_web::api;
use portcullis_web::route::Operation;
use serde_json::{Value, json};

use crate::ranks::metadata;
use crate::support::{Scene, id};

const ACME: &str = "/api/v1/organizations/acme";

/// Calls as the root token with one more header.
async fn called(scene: &Scene, method: &str, path: &str, header: (&str, &str), body: &Value) -> Exchange {
    let authorization = format!("Bearer {ROOT_TOKEN}");
    let headers = [("authorization", authorization.as_str()), header];
    scene.bench.exchange(method, path, &headers, body).await
}

/// The rows that make something.
fn creations() -> Vec<Operation> {
    api::operations().into_iter().filter(|o| o.status == 201).collect()
}

/// A call that makes something, whole: its path and its body.
async fn example(scene: &Scene, row: &Operation) -> (String, Value) {
    let member = scene.member.membership.to_string();
    let made = async |list: &str, body: Value| id(&scene.made(&format!("{ACME}/{list}"), body).await);
    let scim = json!({ "kind": "scim", "name": "Okta" });
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
    });
    let named = json!({ "slug": "apollo", "name": "Apollo" });
    let inside = row.path.strip_prefix("/organizations/{org}/").unwrap_or(row.path);
    let (path, body) = match inside {
        "/organizations" => return (format!("/api/v1{}", row.path), named),
        "environments" | "teams" => (inside.to_owned(), named),
        "roles" => (inside.to_owned(), json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] })),
        "domains" => (inside.to_owned(), json!({ "domain": "acme.test" })),
        "directories" => (inside.to_owned(), scim),
        "directories/{dir}/tokens" => {
            (format!("directories/{}/tokens", made("directories", scim).await), json!({}))
        }
        "connections" => (inside.to_owned(), oidc),
        "connections/{connection}/client-keys" => {
            (format!("connections/{}/client-keys", made("connections", oidc).await), json!({}))
        }
        "connections/{connection}/keys" => {
            let saml = json!({ "kind": "saml", "name": "ADFS", "metadata_xml": metadata() });
            (format!("connections/{}/keys", made("connections", saml).await), json!({}))
        }
        "mappings" => {
            let directory = made("directories", scim).await;
            let group = json!({ "external_id": "engineering" });
            (inside.to_owned(), json!({ "directory": directory, "group": group, "role": "member" }))
        }
        "grants" => (inside.to_owned(), json!({ "member": member, "role": "admin", "reason": "on call" })),
        "invitations" => (inside.to_owned(), json!({ "email": "new@acme.test", "role": "member" })),
        "members" => (inside.to_owned(), json!({ "user": scene.stranger.user.to_string() })),
        "members/{mem}/keys" => (format!("members/{member}/keys"), json!({ "name": "laptop" })),
        "service-keys" => (inside.to_owned(), json!({ "name": "gate", "scopes": ["evaluate"] })),
        "agents" => (inside.to_owned(), json!({ "name": "bot", "owner": member })),
        "agents/{agt}/keys" => {
            let agent = made("agents", json!({ "name": "bot", "owner": member })).await;
            (format!("agents/{agent}/keys"), json!({ "name": "ci" }))
        }
        other => panic!("say how `{other}` is called"),
    };
    (format!("{ACME}/{path}"), body)
}

#[tokio::test]
async fn every_row_that_makes_something_takes_the_key_and_no_unknown_field() {
    let rows = creations();
    assert!(rows.len() > 15, "{} are too few to be all", rows.len());
    let scene = Scene::new();
    for row in rows {
        let (path, body) = example(&scene, &row).await;
        let key = ("idempotency-key", "k1");
        let mut other = body.clone();
        other["colour"] = json!(1);
        let refused = called(&scene, "POST", &path, key, &other).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["code"]),
            (400, &json!("unknown_field")),
            "{}",
            row.path
        );
        let first = called(&scene, "POST", &path, key, &body).await;
        assert_eq!(first.status, 201, "{}: {}", row.path, first.text());
        let again = called(&scene, "POST", &path, key, &body).await;
        assert_eq!(again.status, 201, "{}: {}", row.path, again.text());
        let (first, again) = (first.json(), again.json());
        for (name, value) in again.as_object().unwrap() {
            let is_hidden = name == "secret_shown" || (value.is_null() && !first[name].is_null());
            assert!(
                is_hidden || *value == first[name],
                "{}: `{name}` of the repeat is {value}: {first}",
                row.path
            );
        }
    }
}

#[tokio::test]
async fn a_slug_leads_to_a_role_a_team_and_an_environment_as_an_id_does() {
    let scene = Scene::new();
    let named = json!({ "slug": "apollo", "name": "Apollo" });
    let role = json!({ "slug": "apollo", "rank": 200, "permissions": ["use"] });
    let nouns =
        [("roles", role, json!({ "rank": 210 })), ("teams", named.clone(), json!({ "name": "Eleven" }))];
    let nouns = nouns.into_iter().chain([("environments", named, json!({ "name": "Eleven" }))]);
    for (list, body, change) in nouns {
        let made = scene.made(&format!("{ACME}/{list}"), body).await;
        let (by_id, by_slug) = (format!("{ACME}/{list}/{}", id(&made)), format!("{ACME}/{list}/apollo"));
        assert_eq!(scene.root("GET", &by_slug, Value::Null).await, (200, made), "{list}");
        let (status, changed) = scene.root("PATCH", &by_slug, change).await;
        assert_eq!(status, 200, "{list}: {changed}");
        assert_eq!(scene.root("GET", &by_id, Value::Null).await, (200, changed), "{list}");
        let elsewhere = by_slug.replace("acme", "globex");
        let foreign = scene.root("GET", &elsewhere, Value::Null).await;
        let no_slug = elsewhere.replace("apollo", "No%20Slug");
        assert_eq!((foreign.0, &foreign), (404, &scene.root("GET", &no_slug, Value::Null).await), "{list}");
        assert_eq!(scene.root("DELETE", &by_slug, Value::Null).await.0, 204, "{list}");
        assert_eq!(scene.root("GET", &by_id, Value::Null).await.0, 404, "{list}");
    }
}

#[tokio::test]
async fn an_array_is_no_object_in_any_body() {
    let scene = Scene::new();
    let is_refused = |(status, answer): (u16, Value), what: &str| {
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_field")), "{what}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains("a list came"), "{what}: {answer}");
    };
    let rows: Vec<Operation> = api::operations().into_iter().filter(|o| o.takes.is_some()).collect();
    assert!(rows.len() > 30, "{} are too few to be all", rows.len());
    for row in rows {
        is_refused(scene.root(row.method.as_str(), &nowhere(&row), json!([])).await, row.path);
    }
    let member = format!("{ACME}/members/{}", scene.member.membership);
    is_refused(scene.root("PATCH", &member, json!(["suspended"])).await, "by position");
    let directory = json!({ "kind": "scim", "name": "Okta", "brake": [10, 20] });
    is_refused(scene.root("POST", &format!("{ACME}/directories"), directory).await, "an object within");
    let by_position = json!([["token", scene.member.key], ["use"], ["tool", "Bash"]]);
    let mut within = json!({ "action": ["use"], "resource": { "type": "tool", "id": "Bash" } });
    within["subject"] = json!({ "type": "token", "id": scene.member.key });
    for question in [by_position, within] {
        is_refused(scene.root("POST", "/access/v1/evaluation", question).await, "AuthZEN");
    }
}

#[tokio::test]
async fn what_is_said_again_as_it_is_has_no_event() {
    let scene = Scene::new();
    let member = scene.member.membership.to_string();
    let named = json!({ "slug": "apollo", "name": "Apollo" });
    let grant = json!({ "member": member, "role": "admin", "reason": "on call" });
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
    });
    let mut changes = vec![(String::new(), json!({ "name": "Acme" }))];
    for (list, body, again) in [
        ("environments", named.clone(), json!({ "name": "Apollo" })),
        ("teams", named, json!({ "name": "Apollo" })),
        ("grants", grant, json!({ "reason": "on call" })),
        ("roles", json!({ "slug": "auditor", "rank": 200, "permissions": ["use"] }), json!({ "rank": 200 })),
        ("directories", json!({ "kind": "scim", "name": "Okta" }), json!({ "name": "Okta" })),
        ("connections", oidc, json!({ "name": "Okta" })),
        ("agents", json!({ "name": "bot", "owner": member }), json!({ "name": "bot" })),
    ] {
        let made = scene.made(&format!("{ACME}/{list}"), body).await;
        changes.push((format!("/{list}/{}", id(&made)), again));
    }
    assert_eq!(scene.root("PATCH", ACME, json!({ "name": "Acme" })).await.0, 200);
    let events = async || scene.all(&format!("{ACME}/audit-events")).await.len();
    let before = events().await;
    for (one, again) in changes {
        let (status, same) = scene.root("PATCH", &format!("{ACME}{one}"), again).await;
        assert_eq!((status, events().await), (200, before), "{one}: {same}");
    }
}

/// A row's path where nothing is but the organization.
fn nowhere(row: &Operation) -> String {
    format!("/api/v1{}", row.path.replace("{org}", "acme").replace(['{', '}'], ""))
}

#[tokio::test]
async fn a_query_parameter_and_a_field_that_no_row_names_are_refused_by_name() {
    let scene = Scene::new();
    let mut bodies = 0;
    for row in api::operations() {
        let (method, path) = (row.method.as_str(), nowhere(&row));
        let (status, answer) = scene.root(method, &format!("{path}?colour=1"), Value::Null).await;
        assert_eq!((status, &answer["code"]), (400, &json!("unknown_field")), "{method} {path}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains("`colour`"), "{method} {path}: {answer}");
        if ["POST", "PATCH"].contains(&method) {
            let (status, answer) = scene.root(method, &path, json!({ "colour": 1 })).await;
            assert_eq!(
                (status, &answer["code"]),
                (400, &json!("unknown_field")),
                "{method} {path}: {answer}"
            );
            bodies += 1;
        }
    }
    assert!(bodies > 45, "{bodies} are too few to be all");
    let stranger = &scene.stranger;
    let foreign = scene.as_of(stranger, "GET", &format!("{ACME}/teams/x?colour=1"), Value::Null).await;
    let unknown = scene.bench.call("GET", &format!("{ACME}/teams?colour=1"), "nobody", Value::Null).await;
    assert_eq!((foreign.0, unknown.0), (404, 401), "whoever may not call is told nothing of the call");
}

#[tokio::test]
async fn every_list_takes_a_limit_of_1_to_200_and_no_other() {
    let scene = Scene::new();
    let lists: Vec<Operation> =
        api::operations().into_iter().filter(|o| o.query.iter().any(|(name, _)| *name == "limit")).collect();
    assert!(lists.len() > 20, "{} are too few to be all", lists.len());
    let saml = json!({ "kind": "saml", "name": "ADFS", "metadata_xml": metadata() });
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
    });
    let connections = format!("{ACME}/connections");
    let (saml, oidc) = (scene.made(&connections, saml).await, scene.made(&connections, oidc).await);
    let directory =
        scene.made(&format!("{ACME}/directories"), json!({ "kind": "scim", "name": "Okta" })).await;
    let mapping = json!({ "directory": id(&directory), "group": { "external_id": "g" }, "role": "member" });
    let member = scene.member.membership.to_string();
    let agent = scene.made(&format!("{ACME}/agents"), json!({ "name": "bot", "owner": member })).await;
    for list in lists {
        let of = if list.path.ends_with("/client-keys") { &oidc } else { &saml };
        let things =
            [("connection", id(of)), ("dir", id(&directory)), ("agt", id(&agent)), ("mem", member.clone())];
        let path = things
            .into_iter()
            .fold(nowhere(&list), |path, (name, id)| path.replace(&format!("/{name}/"), &format!("/{id}/")));
        let body = if list.method == "POST" { mapping.clone() } else { Value::Null };
        for (limit, is_one) in [("0", false), ("1", true), ("200", true), ("201", false), ("-1", false)] {
            let called = format!("{path}?limit={limit}");
            let (status, answer) = scene.root(list.method.as_str(), &called, body.clone()).await;
            let is_refused = status == 400 && answer["code"] == "invalid_field";
            assert_eq!(!is_refused, is_one, "{called}: {status} {answer}");
        }
    }
}

#[tokio::test]
async fn a_list_that_is_short_has_pages_too() {
    let scene = Scene::new();
    let saml = json!({ "kind": "saml", "name": "ADFS", "metadata_xml": metadata() });
    let oidc = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
    });
    let connections = format!("{ACME}/connections");
    let keys = format!("{connections}/{}/keys", id(&scene.made(&connections, saml).await));
    let client_keys = format!("{connections}/{}/client-keys", id(&scene.made(&connections, oidc).await));
    for list in [&keys, &client_keys] {
        for _ in 0..2 {
            scene.made(list, json!({})).await;
        }
    }
    let certificates = keys.replace("/keys", "/certificates");
    let lists = [(keys, 3), (client_keys, 2), (certificates, 1), ("/api/v1/permissions".to_owned(), 20)];
    for (list, least) in lists {
        let (_, whole) = scene.root("GET", &format!("{list}?limit=200"), Value::Null).await;
        let paged = scene.all(&list).await;
        assert_eq!((whole["items"].as_array(), &whole["next"]), (Some(&paged), &Value::Null), "{list}");
        assert!(paged.len() >= least, "{list}: {paged:?}");
        let (status, answer) = scene.root("GET", &format!("{list}?cursor=elsewhere"), Value::Null).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_field")), "{list}: {answer}");
    }
}
