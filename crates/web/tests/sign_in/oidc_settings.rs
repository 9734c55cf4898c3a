//! How we prove ourselves to a provider, how requests and answers travel, and what is asked of people's authentication.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::Timestamp;
use portcullis_emulator::{Authentication, Browser, Page, RegisteredClient};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::saml_idp::Form;
use crate::world::{ADA, World, outcome};

const SECRET: &str = "a-client-secret-for-tests";

/// A product where Ada is invited.
async fn world() -> World {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    world
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A connection with these settings that its provider knows by our keys.
async fn by_key(world: &World, settings: Value) -> Value {
    let body = json!({
        "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "by-key",
        "oidc": { "client_auth": "private_key_jwt" },
    });
    let made = world.made("/organizations/acme/connections", body).await;
    world.provider.register_client(RegisteredClient {
        id: "by-key".to_owned(),
        secret: SecretString::from("nobody knows it"),
        jwks_uri: Some(made["oidc"]["jwks_url"].as_str().unwrap().to_owned()),
        redirect_uris: vec![made["redirect_uri"].as_str().unwrap().to_owned()],
    });
    if settings.as_object().unwrap().is_empty() { made } else { set(world, &made, settings).await }
}

fn path(connection: &Value) -> String {
    format!("/organizations/acme/connections/{}", connection["id"].as_str().unwrap())
}

async fn set(world: &World, connection: &Value, settings: Value) -> Value {
    let (status, changed) = world.root("PATCH", &path(connection), json!({ "oidc": settings })).await;
    assert_eq!(status, 200, "{changed}");
    changed
}

/// What our key set has: ids and algorithms.
async fn published(world: &World, connection: &Value) -> Vec<(String, String)> {
    let url = connection["oidc"]["jwks_url"].as_str().unwrap();
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/jwk-set+json");
    let text = answer.text().await.unwrap();
    assert!(!text.contains("\"d\""), "no private half: {text}");
    let set: Value = serde_json::from_str(&text).unwrap();
    assert!(url.starts_with(&world.base));
    let word = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    set["keys"].as_array().unwrap().iter().map(|key| (word(key, "kid"), word(key, "alg"))).collect()
}

fn kids(keys: &[(String, String)]) -> Vec<&str> {
    keys.iter().map(|(kid, _)| kid.as_str()).collect()
}

#[tokio::test]
async fn the_secret_goes_as_the_provider_offers_it_and_one_that_takes_none_is_refused_and_what_it_offers_is_told()
 {
    let world = world().await;
    let connection = world.connection("acme", json!({})).await;
    for (offered, wanted, expected) in [
        (json!(["client_secret_post"]), Value::Null, "ok"),
        (json!(["client_secret_basic"]), Value::Null, "ok"),
        (json!(["client_secret_basic"]), json!("client_secret_basic"), "ok"),
        (json!(["client_secret_basic"]), json!("client_secret_post"), "no_client_auth"),
        (json!(["private_key_jwt", "tls_client_auth"]), Value::Null, "no_client_auth"),
        (json!(["none"]), json!("client_secret_basic"), "no_client_auth"),
        (Value::Null, json!("client_secret_post"), "ok"),
    ] {
        world.provider.publish(members(json!({ "token_endpoint_auth_methods_supported": offered })));
        world.clock.pass_s(3_601);
        set(&world, &connection, json!({ "client_auth": wanted })).await;
        assert_eq!(world.outcome(&connection, ADA).await, expected, "{offered} {wanted}");
    }
    world.portcullis.store_traces().await.unwrap();
    let traces = "/organizations/acme/traces?outcome=no_client_auth";
    let (_, traces) = world.root("GET", traces, Value::Null).await;
    let told: Vec<&Value> = traces["items"].as_array().unwrap().iter().map(|t| &t["content"]).collect();
    let said = |expected: &str, received: &str| {
        told.iter().any(|t| t["expected"] == expected && t["received"] == received)
    };
    assert!(
        said("client_secret_basic or client_secret_post", "private_key_jwt, tls_client_auth"),
        "{told:?}"
    );
    assert!(said("client_secret_post", "client_secret_basic"), "{told:?}");
}

#[tokio::test]
async fn a_key_of_ours_takes_the_place_of_the_secret_and_is_changed_without_a_gap() {
    let world = world().await;
    let connection = by_key(&world, json!({})).await;
    let first = published(&world, &connection).await;
    assert_eq!((first.len(), first[0].1.as_str()), (1, "ES256"), "as the provider offers it");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "an assertion of its own each time");

    let keys = format!("{}/client-keys", path(&connection));
    let next = world.made(&keys, json!({})).await;
    let kid = next["kid"].as_str().unwrap();
    assert_eq!(next["state"], "next", "{next}");
    assert_eq!(published(&world, &connection).await.len(), 2, "published before it signs");
    let (status, used) = world.root("POST", &format!("{keys}/{kid}/use"), Value::Null).await;
    assert_eq!((status, &used["state"]), (200, &json!("signing")), "{used}");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(
        published(&world, &connection).await.len(),
        2,
        "the former one is there for whoever kept our set"
    );

    let (status, refused) = world.root("DELETE", &format!("{keys}/{kid}"), Value::Null).await;
    assert_eq!((status, &refused["code"]), (409, &json!("in_use")), "{refused}");
    let former = &first[0].0;
    assert_eq!(world.root("DELETE", &format!("{keys}/{former}"), Value::Null).await.0, 204);
    assert_eq!(kids(&published(&world, &connection).await), [kid]);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let (status, _) = world.root("POST", &format!("{keys}/{former}/use"), Value::Null).await;
    assert_eq!(status, 404, "nothing brings a retired key back");
    for (action, count) in
        [("connection.key_created", 2), ("connection.key_used", 1), ("connection.key_retired", 1)]
    {
        assert_eq!(world.events("acme", action).await.len(), count, "{action}");
    }
    for _ in 0..3 {
        world.made(&keys, json!({})).await;
    }
    let (status, full) = world.root("POST", &keys, json!({})).await;
    assert_eq!((status, &full["code"]), (400, &json!("invalid_field")), "{full}");
}

