//! Several tabs of one browser: each sign-in is bound by itself, and whoever is signed in by another tab is sent on.

use std::collections::BTreeMap;

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::saml_idp::{Asked, Form, Idp, Says};
use crate::world::{ADA, World, outcome};

struct Saml {
    world: World,
    idp: Idp,
    connection: Value,
}

impl Saml {
    async fn new() -> Self {
        let (world, idp) = (World::new().await, Idp::start().await);
        world.invite("acme", ADA, "member").await;
        let connection = world.saml("acme", &idp, json!({})).await;
        Self { world, idp, connection }
    }

    async fn begin(&self, browser: &mut Browser, return_to: &str) -> Asked {
        let login = self.connection["login_url"].as_str().unwrap();
        self.idp.ask(browser, &format!("{login}?return_to={return_to}")).await
    }

    fn answer(&self, asked: &Asked) -> Form {
        self.idp.answer(self.world.clock.now(), &self.connection, Some(asked), &Says::ada(&[]))
    }

    /// Gives a browser the cookies that bind another one, as if the answers had come to one browser.
    fn join(&self, into: &mut Browser, from: &Browser) {
        for (name, value) in self.world.bound(from, "crossing") {
            into.set_cookie(&self.world.base, &name, &value).unwrap();
        }
    }
}

#[tokio::test]
async fn tabs_that_begin_before_any_of_them_has_a_cookie_all_come_back() {
    let saml = Saml::new().await;
    let mut first = Browser::new().unwrap();
    let asked = saml.begin(&mut first, "/console").await;
    let taken = saml.world.bound(&first, "crossing");
    let (mut browser, later) = loop {
        let mut tab = Browser::new().unwrap();
        let later = saml.begin(&mut tab, "/console").await;
        if saml.world.bound(&tab, "crossing")[0].0 != taken[0].0 {
            break (tab, later);
        }
    };
    let last = saml.world.bound(&browser, "crossing");
    saml.join(&mut browser, &first);
    for (name, value) in last {
        browser.set_cookie(&saml.world.base, &name, &value).unwrap();
    }
    for asked in [asked, later] {
        let page = saml.answer(&asked).post(&mut browser).await;
        assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
        assert!(page.passed.iter().any(|url| url.path().ends_with("/arrive")), "by its own answer");
    }
}

#[tokio::test]
async fn tabs_of_an_openid_provider_all_come_back_too() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let login = format!("{}?login_hint={ADA}&return_to=/console", connection["login_url"].as_str().unwrap());
    let begin = async |browser: &mut Browser| browser.step(&login).await.unwrap().1.unwrap();
    let mut first = Browser::new().unwrap();
    let away = begin(&mut first).await;
    let taken = world.bound(&first, "returning");
    let (mut browser, later) = loop {
        let mut tab = Browser::new().unwrap();
        let later = begin(&mut tab).await;
        if world.bound(&tab, "returning")[0].0 != taken[0].0 {
            break (tab, later);
        }
    };
    let (name, value) = &taken[0];
    browser.set_cookie(&world.base, name, value).unwrap();
    for away in [away, later] {
        let page = browser.open(away.as_str()).await.unwrap();
        assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
        assert!(!page.passed.iter().any(|url| url.path().ends_with("/again")), "by its own answer");
    }
}

