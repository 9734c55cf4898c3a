//! What a verified token says about the person: subject, groups, e-mail, UserInfo.

use portcullis_oidc::claims::{EmailTrust, Groups, IdentityClaims, OverageMarker, SubjectSource};
use portcullis_oidc::preset::Preset;
use portcullis_oidc::userinfo;
use serde_json::{Value, json};

use crate::fixture::*;

const ENTRA: &str = "https://login.microsoftonline.com/0f5a6b7c-1111-2222-3333-444455556666/v2.0";

/// The verified honest token of `issuer` with these members instead of its own; `null` removes one.
fn verified_of(issuer: &'static str, members: Value) -> IdentityClaims {
    let mut claims = honest_claims();
    claims.insert("iss".to_owned(), json!(issuer));
    for (name, value) in members.as_object().unwrap().clone() {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    verify_claims_by(&claims, |rules| rules.issuer = issuer).unwrap()
}

fn verified(members: Value) -> IdentityClaims {
    verified_of(ISSUER, members)
}

fn present(groups: &[&str]) -> Groups {
    Groups::Present(groups.iter().map(|group| (*group).to_owned()).collect())
}

fn trust(members: Value) -> EmailTrust {
    verified(members).email().unwrap().trust
}

#[test]
fn o13_missing_groups_and_no_groups_are_two_answers() {
    assert_eq!(verified(json!({})).groups("groups").unwrap(), present(&["eng", "ops"]));
    assert_eq!(verified(json!({"groups": []})).groups("groups").unwrap(), present(&[]));
    assert_eq!(verified(json!({"groups": null})).groups("groups").unwrap(), Groups::Missing);
    assert_eq!(verified(json!({})).groups("teams").unwrap(), Groups::Missing);
}

#[test]
fn o14_an_overage_is_never_zero_groups() {
    let names = json!({"groups": null, "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x/getMemberObjects"}}});
    let overage = |marker| Groups::Overage { claim: "groups".to_owned(), marker };
    assert_eq!(verified(names).groups("groups").unwrap(), overage(OverageMarker::ClaimNames));
    let beside = json!({"groups": ["eng"], "_claim_names": {"groups": "src1"}});
    assert_eq!(verified(beside).groups("groups").unwrap(), overage(OverageMarker::ClaimNames));
    let implicit = json!({"groups": null, "hasgroups": true});
    assert_eq!(verified(implicit).groups("groups").unwrap(), overage(OverageMarker::HasGroups));
    let other = json!({"_claim_names": {"wids": "src1"}, "hasgroups": false});
    assert_eq!(verified(other).groups("groups").unwrap(), present(&["eng", "ops"]));
}

#[test]
fn more_than_2000_groups_are_an_overage_and_not_a_cut_list() {
    let many = |count: usize| json!({"groups": (0..count).map(|at| format!("g{at}")).collect::<Vec<_>>()});
    assert!(
        matches!(verified(many(2_000)).groups("groups").unwrap(), Groups::Present(list) if list.len() == 2_000)
    );
    let marker = OverageMarker::TooMany { count: 2_001 };
    assert_eq!(
        verified(many(2_001)).groups("groups").unwrap(),
        Groups::Overage { claim: "groups".to_owned(), marker }
    );
}

#[test]
fn groups_of_a_wrong_shape_are_refused_and_not_taken_as_none() {
    let bad = [
        json!([1, 2]),
        json!([""]),
        json!(["eng", null]),
        json!({"eng": true}),
        json!(7),
        json!(false),
        json!(""),
    ];
    for groups in bad {
        let error = verified(json!({ "groups": groups })).groups("groups").unwrap_err();
        assert_eq!(error.broken().code, "groups_malformed", "{groups}");
    }
    assert!(verified(json!({"groups": ["g".repeat(1_025)]})).groups("groups").is_err());
}

#[test]
fn one_text_is_one_group_and_doubles_count_once() {
    assert_eq!(verified(json!({"groups": "eng"})).groups("groups").unwrap(), present(&["eng"]));
    assert_eq!(verified(json!({"groups": ["b", "a", "b"]})).groups("groups").unwrap(), present(&["b", "a"]));
}

