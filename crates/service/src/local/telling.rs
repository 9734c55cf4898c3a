//! What administrators are told of sign-ins by password. Nobody who signs in waits for it.

use std::collections::BTreeSet;

use portcullis_domain::audit::{Action, EventDraft, Outcome};
use portcullis_domain::cause::Actor;
use portcullis_domain::id::{MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_domain::secret::SecretHash;
use portcullis_domain::text::domain_of;
use portcullis_store::user::MembershipOfUser;
use portcullis_store::{Priority, Tx, domain, membership, user};
use serde_json::{Value, json};

use super::{PER_SOURCE, TOLD};
use crate::refusal::SignInRefusal;
use crate::session::{self, Opened};
use crate::sign_in::Visitor;
use crate::throttle::network;
use crate::trace::TraceDraft;
use crate::{Portcullis, ServiceError};

/// The most organizations whose administrators see the trace of one try.
const MAX_TOLD: usize = 8;

/// Who proved themselves and was refused all the same.
pub(super) struct Refused {
    /// Whose password it was.
    pub(super) users: Vec<UserId>,
    /// The membership that they chose among theirs.
    pub(super) chosen: Option<MembershipId>,
}

/// Leaves a trace of a session that was opened.
pub(super) fn note_opened(
    portcullis: &Portcullis,
    visitor: &Visitor,
    opened: &Opened,
    (organization, subject): (OrganizationId, String),
) {
    let content = json!({
        "membership": opened.membership,
        "token": opened.token,
        "source": visitor.source.to_string(),
    });
    note(portcullis, visitor, (organization, subject), "ok", content);
}

/// Leaves a trace of such a refusal, and an event as of whomever a connection has proven, under its request: the page tells
/// people to hand that on. Each organization hears of its
/// own member, and none of what was chosen at another.
pub(super) fn note_refused(
    portcullis: &Portcullis,
    visitor: &Visitor,
    refused: Refused,
    error: &ServiceError,
) {
    let ServiceError::SignIn(refusal) = error else { return };
    let (of_active, expected, received) = match refusal {
        SignInRefusal::MemberInactive => (false, "an active membership", None),
        SignInRefusal::OtherEnvironment => (true, "a membership in an environment", Some("one in none")),
        SignInRefusal::PasswordSeenBelow => {
            let received = "one that somebody below their role may have chosen";
            (true, "a password that nobody below the person's role can know", Some(received))
        }
        _ => return,
    };
    let (code, advice) = (refusal.code(), refusal.advice());
    let (portcullis, visitor) = (portcullis.clone(), visitor.clone());
    tokio::spawn(async move {
        let about = portcullis.read(move |tx, _| whom_it_is_about(tx, &refused, of_active)).await;
        for (one, email) in about.unwrap_or_default().into_iter().take(MAX_TOLD) {
            let at = (one.organization, one.membership);
            if let Err(error) = note_event(&portcullis, &visitor, at, code).await {
                tracing::error!(error.message = %error, "the event of a refused sign-in could not be written");
            }
            let content = json!({
                "membership": one.membership,
                "source": visitor.source.to_string(),
                "expected": expected,
                "received": received.unwrap_or(one.state.as_str()),
                "advice": advice,
            });
            note(&portcullis, &visitor, (one.organization, email), code, content);
        }
    });
}

/// The audit event of somebody who proved themselves and was refused.
async fn note_event(
    portcullis: &Portcullis,
    visitor: &Visitor,
    (organization, membership): (OrganizationId, MembershipId),
    code: &'static str,
) -> Result<(), ServiceError> {
    let event =
        EventDraft { outcome: Outcome::Refused, ..EventDraft::new(Action::SignInRefused, membership) };
    let event = event.with(json!({ "code": code }));
    let cause = session::cause(Actor::System, visitor.request);
    portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let plan = Plan::because(organization, cause).noting(event.clone());
            moment.apply(tx, &plan)?;
            Ok(())
        })
        .await
}

fn whom_it_is_about(
    tx: &mut Tx<'_>,
    refused: &Refused,
    of_active: bool,
) -> Result<Vec<(MembershipOfUser, String)>, ServiceError> {
    let mut about = Vec::new();
    for user in &refused.users {
        for one in user::memberships_of(tx, *user)? {
            let is_meant = match refused.chosen {
                Some(chosen) => one.membership == chosen,
                None => (one.state == MembershipState::Active) == of_active,
            };
            if is_meant && let Some(member) = membership::find(tx, one.organization, one.membership)? {
                about.push((one, member.email));
            }
        }
    }
    Ok(about)
}

