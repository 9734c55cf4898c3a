//! Directories of Google Workspace: where each gets its facts, and how its polls stand.
//!
//! The source is a change, because who is asked decides who has access. The poll is a note: a run's lease, progress and
//! schedule give nobody anything. One run at a time polls a directory, whichever node it is on: it holds the row until
//! `leased_until` by the database's clock, and every write of facts begins with [`keep`].

use portcullis_domain::Timestamp;
use portcullis_domain::google::{
    ConsentClient, ConsentGiven, GoogleKey, GoogleRight, GoogleSource, PollKind, PollPhase, RightKind,
    WorkloadUse,
};
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId, OrganizationId, RequestId};
use portcullis_domain::role::Rank;

use crate::row::{Row, list};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

macro_rules! source_columns {
    () => {
        "directory, organization, customer, domain, asked_by, delegated_admin, client_email, client_id, key_id, \
         key_sealed, vouched_at, hosted_domain, client_secret_sealed, consented_by, consented_at, refresh_sealed, \
         updated_at, believed_up_to"
    };
}

macro_rules! poll_columns {
    () => {
        "directory, organization, run, leased_until, kind, phase, progress, started_at, finished_at, full_at, fast_at, \
         full_succeeded_at, fast_succeeded_at, failures, error_code, error_message, customer_id, \
         org_units, error_kind"
    };
}

macro_rules! people_columns {
    () => {
        "SELECT id, external_id, user_name, inactive_at, unconfirmed_at, attributes, believed_up_to FROM directory_users"
    };
}

const SET: Statement = Statement::change(
    "google.set",
    concat!(
        "INSERT INTO google_sources (",
        source_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
         ON CONFLICT (directory) DO UPDATE SET customer = $3, domain = $4, asked_by = $5, delegated_admin = $6, \
         client_email = $7, client_id = $8, key_id = $9, key_sealed = $10, vouched_at = $11, hosted_domain = $12, \
         client_secret_sealed = $13, consented_by = $14, consented_at = $15, refresh_sealed = $16, updated_at = $17, \
         believed_up_to = $18"
    ),
);
const DELETE: Statement = Statement::change(
    "google.delete",
    "DELETE FROM google_sources WHERE directory = $1 AND organization = $2",
);
const SOURCE: Statement = Statement::read(
    "google.source",
    concat!("SELECT ", source_columns!(), " FROM google_sources WHERE directory = $1 AND organization = $2"),
);
const DELETE_OF_ORGANIZATION: Statement =
    Statement::change("google.delete_of_organization", "DELETE FROM google_sources WHERE organization = $1");
