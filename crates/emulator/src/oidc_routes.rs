//! The provider's endpoints: metadata, keys, authorize, token, UserInfo.
//!
//! Here so that a relying party meets a provider that is strict where real ones are: redirect addresses to the byte,
//! PKCE S256 always, a code once and for a minute, client authentication.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State as Shares};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::certificate;
use portcullis_oidc::jwks::KeySet;
use portcullis_oidc::oauth_error::{ErrorCode, OAuthError};
use portcullis_oidc::pkce::{CodeChallenge, CodeVerifier};
use portcullis_oidc::token_endpoint::{MAX_TOKEN_FORM_BYTES, PresentedClient, TokenForm, verify_assertion};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::behaviour::Behaviour;
use crate::http_client;
use crate::oidc_answers;
use crate::oidc_provider::{Grant, RegisteredClient, Shared, State};
use crate::people::{Person, PersonState};

/// Life of a code, in seconds.
const CODE_LIFE_S: i64 = 60;
/// Life of an access token as it is told, in seconds.
const ACCESS_TOKEN_LIFE_S: i64 = 300;
/// Life of a pushed request as it is told, in seconds.
const PUSHED_LIFE_S: i64 = 60;
/// What a client of its own asks a token for.
const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";
/// Most people that the choice shows.
const MAX_SHOWN_PEOPLE: usize = 50;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize))
        .route("/par", post(push))
        .route("/token", post(token))
        .route("/end-session", get(end_session))
        .route("/userinfo", get(userinfo).post(userinfo));
    let routes = if shared.path.is_empty() { routes } else { Router::new().nest(&shared.path, routes) };
    let routes = routes.route("/v1.0/users/{object}/getMemberObjects", post(member_objects));
    routes.layer(DefaultBodyLimit::max(MAX_TOKEN_FORM_BYTES)).with_state(shared)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

async fn metadata(Shares(shared): Shares<Arc<Shared>>) -> Response {
    count(&shared.counters.discovery);
    json_answer(StatusCode::OK, &oidc_answers::metadata(&shared))
}

async fn jwks(Shares(shared): Shares<Arc<Shared>>) -> Response {
    count(&shared.counters.jwks);
    let kept = shared.lock().keys_kept.clone();
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, &kept)];
    (headers, oidc_answers::jwks(&shared).to_string()).into_response()
}

/// What an authorization request says.
struct Request(Vec<(String, String)>);

impl Request {
    fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

async fn authorize(Shares(shared): Shares<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    count(&shared.counters.authorize);
    let mut request = Request::parse(&query.unwrap_or_default());
    let mut state = shared.lock();
    if let Some(name) = request.find("request_uri") {
        let Some(pushed) = state.take_pushed(name) else {
            return (StatusCode::BAD_REQUEST, Html(page("Refused", "Nobody pushed this request.")))
                .into_response();
        };
        request = Request(pushed);
    }
    let redirect_uri = match redirect_uri(&state, &request) {
        Ok(redirect_uri) => redirect_uri,
        Err(why) => return (StatusCode::BAD_REQUEST, Html(page("Refused", why))).into_response(),
    };
    let challenge = match code_challenge(&request) {
        Ok(challenge) => challenge,
        Err(error) => return answer(&shared, &state, &request, redirect_uri, &error_parameters(&error)),
    };
    let person = match choose_person(&state, &request) {
        Choice::Person(person) => person,
        Choice::Refuse(code) => {
            let error = OAuthError::new(code, "nobody signs in");
            return answer(&shared, &state, &request, redirect_uri, &error_parameters(&error));
        }
        Choice::Show => return Html(choice_page(&shared.path, &state, &request)).into_response(),
    };
    let code = shared.surroundings.random_text();
    let grant = Grant {
        code: code.clone(),
        client_id: request.find("client_id").unwrap_or_default().to_owned(),
        redirect_uri: redirect_uri.to_string(),
        challenge,
        nonce: request.find("nonce").map(str::to_owned),
        acr: request.find("acr_values").and_then(|all| all.split(' ').next()).map(str::to_owned),
        person_id: person.id,
        granted_at: shared.surroundings.now(),
    };
    let response = answer(&shared, &state, &request, redirect_uri, &[("code", code)]);
    state.remember_grant(grant);
    response
}

/// A wrong client or address is told on a page: sending the browser there would make an open redirector.
fn redirect_uri(state: &State, request: &Request) -> Result<Url, &'static str> {
    let client_id = request.find("client_id").ok_or("The request names no client.")?;
    let client = find_client(state, client_id).ok_or("The client is not known.")?;
    let redirect_uri = request.find("redirect_uri").ok_or("The request names no redirect address.")?;
    if !client.redirect_uris.iter().any(|known| known == redirect_uri) {
        return Err("The redirect address is not registered for this client.");
    }
    Url::parse(redirect_uri).map_err(|_| "The redirect address is no URL.")
}