#[test]
fn a_claim_is_a_literal_name_first_and_a_path_second() {
    let claims = verified(json!({
        "https://acme.test/groups": ["a"], "realm_access": {"roles": ["b"]}, "x.y": ["literal"], "x": {"y": ["path"]},
    }));
    assert_eq!(claims.groups("https://acme.test/groups").unwrap(), present(&["a"]));
    assert_eq!(claims.groups("realm_access.roles").unwrap(), present(&["b"]));
    assert_eq!(claims.groups("x.y").unwrap(), present(&["literal"]));
    assert_eq!(claims.groups("realm_access.none").unwrap(), Groups::Missing);
    assert_eq!(claims.groups("").unwrap(), Groups::Missing);
    assert_eq!(claims.groups(&"a.".repeat(100_000)).unwrap(), Groups::Missing);
}

#[test]
fn every_claim_of_texts_is_found_whole_or_not_at_all() {
    let texts = |claims: &IdentityClaims, name: &str| {
        claims.texts().get(name).map(|texts| texts.iter().cloned().collect::<Vec<_>>().join(" "))
    };
    let claims = verified(json!({
        "department": "Sales", "roles": ["b", "a", "b"], "none": [], "level": 3, "admin": true, "empty": "",
        "mixed": ["a", 1], "realm_access": {"roles": ["x"], "deep": {"er": "y"}}, "x.y": "literal", "x": {"y": "path"},
        "many": (0..2_001).map(|at| format!("m{at}")).collect::<Vec<_>>(),
        "_claim_names": {"cut": "src1"}, "cut": ["a"],
    }));
    for (name, expected) in [
        ("department", Some("Sales")),
        ("roles", Some("a b")),
        ("none", Some("")),
        ("realm_access.roles", Some("x")),
        ("realm_access.deep.er", Some("y")),
        ("x.y", Some("literal")),
        ("level", None),
        ("admin", None),
        ("empty", None),
        ("mixed", None),
        ("many", None),
        ("cut", None),
    ] {
        assert_eq!(texts(&claims, name).as_deref(), expected, "{name}");
    }
    let answer = json!({"sub": SUBJECT, "department": "Support", "cut": ["b", "c"], "more": "m"});
    let filled = with_userinfo(claims, answer).unwrap();
    assert_eq!(texts(&filled, "department").as_deref(), Some("Sales"), "the ID token's word stands");
    assert_eq!(texts(&filled, "cut").as_deref(), Some("b c"), "UserInfo shows it whole");
    assert_eq!(texts(&filled, "more").as_deref(), Some("m"));
}

#[test]
fn o2_an_address_is_trusted_only_where_the_provider_vouches_for_it() {
    for yes in [json!(true), json!("true"), json!("True")] {
        assert_eq!(trust(json!({ "email_verified": yes })), EmailTrust::Verified);
    }
    for no in [json!(false), json!("false"), json!("yes"), json!([true]), json!({})] {
        assert_eq!(trust(json!({ "email_verified": no })), EmailTrust::Unverified, "{no}");
    }
    assert_eq!(trust(json!({"email_verified": null})), EmailTrust::NotStated);
    assert!(!EmailTrust::NotStated.is_trusted() && !EmailTrust::Unverified.is_trusted());
}

#[test]
fn o2_entras_address_is_trusted_by_the_domain_owners_claim() {
    for yes in [json!(true), json!("1"), json!(1), json!("true")] {
        let found = trust(json!({"email_verified": null, "xms_edov": yes}));
        assert!(found == EmailTrust::DomainOwnerVerified && found.is_trusted());
    }
    for no in [json!(false), json!("0"), json!(0)] {
        assert_eq!(trust(json!({"email_verified": null, "xms_edov": no})), EmailTrust::Unverified);
    }
    assert_eq!(trust(json!({"email_verified": false, "xms_edov": true})), EmailTrust::Unverified);
}

