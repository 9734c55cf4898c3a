//! Filters: grammar, meaning, and which of them a list serves.

use portcullis_scim::filter::{Literal, Operator};
use portcullis_scim::limits::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS};
use portcullis_scim::path::AttributePath;
use portcullis_scim::{AskedMembers, Filter, Lookup, Narrowed, ResourceType, ScimError, ScimType};
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
        ("meta.lastModified eq \"2026-01-02T03:04:05\"", true),
        ("meta.lastModified gt \"2026-01-02T03:04:05\"", false),
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
        "userName eq 'x'",
        "userName eq 'two words'",
        "userName eq “x”",
        "userName eq „x“",
        "userName eq ‘x’",
        "userName eq `x`",
        "userName eq x'",
        "emails[type eq 'work'].value eq \"x\"",
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
fn the_urn_of_an_extension_alone_asks_whether_somebody_has_it() {
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let custom = "urn:acme:hr:2.0:User";
    let with = |extension: &str| json!({"userName": "a", extension: {"department": "x"}});
    for (urn, other) in [(enterprise, custom), (custom, enterprise)] {
        for (text, expected) in [
            (format!("{urn} pr"), [true, false, false]),
            (format!("{} pr", urn.to_uppercase()), [true, false, false]),
            (format!("not ({urn} pr)"), [false, true, true]),
        ] {
            let filter = Filter::parse(&text).expect("a filter");
            assert_eq!(filter.check_names(ResourceType::User), Ok(()), "{text}");
            let found = [with(urn), with(other), json!({"userName": "a"})]
                .map(|person| filter.matches(ResourceType::User, person.as_object().expect("an object")));
            assert_eq!(found, expected, "{text}");
        }
    }
    let older = Filter::parse("urn:scim:schemas:extension:enterprise:2.0:User pr").expect("a filter");
    assert!(older.matches(ResourceType::User, with(enterprise).as_object().expect("an object")));
    for (text, kind) in [
        (format!("{enterprise} eq \"x\""), ResourceType::User),
        (format!("{enterprise} pr"), ResourceType::Group),
        ("urn:ietf:params:scim:schemas:core:2.0:User pr".to_owned(), ResourceType::User),
    ] {
        let refused = Filter::parse(&text).expect("a filter").check_names(kind);
        assert!(matches!(refused, Err(ScimError::UnknownFilterAttribute { .. })), "{text}: {refused:?}");
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
        ("a eq o'neil", Literal::Text("o'neil".to_owned())),
        ("a eq \"'x'\"", Literal::Text("'x'".to_owned())),
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
        ("meta.lastModified gt \"2026-11-30T10:00:00\"", true),
        ("meta.lastModified eq null", true),
        ("meta.lastModified gt \"2026-11-30\"", false),
        ("not (meta.lastModified gt \"yesterday\")", false),
        ("meta.lastModified ne 5", false),
        ("active ne \"False\"", true),
        ("active ne null", true),
        ("active ne \"enabled\"", false),
        ("active ne 1", false),
        ("active eq \"FALSE\"", false),
        ("emails[not (primary eq \"yes\")]", false),
        ("not (title co null)", false),
        ("not (userName gt null)", false),
    ] {
        let check = Filter::parse(text).expect("a filter").check_types(ResourceType::User);
        assert_eq!(check.is_ok(), is_ok, "{text}");
    }
}

fn narrow(text: &str, resource_type: ResourceType) -> Narrowed {
    Filter::parse(text).expect("a filter").narrow(resource_type)
}

