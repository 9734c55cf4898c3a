//! URNs of schemas: which of them mean a schema of the standard, and which a client may have for an extension of its own.
//!
//! Drafts, SCIM 1.1 and mappings that people typed name the schemas of the standard in other ways. What can mean one of
//! them only is read as that. Nothing else is kept in the namespaces of the standard: `active: false` under such a name
//! would be kept as somebody's own attribute, and whoever it was said of would stay active.

use crate::error::echo;
use crate::note::{DialectNote, Notes};
use crate::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, ResourceType, USER_SCHEMA};

/// How the URN of each schema begins: as in the standard, and as in its drafts and in SCIM 1.1.
const ROOTS: [&str; 2] = ["urn:ietf:params:scim:schemas:", "urn:scim:schemas:"];
/// Where nobody has an extension of their own, but for what begins as [`ROOTS`] and [`OF_CLIENTS`].
const OF_THE_STANDARD: [&str; 2] = ["urn:ietf", "urn:scim:schemas"];
/// Behind the root: where clients name extensions of their own. Entra ID tells its customers to.
const OF_CLIENTS: &str = "extension:";
const CORE: &str = "core:";
const ENTERPRISE: &str = "extension:enterprise:";
const VERSIONS: [&str; 2] = ["2.0", "1.0"];

/// A schema of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The core schema of a type; without one, as in SCIM 1.1, that of the resource where it stands.
    Core(Option<ResourceType>),
    /// The enterprise extension of users.
    Enterprise,
}

/// A text that begins with a schema of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start<'a> {
    pub(crate) meant: Meant,
    /// The URN as it is spelled.
    pub(crate) urn: &'a str,
    /// Nothing, or what is behind the URN with the colon or dot before it.
    pub(crate) rest: &'a str,
}

/// Reads the schema of the standard with which a text begins, in whatever spelling.
pub(crate) fn read_start(text: &str) -> Option<Start<'_>> {
    let after_root = ROOTS.iter().find_map(|root| without(text, root))?;
    let (is_core, after) = match (without(after_root, CORE), without(after_root, ENTERPRISE)) {
        (Some(after), _) => (true, after),
        (None, after) => (false, after?),
    };
    let after = VERSIONS.iter().find_map(|version| without(after, version))?;
    let types: &[ResourceType] = if is_core { &ResourceType::ALL } else { &[ResourceType::User] };
    let typed = types.iter().find_map(|kind| {
        let rest = without(after.strip_prefix(':').unwrap_or(after), kind.name())?;
        is_end(rest).then_some((Some(*kind), rest))
    });
    let (kind, rest) = typed.or_else(|| is_end(after).then_some((None, after)))?;
    let meant = if is_core { Meant::Core(kind) } else { Meant::Enterprise };
    let (urn, _) = text.split_at_checked(text.len() - rest.len())?;
    Some(Start { meant, urn, rest })
}

/// The schema of the standard that a URN means, in whatever spelling.
pub(crate) fn meant(urn: &str) -> Option<Meant> {
    read_start(urn).filter(|start| start.rest.is_empty()).map(|start| start.meant)
}

/// Whether a URN means the core schema of that type where it stands at a resource of it.
pub(crate) fn is_core(urn: &str, resource_type: ResourceType) -> bool {
    matches!(meant(urn), Some(Meant::Core(kind)) if kind.is_none_or(|kind| kind == resource_type))
}

/// Whether this can only be a URI: the key of an extension object.
pub(crate) fn is_uri(text: &str) -> bool {
    without(text, "urn:").is_some() || text.contains("://")
}

/// Whether it is in a namespace of the standard, where nobody has an extension of their own.
pub(crate) fn is_of_the_standard(text: &str) -> bool {
    let is_own = |root: &&str| {
        let name = without(text, root).and_then(|rest| without(rest, OF_CLIENTS));
        let goes_on =
            |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-' || c == '_');
        name.is_some_and(|name| without(name, "enterprise").is_none_or(goes_on))
    };
    OF_THE_STANDARD.iter().any(|start| without(text, start).is_some_and(is_end)) && !ROOTS.iter().any(is_own)
}

/// Whether a name ends a URN of which nothing but the whole is a client's own, as in `urn:scim:schemas:extension:Acme`.
pub(crate) fn is_custom_with(urn: &str, name: &str) -> bool {
    is_of_the_standard(urn) && is_custom(&format!("{urn}:{name}"))
}

/// Whether a path or key claims a schema of the standard that there is not.
pub(crate) fn is_no_schema(text: &str) -> bool {
    let text = text.trim_matches(' ');
    is_of_the_standard(text) && read_start(text).is_none()
}

/// Whether a URI may be that of an extension of a client's own.
pub(crate) fn is_custom(urn: &str) -> bool {
    is_uri(urn) && !is_of_the_standard(urn)
}

/// Notes where a path, key or name begins with a schema of the standard that is not spelled as the standard does.
pub(crate) fn note_spelling(text: &str, notes: &mut Notes) {
    let Some(Start { urn, rest, .. }) = read_start(text.trim_matches(' ')) else { return };
    let standard = [USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA];
    if rest.starts_with('.') {
        notes.add(DialectNote::OtherUrn(echo(&format!("{urn}."))));
    } else if standard.iter().any(|schema| without_colon(schema).eq_ignore_ascii_case(urn)) {
        notes.add(DialectNote::UrnWithoutColon);
    } else if !standard.iter().any(|schema| schema.eq_ignore_ascii_case(urn)) {
        notes.add(DialectNote::OtherUrn(echo(urn)));
    }
}

/// The URN of a schema without its last colon.
fn without_colon(schema: &str) -> String {
    let (before, kind) = schema.rsplit_once(':').unwrap_or((schema, ""));
    format!("{before}{kind}")
}

/// What is behind the start of a text, in whatever case.
fn without<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (own, rest) = text.split_at_checked(start.len())?;
    own.eq_ignore_ascii_case(start).then_some(rest)
}

/// Whether a name ends where this begins.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([':', '.'])
}
