//! The surfaces of HTTP against the whole product on a throw-away database: one module a noun.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what these share with tests fails the test that it is used by"
)]

mod access;
mod agents;
mod answers;
mod bounds;
mod connections;
mod directories;
mod documents;
mod domains;
mod environments;
mod failures;
mod following;
mod golden;
mod google;
mod grants;
mod idempotency;
mod jobs;
mod keys;
mod leads;
mod mappings;
mod matrix;
mod members;
mod organizations;
mod outgrown;
mod pace;
mod people;
mod ranks;
mod records;
mod refusals;
mod roles;
mod rows;
mod scim;
mod support;
mod teams;
mod wire;
