//! The administration API, `/api/v1`: one file a noun, each with its rows of the table.

mod agent;
mod audit;
mod connection;
mod invitation;
mod me;
mod member_key;
mod membership;
mod service_key;
mod token;

pub mod mapping;
pub mod grant;
pub mod domain;
pub mod directory;
pub mod environment;
pub mod organization;
mod receipt;
pub mod role;
pub mod team;
mod trace;

use std::str::FromStr;

use portcullis_service::ServiceError;

use crate::route::Operation;

/// The id that a path names. What cannot be one answers like an unknown one.
fn id<T: FromStr>(text: &str, noun: &'static str) -> Result<T, ServiceError> {
    text.parse().map_err(|_| ServiceError::NotFound(noun))
}

/// Every row.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [
        agent::operations(),
        audit::operations(),
        connection::operations(),
        invitation::operations(),
        me::operations(),
        member_key::operations(),
        membership::operations(),
        receipt::operations(),
        service_key::operations(),
        token::operations(),
        trace::operations(),
        environment::operations(),
        organization::operations(),
        role::operations(),
        team::operations(),
        directory::operations(),
        domain::operations(),
        grant::operations(),
        mapping::operations(),
    ]
    .concat()
}
