//! One person's facts, and the rules that these facts touch: what `resolve` reads.
//!
//! Found through that person's directory users and groups by indexes, never through the organization.

use portcullis_domain::access::{
    DirectoryFacts, Granted, Held, Matched, PersonFacts, RankedRole, Statement as Said,
};
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId};
use portcullis_domain::membership::Membership;
use portcullis_domain::role::Giving;

use crate::row::{Row, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, hold, params, subgroup};

const RULES_NUMBER: Statement =
    Statement::read("facts.rules_number", "SELECT rules_number FROM organizations WHERE id = $1");
const DIRECTORIES: Statement = Statement::read(
    "facts.directories",
    "SELECT u.directory, d.kind, u.inactive_at, d.settle_s, d.default_role, r.rank, r.explicit_only_at, \
     u.unconfirmed_at, d.nested_at, c.directory \
     FROM directory_users u JOIN directories d ON d.id = u.directory \
     LEFT JOIN connections c ON c.id = d.connection \
     LEFT JOIN roles r ON r.organization = d.organization AND r.slug = d.default_role \
     WHERE u.membership = $1",
);

macro_rules! matched {
    ($source:literal, $column:literal) => {
        concat!(
            "SELECT p.id, p.directory, g.id, m.request_id, p.role, r.rank, r.explicit_only_at, p.team, p.team_role, \
             p.environment FROM directory_users u \
             JOIN directory_members m ON m.directory_user = u.id \
             JOIN directory_groups g ON g.id = m.directory_group \
             JOIN mappings p ON p.directory = g.directory AND p.source = '",
            $source,
            "' AND p.source_key = g.",
            $column,
            " LEFT JOIN roles r ON r.organization = p.organization AND r.slug = p.role WHERE u.membership = $1"
        )
    };
}

const MATCHED: Statement = Statement::read(
    "facts.matched",
    concat!(
        matched!("group_external_id", "external_id"),
        " UNION ALL ",
        matched!("group_id", "id"),
        " UNION ALL ",
        matched!("group_display_name", "display_name_key"),
        " UNION ALL \
         SELECT p.id, p.directory, NULL, f.request_id, p.role, r.rank, r.explicit_only_at, p.team, p.team_role, \
         p.environment FROM directory_users u \
         JOIN directory_user_facets f ON f.directory_user = u.id \
         JOIN mappings p ON p.directory = f.directory AND p.source = f.source AND p.source_key = f.source_key \
         LEFT JOIN roles r ON r.organization = p.organization AND r.slug = p.role WHERE u.membership = $1 \
         UNION ALL \
         SELECT p.id, p.directory, h.directory_group, h.request_id, p.role, r.rank, r.explicit_only_at, p.team, \
         p.team_role, p.environment FROM held_matches h JOIN mappings p ON p.id = h.mapping \
         LEFT JOIN roles r ON r.organization = p.organization AND r.slug = p.role WHERE h.membership = $1"
    ),
);
macro_rules! matched_above {
    ($source:literal, $column:literal) => {
        concat!(
            "SELECT p.id, p.directory, g.id, NULL, p.role, r.rank, r.explicit_only_at, p.team, p.team_role, \
             p.environment FROM directory_groups g \
             JOIN mappings p ON p.directory = g.directory AND p.source = '",
            $source,
            "' AND p.source_key = g.",
            $column,
            " LEFT JOIN roles r ON r.organization = p.organization AND r.slug = p.role WHERE g.id IN_LIST($1)"
        )
    };
}

const MATCHED_ABOVE: Statement = Statement::read(
    "facts.matched_above",
    concat!(
        matched_above!("group_external_id", "external_id"),
        " UNION ALL ",
        matched_above!("group_id", "id"),
        " UNION ALL ",
        matched_above!("group_display_name", "display_name_key")
    ),
);
const GRANTS: Statement = Statement::read(
    "facts.grants",
    "SELECT g.id, g.request_id, g.role, r.rank, r.explicit_only_at FROM grants g \
     JOIN roles r ON r.organization = g.organization AND r.slug = g.role \
     WHERE g.membership = $1 AND g.ended_at IS NULL",
);

// Two look-ups and no list: SQLite would make a table of the list each time.
const RULES_AT: Statement = Statement::read(
    "facts.rules_at",
    "SELECT o.rules_number, COALESCE(\
     (SELECT CAST(1 AS BIGINT) FROM mappings p WHERE p.directory = $2 AND p.source = 'attribute' LIMIT 1), \
     (SELECT CAST(1 AS BIGINT) FROM mappings p WHERE p.directory = $2 AND p.source = 'org_unit' LIMIT 1)) \
     FROM organizations o WHERE o.id = $1",
);

