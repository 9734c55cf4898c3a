//! Every statement on both databases: it prepares, its types agree, and SQLite finds its rows by an index.

use std::collections::BTreeMap;

use portcullis_store::statement::{Road, Statement, all};
use portcullis_store::{Dialect, Options};
use postgres::types::Type;

use crate::database::Database;

/// Statements that read a table from end to end, each with the reason why that is right.
const MAY_SCAN: &[(&str, &str)] = &[];

fn sqlite() -> (Database, rusqlite::Connection) {
    let database = Database::sqlite().opened();
    let Options::Sqlite { path } = database.options() else { panic!("not SQLite") };
    let connection = rusqlite::Connection::open(path).unwrap();
    (database, connection)
}

/// The type of each column as both databases can say it; `None` where SQLite knows none before there is a row.
fn sqlite_types(connection: &rusqlite::Connection, statement: &Statement) -> Vec<Option<Type>> {
    let prepared = connection
        .prepare(&Dialect::Sqlite.text(statement.sql))
        .unwrap_or_else(|error| panic!("`{}` on SQLite: {error}", statement.name));
    let declared = |column: &rusqlite::Column<'_>| match column.decl_type()? {
        "INTEGER" => Some(Type::INT8),
        "TEXT" => Some(Type::TEXT),
        other => panic!("`{}` has a column of type {other}", statement.name),
    };
    prepared.columns().map(|column| declared(&column)).collect()
}

#[test]
fn every_statement_has_a_name_of_its_own_that_begins_with_its_noun() {
    let mut seen = BTreeMap::new();
    for statement in all() {
        let (noun, verb) = statement.name.split_once('.').expect("a name is noun.verb");
        let plain = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !word.is_empty();
        assert!(plain(noun) && plain(verb), "`{}` is not noun.verb", statement.name);
        assert!(seen.insert(statement.name, ()).is_none(), "two statements are named `{}`", statement.name);
    }
    assert!(seen.len() > 150, "{} statements are too few to be all", seen.len());
}

#[test]
fn every_statement_prepares_on_sqlite() {
    let (_database, connection) = sqlite();
    for statement in all() {
        sqlite_types(&connection, statement);
    }
}

#[test]
fn every_statement_prepares_on_postgresql_and_its_columns_have_the_types_that_sqlite_gives_them() {
    let Some(database) = Database::postgres() else { return };
    let database = database.opened();
    let mut client = database.client();
    let (_sqlite, connection) = sqlite();
    for statement in all() {
        let name = statement.name;
        let prepared = client
            .prepare(&Dialect::Postgres.text(statement.sql))
            .unwrap_or_else(|error| panic!("`{name}` on PostgreSQL: {:?}", error.as_db_error()));
        for (index, parameter) in prepared.params().iter().enumerate() {
            let known = [Type::INT8, Type::TEXT].contains(parameter);
            assert!(known, "`{name}` parameter ${} is {parameter}", index + 1);
        }
        let on_sqlite = sqlite_types(&connection, statement);
        assert_eq!(on_sqlite.len(), prepared.columns().len(), "`{name}` has other columns on SQLite");
        for (column, on_sqlite) in prepared.columns().iter().zip(on_sqlite) {
            let on_postgres = column.type_();
            assert!([Type::INT8, Type::TEXT].contains(on_postgres), "`{name}` gives {on_postgres}");
            if let Some(on_sqlite) = on_sqlite {
                assert_eq!(*on_postgres, on_sqlite, "`{name}` column `{}`", column.name());
            }
        }
    }
}

#[test]
fn every_statement_uses_each_of_its_parameters_from_the_first_on() {
    for statement in all() {
        let used = |number: usize| {
            let parameter = format!("${number}");
            statement.sql.match_indices(&parameter).any(|(at, _)| {
                !statement.sql[at + parameter.len()..].starts_with(|c: char| c.is_ascii_digit())
            })
        };
        let last = (1..100).rev().find(|number| used(*number)).unwrap_or(0);
        for number in 1..=last {
            assert!(used(number), "`{}` has ${last} and no ${number}", statement.name);
        }
        assert!(last <= 24, "`{}` has more parameters than the store binds", statement.name);
    }
}

#[test]
fn every_statement_finds_its_rows_by_an_index_on_sqlite() {
    let (_database, connection) = sqlite();
    let mut scanning = Vec::new();
    for statement in all() {
        for step in plan(&connection, statement) {
            // A table that is read from end to end. What follows an index, in order, is bounded by its limit.
            let scans =
                step.starts_with("SCAN ") && !step.contains("CONSTANT ROW") && !step.contains("json_each");
            if scans {
                scanning.push((statement.name, step));
            }
        }
    }
    let unexpected: Vec<_> =
        scanning.iter().filter(|(name, _)| !MAY_SCAN.iter().any(|(may, _)| may == name)).collect();
    assert!(unexpected.is_empty(), "these read a table from end to end: {unexpected:#?}");
    for (may, reason) in MAY_SCAN {
        assert!(scanning.iter().any(|(name, _)| name == may), "`{may}` scans no more ({reason})");
    }
}

fn plan(connection: &rusqlite::Connection, statement: &Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", Dialect::Sqlite.text(statement.sql));
    let mut prepared = connection.prepare(&sql).unwrap();
    let steps = prepared.query_map([], |row| row.get::<_, String>(3));
    // Unbound parameters are NULL; the plan is the same.
    steps.unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_statement_is_on_the_road_that_its_first_word_says() {
    for statement in all() {
        let first = statement.sql.split_whitespace().next().unwrap_or_default();
        match statement.road {
            Road::Read => assert_eq!(first, "SELECT", "`{}`", statement.name),
            Road::Change | Road::Note => {
                assert!(["INSERT", "UPDATE", "DELETE"].contains(&first), "`{}`", statement.name);
            }
        }
    }
}
