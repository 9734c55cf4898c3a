//! What is true and allowed in Portcullis: types, decisions and invariants, as pure functions.
//!
//! Nothing here reads a clock, a file, a socket or a database. Facts, rules, the time and randomness come in as
//! values; an [`access::Access`] or a [`plan::Plan`] goes out. Everything that can change access is decided here, so
//! that a property test can hold every invariant without a server.
//!
//! Start reading at [`access::resolve`] (what follows from facts and rules), [`offboarding::off_board`] (how a
//! membership ends) and [`evaluation::evaluate`] (may this bearer act now).

pub mod access;
pub mod agent;
pub mod audit;
pub mod brake;
pub mod cause;
pub mod change;
pub mod connection;
pub mod directory;
pub mod directory_group;
pub mod directory_user;
pub mod domain;
pub mod environment;
pub mod evaluation;
pub mod google;
pub mod grant;
pub mod hold;
pub mod id;
pub mod mapping;
pub mod membership;
pub mod offboarding;
pub mod oidc;
pub mod organization;
pub mod permission;
pub mod plan;
pub mod random;
pub mod receipt;
pub mod refusal;
pub mod review;
pub mod role;
pub mod saml;
pub mod secret;
pub mod team;
pub mod text;
pub mod time;
pub mod token;
pub mod tombstone;
pub mod user;

pub use random::Random;
pub use refusal::Refusal;
pub use time::{Clock, Timestamp};
