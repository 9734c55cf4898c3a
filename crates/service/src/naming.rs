//! Whether the names stay by which a connection knows people: told by its settings and by the links that stand.
//!
//! Here so that an administrator is warned without anything being noted at a sign-in. Links are kept in byte order, so
//! a bounded part of an index answers it, however many people there are.

use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::saml::SamlSettings;
use portcullis_oidc::claims as openid;
use portcullis_saml::subject::{
    NAME_ID_KEYS, PERSISTENT_KEYS, attribute_keys, is_attribute_reassignable, is_reassignable,
};
use portcullis_store::{Tx, connection};

use crate::ServiceError;

/// How many names that look as if they stayed are looked at, in byte order, for an address among them: a provider sends all
/// of one kind.
const MAX_LOOKED_AT: i64 = 1_000;

/// Whether the names stay by which people are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Nobody looked: a sign-in needs to know of one name only.
    #[default]
    NotAsked,
    /// All that were looked at stay.
    Stay,
    /// The provider may give one of them to somebody else.
    MayMove,
}

impl Names {
    /// How it stands with the names that a connection of SAML goes by as it is set now.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub(crate) fn find(
        tx: &mut Tx<'_>,
        of: &Connection,
        settings: &SamlSettings,
    ) -> Result<Self, ServiceError> {
        let ranges = match &settings.subject_attribute {
            Some(name) if is_attribute_reassignable(name, "") => return Ok(Self::MayMove),
            Some(name) => {
                let keys = attribute_keys(name);
                vec![(keys.clone(), after(&keys), 1)]
            }
            None => vec![
                (NAME_ID_KEYS.to_owned(), PERSISTENT_KEYS.to_owned(), 1),
                (PERSISTENT_KEYS.to_owned(), after(PERSISTENT_KEYS), MAX_LOOKED_AT),
                (after(PERSISTENT_KEYS), after(NAME_ID_KEYS), 1),
            ],
        };
        let at = |key: &str| format!("{} {key}", of.issuer);
        Self::among(tx, of, ranges.into_iter().map(|(from, to, most)| (at(&from), at(&to), most)))
    }

    /// How it stands with the subjects that a connection of OpenID goes by.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub(crate) fn of_openid(tx: &mut Tx<'_>, of: &Connection) -> Result<Self, ServiceError> {
        // All behind the space, and nothing behind that.
        let own = (format!("{} ", of.issuer), format!("{}!", of.issuer), MAX_LOOKED_AT);
        Self::among(tx, of, [own])
    }

    fn among(
        tx: &mut Tx<'_>,
        of: &Connection,
        ranges: impl IntoIterator<Item = (String, String, i64)>,
    ) -> Result<Self, ServiceError> {
        for (from, to, most) in ranges {
            let first = connection::first_subjects(tx, (of.organization, of.id), (&from, &to), most)?;
            if first.iter().any(|subject| may_move(of, subject)) {
                return Ok(Self::MayMove);
            }
        }
        Ok(Self::Stay)
    }
}

/// Whether the provider may give a linked subject of that connection to somebody else.
pub(crate) fn may_move(of: &Connection, subject: &str) -> bool {
    key(of, subject).is_some_and(|key| is_given_on(of, key))
}

/// Whether a linked subject of that connection names one person for good. Another provider's names nobody here.
pub(crate) fn stays(of: &Connection, subject: &str) -> bool {
    key(of, subject).is_some_and(|key| !is_given_on(of, key))
}

/// Whether a subject is of that connection's provider, and not of one that it led to before.
pub(crate) fn is_subject_of(of: &Connection, subject: &str) -> bool {
    key(of, subject).is_some()
}

fn is_given_on(of: &Connection, key: &str) -> bool {
    match of.kind {
        ConnectionKind::Saml => is_reassignable(key),
        ConnectionKind::Oidc => openid::is_reassignable(key),
    }
}

/// The key of a subject at that connection's provider.
fn key<'a>(of: &Connection, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix(of.issuer.as_str()).and_then(|rest| rest.strip_prefix(' '))
}

/// The first text behind all that begin with `keys`, whose last byte is `|`.
fn after(keys: &str) -> String {
    format!("{}}}", keys.strip_suffix('|').unwrap_or(keys))
}
