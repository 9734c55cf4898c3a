//! The token endpoint from both sides, introspection and OAuth errors.

use portcullis_oidc::client_auth::{ASSERTION_LIFE_S, Client, ClientProof, TokenAuthMethod, assertion};
use portcullis_oidc::discovery::{self, ProviderMetadata};
use portcullis_oidc::introspection::{ActiveToken, Introspection};
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::oauth_error::{ErrorCode, OAuthError};
use portcullis_oidc::pkce::CodeVerifier;
use portcullis_oidc::provider::SigningKey;
use portcullis_oidc::token::{TokenRequest, TokenResponse};
use portcullis_oidc::token_endpoint::{PresentedClient, TokenForm, verify_assertion};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::fixture::{ISSUER, NOW, RSA, es256, published};

const SECRET: &str = "s3cret:with+odd &chars=%ü";
const REDIRECT: &str = "https://gate.test/sso/oidc/con_1/callback";

fn metadata() -> ProviderMetadata {
    let document = json!({
        "issuer": ISSUER, "authorization_endpoint": "https://idp.acme.test/a",
        "token_endpoint": "https://idp.acme.test/t", "jwks_uri": "https://idp.acme.test/j",
    });
    discovery::parse(document.to_string().as_bytes(), ISSUER, Insecure::Refused).unwrap()
}

fn request(auth: TokenAuthMethod) -> TokenRequest {
    let (secret, code) = (SecretString::from(SECRET), SecretString::from("c/1+2"));
    let proof = match auth {
        TokenAuthMethod::Basic => ClientProof::Basic(&secret),
        TokenAuthMethod::Post => ClientProof::Post(&secret),
        TokenAuthMethod::PrivateKeyJwt => ClientProof::Assertion(&secret),
    };
    let client = Client { id: "id:of us", proof };
    TokenRequest::for_code(&metadata(), client, &code, &CodeVerifier::from_random(&[9; 32]), REDIRECT)
}

fn read(request: &TokenRequest) -> TokenForm {
    let header = request.authorization.as_ref().map(|header| header.expose_secret());
    TokenForm::parse(header, request.body.expose_secret().as_bytes()).unwrap()
}

#[test]
fn what_one_side_sends_the_other_reads() {
    for auth in TokenAuthMethod::ALL {
        let request = request(auth);
        assert_eq!(request.url.as_str(), "https://idp.acme.test/t");
        let form = read(&request);
        assert_eq!(form.find("grant_type"), Some("authorization_code"));
        assert_eq!((form.find("code"), form.find("redirect_uri")), (Some("c/1+2"), Some(REDIRECT)));
        assert_eq!(form.find("code_verifier"), Some(CodeVerifier::from_random(&[9; 32]).expose()));
        assert_eq!(form.client.id(), "id:of us");
        match &form.client {
            PresentedClient::WithAssertion { assertion, .. } => {
                assert_eq!(assertion.expose_secret(), SECRET);
            }
            client => {
                assert!(client.has_secret(&SecretString::from(SECRET)));
                assert!(!client.has_secret(&SecretString::from("other")));
            }
        }
    }
}

#[test]
fn the_secret_is_in_one_place_only() {
    assert!(!request(TokenAuthMethod::Basic).body.expose_secret().contains("client_"));
    assert!(request(TokenAuthMethod::Post).authorization.is_none());
    let asserted = request(TokenAuthMethod::PrivateKeyJwt);
    assert!(asserted.authorization.is_none() && !asserted.body.expose_secret().contains("client_secret"));
    for told in [format!("{:?}", request(TokenAuthMethod::Post)), format!("{asserted:?}")] {
        assert!(!told.contains("s3cret"), "{told}");
    }
}

const AUDIENCE: &str = "https://idp.acme.test/t";

fn asserted(key: &SigningKey, client: &str, audience: &str) -> SecretString {
    assertion((key, None), client, audience, (&[5; 32], NOW)).unwrap()
}

