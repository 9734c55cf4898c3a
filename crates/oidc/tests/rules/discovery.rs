//! Provider metadata: the issuer, the endpoints, the algorithms.

use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::client_auth::TokenAuthMethod;
use portcullis_oidc::discovery::{self, IssParameter, ProviderMetadata, PushedRequests};
use portcullis_oidc::issuer::{Insecure, IssuerKind};
use portcullis_oidc::pkce::{CodeChallenge, CodeVerifier};
use portcullis_oidc::request::{AuthorizationRequest, Nonce, Prompt, ResponseMode, State};
use serde_json::{Value, json};

use crate::fixture::ISSUER;

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://idp.acme.test/authorize?tenant=acme",
        "token_endpoint": "https://idp.acme.test/token",
        "jwks_uri": "https://idp.acme.test/jwks",
        "userinfo_endpoint": "https://idp.acme.test/userinfo",
        "response_types_supported": ["code", "id_token"],
        "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256", "XX999"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn parse_at(document: &Value, issuer: &str, insecure: Insecure) -> Result<ProviderMetadata, &'static str> {
    discovery::parse(document.to_string().as_bytes(), issuer, insecure).map_err(|error| error.broken().code)
}

fn code_with(name: &str, value: Value) -> &'static str {
    let mut changed = document();
    changed[name] = value;
    parse_at(&changed, ISSUER, Insecure::Refused).err().unwrap_or("accepted")
}

fn code_for_issuer(issuer: &str) -> &'static str {
    let mut changed = document();
    changed["issuer"] = json!(issuer);
    parse_at(&changed, issuer, Insecure::Refused).err().unwrap_or("accepted")
}

#[test]
fn an_honest_document_is_read() {
    let metadata = parse_at(&document(), ISSUER, Insecure::Refused).unwrap();
    assert_eq!(metadata.issuer, ISSUER);
    assert_eq!(metadata.id_token_algs, [SigningAlg::Rs256, SigningAlg::Es256], "none and HS256 are left out");
    assert_eq!(metadata.iss_parameter, IssParameter::Promised);
    assert_eq!(metadata.client_auth.choose(None), Ok(TokenAuthMethod::Basic));
    assert_eq!(metadata.pushed_requests, PushedRequests::Optional);
    assert!(metadata.pushed_request_endpoint.is_none() && metadata.end_session_endpoint.is_none());
}

#[test]
fn o6_metadata_of_another_issuer_is_refused_to_the_byte() {
    assert_eq!(code_with("issuer", json!(ISSUER)), "accepted");
    for other in ["https://idp.acme.test/", "https://IDP.acme.test", "https://evil.test", "idp.acme.test", ""]
    {
        assert_eq!(code_with("issuer", json!(other)), "discovery_issuer_mismatch", "{other}");
    }
    assert_eq!(code_with("issuer", Value::Null), "discovery_incomplete");
}

#[test]
fn o6_endpoints_are_https() {
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
        assert_eq!(code_with(name, json!("https://elsewhere.acme.test/x")), "accepted", "{name}");
        for bad in
            ["http://idp.acme.test/x", "ftp://idp.acme.test/x", "javascript:alert(1)", "file:///etc/passwd"]
        {
            assert_eq!(code_with(name, json!(bad)), "endpoint_not_https", "{name} {bad}");
        }
        for bad in ["/relative", "https://user:pw@idp.acme.test/x", "https://idp.acme.test/x#y", ""] {
            assert_eq!(code_with(name, json!(bad)), "endpoint_unusable", "{name} {bad}");
        }
    }
    assert_eq!(code_with("token_endpoint", Value::Null), "discovery_incomplete");
    assert_eq!(code_with("userinfo_endpoint", Value::Null), "accepted");
}

