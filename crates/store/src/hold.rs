//! What the brake holds.
//!
//! People of holds are facts: [`crate::facts::of`] reads them.

pub(crate) mod view;

use portcullis_domain::change::HoldChange;
use portcullis_domain::hold::{Hold, Kept};
use portcullis_domain::id::{DirectoryId, DirectoryUserId, OrganizationId};

use crate::db::MAX_LIST;
use crate::row::list;
use crate::statement::Statement;
use crate::{StoreError, Tx, brake, params};

pub use view::{
    HeldView, HoldFilter, HoldView, Still, WouldLose, find, highest, holds_end, is_spared, kept_of,
    list_page, lock_people, missing, of_memberships, open_of, open_with, people, some_people, waiting_people,
    would_lose,
};

const OPEN: Statement = Statement::change(
    "hold.open",
    "INSERT INTO holds (id, organization, directory, kind, directory_group, group_name, cause_kind, request_id, \
     event, opened_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
const END: Statement = Statement::change(
    "hold.end",
    "INSERT INTO held_people (hold, membership, organization, kind, because, cause_kind, request_id, event, held_at) \
     SELECT $1, m.id, m.organization, 'endings', CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), \
     CAST($7 AS TEXT), CAST($8 AS BIGINT) FROM memberships m WHERE m.id = $2 AND m.organization = $3 \
     ON CONFLICT (hold, membership) DO NOTHING",
);
const KEEP_PEOPLE: Statement = Statement::change(
    "hold.keep_people",
    "INSERT INTO held_people (hold, membership, organization, kind, held_at) \
     SELECT DISTINCT $1, u.membership, u.organization, 'losses', CAST($4 AS BIGINT) FROM directory_users u \
     JOIN memberships a ON a.id = u.membership AND a.ended_at IS NULL WHERE u.organization = $2 AND u.id IN_LIST($3) ON CONFLICT (hold, membership) DO NOTHING",
);
const KEEP_MATCHES: Statement = Statement::change(
    "hold.keep_matches",
    "INSERT INTO held_matches (hold, membership, mapping, directory_group, through, directory_user, request_id) \
     SELECT $1, u.membership, p.id, $3, CAST($6 AS TEXT), u.id, m.request_id FROM directory_users u \
     JOIN memberships a ON a.id = u.membership AND a.ended_at IS NULL \
     JOIN mappings p ON p.organization = u.organization AND p.id IN_LIST($5) \
     LEFT JOIN directory_members m ON m.directory_group = $3 AND m.directory_user = u.id \
     WHERE u.organization = $2 AND u.id IN_LIST($4) ON CONFLICT (hold, membership, mapping, through) DO NOTHING",
);
const MISS: Statement = Statement::change(
    "hold.miss",
    "INSERT INTO held_people (hold, membership, organization, kind, directory_user, held_at) \
     SELECT $1, u.membership, u.organization, 'missing', u.id, CAST($4 AS BIGINT) FROM directory_users u \
     WHERE u.organization = $2 AND u.id IN_LIST($3) ON CONFLICT (hold, membership) DO NOTHING",
);
const UNHOLD: Statement = Statement::change(
    "hold.unhold",
    "DELETE FROM held_people WHERE membership = $1 AND organization = $2 AND kind = 'endings'",
);
const SPARE: Statement = Statement::change(
    "hold.spare",
    "INSERT INTO brake_spared (membership, organization, unmapped_at) SELECT m.id, m.organization, CAST($3 AS BIGINT) \
     FROM memberships m WHERE m.id = $1 AND m.organization = $2 \
     ON CONFLICT (membership) DO UPDATE SET unmapped_at = excluded.unmapped_at",
);
const DROP_SPARED: Statement = Statement::change(
    "hold.drop_spared",
    "DELETE FROM brake_spared WHERE membership = $1 AND organization = $2",
);
const DROP_PEOPLE: Statement = Statement::change(
    "hold.drop_people",
    "DELETE FROM held_people WHERE membership = $1 AND organization = $2",
);
const DROP_MATCHES: Statement = Statement::change(
    "hold.drop_matches",
    "DELETE FROM held_matches WHERE membership IN \
     (SELECT id FROM memberships WHERE id = $1 AND organization = $2)",
);
const FOUND: Statement = Statement::change(
    "hold.found",
    "DELETE FROM held_people WHERE organization = $1 AND kind = 'missing' AND directory_user IN_LIST($2)",
);
const DROP_KEPT: Statement = Statement::change(
    "hold.drop_kept",
    "DELETE FROM held_matches WHERE directory_group = $1 AND through = $2 AND mapping = $3 AND directory_user IN \
     (SELECT id FROM directory_users WHERE organization = $4 AND id IN_LIST($5))",
);
const DROP_PEOPLE_OF_MAPPING: Statement = Statement::change(
    "hold.drop_people_of_mapping",
    "DELETE FROM held_people WHERE organization = $1 AND kind = 'losses' AND membership IN \
     (SELECT membership FROM held_matches WHERE mapping = $2) AND NOT EXISTS (SELECT 1 FROM held_matches k \
     WHERE k.hold = held_people.hold AND k.membership = held_people.membership AND k.mapping <> $2)",
);
const DROP_MAPPING: Statement = Statement::change(
    "hold.drop_mapping",
    "DELETE FROM held_matches WHERE mapping IN (SELECT id FROM mappings WHERE organization = $1 AND id = $2)",
);
const DROP_OF_USER: Statement = Statement::change(
    "hold.drop_of_user",
    "DELETE FROM held_matches WHERE directory_user IN \
     (SELECT id FROM directory_users WHERE organization = $1 AND id = $2)",
);
// Who keeps nothing any more waits for nobody's decision.
const DROP_EMPTY: Statement = Statement::change(
    "hold.drop_empty",
    "DELETE FROM held_people WHERE organization = $1 AND kind = 'losses' AND membership IN \
     (SELECT membership FROM directory_users WHERE organization = $1 AND id IN_LIST($2)) AND NOT EXISTS \
     (SELECT 1 FROM held_matches k WHERE k.hold = held_people.hold AND k.membership = held_people.membership)",
);
const RELEASE: Statement = Statement::change(
    "hold.release",
    "DELETE FROM held_people WHERE hold = $1 AND organization = $2 AND membership IN_LIST($3)",
);
const RELEASE_MATCHES: Statement = Statement::change(
    "hold.release_matches",
    "DELETE FROM held_matches WHERE hold IN (SELECT id FROM holds WHERE id = $1 AND organization = $2) \
     AND membership IN_LIST($3)",
);
const REFUSE: Statement = Statement::change(
    "hold.refuse",
    "UPDATE held_people SET refused_at = $4 WHERE hold = $1 AND organization = $2 AND membership IN_LIST($3) \
     AND refused_at IS NULL",
);
const FORGET_PEOPLE: Statement = Statement::change(
    "hold.forget_people",
    "DELETE FROM held_people WHERE hold IN (SELECT id FROM holds WHERE directory = $1 AND organization = $2)",
);
const FORGET_MATCHES: Statement = Statement::change(
    "hold.forget_matches",
    "DELETE FROM held_matches WHERE hold IN (SELECT id FROM holds WHERE directory = $1 AND organization = $2)",
);
const FORGET: Statement =
    Statement::change("hold.forget", "DELETE FROM holds WHERE directory = $1 AND organization = $2");

pub(crate) const ALL: &[&Statement] = &[
    &OPEN,
    &END,
    &KEEP_PEOPLE,
    &KEEP_MATCHES,
    &MISS,
    &UNHOLD,
    &SPARE,
    &DROP_SPARED,
    &DROP_PEOPLE,
    &DROP_MATCHES,
    &DROP_KEPT,
    &DROP_PEOPLE_OF_MAPPING,
    &DROP_MAPPING,
    &DROP_OF_USER,
    &DROP_EMPTY,
    &FOUND,
    &RELEASE,
    &RELEASE_MATCHES,
    &REFUSE,
    &FORGET_PEOPLE,
    &FORGET_MATCHES,
    &FORGET,
];

pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &HoldChange,
) -> Result<(), StoreError> {
    match change {
        HoldChange::Open(h) => open(tx, h),
        HoldChange::End(p) => {
            let because = p.because.as_str();
            let (kind, request, event) = (p.cause.kind.as_str(), p.cause.request, p.cause.event);
            tx.run(&END, params![p.hold, p.membership, organization, because, kind, request, event, p.at])
                .map(|_| ())
        }
        HoldChange::Keep { hold, group, through, users, mappings, at } => {
            for some in users.chunks(MAX_LIST) {
                tx.run(&KEEP_PEOPLE, params![hold, organization, list(some), at])?;
                for mappings in mappings.chunks(MAX_LIST) {
                    tx.run(
                        &KEEP_MATCHES,
                        params![hold, organization, group, list(some), list(mappings), through],
                    )?;
                }
            }
            Ok(())
        }
        HoldChange::Miss(hold, users, at) => {
            in_chunks(users, |some| tx.run(&MISS, params![hold, organization, list(some), at]))
        }
        HoldChange::Found(users) => {
            in_chunks(users, |some| tx.run(&FOUND, params![organization, list(some)]))
        }
        HoldChange::Unhold(membership) => tx.run(&UNHOLD, params![membership, organization]).map(|_| ()),
        HoldChange::Spare(membership, at) => {
            tx.run(&SPARE, params![membership, organization, at]).map(|_| ())
        }
        HoldChange::Drop(membership) => {
            tx.run(&DROP_SPARED, params![membership, organization])?;
            tx.run(&DROP_PEOPLE, params![membership, organization])?;
            tx.run(&DROP_MATCHES, params![membership, organization]).map(|_| ())
        }
        HoldChange::DropKept(kept, users) => in_chunks(users, |some| {
            let Kept { group, through, mapping } = kept;
            tx.run(&DROP_KEPT, params![group, through, mapping, organization, list(some)])?;
            tx.run(&DROP_EMPTY, params![organization, list(some)])
        }),
        HoldChange::DropMapping(mapping) => {
            tx.run(&DROP_PEOPLE_OF_MAPPING, params![organization, mapping])?;
            tx.run(&DROP_MAPPING, params![organization, mapping]).map(|_| ())
        }
        HoldChange::Release(hold, people) => {
            for some in people.chunks(MAX_LIST) {
                tx.run(&RELEASE, params![hold, organization, list(some)])?;
                tx.run(&RELEASE_MATCHES, params![hold, organization, list(some)])?;
            }
            Ok(())
        }
        HoldChange::Refuse(hold, people, at) => {
            in_chunks(people, |some| tx.run(&REFUSE, params![hold, organization, list(some), at]))
        }
    }
}

