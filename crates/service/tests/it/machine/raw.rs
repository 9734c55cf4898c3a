//! The database past the product: what is really there, and a hand that changes it behind the product's back.

use portcullis_store::Options;
use portcullis_testkit::Bench;

/// A connection of the test's own.
pub(crate) enum Raw {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Client),
}

/// What stands for no value.
pub(crate) const NULL: &str = "∅";

impl Raw {
    pub(crate) fn of(bench: &Bench) -> Self {
        match bench.database() {
            Options::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path).expect("the file opens");
                connection.busy_timeout(std::time::Duration::from_secs(5)).expect("a timeout");
                Self::Sqlite(connection)
            }
            Options::Postgres { url, .. } => Self::Postgres(
                postgres::Client::connect(&url, postgres::NoTls).expect("the database answers"),
            ),
        }
    }

    /// Every row of a query, every value as text.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Sqlite(connection) => {
                let mut prepared = connection.prepare_cached(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
                let columns = prepared.column_count();
                let mut rows = prepared.raw_query();
                let mut out = Vec::new();
                while let Some(row) = rows.next().expect("a row") {
                    let value = |column| match row.get_ref(column).expect("a column") {
                        rusqlite::types::ValueRef::Null => NULL.to_owned(),
                        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                        other => other.as_str().expect("a text").to_owned(),
                    };
                    out.push((0..columns).map(value).collect());
                }
                out
            }
            Self::Postgres(client) => {
                let messages = client.simple_query(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
                let row = |message| match message {
                    postgres::SimpleQueryMessage::Row(row) => {
                        let value = |column| row.get(column).unwrap_or(NULL).to_owned();
                        Some((0..row.len()).map(value).collect())
                    }
                    _ => None,
                };
                messages.into_iter().filter_map(row).collect()
            }
        }
    }

    /// Changes rows; how many.
    pub(crate) fn change(&mut self, sql: &str) -> u64 {
        match self {
            Self::Sqlite(connection) => {
                connection.execute(sql, []).unwrap_or_else(|e| panic!("{sql}: {e}")) as u64
            }
            Self::Postgres(client) => client.execute(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}")),
        }
    }

    /// Changes the schema.
    pub(crate) fn batch(&mut self, sql: &str) {
        match self {
            Self::Sqlite(connection) => {
                connection.execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
            }
            Self::Postgres(client) => client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}")),
        }
    }
}
