//! Filters: grammar, meaning, and which of them a list serves.

use portcullis_scim::filter::{Literal, Operator, SERVED_FILTERS};
use portcullis_scim::limits::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use portcullis_scim::path::AttributePath;
use portcullis_scim::{Filter, Lookup, ResourceType, ScimError, ScimType};
use serde_json::{Map, Value, json};

use crate::wire::ENTERPRISE;

fn person() -> Map<String, Value> {
    let Value::Object(person) = json!({
        "id": "U1", "externalId": "Ext", "userName": "Alice@X.test", "displayName": "Alice Ähre", "active": false,
        "title": "", "name": {"givenName": "Alice", "familyName": "A"},
        "emails": [{"type": "work", "value": "alice@x.test"}, {"type": "home", "value": "al@home.test", "primary": true}],
        "x509Certificates": [{"value": "AbC="}],
        "meta": {"lastModified": "2026-01-02T03:04:05Z", "resourceType": "User"},
        ENTERPRISE: {"department": "Sales", "manager": {"value": "M9"}}
    }) else {
        unreachable!()
    };
    person
}

fn matches(text: &str) -> bool {
    Filter::parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .matches(ResourceType::User, &person())
}

#[test]
fn filters_mean_what_they_say() {
    for (text, expected) in [
        ("userName eq \"alice@x.test\"", true),
        ("USERNAME EQ \"ALICE@X.TEST\"", true),
        ("userName eq alice@x.test", true),
        ("userName ne \"alice@x.test\"", false),
        ("externalId eq \"Ext\"", true),
        ("externalId eq \"ext\"", false),
        ("externalId eq Ext", true),
        ("id eq \"u1\"", false),
        ("displayName co \"äHR\"", true),
        ("displayName sw \"alice\"", true),
        ("displayName ew \"ähre\"", true),
        ("userName gt \"alice\"", true),
        ("userName le \"alice\"", false),
        ("active eq false", true),
        ("active eq \"False\"", true),
        ("active eq False", true),
        ("active eq true", false),
        ("active ne true", true),
        ("title pr", false),
        ("nickName pr", false),
        ("nickName eq null", true),
        ("userName eq null", false),
        ("userName ne null", true),
        ("nickName eq \"x\"", false),
        ("nickName ne \"x\"", true),
        ("emails pr", true),
        ("emails eq \"AL@home.test\"", true),
        ("emails.value eq \"al@home.test\"", true),
        ("emails.value ne \"al@home.test\"", false),
        ("emails.type eq \"work\" and emails.value eq \"al@home.test\"", true),
        ("emails[type eq \"work\" and value eq \"al@home.test\"]", false),
        ("emails[type eq \"home\" and value eq \"al@home.test\"]", true),
        ("emails[type eq \"work\"].value eq \"alice@x.test\"", true),
        ("emails[type eq \"work\"].value eq \"al@home.test\"", false),
        ("emails[type eq \"work\"].primary pr", false),
        ("emails[primary eq true]", true),
        ("name.givenName eq \"alice\"", true),
        ("name eq \"alice\"", false),
        ("x509Certificates.value eq \"AbC=\"", true),
        ("x509Certificates.value eq \"abc=\"", false),
        ("meta.lastModified gt \"2026-01-02T03:04:04Z\"", true),
        ("meta.lastModified eq \"2026-01-02T05:04:05+02:00\"", true),
        ("meta.lastModified lt \"2026-01-02T03:04:05Z\"", false),
        ("meta.lastModified gt \"yesterday\"", false),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"ali\"", true),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"sales\"", true),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department eq \"sales\"", true),
        ("manager eq \"M9\"", true),
        ("manager eq \"m9\"", false),
        ("id eq \"U1\" and manager eq \"M9\"", true),
        ("not (userName pr)", false),
        ("not(title pr)", true),
        ("title pr or userName pr and active eq true", false),
        ("(title pr or userName pr) and active eq false", true),
        ("userName pr or title pr and title pr", true),
        ("nonsense eq \"x\"", false),
        ("password eq \"x\"", false),
        ("urn:acme:2.0:User:thing pr", false),
    ] {
        assert_eq!(matches(text), expected, "{text}");
    }
}

