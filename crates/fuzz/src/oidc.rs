//! OIDC: the browser's way back, metadata, keys, the token endpoint's answer, tokens and their claims.
//!
//! A fuzzer cannot sign, so a token may hold `{honest}` and `{logout}` (what the provider signed), `{signature}` (of the
//! first), `{claims}` and `{logout-claims}` (what those two say); and what stands between `{part}` and `{end}` is written as a
//! part of a token, so that a fuzzer changes headers and claims and not their base64. However it does, nothing verifies but
//! what was signed.

use std::str;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::algorithm::SigningAlg;
use portcullis_oidc::callback::{Callback, PendingSignIn};
use portcullis_oidc::claims::IdentityClaims;
use portcullis_oidc::discovery::{self, IssParameter, MAX_LISTED, ProviderMetadata};
use portcullis_oidc::graph;
use portcullis_oidc::id_token::{self, IdTokenError, IdTokenRules, MAX_SUBJECT_CHARS};
use portcullis_oidc::introspection::Introspection;
use portcullis_oidc::issuer::Insecure;
use portcullis_oidc::jwk::PublicJwk;
use portcullis_oidc::jwks::{KeySet, MAX_KEYS};
use portcullis_oidc::logout_token::{
    self, LOGOUT_EVENT, Logout, LogoutTokenError, LogoutTokenRules, MAX_ID_BYTES,
};
use portcullis_oidc::oauth_error::OAuthError;
use portcullis_oidc::preset::Preset;
use portcullis_oidc::provider::{SigningKey, key_set};
use portcullis_oidc::pushed_request::{MAX_REQUEST_URI_BYTES, Pushed, PushedRequestError};
use portcullis_oidc::refusal::Refusal;
use portcullis_oidc::request::{Nonce, State};
use portcullis_oidc::token::TokenResponse;
use portcullis_oidc::userinfo;
use serde_json::{Map, Value, json};

use crate::{Taken, refusal};

const NOW: i64 = 1_795_300_000;
const ISSUER: &str = "https://idp.acme.test";
const CLIENT_ID: &str = "portcullis-at-acme";
const NONCE: &str = "n-0S6_WzA2Mj-stored-with-the-sign-in";
const STATE: &str = "s-0S6_WzA2Mj-stored-with-the-sign-in";
const ACCESS_TOKEN: &str = "access-token-of-the-same-answer";
/// How far the clocks may differ, and how long after its end a token still passes: as the guide says it, in seconds.
const SKEW_S: f64 = 300.0;
const LEEWAY_S: f64 = 60.0;

/// The provider's keys: one that signs, one that only stands beside it.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let made = SigningKey::ed25519_from_random(&[1; 32])
        .ok()
        .zip(SigningKey::es256_from_random(&[2; 32]).ok())
        .and_then(|(signing, other)| {
            let text = key_set([&signing, &other].iter().map(|key| key.public_jwk())).to_string();
            let published = KeySet::parse(text.as_bytes()).ok()?;
            let honest = signing.sign("JWT", &honest_claims()).ok()?;
            let logout = signing.sign("logout+jwt", &honest_logout()).ok()?;
            Some(Keys { signing, published, honest, logout })
        });
    let keys = made.unwrap_or_else(|| panic!("keys of fixed bytes can be made"));
    let is_believed = keys.verify(&keys.honest).is_ok() && keys.verify_logout(&keys.logout).is_ok();
    assert!(is_believed, "what is behind a true signature is reached by no input");
    keys
});

/// The provider's metadata.
static METADATA: LazyLock<ProviderMetadata> = LazyLock::new(|| {
    let said = json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize?tenant=acme"),
        "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/jwks"),
        "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["ES256"],
    });
    let read = discovery::parse(said.to_string().as_bytes(), ISSUER, Insecure::Refused);
    read.unwrap_or_else(|error| panic!("honest metadata: {error}"))
});

struct Keys {
    signing: SigningKey,
    published: KeySet,
    /// The one token that verifies: Ed25519 signs the same bytes to the same signature.
    honest: String,
    /// The one logout token that verifies.
    logout: String,
}

