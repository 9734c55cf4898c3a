//! The surfaces of HTTP against the whole product on a throw-away database: one module a noun.

mod environments;
mod idempotency;
mod organizations;
mod roles;
mod scim;
mod support;
mod teams;
