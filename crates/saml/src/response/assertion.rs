//! The rules of one assertion, read from a verified node only.
//!
//! Here because every function takes [`Verified`]: a claim of an assertion that nobody signed cannot be asked for.

use super::{Expected, MAX_AGE_S, Proof, ResponseError, Rules};
use crate::document::{Node, is_xml_space};
use crate::encoding::shown;
use crate::names as n;
use crate::signature::Verified;
use crate::time;

/// What an accepted assertion says of the session.
pub(super) struct Session {
    pub(super) issued_at_s: i64,
    pub(super) index: Option<String>,
    pub(super) not_on_or_after_s: Option<i64>,
    pub(super) context: Option<String>,
    pub(super) authn_at_s: i64,
}

/// Issuer, age, conditions, confirmation and statements, in this order.
pub(super) fn require(assertion: &Verified<'_>, rules: &Rules<'_>) -> Result<Session, ResponseError> {
    let node = assertion.node();
    require_version(node, "Assertion")?;
    require_issuer(node, "assertion", rules)?;
    let issued_at_s = require_age(node, "assertion", rules)?;
    require_conditions(node, rules)?;
    require_confirmation(node, rules)?;
    read_session(node, issued_at_s, rules)
}

/// `Version` of a message or an assertion.
pub(super) fn require_version(node: Node<'_>, element: &'static str) -> Result<(), ResponseError> {
    match node.attribute("Version") {
        Some("2.0") => Ok(()),
        other => Err(ResponseError::OtherVersion { element, received: shown(other.unwrap_or("absent")) }),
    }
}

/// The issuer, byte for byte; a format, if there is one, says that it is an entity.
pub(super) fn require_issuer(
    node: Node<'_>,
    element: &'static str,
    rules: &Rules<'_>,
) -> Result<(), ResponseError> {
    let issuer = node.child(n::ISSUER);
    let received = issuer.and_then(|issuer| issuer.text().ok()).unwrap_or_default();
    let format = issuer.and_then(|issuer| issuer.attribute("Format"));
    if received == rules.idp_entity_id && format.is_none_or(|format| format == n::FORMAT_ENTITY) {
        return Ok(());
    }
    let received = format.map_or_else(|| received.clone(), |format| format!("{received} ({format})"));
    Err(ResponseError::IssuerMismatch {
        element,
        expected: shown(rules.idp_entity_id),
        received: shown(&received),
    })
}

/// However long it says that it is valid, it was issued just now.
pub(super) fn require_age(
    node: Node<'_>,
    element: &'static str,
    rules: &Rules<'_>,
) -> Result<i64, ResponseError> {
    let issued_at_s = instant(node, "IssueInstant")?.ok_or_else(|| bad("IssueInstant", "absent"))?;
    let (now_s, skew_s) = (rules.now_s, rules.skew_s());
    let is_recent = issued_at_s <= now_s.saturating_add(skew_s)
        && issued_at_s >= now_s.saturating_sub(MAX_AGE_S).saturating_sub(skew_s);
    if is_recent {
        return Ok(issued_at_s);
    }
    Err(ResponseError::IssuedTooFarAway { element, issued_at_s, now_s })
}

fn require_conditions(assertion: Node<'_>, rules: &Rules<'_>) -> Result<(), ResponseError> {
    let mut restrictions: Vec<Vec<String>> = Vec::new();
    if let Some(conditions) = assertion.child(n::CONDITIONS) {
        if let Some(not_before_s) = instant(conditions, "NotBefore")? {
            require_begun(not_before_s, rules)?;
        }
        if let Some(not_on_or_after_s) = instant(conditions, "NotOnOrAfter")? {
            require_running("condition", not_on_or_after_s, rules)?;
        }
        let all = conditions.all(n::AUDIENCE_RESTRICTION);
        restrictions.extend(all.map(|restriction| restriction.all(n::AUDIENCE).map(uri).collect()));
    }
    let names_us = |restriction: &Vec<String>| restriction.iter().any(|one| one == rules.sp_entity_id);
    if !restrictions.is_empty() && restrictions.iter().all(names_us) {
        return Ok(());
    }
    Err(ResponseError::AudienceMismatch {
        expected: shown(rules.sp_entity_id),
        received: shown(&restrictions.concat().join(", ")),
    })
}