impl Keys {
    fn verify(&self, token: &str) -> Result<IdentityClaims, IdTokenError> {
        let nonce = Nonce::from_stored(NONCE);
        let rules = IdTokenRules {
            issuer: ISSUER,
            client_id: CLIENT_ID,
            trusted_audiences: &[],
            algs: &SigningAlg::ALL,
            nonce: &nonce,
            access_token: ACCESS_TOKEN,
            max_age_s: Some(600),
            proven_since: None,
            acr_values: &[],
            now: NOW,
        };
        id_token::verify(token, &self.published, &rules)
    }

    fn verify_logout(&self, token: &str) -> Result<Logout, LogoutTokenError> {
        let rules =
            LogoutTokenRules { issuer: ISSUER, client_id: CLIENT_ID, algs: &SigningAlg::ALL, now: NOW };
        logout_token::verify(token, &self.published, &rules)
    }

    /// The token that an input stands for.
    fn filled(&self, input: &str) -> String {
        let signature = self.honest.rsplit('.').next().unwrap_or_default();
        let whole = input
            .replace("{honest}", &self.honest)
            .replace("{logout}", &self.logout)
            .replace("{signature}", signature)
            .replace("{claims}", &Value::Object(honest_claims()).to_string())
            .replace("{logout-claims}", &Value::Object(honest_logout()).to_string());
        let (mut token, mut rest) = (String::new(), whole.as_str());
        while let Some((before, after)) = rest.split_once("{part}") {
            let (said, behind) = after.split_once("{end}").unwrap_or((after, ""));
            token.push_str(before);
            token.push_str(&URL_SAFE_NO_PAD.encode(said));
            rest = behind;
        }
        token + rest
    }
}

/// The browser's way back: a code comes out only with the stored state, this connection's issuer and no error.
pub(crate) fn callback(bytes: &[u8], taken: &mut Taken) {
    let Ok(query) = str::from_utf8(bytes) else { return };
    let callback = match Callback::parse(query) {
        Ok(callback) => callback,
        Err(error) => return refusal::of_rule(&Refusal::from(error).broken()),
    };
    let said: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
    let all =
        |name: &str| said.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect();
    let (states, issuers, errors): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (all("state"), all("iss"), all("error"));
    let state = State::from_stored(STATE);
    for iss_parameter in [IssParameter::Promised, IssParameter::NotPromised] {
        let pending = PendingSignIn {
            state: &state,
            connection: "con_1",
            called_connection: "con_1",
            issuer: ISSUER,
            iss_parameter,
        };
        match callback.clone().verify(&pending) {
            Ok(_) => {
                taken.note("code");
                let is_silent = issuers.is_empty() && iss_parameter == IssParameter::NotPromised;
                assert_eq!(states, [STATE], "{query}");
                assert!((issuers == [ISSUER] || is_silent) && errors.is_empty(), "{query}");
            }
            Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
        }
        let called_connection = "con_2";
        assert!(callback.clone().verify(&PendingSignIn { called_connection, ..pending }).is_err());
    }
}

