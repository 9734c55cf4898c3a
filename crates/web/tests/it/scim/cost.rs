//! What changes of large groups cost, counted in rows: no busy machine moves that.

use portcullis_domain::id::{DirectoryGroupId, DirectoryUserId};
use portcullis_domain::mapping::MappingSource;
use portcullis_scim::Preconditions;
use portcullis_service::provisioning::{
    GroupSaid, GroupsSaid, MAX_PLACES_BELOW, MAX_READ_AT_ONCE, MembersSaid, PersonSaid, create_group,
    create_user,
};
use portcullis_service::scim::change_group;
use portcullis_store::db::RowCounts;
use portcullis_store::statement::Statement;
use serde_json::json;

use crate::scim::provider::{Provider, patch};

/// Members of the large group. `figures members` counts the same at fifty thousand.
const LARGE: usize = 2_000;
/// Members of the small one.
const SMALL: usize = 10;

/// Steps of SQLite's machine by which a change of one may differ from the same of the other; a look at each member takes
/// thousands.
const MAX_MORE_STEPS: u64 = 200;

/// Puts everybody of the large group into every team.
const FILL_TEAMS: Statement = Statement::change(
    "test.fill_teams",
    "INSERT INTO directory_members (directory_group, directory_user) SELECT g.id, m.directory_user \
     FROM directory_groups g JOIN directory_groups l ON l.display_name = 'large' AND l.directory = g.directory \
     JOIN directory_members m ON m.directory_group = l.id WHERE g.display_name LIKE 'team-%'",
);

fn somebody(number: usize) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{number}")),
        user_name: format!("person-{number}@acme.test"),
        display_name: String::new(),
        full_name: String::new(),
        emails: vec![format!("person-{number}@acme.test")],
        active: Some(true),
        facets: Default::default(),
        attributes: "{}".to_owned(),
    }
}

/// A directory of [`LARGE`] people and two more, a large and a small group of them, both mapped to a role.
struct Groups {
    idp: Provider,
    people: Vec<DirectoryUserId>,
    large: DirectoryGroupId,
    small: DirectoryGroupId,
}

impl Groups {
    fn new() -> Self {
        let idp = Provider::with(Some("member"), 3600);
        for group in ["large", "small"] {
            idp.map(MappingSource::GroupDisplayName(group.to_owned()), "lead");
        }
        let speaker = idp.speaker();
        let mut people = Vec::new();
        // In steps, as a commit on SQLite holds only so much.
        for step in 0..(LARGE + 2).div_ceil(500) {
            people.extend(idp.bench.write(move |tx, moment| {
                let numbers = step * 500..((step + 1) * 500).min(LARGE + 2);
                numbers
                    .map(|n| Ok(create_user(tx, moment, speaker, &somebody(n))?.id))
                    .collect::<Result<Vec<_>, _>>()
            }));
        }
        let group = |name: &'static str, members: &[DirectoryUserId]| {
            let members = members.to_vec();
            idp.bench
                .write(move |tx, moment| Ok(create_group(tx, moment, speaker, (name, None), &members)?.id))
        };
        let (large, small) = (group("large", &people[..LARGE]), group("small", &people[..SMALL]));
        Self { idp, people, large, small }
    }

    /// What a change of a group costs within the write, the answer to it and all.
    fn cost(&self, group: DirectoryGroupId, said: GroupSaid) -> RowCounts {
        let speaker = self.idp.speaker();
        self.idp.bench.write(move |tx, moment| {
            let before = tx.row_counts();
            let known = Preconditions::default();
            change_group(tx, moment, speaker, group, std::slice::from_ref(&said), &known)?;
            let after = tx.row_counts();
            Ok(RowCounts {
                read: after.read - before.read,
                changed: after.changed - before.changed,
                noted: after.noted - before.noted,
                steps: after.steps - before.steps,
            })
        })
    }
}

