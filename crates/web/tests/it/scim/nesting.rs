//! Groups inside groups, as providers tell of them and as access follows.

use portcullis_domain::Clock;
use portcullis_domain::mapping::MappingSource;
use portcullis_service::provisioning::{MAX_SUBGROUPS, create_group};
use serde_json::{Value, json};

use super::provider::{GROUP, Provider, patch};

fn named(group: &str) -> MappingSource {
    MappingSource::GroupDisplayName(group.to_owned())
}

async fn nest(staff: &Provider, counts: bool) -> Value {
    let path = format!("/directories/{}", staff.directory);
    let (status, changed) = staff.admin("PATCH", &path, json!({ "nested": counts })).await;
    assert_eq!((status, &changed["nested"]), (200, &json!(counts)), "{changed}");
    changed
}

async fn role(staff: &Provider, name: &str) -> Option<String> {
    staff.member(&format!("{name}@acme.test")).await["role"].as_str().map(str::to_owned)
}

fn member(id: &str) -> Value {
    json!([{ "value": id }])
}

#[tokio::test]
async fn groups_in_groups_are_kept_and_shown_and_count_only_where_the_directory_says_so() {
    let staff = Provider::new();
    staff.map(named("Company"), "viewer");
    let ann = staff.user("ann").await;
    let eng = staff.group("Eng", &[&ann]).await;
    let made = json!({
        "schemas": [GROUP], "displayName": "Company",
        "members": [{ "value": eng, "type": "Group", "$ref": staff.url(&format!("/Groups/{eng}")) }],
    });
    let company = staff.made("/Groups", made).await;
    let shown = staff.got(&format!("/Groups/{company}")).await;
    let expected = json!([{
        "value": eng, "type": "Group", "$ref": staff.url(&format!("/Groups/{eng}")),
    }]);
    assert_eq!(shown["members"], expected);
    let found = staff.got(&format!("/Groups?filter=members%20eq%20%22{eng}%22")).await;
    assert_eq!(found["Resources"][0]["id"], json!(company));
    assert_eq!(role(&staff, "ann").await, None, "off unless the directory says so");
    nest(&staff, true).await;
    assert_eq!(role(&staff, "ann").await.as_deref(), Some("viewer"));
    let member = staff.member("ann@acme.test").await;
    let reason = member["reasons"].as_array().unwrap().iter().find(|r| r["gives"] == "role:viewer").unwrap();
    assert_eq!(reason["group"], json!(company), "the group that is mapped");
    assert!(reason["request_id"].is_string(), "the request that put the one into the other");
    nest(&staff, false).await;
    assert_eq!(staff.member("ann@acme.test").await["state"], "suspended");
    let events = staff.admin("GET", "/audit-events?action=directory.updated", Value::Null).await.1;
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_edge_moves_everybody_below_it_when_it_comes_and_goes() {
    let staff = Provider::new();
    nest(&staff, true).await;
    staff.map(named("Top"), "member");
    let (ann, bob) = (staff.user("ann").await, staff.user("bob").await);
    let leaf = staff.group("Leaf", &[&ann]).await;
    let middle = staff.group("Middle", &[&bob, &leaf]).await;
    let top = staff.group("Top", &[]).await;
    for name in ["ann", "bob"] {
        assert_eq!(role(&staff, name).await, None);
    }
    let path = format!("/Groups/{top}");
    staff.patched(&path, json!([{ "op": "Add", "path": "members", "value": member(&middle) }])).await;
    for name in ["ann", "bob"] {
        assert_eq!(role(&staff, name).await.as_deref(), Some("member"), "{name}");
    }
    let cem = staff.user("cem").await;
    let leaf_path = format!("/Groups/{leaf}");
    staff.patched(&leaf_path, json!([{ "op": "add", "path": "members", "value": member(&cem) }])).await;
    assert_eq!(role(&staff, "cem").await.as_deref(), Some("member"), "whoever joins below later, too");
    let key = staff.key(&staff.member("ann@acme.test").await).await;

    // Entra names whom to take out in the value.
    let middle_path = format!("/Groups/{middle}");
    staff.patched(&middle_path, json!([{ "op": "Remove", "path": "members", "value": member(&leaf) }])).await;
    assert_eq!(staff.code(&key).await, "member_inactive");
    assert_eq!(role(&staff, "bob").await.as_deref(), Some("member"), "and nobody else");
    assert_eq!(staff.members(&middle).await, vec![bob.clone()]);

    staff.patched(&middle_path, json!([{ "op": "add", "path": "members", "value": member(&leaf) }])).await;
    assert_eq!(staff.code(&key).await, "allowed");
    // A replaced list is the whole list, groups too.
    let only_bob = json!({ "schemas": [GROUP], "displayName": "Middle", "members": member(&bob) });
    assert_eq!(staff.call("PUT", &middle_path, only_bob).await.status, 200);
    assert_eq!(staff.code(&key).await, "member_inactive");
    staff.patched(&middle_path, json!([{ "op": "add", "path": "members", "value": member(&leaf) }])).await;
    assert_eq!(staff.code(&key).await, "allowed");
    assert_eq!(staff.call("DELETE", &middle_path, Value::Null).await.status, 204);
    assert_eq!(staff.code(&key).await, "member_inactive");
    staff.bench.clock.set(staff.bench.clock.now().plus_s(3601));
    staff.bench.portcullis().step_rules().await.unwrap();
    assert_eq!(staff.code(&key).await, "token_ended");
}

#[tokio::test]
async fn a_circle_is_walked_once_and_depth_ends_at_eight_levels() {
    let staff = Provider::new();
    nest(&staff, true).await;
    staff.map(named("Group 0"), "member");
    let mut groups = vec![staff.group("Group 0", &[]).await];
    for n in 1..=10 {
        let group = staff.group(&format!("Group {n}"), &[]).await;
        let above = format!("/Groups/{}", groups[n - 1]);
        staff.patched(&above, json!([{ "op": "add", "path": "members", "value": member(&group) }])).await;
        groups.push(group);
    }
    for (name, group, expected) in [("near", 8, Some("member")), ("far", 9, None)] {
        let user = staff.user(name).await;
        let path = format!("/Groups/{}", groups[group]);
        staff.patched(&path, json!([{ "op": "add", "path": "members", "value": member(&user) }])).await;
        assert_eq!(role(&staff, name).await.as_deref(), expected, "{name}");
    }
    let circle = format!("/Groups/{}", groups[2]);
    staff.patched(&circle, json!([{ "op": "add", "path": "members", "value": member(&groups[0]) }])).await;
    let itself =
        super::provider::patch(json!([{ "op": "add", "path": "members", "value": member(&groups[2]) }]));
    assert_eq!(staff.call("PATCH", &circle, itself).await.status, 400);
    assert_eq!(role(&staff, "near").await.as_deref(), Some("member"));
    assert_eq!(staff.members(&groups[2]).await.len(), 2);
}

#[tokio::test]
async fn a_group_that_the_directory_did_not_tell_of_is_no_member_and_nothing_is_done() {
    let staff = Provider::new();
    let other = Provider::beside(&staff.bench, staff.organization, "acme", None, 3600);
    let foreign = other.group("Eng", &[]).await;
    let top = staff.group("Top", &[]).await;
    let unknown = format!("grp_{}", "0".repeat(32));
    for id in [foreign, unknown, "nonsense".to_owned()] {
        let body = super::provider::patch(json!([{ "op": "add", "path": "members", "value": member(&id) }]));
        let refused = staff.call("PATCH", &format!("/Groups/{top}"), body).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains(&id), "it names the member: {}", refused.text());
    }
    assert_eq!(staff.members(&top).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_mapping_reaches_people_below_its_group_and_its_preview_counts_them() {
    let staff = Provider::new();
    nest(&staff, true).await;
    let users = [staff.user("ann").await, staff.user("bob").await, staff.user("cem").await];
    let leaf = staff.group("Leaf", &[&users[0], &users[1]]).await;
    staff.group("Top", &[&users[1], &users[2], &leaf]).await;
    let wish = json!({
        "directory": staff.directory.to_string(), "group": { "display_name": "Top" }, "role": "member",
    });
    let (_, seen) = staff.admin("POST", "/mappings/preview?limit=2", wish.clone()).await;
    assert_eq!((&seen["people"], &seen["changing"]), (&json!(3), &json!(3)), "each once");
    let next = format!("/mappings/preview?limit=2&cursor={}", seen["next"].as_str().unwrap());
    let (_, rest) = staff.admin("POST", &next, wish.clone()).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    let (_, made) = staff.admin("POST", "/mappings", wish).await;
    assert_eq!(role(&staff, "ann").await.as_deref(), Some("member"));
    let renamed = json!([{ "op": "replace", "path": "displayName", "value": "Other" }]);
    let top = staff.got("/Groups?filter=displayName%20eq%20%22Top%22").await["Resources"][0]["id"].clone();
    staff.patched(&format!("/Groups/{}", top.as_str().unwrap()), renamed).await;
    assert_eq!(
        staff.member("ann@acme.test").await["state"],
        "suspended",
        "the name's new owner gives nothing"
    );
    let back = json!([{ "op": "replace", "path": "displayName", "value": "Top" }]);
    staff.patched(&format!("/Groups/{}", top.as_str().unwrap()), back).await;
    assert_eq!(role(&staff, "ann").await.as_deref(), Some("member"));
    let path = format!("/mappings/{}", made["id"].as_str().unwrap());
    assert_eq!(staff.admin("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(staff.member("ann@acme.test").await["state"], "suspended");
}

#[tokio::test]
async fn an_edge_above_more_people_than_one_transaction_carries_is_answered_at_once_and_stored_later() {
    let staff = Provider::new();
    nest(&staff, true).await;
    staff.map(named("Top"), "member");
    let mut users = Vec::new();
    for n in 0..501 {
        users.push(staff.user(&format!("p{n}")).await);
    }
    let all: Vec<&str> = users.iter().map(String::as_str).collect();
    let leaf = staff.group("Leaf", &all).await;
    let top = staff.group("Top", &[]).await;
    let path = format!("/Groups/{top}");
    staff.patched(&path, json!([{ "op": "add", "path": "members", "value": member(&leaf) }])).await;
    assert_eq!(role(&staff, "p500").await.as_deref(), Some("member"), "resolved where it is read");
    let pending = staff.admin("GET", "/members?role=viewer", Value::Null).await.1;
    assert_eq!(pending["rules_pending"], json!(true));
    for _ in 0..3 {
        staff.bench.portcullis().step_rules().await.unwrap();
    }
    let (_, stored) = staff.admin("GET", "/members?role=viewer", Value::Null).await;
    assert!(stored.get("rules_pending").is_none_or(|pending| *pending == json!(false)), "{stored}");
}

#[tokio::test]
async fn a_group_says_when_its_groups_changed() {
    let staff = Provider::new();
    let leaf = staff.group("Leaf", &[]).await;
    let top = staff.group("Top", &[]).await;
    let changed_at = async || staff.got(&format!("/Groups/{top}")).await["meta"]["lastModified"].clone();
    let before = changed_at().await;
    staff.bench.clock.pass_s(5);
    let add = json!([{ "op": "add", "path": "members", "value": member(&leaf) }]);
    staff.patched(&format!("/Groups/{top}"), add).await;
    assert_ne!(changed_at().await, before);
}

#[tokio::test]
async fn as_many_groups_are_in_one_as_may_be_and_no_more() {
    let staff = Provider::new();
    let speaker = staff.speaker();
    let made: Vec<String> = staff.bench.write(move |tx, moment| {
        let made = (0..=MAX_SUBGROUPS).map(|number| {
            create_group(tx, moment, speaker, (&format!("Group {number}"), None), &[])
                .map(|g| g.id.to_string())
        });
        made.collect()
    });
    let top = staff.group("Top", &[]).await;
    let replace = |ids: &[String]| {
        let members: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
        patch(json!([{ "op": "replace", "path": "members", "value": members }]))
    };
    let path = format!("/Groups/{top}");
    let refused = staff.call("PATCH", &path, replace(&made)).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["scimType"]), (400, &json!("invalidValue")));
    assert_eq!(staff.call("PATCH", &path, replace(&made[1..])).await.status, 204);
}

#[tokio::test]
async fn a_group_that_many_have_their_life_by_is_held_when_it_is_taken_out_of_a_mapped_one() {
    for counts in [true, false] {
        let staff = Provider::new();
        if counts {
            nest(&staff, true).await;
            staff.map(named("Top"), "member");
        } else {
            staff.map(named("Leaf"), "member");
            staff.map(named("Top"), "viewer");
        }
        let mut people = Vec::new();
        for number in 0..12 {
            people.push(staff.user(&format!("p{number}")).await);
        }
        let members: Vec<&str> = people.iter().map(String::as_str).collect();
        let leaf = staff.group("Leaf", &members).await;
        let top = staff.group("Top", &[&leaf]).await;
        let brake = json!({ "brake": { "max_people": 1 } });
        assert_eq!(staff.admin("PATCH", &format!("/directories/{}", staff.directory), brake).await.0, 200);
        let out = json!([{ "op": "remove", "path": format!("members[value eq \"{leaf}\"]") }]);
        staff.patched(&format!("/Groups/{top}"), out).await;
        let (_, holds) = staff.admin("GET", "/holds", Value::Null).await;
        let held = holds["items"].as_array().unwrap().len();
        assert_eq!(held, usize::from(counts), "nobody loses anything where groups in groups do not count");
    }
}

#[tokio::test]
async fn whoever_lost_their_last_group_is_off_boarded_for_whoever_asks_once_the_time_to_settle_is_over() {
    let staff = Provider::new();
    staff.map(named("Eng"), "member");
    let ann = staff.user("ann").await;
    let group = staff.group("Eng", &[&ann]).await;
    staff.patched(&format!("/Groups/{group}"), json!([{ "op": "remove", "path": "members" }])).await;
    let asked = staff.member("ann@acme.test").await;
    let one = format!("/members/{}", asked["id"].as_str().unwrap());
    let state = async || staff.admin("GET", &one, Value::Null).await.1["state"].clone();
    staff.bench.clock.pass_s(3599);
    assert_eq!(state().await, json!("suspended"));
    staff.bench.clock.pass_s(1);
    assert_eq!(state().await, json!("deprovisioned"), "no job has come by");
}
