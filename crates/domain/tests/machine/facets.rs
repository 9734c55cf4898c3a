//! What of a person a mapping can name beside their groups.

use std::collections::BTreeSet;

use portcullis_domain::mapping::{
    Facet, FacetChange, FacetSource, MAX_ATTRIBUTE_NAME, MAX_FACETS, MAX_UNIT_LEVELS, MappingSource,
    unit_path,
};
use portcullis_domain::text::MAX_IDENTIFIER;

use crate::fixture::{directory, mapped, maps, says};
use portcullis_domain::Timestamp;
use portcullis_domain::access::{Given, Matched, Statement, resolve};
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::membership::MembershipState;

fn attribute(name_key: &str, value: &str) -> MappingSource {
    MappingSource::Attribute {
        name: name_key.to_uppercase(),
        name_key: name_key.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn a_mapping_finds_a_value_by_the_same_key_as_the_person_has() {
    let facet = Facet::attribute("title", "Head = of all").unwrap();
    assert_eq!(attribute("title", "Head = of all").key(), ("attribute", facet.key().to_owned()));
    assert_eq!(facet.source(), FacetSource::Attribute);
    assert_ne!(attribute("title", "head = of all").key().1, facet.key(), "values are compared with case");
    assert_ne!(attribute("title", "Head = of all ").key().1, facet.key(), "and with blanks");
}

#[test]
fn a_mapping_shows_its_value_as_it_was_written() {
    use MappingSource::{GroupDisplayName, GroupExternalId, GroupId, OrgUnit};
    for source in [GroupExternalId, GroupId, GroupDisplayName, OrgUnit] {
        assert_eq!(source("/Core Team ".to_owned()).written(), "/Core Team ");
    }
    assert_eq!(attribute("title", "Head = of all").written(), "Head = of all", "without its name");
}

#[test]
fn what_no_mapping_can_name_is_no_facet() {
    assert_eq!(Facet::attribute("title", ""), None);
    assert_eq!(Facet::attribute("", "x"), None);
    assert_eq!(Facet::attribute("a=b", "x"), None, "or `a` with the value `b=x` would be the same");
    assert_eq!(Facet::attribute("title", "a\0b"), None);
    assert!(Facet::attribute("title", &"x".repeat(MAX_IDENTIFIER)).is_some());
    assert_eq!(Facet::attribute("title", &"x".repeat(MAX_IDENTIFIER + 1)), None);
    assert!(Facet::attribute(&"n".repeat(MAX_ATTRIBUTE_NAME), "x").is_some());
    assert_eq!(Facet::attribute(&"n".repeat(MAX_ATTRIBUTE_NAME + 1), "x"), None);
}

#[test]
fn whoever_is_in_a_sub_unit_is_in_every_unit_above_it_and_in_no_sibling() {
    let keys = |path: &str| -> BTreeSet<String> {
        let units = Facet::units(path);
        assert!(units.iter().all(|unit| unit.source() == FacetSource::OrgUnit));
        units.iter().map(|unit| unit.key().to_owned()).collect()
    };
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(keys("/Sales/EMEA"), set(&["/", "/Sales", "/Sales/EMEA"]));
    assert_eq!(keys("/Sales Ops"), set(&["/", "/Sales Ops"]), "a name that begins alike is another unit");
    assert_eq!(keys("/"), set(&["/"]));
    assert_eq!(keys("Sales"), set(&[]), "no path from the root");
    assert_eq!(MappingSource::OrgUnit("/Sales".to_owned()).key(), ("org_unit", "/Sales".to_owned()));
}

#[test]
fn a_unit_has_one_spelling() {
    assert_eq!(unit_path("/Sales/").as_deref(), Some("/Sales"));
    assert_eq!(unit_path("/").as_deref(), Some("/"));
    for wrong in ["", "Sales", "//Sales", "/Sales//EMEA", "/a\0b"] {
        assert_eq!(unit_path(wrong), None, "`{wrong}`");
    }
    assert!(unit_path(&"/u".repeat(MAX_UNIT_LEVELS)).is_some());
    assert_eq!(unit_path(&"/u".repeat(MAX_UNIT_LEVELS + 1)), None);
    assert!(unit_path(&format!("/{}", "x".repeat(MAX_IDENTIFIER - 1))).is_some());
    assert_eq!(unit_path(&format!("/{}", "x".repeat(MAX_IDENTIFIER))), None);
}

#[test]
fn only_google_has_units() {
    let with: Vec<_> = DirectoryKind::ALL.into_iter().filter(|kind| kind.has_org_units()).collect();
    assert_eq!(with, vec![DirectoryKind::Google]);
}

#[test]
fn what_a_value_gives_names_the_mapping_the_directory_and_the_request_and_no_group() {
    let now = Timestamp::from_seconds(1_800_000_000);
    let mut facts = mapped();
    facts.directories = vec![says(1, Statement::Active)];
    facts.matched = vec![Matched { group: None, ..maps(7, 1, "admin") }];
    let resolved = resolve(&facts, now);
    assert_eq!(resolved.access.state, MembershipState::Active, "a value gives life as a group does");
    let reason = resolved.access.reasons.iter().find(|r| matches!(r.gives, Given::Role(_))).unwrap();
    assert_eq!(reason.mapping, Some(maps(7, 1, "admin").mapping));
    assert_eq!((reason.directory, reason.group), (Some(directory(1)), None));

    facts.matched = vec![Matched { group: None, ..maps(7, 1, "owner") }];
    let resolved = resolve(&facts, now);
    assert_eq!(resolved.access.role, None, "automation gives no explicit-only role");
}

#[test]
fn a_value_that_is_withdrawn_goes_however_many_others_come() {
    let value = |name: &str, number: usize| Facet::attribute(name, &number.to_string()).unwrap();
    let before: BTreeSet<Facet> = [value("department", 1), value("silent", 1)].into();
    let flood: BTreeSet<Facet> = (0..MAX_FACETS).map(|number| value("hobby", number)).collect();
    let change = FacetChange::between(&before, &flood, |facet| facet.attribute_key() != Some("silent"));
    assert_eq!(change.gone, [value("department", 1)].into(), "what was not said stays");
    assert_eq!((change.new.len(), change.left_out), (MAX_FACETS - 1, 1), "with it no more than there may be");
    let same = FacetChange::between(&before, &before, |_| true);
    assert_eq!(same, FacetChange::default());
}
