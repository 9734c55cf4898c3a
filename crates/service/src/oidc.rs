//! Connections of OpenID beyond a single sign-in: whose ways are followed, and what a provider says of a session
//! afterwards.

pub mod logout;
pub mod preset;

use portcullis_oidc::refusal::Refusal as OidcRefusal;

use crate::ServiceError;
use crate::refusal::SignInRefusal;

/// A refusal of the protocol, as a sign-in tells it.
pub(crate) fn broken(refusal: impl Into<OidcRefusal>) -> ServiceError {
    SignInRefusal::Protocol(Box::new(refusal.into().broken().into())).into()
}
