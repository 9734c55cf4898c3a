//! Sign-in by identity providers: the addresses that browsers and providers call.

pub mod oidc;
pub mod organization;
pub mod saml;
pub mod turn;

use std::fmt;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::Response;
use maud::html;
use portcullis_domain::connection::ConnectionKind;
use portcullis_domain::id::{ConnectionId, RequestId};
use portcullis_service::ServiceError;
use portcullis_service::noun::Noun;
use portcullis_service::refusal::SignInRefusal;
use portcullis_service::sign_in::arriving::{self as arrivals, Proven};
use portcullis_service::sign_in::{Refused, Visitor, Whom, admit_source, own_membership, return_path};
use serde::{Deserialize, Serialize};

use self::turn::Entered;
use crate::pages::form::Guest;
use crate::pages::sign_in::arrived;
use crate::pages::{Forms, failure, onward, page};
use crate::{App, cookie, whole};

/// The longest hint of who signs in, in bytes: an address.
const MAX_HINT: usize = 254;

/// What a form is.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// What `account` says where the person shall choose one at the provider.
const CHOSEN: &str = "chosen";

/// What a sign-in is begun with.
#[derive(Debug, Deserialize)]
struct Begin {
    login_hint: Option<String>,
    return_to: Option<String>,
    account: Option<String>,
}

/// The form that links a connection has no fields: whose it is follows from the session.
#[derive(Debug, Deserialize)]
struct Nothing {}

fn id(text: &str) -> Result<ConnectionId, ServiceError> {
    text.parse().map_err(|_| ServiceError::NotFound(Noun::Connection))
}

/// The body of a form that somebody else posts, or their page has the browser post.
async fn form_of(request: Request, max_bytes: usize) -> Result<Bytes, &'static str> {
    let (parts, body): (_, Body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|k| !k.trim().eq_ignore_ascii_case(FORM_TYPE)) {
        return Err("This address takes forms only.");
    }
    whole::read(&parts.headers, body, max_bytes).await.map_err(|unread| {
        let (.., message) = unread.page();
        message
    })
}

/// The page of somebody who signed out.
fn signed_out(words: &str) -> Response {
    let body = html! {
        p { (words) }
        p { a href="/login" { "Sign in again" } }
    };
    page(StatusCode::OK, "You are signed out", Forms::Here, &body)
}

/// The page of somebody whom their provider sends back after they signed out here, with an answer that cannot be used. Nothing
/// of it is believed, and none of it takes back that they are signed out; who has signed in again since is told that.
async fn back_untold(app: &App, guest: &Guest, connection: &str) -> Response {
    let presented = guest.visitor.presented.clone();
    let signed_in = async { own_membership(app.portcullis(), id(connection)?, presented).await };
    if signed_in.await.is_ok() {
        return onward("/", []);
    }
    signed_out("You are signed out here. Whether your identity provider signed you out could not be told.")
}

/// What a proven person's browser comes with.
#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

/// The visitor of an address that a provider's page posts to: bound by the cookies that cross sites.
fn crossing(guest: &Guest) -> Visitor {
    Visitor { bound: guest.crossing.clone(), ..guest.visitor.clone() }
}

/// What a browser is sent on with whose sign-in was another's, was used up, or came too late.
#[derive(Debug, Serialize, Deserialize)]
struct Again {
    /// Why it was refused.
    refused: String,
    /// The request that was.
    request: String,
    /// Where it would have led.
    return_to: String,
}

/// The way in by a connection, as an address of ours names it.
#[derive(Debug, Clone, Copy)]
struct Way<'c> {
    connection: &'c str,
    kind: ConnectionKind,
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/sso/{}/{}", self.kind.as_str(), self.connection)
    }
}

