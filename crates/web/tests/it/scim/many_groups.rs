//! Somebody in more groups than are read at a time, and lists that are not small: nothing is cut off unsaid, and nothing
//! dear is done where requests are served.

use portcullis_scim::{Filter, ScimError};
use portcullis_service::error::DirectoryRefusal;
use portcullis_service::provisioning::create_group;
use portcullis_service::scim::list::SearchBounds;
use portcullis_service::scim::room::{MAX_LIST_WORK_BYTES, MAX_TEXT_BYTES};
use portcullis_service::scim::{
    Ask, Belongings, MAX_GROUPS_SHOWN, MAX_MEMBERS_SHOWN, Page, Window, create_user, person_said,
};
use portcullis_service::{ServiceError, scim::UserShown};
use portcullis_store::params;
use portcullis_store::row::list;
use portcullis_store::statement::Statement;
use serde_json::{Value, json};

use super::provider::{Provider, patch};

/// One more than a page of what is read of a person's groups.
const MANY: usize = 1_001;
/// Bytes of the name of each.
const NAME: usize = 1_000;

/// Puts everybody into every group.
const FILL: Statement = Statement::change(
    "test.fill",
    "INSERT INTO directory_members (directory_group, directory_user) SELECT g.id, u.id FROM directory_groups g \
     JOIN directory_users u ON u.directory = g.directory WHERE g.display_name LIKE 'group-%' \
     ON CONFLICT (directory_group, directory_user) DO NOTHING",
);
/// Puts a group into every other.
const NEST: Statement = Statement::change(
    "test.nest",
    "INSERT INTO directory_subgroups (parent, child, directory) SELECT g.id, c.id, g.directory \
     FROM directory_groups g JOIN directory_groups c ON c.directory = g.directory AND c.display_name = 'inner' \
     WHERE g.display_name LIKE 'group-%'",
);
/// Puts people into a group of whom nothing else is known, as many as there are numbers.
const CROWD: Statement = Statement::change(
    "test.crowd",
    "INSERT INTO directory_members (directory_group, directory_user) \
     SELECT g.id, each.value FROM EACH_OF($1) AS each, directory_groups g WHERE g.display_name = 'crowd'",
);
/// Groups that nobody else made, as many as there are numbers.
const GROUPS: Statement = Statement::change(
    "test.groups",
    "INSERT INTO directory_groups (id, organization, directory, display_name, display_name_key, created_at, updated_at) \
     SELECT each.value, g.organization, g.directory, 'group-' || each.value, each.value, g.created_at, g.updated_at \
     FROM EACH_OF($1) AS each, directory_groups g WHERE g.display_name = 'inner'",
);

fn ask(idp: &Provider, filter: Option<&str>, page: Page, belongings: Belongings) -> Ask {
    Ask {
        directory: idp.directory,
        base: idp.url(""),
        filter: filter.map(|filter| Filter::parse(filter).expect("a filter")),
        sort: None,
        page,
        belongings,
        asked_members: Default::default(),
    }
}

const fn whole() -> Page {
    Page::Window(Window { skip: 0, count: 500 })
}

fn names(shown: &[UserShown]) -> Vec<&str> {
    shown.iter().map(|one| one.user.user_name.as_str()).collect()
}

/// People, so many, of whom so much is said.
fn crowd(idp: &Provider, many: usize, bytes: usize) {
    let speaker = idp.speaker();
    idp.bench.write(move |tx, moment| {
        for n in 0..many {
            let name = format!("u{n:02}");
            let body = json!({ "userName": name, "displayName": "one name" });
            let (user, _) = portcullis_scim::parse_user(body.to_string().as_bytes()).expect("a user");
            let mut said = person_said(&user.with_defaults());
            said.attributes = json!({
                "userName": name, "displayName": "one name",
                "urn:acme:params:2.0:User": { "text": "x".repeat(bytes) },
            })
            .to_string();
            create_user(tx, moment, speaker, &said)?;
        }
        Ok(())
    });
}

/// All of them in so many groups.
fn filled(idp: &Provider, many: usize) {
    let speaker = idp.speaker();
    for from in (0..many).step_by(250) {
        idp.bench.write(move |tx, moment| {
            for n in from..(from + 250).min(many) {
                let name = format!("group-{n:05}-{}", "x".repeat(NAME));
                create_group(tx, moment, speaker, (&name, None), &[])?;
            }
            Ok(())
        });
    }
    idp.bench.write(|tx, _| Ok(tx.run(&FILL, &[])?));
}

