//! Directories, mappings and grants: what is kept of a rule, and whom a change of it touches.

use std::collections::BTreeSet;

use portcullis_domain::agent::{Agent, AgentState};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    AgentChange, Change, DirectoryChange, DirectoryGroupChange, DirectoryUserChange, GrantChange,
    MappingChange, MembershipChange,
};
use portcullis_domain::directory::Directory;
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::id::{DirectoryGroupId, MappingId, MembershipId, ReceiptId};
use portcullis_domain::mapping::{Facet, Gives, Mapping, MappingSource};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::team::TeamRole;
use portcullis_domain::text::{Slug, name_key};
use portcullis_store::{
    StoreError, Tx, agent, apply, directory, directory_group, directory_user, facet, facts, grant, mapping,
    membership,
};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later, slug};

fn sorted(ids: &[MembershipId]) -> Vec<MembershipId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

#[test]
fn a_mapping_is_read_as_it_was_written_whatever_its_source() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let people = fixture::directory(database, acme, None);
        let sources = [
            MappingSource::GroupExternalId("00g1".to_owned()),
            MappingSource::GroupId("dg_1".to_owned()),
            MappingSource::GroupDisplayName(" Platform Team".to_owned()),
            MappingSource::OrgUnit("/Sales".to_owned()),
            title("Head = of all"),
        ];
        for source in sources {
            let mut written = fixture::mapping(&people, source, "lead");
            written.gives.team = Some((slug("platform"), TeamRole::Admin));
            written.gives.environment = Some(slug("staging"));
            database.put(MappingChange::Create(Box::new(written.clone())));
            assert_eq!(database.read(move |tx| mapping::find(tx, acme, written.id)), Some(written.clone()));
            assert_eq!(database.read(move |tx| mapping::find(tx, other, written.id)), None);
            let less = Mapping {
                gives: Gives { role: Some(slug("viewer")), ..Gives::default() },
                source: MappingSource::GroupDisplayName("Staff".to_owned()),
                ..written
            };
            database.put(MappingChange::Update(Box::new(less.clone())));
            assert_eq!(database.read(move |tx| mapping::find(tx, acme, less.id)), Some(less.clone()));
        }
        let elsewhere = fixture::directory(database, acme, None).id;
        assert_eq!(database.read(move |tx| mapping::list(tx, acme, Some(elsewhere), None, 10)), vec![]);
        assert_eq!(database.read(move |tx| mapping::list(tx, acme, Some(people.id), None, 10)).len(), 5);
        assert_eq!(database.read(move |tx| mapping::list(tx, acme, None, None, 2)).len(), 2);
    });
}

struct Staff {
    people: Directory,
    ann: MembershipId,
    bob: MembershipId,
    eve: MembershipId,
    engineers: DirectoryGroup,
}

/// Ann and Bob are engineers, Eve is in no group; all three are in the same directory.
fn staff(database: &Database) -> Staff {
    let acme = fixture::organization(database, "acme").id;
    let people = fixture::directory(database, acme, None);
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| fixture::membership(database, acme, name));
    let [in_ann, in_bob, _] = [&ann, &bob, &eve].map(|m| fixture::directory_user(database, &people, m));
    let engineers = fixture::group(database, &people, "Engineers", &[in_ann, in_bob]);
    // The same person in the same directory twice, as after a rename at the provider, is one membership.
    let twice = Membership { name: "ann2".to_owned(), email: "ann2@example.com".to_owned(), ..ann.clone() };
    let again = fixture::directory_user(database, &people, &twice);
    database.put(DirectoryGroupChange::AddMembers(engineers.id, vec![again], None));
    Staff { people, ann: ann.id, bob: bob.id, eve: eve.id, engineers }
}

