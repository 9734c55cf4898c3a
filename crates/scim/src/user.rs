//! A user: what a client said about a person, in canonical form, and its representation (RFC 7643 section 4.1).
//!
//! The attributes of [`User::attributes`] are the whole truth and what is stored: canonical names, values exactly as
//! sent, `externalId` and `active` among them, `id`, `meta`, `groups`, `schemas` and `password` never. Three states
//! of `active` matter. Said true, said false, and not said: a PUT that does not say it keeps the present one, and a
//! stored user without it is active. Nothing but an explicit `true` brings somebody back.

use serde_json::{Map, Value, json};

use crate::edit::{Verb, merge};
use crate::error::{ScimError, echo};
use crate::facet::is_core_facet;
use crate::json::parse_object;
use crate::limits::{MAX_CUSTOM_EXTENSION_BYTES, MAX_CUSTOM_EXTENSIONS, MAX_EDIT_WORK_BYTES};
use crate::note::{DialectNote, Notes};
use crate::schema::{ENTERPRISE_SCHEMA, ResourceType, USER_SCHEMA};
use crate::urn::{Meant, is_core, is_custom, is_uri, meant, note_spelling};
use crate::work::Work;

/// A user in canonical form. See the module for what its attributes are.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    attributes: Map<String, Value>,
}

/// One e-mail address of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email<'a> {
    /// The address, as sent.
    pub value: &'a str,
    /// Its `type`, as sent.
    pub kind: Option<&'a str>,
    /// Whether it is the primary one.
    pub is_primary: bool,
}

/// What the provider knows about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The id.
    pub id: &'a str,
    /// When it was made, RFC 3339.
    pub created: &'a str,
    /// When it was last changed, RFC 3339.
    pub last_modified: &'a str,
    /// Its URI.
    pub location: &'a str,
    /// Its version as an entity tag, where versions are served.
    pub version: Option<&'a str>,
}

/// A group that has a user as a member, for its representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOfUser {
    /// The group's id.
    pub id: String,
    /// The group's URI.
    pub location: String,
    /// The group's name.
    pub display: String,
}

/// Parses the body of a POST or PUT. Liberal in spelling; each liberty is in the notes.
///
/// # Errors
///
/// What the body breaks: JSON, bounds, types, or the missing `userName`.
pub fn parse_user(body: &[u8]) -> Result<(User, Vec<DialectNote>), ScimError> {
    let mut notes = Notes::default();
    let user = parse_user_noting(body, &mut notes)?;
    Ok((user, notes.into_vec()))
}

/// The same; of a body that is refused, the liberties of what was read before.
///
/// # Errors
///
/// As [`parse_user`].
pub fn parse_user_noting(body: &[u8], notes: &mut Notes) -> Result<User, ScimError> {
    let mut object = parse_object(body)?;
    note_schemas(&mut object, USER_SCHEMA, notes);
    let mut attributes = Map::new();
    merge(&mut attributes, object, Verb::Add, notes, &Work::within(MAX_EDIT_WORK_BYTES))?;
    let user = User { attributes };
    user.check()?;
    Ok(user)
}

/// Takes `schemas` out of a body. What is missing or unknown there is accepted and not echoed; the schemas of the answer
/// follow its content.
pub(crate) fn note_schemas(object: &mut Map<String, Value>, own: &str, notes: &mut Notes) {
    let key = object.keys().find(|key| key.eq_ignore_ascii_case("schemas")).cloned();
    let said = key.and_then(|key| object.remove(&key)).unwrap_or(Value::Null);
    let mut names_own = false;
    for urn in said.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let is_own = urn.eq_ignore_ascii_case(own);
        names_own |= is_own || matches!(meant(own), Some(Meant::Core(Some(kind))) if is_core(urn, kind));
        match meant(urn) {
            None if !is_own => notes.add(DialectNote::UnknownSchema(echo(urn))),
            _ => note_spelling(urn, notes),
        }
    }
    if !names_own {
        notes.add(DialectNote::MissingSchemas);
    }
}

impl User {
    /// A user as it was stored: what [`User::attributes`] gave.
    ///
    /// What was kept under another URN of the standard, before that was its schema in every spelling, is read as what a
    /// mapping can name of it: what was given by it is not taken because somebody else's attribute is written.
    #[must_use]
    pub fn from_stored(mut attributes: Map<String, Value>) -> Self {
        let is_other = |key: &String| {
            key != ENTERPRISE_SCHEMA
                && (is_core(key, ResourceType::User) || meant(key) == Some(Meant::Enterprise))
        };
        let keys: Vec<String> = attributes.keys().filter(|key| is_other(key)).cloned().collect();
        for key in keys {
            let Some(Value::Object(object)) = attributes.get(&key).cloned() else { continue };
            let mut read = Map::new();
            let (notes, work) = (&mut Notes::default(), &Work::within(MAX_EDIT_WORK_BYTES));
            let under_it = Map::from_iter([(key.clone(), Value::Object(object))]);
            // What nobody could say of it now says nothing.
            if merge(&mut read, under_it, Verb::Add, notes, work).is_ok() {
                attributes.remove(&key);
                take_over(&mut attributes, read);
            }
        }
        Self { attributes }
    }

