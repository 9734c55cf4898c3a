//! What a provider says of a person at sign-in, as facts of the connection's claims directory.
//!
//! Missing is not empty: an absent groups claim leaves what was said before; only a list that came whole replaces it,
//! and a list that was cut off is no list. A connection with a governing directory takes no groups from claims: the
//! directory is asked all the time, a claim only when somebody signs in, and stale claims must not outlive it.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{DirectoryGroupChange, DirectoryUserChange};
use portcullis_domain::connection::{Connection, ConnectionKind};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId, MembershipId, RequestId};
use portcullis_domain::mapping::{Facet, FacetChange};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::text::{MAX_NAME, email_key, has_nul};
use portcullis_domain::tombstone::Identifier;
use portcullis_oidc::claims::{ClaimsError, Groups, IdentityClaims, SubjectSource, is_reassignable};
use portcullis_store::directory_group::DirectoryGroupQuery;
use portcullis_store::directory_user::DirectoryUserQuery;
use portcullis_store::{Tx, directory_group, directory_user};
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::oidc::preset;
use crate::{Moment, ServiceError};

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
    /// The key of the link: issuer and subject, so that another issuer's subjects are other people.
    pub subject: String,
    /// The key by which the same word names the person where the connection was not read as Entra's yet.
    pub former_subject: Option<String>,
    /// Whether that subject stays theirs.
    pub stays: SubjectStays,
    /// What a directory may know the person by: `sub`, and Entra's `oid`.
    pub external_ids: Vec<String>,
    /// What else the person is called at the provider: what they sign in with. Nobody is found by it.
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
    /// Claims of texts that mappings may name, each whole; a claim that is not among them was not said.
    pub texts: BTreeMap<String, BTreeSet<String>>,
}

/// The same without its connection, to be kept for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    subject: String,
    former_subject: Option<String>,
    stays: SubjectStays,
    external_ids: Vec<String>,
    /// Absent in what was kept before there were any.
    #[serde(default)]
    names: Vec<String>,
    address: Option<Address>,
    hosted_domain: Option<String>,
    home: Option<String>,
    name: String,
    groups: GroupsSaid,
    texts: BTreeMap<String, BTreeSet<String>>,
}

/// Claims that are about the sign-in and not about the person.
const OF_THE_SIGN_IN: [&str; 19] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "typ",
    "ver",
    "uti",
    "rh",
];
/// Claims that hold the name to sign in with.
const SIGN_IN_NAMES: [&str; 2] = ["preferred_username", "upn"];
/// Claims that name one person.
const OF_ONE_PERSON: [&str; 18] = [
    "sub",
    "oid",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "upn",
    "unique_name",
    "profile",
    "picture",
    "website",
    "email",
    "phone_number",
    "birthdate",
    "updated_at",
    "puid",
];

/// Why a claim cannot stand in a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAFacet {
    /// Not a name.
    #[error("is not the name of a claim")]
    NoName,
    /// About one sign-in.
    #[error("says something of one sign-in, and nothing of the person")]
    OfTheSignIn,
    /// Each person has a value of their own.
    #[error("names one person: give them a grant instead")]
    OfOnePerson,
}

/// Whether a claim is about the sign-in and not about the person.
#[must_use]
pub fn is_of_the_sign_in(name: &str) -> bool {
    OF_THE_SIGN_IN.contains(&name) || name.starts_with("_claim_")
}

