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
    let plain = [(name, root.as_str()), ("content-encoding", "Identity")];
    let other = json!({ "slug": "gemini", "name": "Gemini" });
    let answer = scene.bench.exchange("POST", &format!("{ACME}/teams"), &plain, &other).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
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
