//! Identity providers of SAML that this project did not write. Each is started by its own script and told by the test
//! what to say; what a provider must be able to do for these tests is [`Provider`].

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::form::{Form, carry_on};
use crate::harness::{Server, text, variable};

/// pysaml2's identity provider: `tests/peers/saml_idp.py` says what it takes.
struct Provider {
    child: Child,
    base: String,
    http: reqwest::Client,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    fn start(people: &Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/saml_idp.py");
        let mut child = Command::new(Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("venv/bin/python"))
            .arg(script)
            .args(["--people", &people.to_string(), "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base =
            line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("it said `{line}`")).to_owned();
        Self { child, base, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn put(&self, what: &str, body: &Value) {
        let answer = self.http.put(format!("{}/test/{what}", self.base)).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{what}");
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    /// Makes another key, which signs from now on.
    async fn turn_key(&self) -> u64 {
        let answer = self.http.post(format!("{}/test/key", self.base)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn ended(&self) -> Value {
        serde_json::from_str(&self.get("/test/ended").await).unwrap()
    }
}

fn ada(groups: &[&str]) -> Value {
    json!([{ "name_id": "ada-1", "attributes": { "mail": ["ada@acme.test"], "isMemberOf": groups } }])
}

/// An organization whose people come by that provider, first ones too; the provider knows us by our metadata.
async fn connect(server: &Server, provider: &Provider, settings: Value) -> Value {
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let at = |rest: &str| format!("/organizations/acme{rest}");
    server.root("POST", &at("/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let wanted = json!({
        "kind": "saml", "name": "Peer", "metadata_url": format!("{}/metadata", provider.base), "jit": true,
        "domains": ["acme.test"], "groups_claim": "urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "saml": settings,
    });
    let connection = server.root("POST", &at("/connections"), wanted).await;
    for (group, role) in [("Engineering", "member"), ("Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        server.root("POST", &at("/mappings"), mapping).await;
    }
    provider.put("service-provider", &json!({ "url": connection["metadata_url"] })).await;
    connection
}

async fn post(browser: &mut Browser, page: &str) -> Page {
    Form::of(page).send_to(browser).await
}

/// Signs in as the first of the provider's people.
async fn sign_in(server: &Server, connection: &Value, browser: &mut Browser) -> Page {
    let page = browser.open(&text(connection, "login_url")).await.unwrap();
    assert_eq!(page.status, 200, "{}: {}", page.url, page.body);
    let landed = carry_on(browser, page).await;
    let session = browser.find_cookie(&server.base, "portcullis").is_some_and(|c| !c.is_empty());
    assert_eq!(landed.status == 200, session, "{}: {}", landed.url, landed.body);
    landed
}

async fn status(server: &Server, connection: &Value) -> u16 {
    sign_in(server, connection, &mut Browser::new().unwrap()).await.status
}

async fn only_member(server: &Server) -> Value {
    let members = server.all("/organizations/acme/members?email=ada@acme.test").await;
    assert_eq!(members.len(), 1, "{members:?}");
    members[0].clone()
}

#[tokio::test]
async fn people_sign_in_by_saml_through_a_provider_that_others_wrote_and_its_groups_give_their_role() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]));
    let connection = connect(&server, &provider, json!({ "sign_requests": true })).await;
    assert_eq!(status(&server, &connection).await, 200);
    let member = only_member(&server).await;
    assert_eq!((text(&member, "state"), text(&member, "role")), ("active".into(), "member".into()));

    provider.put("people", &ada(&["Engineering", "Leads"])).await;
    for says in [
        json!({ "sign_assertion": false, "sign_response": true }),
        json!({ "sign_assertion": true, "sign_response": true }),
        json!({ "encrypt": true }),
        json!({ "encrypt": true, "sign_assertion": true, "sign_response": false }),
    ] {
        provider.put("says", &says).await;
        assert_eq!(status(&server, &connection).await, 200, "{says}");
        assert_eq!(text(&only_member(&server).await, "role"), "admin");
    }
    provider.put("says", &json!({ "encrypt": false, "sign_assertion": false })).await;
    assert_ne!(status(&server, &connection).await, 200, "nothing is signed");
    server.sign_in_trace("acme", "signature_missing").await;
    provider.put("says", &json!({ "sign_assertion": true })).await;

    let silent = json!([{ "name_id": "ada-1", "attributes": { "mail": ["ada@acme.test"] } }]);
    provider.put("people", &silent).await;
    assert_eq!(status(&server, &connection).await, 200, "an attribute that is not sent takes nothing");
    assert_eq!(text(&only_member(&server).await, "role"), "admin");
    provider.put("people", &ada(&[])).await;
    assert_ne!(status(&server, &connection).await, 200, "in no group that gives anything");
    assert_eq!(text(&only_member(&server).await, "state"), "suspended");
}

#[tokio::test]
async fn a_providers_own_page_leads_in_only_where_an_administrator_allows_it() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]));
    let connection = connect(&server, &provider, json!({})).await;
    let unasked = format!("/test/unasked?entity={}&state=/console", text(&connection, "entity_id"));
    let mut browser = Browser::new().unwrap();
    let page = post(&mut browser, &provider.get(&unasked).await).await;
    assert_eq!(page.status, 403, "{}", page.body);
    server.sign_in_trace("acme", "unsolicited_refused").await;
    let one = format!("/organizations/acme/connections/{}", text(&connection, "id"));
    server.root("PATCH", &one, json!({ "saml": { "idp_initiated": true } })).await;
    let form = provider.get(&unasked).await;
    let page = post(&mut browser, &form).await;
    assert_eq!((page.status, page.url.path()), (200, "/console"), "{}", page.body);
    let page = post(&mut Browser::new().unwrap(), &form).await;
    assert!(page.status == 403 && page.body.contains("<code>replayed</code>"), "{}", page.body);
}