const CONSENTED: Statement = Statement::read(
    "google.consented",
    concat!(
        "SELECT ",
        source_columns!(),
        " FROM google_sources WHERE organization = $1 AND refresh_sealed IS NOT NULL ORDER BY directory LIMIT $2"
    ),
);
const BEGIN: Statement = Statement::note(
    "google.begin",
    "INSERT INTO google_polls (directory, organization, leased_until, kind, phase, progress, due_at, full_at, fast_at, \
     failures, org_units) VALUES ($1, $2, 0, 'full', 'waiting', '{}', $3, $3, $3, 0, '[]') ON CONFLICT DO NOTHING",
);
const FORGET: Statement = Statement::note(
    "google.forget",
    "DELETE FROM google_polls WHERE directory NOT IN (SELECT directory FROM google_sources)",
);
const POLL: Statement = Statement::read(
    "google.poll",
    concat!("SELECT ", poll_columns!(), " FROM google_polls WHERE directory = $1"),
);
const DUE: Statement = Statement::read(
    "google.due",
    "SELECT google_polls.directory, google_polls.organization FROM google_polls JOIN google_sources \
     ON google_sources.directory = google_polls.directory \
     JOIN organizations ON organizations.id = google_polls.organization AND deleted_at IS NULL \
     WHERE due_at <= $1 AND leased_until <= $2 AND (asked_by <> 'consent' OR refresh_sealed IS NOT NULL) \
     ORDER BY due_at LIMIT $3",
);
const OLDEST_SUCCESS: Statement = Statement::read(
    "google.oldest_success",
    "SELECT MIN(COALESCE(p.full_succeeded_at, d.created_at)) FROM google_sources s \
     JOIN directories d ON d.id = s.directory \
     JOIN organizations o ON o.id = s.organization AND o.deleted_at IS NULL \
     LEFT JOIN google_polls p ON p.directory = s.directory \
     WHERE s.asked_by <> 'consent' OR s.refresh_sealed IS NOT NULL",
);
const CLAIM: Statement = Statement::note(
    "google.claim",
    "UPDATE google_polls SET run = $2, leased_until = $3, kind = $4, phase = 'reading', progress = '{}', \
     started_at = $5 WHERE directory = $1 AND leased_until <= $6 RETURNING directory",
);
const KEEP: Statement = Statement::note(
    "google.keep",
    "UPDATE google_polls SET leased_until = $3, phase = $4, progress = $5 \
     WHERE directory = $1 AND run = $2 AND leased_until > $6",
);
const FINISH: Statement = Statement::note(
    "google.finish",
    "UPDATE google_polls SET leased_until = 0, phase = 'waiting', progress = $3, finished_at = $4, \
     due_at = CASE WHEN full_at > started_at AND full_at < $5 THEN full_at ELSE $5 END, \
     full_at = CASE WHEN full_at > started_at THEN full_at ELSE $6 END, fast_at = $7, full_succeeded_at = $8, fast_succeeded_at = $9, failures = $10, error_code = $11, \
     error_message = $12, customer_id = $13, org_units = $14, \
     error_kind = $15 WHERE directory = $1 AND run = $2",
);
// Where a deletion silenced it and was broken off, somebody who wants it read has it speak again.
const HASTEN: Statement = Statement::note(
    "google.hasten",
    "UPDATE google_polls SET full_at = $2, due_at = $2, \
     leased_until = CASE WHEN run IS NULL THEN 0 ELSE leased_until END WHERE directory = $1",
);
const UNPIN: Statement =
    Statement::note("google.unpin", "UPDATE google_polls SET customer_id = NULL WHERE directory = $1");
const RELEASE: Statement = Statement::note(
    "google.release",
    "UPDATE google_polls SET leased_until = 0, phase = 'waiting' WHERE directory = $1 AND run = $2",
);
const SILENCE: Statement = Statement::note(
    "google.silence",
    "UPDATE google_polls SET run = NULL, leased_until = $2, phase = 'waiting' WHERE directory = $1",
);
const PEOPLE: Statement = Statement::read(
    "google.people",
    concat!(people_columns!(), " WHERE directory = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const KNOWN: Statement = Statement::read(
    "google.known",
    concat!(people_columns!(), " WHERE directory = $1 AND external_id IN_LIST($2)"),
);
const GROUPS: Statement = Statement::read(
    "google.groups",
    "SELECT id, external_id, display_name FROM directory_groups WHERE directory = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const MEMBERS: Statement = Statement::read(
    "google.members",
    "SELECT directory_user FROM directory_members WHERE directory_group = $1 AND directory_user > $2 \
     ORDER BY directory_user LIMIT $3",
);

pub(crate) const ALL: &[&Statement] = &[
    &SET,
    &DELETE,
    &DELETE_OF_ORGANIZATION,
    &SOURCE,
    &CONSENTED,
    &BEGIN,
    &FORGET,
    &POLL,
    &DUE,
    &OLDEST_SUCCESS,
    &CLAIM,
    &KEEP,
    &FINISH,
    &HASTEN,
    &UNPIN,
    &RELEASE,
    &SILENCE,
    &PEOPLE,
    &KNOWN,
    &GROUPS,
    &MEMBERS,
];

/// How the polls of a directory stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The directory.
    pub directory: DirectoryId,
    /// Its organization.
    pub organization: OrganizationId,
    /// The run that polls, or that polled last.
    pub run: Option<RequestId>,
    /// Until when that run may write, by the database's clock; the beginning of time if it is over.
    pub leased_until: Timestamp,
    /// What that run reads.
    pub kind: PollKind,
    /// How far it is.
    pub phase: PollPhase,
    /// What it has read and written, as JSON text.
    pub progress: String,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When the last one ended.
    pub finished_at: Option<Timestamp>,
    /// When everything is read next.
    pub full_at: Timestamp,
    /// When the suspended and deleted are read next.
    pub fast_at: Timestamp,
    /// When a full poll last succeeded.
    pub full_succeeded_at: Option<Timestamp>,
    /// When a fast poll last succeeded.
    pub fast_succeeded_at: Option<Timestamp>,
    /// Runs that failed since one succeeded.
    pub failures: i64,
    /// Which kind of run must succeed to mend what failed.
    pub error_kind: Option<PollKind>,
    /// Why the last run failed, as a stable code.
    pub error_code: Option<String>,
    /// The same in words.
    pub error_message: Option<String>,
    /// The customer whom the first run met: another one is not this directory's.
    pub customer_id: Option<String>,
    /// The paths of the organizational units that the last full poll met, as JSON text; bounded.
    pub org_units: String,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage<'a> {
    /// Whether it reads or writes.
    pub phase: PollPhase,
    /// What it has read and written, as JSON text.
    pub progress: &'a str,
}