#[test]
fn googles_word_counts_only_for_accounts_that_it_manages() {
    let google = |members: Value| verified_of("https://accounts.google.com", members).email().unwrap().trust;
    assert_eq!(google(json!({"hd": "acme.test"})), EmailTrust::Verified);
    assert_eq!(google(json!({})), EmailTrust::NotAuthoritative);
    assert_eq!(google(json!({"email": "ada@gmail.com"})), EmailTrust::Verified);
    assert_eq!(verified(json!({"hd": "ACME.test"})).hosted_domain().as_deref(), Some("acme.test"));
}

#[test]
fn what_has_not_the_form_of_an_address_is_none() {
    for text in ["ada", "@acme.test", "ada@", "a@b@acme.test", "ada @acme.test", "ada@acme.test\n", ""] {
        assert_eq!(verified(json!({ "email": text })).email(), None, "{text:?}");
    }
    let long = format!("{}@acme.test", "a".repeat(250));
    assert_eq!(verified(json!({ "email": long })).email(), None);
}

#[test]
fn o15_a_recycled_address_comes_with_another_subject() {
    let before = verified(json!({"sub": "00u-old"}));
    let after = verified(json!({"sub": "00u-new"}));
    assert_eq!(before.email(), after.email());
    let key = |claims: &IdentityClaims| claims.subject_key(SubjectSource::Sub).unwrap();
    assert_ne!(key(&before), key(&after));
}

#[test]
fn an_entra_person_is_named_by_tenant_and_object() {
    let object = "AAAAAAAA-bbbb-cccc-dddd-eeeeffff0000";
    let claims = verified_of(ENTRA, json!({"oid": object, "tid": "0f5a6b7c-1111-2222-3333-444455556666"}));
    let source = Preset::of_issuer(ENTRA).subject_source();
    assert_eq!(
        claims.subject_key(source).unwrap(),
        "0f5a6b7c-1111-2222-3333-444455556666:aaaaaaaa-bbbb-cccc-dddd-eeeeffff0000"
    );
    for oid in [Value::Null, json!("not-a-guid"), json!("")] {
        let error = verified_of(ENTRA, json!({ "oid": oid })).subject_key(source).unwrap_err();
        assert_eq!(error.broken().code, "object_id_missing");
    }
    assert_eq!(Preset::of_issuer(ISSUER).subject_source(), SubjectSource::Sub);
}

#[test]
fn o8_a_guest_of_entras_tenant_is_told_by_the_home_provider_or_by_the_mark_of_the_account() {
    let at_entra = |members: Value| verified_of(ENTRA, members).home().map(str::to_owned);
    let elsewhere = "https://sts.windows.net/ffffffff-1111-2222-3333-444455556666/";
    assert_eq!(at_entra(json!({ "idp": elsewhere })).as_deref(), Some(elsewhere));
    assert_eq!(at_entra(json!({ "idp": "live.com" })).as_deref(), Some("live.com"));
    for marked in [
        json!({ "acct": 1 }),
        json!({ "acct": "1" }),
        json!({ "upn": "ada_globex.test#EXT#@acme.onmicrosoft.com" }),
        json!({ "preferred_username": "ada_globex.test#EXT#@acme.onmicrosoft.com" }),
    ] {
        assert_eq!(at_entra(marked.clone()).as_deref(), Some("guest"), "{marked}");
    }
    let own = "https://sts.windows.net/0F5A6B7C-1111-2222-3333-444455556666/";
    for at_home in [json!({}), json!({ "idp": ENTRA }), json!({ "idp": own }), json!({ "acct": 0 })] {
        assert_eq!(at_entra(at_home.clone()), None, "{at_home}");
    }
    assert_eq!(
        verified(json!({ "idp": "00o1okta", "acct": 1 })).home(),
        None,
        "okta's `idp` is a row of its own"
    );
}

#[test]
fn o2_at_entra_nobody_but_the_domains_owner_vouches_for_an_address() {
    let at_entra = |members: Value| verified_of(ENTRA, members).email().unwrap().trust;
    assert_eq!(at_entra(json!({ "email_verified": true })), EmailTrust::NotStated);
    assert_eq!(at_entra(json!({ "email_verified": true, "xms_edov": false })), EmailTrust::Unverified);
    assert_eq!(at_entra(json!({ "email_verified": true, "xms_edov": 1 })), EmailTrust::DomainOwnerVerified);
    assert_eq!(at_entra(json!({ "email_verified": null, "xms_edov": "1" })), EmailTrust::DomainOwnerVerified);
    assert_eq!(trust(json!({ "email_verified": true })), EmailTrust::Verified, "elsewhere the claim counts");
}

