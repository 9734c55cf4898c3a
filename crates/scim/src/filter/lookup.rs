//! What an index can find of a filter: look-ups that hold everything the filter can match.
//!
//! Identity providers ask for one person or group by a name. A filter that holds such a question, alone or beside
//! others, is answered from an index and its candidates are evaluated one by one; only what no index narrows is
//! evaluated over the whole directory.

use super::{Filter, Literal, Operator};
use crate::path::AttributePath;
use crate::schema::{Located, ResourceType, find_attribute};

/// What is told to a client whose filter had to read too much.
pub const INDEXED_FILTERS: &str = "`eq` or `sw` on userName, externalId and displayName, `eq` on id and \
     emails.value (users) or members.value (groups), alone or joined to the rest by `and`";

/// One question that an index answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// The resource of this id, exactly.
    Id(String),
    /// Users of this userName; case does not matter.
    UserName(String),
    /// Resources of this externalId, exactly.
    ExternalId(String),
    /// Users with this e-mail address; case does not matter.
    EmailValue(String),
    /// Groups with this member, exactly.
    Member(String),
    /// Resources of this displayName; case does not matter.
    DisplayName(String),
    /// Users whose userName begins like this; case does not matter.
    UserNamePrefix(String),
    /// Resources whose externalId begins like this, exactly.
    ExternalIdPrefix(String),
    /// Resources whose displayName begins like this; case does not matter.
    DisplayNamePrefix(String),
}

impl Lookup {
    /// How many resources it finds, roughly: the rarest is asked of an index.
    const fn dearness(&self) -> usize {
        match self {
            Self::Id(_) => 1,
            Self::UserName(_) => 2,
            Self::ExternalId(_) => 3,
            Self::EmailValue(_) => 4,
            Self::DisplayName(_) => 5,
            Self::Member(_) => 6,
            Self::UserNamePrefix(_) | Self::ExternalIdPrefix(_) | Self::DisplayNamePrefix(_) => 1_000,
        }
    }
}

/// Where everything is that a filter can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrowed {
    /// Nowhere.
    Nothing,
    /// Among what these find together.
    AnyOf(Vec<Lookup>),
    /// Anywhere.
    Everything,
}

impl Filter {
    /// Where everything is that the filter can match. What is found there must still be evaluated.
    #[must_use]
    pub fn narrow(&self, resource_type: ResourceType) -> Narrowed {
        match self {
            Self::And(filters) => all_of(filters.iter().map(|inner| inner.narrow(resource_type))),
            Self::Or(filters) => any_of(filters.iter().map(|inner| inner.narrow(resource_type))),
            Self::Compare { path, operator, literal } => {
                narrow_comparison(path, *operator, literal, resource_type)
            }
            Self::ValuePath { path, filter } => match canonical(path, resource_type) {
                Some((name @ ("emails" | "members"), None)) => narrow_values(name, filter),
                _ => Narrowed::Everything,
            },
            Self::Not(_) | Self::Present(_) => Narrowed::Everything,
        }
    }
}

fn all_of(parts: impl Iterator<Item = Narrowed>) -> Narrowed {
    let mut best: Option<Vec<Lookup>> = None;
    for part in parts {
        match part {
            Narrowed::Nothing => return Narrowed::Nothing,
            Narrowed::Everything => {}
            Narrowed::AnyOf(lookups) => {
                if best.as_ref().is_none_or(|best| dearness(&lookups) < dearness(best)) {
                    best = Some(lookups);
                }
            }
        }
    }
    best.map_or(Narrowed::Everything, Narrowed::AnyOf)
}

fn any_of(parts: impl Iterator<Item = Narrowed>) -> Narrowed {
    let mut all: Vec<Lookup> = Vec::new();
    for part in parts {
        match part {
            Narrowed::Nothing => {}
            Narrowed::Everything => return Narrowed::Everything,
            Narrowed::AnyOf(lookups) => all.extend(lookups),
        }
    }
    if all.is_empty() { Narrowed::Nothing } else { Narrowed::AnyOf(all) }
}

fn dearness(lookups: &[Lookup]) -> usize {
    lookups.iter().map(Lookup::dearness).sum()
}

/// The canonical name that a path leads to, if the resource type has it.
fn canonical(
    path: &AttributePath,
    resource_type: ResourceType,
) -> Option<(&'static str, Option<&'static str>)> {
    let Located { attribute, .. } = find_attribute(resource_type, path.urn.as_deref(), &path.name)?;
    match &path.sub_attribute {
        None => Some((attribute.name, None)),
        Some(sub) => attribute.sub_attribute(sub).map(|sub| (attribute.name, Some(sub.name))),
    }
}

fn narrow_comparison(
    path: &AttributePath,
    operator: Operator,
    literal: &Literal,
    resource_type: ResourceType,
) -> Narrowed {
    let Some(name) = canonical(path, resource_type) else {
        // What the type does not have has no value, which only a negation or `null` can match.
        let is_absent = !path.is_custom() && operator != Operator::Ne && *literal != Literal::Null;
        return if is_absent { Narrowed::Nothing } else { Narrowed::Everything };
    };
    let Some(text) = literal.as_text() else { return Narrowed::Everything };
    match operator {
        Operator::Eq => equal(name, text),
        Operator::Sw => starting(name, text),
        _ => Narrowed::Everything,
    }
}

fn equal(name: (&'static str, Option<&'static str>), text: &str) -> Narrowed {
    let lookup: fn(String) -> Lookup = match name {
        ("id", None) => Lookup::Id,
        ("userName", None) => Lookup::UserName,
        ("externalId", None) => Lookup::ExternalId,
        ("displayName", None) => Lookup::DisplayName,
        ("emails", None | Some("value")) => Lookup::EmailValue,
        ("members", None | Some("value")) => Lookup::Member,
        _ => return Narrowed::Everything,
    };
    // An absent attribute equals no text, and an empty one is absent.
    if text.trim().is_empty() { Narrowed::Nothing } else { Narrowed::AnyOf(vec![lookup(text.to_owned())]) }
}

/// A prefix in the form in which the index keeps names: neither blanks around nor a letter whose lower case depends on
/// what follows it.
fn starting(name: (&'static str, Option<&'static str>), text: &str) -> Narrowed {
    let lookup: fn(String) -> Lookup = match name {
        ("userName", None) => Lookup::UserNamePrefix,
        ("externalId", None) => Lookup::ExternalIdPrefix,
        ("displayName", None) => Lookup::DisplayNamePrefix,
        _ => return Narrowed::Everything,
    };
    let is_kept = !text.is_empty() && text.trim() == text && !text.contains(['Σ', 'σ', 'ς']);
    if is_kept { Narrowed::AnyOf(vec![lookup(text.to_owned())]) } else { Narrowed::Everything }
}

/// `emails[type eq "work" and value eq "x"]`, `members[value eq "x"]`.
fn narrow_values(name: &'static str, filter: &Filter) -> Narrowed {
    match filter {
        Filter::And(filters) => all_of(filters.iter().map(|inner| narrow_values(name, inner))),
        Filter::Or(filters) => any_of(filters.iter().map(|inner| narrow_values(name, inner))),
        Filter::Compare { path, operator: Operator::Eq, literal }
            if path.name.eq_ignore_ascii_case("value") && path.sub_attribute.is_none() =>
        {
            literal.as_text().map_or(Narrowed::Everything, |text| equal((name, Some("value")), text))
        }
        _ => Narrowed::Everything,
    }
}