/// One bearer confirmation that holds is enough; else the first one's reason is given (SAML Profiles §4.1.4.2).
fn require_confirmation(assertion: Node<'_>, rules: &Rules<'_>) -> Result<(), ResponseError> {
    let mut reason = None;
    let mut methods = Vec::new();
    let confirmations =
        assertion.child(n::SUBJECT).into_iter().flat_map(|one| one.all(n::SUBJECT_CONFIRMATION));
    for confirmation in confirmations {
        let method = confirmation.attribute("Method").unwrap_or("absent");
        methods.push(method);
        if method != n::BEARER {
            continue;
        }
        match require_bearer(confirmation, rules) {
            Ok(()) => return Ok(()),
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    let received = if methods.is_empty() { "none".to_owned() } else { shown(&methods.join(", ")) };
    Err(reason.unwrap_or(ResponseError::NoBearerConfirmation { received }))
}

fn require_bearer(confirmation: Node<'_>, rules: &Rules<'_>) -> Result<(), ResponseError> {
    let data = confirmation.child(n::SUBJECT_CONFIRMATION_DATA).ok_or_else(|| {
        ResponseError::NoBearerConfirmation { received: "bearer without SubjectConfirmationData".to_owned() }
    })?;
    let recipient = data.attribute("Recipient");
    if recipient != Some(rules.acs_url) {
        return Err(ResponseError::RecipientMismatch {
            expected: shown(rules.acs_url),
            received: shown(recipient.unwrap_or("absent")),
        });
    }
    let until = instant(data, "NotOnOrAfter")?;
    let (Some(until), None) = (until, data.attribute("NotBefore")) else {
        let said = |attribute| shown(data.attribute(attribute).unwrap_or("absent"));
        return Err(ResponseError::ConfirmationWindow {
            not_before: said("NotBefore"),
            not_on_or_after: said("NotOnOrAfter"),
        });
    };
    require_running("confirmation", until, rules)?;
    require_answer(data.attribute("InResponseTo"), rules)
}

/// The response and the confirmation answer the same request, or none.
pub(super) fn require_answer(in_response_to: Option<&str>, rules: &Rules<'_>) -> Result<(), ResponseError> {
    let unknown = |expected: &str| ResponseError::UnknownRequest {
        expected: shown(expected),
        received: shown(in_response_to.unwrap_or("absent")),
    };
    match (rules.expected, in_response_to) {
        (Expected::Request { id }, Some(received)) if received == id && !id.is_empty() => Ok(()),
        (Expected::Request { id }, _) => Err(unknown(id)),
        (Expected::Unsolicited, None) => Ok(()),
        (Expected::Nothing, None) => Err(ResponseError::Unsolicited),
        (Expected::Unsolicited | Expected::Nothing, Some(_)) => Err(unknown("no response")),
    }
}

/// One authentication of the person: when, and how.
struct Authentication {
    at_s: i64,
    context: Option<String>,
}

/// The statements: the earliest end of all of them, and the latest authentication that is as it was asked for. What one
/// statement lacks no other brings.
fn read_session(assertion: Node<'_>, issued_at_s: i64, rules: &Rules<'_>) -> Result<Session, ResponseError> {
    let (mut index, mut ends_at_s) = (None, None);
    let mut all = Vec::new();
    for statement in assertion.all(n::AUTHN_STATEMENT) {
        let at_s = instant(statement, "AuthnInstant")?;
        let at_s = at_s.ok_or_else(|| bad("AuthnInstant", "absent"))?;
        if let Some(end) = instant(statement, "SessionNotOnOrAfter")? {
            require_running("session", end, rules)?;
            ends_at_s = Some(ends_at_s.map_or(end, |known: i64| known.min(end)));
        }
        index = index.or(statement.attribute("SessionIndex").map(str::to_owned));
        let context = statement.child(n::AUTHN_CONTEXT).and_then(|one| one.child(n::AUTHN_CONTEXT_CLASS_REF));
        all.push(Authentication { at_s, context: context.map(uri) });
    }
    let latest = best(all, rules);
    require_proof(latest.at_s, issued_at_s, rules)?;
    if !is_asked_for(&latest, rules) {
        return Err(ResponseError::ContextMismatch {
            expected: shown(&rules.contexts.join(", ")),
            received: shown(latest.context.as_deref().unwrap_or("absent")),
        });
    }
    let Authentication { at_s: authn_at_s, context } = latest;
    Ok(Session { issued_at_s, index, not_on_or_after_s: ends_at_s, context, authn_at_s })
}

/// The latest of those by an asked context; where there is none, the latest.
fn best(all: Vec<Authentication>, rules: &Rules<'_>) -> Authentication {
    let nothing = Authentication { at_s: i64::MIN, context: None };
    all.into_iter().max_by_key(|one| (is_asked_for(one, rules), one.at_s)).unwrap_or(nothing)
}

fn is_asked_for(one: &Authentication, rules: &Rules<'_>) -> bool {
    rules.contexts.is_empty() || one.context.as_ref().is_some_and(|context| rules.contexts.contains(context))
}

/// The person proved themselves when they were asked to, and not before: a request that left by a browser may have lost
/// its `ForceAuthn` on the way (SAML Core §3.4.1).
fn require_proof(authn_at_s: i64, issued_at_s: i64, rules: &Rules<'_>) -> Result<(), ResponseError> {
    let since_s = match rules.proof {
        Proof::AtAnyTime => return Ok(()),
        Proof::Since { asked_at_s } => asked_at_s,
        Proof::WithTheAssertion => issued_at_s,
    };
    let oldest_s = since_s.saturating_sub(rules.skew_s());
    if authn_at_s >= oldest_s {
        return Ok(());
    }
    Err(ResponseError::ProvenBefore { oldest_s, authn_at_s })
}

fn require_begun(not_before_s: i64, rules: &Rules<'_>) -> Result<(), ResponseError> {
    if not_before_s <= rules.now_s.saturating_add(rules.skew_s()) {
        return Ok(());
    }
    Err(ResponseError::NotYetValid { not_before_s, now_s: rules.now_s })
}

fn require_running(
    what: &'static str,
    not_on_or_after_s: i64,
    rules: &Rules<'_>,
) -> Result<(), ResponseError> {
    if not_on_or_after_s > rules.now_s.saturating_sub(rules.skew_s()) {
        return Ok(());
    }
    Err(ResponseError::Expired { what, not_on_or_after_s, now_s: rules.now_s })
}

/// A time, if the attribute is there.
pub(super) fn instant(node: Node<'_>, attribute: &'static str) -> Result<Option<i64>, ResponseError> {
    match node.attribute(attribute) {
        None => Ok(None),
        Some(text) => time::parse(text).map(Some).ok_or_else(|| bad(attribute, text)),
    }
}

fn bad(attribute: &'static str, text: &str) -> ResponseError {
    ResponseError::BadInstant { attribute, received: shown(text) }
}

/// The text of an element of type `xs:anyURI`, whose surrounding white space says nothing.
fn uri(node: Node<'_>) -> String {
    node.text().unwrap_or_default().trim_matches(is_xml_space).to_owned()
}
