//! Statuses, keywords and texts of refusals.

use portcullis_scim::{ScimError, ScimType, parse_user};
use serde_json::json;

use crate::wire::{refused_patch, refused_user, user};

#[test]
fn statuses_and_types_are_those_of_the_standard() {
    for (error, status, scim_type) in [
        (ScimError::NotAnObject, 400, Some(ScimType::InvalidSyntax)),
        (ScimError::NotPatch, 400, Some(ScimType::InvalidSyntax)),
        (ScimError::NoOperations, 400, Some(ScimType::InvalidSyntax)),
        (ScimError::NulCharacter, 400, Some(ScimType::InvalidValue)),
        (ScimError::MissingRequired { attribute: "userName" }, 400, Some(ScimType::InvalidValue)),
        (ScimError::UnknownMember { id: "x".to_owned() }, 400, Some(ScimType::InvalidValue)),
        (ScimError::TooManyParameters { max: 64 }, 400, Some(ScimType::InvalidValue)),
        (ScimError::GluedParameter, 400, Some(ScimType::InvalidValue)),
        (ScimError::FilterInUrl, 400, Some(ScimType::InvalidFilter)),
        (ScimError::ConflictingProjection, 400, Some(ScimType::InvalidValue)),
        (ScimError::RemoveWithoutPath, 400, Some(ScimType::NoTarget)),
        (ScimError::ReadOnly { attribute: "id".to_owned() }, 400, Some(ScimType::Mutability)),
        (ScimError::TooMany, 400, Some(ScimType::TooMany)),
        (ScimError::TooMuchWork { max_bytes: 1 }, 400, Some(ScimType::TooMany)),
        (ScimError::Unauthorized, 401, None),
        (ScimError::FilteredDiscovery, 403, None),
        (ScimError::MethodNotAllowed, 405, None),
        (ScimError::PreconditionFailed, 412, None),
        (ScimError::PayloadTooLarge { max_bytes: 1 }, 413, None),
        (ScimError::TooManyRequests, 429, None),
        (ScimError::NotImplemented, 501, None),
        (ScimError::Unavailable, 503, None),
    ] {
        assert_eq!((error.status(), error.scim_type()), (status, scim_type), "{error}");
    }
}

#[test]
fn no_refusal_repeats_a_value() {
    let secret = "s3cret-value";
    let refusals = [
        refused_user(&json!({"userName": {"password": secret}})),
        refused_user(&json!({"userName": "a", "active": secret})),
        refused_user(&json!({"userName": "a", "name": secret})),
        refused_user(&json!({"userName": secret.repeat(1_000)})),
        parse_user(format!("{{\"password\":\"{secret}\"").as_bytes()).expect_err("a refusal"),
        parse_user(format!("\"{secret}\"").as_bytes()).expect_err("a refusal"),
        refused_patch(
            &user(&json!({"userName": "a"})),
            &json!([{"op": "replace", "path": "active", "value": secret}]),
        ),
        refused_patch(
            &user(&json!({"userName": "a"})),
            &json!([{"op": "replace", "path": format!("emails[value co \"{secret}\"].value"), "value": secret}]),
        ),
    ];
    for refusal in refusals {
        assert!(!refusal.detail().contains(secret), "{refusal}");
    }
}

const TROUBLESHOOTING: &str = include_str!("../../../../docs/guide/troubleshooting.md");

#[test]
fn what_the_guide_quotes_of_refusals_is_what_they_say() {
    let (_, section) = TROUBLESHOOTING.split_once("\n## SCIM\n").expect("the section");
    let (section, _) = section.split_once("\n### ").expect("its end");
    let quoted = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('"').skip(1).step_by(2));
    let texts = [ScimError::UnknownMember { id: "du_…".to_owned() }.detail()];
    let quoted: Vec<&str> = quoted.collect();
    assert!(!quoted.is_empty(), "the page quotes none");
    for text in quoted {
        assert!(texts.iter().any(|said| said == text), "no refusal says \"{text}\"");
    }
}
