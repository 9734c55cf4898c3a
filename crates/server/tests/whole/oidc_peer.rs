//! A certified OpenID provider that this project did not write, and a real browser.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portcullis_emulator::Browser;
use serde_json::{Value, json};

use crate::chromium::{browse, cookie};
use crate::form::Form;
use crate::harness::{Server, text, variable};

const CLIENT: &str = "portcullis";
const SECRET: &str = "a-secret-of-the-peer-tests";

fn peer(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers").join(name)
}

fn node() -> PathBuf {
    Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("bin/node")
}

struct Provider {
    child: Child,
    issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    /// A provider where these people are; its keys are its own and new with each start.
    fn start(accounts: &Value, port: u16) -> Self {
        let mut child = Command::new(node())
            .arg(peer("oidc_provider.mjs"))
            .args(["--client-id", CLIENT, "--client-secret", SECRET, "--accounts", &accounts.to_string()])
            .args(["--port", &port.to_string(), "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let issuer = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("it said `{line}`"));
        Self { issuer: issuer.to_owned(), child }
    }

    async fn put(&self, what: &str, body: &Value) {
        // A client of its own: after a new start a kept connection would be the former provider's.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.put(format!("{}/test/{what}", self.issuer)).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }
}

fn ada(groups: &[&str]) -> Value {
    json!([{
        "sub": "ada-1", "email": "ada@acme.test", "email_verified": true, "name": "Ada Lovelace", "groups": groups,
    }])
}

/// An organization whose people come by that provider, first ones too.
async fn connect(server: &Server, provider: &Provider) -> Value {
    connect_by(server, provider, json!({ "client_secret": SECRET })).await
}

/// The same with these fields beside the usual ones.
async fn connect_by(server: &Server, provider: &Provider, fields: Value) -> Value {
    server.root("POST", "/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
    let at = |rest: &str| format!("/organizations/acme{rest}");
    server.root("POST", &at("/domains"), json!({ "domain": "acme.test", "vouched": true })).await;
    let mut wanted = json!({
        "kind": "oidc", "name": "Peer", "issuer": provider.issuer, "client_id": CLIENT, "jit": true,
        "domains": ["acme.test"],
    });
    for (name, value) in fields.as_object().unwrap() {
        wanted[name] = value.clone();
    }
    let connection = server.root("POST", &at("/connections"), wanted).await;
    for (group, role) in [("Engineering", "member"), ("Leads", "admin")] {
        let mapping = json!({
            "directory": connection["claims_directory"], "group": { "external_id": group }, "role": role,
        });
        server.root("POST", &at("/mappings"), mapping).await;
    }
    provider.put("redirect-uris", &json!([connection["redirect_uri"]])).await;
    connection
}

/// Signs in as the first of the provider's people: status and body of where it ends.
async fn sign_in(server: &Server, connection: &Value) -> (u16, String) {
    let mut browser = Browser::new().unwrap();
    let page = browser.open(&text(connection, "login_url")).await.unwrap();
    let session = browser.find_cookie(&server.base, "portcullis").is_some();
    assert_eq!(page.status == 200, session, "{}: {}", page.url, page.body);
    (page.status, page.body)
}

async fn only_member(server: &Server) -> Value {
    let members = server.all("/organizations/acme/members?email=ada@acme.test").await;
    assert_eq!(members.len(), 1, "{members:?}");
    members[0].clone()
}

#[tokio::test]
async fn people_sign_in_through_a_provider_that_others_wrote_and_its_groups_give_their_role() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]), 0);
    let connection = connect(&server, &provider).await;
    assert_eq!(sign_in(&server, &connection).await.0, 200);
    let member = only_member(&server).await;
    assert_eq!((text(&member, "state"), text(&member, "role")), ("active".into(), "member".into()));

    provider.put("accounts", &ada(&["Engineering", "Leads"])).await;
    assert_eq!(sign_in(&server, &connection).await.0, 200);
    assert_eq!(text(&only_member(&server).await, "role"), "admin");

    provider.put("accounts", &ada(&[])).await;
    assert_ne!(sign_in(&server, &connection).await.0, 200, "in no group that gives anything");
    assert_eq!(text(&only_member(&server).await, "state"), "suspended");
}

#[tokio::test]
async fn a_provider_that_changed_its_keys_is_believed_after_its_key_set_was_read_again() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]), 0);
    let connection = connect(&server, &provider).await;
    assert_eq!(sign_in(&server, &connection).await.0, 200);
    let port = provider.issuer.rsplit(':').next().unwrap().parse().unwrap();
    drop(provider);
    let provider = Provider::start(&ada(&["Engineering"]), port);
    provider.put("redirect-uris", &json!([connection["redirect_uri"]])).await;
    let (status, page) = sign_in(&server, &connection).await;
    assert_eq!(status, 200, "whoever comes first behind the change has the new keys read: {page}");
}

