//! What a browser brings: where it wants to go afterwards, and the value that binds it.

use portcullis_service::sign_in::{fresh_browser, is_browser, return_path};
use portcullis_testkit::Bench;

#[test]
fn a_browser_is_led_to_a_path_of_ours_and_to_the_beginning_where_none_is_wished_for() {
    for (text, expected) in [
        (None, "/"),
        (Some(""), "/"),
        (Some("/"), "/"),
        (Some("/console"), "/console"),
        (Some("/a?b=c#d"), "/a?b=c#d"),
    ] {
        assert_eq!(return_path(text).unwrap(), expected, "{text:?}");
    }
    for text in ["//host", "/\\host", "/a\\b", "/a b", "/a\tb", "/a\u{e9}", "a", "/.", "https://host/"] {
        assert!(return_path(Some(text)).is_err(), "{text:?}");
    }
}

#[test]
fn a_browser_is_bound_by_sixty_four_hexadecimal_digits_and_nothing_else() {
    let fresh = fresh_browser(&mut Bench::sqlite().portcullis().moment().random);
    assert!(is_browser(&fresh), "{fresh}");
    for text in [&fresh[1..], &format!("{fresh}0"), &fresh.to_uppercase(), &"g".repeat(64), ""] {
        assert!(!is_browser(text), "{text:?}");
    }
}
