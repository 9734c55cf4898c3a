//! What a person sees when something is refused: one page, in plain words, with the id that their administrator needs.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use maud::html;
use portcullis_domain::id::RequestId;
use portcullis_saml::response::UNSOLICITED;
use portcullis_service::ServiceError;
use portcullis_service::error::Taken;
use portcullis_service::refusal::SignInRefusal;

use super::{Forms, page};
use crate::error::{Inside, outside, status};

/// Where a sign-in begins for whoever names no connection.
const LOGIN: &str = "/login";

/// The words for a person. What an identity provider said stays in the trace.
fn words(error: &ServiceError) -> String {
    match error {
        ServiceError::SignIn(refusal) => of_sign_in(refusal),
        ServiceError::Consent(refusal) => format!("The consent was not taken: {refusal}. {}", refusal.advice()),
        ServiceError::LinkInvalid => {
            "This link is unknown, was used, or ran out. If you have joined already, sign in. Else ask whoever sent it for \
             a new one."
                .to_owned()
        }
        ServiceError::Taken(Taken::Member) => {
            "You are a member of this organization already. Sign in with the password that you typed, and the address at \
             which you chose it."
                .to_owned()
        }
        ServiceError::TooMany { retry_after_s } => {
            format!("Too many attempts. Try again in {retry_after_s} seconds.")
        }
        other => outside(other),
    }
}

/// The words for a sign-in that was refused.
fn of_sign_in(refusal: &SignInRefusal) -> String {
    match refusal {
        SignInRefusal::Protocol(broken) if broken.code == UNSOLICITED => {
            "A sign-in that begins at your identity provider is not taken here. Begin it here instead.".to_owned()
        }
        SignInRefusal::Protocol(_) | SignInRefusal::Unreachable { .. } => {
            "Your identity provider's answer could not be used. Try again; if it stays like this, your \
             administrator finds the reason under the request id."
                .to_owned()
        }
        SignInRefusal::State
        | SignInRefusal::TooLate
        | SignInRefusal::Replayed
        | SignInRefusal::ConnectionChanged => {
            "This sign-in was not begun in this browser, was finished already, or took too long. Begin again."
                .to_owned()
        }
        SignInRefusal::WrongPassword => "The e-mail address or the password is wrong.".to_owned(),
        SignInRefusal::ChoiceInvalid => {
            "That took too long, or this browser takes no cookies from here. Sign in again.".to_owned()
        }
        SignInRefusal::OwnSessionOnly => {
            "Your role is more than this provider may give. Sign in with your password, then link this connection \
             from the page that you land on."
                .to_owned()
        }
        SignInRefusal::PasswordSeenBelow => {
            "Somebody else saw the link by which your password was chosen, and your role is more than theirs was. Sign \
             in by your identity provider, or ask somebody who has your role to vouch for you."
                .to_owned()
        }
        SignInRefusal::SessionOver => {
            "Your session at your identity provider was over before you came in. Begin again.".to_owned()
        }
        SignInRefusal::LinkingSessionOver => {
            "The session that you began from is over, so nothing was linked. Sign in, then link the connection again."
                .to_owned()
        }
        SignInRefusal::SubjectTaken => {
            "This account at your identity provider is linked to somebody else here. Sign in there with an account of \
             your own, then link the connection again."
                .to_owned()
        }
        SignInRefusal::EmailMissing => {
            "Your identity provider sent no e-mail address for you, or several. Your administrator finds what it sent \
             under the request id."
                .to_owned()
        }
        SignInRefusal::HostedDomainMissing | SignInRefusal::HostedDomainNotProven => {
            "This is a personal account, or one of another company. Begin again and choose another account: the one of \
             your company."
                .to_owned()
        }
        SignInRefusal::Guest => {
            "Your identity provider knows this account as a guest's, and guests are not let in here. Begin again with \
             another account, if you have one."
                .to_owned()
        }
        _ => "You have no access here yet, or no longer. Your administrator finds the reason under the request id."
            .to_owned(),
    }
}

/// The sentence that a form shows above its fields, if the error is one that the person mends there.
pub(crate) fn mendable(error: &ServiceError) -> Option<String> {
    match error {
        ServiceError::SignIn(SignInRefusal::WrongPassword) | ServiceError::TooMany { .. } => {
            Some(words(error))
        }
        ServiceError::Invalid { field, message } => Some(format!("{}: {message}.", label(field))),
        ServiceError::Refused(portcullis_domain::Refusal::Text(text))
        | ServiceError::Text { why: text, .. } => Some(format!("{text}.")),
        ServiceError::Taken(what) if *what != Taken::Member => Some(format!("{what} is taken.")),
        ServiceError::SlugRetired => Some(format!("{}.", words(error).replace('`', ""))),
        _ => None,
    }
}

fn label(field: &str) -> &str {
    match field {
        "password" => "The password",
        other => other,
    }
}

/// The page of an error.
pub(crate) fn of(error: &ServiceError, request: RequestId) -> Response {
    begun_at(LOGIN, error, request)
}

/// The same of a sign-in that begins anew at that address.
pub(crate) fn begun_at(login: &str, error: &ServiceError, request: RequestId) -> Response {
    let response = shown(status(error), (error.code(), &words(error)), request, login);
    let response = saying_when(error, response);
    Inside::beside(Inside::of(error), response)
}

/// The same answer, which says when to come again if there were too many.
pub(crate) fn saying_when(error: &ServiceError, mut response: Response) -> Response {
    if let ServiceError::TooMany { retry_after_s } = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
    }
    response
}

/// A page with these words.
pub(crate) fn plain(status: StatusCode, code: &str, message: &str, request: RequestId) -> Response {
    shown(status, (code, message), request, LOGIN)
}

fn shown(status: StatusCode, (code, message): (&str, &str), request: RequestId, login: &str) -> Response {
    let body = html! {
        p.error role="alert" { (message) }
        p { a href=(login) { "Begin again" } }
        p.quiet { "Request " code { (request) } " · " code { (code) } }
    };
    page(status, "That did not work", Forms::Here, &body)
}
