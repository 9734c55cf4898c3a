//! Lists whole: every kind of filter, order, and pages by number and by cursor.

use portcullis_domain::Timestamp;
use portcullis_scim::{Filter, ResourceType};
use portcullis_service::ServiceError;
use portcullis_service::scim::list::{SearchBounds, Searches};
use portcullis_service::scim::totals::Totals;
use portcullis_service::scim::{Ask, Belongings, Page, Window};
use portcullis_web::scim::error::Refused;
use serde_json::{Value, json};

use super::provider::{ENTERPRISE, Provider, USER, patch};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What a list shows of its resources: a name each, in order, and the total.
async fn names(idp: &Provider, below: &str) -> (u64, Vec<String>) {
    let list = idp.got(below).await;
    let name = |r: &Value| {
        let name = r.get("userName").or_else(|| r.get("displayName")).expect("a name");
        name.as_str().expect("text").split('@').next().expect("a part").to_owned()
    };
    let shown = list["Resources"].as_array().expect("a list").iter().map(name).collect();
    (list["totalResults"].as_u64().expect("a total"), shown)
}

/// Five people and three groups, made in this order, a second apart.
async fn office() -> (Provider, Vec<String>, Vec<String>) {
    let idp = Provider::new();
    let mut people = Vec::new();
    for (name, title, level, work) in [
        ("eve", Some("Director"), 3, "eve@work.test"),
        ("Alice", Some("engineer"), 5, "alice@work.test"),
        ("bob", None, 2, "bob@work.test"),
        ("dora", Some("Engineer"), 4, "dora@work.test"),
        ("carl", Some("clerk"), 1, "not an address"),
    ] {
        let mut body = json!({
            "schemas": [USER], "userName": format!("{name}@acme.test"), "externalId": format!("X-{name}"),
            "displayName": name, "active": name != "bob",
            "emails": [
                { "value": work, "type": "work", "primary": true },
                { "value": format!("{name}@home.test"), "type": "home" },
            ],
            ENTERPRISE: { "department": "R&D", "manager": { "value": "m1" } },
            "urn:acme:params:2.0:User": { "level": level, "badge": format!("B-{name}") },
        });
        if let Some(title) = title {
            body["title"] = json!(title);
        }
        people.push(idp.made("/Users", body).await);
        idp.bench.clock.pass_s(1);
    }
    let mut groups = Vec::new();
    for (name, members) in [("Staff", &people[..2]), ("board", &people[..1]), ("Admins", &[])] {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        groups.push(idp.group(name, &members).await);
        idp.bench.clock.pass_s(1);
    }
    (idp, people, groups)
}

#[tokio::test]
async fn every_kind_of_filter_finds_what_it_says() {
    let (idp, people, groups) = office().await;
    let cases = [
        ("userName co \"o\"", "bob dora"),
        ("userName sw \"AL\"", "Alice"),
        ("externalId sw \"X-\"", "eve Alice bob dora carl"),
        ("externalId sw \"x-\"", ""),
        ("externalId eq \"X-bob\"", "bob"),
        ("externalId eq \"x-bob\"", ""),
        ("displayName ew \"E\"", "eve Alice"),
        ("title pr", "eve Alice dora carl"),
        ("not (title pr)", "bob"),
        ("title eq null", "bob"),
        ("title eq \"ENGINEER\"", "Alice dora"),
        ("title ne \"engineer\"", "eve bob carl"),
        ("title gt \"clerk\"", "eve Alice dora"),
        ("title le \"clerk\"", "carl"),
        ("active eq false", "bob"),
        ("not (active eq true)", "bob"),
        ("emails.value ew \"@work.test\"", "eve Alice bob dora"),
        ("emails.value eq \"not an address\"", "carl"),
        ("emails[type eq \"work\" and value co \"dora\"]", "dora"),
        ("emails[type eq \"home\" and value co \"work\"]", ""),
        ("emails.type eq \"home\" and emails.value co \"dora@work\"", "dora"),
        ("userName eq \"eve@acme.test\" or userName eq \"bob@acme.test\"", "eve bob"),
        ("userName eq \"eve@acme.test\" or title eq \"clerk\" and active eq false", "eve"),
        ("(userName eq \"eve@acme.test\" or title eq \"clerk\") and active eq true", "eve carl"),
        ("manager eq \"m1\" and userName eq \"eve@acme.test\"", "eve"),
        ("manager.value eq \"m2\"", ""),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"r&d\" and title sw \"D\"",
            "eve",
        ),
        ("urn:acme:params:2.0:User:level ge 4", "Alice dora"),
        ("urn:acme:params:2.0:User:badge eq \"b-carl\"", "carl"),
        ("urn:acme:params:2.0:User:missing pr", ""),
        ("groups.value eq \"{staff}\"", "eve Alice"),
        ("groups.display co \"boa\"", "eve"),
        ("not (groups pr)", "bob dora carl"),
        ("id eq \"{alice}\" and title pr", "Alice"),
        ("meta.resourceType eq User and title eq \"clerk\"", "carl"),
        ("meta.created gt \"2000-01-01T00:00:00Z\" and not (userName co \"e@\")", "bob dora carl"),
        ("meta.lastModified lt \"2000-01-01T00:00:00Z\"", ""),
    ];
    for (filter, expected) in cases {
        let filter = filter.replace("{staff}", &groups[0]).replace("{alice}", &people[1]);
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let found = names(&idp, &format!("/Users?filter={}", encoded(&filter))).await;
        assert_eq!(
            found,
            (expected.len() as u64, expected.iter().map(|n| (*n).to_owned()).collect()),
            "{filter}"
        );
        let body = json!({ "filter": filter });
        let searched = idp.call("POST", "/Users/.search", body).await.json();
        assert_eq!(searched["totalResults"], expected.len(), "{filter}");
    }
}

