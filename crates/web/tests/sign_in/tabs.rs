//! Several tabs of one browser: each sign-in is bound by itself, and whoever is signed in by another tab is sent on.

use portcullis_domain::Clock as _;
use portcullis_emulator::Browser;
use serde_json::{Value, json};

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
