//! What this provider serves (RFC 7644 section 4).

use portcullis_scim::discovery::{
    find_resource_type, find_schema_document, resource_types, schemas, service_provider_config,
};
use portcullis_scim::{ScimError, SeenExtensions};

use super::address::Document;
use super::error::Refused;
use super::{Answer, Desk};

/// A discovery document. Paging and sorting are ignored there; a filter is refused. What the directory's own extensions
/// are, its people tell.
pub(super) async fn read(desk: &Desk<'_>, document: &Document) -> Result<Answer, Refused> {
    if desk.parameters().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(ScimError::FilteredDiscovery.into());
    }
    let base = desk.base.as_str();
    let seen = match document {
        Document::ServiceProviderConfig => SeenExtensions::default(),
        _ => desk.app.portcullis().seen_extensions(desk.speaker.directory).await?,
    };
    let found = match document {
        Document::ServiceProviderConfig => Some(service_provider_config(base)),
        Document::ResourceTypes => Some(resource_types(base, &seen)),
        Document::ResourceType(name) => find_resource_type(name, base, &seen),
        Document::Schemas => Some(schemas(base, &seen)),
        Document::Schema(urn) => find_schema_document(urn, base, &seen),
    };
    found.map(Answer::ok).ok_or_else(|| ScimError::NotFound.into())
}