fn find_client<'a>(state: &'a State, id: &str) -> Option<&'a RegisteredClient> {
    state.clients.iter().find(|client| client.id == id)
}

fn code_challenge(request: &Request) -> Result<CodeChallenge, OAuthError> {
    if request.find("response_type") != Some("code") {
        return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "only `code` is supported"));
    }
    if !request.find("scope").unwrap_or_default().split(' ').any(|scope| scope == "openid") {
        return Err(OAuthError::new(ErrorCode::InvalidScope, "`openid` is missing"));
    }
    match (
        request.find("code_challenge_method"),
        request.find("code_challenge").and_then(CodeChallenge::parse),
    ) {
        (Some("S256"), Some(challenge)) => Ok(challenge),
        _ => Err(OAuthError::new(ErrorCode::InvalidRequest, "PKCE with S256 is required")),
    }
}

enum Choice {
    Person(Person),
    Refuse(ErrorCode),
    Show,
}

fn choose_person(state: &State, request: &Request) -> Choice {
    if state.behaviour == Behaviour::AccessDenied {
        return Choice::Refuse(ErrorCode::AccessDenied);
    }
    let hints = [request.find("person"), request.find("login_hint"), state.signed_in.as_deref()];
    let person = hints.into_iter().flatten().find_map(|hint| state.company.find_person(hint));
    match person {
        Some(person) if person.state == PersonState::Active => Choice::Person(person.clone()),
        Some(_) => Choice::Refuse(ErrorCode::AccessDenied),
        None if request.find("prompt") == Some("none") => Choice::Refuse(ErrorCode::LoginRequired),
        None => Choice::Show,
    }
}