#[test]
fn malformed_filters_are_refused() {
    for text in [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ",
        "eq \"x\"",
        "userName is \"x\"",
        "userName eq \"x",
        "userName eq \"x\" and",
        "userName eq \"x\" or or userName pr",
        "(userName pr",
        "userName pr)",
        "not userName pr",
        "()",
        "not ()",
        "emails[type eq \"x\"",
        "emails[]",
        "emails[a[b pr]]",
        "emails[type eq \"x\"].",
        "emails[type eq \"x\"].value",
        "name.a.b pr",
        "1name pr",
        "user name pr",
        "userName eq \"a\" \"b\"",
        "userName eq \"\\q\"",
        "userName eq \"a\\u0000\"",
        "userName eq a\0b",
        "userName pr pr",
        "userName eq \"x\"and title pr",
        "emails.value[type pr]",
        "userName\tpr",
        "ä pr",
        "userName eq x\"y",
        ":userName pr",
        "userName: pr",
    ] {
        assert!(
            matches!(Filter::parse(text), Err(ScimError::InvalidFilter { .. })),
            "{text}: {:?}",
            Filter::parse(text)
        );
    }
}

#[test]
fn a_filter_has_bounds_of_length_depth_and_terms() {
    let ok = |text: &str| Filter::parse(text).is_ok();
    let too_large = |text: &str| matches!(Filter::parse(text), Err(ScimError::FilterTooLarge { .. }));
    let nested = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    assert!(ok(&nested(MAX_FILTER_DEPTH)) && too_large(&nested(MAX_FILTER_DEPTH + 1)));
    assert!(too_large(&"(".repeat(4_000)));
    assert!(too_large(&"not (".repeat(1_000)));
    let joined = |terms: usize| vec!["a pr"; terms].join(" and ");
    assert!(ok(&joined(MAX_FILTER_TERMS)) && too_large(&joined(MAX_FILTER_TERMS + 1)));
    let long = |bytes: usize| format!("a eq \"{}\"", "x".repeat(bytes - 7));
    assert!(ok(&long(MAX_FILTER_BYTES)) && too_large(&long(MAX_FILTER_BYTES + 1)));
    assert_eq!(ScimError::FilterTooLarge { limit: "depth" }.scim_type(), Some(ScimType::InvalidFilter));
}

#[test]
fn urns_are_cut_at_a_known_schema_or_the_last_colon() {
    for (text, urn, name, sub_attribute) in [
        ("userName", None, "userName", None),
        ("name.givenName", None, "name", Some("givenName")),
        ("members.$ref", None, "members", Some("$ref")),
        (
            "URN:ietf:params:scim:schemas:core:2.0:user:Name.GivenName",
            Some("URN:ietf:params:scim:schemas:core:2.0:user"),
            "Name",
            Some("GivenName"),
        ),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0User:manager.value",
            Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0User"),
            "manager",
            Some("value"),
        ),
        ("urn:acme:1.0:User:a.b", Some("urn:acme:1.0:User"), "a", Some("b")),
    ] {
        let expected = AttributePath {
            urn: urn.map(str::to_owned),
            name: name.to_owned(),
            sub_attribute: sub_attribute.map(str::to_owned),
        };
        assert_eq!(AttributePath::parse(text), Some(expected), "{text}");
        assert_eq!(AttributePath::parse(text).map(|path| path.to_string()).as_deref(), Some(text));
    }
}