/// Somebody of whom a directory told, as far as a poll compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Their id here.
    pub id: DirectoryUserId,
    /// Their id there.
    pub external_id: Option<String>,
    /// The name that they sign in with there.
    pub user_name: String,
    /// Since when they are said to be inactive.
    pub inactive_at: Option<Timestamp>,
    /// Since when what was said of them waits, after a restore.
    pub unconfirmed_at: Option<Timestamp>,
    /// Every attribute, as JSON text.
    pub attributes: String,
    /// How far it is believed what they are called.
    pub believed_up_to: Rank,
}

/// A group of which a directory told, as far as a poll compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGroup {
    /// Its id here.
    pub id: DirectoryGroupId,
    /// Its id there.
    pub external_id: Option<String>,
    /// Its name.
    pub display_name: String,
}

pub(crate) fn set(tx: &mut Tx<'_>, source: &GoogleSource) -> Result<(), StoreError> {
    let (mut key, mut workload, mut consent) = (None, None, None);
    match &source.right {
        GoogleRight::Key(is) => key = Some(is),
        GoogleRight::Workload(is) => workload = Some(is),
        GoogleRight::Consent(is) => consent = Some(is),
    }
    let given = consent.and_then(|c| c.given.as_ref());
    tx.run(
        &SET,
        params![
            source.directory,
            source.organization,
            source.customer,
            source.domain,
            source.right.kind().as_str(),
            source.right.delegated_admin(),
            key.map(|k| &k.client_email),
            key.map(|k| &k.client_id).or(consent.map(|c| &c.client_id)),
            key.map(|k| &k.key_id),
            key.map(|k| &k.key_sealed),
            workload.and_then(|w| w.vouched_at),
            consent.map(|c| &c.hosted_domain),
            consent.map(|c| &c.client_secret_sealed),
            given.map(|g| &g.by),
            given.map(|g| g.at),
            given.map(|g| &g.refresh_sealed),
            source.updated_at,
            source.believed_up_to.number(),
        ],
    )
    .map(|_| ())
}

pub(crate) fn delete(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<(), StoreError> {
    tx.run(&DELETE, params![directory, organization]).map(|_| ())
}

/// Nothing of a deleted organization is asked any more: the rights to ask go with it.
pub(crate) fn delete_of_organization(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    tx.run(&DELETE_OF_ORGANIZATION, params![organization]).map(|_| ())
}

fn read_poll(row: &Row) -> Result<Poll, StoreError> {
    let text = |column| row.opt_text(column).map(|t| t.map(str::to_owned));
    Ok(Poll {
        directory: row.parsed(0)?,
        organization: row.parsed(1)?,
        run: row.opt_parsed(2)?,
        leased_until: row.at(3)?,
        kind: row.parsed(4)?,
        phase: row.parsed(5)?,
        progress: row.text(6)?.to_owned(),
        started_at: row.opt_at(7)?,
        finished_at: row.opt_at(8)?,
        full_at: row.at(9)?,
        fast_at: row.at(10)?,
        full_succeeded_at: row.opt_at(11)?,
        fast_succeeded_at: row.opt_at(12)?,
        failures: row.int(13)?,
        error_code: text(14)?,
        error_message: text(15)?,
        customer_id: text(16)?,
        org_units: row.text(17)?.to_owned(),
        error_kind: row.opt_parsed(18)?,
    })
}

fn read_known(row: &Row) -> Result<Known, StoreError> {
    Ok(Known {
        id: row.parsed(0)?,
        external_id: row.opt_text(1)?.map(str::to_owned),
        user_name: row.text(2)?.to_owned(),
        inactive_at: row.opt_at(3)?,
        unconfirmed_at: row.opt_at(4)?,
        attributes: row.text(5)?.to_owned(),
        believed_up_to: row.rank(6)?,
    })
}

/// The sources of that organization for which somebody consented.
///
/// # Errors
/// As [`source`].
pub fn consented(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    limit: i64,
) -> Result<Vec<GoogleSource>, StoreError> {
    tx.rows(&CONSENTED, params![organization, limit])?.iter().map(read_source).collect()
}

/// Where a directory of that organization gets its facts.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn source(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
) -> Result<Option<GoogleSource>, StoreError> {
    tx.row(&SOURCE, params![directory, organization])?.as_ref().map(read_source).transpose()
}

