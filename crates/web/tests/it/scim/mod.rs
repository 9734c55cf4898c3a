//! SCIM over HTTP: what real identity providers send, and what it does to access.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong in a test's own tools fails the test"
)]

mod belonging;
mod braking;
mod bulk;
mod callers;
mod cost;
mod dialect_report;
mod extensions;
mod facets;
mod large;
mod lists;
mod many_groups;
mod nesting;
pub mod provider;
mod refusing;
mod resources;
mod reviews;
mod room;
mod traces;
mod versions;
mod wild_entra;
mod wild_lines;
mod wild_okta;
mod wild_others;
mod wild_rules;