#[test]
fn literals_keep_what_was_written() {
    for (text, expected) in [
        ("a eq \"x \\\"y\\\" \\u00e4\"", Literal::Text("x \"y\" ä".to_owned())),
        ("a eq 007", Literal::Text("007".to_owned())),
        ("a eq 12345678901234567890123", Literal::Number("12345678901234567890123".to_owned())),
        ("a eq -1.5e3", Literal::Number("-1.5e3".to_owned())),
        ("a eq true", Literal::Boolean(true)),
        ("a eq True", Literal::Text("True".to_owned())),
        ("a eq null", Literal::Null),
        ("a eq \"null\"", Literal::Text("null".to_owned())),
        ("a eq x(y", Literal::Text("x(y".to_owned())),
    ] {
        let path = AttributePath { urn: None, name: "a".to_owned(), sub_attribute: None };
        let expected = Filter::Compare { path, operator: Operator::Eq, literal: expected };
        assert_eq!(Filter::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn comparisons_that_a_type_does_not_have_are_refused() {
    for (text, is_ok) in [
        ("active gt true", false),
        ("active co \"t\"", false),
        ("x509Certificates.value gt \"a\"", false),
        ("name eq \"x\"", false),
        ("addresses eq \"x\"", false),
        ("emails[primary lt true]", false),
        ("userName[value eq \"x\"]", false),
        ("not (title pr or active le false)", false),
        ("emails gt \"a\"", true),
        ("name pr", true),
        ("meta.lastModified ge \"2026-01-01T00:00:00Z\"", true),
        ("nonsense gt true", true),
    ] {
        let check = Filter::parse(text).expect("a filter").check_types(ResourceType::User);
        assert_eq!(check.is_ok(), is_ok, "{text}");
    }
}

fn lookups(text: &str, resource_type: ResourceType) -> Result<Vec<Lookup>, ScimError> {
    Filter::parse(text).expect("a filter").as_lookup(resource_type)
}

#[test]
fn equality_on_indexed_attributes_becomes_lookups() {
    let text = |text: &str| text.to_owned();
    let email = |value: &str, kind: Option<&str>| Lookup::EmailValue {
        value: text(value),
        kind: kind.map(str::to_owned),
    };
    for (filter, expected) in [
        ("userName eq \"A@x\"", vec![Lookup::UserName(text("A@x"))]),
        ("externalId eq alice", vec![Lookup::ExternalId(text("alice"))]),
        ("externalId eq 12345", vec![Lookup::ExternalId(text("12345"))]),
        ("id eq \"u1\"", vec![Lookup::Id(text("u1"))]),
        ("displayName eq \"D\"", vec![Lookup::DisplayName(text("D"))]),
        ("emails eq \"e\"", vec![email("e", None)]),
        ("emails.value eq \"e\"", vec![email("e", None)]),
        ("emails[value eq \"e\"]", vec![email("e", None)]),
        ("emails[type eq \"work\"].value eq \"e\"", vec![email("e", Some("work"))]),
        ("emails[type eq \"work\" and value eq \"e\"]", vec![email("e", Some("work"))]),
        ("active eq true", vec![Lookup::Active(true)]),
        ("active eq \"False\"", vec![Lookup::Active(false)]),
        ("id eq \"u\" and manager eq \"m\"", vec![Lookup::Id(text("u")), Lookup::Manager(text("m"))]),
        (
            "userName eq \"a\" and (externalId eq \"b\" and active eq true)",
            vec![Lookup::UserName(text("a")), Lookup::ExternalId(text("b")), Lookup::Active(true)],
        ),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"a\"", vec![Lookup::UserName(text("a"))]),
    ] {
        assert_eq!(lookups(filter, ResourceType::User), Ok(expected), "{filter}");
    }
    for (filter, expected) in [
        ("displayName eq \"Eng\"", vec![Lookup::DisplayName(text("Eng"))]),
        ("externalId eq \"e\"", vec![Lookup::ExternalId(text("e"))]),
        ("members.value eq \"u\"", vec![Lookup::Member(text("u"))]),
        ("members eq \"u\"", vec![Lookup::Member(text("u"))]),
        ("members[value eq \"u\"]", vec![Lookup::Member(text("u"))]),
        ("id eq \"g\" and members eq \"u\"", vec![Lookup::Id(text("g")), Lookup::Member(text("u"))]),
    ] {
        assert_eq!(lookups(filter, ResourceType::Group), Ok(expected), "{filter}");
    }
}

#[test]
fn every_other_filter_is_refused_and_told_what_is_served() {
    for filter in [
        "userName co \"a\"",
        "userName ne \"a\"",
        "userName pr",
        "not (userName eq \"a\")",
        "userName eq \"a\" or id eq \"b\"",
        "title eq \"x\"",
        "password eq \"x\"",
        "nonsense eq \"x\"",
        "name.givenName eq \"x\"",
        "emails.type eq \"work\"",
        "emails[type eq \"work\"]",
        "emails[value sw \"a\"]",
        "emails[value eq \"a\" or value eq \"b\"]",
        "members.value eq \"x\"",
        "emails[value eq \"a\" and value eq \"b\"]",
        "userName eq null",
        "active eq \"yes\"",
        "groups.value eq \"g\"",
        "meta.lastModified gt \"x\"",
        "emails[value eq \"a\" and display eq \"b\"]",
        "id eq \"x\" and title pr",
    ] {
        let refusal = lookups(filter, ResourceType::User);
        assert_eq!(refusal, Err(ScimError::UnsupportedFilter { served: SERVED_FILTERS }), "{filter}");
    }
    assert!(lookups("userName eq \"x\"", ResourceType::Group).is_err());
    assert!(lookups("active eq true", ResourceType::Group).is_err());
    let refusal = ScimError::UnsupportedFilter { served: SERVED_FILTERS };
    assert_eq!(refusal.to_body()["scimType"], "invalidFilter");
    assert!(refusal.detail().contains("userName") && refusal.detail().contains("emails.value"));
}
