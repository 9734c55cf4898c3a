//! Migrations: forward only, numbered once, one text for both databases.
//!
//! A text says `INT` and `TEXT`; the dialect decides what that is. Nothing is ever taken back: a database that knows a
//! migration which this Portcullis does not know was written by a newer one, and is refused.
//!
//! A new database takes no step: it is made at once from `schema.sql`, which is where all of them lead, in a tenth of the time.

use portcullis_domain::Timestamp;

use crate::row::Row;
use crate::statement::Statement;
use crate::{Dialect, StoreError, Tx, params};

/// A step of the schema.
struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

/// Every step, in order.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "rooms", sql: include_str!("../migrations/0001_rooms.sql") },
    Migration { number: 2, name: "brake", sql: include_str!("../migrations/0002_brake.sql") },
    Migration { number: 3, name: "reviews", sql: include_str!("../migrations/0003_reviews.sql") },
    Migration { number: 4, name: "team_members", sql: include_str!("../migrations/0004_team_members.sql") },
    Migration { number: 5, name: "google_rights", sql: include_str!("../migrations/0005_google_rights.sql") },
    Migration { number: 6, name: "spared", sql: include_str!("../migrations/0006_spared.sql") },
    Migration {
        number: 7,
        name: "sources_of_traces",
        sql: include_str!("../migrations/0007_sources_of_traces.sql"),
    },
    Migration { number: 8, name: "saml", sql: include_str!("../migrations/0008_saml.sql") },
    Migration { number: 9, name: "oidc_sessions", sql: include_str!("../migrations/0009_oidc_sessions.sql") },
    Migration { number: 10, name: "above", sql: include_str!("../migrations/0010_above.sql") },
    Migration { number: 11, name: "claim_rules", sql: include_str!("../migrations/0011_claim_rules.sql") },
    Migration {
        number: 12,
        name: "oidc_settings",
        sql: include_str!("../migrations/0012_oidc_settings.sql"),
    },
    Migration { number: 13, name: "endings", sql: include_str!("../migrations/0013_endings.sql") },
    Migration { number: 14, name: "oidc_hints", sql: include_str!("../migrations/0014_oidc_hints.sql") },
    Migration { number: 15, name: "moved", sql: include_str!("../migrations/0015_moved.sql") },
    Migration {
        number: 16,
        name: "authenticators",
        sql: include_str!("../migrations/0016_authenticators.sql"),
    },
    Migration { number: 17, name: "subjects", sql: include_str!("../migrations/0017_subjects.sql") },
    Migration {
        number: 18,
        name: "client_certificates",
        sql: include_str!("../migrations/0018_client_certificates.sql"),
    },
    Migration { number: 19, name: "causes", sql: include_str!("../migrations/0019_causes.sql") },
    Migration { number: 20, name: "believed", sql: include_str!("../migrations/0020_believed.sql") },
    Migration { number: 21, name: "signed_by", sql: include_str!("../migrations/0021_signed_by.sql") },
    Migration {
        number: 22,
        name: "believed_members",
        sql: include_str!("../migrations/0022_believed_members.sql"),
    },
    Migration { number: 23, name: "given", sql: include_str!("../migrations/0023_given.sql") },
    Migration { number: 24, name: "vouched", sql: include_str!("../migrations/0024_vouched.sql") },
    Migration { number: 25, name: "taken_over", sql: include_str!("../migrations/0025_taken_over.sql") },
    Migration { number: 26, name: "refusals", sql: include_str!("../migrations/0026_refusals.sql") },
    Migration { number: 27, name: "paused", sql: include_str!("../migrations/0027_paused.sql") },
    Migration { number: 28, name: "living", sql: include_str!("../migrations/0028_living.sql") },
    Migration { number: 29, name: "through", sql: include_str!("../migrations/0029_through.sql") },
    Migration { number: 30, name: "chosen_from", sql: include_str!("../migrations/0030_chosen_from.sql") },
    Migration { number: 31, name: "claimed_once", sql: include_str!("../migrations/0031_claimed_once.sql") },
    Migration { number: 32, name: "forgotten", sql: include_str!("../migrations/0032_forgotten.sql") },
    Migration { number: 33, name: "named", sql: include_str!("../migrations/0033_named.sql") },
    Migration {
        number: 34,
        name: "numbered_receipts",
        sql: include_str!("../migrations/0034_numbered_receipts.sql"),
    },
    Migration {
        number: 35,
        name: "standard_urns",
        sql: include_str!("../migrations/0035_standard_urns.sql"),
    },
    Migration { number: 36, name: "chosen_below", sql: include_str!("../migrations/0036_chosen_below.sql") },
    Migration { number: 37, name: "confined", sql: include_str!("../migrations/0037_confined.sql") },
];

/// Where the steps lead: the whole of a database, for whoever makes one or reads it.
const SCHEMA: &str = include_str!("../schema.sql");

/// The table that says which steps this database has taken.
const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at INT NOT NULL
);
";
/// Two nodes that start together must not migrate together. SQLite has one writer and needs no lock.
const LOCK_POSTGRES: &str = "SELECT pg_advisory_xact_lock(8021070437)";

