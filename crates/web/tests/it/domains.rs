//! `/organizations/{org}/domains`.

use serde_json::{Value, json};

use crate::support::{Scene, holds_the_common_rules, id, refused};

const DOMAINS: &str = "/api/v1/organizations/acme/domains";

#[tokio::test]
async fn a_proven_domain_is_removed_by_nobody_who_could_not_prove_it() {
    let scene = Scene::new();
    let steward = json!({ "slug": "steward", "rank": 650, "permissions": ["domains.read", "domains.write"] });
    scene.made("/api/v1/organizations/acme/roles", steward).await;
    let steward = scene.bench.member(scene.owner.organization, "steward@acme.test", "steward");
    for (domain, vouched) in [("a.example", true), ("b.example", false)] {
        scene.made(DOMAINS, json!({ "domain": domain, "vouched": vouched })).await;
    }
    let by = async |who, domain: &str| {
        scene.as_of(who, "DELETE", &format!("{DOMAINS}/{domain}"), Value::Null).await
    };
    refused(by(&steward, "a.example").await, 403, "above_own_rank");
    assert_eq!(by(&steward, "b.example").await.0, 204, "nobody comes in by one that is pending");
    assert_eq!(by(&scene.admin, "a.example").await.0, 204);
}

#[tokio::test]
async fn a_domain_is_added_proven_by_its_record_and_removed() {
    let scene = Scene::new();
    let (status, made) =
        scene.as_of(&scene.admin, "POST", DOMAINS, json!({ "domain": "Acme.Example" })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["domain"], &made["state"]), (&json!("acme.example"), &json!("pending")));
    assert_eq!(made["txt_name"], json!("_portcullis.acme.example"));
    let value = made["txt_value"].as_str().unwrap();
    assert!(value.starts_with("portcullis-verify=") && value.len() > 40, "{value}");

    let verify = format!("{DOMAINS}/acme.example/verify");
    let look = |checked: &'static str, state: &'static str| {
        let (scene, verify) = (&scene, &verify);
        async move {
            let (status, answer) = scene.as_of(&scene.admin, "POST", verify, Value::Null).await;
            assert_eq!((status, &answer["checked"], &answer["state"]), (200, &json!(checked), &json!(state)));
        }
    };
    look("no_record", "pending").await;
    scene.bench.outside.set_txt("_portcullis.acme.example", &["portcullis-verify=another"]);
    look("another_value", "pending").await;
    scene.bench.outside.set_txt("_portcullis.acme.example", &["v=spf1 -all", value]);
    look("proven", "proven").await;

    let one = format!("{DOMAINS}/{}", id(&made));
    let (_, shown) = scene.root("GET", &one, Value::Null).await;
    assert_eq!(shown["state"], json!("proven"));
    assert!(shown["proven_at"].is_string(), "{shown}");
    scene.made(DOMAINS, json!({ "domain": "b.example" })).await;
    scene.made(DOMAINS, json!({ "domain": "c.example" })).await;
    assert_eq!(scene.all(DOMAINS).await.len(), 3);
    assert_eq!(scene.root("DELETE", &one, Value::Null).await.0, 204);
    refused(scene.root("GET", &one, Value::Null).await, 404, "not_found");
}

#[tokio::test]
async fn only_the_root_token_vouches_and_a_proven_domain_has_one_owner() {
    let scene = Scene::new();
    let vouched = json!({ "domain": "acme.example", "vouched": true });
    refused(scene.as_of(&scene.owner, "POST", DOMAINS, vouched.clone()).await, 403, "root_only");
    let made = scene.made(DOMAINS, vouched.clone()).await;
    assert_eq!(made["state"], json!("proven"));
    holds_the_common_rules(&scene, "domains", &made).await;
    let (status, body) = scene.root("POST", DOMAINS, json!({ "domain": "acme.example" })).await;
    assert!(body["detail"].as_str().unwrap().contains("has that domain already"), "{body}");
    refused((status, body), 409, "taken");
    let theirs = "/api/v1/organizations/globex/domains";
    let (status, body) = scene.root("POST", theirs, vouched).await;
    assert_eq!(
        body["detail"],
        json!("another organization of this server has proven that domain"),
        "whose it is, nobody is told"
    );
    refused((status, body), 409, "taken");

    let claimed = scene.made(theirs, json!({ "domain": "acme.example" })).await;
    assert_eq!(claimed["state"], json!("pending"));
    let record = claimed["txt_value"].as_str().unwrap();
    scene.bench.outside.set_txt("_portcullis.acme.example", &[record]);
    let verify = format!("{theirs}/{}/verify", id(&claimed));
    refused(scene.as_of(&scene.stranger, "POST", &verify, Value::Null).await, 409, "taken");

    let later = scene.made(DOMAINS, json!({ "domain": "later.example" })).await;
    let one = format!("{DOMAINS}/{}", id(&later));
    let word = json!({ "vouched": true });
    refused(scene.as_of(&scene.owner, "PATCH", &one, word.clone()).await, 403, "root_only");
    assert_eq!(scene.root("PATCH", &one, word).await.1["state"], json!("proven"));
    scene.made(DOMAINS, json!({ "domain": "named.example" })).await;
    let verify = format!("{DOMAINS}/named.example/verify");
    let other = json!({ "domain": "later.example", "vouched": true });
    refused(scene.root("POST", &verify, other).await, 400, "invalid_field");
    let named = json!({ "domain": "Named.Example", "vouched": true });
    assert_eq!(scene.root("POST", &verify, named.clone()).await.1["state"], json!("proven"));
    refused(scene.root("PATCH", &format!("{DOMAINS}/named.example"), named).await, 400, "unknown_field");
    refused(scene.root("POST", DOMAINS, json!({ "domain": "no dots" })).await, 400, "invalid_domain");
    let as_viewer = scene.as_of(&scene.viewer, "POST", DOMAINS, json!({ "domain": "x.example" })).await;
    refused(as_viewer, 403, "forbidden");
}