#[tokio::test]
async fn filters_of_groups_ask_about_members_without_reading_them() {
    let (idp, people, _) = office().await;
    let cases = [
        ("displayName sw \"b\"", "board"),
        ("displayName co \"A\"", "Staff board Admins"),
        ("members.value eq \"{eve}\"", "Staff board"),
        ("not (members eq \"{alice}\")", "board Admins"),
        ("members[value eq \"{alice}\"] and displayName pr", "Staff"),
        ("members.value ne \"{eve}\"", "Admins"),
        ("members pr", "Staff board"),
        ("not (members pr)", "Admins"),
        ("members.value eq null", "Admins"),
        ("members.type eq \"User\"", "Staff board"),
        ("members.type eq \"Group\"", ""),
        ("members[value eq \"{eve}\" and type eq \"User\"]", "Staff board"),
        ("members[value eq \"{eve}\" and type eq \"Group\"]", ""),
        ("members[value ne \"{eve}\"]", "Staff"),
        ("members[not (value eq \"{eve}\" or value eq \"{alice}\")]", ""),
        ("members[value pr] and not (members[value ne \"{eve}\"])", "board"),
        ("members.display pr", ""),
        ("externalId pr", ""),
    ];
    for (filter, expected) in cases {
        let filter = filter.replace("{eve}", &people[0]).replace("{alice}", &people[1]);
        let expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
        let found = names(&idp, &format!("/Groups?filter={}", encoded(&filter))).await;
        assert_eq!(found, (expected.len() as u64, expected), "{filter}");
    }
    let both = names(&idp, &format!("?filter={}", encoded("displayName co \"a\""))).await;
    assert_eq!(both, (6, ["Alice", "dora", "carl", "Staff", "board", "Admins"].map(str::to_owned).to_vec()));
    let refused = idp.call("GET", "/Groups?filter=members.value%20sw%20%22a%22", Value::Null).await;
    assert_eq!(refused.json()["scimType"], "invalidFilter");
    // A group in a group is told from a person by what it is.
    let inside = idp.group("Inside", &[]).await;
    idp.group("Outside", &[&inside, &people[0]]).await;
    for (filter, expected) in [
        ("members.type eq \"Group\"", "Outside"),
        ("members[type eq \"Group\" and value ne \"{inside}\"]", ""),
        ("members[type eq \"Group\" and value eq \"{inside}\"]", "Outside"),
    ] {
        let filter = filter.replace("{inside}", &inside);
        let found = names(&idp, &format!("/Groups?filter={}", encoded(&filter))).await.1;
        assert_eq!(found.join(" "), expected, "{filter}");
    }
}

