//! No secret lies in the database, in a file that is not there for it, or in the log, in a form that can be used again.
//!
//! Everything that can be presented is issued, presented, ended and presented again, by a server whose log says all that it
//! can. Then every file is looked through.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_domain::token::TokenKind;
use portcullis_emulator::Browser;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::harness::{CLIENT_SECRET, PASSWORD, ROOT, Server, accept, text};
use crate::survivors::{Gate, Idps, Scene, Surface, every_kind, secret_of};

/// What a provider of SCIM says that nobody has asked it for.
const SCIM_PASSWORD: &str = "a-word-that-a-directory-said";
/// The least length of what is looked for: what is shorter is found by chance.
const MIN_SECRET: usize = 16;

/// A secret and what it is.
struct Secret {
    what: String,
    text: String,
    /// The file in the data folder that is there for it.
    file: Option<&'static str>,
}

/// All that is looked for.
#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Secrets {
    fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= MIN_SECRET, "{what}: `{secret}`");
        self.0.push(Secret { what: what.to_owned(), text: secret.to_owned(), file: None });
    }

    /// One that lies in a file of its own.
    fn add_file(&mut self, data: &Path, name: &'static str) {
        let text = std::fs::read_to_string(data.join(name)).unwrap().trim().to_owned();
        self.0.push(Secret { what: name.to_owned(), text, file: Some(name) });
    }

    /// What browsers took there and back on their way.
    fn add_way(&mut self, what: &str, passed: &[Url]) {
        for (name, value) in passed.iter().flat_map(Url::query_pairs) {
            if ["code", "state", "token"].contains(&&*name) {
                self.add(&format!("{what}'s `{name}`"), &value);
            }
        }
    }

    /// What the cookies of somebody's session consist of.
    fn add_cookie(&mut self, what: &str, cookie: &str) {
        for part in cookie.split('.').filter(|part| part.len() >= MIN_SECRET) {
            self.add(what, part);
        }
    }

    /// Which of them lie where they must not.
    fn found_in(&self, files: &[(PathBuf, String)]) -> Vec<String> {
        let mut found = Vec::new();
        for Secret { what, text, file } in &self.0 {
            // The digits alone are as good as the whole.
            let digits = text.rsplit('_').next().filter(|digits| digits.len() >= MIN_SECRET).unwrap_or(text);
            let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let forms = [digits, &encoded, &STANDARD.encode(text), &URL_SAFE_NO_PAD.encode(text)];
            for (path, content) in
                files.iter().filter(|(path, _)| file.is_none_or(|file| !path.ends_with(file)))
            {
                if forms.iter().any(|form| content.contains(form)) {
                    found.push(format!("{what} lies in `{}`", path.display()));
                }
            }
        }
        found
    }
}

/// Every file below these folders and among these, whatever is in it.
fn read_all(mut paths: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    files
}

/// Whatever must be used again is sealed: each column for it has something, and nothing in it reads as what it is.
fn must_be_sealed(database: &Path) {
    let database = rusqlite::Connection::open(database).unwrap();
    let texts = |sql: &str| -> Vec<[String; 2]> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?])).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let columns = texts(
        "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND c.name LIKE '%_sealed'",
    );
    assert!(columns.len() > 8, "{columns:?}");
    for [table, column] in &columns {
        let values = texts(&format!("SELECT '', {column} FROM {table} WHERE LENGTH({column}) > 0"));
        assert!(!values.is_empty(), "nothing was ever in `{table}.{column}`");
        for [_, value] in values {
            let sealed = value.strip_prefix("v1.").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            let is_sealed = sealed.is_some_and(|bytes| std::str::from_utf8(&bytes).is_err());
            assert!(is_sealed, "`{table}.{column}` is not sealed: {value}");
        }
    }
}

/// Somebody comes by a link, as an administrator; their session's cookie.
async fn administrator(server: &Server, secrets: &mut Secrets) -> String {
    let wish = json!({ "email": "olivia@elsewhere.test", "role": "admin" });
    let link = text(&server.root("POST", "/organizations/google/invitations", wish).await, "link");
    secrets.add("the link of an invitation", &secret_of(&link));
    let cookie = accept(server, &link).await;
    secrets.add_cookie("a session by an invitation", &cookie);
    cookie
}

