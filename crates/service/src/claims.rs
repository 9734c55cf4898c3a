//! What a provider says of a person at sign-in, as facts of the connection's claims directory.
//!
//! Missing is not empty: an absent groups claim leaves what was said before; only a list that came whole replaces it,
//! and a list that was cut off is no list. A connection with a governing directory takes no groups from claims: the
//! directory is asked all the time, a claim only when somebody signs in, and stale claims must not outlive it.

mod forgetting;
mod keeping;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::id::{DirectoryId, RequestId};
use portcullis_domain::text::{MAX_NAME, email_key, has_nul};
use portcullis_domain::tombstone::Identifier;
use portcullis_oidc::claims::{ClaimsError, Groups, IdentityClaims, SubjectSource, is_reassignable};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::names::SIGN_IN_NAMES;
use crate::oidc::preset;

pub use forgetting::forget;
pub use keeping::{is_word_of, keep};
pub use names::{NotAFacet, claim_key, is_of_the_sign_in};

/// The most groups of one person that claims may carry; more count as cut off.
pub const MAX_GROUPS: usize = 1_000;
/// The attribute that carries groups over SAML if neither connection nor preset names one.
pub const DEFAULT_GROUPS_CLAIM: &str = "groups";
/// The longest name of a guest's home that is kept, in characters.
pub const MAX_HOME: usize = 256;
/// How many groups an audit event or trace shows; the count is always whole.
const MAX_SHOWN: usize = 20;

/// Whether a provider may give a subject to somebody else one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectStays {
    /// Never: it names one person for good.
    ForGood,
    /// It may: the subject is an address, or of a kind of which nothing says that it stays.
    Perhaps {
        /// The key of the address that it is, if it is one.
        address: Option<String>,
    },
}

/// What was said of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupsSaid {
    /// Nothing that can be used: what was said before stays.
    Nothing,
    /// A list that was cut off: neither taken nor taken away.
    Overage,
    /// These, all of them.
    These(BTreeSet<String>),
}

/// An address as the provider gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// As written.
    pub written: String,
    /// Its key.
    pub key: String,
    /// Whether the provider vouches for it.
    pub vouched: bool,
}

/// Somebody whom a provider has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The connection as it was when the provider was asked.
    pub connection: Connection,
    /// What its provider said.
    pub said: Said,
}

/// What a provider said of somebody, as it is kept for a moment too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The key of the link: issuer and subject, so that another issuer's subjects are other people.
    pub subject: String,
    /// The key by which the same word names the person where the connection was not read as Entra's yet.
    pub former_subject: Option<String>,
    /// Whether that subject stays theirs.
    pub stays: SubjectStays,
    /// What a directory may know the person by: `sub`, and Entra's `oid`.
    pub external_ids: Vec<String>,
    /// What else the person is called at the provider: what they sign in with. Nobody is found by it. Absent in what was
    /// kept before there were any.
    #[serde(default)]
    pub names: Vec<String>,
    /// The address, if there is one.
    pub address: Option<Address>,
    /// Google's company domain, if the provider sends one.
    pub hosted_domain: Option<String>,
    /// Where a guest is at home; `None` for the provider's own people.
    pub home: Option<String>,
    /// The name to show.
    pub name: String,
    /// The groups.
    pub groups: GroupsSaid,
    /// The claim that carries them, also where the connection names none. Absent in what was kept before it was.
    #[serde(default)]
    pub groups_claim: String,
    /// Claims of texts that mappings may name, each whole; a claim that is not among them was not said.
    pub texts: BTreeMap<String, BTreeSet<String>>,
}

impl Arrival {
    /// Reads proven claims, as the connection's provider means them.
    ///
    /// # Errors
    /// [`ClaimsError::ObjectIdMissing`], [`ClaimsError::TenantMismatch`].
    pub fn read(connection: &Connection, claims: &IdentityClaims) -> Result<Self, ClaimsError> {
        let preset = preset::in_force(connection);
        let (claims, source) = (&claims.clone().read_as(preset), preset.subject_source());
        let key = claims.subject_key(source)?;
        let former =
            (source != SubjectSource::Sub).then(|| format!("{} {}", connection.issuer, claims.sub()));
        // A name that people may give themselves elsewhere: only Entra's own, which it signed.
        let oid = match source {
            SubjectSource::EntraObject => key.rsplit(':').next().filter(|o| *o != claims.sub()),
            SubjectSource::Sub => None,
        };
        let oid = oid.map(str::to_owned);
        let address = claims.email().and_then(|email| {
            let key = email_key(&email.address).ok()?;
            Some(Address { key, written: email.address, vouched: email.trust.is_trusted() })
        });
        let name = claims.display_name().unwrap_or_default();
        let name = name.chars().filter(|c| !c.is_control()).take(MAX_NAME / 4).collect();
        let claim = connection.groups_claim.as_deref().unwrap_or_else(|| claims.usual_groups_claim());
        let groups = match (connection.directory, claims.groups(claim)) {
            // Malformed is not empty either.
            (Some(_), _) | (None, Ok(Groups::Missing) | Err(_)) => GroupsSaid::Nothing,
            (None, Ok(Groups::Overage { .. })) => GroupsSaid::Overage,
            (None, Ok(Groups::Present(list))) if list.len() > MAX_GROUPS => GroupsSaid::Overage,
            (None, Ok(Groups::Present(list))) => {
                GroupsSaid::These(list.into_iter().filter(|g| !has_nul(g)).collect())
            }
        };
        // As of groups: a governing directory is asked all the time, and its word is not to be outlived.
        let mut texts = if connection.directory.is_none() { claims.texts() } else { BTreeMap::new() };
        texts.retain(|name, _| name != claim && claim_key(name).is_ok());
        let mut external_ids = vec![claims.sub().to_owned()];
        external_ids.extend(oid);
        let names = SIGN_IN_NAMES.iter().filter_map(|name| claims.find_text(name));
        let said = Said {
            subject: format!("{} {key}", connection.issuer),
            former_subject: former,
            stays: if is_reassignable(&key) {
                SubjectStays::Perhaps { address: email_key(&key).ok() }
            } else {
                SubjectStays::ForGood
            },
            external_ids,
            names: names.filter(|name| !has_nul(name)).map(str::to_owned).collect(),
            address,
            hosted_domain: claims.hosted_domain(),
            home: claims.home().map(|home| home.chars().take(MAX_HOME).collect()),
            name,
            groups,
            groups_claim: claim.to_owned(),
            texts,
        };
        Ok(Self { connection: connection.clone(), said })
    }

