//! What a verified token says about the person: subject, groups, e-mail and how far it can be trusted.
//!
//! Here because the questions that decide access are the ones that providers answer most differently. Three answers
//! about groups are kept apart (missing, cut off, present), and an e-mail address never goes without its trust.
//!
//! # Choices
//!
//! - **Subject.** [`SubjectSource::Sub`] everywhere but at Entra ID, where `sub` differs from application to
//!   application: there the key is `tid` and `oid`, which also is what Entra's provisioning can send as `externalId`.
//!   The source follows from the [`Preset`] and never from which claims a token happens to carry, else one person would
//!   have two keys.
//! - **Names of claims** are literal keys first (`https://example.test/groups`, `cognito:groups`), and only if there
//!   is no such key a path through objects (`realm_access.roles`).
//! - **Two documents.** The ID token is asked first; UserInfo fills what it does not have. `sub`, `tid` and `oid` come
//!   from the ID token alone. An address and its verification come from one document, unless both name the same
//!   address: UserInfo's `email_verified` says nothing about the ID token's other address.
//! - **Entra's addresses** are what an administrator of the tenant typed: only `xms_edov` vouches for one there, whatever
//!   else a token says. Guests have their home at another tenant, or bear the mark of one.
//! - **Personal Google accounts** (no `hd`, not `@gmail.com`) may carry a company's address that Google once saw
//!   verified and no longer knows about: not trusted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::encoding::shown;
use crate::issuer::{is_guid, tenant_of};
use crate::preset::Preset;
use crate::refusal::BrokenRule;

/// Most groups of one person that are taken from claims; more are an overage.
pub const MAX_GROUPS: usize = 2_000;
/// Longest group, in bytes: directory paths stay below it.
pub const MAX_GROUP_BYTES: usize = 1_024;
/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;
/// What Entra writes into the names of guests' accounts.
const GUEST_MARK: &str = "#EXT#";
/// Deepest path into nested claims.
const MAX_PATH_SEGMENTS: usize = 8;

/// Why a claim of a verified token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// The groups claim is neither a list of texts nor one text. Not the same as empty: nothing may be taken away for it.
    #[error("the claim `{name}` is no list of texts")]
    GroupsMalformed {
        /// The claim.
        name: String,
        /// What stood there, without its content.
        received: &'static str,
    },
    /// An Entra token without `oid`, or one that is no GUID.
    #[error("the token has no `oid`")]
    ObjectIdMissing,
    /// A token of another tenant than the issuer's.
    #[error("the token is of tenant `{received}`, not `{expected}`")]
    TenantMismatch {
        /// The tenant of the issuer.
        expected: String,
        /// The token's `tid`, cut.
        received: String,
    },
}

impl ClaimsError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        match self {
            Self::GroupsMalformed { name, received } => BrokenRule::new(
                "groups_malformed",
                "OIDC Core §5.1.2",
                "have the provider send the groups as a list of texts",
            )
            .expected(format!("{name}: a list of texts"))
            .received(received),
            Self::ObjectIdMissing => BrokenRule::new(
                "object_id_missing",
                "OIDC Core §5.7",
                "add the scope `profile`, so that Entra ID sends `oid`",
            )
            .expected("oid")
            .received("absent"),
            Self::TenantMismatch { expected, received } => BrokenRule::new(
                "tenant_mismatch",
                "OIDC Core §3.1.3.7",
                "the person signed in to another tenant",
            )
            .expected(expected)
            .received(received),
        }
    }
}

/// What a token says about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// Nothing. Takes no group away.
    Missing,
    /// There are more than the token shows. Takes no group away, and is no ground to give any.
    Overage {
        /// The configured claim.
        claim: String,
        /// How it was noticed.
        marker: OverageMarker,
    },
    /// All of them, each once, in their order. An empty list is a statement.
    Present(Vec<String>),
}

/// How an overage was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverageMarker {
    /// Entra's `_claim_names` names the claim. The endpoint in `_claim_sources` is never called.
    ClaimNames,
    /// Entra's `hasgroups`.
    HasGroups,
    /// More than [`MAX_GROUPS`] came.
    TooMany {
        /// How many.
        count: usize,
    },
}

/// An address, with how far it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As the provider wrote it.
    pub address: String,
    /// Whether a first link may rest on it.
    pub trust: EmailTrust,
}