#[tokio::test]
async fn somebody_in_very_many_groups_is_found_in_all_of_them_and_shown_with_all_of_them() {
    let idp = Provider::new();
    let inner = idp.group("inner", &[]).await;
    let ann = idp.user("ann").await;
    filled(&idp, MANY);
    idp.bench.write(|tx, _| Ok(tx.run(&NEST, &[])?));
    for member in [&ann, &inner] {
        for filter in [
            format!("members.value eq \"{member}\""),
            format!("members[value eq \"{member}\"] and displayName sw \"group-\""),
        ] {
            let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
            let below = format!("/Groups?excludedAttributes=members&count=3&filter={filter}");
            assert_eq!(idp.got(&below).await["totalResults"], MANY, "{filter}");
            let last = idp.got(&format!("{below}&startIndex={MANY}")).await;
            assert_eq!(last["itemsPerPage"], 1, "{filter}");
        }
    }
    let path = format!("/Users/{ann}");
    let shown = idp.got(&path).await;
    let groups = shown["groups"].as_array().unwrap();
    assert_eq!(groups.len(), MANY);
    let last = groups.iter().map(|group| group["value"].as_str().unwrap()).max().unwrap();
    idp.call("DELETE", &format!("/Groups/{last}"), Value::Null).await;
    let after = idp.got(&path).await;
    assert_eq!(after["groups"].as_array().unwrap().len(), MANY - 1);
    assert_ne!(shown["meta"]["version"], after["meta"]["version"], "the last of them counts");
}

#[tokio::test]
async fn somebody_in_more_groups_than_are_shown_is_shown_without_them_and_not_with_some() {
    let idp = Provider::new();
    idp.group("inner", &[]).await;
    let path = format!("/Users/{}", idp.user("ann").await);
    let ids: Vec<String> = (0..=MAX_GROUPS_SHOWN).map(|n| format!("dg_{n:032}")).collect();
    for ids in ids.chunks(1_000) {
        let ids = ids.to_vec();
        idp.bench.write(move |tx, _| Ok(tx.run(&GROUPS, params![list(&ids)])?));
    }
    idp.bench.write(|tx, _| Ok(tx.run(&FILL, &[])?));
    let shown = idp.got(&path).await;
    assert_eq!((shown.get("groups"), shown["meta"].get("version")), (None, None), "{shown}");
    let refused = idp.call("GET", "/Users?filter=groups.value%20eq%20%22x%22", Value::Null).await;
    assert_eq!(refused.json()["scimType"], "tooMany");
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(idp.patched(&path, off).await.json()["active"], false, "they can leave");
}

#[tokio::test]
async fn a_group_of_more_members_than_are_shown_is_written_and_answered_without_them() {
    let idp = Provider::new();
    let path = format!("/Groups/{}", idp.group("crowd", &[]).await);
    let ann = idp.user("ann").await;
    let ids: Vec<String> = (0..=MAX_MEMBERS_SHOWN).map(|n| format!("du_{n:032}")).collect();
    for ids in ids.chunks(1_000) {
        let ids = ids.to_vec();
        idp.bench.write(move |tx, _| Ok(tx.run(&CROWD, params![list(&ids)])?));
    }
    assert_eq!(idp.call("GET", &path, Value::Null).await.json()["scimType"], "tooMany");
    let renamed = idp.call("PUT", &path, json!({ "displayName": "throng" })).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["displayName"]), (200, &json!("throng")));
    let version = idp.got(&format!("{path}?excludedAttributes=members")).await["meta"]["version"].clone();
    assert_eq!((renamed.json().get("members"), &renamed.json()["meta"]["version"]), (None, &version));
    let add = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": ann }] }]));
    let added = idp.call("PATCH", &format!("{path}?attributes=members"), add).await;
    assert_eq!((added.status.as_u16(), added.json().get("members")), (200, None), "{}", added.text());
    let groups = idp.got(&format!("/Users/{ann}")).await["groups"].clone();
    assert_eq!(groups[0]["display"], "throng", "both were written");
}

#[tokio::test]
async fn what_a_write_answers_of_a_large_group_waits_for_a_turn_behind_the_write() {
    let idp = Provider::new();
    let (path, ann) = (format!("/Groups/{}", idp.group("crowd", &[]).await), idp.user("ann").await);
    let ids: Vec<String> = (0..5_000).map(|n| format!("du_{n:032}")).collect();
    for ids in ids.chunks(1_000) {
        let ids = ids.to_vec();
        idp.bench.write(move |tx, _| Ok(tx.run(&CROWD, params![list(&ids)])?));
    }
    let with = format!("{path}?attributes=members");
    let change = |op: &str| patch(json!([{ "op": op, "path": format!("members[value eq \"{ann}\"]") }]));
    let add = patch(json!([{ "op": "add", "path": "members", "value": [{ "value": ann }] }]));
    let added = idp.call("PATCH", &with, add.clone()).await.json();
    assert_eq!(added["members"].as_array().map(Vec::len), Some(5_001));
    let mut turns = Vec::new();
    while let Ok(turn) = idp.bench.portcullis().searches().turn_to_list(idp.directory).await {
        turns.push(turn);
    }
    let removed = idp.call("PATCH", &with, change("remove")).await;
    assert_eq!((removed.status.as_u16(), removed.json().get("members")), (200, None), "{}", removed.text());
    drop(turns);
    assert_eq!(idp.got(&with).await["members"].as_array().map(Vec::len), Some(5_000), "it was removed");
}