impl Way<'_> {
    /// The answer to a sign-in that was refused. One that says nothing of who came, such as of a tab that another one took
    /// the place of, goes on by GET: only then a browser brings the session that it may have by now.
    fn turned_away(self, refused: Refused, request: RequestId) -> Response {
        let Refused { error, return_to } = refused;
        let return_to = return_to.unwrap_or_else(|| "/".to_owned());
        let login = |account| self.login_path(&return_to, account);
        match &error {
            // The account that was refused has a session at the provider, and would be taken again.
            ServiceError::SignIn(refusal) if refusal.is_of_the_account() => {
                return failure::begun_at(&login(Whom::Chosen), &error, request);
            }
            ServiceError::SignIn(SignInRefusal::SessionOver) => {
                return failure::begun_at(&login(Whom::Usual), &error, request);
            }
            // Who links a connection begins where the links are.
            ServiceError::SignIn(SignInRefusal::SubjectTaken) => {
                return failure::begun_at("/", &error, request);
            }
            _ if SignInRefusal::of_another_sign_in(error.code()).is_none() => {
                return failure::of(&error, request);
            }
            _ => {}
        }
        let again = Again { refused: error.code().to_owned(), request: request.to_string(), return_to };
        let query = serde_urlencoded::to_string(&again).unwrap_or_default();
        onward(&format!("{self}/again?{query}"), [])
    }

    /// Sends somebody on who is signed in at the organization already, and shows everybody else what was refused, with
    /// the way to begin once more.
    async fn again(self, app: &App, guest: Guest, came: &Again) -> Response {
        let request = came.request.parse().unwrap_or(guest.visitor.request);
        let looked_at = async {
            admit_source(app.portcullis(), guest.visitor.source)?;
            let return_to = return_path(Some(&came.return_to))?;
            let refusal = SignInRefusal::of_another_sign_in(&came.refused);
            let refusal =
                refusal.ok_or_else(|| ServiceError::invalid("refused", "is no code of a sign-in"))?;
            let presented = guest.visitor.presented.clone();
            let signed_in = own_membership(app.portcullis(), id(self.connection)?, presented).await;
            Ok::<_, ServiceError>((return_to, refusal, signed_in))
        };
        let (return_to, refusal) = match looked_at.await {
            Ok((return_to, _, Ok(_))) => return onward(&return_to, []),
            Ok((return_to, refusal, Err(ServiceError::SignIn(_)))) => (return_to, refusal),
            Ok((.., Err(error))) | Err(error) => return failure::of(&error, request),
        };
        failure::begun_at(&self.login_path(&return_to, Whom::Usual), &refusal.into(), request)
    }

    /// Where a sign-in at that connection begins.
    fn login_path(self, return_to: &str, account: Whom) -> String {
        let mut with = vec![("return_to", return_to)];
        if account == Whom::Chosen {
            with.push(("account", CHOSEN));
        }
        let with = serde_urlencoded::to_string(with).unwrap_or_default();
        format!("{self}/login?{with}")
    }

    /// Sends the browser of somebody who is proven on to where they are let in.
    fn arriving(self, app: &App, proven: &Proven) -> Response {
        onward(&self.arrive_path(&proven.ticket), [cookie::set_binding(app, &proven.binding)])
    }

    /// Where a proven person is let in.
    fn arrive_path(self, ticket: &str) -> String {
        let ticket = serde_urlencoded::to_string([("ticket", ticket)]).unwrap_or_default();
        format!("{self}/arrive?{ticket}")
    }

    /// Lets in whom a provider has proven by a form.
    async fn arrive(self, app: &App, guest: Guest, came: &Ticket) -> Response {
        let request = guest.visitor.request;
        let connection = match id(self.connection) {
            Ok(connection) => connection,
            Err(error) => return failure::of(&error, request),
        };
        let turn = match turn::enter(app, &guest).await {
            Entered::Go(turn) => turn,
            Entered::Again => {
                let way = Way { connection: &connection.to_string(), kind: self.kind };
                return onward(&way.arrive_path(&came.ticket), []);
            }
        };
        let named = (connection, self.kind);
        match arrivals::arrive(app.portcullis(), named, &came.ticket, crossing(&guest)).await {
            Ok(done) => {
                turn.came_in(&done.session, app.portcullis().now());
                arrived(app, &done.session, &done.return_to)
            }
            Err(refused) => self.turned_away(refused, request),
        }
    }
}

/// The routes of an organization's own address and of every protocol.
pub fn routes() -> Router<App> {
    organization::routes().merge(oidc::routes()).merge(saml::routes())
}