    /// What every subject begins with by which the provider names people in the same way: another provider's are other
    /// people, and so are other kinds of names for the same ones.
    #[must_use]
    pub fn way_of_naming(&self) -> &str {
        let issuer = self.connection.issuer.len() + 1;
        let end = match self.connection.kind {
            ConnectionKind::Oidc => Some(issuer),
            // The kind of name and its format; both before the name itself.
            ConnectionKind::Saml => {
                self.said.subject.match_indices('|').map(|(at, _)| at).filter(|at| *at > issuer).nth(1)
            }
        };
        end.and_then(|end| self.said.subject.get(..end)).unwrap_or(&self.said.subject)
    }

    /// The keys of the link: as the person is named, and as they were before the connection was read as Entra's.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.said.subject).chain(&self.said.former_subject).map(String::as_str)
    }

    /// Every identifier that a tombstone may lie on, whoever it is. A name that stays is its person's at each connection
    /// to that provider.
    #[must_use]
    pub fn identifiers(&self) -> Vec<Identifier> {
        let mut all = Vec::new();
        for subject in self.subjects() {
            all.push(Identifier::subject(self.connection.id, subject));
            all.push(Identifier::external_id(self.connection.claims_directory, subject));
            if self.said.stays == SubjectStays::ForGood {
                all.push(Identifier::issuer_subject(subject));
            }
        }
        for id in &self.said.external_ids {
            all.extend(self.connection.directory.map(|d| Identifier::external_id(d, id)));
        }
        if let Some(address) = &self.said.address {
            all.push(Identifier::email(&address.key));
            all.push(Identifier::user_name(&address.key));
        }
        all
    }

    /// Those that count beside them for somebody of whom nobody told, whose words may be those of one of these directories.
    /// A name that may be given to others is somebody's else only if whoever decides about the connection says so.
    #[must_use]
    pub fn identifiers_of_newcomer(&self, directories: &[DirectoryId]) -> Vec<Identifier> {
        let mut all: Vec<_> = self.subjects().map(Identifier::issuer_subject).collect();
        for name in self.said.external_ids.iter().chain(&self.said.names) {
            all.push(Identifier::user_name(name));
            all.extend(email_key(name).ok().map(|key| Identifier::email(&key)));
        }
        for id in &self.said.external_ids {
            all.extend(directories.iter().map(|directory| Identifier::external_id(*directory, id)));
        }
        all
    }

    /// Every name by which somebody could be told of as the same person, the address among them.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = &str> {
        let address = self.said.address.iter().map(|address| &address.key);
        address.chain(&self.said.external_ids).chain(&self.said.names).map(String::as_str)
    }

    /// What a trace shows of it.
    #[must_use]
    pub fn shown(&self) -> serde_json::Value {
        let groups = match &self.said.groups {
            GroupsSaid::Nothing => json!("missing"),
            GroupsSaid::Overage => json!("cut off"),
            GroupsSaid::These(list) => {
                json!({ "count": list.len(), "first": list.iter().take(MAX_SHOWN).collect::<Vec<_>>() })
            }
        };
        json!({
            "subject": self.said.subject,
            "email": self.said.address.as_ref().map(|a| &a.written),
            "email_vouched_for": self.said.address.as_ref().map(|a| a.vouched),
            "guest_of": self.said.home,
            "groups": groups,
        })
    }

    /// The cause of what follows from these claims.
    #[must_use]
    pub const fn cause(&self, request: RequestId) -> Cause {
        Cause {
            kind: CauseKind::SignIn,
            actor: Actor::Directory(self.connection.claims_directory),
            token: None,
            request: Some(request),
            event: None,
            directory: Some(self.connection.claims_directory),
        }
    }
}
