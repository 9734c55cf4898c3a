//! The documents and tokens of the provider, honest and otherwise.
//!
//! Here apart from the routes, so that each lie is one line beside the truth that it changes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::provider::{SigningKey, SigningKeyError, key_set};
use serde_json::{Map, Value, json};

use crate::behaviour::Behaviour;
use crate::oidc_provider::{Grant, GroupValues, Shared, State};
use crate::people::Person;

/// Life of an ID token, in seconds.
const ID_TOKEN_LIFE_S: i64 = 300;
/// Another provider, for every lie about issuers.
const OTHER_ISSUER: &str = "https://other-idp.example";
/// More keys than a relying party takes.
const TOO_MANY_KEYS: usize = 101;

pub(crate) fn other_issuer() -> &'static str {
    OTHER_ISSUER
}

/// OpenID Connect Discovery 1.0 §3.
pub(crate) fn metadata(shared: &Shared) -> Value {
    let behaviour = shared.lock().behaviour;
    let issuer = &shared.issuer;
    let alg = shared.lock().key.alg().name();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "end_session_endpoint": format!("{issuer}/end-session"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [alg],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email", "profile", "groups"],
        "claims_supported": ["sub", "email", "email_verified", "name", "groups"],
        "authorization_response_iss_parameter_supported": true,
    });
    let members = shared.lock().published_members.clone();
    if let Some(document) = document.as_object_mut() {
        document.extend(members);
        document.retain(|_, value| !value.is_null());
    }
    let (member, lie) = match behaviour {
        Behaviour::DiscoveryIssuerMismatch => ("issuer", json!(OTHER_ISSUER)),
        Behaviour::DiscoveryPlainHttp => ("token_endpoint", json!("http://idp.example.com/token")),
        Behaviour::DiscoveryWeakAlgs => ("id_token_signing_alg_values_supported", json!(["none", "HS256"])),
        _ => return document,
    };
    if let Some(members) = document.as_object_mut() {
        members.insert(member.to_owned(), lie);
    }
    document
}

pub(crate) fn jwks(shared: &Shared) -> Value {
    let state = shared.lock();
    match state.behaviour {
        Behaviour::JwksTooManyKeys => key_set(state.published.iter().cycle().take(TOO_MANY_KEYS)),
        Behaviour::JwksSymmetric => {
            json!({"keys": [{"kty": "oct", "kid": state.key.kid(), "k": "c2VjcmV0"}]})
        }
        Behaviour::KeysUnnamed => {
            let keys = state.published.iter().map(|key| without_kid(key.to_value()));
            json!({"keys": keys.collect::<Vec<_>>()})
        }
        _ => key_set(&state.published),
    }
}

/// A key, or the header of a token, that names no key.
pub(crate) fn without_kid(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.remove("kid");
    }
    value
}

/// What UserInfo says of somebody (OpenID Connect Core §5.3.2).
pub(crate) fn userinfo(shared: &Shared, person: &Person) -> Value {
    let state = shared.lock();
    let mut claims = profile(shared, &state, person);
    let sub = match state.behaviour {
        Behaviour::UserInfoOtherSub => format!("{}-other", person.id),
        Behaviour::LongSubject => long_subject(person),
        _ => person.id.clone(),
    };
    claims.insert("sub".to_owned(), json!(sub));
    Value::Object(claims)
}

/// The ID token of a grant.
pub(crate) fn id_token(
    shared: &Shared,
    grant: &Grant,
    person: &Person,
    access_token: &str,
) -> Result<String, SigningKeyError> {
    let state = shared.lock();
    let claims = id_token_claims(shared, &state, grant, person, access_token);
    let payload = Value::Object(claims).to_string();
    let key = &state.key;
    let header = json!({"alg": key.alg().name(), "kid": key.kid(), "typ": "JWT"});
    match state.behaviour {
        Behaviour::AlgNone => Ok(unsigned(key, &payload)),
        Behaviour::HsWithPublicKey => Ok(with_hmac(key, &payload)),
        Behaviour::KeyInHeader => {
            let header = with_member(header, "jwk", shared.attacker_key.public_jwk().to_value());
            shared.attacker_key.sign_bytes(&header, payload.as_bytes())
        }
        Behaviour::UnknownKid => {
            let header = with_member(header, "kid", json!(shared.attacker_key.kid()));
            shared.attacker_key.sign_bytes(&header, payload.as_bytes())
        }
        Behaviour::KeysUnnamed => key.sign_bytes(&without_kid(header), payload.as_bytes()),
        Behaviour::TamperedPayload => {
            let honest = key.sign_bytes(&header, payload.as_bytes())?;
            let other = key.sign_bytes(&header, payload.replace(&person.id, "somebody-else").as_bytes())?;
            Ok(with_payload_of(&honest, &other))
        }
        Behaviour::LogoutTokenType => {
            key.sign_bytes(&with_member(header, "typ", json!("logout+jwt")), payload.as_bytes())
        }
        Behaviour::CriticalHeader => {
            key.sign_bytes(&with_member(header, "crit", json!(["exp"])), payload.as_bytes())
        }
        _ => key.sign_bytes(&header, payload.as_bytes()),
    }
}

