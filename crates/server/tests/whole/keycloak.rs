//! Keycloak, the identity provider that many companies run themselves: started once for all tests that ask for it, a
//! realm for each test, set up by its administration API as a person would by its console.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use portcullis_emulator::{Browser, Page};
use serde_json::{Value, json};

use crate::form::Form;
use crate::harness::{free_port, variable};

/// How long it may take until it answers: some ten seconds on two cores that nobody else uses.
const MAX_START: Duration = Duration::from_secs(180);
/// The client that the administration API is called as.
const ADMIN: (&str, &str) = ("tests", "a-secret-of-the-tests");
/// Ada's password.
const PASSWORD: &str = "correct horse battery staple";
/// Starts what follows, and ends it and what it started when whoever started this goes away: the tests share one process,
/// and none of them is the last. The process group is its own.
const UNTIL_STDIN_CLOSES: &str = r#""$@" & cat > /dev/null; kill -KILL 0"#;

/// The one process.
struct Process {
    base: String,
    /// Its standard input stays open as long as the tests run.
    _child: Child,
}

fn process() -> &'static Process {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    PROCESS.get_or_init(start)
}

fn start() -> Process {
    let program = Path::new(&variable("PORTCULLIS_TEST_PEERS")).join("keycloak/bin/kc.sh");
    assert!(program.is_file(), "`{}` is missing: run `cargo xtask test --only whole`", program.display());
    let (port, management) = (free_port(), free_port());
    let log = std::env::temp_dir().join(format!("keycloak-{}.log", std::process::id()));
    let output = std::fs::File::create(&log).unwrap();
    let mut child = Command::new("sh")
        .process_group(0)
        .args(["-c", UNTIL_STDIN_CLOSES, "sh"])
        .arg(program)
        .args([
            "start",
            "--optimized",
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            "--hostname-strict=false",
        ])
        .args([format!("--http-port={port}"), format!("--http-management-port={management}")])
        .env("JAVA_OPTS_KC_HEAP", "-XX:MaxHeapSize=512m -XX:TieredStopAtLevel=1")
        .env("KC_BOOTSTRAP_ADMIN_CLIENT_ID", ADMIN.0)
        .env("KC_BOOTSTRAP_ADMIN_CLIENT_SECRET", ADMIN.1)
        .stdin(Stdio::piped())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !answers(port) {
        if began.elapsed() > MAX_START || child.try_wait().unwrap().is_some() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("Keycloak did not begin to answer in {MAX_START:?}: {said}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = std::fs::remove_file(log);
    Process { base: format!("http://127.0.0.1:{port}"), _child: child }
}

/// It listens when everything else is ready.
fn answers(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A realm of a test's own, with one person in it: Ada, of `acme.test`.
pub struct Realm {
    /// Its address, which is the issuer of OpenID and the entity id of SAML.
    pub base: String,
    admin: String,
    token_url: String,
    http: reqwest::Client,
    ada: String,
}

impl Realm {
    /// A new one of that name; starts Keycloak if nobody did.
    pub async fn new(name: &str) -> Self {
        let root = tokio::task::spawn_blocking(|| process().base.clone()).await.unwrap();
        let mut realm = Self {
            base: format!("{root}/realms/{name}"),
            admin: format!("{root}/admin/realms/{name}"),
            token_url: format!("{root}/realms/master/protocol/openid-connect/token"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            ada: String::new(),
        };
        let wanted = json!({ "realm": name, "enabled": true, "sslRequired": "none" });
        realm.send("POST", &format!("{root}/admin/realms"), &wanted).await;
        let ada = json!({
            "username": "ada", "email": "ada@acme.test", "emailVerified": true, "firstName": "Ada",
            "lastName": "Lovelace", "enabled": true,
            "credentials": [{ "type": "password", "value": PASSWORD, "temporary": false }],
        });
        realm.admin("POST", "/users", &ada).await;
        realm.ada = id_of(&realm.admin("GET", "/users?username=ada&exact=true", &Value::Null).await);
        realm
    }

    /// A call of the administration API below the realm that must succeed.
    pub async fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        self.send(method, &format!("{}{path}", self.admin), body).await
    }

    async fn send(&self, method: &str, url: &str, body: &Value) -> Value {
        let mut request = self.request(method, url).await;
        if !body.is_null() {
            request = request.json(body);
        }
        answer_of(request, &format!("{method} {url}")).await
    }

    async fn request(&self, method: &str, url: &str) -> reqwest::RequestBuilder {
        let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", ADMIN.0, ADMIN.1);
        let request = self.http.post(&self.token_url);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let token = answer_of(request, "a token").await["access_token"].as_str().unwrap().to_owned();
        self.http.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), url).bearer_auth(token)
    }

    /// The metadata that the realm publishes for SAML.
    pub fn metadata_url(&self) -> String {
        format!("{}/protocol/saml/descriptor", self.base)
    }

    /// The same as a document.
    pub async fn metadata(&self) -> String {
        self.http.get(self.metadata_url()).send().await.unwrap().text().await.unwrap()
    }

    /// A client of SAML from a service provider's metadata, as *Import client* makes one, with these things said
    /// otherwise; its id.
    pub async fn import_client(&self, metadata_url: &str, otherwise: &Value) -> String {
        let metadata = self.http.get(metadata_url).send().await.unwrap().text().await.unwrap();
        let convert = format!("{}/client-description-converter", self.admin);
        let request = self.request("POST", &convert).await.header("content-type", "application/xml");
        let mut client = answer_of(request.body(metadata), "the import").await;
        client["protocolMappers"] = mappers_of_saml();
        merge(&mut client, otherwise);
        self.admin("POST", "/clients", &client).await;
        let all = self.admin("GET", "/clients?max=100", &Value::Null).await;
        let made = all.as_array().unwrap().iter().find(|c| c["clientId"] == client["clientId"]);
        made.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Says something of a client otherwise.
    pub async fn change_client(&self, id: &str, otherwise: &Value) {
        let path = format!("/clients/{id}");
        let mut client = self.admin("GET", &path, &Value::Null).await;
        merge(&mut client, otherwise);
        self.admin("PUT", &path, &client).await;
    }

    /// Makes a group; its id.
    pub async fn group(&self, name: &str) -> String {
        self.admin("POST", "/groups", &json!({ "name": name })).await;
        id_of(&self.admin("GET", &format!("/groups?search={name}&exact=true"), &Value::Null).await)
    }

    /// Puts Ada into a group, or takes her out.
    pub async fn ada_in(&self, method: &str, group: &str) {
        self.admin(method, &format!("/users/{}/groups/{group}", self.ada), &Value::Null).await;
    }

    /// Has an administrator end Ada's sessions, which tells the clients without a browser.
    pub async fn end_sessions_of_ada(&self) {
        self.admin("POST", &format!("/users/{}/logout", self.ada), &Value::Null).await;
    }

    /// How many sessions Ada has.
    pub async fn sessions_of_ada(&self) -> usize {
        let sessions = self.admin("GET", &format!("/users/{}/sessions", self.ada), &Value::Null).await;
        sessions.as_array().unwrap().len()
    }

    /// Makes another key for signatures; the one with the highest priority signs, all of them are published. Its id.
    pub async fn new_key(&self, name: &str, priority: u32) -> String {
        let realm = self.admin("GET", "", &Value::Null).await["id"].as_str().unwrap().to_owned();
        let key = json!({
            "name": name, "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm,
            "config": {
                "priority": [priority.to_string()], "enabled": ["true"], "active": ["true"], "keySize": ["2048"],
                "algorithm": ["RS256"],
            },
        });
        self.admin("POST", "/components", &key).await;
        id_of(&self.admin("GET", &format!("/components?name={name}"), &Value::Null).await)
    }

    /// Gives a key of [`Self::new_key`] another priority.
    pub async fn prefer(&self, id: &str, priority: u32) {
        let path = format!("/components/{id}");
        let mut key = self.admin("GET", &path, &Value::Null).await;
        key["config"]["priority"] = json!([priority.to_string()]);
        self.admin("PUT", &path, &key).await;
    }

    /// Takes every key for signatures with RSA away but that one.
    pub async fn keep_only_key(&self, id: &str) {
        let keys = self.admin("GET", "/components?type=org.keycloak.keys.KeyProvider", &Value::Null).await;
        for key in keys.as_array().unwrap() {
            if key["providerId"] == "rsa-generated" && key["id"] != id {
                let path = format!("/components/{}", key["id"].as_str().unwrap());
                self.admin("DELETE", &path, &Value::Null).await;
            }
        }
    }
}

/// Opens an address that leads to Keycloak, and proves to be Ada if it asks.
pub async fn as_ada(browser: &mut Browser, address: &str) -> Page {
    let page = browser.open(address).await.unwrap();
    proved(browser, page).await
}

/// Fills Keycloak's page for name and password in, if that is what this is.
pub async fn proved(browser: &mut Browser, page: Page) -> Page {
    match Form::find(&page.body).filter(|form| form.field("password").is_some()) {
        Some(form) => form.filled(&[("username", "ada"), ("password", PASSWORD)]).send(browser, &page).await,
        None => page,
    }
}

/// Address, name and groups with their whole paths, as the guide has them sent.
fn mappers_of_saml() -> Value {
    let property = |attribute: &str, property: &str| {
        json!({
            "name": attribute, "protocol": "saml", "protocolMapper": "saml-user-property-mapper",
            "config": { "user.attribute": property, "attribute.name": attribute, "attribute.nameformat": "Basic" },
        })
    };
    let groups = json!({
        "name": "groups", "protocol": "saml", "protocolMapper": "saml-group-membership-mapper",
        "config": { "attribute.name": "groups", "attribute.nameformat": "Basic", "single": "true", "full.path": "true" },
    });
    json!([
        property("email", "email"),
        property("givenName", "firstName"),
        property("surname", "lastName"),
        groups
    ])
}

/// Puts one object's fields over another's, however deep.
fn merge(into: &mut Value, otherwise: &Value) {
    match (into.as_object_mut(), otherwise.as_object()) {
        (Some(fields), Some(others)) => {
            for (name, value) in others {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        _ => *into = otherwise.clone(),
    }
}

fn id_of(list: &Value) -> String {
    list[0]["id"].as_str().unwrap_or_else(|| panic!("nothing found: {list}")).to_owned()
}

async fn answer_of(request: reqwest::RequestBuilder, what: &str) -> Value {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{what}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
