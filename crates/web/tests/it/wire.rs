//! What comes in a form that nobody can be sure of is refused by its name: empty filters, values of the wrong kind, headers
//! that came twice, paths and bodies in another code.

use http::HeaderMap;
use portcullis_testkit::{Exchange, PUBLIC_URL, ROOT_TOKEN};
use serde_json::{Value, json};

use crate::scim::provider::{Provider, person};
use crate::support::{Scene, id, refused};

const ACME: &str = "/api/v1/organizations/acme";

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn answered(exchange: &Exchange) -> (u16, Value) {
    (exchange.status.as_u16(), exchange.json())
}

fn as_root() -> (&'static str, String) {
    ("authorization", format!("Bearer {ROOT_TOKEN}"))
}

#[tokio::test]
async fn an_empty_parameter_is_refused_by_name_and_never_taken_for_none() {
    let scene = Scene::new();
    for query in [
        "members?email=",
        "members?email",
        "members?role=",
        "members?state=",
        "audit-events?actor=",
        "audit-events?target=",
        "audit-events?action=",
        "audit-events?request_id=",
        "audit-events?action=token.ended&target=",
        "tokens?holder=",
        "traces?kind=",
        "traces?outcome=",
        "traces?directory=",
        "traces?subject=",
        "mappings?directory=",
        "teams?limit=",
    ] {
        let answer = scene.root("GET", &format!("{ACME}/{query}"), Value::Null).await;
        let named = query.trim_end_matches('=').rsplit(['?', '&']).next().unwrap();
        let detail = answer.1["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(&format!("`{named}`")), "{query}: {}", answer.1);
        refused(answer, 400, "invalid_field");
    }
    let (status, page) = scene.root("GET", &format!("{ACME}/members?cursor="), Value::Null).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 4), "an empty cursor begins: {page}");
}

#[tokio::test]
async fn a_body_is_refused_by_what_is_wrong_with_it_and_not_by_what_it_quotes() {
    let scene = Scene::new();
    let member = format!("{ACME}/members/{}", scene.member.membership);
    let owner = scene.owner.membership;
    let teams = format!("{ACME}/teams");
    for (method, path, body, code) in [
        ("POST", teams.as_str(), "{\"slug\":\"a\",\"name\":\"A\",\"colour\":1}", "unknown_field"),
        ("POST", &teams, "{\"name\":\"A\"}", "missing_field"),
        ("POST", &teams, "", "missing_field"),
        ("POST", &teams, "{\"slug\":\"a\",\"name\":5}", "invalid_field"),
        ("POST", &teams, "[]", "invalid_field"),
        ("POST", &teams, "7", "invalid_field"),
        ("POST", &teams, "null", "invalid_field"),
        ("POST", &teams, "{\"slug\":\"a\",\"slug\":\"b\",\"name\":\"A\"}", "invalid_field"),
        ("POST", &teams, "{\"slug\":\"a\"", "invalid_json"),
        ("POST", &teams, "{\"slug\":\"a\",\"name\":\"A\"} x", "invalid_json"),
        ("POST", &teams, "slug=a", "invalid_json"),
        ("POST", &format!("{ACME}/directories"), "{\"name\":\"IdP\",\"kind\":5}", "invalid_field"),
        ("POST", &format!("{ACME}/directories"), "{\"name\":\"IdP\",\"kind\":null}", "invalid_field"),
        ("POST", &format!("{ACME}/directories"), "{\"name\":\"IdP\",\"kind\":{\"scim\":1}}", "invalid_field"),
        (
            "POST",
            &format!("{ACME}/directories"),
            "{\"name\":\"IdP\",\"kind\":\"missing field\"}",
            "invalid_field",
        ),
        ("PATCH", &member, "{\"state\":5}", "invalid_field"),
        ("PATCH", &member, "{\"state\":true}", "invalid_field"),
        ("PATCH", &member, "{\"state\":\"unknown field\"}", "invalid_field"),
        (
            "POST",
            &format!("{ACME}/agents"),
            &format!("{{\"name\":\"bot\",\"owner\":\"{owner}\",\"on_owner_loss\":1}}"),
            "invalid_field",
        ),
        ("POST", &format!("{ACME}/mappings"), "{\"team_role\":true}", "invalid_field"),
        ("POST", &format!("{ACME}/service-keys"), "{\"name\":\"gate\",\"scopes\":[1]}", "invalid_field"),
        ("POST", "/access/v1/evaluation", "{\"subject\":{\"type\":5}}", "invalid_field"),
        ("POST", "/access/v1/evaluation", "{\"subject\":{}}", "missing_field"),
        ("POST", "/access/v1/evaluation", "{", "invalid_json"),
    ] {
        let (name, value) = as_root();
        let answer = scene.bench.exchange_text(method, path, &[(name, &value)], body).await;
        let (status, problem) = answered(&answer);
        assert_eq!((status, problem["code"].as_str()), (400, Some(code)), "{path} {body}: {problem}");
    }
    for query in
        ["members?state=unknown%20field", "holds?state=unknown%20field", "audit-events?since=unknown%20field"]
    {
        refused(scene.root("GET", &format!("{ACME}/{query}"), Value::Null).await, 400, "invalid_field");
    }
    let (_, said) = scene.root("POST", &format!("{ACME}/directories"), json!({ "kind": 5 })).await;
    assert!(said["detail"].as_str().unwrap().contains("`scim`"), "what would be right: {said}");
}