#[test]
fn whom_a_rule_touches_is_found_by_each_key_of_a_group_once_and_up_to_a_limit() {
    on_each(|database| {
        let Staff { people, ann, bob, eve, engineers } = staff(database);
        let group = engineers.id;
        let sources = [
            MappingSource::GroupExternalId("external-Engineers".to_owned()),
            MappingSource::GroupId(group.to_string()),
            MappingSource::GroupDisplayName("ENGINEERS ".to_owned()),
        ];
        for source in sources {
            let asked = source.clone();
            let groups = database.read(move |tx| mapping::groups_of_source(tx, people.id, &asked));
            assert_eq!(groups, vec![group], "{source:?}");
            let asked = source.clone();
            let affected = database.read(move |tx| mapping::affected(tx, people.id, &asked, 10));
            assert_eq!(affected, sorted(&[ann, bob]), "{source:?}");
            let asked = source.clone();
            assert_eq!(database.read(move |tx| mapping::affected(tx, people.id, &asked, 1)).len(), 1);
        }
        let unknown = MappingSource::GroupExternalId("Engineers".to_owned());
        assert_eq!(database.read(move |tx| mapping::affected(tx, people.id, &unknown, 10)), vec![]);
        assert_eq!(database.read(move |tx| mapping::affected_by_group(tx, group, 10)), sorted(&[ann, bob]));
        let all = database.read(move |tx| mapping::affected_by_directory(tx, people.id, 10));
        assert_eq!(all, sorted(&[ann, bob, eve]));
    });
}