#[test]
fn a_name_is_found_in_the_order_in_which_people_fill_it() {
    let name = |members: Value| verified(members).display_name();
    assert_eq!(name(json!({})).as_deref(), Some("Ada Lovelace"));
    assert_eq!(name(json!({"name": null, "given_name": "A", "family_name": "L"})).as_deref(), Some("A L"));
    assert_eq!(name(json!({"name": "", "preferred_username": "ada"})).as_deref(), Some("ada"));
    assert_eq!(name(json!({"name": null})), None);
}

fn with_userinfo(claims: IdentityClaims, answer: Value) -> Result<IdentityClaims, &'static str> {
    userinfo::add(claims, 200, answer.to_string().as_bytes()).map_err(|error| error.broken().code)
}

#[test]
fn userinfo_of_another_person_is_refused() {
    assert!(with_userinfo(verified(json!({})), json!({"sub": SUBJECT})).is_ok());
    for answer in [json!({"sub": "00u-eve"}), json!({"sub": "00U-ADA"}), json!({}), json!({"sub": [SUBJECT]})]
    {
        assert_eq!(with_userinfo(verified(json!({})), answer).unwrap_err(), "userinfo_subject_mismatch");
    }
    let code =
        |status, body: &[u8]| userinfo::add(verified(json!({})), status, body).unwrap_err().broken().code;
    assert_eq!(code(401, b"{}"), "userinfo_failed");
    assert_eq!(code(200, b"eyJhbGciOi"), "userinfo_malformed");
    assert_eq!(code(200, &vec![b' '; 512 * 1024 + 1]), "userinfo_too_large");
}

#[test]
fn userinfo_adds_and_never_replaces() {
    let answer = json!({"sub": SUBJECT, "groups": ["admins"], "name": "Eve", "department": "R&D", "oid": "x", "iss": "y"});
    let claims = with_userinfo(verified(json!({})), answer.clone()).unwrap();
    assert_eq!(claims.groups("groups").unwrap(), present(&["eng", "ops"]));
    assert_eq!((claims.display_name().as_deref(), claims.issuer()), (Some("Ada Lovelace"), ISSUER));
    assert_eq!(claims.find_text("department"), Some("R&D"));
    let filled = with_userinfo(verified(json!({"groups": null})), answer.clone()).unwrap();
    assert_eq!(filled.groups("groups").unwrap(), present(&["admins"]));
    let after_overage = json!({"groups": null, "_claim_names": {"groups": "src1"}});
    let filled = with_userinfo(verified(after_overage.clone()), answer).unwrap();
    assert_eq!(filled.groups("groups").unwrap(), present(&["admins"]));
    let still = with_userinfo(verified(after_overage), json!({"sub": SUBJECT})).unwrap();
    assert!(matches!(still.groups("groups").unwrap(), Groups::Overage { .. }));
}

#[test]
fn userinfo_vouches_only_for_the_address_that_it_names() {
    let unsaid = || verified(json!({"email_verified": null}));
    let email = |answer: Value| with_userinfo(unsaid(), answer).unwrap().email().unwrap();
    let same = email(json!({"sub": SUBJECT, "email": "ada@acme.test", "email_verified": true}));
    assert_eq!((same.address.as_str(), same.trust), ("ada@acme.test", EmailTrust::Verified));
    let other = email(json!({"sub": SUBJECT, "email": "eve@evil.test", "email_verified": true}));
    assert_eq!((other.address.as_str(), other.trust), ("ada@acme.test", EmailTrust::NotStated));
    let bare = email(json!({"sub": SUBJECT, "email_verified": true}));
    assert_eq!(bare.trust, EmailTrust::NotStated);
    let only_there = with_userinfo(
        verified(json!({"email": null, "email_verified": true})),
        json!({"sub": SUBJECT, "email": "eve@evil.test"}),
    );
    assert_eq!(only_there.unwrap().email().unwrap().trust, EmailTrust::NotStated);
}