#[test]
fn http_passes_only_where_it_is_permitted_and_only_near_by() {
    let at = |base: &str, insecure| {
        let document = json!({
            "issuer": base, "authorization_endpoint": format!("{base}/a"),
            "token_endpoint": format!("{base}/t"), "jwks_uri": format!("{base}/j"),
        });
        parse_at(&document, base, insecure).err().unwrap_or("accepted")
    };
    for base in [
        "http://127.0.0.1:9000",
        "http://localhost:9000",
        "http://[::1]:9000",
        "http://10.1.2.3",
        "http://keycloak:8080",
    ] {
        assert_eq!(at(base, Insecure::Permitted), "accepted", "{base}");
        assert_eq!(at(base, Insecure::Refused), "endpoint_not_https", "{base}");
    }
    for base in
        ["http://idp.acme.test", "http://8.8.8.8", "http://[2001:db8::1]", "http://127.0.0.1.evil.test"]
    {
        assert_eq!(at(base, Insecure::Permitted), "endpoint_not_https", "{base}");
    }
}

#[test]
fn o7_entras_templates_and_personal_accounts_are_refused_with_a_reason() {
    let own = "https://login.microsoftonline.com/0f5a6b7c-1111-2222-3333-444455556666/v2.0";
    assert_eq!(code_for_issuer(own), "accepted");
    for tenant in ["common", "organizations", "consumers", "Common", "{tenantid}"] {
        let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        assert_eq!(code_for_issuer(&issuer), "template_issuer", "{issuer}");
    }
    let personal = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    assert_eq!(code_for_issuer(personal), "consumer_tenant");
    assert_eq!(
        code_with("issuer", json!("https://login.microsoftonline.com/{tenantid}/v2.0")),
        "template_issuer",
        "the reason is said, not only that the issuers differ"
    );
    for unusable in ["https://login.microsoftonline.com/acme.test/v2.0", "https://accounts.google.com/"] {
        assert_eq!(code_for_issuer(unusable), "endpoint_unusable", "{unusable}");
    }
    assert_eq!(code_for_issuer("https://accounts.google.com"), "accepted");
    assert_eq!(
        IssuerKind::of(own),
        IssuerKind::Entra { tenant_id: "0f5a6b7c-1111-2222-3333-444455556666".to_owned() }
    );
}

#[test]
fn a_provider_that_signs_with_nothing_allowed_is_refused() {
    let name = "id_token_signing_alg_values_supported";
    assert_eq!(code_with(name, json!(["none", "HS256"])), "no_usable_alg");
    assert_eq!(code_with(name, json!([])), "no_usable_alg");
    assert_eq!(code_with(name, json!(["EdDSA"])), "accepted");
    let mut silent = document();
    silent.as_object_mut().unwrap().remove(name);
    assert_eq!(parse_at(&silent, ISSUER, Insecure::Refused).unwrap().id_token_algs, [SigningAlg::Rs256]);
}

fn with(name: &str, value: Value) -> ProviderMetadata {
    let mut changed = document();
    changed[name] = value;
    parse_at(&changed, ISSUER, Insecure::Refused).unwrap()
}

#[test]
fn the_flow_is_the_one_by_a_code() {
    assert_eq!(code_with("response_types_supported", json!(["id_token"])), "no_code_flow");
    assert_eq!(code_with("response_types_supported", json!(["id_token", "code"])), "accepted");
}