/// The key of a claim's name: its spelling, because claims are told apart by letter case (RFC 7519 §10.1.1).
///
/// # Errors
/// [`NotAFacet`].
pub fn claim_key(name: &str) -> Result<String, NotAFacet> {
    let root = name.split('.').next().unwrap_or(name);
    if is_of_the_sign_in(root) {
        return Err(NotAFacet::OfTheSignIn);
    }
    if OF_ONE_PERSON.contains(&root) {
        return Err(NotAFacet::OfOnePerson);
    }
    let whole = !name.trim().is_empty() && !name.contains('=') && !name.chars().any(char::is_control);
    if whole { Ok(name.to_owned()) } else { Err(NotAFacet::NoName) }
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
        Ok(Self {
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
            texts,
            connection: connection.clone(),
        })
    }

    /// What was said, without the connection.
    #[must_use]
    pub fn said(self) -> Said {
        Said {
            subject: self.subject,
            former_subject: self.former_subject,
            stays: self.stays,
            external_ids: self.external_ids,
            names: self.names,
            address: self.address,
            hosted_domain: self.hosted_domain,
            home: self.home,
            name: self.name,
            groups: self.groups,
            texts: self.texts,
        }
    }

    /// What was said by the provider of that connection, as it was then.
    #[must_use]
    pub fn of_said(connection: Connection, said: Said) -> Self {
        Self {
            connection,
            subject: said.subject,
            former_subject: said.former_subject,
            stays: said.stays,
            external_ids: said.external_ids,
            names: said.names,
            address: said.address,
            hosted_domain: said.hosted_domain,
            home: said.home,
            name: said.name,
            groups: said.groups,
            texts: said.texts,
        }
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
                self.subject.match_indices('|').map(|(at, _)| at).filter(|at| *at > issuer).nth(1)
            }
        };
        end.and_then(|end| self.subject.get(..end)).unwrap_or(&self.subject)
    }

    /// The keys of the link: as the person is named, and as they were before the connection was read as Entra's.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.subject).chain(&self.former_subject).map(String::as_str)
    }

    /// Every identifier that a tombstone may lie on, whoever it is. A name that stays is its person's at each connection
    /// to that provider.
    #[must_use]
    pub fn identifiers(&self) -> Vec<Identifier> {
        let mut all = Vec::new();
        for subject in self.subjects() {
            all.push(Identifier::subject(self.connection.id, subject));
            all.push(Identifier::external_id(self.connection.claims_directory, subject));
            if self.stays == SubjectStays::ForGood {
                all.push(Identifier::issuer_subject(subject));
            }
        }
        for id in &self.external_ids {
            all.extend(self.connection.directory.map(|d| Identifier::external_id(d, id)));
        }
        if let Some(address) = &self.address {
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
        for name in self.external_ids.iter().chain(&self.names) {
            all.push(Identifier::user_name(name));
            all.extend(email_key(name).ok().map(|key| Identifier::email(&key)));
        }
        for id in &self.external_ids {
            all.extend(directories.iter().map(|directory| Identifier::external_id(*directory, id)));
        }
        all
    }

    /// Every name by which somebody could be told of as the same person, the address among them.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = &str> {
        let address = self.address.iter().map(|address| &address.key);
        address.chain(&self.external_ids).chain(&self.names).map(String::as_str)
    }

    /// What a trace shows of it.
    #[must_use]
    pub fn shown(&self) -> serde_json::Value {
        let groups = match &self.groups {
            GroupsSaid::Nothing => json!("missing"),
            GroupsSaid::Overage => json!("cut off"),
            GroupsSaid::These(list) => {
                json!({ "count": list.len(), "first": list.iter().take(MAX_SHOWN).collect::<Vec<_>>() })
            }
        };
        json!({
            "subject": self.subject,
            "email": self.address.as_ref().map(|a| &a.written),
            "email_vouched_for": self.address.as_ref().map(|a| a.vouched),
            "guest_of": self.home,
            "groups": groups,
        })
    }

    /// The cause of what follows from these claims.
    #[must_use]
    pub const fn cause(&self, request: RequestId) -> Cause {
        Cause {
            kind: CauseKind::SignIn,
            actor: Actor::Directory(self.connection.claims_directory),
            request: Some(request),
            event: None,
            directory: Some(self.connection.claims_directory),
        }
    }
}

/// Keeps what the claims say of a person, as it was said; writes only what differs.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn keep(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    membership: MembershipId,
    request: RequestId,
) -> Result<(), ServiceError> {
    let user = keep_user(tx, moment, arrival, membership, request)?;
    keep_facets(tx, moment, arrival, (user, membership), request)?;
    match &arrival.groups {
        GroupsSaid::These(groups) => keep_groups(tx, moment, arrival, (user, groups), request),
        GroupsSaid::Nothing | GroupsSaid::Overage => Ok(()),
    }
}

fn keep_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    membership: MembershipId,
    request: RequestId,
) -> Result<DirectoryUserId, ServiceError> {
    let directory = arrival.connection.claims_directory;
    let mut before = None;
    // Who is named anew stays the person of whom was told before: nothing of theirs is left behind under the old name.
    for subject in std::iter::once(&arrival.subject).chain(&arrival.former_subject) {
        if before.is_none() {
            let query = DirectoryUserQuery::ExternalId(subject.clone());
            before = directory_user::query(tx, directory, &query, 1)?.pop();
        }
    }
    let attributes = json!({
        "sub": arrival.subject,
        "email": arrival.address.as_ref().map(|a| &a.written),
        "name": arrival.name,
        "guest_of": arrival.home,
    });
    let said = DirectoryUser {
        id: before.as_ref().map_or_else(|| DirectoryUserId::fresh(moment.now, &mut moment.random), |b| b.id),
        organization: arrival.connection.organization,
        directory,
        membership,
        external_id: Some(arrival.subject.clone()),
        // Addresses are given to somebody else one day; the subject is the provider's name for the person.
        user_name: arrival.subject.clone(),
        display_name: arrival.name.clone(),
        email_keys: arrival.address.iter().map(|a| a.key.clone()).collect(),
        inactive_at: None,
        unconfirmed_at: None,
        attributes: attributes.to_string(),
        believed_up_to: Rank::ROOT,
        created_at: before.as_ref().map_or(moment.now, |b| b.created_at),
        updated_at: before.as_ref().map_or(moment.now, |b| b.updated_at),
    };
    let plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    let id = said.id;
    let event = |action| EventDraft::new(action, id).about(membership);
    let plan = match before {
        None => {
            let create = DirectoryUserChange::Create(Box::new(said));
            plan.then(event(Action::DirectoryUserCreated), create)
        }
        Some(before) => {
            let mut changes = Vec::new();
            if before.membership != membership {
                changes.push(DirectoryUserChange::Attach(id, membership).into());
            }
            let same = DirectoryUser { membership: before.membership, ..said.clone() } == before;
            if !same {
                let said = DirectoryUser { updated_at: moment.now, ..said };
                changes.push(DirectoryUserChange::Update(Box::new(said)).into());
            }
            if changes.is_empty() {
                return Ok(id);
            }
            plan.then_all(event(Action::DirectoryUserUpdated), changes)
        }
    };
    moment.apply(tx, &plan)?;
    Ok(id)
}