#[test]
fn what_an_index_serves_becomes_a_look_up() {
    let text = |text: &str| text.to_owned();
    let email = |value: &str| Lookup::EmailValue(text(value));
    for (filter, expected) in [
        ("userName eq \"A@x\"", Lookup::UserName(text("A@x"))),
        ("externalId eq alice", Lookup::ExternalId(text("alice"))),
        ("externalId eq 12345", Lookup::ExternalId(text("12345"))),
        ("id eq \"u1\"", Lookup::Id(text("u1"))),
        ("displayName eq \"D\"", Lookup::DisplayName(text("D"))),
        ("emails eq \"e\"", email("e")),
        ("emails.value eq \"e\"", email("e")),
        ("emails[value eq \"e\"]", email("e")),
        ("emails[type eq \"work\"].value eq \"e\"", email("e")),
        ("emails[type eq \"work\" and value eq \"e\"]", email("e")),
        ("manager eq \"m\" and id eq \"u\"", Lookup::Id(text("u"))),
        ("displayName eq \"d\" and (externalId eq \"b\" and active eq true)", Lookup::ExternalId(text("b"))),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"a\"", Lookup::UserName(text("a"))),
        ("userName sw \"ab\"", Lookup::UserNamePrefix(text("ab"))),
        ("displayName sw \"ab\" and title pr", Lookup::DisplayNamePrefix(text("ab"))),
        ("externalId sw \"ab\" and userName sw \"x\" and id eq \"u\"", Lookup::Id(text("u"))),
        ("title co \"x\" and not (active eq true) and id eq \"x\"", Lookup::Id(text("x"))),
    ] {
        assert_eq!(narrow(filter, ResourceType::User), Narrowed::AnyOf(vec![expected]), "{filter}");
    }
    for (filter, expected) in [
        ("displayName eq \"Eng\"", Lookup::DisplayName(text("Eng"))),
        ("externalId eq \"e\"", Lookup::ExternalId(text("e"))),
        ("members.value eq \"u\"", Lookup::Member(text("u"))),
        ("members eq \"u\"", Lookup::Member(text("u"))),
        ("members[value eq \"u\"]", Lookup::Member(text("u"))),
        ("members eq \"u\" and id eq \"g\"", Lookup::Id(text("g"))),
    ] {
        assert_eq!(narrow(filter, ResourceType::Group), Narrowed::AnyOf(vec![expected]), "{filter}");
    }
    let either =
        "userName eq \"a\" or (id eq \"b\" and active eq true) or emails[value eq \"c\" or value eq \"d\"]";
    let expected = vec![Lookup::UserName(text("a")), Lookup::Id(text("b")), email("c"), email("d")];
    assert_eq!(narrow(either, ResourceType::User), Narrowed::AnyOf(expected));
}

#[test]
fn what_no_index_serves_may_be_anywhere_and_what_a_type_has_not_is_nowhere() {
    for filter in [
        "userName co \"a\"",
        "userName ne \"a\"",
        "userName pr",
        "not (userName eq \"a\")",
        "userName eq \"a\" or title eq \"b\"",
        "title eq \"x\"",
        "emails[type eq \"work\"]",
        "emails[value sw \"a\"]",
        "emails[not (value eq \"a\")]",
        "userName eq null",
        "active eq true",
        "groups.value eq \"g\"",
        "userName sw \" a\"",
        "userName sw \"οδοσ\"",
        "urn:acme:2.0:User:badge eq \"7\"",
        "nonsense ne \"x\"",
        "nonsense eq null",
    ] {
        assert_eq!(narrow(filter, ResourceType::User), Narrowed::Everything, "{filter}");
    }
    for filter in [
        "members.value eq \"x\"",
        "nonsense eq \"x\"",
        "userName eq \" \"",
        "id eq \"x\" and members eq \"y\"",
    ] {
        assert_eq!(narrow(filter, ResourceType::User), Narrowed::Nothing, "{filter}");
    }
    assert_eq!(narrow("userName eq \"x\"", ResourceType::Group), Narrowed::Nothing);
}

#[test]
fn names_that_a_type_does_not_have_are_refused_and_those_of_custom_extensions_are_not() {
    for (filter, is_known) in [
        ("userName eq \"a\" and urn:acme:2.0:User:badge pr", true),
        ("urn:acme:2.0:User:badge.color eq \"red\"", true),
        ("password eq \"x\"", false),
        ("title pr or nonsense pr", false),
        ("name.nonsense eq \"x\"", false),
        ("not (emails[type eq \"work\"] and nonsense eq \"x\")", false),
        ("emails[TYPE eq \"work\" and not (Value pr)]", true),
        ("emails[typ ne \"work\"]", false),
        ("emails[type eq \"work\" or not (kind pr)]", false),
        ("emails[value.x ne \"a\"]", false),
        ("emails[urn:acme:2.0:User:type ne \"work\"]", false),
        ("urn:acme:2.0:User:things[nonsense ne \"x\"]", true),
        ("members eq \"x\"", false),
        ("urn:ietf:params:scim:schemas:core:2.0:User:members eq \"x\"", false),
    ] {
        let check = Filter::parse(filter).expect("a filter").check_names(ResourceType::User);
        assert_eq!(check.is_ok(), is_known, "{filter}");
        if let Err(refusal) = check {
            assert_eq!(refusal.scim_type(), Some(ScimType::InvalidFilter));
        }
    }
}