#[tokio::test]
async fn one_member_of_a_large_group_costs_the_rows_of_one_of_a_small_one() {
    let groups = Groups::new();
    let (one, other) = (vec![groups.people[LARGE]], vec![groups.people[LARGE + 1]]);
    for said in [MembersSaid::Add, MembersSaid::Remove] {
        let of_large = groups.cost(groups.large, GroupSaid::Members(said(one.clone())));
        let of_small = groups.cost(groups.small, GroupSaid::Members(said(other.clone())));
        assert_eq!(RowCounts { steps: of_small.steps, ..of_large }, of_small, "{:?}", said(vec![]));
        // What is looked at and not returned is no row; PostgreSQL does not say.
        let more = of_large.steps.abs_diff(of_small.steps);
        assert!(more < MAX_MORE_STEPS, "{more} steps more or less: {of_large:?}, {of_small:?}");
        assert!(of_large.changed > 0 && of_large.changed < 10 && of_large.read < 30, "{of_large:?}");
    }
}

#[tokio::test]
async fn a_large_list_with_one_change_writes_the_rows_of_that_change() {
    let groups = Groups::new();
    let everybody = groups.people[..LARGE].to_vec();
    let same = groups.cost(groups.large, GroupSaid::Members(MembersSaid::Replace(everybody.clone())));
    assert_eq!((same.changed, same.noted), (0, 0), "the same list is no change");
    let mut others = everybody.clone();
    others.reverse();
    others[LARGE / 2] = groups.people[LARGE];
    let changed = groups.cost(groups.large, GroupSaid::Members(MembersSaid::Replace(others)));
    assert!(changed.changed > 0 && changed.changed <= 10, "one left and one came: {changed:?}");
    assert!(changed.read < 2 * LARGE as u64, "the list is read once: {changed:?}");
    let back = groups.cost(groups.large, GroupSaid::Members(MembersSaid::Replace(everybody)));
    assert!(back.changed > 0 && back.changed <= 10, "{back:?}");
}

#[tokio::test]
async fn a_group_that_leaves_another_is_read_to_the_limit_and_not_at_all_where_nothing_is_braked() {
    let groups = Groups::new();
    let path = format!("/directories/{}", groups.idp.directory);
    assert_eq!(groups.idp.admin("PATCH", &path, json!({ "nested": true })).await.0, 200);
    let speaker = groups.idp.speaker();
    let made = groups
        .idp
        .bench
        .write(move |tx, moment| Ok(create_group(tx, moment, speaker, ("top", None), &[])?.id));
    let mut teams = Vec::new();
    for number in 0..=MAX_PLACES_BELOW / LARGE {
        let name = format!("team-{number}");
        teams.push(
            groups
                .idp
                .bench
                .write(move |tx, moment| Ok(create_group(tx, moment, speaker, (&name, None), &[])?.id)),
        );
    }
    groups.cost(made, GroupSaid::Groups(GroupsSaid::Add(teams)));
    // The same people in so many groups that they have more places than are read.
    groups.idp.bench.write(|tx, _| Ok(tx.run(&FILL_TEAMS, &[])?));
    let small = groups.small;
    let into = |said: fn(Vec<DirectoryGroupId>) -> GroupsSaid| {
        groups.cost(small, GroupSaid::Groups(said(vec![made])))
    };
    into(GroupsSaid::Add);
    let unbraked = into(GroupsSaid::Remove);
    assert!(unbraked.read < MAX_READ_AT_ONCE as u64 + 1_000, "nobody need know who it is: {unbraked:?}");
    into(GroupsSaid::Add);
    assert_eq!(groups.idp.admin("PATCH", &path, json!({ "brake": { "max_people": 10 } })).await.0, 200);
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{made}\"]") }]);
    let refused = groups.idp.call("PATCH", &format!("/Groups/{small}"), patch(remove)).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.json()["detail"].as_str().unwrap().contains("200000"), "{}", refused.text());
    let (_, holds) = groups.idp.admin("GET", "/holds", serde_json::Value::Null).await;
    assert_eq!(holds["items"], json!([]));
}
