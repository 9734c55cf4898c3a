//! Identity without keys: the metadata server, the token service that exchanges other platforms' tokens, and the two
//! calls of the IAM Service Account Credentials API that a delegated reader needs.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::token::{TOKEN_LIFE_S, refused};
use super::workspace::CLIENT_EMAIL;
use super::{AccessToken, GoogleAnswer, GoogleCall, GoogleFault, Rights, Shared, State};

/// The path of the metadata server's token.
pub(super) const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// The path of the token service.
pub(super) const STS_PATH: &str = "/v1/token";
/// Where the IAM Service Account Credentials API keeps accounts.
pub(super) const IAM_PREFIX: &str = "/v1/projects/-/serviceAccounts/";
/// The provider of the pool that is trusted.
pub(super) const AUDIENCE: &str = "//iam.googleapis.com/projects/445566/locations/global/workloadIdentityPools/portcullis/providers/cluster";
/// What the pool's platform gives to the machine that is trusted.
pub(super) const SUBJECT_TOKEN: &str = "subject.of.portcullis";
/// The type of that token.
pub(super) const SUBJECT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// Either of these must be among the scopes of whoever asks for a signature.
const IAM_SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/iam", "https://www.googleapis.com/auth/cloud-platform"];
/// The furthest end of a payload that is signed, in seconds.
const MAX_PAYLOAD_LIFE_S: i64 = 12 * 3600;

/// An access token of the machine's service account.
pub(super) fn metadata(shared: &Shared, state: &mut State) -> Value {
    let token = issue(shared, state, Rights::Sign);
    json!({ "access_token": token, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer" })
}

fn issue(shared: &Shared, state: &mut State, rights: Rights) -> String {
    let text = format!("ya29.c.{}", shared.surroundings.random_text());
    let until = shared.surroundings.now() + TOKEN_LIFE_S;
    state.remember_token(AccessToken { text: text.clone(), until, rights, consent_of: None });
    text
}

/// The exchange (RFC 8693).
pub(super) fn exchange(shared: &Shared, state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    let form: Vec<(String, String)> = form_urlencoded::parse(call.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:token-exchange")
        || field("requested_token_type") != Some("urn:ietf:params:oauth:token-type:access_token")
    {
        return refused(400, "invalid_request", "Invalid grant or requested token type.");
    }
    if field("audience") != Some(AUDIENCE) {
        return refused(400, "invalid_target", "The target service indicated by the audience is invalid.");
    }
    let known =
        field("subject_token") == Some(SUBJECT_TOKEN) && field("subject_token_type") == Some(SUBJECT_TYPE);
    if !known || state.faults.contains(&GoogleFault::IdentityUnknown) {
        return refused(400, "invalid_grant", "The given credential is rejected by the attribute condition.");
    }
    if !field("scope").is_some_and(|scope| scope.split(' ').any(|scope| IAM_SCOPES.contains(&scope))) {
        return refused(400, "invalid_scope", "Invalid OAuth scope.");
    }
    let token = issue(shared, state, Rights::Sign);
    GoogleAnswer::ok(json!({
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFE_S,
    }))
}

fn error(status: u16, kind: &str, message: &str) -> GoogleAnswer {
    GoogleAnswer {
        status,
        ..GoogleAnswer::ok(json!({ "error": { "code": status, "message": message, "status": kind } }))
    }
}

/// A call about one service account.
pub(super) fn iam(shared: &Shared, state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    let now = shared.surroundings.now();
    let bearer = call.authorization.and_then(|text| text.strip_prefix("Bearer "));
    let known =
        bearer.and_then(|text| state.tokens.iter().find(|known| known.text == text && known.until > now));
    let Some(rights) = known.map(|known| known.rights) else {
        return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    };
    let about = call.path.strip_prefix(IAM_PREFIX).and_then(|rest| rest.split_once(':'));
    let Some((account, method)) = about.filter(|_| call.method == "POST") else {
        return error(404, "NOT_FOUND", "Requested entity was not found.");
    };
    if account != CLIENT_EMAIL {
        return error(404, "NOT_FOUND", "Not found; Gaia id not found for email");
    }
    if rights != Rights::Sign || state.faults.contains(&GoogleFault::NotTokenCreator) {
        let why =
            format!("Permission 'iam.serviceAccounts.{method}' denied on resource (or it may not exist).");
        return error(403, "PERMISSION_DENIED", &why);
    }
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    match method {
        "generateAccessToken" => {
            let token = issue(shared, state, Rights::Sign);
            GoogleAnswer::ok(json!({ "accessToken": token, "expireTime": "2100-01-01T00:00:00Z" }))
        }
        "signJwt" => signed(shared, body.get("payload").and_then(Value::as_str).unwrap_or_default(), now),
        _ => error(404, "NOT_FOUND", "Method not found."),
    }
}

fn signed(shared: &Shared, payload: &str, now: i64) -> GoogleAnswer {
    let claims: Option<Value> = serde_json::from_str(payload).ok().filter(Value::is_object);
    let Some(claims) = claims else {
        return error(400, "INVALID_ARGUMENT", "The payload is no serialized JSON object.");
    };
    let until = claims.get("exp").and_then(Value::as_i64);
    if until.is_some_and(|until| until > now + MAX_PAYLOAD_LIFE_S) {
        return error(400, "INVALID_ARGUMENT", "The expiration time is more than 12 hours in the future.");
    }
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": shared.key_id });
    match shared.signer.sign_bytes(&header, payload.as_bytes()) {
        Ok(text) => GoogleAnswer::ok(json!({ "keyId": shared.key_id, "signedJwt": text })),
        Err(_) => error(500, "INTERNAL", "Internal error encountered."),
    }
}