fn error_parameters(error: &OAuthError) -> [(&'static str, String); 2] {
    [("error", error.error.to_string()), ("error_description", error.description.clone().unwrap_or_default())]
}

/// Sends the browser back, with `state` and `iss` (RFC 9207) as the behaviour has them.
fn answer(
    shared: &Shared,
    state: &State,
    request: &Request,
    mut redirect_uri: Url,
    parameters: &[(&str, String)],
) -> Response {
    let issuer = match state.behaviour {
        Behaviour::MixUpIss => Some(oidc_answers::other_issuer()),
        Behaviour::MissingIss => None,
        _ => Some(shared.issuer.as_str()),
    };
    let echoed = match state.behaviour {
        Behaviour::WrongState => Some("of-another-browser"),
        _ => request.find("state"),
    };
    let bound = [("state", echoed), ("iss", issuer)];
    let bound = bound.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let all: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).chain(bound).collect();
    if request.find("response_mode") == Some("form_post") {
        return Html(form_page(&redirect_uri, &all)).into_response();
    }
    redirect_uri.query_pairs_mut().extend_pairs(&all);
    let headers = [(LOCATION, redirect_uri.to_string()), (CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Takes a request before its browser comes (RFC 9126 §2).
async fn push(Shares(shared): Shares<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    count(&shared.counters.pushed);
    let pushed = async {
        let form = proven(&shared, &headers, &body).await?;
        let named = Request::parse(&String::from_utf8_lossy(&body));
        if named.find("client_id").is_some_and(|id| id != form.client.id()) {
            return Err(OAuthError::new(ErrorCode::InvalidRequest, "the request is of another client"));
        }
        let name = format!("urn:ietf:params:oauth:request_uri:{}", shared.surroundings.random_text());
        shared.lock().remember_pushed(name.clone(), named.0);
        Ok(json!({ "request_uri": name, "expires_in": PUSHED_LIFE_S }))
    };
    answered(StatusCode::CREATED, pushed.await)
}

async fn token(Shares(shared): Shares<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    count(&shared.counters.token);
    let exchanged = async {
        let form = proven(&shared, &headers, &body).await?;
        tokens(&shared, &form)
    };
    answered(StatusCode::OK, exchanged.await)
}

fn answered(status: StatusCode, result: Result<Value, OAuthError>) -> Response {
    match result {
        Ok(body) => json_answer(status, &body),
        Err(error) if error.error == ErrorCode::InvalidClient => {
            let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"token\"")];
            (challenge, json_answer(StatusCode::UNAUTHORIZED, &error.to_value())).into_response()
        }
        Err(error) => json_answer(StatusCode::BAD_REQUEST, &error.to_value()),
    }
}

/// The form of a client that proved itself in the way that it is registered with.
async fn proven(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<TokenForm, OAuthError> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = TokenForm::parse(authorization, body)?;
    let refused = |why: &str| OAuthError::new(ErrorCode::InvalidClient, why);
    let client = find_client(&shared.lock(), form.client.id()).cloned();
    let client = client.ok_or_else(|| refused("the client is not known"))?;
    match (&form.client, &client.jwks_uri) {
        (PresentedClient::WithAssertion { assertion, .. }, Some(jwks_uri)) => {
            let handed = shared.lock().certificates.get(&client.id).cloned();
            let keys = match handed {
                Some(certificates) => certified_keys(&certificates, assertion.expose_secret()),
                None => client_keys(jwks_uri).await,
            };
            let keys = keys.ok_or_else(|| refused("the client has no such key"))?;
            let token_endpoint = format!("{}/token", shared.issuer);
            let audiences = [shared.issuer.as_str(), token_endpoint.as_str()];
            let now = shared.surroundings.now();
            let jti = verify_assertion(assertion, &keys, (&client.id, &audiences), now)?;
            if !shared.lock().use_assertion(jti) {
                return Err(refused("the assertion was used before"));
            }
        }
        (presented, None) if presented.has_secret(&client.secret) => {}
        _ => return Err(refused("the client did not prove itself as it is registered")),
    }
    Ok(form)
}

/// The keys that a client publishes. They are read each time, so that a new one counts at once.
async fn client_keys(jwks_uri: &str) -> Option<KeySet> {
    let url = http_client::parse_url(jwks_uri).ok()?;
    let response = http_client::client().ok()?.get(url).send().await.ok()?;
    KeySet::parse(&http_client::bounded_body(response).await.ok()?).ok()
}

/// The key of the certificate that an assertion's header names: of what was handed over, and of nothing else.
fn certified_keys(handed: &[Vec<u8>], assertion: &str) -> Option<KeySet> {
    let header = URL_SAFE_NO_PAD.decode(assertion.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let named = URL_SAFE_NO_PAD.decode(header.get("x5t")?.as_str()?).ok()?;
    let der = handed.iter().find(|der| certificate::thumbprint(der) == named)?;
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let PublicKey::RSA(rsa) = certificate.public_key().parsed().ok()? else { return None };
    let [n, e] = [rsa.modulus, rsa.exponent].map(|number| URL_SAFE_NO_PAD.encode(number));
    let key = json!({ "kty": "RSA", "n": n, "e": e, "kid": header.get("kid") });
    KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).ok()
}

/// The end of the session that the browser has here: it is sent back at once.
async fn end_session(Shares(shared): Shares<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let request = Request::parse(&query.unwrap_or_default());
    shared.lock().signed_in = None;
    let back = request.find("post_logout_redirect_uri").and_then(|text| Url::parse(text).ok());
    let Some(mut back) = back else {
        return Html(page("Signed out", "")).into_response();
    };
    if let Some(state) = request.find("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    (StatusCode::SEE_OTHER, [(LOCATION, back.to_string())]).into_response()
}

fn tokens(shared: &Shared, form: &TokenForm) -> Result<Value, OAuthError> {
    if form.find("grant_type") == Some("client_credentials") {
        return own_token(shared, form);
    }
    let (grant, person) = redeem(shared, form)?;
    let access_token = shared.surroundings.random_text();
    let id_token = oidc_answers::id_token(shared, &grant, &person, &access_token)
        .map_err(|_| OAuthError::new(ErrorCode::ServerError, "the token could not be signed"))?;
    shared.lock().remember_access_token(access_token.clone(), person.id);
    Ok(json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFE_S,
        "id_token": id_token,
        "scope": "openid email profile groups",
    }))
}

/// A token of the client's own (RFC 6749 §4.4), for Graph.
fn own_token(shared: &Shared, form: &TokenForm) -> Result<Value, OAuthError> {
    let mut state = shared.lock();
    if form.find("scope") != Some(GRAPH_SCOPE) {
        return Err(OAuthError::new(ErrorCode::InvalidScope, "only Graph is asked so"));
    }
    let access_token = shared.surroundings.random_text();
    state.remember_access_token(access_token.clone(), GRAPH_SCOPE.to_owned());
    Ok(json!({ "access_token": access_token, "token_type": "Bearer", "expires_in": ACCESS_TOKEN_LIFE_S }))
}

