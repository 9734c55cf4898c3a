//! Mappings. Whom a change of one touches is found in `touched`, and what mappings name in `named`.

use std::str::FromStr;

use portcullis_domain::change::MappingChange;
use portcullis_domain::id::{DirectoryId, MappingId, OrganizationId};
use portcullis_domain::mapping::{FacetSource, Gives, Mapping, MappingSource};
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::{Slug, UnknownText};

use crate::row::{Columns, Row};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most mappings of one source that are compared with one: each gives something else, unless somebody repeats.
const MAX_OF_SOURCE: i64 = 100;

pub(crate) mod named;
pub(crate) mod touched;

pub use self::named::{is_any_group_mapped, is_facet_mapped, is_group_mapped, of_groups};
pub use self::touched::{
    affected, affected_by_directory, affected_by_group, affected_by_role, count_affected, groups_of_source,
    page_affected,
};

macro_rules! columns {
    () => {
        "id, organization, directory, source, written, attribute, source_key, role, team, team_role, environment, \
         created_at"
    };
}

const CREATE: Statement = Statement::change(
    "mapping.create",
    "INSERT INTO mappings (id, organization, directory, source, source_key, written, role, team, team_role, \
     environment, created_at, attribute) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
);
const UPDATE: Statement = Statement::change(
    "mapping.update",
    "UPDATE mappings SET directory = $3, source = $4, source_key = $5, written = $6, role = $7, team = $8, \
     team_role = $9, environment = $10, attribute = $11 WHERE id = $1 AND organization = $2",
);
const DELETE: Statement =
    Statement::change("mapping.delete", "DELETE FROM mappings WHERE id = $1 AND organization = $2");
const FIND: Statement = Statement::read(
    "mapping.find",
    concat!("SELECT ", columns!(), " FROM mappings WHERE organization = $1 AND id = $2"),
);
const LIST: Statement = Statement::read(
    "mapping.list",
    concat!("SELECT ", columns!(), " FROM mappings WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const LIST_OF_DIRECTORY: Statement = Statement::read(
    "mapping.list_of_directory",
    concat!(
        "SELECT ",
        columns!(),
        " FROM mappings WHERE directory = $2 AND organization = $1 AND id > $3 ORDER BY id LIMIT $4"
    ),
);
const OF_SOURCE: Statement = Statement::read(
    "mapping.of_source",
    concat!(
        "SELECT ",
        columns!(),
        " FROM mappings WHERE directory = $2 AND source = $3 AND source_key = $4 AND organization = $1 LIMIT $5"
    ),
);

const WITHOUT_ENVIRONMENT: Statement = Statement::read(
    "mapping.without_environment",
    "SELECT id FROM mappings WHERE directory = $2 AND organization = $1 AND environment IS NULL LIMIT 1",
);

/// The statements about mappings.
pub(crate) const ALL: &[&Statement] =
    &[&CREATE, &UPDATE, &DELETE, &FIND, &LIST, &LIST_OF_DIRECTORY, &OF_SOURCE, &WITHOUT_ENVIRONMENT];

/// What a mapping compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    GroupId,
    GroupExternalId,
    GroupDisplayName,
    Facet(FacetSource),
}

impl Compared {
    const fn of(source: &MappingSource) -> Self {
        match source {
            MappingSource::GroupId(_) => Self::GroupId,
            MappingSource::GroupExternalId(_) => Self::GroupExternalId,
            MappingSource::GroupDisplayName(_) => Self::GroupDisplayName,
            MappingSource::OrgUnit(_) => Self::Facet(FacetSource::OrgUnit),
            MappingSource::Attribute { .. } => Self::Facet(FacetSource::Attribute),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::GroupId => "group_id",
            Self::GroupExternalId => "group_external_id",
            Self::GroupDisplayName => "group_display_name",
            Self::Facet(source) => source.as_str(),
        }
    }
}

impl FromStr for Compared {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        Ok(match text {
            "group_id" => Self::GroupId,
            "group_external_id" => Self::GroupExternalId,
            "group_display_name" => Self::GroupDisplayName,
            other => Self::Facet(other.parse()?),
        })
    }
}

fn source(columns: &mut Columns<'_>) -> Result<MappingSource, StoreError> {
    let compared = columns.read(Row::parsed)?;
    let written = columns.read(Row::text)?.to_owned();
    let (attribute, source_key) = (columns.read(Row::opt_text)?, columns.read(Row::text)?);
    let nameless =
        || StoreError::Inconsistent(format!("a mapping of an attribute, `{source_key}`, names none"));
    Ok(match compared {
        Compared::GroupId => MappingSource::GroupId(written),
        Compared::GroupExternalId => MappingSource::GroupExternalId(written),
        Compared::GroupDisplayName => MappingSource::GroupDisplayName(written),
        Compared::Facet(FacetSource::OrgUnit) => MappingSource::OrgUnit(written),
        Compared::Facet(FacetSource::Attribute) => MappingSource::Attribute {
            name: attribute.ok_or_else(nameless)?.to_owned(),
            name_key: name_key_of(source_key, &written)?,
            value: written,
        },
    })
}

