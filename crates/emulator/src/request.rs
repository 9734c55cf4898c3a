//! One SCIM request, and how each provider writes it.
//!
//! Here once, so that the client sends exactly what `emulate` shows: who asks for what is a method of [`Dialect`], the
//! bodies are beside it.

use reqwest::Method;
use serde_json::Value;
use url::form_urlencoded;

use crate::dialect::Dialect;
use crate::people::{Group, Person};

/// Where Entra's flag stands in the query. An administrator appends it to the address, so it arrives in odd places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlagPlace {
    /// Before everything else.
    #[default]
    First,
    /// After everything else.
    Last,
    /// At the end, with a value.
    Valued,
}

/// A request as a provider writes it, without host and token.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimRequest {
    /// The method.
    pub method: Method,
    /// Begins with a slash and follows the base URL.
    pub path: String,
    /// Names and values, not yet encoded.
    pub query: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Value>,
    /// Where the flag stands, if the dialect has one.
    pub flag: FlagPlace,
    /// The media type of the body, where it is not the one that the dialect always names.
    pub media_type: Option<&'static str>,
}

impl ScimRequest {
    /// A request without query and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            flag: FlagPlace::First,
            media_type: None,
        }
    }

    /// GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// With this body.
    #[must_use]
    pub fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With this at the end of the query.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// With a body of this media type.
    #[must_use]
    pub const fn with_media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// With the flag there.
    #[must_use]
    pub fn with_flag(mut self, place: FlagPlace) -> Self {
        self.flag = place;
        self
    }

    /// Path and query as they are sent, the dialect's flag among them. A space is `%20`, as providers write it.
    #[must_use]
    pub fn target(&self, dialect: Dialect) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        // A plus sign of a value is written `%2B`, so every plus sign here is a space.
        let mut parts = vec![query.finish().replace('+', "%20")];
        if let Some(flag) = dialect.query_flag() {
            match self.flag {
                FlagPlace::First => parts.insert(0, flag.to_owned()),
                FlagPlace::Last => parts.push(flag.to_owned()),
                FlagPlace::Valued => parts.push(format!("{flag}=true")),
            }
        }
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, parts.join("&")) }
    }
}

/// The path of one resource. What a server chose as id is one segment, whatever is in it.
fn of(collection: &str, id: &str) -> String {
    let segment: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{collection}/{}", segment.replace('+', "%20"))
}

/// `attribute eq "value"`.
#[must_use]
pub fn equals(attribute: &str, value: &str) -> String {
    format!("{attribute} eq \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Dialect {
    /// A look-up by a filter, with what the provider hangs on it.
    #[must_use]
    pub fn find(self, collection: &str, filter: &str) -> ScimRequest {
        let mut request = ScimRequest::get(collection);
        if collection == "/Groups" && self.leaves_members_out() {
            request = request.with("excludedAttributes", "members");
        }
        request = request.with("filter", filter);
        for (name, value) in self.find_parameters() {
            request = request.with(name, *value);
        }
        request
    }

    /// Looks somebody up by user name.
    #[must_use]
    pub fn find_user(self, user_name: &str) -> ScimRequest {
        self.find("/Users", &equals("userName", user_name))
    }

    /// Looks a group up by name.
    #[must_use]
    pub fn find_group(self, display_name: &str) -> ScimRequest {
        self.find("/Groups", &equals("displayName", display_name))
    }

    /// Lists people: `start_index` from 1, `count` a page.
    #[must_use]
    pub fn list_users(self, start_index: usize, count: usize) -> ScimRequest {
        ScimRequest::get("/Users")
            .with("startIndex", start_index.to_string())
            .with("count", count.to_string())
    }

    /// Creates somebody.
    #[must_use]
    pub fn create_user(self, person: &Person) -> ScimRequest {
        ScimRequest::new(Method::POST, "/Users").with_body(self.user(person))
    }

    /// Reads somebody.
    #[must_use]
    pub fn read_user(self, id: &str) -> ScimRequest {
        ScimRequest::get(of("/Users", id))
    }

    /// Replaces somebody whole.
    #[must_use]
    pub fn replace_user(self, id: &str, person: &Person) -> ScimRequest {
        let mut body = self.user(person);
        if let (Self::Okta, Some(members)) = (self, body.as_object_mut()) {
            members.insert("id".to_owned(), Value::String(id.to_owned()));
        }
        ScimRequest::new(Method::PUT, of("/Users", id)).with_body(body)
    }

    /// Changes somebody by operations.
    #[must_use]
    pub fn patch_user(self, id: &str, body: Value) -> ScimRequest {
        ScimRequest::new(Method::PATCH, of("/Users", id)).with_body(body)
    }

    /// Lets somebody in or out, as the person says: by PATCH or by the whole resource.
    #[must_use]
    pub fn set_state(self, id: &str, person: &Person) -> ScimRequest {
        if self.deactivates_by_put() {
            return self.replace_user(id, person);
        }
        self.patch_user(id, self.set_active(person.state))
    }

    /// The names and address of somebody, in the provider's usual way.
    #[must_use]
    pub fn change_user(self, id: &str, person: &Person) -> ScimRequest {
        if self.updates_by_put() {
            return self.replace_user(id, person);
        }
        self.patch_user(id, self.update_user(person))
    }

    /// Deletes somebody.
    #[must_use]
    pub fn delete_user(self, id: &str) -> ScimRequest {
        ScimRequest::new(Method::DELETE, of("/Users", id))
    }

    /// Creates a group with members by their SCIM ids.
    #[must_use]
    pub fn create_group(self, group: &Group, member_ids: &[String]) -> ScimRequest {
        ScimRequest::new(Method::POST, "/Groups").with_body(self.group(group, member_ids))
    }

    /// Reads a group.
    #[must_use]
    pub fn read_group(self, id: &str) -> ScimRequest {
        ScimRequest::get(of("/Groups", id))
    }

    /// Replaces a group whole.
    #[must_use]
    pub fn replace_group(self, id: &str, group: &Group, member_ids: &[String]) -> ScimRequest {
        ScimRequest::new(Method::PUT, of("/Groups", id)).with_body(self.group(group, member_ids))
    }

    /// Changes a group by operations.
    #[must_use]
    pub fn patch_group(self, id: &str, body: Value) -> ScimRequest {
        ScimRequest::new(Method::PATCH, of("/Groups", id)).with_body(body)
    }

    /// Deletes a group.
    #[must_use]
    pub fn delete_group(self, id: &str) -> ScimRequest {
        ScimRequest::new(Method::DELETE, of("/Groups", id))
    }
}
