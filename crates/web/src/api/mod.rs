//! The administration API, `/api/v1`: one file a noun, each with its rows of the table.

mod agent;
mod audit;
mod connection;
mod dialect;
pub mod directory;
mod directory_group;
pub mod domain;
pub mod environment;
mod google;
pub mod grant;
mod hold;
mod invitation;
mod known_by;
mod last_refusal;
pub mod mapping;
mod me;
mod member_key;
mod membership;
mod notice;
mod oidc;
pub mod organization;
mod receipt;
mod review;
pub mod role;
mod saml;
mod service_key;
mod suggestion;
pub mod team;
mod token;
mod trace;

use std::str::FromStr;

use portcullis_service::ServiceError;
use portcullis_service::noun::Noun;

use crate::route::Operation;

/// The id that a path names. What cannot be one answers like an unknown one.
fn id<T: FromStr>(text: &str, noun: Noun) -> Result<T, ServiceError> {
    text.parse().map_err(|_| ServiceError::NotFound(noun))
}

/// Every row.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [
        agent::operations(),
        audit::operations(),
        connection::operations(),
        dialect::operations(),
        directory::operations(),
        directory_group::operations(),
        domain::operations(),
        environment::operations(),
        google::operations(),
        grant::operations(),
        hold::operations(),
        invitation::operations(),
        known_by::operations(),
        mapping::operations(),
        me::operations(),
        member_key::operations(),
        membership::operations(),
        oidc::operations(),
        organization::operations(),
        receipt::operations(),
        review::operations(),
        role::operations(),
        saml::operations(),
        service_key::operations(),
        suggestion::operations(),
        team::operations(),
        token::operations(),
        trace::operations(),
        crate::openapi::operations(),
    ]
    .concat()
}
