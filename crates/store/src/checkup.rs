//! What `doctor` asks of a database: counts of what must not be, and of what waits for too long.
//!
//! Reads only; most of them read a table from end to end, while somebody waits for the answer.

use portcullis_domain::Timestamp;
use portcullis_domain::brake::{HOUR_S, WINDOW_H};

use crate::leaver::owners_who_sign_in;
use crate::statement::Statement;
use crate::token::outliving;
use crate::{Dialect, StoreError, Tx, params};

const UNSEQUENCED: Statement = Statement::read(
    "checkup.unsequenced",
    "SELECT COUNT(*) FROM audit_events WHERE number IS NULL AND created_at < $1",
);
const UNSIGNED: Statement = Statement::read(
    "checkup.unsigned",
    "SELECT COUNT(*) FROM receipts WHERE jws IS NULL AND created_at < $1",
);
const DUE: Statement = Statement::read(
    "checkup.due",
    "SELECT COUNT(*) FROM memberships WHERE until IS NOT NULL AND until < $1 AND ended_at IS NULL",
);
const ALIVE: Statement = Statement::read(
    "checkup.alive",
    "SELECT COUNT(*) FROM tokens t JOIN memberships m ON m.id = t.membership \
     WHERE t.ended_at IS NULL AND m.ended_at IS NOT NULL AND (t.expires_at IS NULL OR t.expires_at > m.ended_at)",
);
const ALIVE_SEEN: Statement = Statement::read(
    "checkup.alive_seen",
    concat!(
        "SELECT COUNT(DISTINCT t.id) FROM tokens t LEFT JOIN tokens p ON p.id = t.parent \
         JOIN memberships m ON m.id = t.shown_to OR m.id = p.membership \
         WHERE t.ended_at IS NULL AND t.kind NOT IN ",
        outliving!(),
        " AND m.ended_at IS NOT NULL AND (t.expires_at IS NULL OR t.expires_at > m.ended_at)"
    ),
);
const ACTING_AGENTS: Statement = Statement::read(
    "checkup.acting_agents",
    "SELECT COUNT(*) FROM agents a JOIN memberships m ON m.id = a.owner \
     WHERE a.state IN ('active', 'paused') AND m.ended_at IS NOT NULL",
);
const ACTIVE_ENDED: Statement = Statement::read(
    "checkup.active_ended",
    "SELECT COUNT(*) FROM memberships WHERE state = 'active' AND ended_at IS NOT NULL",
);
const EXPIRING: Statement = Statement::read(
    "checkup.expiring",
    "SELECT COUNT(*) FROM tokens WHERE kind = 'scim_token' AND ended_at IS NULL AND expires_at < $1",
);
// What a directory gives, and whom a connection lets in by its word (`directory.highest_lent`).
const OUTGROWN: Statement = Statement::read(
    "checkup.outgrown",
    "SELECT COUNT(DISTINCT t.id) FROM tokens t JOIN directories d ON d.id = t.holder \
     LEFT JOIN tokens p ON p.id = t.parent JOIN memberships m ON m.id = t.shown_to OR m.id = p.membership \
     LEFT JOIN roles r ON r.organization = m.organization AND r.slug = m.role \
     WHERE t.kind = 'scim_token' AND t.ended_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $1) \
     AND (m.ended_at IS NOT NULL OR COALESCE(r.rank, 0) < (SELECT COALESCE(MAX(g.rank), 0) FROM roles g \
     WHERE g.organization = d.organization AND (g.slug = d.default_role OR g.slug IN \
     (SELECT p.role FROM mappings p WHERE p.directory = d.id AND p.role IS NOT NULL) \
     OR (g.explicit_only_at IS NULL AND d.id IN (SELECT c.directory FROM connections c) AND g.slug IN \
     (SELECT w.role FROM directory_users u JOIN memberships w ON w.id = u.membership \
     WHERE u.directory = d.id AND w.state <> 'deprovisioned')))))",
);
const EXPIRING_CERTIFICATES: Statement = Statement::read(
    "checkup.expiring_certificates",
    "SELECT (SELECT COUNT(*) FROM saml_certificates WHERE state = 'trusted' AND not_after < $1) + \
     (SELECT COUNT(*) FROM saml_keys WHERE state <> 'retired' AND not_after < $1)",
);
const UNCONFIRMED_CONNECTIONS: Statement = Statement::read(
    "checkup.unconfirmed_connections",
    "SELECT COUNT(*) FROM connections WHERE unconfirmed_at IS NOT NULL",
);
const UNCONFIRMED_PEOPLE: Statement = Statement::read(
    "checkup.unconfirmed_people",
    "SELECT COUNT(*) FROM directory_users u JOIN memberships m ON m.id = u.membership \
     WHERE u.unconfirmed_at IS NOT NULL AND m.ended_at IS NULL",
);
const HELD: Statement =
    Statement::read("checkup.held", "SELECT COUNT(*) FROM held_people WHERE refused_at IS NULL");