/// A provider's metadata: what is taken is of this issuer, over https, and signs with something that is allowed.
pub(crate) fn discovery(bytes: &[u8], taken: &mut Taken) {
    match discovery::parse(bytes, ISSUER, Insecure::Refused) {
        Ok(metadata) => {
            taken.note("metadata");
            assert_eq!(metadata.issuer, ISSUER);
            let urls = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
            for url in urls.into_iter().chain(&metadata.userinfo_endpoint) {
                assert!(url.scheme() == "https" && url.has_host() && url.fragment().is_none(), "{url}");
                assert!(url.username().is_empty() && url.password().is_none(), "{url}");
            }
            assert!(!metadata.id_token_algs.is_empty() && metadata.scopes.len() <= MAX_LISTED);
        }
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
    let _ = discovery::parse(bytes, ISSUER, Insecure::Permitted);
    if let Ok(issuer) = str::from_utf8(bytes)
        && let Ok(url) = discovery::metadata_url(issuer, Insecure::Refused)
    {
        taken.note("issuer");
        assert!(
            url.scheme() == "https" && url.path().ends_with("/.well-known/openid-configuration"),
            "{url}"
        );
    }
}

/// A key set: bounded, no symmetric key in it, each key reads back, and only a key that fits is found.
pub(crate) fn jwks(bytes: &[u8], taken: &mut Taken) {
    let set = match KeySet::parse(bytes) {
        Ok(set) => set,
        Err(error) => return refusal::of_rule(&Refusal::from(error).broken()),
    };
    taken.note("key set");
    assert!((1..=MAX_KEYS).contains(&(set.keys().len() + set.ignored().len())));
    for key in set.keys() {
        let published = key.to_value();
        assert!(matches!(published["kty"].as_str(), Some("RSA" | "EC" | "OKP")), "{published}");
        assert!(published.get("d").is_none() && published.get("k").is_none(), "{published}");
        assert_eq!(PublicJwk::from_value(&published).as_ref(), Ok(key), "{published}");
    }
    let kids = set.keys().iter().map(PublicJwk::kid).chain([None, Some("nobody's")]);
    for (kid, alg) in kids.flat_map(|kid| SigningAlg::ALL.into_iter().map(move |alg| (kid, alg))) {
        match set.find(kid, alg) {
            Ok(key) => {
                taken.note("key");
                assert!(key.fits(alg) && (kid.is_none() || key.kid() == kid));
            }
            Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
        }
    }
}

/// A token: only the one that the provider signed verifies, and not as a logout.
pub(crate) fn id_token(bytes: &[u8], taken: &mut Taken) {
    let Ok(input) = str::from_utf8(bytes) else { return };
    let token = KEYS.filled(input);
    match KEYS.verify(&token) {
        Ok(claims) => {
            taken.note("token");
            assert_eq!(token, KEYS.honest, "a token verifies that nobody signed");
            assert_eq!(claims.sub(), "00u-ada");
            assert!(KEYS.verify_logout(&token).is_err(), "an ID token ends sessions");
        }
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
    let _ = portcullis_oidc::jws::find_kid(&token);
}

/// What the provider signed, whatever it is: what passes has the issuer, audience, times and nonce of this sign-in.
pub(crate) fn claims(bytes: &[u8], taken: &mut Taken) {
    let Ok(Value::Object(said)) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(token) = KEYS.signing.sign("JWT", &said) else { return };
    match KEYS.verify(&token) {
        Ok(claims) => {
            taken.note("claims");
            require_rules(&said);
            assert!(KEYS.verify_logout(&token).is_err(), "an ID token ends sessions");
            require_identity(&claims);
            let answer = json!({"sub": claims.sub(), "groups": []}).to_string();
            assert!(userinfo::add(claims, 200, answer.as_bytes()).is_ok());
        }
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
}

/// A logout token: only the one that the provider signed verifies, and neither kind passes for the other.
pub(crate) fn logout_token(bytes: &[u8], taken: &mut Taken) {
    let Ok(input) = str::from_utf8(bytes) else { return };
    let token = KEYS.filled(input);
    match KEYS.verify_logout(&token) {
        Ok(_) => {
            taken.note("logout");
            assert_eq!(token, KEYS.logout, "a logout token verifies that nobody signed");
            assert!(KEYS.verify(&token).is_err(), "a logout token signs in");
        }
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
}

/// What the provider signed as a logout, whatever it is: what passes names somebody, once, and is no ID token.
pub(crate) fn logout_claims(bytes: &[u8], taken: &mut Taken) {
    let Ok(Value::Object(said)) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(token) = KEYS.signing.sign("logout+jwt", &said) else { return };
    let logout = match KEYS.verify_logout(&token) {
        Ok(logout) => logout,
        Err(error) => return refusal::of_rule(&Refusal::from(error).broken()),
    };
    taken.note("logout");
    assert!(KEYS.verify(&token).is_err(), "a logout token signs in");
    require_party(&said);
    let said = Value::Object(said);
    assert!(said["events"][LOGOUT_EVENT].is_object() && said.get("nonce").is_none(), "{said}");
    assert!((1..=MAX_ID_BYTES).contains(&logout.jti.len()) && said["jti"] == logout.jti, "{said}");
    assert!(logout.subject.is_some() || logout.session_id.is_some(), "{said}");
    assert_eq!(
        (said["sub"].as_str(), said["sid"].as_str()),
        (logout.subject.as_deref(), logout.session_id.as_deref())
    );
    assert!((NOW..=NOW + 2 * 300 + 1).contains(&logout.replay_until_s), "{said}");
}

/// The token endpoint's answer, and the others that come as JSON.
pub(crate) fn token_answer(bytes: &[u8], taken: &mut Taken) {
    for status in [200, 400] {
        match TokenResponse::parse(status, bytes) {
            Ok(_) => {
                taken.note("token");
                assert_eq!(status, 200);
            }
            Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
        }
    }
    if let Some(refused) = OAuthError::parse(bytes) {
        taken.note("refusal");
        let again = OAuthError::parse(refused.to_value().to_string().as_bytes());
        assert_eq!(again.map(|error| error.error), Some(refused.error));
    }
    // Whatever is not clearly active is not active (RFC 7662 §2.2).
    if let Introspection::Active(_) = Introspection::parse(bytes) {
        taken.note("introspection");
        let said: Option<Value> = serde_json::from_slice(bytes).ok();
        assert_eq!(said.map(|said| said["active"].clone()), Some(Value::Bool(true)));
    }
    read_userinfo(bytes, taken);
    // Half a list of groups is no list: what Graph says is taken whole or not at all.
    match graph::parse_groups(200, bytes) {
        Ok(groups) => {
            taken.note("groups");
            let said = said_whole(bytes).map(|said| said["value"].as_array().map_or(0, Vec::len));
            assert!(said.is_none_or(|said| said == groups.len()));
        }
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
    match graph::parse_token(200, bytes) {
        Ok(_) => taken.note("token of graph"),
        Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
    }
}

/// UserInfo: about the person of the ID token alone, and it takes nothing from what that says.
fn read_userinfo(bytes: &[u8], taken: &mut Taken) {
    for status in [200, 204, 400] {
        let Ok(claims) = KEYS.verify(&KEYS.honest) else { panic!("the honest token verifies") };
        match userinfo::add(claims, status, bytes) {
            Ok(claims) => {
                taken.note("userinfo");
                assert_eq!(status, 200);
                assert!(said_whole(bytes).is_none_or(|said| said["sub"] == "00u-ada"));
                for (name, value) in &honest_claims() {
                    assert_eq!(claims.find(name), Some(value), "`{name}`");
                }
                require_identity(&claims);
            }
            Err(error) => refusal::of_rule(&Refusal::from(error).broken()),
        }
    }
}

/// What a reader finds that keeps every member of what was believed. None if it cannot keep a number or half a surrogate
/// pair, which a reader may pass over that does not ask for it (RFC 8259 §6, §8.2).
fn said_whole(bytes: &[u8]) -> Option<Value> {
    assert!(std::str::from_utf8(bytes).is_ok(), "what was believed is text");
    serde_json::from_slice(bytes).ok()
}

/// The answer to a pushed request: the browser goes to the provider's own page, with our id and the request's name alone.
pub(crate) fn pushed_answer(bytes: &[u8], taken: &mut Taken) {
    for status in [201, 200, 400, 302] {
        let is_good = status == 201 || status == 200;
        match Pushed::parse(status, bytes) {
            Ok(pushed) => {
                taken.note("request");
                let Some(said) = said_whole(bytes) else { continue };
                let named = said["request_uri"].as_str().unwrap_or_default();
                assert!(is_good && (1..=MAX_REQUEST_URI_BYTES).contains(&named.len()), "{status}: {said}");
                let url = pushed.url(&METADATA, CLIENT_ID);
                let carried: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                let expected = [("tenant", "acme"), ("client_id", CLIENT_ID), ("request_uri", named)];
                assert_eq!(carried, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
                let page = &METADATA.authorization_endpoint;
                assert!(url.origin() == page.origin() && url.path() == page.path(), "{url}");
                assert!(url.fragment().is_none() && !named.contains(char::is_whitespace), "{url}");
            }
            Err(error) => {
                let refused = matches!(error, PushedRequestError::Refused { .. });
                assert!(!refused || !is_good, "{status}: {error}");
                refusal::of_rule(&Refusal::from(error).broken());
            }
        }
    }
}

fn honest_claims() -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": "00u-ada", "nonce": NONCE, "iat": NOW - 2, "exp": NOW + 3600,
        "auth_time": NOW - 30, "email": "ada@acme.test", "email_verified": true, "name": "Ada Lovelace", "groups": ["eng", "ops"],
    });
    claims.as_object().cloned().unwrap_or_default()
}

fn honest_logout() -> Map<String, Value> {
    let said = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": "00u-ada", "sid": "s-1", "jti": "j-1", "iat": NOW - 2, "exp": NOW + 120,
        "events": { LOGOUT_EVENT: {} },
    });
    said.as_object().cloned().unwrap_or_default()
}

/// The rules once more, as a reader of OpenID Connect Core §3.1.3.7 would list them.
fn require_rules(said: &Map<String, Value>) {
    require_party(said);
    let auth_time = said.get("auth_time").and_then(Value::as_f64);
    let said = Value::Object(said.clone());
    assert_eq!(said["nonce"], NONCE);
    assert!(auth_time.is_some_and(|at| at >= NOW as f64 - 600.0 - SKEW_S), "{said}");
    let subject = said["sub"].as_str().unwrap_or_default();
    assert!((1..=MAX_SUBJECT_CHARS).contains(&subject.len()) && subject.is_ascii(), "{said}");
}

/// Those that every token of the provider keeps: from it, for us, now.
fn require_party(said: &Map<String, Value>) {
    let number = |name: &str| said.get(name).and_then(Value::as_f64);
    let now = NOW as f64;
    let said = Value::Object(said.clone());
    assert_eq!(said["iss"], ISSUER);
    assert!(
        said["aud"] == CLIENT_ID
            || said["aud"].as_array().is_some_and(|all| all.iter().all(|a| a == CLIENT_ID))
    );
    assert!(said["azp"].is_null() || said["azp"] == CLIENT_ID);
    assert!(number("exp").is_some_and(|exp| exp > now - LEEWAY_S), "{said}");
    assert!(number("iat").is_some_and(|iat| (iat.floor() - now).abs() <= SKEW_S), "{said}");
    assert!(
        said.get("nbf").is_none() || number("nbf").is_some_and(|nbf| nbf.floor() <= now + SKEW_S),
        "{said}"
    );
}

/// What is read from verified claims, whoever is taken for the provider.
fn require_identity(claims: &IdentityClaims) {
    for preset in Preset::ALL {
        require_identity_as(preset, &claims.clone().read_as(preset));
    }
}

/// What is read from verified claims: missing groups are never none, an address is trusted only where it is said.
fn require_identity_as(preset: Preset, claims: &IdentityClaims) {
    assert_eq!(claims.issuer(), ISSUER);
    let refusals = [claims.groups("groups").err(), claims.subject_key(preset.subject_source()).err()];
    for error in refusals.into_iter().flatten() {
        refusal::of_rule(&Refusal::from(error).broken());
    }
    if claims.find("groups").is_none() {
        let groups = claims.groups("groups");
        assert!(
            !matches!(&groups, Ok(portcullis_oidc::claims::Groups::Present(list)) if list.is_empty()),
            "{groups:?}"
        );
    }
    let trusted = claims.email().is_some_and(|email| email.trust.is_trusted());
    let says_so = ["email_verified", "xms_edov"].iter().any(|name| claims.find(name).is_some());
    assert!(!trusted || says_so, "an address is trusted that nobody vouched for");
    let of_entra = trusted && preset == Preset::Entra;
    assert!(!of_entra || claims.find("xms_edov").is_some(), "only the domain's owner vouches at entra");
    assert!(claims.home().is_none() || preset == Preset::Entra, "`idp` means other things elsewhere");
    let _ = (claims.texts(), claims.hosted_domain(), claims.display_name(), claims.authenticated_at());
    let _ = claims.usual_groups_claim();
}