#[test]
fn a_filter_says_which_members_it_asks_about_and_never_needs_them_all() {
    let asked = |text: &str| Filter::parse(text).expect("a filter").asked_members();
    let asks = |ids: &[&str], others: bool| {
        Ok(AskedMembers { ids: ids.iter().map(|id| (*id).to_owned()).collect(), others })
    };
    let ids = |ids: &[&str]| asks(ids, false);
    for (filter, expected) in [
        ("displayName eq \"x\"", ids(&[])),
        ("members eq \"b\" or not (members.value eq \"a\")", ids(&["a", "b"])),
        ("members[value eq \"a\" or value eq \"b\"] and members eq \"a\"", ids(&["a", "b"])),
        ("members.value ne \"a\"", ids(&["a"])),
        ("members pr", asks(&[], true)),
        ("members eq null or members.value eq \"a\"", asks(&["a"], true)),
        ("members.display eq \"x\"", asks(&[], true)),
        ("not (members.type eq \"Group\")", asks(&[], true)),
        ("members[not (value eq \"a\")]", asks(&["a"], true)),
        ("members[value ne \"a\"]", asks(&["a"], true)),
        ("members[value eq \"a\" and type eq \"User\"]", asks(&["a"], true)),
        ("members[$ref pr]", asks(&[], true)),
    ] {
        assert_eq!(asked(filter), expected, "{filter}");
    }
    for filter in [
        "members.value sw \"a\"",
        "members gt \"a\"",
        "members[value co \"a\" and type eq \"User\"]",
        "members.$ref eq \"https://scim.test/Users/a\"",
        "members[not ($ref ew \"a\")]",
    ] {
        assert_eq!(asked(filter).map_err(|e| e.scim_type()), Err(Some(ScimType::InvalidFilter)), "{filter}");
    }
}

#[test]
fn a_name_of_a_list_of_everything_belongs_to_one_of_the_types() {
    let check = |text: &str| Filter::parse(text).expect("a filter").check_names_of(&ResourceType::ALL);
    for known in [
        "userName eq \"a\" or members.value eq \"b\"",
        "userName pr and not (members pr)",
        "emails[type pr] or members[value eq \"a\"]",
    ] {
        assert_eq!(check(known), Ok(()), "{known}");
    }
    for unknown in [
        "nonsense pr",
        "userName pr or members.nonsense pr",
        "displayName.value pr",
        "members[primary pr] or emails[type pr]",
    ] {
        assert!(matches!(check(unknown), Err(ScimError::UnknownFilterAttribute { .. })), "{unknown}");
    }
}

#[test]
fn values_of_custom_extensions_are_compared_by_what_they_are() {
    let json = serde_json::json!({
        "userName": "a",
        "urn:acme:2.0:User": {
            "badge": "Red", "level": 7, "remote": true, "empty": "",
            "skills": [{ "value": "rust", "years": 9 }, { "value": "sql", "years": 2 }],
            "desk": { "floor": "3" }
        }
    });
    let person = json.as_object().expect("an object");
    for (filter, expected) in [
        ("badge eq \"RED\"", true),
        ("BADGE sw \"re\"", true),
        ("badge ne \"blue\"", true),
        ("level gt 6.5", true),
        ("level le \"6\"", false),
        ("level eq 7", true),
        ("remote eq true", true),
        ("remote gt true", false),
        ("empty pr", false),
        ("missing pr", false),
        ("missing eq null", true),
        ("desk.floor eq \"3\"", true),
        ("skills eq \"sql\"", true),
        ("skills[value eq \"rust\" and years gt 8]", true),
        ("skills[value eq \"sql\" and years gt 8]", false),
    ] {
        let (name, rest) = filter.split_at(filter.find([' ', '[']).expect("a name"));
        let whole = format!("urn:acme:2.0:User:{name}{rest}");
        let filter = Filter::parse(&whole).expect("a filter");
        assert_eq!(filter.matches(ResourceType::User, person), expected, "{whole}");
    }
    let other = Filter::parse("urn:acme:2.0:Other:badge pr").expect("a filter");
    assert!(!other.matches(ResourceType::User, person));
}

#[test]
fn a_name_with_blanks_may_come_without_quotes_and_a_lacking_and_is_no_part_of_it() {
    let text = |filter: &str| match Filter::parse(filter) {
        Ok(Filter::Compare { literal: Literal::Text(text), .. }) => Some(text),
        _ => None,
    };
    assert_eq!(text("userName eq john doe").as_deref(), Some("john doe"));
    assert_eq!(text("userName eq  van  der Berg ").as_deref(), Some("van  der Berg"));
    assert_eq!(text("userName eq 7 of nine").as_deref(), Some("7 of nine"));
    assert_eq!(text("(userName eq john doe)").as_deref(), Some("john doe"));
    let both =
        Filter::parse("userName eq john doe and active eq true or title eq head of sales").expect("a filter");
    assert_eq!(
        both,
        Filter::parse("userName eq \"john doe\" and active eq true or title eq \"head of sales\"")
            .expect("a filter")
    );
    assert!(Filter::parse("emails[type eq my work and value pr]").is_ok());
    for refused in [
        "userName eq john title eq x",
        "userName eq john title pr",
        "userName eq john \"doe\"",
        "userName eq john (doe",
        "userName ne john doe",
        "userName sw john doe",
        "userName eq \"john\" doe",
        "userName eq john and",
    ] {
        assert!(Filter::parse(refused).is_err(), "{refused}");
    }
}
