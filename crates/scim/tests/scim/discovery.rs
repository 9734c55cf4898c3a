//! What clients are told, held against what is served.

use portcullis_scim::discovery::{
    find_resource_type, find_schema_document, resource_types, schemas, service_provider_config,
};
use portcullis_scim::limits::{
    DEFAULT_RESULTS, MAX_BULK_BYTES, MAX_BULK_OPERATIONS, MAX_CURSOR_AGE_S, MAX_RESULTS, MAX_SEEN_EXTENSIONS,
    MAX_SEEN_NAMES,
};
use portcullis_scim::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, find_attribute, find_schema};
use portcullis_scim::{ResourceType, SeenExtensions, User};
use serde_json::{Value, json};

const BASE: &str = "https://h/scim/v2/d";

/// Nobody has an extension of their own.
fn none() -> SeenExtensions {
    SeenExtensions::default()
}

/// What is seen of users with these attributes.
fn seen(users: &[Value]) -> SeenExtensions {
    let mut seen = none();
    for user in users {
        seen.see(&User::from_stored(user.as_object().expect("an object").clone()));
    }
    seen
}

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
    let types = resource_types(BASE, &none());
    assert_eq!(types["totalResults"], 2);
    for document in types["Resources"].as_array().expect("a list") {
        let name = document["name"].as_str().expect("a name");
        assert_eq!(find_resource_type(name, BASE, &none()).as_ref(), Some(document));
        assert!(
            find_schema_document(document["schema"].as_str().expect("a schema"), BASE, &none()).is_some()
        );
    }
    let schemas = schemas(BASE, &none());
    assert_eq!(schemas["totalResults"], 3);
    for document in schemas["Resources"].as_array().expect("a list") {
        let id = document["id"].as_str().expect("an id");
        assert_eq!(find_schema_document(id, BASE, &none()).as_ref(), Some(document));
        assert_eq!(find_schema_document(&id.to_uppercase(), BASE, &none()).as_ref(), Some(document));
    }
    assert_eq!(find_resource_type("Device", BASE, &none()), None);
    assert_eq!(find_schema_document("urn:x", BASE, &none()), None);
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
    let document = schemas(BASE, &none());
    assert!(!has_null(&document) && !has_null(&resource_types(BASE, &none())));
    assert!(!document.to_string().to_lowercase().contains("\"password\""));
}

fn check_characteristics(attribute: &Value) {
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
    attribute["subAttributes"].as_array().into_iter().flatten().for_each(check_characteristics);
}

