//! Lists of people of whom much is said: no answer and no step of a search holds more than its room.

use portcullis_scim::Filter;
use portcullis_service::scim::list::SearchBounds;
use portcullis_service::scim::room::MAX_TEXT_BYTES;
use portcullis_service::scim::{Ask, Belongings, Page, Window, create_user, person_said};
use serde_json::{Value, json};

use super::provider::{Provider, patch, person};

const LARGE: usize = 1_000_000;
const MANY: usize = 24;

/// More people than have room, each as large as can be, in the order of their names.
fn crowd() -> Provider {
    let idp = Provider::new();
    let speaker = idp.speaker();
    idp.bench.write(move |tx, moment| {
        for n in 0..MANY {
            let name = format!("u{n:02}");
            let body =
                json!({ "userName": name, "displayName": "one name", "externalId": format!("X-{n:02}") });
            let (user, _) = portcullis_scim::parse_user(body.to_string().as_bytes()).expect("a user");
            let mut said = person_said(&user.with_defaults());
            said.attributes = json!({
                "userName": name, "displayName": "one name", "externalId": format!("X-{n:02}"),
                "urn:acme:params:2.0:User": { "text": "x".repeat(LARGE) },
            })
            .to_string();
            create_user(tx, moment, speaker, &said)?;
        }
        Ok(())
    });
    idp
}

fn names(page: &Value) -> Vec<String> {
    let all = page["Resources"].as_array().expect("a list").iter();
    all.map(|r| r["userName"].as_str().or(r["displayName"].as_str()).expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_page_ends_where_its_text_fills_the_room_and_the_next_goes_on_there() {
    let idp = crowd();
    let expected: Vec<String> = (0..MANY).map(|n| format!("u{n:02}")).collect();
    let room = MAX_TEXT_BYTES.div_ceil(LARGE);
    let filter = |text: &str| {
        format!("filter={}", url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
    };
    for query in [
        "sortOrder=ascending".to_owned(),
        "sortBy=userName".to_owned(),
        "sortBy=externalId".to_owned(),
        filter("active eq true"),
        filter("userName sw \"u\""),
        filter("externalId sw \"X\""),
        filter("displayName eq \"one name\""),
        filter("title eq null"),
    ] {
        let below = format!("/Users?attributes=userName&count=500&{query}");
        let first = idp.got(&below).await;
        let told = (&first["itemsPerPage"], &first["totalResults"]);
        assert_eq!(told, (&json!(room), &json!(MANY)), "{query}");
        let second = idp.got(&format!("{below}&startIndex={}", room + 1)).await;
        let mut both = [names(&first), names(&second)].concat();
        // All came in one instant: their age says no order.
        if !query.starts_with("sortBy") {
            both.sort();
        }
        assert_eq!(both, expected, "{query}");

        let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = idp.got(&format!("{below}&cursor={cursor}")).await;
            found.extend(names(&page));
            assert!(names(&page).len() <= room, "{query}");
            pages += 1;
            let Some(next) = page["nextCursor"].as_str() else { break };
            assert!(pages < 4, "{query}: the pages end");
            cursor = next.to_owned();
        }
        if !query.starts_with("sortBy") {
            found.sort();
        }
        assert_eq!((found, pages), (expected.clone(), 2), "{query}");
    }
    let narrowed = idp.got(&format!("/Users?attributes=userName&{}", filter("externalId eq \"X-23\""))).await;
    assert_eq!(names(&narrowed), ["u23"]);
}

#[tokio::test]
async fn groups_follow_people_only_when_all_people_were_shown() {
    let idp = crowd();
    idp.group("Eng", &[]).await;
    let (mut found, mut start) = (Vec::new(), 1);
    while start <= MANY + 1 {
        let page = idp.got(&format!("?count=500&attributes=userName,displayName&startIndex={start}")).await;
        assert_eq!(page["totalResults"], MANY + 1);
        let shown = names(&page);
        assert!(!shown.is_empty(), "{start}");
        start += shown.len();
        found.extend(shown);
    }
    let expected = (0..MANY).map(|n| format!("u{n:02}")).chain(["Eng".to_owned()]);
    assert_eq!(found.last().map(String::as_str), Some("Eng"));
    found[..MANY].sort();
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn small_candidates_are_read_whole_over_many_short_reads() {
    let idp = Provider::new();
    let (speaker, many) = (idp.speaker(), 70);
    idp.bench.write(move |tx, moment| {
        for n in 0..many {
            let body = json!({
                "userName": format!("u{n:02}"), "displayName": "one name", "externalId": format!("X-{}", n % 7),
            });
            let (user, _) = portcullis_scim::parse_user(body.to_string().as_bytes()).expect("a user");
            create_user(tx, moment, speaker, &person_said(&user.with_defaults()))?;
        }
        Ok(())
    });
    let narrow = idp.bench.portcullis().clone();
    let narrow = narrow.searching_within(SearchBounds { max_resources: 1, max_ms: 5_000 });
    for filter in
        ["userName sw \"u\"", "externalId sw \"X-\"", "displayName eq \"one name\"", "displayName sw \"o\""]
    {
        let ask = Ask {
            directory: idp.directory,
            base: idp.url(""),
            filter: Some(Filter::parse(filter).expect("a filter")),
            sort: None,
            page: Page::Window(Window { skip: 0, count: 500 }),
            belongings: Belongings::LeftOut,
            asked_members: Default::default(),
        };
        let listed = narrow.list_users(ask).await.expect("an index serves it");
        let mut found: Vec<String> = listed.items.into_iter().map(|shown| shown.user.user_name).collect();
        found.sort();
        assert_eq!(found, (0..many).map(|n| format!("u{n:02}")).collect::<Vec<_>>(), "{filter}");
    }
}

#[tokio::test]
async fn a_long_photo_in_an_attribute_that_nobody_keeps_is_left_aside_and_keeps_nobody_out() {
    let idp = Provider::new();
    let photo = "A".repeat(136_000);
    let mut body = person("al");
    body["thumbnailPhoto"] = json!(photo);
    let made = idp.call("POST", "/Users", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let one = format!("/Users/{}", made.json()["id"].as_str().unwrap());
    let shown = idp.got(&one).await;
    assert_eq!(shown.get("thumbnailPhoto"), None, "{shown}");
    assert_eq!(idp.call("PUT", &one, body).await.status, 200);
    let among = json!({ "op": "add", "value": { "thumbnailPhoto": photo, "title": "Boss" } });
    let patched = idp.call("PATCH", &one, patch(json!([among]))).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    assert_eq!(idp.got(&one).await["title"], "Boss");
    let mut body = person("bo");
    body["photos"] = json!([{ "value": photo, "type": "photo" }]);
    let refused = idp.call("POST", "/Users", body).await;
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        refused.status == 400 && detail.contains("is longer than 65536 bytes"),
        "{}: {detail}",
        refused.status
    );
    for name in ["userName", "externalId", "displayName", "title"] {
        let mut body = person("bo");
        body[name] = json!("A".repeat(70_000));
        let refused = idp.call("POST", "/Users", body).await;
        assert_eq!(refused.status, 400, "what somebody would be kept by is refused: {name}");
    }
}
