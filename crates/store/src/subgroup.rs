//! Groups inside groups: edges as directories told them, walked and never written out.
//!
//! Edges are kept whether they count or not; a directory says which. Where it does not, every walk ends where it began.
//! A person's groups are found by walking up, [`MAX_LEVELS`] at most and [`MAX_GROUPS_ABOVE`] groups in all, nearest
//! first; whom a change of a rule touches by walking down. A circle is walked once.

use std::collections::HashSet;

use portcullis_domain::id::{DirectoryGroupId, DirectoryId, MembershipId, RequestId};

use crate::row::{bound, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most levels between a person's own group and one that counts for them.
pub const MAX_LEVELS: usize = 8;
/// The most groups of one person that count, their own included where any is above them.
pub const MAX_GROUPS_ABOVE: usize = 1_000;
/// The most groups that are walked down from one: more than any directory has.
const MAX_GROUPS_BELOW: usize = 100_000;

pub(crate) const ADD: Statement = Statement::change(
    "subgroup.add",
    "INSERT INTO directory_subgroups (parent, child, directory, request_id) \
     SELECT g.id, each.value, g.directory, CAST($3 AS TEXT) FROM directory_groups g, EACH_OF($2) AS each \
     WHERE g.id = $1 AND g.organization = $4 ON CONFLICT (parent, child) DO NOTHING",
);
pub(crate) const REMOVE: Statement = Statement::change(
    "subgroup.remove",
    "DELETE FROM directory_subgroups WHERE parent IN \
     (SELECT id FROM directory_groups WHERE id = $1 AND organization = $3) AND child IN_LIST($2)",
);
pub(crate) const DELETE_BELOW: Statement = Statement::change(
    "subgroup.delete_below",
    "DELETE FROM directory_subgroups WHERE parent IN \
     (SELECT id FROM directory_groups WHERE id = $1 AND organization = $2)",
);
// A group that another is gone from has changed.
pub(crate) const CHANGE_ABOVE: Statement = Statement::change(
    "subgroup.change_above",
    "UPDATE directory_groups SET updated_at = $2 WHERE organization = $3 AND id IN \
     (SELECT parent FROM directory_subgroups WHERE child = $1)",
);
pub(crate) const DELETE_ABOVE: Statement = Statement::change(
    "subgroup.delete_above",
    "DELETE FROM directory_subgroups WHERE child IN \
     (SELECT id FROM directory_groups WHERE id = $1 AND organization = $2)",
);
const CHILDREN: Statement = Statement::read(
    "subgroup.children",
    "SELECT child FROM directory_subgroups WHERE parent = $1 AND child > $2 ORDER BY child LIMIT $3",
);
const PARENTS: Statement = Statement::read(
    "subgroup.parents",
    "SELECT parent FROM directory_subgroups WHERE child = $1 ORDER BY parent LIMIT $2",
);
const PRESENT: Statement = Statement::read(
    "subgroup.present",
    "SELECT child FROM directory_subgroups WHERE parent = $1 AND child IN_LIST($2)",
);
const COUNTS: Statement =
    Statement::read("subgroup.counts", "SELECT id FROM directories WHERE id = $1 AND nested_at IS NOT NULL");
const UP: Statement = Statement::read(
    "subgroup.up",
    "SELECT e.parent, MIN(e.request_id) FROM directory_subgroups e JOIN directories d ON d.id = e.directory \
     WHERE e.child IN_LIST($1) AND d.nested_at IS NOT NULL GROUP BY e.parent ORDER BY e.parent LIMIT $2",
);
const DOWN: Statement = Statement::read(
    "subgroup.down",
    "SELECT DISTINCT e.child FROM directory_subgroups e JOIN directories d ON d.id = e.directory \
     WHERE e.parent IN_LIST($1) AND d.nested_at IS NOT NULL ORDER BY e.child",
);
const OWN_GROUPS: Statement = Statement::read(
    "subgroup.own_groups",
    "SELECT DISTINCT m.directory_group FROM directory_users u JOIN directory_members m ON m.directory_user = u.id \
     WHERE u.membership = $1 ORDER BY m.directory_group LIMIT $2",
);
const MEMBERSHIPS: Statement = Statement::read(
    "subgroup.memberships",
    "SELECT DISTINCT u.membership FROM directory_members m JOIN directory_users u ON u.id = m.directory_user \
     WHERE m.directory_group IN_LIST($1) AND u.membership > $2 ORDER BY u.membership LIMIT $3",
);

const PLACES: Statement = Statement::read(
    "subgroup.places",
    "SELECT directory_user FROM directory_members WHERE directory_group IN_LIST($1) LIMIT $2",
);

pub(crate) const ALL: &[&Statement] = &[
    &ADD,
    &REMOVE,
    &DELETE_BELOW,
    &CHANGE_ABOVE,
    &DELETE_ABOVE,
    &CHILDREN,
    &PARENTS,
    &PRESENT,
    &COUNTS,
    &UP,
    &DOWN,
    &OWN_GROUPS,
    &MEMBERSHIPS,
    &PLACES,
];

/// A page of the groups that are members of a group, in order of id, after `after`.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn children(
    tx: &mut Tx<'_>,
    parent: DirectoryGroupId,
    after: &str,
    limit: i64,
) -> Result<Vec<DirectoryGroupId>, StoreError> {
    tx.rows(&CHILDREN, params![parent, after, limit])?.iter().map(|row| row.parsed(0)).collect()
}

