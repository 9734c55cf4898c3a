//! What the Directory API answers, as far as it is read. Everything else is left aside; what must be there and is not
//! makes the answer a broken one, never an empty one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What is asked of each person.
pub(super) const USER_FIELDS: &str = "id,primaryEmail,name(givenName,familyName,fullName),suspended,archived,orgUnitPath,aliases,customerId,deletionTime";

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    /// The immutable id.
    pub(super) id: String,
    /// The address that they sign in with.
    pub(super) primary_email: String,
    /// What they are called.
    #[serde(default)]
    pub(super) name: Name,
    /// Whether they are suspended; `None` if nothing is said.
    pub(super) suspended: Option<bool>,
    /// Whether they are archived; `None` if nothing is said.
    pub(super) archived: Option<bool>,
    /// The path of their organizational unit.
    pub(super) org_unit_path: Option<String>,
    /// Other addresses of theirs in the customer's domains.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// Whose they are.
    pub(super) customer_id: Option<String>,
    /// When they were deleted.
    pub(super) deletion_time: Option<String>,
}

impl User {
    /// Whether they are active; `None` if nothing is said, which takes nothing and gives nothing back.
    pub(super) const fn active(&self) -> Option<bool> {
        match (self.suspended, self.archived) {
            (Some(true), _) | (_, Some(true)) => Some(false),
            (Some(false), _) => Some(true),
            (None, _) => None,
        }
    }
}

/// What somebody is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Name {
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
    pub(super) full_name: Option<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    /// The immutable id.
    pub(super) id: String,
    /// Its address: its name here, because Google lets several groups have one name.
    pub(super) email: String,
    /// How many people are direct members, written as a text: groups among its members do not count.
    pub(super) direct_members_count: Option<String>,
}

/// A direct member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    /// The id of the person or group; everybody of the customer has the customer's.
    pub(super) id: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// An organizational unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrgUnit {
    /// Its whole path.
    pub(super) org_unit_path: String,
}

/// All units at once: this list has no pages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrgUnits {
    #[serde(default)]
    pub(super) organization_units: Vec<OrgUnit>,
}

/// A page of a list. An empty list is left out by Google; that the answer is a list says its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) kind: String,
    pub(super) next_page_token: Option<String>,
    #[serde(alias = "users", alias = "groups", alias = "members", default = "Vec::new")]
    pub(super) items: Vec<T>,
}

/// An error of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ApiError {
    pub(super) error: ErrorBody,
}

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) errors: Vec<ErrorReason>,
    pub(super) details: Vec<ErrorDetail>,
}

impl ErrorBody {
    /// The first reason that is given.
    pub(super) fn reason(&self) -> &str {
        let old = self.errors.first().map(|error| error.reason.as_str());
        let new = self.details.iter().map(|detail| detail.reason.as_str()).find(|reason| !reason.is_empty());
        old.or(new).unwrap_or_default()
    }
}

/// A reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorReason {
    pub(super) reason: String,
}

/// A reason in the newer form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ErrorDetail {
    pub(super) reason: String,
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct TokenError {
    pub(super) error: String,
    pub(super) error_description: String,
}

/// An access token.
#[derive(Clone, Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: String,
    pub(super) expires_in: i64,
    /// What it is good for, where that is said.
    pub(super) scope: Option<String>,
}

/// What a code gives.
#[derive(Clone, Deserialize)]
pub(super) struct ConsentAnswer {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    #[serde(default)]
    pub(super) scope: String,
    pub(super) id_token: Option<String>,
}

/// What an ID token says, as far as it is read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct IdClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) exp: i64,
    pub(super) nonce: Option<String>,
    /// The domain of the account's Workspace; absent for consumers' accounts.
    pub(super) hd: Option<String>,
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) email_verified: bool,
}

impl IdClaims {
    /// The claims of an ID token; whose word they are is the caller's matter.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}