#[tokio::test]
async fn a_provider_that_changes_what_it_takes_gets_a_key_that_fits() {
    let world = world().await;
    let algs = |algs: Value| members(json!({ "token_endpoint_auth_signing_alg_values_supported": algs }));
    world.provider.publish(algs(json!(["PS256", "RS256"])));
    let connection = by_key(&world, json!({ "assertion_audience": "issuer" })).await;
    assert_eq!(published(&world, &connection).await[0].1, "RS256");
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    world.provider.publish(algs(json!(["ES256"])));
    world.clock.pass_s(3_601);
    assert_eq!(world.outcome(&connection, ADA).await, "no_assertion_alg");
    let keys = format!("{}/client-keys", path(&connection));
    let next = world.made(&keys, json!({})).await;
    assert_eq!(next["alg"], "ES256");
    let order = format!("{keys}/{}/use", next["kid"].as_str().unwrap());
    assert_eq!(world.root("POST", &order, Value::Null).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}

/// What is to be uploaded of the key that signs: as the guide has it.
fn certificate(connection: &Value) -> Vec<u8> {
    let keys = connection["oidc"]["client_keys"].as_array().unwrap();
    let signing = keys.iter().find(|key| key["state"] == "signing").unwrap();
    STANDARD.decode(signing["certificate"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_provider_that_is_handed_certificates_finds_our_key_by_the_one_that_signs_and_by_no_other() {
    let world = world().await;
    let algs = json!({ "token_endpoint_auth_signing_alg_values_supported": ["RS256"] });
    world.provider.publish(members(algs));
    let connection = by_key(&world, json!({})).await;
    let first = &connection["oidc"]["client_keys"][0];
    let der = certificate(&connection);
    let (_, read) = X509Certificate::from_der(&der).unwrap();
    assert_eq!(read.subject().to_string(), "CN=127.0.0.1", "our host");
    let not_after = Timestamp::parse_rfc3339(first["not_after"].as_str().unwrap()).unwrap();
    assert_eq!(read.validity().not_after.timestamp(), not_after.seconds());
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
    let shown: String = sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(first["certificate_sha1"], shown);
    assert!(!published(&world, &connection).await[0].0.is_empty(), "the key set is there all the same");

    world.provider.take_certificate("by-key", der);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let keys = format!("{}/client-keys", path(&connection));
    let next = world.made(&keys, json!({})).await;
    let order = format!("{keys}/{}/use", next["kid"].as_str().unwrap());
    assert_eq!(world.root("POST", &order, Value::Null).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "token_refused", "nobody handed over the new one's");
    let (_, shown) = world.root("GET", &path(&connection), Value::Null).await;
    assert_ne!(certificate(&shown), certificate(&connection), "each key has its own");
    world.provider.take_certificate("by-key", certificate(&shown));
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(shown["oidc"]["warnings"], json!([]), "{shown}");
    let days = |days: i64| days * 24 * 3_600;
    world.clock.pass_s(days(3 * 365 - 10));
    let (_, shown) = world.root("GET", &path(&connection), Value::Null).await;
    let warned = &shown["oidc"]["warnings"][0];
    assert_eq!(warned["code"], "key_expires", "{shown}");
    assert!(warned["message"].as_str().unwrap().contains("in 10 days"), "{warned}");
}

#[tokio::test]
async fn a_secret_and_a_key_take_each_others_place_and_nothing_is_kept_of_the_one_that_went() {
    let world = world().await;
    let connection = world.connection("acme", json!({ "client_id": "both" })).await;
    assert_eq!(connection["oidc"]["client_keys"], json!([]));
    let changed = set(&world, &connection, json!({ "client_auth": "private_key_jwt" })).await;
    assert_eq!(changed["oidc"]["client_keys"].as_array().unwrap().len(), 1, "{changed}");
    assert_eq!(world.outcome(&connection, ADA).await, "token_refused", "the provider knows the secret still");
    let refused = json!({ "oidc": { "client_auth": null } });
    let (status, problem) = world.root("PATCH", &path(&connection), refused).await;
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("client_secret"), "{problem}");
    let back = json!({ "client_secret": SECRET, "oidc": { "client_auth": null } });
    assert_eq!(world.root("PATCH", &path(&connection), back).await.0, 200);
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let world = world().await;
    let with = |fields: Value| {
        let mut body = json!({
            "kind": "oidc", "name": "Okta", "issuer": world.provider.issuer(), "client_id": "us",
            "client_secret": SECRET,
        });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let long: Vec<String> = (0..11).map(|at| format!("urn:{at}")).collect();
    for (fields, code, field) in [
        (json!({ "client_secret": null }), "invalid_field", "client_secret"),
        (json!({ "oidc": { "client_auth": "private_key_jwt" } }), "invalid_field", "client_secret"),
        (json!({ "oidc": { "client_auth": "none" } }), "invalid_field", "private_key_jwt"),
        (json!({ "oidc": { "secret": 1 } }), "unknown_field", "secret"),
        (json!({ "oidc": { "max_age_s": 2_592_001 } }), "invalid_field", "max_age_s"),
        (json!({ "oidc": { "max_age_s": -1 } }), "invalid_field", "max_age_s"),
        (json!({ "oidc": { "acr_values": ["two words"] } }), "invalid_field", "acr_values"),
        (json!({ "oidc": { "acr_values": [""] } }), "invalid_field", "acr_values"),
        (json!({ "oidc": { "acr_values": long } }), "invalid_field", "acr_values"),
        (json!({ "kind": "saml", "oidc": {}, "issuer": null }), "invalid_field", "belongs to `oidc`"),
    ] {
        let (status, problem) =
            world.root("POST", "/organizations/acme/connections", with(fields.clone())).await;
        assert_eq!((status, &problem["code"]), (400, &json!(code)), "{fields}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(field), "{fields}: {problem}");
    }
    for (field, max) in [("client_id", 1_024), ("client_secret", 1_024), ("groups_claim", 256)] {
        for bad in [String::new(), "x".repeat(max + 1), "two\u{7}parts".to_owned(), "two\0parts".to_owned()] {
            let (status, problem) =
                world.root("POST", "/organizations/acme/connections", with(json!({ field: bad }))).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{field}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(field), "{field}: {problem}");
        }
        world.made("/organizations/acme/connections", with(json!({ field: "x".repeat(max) }))).await;
    }
    let made = world.made("/organizations/acme/connections", with(json!({}))).await;
    assert_eq!(made["oidc"]["settings"]["response_mode"], "query", "{made}");
    let unknown = format!("/sso/oidc/con_{}/jwks", "0".repeat(32));
    assert_eq!(world.call("GET", &unknown, "nobody", Value::Null).await.0, 404);
}

/// The form on a provider's page.
pub fn form(page: &Page) -> Form {
    let unescaped = |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&");
    let between = |text: &str, from: &str| -> Option<(String, String)> {
        let (_, rest) = text.split_once(from)?;
        let (found, rest) = rest.split_once('"')?;
        Some((unescaped(found), rest.to_owned()))
    };
    let (action, mut rest) = between(&page.body, "action=\"").unwrap_or_else(|| panic!("{}", page.body));
    let mut fields = Vec::new();
    while let Some((name, after)) = between(&rest, "name=\"") {
        let (value, after) = between(&after, "value=\"").unwrap();
        fields.push((name, value));
        rest = after;
    }
    Form { action, fields }
}

#[tokio::test]
async fn an_answer_by_a_form_lets_in_the_browser_that_asked_once_and_no_other() {
    let world = world().await;
    let by_form = json!({ "oidc": { "response_mode": "form_post" } });
    let connection = world.connection("acme", by_form).await;
    let mut browser = Browser::new().unwrap();
    let away = async |browser: &mut Browser| form(&world.sign_in(browser, &connection, ADA).await);
    let answer = away(&mut browser).await;
    let names: Vec<&str> = answer.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert_eq!(answer.action, connection["redirect_uri"].as_str().unwrap());
    let page = answer.post(&mut browser).await;
    assert_eq!(outcome(&page), "ok");
    let arrived = page.passed.iter().find(|url| url.path().ends_with("/arrive")).unwrap().to_string();
    let first = world.sessions(&browser).pop().unwrap();
    assert_eq!(world.decision(&first).await, "allowed");
    assert!(page.passed.iter().all(|url| !url.as_str().contains("code=")), "no code in an address");
    let sessions = world.sessions(&browser);
    assert_eq!(outcome(&browser.open(&arrived).await.unwrap()), "ok", "who is signed in is sent on");
    assert_eq!(
        outcome(&answer.post(&mut browser).await),
        "ok",
        "by a ticket and by an answer that were good once"
    );
    assert_eq!(world.sessions(&browser), sessions, "and gets nothing by it");

    let answer = away(&mut browser).await;
    let mut thief = Browser::new().unwrap();
    assert_eq!(outcome(&answer.post(&mut thief).await), "state_mismatch", "another browser");
    let answer = away(&mut browser).await;
    let mut address: Url = answer.action.parse().unwrap();
    address.query_pairs_mut().extend_pairs(&answer.fields);
    let (_, next) = browser.step(address.as_str()).await.unwrap();
    assert!(next.unwrap().as_str().contains("/again?refused=state_mismatch"), "by a redirect");
    let answer = away(&mut browser).await;
    let (status, ticket) = world.form_step(&mut browser, &answer).await;
    assert_eq!(status, 303);
    assert_eq!(outcome(&thief.open(&ticket).await.unwrap()), "state_mismatch", "a ticket of another browser");
    assert_eq!(world.decision(&first).await, "allowed", "nothing of it touched the session that was there");

    let (status, _) = world.call("POST", "/sso/oidc/x/callback", "nobody", json!({})).await;
    assert_eq!(status, 400, "not a form");
    let query = format!("/sso/oidc/{}/callback", connection["id"].as_str().unwrap());
    assert_eq!(world.form(&query, &[], &"a".repeat(20_000)).await.0, 400, "too long");
    world.provider.publish(members(json!({ "response_modes_supported": ["query"] })));
    world.clock.pass_s(3_601);
    assert_eq!(world.outcome(&connection, ADA).await, "no_form_post");
}

#[tokio::test]
async fn a_request_is_pushed_where_the_provider_demands_it_or_the_connection_asks_for_it() {
    let world = world().await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    assert_eq!(world.provider.counts().pushed, 0);
    world.provider.sign_in_as(Some(ADA));
    for (settings, published) in [
        (json!({ "pushed_requests": "always" }), json!({})),
        (
            json!({ "pushed_requests": "where_required" }),
            json!({ "require_pushed_authorization_requests": true }),
        ),
    ] {
        world.provider.publish(members(published));
        world.clock.pass_s(3_601);
        set(&world, &connection, settings).await;
        let before = world.provider.counts().pushed;
        let mut browser = Browser::new().unwrap();
        let page = world.sign_in(&mut browser, &connection, ADA).await;
        assert_eq!((outcome(&page).as_str(), world.provider.counts().pushed), ("ok", before + 1));
        let asked = page.passed.iter().find(|url| url.path() == "/authorize").unwrap();
        let names: Vec<String> = asked.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["client_id", "request_uri"], "{asked}");
    }
    let without = json!({
        "pushed_authorization_request_endpoint": null, "require_pushed_authorization_requests": true,
    });
    world.provider.publish(members(without));
    world.clock.pass_s(3_601);
    assert_eq!(world.outcome(&connection, ADA).await, "no_pushed_requests");
    world.provider.publish(members(json!({})));
    world.clock.pass_s(3_601);
    let key = by_key(&world, json!({ "pushed_requests": "always", "response_mode": "form_post" })).await;
    let mut browser = Browser::new().unwrap();
    let answer = form(&world.sign_in(&mut browser, &key, ADA).await);
    assert_eq!(outcome(&answer.post(&mut browser).await), "ok", "by a key, pushed and answered by a form");
    let (status, _) = world.root("PATCH", &path(&connection), json!({ "client_secret": "another" })).await;
    assert_eq!(status, 200);
    set(&world, &connection, json!({ "pushed_requests": "always" })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "pushed_request_refused");
}

#[tokio::test]
async fn what_is_asked_of_an_authentication_is_sent_along_and_must_be_proven() {
    let world = world().await;
    let strong = json!({
        "prompt": "login", "max_age_s": 60, "acr_values": ["urn:mfa", "urn:key"], "login_hint": false,
    });
    let connection = world.connection("acme", json!({ "oidc": strong })).await;
    world.provider.sign_in_as(Some(ADA));
    let mut browser = Browser::new().unwrap();
    let page = world.sign_in(&mut browser, &connection, ADA).await;
    assert_eq!(outcome(&page), "ok");
    let asked = page.passed.iter().find(|url| url.path() == "/authorize").unwrap();
    let find = |name: &str| asked.query_pairs().find(|(own, _)| own == name).map(|(_, v)| v.into_owned());
    assert_eq!((find("prompt").as_deref(), find("max_age").as_deref()), (Some("login"), Some("60")));
    assert_eq!((find("acr_values").as_deref(), find("login_hint")), (Some("urn:mfa urn:key"), None));

    let authenticated = |acr: Option<&str>, ago_s| Authentication { acr: acr.map(str::to_owned), ago_s };
    for (authentication, expected) in [
        (authenticated(Some("urn:key"), 0), "ok"),
        (authenticated(Some("urn:password"), 0), "acr_mismatch"),
        (authenticated(None, 400), "authentication_too_old"),
        (authenticated(None, 30), "ok"),
    ] {
        world.provider.authenticate(authentication.clone());
        assert_eq!(world.outcome(&connection, ADA).await, expected, "{authentication:?}");
    }
    let anew = json!({ "prompt": "login", "max_age_s": null, "acr_values": [] });
    set(&world, &connection, anew).await;
    for (ago_s, expected) in [(0, "ok"), (300, "ok"), (301, "not_proven_anew")] {
        world.provider.authenticate(authenticated(None, ago_s));
        let mut browser = Browser::new().unwrap();
        let page = world.sign_in(&mut browser, &connection, ADA).await;
        assert_eq!(outcome(&page), expected, "{ago_s}");
        let asked = page.passed.iter().find(|url| url.path() == "/authorize").unwrap();
        assert!(asked.query_pairs().any(|(name, value)| name == "max_age" && value == "0"), "{asked}");
    }
    world.provider.authenticate(authenticated(Some("urn:password"), 4_000));
    set(&world, &connection, json!({ "prompt": null, "max_age_s": null, "acr_values": [] })).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok", "where nothing is asked, nothing is demanded");
}

#[tokio::test]
async fn endpoints_that_move_are_followed_after_an_hour_and_another_issuer_never() {
    let world = world().await;
    let connection = world.connection("acme", json!({})).await;
    assert_eq!(world.outcome(&connection, ADA).await, "ok");
    let asked = world.provider.counts().discovery;
    let moved = format!("{}/moved", world.provider.issuer());
    for (members, at_once, after_an_hour) in [
        (members(json!({ "token_endpoint": moved })), "ok", "token_endpoint_failed"),
        (members(json!({ "userinfo_endpoint": moved })), "token_endpoint_failed", "userinfo_failed"),
        (members(json!({})), "userinfo_failed", "ok"),
        (members(json!({ "issuer": "https://other.example" })), "ok", "discovery_issuer_mismatch"),
    ] {
        world.provider.publish(members);
        assert_eq!(world.outcome(&connection, ADA).await, at_once, "what is known serves");
        world.clock.pass_s(3_600);
        assert_eq!(world.outcome(&connection, ADA).await, after_an_hour);
    }
    let again = world.provider.counts().discovery - asked;
    assert_eq!(again, 4, "once an hour, and not again at once where it is refused");
}

fn refused_for((status, body): (u16, Value), field: &str) {
    assert_eq!((status, &body["code"]), (400, &json!("invalid_field")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains(&format!("`{field}`")), "{body}");
}

#[tokio::test]
async fn what_one_provider_knows_us_by_is_never_sent_to_another() {
    let world = world().await;
    let elsewhere = json!({ "issuer": "https://other.example" });
    let by_secret = world.connection("acme", json!({ "client_id": "ours" })).await;
    let (status, refused) = world.root("PATCH", &path(&by_secret), elsewhere.clone()).await;
    refused_for((status, refused), "client_secret");
    let given = json!({ "issuer": "https://other.example", "client_secret": "what the other gave" });
    let (status, moved) = world.root("PATCH", &path(&by_secret), given.clone()).await;
    assert_eq!((status, &moved["issuer"]), (200, &elsewhere["issuer"]), "{moved}");

    let known_by_key = by_key(&world, json!({})).await;
    let no_key =
        json!({ "issuer": "https://other.example", "client_secret": "s", "oidc": { "client_auth": null } });
    for change in [elsewhere, no_key] {
        let (status, refused) = world.root("PATCH", &path(&known_by_key), change).await;
        refused_for((status, refused), "issuer");
    }
    let (status, _) =
        world.root("PATCH", &path(&known_by_key), json!({ "issuer": world.provider.issuer() })).await;
    assert_eq!(status, 200, "the same one is no other");
}