fn title(value: &str) -> MappingSource {
    MappingSource::Attribute {
        name: "Title".to_owned(),
        name_key: "title".to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn whom_a_rule_touches_is_found_by_each_facet_only_in_its_directory_and_to_the_letter() {
    on_each(|database| {
        let Staff { people, ann, bob, .. } = staff(database);
        let neighbour = fixture::directory(database, people.organization, None);
        let told = |of| database.read(move |tx| directory_user::of_membership(tx, of)).remove(0).id;
        let facets = |title: &str, unit: &str| {
            let mut facets = Facet::units(unit);
            facets.extend(Facet::attribute("title", title));
            facets
        };
        for (who, facets) in
            [(ann, facets("Head = of all", "/Sales/EMEA")), (bob, facets("head = of all", "/Sales"))]
        {
            let id = told(who);
            database.put(DirectoryUserChange::AddFacets(id, people.id, facets.clone(), None));
            assert_eq!(database.read(move |tx| directory_user::facets(tx, id)), facets);
        }
        let unit = |path: &str| MappingSource::OrgUnit(path.to_owned());
        let cases = [
            (title("Head = of all"), vec![ann]),
            (title("HEAD = OF ALL"), vec![]),
            (unit("/Sales/EMEA"), vec![ann]),
            (unit("/Sales"), sorted(&[ann, bob])),
            (unit("/Sale"), vec![]),
        ];
        for (source, must) in cases {
            let mapped = |directory: &Directory| {
                let (of, source) = (directory.id, source.clone());
                database.read(move |tx| mapping::affected(tx, of, &source, 10))
            };
            assert_eq!(mapped(&people), must, "{source:?}");
            assert_eq!(mapped(&neighbour), vec![], "{source:?}");
            let (of, asked) = (people.id, source.clone());
            let count = database.read(move |tx| mapping::count_affected(tx, of, &asked));
            assert_eq!(count, i64::try_from(must.len()).unwrap());
            let asked = source.clone();
            let first = database.read(move |tx| mapping::page_affected(tx, of, &asked, ("", 1)));
            assert_eq!(first, must.iter().copied().take(1).collect::<Vec<_>>());
            let asked = source.clone();
            assert_eq!(database.read(move |tx| mapping::groups_of_source(tx, of, &asked)), vec![]);
            let anns = facets("Head = of all", "/Sales/EMEA");
            let asked = anns.clone();
            assert!(!database.read(move |tx| mapping::is_facet_mapped(tx, of, &asked)));
            let made = fixture::mapping(&people, source.clone(), "lead");
            database.put(MappingChange::Create(Box::new(made.clone())));
            let (acme, id) = (people.organization, made.id);
            assert_eq!(database.read(move |tx| mapping::find(tx, acme, id)), Some(made));
            let asked = anns.clone();
            let is = database.read(move |tx| mapping::is_facet_mapped(tx, of, &asked));
            assert_eq!(is, must.contains(&ann), "{source:?}");
            let elsewhere = neighbour.id;
            assert!(!database.read(move |tx| mapping::is_facet_mapped(tx, elsewhere, &anns)));
            let anna = database.read(move |tx| membership::find(tx, acme, ann)).unwrap();
            let matched = database.read(move |tx| facts::of(tx, &anna)).matched;
            let by_it = matched.iter().filter(|m| m.mapping == id && m.group.is_none()).count();
            assert_eq!(by_it, usize::from(must.contains(&ann)), "{source:?}");
            database.put(MappingChange::Delete(id));
        }
        let anns = told(ann);
        database.put(DirectoryUserChange::RemoveFacets(anns, Facet::units("/Sales/EMEA")));
        let left: BTreeSet<_> = Facet::attribute("title", "Head = of all").into_iter().collect();
        assert_eq!(database.read(move |tx| directory_user::facets(tx, anns)), left);
        database.put(DirectoryUserChange::Delete(anns));
        let source = title("Head = of all");
        assert_eq!(database.read(move |tx| mapping::affected(tx, people.id, &source, 10)), vec![]);
    });
}

#[test]
fn attributes_are_stepped_through_by_name_each_once_whatever_the_number_of_people_and_values() {
    on_each(|database| {
        let Staff { people, ann, bob, .. } = staff(database);
        let neighbour = fixture::directory(database, people.organization, None);
        // One name begins another, and what follows there comes before and behind the `=`.
        let names = ["title", "urn:a:u:n", "urn:a:u:n.part", "urn:a:u:n2", "urn:a:u:n_x", "urn:a:u:z"];
        for (who, values) in [(ann, ["=", "Z", "a"]), (bob, ["", ">", "a"])] {
            let id = database.read(move |tx| directory_user::of_membership(tx, who)).remove(0).id;
            let said = names.iter().flat_map(|name| values.map(|value| Facet::attribute(name, value)));
            let facets: BTreeSet<Facet> = said.flatten().chain(Facet::units("/Sales")).collect();
            database.put(DirectoryUserChange::AddFacets(id, people.id, facets, None));
        }
        let stepped = |of: &Directory| {
            let of = of.id;
            database.read(move |tx| {
                let (mut found, mut from) = (Vec::new(), String::new());
                while let Some((next, who)) = facet::next_attribute(tx, of, &from)? {
                    let name = next.attribute_key().expect("a name").to_owned();
                    assert!(directory_user::facets(tx, who)?.contains(&next), "{name}");
                    from = Facet::behind_attribute(&name);
                    found.push(name);
                    assert!(found.len() <= names.len(), "{found:?}");
                }
                found.sort();
                Ok(found)
            })
        };
        assert_eq!(stepped(&people), names);
        assert_eq!(stepped(&neighbour), Vec::<String>::new());
    });
}

#[test]
fn whom_a_role_touches_is_everybody_who_would_have_it_if_it_ranked_otherwise() {
    on_each(|database| {
        let Staff { people, ann, bob, eve, engineers } = staff(database);
        let acme = people.organization;
        let touched = |role: &'static str| {
            database.read(move |tx| mapping::affected_by_role(tx, acme, &slug(role), 10))
        };
        assert_eq!(touched("member"), sorted(&[ann, bob, eve]), "they have it");
        assert_eq!(touched("lead"), vec![]);
        // More mappings than are read at a time, and the last of them is about somebody.
        let mut ids: Vec<MappingId> = (0..=100).map(|_| fresh!(MappingId)).collect();
        ids.sort();
        for (number, id) in ids.into_iter().enumerate() {
            let source = match number {
                100 => MappingSource::GroupId(engineers.id.to_string()),
                _ => MappingSource::GroupExternalId(format!("nobody-{number}")),
            };
            let mapping = Mapping { id, ..fixture::mapping(&people, source, "lead") };
            database.put(MappingChange::Create(Box::new(mapping)));
        }
        assert_eq!(touched("lead"), sorted(&[ann, bob]), "a mapping gives it");
        let eves = database.read(move |tx| membership::find(tx, acme, eve)).unwrap();
        let granted = fixture::grant(&eves, "lead");
        database.put(GrantChange::Create(granted.clone()));
        assert_eq!(touched("lead"), sorted(&[ann, bob, eve]), "and a grant does");
        let limited = database.read(move |tx| mapping::affected_by_role(tx, acme, &slug("lead"), 2));
        assert_eq!(limited.len(), 2);
        database.put(GrantChange::End(granted.id, NOW));
        assert_eq!(touched("lead"), sorted(&[ann, bob]));
        database
            .put(DirectoryChange::Update(Directory { default_role: Some(slug("viewer")), ..people.clone() }));
        assert_eq!(touched("viewer"), sorted(&[ann, bob, eve]), "it is the default");
    });
}

#[test]
fn a_group_is_mapped_by_its_id_its_external_id_or_its_name_and_only_in_its_directory() {
    on_each(|database| {
        let Staff { people, engineers, .. } = staff(database);
        let other = fixture::directory(database, people.organization, None);
        let mapped = |directory: &Directory, external_id: Option<&'static str>, name: &'static str| {
            let directory = directory.id;
            database.read(move |tx| {
                mapping::is_group_mapped(tx, directory, engineers.id, external_id, &name_key(name))
            })
        };
        assert!(!mapped(&people, Some("00g1"), "Engineers"));
        let sources = [
            MappingSource::GroupId(engineers.id.to_string()),
            MappingSource::GroupExternalId("00g1".to_owned()),
            MappingSource::GroupDisplayName("engineers".to_owned()),
        ];
        for source in sources {
            let made = fixture::mapping(&people, source.clone(), "lead");
            database.put(MappingChange::Create(Box::new(made.clone())));
            assert!(mapped(&people, Some("00g1"), "Engineers"), "{source:?}");
            assert!(!mapped(&other, Some("00g1"), "Engineers"), "{source:?}");
            let by_key = [mapped(&people, None, "Others"), mapped(&people, Some("00g1"), "Others")];
            let expected = match source {
                MappingSource::GroupId(_) => [true, true],
                MappingSource::GroupExternalId(_) => [false, true],
                _ => [false, false],
            };
            assert_eq!(by_key, expected, "{source:?}");
            database.put(MappingChange::Delete(made.id));
        }
        assert!(!mapped(&people, Some("00g1"), "Engineers"));
    });
}

#[test]
fn a_deleted_directory_takes_its_facts_and_mappings_along_and_leaves_its_neighbours() {
    on_each(|database| {
        let Staff { people, engineers, ann, .. } = staff(database);
        let acme = people.organization;
        let neighbour = fixture::directory(database, acme, None);
        let bob = fixture::membership(database, acme, "bob2");
        let in_neighbour = fixture::directory_user(database, &neighbour, &bob);
        let theirs = fixture::group(database, &neighbour, "Engineers", &[in_neighbour]);
        let source = MappingSource::GroupId(engineers.id.to_string());
        database.put(MappingChange::Create(Box::new(fixture::mapping(&people, source, "lead"))));
        let connected = fixture::connection(database, acme, &[]);
        let claims = connected.claims_directory;
        assert!(database.read(move |tx| directory::is_used(tx, acme, claims)));
        assert!(!database.read(move |tx| directory::is_used(tx, acme, people.id)));

        database.put(DirectoryChange::Delete(people.id));
        assert_eq!(database.read(move |tx| directory::list(tx, acme, None, 10)), vec![neighbour.clone()]);
        assert_eq!(database.read(move |tx| mapping::list(tx, acme, None, None, 10)), vec![]);
        assert_eq!(database.read(move |tx| directory_user::count(tx, people.id)), 0);
        assert_eq!(database.read(move |tx| directory_group::count(tx, people.id)), 0);
        assert_eq!(database.read(move |tx| directory_user::of_membership(tx, ann)), vec![]);
        assert_eq!(database.read(move |tx| mapping::affected_by_group(tx, engineers.id, 10)), vec![]);
        assert_eq!(database.read(move |tx| mapping::affected_by_group(tx, theirs.id, 10)), vec![bob.id]);
    });
}

#[test]
fn people_whom_a_directory_governs_are_counted_until_they_are_off_boarded() {
    on_each(|database| {
        let Staff { people, ann, .. } = staff(database);
        let acme = people.organization;
        let governed = || database.read(move |tx| directory::count_governed(tx, acme, people.id));
        assert_eq!(governed(), 0);
        let stored = database.read(move |tx| membership::find(tx, acme, ann)).unwrap();
        let set = |state| {
            let mut access = stored.access.clone();
            access.state = state;
            MembershipChange::SetAccess {
                id: ann,
                access: Box::new(access),
                governed_by: Some(people.id),
                unmapped_at: None,
                ended: None,
                bare_owner_at: None,
                rules_number: 1,
            }
        };
        database.put(set(MembershipState::Suspended));
        assert_eq!(governed(), 1);
        database.put(set(MembershipState::Deprovisioned));
        assert_eq!(governed(), 0);
    });
}

#[test]
fn grants_end_one_by_one_or_all_but_the_role_that_stays() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let ann = fixture::membership(database, acme, "ann");
        let bob = fixture::membership(database, acme, "bob");
        let roles = |id| {
            let mut roles: Vec<String> = database
                .read(move |tx| grant::live_of(tx, acme, id))
                .into_iter()
                .map(|grant| grant.role.to_string())
                .collect();
            roles.sort();
            roles
        };
        for role in ["owner", "admin", "lead"] {
            database.put(GrantChange::Create(fixture::grant(&ann, role)));
        }
        let bobs = fixture::grant(&bob, "admin");
        database.put(GrantChange::Create(bobs.clone()));
        assert_eq!(database.read(move |tx| grant::find(tx, acme, bobs.id)), Some(bobs.clone()));
        assert_eq!(database.read(move |tx| grant::find(tx, other, bobs.id)), None);

        let keep = Some(Slug::owner());
        database.put(GrantChange::EndOf { membership: ann.id, keep, at: later(1) });
        assert_eq!(roles(ann.id), ["owner"]);
        assert_eq!(roles(bob.id), ["admin"], "another's grants stay");
        database.put(GrantChange::EndOf { membership: ann.id, keep: None, at: later(2) });
        assert_eq!(roles(ann.id), Vec::<String>::new());
        assert_eq!(database.read(move |tx| grant::list(tx, acme, None, 10)), vec![bobs.clone()]);
        database.put(GrantChange::End(bobs.id, later(3)));
        assert_eq!(database.read(move |tx| grant::find(tx, acme, bobs.id)), None);
    });
}