const APPLIED: Statement = Statement::read(
    "migration.applied",
    "SELECT number, name, applied_at FROM schema_migrations ORDER BY number",
);
const RECORD: Statement = Statement::note(
    "migration.record",
    "INSERT INTO schema_migrations (number, name, applied_at) VALUES ($1, $2, $3)",
);
const TABLE_OF_SQLITE: Statement = Statement::read(
    "migration.table_of_sqlite",
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'",
);
const TABLE_OF_POSTGRES: Statement = Statement::read(
    "migration.table_of_postgres",
    "SELECT CAST(to_regclass('schema_migrations') AS TEXT) WHERE to_regclass('schema_migrations') IS NOT NULL",
);

/// A step that a database has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// When it was taken.
    pub applied_at: Timestamp,
}

fn read(row: &Row) -> Result<Applied, StoreError> {
    Ok(Applied { number: row.int(0)?, name: row.text(1)?.to_owned(), applied_at: row.at(2)? })
}

/// The newest step that this Portcullis knows.
#[must_use]
pub fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// The steps that this database has taken, in order; none if it is empty.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn applied(tx: &mut Tx<'_>) -> Result<Vec<Applied>, StoreError> {
    let table = match tx.dialect() {
        Dialect::Sqlite => &TABLE_OF_SQLITE,
        Dialect::Postgres => &TABLE_OF_POSTGRES,
    };
    if tx.row(table, params![])?.is_none() {
        return Ok(Vec::new());
    }
    tx.rows(&APPLIED, params![])?.iter().map(read).collect()
}

/// Takes every step that this database has not taken yet, in the caller's transaction. An empty one is made as they leave it.
///
/// # Errors
/// [`StoreError::WrongVersion`] if a newer Portcullis wrote the database, or another one; else as [`applied`].
pub fn migrate(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let taken = begin(tx)?;
    if taken.is_empty() {
        tx.batch(&text(tx.dialect(), SCHEMA))?;
        return MIGRATIONS.iter().try_for_each(|migration| record(tx, migration, now));
    }
    take(tx, MIGRATIONS.get(taken.len()..).unwrap_or_default(), now)
}

/// Takes every step one after the other, also where nothing is yet: as databases came to where they are that older versions
/// made. Tests compare what comes of it with a new database.
///
/// # Errors
/// As [`migrate`].
pub fn migrate_by_steps(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let taken = begin(tx)?;
    take(tx, MIGRATIONS.get(taken.len()..).unwrap_or_default(), now)
}

/// Locks the schema, and makes the table of the steps where it is not. The steps that were taken.
fn begin(tx: &mut Tx<'_>) -> Result<Vec<Applied>, StoreError> {
    if tx.dialect() == Dialect::Postgres {
        tx.batch(LOCK_POSTGRES)?;
    }
    let taken = applied(tx)?;
    check(&taken)?;
    if taken.is_empty() {
        tx.batch(&text(tx.dialect(), TABLE))?;
    }
    Ok(taken)
}

fn take(tx: &mut Tx<'_>, steps: &[Migration], now: Timestamp) -> Result<(), StoreError> {
    for migration in steps {
        tx.batch(&text(tx.dialect(), migration.sql))?;
        record(tx, migration, now)?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, migration: &Migration, now: Timestamp) -> Result<(), StoreError> {
    tx.run(&RECORD, params![migration.number, migration.name, now])?;
    Ok(())
}

/// Whether what a database has taken is the beginning of what is known here.
fn check(taken: &[Applied]) -> Result<(), StoreError> {
    let newest = newest();
    if let Some(last) = taken.last().filter(|last| last.number > newest) {
        return Err(StoreError::WrongVersion(format!(
            "the database is at migration {} (`{}`), this Portcullis knows up to {newest}: start the newer version",
            last.number, last.name
        )));
    }
    for (step, known) in taken.iter().zip(MIGRATIONS) {
        if step.number != known.number || step.name != known.name {
            return Err(StoreError::WrongVersion(format!(
                "the database has migration {} (`{}`) where this Portcullis has {} (`{}`)",
                step.number, step.name, known.number, known.name
            )));
        }
    }
    Ok(())
}

/// A migration's text for that database: column types, the order of texts, and strict tables.
fn text(dialect: Dialect, sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() * 2);
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        match (dialect, line) {
            (Dialect::Sqlite, ");") => out.push_str(") STRICT;"),
            _ => push_line(&mut out, dialect, line),
        }
        out.push('\n');
    }
    out
}

fn push_line(out: &mut String, dialect: Dialect, line: &str) {
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (text, after) = if word == 0 {
            let next = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_').unwrap_or(rest.len());
            rest.split_at(next)
        } else {
            rest.split_at(word)
        };
        out.push_str(match (dialect, text) {
            (Dialect::Sqlite, "INT") => "INTEGER",
            (Dialect::Postgres, "INT") => "BIGINT",
            (Dialect::Postgres, "TEXT") => "TEXT COLLATE \"C\"",
            _ => text,
        });
        rest = after;
    }
}