#[tokio::test]
async fn sessions_end_on_both_sides_whoever_begins() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]));
    let connection = connect(&server, &provider, json!({})).await;
    let mut browser = Browser::new().unwrap();
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{}: {}", page.url, page.body);
    assert_eq!(provider.ended().await["requests"], json!(["ada-1"]), "the provider took our signed request");
    let page = browser.open(&format!("{}/console", server.base)).await.unwrap();
    assert_eq!(page.url.path(), "/login");

    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let ask = provider.get(&format!("/test/logout?entity={}", text(&connection, "entity_id"))).await;
    let page = browser.open(&ask).await.unwrap();
    assert_eq!((page.status, page.body.as_str()), (200, "signed out"), "{}", page.url);
    assert_eq!(provider.ended().await["answers"], json!(["Success"]), "the provider took our signed answer");
    let page = browser.open(&format!("{}/console", server.base)).await.unwrap();
    assert_eq!(page.url.path(), "/login", "the session ended here");
}

#[tokio::test]
async fn a_provider_changes_its_keys_with_overlap_and_the_old_one_counts_until_it_is_retired() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]));
    let connection = connect(&server, &provider, json!({})).await;
    assert_eq!(status(&server, &connection).await, 200);
    let one = format!("/organizations/acme/connections/{}", text(&connection, "id"));
    let old = text(&connection["saml"]["certificates"][0], "fingerprint");
    let new = provider.turn_key().await;
    provider.put("published", &json!([0, new])).await;
    assert_eq!(
        status(&server, &connection).await,
        200,
        "the first answer by the new key has the metadata read"
    );
    let shown = server.root("GET", &one, Value::Null).await;
    let states: Vec<&Value> =
        shown["saml"]["certificates"].as_array().unwrap().iter().map(|c| &c["state"]).collect();
    assert_eq!(states, ["trusted", "trusted"], "overlap: {shown}");
    let retired = server.root("POST", &format!("{one}/certificates/{old}/retire"), Value::Null).await;
    assert_eq!(text(&retired, "state"), "retired");
    assert_eq!(status(&server, &connection).await, 200, "after retirement the new key goes on");
    provider.put("signs", &json!(0)).await;
    assert_ne!(status(&server, &connection).await, 200, "and what the old one signs counts no longer");
    server.sign_in_trace("acme", "signature_not_trusted").await;
}

#[tokio::test]
async fn where_a_provider_wants_forms_requests_and_messages_about_the_end_of_sessions_go_by_forms() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]));
    provider.put("binding", &json!("post")).await;
    let connection = connect(&server, &provider, json!({ "sign_requests": true })).await;
    let mut browser = Browser::new().unwrap();
    let page = browser.open(&text(&connection, "login_url")).await.unwrap();
    let request = Form::of(&page.body);
    assert!(
        request.field("SAMLRequest").is_some() && request.action.starts_with(&provider.base),
        "{request:?}"
    );
    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);

    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    let page = carry_on(&mut browser, page).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{}: {}", page.url, page.body);
    assert_eq!(provider.ended().await["requests"], json!(["ada-1"]), "the provider took our signed request");

    assert_eq!(sign_in(&server, &connection, &mut browser).await.status, 200);
    let asks = provider.get(&format!("/test/logout?entity={}", text(&connection, "entity_id"))).await;
    let answer = post(&mut browser, &asks).await;
    let page = carry_on(&mut browser, answer).await;
    assert_eq!((page.status, page.body.as_str()), (200, "signed out"), "{}", page.url);
    assert_eq!(provider.ended().await["answers"], json!(["Success"]), "the provider took our signed answer");
    let page = browser.open(&format!("{}/console", server.base)).await.unwrap();
    assert_eq!(page.url.path(), "/login", "the session ended here");
}
