//! What is of its own in connections of OpenID: whose ways are followed.
//!
//! The routes of connections are those of `connection.rs`; here are its parts for this kind.

use portcullis_domain::connection::{ClaimRules, Connection, Guests};
use portcullis_service::oidc::preset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::saml::Notice;
use crate::body::present;

/// What becomes of guests.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestsAre {
    /// They are refused.
    Refuse,
    /// They come in like everybody, and bear a mark.
    Accept,
}

impl From<Guests> for GuestsAre {
    fn from(guests: Guests) -> Self {
        match guests {
            Guests::Refuse => Self::Refuse,
            Guests::Accept => Self::Accept,
        }
    }
}

impl From<GuestsAre> for Guests {
    fn from(guests: GuestsAre) -> Self {
        match guests {
            GuestsAre::Refuse => Self::Refuse,
            GuestsAre::Accept => Self::Accept,
        }
    }
}

/// What is set of a connection of OpenID, and what should be looked after.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Oidc {
    /// Whose ways are followed: `entra`, `google`, `okta`, `keycloak`, `auth0` or `generic`.
    preset: &'static str,
    /// The preset that was chosen; null if the issuer tells it by itself.
    chosen_preset: Option<String>,
    /// What should be looked after.
    warnings: Vec<Notice>,
}

impl Oidc {
    /// As the API shows it.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self {
            preset: preset::in_force(connection).slug(),
            chosen_preset: connection.claim_rules.preset.clone(),
            warnings: preset::warnings(connection).into_iter().map(Notice::from).collect(),
        }
    }
}

/// What is to be set of a connection of OpenID. Fields that are absent stay, or are as usual in a new one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcWish {
    /// Whose ways are followed: `entra`, `google`, `okta`, `keycloak`, `auth0`, `generic`; null for those that the issuer
    /// tells by itself.
    #[serde(default, deserialize_with = "present")]
    preset: Option<Option<String>>,
}

/// What is wanted over what is set.
#[must_use]
pub fn rules_over(before: &ClaimRules, oidc: Option<&OidcWish>, guests: Option<GuestsAre>) -> ClaimRules {
    let wish = oidc.cloned().unwrap_or_default();
    ClaimRules {
        preset: wish.preset.unwrap_or_else(|| before.preset.clone()),
        guests: guests.map_or(before.guests, Guests::from),
    }
}