fn team(columns: &mut Columns<'_>) -> Result<Option<(Slug, TeamRole)>, StoreError> {
    let Some(slug) = columns.read(Row::opt_parsed)? else {
        columns.pass(1);
        return Ok(None);
    };
    Ok(Some((slug, columns.read(Row::parsed)?)))
}

fn read(row: &Row) -> Result<Mapping, StoreError> {
    let mut columns = row.columns();
    let mapping = Mapping {
        id: columns.read(Row::parsed)?,
        organization: columns.read(Row::parsed)?,
        directory: columns.read(Row::parsed)?,
        source: source(&mut columns)?,
        gives: Gives {
            role: columns.read(Row::opt_parsed)?,
            team: team(&mut columns)?,
            environment: columns.read(Row::opt_parsed)?,
        },
        created_at: columns.read(Row::at)?,
    };
    columns.done()?;
    Ok(mapping)
}

/// The key of an attribute's name: what stands before the value in the key of both.
fn name_key_of(source_key: &str, value: &str) -> Result<String, StoreError> {
    let name_key = source_key.strip_suffix(value).and_then(|rest| rest.strip_suffix('='));
    let broken = || StoreError::Inconsistent(format!("the key `{source_key}` is none of `{value}`"));
    name_key.map(str::to_owned).ok_or_else(broken)
}

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &MappingChange,
) -> Result<(), StoreError> {
    match change {
        MappingChange::Create(m) => {
            let (source, source_key) = m.source.key();
            let (team, team_role) = team_columns(m);
            tx.run(
                &CREATE,
                params![
                    m.id,
                    m.organization,
                    m.directory,
                    source,
                    source_key,
                    m.source.written(),
                    m.gives.role,
                    team,
                    team_role,
                    m.gives.environment,
                    m.created_at,
                    attribute(m),
                ],
            )
            .map(|_| ())
        }
        MappingChange::Update(m) => {
            let (source, source_key) = m.source.key();
            let (team, team_role) = team_columns(m);
            tx.run_on_row(
                &UPDATE,
                params![
                    m.id,
                    m.organization,
                    m.directory,
                    source,
                    source_key,
                    m.source.written(),
                    m.gives.role,
                    team,
                    team_role,
                    m.gives.environment,
                    attribute(m),
                ],
            )
        }
        MappingChange::Delete(id) => tx.run(&DELETE, params![id, organization]).map(|_| ()),
    }
}

/// The name of the attribute as it was written.
fn attribute(mapping: &Mapping) -> Option<&str> {
    match &mapping.source {
        MappingSource::Attribute { name, .. } => Some(name),
        _ => None,
    }
}

fn team_columns(mapping: &Mapping) -> (Option<&Slug>, Option<&'static str>) {
    mapping.gives.team.as_ref().map(|(slug, role)| (slug, role.as_str())).unzip()
}

/// A mapping of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MappingId,
) -> Result<Option<Mapping>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// Another mapping that gives the same to the same, if there is one.
///
/// # Errors
/// As [`find`].
pub fn twin(tx: &mut Tx<'_>, of: &Mapping) -> Result<Option<MappingId>, StoreError> {
    let (source, key) = of.source.key();
    let rows = tx.rows(&OF_SOURCE, params![of.organization, of.directory, source, key, MAX_OF_SOURCE])?;
    let others: Vec<Mapping> = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(others.iter().filter(|m| m.id != of.id && m.gives == of.gives).map(|m| m.id).min())
}

/// Whether a directory has a mapping that gives no environment.
///
/// # Errors
/// As [`find`].
pub fn is_any_without_environment(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<bool, StoreError> {
    Ok(tx.row(&WITHOUT_ENVIRONMENT, params![organization, directory])?.is_some())
}

/// A page of mappings in order of id, after `after`; of one directory, if it is named.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: Option<DirectoryId>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Mapping>, StoreError> {
    let after = after.unwrap_or("");
    let rows = match directory {
        Some(directory) => tx.rows(&LIST_OF_DIRECTORY, params![organization, directory, after, limit])?,
        None => tx.rows(&LIST, params![organization, after, limit])?,
    };
    rows.iter().map(read).collect()
}