fn read_source(row: &Row) -> Result<GoogleSource, StoreError> {
    let text = |column: usize| row.text(column).map(str::to_owned);
    let delegated_admin = || text(5);
    let right = match row.parsed(4)? {
        RightKind::ServiceAccount => GoogleRight::Key(GoogleKey {
            delegated_admin: delegated_admin()?,
            client_email: text(6)?,
            client_id: text(7)?,
            key_id: text(8)?,
            key_sealed: text(9)?,
        }),
        RightKind::WorkloadIdentity => GoogleRight::Workload(WorkloadUse {
            delegated_admin: delegated_admin()?,
            vouched_at: row.opt_at(10)?,
        }),
        RightKind::Consent => GoogleRight::Consent(ConsentClient {
            client_id: text(7)?,
            hosted_domain: text(11)?,
            client_secret_sealed: text(12)?,
            given: match row.opt_text(15)? {
                Some(sealed) => {
                    Some(ConsentGiven { by: text(13)?, at: row.at(14)?, refresh_sealed: sealed.to_owned() })
                }
                None => None,
            },
        }),
    };
    Ok(GoogleSource {
        directory: row.parsed(0)?,
        organization: row.parsed(1)?,
        customer: text(2)?,
        domain: row.opt_text(3)?.map(str::to_owned),
        right,
        believed_up_to: row.rank(17)?,
        updated_at: row.at(16)?,
    })
}

/// Begins to poll a directory, first of all everything, at `at`.
///
/// # Errors
/// As [`source`].
pub fn begin(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    directory: DirectoryId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.run(&BEGIN, params![directory, organization, at]).map(|_| ())
}

/// Forgets the polls of directories that are gone; how many.
///
/// # Errors
/// As [`source`].
pub fn forget(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.run(&FORGET, params![])
}