/// Whether the provider vouches for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrust {
    /// `email_verified` is true.
    Verified,
    /// Entra's `xms_edov` is true: the domain's owner verified it.
    DomainOwnerVerified,
    /// Nothing is said.
    NotStated,
    /// The provider says that it is not verified.
    Unverified,
    /// Google says verified, but the account is not of a company that Google manages.
    NotAuthoritative,
}

impl EmailTrust {
    /// Whether a first link may rest on it (the domain still has to be proven).
    #[must_use]
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Verified | Self::DomainOwnerVerified)
    }
}

/// Which claims name the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectSource {
    /// `sub`.
    Sub,
    /// `tid` and `oid` of Entra ID.
    EntraObject,
}

/// In which document a claim came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidIn {
    /// The ID token.
    IdToken,
    /// The UserInfo answer.
    UserInfo,
}

/// The claims of a verified ID token, and of the UserInfo answer that belongs to it. No other module can make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityClaims {
    preset: Preset,
    issuer: String,
    subject: String,
    id_token: Map<String, Value>,
    userinfo: Map<String, Value>,
}

impl IdentityClaims {
    pub(crate) fn from_verified(issuer: String, subject: String, id_token: Map<String, Value>) -> Self {
        Self { preset: Preset::of_issuer(&issuer), issuer, subject, id_token, userinfo: Map::new() }
    }

    /// The same, read as that provider means them. As they come they are read as the issuer tells by itself.
    #[must_use]
    pub fn read_as(self, preset: Preset) -> Self {
        Self { preset, ..self }
    }

    pub(crate) fn with_userinfo(self, userinfo: Map<String, Value>) -> Self {
        Self { userinfo, ..self }
    }