#[tokio::test]
async fn whoever_another_tab_has_signed_in_is_sent_on_to_where_the_sign_in_led() {
    let saml = Saml::new().await;
    let mut browser = Browser::new().unwrap();
    let lost = saml.begin(&mut browser, "/console").await;
    let page = saml.answer(&saml.begin(&mut browser, "/").await).post(&mut browser).await;
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/"));
    for (name, _) in saml.world.bound(&browser, "crossing") {
        browser.set_cookie(&saml.world.base, &name, &"0".repeat(64)).unwrap();
    }
    let sessions = saml.world.sessions(&browser);
    let page = saml.answer(&lost).post(&mut browser).await;
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
    assert_eq!(saml.world.sessions(&browser), sessions, "by the session that was there, and by nothing else");
    saml.world.portcullis.store_traces().await.unwrap();
    let of = "/organizations/acme/traces?outcome=state_mismatch";
    assert_eq!(saml.world.root("GET", of, Value::Null).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_begin_at_the_same_connection_for_the_same_page() {
    let saml = Saml::new().await;
    let lost = saml.begin(&mut Browser::new().unwrap(), "/console").await;
    let mut browser = Browser::new().unwrap();
    let page = saml.answer(&lost).post(&mut browser).await;
    assert_eq!((page.status, outcome(&page).as_str()), (403, "state_mismatch"));
    let login = saml.connection["login_url"].as_str().unwrap().strip_prefix(&saml.world.base).unwrap();
    assert!(page.body.contains(&format!("<a href=\"{login}?return_to=%2Fconsole\">")), "{}", page.body);
    assert!(saml.world.sessions(&browser).is_empty());
    saml.world.portcullis.store_traces().await.unwrap();
    let of = "/organizations/acme/traces?outcome=state_mismatch";
    let (_, traces) = saml.world.root("GET", of, Value::Null).await;
    let named = traces["items"][0]["request_id"].as_str().unwrap();
    assert!(page.body.contains(named), "the request whose trace tells why: {} {traces}", page.body);
}

#[tokio::test]
async fn a_page_that_begins_many_sign_ins_in_somebodys_browser_fills_sixteen_cookies_and_takes_none_away() {
    let saml = Saml::new().await;
    let mut browser = Browser::new().unwrap();
    let own = saml.begin(&mut browser, "/console").await;
    let (name, value) = saml.world.bound(&browser, "crossing").remove(0);
    for _ in 0..100 {
        saml.begin(&mut browser, "/").await;
    }
    let bound = saml.world.bound(&browser, "crossing");
    assert!(bound.len() <= 16 && bound.contains(&(name, value)), "{bound:?}");
    let page = saml.answer(&own).post(&mut browser).await;
    assert_eq!((outcome(&page).as_str(), page.url.path()), ("ok", "/console"));
}

#[tokio::test]
async fn a_sign_in_that_somebody_else_began_opens_nothing_in_this_browser_whatever_else_it_began() {
    let saml = Saml::new().await;
    let theirs = saml.begin(&mut Browser::new().unwrap(), "/").await;
    let mut browser = Browser::new().unwrap();
    for _ in 0..60 {
        saml.begin(&mut browser, "/").await;
    }
    let page = saml.answer(&theirs).post(&mut browser).await;
    assert_eq!(outcome(&page), "state_mismatch");
    assert!(saml.world.sessions(&browser).is_empty(), "nobody is signed in as somebody else");
}

#[tokio::test]
async fn the_way_on_leads_to_paths_of_ours_alone_and_says_nothing_that_it_was_told() {
    let saml = Saml::new().await;
    let mut browser = Browser::new().unwrap();
    let page = saml.answer(&saml.begin(&mut browser, "/").await).post(&mut browser).await;
    assert_eq!(outcome(&page), "ok");
    let id = saml.connection["id"].as_str().unwrap();
    let again = |query: &str| format!("{}/sso/saml/{id}/again?{query}", saml.world.base);
    let request = "req_00000000000000000000000000000001";
    for (query, status) in [
        (format!("refused=state_mismatch&request={request}&return_to=//evil.example"), 400),
        (format!("refused=<b>&request={request}&return_to=/"), 400),
        (format!("refused=not_invited&request={request}&return_to=/"), 400),
        ("refused=replayed".to_owned(), 400),
        (format!("refused=replayed&request={request}&return_to=/console"), 303),
    ] {
        let (page, next) = browser.step(&again(&query)).await.unwrap();
        assert_eq!(page.status, status, "{query}: {}", page.body);
        assert_eq!(next.is_some_and(|url| url.as_str().starts_with(&saml.world.base)), status == 303);
    }
}

/// The cookies of a browser whose tabs send and receive when a test says so.
struct Jar {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

/// What came back to a tab and was not looked at yet.
struct Came {
    cookies: Vec<String>,
    to: String,
}

impl Jar {
    fn new() -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), cookies: BTreeMap::new() }
    }

    fn header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Came {
        let answer = request.header("cookie", self.header()).send().await.unwrap();
        let all = answer.headers().get_all("set-cookie");
        let cookies = all.into_iter().map(|c| c.to_str().unwrap().to_owned()).collect();
        let to = answer.headers().get("location").map(|l| l.to_str().unwrap().to_owned()).unwrap_or_default();
        Came { cookies, to }
    }

    async fn get(&self, url: &str) -> Came {
        self.send(self.http.get(url)).await
    }

    async fn post(&self, (url, origin): (&str, &str), fields: &[(String, String)]) -> Came {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(url).header("origin", origin).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Keeps what came, as a browser does; where it leads.
    fn keep(&mut self, came: Came) -> String {
        for cookie in came.cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            }
        }
        came.to
    }
}

/// Ada at two organizations, each with a connection to the same provider.
struct AtTwo {
    world: World,
    idp: Idp,
    connections: Vec<(Value, Says)>,
}

