//! The surfaces of HTTP against the whole product on a throw-away database: one module a noun.

mod agents;
mod environments;
mod idempotency;
mod keys;
mod members;
mod organizations;
mod records;
mod roles;
mod scim;
mod support;
mod teams;