/// Microsoft Graph's `getMemberObjects`, as far as a relying party sees it.
async fn member_objects(
    Shares(shared): Shares<Arc<Shared>>,
    Path(object): Path<String>,
    headers: HeaderMap,
) -> Response {
    count(&shared.counters.graph);
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let state = shared.lock();
    let may_ask =
        presented.and_then(|token| state.find_token_holder(token)).is_some_and(|h| h == GRAPH_SCOPE);
    match (may_ask, state.graph.get(&object)) {
        (false, _) => json_answer(
            StatusCode::UNAUTHORIZED,
            &json!({ "error": { "code": "InvalidAuthenticationToken" } }),
        ),
        (true, None) => {
            json_answer(StatusCode::FORBIDDEN, &json!({ "error": { "code": "Authorization_RequestDenied" } }))
        }
        (true, Some(answer)) => json_answer(StatusCode::OK, answer),
    }
}

fn redeem(shared: &Shared, form: &TokenForm) -> Result<(Grant, Person), OAuthError> {
    let refused = |why: &str| OAuthError::new(ErrorCode::InvalidGrant, why);
    let mut state = shared.lock();
    if form.find("grant_type") != Some("authorization_code") {
        return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "only codes are exchanged"));
    }
    let code = form.find("code").ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "no code"))?;
    let grant = state.take_grant(code).ok_or_else(|| refused("the code is unknown or used"))?;
    if state.behaviour == Behaviour::CodeRefused {
        return Err(refused("as told"));
    }
    if shared.surroundings.now() - grant.granted_at > CODE_LIFE_S {
        return Err(refused("the code is too old"));
    }
    if grant.client_id != form.client.id() {
        return Err(refused("the code is of another client"));
    }
    if form.find("redirect_uri") != Some(grant.redirect_uri.as_str()) {
        return Err(refused("the redirect address is not the one of the request"));
    }
    let verifier = form.find("code_verifier").and_then(CodeVerifier::parse);
    if !verifier.is_some_and(|verifier| grant.challenge.is_of(&verifier)) {
        return Err(refused("the code verifier is wrong"));
    }
    let person =
        state.company.find_person(&grant.person_id).cloned().ok_or_else(|| refused("the person is gone"))?;
    Ok((grant, person))
}

async fn userinfo(Shares(shared): Shares<Arc<Shared>>, headers: HeaderMap) -> Response {
    count(&shared.counters.userinfo);
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let person = presented.and_then(|token| {
        let state = shared.lock();
        let person_id = state.find_token_holder(token)?;
        state.company.find_person(&person_id).cloned()
    });
    match person {
        Some(person) => json_answer(StatusCode::OK, &oidc_answers::userinfo(&shared, &person)),
        None => {
            let error = OAuthError::new(ErrorCode::InvalidToken, "the access token is not known");
            let challenge = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
            (challenge, json_answer(StatusCode::UNAUTHORIZED, &error.to_value())).into_response()
        }
    }
}

/// The choice of a person: plain links, each the same request with `person` beside it.
fn choice_page(path: &str, state: &State, request: &Request) -> String {
    let mut links = String::new();
    for person in state.company.people.iter().take(MAX_SHOWN_PEOPLE) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&request.0).append_pair("person", &person.id);
        let target = escaped(&format!("{path}/authorize?{}", query.finish()));
        let label = escaped(&format!("{} ({})", person.display_name(), person.email));
        // Writing to a `String` cannot fail.
        let _ = write!(links, "<li><a href=\"{target}\">{label}</a></li>");
    }
    page("Who signs in?", &format!("<ul>{links}</ul>"))
}

/// An answer that the browser posts; a person without scripts presses its button.
fn form_page(action: &Url, fields: &[(&str, &str)]) -> String {
    let mut body = format!("<form method=\"post\" action=\"{}\">", escaped(action.as_str()));
    for (name, value) in fields {
        // Writing to a `String` cannot fail.
        let _ = write!(body, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value));
    }
    page("Continue", &format!("{body}<button>Continue</button></form>"))
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <h1>{title}</h1><p>This identity provider is a stand-in for demonstrations and tests.</p>{body}</html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