#[tokio::test]
async fn an_evaluation_that_is_refused_names_its_caller_s_own_request_too() {
    let scene = Scene::new();
    let (root, member) = (format!("Bearer {ROOT_TOKEN}"), format!("Bearer {}", scene.member.key));
    for (bearer, body, status) in [
        ("Bearer nobody", "{}", 401),
        ("", "{}", 401),
        (member.as_str(), "{}", 403),
        (root.as_str(), "{}", 400),
        (root.as_str(), "{", 400),
    ] {
        let headers = [("authorization", bearer), ("x-request-id", "gateway-7")];
        let answer = scene.bench.exchange_text("POST", "/access/v1/evaluation", &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        assert_eq!(header(&answer.headers, "x-request-id"), "gateway-7", "{status}: AuthZEN §10.1");
    }
}

#[tokio::test]
async fn what_is_optional_takes_null_as_if_it_were_not_there() {
    let scene = Scene::new();
    let role = json!({ "slug": "helper", "rank": 200, "permissions": ["use"], "explicit_only": null });
    let role = scene.made(&format!("{ACME}/roles"), role).await;
    assert_eq!(role["explicit_only"], json!(false), "{role}");
    let domain = json!({ "domain": "acme.example", "vouched": null });
    let domain = scene.made(&format!("{ACME}/domains"), domain).await;
    assert_eq!(domain["state"], json!("pending"), "{domain}");
    let verify = format!("{ACME}/domains/acme.example/verify");
    let (status, said) = scene.root("POST", &verify, json!({ "vouched": null })).await;
    assert!(status < 500 && said["code"] != json!("invalid_field"), "{said}");
    let grant = json!({
        "member": scene.viewer.membership.to_string(), "role": "member", "reason": "on call", "vouched": null,
    });
    scene.made(&format!("{ACME}/grants"), grant).await;
    let connection = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
        "jit": null,
    });
    let connection = scene.made(&format!("{ACME}/connections"), connection).await;
    assert_eq!(connection["jit"], json!(false), "{connection}");
    let brake = json!({ "max_people": 20, "max_percent": null, "above": null });
    let directory = json!({ "kind": "scim", "name": "IdP", "brake": brake });
    let directory = scene.made(&format!("{ACME}/directories"), directory).await;
    assert_eq!(directory["brake"]["above"], json!("hold"), "{directory}");
    let one = format!("{ACME}/directories/{}", id(&directory));
    let (status, changed) = scene.root("PATCH", &one, json!({ "brake": brake })).await;
    assert_eq!((status, &changed["brake"]), (200, &directory["brake"]), "{changed}");
}