/// The groups of which a group is a member, in order of id; `limit` at most.
///
/// # Errors
/// As [`children`].
pub fn parents(
    tx: &mut Tx<'_>,
    child: DirectoryGroupId,
    limit: i64,
) -> Result<Vec<DirectoryGroupId>, StoreError> {
    tx.rows(&PARENTS, params![child, limit])?.iter().map(|row| row.parsed(0)).collect()
}

/// Which of these groups are members of it already.
///
/// # Errors
/// As [`children`].
pub fn present(
    tx: &mut Tx<'_>,
    parent: DirectoryGroupId,
    children: &[DirectoryGroupId],
) -> Result<HashSet<DirectoryGroupId>, StoreError> {
    let mut present = HashSet::new();
    for chunk in children.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&PRESENT, params![parent, list(chunk)])? {
            present.insert(row.parsed(0)?);
        }
    }
    Ok(present)
}

/// Whether groups inside groups count in that directory.
///
/// # Errors
/// As [`children`].
pub fn counts(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<bool, StoreError> {
    Ok(tx.row(&COUNTS, params![directory])?.is_some())
}

/// A group that counts for whoever is in one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Above {
    /// The group.
    pub group: DirectoryGroupId,
    /// The request that put a group below it there.
    pub request: Option<RequestId>,
}

/// The groups above these, nearest first, without these.
///
/// # Errors
/// As [`children`].
pub fn above(tx: &mut Tx<'_>, from: &[DirectoryGroupId]) -> Result<Vec<Above>, StoreError> {
    let mut level: Vec<DirectoryGroupId> = from.iter().copied().take(MAX_GROUPS_ABOVE).collect();
    let mut seen: HashSet<DirectoryGroupId> = level.iter().copied().collect();
    let mut found = Vec::new();
    for _ in 0..MAX_LEVELS {
        let room = MAX_GROUPS_ABOVE.saturating_sub(seen.len());
        if level.is_empty() || room == 0 {
            break;
        }
        // Of so many at least `room` are new, if there are.
        let limit = bound(MAX_GROUPS_ABOVE.saturating_add(room));
        let mut next = Vec::new();
        for row in tx.rows(&UP, params![list(&level), limit])? {
            let group: DirectoryGroupId = row.parsed(0)?;
            if next.len() < room && seen.insert(group) {
                found.push(Above { group, request: row.opt_parsed(1)? });
                next.push(group);
            }
        }
        level = next;
    }
    Ok(found)
}

/// The groups above a person's own, nearest first.
///
/// # Errors
/// As [`children`].
pub fn above_member(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<Above>, StoreError> {
    let own = tx.rows(&OWN_GROUPS, params![membership, bound(MAX_GROUPS_ABOVE)])?;
    let own = own.iter().map(|row| row.parsed(0)).collect::<Result<Vec<_>, _>>()?;
    above(tx, &own)
}

/// These groups and all below them.
///
/// # Errors
/// As [`children`]; [`StoreError::Inconsistent`] if there are more than any directory has.
pub fn with_below(tx: &mut Tx<'_>, from: &[DirectoryGroupId]) -> Result<Vec<DirectoryGroupId>, StoreError> {
    let all = walked_down(tx, from, MAX_GROUPS_BELOW)?;
    all.ok_or_else(|| StoreError::Inconsistent("a group has more groups below it than are walked".into()))
}

/// Everybody in these groups and in all below them, `limit` at most; `None` if for that more than `most_read` groups, or
/// as many places in them, would have to be read: the same few people may have very many places.
///
/// # Errors
/// As [`children`].
pub fn few_below(
    tx: &mut Tx<'_>,
    from: &[DirectoryGroupId],
    (limit, most_read): (i64, usize),
) -> Result<Option<Vec<MembershipId>>, StoreError> {
    let Some(all) = walked_down(tx, from, most_read)? else { return Ok(None) };
    let mut left = most_read;
    for chunk in all.chunks(crate::db::MAX_LIST) {
        let places = tx.rows(&PLACES, params![list(chunk), bound(left)])?.len();
        if places >= left {
            return Ok(None);
        }
        left -= places;
    }
    memberships(tx, &all, "", limit).map(Some)
}

/// Those groups and all below them; `None` if they are more than `most`.
fn walked_down(
    tx: &mut Tx<'_>,
    from: &[DirectoryGroupId],
    most: usize,
) -> Result<Option<Vec<DirectoryGroupId>>, StoreError> {
    let mut all: Vec<DirectoryGroupId> = from.to_vec();
    let mut seen: HashSet<DirectoryGroupId> = all.iter().copied().collect();
    let mut level = all.clone();
    for _ in 0..MAX_LEVELS {
        let mut next = Vec::new();
        for chunk in level.chunks(crate::db::MAX_LIST) {
            if all.len() + next.len() > most {
                return Ok(None);
            }
            for row in tx.rows(&DOWN, params![list(chunk)])? {
                let group: DirectoryGroupId = row.parsed(0)?;
                if seen.insert(group) {
                    next.push(group);
                }
            }
        }
        if next.is_empty() {
            return Ok(Some(all));
        }
        all.extend(&next);
        if all.len() > most {
            return Ok(None);
        }
        level = next;
    }
    Ok(Some(all))
}

/// The memberships of people in any of these groups, in order of id, after `after`; `limit` at most.
///
/// # Errors
/// As [`children`].
pub fn memberships(
    tx: &mut Tx<'_>,
    groups: &[DirectoryGroupId],
    after: &str,
    limit: i64,
) -> Result<Vec<MembershipId>, StoreError> {
    let mut found: Vec<MembershipId> = Vec::new();
    for chunk in groups.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&MEMBERSHIPS, params![list(chunk), after, limit])? {
            found.push(row.parsed(0)?);
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(found)
}
