//! What a SCIM attribute is, and how a name on the wire finds its definition (RFC 7643 sections 2 and 7).
//!
//! Names and URNs are case-insensitive on the wire and have one canonical spelling here. The tables themselves are
//! in `definitions`.

use crate::definitions;
use crate::urn::{Meant, is_core, meant};

/// The core schema of users.
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of groups.
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of users.
pub const ENTERPRISE_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The two kinds of resource that clients provision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceType {
    /// A person.
    User,
    /// A set of people.
    Group,
}

impl ResourceType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The name, which is also the id of its discovery document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The endpoint below the base URL.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// The core schema.
    #[must_use]
    pub fn schema(self) -> &'static Schema {
        match self {
            Self::User => &definitions::USER,
            Self::Group => &definitions::GROUP,
        }
    }

    /// The extensions that are defined for it.
    #[must_use]
    pub fn extensions(self) -> &'static [Schema] {
        match self {
            Self::User => &definitions::USER_EXTENSIONS,
            Self::Group => &[],
        }
    }
}

/// The type of an attribute's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// An RFC 3339 instant.
    DateTime,
    /// Base64.
    Binary,
    /// A URI, or a resource of the provider.
    Reference,
    /// Sub-attributes.
    Complex,
}

impl AttributeType {
    /// The spelling in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may change an attribute, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Only the provider.
    ReadOnly,
    /// The client.
    ReadWrite,
    /// The client, once.
    Immutable,
}

impl Mutability {
    /// The spelling in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
        }
    }
}

/// When an attribute is part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// In each.
    Always,
    /// Unless the client says otherwise.
    Default,
    /// In none, as nothing is kept of it: no document declares it, and it is left aside where it is sent.
    Never,
}

impl Returned {
    /// The spelling in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Default => "default",
            Self::Never => "never",
        }
    }
}

/// Among whom a value is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// Nobody.
    None,
    /// The resources of one directory.
    Server,
}

impl Uniqueness {
    /// The spelling in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
        }
    }
}

/// Whether letter case distinguishes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `A` and `a` are two values.
    Exact,
    /// `A` and `a` are one value.
    Insensitive,
}

/// How many values an attribute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plurality {
    /// At most one.
    Singular,
    /// A list.
    MultiValued,
}

/// Whether a resource can be without the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Yes.
    Optional,
    /// No.
    Required,
}

/// The definition of one attribute or sub-attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Canonical name.
    pub name: &'static str,
    /// One sentence for people.
    pub description: &'static str,
    /// Type of its values.
    pub kind: AttributeType,
    /// How many values.
    pub plurality: Plurality,
    /// Whether it is required.
    pub presence: Presence,
    /// Whether case distinguishes its values.
    pub case: Case,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is answered.
    pub returned: Returned,
    /// Among whom it is unique.
    pub uniqueness: Uniqueness,
    /// Values that the standard suggests.
    pub canonical_values: &'static [&'static str],
    /// What a reference points to.
    pub reference_types: &'static [&'static str],
    /// The parts of a complex attribute.
    pub sub_attributes: &'static [Attribute],
    /// Bound of one value, in bytes.
    pub max_bytes: usize,
}

impl Attribute {
    /// The sub-attribute of this name, in whatever case.
    #[must_use]
    pub fn sub_attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }

    /// True for a list of values.
    #[must_use]
    pub fn is_multi_valued(&self) -> bool {
        self.plurality == Plurality::MultiValued
    }

    /// True for a complex attribute.
    #[must_use]
    pub fn is_complex(&self) -> bool {
        self.kind == AttributeType::Complex
    }
}

/// A schema: a named set of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// One sentence for people.
    pub description: &'static str,
    /// Its attributes, without the common ones.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of this name, in whatever case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

/// The schema of this URN, in whatever case.
#[must_use]
pub fn find_schema(urn: &str) -> Option<&'static Schema> {
    definitions::SCHEMAS.into_iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
}

/// Where a name of a resource type leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The extension that the attribute belongs to; none for core and common attributes.
    pub extension: Option<&'static Schema>,
    /// The definition.
    pub attribute: &'static Attribute,
}

/// Finds the definition of `name`, which may be qualified by the URN of a schema.
///
/// A name without a URN that the core schema does not have is looked for in the extensions too: clients name
/// `manager` and `department` like that. The URN may be spelled in any way that means that schema only.
#[must_use]
pub fn find_attribute(resource_type: ResourceType, urn: Option<&str>, name: &str) -> Option<Located> {
    let core = || {
        resource_type
            .schema()
            .attribute(name)
            .or_else(|| find(&definitions::COMMON, name))
            .map(|attribute| Located { extension: None, attribute })
    };
    let in_extension = |schema: &'static Schema| {
        schema.attribute(name).map(|attribute| Located { extension: Some(schema), attribute })
    };
    match urn {
        None => core().or_else(|| resource_type.extensions().iter().find_map(in_extension)),
        Some(urn) if is_core(urn, resource_type) => core(),
        Some(urn) => find_extension(resource_type, urn).and_then(in_extension),
    }
}

/// The defined extension that this URN means, in whatever spelling.
#[must_use]
pub fn find_extension(resource_type: ResourceType, urn: &str) -> Option<&'static Schema> {
    let is_enterprise = meant(urn) == Some(Meant::Enterprise);
    resource_type.extensions().iter().find(|schema| is_enterprise && schema.id == ENTERPRISE_SCHEMA)
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
