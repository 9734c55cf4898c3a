//! One address for everybody of an organization, and several connections that lead to one provider.

use std::collections::BTreeSet;

use portcullis_domain::Clock as _;
use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::saml_idp::{Idp, Says};
use crate::world::{ADA, World, outcome};

/// The page at an address, and where the browser is sent from it, without going there.
async fn step(url: &str) -> (Page, Option<String>) {
    let (page, next) = Browser::new().unwrap().step(url).await.unwrap();
    (page, next.map(|next| next.to_string()))
}

/// A page without the id of its request.
fn anonymous(page: &Page) -> (u16, String) {
    let request = page.body.split_once("<code>req_").and_then(|(_, rest)| rest.split_once("</code>"));
    let (request, _) = request.unwrap_or_else(|| panic!("no request in {}", page.body));
    (page.status, page.body.replace(request, "(request)"))
}

#[tokio::test]
async fn the_one_connection_of_an_organization_is_led_to_at_once() {
    let world = World::new().await;
    let (_, shown) = world.root("GET", "/organizations/acme", Value::Null).await;
    let address = shown["sign_in_url"].as_str().unwrap();
    assert_eq!(address, format!("{}/sso/acme", world.base));
    let connection = world.connection("acme", json!({ "domains": ["acme.example"] })).await;
    world.invite("acme", ADA, "member").await;
    let by_id = format!("{}/sso/{}", world.base, shown["id"].as_str().unwrap());
    for address in [address, &by_id] {
        let (page, next) = step(&format!("{address}?return_to=/console&email={ADA}")).await;
        let login = connection["login_url"].as_str().unwrap();
        let hinted = format!("{login}?login_hint=ada.abel%40acme.example&return_to=%2Fconsole");
        assert_eq!((page.status, next), (303, Some(hinted)), "{address}");
    }
    let mut browser = Browser::new().unwrap();
    let page = browser.open(&format!("{address}?return_to=/console&email={ADA}")).await.unwrap();
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
}

#[tokio::test]
async fn several_connections_are_told_apart_by_the_domain_of_an_address_or_by_the_person() {
    let (world, idp) = (World::new().await, Idp::start().await);
    let domain = json!({ "domain": "globex.example", "vouched": true });
    world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
    world.made("/organizations/globex/domains", domain).await;
    world.connection("globex", json!({ "name": "Theirs", "domains": ["globex.example"] })).await;
    let saml = world.saml("acme", &idp, json!({ "domains": ["acme.example"] })).await;
    let openid = world.connection("acme", json!({ "name": "Contractors" })).await;
    let address = format!("{}/sso/acme", world.base);
    let offered = |page: &Page| {
        [&saml, &openid].map(|connection| {
            page.body.contains(connection["login_url"].as_str().unwrap().strip_prefix(&world.base).unwrap())
        })
    };
    for person in [ADA, "nobody@acme.example", "Somebody@ACME.example"] {
        let (page, next) = step(&format!("{address}?email={person}")).await;
        let next = next.unwrap_or_else(|| panic!("{person}: {}", page.body));
        assert!(next.starts_with(saml["login_url"].as_str().unwrap()), "{person}: {next}");
    }
    let (page, next) = step(&address).await;
    assert_eq!((page.status, next, offered(&page)), (200, None, [true, true]), "{}", page.body);
    assert!(page.body.contains("Sign in to Acme") && page.body.contains("E-mail address"), "{}", page.body);
    for (elsewhere, status, words) in [
        ("ada@globex.example", 200, "No way in is set"),
        ("ada@nowhere.example", 200, "No way in is set"),
        ("ada", 400, "not an e-mail address"),
    ] {
        let (page, next) = step(&format!("{address}?email={elsewhere}")).await;
        assert_eq!((page.status, next, offered(&page)), (status, None, [true, true]), "{elsewhere}");
        assert!(page.body.contains(words) && !page.body.contains("Theirs"), "{elsewhere}: {}", page.body);
    }
    let (page, _) = step(&format!("{address}?email=%22%3E%3Cb%3E@nowhere.example")).await;
    assert!(!page.body.contains("<b>"), "{}", page.body);
}

