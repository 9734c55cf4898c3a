//! Every target over its kept corpus, and over changes of it: seconds, on the stable toolchain.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod corpus;
mod oracle;
