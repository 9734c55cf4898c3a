//! Certificates of a connection's provider: whose signatures count.
//!
//! A certificate is a key to verify with and nothing more; expiry warns and does not refuse. The old one is trusted
//! until somebody retires it, so that a provider can change keys at any moment; what was retired is not brought back by
//! metadata, only by a person. With it end the sessions that it let in: whoever has its key may have opened any of them. The
//! links that it made end where somebody says so, and with them what was said of their members' groups: most are whose they
//! say, and whoever knows the key is stolen asks for it
//! ([why](../../../../docs/decisions/0056-a-stolen-key-takes-along-the-links-that-it-made-where-asked.md)).

use std::collections::BTreeSet;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, ConnectionChange, LinkChange, TokenChange, TokenSet};
use portcullis_domain::connection::{Connection, ConnectionKind, Link};
use portcullis_domain::id::{ConnectionId, OrganizationId, TokenId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::saml::{CertificateState, SamlCertificate};
use portcullis_domain::token::TokenEnd;
use portcullis_store::db::Lock;
use portcullis_store::row::bound;
use portcullis_store::{Priority, Tx, connection, saml, saml_session};
use serde_json::json;

use super::SamlView;
use crate::caller::Caller;
use crate::connection::{may_close, must_stand_above_automation};
use crate::noun::Noun;
use crate::patience::carried;
use crate::rules::MAX_AT_ONCE;
use crate::{Moment, Portcullis, ServiceError, claims};

const NOUN: Noun = Noun::Connection;

/// Where a certificate is.
type At = (OrganizationId, ConnectionId);

/// The event of another decision about a certificate.
pub(crate) fn event(certificate: &SamlCertificate) -> EventDraft {
    let action = match certificate.state {
        CertificateState::Trusted => Action::CertificateTrusted,
        CertificateState::Offered => Action::CertificateOffered,
        CertificateState::Former | CertificateState::Retired => Action::CertificateRetired,
    };
    EventDraft::new(action, certificate.connection).with(json!({
        "fingerprint": certificate.fingerprint, "not_after": certificate.not_after.rfc3339(),
    }))
}

/// A connection of SAML of that organization, with what it believes.
pub(crate) fn find(
    tx: &mut Tx<'_>,
    (organization, id): (OrganizationId, ConnectionId),
) -> Result<(Connection, SamlView), ServiceError> {
    let found = connection::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))?;
    if found.kind != ConnectionKind::Saml {
        return Err(ServiceError::invalid("connection", "is not of the kind `saml`"));
    }
    let view = SamlView::find(tx, &found)?;
    Ok((found, view))
}

/// What somebody decides about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Its signatures count.
    Accept,
    /// They count no longer.
    Retire(Made),
}

/// What becomes of the links that would not be there without a retired certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// They stay: the provider merely has another key.
    Stays,
    /// They end: somebody else has this one.
    Ends,
}

impl Decision {
    /// What ends sessions goes before what does not.
    const fn priority(self) -> Priority {
        match self {
            Self::Accept => Priority::Ordinary,
            Self::Retire(_) => Priority::OffBoarding,
        }
    }
}

/// Decides about a certificate. One that is retired counts for nobody from the first commit on; the sessions that it let in,
/// and the links that it made if they are to, end [`MAX_AT_ONCE`] at a time, each time in a transaction of its own, and the
/// answer comes after the last. A crash between them leaves some, and the same call goes on from there; so does one that says
/// of links only later that they are to end.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`] for accepting one below the highest role
/// that automation gives, and for ending links from there while somebody above the caller is linked;
/// [`ServiceError::InUse`] for retiring the last one that counts.
pub async fn decide(
    portcullis: &Portcullis,
    at: At,
    caller: Caller,
    (fingerprint, decision): (String, Decision),
    cause: Cause,
) -> Result<SamlCertificate, ServiceError> {
    let named = fingerprint.clone();
    let first = portcullis.write(decision.priority(), move |tx, moment| {
        decide_now(tx, moment, at, &caller, (&named, decision), cause)
    });
    let (decided, left) = first.await?;
    if let (Some(cause), Decision::Retire(made)) = (left, decision) {
        let portcullis = portcullis.clone();
        // It goes on if its caller hangs up, or has come in by that certificate.
        let rest = tokio::spawn(async move { end_rest(&portcullis, at, (fingerprint, made), cause).await });
        rest.await.map_err(|e| ServiceError::fault("the end of sessions", e))??;
    }
    Ok(decided)
}

/// The most connections that whoever retires a certificate is told of, beside that one.
const MAX_ELSEWHERE: i64 = 50;

/// The other connections of the organization where a certificate counts that was retired at this one: whoever has its key
/// comes in there.
///
/// # Errors
/// [`ServiceError::Store`].
pub async fn trusted_elsewhere(
    portcullis: &Portcullis,
    (organization, id): At,
    fingerprint: String,
) -> Result<Vec<ConnectionId>, ServiceError> {
    portcullis
        .read(move |tx, _| Ok(saml::trusted_elsewhere(tx, organization, (id, &fingerprint), MAX_ELSEWHERE)?))
        .await
}