#[test]
fn every_attribute_has_all_its_characteristics() {
    for schema in schemas(BASE, &none())["Resources"].as_array().expect("a list") {
        schema["attributes"].as_array().expect("attributes").iter().for_each(check_characteristics);
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
    assert_eq!(attribute(group, None, "displayName", None).3, Uniqueness::Server);
    assert_eq!(attribute(group, None, "members", Some("value")).2, Mutability::Immutable);
    assert_eq!(attribute(group, None, "members", Some("value")).1, Case::Exact);
    assert_eq!(attribute(group, None, "members", None).4, Returned::Default);
    // RFC 7643 §8.7.1: what a member is, as its value, is said when it is added and never changed; its name is ours to tell.
    for (sub, mutability) in
        [("$ref", Mutability::Immutable), ("type", Mutability::Immutable), ("display", Mutability::ReadOnly)]
    {
        assert_eq!(attribute(group, None, "members", Some(sub)).2, mutability, "members.{sub}");
    }
    assert_eq!(attribute(user, None, "meta", None).2, Mutability::ReadOnly);
    assert_eq!(attribute(group, None, "meta", None).2, Mutability::ReadOnly);
    // This provider keeps no password, and tells of none that it takes.
    assert_eq!(find_attribute(user, None, "password"), None);
}

#[test]
fn schemas_are_found_by_their_urns_in_any_case() {
    for urn in [USER_SCHEMA, GROUP_SCHEMA, ENTERPRISE_SCHEMA] {
        assert_eq!(find_schema(&urn.to_uppercase()).map(|schema| schema.id), Some(urn));
    }
    assert_eq!(find_attribute(ResourceType::User, Some("urn:x"), "userName"), None);
    assert_eq!(find_attribute(ResourceType::Group, Some(ENTERPRISE_SCHEMA), "manager"), None);
}

#[test]
fn what_no_schema_defines_is_told_as_it_was_seen() {
    let hr = "urn:acme:hr:2.0:User";
    let seen = seen(&[
        json!({ "userName": "al", hr: {
            "badgeNumber": "B-1", "level": 3, "onSite": true, "rate": 1, "tags": ["x"],
            "desk": { "floor": 2, "in": { "deep": 1 } }, "phones": [{ "value": "1" }, { "primary": true }],
            "no name": "x",
        } }),
        json!({ "userName": "bo", "URN:ACME:HR:2.0:USER": {
            "BADGENUMBER": "B-2", "level": "senior", "rate": 1.5, "tags": "y", "shift": null,
        }, "http://acme.test/x y": { "z": 1 }, ENTERPRISE_SCHEMA: { "department": "Eng" }, "title": "T" }),
    ]);
    let types = resource_types(BASE, &seen);
    let extensions = |at: usize| types["Resources"][at]["schemaExtensions"].clone();
    assert_eq!(
        extensions(0),
        json!([
            { "schema": ENTERPRISE_SCHEMA, "required": false },
            { "schema": "http://acme.test/x y", "required": false },
            { "schema": hr, "required": false },
        ])
    );
    assert_eq!(extensions(1), json!([]), "of groups nothing is kept that no schema has");
    let all = schemas(BASE, &seen);
    assert_eq!((&all["totalResults"], all["Resources"].as_array().map(Vec::len)), (&json!(5), Some(5)));
    let document = find_schema_document(&hr.to_uppercase(), BASE, &seen).expect("a schema");
    assert_eq!((&document["id"], &document["name"]), (&json!(hr), &json!("AcmeHr20User")));
    assert_eq!(all["Resources"][4], document);
    let told = |attributes: &Value| -> Vec<(String, String, bool)> {
        let each = attributes.as_array().expect("attributes").iter();
        each.map(|one| {
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            (text("name"), text("type"), one["multiValued"] == true)
        })
        .collect()
    };
    let expected = [
        ("badgeNumber", "string", false),
        ("desk", "complex", false),
        ("level", "string", false),
        ("onSite", "boolean", false),
        ("phones", "complex", true),
        ("rate", "decimal", false),
        ("tags", "string", true),
    ];
    assert_eq!(told(&document["attributes"]), expected.map(|(n, t, m)| (n.to_owned(), t.to_owned(), m)));
    let floor = ("floor".to_owned(), "integer".to_owned(), false);
    assert_eq!(told(&document["attributes"][1]["subAttributes"]), [floor], "a part has no parts");
    assert_eq!(told(&document["attributes"][4]["subAttributes"]).len(), 2);
    let odd = find_schema_document("http://acme.test/x y", BASE, &seen).expect("a schema");
    assert_eq!(odd["meta"]["location"], format!("{BASE}/Schemas/http:%2F%2Facme.test%2Fx%20y"));
    for attribute in document["attributes"].as_array().expect("attributes") {
        check_characteristics(attribute);
    }
}

#[test]
fn what_is_told_of_other_peoples_extensions_has_bounds() {
    let crowd: Vec<Value> = (0..MAX_SEEN_EXTENSIONS + 1)
        .map(|n| json!({ format!("urn:acme:{n:03}"): { "a": 1, "b": { "c": 1 } } }))
        .collect();
    let types = resource_types(BASE, &seen(&crowd));
    let listed = types["Resources"][0]["schemaExtensions"].as_array().map(Vec::len);
    assert_eq!(listed, Some(1 + MAX_SEEN_EXTENSIONS));
    let many: Vec<Value> = (0..MAX_SEEN_NAMES)
        .map(|n| json!({ "urn:acme:hr": { format!("a{n:04}"): { "part": 1 } } }))
        .collect();
    let document = find_schema_document("urn:acme:hr", BASE, &seen(&many)).expect("a schema");
    let names = document.to_string().matches("\"name\":").count();
    assert_eq!(names, MAX_SEEN_NAMES + 1, "the schema's own beside them");
}