#[test]
fn the_proof_of_ourselves_is_chosen_from_what_is_offered_and_a_refusal_says_what_that_is() {
    use TokenAuthMethod::{Basic, Post, PrivateKeyJwt};
    let choose = |offered: Value, wanted| {
        with("token_endpoint_auth_methods_supported", offered)
            .client_auth
            .choose(wanted)
            .map_err(|error| error.broken())
    };
    assert_eq!(choose(json!(["client_secret_post"]), None), Ok(Post));
    assert_eq!(choose(json!(["client_secret_post", "client_secret_basic"]), None), Ok(Basic));
    assert_eq!(choose(json!(["client_secret_post", "client_secret_basic"]), Some(Post)), Ok(Post));
    assert_eq!(
        choose(json!(["client_secret_basic", "private_key_jwt"]), Some(PrivateKeyJwt)),
        Ok(PrivateKeyJwt)
    );
    let refused = choose(json!(["private_key_jwt", "tls_client_auth"]), None).unwrap_err();
    assert_eq!(
        (refused.code, refused.expected.as_deref(), refused.received.as_deref()),
        (
            "no_client_auth",
            Some("client_secret_basic or client_secret_post"),
            Some("private_key_jwt, tls_client_auth")
        )
    );
    for wanted in TokenAuthMethod::ALL {
        assert_eq!(choose(json!([]), Some(wanted)).unwrap_err().code, "no_client_auth", "{wanted:?}");
        let silent = parse_at(&document(), ISSUER, Insecure::Refused).unwrap().client_auth;
        assert_eq!(silent.choose(Some(wanted)), Ok(wanted), "whoever says nothing may take it");
    }
}

#[test]
fn an_assertion_is_signed_with_what_the_provider_takes() {
    let offer = |algs: Value| with("token_endpoint_auth_signing_alg_values_supported", algs).client_auth;
    let both = offer(json!(["RS256", "ES256"]));
    assert_eq!(both.alg_for_new_key(), SigningAlg::Es256);
    assert_eq!((both.require_alg(SigningAlg::Rs256), both.require_alg(SigningAlg::Es256)), (Ok(()), Ok(())));
    let one = offer(json!(["PS256", "RS256"]));
    assert_eq!(one.alg_for_new_key(), SigningAlg::Rs256);
    let refused = one.require_alg(SigningAlg::Es256).unwrap_err().broken();
    assert_eq!((refused.code, refused.received.as_deref()), ("no_assertion_alg", Some("PS256, RS256")));
    let silent = parse_at(&document(), ISSUER, Insecure::Refused).unwrap().client_auth;
    assert_eq!(
        (silent.alg_for_new_key(), silent.require_alg(SigningAlg::Es256)),
        (SigningAlg::Rs256, Ok(()))
    );
}

#[test]
fn answers_by_a_form_pushed_requests_and_the_end_of_sessions_are_where_the_provider_says() {
    let modes = |modes: Value| {
        let refused = with("response_modes_supported", modes).require_form_post().err();
        refused.map_or("taken", |error| error.broken().code)
    };
    assert_eq!(modes(json!(["query", "form_post"])), "taken");
    assert_eq!(modes(json!(["query", "fragment"])), "no_form_post");
    assert_eq!(modes(Value::Null), "taken", "whoever says nothing may know it");
    let name = "pushed_authorization_request_endpoint";
    let endpoint = with(name, json!("https://idp.acme.test/par"));
    assert!(endpoint.require_pushed_request_endpoint().is_ok());
    assert_eq!(
        with("require_pushed_authorization_requests", json!(true)).pushed_requests,
        PushedRequests::Required
    );
    for unusable in [json!("http://idp.acme.test/par"), json!("https://u:p@idp.acme.test/par"), json!("")] {
        let without = with(name, unusable.clone());
        let refused = without.require_pushed_request_endpoint().unwrap_err().broken();
        assert_eq!(refused.code, "no_pushed_requests", "{unusable}");
        assert_eq!(with("end_session_endpoint", unusable).end_session_endpoint, None);
    }
    assert!(with("end_session_endpoint", json!("https://idp.acme.test/end")).end_session_endpoint.is_some());
}

#[test]
fn what_cannot_be_read_or_is_too_long_is_refused() {
    let code = |body: &[u8]| discovery::parse(body, ISSUER, Insecure::Refused).unwrap_err().broken().code;
    assert_eq!(code(b"<html>"), "discovery_malformed");
    assert_eq!(code(b"[]"), "discovery_malformed");
    assert_eq!(code(&vec![b' '; 512 * 1024 + 1]), "discovery_too_large");
    assert_eq!(code_with("token_endpoint", json!(7)), "discovery_malformed");
}