impl AtTwo {
    async fn new() -> Self {
        let (world, idp) = (World::new().await, Idp::start().await);
        world.made("/organizations", json!({ "slug": "globex", "name": "Globex" })).await;
        let domain = json!({ "domain": "globex.example", "vouched": true });
        world.made("/organizations/globex/domains", domain).await;
        let mut connections = Vec::new();
        for (org, address) in [("acme", ADA), ("globex", "ada.abel@globex.example")] {
            world.invite(org, address, "member").await;
            connections.push((world.saml(org, &idp, json!({})).await, Says::by_address(address)));
        }
        Self { world, idp, connections }
    }

    /// Somebody whom the provider has proven in that tab; where they come in.
    async fn proven(&self, jar: &mut Jar, (connection, says): &(Value, Says)) -> String {
        let away = jar.get(connection["login_url"].as_str().unwrap()).await;
        let asked = Idp::read(&Url::parse(&jar.keep(away)).unwrap());
        let answer = self.idp.answer(self.world.clock.now(), connection, Some(&asked), says);
        let came = jar.post((&answer.action, &self.idp.base), &answer.fields).await;
        format!("{}{}", self.world.base, jar.keep(came))
    }

    /// At which of the two the browser is signed in.
    async fn signed_in(&self, jar: &Jar) -> [bool; 2] {
        let mut signed_in = [false; 2];
        for (org, is) in ["acme", "globex"].into_iter().zip(&mut signed_in) {
            let asked = jar.http.get(format!("{}/authz/forward?organization={org}", self.world.base));
            *is = asked.header("cookie", jar.header()).send().await.unwrap().status() == 200;
        }
        signed_in
    }
}

#[tokio::test]
async fn tabs_that_come_in_at_two_organizations_at_the_same_moment_are_signed_in_at_both() {
    for first in [0, 1] {
        let (ada, mut jar) = (AtTwo::new().await, Jar::new());
        let mut tickets = Vec::new();
        for way in &ada.connections {
            tickets.push(ada.proven(&mut jar, way).await);
        }
        let (one, other) = (tickets[first].clone(), tickets[1 - first].clone());
        // Both are sent before either answer is there.
        let came = [jar.get(&one).await, jar.get(&other).await];
        for came in came {
            let mut to = jar.keep(came);
            while to.contains("/arrive?") {
                let again = jar.get(&format!("{}{to}", ada.world.base)).await;
                to = jar.keep(again);
            }
            assert_eq!(to, "/");
        }
        assert_eq!(ada.signed_in(&jar).await, [true, true]);
    }
}

#[tokio::test]
async fn a_tab_is_sent_there_again_behind_the_answer_to_another_one_and_not_for_ever() {
    let (ada, mut jar) = (AtTwo::new().await, Jar::new());
    let mut tickets = Vec::new();
    for way in &ada.connections {
        tickets.push(ada.proven(&mut jar, way).await);
    }
    let (one, other) = tokio::join!(jar.get(&tickets[0]), jar.get(&tickets[1]));
    let (waits, ticket) = if one.to == "/" { (other, &tickets[1]) } else { (one, &tickets[0]) };
    assert_eq!((&format!("{}{}", ada.world.base, waits.to), waits.cookies.len()), (ticket, 0));
    // A browser that throws the first one's cookie away is told so once more.
    assert_eq!(format!("{}{}", ada.world.base, jar.get(ticket).await.to), *ticket);
    assert_eq!(jar.get(ticket).await.to, "/");

    let mut jars = [Jar::new(), Jar::new()];
    let mut tickets = Vec::new();
    for (jar, way) in jars.iter_mut().zip(&ada.connections) {
        tickets.push(ada.proven(jar, way).await);
    }
    let (one, other) = tokio::join!(jars[0].get(&tickets[0]), jars[1].get(&tickets[1]));
    assert_eq!((one.to.as_str(), other.to.as_str()), ("/", "/"), "another browser waits for nobody");
}

#[tokio::test]
async fn tabs_that_come_in_at_one_organization_at_the_same_moment_leave_no_session_that_nobody_sees() {
    let world = World::new().await;
    world.invite("acme", ADA, "member").await;
    let connection = world.connection("acme", json!({})).await;
    let login = format!("{}?login_hint={ADA}", connection["login_url"].as_str().unwrap());
    let mut jar = Jar::new();
    let mut back = Vec::new();
    for _ in 0..2 {
        let away = jar.get(&login).await;
        let to = jar.keep(away);
        back.push(jar.get(&to).await.to);
    }
    let (first, second) = (jar.get(&back[0]).await, jar.get(&back[1]).await);
    jar.keep(first);
    let session = jar.cookies["portcullis"].clone();
    let to = jar.keep(second);
    let again = jar.get(&format!("{}{to}", world.base)).await;
    jar.keep(again);
    assert_eq!(world.decision(&session).await, "token_ended");
    assert_eq!(world.decision(&jar.cookies["portcullis"]).await, "allowed");
}
