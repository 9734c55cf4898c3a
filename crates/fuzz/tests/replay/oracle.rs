//! The grammar of filters, held against another implementation with texts that are filters.

use portcullis_fuzz::{Target, oracle};
use portcullis_scim::Filter;
use proptest::prelude::*;

fn agree(text: &str) {
    let ours = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(oracle::reads(text), "the other does not read {text}");
    oracle::require_same_reading(text, Ok(&ours), None);
    Target::find("scim-filter").unwrap().run(text.as_bytes());
}

#[test]
fn the_examples_of_the_standard_mean_the_same_to_both() {
    for text in [
        r#"userName eq "bjensen""#,
        r#"name.familyName co "O'Malley""#,
        r#"userName sw "J""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
        "title pr",
        r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified ge "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified lt "2011-05-13T04:42:34Z""#,
        r#"meta.lastModified le "2011-05-13T04:42:34Z""#,
        r#"title pr and userType eq "Employee""#,
        r#"title pr or userType eq "Intern""#,
        r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
    ] {
        agree(text);
    }
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("userName".to_owned()),
        Just("name.givenName".to_owned()),
        Just("urn:ietf:params:scim:schemas:core:2.0:User:emails.value".to_owned()),
        Just("urn:acme:params:User:thing".to_owned()),
        "[a-z][a-zA-Z0-9_-]{0,8}"
            .prop_filter("a word of the grammar", |name| { !["and", "or", "not"].contains(&name.as_str()) }),
    ]
}

fn literals() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>()
            .prop_filter("the null character is refused", |text| !text.contains('\0'))
            .prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("null".to_owned()),
    ]
}

fn terms() -> impl Strategy<Value = String> {
    let operator =
        prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "Co"]);
    prop_oneof![
        names().prop_map(|name| format!("{name} pr")),
        (names(), operator, literals())
            .prop_map(|(name, operator, value)| format!("{name} {operator} {value}")),
    ]
}

fn joined(inner: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let connective = prop::sample::select(vec![" and ", " or ", " AND ", " Or "]);
    prop_oneof![
        (inner.clone(), connective, inner.clone())
            .prop_map(|(left, connective, right)| left + connective + &right),
        inner.clone().prop_map(|inner| format!("({inner})")),
        inner.prop_map(|inner| format!("not ({inner})")),
    ]
}

fn filters() -> impl Strategy<Value = String> {
    let inner = terms().prop_recursive(2, 6, 2, joined);
    let value_path = (prop::sample::select(vec!["emails", "addresses"]), inner)
        .prop_map(|(name, filter)| format!("{name}[{filter}]"));
    prop_oneof![terms(), value_path].prop_recursive(4, 16, 2, joined)
}

proptest! {
    #[test]
    fn generated_filters_mean_the_same_to_both(text in filters()) {
        agree(&text);
    }
}