#[test]
fn an_agent_changes_owner_and_state_until_it_is_disabled_and_never_after() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let other = fixture::organization(database, "other").id;
        let [ann, bob] = ["ann", "bob"].map(|name| fixture::membership(database, acme, name));
        let made = fixture::agent(&ann);
        database.put(AgentChange::Create(made.clone()));
        let found = move |tx: &mut Tx<'_>| agent::find(tx, acme, made.id);
        assert_eq!(database.read(found), Some(made.clone()));
        assert_eq!(database.read(move |tx| agent::find(tx, other, made.id)), None);

        database.put(AgentChange::Orphan(made.id, fresh!(ReceiptId)));
        assert_eq!(database.read(found).unwrap().state, AgentState::Orphaned);
        database.put(AgentChange::SetOwner(made.id, bob.id, AgentState::Active, None));
        let expected = Agent { owner: bob.id, ..made.clone() };
        assert_eq!(database.read(found), Some(expected.clone()));
        let owned =
            |owner: MembershipId| database.read(move |tx| agent::list_of_owner(tx, acme, owner, None, 10));
        assert_eq!((owned(ann.id), owned(bob.id)), (vec![], vec![expected]));

        database.put(AgentChange::SetState(made.id, AgentState::Paused, Some(Rank::ROOT)));
        database.put(AgentChange::Disable(made.id, None));
        let revived = database.change(AgentChange::SetState(made.id, AgentState::Active, None));
        assert!(matches!(revived, Err(StoreError::Inconsistent(_))), "{revived:?}");
        let taken = database.change(AgentChange::SetOwner(made.id, ann.id, AgentState::Active, None));
        assert!(matches!(taken, Err(StoreError::Inconsistent(_))), "{taken:?}");
        database.put(AgentChange::Orphan(made.id, fresh!(ReceiptId)));
        assert_eq!(database.read(found).unwrap().state, AgentState::Disabled);
        assert_eq!(database.read(move |tx| agent::list(tx, acme, None, 10)).len(), 1);
    });
}

