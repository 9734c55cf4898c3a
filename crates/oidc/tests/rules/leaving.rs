//! What the browser is sent away with: requests that are pushed before, and the end of the provider's session.

use portcullis_oidc::client_auth::{Client, ClientProof};
use portcullis_oidc::discovery::{self, ProviderMetadata};
use portcullis_oidc::end_session::{EndSession, MAX_HINT_BYTES};
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::pushed_request::{
    MAX_PUSHED_ANSWER_BYTES, MAX_REQUEST_URI_BYTES, Pushed, PushedRequest,
};
use portcullis_oidc::request::{AuthorizationRequest, Nonce, ResponseMode, State};
use portcullis_oidc::token_endpoint::TokenForm;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::fixture::ISSUER;

fn metadata() -> ProviderMetadata {
    let document = json!({
        "issuer": ISSUER, "authorization_endpoint": "https://idp.acme.test/a?tenant=acme",
        "token_endpoint": "https://idp.acme.test/t", "jwks_uri": "https://idp.acme.test/j",
        "pushed_authorization_request_endpoint": "https://idp.acme.test/par",
    });
    discovery::parse(document.to_string().as_bytes(), ISSUER, Insecure::Refused).unwrap()
}

fn read(url: &Url, name: &str) -> Vec<String> {
    url.query_pairs().filter(|(own, _)| own == name).map(|(_, value)| value.into_owned()).collect()
}

#[test]
fn a_pushed_request_carries_everything_and_the_browser_its_name_only() {
    let (state, nonce) = (State::from_random(&[1; 32]), Nonce::from_random(&[2; 32]));
    let request = AuthorizationRequest {
        client_id: "us",
        redirect_uri: "https://gate.test/sso/oidc/con_1/callback",
        scopes: &["email"],
        state: &state,
        nonce: &nonce,
        challenge: &CodeVerifier::from_random(&[3; 32]).challenge(),
        login_hint: None,
        prompt: None,
        max_age_s: None,
        acr_values: &[],
        response_mode: ResponseMode::Query,
    };
    let secret = SecretString::from("a-secret");
    let client = Client { id: "us", proof: ClientProof::Basic(&secret) };
    let pushed = PushedRequest::of(&request, &metadata(), client).unwrap();
    assert_eq!(pushed.url.as_str(), "https://idp.acme.test/par");
    assert!(!format!("{pushed:?}").contains("a-secret") && !format!("{pushed:?}").contains(state.expose()));
    let header = pushed.authorization.as_ref().map(|header| header.expose_secret());
    let form = TokenForm::parse(header, pushed.body.expose_secret().as_bytes()).unwrap();
    assert!(form.client.has_secret(&secret));
    assert_eq!((form.find("state"), form.find("nonce")), (Some(state.expose()), Some(nonce.expose())));
    assert_eq!((form.find("client_id"), form.find("response_mode")), (Some("us"), None));

    let answer = br#"{"request_uri":"urn:ietf:params:oauth:request_uri:x","expires_in":60}"#;
    let url = Pushed::parse(201, answer).unwrap().url(&metadata(), "us");
    assert_eq!(
        url.as_str(),
        "https://idp.acme.test/a?tenant=acme&client_id=us&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax"
    );
}

#[test]
fn the_answer_to_a_pushed_request_is_bounded_and_its_refusal_told() {
    let code = |status: u16, body: &str| {
        Pushed::parse(status, body.as_bytes()).map_or_else(|error| error.broken().code, |_| "taken")
    };
    let named = |uri: &str| json!({ "request_uri": uri, "expires_in": 60 }).to_string();
    assert_eq!((code(201, &named("urn:x")), code(200, &named("urn:x"))), ("taken", "taken"));
    assert_eq!(code(201, &named(&"u".repeat(MAX_REQUEST_URI_BYTES))), "taken");
    for uri in ["", "urn:x\r\nLocation: evil", "urn:\u{e9}", "a b", &"u".repeat(MAX_REQUEST_URI_BYTES + 1)] {
        assert_eq!(code(201, &named(uri)), "pushed_answer_malformed", "{uri}");
    }
    for body in ["{}", "<html>", r#"{"request_uri":7}"#, "[]"] {
        assert_eq!(code(201, body), "pushed_answer_malformed", "{body}");
    }
    assert_eq!(code(201, &" ".repeat(MAX_PUSHED_ANSWER_BYTES + 1)), "pushed_answer_too_large");
    assert_eq!(code(400, r#"{"error":"invalid_request"}"#), "pushed_request_refused");
    assert_eq!(code(401, r#"{"error":"invalid_client"}"#), "pushed_request_refused");
    assert_eq!((code(302, ""), code(502, "<html>")), ("pushed_request_failed", "pushed_request_failed"));
}

#[test]
fn the_end_of_a_session_names_us_and_takes_a_hint_along_that_fits_into_a_url() {
    let state = State::from_random(&[1; 32]);
    let url = |hint: Option<&str>| {
        EndSession {
            client_id: "us",
            id_token_hint: hint,
            post_logout_redirect_uri: "https://gate.test/sso/oidc/con_1/signed-out",
            state: &state,
        }
        .url(&"https://idp.acme.test/end?tenant=acme".parse().unwrap())
    };
    let said = url(Some("a.b.c"));
    assert_eq!((read(&said, "tenant"), read(&said, "client_id")), (vec!["acme".into()], vec!["us".into()]));
    assert_eq!(read(&said, "id_token_hint"), ["a.b.c"]);
    assert_eq!(read(&said, "post_logout_redirect_uri"), ["https://gate.test/sso/oidc/con_1/signed-out"]);
    assert_eq!(read(&said, "state"), [state.expose()]);
    assert!(read(&url(None), "id_token_hint").is_empty());
    assert_eq!(read(&url(Some(&"x".repeat(MAX_HINT_BYTES))), "id_token_hint").len(), 1);
    assert!(read(&url(Some(&"x".repeat(MAX_HINT_BYTES + 1))), "id_token_hint").is_empty());
}
