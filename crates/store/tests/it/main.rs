//! The store against both databases: every statement, every noun, and what happens when two want the same.
//!
//! A throw-away SQLite file always, a database in the cluster that `PORTCULLIS_TEST_POSTGRES` names where it is set.
//! In CI it must be set: a test that quietly leaves one database out proves half.

mod database;
mod fixture;
mod nodes;
mod notes;
mod organizations;
mod people;
mod rules;
mod statements;
mod tokens;
