//! The provider is strict where real ones are.

use portcullis_emulator::{Browser, Counts, GroupValues, KeyKind, RegisteredClient};
use portcullis_oidc::pkce::CodeVerifier;
use secrecy::SecretString;
use url::Url;

use crate::relying_party::{CLIENT_ID, REDIRECT, RelyingParty, honest, sign_in, start};

const ADA: &str = "ada.abel@acme.example";

fn changed(url: &Url, name: &str, value: Option<&str>) -> String {
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(own, _)| own != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.to_string()
}

#[tokio::test]
async fn a_wrong_client_or_address_is_told_on_a_page_and_never_redirected() {
    let provider = honest().await;
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let url = party.request_url(Some(ADA));
    let evil = format!("{REDIRECT}/evil");
    let wrong = [
        changed(&url, "client_id", Some("unknown")),
        changed(&url, "client_id", None),
        changed(&url, "redirect_uri", Some(&evil)),
        changed(&url, "redirect_uri", None),
    ];
    for address in wrong {
        let (page, next) = Browser::new().unwrap().step(&address).await.unwrap();
        assert_eq!((page.status, next), (400, None), "{address}");
    }
}

#[tokio::test]
async fn a_request_without_pkce_or_scope_comes_back_with_its_error() {
    let provider = honest().await;
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let url = party.request_url(Some(ADA));
    let cases = [
        (changed(&url, "code_challenge", None), "invalid_request"),
        (changed(&url, "code_challenge_method", Some("plain")), "invalid_request"),
        (changed(&url, "scope", Some("email")), "invalid_scope"),
        (changed(&url, "response_type", Some("token")), "unsupported_response_type"),
        (
            changed(&changed(&url, "login_hint", None).parse().unwrap(), "prompt", Some("none")),
            "login_required",
        ),
    ];
    for (address, code) in cases {
        let (_, next) = Browser::new().unwrap().step(&address).await.unwrap();
        let refusal = party.code(&next.unwrap()).unwrap_err();
        let received = refusal.broken().received.unwrap();
        assert!(refusal.code() == "provider_error" && received.starts_with(code), "{received} for {address}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_with_its_verifier_and_secret() {
    let (provider, clock) = start(KeyKind::Es256, GroupValues::DisplayNames).await;
    let mut party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let code = party.code(&party.authorize(ADA).await).unwrap();
    assert!(party.exchange(&code).await.is_ok());
    assert_eq!(party.exchange(&code).await.unwrap_err().code(), "token_refused", "a second time");

    let late = party.code(&party.authorize(ADA).await).unwrap();
    clock.turn(61);
    assert_eq!(party.exchange(&late).await.unwrap_err().code(), "token_refused", "after a minute");
    clock.turn(-61);

    let code = party.code(&party.authorize(ADA).await).unwrap();
    let own = std::mem::replace(&mut party.verifier, CodeVerifier::from_random(&[9; 32]));
    assert_eq!(party.exchange(&code).await.unwrap_err().code(), "token_refused", "another verifier");
    party.verifier = own;

    let code = party.code(&party.authorize(ADA).await).unwrap();
    let own = std::mem::replace(&mut party.secret, SecretString::from("wrong"));
    let refusal = party.exchange(&code).await.unwrap_err();
    assert!(refusal.broken().received.unwrap().starts_with("invalid_client"), "{refusal}");
    party.secret = own;
    assert!(party.exchange(&code).await.is_ok(), "a wrong secret does not use the code up");
}

#[tokio::test]
async fn without_a_hint_the_choice_is_shown_and_a_link_of_it_signs_in() {
    let provider = honest().await;
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let mut browser = Browser::new().unwrap();
    let (page, next) = browser.step(party.request_url(None).as_str()).await.unwrap();
    assert!(page.status == 200 && next.is_none() && page.body.contains("Barbara Brandt"), "{}", page.body);
    let link = page.body.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let target = page.url.join(&link).unwrap();
    let (_, callback) = browser.step(target.as_str()).await.unwrap();
    assert!(party.code(&callback.unwrap()).is_ok());
}

#[tokio::test]
async fn the_choice_escapes_what_the_request_brought() {
    let provider = honest().await;
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let url = changed(&party.request_url(None), "nonce", Some("\"><script>alert(1)</script>"));
    let page = Browser::new().unwrap().open(&url).await.unwrap();
    assert!(page.status == 200 && !page.body.contains("<script>"), "{}", page.body);
}

#[tokio::test]
async fn the_next_browser_can_be_scripted() {
    let provider = honest().await;
    provider.sign_in_as(Some("person-000001"));
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let (_, callback) = Browser::new().unwrap().step(party.request_url(None).as_str()).await.unwrap();
    let tokens = party.exchange(&party.code(&callback.unwrap()).unwrap()).await.unwrap();
    assert_eq!(party.verify(&tokens).unwrap().sub(), "person-000001");
}

#[tokio::test]
async fn a_client_registered_later_is_known_and_replaces_its_former_self() {
    let provider = honest().await;
    let other = "http://127.0.0.1:1/another";
    provider.register_client(RegisteredClient {
        id: CLIENT_ID.to_owned(),
        secret: SecretString::from("new"),
        jwks_uri: None,
        redirect_uris: vec![other.to_owned()],
    });
    let party = RelyingParty::discover(provider.issuer()).await.unwrap();
    let url = party.request_url(Some(ADA));
    let mut browser = Browser::new().unwrap();
    assert_eq!(browser.step(url.as_str()).await.unwrap().0.status, 400);
    let (_, next) = browser.step(&changed(&url, "redirect_uri", Some(other))).await.unwrap();
    assert!(next.unwrap().as_str().starts_with(other));
}

#[tokio::test]
async fn calls_are_counted_and_a_stopped_provider_is_gone() {
    let provider = honest().await;
    let issuer = provider.issuer().to_owned();
    sign_in(&issuer, ADA).await.unwrap();
    assert_eq!(
        provider.counts(),
        Counts { discovery: 1, jwks: 1, authorize: 1, token: 1, userinfo: 1, ..Counts::default() }
    );
    provider.stop().await;
    assert!(reqwest::get(&format!("{issuer}/jwks")).await.is_err());
}
