//! The product on a socket, with an identity provider that can misbehave and browsers that keep cookies.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use portcullis_domain::Clock as _;
use portcullis_domain::secret::SecretHash;
use portcullis_emulator::{
    Browser, Company, GoogleServer, GoogleSettings, GroupValues, KeyKind, OidcProvider, Page,
    ProviderSettings, RegisteredClient, Surroundings as ProviderSurroundings, Workspace,
};
use portcullis_service::caller::ROOT_TOKEN_HASH;
use portcullis_service::google::Polling;
use portcullis_service::sealing::{SEALING_KEY_BYTES, SealingKey};
use portcullis_service::{Insecure, Limits, Portcullis, Surroundings};
use portcullis_store::{Store, instance};
use portcullis_testkit::{Place, ROOT_TOKEN, Seeded, SetClock};
use portcullis_web::edge::EdgeSettings;
use portcullis_web::{App, router};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded;

use crate::saml_idp::Form;
use crate::way_out::{Direct, Gate};

/// Ada: in *Everyone*, *Engineering*, *Operations* and *Platform Admins*.
pub const ADA: &str = "ada.abel@acme.example";
pub const CLIENT_SECRET: &str = "a-client-secret-for-tests";

/// Everything.
pub struct World {
    /// The public URL.
    pub base: String,
    /// The time, of product and provider.
    pub clock: Arc<SetClock>,
    /// The product.
    pub portcullis: Portcullis,
    /// The provider of acme.example.
    pub provider: OidcProvider,
    /// What becomes of the product's own requests.
    pub gate: Arc<Gate>,
    http: reqwest::Client,
    clients: AtomicU32,
    _place: Place,
}

