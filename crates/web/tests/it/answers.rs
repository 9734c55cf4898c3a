//! What every answer has, whichever part of the server gives it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Request};
use http_body_util::Full;
use portcullis_testkit::{Exchange, ROOT_TOKEN};
use serde_json::{Value, json};

use crate::support::{Scene, id};

const ACME: &str = "/api/v1/organizations/acme";

async fn called(scene: &Scene, method: &str, path: &str, bearer: &str) -> Exchange {
    let authorization = format!("Bearer {bearer}");
    scene.bench.exchange(method, path, &[("authorization", authorization.as_str())], &Value::Null).await
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_names_its_request_and_every_refusal_is_a_problem() {
    let scene = Scene::new();
    let team = scene.made(&format!("{ACME}/teams"), json!({ "slug": "apollo", "name": "Apollo" })).await;
    let team = format!("{ACME}/teams/{}", id(&team));
    let mut seen = Vec::new();
    for (method, path, bearer, status, code) in [
        ("GET", "/healthz", "", 200, ""),
        ("GET", "/api/v1/openapi.json", "", 200, ""),
        ("HEAD", "/api/v1/me", ROOT_TOKEN, 200, ""),
        ("DELETE", team.as_str(), ROOT_TOKEN, 204, ""),
        ("GET", team.as_str(), ROOT_TOKEN, 404, "not_found"),
        ("GET", "/api/v1/nowhere", ROOT_TOKEN, 404, "not_found"),
        ("GET", "/nowhere", "", 404, "not_found"),
        ("PUT", "/api/v1/me", ROOT_TOKEN, 405, "method_not_allowed"),
        ("DELETE", "/access/v1/evaluation", ROOT_TOKEN, 405, "method_not_allowed"),
        ("GET", "/api/v1/me", "nonsense", 401, "unauthenticated"),
        ("POST", "/access/v1/evaluation", "nonsense", 401, "unauthenticated"),
        ("GET", "/api/v1/me?colour=1", ROOT_TOKEN, 400, "unknown_field"),
        ("DELETE", team.as_str(), scene.viewer.key.as_str(), 403, "forbidden"),
        ("GET", "/authz/forward", "nonsense", 401, ""),
    ] {
        seen.push((called(&scene, method, path, bearer).await, format!("{method} {path}"), status, code));
    }
    let elsewhere = Request::get("/api/v1/me").header("host", "elsewhere.test");
    let elsewhere = scene.bench.send(elsewhere.body(Full::new(Bytes::new())).unwrap()).await;
    seen.push((elsewhere, "another host".to_owned(), 421, "misdirected"));

    let mut ids = Vec::new();
    for (answer, what, status, code) in seen {
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let request = header(&answer.headers, "x-request-id").to_owned();
        assert!(request.starts_with("req_"), "{what}: `{request}`");
        ids.push(request);
        assert_eq!(header(&answer.headers, "allow").is_empty(), status != 405, "{what}: RFC 9110 §15.5.6");
        if code.is_empty() {
            continue;
        }
        assert_eq!(header(&answer.headers, "content-type"), "application/problem+json", "{what}");
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{what}");
        assert_eq!(problem["type"], "about:blank", "{what}");
        for text in ["title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{what}: {problem}");
        }
    }
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "each of its own");
}