#[test]
fn an_assertion_is_good_for_one_client_at_one_audience_for_two_minutes_under_a_key_of_the_client() {
    let (key, stranger) = (es256(3), es256(4));
    let keys = published(&[&key]);
    let verdict = |assertion: &SecretString, now: i64| {
        verify_assertion(assertion, &keys, ("us", &[AUDIENCE, ISSUER]), now).map_err(|e| e.error)
    };
    let refused = Err(ErrorCode::InvalidClient);
    let jti = verdict(&asserted(&key, "us", AUDIENCE), NOW).unwrap();
    assert_eq!(jti.len(), 43, "all of its randomness");
    assert_eq!(verdict(&asserted(&key, "us", ISSUER), NOW).as_ref(), Ok(&jti));
    assert_eq!(verdict(&asserted(&RSA, "us", AUDIENCE), NOW), refused, "a key that nobody published");
    assert_eq!(verdict(&asserted(&stranger, "us", AUDIENCE), NOW), refused);
    assert_eq!(verdict(&asserted(&key, "others", AUDIENCE), NOW), refused);
    assert_eq!(verdict(&asserted(&key, "us", "https://evil.test/t"), NOW), refused);
    assert_eq!(verdict(&asserted(&key, "us", AUDIENCE), NOW + ASSERTION_LIFE_S + 61), refused, "too late");
    assert_eq!(verdict(&asserted(&key, "us", AUDIENCE), NOW - 301), refused, "not yet");
    for (name, value) in [
        ("iss", json!("others")),
        ("sub", json!("others")),
        ("aud", json!([AUDIENCE])),
        ("exp", json!(NOW + 301)),
        ("jti", json!("")),
        ("jti", Value::Null),
    ] {
        let mut claims = json!({
            "iss": "us", "sub": "us", "aud": AUDIENCE, "jti": "j", "iat": NOW, "exp": NOW + 300,
        });
        let honest = SecretString::from(key.sign("JWT", &claims).unwrap());
        assert_eq!(verdict(&honest, NOW).as_deref(), Ok("j"));
        claims[name] = value;
        let forged = SecretString::from(key.sign("JWT", &claims).unwrap());
        assert_eq!(verdict(&forged, NOW), refused, "{name}");
    }
}

#[test]
fn a_client_proves_itself_in_one_way_or_not_at_all() {
    let code = |header: Option<&str>, body: &str| match TokenForm::parse(header, body.as_bytes()) {
        Ok(form) => form.client.id().to_owned(),
        Err(error) => error.error.to_string(),
    };
    assert_eq!(code(Some("Basic YTpi"), "x=1"), "a");
    assert_eq!(code(Some("Basic YTpi"), "client_id=a"), "a");
    assert_eq!(code(Some("Basic YTpi"), "client_id=other"), "invalid_client");
    assert_eq!(code(Some("Basic YTpi"), "client_id=a&client_secret=b"), "invalid_request");
    for header in ["Bearer YTpi", "Basic !!", "Basic YQ", "Basic"] {
        assert_eq!(code(Some(header), ""), "invalid_client", "{header}");
    }
    assert_eq!(code(None, ""), "invalid_client");
    let typed = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    assert_eq!(code(None, &format!("client_id=a&client_assertion=x&{typed}")), "a");
    assert_eq!(code(None, "client_id=a&client_assertion=x&client_assertion_type=y"), "invalid_client");
    assert_eq!(code(None, &format!("client_assertion=x&{typed}")), "invalid_client");
    assert_eq!(code(Some("Basic YTpi"), &format!("client_assertion=x&{typed}")), "invalid_request");
    let two = format!("client_id=a&client_secret=b&client_assertion=x&{typed}");
    assert_eq!(code(None, &two), "invalid_request");
    assert_eq!(code(None, "code=1&code=2&client_id=a"), "invalid_request");
    let many: String = (0..51).map(|at| format!("p{at}=1&")).collect();
    assert_eq!(code(None, &many), "invalid_request");
    assert_eq!(code(None, &"a".repeat(64 * 1024 + 1)), "invalid_request");
    let public = TokenForm::parse(None, b"client_id=a").unwrap().client;
    assert!(matches!(public, PresentedClient::Public { .. }) && !public.has_secret(&SecretString::from("")));
}