#[tokio::test]
async fn an_organization_without_a_connection_is_as_unknown_to_strangers_as_one_that_is_not_there() {
    let world = World::new().await;
    world.made("/organizations", json!({ "slug": "gone", "name": "Gone" })).await;
    world.connection("gone", json!({})).await;
    assert_eq!(step(&format!("{}/sso/gone", world.base)).await.0.status, 303, "one that can be signed in to");
    assert_eq!(world.root("DELETE", "/organizations/gone", Value::Null).await.0, 204);
    let unknown = anonymous(&step(&format!("{}/sso/nowhere", world.base)).await.0);
    assert!(unknown.0 == 404 && unknown.1.contains("<code>not_found</code>"), "{unknown:?}");
    for named in ["acme", "gone", "org_01a201ddb83f73aa9da0e6a96cfd3489", "Not%20a%20slug", "con_1"] {
        for query in ["", "?email=ada.abel@acme.example"] {
            let (page, next) = step(&format!("{}/sso/{named}{query}", world.base)).await;
            assert_eq!((anonymous(&page), next), (unknown.clone(), None), "{named}{query}");
        }
    }
}

#[tokio::test]
async fn an_organizations_own_address_leads_nobody_to_another_host() {
    let world = World::new().await;
    world.connection("acme", json!({})).await;
    for path in ["//evil.example", "/%5Cevil.example", "https://evil.example", "/%0d%0aevil", "evil"] {
        let (page, next) = step(&format!("{}/sso/acme?return_to={path}", world.base)).await;
        assert_eq!((page.status, next), (400, None), "{path}");
    }
    let (page, next) = step(&format!("{}/sso/acme?return_to=/console", world.base)).await;
    assert!(page.status == 303 && next.is_some_and(|next| next.ends_with("return_to=%2Fconsole")));
}

#[tokio::test]
async fn s23_one_provider_behind_several_connections_answers_the_one_whose_address_was_called() {
    let (world, idp) = (World::new().await, Idp::start().await);
    world.invite("acme", ADA, "member").await;
    let fields = json!({ "saml": { "idp_initiated": true } });
    let (one, two) = (world.saml("acme", &idp, fields.clone()).await, world.saml("acme", &idp, fields).await);
    assert_eq!(one["issuer"], two["issuer"], "by the issuer nobody could tell which");
    for (meant, other) in [(&one, &two), (&two, &one)] {
        let mut astray = idp.answer(world.clock.now(), meant, None, &Says::ada(&[]));
        astray.action = other["acs_url"].as_str().unwrap().to_owned();
        assert_eq!(outcome(&astray.post(&mut Browser::new().unwrap()).await), "destination_mismatch");
        assert_eq!(world.saml_outcome(&idp, meant, &Says::ada(&[])).await, "ok");
    }
    world.portcullis.store_traces().await.unwrap();
    let (_, traces) =
        world.root("GET", "/organizations/acme/traces?kind=sign_in&outcome=ok", Value::Null).await;
    let items = traces["items"].as_array().unwrap();
    let came: BTreeSet<_> = items.iter().map(|t| t["content"]["connection"].as_str()).collect();
    let each = BTreeSet::from([one["id"].as_str(), two["id"].as_str()]);
    assert_eq!((items.len(), came), (2, each), "each by its own: {traces}");
}

#[tokio::test]
async fn a_wrong_password_takes_nobody_the_way_by_the_connection_of_their_domain() {
    let world = World::new().await;
    let okta = world.connection("acme", json!({ "domains": ["acme.example"] })).await;
    let way = okta["login_url"].as_str().unwrap().strip_prefix(&world.base).unwrap();
    let mut browser = Browser::new().unwrap();
    for (address, is_led_on) in [(ADA, true), ("nobody@ACME.example", true), ("ada@nowhere.example", false)] {
        let fields = [("email", address), ("password", "not this one, no"), ("return_to", "/console")];
        let page = browser.submit(&format!("{}/login", world.base), &fields).await.unwrap();
        assert_eq!((page.status, page.body.contains(way)), (403, is_led_on), "{address}: {}", page.body);
        assert!(page.body.contains("Sign in with password"), "{}", page.body);
    }
}
