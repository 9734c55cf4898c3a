//! The token endpoint: what an assertion of a service account must say, and who signed it (RFC 7523 as Google documents
//! it). The other grants are those of consents. As strict as Google, so that a poller that is let in here is let in there.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::workspace::CLIENT_EMAIL;
use super::{AccessToken, GoogleAnswer, GoogleCall, GoogleFault, Rights, Shared, State, consent};

/// The grant (RFC 7523 §2.1).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What the administrator granted to the service account.
pub(super) const SCOPES: [&str; 4] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.member.readonly",
    "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
];
/// The longest life of an assertion, in seconds.
const MAX_LIFE_S: i64 = 3600;
/// How far clocks may differ, in seconds.
const MAX_SKEW_S: i64 = 300;
/// How long an access token serves, in seconds.
pub(super) const TOKEN_LIFE_S: i64 = 3599;

pub(super) fn refused(status: u16, error: &str, why: &str) -> GoogleAnswer {
    let body = json!({ "error": error, "error_description": why });
    GoogleAnswer { status, ..GoogleAnswer::ok(body) }
}

pub(super) fn issue(shared: &Shared, state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    if call.method != "POST" {
        return refused(404, "not_found", "only POST");
    }
    let form: Vec<(String, String)> = form_urlencoded::parse(call.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match field("grant_type") {
        Some(GRANT) => {}
        Some("authorization_code" | "refresh_token") => return consent::grant(shared, state, &form),
        _ => return refused(400, "unsupported_grant_type", "Invalid grant_type"),
    }
    let Some(claims) = field("assertion").and_then(|text| verified(shared, text)) else {
        return refused(400, "invalid_grant", "Invalid JWT Signature.");
    };
    if state.faults.contains(&GoogleFault::KeyDeleted) {
        return refused(400, "invalid_grant", "Invalid JWT Signature.");
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    let now = shared.surroundings.now();
    let (iat, exp) = (number("iat"), number("exp"));
    if iat > now + MAX_SKEW_S || exp <= now - MAX_SKEW_S || exp - iat > MAX_LIFE_S {
        let why =
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
        return refused(400, "invalid_grant", why);
    }
    if text("iss") != CLIENT_EMAIL {
        return refused(400, "invalid_grant", "Invalid grant: account not found");
    }
    if text("aud") != shared.token_url {
        return refused(400, "invalid_grant", "Invalid JWT: Failed audience check.");
    }
    let Some(subject) = state.workspace.find_person(text("sub")).filter(|person| !person.suspended) else {
        return refused(400, "invalid_grant", "Invalid email or User ID");
    };
    let rights = if subject.is_admin { Rights::Directory } else { Rights::None };
    let scopes: Vec<&str> = text("scope").split(' ').filter(|scope| !scope.is_empty()).collect();
    let granted = !scopes.is_empty() && scopes.iter().all(|scope| SCOPES.contains(scope));
    if state.faults.contains(&GoogleFault::NotDelegated) || !granted {
        let why = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for \
                   any of the scopes requested.";
        return refused(401, "unauthorized_client", why);
    }
    let token = format!("ya29.{}", shared.surroundings.random_text());
    state.remember_token(AccessToken {
        text: token.clone(),
        until: now + TOKEN_LIFE_S,
        rights,
        consent_of: None,
    });
    GoogleAnswer::ok(json!({ "access_token": token, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer" }))
}

/// The claims of an assertion that this service account's key signed with RS256.
fn verified(shared: &Shared, assertion: &str) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    let named = header.get("kid").and_then(Value::as_str);
    if header.get("alg")?.as_str()? != "RS256" || named.is_some_and(|kid| kid != shared.key_id) {
        return None;
    }
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &shared.public_key);
    key.verify(signed.as_bytes(), &decoded(signature)?).ok()?;
    serde_json::from_slice(&decoded(payload)?).ok()
}
