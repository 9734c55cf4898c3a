//! Mappings of attributes, and values, that were named by another URN of the standard.

use std::collections::BTreeSet;

use portcullis_domain::change::{DirectoryUserChange, MappingChange};
use portcullis_domain::directory::Directory;
use portcullis_domain::mapping::{Facet, MappingSource};
use portcullis_store::{directory_user, mapping, membership};

use crate::database::{Database, on_each};
use crate::fixture;

const STANDARD_URNS: &str = include_str!("../../migrations/0035_standard_urns.sql");
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What the name was compared by, and what it is compared by now.
fn names() -> Vec<(String, String)> {
    let of_enterprise = |name: &str| format!("{ENTERPRISE}:{name}");
    vec![
        ("urn:scim:schemas:extension:enterprise:1.0:department".to_owned(), of_enterprise("department")),
        ("urn:scim:schemas:extension:enterprise:2.0:user.costcenter".to_owned(), of_enterprise("costCenter")),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:division".to_owned(),
            of_enterprise("division"),
        ),
        ("urn:scim:schemas:core:1.0:usertype".to_owned(), "userType".to_owned()),
        ("urn:scim:schemas:core:1.0:addresses.country".to_owned(), "addresses.country".to_owned()),
        (of_enterprise("employeeNumber"), of_enterprise("employeeNumber")),
        ("urn:acme:hr:1.0:department".to_owned(), "urn:acme:hr:1.0:department".to_owned()),
        (
            "urn:scim:schemas:extension:acme:1.0:department".to_owned(),
            "urn:scim:schemas:extension:acme:1.0:department".to_owned(),
        ),
    ]
}

/// A mapping of each name, and somebody who has each value: who that is, and their number of the rules.
fn named(
    database: &Database,
    of: &Directory,
    who: &str,
) -> impl Fn() -> (BTreeSet<Facet>, BTreeSet<Facet>, i64) {
    for (before, _) in names() {
        let source =
            MappingSource::Attribute { name: before.clone(), name_key: before, value: "R=D".to_owned() };
        database.put(MappingChange::Create(Box::new(fixture::mapping(of, source, "member"))));
    }
    let member = fixture::membership(database, of.organization, who);
    let user = fixture::directory_user(database, of, &member);
    let values = names().iter().filter_map(|(before, _)| Facet::attribute(before, "R=D")).collect();
    database.put(DirectoryUserChange::AddFacets(user, of.id, values, None));
    let (organization, directory) = (of.organization, of.id);
    move || {
        database.read(move |tx| {
            let mut mapped = BTreeSet::new();
            for one in mapping::list(tx, organization, Some(directory), None, 100)? {
                if let MappingSource::Attribute { name_key, value, .. } = one.source {
                    mapped.extend(Facet::attribute(&name_key, &value));
                }
            }
            let number = membership::find(tx, organization, member.id)?.map_or(-1, |m| m.rules_number);
            Ok((mapped, directory_user::facets(tx, user)?, number))
        })
    }
}

#[test]
fn what_was_named_by_another_urn_of_the_standard_is_named_by_its_own_and_gives_on() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let scim = fixture::directory(database, acme, None);
        let ann = named(database, &scim, "ann");
        let before = ann();

        database.note(move |tx| tx.batch(STANDARD_URNS)).unwrap();
        let now: BTreeSet<_> = names().iter().filter_map(|(_, now)| Facet::attribute(now, "R=D")).collect();
        assert_eq!(before.2, 1);
        assert_eq!(ann(), (now.clone(), now.clone(), 0));
        database.note(move |tx| tx.batch(STANDARD_URNS)).unwrap();
        assert_eq!(ann(), (now.clone(), now, 0), "and nothing is named otherwise twice");
    });
}
