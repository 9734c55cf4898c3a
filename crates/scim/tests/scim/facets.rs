//! Which values of a user a mapping can name, and by which names.

use std::collections::BTreeSet;

use portcullis_scim::facet::{NotAFacet, facet_key, facets};
use portcullis_scim::{User, parse_user};
use serde_json::{Value, json};

use crate::wire::patched;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn of(body: &Value) -> BTreeSet<(String, String)> {
    let (user, _) = parse_user(body.to_string().as_bytes()).expect("a user");
    facets(&user)
}

fn pairs(expected: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_user_has_a_facet_for_each_value_that_is_not_theirs_alone() {
    let body = json!({
        "userName": "ann@acme.test", "externalId": "a-1", "displayName": "Ann A", "active": true,
        "name": {"givenName": "Ann", "familyName": "A"}, "nickName": "An", "password": "secret",
        "emails": [{"value": "ann@acme.test", "type": "work", "primary": true}],
        "phoneNumbers": [{"value": "+1", "type": "work"}],
        "title": "Engineer", "usertype": "Employee", "locale": "en-US",
        "addresses": [{"country": "DE", "locality": "Köln", "streetAddress": "Weg 1", "formatted": "Weg 1, Köln"}],
        "roles": [{"value": "Admin", "type": "App", "display": "The admins", "primary": true}, {"value": "Reader"}],
        "entitlements": ["seat"],
        ENTERPRISE: {"department": "Sales", "manager": {"value": "m-1", "displayName": "Max"}},
        "urn:acme:hr:2.0:User": {
            "Badge": 42, "remote": true, "Sites": ["cgn", "ber"],
            "cost": {"Center": "77", "value": "x"}, "deep": {"deeper": {"deepest": "lost"}}, "none": null, "no name": "lost",
        },
    });
    let department = format!("{ENTERPRISE}:department");
    let manager = format!("{ENTERPRISE}:manager");
    let expected = pairs(&[
        ("title", "Engineer"),
        ("userType", "Employee"),
        ("locale", "en-US"),
        ("addresses.country", "DE"),
        ("addresses.locality", "Köln"),
        ("roles", "Admin"),
        ("roles[primary eq true]", "Admin"),
        ("roles.type", "App"),
        ("roles", "Reader"),
        ("entitlements", "seat"),
        (&department, "Sales"),
        (&manager, "m-1"),
        ("urn:acme:hr:2.0:user:badge", "42"),
        ("urn:acme:hr:2.0:user:remote", "true"),
        ("urn:acme:hr:2.0:user:sites", "cgn"),
        ("urn:acme:hr:2.0:user:sites", "ber"),
        ("urn:acme:hr:2.0:user:cost.center", "77"),
        ("urn:acme:hr:2.0:user:cost", "x"),
    ]);
    assert_eq!(of(&body), expected);
}

#[test]
fn a_plain_person_has_none() {
    let body = json!({
        "userName": "ann@acme.test", "externalId": "a-1", "active": true, "roles": [], "title": null,
        "emails": [{"value": "ann@acme.test", "type": "work", "primary": true}],
        "name": {"formatted": "Ann A"},
    });
    assert_eq!(of(&body), BTreeSet::new());
}

#[test]
fn each_facet_is_found_by_the_name_of_its_attribute_in_every_spelling() {
    let department = format!("{ENTERPRISE}:department");
    for (name, key) in [
        ("userType", "userType"),
        ("USERTYPE", "userType"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title"),
        ("department", department.as_str()),
        (&department.to_uppercase(), &department),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department", &department),
        ("roles", "roles"),
        ("roles.value", "roles"),
        ("Roles.Type", "roles.type"),
        ("roles[primary eq true]", "roles[primary eq true]"),
        ("roles[ Primary EQ true ].value", "roles[primary eq true]"),
        ("addresses.country", "addresses.country"),
        ("manager", &format!("{ENTERPRISE}:manager")),
        ("urn:Acme:HR:2.0:User:Badge", "urn:acme:hr:2.0:user:badge"),
        ("urn:acme:hr:2.0:User:cost.Center", "urn:acme:hr:2.0:user:cost.center"),
        ("urn:acme:hr:2.0:User:cost.value", "urn:acme:hr:2.0:user:cost"),
    ] {
        assert_eq!(facet_key(name).as_deref(), Ok(key), "`{name}`");
    }
}

#[test]
fn names_that_no_mapping_can_stand_on_are_refused_with_the_reason() {
    for (name, reason) in [
        ("", NotAFacet::NoName),
        ("a b", NotAFacet::NoName),
        ("title=x", NotAFacet::NoName),
        ("roles[type eq \"App\"]", NotAFacet::NoName),
        ("roles[primary eq true", NotAFacet::NoName),
        ("shoeSize", NotAFacet::Unknown),
        ("title.value", NotAFacet::Unknown),
        ("title[primary eq true]", NotAFacet::Unknown),
        ("roles[primary eq true].type", NotAFacet::Unknown),
        ("addresses", NotAFacet::Unknown),
        ("addresses.planet", NotAFacet::Unknown),
        ("password", NotAFacet::Unknown),
        ("userName", NotAFacet::OfOnePerson),
        ("urn:ietf:params:scim:schemas:core:2.0:User:externalid", NotAFacet::OfOnePerson),
        ("emails.value", NotAFacet::OfOnePerson),
        ("name.familyName", NotAFacet::OfOnePerson),
        ("active", NotAFacet::OfOtherRules),
        ("groups", NotAFacet::OfOtherRules),
        ("groups.value", NotAFacet::OfOtherRules),
        ("roles.display", NotAFacet::OfOtherRules),
        ("roles.primary", NotAFacet::OfOtherRules),
        ("addresses.streetAddress", NotAFacet::OfOtherRules),
        ("manager.displayName", NotAFacet::OfOtherRules),
    ] {
        assert_eq!(facet_key(name), Err(reason), "`{name}`");
    }
}

#[test]
fn every_facet_of_a_user_has_a_key_that_a_name_leads_to() {
    let body = json!({
        "userName": "ann", "title": "t", "roles": [{"value": "r", "type": "t", "primary": true}],
        "addresses": [{"country": "DE", "type": "work", "postalCode": "1", "region": "NRW"}],
        ENTERPRISE: {"employeeNumber": "7", "costCenter": "c", "organization": "o", "division": "d"},
        "urn:acme:x:User": {"a": {"b": "c"}, "d": ["e"]},
    });
    let all = of(&body);
    assert_eq!(all.len(), 14);
    for (key, _) in all {
        assert_eq!(facet_key(&key).as_deref(), Ok(key.as_str()));
    }
}

#[test]
fn what_was_once_kept_under_another_urn_of_the_standard_is_found_by_its_name_of_today_until_it_is_said_anew()
{
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let stored = json!({
        "userName": "ann", "title": "own",
        "urn:scim:schemas:core:2.0:User": {"userType": "x", "title": "other", "active": false, "userName": "ben"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0": {"department": "d", "division": "v"},
        (enterprise): {"division": "own"},
        "urn:ietf:params:scim:schemas:core:3.0:User": {"x": "y"}
    });
    let user = User::from_stored(stored.as_object().expect("an object").clone());
    assert_eq!(
        (user.user_name(), user.active()),
        ("ann", None),
        "what decides about somebody was not said so"
    );
    let found = |pairs: &[(String, &str)]| -> BTreeSet<(String, String)> {
        pairs.iter().map(|(key, value)| (key.clone(), (*value).to_owned())).collect()
    };
    let own = [
        ("title".to_owned(), "own"),
        ("userType".to_owned(), "x"),
        (format!("{enterprise}:division"), "own"),
    ];
    let department = (format!("{enterprise}:department"), "d");
    assert_eq!(facets(&user), found(&[&own[..], &[department]].concat()));
    let removed = patched(&user, &json!([{"op": "remove", "path": format!("{enterprise}:department")}]));
    assert_eq!(facets(&removed), found(&own), "and is gone with it");
}
