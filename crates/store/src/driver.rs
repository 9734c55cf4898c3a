//! The two drivers: how each prepares, binds, runs and reads, and what its errors mean.
//!
//! Beside the dialects, which decide what is said; here is only how it is sent.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use rusqlite::StatementStatus;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::client::Client;
use crate::db::{Dialect, Trouble};
use crate::row::{Param, Row, Value};
use crate::statement::Statement;

/// What SQLite is told for each statement, by its name: made once for all connections.
static SQLITE_TEXTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    crate::statement::all().into_iter().map(|s| (s.name, Dialect::Sqlite.text(s.sql))).collect()
});

fn sqlite_text(statement: &'static Statement) -> Cow<'static, str> {
    match SQLITE_TEXTS.get(statement.name) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(Dialect::Sqlite.text(statement.sql)),
    }
}

/// A PostgreSQL client with the statements that it has prepared.
pub(crate) struct PostgresConnection {
    pub(crate) client: Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
}

impl PostgresConnection {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, prepared: HashMap::new() }
    }

    fn prepare(
        &mut self,
        statement: &'static Statement,
    ) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        if let Some(prepared) = self.prepared.get(statement.name) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(&Dialect::Postgres.text(statement.sql))?;
        self.prepared.insert(statement.name, prepared.clone());
        Ok(prepared)
    }
}

/// A driver's error, reduced to what is decided from it.
pub(crate) struct Driver {
    pub(crate) trouble: Trouble,
    pub(crate) message: String,
}

impl From<rusqlite::Error> for Driver {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let trouble = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::TryAgain,
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::OutOfMemory,
            ) => Trouble::Gone,
            _ => Trouble::Refused,
        };
        Self { trouble, message: error.to_string() }
    }
}

/// Classes of errors by which PostgreSQL says that it does not serve now, whatever it is asked: connections, resources that
/// ran out (a full disk is one), operators, the system.
const GONE: [&str; 4] = ["08", "53", "57", "58"];

fn class(code: &tokio_postgres::error::SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}

/// Whether PostgreSQL says that it ends, or that it was lost itself: what came of a commit is not known then.
pub(crate) fn was_cut_off(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::Severity;
    let stays = error.as_db_error().is_some_and(|e| e.parsed_severity() == Some(Severity::Error));
    !stays || error.code().is_some_and(|code| matches!(class(code), "08" | "57"))
}

impl From<tokio_postgres::Error> for Driver {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        let trouble = match error.code() {
            Some(code)
                if *code == SqlState::T_R_SERIALIZATION_FAILURE
                    || *code == SqlState::T_R_DEADLOCK_DETECTED
                    || *code == SqlState::LOCK_NOT_AVAILABLE
                    || *code == SqlState::UNIQUE_VIOLATION =>
            {
                Trouble::TryAgain
            }
            // A read-only database is a standby, or one that somebody has taken out of service.
            Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Trouble::Gone,
            Some(code) if GONE.contains(&class(code)) => Trouble::Gone,
            Some(_) => Trouble::Refused,
            None => Trouble::Gone,
        };
        let message = error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
        Self { trouble, message }
    }
}

fn sqlite_bind(statement: &mut rusqlite::Statement<'_>, params: &[Param<'_>]) -> rusqlite::Result<()> {
    for (index, param) in (1_usize..).zip(params) {
        match param {
            Param::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Param::Int(number) => statement.raw_bind_parameter(index, number)?,
            Param::Text(text) => statement.raw_bind_parameter(index, text.as_ref())?,
        }
    }
    Ok(())
}

fn sqlite_prepare<'c>(
    connection: &'c rusqlite::Connection,
    statement: &'static Statement,
) -> rusqlite::Result<rusqlite::CachedStatement<'c>> {
    connection.prepare_cached(&sqlite_text(statement))
}

pub(crate) fn sqlite_rows(
    connection: &rusqlite::Connection,
    statement: &'static Statement,
    params: &[Param<'_>],
    steps: &mut u64,
) -> rusqlite::Result<Vec<Row>> {
    let mut prepared = sqlite_prepare(connection, statement)?;
    sqlite_bind(&mut prepared, params)?;
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => Value::Null,
                rusqlite::types::ValueRef::Integer(number) => Value::Int(number),
                other => Value::Text(other.as_str()?.to_owned()),
            });
        }
        out.push(Row { statement: statement.name, values });
    }
    drop(rows);
    *steps += steps_of(&prepared);
    Ok(out)
}

/// How many steps a statement took since it was asked last: one that is kept goes on counting.
fn steps_of(prepared: &rusqlite::Statement<'_>) -> u64 {
    u64::try_from(prepared.reset_status(StatementStatus::VmStep)).unwrap_or_default()
}

pub(crate) fn sqlite_run(
    connection: &rusqlite::Connection,
    statement: &'static Statement,
    params: &[Param<'_>],
    steps: &mut u64,
) -> rusqlite::Result<u64> {
    let mut prepared = sqlite_prepare(connection, statement)?;
    sqlite_bind(&mut prepared, params)?;
    let touched = prepared.raw_execute()?;
    *steps += steps_of(&prepared);
    Ok(touched as u64)
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Self::Text(text) if *ty == Type::TEXT => text.as_ref().to_sql(ty, out),
            Self::Int(_) | Self::Text(_) => Err(format!("a parameter is of type {ty}").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INT8 || *ty == Type::TEXT
    }

    to_sql_checked!();
}

fn borrowed<'p>(params: &'p [Param<'_>]) -> Vec<&'p (dyn ToSql + Sync)> {
    params.iter().map(|p| p as &(dyn ToSql + Sync)).collect()
}

pub(crate) fn postgres_rows(
    connection: &mut PostgresConnection,
    statement: &'static Statement,
    params: &[Param<'_>],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let prepared = connection.prepare(statement)?;
    let rows = connection.client.query(&prepared, &borrowed(params))?;
    rows.into_iter()
        .map(|row| {
            let mut values = Vec::with_capacity(row.len());
            for (index, column) in row.columns().iter().enumerate() {
                let value = if *column.type_() == Type::INT8 {
                    row.try_get::<_, Option<i64>>(index)?.map_or(Value::Null, Value::Int)
                } else {
                    row.try_get::<_, Option<String>>(index)?.map_or(Value::Null, Value::Text)
                };
                values.push(value);
            }
            Ok(Row { statement: statement.name, values })
        })
        .collect()
}

pub(crate) fn postgres_run(
    connection: &mut PostgresConnection,
    statement: &'static Statement,
    params: &[Param<'_>],
) -> Result<u64, tokio_postgres::Error> {
    let prepared = connection.prepare(statement)?;
    connection.client.execute(&prepared, &borrowed(params))
}
