//! The tests of the SCIM room, one binary: bodies in, meaning out.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod bounds;
mod bulk;
mod dialects;
mod discovery;
mod errors;
mod facets;
mod filter_model;
mod filters;
mod groups;
mod patch_model;
mod patches;
mod preconditions;
mod properties;
mod queries;
mod sorting;
mod urns;
mod users;
mod wire;
