//! A new database is made at once, and is what every step one after the other leads to.

use std::sync::Arc;

use portcullis_store::{Options, Store, migration};

use crate::database::{Database, NOW, Still, on_each_empty};

/// Columns in their order, keys and indexes, and what is in the tables from the beginning, each on a line.
const OF_SQLITE: &[&str] = &[
    "SELECT t.name || ' strict ' || t.strict || ': ' || c.cid || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\"
     || ' ' || COALESCE(c.dflt_value, '-') || ' ' || c.pk
     FROM pragma_table_list t JOIN pragma_table_info(t.name) c
     WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid",
    // What a table says of its keys is an index without a text; its number follows from the order in which they are said.
    "SELECT t.name || ': ' || i.origin || ' ' || i.\"unique\" || ' ' || (SELECT GROUP_CONCAT(name) FROM pragma_index_info(i.name))
     FROM pragma_table_list t JOIN pragma_index_list(t.name) i
     WHERE t.schema = 'main' AND i.origin <> 'c' ORDER BY 1",
    // In the text of a table that was renamed its name stands in quotes.
    "SELECT REPLACE(sql, '\"', '') FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    "SELECT 'revision ' || id || ' ' || number FROM revision",
    "SELECT number || ' ' || name FROM schema_migrations ORDER BY number",
];
const OF_POSTGRES: &[&str] = &[
    "SELECT table_name || ': ' || ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY ordinal_position) || ' ' || column_name
     || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '-') || ' ' || COALESCE(collation_name, '-')
     FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
    // A table that was renamed keeps the names of its keys, which nothing asks for.
    "SELECT conrelid::regclass || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace ORDER BY 1",
    "SELECT pg_get_indexdef(indexrelid) FROM pg_index
     WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
     AND indexrelid NOT IN (SELECT conindid FROM pg_constraint) ORDER BY 1",
    "SELECT 'revision ' || id || ' ' || number FROM revision",
    "SELECT number || ' ' || name FROM schema_migrations ORDER BY number",
];

fn described(database: &Database) -> Vec<String> {
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match database.options() {
        Options::Sqlite { path } => {
            let connection = rusqlite::Connection::open(path).unwrap();
            let lines = |sql: &&str| -> Vec<String> {
                let mut statement = connection.prepare(sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            };
            OF_SQLITE.iter().flat_map(lines).map(one_line).collect()
        }
        Options::Postgres { .. } => {
            let mut client = database.client();
            let lines = |sql: &&str| -> Vec<String> {
                client.query(*sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
            };
            OF_POSTGRES.iter().flat_map(lines).map(one_line).collect()
        }
    }
}

/// If this fails, a migration and `schema.sql` do not say the same.
#[test]
fn a_new_database_is_what_the_migrations_lead_to() {
    on_each_empty(|database| {
        let by_steps = match database.options() {
            Options::Sqlite { .. } => Database::sqlite(),
            Options::Postgres { .. } => Database::postgres().expect("it is there"),
        };
        let store = Store::connect(&by_steps.options(), Arc::new(Still)).unwrap();
        store.write_blocking(|tx| migration::migrate_by_steps(tx, NOW)).unwrap();
        let (made, by_steps) = (described(&database.opened()), described(&by_steps));
        assert!(made.len() > 500, "only {} lines describe it", made.len());
        let of = |these: &[String], others: &[String]| -> Vec<String> {
            these.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        let (only_in_the_schema, only_by_steps) = (of(&made, &by_steps), of(&by_steps, &made));
        assert_eq!(
            (only_in_the_schema, only_by_steps),
            (vec![], vec![]),
            "`schema.sql` on the left, the migrations on the right"
        );
        assert_eq!(made, by_steps, "in the same order");
    });
}