/// Keeps the values of the claims that came; a claim that did not come keeps those it had.
fn keep_facets(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    (user, membership): (DirectoryUserId, MembershipId),
    request: RequestId,
) -> Result<(), ServiceError> {
    let before = directory_user::facets(tx, user)?;
    let is_said = |facet: &Facet| facet.attribute_key().is_some_and(|name| arrival.texts.contains_key(name));
    let values = arrival.texts.iter().flat_map(|(name, texts)| texts.iter().map(move |text| (name, text)));
    let now: BTreeSet<Facet> = values.filter_map(|(name, text)| Facet::attribute(name, text)).collect();
    let FacetChange { new, gone, left_out } = FacetChange::between(&before, &now, is_said);
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let directory = arrival.connection.claims_directory;
    let event = EventDraft::new(Action::DirectoryUserUpdated, user).about(membership).with(json!({
        "values_added": new.len(), "values_removed": gone.len(), "values_left_out": left_out,
    }));
    let mut changes = Vec::new();
    if !gone.is_empty() {
        changes.push(DirectoryUserChange::RemoveFacets(user, gone).into());
    }
    if !new.is_empty() {
        changes.push(DirectoryUserChange::AddFacets(user, directory, new, Some(request)).into());
    }
    let plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    moment.apply(tx, &plan.then_all(event, changes))?;
    Ok(())
}

/// Puts the person into exactly these groups; a group that nobody told of before is made.
fn keep_groups(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    (user, wanted): (DirectoryUserId, &BTreeSet<String>),
    request: RequestId,
) -> Result<(), ServiceError> {
    let directory = arrival.connection.claims_directory;
    // As many as a sign-in may bring, so these are all.
    let most = i64::try_from(MAX_GROUPS).unwrap_or(i64::MAX);
    let before: BTreeSet<DirectoryGroupId> = directory_user::group_ids(tx, user, most)?.into_iter().collect();
    let mut after = BTreeSet::new();
    for name in wanted {
        let query = DirectoryGroupQuery::ExternalId(name.clone());
        let group = match directory_group::query(tx, directory, &query, 1)?.pop() {
            Some(group) => group.id,
            None => make_group(tx, moment, arrival, name, request)?,
        };
        after.insert(group);
    }
    let plan = || Plan::because(arrival.connection.organization, arrival.cause(request));
    let event = |group: DirectoryGroupId, added: u8, removed: u8| {
        EventDraft::new(Action::DirectoryGroupMembersChanged, group)
            .about(user)
            .with(json!({ "added": added, "removed": removed }))
    };
    let mut changes = plan();
    for group in after.difference(&before) {
        let add = DirectoryGroupChange::AddMembers(*group, vec![user], Some(request));
        changes = changes.then(event(*group, 1, 0), add);
    }
    for group in before.difference(&after) {
        let remove = DirectoryGroupChange::RemoveMembers(*group, vec![user]);
        changes = changes.then(event(*group, 0, 1), remove);
    }
    if !changes.is_empty() {
        moment.apply(tx, &changes)?;
    }
    Ok(())
}

fn make_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    name: &str,
    request: RequestId,
) -> Result<DirectoryGroupId, ServiceError> {
    let group = DirectoryGroup {
        id: DirectoryGroupId::fresh(moment.now, &mut moment.random),
        organization: arrival.connection.organization,
        directory: arrival.connection.claims_directory,
        external_id: Some(name.to_owned()),
        display_name: name.to_owned(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    let id = group.id;
    let event = EventDraft::new(Action::DirectoryGroupCreated, id)
        .with(json!({ "display_name": name, "external_id": name }));
    let plan = Plan::because(group.organization, arrival.cause(request))
        .then(event, DirectoryGroupChange::Create(group));
    moment.apply(tx, &plan)?;
    Ok(id)
}