#[tokio::test]
async fn a_header_that_came_twice_is_believed_in_neither_form() {
    let scene = Scene::new();
    let root = as_root().1;
    for (first, second) in [(root.as_str(), "Bearer nobody"), ("Bearer nobody", &root), (&root, &root)] {
        for path in [format!("{ACME}/teams"), "/access/v1/evaluation".to_owned()] {
            let method = if path.starts_with("/access") { "POST" } else { "GET" };
            let twice = [("authorization", first), ("authorization", second)];
            let answer = scene.bench.exchange(method, &path, &twice, &Value::Null).await;
            refused(answered(&answer), 401, "unauthenticated");
        }
    }
    let own = PUBLIC_URL.trim_start_matches("http://");
    for second in ["evil.test", own] {
        let headers = [("authorization", root.as_str()), ("host", second)];
        let answer = scene.bench.exchange("GET", &format!("{ACME}/teams"), &headers, &Value::Null).await;
        refused(answered(&answer), 421, "misdirected");
    }
}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_answered_in_the_form_of_its_surface() {
    let scene = Scene::new();
    for (unread, unknown) in [
        ("/o/%ff/jwks", "/o/nowhere/jwks"),
        ("/sso/%ff", "/sso/nowhere"),
        ("/sso/oidc/%ff/jwks", "/sso/oidc/nowhere/jwks"),
        ("/sso/oidc/%ff/login", "/sso/oidc/nowhere/login"),
        ("/sso/saml/%ff/metadata", "/sso/saml/nowhere/metadata"),
    ] {
        let unread = scene.bench.exchange("GET", unread, &[], &Value::Null).await;
        let unknown = scene.bench.exchange("GET", unknown, &[], &Value::Null).await;
        let form = |answer: &Exchange| (answer.status, header(&answer.headers, "content-type").to_owned());
        assert_eq!(form(&unread), form(&unknown), "{}", unread.text());
    }
    let (name, value) = as_root();
    let headers = [(name, value.as_str())];
    let unread = "/api/v1/organizations/%ff/teams";
    let answer = scene.bench.exchange("GET", unread, &headers, &Value::Null).await;
    refused(answered(&answer), 400, "invalid_path");
}

#[tokio::test]
async fn a_body_in_another_code_is_refused_as_that() {
    let scene = Scene::new();
    let (name, root) = as_root();
    let body = json!({ "slug": "apollo", "name": "Apollo" });
    for code in ["gzip", "GZIP", "br", "identity, gzip", ""] {
        let headers = [(name, root.as_str()), ("content-encoding", code)];
        let answer = scene.bench.exchange("POST", &format!("{ACME}/teams"), &headers, &body).await;
        if code.is_empty() {
            assert_eq!(answer.status.as_u16(), 201, "an empty list names none: {}", answer.text());
            continue;
        }
        assert_eq!(header(&answer.headers, "accept-encoding"), "identity", "{code}: RFC 9110 §15.5.16");
        refused(answered(&answer), 415, "unsupported_encoding");
    }
    // Some clients name the charset there.
    for (slug, plain) in [("gemini", "Identity"), ("mercury", "UTF-8")] {
        let headers = [(name, root.as_str()), ("content-encoding", plain)];
        let other = json!({ "slug": slug, "name": slug });
        let answer = scene.bench.exchange("POST", &format!("{ACME}/teams"), &headers, &other).await;
        assert_eq!(answer.status.as_u16(), 201, "{plain}: {}", answer.text());
    }
    let zipped = [(name, root.as_str()), ("content-encoding", "gzip")];
    let answer = scene.bench.exchange("POST", "/access/v1/evaluation", &zipped, &json!({})).await;
    refused(answered(&answer), 415, "unsupported_encoding");

    let provider = Provider::with(Some("member"), 0);
    let bearer = format!("Bearer {}", provider.token);
    let headers = [("authorization", bearer.as_str()), ("content-encoding", "gzip")];
    let bytes = person("ada").to_string();
    let answer = provider.raw("192.0.2.1", &headers, "POST", "/Users", bytes.as_bytes()).await;
    assert_eq!(answer.status.as_u16(), 415, "{}", answer.text());
    assert_eq!(header(&answer.headers, "accept-encoding"), "identity");
    assert_eq!(header(&answer.headers, "content-type"), "application/scim+json");
}
