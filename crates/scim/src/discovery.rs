//! The discovery documents: what this provider serves, and nothing else (RFC 7644 section 4, RFC 7643 sections 5–7).
//!
//! They are made from the same tables and limits that the rest of this crate works by, so they cannot drift; what no
//! table has, the extensions that a client brings, is told as it was seen.
//! The base URL comes without a trailing slash.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::definitions::SCHEMAS;
use crate::limits::{DEFAULT_RESULTS, MAX_BULK_BYTES, MAX_BULK_OPERATIONS, MAX_CURSOR_AGE_S, MAX_RESULTS};
use crate::query::render_list;
use crate::schema::{Attribute, Case, Presence, ResourceType, Returned, Schema};
use crate::seen::SeenExtensions;

const SERVICE_PROVIDER_CONFIG_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What of a URN is written otherwise where it is one segment of a path.
const NOT_IN_A_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b':').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is told of users beside their schema: an extension needs no declaration.
const USER_DESCRIPTION: &str = "A person. An extension of the client's own is kept under its URN, and is listed once \
                                somebody has it.";

/// `GET /ServiceProviderConfig`.
#[must_use]
pub fn service_provider_config(base_url: &str) -> Value {
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG_SCHEMA],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": MAX_BULK_OPERATIONS,
            "maxPayloadSize": MAX_BULK_BYTES,
        },
        "filter": { "supported": true, "maxResults": MAX_RESULTS },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_RESULTS,
            "maxPageSize": MAX_RESULTS,
            "cursorTimeout": MAX_CURSOR_AGE_S,
        },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "The token of the directory, in the Authorization header.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base_url}/ServiceProviderConfig"),
        },
    })
}

/// `GET /ResourceTypes`, of a directory where these extensions were seen.
#[must_use]
pub fn resource_types(base_url: &str, seen: &SeenExtensions) -> Value {
    let documents = ResourceType::ALL.map(|kind| resource_type_document(kind, base_url, seen));
    render_list(documents.into(), ResourceType::ALL.len() as u64, 1)
}

/// `GET /ResourceTypes/{name}`, or none where there is no such type.
#[must_use]
pub fn find_resource_type(name: &str, base_url: &str, seen: &SeenExtensions) -> Option<Value> {
    ResourceType::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .map(|kind| resource_type_document(kind, base_url, seen))
}

/// `GET /Schemas`, of a directory where these extensions were seen.
#[must_use]
pub fn schemas(base_url: &str, seen: &SeenExtensions) -> Value {
    let defined = SCHEMAS.into_iter().map(|schema| schema_document(schema, base_url));
    let seen = seen.documents().map(|(urn, document)| whole_schema_document(urn, document, base_url));
    let documents: Vec<Value> = defined.chain(seen).collect();
    let many = documents.len() as u64;
    render_list(documents, many, 1)
}

/// `GET /Schemas/{urn}`, or none where there is no such schema. URNs are case-insensitive.
#[must_use]
pub fn find_schema_document(urn: &str, base_url: &str, seen: &SeenExtensions) -> Option<Value> {
    let defined = crate::schema::find_schema(urn).map(|schema| schema_document(schema, base_url));
    defined.or_else(|| {
        let (urn, document) = seen.find_document(urn)?;
        Some(whole_schema_document(urn, document, base_url))
    })
}

fn resource_type_document(kind: ResourceType, base_url: &str, seen: &SeenExtensions) -> Value {
    // Only users have extensions that are not defined here.
    let seen = seen.urns().filter(|_| kind == ResourceType::User);
    let extensions: Vec<Value> = kind
        .extensions()
        .iter()
        .map(|extension| extension.id)
        .chain(seen)
        .map(|urn| json!({ "schema": urn, "required": false }))
        .collect();
    json!({
        "schemas": [RESOURCE_TYPE_SCHEMA],
        "id": kind.name(),
        "name": kind.name(),
        "description": match kind {
            ResourceType::User => USER_DESCRIPTION,
            ResourceType::Group => kind.schema().description,
        },
        "endpoint": kind.endpoint(),
        "schema": kind.schema().id,
        "schemaExtensions": extensions,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base_url}/ResourceTypes/{}", kind.name()),
        },
    })
}

fn schema_document(schema: &Schema, base_url: &str) -> Value {
    let attributes = attribute_documents(schema.attributes);
    let document = Map::from_iter([
        ("id".to_owned(), schema.id.into()),
        ("name".to_owned(), schema.name.into()),
        ("description".to_owned(), schema.description.into()),
        ("attributes".to_owned(), attributes.into()),
    ]);
    whole_schema_document(schema.id, document, base_url)
}

/// The document with what every schema has.
fn whole_schema_document(urn: &str, mut document: Map<String, Value>, base_url: &str) -> Value {
    document.insert("schemas".to_owned(), json!([SCHEMA_SCHEMA]));
    let location = format!("{base_url}/Schemas/{}", utf8_percent_encode(urn, NOT_IN_A_SEGMENT));
    document.insert("meta".to_owned(), json!({ "resourceType": "Schema", "location": location }));
    Value::Object(document)
}

/// Those that an answer may have.
fn attribute_documents(attributes: &[Attribute]) -> Vec<Value> {
    let served = attributes.iter().filter(|attribute| attribute.returned != Returned::Never);
    served.map(attribute_document).collect()
}

fn attribute_document(attribute: &Attribute) -> Value {
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    put("name", attribute.name.into());
    put("type", attribute.kind.as_str().into());
    put("multiValued", attribute.is_multi_valued().into());
    put("description", attribute.description.into());
    put("required", (attribute.presence == Presence::Required).into());
    put("caseExact", (attribute.case == Case::Exact).into());
    put("mutability", attribute.mutability.as_str().into());
    put("returned", attribute.returned.as_str().into());
    put("uniqueness", attribute.uniqueness.as_str().into());
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", attribute.canonical_values.into());
    }
    if !attribute.reference_types.is_empty() {
        put("referenceTypes", attribute.reference_types.into());
    }
    if attribute.is_complex() {
        put("subAttributes", attribute_documents(attribute.sub_attributes).into());
    }
    Value::Object(document)
}
