//! The page on which an account consents, and what a web server's client gets by it: the authorization endpoint, the
//! grants of codes and refresh tokens, and the revocation endpoint, as Google documents them.

use portcullis_oidc::pkce::{CodeChallenge, CodeVerifier};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::token::{SCOPES, TOKEN_LIFE_S, refused};
use super::workspace::Workspace;
use super::{AccessToken, GoogleAnswer, GoogleCall, GoogleFault, Rights, Shared, State};

/// The path of the authorization endpoint.
pub(super) const CONSENT_PATH: &str = "/o/oauth2/v2/auth";
/// The path of the revocation endpoint.
pub(super) const REVOKE_PATH: &str = "/revoke";
/// The id of the one OAuth client.
pub(super) const CLIENT_ID: &str = "445566778899-acme.apps.googleusercontent.com";
/// Seconds for which a code is good.
const CODE_LIFE_S: i64 = 600;
/// Most codes and consents remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 1_000;
/// Whose word an ID token is.
const ISSUER: &str = "https://accounts.google.com";
/// How the answer calls the scope `email`.
const EMAIL_ANSWERED: &str = "https://www.googleapis.com/auth/userinfo.email";

/// What somebody does on the page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoogleChoice {
    /// The account that they choose, by address; one of another customer too.
    pub account: String,
    /// The scopes whose boxes they take the tick from.
    pub unticked: Vec<String>,
    /// Whether they cancel.
    pub cancels: bool,
}

/// A code that waits to be exchanged.
pub(super) struct Code {
    text: String,
    until: i64,
    redirect_uri: String,
    challenge: Option<CodeChallenge>,
    nonce: Option<String>,
    account: String,
    scopes: Vec<String>,
    is_offline: bool,
}

