//! How a sign-in ended, written down: a trace of every refusal and of whatever else keeps somebody proven out, an audit event
//! for the refusal of somebody proven.

use portcullis_domain::audit::{Action, EventDraft, Outcome};
use portcullis_domain::cause::Actor;
use portcullis_domain::connection::Connection;
use portcullis_domain::id::RequestId;
use portcullis_domain::plan::Plan;
use portcullis_store::{Priority, Tx};
use serde_json::json;

use super::compared::{Compared, Known, compared};
use crate::claims::Arrival;
use crate::refusal::SignInRefusal;
use crate::session::{self, Opened};
use crate::trace::TraceDraft;
use crate::{Moment, Portcullis, ServiceError};

/// What is known of a sign-in while it is checked, for its trace.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) subject: Option<String>,
    pub(super) email: Option<String>,
    /// Set once the provider's word is proven: from here on a refusal is about a person.
    pub(super) proven: bool,
    /// Whom it proves.
    pub(super) arrival: Option<Arrival>,
    pub(super) claims: serde_json::Value,
    /// Where it leads, once it is known which sign-in it is.
    pub(super) return_to: Option<String>,
}

/// Records how a sign-in ended.
pub(super) async fn record<T>(
    portcullis: &Portcullis,
    connection: &Connection,
    (claimed, request): (Claimed, RequestId),
    result: &Result<T, ServiceError>,
    opened: impl FnOnce(&T) -> Option<&Opened>,
) -> Result<(), ServiceError> {
    let subject = claimed.email.clone().or_else(|| claimed.subject.clone()).unwrap_or_default();
    match result {
        Ok(done) => {
            if let Some(session) = opened(done) {
                note_success(portcullis, connection, (&subject, request), session, claimed.claims);
            }
        }
        Err(ServiceError::SignIn(refusal)) => {
            if claimed.proven {
                note_refusal(portcullis, connection, refusal.code(), (claimed.subject, request)).await?;
            }
            let compared = looked_up(portcullis, connection, refusal, claimed.arrival).await?;
            let about = (subject.as_str(), Some(request));
            let draft = draft_of(portcullis, connection, about, (refusal, compared), claimed.claims);
            if claimed.proven {
                portcullis.traces().note(draft);
            } else {
                portcullis.traces().note_unproven(draft);
            }
        }
        // Whoever is proven is missed: an administrator finds that they came, whatever kept them out.
        Err(error) if claimed.proven => {
            if !is_fault(error) {
                note_refusal(portcullis, connection, error.code(), (claimed.subject, request)).await?;
            }
            let draft = draft_of_failure(portcullis, connection, (&subject, request), error, claimed.claims);
            portcullis.traces().note(draft);
        }
        Err(_) => {}
    }
    Ok(())
}

/// Whether nobody refused anything: the server could not do it, and its log says why.
const fn is_fault(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Store(_) | ServiceError::Fault(_))
}

/// The trace of whoever was proven and not let in, by something else than a rule of sign-in. How it looks inside is shown to
/// whoever runs the server only.
fn draft_of_failure(
    portcullis: &Portcullis,
    connection: &Connection,
    (subject, request): (&str, RequestId),
    error: &ServiceError,
    claims: serde_json::Value,
) -> TraceDraft {
    let message = match error {
        fault if is_fault(fault) => "the server could not carry the sign-in out".to_owned(),
        refusal => refusal.to_string(),
    };
    TraceDraft {
        organization: connection.organization,
        kind: "sign_in",
        outcome: error.code().to_owned(),
        subject: subject.to_owned(),
        source: Some(connection.id.to_string()),
        request: Some(request),
        content: json!({
            "connection": connection.id,
            "refused_by": error.code(),
            "message": message,
            "advice": "have the person sign in again; if that does not help, whoever runs the server finds the request in its log",
            "claims": claims,
        }),
        at: portcullis.now(),
    }
}

fn note_success(
    portcullis: &Portcullis,
    connection: &Connection,
    (subject, request): (&str, RequestId),
    session: &Opened,
    claims: serde_json::Value,
) {
    portcullis.traces().note(TraceDraft {
        organization: connection.organization,
        kind: "sign_in",
        outcome: "ok".to_owned(),
        subject: subject.to_owned(),
        source: Some(connection.id.to_string()),
        request: Some(request),
        content: json!({
            "connection": connection.id,
            "membership": session.membership,
            "token": session.token,
            "claims": claims,
        }),
        at: portcullis.now(),
    });
}

/// The trace of a refusal of which nobody is known: which check decided, what was expected and what came, and what to do.
pub(crate) fn note_trace(
    portcullis: &Portcullis,
    connection: &Connection,
    request: Option<RequestId>,
    error: &ServiceError,
    claims: serde_json::Value,
) {
    let ServiceError::SignIn(refusal) = error else { return };
    let compared = compared(refusal, connection, None);
    let draft = draft_of(portcullis, connection, ("", request), (refusal, compared), claims);
    portcullis.traces().note_unproven(draft);
}

/// What a refusal compared, with what is known of the person.
async fn looked_up(
    portcullis: &Portcullis,
    connection: &Connection,
    refusal: &SignInRefusal,
    arrival: Option<Arrival>,
) -> Result<Compared, ServiceError> {
    let Some(arrival) = arrival else { return Ok(compared(refusal, connection, None)) };
    let (of, refused) = (connection.clone(), refusal.clone());
    portcullis
        .read(move |tx, _| {
            let known = Known::find(tx, &refused, (&of, &arrival))?;
            Ok(compared(&refused, &of, Some((&arrival, &known))))
        })
        .await
}

fn draft_of(
    portcullis: &Portcullis,
    connection: &Connection,
    (subject, request): (&str, Option<RequestId>),
    (refusal, Compared { expected, received }): (&SignInRefusal, Compared),
    claims: serde_json::Value,
) -> TraceDraft {
    let section = match refusal {
        SignInRefusal::Protocol(broken) => Some(broken.section),
        _ => None,
    };
    TraceDraft {
        organization: connection.organization,
        kind: "sign_in",
        outcome: refusal.code().to_owned(),
        subject: subject.to_owned(),
        source: Some(connection.id.to_string()),
        request,
        content: json!({
            "connection": connection.id,
            "refused_by": refusal.code(),
            "message": refusal.to_string(),
            "section": section,
            "expected": expected,
            "received": received,
            "advice": refusal.advice(),
            "claims": claims,
        }),
        at: portcullis.now(),
    }
}

/// The audit event of a refusal. Only what a provider has proven gets one, so that strangers cannot fill the log.
async fn note_refusal(
    portcullis: &Portcullis,
    connection: &Connection,
    code: &'static str,
    (subject, request): (Option<String>, RequestId),
) -> Result<(), ServiceError> {
    let event =
        EventDraft { outcome: Outcome::Refused, ..EventDraft::new(Action::SignInRefused, connection.id) };
    let event = event.with(json!({ "code": code, "subject": subject }));
    let organization = connection.organization;
    portcullis
        .write(Priority::Ordinary, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let cause = session::cause(Actor::System, request);
            let plan = Plan::because(organization, cause).noting(event.clone());
            moment.apply(tx, &plan)?;
            Ok(())
        })
        .await
}