    /// The connection's issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub` as it came: 1 to 255 printable ASCII characters, compared with case.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.subject
    }

    /// The key that, with the connection, names the person: `sub`, or `<tid>:<oid>` in lower case. For ever, unless
    /// [`is_reassignable`] says otherwise.
    ///
    /// # Errors
    /// [`ClaimsError::ObjectIdMissing`], [`ClaimsError::TenantMismatch`]; `sub` is no substitute.
    pub fn subject_key(&self, source: SubjectSource) -> Result<String, ClaimsError> {
        match source {
            SubjectSource::Sub => Ok(self.subject.clone()),
            SubjectSource::EntraObject => {
                let tenant = self.tenant()?;
                let object = self.id_token.get("oid").and_then(Value::as_str).filter(|text| is_guid(text));
                let object = object.ok_or(ClaimsError::ObjectIdMissing)?.to_ascii_lowercase();
                Ok(format!("{tenant}:{object}"))
            }
        }
    }

    /// A claim by its literal name, else by its dotted path; the ID token before UserInfo.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        find_in(&self.id_token, name).or_else(|| find_in(&self.userinfo, name))
    }

    /// A claim that is a text, and not empty.
    #[must_use]
    pub fn find_text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Every claim as it came, the ID token's before UserInfo's others, with whether UserInfo said it.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Value, SaidIn)> {
        let in_token = self.id_token.iter().map(|(name, value)| (name.as_str(), value, SaidIn::IdToken));
        let beside = self.userinfo.iter().filter(|(name, _)| !self.id_token.contains_key(name.as_str()));
        in_token.chain(beside.map(|(name, value)| (name.as_str(), value, SaidIn::UserInfo)))
    }

    /// Every claim that is a text or a list of texts, by its name or dotted path, each text once: what rules may be
    /// about. The ID token's word stands before UserInfo's.
    ///
    /// A claim with anything else in its list, with too many texts or an overlong one is left out, as if nothing had
    /// been said: half a list is no list.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::new();
        for document in [&self.userinfo, &self.id_token] {
            let mut of_document = BTreeMap::new();
            collect_texts(&mut of_document, "", document, 1);
            // A literal name comes before a path that reads alike.
            collect_own_texts(&mut of_document, "", document);
            of_document.retain(|name, _| cut_off(document, name).is_none());
            found.extend(of_document);
        }
        found
    }

    /// The groups in the claim of the configured name.
    ///
    /// # Errors
    /// [`ClaimsError::GroupsMalformed`]: to be treated as missing at best, never as empty.
    pub fn groups(&self, name: &str) -> Result<Groups, ClaimsError> {
        let in_token = groups_in(&self.id_token, name)?;
        if matches!(in_token, Groups::Present(_)) {
            return Ok(in_token);
        }
        match groups_in(&self.userinfo, name)? {
            Groups::Missing => Ok(in_token),
            in_userinfo => Ok(in_userinfo),
        }
    }

    /// The e-mail address and its trust; `None` where there is none, or what came has not the form of one.
    #[must_use]
    pub fn email(&self) -> Option<Email> {
        let (document, address) = match email_in(&self.id_token) {
            Some(address) => (&self.id_token, address),
            None => (&self.userinfo, email_in(&self.userinfo)?),
        };
        let mut trust = self.trust_in(document, address);
        if trust == EmailTrust::NotStated && email_in(&self.userinfo) == Some(address) {
            trust = self.trust_in(&self.userinfo, address);
        }
        Some(Email { address: address.to_owned(), trust })
    }

    /// Google's `hd`: the company that manages the account, in lower case. To be compared with proven domains.
    #[must_use]
    pub fn hosted_domain(&self) -> Option<String> {
        self.id_token.get("hd").and_then(Value::as_str).map(str::to_ascii_lowercase)
    }

    /// Where the person is at home, if they are a guest of Entra's tenant: the provider that `idp` names, or `guest`
    /// where only the account's kind (`acct`) or its name (`#EXT#`) tells it. Elsewhere these claims mean other things.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        if self.preset != Preset::Entra {
            return None;
        }
        let idp = self.id_token.get("idp").and_then(Value::as_str);
        let own = tenant_of(&self.issuer);
        if let Some(foreign) =
            idp.filter(|idp| *idp != self.issuer && tenant_of(idp).is_none_or(|t| Some(t) != own))
        {
            return Some(foreign);
        }
        let is_marked = self.id_token.get("acct").is_some_and(says_yes)
            || ["upn", "preferred_username"].into_iter().any(|name| {
                self.id_token.get(name).and_then(Value::as_str).is_some_and(|text| text.contains(GUEST_MARK))
            });
        is_marked.then_some("guest")
    }

    /// The claim that carries groups where a connection names none.
    #[must_use]
    pub fn usual_groups_claim(&self) -> &str {
        self.preset.groups_claim(self.id_token.keys().chain(self.userinfo.keys()).map(String::as_str))
    }

    /// A name to show: `name`, else given and family name, else `preferred_username`.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        let joined = || {
            let parts: Vec<&str> =
                ["given_name", "family_name"].into_iter().filter_map(|name| self.find_text(name)).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        self.find_text("name")
            .map(str::to_owned)
            .or_else(joined)
            .or_else(|| self.find_text("preferred_username").map(str::to_owned))
    }

    /// When the person proved themselves at the provider, in seconds since 1970.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<i64> {
        self.id_token.get("auth_time").and_then(Value::as_i64)
    }

    /// The provider's session id, for back-channel logout.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.id_token.get("sid").and_then(Value::as_str)
    }

    /// The tenant that speaks: the issuer's, which the token must not contradict.
    fn tenant(&self) -> Result<String, ClaimsError> {
        let expected = tenant_of(&self.issuer).ok_or(ClaimsError::ObjectIdMissing)?;
        match self.id_token.get("tid").and_then(Value::as_str) {
            Some(received) if !received.eq_ignore_ascii_case(&expected) => {
                Err(ClaimsError::TenantMismatch { expected, received: shown(received) })
            }
            _ => Ok(expected),
        }
    }

    fn trust_in(&self, document: &Map<String, Value>, address: &str) -> EmailTrust {
        let verified = document.get("email_verified").map(says_yes);
        // What Entra's `email` holds was typed by somebody there; that it is verified only its domain's owner can say.
        let verified = verified.filter(|yes| self.preset != Preset::Entra || !yes);
        match verified {
            Some(true) if self.is_google_without_authority(address) => EmailTrust::NotAuthoritative,
            Some(true) => EmailTrust::Verified,
            Some(false) => EmailTrust::Unverified,
            None => match document.get("xms_edov").map(says_yes) {
                Some(true) => EmailTrust::DomainOwnerVerified,
                Some(false) => EmailTrust::Unverified,
                None => EmailTrust::NotStated,
            },
        }
    }

    fn is_google_without_authority(&self, address: &str) -> bool {
        self.preset == Preset::Google
            && self.hosted_domain().is_none()
            && !address.to_ascii_lowercase().ends_with("@gmail.com")
    }
}

