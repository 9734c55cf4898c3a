//! A user in canonical form: what spellings mean, what is dropped, what is answered.

use portcullis_scim::{DialectNote, GroupOfUser, Meta, ScimError, User, parse_user, render_user};
use serde_json::{Value, json};

use crate::wire::{ENTERPRISE, attributes, refused_user, user};

#[test]
fn names_come_in_any_case_and_leave_in_one() {
    let user = user(&json!({
        "USERNAME": "A@x.Test", "Name": {"GIVENNAME": "Al"}, "eMails": [{"VALUE": "A@x.Test", "Type": "Work"}],
        "URN:IETF:PARAMS:SCIM:SCHEMAS:EXTENSION:ENTERPRISE:2.0:USER": {"DEPARTMENT": "D"}
    }));
    assert_eq!(
        attributes(&user),
        json!({"userName": "A@x.Test", "name": {"givenName": "Al"},
               "emails": [{"value": "A@x.Test", "type": "Work"}], ENTERPRISE: {"department": "D"}})
    );
}

#[test]
fn booleans_are_read_from_four_strings_and_no_other() {
    for (text, expected) in [("true", true), ("True", true), ("false", false), ("False", false)] {
        assert_eq!(user(&json!({"userName": "a", "active": text})).active(), Some(expected), "{text}");
    }
    for text in ["", "yes", "1", "TRUE", "enabled", " true"] {
        assert!(
            matches!(refused_user(&json!({"userName": "a", "active": text})), ScimError::InvalidType { .. }),
            "{text}"
        );
    }
    for value in [json!(1), json!(0), json!({}), json!([true, false])] {
        refused_user(&json!({"userName": "a", "active": value}));
    }
}

#[test]
fn only_boolean_attributes_take_strings_for_booleans() {
    let user = user(&json!({"userName": "True", "displayName": "False"}));
    assert_eq!((user.user_name(), user.display_name()), ("True", Some("False")));
    refused_user(&json!({"userName": true}));
}

#[test]
fn nothing_said_about_active_is_a_third_state() {
    let silent = user(&json!({"userName": "a"}));
    assert_eq!((silent.active(), silent.is_active()), (None, true));
    assert_eq!(user(&json!({"userName": "a", "active": null})).active(), None);
    assert_eq!(silent.with_defaults().active(), Some(true));
    let inactive = user(&json!({"userName": "a", "active": false}));
    assert_eq!(inactive.with_defaults().active(), Some(false));
}

#[test]
fn null_and_empty_lists_mean_unassigned() {
    let user = user(&json!({
        "userName": "a", "title": null, "emails": [], "phoneNumbers": null, "name": {"givenName": null},
        "addresses": [null, {}, {"locality": null}], ENTERPRISE: {"department": null, "manager": []}
    }));
    assert_eq!(attributes(&user), json!({"userName": "a"}));
}

#[test]
fn a_list_of_one_is_unwrapped_and_a_list_of_two_is_refused() {
    let one = user(
        &json!({"userName": "a", "name": [{"givenName": "Al"}], ENTERPRISE: {"manager": [{"value": "9"}]}}),
    );
    assert_eq!(one.attributes()["name"], json!({"givenName": "Al"}));
    assert_eq!(one.attributes()[ENTERPRISE], json!({"manager": {"value": "9"}}));
    refused_user(&json!({"userName": "a", "name": [{"givenName": "Al"}, {"givenName": "Bo"}]}));
}

#[test]
fn flat_keys_are_expanded() {
    let user = user(&json!({
        "userName": "a", "name": {"givenName": "Al"}, "name.familyName": "A",
        (format!("{ENTERPRISE}:manager.value")): "9",
        "urn:ietf:params:scim:schemas:core:2.0:User:title": "T",
        "emails[type eq \"work\"].value": "a@x.test"
    }));
    assert_eq!(
        attributes(&user),
        json!({"userName": "a", "name": {"givenName": "Al", "familyName": "A"}, "title": "T",
               "emails": [{"type": "work", "value": "a@x.test"}], ENTERPRISE: {"manager": {"value": "9"}}})
    );
}

#[test]
fn custom_extensions_are_kept_as_they_are() {
    let urn = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";
    let custom = json!({"Badge": {"number": 7, "Colours": ["red", null]}, "flag": "True"});
    let user = user(&json!({"userName": "a", urn: custom, (format!("{urn}:level")): 3}));
    assert_eq!(
        user.attributes()[urn],
        json!({"Badge": {"number": 7, "Colours": ["red", null]}, "flag": "True", "level": 3})
    );
    let rendered = render_user(&user, &META, &[]);
    assert_eq!(rendered["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", urn]));
}

#[test]
fn the_urn_of_an_extension_is_never_taken_for_one_of_its_attributes() {
    refused_user(&json!({"userName": "a", "urn:x:2.0:User": false, "urn:x:2.0:User:a": 1}));
    let both = user(
        &json!({"userName": "a", "urn:x:2.0:User": null, "urn:x:2.0:User:a": 1, "urn:y": 1, "urn:z:w": 2}),
    );
    assert_eq!(attributes(&both), json!({"userName": "a", "urn:x:2.0:User": {"a": 1}}));
}

