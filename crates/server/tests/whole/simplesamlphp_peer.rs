//! Whole flows with SimpleSAMLphp as the provider of SAML.

use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::chromium::{browse, cookie};
use crate::doors::https;
use crate::form::carry_on;
use crate::harness::{Server, text};
use crate::simplesamlphp::SimpleSaml;

/// An organization whose people come by that provider, first ones too; the provider knows us by our metadata.
async fn connect(server: &Server, idp: &SimpleSaml, settings: Value) -> Value {
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let at = |rest: &str| format!("/organizations/acme{rest}");
    server.root("POST", &at("/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let wanted = json!({
        "kind": "saml", "name": "Campus", "metadata_url": idp.metadata_url(), "jit": true, "domains": ["acme.test"],
        "groups_claim": "groups", "saml": settings,
    });
    let connection = server.root("POST", &at("/connections"), wanted).await;
    for (group, role) in [("Engineering", "member"), ("Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        server.root("POST", &at("/mappings"), mapping).await;
    }
    idp.knows(&server.http, &text(&connection, "metadata_url")).await;
    connection
}

fn one(connection: &Value) -> String {
    format!("/organizations/acme/connections/{}", text(connection, "id"))
}

fn has_session(server: &Server, browser: &Browser) -> bool {
    browser.find_cookie(&server.base, "portcullis").is_some_and(|cookie| !cookie.is_empty())
}

/// Signs Ada in, through every form on the way.
async fn sign_in(server: &Server, connection: &Value, browser: &mut Browser) -> Page {
    let page = browser.open(&text(connection, "login_url")).await.unwrap();
    let landed = carry_on(browser, page).await;
    assert_eq!(landed.status == 200, has_session(server, browser), "{}: {}", landed.url, landed.body);
    landed
}

/// Signs Ada in anew; how it ended.
async fn status(server: &Server, connection: &Value) -> u16 {
    sign_in(server, connection, &mut Browser::new().unwrap()).await.status
}

async fn only_member(server: &Server) -> Value {
    let members = server.all("/organizations/acme/members?email=ada@acme.test").await;
    assert_eq!(members.len(), 1, "{members:?}");
    members[0].clone()
}

#[tokio::test]
async fn people_sign_in_through_simplesamlphp_signed_and_encrypted_and_its_groups_give_their_role() {
    let server = Server::sqlite().await;
    let mut idp = SimpleSaml::start().await;
    let connection = connect(&server, &idp, json!({ "sign_requests": true })).await;
    idp.says(&json!({ "validate.authnrequest": true }));
    assert_eq!(status(&server, &connection).await, 200, "{}", idp.log());
    let member = only_member(&server).await;
    assert_eq!((text(&member, "state"), text(&member, "role")), ("active".into(), "member".into()));

    idp.people(&["Engineering", "Leads"]);
    for says in [
        json!({ "saml20.sign.assertion": false, "saml20.sign.response": true }),
        json!({ "saml20.sign.assertion": true, "saml20.sign.response": false }),
        json!({ "saml20.sign.assertion": true, "saml20.sign.response": true }),
    ] {
        idp.says(&says);
        assert_eq!(status(&server, &connection).await, 200, "{says}: {}", idp.log());
        assert_eq!(text(&only_member(&server).await, "role"), "admin");
    }
    // This version encrypts by AES-CBC whatever it is told: refused until an administrator takes that in a signed response.
    idp.says(&json!({ "assertion.encryption": true }));
    assert_ne!(status(&server, &connection).await, 200);
    server.sign_in_trace("acme", "cbc_refused").await;
    server.root("PATCH", &one(&connection), json!({ "saml": { "cbc": true } })).await;
    assert_eq!(status(&server, &connection).await, 200, "{}", idp.log());
    idp.says(&json!({ "saml20.sign.response": false }));
    assert_ne!(status(&server, &connection).await, 200, "in a response that is not signed");
    server.sign_in_traces("acme", "cbc_refused", 2).await;
    idp.says(&json!({ "saml20.sign.response": true, "assertion.encryption": false }));

    idp.people(&["Everybody"]);
    assert_ne!(status(&server, &connection).await, 200, "in no group that gives anything");
    assert_eq!(text(&only_member(&server).await, "state"), "suspended");
}

#[tokio::test]
async fn simplesamlphps_own_page_leads_in_only_where_an_administrator_allows_it() {
    let server = Server::sqlite().await;
    let idp = SimpleSaml::start().await;
    let connection = connect(&server, &idp, json!({})).await;
    let unasked = idp.unasked(&text(&connection, "entity_id"), "/console");
    let mut browser = Browser::new().unwrap();
    let form = browser.open(&unasked).await.unwrap();
    let page = carry_on(&mut browser, form).await;
    assert_eq!((page.status, has_session(&server, &browser)), (403, false), "{}", page.body);
    server.sign_in_trace("acme", "unsolicited_refused").await;
    server.root("PATCH", &one(&connection), json!({ "saml": { "idp_initiated": true } })).await;
    let form = browser.open(&unasked).await.unwrap();
    let page = carry_on(&mut browser, form.clone()).await;
    assert_eq!((page.status, page.url.path()), (200, "/console"), "{}", page.body);
    let page = carry_on(&mut Browser::new().unwrap(), form).await;
    assert!(page.status == 403 && page.body.contains("<code>replayed</code>"), "{}", page.body);
}

#[tokio::test]
async fn sessions_end_here_and_at_simplesamlphp_whoever_begins() {
    let server = Server::sqlite().await;
    let idp = SimpleSaml::start().await;
    let connection = connect(&server, &idp, json!({})).await;
    let console = format!("{}/console", server.base);
    let mut browser = Browser::new().unwrap();
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    assert_eq!(idp.sessions_of_ada(), 1);
    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    let page = carry_on(&mut browser, page).await;
    assert!(page.status == 200 && page.body.contains("You are signed out."), "{}: {}", page.url, page.body);
    assert!(page.passed.iter().any(|url| url.as_str().starts_with(&idp.base)), "{:?}", page.passed);
    assert_eq!(idp.sessions_of_ada(), 0, "the provider took our signed request: {}", idp.log());

    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/console");
    let page = idp.end(&mut browser).await;
    let page = carry_on(&mut browser, page).await;
    assert_eq!(page.status, 200, "{}: {} {}", page.url, page.body, idp.log());
    assert!(page.passed.iter().any(|url| url.path().ends_with("/slo")), "{:?}", page.passed);
    assert_eq!(browser.open(&console).await.unwrap().url.path(), "/login", "the session ended here");
}

#[tokio::test]
async fn simplesamlphp_changes_its_key_with_overlap_and_the_old_one_is_refused_after_it_was_retired() {
    let server = Server::sqlite().await;
    let mut idp = SimpleSaml::start().await;
    let connection = connect(&server, &idp, json!({})).await;
    assert_eq!(status(&server, &connection).await, 200, "{}", idp.log());
    let old = text(&connection["saml"]["certificates"][0], "fingerprint");
    idp.new_key("1");
    // The new key signs, and the old one is published beside it.
    idp.says(&json!({ "privatekey": "1.key", "certificate": "1.pem" }));
    idp.says(&json!({ "new_privatekey": "0.key", "new_certificate": "0.pem" }));
    let first = status(&server, &connection).await;
    assert_eq!(first, 200, "the first answer by the new key has the metadata read: {}", idp.log());
    let shown = server.root("GET", &one(&connection), Value::Null).await;
    let states: Vec<&Value> =
        shown["saml"]["certificates"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert_eq!(states, ["trusted", "trusted"], "overlap: {shown}");
    server.root("POST", &format!("{}/certificates/{old}/retire", one(&connection)), Value::Null).await;
    let by_old = json!({ "privatekey": "0.key", "certificate": "0.pem", "new_privatekey": null, "new_certificate": null });
    idp.says(&by_old);
    assert_ne!(status(&server, &connection).await, 200, "what the old key signs counts no longer");
    server.sign_in_trace("acme", "signature_not_trusted").await;
    idp.says(&json!({ "privatekey": "1.key", "certificate": "1.pem" }));
    assert_eq!(status(&server, &connection).await, 200, "the new key signs");
}

#[tokio::test]
async fn a_certificate_that_runs_out_within_a_week_is_told_by_the_connection_the_log_the_metrics_and_the_doctor()
 {
    let mut server = Server::sqlite().await;
    let mut idp = SimpleSaml::start().await;
    idp.new_key_for("1", 6);
    idp.says(&json!({ "new_privatekey": "1.key", "new_certificate": "1.pem" }));
    let connection = connect(&server, &idp, json!({})).await;
    let warnings = connection["saml"]["warnings"].as_array().unwrap();
    let codes: Vec<&Value> = warnings.iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["certificate_expires"], "{connection}");
    // Looked for at the start, and then once an hour.
    server.kill();
    server.restart().await;
    let line = "portcullis_saml_certificates_expiring{whose=\"provider\",within_days=\"7\"} 1";
    let metrics = server.metrics_with(line).await;
    let of_one_day = "portcullis_saml_certificates_expiring{whose=\"provider\",within_days=\"1\"} 0";
    assert!(metrics.contains(of_one_day), "{metrics}");
    let log = std::fs::read_to_string(server.data.with_extension("log")).unwrap();
    let told: Vec<&str> =
        log.lines().filter(|l| l.contains("a certificate of a SAML connection runs out")).collect();
    assert!(told.len() == 1 && told[0].contains(&text(&connection, "id")), "{log}");
    let (_, said) = server.command(&["doctor"]);
    assert!(said.contains("saml_certificate_expiring"), "{said}");
}

#[tokio::test]
async fn a_real_browser_comes_across_sites_over_https_with_its_cookie_and_is_refused_without_it() {
    let idp = SimpleSaml::start().await;
    // Another site than the provider's: what its form posts here crosses sites.
    let (server, _front) = https("portcullis.test").await;
    connect(&server, &idp, json!({})).await;
    let (url, until) =
        (format!("{}/login?return_to=/console", server.base), format!("{}/console", server.base));
    let common = ["--url", &url, "--email", "ada@acme.test", "--rules", "MAP portcullis.test 127.0.0.1"];
    let (_, seen) = browse(&[&common[..], &["--until", &until]].concat()).await;
    assert!(seen["status"] == 200 && text(&seen, "url").starts_with(&until), "{seen}");
    let complaints = seen["errors"].as_array().unwrap();
    // What the provider's own page lacks is its own business.
    assert!(complaints.iter().all(|said| said.as_str().unwrap().contains(&idp.base)), "{seen}");
    let attributes = |name: &str| {
        let found = cookie(&seen, name).unwrap_or_else(|| panic!("no `{name}`: {seen}"));
        ["httpOnly", "secure", "sameSite"].map(|what| found[what].clone())
    };
    assert_eq!(attributes("__Host-portcullis"), [json!(true), json!(true), json!("Lax")]);
    let crossing = "__Host-portcullis-crossing-";
    let is_bound = |c: &&Value| c["name"].as_str().is_some_and(|name| name.starts_with(crossing));
    let bound = seen["cookies"].as_array().unwrap().iter().find(is_bound).unwrap_or_else(|| panic!("{seen}"));
    assert_eq!(
        ["httpOnly", "secure", "sameSite"].map(|what| bound[what].clone()),
        [json!(true), json!(true), json!("None")]
    );
    assert_eq!(text(&only_member(&server).await, "state"), "active");

    let acs = format!("{}/sso/saml/", server.base);
    let lost = ["--until", &acs, "--forget", crossing, "--at", &idp.base];
    let (_, seen) = browse(&[&common[..], &lost[..]].concat()).await;
    assert_eq!(seen["status"], 403, "{seen}");
    assert!(
        seen["url"].as_str().unwrap().contains("/again?") && seen["text"].as_str().unwrap().contains("state"),
        "{seen}"
    );
    assert!(cookie(&seen, "__Host-portcullis").is_none(), "nobody was let in: {seen}");
}
