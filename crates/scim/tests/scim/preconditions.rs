//! Versions that a client names.

use portcullis_scim::{Preconditions, ScimError};

const NOW: &str = "W/\"5-a\"";

fn said(if_match: Option<&str>, if_none_match: Option<&str>) -> Preconditions {
    Preconditions::parse(if_match, if_none_match).expect("preconditions")
}

#[test]
fn a_write_needs_the_version_that_it_names_weak_or_not() {
    for (if_match, if_none_match, is_allowed) in [
        (None, None, true),
        (Some(NOW), None, true),
        (Some("\"5-a\""), None, true),
        (Some("*"), None, true),
        (Some("W/\"4\", W/\"5-a\""), None, true),
        (Some("W/\"4\""), None, false),
        (Some("\"5-A\""), None, false),
        (None, Some("*"), false),
        (None, Some(NOW), false),
        (None, Some("W/\"4\""), true),
    ] {
        let checked = said(if_match, if_none_match).check_write(NOW);
        let expected = if is_allowed { Ok(()) } else { Err(ScimError::PreconditionFailed) };
        assert_eq!(checked, expected, "{if_match:?} {if_none_match:?}");
    }
}

#[test]
fn a_reader_who_has_the_version_need_not_be_told_again() {
    for (if_none_match, is_known) in
        [(None, false), (Some(NOW), true), (Some("*"), true), (Some("\"4\""), false)]
    {
        assert_eq!(said(None, if_none_match).is_known(NOW), Ok(is_known), "{if_none_match:?}");
    }
    assert_eq!(said(Some("\"4\""), None).is_known(NOW), Err(ScimError::PreconditionFailed));
}

#[test]
fn what_is_no_list_of_entity_tags_is_refused() {
    for text in ["", "5", "\"5", "W/5", "\"a\"b\"", "\"a\" \"b\"", "\"a\",", "*, \"a\""] {
        assert_eq!(
            Preconditions::parse(Some(text), None),
            Err(ScimError::InvalidParameter { name: "If-Match" }),
            "{text}"
        );
    }
    let many = vec!["\"a\""; 101].join(",");
    assert!(Preconditions::parse(None, Some(&many)).is_err());
}