/// Whether a provider may give what that key names somebody by to another person one day. A `sub` never is (OpenID Connect
/// Core §2), but providers can be set to send an address or a sign-in name in its place.
#[must_use]
pub fn is_reassignable(key: &str) -> bool {
    key.contains('@')
}

/// `true`, `"true"`, `1`, `"1"`: providers write booleans in all four ways.
fn says_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::String(text) => text.eq_ignore_ascii_case("true") || text == "1",
        Value::Number(number) => number.as_i64() == Some(1),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn find_in<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(literal) = document.get(name) {
        return Some(literal);
    }
    let mut segments = name.split('.').take(MAX_PATH_SEGMENTS + 1);
    let first = document.get(segments.next()?)?;
    let mut depth = 1;
    segments.try_fold(first, |value, segment| {
        depth += 1;
        if depth > MAX_PATH_SEGMENTS { None } else { value.as_object()?.get(segment) }
    })
}

fn collect_texts(
    found: &mut BTreeMap<String, BTreeSet<String>>,
    prefix: &str,
    document: &Map<String, Value>,
    depth: usize,
) {
    collect_own_texts(found, prefix, document);
    for (name, value) in document {
        if let Some(inner) = value.as_object().filter(|_| depth < MAX_PATH_SEGMENTS) {
            collect_texts(found, &format!("{prefix}{name}."), inner, depth + 1);
        }
    }
}

fn collect_own_texts(
    found: &mut BTreeMap<String, BTreeSet<String>>,
    prefix: &str,
    document: &Map<String, Value>,
) {
    for (name, value) in document {
        let texts = match value {
            Value::Array(several) if several.len() <= MAX_GROUPS => several.iter().map(group).collect(),
            one @ Value::String(_) => group(one).map(|text| BTreeSet::from([text])),
            _ => None,
        };
        found.extend(texts.map(|texts| (format!("{prefix}{name}"), texts)));
    }
}

fn email_in(document: &Map<String, Value>) -> Option<&str> {
    let address = document.get("email").and_then(Value::as_str)?;
    let (local, domain) = address.rsplit_once('@')?;
    let fit = |part: &str| {
        !part.is_empty() && !part.contains('@') && !part.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    (address.len() <= MAX_EMAIL_BYTES && fit(local) && fit(domain)).then_some(address)
}

/// Whether a document says that it does not show a claim whole.
fn cut_off(document: &Map<String, Value>, name: &str) -> Option<OverageMarker> {
    if document.get("_claim_names").and_then(Value::as_object).is_some_and(|names| names.contains_key(name)) {
        return Some(OverageMarker::ClaimNames);
    }
    (name == "groups" && document.get("hasgroups").is_some_and(says_yes)).then_some(OverageMarker::HasGroups)
}

fn groups_in(document: &Map<String, Value>, name: &str) -> Result<Groups, ClaimsError> {
    let overage = |marker| Ok(Groups::Overage { claim: name.to_owned(), marker });
    if let Some(marker) = cut_off(document, name) {
        return overage(marker);
    }
    let malformed = |received| Err(ClaimsError::GroupsMalformed { name: shown(name), received });
    match find_in(document, name) {
        None | Some(Value::Null) => Ok(Groups::Missing),
        Some(Value::Array(several)) if several.len() > MAX_GROUPS => {
            overage(OverageMarker::TooMany { count: several.len() })
        }
        Some(Value::Array(several)) => match several.iter().map(group).collect::<Option<Vec<String>>>() {
            Some(groups) => Ok(Groups::Present(each_once(groups))),
            None => malformed("a list with something else than texts, or an empty or overlong one"),
        },
        Some(one @ Value::String(_)) => match group(one) {
            Some(one) => Ok(Groups::Present(vec![one])),
            None => malformed("an empty or overlong text"),
        },
        Some(Value::Object(_)) => malformed("an object"),
        Some(Value::Bool(_) | Value::Number(_)) => malformed("a number or boolean"),
    }
}

fn group(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty() && text.len() <= MAX_GROUP_BYTES).then(|| text.to_owned())
}

fn each_once(groups: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    groups.into_iter().filter(|group| seen.insert(group.clone())).collect()
}