    /// Everything that clients said, in canonical form; what is stored. The module says what is in it.
    #[must_use]
    pub const fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    /// `userName`, as sent. Empty only for a stored user that never came from here.
    #[must_use]
    pub fn user_name(&self) -> &str {
        self.text("userName").unwrap_or("")
    }

    /// `externalId`, as sent.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.text("externalId")
    }

    /// What was said about `active`. None: nothing.
    #[must_use]
    pub fn active(&self) -> Option<bool> {
        self.attributes.get("active").and_then(Value::as_bool)
    }

    /// Whether a stored user is active: unless it was said that it is not.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active() != Some(false)
    }

    /// `displayName`, as sent.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.text("displayName")
    }

    /// `name.formatted`, or given and family name joined by a blank.
    #[must_use]
    pub fn formatted_name(&self) -> Option<String> {
        let name = self.attributes.get("name")?;
        let part = |key: &str| name.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(formatted) = part("formatted") {
            return Some(formatted.to_owned());
        }
        let parts: Vec<&str> = ["givenName", "familyName"].into_iter().filter_map(part).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// The e-mail addresses in the order sent, those without an address left out.
    #[must_use]
    pub fn emails(&self) -> Vec<Email<'_>> {
        let Some(Value::Array(emails)) = self.attributes.get("emails") else { return Vec::new() };
        emails
            .iter()
            .filter_map(|email| {
                Some(Email {
                    value: email.get("value")?.as_str().filter(|value| !value.is_empty())?,
                    kind: email.get("type").and_then(Value::as_str),
                    is_primary: email.get("primary") == Some(&Value::Bool(true)),
                })
            })
            .collect()
    }

    /// The user of a create, with what the provider assigns: active, unless the client said otherwise.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        self.attributes.entry("active").or_insert(Value::Bool(true));
        self
    }

    /// Refuses a user without a `userName`, or with custom extensions over their bounds.
    pub(crate) fn check(&self) -> Result<(), ScimError> {
        if self.user_name().trim().is_empty() {
            return Err(ScimError::MissingRequired { attribute: "userName" });
        }
        let mut extensions = 0;
        for (urn, value) in self.attributes.iter().filter(|(key, _)| is_custom(key)) {
            extensions += 1;
            if extensions > MAX_CUSTOM_EXTENSIONS {
                let attribute = "schemas".to_owned();
                return Err(ScimError::TooManyValues { attribute, max: MAX_CUSTOM_EXTENSIONS });
            }
            if urn.len() + value.to_string().len() > MAX_CUSTOM_EXTENSION_BYTES {
                return Err(ScimError::TooLong { attribute: echo(urn), max: MAX_CUSTOM_EXTENSION_BYTES });
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str)
    }
}

/// Takes over what mappings can name and nothing says in its own place.
fn take_over(attributes: &mut Map<String, Value>, read: Map<String, Value>) {
    for (name, value) in read {
        match (attributes.get_mut(&name), value) {
            (Some(Value::Object(own)), Value::Object(other)) if name == ENTERPRISE_SCHEMA => {
                other.into_iter().for_each(|(name, value)| _ = own.entry(name).or_insert(value));
            }
            (None, value) if name == ENTERPRISE_SCHEMA || is_core_facet(&name) => {
                attributes.insert(name, value);
            }
            _ => {}
        }
    }
}

/// The representation of a user, before any projection: canonical names, values as sent, `schemas` by content.
#[must_use]
pub fn render_user(user: &User, meta: &Meta<'_>, groups: &[GroupOfUser]) -> Value {
    let mut resource = user.attributes.clone();
    let extensions = user.attributes.keys().filter(|key| is_uri(key)).map(String::as_str);
    let schemas: Vec<&str> = std::iter::once(USER_SCHEMA)
        .chain(user.attributes.contains_key(ENTERPRISE_SCHEMA).then_some(ENTERPRISE_SCHEMA))
        .chain(extensions.filter(|urn| *urn != ENTERPRISE_SCHEMA))
        .collect();
    resource.insert("schemas".to_owned(), schemas.into());
    if !groups.is_empty() {
        let groups: Vec<Value> = groups.iter().map(render_group_of_user).collect();
        resource.insert("groups".to_owned(), groups.into());
    }
    insert_meta(&mut resource, ResourceType::User, meta);
    Value::Object(resource)
}

/// Sets `id` and `meta`.
pub(crate) fn insert_meta(resource: &mut Map<String, Value>, resource_type: ResourceType, meta: &Meta<'_>) {
    resource.insert("id".to_owned(), meta.id.into());
    let mut document = json!({
        "resourceType": resource_type.name(),
        "created": meta.created,
        "lastModified": meta.last_modified,
        "location": meta.location,
    });
    if let (Some(version), Some(object)) = (meta.version, document.as_object_mut()) {
        object.insert("version".to_owned(), version.into());
    }
    resource.insert("meta".to_owned(), document);
}

fn render_group_of_user(group: &GroupOfUser) -> Value {
    json!({
        "value": group.id,
        "$ref": group.location,
        "display": group.display,
        "type": "direct",
    })
}