/// Consents at Google, once to the end and once begun.
async fn consents(server: &Server, idps: &Idps, secrets: &mut Secrets) {
    let mut browser = Browser::new().unwrap();
    browser.set_cookie(&server.base, "portcullis", &administrator(server, secrets).await).unwrap();
    let callback = format!("{}/google/consent/callback", server.base);
    let (client_id, client_secret) = idps.google.workspace().oauth_client(&callback);
    secrets.add("a client's secret at Google", &client_secret);
    let key = text(&idps.google.workspace().service_account_key(), "private_key");
    secrets.add("a line of a service account's key", key.lines().nth(3).unwrap());
    let asked = json!({
        "authorization": "consent", "hosted_domain": "google.test",
        "client_id": client_id, "client_secret": client_secret,
    });
    let wish = json!({ "kind": "google", "name": "By consent", "google": asked });
    let made = server.root("POST", "/organizations/google/directories", wish).await;
    let link = text(&made["google"]["consent"], "link");
    let begun = browser.submit(&link, &[]).await.unwrap();
    let scopes = begun.url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    let ticked = scopes.split(' ').map(|scope| ("scope", scope)).chain([("account", "admin@google.test")]);
    let done = browser.submit(begun.url.as_str(), &ticked.collect::<Vec<_>>()).await.unwrap();
    assert!(done.body.contains("The consent was taken"), "{}", done.body);
    let again = browser.submit(&link, &[]).await.unwrap();
    for passed in [begun.passed, done.passed, again.passed] {
        secrets.add_way("a consent", &passed);
    }
}

/// Our own keys at providers, of either kind.
async fn own_keys(server: &Server, idps: &Idps, scene: &Scene) {
    for connection in server.all(&scene.at("/connections")).await {
        let path = scene.at(&format!("/connections/{}", text(&connection, "id")));
        if connection["kind"] == "saml" {
            server.root("POST", &format!("{path}/keys"), Value::Null).await;
        }
    }
    let wish = json!({
        "kind": "oidc", "name": "By a key", "issuer": idps.oidc.issuer(), "client_id": "by-a-key",
        "oidc": { "client_auth": "private_key_jwt" },
    });
    server.root("POST", &scene.at("/connections"), wish).await;
}

/// Sign-ins of somebody who stays, one to the end and one begun, at a connection that keeps the provider's token for signing out.
async fn sign_ins(server: &Server, idps: &Idps, scene: &Scene, secrets: &mut Secrets) {
    let all = server.all(&scene.at("/connections")).await;
    let connection = all.iter().find(|one| one["login_url"] == scene.org.login_url.as_str()).unwrap();
    let path = scene.at(&format!("/connections/{}", text(connection, "id")));
    server.root("PATCH", &path, json!({ "oidc": { "end_session": true } })).await;
    scene.org.person_in(server, &scene.org.admins, "bea").await;
    let address = format!("bea@{}", scene.org.domain);
    idps.know(&address);
    idps.oidc.sign_in_as(Some(&address));
    let mut browser = Browser::new().unwrap();
    let page = browser.open(&scene.org.login_url).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    secrets.add_way("a sign-in", &page.passed);
    secrets.add_cookie("a session", browser.find_cookie(&server.base, "portcullis").unwrap());
    let (_, next) = Browser::new().unwrap().step(&scene.org.login_url).await.unwrap();
    secrets.add_way("a sign-in that was begun", &next.into_iter().collect::<Vec<_>>());
}

/// Whatever a directory says of passwords, in what is taken and in what is refused.
async fn passwords_by_scim(server: &Server, scene: &Scene, secrets: &mut Secrets) {
    secrets.add("a password by SCIM", SCIM_PASSWORD);
    for (name, active, must) in [("eve", json!(true), 201), ("", json!("perhaps"), 400)] {
        let mut user = scene.org.user(name);
        user["password"] = json!(SCIM_PASSWORD);
        user["active"] = active;
        let (status, said) = scene.org.scim(server, "POST", "/Users", user).await;
        assert_eq!(status, must, "{said}");
    }
}

