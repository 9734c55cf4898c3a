//! One customer of Google Workspace: people, groups, organizational units.

use crate::people::{Company, PersonState};

/// The address of the service account.
pub(super) const CLIENT_EMAIL: &str = "provisioning@acme-provisioning.iam.gserviceaccount.com";
/// Its number, to which an administrator grants scopes.
pub(super) const CLIENT_ID: &str = "117112233445566778899";

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GooglePerson {
    /// The immutable id.
    pub id: String,
    /// The address that they sign in with.
    pub primary_email: String,
    /// First name.
    pub given_name: String,
    /// Last name.
    pub family_name: String,
    /// Other addresses of theirs in the customer's domains.
    pub aliases: Vec<String>,
    /// The path of their organizational unit.
    pub org_unit: String,
    /// Whether they are an administrator who may read the directory.
    pub is_admin: bool,
    /// Whether they are suspended.
    pub suspended: bool,
    /// Whether they are archived.
    pub archived: bool,
    /// When they were deleted, as Google writes it; `None` while they are there.
    pub deleted_at: Option<String>,
}

impl GooglePerson {
    /// Somebody active at the top, who is called like their address.
    #[must_use]
    pub fn new(id: &str, primary_email: &str) -> Self {
        let name = primary_email.split('@').next().unwrap_or_default();
        Self {
            id: id.to_owned(),
            primary_email: primary_email.to_owned(),
            given_name: name.to_owned(),
            family_name: "Example".to_owned(),
            aliases: Vec::new(),
            org_unit: "/".to_owned(),
            is_admin: false,
            suspended: false,
            archived: false,
            deleted_at: None,
        }
    }

    /// Whether a key of the API names them: id, address or alias.
    #[must_use]
    pub fn is_called(&self, key: &str) -> bool {
        let same = |address: &str| address.eq_ignore_ascii_case(key);
        self.id == key || same(&self.primary_email) || self.aliases.iter().any(|alias| same(alias))
    }
}

/// Somebody or something in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleMember {
    /// A person of the customer, by id.
    User(String),
    /// Another group, by id.
    Group(String),
    /// Everybody of the customer.
    Customer,
    /// Somebody outside, by address.
    External(String),
}

impl GoogleMember {
    /// Whether it is somebody: of groups and of everybody Google counts nobody as a direct member.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        match self {
            Self::User(_) | Self::External(_) => true,
            Self::Group(_) | Self::Customer => false,
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleGroup {
    /// The immutable id.
    pub id: String,
    /// Its address.
    pub email: String,
    /// Its name; several may have the same.
    pub name: String,
    /// Its direct members.
    pub members: Vec<GoogleMember>,
}

impl GoogleGroup {
    /// A group of these people, by id.
    #[must_use]
    pub fn new(id: &str, email: &str, members: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            email: email.to_owned(),
            name: email.split('@').next().unwrap_or_default().to_owned(),
            members: members.iter().map(|id| GoogleMember::User((*id).to_owned())).collect(),
        }
    }
}

/// One customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The customer's immutable id.
    pub customer_id: String,
    /// Its people, deleted ones too.
    pub people: Vec<GooglePerson>,
    /// Its groups.
    pub groups: Vec<GoogleGroup>,
    /// The paths of its organizational units, without the top.
    pub org_units: Vec<String>,
}

impl Workspace {
    /// A customer with one administrator, `admin@` its domain, and nobody else.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let mut admin = GooglePerson::new("100000000000000000001", &format!("admin@{domain}"));
        admin.is_admin = true;
        Self {
            customer_id: "C03az79cb".to_owned(),
            people: vec![admin],
            groups: Vec::new(),
            org_units: Vec::new(),
        }
    }

    /// The same with everybody of a company and its groups; each person stands in the unit of their first group.
    #[must_use]
    pub fn of(company: &Company) -> Self {
        let mut made = Self::new(&company.domain);
        for group in &company.groups {
            let name = group.display_name.to_ascii_lowercase().replace(' ', "-");
            let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
            let email = format!("{name}@{}", company.domain);
            made.groups.push(GoogleGroup::new(&group.external_id, &email, &members));
            made.org_units.push(format!("/{}", group.display_name));
        }
        for person in &company.people {
            let first = company.groups.iter().find(|group| group.members.contains(&person.id));
            made.people.push(GooglePerson {
                given_name: person.given_name.clone(),
                family_name: person.family_name.clone(),
                org_unit: first.map_or_else(|| "/".to_owned(), |group| format!("/{}", group.display_name)),
                suspended: person.state == PersonState::Deactivated,
                ..GooglePerson::new(&person.id, &person.email)
            });
        }
        made
    }

    /// Somebody who is there, by id, address or alias.
    #[must_use]
    pub fn find_person(&self, key: &str) -> Option<&GooglePerson> {
        self.people.iter().find(|person| person.deleted_at.is_none() && person.is_called(key))
    }

    /// The same, to be changed; deleted people too.
    pub fn person_mut(&mut self, key: &str) -> Option<&mut GooglePerson> {
        self.people.iter_mut().find(|person| person.is_called(key))
    }

    /// A group by id or address.
    #[must_use]
    pub fn find_group(&self, key: &str) -> Option<&GoogleGroup> {
        self.groups.iter().find(|group| group.id == key || group.email.eq_ignore_ascii_case(key))
    }

    /// The same, to be changed.
    pub fn group_mut(&mut self, key: &str) -> Option<&mut GoogleGroup> {
        self.groups.iter_mut().find(|group| group.id == key || group.email.eq_ignore_ascii_case(key))
    }
}
