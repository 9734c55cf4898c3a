//! Certificates of a connection's provider: whose signatures count.
//!
//! A certificate is a key to verify with and nothing more; expiry warns and does not refuse. The old one is trusted
//! until somebody retires it, so that a provider can change keys at any moment; what was retired is not brought back by
//! metadata, only by a person. With it end the sessions that it let in: whoever has its key may have opened any of them.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, ConnectionChange, TokenChange, TokenSet};
use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::saml::{CertificateState, SamlCertificate};
use portcullis_domain::token::TokenEnd;
use portcullis_store::db::Lock;
use portcullis_store::{Tx, apply, connection, saml_session};
use serde_json::json;

use super::SamlView;
use crate::caller::Caller;
use crate::connection::must_stand_above_automation;
use crate::{Moment, ServiceError};

const NOUN: &str = "connection";

/// The event of another decision about a certificate.
pub(crate) fn event(certificate: &SamlCertificate) -> EventDraft {
    let action = match certificate.state {
        CertificateState::Trusted => Action::CertificateTrusted,
        CertificateState::Offered => Action::CertificateOffered,
        CertificateState::Retired => Action::CertificateRetired,
    };
    EventDraft::new(action, Target::new(NOUN, certificate.connection)).with(json!({
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
    Retire,
}

/// Decides about a certificate.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`] for accepting one below the highest role
/// that automation gives; [`ServiceError::InUse`] for retiring the last one that counts.
pub fn decide(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, ConnectionId),
    caller: &Caller,
    (fingerprint, decision): (&str, Decision),
    cause: Cause,
) -> Result<SamlCertificate, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let (of, view) = find(tx, (organization, id))?;
    let known = view.certificates.iter().find(|c| c.fingerprint == fingerprint);
    let known = known.ok_or(ServiceError::NotFound("certificate"))?;
    let state = match decision {
        Decision::Accept => CertificateState::Trusted,
        Decision::Retire => CertificateState::Retired,
    };
    if known.state == state {
        return Ok(known.clone());
    }
    let decided = SamlCertificate { state, decided_at: moment.now, ..known.clone() };
    let mut changes: Vec<Change> = vec![ConnectionChange::PutCertificate(Box::new(decided.clone())).into()];
    match decision {
        Decision::Accept => {
            must_stand_above_automation(tx, organization, caller)?;
            if caller.rank() < Rank::OWNER && of.unconfirmed_at.is_none() {
                let waits = Connection { unconfirmed_at: Some(moment.now), ..of };
                changes.push(ConnectionChange::Update(Box::new(waits)).into());
            }
        }
        Decision::Retire => {
            if view.trusted().all(|c| c.fingerprint == fingerprint)
                && known.state == CertificateState::Trusted
            {
                return Err(ServiceError::InUse("only certificate that counts"));
            }
            end_sessions(tx, moment, &decided, &mut changes)?;
        }
    }
    let plan = Plan::because(organization, cause).then_all(event(&decided), changes);
    apply(tx, &plan, moment.now, &mut moment.random)?;
    Ok(decided)
}

/// The ends of the sessions that may have come in by a certificate.
fn end_sessions(
    tx: &mut Tx<'_>,
    moment: &Moment,
    certificate: &SamlCertificate,
    changes: &mut Vec<Change>,
) -> Result<(), ServiceError> {
    let mut after = None;
    loop {
        let page = saml_session::of_certificate(tx, certificate.connection, &certificate.fingerprint, after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        changes.extend(page.into_iter().map(|token| {
            let (set, because) = (TokenSet::One(token), TokenEnd::CertificateRetired);
            TokenChange::End { set, because, at: moment.now, receipt: None }.into()
        }));
    }
}