/// A creation that comes twice, which shows its secret once.
async fn twice(server: &Server, scene: &Scene, secrets: &mut Secrets) {
    let path = format!("{}/api/v1{}", server.base, scene.at("/service-keys"));
    let wish = json!({ "name": "twice", "scopes": ["evaluate"] });
    for shown in [true, false] {
        let call = server.http.post(&path).bearer_auth(ROOT).header("idempotency-key", "twice").json(&wish);
        let made: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(made["token"].is_string(), shown, "{made}");
        if shown {
            secrets.add("a service key that was asked for twice", &text(&made, "token"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_or_logged_in_a_form_that_can_be_used_again() {
    let idps = Idps::start().await;
    let mut settings = idps.settings();
    settings.push(("PORTCULLIS_LOG_FILTER", "trace".to_owned()));
    let mut server = Server::sqlite_with(settings).await;
    let mut secrets = Secrets::default();
    for (what, secret) in
        [("a client's secret", CLIENT_SECRET), ("a password", PASSWORD), ("the root token", ROOT)]
    {
        secrets.add(what, secret);
    }
    let company = Scene::governed(&server, &idps, "acme").await;
    let other = Scene::invited(&server, &idps, "globex").await;
    let google = Scene::at_google(&server, &idps).await;
    for scene in [&company, &other, &google] {
        secrets.add("a service key", &scene.org.asker);
        secrets.add("a token of a directory", &scene.org.scim_token);
    }
    let ada = company.told(&server, &idps, &other, "ada").await;
    let mut issued = every_kind(&server, &company.org, (&ada.member, &ada.sessions), &company.heir).await;
    let wish = json!({ "slug": "fresh", "name": "Fresh", "owner_email": "boss@fresh.test" });
    let link = text(&server.root("POST", "/organizations", wish).await, "owner_link");
    assert_eq!(server.http.get(&link).send().await.unwrap().status(), 200);
    secrets.add("a link for a first owner", &secret_of(&link));
    for kind in TokenKind::ALL {
        let is_there = kind == TokenKind::OwnerLink || issued.iter().any(|one| one.kind == kind);
        assert!(is_there, "there is no {}", kind.as_str());
    }
    for one in &ada.sessions_there {
        secrets.add("a session in the other organization", &one.secret);
    }
    for one in &issued {
        secrets.add(&one.what, &one.secret);
    }
    sign_ins(&server, &idps, &company, &mut secrets).await;
    consents(&server, &idps, &mut secrets).await;
    own_keys(&server, &idps, &company).await;
    passwords_by_scim(&server, &company, &mut secrets).await;
    twice(&server, &company, &mut secrets).await;

    // Presented while they are good, and when they are not.
    let path = company.at(&format!("/members/{}/offboard", ada.member));
    for ends in [true, false] {
        for one in &mut issued {
            one.answer(&server, &company.org).await;
            for surface in Surface::of(one.kind) {
                surface.ask(&server, &Gate::of(&company.org), &one.secret).await;
            }
        }
        if ends {
            server.root("POST", &path, json!({ "reason": "left" })).await;
        }
    }
    server.renew_root_token();
    assert!(server.is_root(&server.root_token.clone()).await && !server.is_root(ROOT).await);
    assert!(server.terminate().1.success());

    let (data, log) = (server.data.clone(), server.data.with_extension("log"));
    for name in ["root-token", "sealing-key"] {
        secrets.add_file(&data, name);
    }
    let exports = tempfile::tempdir().unwrap();
    for scene in [&company, &other, &google] {
        let file = exports.path().join(&scene.org.slug);
        let (done, said) = server.command(&["audit", "export", &scene.org.slug, file.to_str().unwrap()]);
        assert!(done, "{said}");
    }
    let files = read_all(vec![data.clone(), log.clone(), exports.path().to_owned()]);
    let has =
        |name: &str, what: &str| files.iter().any(|(path, text)| path.ends_with(name) && text.contains(what));
    for name in ["portcullis.sqlite", "acme"] {
        assert!(has(name, &ada.member), "whoever looks finds what is in `{name}`");
    }
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("http.route=/authz/forward"), "{said}");
    assert!(!said.contains("eyJ"), "what somebody signed stands in the log");
    assert_eq!(secrets.found_in(&files), Vec::<String>::new());
    must_be_sealed(&data.join("portcullis.sqlite"));
}