impl World {
    /// A product with the organization `acme`, which has proven `acme.example`.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        world.acme().await;
        world
    }

    /// The same beside a stand-in of Google Workspace, which it asks.
    pub async fn beside_google(company: Workspace) -> (Self, GoogleServer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock: Arc<OnceLock<Arc<SetClock>>> = Arc::default();
        let shared = Arc::clone(&clock);
        let settings = GoogleSettings {
            token_url: String::new(),
            workspace: company,
            max_page: 500,
            surroundings: ProviderSurroundings::predictable(
                move || shared.get().map_or(0, |clock| clock.now().seconds()),
                7,
            ),
        };
        let google = GoogleServer::start(listener, settings).unwrap();
        let polling = Polling { patience_ms: 1, ..Polling::default() };
        let world = Self::polling(polling.at_stand_in(&google.base().parse().unwrap())).await;
        clock.set(Arc::clone(&world.clock)).unwrap();
        world.made("/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
        (world, google)
    }

    /// The same beside a provider below that path, as Entra's tenants and Keycloak's realms have one.
    pub async fn beside_provider_below(path: &str) -> Self {
        let world = Self::made_of(Polling::default(), path).await;
        world.acme().await;
        world
    }

    /// A product where nobody owns anything.
    pub async fn empty() -> Self {
        Self::polling(Polling::default()).await
    }

    async fn polling(polling: Polling) -> Self {
        Self::made_of(polling, "").await
    }

    async fn acme(&self) {
        self.made("/organizations", json!({ "slug": "acme", "name": "Acme" })).await;
        let domain = json!({ "domain": "acme.example", "vouched": true });
        self.made("/organizations/acme/domains", domain).await;
    }

    async fn made_of(polling: Polling, path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let gate = Arc::<Gate>::default();
        let (portcullis, clock, place) = product_behind(&base, &gate);
        let provider = provider(&clock, path).await;
        let beside = provider.issuer().trim_end_matches(path);
        let portcullis = portcullis.polling_google(polling).asking_graph_at(beside);
        let http = client();
        // Behind a proxy of its own machine, so that a test says where somebody comes from.
        let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let edge = EdgeSettings { trusted_proxies, ..EdgeSettings::default() };
        let app = router(App::new(portcullis.clone(), edge));
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { base, clock, portcullis, provider, gate, http, clients: AtomicU32::new(0), _place: place }
    }

    /// Calls the administration API as the root token.
    pub async fn root(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.call(method, &format!("/api/v1{path}"), ROOT_TOKEN, body).await
    }

    /// Calls a path as that bearer.
    pub async fn call(&self, method: &str, path: &str, bearer: &str, body: Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(bearer);
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Makes something as the root token.
    pub async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.root("POST", path, body).await;
        assert_eq!(status, 201, "{path}: {made}");
        made
    }

    /// Makes a connection to the provider, with these fields beside the usual ones; its answer.
    pub async fn connection(&self, org: &str, fields: Value) -> Value {
        let client_id = format!("client-{}", self.clients.fetch_add(1, Ordering::SeqCst));
        let mut body = json!({
            "kind": "oidc", "name": "Okta", "issuer": self.provider.issuer(),
            "client_id": client_id, "client_secret": CLIENT_SECRET,
        });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.made(&format!("/organizations/{org}/connections"), body.clone()).await;
        let client_id = body["client_id"].as_str().unwrap();
        self.register(client_id, made["redirect_uri"].as_str().unwrap());
        made
    }

    /// Makes the provider know a client.
    pub fn register(&self, client_id: &str, redirect_uri: &str) {
        self.provider.register_client(client_of(client_id, redirect_uri));
    }

    /// Another provider of acme.example, which knows that client of ours.
    pub async fn another_provider(&self, client_id: &str, redirect_uri: &str) -> OidcProvider {
        let another = provider(&self.clock, "").await;
        another.register_client(client_of(client_id, redirect_uri));
        another
    }

    /// Has the provider say these claims too in its next ID tokens.
    pub fn say_too(&self, claims: Value) {
        self.provider.say_too(claims.as_object().unwrap().clone());
    }

    /// Gives somebody's address to another person at the provider, whom it knows by that id.
    pub fn renew(&self, email: &str, id: &str) {
        self.provider.change_company(|company| {
            let person = company.people.iter_mut().find(|p| p.email == email).unwrap();
            person.id = id.to_owned();
        });
    }

    /// Invites somebody; the link.
    pub async fn invite(&self, org: &str, email: &str, role: &str) -> String {
        let body = json!({ "email": email, "role": role });
        let made = self.made(&format!("/organizations/{org}/invitations"), body).await;
        made["link"].as_str().unwrap().to_owned()
    }

    /// Signs somebody in by a connection, in that browser.
    pub async fn sign_in(&self, browser: &mut Browser, connection: &Value, person: &str) -> Page {
        let login = connection["login_url"].as_str().unwrap();
        browser.open(&format!("{login}?login_hint={person}")).await.unwrap()
    }

    /// The same in a new browser: `ok`, or the code of the refusal.
    pub async fn outcome(&self, connection: &Value, person: &str) -> String {
        let mut browser = Browser::new().unwrap();
        let page = self.sign_in(&mut browser, connection, person).await;
        let outcome = outcome(&page);
        assert_eq!(
            outcome == "ok",
            !self.sessions(&browser).is_empty(),
            "a session if and only if it went well"
        );
        outcome
    }

    /// The session secrets of a browser.
    pub fn sessions(&self, browser: &Browser) -> Vec<String> {
        let cookie = browser.find_cookie(&self.base, "portcullis").unwrap_or_default();
        cookie.split('.').filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    /// The members with that address.
    pub async fn members(&self, org: &str, email: &str) -> Vec<Value> {
        let (status, list) =
            self.root("GET", &format!("/organizations/{org}/members?email={email}"), Value::Null).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    }

    /// What a check says of a session.
    pub async fn decision(&self, secret: &str) -> String {
        let question = json!({
            "subject": { "type": "token", "id": secret }, "action": { "name": "use" },
            "resource": { "type": "tool", "id": "Bash" }, "context": {},
        });
        let (status, answer) = self.call("POST", "/access/v1/evaluation", ROOT_TOKEN, question).await;
        assert_eq!(status, 200, "{answer}");
        answer["context"]["code"].as_str().unwrap().to_owned()
    }

    /// The audit events of an action, newest last.
    pub async fn events(&self, org: &str, action: &str) -> Vec<Value> {
        let path = format!("/organizations/{org}/audit-events?action={action}&limit=200");
        let (status, list) = self.root("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    }

    /// A raw form with the cookies that such a browser has for an answer by a form, and keeps; status and where it leads.
    pub async fn form_step(&self, browser: &mut Browser, form: &Form) -> (u16, String) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let answer = self
            .http
            .post(&form.action)
            .header("cookie", self.crossing(browser))
            .header("origin", self.provider.issuer())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(!value.contains("pc_session"), "{cookie:?}");
            browser.set_cookie(&self.base, name, value).unwrap();
        }
        let next = answer.headers().get("location").map(|l| l.to_str().unwrap()).unwrap_or_default();
        (answer.status().as_u16(), format!("{}{next}", self.base))
    }

    /// The cookies that bind sign-ins of a browser, of answers by a form (`crossing`) or by a redirect (`returning`).
    pub fn bound(&self, browser: &Browser, family: &str) -> Vec<(String, String)> {
        let names = "0123456789abcdef".chars().map(|slot| format!("portcullis-{family}-{slot}"));
        let found = |name: String| Some((browser.find_cookie(&self.base, &name)?.to_owned(), name));
        names.filter_map(found).map(|(value, name)| (name, value)).collect()
    }

    /// All that a browser sends along with a form of another site's page.
    pub fn crossing(&self, browser: &Browser) -> String {
        let all = self.bound(browser, "crossing");
        all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// What a proxy hears of a browser with that session cookie.
    pub async fn passes(&self, org: &str, cookie: &str) -> u16 {
        let asked = format!("{}/authz/forward?organization={org}", self.base);
        let asked = self.http.get(asked).header("cookie", format!("portcullis={cookie}"));
        asked.send().await.unwrap().status().as_u16()
    }

    /// A try of that person's password from that address with that cookie; its status, and the session cookie.
    pub async fn try_password(
        &self,
        from: &str,
        cookie: &str,
        (email, password): (&str, &str),
    ) -> (u16, String) {
        let fields = [("email", email), ("password", password)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(format!("{}/login", self.base)).header("origin", &self.base);
        let request = request.header("x-forwarded-for", from).header("cookie", cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").map(|c| c.to_str().unwrap()).unwrap_or_default();
        (answer.status().as_u16(), cookie.split(';').next().unwrap_or_default().to_owned())
    }

    /// A raw form, with these headers; status and text.
    pub async fn form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut request = self.http.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn client_of(client_id: &str, redirect_uri: &str) -> RegisteredClient {
    RegisteredClient {
        id: client_id.to_owned(),
        secret: SecretString::from(CLIENT_SECRET),
        jwks_uri: None,
        redirect_uris: vec![redirect_uri.to_owned()],
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// The product under that URL, with a clock to set and the place of its database.
pub fn product(public_url: &str) -> (Portcullis, Arc<SetClock>, Place) {
    product_behind(public_url, &Arc::default())
}

fn product_behind(public_url: &str, gate: &Arc<Gate>) -> (Portcullis, Arc<SetClock>, Place) {
    let place = Place::of_the_run();
    let clock = Arc::new(SetClock::default());
    let store = Store::open(&place.options(), Arc::clone(&clock) as _).unwrap();
    let root = SecretHash::of(ROOT_TOKEN);
    store.write_blocking(move |tx| instance::put(tx, ROOT_TOKEN_HASH, root.as_str())).unwrap();
    let around = Surroundings {
        store: Arc::new(store),
        clock: Arc::clone(&clock) as _,
        randoms: Seeded::sources(77),
        sealing: Arc::new(SealingKey::from_bytes(&[7; SEALING_KEY_BYTES]).unwrap()),
        fetch: Arc::new(Direct::behind(client(), Arc::clone(gate))),
        public_url: public_url.parse().unwrap(),
        limits: Limits { plain_http: Insecure::Permitted, ..Limits::default() },
    };
    (Portcullis::new(around), clock, place)
}

async fn provider(clock: &Arc<SetClock>, path: &str) -> OidcProvider {
    let clock = Arc::clone(clock);
    let settings = ProviderSettings {
        company: Company::sample("acme.example", 12),
        clients: vec![],
        key_kind: KeyKind::Es256,
        group_values: GroupValues::DisplayNames,
        surroundings: ProviderSurroundings::predictable(move || clock.now().seconds(), 7),
    };
    OidcProvider::start_below(TcpListener::bind("127.0.0.1:0").await.unwrap(), path, settings).unwrap()
}

/// `ok` for the page of somebody who is signed in, else the code that the page names.
pub fn outcome(page: &Page) -> String {
    if page.status == 200 && page.body.contains("You are signed in") {
        return "ok".to_owned();
    }
    let code = page.body.rsplit_once("<code>").and_then(|(_, rest)| rest.split_once("</code>"));
    code.map_or_else(|| format!("{} {}", page.status, page.body), |(code, _)| code.to_owned())
}
