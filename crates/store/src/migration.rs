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
    /// Its number in four digits, as the file has it.
    digits: &'static str,
    name: &'static str,
    sql: &'static str,
}

impl Migration {
    fn number(&self) -> i64 {
        self.digits.parse().unwrap_or_default()
    }
}

macro_rules! steps {
    ($($digits:literal $name:literal,)*) => {
        &[$(Migration {
            digits: $digits,
            name: $name,
            sql: include_str!(concat!("../migrations/", $digits, "_", $name, ".sql")),
        }),*]
    };
}

/// Every step, in order.
const MIGRATIONS: &[Migration] = steps! {
    "0001" "rooms",
    "0002" "brake",
    "0003" "reviews",
    "0004" "team_members",
    "0005" "google_rights",
    "0006" "spared",
    "0007" "sources_of_traces",
    "0008" "saml",
    "0009" "oidc_sessions",
    "0010" "above",
    "0011" "claim_rules",
    "0012" "oidc_settings",
    "0013" "endings",
    "0014" "oidc_hints",
    "0015" "moved",
    "0016" "authenticators",
    "0017" "subjects",
    "0018" "client_certificates",
    "0019" "causes",
    "0020" "believed",
    "0021" "signed_by",
    "0022" "believed_members",
    "0023" "given",
    "0024" "vouched",
    "0025" "taken_over",
    "0026" "refusals",
    "0027" "paused",
    "0028" "living",
    "0029" "through",
    "0030" "chosen_from",
    "0031" "claimed_once",
    "0032" "forgotten",
    "0033" "named",
    "0034" "numbered_receipts",
    "0035" "standard_urns",
    "0036" "chosen_below",
    "0037" "confined",
    "0038" "run_out",
};

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
    MIGRATIONS.last().map_or(0, Migration::number)
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

/// Gives back what making a schema leaves in the cache of whoever writes, on SQLite: a page for each table and index, a
/// megabyte of a database that is empty. Another transaction than the one that made it, whose pages are not on disk yet.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub fn forget_pages(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    match tx.dialect() {
        Dialect::Sqlite => tx.batch("PRAGMA shrink_memory"),
        Dialect::Postgres => Ok(()),
    }
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
    tx.run(&RECORD, params![migration.number(), migration.name, now])?;
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
        if step.number != known.number() || step.name != known.name {
            return Err(StoreError::WrongVersion(format!(
                "the database has migration {} (`{}`) where this Portcullis has {} (`{}`)",
                step.number,
                step.name,
                known.number(),
                known.name
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

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_file_of_the_folder_is_a_step_and_they_are_numbered_without_a_gap() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let steps: Vec<String> =
            MIGRATIONS.iter().map(|step| format!("{}_{}.sql", step.digits, step.name)).collect();
        assert_eq!(steps, files);
        assert!((1..).zip(MIGRATIONS).all(|(number, step)| step.number() == number));
    }
}