#[test]
fn a_certificate_is_base64_in_any_of_its_spellings_and_nothing_else() {
    for (value, is_ok) in [
        ("AbC=", true),
        ("AbC", true),
        ("MIIB-_8=", true),
        ("MIIB+/8=", true),
        ("MIIB\r\n  AAAA\n", true),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", false),
        ("not base64!", false),
        ("A", false),
        ("AB=C", false),
    ] {
        let body = json!({"userName": "a", "x509Certificates": [{"value": value}]});
        match parse_user(body.to_string().as_bytes()) {
            Ok((user, _)) => {
                assert!(is_ok, "{value}");
                assert_eq!(user.attributes()["x509Certificates"][0]["value"], value, "kept as it was sent");
            }
            Err(error) => {
                let expected = ScimError::InvalidType { attribute: "value".to_owned(), expected: "base64" };
                assert_eq!((is_ok, error), (false, expected), "{value}");
            }
        }
    }
}

#[test]
fn a_number_for_a_string_is_taken_as_its_text() {
    assert_eq!(user(&json!({"userName": 42})).user_name(), "42");
}

#[test]
fn only_one_email_stays_primary() {
    let (user, notes) = parse_user(
        json!({"userName": "a", "emails": [
            {"value": "1", "primary": true}, {"value": "2", "primary": "True"}, {"value": "3"}]})
        .to_string()
        .as_bytes(),
    )
    .expect("a user");
    let primaries: Vec<&str> =
        user.emails().iter().filter(|email| email.is_primary).map(|email| email.value).collect();
    assert_eq!(primaries, ["1"]);
    assert!(notes.contains(&DialectNote::SeveralPrimaries("emails")));
}

#[test]
fn bare_strings_stand_for_the_value_of_a_complex_attribute() {
    let user = user(&json!({"userName": "a", "emails": ["a@x.test"], "roles": "admin"}));
    assert_eq!(user.attributes()["emails"], json!([{"value": "a@x.test"}]));
    assert_eq!(user.attributes()["roles"], json!([{"value": "admin"}]));
    refused_user(&json!({"userName": "a", "name": "Al"}));
}

#[test]
fn an_empty_external_id_names_nothing() {
    assert_eq!(user(&json!({"userName": "a", "externalId": ""})).external_id(), None);
}

#[test]
fn a_user_without_a_user_name_is_refused() {
    for body in [json!({}), json!({"userName": null}), json!({"userName": ""}), json!({"userName": "  "})] {
        assert_eq!(refused_user(&body), ScimError::MissingRequired { attribute: "userName" });
    }
}

#[test]
fn two_spellings_of_one_attribute_are_refused() {
    for body in [
        r#"{"userName":"a","username":"b"}"#,
        r#"{"userName":"a","userName":"b"}"#,
        r#"{"userName":"a","active":true,"urn:ietf:params:scim:schemas:core:2.0:User:active":false}"#,
        r#"{"userName":"a","name":{"givenName":"x","GivenName":"y"}}"#,
        r#"{"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"x","Department":"y"}}"#,
    ] {
        assert!(matches!(parse_user(body.as_bytes()), Err(ScimError::DuplicateKey { .. })), "{body}");
    }
}

#[test]
fn a_user_survives_storage() {
    let user = user(&json!({"userName": "a", "active": false, "emails": [{"value": "A@x"}]}));
    let stored = Value::from(user.attributes().clone()).to_string();
    let Ok(Value::Object(loaded)) = serde_json::from_str(&stored) else { panic!("an object") };
    assert_eq!(User::from_stored(loaded), user);
}

const META: Meta<'_> = Meta {
    id: "u1",
    created: "2026-01-01T00:00:00Z",
    last_modified: "2026-01-02T00:00:00Z",
    location: "https://h/scim/v2/d/Users/u1",
    version: None,
};

#[test]
fn a_user_is_answered_whole() {
    let user = user(&json!({"userName": "A@X", "active": true, ENTERPRISE: {"department": "D"}}));
    let groups = [GroupOfUser {
        id: "g1".to_owned(),
        location: "https://h/scim/v2/d/Groups/g1".to_owned(),
        display: "Eng".to_owned(),
    }];
    assert_eq!(
        render_user(&user, &META, &groups),
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
            "id": "u1", "userName": "A@X", "active": true, ENTERPRISE: {"department": "D"},
            "groups": [{"value": "g1", "$ref": "https://h/scim/v2/d/Groups/g1", "display": "Eng", "type": "direct"}],
            "meta": {"resourceType": "User", "created": "2026-01-01T00:00:00Z",
                     "lastModified": "2026-01-02T00:00:00Z", "location": "https://h/scim/v2/d/Users/u1"}
        })
    );
}

#[test]
fn what_is_answered_can_be_put_back_without_a_change() {
    let before = user(&json!({
        "userName": "A@X", "active": false, "name": {"givenName": "Al"}, "emails": [{"value": "A@X", "primary": true}],
        ENTERPRISE: {"manager": {"value": "9"}}, "urn:acme:2.0:User": {"x": 1}
    }));
    let answer = render_user(&before, &META, &[]);
    assert_eq!(user(&answer), before);
}