/// A consent that stands.
pub(super) struct Standing {
    refresh: String,
    account: String,
    scopes: Vec<String>,
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> Option<&'f str> {
    form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn parsed(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The page, or where its form leads.
pub(super) fn page(shared: &Shared, state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    let query = parsed(call.query.as_bytes());
    let asked = |name: &str| field(&query, name).unwrap_or_default();
    let bad =
        |why: &str| GoogleAnswer { status: 400, ..GoogleAnswer::page(format!("<h1>Error 400</h1>{why}")) };
    if asked("client_id") != CLIENT_ID {
        return bad("invalid_client: The OAuth client was not found.");
    }
    if !state.redirect_uris.iter().any(|known| known == asked("redirect_uri")) {
        return bad("redirect_uri_mismatch");
    }
    if asked("response_type") != "code" || asked("state").is_empty() {
        return bad("invalid_request");
    }
    if call.method == "GET" {
        return GoogleAnswer::page(form_page(&state.workspace, asked("scope")));
    }
    let form = parsed(call.body);
    let choice = GoogleChoice {
        account: field(&form, "account").unwrap_or_default().to_owned(),
        unticked: asked("scope")
            .split(' ')
            .filter(|scope| SCOPES.contains(scope) && !form.iter().any(|(n, v)| n == "scope" && v == scope))
            .map(str::to_owned)
            .collect(),
        cancels: field(&form, "cancel").is_some(),
    };
    chosen(shared, state, &query, &choice)
}

fn form_page(workspace: &Workspace, scope: &str) -> String {
    use std::fmt::Write as _;
    let mut page = String::from("<h1>Choose an account</h1><form method=\"post\">");
    for person in workspace.people.iter().filter(|person| person.deleted_at.is_none()) {
        let _ = write!(page, "<button name=\"account\" value=\"{0}\">{0}</button>", person.primary_email);
    }
    for scope in scope.split(' ').filter(|scope| SCOPES.contains(scope)) {
        let _ = write!(page, "<input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked>");
    }
    page.push_str("<button name=\"cancel\" value=\"1\">Cancel</button></form>");
    page
}

/// Where the browser is sent after what was chosen.
pub(super) fn chosen(
    shared: &Shared,
    state: &mut State,
    query: &[(String, String)],
    choice: &GoogleChoice,
) -> GoogleAnswer {
    let asked = |name: &str| field(query, name).unwrap_or_default();
    let Ok(mut back) = Url::parse(asked("redirect_uri")) else {
        return GoogleAnswer { status: 400, ..GoogleAnswer::page("redirect_uri_mismatch".to_owned()) };
    };
    let error = if state.faults.contains(&GoogleFault::AdminPolicy) {
        Some("admin_policy_enforced")
    } else {
        choice.cancels.then_some("access_denied")
    };
    back.query_pairs_mut().append_pair("state", asked("state"));
    if let Some(error) = error {
        back.query_pairs_mut().append_pair("error", error);
        return GoogleAnswer::onward(back.to_string());
    }
    let text = format!("4/{}", shared.surroundings.random_text());
    let scopes = asked("scope").split(' ').filter(|scope| !choice.unticked.iter().any(|u| u == scope));
    let code = Code {
        text: text.clone(),
        until: shared.surroundings.now() + CODE_LIFE_S,
        redirect_uri: asked("redirect_uri").to_owned(),
        challenge: CodeChallenge::parse(asked("code_challenge")),
        nonce: field(query, "nonce").map(str::to_owned),
        account: choice.account.clone(),
        scopes: scopes.map(str::to_owned).collect(),
        is_offline: asked("access_type") == "offline",
    };
    state.codes.push_back(code);
    if state.codes.len() > MAX_REMEMBERED {
        state.codes.pop_front();
    }
    back.query_pairs_mut().append_pair("code", &text).append_pair("scope", asked("scope"));
    GoogleAnswer::onward(back.to_string())
}

/// The grants of a web server's client.
pub(super) fn grant(shared: &Shared, state: &mut State, form: &[(String, String)]) -> GoogleAnswer {
    let said = |name: &str| field(form, name).unwrap_or_default();
    if said("client_id") != CLIENT_ID || said("client_secret") != shared.client_secret {
        return refused(401, "invalid_client", "The provided client secret is invalid.");
    }
    match said("grant_type") {
        "authorization_code" => exchanged(shared, state, form),
        _ => refreshed(shared, state, said("refresh_token")),
    }
}

fn exchanged(shared: &Shared, state: &mut State, form: &[(String, String)]) -> GoogleAnswer {
    let said = |name: &str| field(form, name).unwrap_or_default();
    let now = shared.surroundings.now();
    // Good for one use, whatever comes of it.
    let found = state.codes.iter().position(|code| code.text == said("code"));
    let Some(code) = found.and_then(|index| state.codes.remove(index)).filter(|code| now < code.until) else {
        return refused(400, "invalid_grant", "Malformed auth code.");
    };
    if code.redirect_uri != said("redirect_uri") {
        return refused(400, "redirect_uri_mismatch", "Bad Request");
    }
    let proven = code.challenge.as_ref().is_none_or(|challenge| {
        CodeVerifier::parse(said("code_verifier")).is_some_and(|verifier| challenge.is_of(&verifier))
    });
    if !proven {
        return refused(400, "invalid_grant", "Invalid code verifier.");
    }
    let mut scopes = code.scopes.clone();
    for scope in &mut scopes {
        if scope == "email" {
            EMAIL_ANSWERED.clone_into(scope);
        }
    }
    if state.faults.contains(&GoogleFault::MoreScopes) {
        scopes.push("https://www.googleapis.com/auth/admin.directory.user".to_owned());
    }
    let access = issue(shared, state, &code.account);
    let mut answer = json!({
        "access_token": access,
        "expires_in": TOKEN_LIFE_S,
        "token_type": "Bearer",
        "scope": scopes.join(" "),
        "id_token": id_token(shared, state, &code, now),
    });
    if code.is_offline && !state.faults.contains(&GoogleFault::NoRefreshToken) {
        let refresh = format!("1//{}", shared.surroundings.random_text());
        if let Value::Object(answer) = &mut answer {
            answer.insert("refresh_token".to_owned(), refresh.clone().into());
        }
        state.standing.push_back(Standing { refresh, account: code.account, scopes });
        if state.standing.len() > MAX_REMEMBERED {
            state.standing.pop_front();
        }
    }
    GoogleAnswer::ok(answer)
}

fn refreshed(shared: &Shared, state: &mut State, refresh: &str) -> GoogleAnswer {
    let standing = state.standing.iter().find(|standing| standing.refresh == refresh);
    let alive = standing.filter(|s| !state.workspace.find_person(&s.account).is_some_and(|p| p.suspended));
    let Some((account, scope)) = alive.map(|s| (s.account.clone(), s.scopes.join(" "))) else {
        return refused(400, "invalid_grant", "Token has been expired or revoked.");
    };
    let access = issue(shared, state, &account);
    GoogleAnswer::ok(json!({
        "access_token": access, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer", "scope": scope,
    }))
}

/// An access token of that account.
fn issue(shared: &Shared, state: &mut State, account: &str) -> String {
    let is_admin = state.workspace.find_person(account).is_some_and(|person| person.is_admin);
    let rights = if is_admin { Rights::Directory } else { Rights::None };
    let text = format!("ya29.{}", shared.surroundings.random_text());
    let until = shared.surroundings.now() + TOKEN_LIFE_S;
    let consent_of = Some(account.to_owned());
    state.remember_token(AccessToken { text: text.clone(), until, rights, consent_of });
    text
}

fn id_token(shared: &Shared, state: &State, code: &Code, now: i64) -> Option<String> {
    let domain = code.account.rsplit_once('@').map(|(_, domain)| domain);
    let claims = json!({
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "azp": CLIENT_ID,
        "sub": state.workspace.find_person(&code.account).map_or("109", |person| person.id.as_str()),
        "email": code.account,
        "email_verified": true,
        // Accounts of consumers belong to no Workspace.
        "hd": domain.filter(|domain| *domain != "gmail.com"),
        "nonce": code.nonce,
        "iat": now,
        "exp": now + TOKEN_LIFE_S,
    });
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": shared.key_id });
    shared.signer.sign_bytes(&header, claims.to_string().as_bytes()).ok()
}

/// The revocation endpoint: by either token, everything that the account ever gave this client ends.
pub(super) fn revoke(state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    let form = parsed(call.body);
    let token = field(&form, "token").unwrap_or_default();
    let refresh = state.standing.iter().find(|s| s.refresh == token).map(|s| s.account.clone());
    let access = || state.tokens.iter().find(|t| t.text == token).and_then(|t| t.consent_of.clone());
    let Some(account) = refresh.or_else(access) else {
        return refused(400, "invalid_token", "Token expired or revoked");
    };
    state.standing.retain(|standing| standing.account != account);
    state.tokens.retain(|known| known.consent_of.as_ref() != Some(&account));
    GoogleAnswer::ok(json!({}))
}
