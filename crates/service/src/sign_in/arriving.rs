//! Somebody whom a provider has proven by a form, kept until their browser arrives from our own page with all of its
//! cookies: browsers hold those back from a form of somebody else's page.
//!
//! A ticket is bound to the cookie that crosses sites, good once and for two minutes. What changed of the connection
//! meanwhile, or of what an administrator set of it, is found before anybody is let in.

use portcullis_domain::Timestamp;
use portcullis_domain::connection::{ClaimRules, Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, DirectoryId};
use portcullis_domain::secret::SecretHash;
use portcullis_store::arrival::{self, Waiting};
use serde::{Deserialize, Serialize};

use super::binding::{Binding, Bound};
use super::once::{Once, must_come_back};
use super::recording::{Claimed, record};
use super::{
    Arrived, ProviderSession, Refused, Underway, Visitor, admit, admit_source, fresh_browser, named,
};
use crate::claims::{Arrival, Said};
use crate::error::inconsistent;
use crate::refusal::SignInRefusal;
use crate::{Moment, Portcullis, ServiceError};

/// Seconds within which a browser comes from the provider's form to us: it is redirected.
pub(super) const ARRIVES_WITHIN_S: i64 = 120;

/// Somebody whom a provider has proven, and who is not let in yet.
#[derive(Debug, Clone)]
pub struct Proven {
    /// What the browser comes back with.
    pub ticket: String,
    /// What binds the browser.
    pub binding: Binding,
}

/// What is kept of a proven person until their browser arrives.
#[derive(Serialize, Deserialize)]
struct Kept {
    issuer: String,
    client_id: String,
    directory: Option<DirectoryId>,
    groups_claim: Option<String>,
    claim_rules: ClaimRules,
    said: Said,
    session: ProviderSession,
    /// When the sign-in began.
    begun_at: Timestamp,
    /// What a trace shows.
    shown: serde_json::Value,
}

/// What is told of a person who is kept.
pub(super) struct Told {
    /// Who it is.
    pub(super) arrival: Arrival,
    /// Whom the provider means by the session.
    pub(super) session: ProviderSession,
    /// What a trace shows.
    pub(super) shown: serde_json::Value,
}

/// The row that keeps somebody, and the ticket that it is taken out by.
pub(super) fn kept(
    moment: &mut Moment,
    (connection, told): (&Connection, Told),
    (return_to, underway): (String, Underway),
    bound: &Bound,
) -> Result<(Waiting, Proven), ServiceError> {
    let ticket = fresh_browser(&mut moment.random);
    let tie = bound.tie(&ticket, &mut moment.random);
    let kept = Kept {
        issuer: connection.issuer.clone(),
        client_id: connection.client_id.clone(),
        directory: connection.directory,
        groups_claim: connection.groups_claim.clone(),
        claim_rules: connection.claim_rules.clone(),
        said: told.arrival.said,
        session: told.session,
        begun_at: underway.begun_at,
        shown: told.shown,
    };
    let waiting = Waiting {
        ticket_hash: SecretHash::of(&ticket).as_str().to_owned(),
        connection: connection.id,
        browser_hash: SecretHash::of(&tie.value).as_str().to_owned(),
        content: serde_json::to_string(&kept).map_err(|e| ServiceError::fault("an arrival", e))?,
        return_to,
        linking: underway.linking,
        expires_at: moment.now.plus_s(ARRIVES_WITHIN_S),
    };
    Ok((waiting, Proven { ticket, binding: Binding::Crossing(tie) }))
}

/// Lets in whom a provider has proven, when their browser arrives with its ticket.
///
/// # Errors
/// [`ServiceError::NotFound`] for an unknown connection, [`ServiceError::SignIn`] if they are not let in.
pub async fn arrive(
    portcullis: &Portcullis,
    (called, kind): (ConnectionId, ConnectionKind),
    ticket: &str,
    visitor: Visitor,
) -> Result<Arrived, Refused> {
    admit_source(portcullis, visitor.source)?;
    let hash = SecretHash::of(ticket).as_str().to_owned();
    let (connection, waiting) = found(portcullis, (called, kind), hash).await?;
    let request = visitor.request;
    let return_to = waiting.as_ref().map(|w| w.return_to.clone());
    let mut claimed = Claimed::default();
    let result = match waiting {
        None => Err(SignInRefusal::State.into()),
        Some(waiting) => {
            let once = Once::Ticket(waiting.ticket_hash.clone());
            let arrived = arrived(portcullis, (&connection, waiting), (ticket, visitor), &mut claimed).await;
            once.spent(portcullis, called, arrived).await
        }
    };
    record(portcullis, &connection, (claimed, request), &result, |arrived| Some(&arrived.session)).await?;
    result.map_err(|error| Refused { error, return_to })
}

/// The connection that a URL names, and who waits there with that ticket.
async fn found(
    portcullis: &Portcullis,
    (called, kind): (ConnectionId, ConnectionKind),
    ticket_hash: String,
) -> Result<(Connection, Option<Waiting>), ServiceError> {
    portcullis
        .read(move |tx, _| {
            let connection = named(tx, called, kind)?;
            Ok((connection, arrival::find(tx, called, &ticket_hash)?))
        })
        .await
}

async fn arrived(
    portcullis: &Portcullis,
    (connection, waiting): (&Connection, Waiting),
    (ticket, visitor): (&str, Visitor),
    claimed: &mut Claimed,
) -> Result<Arrived, ServiceError> {
    let bound = (waiting.browser_hash.as_str(), waiting.expires_at);
    must_come_back(portcullis.now(), bound, visitor.bound.value(ticket))?;
    let kept: Kept =
        serde_json::from_str(&waiting.content).map_err(|e| inconsistent(format!("an arrival: {e}")))?;
    // As it was when the provider was believed: what changed since is found before anybody is let in.
    let believed = Connection {
        issuer: kept.issuer,
        client_id: kept.client_id,
        directory: kept.directory,
        groups_claim: kept.groups_claim,
        claim_rules: kept.claim_rules,
        ..connection.clone()
    };
    let arrival = Arrival { connection: believed, said: kept.said };
    claimed.proven = true;
    claimed.subject = Some(arrival.said.subject.clone());
    claimed.email = arrival.said.address.as_ref().map(|a| a.written.clone());
    claimed.claims = kept.shown;
    claimed.arrival = Some(arrival.clone());
    let underway = Underway { linking: waiting.linking, begun_at: kept.begun_at };
    let once = Some(Once::Ticket(waiting.ticket_hash));
    let session = admit(portcullis, (arrival, kept.session), (underway, once), visitor).await?;
    Ok(Arrived { session, return_to: waiting.return_to })
}