#[test]
fn who_is_below_a_group_is_read_only_as_far_as_a_call_may_read() {
    use portcullis_store::subgroup::few_below;
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let directory = fixture::directory(database, acme, None);
        database.put(DirectoryChange::Update(Directory { nested_at: Some(NOW), ..directory.clone() }));
        let people = ["ann", "bob", "cem"].map(|name| fixture::membership(database, acme, name));
        let users = people.each_ref().map(|person| fixture::directory_user(database, &directory, person));
        let top = fixture::group(database, &directory, "top", &users[..1]).id;
        let [left, right] =
            ["left", "right"].map(|name| fixture::group(database, &directory, name, &users).id);
        database.put(DirectoryGroupChange::AddGroups(top, vec![left, right], None));

        let read = |limit, most| database.read(move |tx| few_below(tx, &[top], (limit, most)));
        let mut all = people.each_ref().map(|person| person.id).to_vec();
        all.sort();
        assert_eq!(read(10, 8), Some(all.clone()), "three groups with seven places, everybody once");
        assert_eq!(read(2, 8), Some(all[..2].to_vec()));
        assert_eq!(read(10, 7), None, "as many places as may be read: there may be more");
        assert_eq!(read(10, 2), None, "three groups are more than two");
    });
}

#[test]
fn a_rule_about_more_groups_than_are_read_touches_everybody_of_the_directory() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let directory = fixture::directory(database, acme, None);
        database.put(DirectoryChange::Update(Directory { nested_at: Some(NOW), ..directory.clone() }));
        let people = ["ann", "bob"].map(|name| fixture::membership(database, acme, name));
        let users = people.each_ref().map(|person| fixture::directory_user(database, &directory, person));
        let [top, below] = ["top", "below"].map(|name| fixture::group(database, &directory, name, &[]));
        database.put(DirectoryGroupChange::AddGroups(top.id, vec![below.id], None));
        let (organization, of, last) = (acme, directory.id, users[1]);
        let made = move |tx: &mut Tx<'_>| {
            let mut random = Seeded::next();
            let mut plan = Plan::because(organization, Cause::system());
            for n in 0..1_000 {
                let group = DirectoryGroup {
                    id: fresh!(DirectoryGroupId),
                    organization,
                    directory: of,
                    external_id: Some("external-top".to_owned()),
                    display_name: format!("group {n}"),
                    created_at: NOW,
                    updated_at: NOW,
                };
                let event = EventDraft::new(Action::DirectoryGroupCreated, group.id);
                let id = group.id;
                let mut changes: Vec<Change> = vec![DirectoryGroupChange::Create(group).into()];
                if n == 999 {
                    changes.push(DirectoryGroupChange::AddMembers(id, vec![last], None).into());
                }
                plan = plan.then_all(event, changes);
            }
            apply(tx, &plan, NOW, &mut random).map(|_| ())
        };
        database.note(made).unwrap();
        let source = MappingSource::GroupExternalId("external-top".to_owned());
        let touched = database.read(move |tx| mapping::affected(tx, of, &source, 501));
        assert_eq!(sorted(&touched), sorted(&people.each_ref().map(|person| person.id)));
    });
}