#[tokio::test]
async fn members_are_removed_by_what_they_are() {
    let idp = Provider::new();
    let (ann, bob) = (idp.user("ann").await, idp.user("bob").await);
    let inside = idp.group("Inside", &[]).await;
    let group = idp.group("Outside", &[&ann, &bob, &inside]).await;
    for (path, left) in [
        (format!("members[value eq \"{ann}\" and type eq \"Group\"]"), vec![&ann, &bob, &inside]),
        (format!("members[value eq \"{ann}\" and type eq \"User\"]"), vec![&bob, &inside]),
        ("members[type eq \"Group\"]".to_owned(), vec![&bob]),
        ("members[type eq \"User\"]".to_owned(), vec![]),
    ] {
        idp.patched(&format!("/Groups/{group}"), json!([{ "op": "remove", "path": path }])).await;
        let shown = idp.got(&format!("/Groups/{group}")).await;
        let shown = shown.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut shown: Vec<&str> = shown.iter().map(|m| m["value"].as_str().unwrap()).collect();
        let mut left: Vec<&str> = left.into_iter().map(String::as_str).collect();
        shown.sort_unstable();
        left.sort_unstable();
        assert_eq!(shown, left, "{path}");
    }
}

#[tokio::test]
async fn a_list_of_everything_goes_by_cursor_and_takes_names_of_either_kind() {
    let (idp, mut everything, groups) = office().await;
    everything.extend(groups);
    for (count, pages) in [(1, 8), (2, 4), (3, 3), (5, 2), (8, 1), (100, 1)] {
        assert_eq!(walked(&idp, &format!("?count={count}")).await, (everything.clone(), pages), "{count}");
    }
    let either = encoded("userName eq \"eve@acme.test\" or members.value pr and displayName eq \"board\"");
    assert_eq!(
        names(&idp, &format!("?filter={either}")).await,
        (2, vec!["eve".to_owned(), "board".to_owned()])
    );
    let found = walked(&idp, &format!("?count=1&filter={either}")).await.0;
    assert_eq!(found, [&everything[0], &everything[6]].map(String::clone));
    let neither = encoded("userName eq \"eve@acme.test\" and members pr");
    assert_eq!(names(&idp, &format!("?filter={neither}")).await.0, 0, "nothing has both");
    let first = idp.got("?count=2&cursor=").await;
    let next = first["nextCursor"].as_str().unwrap();
    for other in ["/Users", "/Groups"] {
        let refused = idp.call("GET", &format!("{other}?count=2&cursor={next}"), Value::Null).await;
        assert_eq!(refused.json()["scimType"], "invalidCursor", "{other}");
    }
    let of_users = idp.got("/Users?count=2&cursor=").await;
    let next = of_users["nextCursor"].as_str().unwrap();
    let refused = idp.call("GET", &format!("?count=2&cursor={next}"), Value::Null).await;
    assert_eq!(refused.json()["scimType"], "invalidCursor");
}