/// How the polls of a directory stand.
///
/// # Errors
/// As [`source`].
pub fn poll(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<Option<Poll>, StoreError> {
    tx.row(&POLL, params![directory])?.as_ref().map(read_poll).transpose()
}

/// Directories that are due at `now` and that nobody polls, the longest due first.
///
/// # Errors
/// As [`source`].
pub fn due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(DirectoryId, OrganizationId)>, StoreError> {
    let clock = tx.database_now()?;
    let rows = tx.rows(&DUE, params![now, clock, limit])?;
    rows.iter().map(|row| Ok((row.parsed(0)?, row.parsed(1)?))).collect()
}

/// When the directory was read whole that was read longest ago of all, whether or not it is due; `None` where there is none.
/// One that was never read is as old as it is.
///
/// # Errors
/// As [`source`].
pub fn oldest_success(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    Ok(tx.row(&OLDEST_SUCCESS, params![])?.map(|row| row.opt_at(0)).transpose()?.flatten())
}

/// Takes a directory's polls for a run, for `lease_s` seconds; whether nobody else has them.
///
/// # Errors
/// As [`source`].
pub fn claim(
    tx: &mut Tx<'_>,
    (directory, run): (DirectoryId, RequestId),
    kind: PollKind,
    now: Timestamp,
    lease_s: i64,
) -> Result<bool, StoreError> {
    let clock = tx.database_now()?;
    let claimed =
        tx.row(&CLAIM, params![directory, run, clock.plus_s(lease_s), kind.as_str(), now, clock])?;
    Ok(claimed.is_some())
}

/// Notes how far a run is, and holds the directory for another `lease_s` seconds; whether it is still that run's. In a
/// transaction that writes facts this comes first: the row stays locked until the commit.
///
/// # Errors
/// As [`source`].
pub fn keep(
    tx: &mut Tx<'_>,
    (directory, run): (DirectoryId, RequestId),
    stage: Stage<'_>,
    lease_s: i64,
) -> Result<bool, StoreError> {
    let clock = tx.database_now()?;
    let until = clock.plus_s(lease_s);
    Ok(tx.run(&KEEP, params![directory, run, until, stage.phase.as_str(), stage.progress, clock])? > 0)
}

/// Ends a run as `poll` says it ended, and gives the directory back. A run that lost it changes nothing. Whoever asked, while
/// it ran, for everything to be read at once is not put off: a full poll that is due after the run began stays so.
///
/// # Errors
/// As [`source`].
pub fn finish(tx: &mut Tx<'_>, run: RequestId, poll: &Poll) -> Result<(), StoreError> {
    tx.run(
        &FINISH,
        params![
            poll.directory,
            run,
            poll.progress,
            poll.finished_at,
            poll.full_at.min(poll.fast_at),
            poll.full_at,
            poll.fast_at,
            poll.full_succeeded_at,
            poll.fast_succeeded_at,
            poll.failures,
            poll.error_code,
            poll.error_message,
            poll.customer_id,
            poll.org_units,
            poll.error_kind.map(PollKind::as_str),
        ],
    )
    .map(|_| ())
}

/// Has everything of a directory read at `at`, also of one that [`silence`] kept from it.
///
/// # Errors
/// As [`source`].
pub fn hasten(tx: &mut Tx<'_>, directory: DirectoryId, at: Timestamp) -> Result<(), StoreError> {
    tx.run(&HASTEN, params![directory, at]).map(|_| ())
}

/// Forgets which customer the first run met.
///
/// # Errors
/// As [`source`].
pub fn unpin(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<(), StoreError> {
    tx.run(&UNPIN, params![directory]).map(|_| ())
}

/// Gives a directory back that a run was cut off at.
///
/// # Errors
/// As [`source`].
pub fn release(tx: &mut Tx<'_>, (directory, run): (DirectoryId, RequestId)) -> Result<(), StoreError> {
    tx.run(&RELEASE, params![directory, run]).map(|_| ())
}

/// Nobody polls a directory any more, and the run that does writes nothing more: it is about to be deleted.
///
/// # Errors
/// As [`source`].
pub fn silence(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<(), StoreError> {
    tx.run(&SILENCE, params![directory, Timestamp::from_micros(i64::MAX)]).map(|_| ())
}

/// A page of the people of whom a directory told, after `after`.
///
/// # Errors
/// As [`source`].
pub fn people(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<Known>, StoreError> {
    tx.rows(&PEOPLE, params![directory, after, limit])?.iter().map(read_known).collect()
}

/// The people of whom a directory told by one of these ids of theirs.
///
/// # Errors
/// As [`source`].
pub fn known(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    external_ids: &[String],
) -> Result<Vec<Known>, StoreError> {
    let mut found = Vec::new();
    for chunk in external_ids.chunks(crate::db::MAX_LIST) {
        for row in tx.rows(&KNOWN, params![directory, list(chunk)])? {
            found.push(read_known(&row)?);
        }
    }
    Ok(found)
}

/// A page of the groups of which a directory told, after `after`.
///
/// # Errors
/// As [`source`].
pub fn groups(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    after: &str,
    limit: i64,
) -> Result<Vec<KnownGroup>, StoreError> {
    let rows = tx.rows(&GROUPS, params![directory, after, limit])?;
    rows.iter()
        .map(|row| {
            Ok(KnownGroup {
                id: row.parsed(0)?,
                external_id: row.opt_text(1)?.map(str::to_owned),
                display_name: row.text(2)?.to_owned(),
            })
        })
        .collect()
}

/// A page of a group's members, after `after`.
///
/// # Errors
/// As [`source`].
pub fn members(
    tx: &mut Tx<'_>,
    group: DirectoryGroupId,
    after: &str,
    limit: i64,
) -> Result<Vec<DirectoryUserId>, StoreError> {
    tx.rows(&MEMBERS, params![group, after, limit])?.iter().map(|row| row.parsed(0)).collect()
}
