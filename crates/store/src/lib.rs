//! SQL, migrations and transactions: one text for SQLite and PostgreSQL.
//!
//! Only this room knows SQL and tables. It is synchronous: connections live on threads of its own ([`Store`]), a use
//! case is a plain function of `&mut` [`Tx`] and runs whole on such a thread. What gives or takes access is written by
//! [`apply()`] only, from a `Plan`; what does not is a note, over tables of its own ([`statement::Road`]).
//!
//! How to add a noun: a table in a new migration, a file named like it with its statements in `ALL`, a line in
//! [`statement::all`], and the arm in [`mod@apply`] that dispatches its changes.

pub mod agent;
pub mod apply;
pub mod arrival;
pub mod audit;
pub mod backup;
pub mod bearer;
pub mod brake;
pub mod checkup;
mod client;
pub mod connection;
pub mod consent;
pub mod db;
pub mod dialect;
pub mod directory;
pub mod directory_group;
pub mod directory_user;
pub mod domain;
mod driver;
pub mod ending;
pub mod environment;
pub mod error;
pub mod facet;
pub mod facts;
pub mod farewell;
pub mod google;
pub mod grant;
pub mod hold;
pub mod idempotency;
pub mod instance;
pub mod invitation;
pub mod last_refusal;
pub mod lease;
pub mod leaver;
pub mod mapping;
pub mod membership;
pub mod migration;
pub mod oidc;
pub mod oidc_session;
pub mod organization;
pub mod outbox;
pub mod pool;
mod queue;
pub mod receipt;
pub mod replay;
pub mod review;
pub mod role;
pub mod row;
pub mod saml;
pub mod saml_refresh;
pub mod saml_session;
pub mod sign_in;
pub mod signing_key;
pub mod statement;
pub mod subgroup;
pub mod team;
pub mod token;
pub mod tombstone;
pub mod trace;
pub mod unique;
pub mod user;
pub mod wire;
mod writer;

pub use apply::{Applied, apply};
pub use db::{Dialect, Tx};
pub use error::StoreError;
pub use pool::{Options, Priority, Store};
pub use unique::UniqueKey;
pub use wire::{UrlError, Wire};