/// Tells the administrators whom the try may have been about, without making anybody wait for it: how long an answer
/// takes must not say whether the address is known.
pub(super) fn note_wrong(
    portcullis: &Portcullis,
    address: &str,
    (visitor, at_home): (&Visitor, Vec<UserId>),
) {
    let refusal = SignInRefusal::WrongPassword;
    let (code, advice) = (refusal.code(), refusal.advice());
    let expected = ("the password of that address", "another");
    note_of_address(portcullis, address, (visitor, at_home), (code, expected, advice));
}

/// The same of a try that was not looked at, because too many before it were wrong: of each address once in a while, and not of
/// as many addresses as somebody cares to try.
pub(super) fn note_throttled(
    portcullis: &Portcullis,
    address: &str,
    (visitor, at_home): (&Visitor, &[UserId]),
    error: &ServiceError,
) {
    let (tries, now) = (&portcullis.door().tries, portcullis.now());
    let told_of_source = format!("told/source/{}", network(visitor.source));
    let told_of_address = format!("told/address/{}", SecretHash::of(address).as_str());
    if tries.admit(&told_of_address, TOLD, now).is_err()
        || tries.admit(&told_of_source, PER_SOURCE, now).is_err()
    {
        return;
    }
    let expected = ("a try once the wait is over", "one after too many that were wrong");
    let advice = "have them wait a quarter of an hour, or an hour where many tried from everywhere; traces `wrong_password` before \
                  this one say from where";
    note_of_address(portcullis, address, (visitor, at_home.to_vec()), (error.code(), expected, advice));
}

fn note_of_address(
    portcullis: &Portcullis,
    address: &str,
    (visitor, at_home): (&Visitor, Vec<UserId>),
    (code, (expected, received), advice): (&'static str, (&'static str, &'static str), &'static str),
) {
    let (portcullis, address, visitor) = (portcullis.clone(), address.to_owned(), visitor.clone());
    tokio::spawn(async move {
        let key = address.clone();
        let told = portcullis.read(move |tx, _| whom_it_was_about(tx, &key, &at_home)).await;
        for one in told.unwrap_or_default().into_iter().take(MAX_TOLD) {
            let content = json!({
                "membership": one.membership,
                "source": visitor.source.to_string(),
                "expected": expected,
                "received": received,
                "advice": advice,
            });
            note(&portcullis, &visitor, (one.organization, address.clone()), code, content);
        }
    });
}

fn note(
    portcullis: &Portcullis,
    visitor: &Visitor,
    (organization, subject): (OrganizationId, String),
    outcome: &str,
    content: Value,
) {
    portcullis.traces().note(TraceDraft {
        organization,
        kind: "sign_in",
        outcome: outcome.to_owned(),
        subject,
        source: None,
        request: Some(visitor.request),
        content,
        at: portcullis.now(),
    });
}

/// The memberships that a wrong try at an address may have been about. An organization can invite any address and set a
/// password for it, and is not told by that where somebody else signs in (invariant I8): it hears of whoever is at home
/// where the try came from, and of everybody only if it has proven the domain, or if nobody has and it is the only one
/// with that address.
fn whom_it_was_about(
    tx: &mut Tx<'_>,
    address: &str,
    at_home: &[UserId],
) -> Result<Vec<MembershipOfUser>, ServiceError> {
    let mut told = Vec::new();
    for known in user::authenticators_at(tx, address)? {
        let is_at_home = at_home.contains(&known.user);
        told.extend(user::memberships_of(tx, known.user)?.into_iter().map(|one| (is_at_home, one)));
    }
    let organizations: BTreeSet<_> = told.iter().map(|(_, one)| one.organization).collect();
    let proven = domain::find_proven(tx, domain_of(address))?.map(|domain| domain.organization);
    told.retain(|(is_at_home, one)| {
        *is_at_home || proven.map_or(organizations.len() == 1, |owner| owner == one.organization)
    });
    Ok(told.into_iter().map(|(_, one)| one).collect())
}
