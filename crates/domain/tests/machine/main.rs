//! What is decided, as sentences and as properties: every rule of belonging that needs no database.
//!
//! Tables name one rule each. Properties say what holds for any facts: the order of arrival does not show, automation
//! gives no explicit-only role, what a moment says holds until `until`, and the end of a membership leaves nothing.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking"
)]

mod agents;
mod audit;
mod braking;
mod connections;
mod directory_users;
mod evaluating;
mod facets;
mod fixture;
mod google;
mod leaving;
mod living;
mod plans;
mod properties;
mod roles;
mod texts;
mod words;
