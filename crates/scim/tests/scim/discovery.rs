//! What clients are told, held against what is served.

use portcullis_scim::ResourceType;
use portcullis_scim::discovery::{
    find_resource_type, find_schema_document, resource_types, schemas, service_provider_config,
};
use portcullis_scim::limits::{
    DEFAULT_RESULTS, MAX_BULK_BYTES, MAX_BULK_OPERATIONS, MAX_CURSOR_AGE_S, MAX_RESULTS,
};
use portcullis_scim::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, find_attribute, find_schema};
use serde_json::{Value, json};

const BASE: &str = "https://h/scim/v2/d";

#[test]
fn the_configuration_tells_exactly_what_is_served() {
    let config = service_provider_config(BASE);
    assert_eq!(config["patch"], json!({"supported": true}));
    assert_eq!(config["filter"], json!({"supported": true, "maxResults": MAX_RESULTS}));
    for (feature, is_served) in [("bulk", true), ("changePassword", false), ("sort", true), ("etag", true)] {
        assert_eq!(config[feature]["supported"], json!(is_served), "{feature}");
    }
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_RESULTS, "maxPageSize": MAX_RESULTS, "cursorTimeout": MAX_CURSOR_AGE_S,
        })
    );
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
    assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    assert_eq!(
        config["bulk"],
        json!({ "supported": true, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BULK_BYTES })
    );
}

#[test]
fn the_lists_of_discovery_hold_what_can_be_read_one_by_one() {
    let types = resource_types(BASE);
    assert_eq!(types["totalResults"], 2);
    for document in types["Resources"].as_array().expect("a list") {
        let name = document["name"].as_str().expect("a name");
        assert_eq!(find_resource_type(name, BASE).as_ref(), Some(document));
        assert!(find_schema_document(document["schema"].as_str().expect("a schema"), BASE).is_some());
    }
    let schemas = schemas(BASE);
    assert_eq!(schemas["totalResults"], 3);
    for document in schemas["Resources"].as_array().expect("a list") {
        let id = document["id"].as_str().expect("an id");
        assert_eq!(find_schema_document(id, BASE).as_ref(), Some(document));
        assert_eq!(find_schema_document(&id.to_uppercase(), BASE).as_ref(), Some(document));
    }
    assert_eq!(find_resource_type("Device", BASE), None);
    assert_eq!(find_schema_document("urn:x", BASE), None);
}

#[test]
fn no_schema_document_holds_a_null_or_a_password() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(has_null),
            Value::Object(object) => object.values().any(has_null),
            _ => false,
        }
    }
    let document = schemas(BASE);
    assert!(!has_null(&document) && !has_null(&resource_types(BASE)));
    assert!(!document.to_string().to_lowercase().contains("\"password\""));
}

#[test]
fn every_attribute_has_all_its_characteristics() {
    fn check(attribute: &Value) {
        for key in [
            "name",
            "type",
            "multiValued",
            "description",
            "required",
            "caseExact",
            "mutability",
            "returned",
            "uniqueness",
        ] {
            assert!(!attribute[key].is_null(), "{key} of {attribute}");
        }
        assert_eq!(attribute["type"] == "complex", attribute["subAttributes"].is_array());
        assert_eq!(attribute["type"] == "reference", attribute["referenceTypes"].is_array());
        attribute["subAttributes"].as_array().into_iter().flatten().for_each(check);
    }
    for schema in schemas(BASE)["Resources"].as_array().expect("a list") {
        schema["attributes"].as_array().expect("attributes").iter().for_each(check);
    }
}

#[test]
fn the_facts_of_the_standard_that_are_easily_wrong_are_right() {
    let attribute = |kind, urn: Option<&str>, name: &str, sub: Option<&str>| {
        let attribute = find_attribute(kind, urn, name).expect("an attribute").attribute;
        let attribute = sub.map_or(attribute, |sub| attribute.sub_attribute(sub).expect("a sub-attribute"));
        (attribute.presence, attribute.case, attribute.mutability, attribute.uniqueness, attribute.returned)
    };
    use portcullis_scim::schema::{Case, Mutability, Presence, Returned, Uniqueness};
    let user = ResourceType::User;
    let group = ResourceType::Group;
    assert_eq!(
        attribute(user, None, "userName", None),
        (Presence::Required, Case::Insensitive, Mutability::ReadWrite, Uniqueness::Server, Returned::Default)
    );
    assert_eq!(attribute(user, None, "externalId", None).1, Case::Exact);
    assert_eq!(attribute(user, None, "id", None).2, Mutability::ReadOnly);
    assert_eq!(attribute(user, None, "id", None).4, Returned::Always);
    assert_eq!(attribute(user, None, "groups", None).2, Mutability::ReadOnly);
    assert_eq!(
        attribute(user, Some(ENTERPRISE_SCHEMA), "manager", Some("displayName")).2,
        Mutability::ReadOnly
    );
    assert_eq!(attribute(group, None, "displayName", None).0, Presence::Required);
    assert_eq!(attribute(group, None, "members", Some("value")).2, Mutability::Immutable);
    assert_eq!(attribute(group, None, "members", Some("value")).1, Case::Exact);
    assert_eq!(attribute(group, None, "members", None).4, Returned::Default);
}

#[test]
fn schemas_are_found_by_their_urns_in_any_case() {
    for urn in [USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA] {
        assert_eq!(find_schema(&urn.to_uppercase()).map(|schema| schema.id), Some(urn));
    }
    assert_eq!(find_attribute(ResourceType::User, Some("urn:x"), "userName"), None);
    assert_eq!(find_attribute(ResourceType::Group, Some(ENTERPRISE_SCHEMA), "manager"), None);
}
