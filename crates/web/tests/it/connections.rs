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

#[tokio::test]
async fn what_a_change_of_a_connection_does_not_name_is_not_judged_anew() {
    let scene = Scene::new();
    let (domains, roles) = ("/api/v1/organizations/acme/domains", "/api/v1/organizations/acme/roles");
    scene.made(domains, json!({ "domain": "acme.example" })).await;
    scene.made(roles, json!({ "slug": "crew", "rank": 400, "permissions": ["use"] })).await;
    let mut routed = wish("0oa1");
    routed["domains"] = json!(["acme.example"]);
    routed["jit"] = json!(true);
    routed["default_role"] = json!("crew");
    let made = scene.made(CONNECTIONS, routed).await;
    let one = format!("{CONNECTIONS}/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.root("DELETE", &format!("{domains}/acme.example"), Value::Null).await.0, 204);
    let explicit = scene.root("PATCH", &format!("{roles}/crew"), json!({ "explicit_only": true })).await;
    assert_eq!(explicit.0, 200, "{}", explicit.1);
    for said in [
        json!({ "name": "Okta 2" }),
        json!({ "client_secret": "t" }),
        json!({ "domains": ["acme.example"], "default_role": "crew" }),
        json!({ "jit": false }),
    ] {
        let changed = scene.root("PATCH", &one, said.clone()).await;
        assert_eq!(changed.0, 200, "{said}: {}", changed.1);
        assert_eq!(changed.1["domains"], json!(["acme.example"]), "it comes back with the domain");
    }
    let more = json!({ "domains": ["acme.example", "other.example"] });
    refused(scene.root("PATCH", &one, more).await, 400, "invalid_field");
    assert_eq!(scene.root("PATCH", &one, json!({ "default_role": null })).await.0, 200);
    let again = scene.root("PATCH", &one, json!({ "default_role": "crew" })).await;
    refused(again, 422, "role_is_explicit_only");
    assert_eq!(scene.root("PATCH", &one, json!({ "domains": [] })).await.0, 200);
    let again = scene.root("PATCH", &one, json!({ "domains": ["acme.example"] })).await;
    refused(again, 400, "invalid_field");
}

#[tokio::test]
async fn who_stands_below_a_connections_default_role_changes_nothing_of_it() {
    let scene = Scene::new();
    let roles = "/api/v1/organizations/acme/roles";
    scene.made(roles, json!({ "slug": "crew", "rank": 400, "permissions": ["use"] })).await;
    let mut letting_in = wish("0oa1");
    letting_in["jit"] = json!(true);
    letting_in["default_role"] = json!("crew");
    let made = scene.made(CONNECTIONS, letting_in).await;
    let one = format!("{CONNECTIONS}/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.as_of(&scene.admin, "PATCH", &one, json!({ "name": "Okta 2" })).await.0, 200);
    assert_eq!(scene.root("PATCH", &format!("{roles}/crew"), json!({ "rank": 800 })).await.0, 200);
    for said in [json!({ "name": "Okta 3" }), json!({ "issuer": "https://evil.example" })] {
        refused(scene.as_of(&scene.admin, "PATCH", &one, said).await, 403, "above_own_rank");
    }
}
