//! Who speaks for a directory, and what it says of a person: its checks, and the names in it.

use std::collections::BTreeSet;

use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::id::{DirectoryId, OrganizationId, RequestId, TokenId};
use portcullis_domain::mapping::{Facet, MAX_FACETS};
use portcullis_domain::text::{MAX_IDENTIFIER, email_key, has_nul};

use crate::ServiceError;
use crate::error::DirectoryRefusal;

/// The most bytes of all attributes of one person: calls that each add a little must not grow a row without end.
pub const MAX_ATTRIBUTES_BYTES: usize = 1024 * 1024;

/// Which directory speaks, in which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Its organization.
    pub organization: OrganizationId,
    /// The directory.
    pub directory: DirectoryId,
    /// The token by which it speaks; none where we ask it.
    pub token: Option<TokenId>,
    /// The request, or the run of a poll.
    pub request: RequestId,
    /// By which door it speaks.
    pub kind: CauseKind,
}

impl Speaker {
    /// A directory that speaks SCIM in this request.
    #[must_use]
    pub const fn scim(organization: OrganizationId, directory: DirectoryId, request: RequestId) -> Self {
        Self { organization, directory, token: None, request, kind: CauseKind::Scim }
    }

    /// The same, by that token.
    #[must_use]
    pub const fn by(self, token: TokenId) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The cause of everything that follows from this call.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        Cause {
            kind: self.kind,
            actor: Actor::Directory(self.directory),
            token: self.token,
            request: Some(self.request),
            event: None,
            directory: Some(self.directory),
        }
    }
}

/// What a directory says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSaid {
    /// The directory's own key.
    pub external_id: Option<String>,
    /// The name it signs them in with.
    pub user_name: String,
    /// The display name; empty if there is none.
    pub display_name: String,
    /// What the person is called where a display name is missing; empty if nothing is known.
    pub full_name: String,
    /// E-mail addresses as written, the primary one first.
    pub emails: Vec<String>,
    /// Whether the person is active; `None` keeps what was said before (active for a new person).
    pub active: Option<bool>,
    /// What of the attributes, and of the units that the person is in, a mapping can name.
    pub facets: BTreeSet<Facet>,
    /// Every attribute as JSON text with sorted keys, so that the same said again is the same text. Of `active` only
    /// that it was removed.
    pub attributes: String,
}

impl PersonSaid {
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let invalid = |field, message: &str| {
            Err(DirectoryRefusal::InvalidValue { field, message: message.to_owned() }.into())
        };
        if self.user_name.trim().is_empty() {
            return invalid("userName", "must not be empty");
        }
        let user_name = ("userName", &self.user_name);
        let external_id = self.external_id.iter().map(|id| ("externalId", id));
        let mut keys = std::iter::once(user_name).chain(external_id.clone());
        if let Some((field, _)) = keys.find(|(_, text)| text.len() > MAX_IDENTIFIER) {
            return invalid(field, "has at most 1,024 bytes");
        }
        if self.attributes.len() > MAX_ATTRIBUTES_BYTES {
            return invalid("User", "all attributes together have at most 1,048,576 bytes");
        }
        if self.facets.len() > MAX_FACETS {
            return invalid("User", "at most 2,000 values that a mapping could name");
        }
        let names = [user_name, ("displayName", &self.display_name), ("name", &self.full_name)];
        let emails = self.emails.iter().map(|email| ("emails", email));
        let mut texts =
            names.into_iter().chain(external_id).chain(emails).chain([("User", &self.attributes)]);
        if let Some((field, _)) = texts.find(|(_, text)| has_nul(text)) {
            return invalid(field, "U+0000 cannot be stored");
        }
        Ok(())
    }

    /// What the member is called here.
    pub(super) fn name(&self) -> String {
        let named = [&self.display_name, &self.full_name].into_iter().find(|name| !name.trim().is_empty());
        named.cloned().unwrap_or_default()
    }

    /// Every name by which somebody could come in as the same person, first the address that stands for them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let addresses = self.emails.iter().filter(|address| email_key(address).is_ok());
        let others = [&self.user_name].into_iter().chain(&self.external_id).chain(addresses);
        std::iter::once(self.main_address()).chain(others.map(String::as_str))
    }

    /// Keys of the addresses that are any, without repetition.
    pub(crate) fn email_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.emails.iter().filter_map(|e| email_key(e).ok()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The address that stands for the person here: the primary e-mail, or a user name that is one.
    pub(super) fn address(&self) -> String {
        self.main_address().to_owned()
    }

    pub(super) fn main_address(&self) -> &str {
        self.emails.iter().find(|e| email_key(e).is_ok()).unwrap_or(&self.user_name)
    }
}