fn id_token_claims(
    shared: &Shared,
    state: &State,
    grant: &Grant,
    person: &Person,
    access_token: &str,
) -> Map<String, Value> {
    let now = shared.surroundings.now();
    let mut claims =
        if state.behaviour == Behaviour::ThinIdToken { Map::new() } else { profile(shared, state, person) };
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", json!(shared.issuer));
    set("sub", json!(person.id));
    set("aud", json!(grant.client_id));
    set("iat", json!(now));
    set("exp", json!(now + ID_TOKEN_LIFE_S));
    set("auth_time", json!(grant.granted_at - state.authentication.ago_s));
    if let Some(acr) = state.authentication.acr.as_ref().or(grant.acr.as_ref()) {
        set("acr", json!(acr));
    }
    set("at_hash", json!(state.key.access_token_hash(access_token)));
    set("sid", json!(format!("session-of-{}", person.id)));
    set("nonce", json!(grant.nonce));
    let lie = match state.behaviour {
        Behaviour::WrongIssuer => Some(("iss", json!(OTHER_ISSUER))),
        Behaviour::WrongAudience => Some(("aud", json!("another-client"))),
        Behaviour::ExtraAudience => Some(("aud", json!([grant.client_id, "another-client"]))),
        Behaviour::WrongAuthorizedParty => Some(("azp", json!("another-client"))),
        Behaviour::ExpiredToken => Some(("exp", json!(now - 3600))),
        Behaviour::IssuedInFuture => Some(("iat", json!(now + 600))),
        Behaviour::NotYetValid => Some(("nbf", json!(now + 600))),
        Behaviour::WrongNonce => Some(("nonce", json!("of-another-sign-in"))),
        Behaviour::WrongAccessTokenHash => Some(("at_hash", json!(state.key.access_token_hash("another")))),
        Behaviour::LongSubject => Some(("sub", json!(long_subject(person)))),
        _ => None,
    };
    if let Some((name, value)) = lie {
        set(name, value);
    }
    match state.behaviour {
        Behaviour::MissingSubject => claims.remove("sub"),
        Behaviour::MissingNonce => claims.remove("nonce"),
        _ => None,
    };
    claims.extend(state.says_too.clone());
    claims.retain(|name, value| !value.is_null() || !state.says_too.contains_key(name));
    claims
}

/// Name, address and groups.
fn profile(shared: &Shared, state: &State, person: &Person) -> Map<String, Value> {
    let groups: Vec<&str> = state
        .company
        .list_groups_of(person)
        .map(|group| match shared.group_values {
            GroupValues::DisplayNames => group.display_name.as_str(),
            GroupValues::ExternalIds => group.external_id.as_str(),
        })
        .collect();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("name", json!(person.display_name()));
    set("given_name", json!(person.given_name));
    set("family_name", json!(person.family_name));
    set("preferred_username", json!(person.user_name));
    set("email", json!(person.email));
    set("email_verified", json!(state.behaviour != Behaviour::EmailUnverified));
    set("groups", json!(groups));
    match state.behaviour {
        Behaviour::GroupsEmpty => set("groups", json!([])),
        Behaviour::GroupsMalformed => set("groups", json!([1, 2, 3])),
        Behaviour::EmailDomainOwnerVerified => set("xms_edov", json!(true)),
        Behaviour::GroupsOverage => {
            set("_claim_sources", json!({"src1": {"endpoint": "https://graph.example/getMemberObjects"}}));
            set("_claim_names", json!({"groups": "src1"}))
        }
        _ => None,
    };
    let left_out: &[&str] = match state.behaviour {
        Behaviour::GroupsMissing | Behaviour::GroupsOverage => &["groups"],
        Behaviour::EmailUnstated | Behaviour::EmailDomainOwnerVerified => &["email_verified"],
        Behaviour::EmailMissing => &["email", "email_verified"],
        _ => &[],
    };
    for name in left_out {
        claims.remove(*name);
    }
    claims
}

fn long_subject(person: &Person) -> String {
    format!("{:x<256}", person.id)
}

fn with_member(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}

/// The token of `signed` with the payload of `other` under the old signature.
fn with_payload_of(signed: &str, other: &str) -> String {
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap_or_default().to_owned();
    format!("{}.{}.{}", part(signed, 0), part(other, 1), part(signed, 2))
}

fn unsigned(key: &SigningKey, payload: &str) -> String {
    format!("{}.", signing_input("none", key, payload))
}

/// HMAC with what everybody can read: the published key.
fn with_hmac(key: &SigningKey, payload: &str) -> String {
    let input = signing_input("HS256", key, payload);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_jwk().to_value().to_string().as_bytes());
    let tag = hmac::sign(&secret, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn signing_input(alg: &str, key: &SigningKey, payload: &str) -> String {
    let header = json!({"alg": alg, "kid": key.kid(), "typ": "JWT"}).to_string();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}
