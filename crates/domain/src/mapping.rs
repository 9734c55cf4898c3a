//! Mappings: the people of this directory group, organizational unit or attribute value get this role, team,
//! environment.
//!
//! A group finds its people through its members. Everything else that a mapping can name is a [`Facet`] of a person:
//! kept in an index as the directory said it, compared byte for byte, so that neither the rules of a person nor the
//! people of a rule are searched for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{DirectoryId, MappingId, OrganizationId};
use crate::team::TeamRole;
use crate::text::{MAX_IDENTIFIER, Slug, has_nul, name_key, texts};
use crate::time::Timestamp;

/// The most facets of one person: each is a row, and nobody has more roles, entitlements and departments than that.
pub const MAX_FACETS: usize = 2_000;
/// The longest name of an attribute that a mapping can name, in bytes: with its value it must fit an index.
pub const MAX_ATTRIBUTE_NAME: usize = 512;
/// The most levels of organizational units above a person: each is a facet.
pub const MAX_UNIT_LEVELS: usize = 64;

/// What of a person a mapping can name, beside their groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facet {
    source: FacetSource,
    key: String,
}

texts! {
    /// What kind of facet it is.
    pub enum FacetSource {
        /// A value of an attribute.
        Attribute = "attribute",
        /// An organizational unit in which the person is, or one above it.
        OrgUnit = "org_unit",
    }
}

impl Facet {
    /// A value of the attribute of that key; `None` for what no mapping can name: an empty or overlong text.
    ///
    /// The value is compared byte for byte. The key is the attribute's name in the one spelling that its protocol
    /// gives it; it holds no `=`.
    #[must_use]
    pub fn attribute(name_key: &str, value: &str) -> Option<Self> {
        let named = !name_key.is_empty() && name_key.len() <= MAX_ATTRIBUTE_NAME && !name_key.contains('=');
        let valued = !value.is_empty() && value.len() <= MAX_IDENTIFIER && !has_nul(value);
        let key = format!("{name_key}={value}");
        (named && valued).then_some(Self { source: FacetSource::Attribute, key })
    }

    /// Behind every value of the attribute of that key, and before whatever follows in the order of keys: `>` comes
    /// right after the `=` between name and value. Whoever steps from attribute to attribute goes on there.
    #[must_use]
    pub fn behind_attribute(name_key: &str) -> String {
        format!("{name_key}>")
    }

    /// The organizational unit of that path and every one above it: whoever is in a sub-unit is in the unit.
    #[must_use]
    pub fn units(path: &str) -> BTreeSet<Self> {
        let Some(mut path) = unit_path(path) else { return BTreeSet::new() };
        let unit = |key: &str| Self { source: FacetSource::OrgUnit, key: key.to_owned() };
        let mut units = BTreeSet::from([unit("/")]);
        while path.len() > 1 {
            units.insert(unit(&path));
            path.truncate(path.rfind('/').unwrap_or_default());
        }
        units
    }

    /// The facet that was stored as these two.
    #[must_use]
    pub const fn from_stored(source: FacetSource, key: String) -> Self {
        Self { source, key }
    }

    /// What kind it is.
    #[must_use]
    pub const fn source(&self) -> FacetSource {
        self.source
    }

    /// The key of the attribute's name, for a value of one.
    #[must_use]
    pub fn attribute_key(&self) -> Option<&str> {
        match self.source {
            FacetSource::Attribute => self.key.split_once('=').map(|(name_key, _)| name_key),
            FacetSource::OrgUnit => None,
        }
    }

    /// What is compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What changes of a person's facets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FacetChange {
    /// Those that come.
    pub new: BTreeSet<Facet>,
    /// Those that go.
    pub gone: BTreeSet<Facet>,
    /// How many came beyond what one person may have, and are not kept.
    pub left_out: usize,
}

impl FacetChange {
    /// From `before` to `now`; of what was before, only what `is_said` goes.
    ///
    /// What is withdrawn goes in any case, so that nobody keeps a value by bringing more than [`MAX_FACETS`] others.
    #[must_use]
    pub fn between(
        before: &BTreeSet<Facet>,
        now: &BTreeSet<Facet>,
        is_said: impl Fn(&Facet) -> bool,
    ) -> Self {
        let gone: BTreeSet<Facet> = before.difference(now).filter(|f| is_said(f)).cloned().collect();
        let room = MAX_FACETS.saturating_sub(before.len().saturating_sub(gone.len()));
        let wanted = now.difference(before).count();
        let new: BTreeSet<Facet> = now.difference(before).take(room).cloned().collect();
        let left_out = wanted.saturating_sub(new.len());
        Self { new, gone, left_out }
    }
}

/// A path of organizational units in its one spelling: from `/`, without a slash at its end.
#[must_use]
pub fn unit_path(text: &str) -> Option<String> {
    let inner = text.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if text.len() > MAX_IDENTIFIER || has_nul(text) || inner.split('/').count() > MAX_UNIT_LEVELS {
        return None;
    }
    let whole = inner.is_empty() || inner.split('/').all(|part| !part.is_empty());
    whole.then(|| format!("/{inner}"))
}

/// Which members of a directory a mapping is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingSource {
    /// The group with this `externalId`: survives a rename, and a group that is made anew if the provider keeps ids.
    GroupExternalId(String),
    /// The group with this id: survives a rename, never matches another group.
    GroupId(String),
    /// The group with this name: changes hands when the provider renames groups.
    GroupDisplayName(String),
    /// The organizational unit of this path, with its sub-units. Only of directories that have such units.
    OrgUnit(String),
    /// A value of an attribute, exactly as the directory says it.
    Attribute {
        /// The attribute's name as it was written.
        name: String,
        /// The same in the one spelling that is compared.
        name_key: String,
        /// The value.
        value: String,
    },
}

impl MappingSource {
    /// The two columns that an index finds it by: what is compared, and with which value.
    #[must_use]
    pub fn key(&self) -> (&'static str, String) {
        match self {
            Self::GroupExternalId(v) => ("group_external_id", v.clone()),
            Self::GroupId(v) => ("group_id", v.clone()),
            Self::GroupDisplayName(v) => ("group_display_name", name_key(v)),
            Self::OrgUnit(path) => (FacetSource::OrgUnit.as_str(), path.clone()),
            Self::Attribute { name_key, value, .. } => {
                (FacetSource::Attribute.as_str(), format!("{name_key}={value}"))
            }
        }
    }

    /// Its value as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        match self {
            Self::GroupExternalId(text)
            | Self::GroupId(text)
            | Self::GroupDisplayName(text)
            | Self::OrgUnit(text)
            | Self::Attribute { value: text, .. } => text,
        }
    }
}

/// What a mapping gives. At least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gives {
    /// A role; never an explicit-only one.
    pub role: Option<Slug>,
    /// A team, and what one is in it.
    pub team: Option<(Slug, TeamRole)>,
    /// An environment.
    pub environment: Option<Slug>,
}

impl Gives {
    /// Whether it gives nothing at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.role.is_none() && self.team.is_none() && self.environment.is_none()
    }
}

/// A mapping of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its id.
    pub id: MappingId,
    /// The organization.
    pub organization: OrganizationId,
    /// The directory whose facts it reads.
    pub directory: DirectoryId,
    /// Whom it is about.
    pub source: MappingSource,
    /// What it gives.
    pub gives: Gives,
    /// When it was made.
    pub created_at: Timestamp,
}