/// The decision, with the first of the sessions that end by it; what the ends of the others follow from, if there are some.
fn decide_now(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): At,
    caller: &Caller,
    (fingerprint, decision): (&str, Decision),
    cause: Cause,
) -> Result<(SamlCertificate, Option<Cause>), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let (of, view) = find(tx, (organization, id))?;
    let known = view.certificates.iter().find(|c| c.fingerprint == fingerprint);
    let known = known.ok_or(ServiceError::NotFound(Noun::Certificate))?;
    if decision == Decision::Retire(Made::Ends) {
        may_close(tx, (organization, id), caller)?;
    }
    let state = match decision {
        Decision::Accept => CertificateState::Trusted,
        Decision::Retire(_) => CertificateState::Retired,
    };
    if known.state == state {
        let left = match decision {
            Decision::Accept => None,
            Decision::Retire(made) => end_more(tx, moment, (known, made), cause)?,
        };
        return Ok((known.clone(), left));
    }
    let decided = SamlCertificate { state, decided_at: moment.now, ..known.clone() };
    let mut changes: Vec<Change> = vec![ConnectionChange::PutCertificate(Box::new(decided.clone())).into()];
    let (mut ending, mut goes_on) = (Vec::new(), false);
    match decision {
        Decision::Accept => {
            must_stand_above_automation(tx, organization, caller)?;
            if caller.rank() < Rank::OWNER {
                let waits = of.chosen_by(caller.rank(), moment.now);
                changes.push(ConnectionChange::Update(Box::new(waits)).into());
            }
        }
        Decision::Retire(made) => {
            if view.trusted().all(|c| c.fingerprint == fingerprint)
                && known.state == CertificateState::Trusted
            {
                return Err(ServiceError::InUse(Noun::LastCertificate));
            }
            ending = sessions(tx, &decided)?;
            goes_on = ending.len() >= MAX_AT_ONCE || made == Made::Ends;
        }
    }
    changes.extend(ending.iter().map(|token| end(TokenSet::One(*token), moment)));
    let plan = Plan::because(organization, cause).then_all(event(&decided), changes);
    let cause = moment.apply(tx, &plan)?.cause;
    forget(tx, &ending)?;
    Ok((decided, goes_on.then_some(cause)))
}

/// Ends what is left of a certificate that was retired.
async fn end_rest(
    portcullis: &Portcullis,
    (organization, id): At,
    (fingerprint, made): (String, Made),
    cause: Cause,
) -> Result<(), ServiceError> {
    loop {
        let step = carried(|| {
            let fingerprint = fingerprint.clone();
            portcullis.write(Decision::Retire(made).priority(), move |tx, moment| {
                tx.lock(Lock::Organization(organization))?;
                let known = saml::certificates(tx, organization, id)?;
                // Whoever accepts it meanwhile believes what is left.
                let is_it = |c: &&SamlCertificate| {
                    c.fingerprint == fingerprint && c.state == CertificateState::Retired
                };
                let retired = known.iter().find(is_it);
                retired.map_or(Ok(None), |retired| end_more(tx, moment, (retired, made), cause))
            })
        });
        if step.await?.is_none() {
            return Ok(());
        }
    }
}

/// Ends some of what is left of a certificate that was retired before; `cause` if there was anything.
fn end_more(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (retired, made): (&SamlCertificate, Made),
    cause: Cause,
) -> Result<Option<Cause>, ServiceError> {
    let ending = sessions(tx, retired)?;
    let links = match made {
        Made::Stays => Vec::new(),
        Made::Ends => connection::links_signed_by(tx, retired.organization, &retired.fingerprint)?,
    };
    if ending.is_empty() && links.is_empty() {
        return Ok(None);
    }
    let mut plan = Plan::because(retired.organization, cause);
    if !ending.is_empty() {
        let changes = ending.iter().map(|token| end(TokenSet::One(*token), moment)).collect();
        let event = event(retired).with(json!({ "fingerprint": retired.fingerprint, "goes_on": true }));
        plan = plan.then_all(event, changes);
    }
    for link in &links {
        plan = unlink(plan, link, moment);
    }
    let unlinked = moment.apply(tx, &plan)?.cause;
    forget(tx, &ending)?;
    // Whoever named an account of theirs as the member's said of which groups it is, too.
    let told: BTreeSet<_> = links.iter().map(|link| (link.membership, link.connection)).collect();
    for (member, by) in told {
        if let Some(of) = connection::find(tx, retired.organization, by)? {
            claims::forget(tx, moment, (&of, member), unlinked)?;
        }
    }
    Ok(Some(cause))
}

/// Behind the plan, the end of a link that would not be there without its certificate, and of the sessions that it may have
/// opened.
fn unlink(plan: Plan, link: &Link, moment: &Moment) -> Plan {
    let event = EventDraft::new(Action::MemberUnlinked, link.membership)
        .about(link.connection)
        .with(json!({ "subject": link.subject, "signed_by": link.signed_by }));
    let unlinked = LinkChange::Delete(link.connection, link.subject.clone());
    let sessions = end(TokenSet::OfMemberBy(link.membership, link.connection), moment);
    plan.then_all(event, vec![unlinked.into(), sessions])
}

/// As many of the sessions that may have come in by a certificate as end at once.
fn sessions(tx: &mut Tx<'_>, of: &SamlCertificate) -> Result<Vec<TokenId>, ServiceError> {
    Ok(saml_session::of_certificate(tx, of.connection, &of.fingerprint, bound(MAX_AT_ONCE))?)
}

fn end(set: TokenSet, moment: &Moment) -> Change {
    TokenChange::ended(set, TokenEnd::CertificateRetired, moment.now).into()
}

fn forget(tx: &mut Tx<'_>, ended: &[TokenId]) -> Result<(), ServiceError> {
    Ok(ended.iter().try_for_each(|token| saml_session::delete(tx, *token))?)
}
