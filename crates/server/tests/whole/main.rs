//! The real binary with real counterparts.
//!
//! `cargo xtask test --only peers --only whole` builds the binary, starts PostgreSQL, installs the peers and names them in the
//! environment; a test that misses one of them fails.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and whole tests measure real time in a real environment"
)]

mod braking;
mod chromium;
mod demo;
mod doctor;
mod documented;
mod doors;
mod emulate;
mod faulty;
mod form;
mod google;
mod hanging;
mod harness;
mod keycloak;
mod keycloak_peer;
mod kill;
mod metadata;
mod oidc_peer;
mod operations;
mod otlp;
mod outages;
mod postgres_tls;
mod readme;
mod restoring;
mod saml_idp;
mod saml_peer;
mod schema_tester;
mod scim_tester;
mod secrets;
mod simplesamlphp;
mod simplesamlphp_peer;
mod survivors;
mod unread;
