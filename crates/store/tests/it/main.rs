//! The store against both databases: every statement, every noun, and what happens when two want the same.
//!
//! A throw-away SQLite file always, a database in the cluster that `PORTCULLIS_TEST_POSTGRES` names where it is set.
//! In CI it must be set: a test that quietly leaves one database out proves half.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it did not expect must fail, also in what prepares it"
)]

mod causes;
mod claims;
mod database;
mod fixture;
mod groups;
mod home;
mod leaving;
mod model;
mod nodes;
mod notes;
mod oidc;
mod organizations;
mod people;
mod rules;
mod saml;
mod schema;
mod silence;
mod standard_urns;
mod statements;
mod teams;
mod tokens;
mod writing;