const ABOVE_BRAKE: Statement = Statement::read(
    "checkup.above_brake",
    "SELECT COUNT(*) FROM traces WHERE outcome = 'above_brake' AND created_at >= $1",
);
// What a brake refused is counted by itself.
const REFUSED: Statement = Statement::read(
    "checkup.refused",
    "SELECT COUNT(*) FROM directory_refusals WHERE code <> 'above_brake' AND refused_at >= $1",
);
// One that was never read since it was made is as old as that. Consent that was withdrawn keeps it from being due at all.
const UNREAD: Statement = Statement::read(
    "checkup.unread",
    "SELECT COUNT(*) FROM google_sources s JOIN directories d ON d.id = s.directory \
     JOIN organizations o ON o.id = s.organization AND o.deleted_at IS NULL \
     LEFT JOIN google_polls p ON p.directory = s.directory WHERE COALESCE(p.full_succeeded_at, d.created_at) < $1",
);
const METADATA_UNREAD: Statement = Statement::read(
    "checkup.metadata_unread",
    "SELECT COUNT(*) FROM saml_refreshes r JOIN saml_sources s ON s.connection = r.connection \
     JOIN organizations o ON o.id = s.organization AND o.deleted_at IS NULL WHERE COALESCE(r.succeeded_at, 0) < $1",
);
const OWNERLESS: Statement = Statement::read(
    "checkup.ownerless",
    concat!(
        "SELECT COUNT(DISTINCT b.organization) FROM memberships b JOIN organizations o ON o.id = b.organization \
         WHERE b.bare_owner_at IS NOT NULL AND o.deleted_at IS NULL AND NOT EXISTS (SELECT 1 ",
        owners_who_sign_in!("b.organization"),
        ")"
    ),
);
const NEWEST: Statement =
    Statement::read("checkup.newest", "SELECT created_at FROM audit_events ORDER BY id DESC LIMIT 1");
const SETTING_POSTGRES: Statement =
    Statement::read("checkup.setting", "SELECT current_setting(CAST($1 AS TEXT))");

/// Seconds of a day: a provider that is refused tries again within it.
const DAY_S: i64 = 24 * 3_600;
/// Seconds after which metadata that is read each day should have been read: one failure, or two, mends itself.
const METADATA_UNREAD_S: i64 = 3 * DAY_S;
/// Seconds before its end at which a certificate is told: it takes people at two companies to change one.
const CERTIFICATE_SOON_S: i64 = 30 * 24 * 3_600;

pub(crate) const ALL: &[&Statement] = &[
    &UNSEQUENCED,
    &UNSIGNED,
    &DUE,
    &ALIVE,
    &ALIVE_SEEN,
    &ACTING_AGENTS,
    &ACTIVE_ENDED,
    &EXPIRING,
    &OUTGROWN,
    &EXPIRING_CERTIFICATES,
    &UNCONFIRMED_CONNECTIONS,
    &UNCONFIRMED_PEOPLE,
    &HELD,
    &ABOVE_BRAKE,
    &REFUSED,
    &UNREAD,
    &METADATA_UNREAD,
    &OWNERLESS,
    &NEWEST,
];