fn outcome(status: u16, body: &str) -> &'static str {
    TokenResponse::parse(status, body.as_bytes()).map_or_else(|error| error.broken().code, |_| "read")
}

#[test]
fn an_answer_needs_both_tokens_and_the_bearer_type() {
    let honest =
        json!({"id_token": "a.b.c", "access_token": "at", "token_type": "bearer", "expires_in": "300"});
    assert_eq!(outcome(200, &honest.to_string()), "read");
    assert_eq!(TokenResponse::parse(200, honest.to_string().as_bytes()).unwrap().expires_in_s, Some(300));
    let without = |name: &str| {
        let mut answer = honest.clone();
        answer.as_object_mut().unwrap().remove(name);
        outcome(200, &answer.to_string())
    };
    for name in ["id_token", "access_token", "token_type"] {
        assert_eq!(without(name), "token_response_incomplete", "{name}");
    }
    let mut dpop = honest.clone();
    dpop["token_type"] = json!("DPoP");
    assert_eq!(outcome(200, &dpop.to_string()), "token_type_not_bearer");
}

#[test]
fn a_refusal_of_the_token_endpoint_is_told_with_its_cause() {
    assert_eq!(outcome(400, r#"{"error":"invalid_grant"}"#), "token_refused");
    assert_eq!(outcome(502, "<html>bad gateway</html>"), "token_endpoint_failed");
    assert_eq!(outcome(302, ""), "token_endpoint_failed", "redirects are not followed");
    assert_eq!(outcome(200, "<html>"), "token_response_malformed");
    assert_eq!(outcome(200, &" ".repeat(1024 * 1024 + 1)), "token_response_too_large");
}

#[test]
fn a_damaged_answer_tells_no_token() {
    let body = r#"{"id_token":"a.b.c","access_token":["secret-access-token"],"token_type":"bearer"}"#;
    let error = TokenResponse::parse(200, body.as_bytes()).unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(!told.contains("secret-access-token"), "{told}");
}

#[test]
fn introspection_says_nothing_about_what_is_not_active() {
    assert_eq!(Introspection::Inactive.to_value(), json!({"active": false}));
    let mut extra = serde_json::Map::new();
    extra.insert("sub".to_owned(), json!("somebody else"));
    extra.insert("organization".to_owned(), json!("org_1"));
    let token = ActiveToken { sub: Some("mem_1".to_owned()), exp: Some(7), extra, ..ActiveToken::default() };
    let body = Introspection::Active(Box::new(token)).to_value();
    assert_eq!(body, json!({"active": true, "sub": "mem_1", "exp": 7, "organization": "org_1"}));
    let Introspection::Active(read) = Introspection::parse(body.to_string().as_bytes()) else {
        panic!("an active token became inactive");
    };
    assert_eq!((read.sub.as_deref(), read.exp, read.extra.len()), (Some("mem_1"), Some(7), 1));
    for body in ["", "{}", r#"{"active":"true"}"#, r#"{"active":false,"sub":"x"}"#, r#"{"active":1}"#] {
        assert_eq!(Introspection::parse(body.as_bytes()), Introspection::Inactive, "{body}");
    }
}

#[test]
fn oauth_errors_are_read_and_written() {
    let error = OAuthError::new(ErrorCode::InvalidGrant, "the code is used");
    let body: Value = error.to_value();
    assert_eq!(body, json!({"error": "invalid_grant", "error_description": "the code is used"}));
    assert_eq!(OAuthError::parse(body.to_string().as_bytes()), Some(error));
    let own = OAuthError::parse(br#"{"error":"AADSTS50105"}"#).unwrap();
    assert_eq!(own.error, ErrorCode::Other("AADSTS50105".to_owned()));
    assert_eq!(OAuthError::parse(b"{}"), None);
}