fn open(tx: &mut Tx<'_>, h: &Hold) -> Result<(), StoreError> {
    let (group, name) = h.group.as_ref().map(|(id, name)| (id, name)).unzip();
    let cause = &h.cause;
    tx.run(
        &OPEN,
        params![
            h.id,
            h.organization,
            h.directory,
            h.kind.as_str(),
            group,
            name,
            cause.kind.as_str(),
            cause.request,
            cause.event,
            h.opened_at,
        ],
    )
    .map(|_| ())
}

fn in_chunks<T>(all: &[T], mut run: impl FnMut(&[T]) -> Result<u64, StoreError>) -> Result<(), StoreError> {
    all.chunks(MAX_LIST).try_for_each(|some| run(some).map(|_| ()))
}

/// Forgets what is held of somebody as a directory told of them: it is about to delete them, by name.
pub(crate) fn forget_user(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    user: DirectoryUserId,
) -> Result<(), StoreError> {
    tx.run(&DROP_OF_USER, params![organization, user])?;
    tx.run(&DROP_EMPTY, params![organization, list([user])])?;
    tx.run(&FOUND, params![organization, list([user])]).map(|_| ())
}

/// Forgets everything that a directory's brake held and counted: the directory is gone.
pub(crate) fn forget(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<(), StoreError> {
    for statement in [&FORGET_PEOPLE, &FORGET_MATCHES, &FORGET] {
        tx.run(statement, params![directory, organization])?;
    }
    brake::forget(tx, directory)
}