#[tokio::test]
async fn a_real_browser_signs_in_from_the_hosted_page_and_no_policy_of_ours_stands_in_its_way() {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]), 0);
    connect(&server, &provider).await;
    let (url, until) =
        (format!("{}/login?return_to=/console", server.base), format!("{}/console", server.base));
    let (arrived, seen) = browse(&["--url", &url, "--email", "ada@acme.test", "--until", &until]).await;
    assert!(arrived, "{seen}");
    assert_eq!((&seen["status"], &seen["errors"]), (&json!(200), &json!([])), "{seen}");
    let ours = cookie(&seen, "portcullis").unwrap_or_else(|| panic!("{seen}"));
    assert_eq!((&ours["httpOnly"], &ours["sameSite"]), (&json!(true), &json!("Lax")), "{ours}");
    assert_eq!(text(&only_member(&server).await, "state"), "active");
}

/// What the provider knows of us: keys and no secret, requests that were pushed, and where it tells of the end of sessions.
async fn register_by_key(provider: &Provider, connection: &Value) {
    let client = json!({
        "client_secret": null, "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": connection["oidc"]["jwks_url"], "require_pushed_authorization_requests": true,
        "backchannel_logout_uri": connection["logout_url"], "backchannel_logout_session_required": true,
        "post_logout_redirect_uris": [connection["oidc"]["post_logout_redirect_uri"]],
    });
    provider.put("client", &client).await;
}

async fn is_signed_in(server: &Server, browser: &mut Browser) -> bool {
    let page = browser.open(&format!("{}/console", server.base)).await.unwrap();
    page.body.contains("You are signed in")
}

#[tokio::test]
async fn a_provider_that_others_wrote_takes_our_keys_and_pushed_requests_answers_by_a_form_and_ends_sessions_on_either_side()
 {
    let server = Server::sqlite().await;
    let provider = Provider::start(&ada(&["Engineering"]), 0);
    let settings = json!({
        "client_auth": "private_key_jwt", "response_mode": "form_post", "pushed_requests": "always",
        "max_age_s": 600, "end_session": true,
    });
    let connection = connect_by(&server, &provider, json!({ "oidc": settings })).await;
    register_by_key(&provider, &connection).await;
    let sign_in = async |browser: &mut Browser| {
        let page = browser.open(&text(&connection, "login_url")).await.unwrap();
        let asked = page.passed.iter().find(|url| url.path() == "/auth");
        let asked = asked.unwrap_or_else(|| panic!("{}: {}", page.url, page.body));
        assert!(asked.query_pairs().all(|(name, _)| name == "client_id" || name == "request_uri"), "{asked}");
        let answer = Form::of(&page.body);
        assert!(answer.field("code").is_some(), "{}", page.body);
        let page = answer.send_to(browser).await;
        assert_eq!(page.status, 200, "{}: {}", page.url, page.body);
        assert!(is_signed_in(&server, browser).await);
    };
    let mut browser = Browser::new().unwrap();
    sign_in(&mut browser).await;

    let at = format!("/organizations/acme/connections/{}", text(&connection, "id"));
    let key = server.root("POST", &format!("{at}/client-keys"), json!({})).await;
    let order = format!("{at}/client-keys/{}/use", text(&key, "kid"));
    assert_eq!(server.root("POST", &order, Value::Null).await["state"], "signing");
    // The provider reads our set again, as it does by itself every five minutes.
    register_by_key(&provider, &connection).await;
    sign_in(&mut Browser::new().unwrap()).await;

    let page = browser.submit(&format!("{}/logout", server.base), &[]).await.unwrap();
    assert!(page.url.as_str().starts_with(&format!("{}/session/end?", provider.issuer)), "{}", page.url);
    assert!(!is_signed_in(&server, &mut browser).await, "out here before the provider was asked");
    let page = Form::of(&page.body).filled(&[("logout", "yes")]).send(&mut browser, &page).await;
    let ours = text(&connection["oidc"], "post_logout_redirect_uri");
    assert!(page.url.as_str().starts_with(&ours) && page.status == 200, "{}: {}", page.url, page.body);

    sign_in(&mut browser).await;
    let page = browser.open(&format!("{}/session/end", provider.issuer)).await.unwrap();
    Form::of(&page.body).filled(&[("logout", "yes")]).send(&mut browser, &page).await;
    assert!(!is_signed_in(&server, &mut browser).await, "the provider told us before it was done");
}