/// What was found. Each count is of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkup {
    /// Audit events older than the given moment that the sequencer has not numbered.
    pub unsequenced: i64,
    /// Receipts as old that are not signed.
    pub unsigned: i64,
    /// Memberships whose access should have been settled before that moment.
    pub due: i64,
    /// Tokens of ended memberships that neither ended nor had run out then: there must be none.
    pub alive: i64,
    /// Tokens whose secret somebody saw whose membership ended, and that should have ended with it: there must be none.
    pub alive_seen: i64,
    /// Agents of ended memberships that are neither orphaned nor disabled: there must be none.
    pub acting_agents: i64,
    /// Memberships that are active and ended: there must be none.
    pub active_ended: i64,
    /// SCIM tokens that run out before the other given moment.
    pub expiring: i64,
    /// SCIM tokens that were shown to somebody who left, or stands below what their directory gives or whom it lets in.
    pub outgrown: i64,
    /// Certificates of SAML connections that count, and our keys, that run out within 30 days.
    pub expiring_certificates: i64,
    /// Connections whose new issuer or keys wait for an owner.
    pub unconfirmed_connections: i64,
    /// People of whom no directory has spoken since a restore, and who have not ended: for those nobody waits.
    pub unconfirmed_people: i64,
    /// People of whom something is held by a brake and waits for an administrator.
    pub held: i64,
    /// Calls of the last day that a brake refused, as far as their traces are kept.
    pub above_brake: i64,
    /// Directories whose last refused call is of the last day.
    pub refused: i64,
    /// Directories of Google Workspace that were not read whole since the third given moment.
    pub unread: i64,
    /// SAML connections whose metadata was not read for three days.
    pub metadata_unread: i64,
    /// Organizations whose last owner left, and where nobody can sign in as owner since.
    pub ownerless: i64,
    /// When the newest event was written.
    pub newest: Option<Timestamp>,
}

/// Looks at a database. What should be done at once is late if it is older than `late`; a SCIM token runs out soon if
/// it does before `soon`; a directory that we read has not been for too long if it was not since `unread`.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row.
pub fn look(
    tx: &mut Tx<'_>,
    late: Timestamp,
    soon: Timestamp,
    unread: Timestamp,
) -> Result<Checkup, StoreError> {
    let mut count = |statement, params: &[_]| tx.row(statement, params)?.map_or(Ok(0), |row| row.int(0));
    let mut found = Checkup {
        unsequenced: count(&UNSEQUENCED, params![late])?,
        unsigned: count(&UNSIGNED, params![late])?,
        due: count(&DUE, params![late])?,
        alive: count(&ALIVE, params![])?,
        alive_seen: count(&ALIVE_SEEN, params![])?,
        acting_agents: count(&ACTING_AGENTS, params![])?,
        active_ended: count(&ACTIVE_ENDED, params![])?,
        expiring: count(&EXPIRING, params![soon])?,
        outgrown: count(&OUTGROWN, params![late])?,
        expiring_certificates: count(&EXPIRING_CERTIFICATES, params![late.plus_s(CERTIFICATE_SOON_S)])?,
        unconfirmed_connections: count(&UNCONFIRMED_CONNECTIONS, params![])?,
        unconfirmed_people: count(&UNCONFIRMED_PEOPLE, params![])?,
        held: count(&HELD, params![])?,
        above_brake: count(&ABOVE_BRAKE, params![late.plus_s(-WINDOW_H * HOUR_S)])?,
        refused: count(&REFUSED, params![late.plus_s(-DAY_S)])?,
        unread: count(&UNREAD, params![unread])?,
        metadata_unread: count(&METADATA_UNREAD, params![late.plus_s(-METADATA_UNREAD_S)])?,
        ownerless: count(&OWNERLESS, params![])?,
        newest: None,
    };
    found.newest = tx.row(&NEWEST, params![])?.map(|row| row.at(0)).transpose()?;
    Ok(found)
}

/// A setting of a PostgreSQL server, such as `fsync`; `None` on SQLite.
///
/// # Errors
/// As [`look`].
pub fn server_setting(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(None);
    }
    tx.row(&SETTING_POSTGRES, params![name])?.map(|row| row.text(0).map(str::to_owned)).transpose()
}
