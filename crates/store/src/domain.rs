//! E-mail domains of organizations. A proven one belongs to one organization at a time.

use portcullis_domain::change::DomainChange;
use portcullis_domain::domain::{Domain, DomainState};
use portcullis_domain::id::{DomainId, OrganizationId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, UniqueKey, params};

/// The most domains of one organization that routing looks at.
const MAX_PROVEN: i64 = 1000;

macro_rules! columns {
    () => {
        "id, organization, domain, txt_value, proven_at, created_at"
    };
}

const ADD: Statement = Statement::change(
    "domain.add",
    "INSERT INTO domains (id, organization, domain, txt_value, proven_at, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id",
);
const REMOVE: Statement =
    Statement::change("domain.remove", "DELETE FROM domains WHERE id = $1 AND organization = $2");
const REMOVE_TO_PROVE: Statement = Statement::change(
    "domain.remove_to_prove",
    concat!("DELETE FROM domains WHERE id = $1 AND organization = $2 RETURNING ", columns!()),
);
const FIND: Statement = Statement::read(
    "domain.find",
    concat!("SELECT ", columns!(), " FROM domains WHERE organization = $1 AND id = $2"),
);
const FIND_BY_NAME: Statement = Statement::read(
    "domain.find_by_name",
    concat!("SELECT ", columns!(), " FROM domains WHERE organization = $1 AND domain = $2"),
);
const FIND_PROVEN: Statement = Statement::read(
    "domain.find_proven",
    concat!("SELECT ", columns!(), " FROM domains WHERE domain = $1 AND proven_at IS NOT NULL"),
);
const LIST: Statement = Statement::read(
    "domain.list",
    concat!("SELECT ", columns!(), " FROM domains WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const PROVEN_OF: Statement = Statement::read(
    "domain.proven_of",
    "SELECT domain FROM domains WHERE organization = $1 AND proven_at IS NOT NULL ORDER BY domain LIMIT $2",
);

/// The statements about domains.
pub(crate) const ALL: &[&Statement] =
    &[&ADD, &REMOVE, &REMOVE_TO_PROVE, &FIND, &FIND_BY_NAME, &FIND_PROVEN, &LIST, &PROVEN_OF];

fn read(row: &Row) -> Result<Domain, StoreError> {
    let proven_at = row.opt_at(4)?;
    Ok(Domain {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        domain: row.text(2)?.to_owned(),
        state: if proven_at.is_some() { DomainState::Proven } else { DomainState::Pending },
        txt_value: row.text(3)?.to_owned(),
        proven_at,
        created_at: row.at(5)?,
    })
}

fn add(tx: &mut Tx<'_>, domain: &Domain, key: UniqueKey) -> Result<(), StoreError> {
    tx.insert(
        &ADD,
        params![
            domain.id,
            domain.organization,
            domain.domain,
            domain.txt_value,
            domain.proven_at,
            domain.created_at,
        ],
        key,
    )
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &DomainChange,
) -> Result<(), StoreError> {
    match change {
        DomainChange::Add(domain) => {
            let key = match find_by_name(tx, domain.organization, &domain.domain)? {
                Some(_) => UniqueKey::DomainName,
                None => UniqueKey::DomainProven,
            };
            add(tx, domain, key)
        }
        DomainChange::Prove(id, at) => {
            // Out and in again, because only an insert can ask for a unique key without breaking the transaction when
            // another organization proved the domain first.
            let row = tx.row(&REMOVE_TO_PROVE, params![id, organization])?;
            let row = row.ok_or_else(|| StoreError::Inconsistent("the domain to prove is gone".into()))?;
            let domain = read(&row)?;
            let proven_at = domain.proven_at.or(Some(*at));
            add(tx, &Domain { proven_at, ..domain }, UniqueKey::DomainProven)
        }
        DomainChange::Remove(id) => tx.run(&REMOVE, params![id, organization]).map(|_| ()),
    }
}

/// A domain of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DomainId,
) -> Result<Option<Domain>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// The domain of that normalised name, pending or proven.
///
/// # Errors
/// As [`find`].
pub fn find_by_name(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    name: &str,
) -> Result<Option<Domain>, StoreError> {
    tx.row(&FIND_BY_NAME, params![organization, name])?.as_ref().map(read).transpose()
}

/// The domain of that normalised name as the one organization has it that proved it.
///
/// # Errors
/// As [`find`].
pub fn find_proven(tx: &mut Tx<'_>, name: &str) -> Result<Option<Domain>, StoreError> {
    tx.row(&FIND_PROVEN, params![name])?.as_ref().map(read).transpose()
}

/// A page of domains in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Domain>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// The names of an organization's proven domains, in their order; 1,000 at most.
///
/// # Errors
/// As [`find`].
pub fn proven_of(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Vec<String>, StoreError> {
    tx.rows(&PROVEN_OF, params![organization, MAX_PROVEN])?
        .iter()
        .map(|row| row.text(0).map(str::to_owned))
        .collect()
}
