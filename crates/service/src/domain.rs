//! E-mail domains: claimed by an organization, proven by a DNS record or vouched for by the root token.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DomainChange;
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::id::{DomainId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::domain_key;
use portcullis_domain::{Random, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::{Priority, Tx, domain};
use serde_json::json;

use crate::caller::Caller;
use crate::connection::must_stand_above_automation;
use crate::noun::Noun;
use crate::organization::must_live;
use crate::{Moment, Portcullis, ServiceError};

/// What stands before the random part of the record's value, so that people see whose record it is.
const VALUE_PREFIX: &str = "portcullis-verify=";
/// Bytes of randomness in the record's value: nobody publishes it by chance.
const VALUE_BYTES: usize = 20;
/// The most records at one name that are compared.
const MAX_RECORDS: usize = 100;

/// On whose word a domain is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// Nobody's: the record has to say it.
    No,
    /// The root token's.
    ByRoot,
}

/// What a look at the record gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is proven.
    Proven,
    /// There is no record at the name.
    NoRecord,
    /// There are records, and none has the value.
    AnotherValue,
    /// DNS did not answer.
    Unanswered,
}

impl Checked {
    /// The text in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::NoRecord => "no_record",
            Self::AnotherValue => "another_value",
            Self::Unanswered => "unanswered",
        }
    }
}

/// The domain that a path names, by id or by name.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, text: &str) -> Result<Domain, ServiceError> {
    // An id has an underscore and a domain has none, so a text is never both.
    let found = match (text.parse::<DomainId>(), domain_key(text)) {
        (Ok(id), _) => domain::find(tx, organization, id)?,
        (_, Ok(name)) => domain::find_by_name(tx, organization, &name)?,
        _ => None,
    };
    found.ok_or(ServiceError::NotFound(Noun::Domain))
}

/// A page of domains after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Domain>, ServiceError> {
    Ok(domain::list(tx, organization, Some(after), limit)?)
}

/// Adds a domain, pending; or proven at once, if the root token vouches for it.
///
/// # Errors
/// A text that is no domain; [`ServiceError::Taken`] if this organization has it, or vouched for and another proved it;
/// [`ServiceError::RootOnly`].
pub fn add(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (text, vouched): (&str, Vouched),
    cause: Cause,
) -> Result<Domain, ServiceError> {
    must_live(tx, organization)?;
    let mut random = [0; VALUE_BYTES];
    moment.random.fill(&mut random);
    let added = Domain {
        id: DomainId::fresh(moment.now, &mut moment.random),
        organization,
        domain: domain_key(text).map_err(ServiceError::text("domain"))?,
        state: DomainState::Pending,
        txt_value: format!("{VALUE_PREFIX}{}", hex::encode(random)),
        proven_at: None,
        created_at: moment.now,
    };
    let event = EventDraft::new(Action::DomainAdded, added.id).with(json!({ "domain": added.domain }));
    let plan = Plan::because(organization, cause).then(event, DomainChange::Add(added.clone()));
    moment.apply(tx, &plan)?;
    match vouched {
        Vouched::No => Ok(added),
        Vouched::ByRoot => vouch(tx, moment, caller, added, cause),
    }
}

/// Proves a domain on the root token's word.
///
/// # Errors
/// [`ServiceError::RootOnly`]; [`ServiceError::Taken`] if another organization proved it.
pub fn vouch(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    found: Domain,
    cause: Cause,
) -> Result<Domain, ServiceError> {
    caller.must_be_root()?;
    prove(tx, moment, found, "root", cause)
}

fn prove(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    found: Domain,
    by: &'static str,
    cause: Cause,
) -> Result<Domain, ServiceError> {
    // It is not removed meanwhile.
    must_live(tx, found.organization)?;
    let found = find(tx, found.organization, &found.id.to_string())?;
    if found.state == DomainState::Proven {
        return Ok(found);
    }
    let event =
        EventDraft::new(Action::DomainProven, found.id).with(json!({ "domain": found.domain, "by": by }));
    let plan =
        Plan::because(found.organization, cause).then(event, DomainChange::Prove(found.id, moment.now));
    moment.apply(tx, &plan)?;
    Ok(Domain { state: DomainState::Proven, proven_at: Some(moment.now), ..found })
}

/// Looks for a domain's record and proves it if the record has the value. Of a proven domain everybody is believed for whom a
/// provider vouches, as whom its connection lets in and finds: so it takes as high a rank as to choose the provider.
///
/// The look-up stands between two transactions: none waits for DNS.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`]; [`ServiceError::Taken`] if another organization
/// proved it.
pub async fn verify(
    portcullis: &Portcullis,
    (organization, text): (OrganizationId, String),
    caller: Caller,
    cause: Cause,
) -> Result<(Domain, Checked), ServiceError> {
    let asks = caller.clone();
    let find_first = move |tx: &mut Tx<'_>, _: Timestamp| {
        let found = find(tx, organization, &text)?;
        must_stand_above_automation(tx, organization, &asks)?;
        Ok(found)
    };
    let found = portcullis.read(find_first).await?;
    if found.state == DomainState::Proven {
        return Ok((found, Checked::Proven));
    }
    let records = portcullis.around().fetch.txt_records(&found.txt_name()).await;
    let checked = match &records {
        Err(error) => {
            tracing::info!(error.code = error.code(), error.message = %error, "a domain's record was not answered");
            Checked::Unanswered
        }
        Ok(records) if records.is_empty() => Checked::NoRecord,
        Ok(records) if records.iter().take(MAX_RECORDS).any(|r| r.trim() == found.txt_value) => {
            Checked::Proven
        }
        Ok(_) => Checked::AnotherValue,
    };
    if checked != Checked::Proven {
        return Ok((found, checked));
    }
    let id = found.id.to_string();
    let proven = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            // It may have been removed, or proven, while DNS was asked.
            let found = find(tx, organization, &id)?;
            must_stand_above_automation(tx, organization, &caller)?;
            prove(tx, moment, found, "dns", cause)
        })
        .await?;
    Ok((proven, Checked::Proven))
}

/// Removes a domain. Of a proven one it takes as high a rank as to prove it: whoever signs in by it would not come in any more.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`portcullis_domain::Refusal::AboveOwnRank`].
pub fn remove(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, text): (OrganizationId, &str),
    cause: Cause,
) -> Result<(), ServiceError> {
    // A sign-in or a directory that trusts it is done before this, or does so no more.
    tx.lock(Lock::Organization(organization))?;
    let found = find(tx, organization, text)?;
    if found.state == DomainState::Proven {
        must_stand_above_automation(tx, organization, caller)?;
    }
    let event = EventDraft::new(Action::DomainRemoved, found.id).with(json!({ "domain": found.domain }));
    let plan = Plan::because(organization, cause).then(event, DomainChange::Remove(found.id));
    moment.apply(tx, &plan)?;
    Ok(())
}
