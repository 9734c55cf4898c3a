//! What a directory's call is about: path and parameters, as identity providers really write them.
//!
//! A flag such as `?aadOptscim062020` is part of the URL that an administrator pastes into Entra ID, so it turns up
//! wherever a client glues its path and parameters to it.

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use portcullis_scim::{DialectNote, ScimError};
use url::form_urlencoded;

/// The flags of providers that are known: those by which an administrator chooses Entra's newer dialect and its older one.
const FLAGS: [&str; 2] = ["aadOptscim062020", "AzureAdScimPatch2017"];
/// What clients glue to a base URL that ends in a parameter, in lower case.
const GLUED: [&str; 2] = ["/users", "/groups"];
/// The most parameters that a URL may have: several times what any client sends.
const MAX_PARAMETERS: usize = 64;

/// A discovery document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// What this provider can do.
    ServiceProviderConfig,
    /// All kinds of resources.
    ResourceTypes,
    /// One kind.
    ResourceType(String),
    /// All schemas.
    Schemas,
    /// One schema.
    Schema(String),
}

/// Of which resources a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Of people.
    Users,
    /// Of groups.
    Groups,
    /// Of both.
    All,
}

impl Address {
    /// Refuses more parameters than are read, and what a client glued to a parameter that nobody knows, or to what it was
    /// given: whatever is left out might be the filter, and then everybody is found.
    ///
    /// # Errors
    /// [`ScimError::TooManyParameters`], [`ScimError::GluedParameter`].
    pub fn check_parameters(&self) -> Result<(), ScimError> {
        if self.parameters.len() > MAX_PARAMETERS {
            return Err(ScimError::TooManyParameters { max: MAX_PARAMETERS });
        }
        if self.parameters.iter().any(|(name, value)| is_glued(name, value)) {
            return Err(ScimError::GluedParameter);
        }
        Ok(())
    }

    /// What of the provider's own stands in the URL.
    #[must_use]
    pub fn notes(&self) -> Option<DialectNote> {
        self.parameters.iter().any(|(name, _)| is_flag(name)).then_some(DialectNote::ProviderFlag)
    }
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Everything.
    All,
    /// A search by a body.
    Search(Whose),
    /// Several operations in one body.
    Bulk,
    /// All people.
    Users,
    /// One person, by the text of the id.
    User(String),
    /// All groups.
    Groups,
    /// One group, by the text of the id.
    Group(String),
    /// A discovery document.
    Discovery(Document),
    /// Something of the standard that is not served.
    NotServed,
    /// Nothing of the standard.
    Unknown,
}

impl Endpoint {
    /// The methods that it has.
    #[must_use]
    pub const fn allowed(&self) -> &'static str {
        match self {
            Self::Users | Self::Groups => "GET, HEAD, POST",
            Self::Search(_) | Self::Bulk => "POST",
            Self::User(_) | Self::Group(_) => "GET, HEAD, PUT, PATCH, DELETE",
            Self::All | Self::Discovery(_) | Self::NotServed | Self::Unknown => "GET, HEAD",
        }
    }

    fn of(segments: &[String]) -> Self {
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => Self::All,
            [".search"] => Self::Search(Whose::All),
            ["Users", ".search"] => Self::Search(Whose::Users),
            ["Groups", ".search"] => Self::Search(Whose::Groups),
            ["Bulk"] => Self::Bulk,
            ["Me", ..] => Self::NotServed,
            ["Users"] => Self::Users,
            ["Users", id] => Self::User((*id).to_owned()),
            ["Groups"] => Self::Groups,
            ["Groups", id] => Self::Group((*id).to_owned()),
            ["ServiceProviderConfig" | "ServiceProviderConfigs"] => {
                Self::Discovery(Document::ServiceProviderConfig)
            }
            ["ResourceTypes"] => Self::Discovery(Document::ResourceTypes),
            ["ResourceTypes", name] => Self::Discovery(Document::ResourceType((*name).to_owned())),
            ["Schemas"] => Self::Discovery(Document::Schemas),
            ["Schemas", urn] => Self::Discovery(Document::Schema((*urn).to_owned())),
            _ => Self::Unknown,
        }
    }
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The text where the directory's id stands.
    pub directory: String,
    /// What it leads to.
    pub endpoint: Endpoint,
    /// The decoded parameters, in order.
    pub parameters: Vec<(String, String)>,
    /// Path and parameters below the directory as they came, for the trace.
    pub written: String,
}

impl Address {
    /// Reads a URI below `/scim/v2/`. Empty segments do not count: clients join with one slash too many.
    #[must_use]
    pub fn read(uri: &Uri) -> Self {
        let (path, query) = unglued(uri.path(), uri.query().unwrap_or(""));
        let below = path.strip_prefix("/scim/v2/").unwrap_or(&path);
        let mut segments = below.split('/').filter(|s| !s.is_empty()).map(decoded);
        let directory = segments.next().unwrap_or_default();
        let endpoint = Endpoint::of(&segments.collect::<Vec<_>>());
        let below = below.strip_prefix(&directory).unwrap_or(below);
        let written = if query.is_empty() { below.to_owned() } else { format!("{below}?{query}") };
        Self { directory, endpoint, parameters: parameters(&query), written }
    }
}

impl Address {
    /// What a path below the base URL leads to, as an operation of a bulk request names it.
    #[must_use]
    pub fn below(directory: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decoded).collect();
        let written = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        Self {
            directory: directory.to_owned(),
            endpoint: Endpoint::of(&segments),
            parameters: parameters(query),
            written,
        }
    }
}

/// Whether a path or a query was glued to a parameter. Only a filter may speak of anything.
fn is_glued(name: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let leads_on = || value.contains('?') || GLUED.iter().any(|path| value.contains(path));
    name.contains(['/', '?']) || (!name.eq_ignore_ascii_case("filter") && leads_on())
}

fn is_flag(name: &str) -> bool {
    FLAGS.iter().any(|flag| flag.eq_ignore_ascii_case(name))
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// Path and query, with what was glued to flags put where it belongs:
/// `…/{directory}?flag/Users?filter=…` means `…/{directory}/Users?flag&filter=…`.
fn unglued(path: &str, query: &str) -> (String, String) {
    let glued = |query: String, flag| query.replace(&format!("?{flag}"), &format!("&{flag}"));
    let query = FLAGS.into_iter().fold(query.to_owned(), glued);
    let is_flagged = |piece: &str| is_flag(piece.split('=').next().unwrap_or(piece));
    match query.split_once('/').filter(|(flags, _)| flags.split('&').all(is_flagged)) {
        Some((flags, rest)) => {
            let (more, parameters) = rest.split_once('?').unwrap_or((rest, ""));
            (format!("{}/{more}", path.trim_end_matches('/')), format!("{flags}&{parameters}"))
        }
        None => (path.to_owned(), query),
    }
}

/// The decoded parameters, one more than is taken at most. A `+` is a blank in forms and a plus in URLs; a client that
/// writes blanks as `%20` means a plus, and every filter has blanks.
fn parameters(query: &str) -> Vec<(String, String)> {
    let escaped = if query.contains("%20") { query.replace('+', "%2B") } else { query.to_owned() };
    form_urlencoded::parse(escaped.as_bytes())
        .take(MAX_PARAMETERS + 1)
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect()
}
