//! Use cases against a real database, without HTTP.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking"
)]

mod accepting;
mod attaching;
mod braking;
mod comparing;
mod contention;
mod deleting;
mod first_owner;
mod following;
mod gone;
mod google;
mod machine;
mod recognizing;
mod restoring;
mod running_out;
mod saying;
mod sessions;
mod signing;
mod thread;
mod turns;
mod unreadable;
mod verifying;
mod visiting;
mod wording;

/// Whether the long counts are to be run.
#[expect(clippy::disallowed_methods, reason = "the test runner says which tier it runs")]
fn in_long_tier() -> bool {
    std::env::var("PORTCULLIS_TEST_TIER").is_ok_and(|tier| tier == "long")
}