pub(crate) const ALL: &[&Statement] =
    &[&RULES_NUMBER, &RULES_AT, &DIRECTORIES, &MATCHED, &MATCHED_ABOVE, &GRANTS];

/// A role in three columns from `first`: slug, rank, since when explicit only.
fn ranked(row: &Row, first: usize) -> Result<Option<RankedRole>, StoreError> {
    let (Some(slug), Some(_)) = (row.opt_parsed(first)?, row.opt_int(first + 1)?) else { return Ok(None) };
    let giving = if row.opt_int(first + 2)?.is_some() { Giving::ExplicitOnly } else { Giving::Anyhow };
    Ok(Some(RankedRole { slug, rank: row.role_rank(first + 1)?, giving }))
}

/// The organization's rules number: read before the rules, stored with what follows from them.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn rules_number(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<i64, StoreError> {
    tx.row(&RULES_NUMBER, params![organization])?.map_or(Ok(0), |r| r.int(0))
}

/// The rules as far as a newcomer of a directory needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RulesAt {
    /// The organization's rules number.
    pub number: i64,
    /// Whether any mapping of the directory names a facet.
    pub map_facets: MapFacets,
}

/// Whether mappings name facets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapFacets {
    /// None does.
    None,
    /// Some do.
    Some,
}

/// The organization's rules number, and in the same statement whether facets of that directory count at all.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn rules_at(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<RulesAt, StoreError> {
    let none = RulesAt { number: 0, map_facets: MapFacets::None };
    tx.row(&RULES_AT, params![organization, directory])?.map_or(Ok(none), |row| {
        let map_facets = if row.opt_int(1)?.is_some() { MapFacets::Some } else { MapFacets::None };
        Ok(RulesAt { number: row.int(0)?, map_facets })
    })
}

/// What is known of the person behind a membership.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn of(tx: &mut Tx<'_>, membership: &Membership) -> Result<PersonFacts, StoreError> {
    let mut directories = Vec::new();
    let mut nested = false;
    for row in tx.rows(&DIRECTORIES, params![membership.id])? {
        nested |= row.opt_int(8)?.is_some();
        directories.push(DirectoryFacts {
            directory: row.parsed(0)?,
            kind: row.parsed(1)?,
            statement: match (row.opt_at(2)?, row.opt_int(7)?, row.opt_text(9)?) {
                (Some(since), ..) => Said::Inactive { since },
                (None, Some(_), _) => Said::Unconfirmed,
                (None, None, Some(_)) => Said::Unheard,
                (None, None, None) => Said::Active,
            },
            settle_s: row.int(3)?,
            default_role: ranked(&row, 4)?,
        });
    }
    let rows = if directories.is_empty() { Vec::new() } else { tx.rows(&MATCHED, params![membership.id])? };
    let mut matched = rows.iter().map(read_matched).collect::<Result<Vec<_>, _>>()?;
    if nested {
        matched.extend(matched_above(tx, membership.id)?);
    }
    let mut grants = Vec::new();
    for row in tx.rows(&GRANTS, params![membership.id])? {
        if let Some(role) = ranked(&row, 2)? {
            grants.push(Granted { grant: row.parsed(0)?, request: row.opt_parsed(1)?, role });
        }
    }
    Ok(PersonFacts {
        joined_at: membership.joined_at,
        governed_by: membership.governed_by,
        suspended_at: membership.suspended_at,
        unmapped_at: membership.unmapped_at,
        ended: membership.ended,
        directories,
        matched,
        grants,
        held: if hold::holds_end(tx, membership.id)? { Held::Ending } else { Held::No },
    })
}

fn read_matched(row: &Row) -> Result<Matched, StoreError> {
    let team = match row.opt_parsed(7)? {
        Some(team) => Some((team, row.parsed(8)?)),
        None => None,
    };
    Ok(Matched {
        mapping: row.parsed(0)?,
        directory: row.parsed(1)?,
        group: row.opt_parsed(2)?,
        request: row.opt_parsed(3)?,
        role: ranked(row, 4)?,
        team,
        environment: row.opt_parsed(9)?,
    })
}

/// Mappings of the groups above a person's own, where such groups count.
fn matched_above(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<Matched>, StoreError> {
    let above = subgroup::above_member(tx, membership)?;
    if above.is_empty() {
        return Ok(Vec::new());
    }
    let mut matched = Vec::new();
    for row in tx.rows(&MATCHED_ABOVE, params![list(above.iter().map(|a| a.group))])? {
        let mut found = read_matched(&row)?;
        found.request = above.iter().find(|a| Some(a.group) == found.group).and_then(|a| a.request);
        matched.push(found);
    }
    Ok(matched)
}