#[tokio::test]
async fn lists_are_sorted_forwards_and_backwards_and_what_has_no_value_comes_last() {
    let (idp, _, _) = office().await;
    for (query, expected) in [
        ("sortBy=userName", "Alice bob carl dora eve"),
        ("sortBy=userName&sortOrder=descending", "eve dora carl bob Alice"),
        ("sortBy=displayName&startIndex=2&count=2", "bob carl"),
        ("sortBy=title", "carl eve Alice dora bob"),
        ("sortBy=title&sortOrder=descending", "bob Alice dora eve carl"),
        ("sortBy=emails", "Alice bob dora eve carl"),
        ("sortBy=meta.created&sortOrder=descending", "carl dora bob Alice eve"),
        ("sortBy=active", "bob eve Alice dora carl"),
        ("sortBy=externalId", "Alice bob carl dora eve"),
        ("sortBy=userName&filter=title%20pr", "Alice carl dora eve"),
        ("sortBy=id&filter=externalId%20sw%20%22X%22&startIndex=5", "carl"),
    ] {
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let (_, found) = names(&idp, &format!("/Users?{query}")).await;
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(names(&idp, "/Groups?sortBy=displayName").await.1, ["Admins", "board", "Staff"]);
    for query in ["/Users?sortBy=name", "/Users?sortBy=nonsense", "/Groups?sortBy=members", "?sortBy=id"] {
        let refused = idp.call("GET", query, Value::Null).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["scimType"]),
            (400, &json!("invalidValue")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_behind_the_only_one_that_a_filter_finds_is_empty() {
    let (idp, people, _) = office().await;
    let by_name = encoded("userName eq \"eve@acme.test\"");
    let by_id = encoded(&format!("id eq \"{}\"", people[0]));
    for filter in [by_name, by_id] {
        assert_eq!(names(&idp, &format!("/Users?filter={filter}&startIndex=1")).await.1.len(), 1, "{filter}");
        let behind = names(&idp, &format!("/Users?filter={filter}&startIndex=2")).await;
        assert_eq!(behind, (1, vec![]), "{filter}");
    }
}

#[tokio::test]
async fn a_filter_behind_more_parameters_than_are_read_never_finds_everybody() {
    let (idp, _, _) = office().await;
    let filter = format!("filter={}", encoded("userName eq \"eve@acme.test\""));
    let with = |many: usize| format!("{}{filter}", "a=b&".repeat(many - 1));
    assert_eq!(names(&idp, &format!("/Users?{}", with(64))).await.1, ["eve"]);
    for below in ["/Users", "/Groups", ""] {
        let refused = idp.call("GET", &format!("{below}?{}", with(65)), Value::Null).await;
        let told = (refused.status.as_u16(), refused.json()["scimType"].clone());
        assert_eq!(told, (400, json!("invalidValue")), "{below}");
    }
    let empty = idp.call("GET", "/Users?filter=&count=2", Value::Null).await;
    assert_eq!(empty.json()["scimType"], "invalidFilter");
    assert_eq!(names(&idp, "/Users?count=&startIndex=").await.0, 5);
}

/// All pages by cursor: the ids, and how many pages there were.
async fn walked(idp: &Provider, query: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = idp.got(&format!("{query}&cursor={cursor}")).await;
        pages += 1;
        assert!(page.get("startIndex").is_none(), "{page}");
        ids.extend(
            page["Resources"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page.get("nextCursor") else { return (ids, pages) };
        cursor = next.as_str().unwrap().to_owned();
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)), "{cursor}");
        assert!(pages < 20, "the pages end");
    }
}

#[tokio::test]
async fn pages_by_cursor_show_everything_once_whatever_happens_between_them() {
    let (idp, people, groups) = office().await;
    assert_eq!(walked(&idp, "/Users?count=2").await, (people.clone(), 3));
    assert_eq!(walked(&idp, "/Users?count=5").await, (people.clone(), 1));
    assert_eq!(walked(&idp, "/Groups?count=1").await, (groups, 3));
    let engineers = format!("/Users?count=1&filter={}", encoded("title eq \"engineer\""));
    assert_eq!(walked(&idp, &engineers).await, (vec![people[1].clone(), people[3].clone()], 2));
    let (sorted, pages) = walked(&idp, "/Users?count=2&sortBy=title&sortOrder=descending").await;
    let expected: Vec<String> = [2, 1, 3, 0, 4].map(|at: usize| people[at].clone()).to_vec();
    assert_eq!((sorted, pages), (expected, 3));
    let prefixed = format!("/Users?count=2&filter={}", encoded("externalId sw \"X-\""));
    assert_eq!(walked(&idp, &prefixed).await, (people.clone(), 3));

    // Somebody who was shown goes, somebody new comes: nobody is left out and nobody shown twice.
    let first = idp.got("/Users?count=2&cursor=").await;
    assert_eq!(first["totalResults"], 5);
    idp.call("DELETE", &format!("/Users/{}", people[0]), Value::Null).await;
    idp.user("frank").await;
    let next = first["nextCursor"].as_str().unwrap();
    let second = idp.got(&format!("/Users?count=2&cursor={next}")).await;
    let shown: Vec<_> =
        second["Resources"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(shown, [&people[2], &people[3]]);
    let by_body = json!({ "cursor": next, "count": 2 });
    let searched = idp.call("POST", "/Users/.search", by_body).await.json();
    assert_eq!(searched["Resources"], second["Resources"], "the same query by a body");
    for (below, total) in [
        ("/Users?count=0&cursor=".to_owned(), 5),
        (format!("/Users?count=0&cursor=&filter={}", encoded("title eq \"engineer\"")), 2),
        (format!("/Users?count=0&cursor=&sortBy=title&filter={}", encoded("userName co \"@\"")), 5),
        ("?count=0&cursor=".to_owned(), 8),
        (format!("?count=0&cursor=&filter={}", encoded("title eq \"engineer\"")), 2),
    ] {
        let none = idp.got(&below).await;
        assert_eq!(
            (&none["totalResults"], &none["Resources"], none.get("nextCursor")),
            (&json!(total), &json!([]), None),
            "{below}"
        );
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_and_directory_and_for_an_hour() {
    let (idp, _, _) = office().await;
    let other = Provider::beside(&idp.bench, idp.organization, "acme", None, 3600);
    let page = idp.got("/Users?count=2&cursor=").await;
    let next = page["nextCursor"].as_str().unwrap().to_owned();
    let refused = async |idp: &Provider, below: String| {
        let answer = idp.call("GET", &below, Value::Null).await;
        (answer.status.as_u16(), answer.json()["scimType"].as_str().unwrap_or_default().to_owned())
    };
    let invalid = (400, "invalidCursor".to_owned());
    assert_eq!(refused(&idp, format!("/Users?count=2&filter=title%20pr&cursor={next}")).await, invalid);
    assert_eq!(refused(&idp, format!("/Users?count=2&sortBy=userName&cursor={next}")).await, invalid);
    assert_eq!(refused(&idp, format!("/Groups?count=2&cursor={next}")).await, invalid);
    assert_eq!(refused(&other, format!("/Users?count=2&cursor={next}")).await, invalid);
    assert_eq!(refused(&idp, "/Users?cursor=nonsense".to_owned()).await, invalid);
    assert_eq!(refused(&idp, format!("/Users?cursor={}", "v1.".repeat(2000))).await, invalid);
    assert_eq!(refused(&idp, "?cursor=nonsense".to_owned()).await, invalid);
    let count = (400, "invalidCount".to_owned());
    assert_eq!(refused(&idp, format!("/Users?count=3&cursor={next}")).await, count);
    assert_eq!(idp.got(&format!("/Users?cursor={next}")).await["itemsPerPage"], 2, "the count of before");
    idp.bench.clock.pass_s(3601);
    let expired = (400, "expiredCursor".to_owned());
    assert_eq!(refused(&idp, format!("/Users?count=2&cursor={next}")).await, expired);
}

fn ask(idp: &Provider, filter: &str, page: Page) -> Ask {
    Ask {
        directory: idp.directory,
        base: idp.url(""),
        filter: Some(Filter::parse(filter).expect("a filter")),
        sort: None,
        page,
        belongings: Belongings::LeftOut,
        asked_members: Default::default(),
    }
}

#[tokio::test]
async fn a_search_that_meets_its_bound_is_refused_and_says_what_an_index_serves_but_goes_on_by_cursor() {
    let idp = Provider::new();
    let (speaker, many) = (idp.speaker(), 1_200_usize);
    idp.bench.write(move |tx, moment| {
        for n in 0..many {
            let body =
                json!({ "userName": format!("u{n:05}"), "title": if n == 1_100 { "one" } else { "other" } });
            let (user, _) = portcullis_scim::parse_user(body.to_string().as_bytes()).unwrap();
            let said = portcullis_service::scim::person_said(&user.with_defaults());
            portcullis_service::scim::create_user(tx, moment, speaker, &said)?;
        }
        Ok(())
    });
    let whole = idp.bench.portcullis().clone();
    let window = Page::Window(Window { skip: 0, count: 10 });
    let found = whole.list_users(ask(&idp, "title eq \"one\"", window.clone())).await.unwrap();
    assert_eq!((found.items.len(), found.total), (1, Some(1)));

    let narrow = whole.clone().searching_within(SearchBounds { max_resources: 1_000, max_ms: 5_000 });
    let refused = narrow.list_users(ask(&idp, "title eq \"one\"", window.clone())).await.unwrap_err();
    let text = refused.to_string();
    for part in ["1000 resources", "userName", "externalId", "emails.value", "cursor"] {
        assert!(text.contains(part), "{text}");
    }
    let indexed = narrow.list_users(ask(&idp, "userName eq \"u00007\" and title pr", window)).await.unwrap();
    assert_eq!(indexed.total, Some(1), "what an index serves is not bounded by it");

    let (mut found, mut position, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = Page::After { position, count: 10 };
        let listed = narrow.list_users(ask(&idp, "title eq \"one\"", page)).await.unwrap();
        found.extend(listed.items.into_iter().map(|shown| shown.user.user_name));
        pages += 1;
        position = listed.next;
        if position.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec!["u01100".to_owned()], 2), "the first page ended at its bound");
}

#[tokio::test]
async fn one_directory_never_has_every_turn_to_search() {
    let directory = |n: u8| format!("dir_{n:032}").parse().expect("an id");
    let searches = Searches::default();
    let first = searches.turn(directory(1)).await.expect("a turn");
    let (again, other) = tokio::join!(searches.turn(directory(1)), searches.turn(directory(2)));
    assert!(matches!(again, Err(ServiceError::TooMany { .. })), "{again:?}");
    let other = other.expect("another directory waits for nobody");
    let third = searches.turn(directory(3)).await;
    assert!(matches!(third, Err(ServiceError::TooMany { .. })), "{third:?}");
    let (again, ()) = tokio::join!(searches.turn(directory(1)), async { drop(first) });
    again.expect("who waits comes next");
    drop(other);
}

#[test]
fn the_bound_is_told_as_too_many_over_http() {
    let refusal = portcullis_scim::ScimError::SearchTooLarge {
        bound: "1000 resources".to_owned(),
        served: portcullis_scim::filter::INDEXED_FILTERS,
    };
    let body = Refused::from(refusal).body();
    assert_eq!((&body["status"], &body["scimType"]), (&json!("400"), &json!("tooMany")));
}

#[tokio::test]
async fn custom_extensions_are_returned_filtered_and_patched_and_their_schemas_are_listed() {
    let (idp, people, _) = office().await;
    let urn = "urn:acme:params:2.0:User";
    let one = format!("/Users/{}", people[0]);
    let shown = idp.got(&one).await;
    assert_eq!(shown[urn], json!({ "level": 3, "badge": "B-eve" }));
    assert_eq!(shown["schemas"], json!([USER, ENTERPRISE, urn]));
    let path = format!("{urn}:badge");
    let operations = json!([{ "op": "replace", "path": path, "value": "B-new" }, { "op": "remove", "path": format!("{urn}:level") }]);
    let patched = idp.call("PATCH", &one, patch(operations)).await.json();
    assert_eq!(patched[urn], json!({ "badge": "B-new" }));
    let only = idp.got(&format!("{one}?attributes={path}")).await;
    assert_eq!((&only[urn]["badge"], only.get("userName")), (&json!("B-new"), None));
    let gone = idp.call("PATCH", &one, patch(json!([{ "op": "remove", "path": path }]))).await.json();
    assert_eq!((gone.get(urn), &gone["schemas"]), (None, &json!([USER, ENTERPRISE])));
}

#[tokio::test]
async fn totals_are_exact_while_people_and_groups_come_and_go() {
    let idp = Provider::new();
    let mut people = Vec::new();
    for many in 1..=3_u64 {
        people.push(idp.user(&format!("u{many}")).await);
        for below in ["/Users", "/Users?startIndex=2&count=1", "/Users?sortBy=userName", "/Users?cursor="] {
            assert_eq!(idp.got(below).await["totalResults"], many, "{below}");
        }
    }
    let group = idp.group("Eng", &[]).await;
    assert_eq!(idp.got("/Groups").await["totalResults"], 1);
    idp.call("DELETE", &format!("/Groups/{group}"), Value::Null).await;
    idp.call("DELETE", &format!("/Users/{}", people[0]), Value::Null).await;
    let counted = [idp.got("/Groups").await, idp.got("/Users?count=0").await, idp.got("").await];
    assert_eq!(counted.map(|list| list["totalResults"].as_u64().unwrap()), [0, 2, 2]);
    let request = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{ "method": "DELETE", "path": format!("/Users/{}", people[1]) }],
    });
    idp.call("POST", "/Bulk", request).await;
    assert_eq!(idp.got("/Users").await["totalResults"], 1);
}

#[test]
fn a_total_that_was_counted_while_somebody_came_is_not_kept() {
    let totals = Totals::default();
    let now = Timestamp::from_seconds(1_000);
    let directory = "dir_00000000000000000000000000000001".parse().unwrap();
    let (known, since) = totals.find(directory, ResourceType::User, now);
    assert_eq!(known, None);
    totals.changed(directory, ResourceType::User);
    totals.keep(directory, ResourceType::User, since, (7, now));
    let (known, since) = totals.find(directory, ResourceType::User, now);
    assert_eq!(known, None);
    totals.keep(directory, ResourceType::User, since, (8, now));
    assert_eq!(totals.find(directory, ResourceType::User, now).0, Some(8));
    assert_eq!(totals.find(directory, ResourceType::Group, now).0, None);
    let later = Timestamp::from_seconds(1_031);
    assert_eq!(totals.find(directory, ResourceType::User, later).0, None, "it is counted anew");
}
