//! Connections as the API shows them: what an administrator is told of one beside what is set.

use serde_json::{Value, json};

use crate::support::{Scene, refused};

const CONNECTIONS: &str = "/api/v1/organizations/acme/connections";

fn wish(client: &str) -> Value {
    json!({ "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": client, "client_secret": "s" })
}

fn codes(connection: &Value) -> Vec<&str> {
    let warnings = connection["oidc"]["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_connection_that_another_one_repeats_says_so_until_one_of_the_two_is_gone() {
    let scene = Scene::new();
    let first = scene.made(CONNECTIONS, wish("0oa1")).await;
    let elsewhere = scene.made(CONNECTIONS, wish("0oa2")).await;
    assert_eq!((codes(&first), codes(&elsewhere)), (vec![], vec![]), "another client is another application");
    let second = scene.made(CONNECTIONS, wish("0oa1")).await;
    assert_eq!(codes(&second), ["connected_twice"]);
    let said = second["oidc"]["warnings"][0]["message"].as_str().unwrap();
    assert!(said.contains(first["id"].as_str().unwrap()), "{said}");
    let one = |connection: &Value| format!("{CONNECTIONS}/{}", connection["id"].as_str().unwrap());
    assert_eq!(codes(&scene.root("GET", &one(&first), Value::Null).await.1), ["connected_twice"]);
    assert_eq!(scene.root("DELETE", &one(&second), Value::Null).await.0, 204);
    assert_eq!(codes(&scene.root("GET", &one(&first), Value::Null).await.1), [""; 0]);
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_refused_by_its_field_and_one_that_is_not_proven_is_told() {
    let scene = Scene::new();
    let routed = json!({
        "kind": "oidc", "name": "Okta", "issuer": "https://acme.okta.com", "client_id": "0oa1", "client_secret": "s",
        "domains": ["acme.example"],
    });
    let undeclared = scene.root("POST", CONNECTIONS, routed.clone()).await;
    let detail = undeclared.1["detail"].as_str().unwrap();
    assert!(detail.contains("`domains`") && detail.contains("acme.example"), "{detail}");
    refused(undeclared, 400, "invalid_field");
    let domains = "/api/v1/organizations/acme/domains";
    scene.made(domains, json!({ "domain": "acme.example" })).await;
    let pending = scene.made(CONNECTIONS, routed).await;
    assert_eq!(codes(&pending), ["domain_not_proven"]);
    let said = pending["oidc"]["warnings"][0]["message"].as_str().unwrap();
    assert!(said.contains("`acme.example`"), "{said}");
    let one = format!("{CONNECTIONS}/{}", pending["id"].as_str().unwrap());
    let verified = format!("{domains}/acme.example/verify");
    assert_eq!(scene.root("POST", &verified, json!({ "vouched": true })).await.0, 200);
    assert_eq!(codes(&scene.root("GET", &one, Value::Null).await.1), [""; 0]);
    assert_eq!(scene.root("DELETE", &format!("{domains}/acme.example"), Value::Null).await.0, 204);
    assert_eq!(codes(&scene.root("GET", &one, Value::Null).await.1), ["domain_not_proven"], "given up since");
}
