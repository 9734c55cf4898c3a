//! Which attribute holds what, by provider, and a guess from what a first sign-in brought.
//!
//! Here because providers name the same three facts in a dozen ways, and an administrator should not have to know
//! object identifiers by heart.

use crate::attribute::Attributes;

/// What the entity ids of Entra's tenants begin with, in its clouds; the tenant follows.
const ENTRA_ENTITIES: [&str; 2] = ["https://sts.windows.net/", "https://sts.chinacloudapi.cn/"];

/// Names in use beside those of presets, by row of [`Preset::table`].
const OTHERS: [&[&str]; 6] = [
    &["mail", "Email", "emailAddress", "urn:oid:1.2.840.113549.1.9.1"],
    &["name", "cn", "urn:oid:2.5.4.3"],
    &["given_name", "FirstName", "givenname"],
    &["family_name", "LastName", "sn"],
    &["Groups", "Role", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"],
    &["urn:oasis:names:tc:SAML:attribute:pairwise-id", "employeeId", "user_id"],
];
const EMAIL: usize = 0;
const GROUPS: usize = 4;

/// A provider whose names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Okta.
    Okta,
    /// Microsoft Entra ID.
    Entra,
    /// Google Workspace.
    Google,
    /// Active Directory Federation Services.
    Adfs,
    /// OneLogin.
    OneLogin,
    /// JumpCloud.
    JumpCloud,
    /// Keycloak.
    Keycloak,
    /// Shibboleth, and whoever speaks eduPerson.
    Shibboleth,
}

/// Names of attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeNames {
    /// E-mail address.
    pub email: Option<String>,
    /// Name for people to read.
    pub display_name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Groups.
    pub groups: Option<String>,
    /// An immutable identifier, better than an e-mail address as the subject.
    pub immutable_id: Option<String>,
}

impl Preset {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Okta,
        Self::Entra,
        Self::Google,
        Self::Adfs,
        Self::OneLogin,
        Self::JumpCloud,
        Self::Keycloak,
        Self::Shibboleth,
    ];

    /// Its stable name in settings and URLs.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::Google => "google",
            Self::Adfs => "adfs",
            Self::OneLogin => "onelogin",
            Self::JumpCloud => "jumpcloud",
            Self::Keycloak => "keycloak",
            Self::Shibboleth => "shibboleth",
        }
    }

    /// The preset of this name.
    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.slug() == slug)
    }

    /// The provider whose ways are followed: the one that was chosen, else Entra if the entity id is one of its tenants'.
    #[must_use]
    pub fn in_force(chosen: Option<Self>, entity_id: &str) -> Option<Self> {
        chosen.or_else(|| entra_tenant_of(entity_id).map(|_| Self::Entra))
    }

    /// The names that this provider uses when it is set up as our guide says.
    #[must_use]
    pub fn names(self) -> AttributeNames {
        let table = self.table();
        let name = |row: usize| table.get(row).copied().filter(|name| !name.is_empty()).map(str::to_owned);
        AttributeNames {
            email: name(EMAIL),
            display_name: name(1),
            given_name: name(2),
            family_name: name(3),
            groups: name(GROUPS),
            immutable_id: name(5),
        }
    }

    /// E-mail, display name, given name, family name, groups, immutable identifier; empty where it has none.
    fn table(self) -> [&'static str; 6] {
        match self {
            Self::Okta => ["email", "displayName", "firstName", "lastName", "groups", "id"],
            Self::Entra => [
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
                "http://schemas.microsoft.com/identity/claims/displayname",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
                "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
                "http://schemas.microsoft.com/identity/claims/objectidentifier",
            ],
            Self::Google => ["email", "", "firstName", "lastName", "groups", ""],
            Self::Adfs => [
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
                "http://schemas.xmlsoap.org/claims/Group",
                "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid",
            ],
            Self::OneLogin => {
                ["User.email", "", "User.FirstName", "User.LastName", "memberOf", "PersonImmutableID"]
            }
            Self::JumpCloud => ["email", "", "firstname", "lastname", "memberOf", ""],
            Self::Keycloak => ["email", "", "givenName", "surname", "groups", ""],
            Self::Shibboleth => [
                "urn:oid:0.9.2342.19200300.100.1.3",
                "urn:oid:2.16.840.1.113730.3.1.241",
                "urn:oid:2.5.4.42",
                "urn:oid:2.5.4.4",
                "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
                "urn:oasis:names:tc:SAML:attribute:subject-id",
            ],
        }
    }
}

/// The tenant of Entra's that an entity id names; an application may have its own id behind it.
#[must_use]
pub fn entra_tenant_of(entity_id: &str) -> Option<&str> {
    let rest = ENTRA_ENTITIES.iter().find_map(|begin| entity_id.strip_prefix(begin))?;
    rest.split('/').next().filter(|tenant| !tenant.is_empty())
}

/// Every name in use for what stands in that row.
fn names_of(row: usize) -> impl Iterator<Item = &'static str> {
    let known = Preset::ALL.into_iter().filter_map(move |preset| preset.table().get(row).copied());
    known.chain(OTHERS.get(row).copied().unwrap_or_default().iter().copied()).filter(|name| !name.is_empty())
}

/// Whether an attribute of that name is one person's own under any of the names in use, groups apart.
#[must_use]
pub fn is_of_one_person(name: &str) -> bool {
    (0..OTHERS.len()).filter(|row| *row != GROUPS).any(|row| names_of(row).any(|known| known == name))
}

/// The address that all attributes agree on whose names say that they are addresses. None if two differ, or one has
/// several values: which of them counts is an administrator's to say.
#[must_use]
pub fn agreed_address(attributes: &Attributes) -> Option<&str> {
    let says_something = |values: &[String]| values.iter().any(|value| !value.is_empty());
    let is_address = |name: &str| names_of(EMAIL).any(|known| known == name);
    let mut came = attributes.all().iter().filter(|a| is_address(&a.name) && says_something(&a.values));
    let first = attributes.single(&came.next()?.name)?;
    let agrees = |name: &str| attributes.single(name).is_some_and(|other| other.eq_ignore_ascii_case(first));
    came.all(|other| agrees(&other.name)).then_some(first)
}

/// A mapping that fits the attributes which came, taken from the names of all presets and, where none of those came,
/// from other names in use: for people to look at, never to decide by. An immutable identifier is suggested only if it
/// came with one value.
#[must_use]
pub fn suggest(attributes: &Attributes) -> AttributeNames {
    let find = |row: usize| names_of(row).find(|name| attributes.find(name).is_some()).map(str::to_owned);
    AttributeNames {
        email: find(EMAIL),
        display_name: find(1),
        given_name: find(2),
        family_name: find(3),
        groups: find(GROUPS),
        immutable_id: find(5).filter(|name| attributes.single(name).is_some()),
    }
}