#[test]
fn an_endpoint_cannot_bring_parameters_of_the_request() {
    for parameter in ["client_id=evil", "redirect_uri=x", "request_uri=https://evil.test"] {
        let endpoint = format!("https://idp.acme.test/authorize?{parameter}");
        assert_eq!(code_with("authorization_endpoint", json!(endpoint)), "endpoint_unusable", "{parameter}");
    }
    assert_eq!(
        code_with("authorization_endpoint", json!("https://idp.acme.test/authorize?p=b2c")),
        "accepted"
    );
}

#[test]
fn the_metadata_address_follows_from_the_issuer() {
    let url = |issuer: &str| discovery::metadata_url(issuer, Insecure::Refused).map(|url| url.to_string());
    assert_eq!(url(ISSUER).unwrap(), "https://idp.acme.test/.well-known/openid-configuration");
    assert_eq!(url("https://a.test/t/1/").unwrap(), "https://a.test/t/1/.well-known/openid-configuration");
    assert_eq!(url("https://a.test/?x=1").unwrap_err().broken().code, "endpoint_unusable");
    assert_eq!(
        url("https://login.microsoftonline.com/common/v2.0").unwrap_err().broken().code,
        "template_issuer"
    );
}

#[test]
fn the_request_carries_state_nonce_and_challenge_and_keeps_the_endpoints_query() {
    let metadata = parse_at(&document(), ISSUER, Insecure::Refused).unwrap();
    let (state, nonce) = (State::from_random(&[1; 32]), Nonce::from_random(&[2; 32]));
    let verifier = CodeVerifier::from_random(&[3; 32]);
    let url = AuthorizationRequest {
        client_id: "c",
        redirect_uri: "https://gate.test/sso/oidc/con_1/callback",
        scopes: &["openid", "email", "profile"],
        state: &state,
        nonce: &nonce,
        challenge: &verifier.challenge(),
        login_hint: Some("ada@acme.test"),
        prompt: Some(Prompt::Silent),
        max_age_s: Some(0),
        acr_values: &["urn:mfa".to_owned(), "urn:key".to_owned()],
        response_mode: ResponseMode::FormPost,
    }
    .url(&metadata);
    let find = |name: &str| {
        let values: Vec<String> =
            url.query_pairs().filter(|(own, _)| own == name).map(|(_, value)| value.into_owned()).collect();
        assert_eq!(values.len(), 1, "{name} in {url}");
        values.concat()
    };
    assert_eq!((find("tenant").as_str(), find("response_type").as_str()), ("acme", "code"));
    assert_eq!((find("state").as_str(), find("nonce").as_str()), (state.expose(), nonce.expose()));
    assert_eq!(
        (find("scope").as_str(), find("code_challenge_method").as_str()),
        ("openid email profile", "S256")
    );
    assert_eq!((find("prompt").as_str(), find("max_age").as_str()), ("none", "0"));
    assert_eq!(find("login_hint"), "ada@acme.test");
    assert_eq!(
        (find("acr_values").as_str(), find("response_mode").as_str()),
        ("urn:mfa urn:key", "form_post")
    );
    assert!(CodeChallenge::parse(&find("code_challenge")).unwrap().is_of(&verifier));
    assert!(!url.as_str().contains(verifier.expose()), "the verifier stays here");
}

#[test]
fn the_pkce_example_of_the_standard_holds() {
    let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
    assert_eq!(verifier.challenge().as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
    assert!(challenge.is_of(&verifier));
    assert!(!challenge.is_of(&CodeVerifier::from_random(&[0; 32])));
    assert!(CodeVerifier::parse("too-short").is_none());
    assert!(CodeVerifier::parse(&"a".repeat(129)).is_none());
    assert!(CodeVerifier::parse(&" ".repeat(43)).is_none());
    assert!(CodeChallenge::parse("dBjftJeZ").is_none(), "a plain challenge is none");
}