#[tokio::test]
async fn a_page_ends_where_the_groups_of_its_people_fill_the_room() {
    let idp = Provider::new();
    let room = MAX_TEXT_BYTES.div_ceil(MANY * (NAME + 256));
    let many = room + 3;
    crowd(&idp, many, 1);
    filled(&idp, MANY);
    let listed =
        async |page| idp.bench.portcullis().list_users(ask(&idp, None, page, Belongings::Read)).await;
    let first = listed(Page::After { position: None, count: 500 }).await.unwrap();
    assert!((2..many).contains(&first.items.len()), "{}", first.items.len());
    let second = listed(Page::After { position: first.next.clone(), count: 500 }).await.unwrap();
    let mut shown = names(&first.items);
    shown.extend(names(&second.items));
    assert_eq!((shown.len(), second.next), (many, None));
    let numbered = listed(whole()).await.unwrap();
    assert_eq!((names(&numbered.items), numbered.total), (names(&first.items), Some(many as u64)));
    let without = ask(&idp, None, whole(), Belongings::LeftOut);
    assert_eq!(idp.bench.portcullis().list_users(without).await.unwrap().items.len(), many);
}

#[tokio::test]
async fn a_list_that_is_not_small_waits_for_a_turn_and_a_small_one_for_nobody() {
    let idp = Provider::new();
    crowd(&idp, 3, 200_000);
    let portcullis = idp.bench.portcullis();
    let mut turns = Vec::new();
    while let Ok(turn) = portcullis.searches().turn_to_list(idp.directory).await {
        turns.push(turn);
        assert!(turns.len() < 8, "a directory has not every turn");
    }
    let listed = async |filter| portcullis.list_users(ask(&idp, filter, whole(), Belongings::LeftOut)).await;
    for filter in [None, Some("displayName eq \"one name\"")] {
        let large = listed(filter).await;
        assert!(matches!(large, Err(ServiceError::TooMany { .. })), "{filter:?}: {large:?}");
    }
    let terms = vec!["urn:acme:params:2.0:User:text co \"y\""; 60].join(" or ");
    let filter = format!("userName eq \"u01\" and ({terms})");
    let dear = ask(&idp, Some(&filter), whole(), Belongings::LeftOut);
    let dear = portcullis.list_users(dear).await;
    assert!(matches!(dear, Err(ServiceError::TooMany { .. })), "{dear:?}");
    assert_eq!(names(&listed(Some("userName eq \"u01\"")).await.unwrap().items), ["u01"]);
    drop(turns);
    assert_eq!(listed(None).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn a_filter_on_active_alone_waits_for_a_turn_like_any_that_no_index_serves() {
    let idp = Provider::new();
    // More than are read at a time.
    crowd(&idp, 21, 1);
    let portcullis = idp.bench.portcullis();
    let turn = portcullis.searches().turn(idp.directory).await.expect("the first");
    let listed =
        async |filter, page| portcullis.list_users(ask(&idp, filter, page, Belongings::LeftOut)).await;
    let following = || Page::After { position: None, count: 2 };
    for filter in ["active eq false", "active eq true"] {
        for page in [whole(), following()] {
            let searched = listed(Some(filter), page.clone()).await;
            assert!(matches!(searched, Err(ServiceError::TooMany { .. })), "{filter} {page:?}: {searched:?}");
        }
    }
    assert_eq!(listed(None, whole()).await.unwrap().items.len(), 21, "what an index serves waits for nobody");
    drop(turn);
    for (filter, many) in [("active eq false", 0), ("active eq true", 21)] {
        let found = listed(Some(filter), whole()).await.unwrap();
        assert_eq!((found.items.len(), found.total), (many, Some(many as u64)), "{filter}");
    }
}

#[tokio::test]
async fn what_a_list_compares_is_bounded_and_a_search_ends_its_step_where_it_is_dear() {
    let idp = Provider::new();
    crowd(&idp, 3, 1_000_000);
    let terms = vec!["urn:acme:params:2.0:User:text co \"y\""; 60].join(" or ");
    let portcullis = idp.bench.portcullis().clone();
    let by_index = format!("displayName eq \"one name\" and ({terms})");
    let refused = portcullis.list_users(ask(&idp, Some(&by_index), whole(), Belongings::LeftOut)).await;
    let expected = ScimError::TooMuchWork { max_bytes: MAX_LIST_WORK_BYTES };
    assert!(
        matches!(&refused, Err(ServiceError::Directory(DirectoryRefusal::Scim(error))) if *error == expected),
        "{refused:?}"
    );
    // The bound has room for one step.
    let narrow = portcullis.searching_within(SearchBounds { max_resources: 500, max_ms: 60_000 });
    let cheap = ask(&idp, Some("not (title pr)"), whole(), Belongings::LeftOut);
    assert_eq!(narrow.list_users(cheap).await.unwrap().items.len(), 3, "one step");
    let dear = narrow.list_users(ask(&idp, Some(&terms), whole(), Belongings::LeftOut)).await;
    assert!(dear.unwrap_err().to_string().contains("500 resources"), "a step for each");
}
