//! Users and groups as resources: lists, bodies, errors, discovery, and what is written when nothing changes.

use portcullis_service::provisioning::{GroupSaid, MembersSaid, Speaker};
use portcullis_service::scim;
use serde_json::{Value, json};

use super::provider::{GROUP, Provider, USER, patch, person};

fn scim_type(answer: &portcullis_testkit::Exchange) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["scimType"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn lists_are_paged_in_a_stable_order_and_counted() {
    let idp = Provider::new();
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(idp.user(&format!("user{n}")).await);
        idp.bench.clock.pass_s(1);
    }
    let mut seen = Vec::new();
    for start in [1, 4, 7] {
        let page = idp.got(&format!("/Users?startIndex={start}&count=3")).await;
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(7), &json!(start)));
        let page = page["Resources"].as_array().unwrap().clone();
        seen.extend(page.iter().map(|u| u["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, made);
    for (query, items) in
        [("count=0", 0), ("count=-5", 0), ("startIndex=-3&count=2", 2), ("startIndex=99", 0), ("", 7)]
    {
        let page = idp.got(&format!("/Users?{query}")).await;
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(7), &json!(items)), "{query}");
    }
    idp.patched(
        &format!("/Users/{}", made[2]),
        json!([{ "op": "replace", "path": "active", "value": false }]),
    )
    .await;
    for (active, many) in [("true", 6), ("false", 1), ("%22False%22", 1)] {
        let page = idp.got(&format!("/Users?filter=active%20eq%20{active}")).await;
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(many), &json!(many)), "{active}");
    }
}

#[tokio::test]
async fn look_ups_by_equality_find_exactly_and_malformed_filters_are_refused() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    idp.user("bob").await;
    for (filter, many) in [
        ("displayName eq \"ALICE example\"", 1),
        ("id eq \"{id}\"", 1),
        ("id eq \"nonsense\"", 0),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName EQ \"alice@acme.test\"", 1),
        ("userName eq \"alice@acme.test\" and active eq true", 1),
        ("userName eq \"alice@acme.test\" and active eq false", 0),
        ("userName eq \"alice@acme.test\" and externalId eq \"ext-bob\"", 0),
        ("displayName eq \"\"", 0),
        ("emails[type eq \"home\"].value eq \"alice@acme.test\"", 0),
        ("emails.value eq \"not an address\"", 0),
    ] {
        let filter = filter.replace("{id}", &alice);
        let encoded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let found = idp.got(&format!("/Users?filter={encoded}")).await;
        assert_eq!(found["totalResults"], many, "{filter}");
    }
    for filter in [
        "password eq \"x\"",
        "nonsense eq \"x\"",
        "active gt true",
        "name eq \"x\"",
        "userName eq",
        "userName xx \"a\"",
        "\"",
        "userName eq \"a\u{0}b\"",
        "",
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let answer = idp.call("GET", &format!("/Users?filter={encoded}"), Value::Null).await;
        assert_eq!(scim_type(&answer), (400, "invalidFilter".to_owned()), "{filter:?}");
    }
}

#[tokio::test]
async fn attributes_and_excluded_attributes_shape_every_answer() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let eng = idp.group("Eng", &[&alice]).await;
    let only = idp.got(&format!("/Users/{alice}?attributes=userName,emails.value")).await;
    assert_eq!(only["emails"], json!([{ "value": "alice@acme.test" }]));
    assert_eq!((only.get("displayName"), only.get("meta"), &only["id"]), (None, None, &json!(alice)));
    let without = idp.got(&format!("/Users/{alice}?excludedAttributes=groups,name")).await;
    assert_eq!((without.get("groups"), without.get("name")), (None, None));
    let version = idp.got(&format!("/Users/{alice}")).await["meta"]["version"].clone();
    for names in ["meta.version", "userName,meta", "meta.version,groups"] {
        let listed = idp.got(&format!("/Users?attributes={names}")).await;
        assert_eq!(listed["Resources"][0]["meta"]["version"], version, "{names}: it was asked for");
    }
    let made = idp.call("POST", "/Users?attributes=userName", person("bob")).await;
    assert_eq!((made.status.as_u16(), made.json().get("displayName")), (201, None));
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "Eng2" }]);
    let shown =
        idp.call("PATCH", &format!("/Groups/{eng}?attributes=displayName"), patch(rename.clone())).await;
    assert_eq!((shown.status.as_u16(), &shown.json()["displayName"]), (200, &json!("Eng2")));
    let shown =
        idp.call("PATCH", &format!("/Groups/{eng}?excludedAttributes=displayName"), patch(rename)).await;
    assert_eq!((shown.status.as_u16(), &shown.json()["members"][0]["value"]), (200, &json!(alice)));
    let both = idp
        .call("GET", &format!("/Users/{alice}?attributes=userName&excludedAttributes=name"), Value::Null)
        .await;
    assert_eq!(scim_type(&both), (400, "invalidValue".to_owned()));
}

#[tokio::test]
async fn a_refused_operation_leaves_nothing_of_the_others() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let before = idp.got(&format!("/Users/{alice}")).await;
    let third_fails = json!([
        { "op": "replace", "path": "displayName", "value": "X" },
        { "op": "add", "path": "title", "value": "Y" },
        { "op": "replace", "path": "id", "value": "du_1" },
    ]);
    let answer = idp.call("PATCH", &format!("/Users/{alice}"), patch(third_fails)).await;
    assert_eq!(scim_type(&answer), (400, "mutability".to_owned()));
    assert_eq!(idp.got(&format!("/Users/{alice}")).await, before);

    let eng = idp.group("Eng", &[]).await;
    let rows = idp.rows();
    let stranger = "du_0123456789abcdef0123456789abcdef";
    for member in [stranger, "nobody", eng.as_str()] {
        let unknown = json!([
            { "op": "replace", "path": "displayName", "value": "Other" },
            { "op": "add", "path": "members", "value": [{ "value": alice }] },
            { "op": "add", "path": "members", "value": [{ "value": member }] },
        ]);
        let answer = idp.call("PATCH", &format!("/Groups/{eng}"), patch(unknown)).await;
        assert_eq!(scim_type(&answer), (400, "invalidValue".to_owned()), "{}", answer.text());
        assert!(answer.text().contains(member), "{}", answer.text());
    }
    let put = json!({ "schemas": [GROUP], "displayName": "Other", "members": [{ "value": stranger }] });
    assert_eq!(idp.call("PUT", &format!("/Groups/{eng}"), put.clone()).await.status, 400);
    assert_eq!(idp.call("POST", "/Groups", put).await.status, 400);
    assert_eq!(idp.rows(), rows, "everything was rolled back");
    let group = idp.got(&format!("/Groups/{eng}")).await;
    assert_eq!((&group["displayName"], &group["members"]), (&json!("Eng"), &json!([])));
}

#[tokio::test]
async fn saying_the_same_again_writes_nothing() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let eng = idp.group("Eng", &[&alice]).await;
    let (user_path, group_path) = (format!("/Users/{alice}"), format!("/Groups/{eng}"));
    let (user, group) = (idp.got(&user_path).await, idp.got(&group_path).await);
    let rows = idp.rows();
    idp.bench.clock.pass_s(10);
    assert_eq!(idp.call("PUT", &user_path, person("alice")).await.status, 200);
    assert_eq!(idp.call("PUT", &user_path, user.clone()).await.status, 200);
    idp.patched(&user_path, json!([{ "op": "replace", "path": "active", "value": true }])).await;
    idp.patched(&user_path, json!([{ "op": "remove", "path": "title" }])).await;
    idp.patched(
        &group_path,
        json!([{ "op": "add", "path": "members", "value": [{ "value": alice }, { "value": alice }] }]),
    )
    .await;
    idp.patched(&group_path, json!([{ "op": "replace", "path": "members", "value": [{ "value": alice }] }]))
        .await;
    idp.patched(&group_path, json!([{ "op": "replace", "path": "displayName", "value": "Eng" }])).await;
    assert_eq!(idp.call("PUT", &group_path, group.clone()).await.status, 200);
    assert_eq!(idp.rows(), rows);
    assert_eq!(idp.got(&user_path).await, user, "meta.lastModified stays");
    assert_eq!(idp.got(&group_path).await, group);
    idp.patched(&group_path, json!([{ "op": "remove", "path": "members" }])).await;
    assert_ne!(idp.got(&group_path).await["meta"]["lastModified"], group["meta"]["lastModified"]);
}

#[tokio::test]
async fn a_name_may_change_its_case_but_not_take_anothers() {
    let idp = Provider::new();
    let alice = format!("/Users/{}", idp.user("alice").await);
    idp.user("bob").await;
    let rename = |to: &str| json!([{ "op": "replace", "path": "userName", "value": to }]);
    let renamed = idp.patched(&alice, rename("Alice@ACME.test")).await.json();
    assert_eq!(renamed["userName"], "Alice@ACME.test");
    let taken = idp.call("PATCH", &alice, patch(rename("BOB@acme.test"))).await;
    assert_eq!(scim_type(&taken), (409, "uniqueness".to_owned()));
    let eng = format!("/Groups/{}", idp.group("Eng", &[]).await);
    idp.group("Ops", &[]).await;
    let rename = |to: &str| json!([{ "op": "replace", "path": "displayName", "value": to }]);
    idp.patched(&eng, rename("ENG")).await;
    assert_eq!(idp.got(&eng).await["displayName"], "ENG");
    let taken = idp.call("PATCH", &eng, patch(rename("ops"))).await;
    assert_eq!(scim_type(&taken), (409, "uniqueness".to_owned()));
}

#[tokio::test]
async fn bodies_are_read_within_their_bounds_and_media_types() {
    let idp = Provider::new();
    let bearer = format!("Bearer {}", idp.token);
    let send = async |kind: Option<&str>, below: &str, body: &[u8]| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(kind.map(|k| ("content-type", k)));
        idp.raw("192.0.2.1", &headers, "POST", below, body).await
    };
    for (n, kind) in [
        None,
        Some("application/json"),
        Some("application/scim+json"),
        Some("Application/JSON; charset=utf-8"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = person(&format!("user{n}")).to_string();
        assert_eq!(send(kind, "/Users", body.as_bytes()).await.status, 201, "{kind:?}");
    }
    assert_eq!(send(Some("text/xml"), "/Users", b"<user/>").await.status, 415);
    let large = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(send(None, "/Users", &large).await.status, 413);
    for (body, kind) in [
        (&b"{"[..], "invalidSyntax"),
        (b"[]", "invalidSyntax"),
        (b"", "invalidSyntax"),
        (b"\xff\xfe", "invalidSyntax"),
        (br#"{"userName":""}"#, "invalidValue"),
        (br#"{"userName":"a","userName":"b"}"#, "invalidSyntax"),
        (br#"{"userName":"a\u0000b"}"#, "invalidValue"),
        (br#"{"userName":"a","active":"maybe"}"#, "invalidValue"),
        (br#"{"displayName":"nobody"}"#, "invalidValue"),
    ] {
        let answer = send(None, "/Users", body).await;
        assert_eq!(scim_type(&answer), (400, kind.to_owned()), "{body:?} {}", answer.text());
        assert_eq!(answer.headers["content-type"], "application/scim+json");
    }
    let long = json!({ "schemas": [USER], "userName": "x".repeat(1025) }).to_string();
    assert_eq!(scim_type(&send(None, "/Users", long.as_bytes()).await), (400, "invalidValue".to_owned()));
    assert_eq!(idp.got("/Users").await["totalResults"], 4);
}

#[tokio::test]
async fn every_other_path_and_method_is_a_scim_error() {
    let idp = Provider::new();
    let eng = idp.group("Eng", &[]).await;
    for (method, below, status) in [
        ("POST", "/Bulk", 400),
        ("GET", "/Me", 501),
        ("GET", "/.search", 405),
        ("GET", "/Nothing", 404),
        ("GET", "/Users/a/b", 404),
        ("DELETE", "/Users", 405),
        ("POST", &format!("/Groups/{eng}"), 405),
        ("POST", "/Schemas", 405),
        ("GET", "/Schemas/urn:nothing", 404),
        ("GET", "/Schemas?filter=name%20eq%20%22x%22", 403),
        ("GET", "/ResourceTypes?filter=name%20eq%20%22User%22", 403),
        ("GET", "/ServiceProviderConfig?filter=patch.supported%20eq%20true", 403),
    ] {
        let answer = idp.call(method, below, Value::Null).await;
        assert_eq!(answer.status, status, "{method} {below}");
        assert_eq!(answer.json()["status"], status.to_string(), "{method} {below}");
        assert_eq!(answer.json()["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
    for below in [
        "/ServiceProviderConfig",
        "/ServiceProviderConfigs",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        "/Schemas/?startIndex=3",
        "/Users/",
        "//Users",
    ] {
        let answer = idp.got(below).await;
        assert!(answer.to_string().contains("schemas"), "{below}");
    }
    let group = idp.got("/ResourceTypes/Group").await;
    assert_eq!(group["meta"]["location"], idp.url("/ResourceTypes/Group"));
}

#[tokio::test]
async fn a_base_url_with_a_slash_too_many_is_the_same_and_what_leads_to_no_directory_is_a_scim_error() {
    let idp = Provider::new();
    idp.user("alice").await;
    let everything = idp.got("").await;
    assert_eq!(everything["totalResults"], 1);
    for below in ["/", "//", "/?startIndex=1"] {
        assert_eq!(idp.got(below).await["totalResults"], 1, "`{below}`");
    }
    let directory = idp.directory;
    let authorization = format!("Bearer {}", idp.token);
    let headers = [("authorization", authorization.as_str())];
    for (path, status) in [
        (format!("/scim/v2//{directory}/Users"), 200),
        (format!("/scim/v2//{directory}"), 200),
        ("/scim/v2".to_owned(), 401),
        ("/scim/v2/".to_owned(), 401),
        ("/scim/v2//".to_owned(), 401),
        ("/scim/v2//Users".to_owned(), 401),
    ] {
        let answer = idp.bench.exchange_text("GET", &path, &headers, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["content-type"], "application/scim+json", "{path}");
    }
}

#[tokio::test]
async fn a_search_keeps_its_words_in_the_body_and_finds_what_the_parameters_would() {
    let idp = Provider::new();
    let (alice, bob) = (idp.user("alice").await, idp.user("bob").await);
    let eng = idp.group("Eng", &[&alice]).await;
    let search = async |below: &str, mut body: Value| {
        body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
        let answer = idp.call("POST", below, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list = answer.json();
        let ids = list["Resources"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned());
        (list["totalResults"].as_u64().unwrap(), ids.collect::<Vec<_>>())
    };
    let named = json!({ "filter": "userName eq \"ALICE@acme.test\"", "attributes": ["userName"] });
    assert_eq!(search("/Users/.search", named.clone()).await, (1, vec![alice.clone()]));
    assert_eq!(search("/.search", named).await, (1, vec![alice.clone()]), "a group has no userName");
    assert_eq!(search("/Groups/.search", json!({})).await, (1, vec![eng.clone()]));
    let mut everything = vec![alice, bob];
    everything.sort();
    everything.push(eng);
    assert_eq!(search("/.search", json!({})).await, (3, everything.clone()));
    for start in 1..=3 {
        let page = search("/.search", json!({ "startIndex": start, "count": 1 })).await;
        assert_eq!(page, (3, vec![everything[start - 1].clone()]));
    }
    assert_eq!(idp.got("?excludedAttributes=members").await["totalResults"], 3);
    let refused = idp.call("POST", "/.search", json!({ "filter": "nonsense co \"x\"" })).await;
    assert_eq!(scim_type(&refused), (400, "invalidFilter".to_owned()));
}

#[tokio::test]
async fn a_patch_that_would_keep_every_writer_waiting_is_refused_and_changes_nothing() {
    let idp = Provider::new();
    let numbers: Vec<Value> =
        (0..100).map(|n| json!({ "value": n.to_string(), "display": "X".repeat(1_000) })).collect();
    let body = json!({ "userName": "a", "phoneNumbers": numbers });
    let alice = format!("/Users/{}", idp.made("/Users", body).await);
    let before = idp.got(&alice).await;
    let path = format!("phoneNumbers[{}]", vec!["display co \"y\""; 64].join(" or "));
    let mut operations = vec![json!({ "op": "replace", "path": "title", "value": "new" })];
    operations.extend((0..100).map(|_| json!({ "op": "remove", "path": path })));
    let refused = idp.call("PATCH", &alice, patch(operations.into())).await;
    assert_eq!(scim_type(&refused), (400, "tooMany".to_owned()));
    assert_eq!(idp.got(&alice).await, before);
}

#[tokio::test]
async fn removing_active_shows_none_and_revives_nobody() {
    let idp = Provider::new();
    let alice = format!("/Users/{}", idp.user("alice").await);
    let remove = json!([{ "op": "remove", "path": "active" }]);
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(idp.patched(&alice, remove.clone()).await.json().get("active"), None);
    // By its own index, by another index, and by none.
    let active = ["", "%20and%20userName%20sw%20%22al%22", "%20and%20userName%20pr"];
    for rest in active {
        for (value, many) in [("true", 1), ("false", 0)] {
            let found = idp.got(&format!("/Users?filter=active%20eq%20{value}{rest}")).await;
            assert_eq!(found["totalResults"], many, "nobody ended: {value}{rest}");
        }
    }
    assert_eq!(idp.patched(&alice, off.clone()).await.json()["active"], false);
    let both = json!([remove[0], off[0]]);
    assert_eq!(idp.patched(&alice, both).await.json()["active"], false, "the last word is shown");
    assert_eq!(idp.patched(&alice, remove.clone()).await.json().get("active"), None);
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "A" }]);
    assert_eq!(idp.patched(&alice, rename).await.json().get("active"), None);
    for rest in active {
        let found = idp.got(&format!("/Users?filter=active%20eq%20false{rest}")).await;
        assert_eq!(found["totalResults"], 1, "still inactive: {rest}");
    }
    idp.patched(&alice, remove).await;
    assert_eq!(
        idp.call("PUT", &alice, json!({ "userName": "alice@acme.test" })).await.json()["active"],
        false
    );
    let on = json!([{ "op": "replace", "path": "active", "value": true }]);
    assert_eq!(idp.patched(&alice, on).await.json()["active"], true);
}

#[tokio::test]
async fn saying_the_same_again_touches_no_row_at_all() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    let eng = idp.group("Eng", &[&alice]).await;
    let speaker = Speaker::scim(
        idp.organization,
        idp.directory,
        "req_00000000000000000000000000000001".parse().unwrap(),
    );
    let (user, _) = portcullis_scim::parse_user(person("alice").to_string().as_bytes()).unwrap();
    let said = scim::person_said(&user);
    let (user, group) = (alice.parse().unwrap(), eng.parse().unwrap());
    let written = idp.bench.write(move |tx, moment| {
        let (before, none) = (tx.row_counts().written(), portcullis_scim::Preconditions::default());
        scim::replace_user(tx, moment, speaker, user, &said, &none)?;
        let changes = [
            GroupSaid::Members(MembersSaid::Add(vec![user])),
            GroupSaid::Members(MembersSaid::Replace(vec![user])),
        ];
        scim::change_group(tx, moment, speaker, group, &changes, &none)?;
        Ok(tx.row_counts().written() - before)
    });
    assert_eq!(written, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_of_one_group_at_once_none_is_lost() {
    let idp = Provider::new();
    let mut people = Vec::new();
    for n in 0..40 {
        people.push(idp.user(&format!("user{n}")).await);
    }
    let leavers: Vec<&str> = people[..20].iter().map(String::as_str).collect();
    let below = format!("/Groups/{}", idp.group("Eng", &leavers).await);
    let mut calls = tokio::task::JoinSet::new();
    for (n, user) in people.iter().cloned().enumerate() {
        let (idp, below) = (idp.clone(), below.clone());
        let op = if n < 20 { "remove" } else { "add" };
        let operations = json!([{ "op": op, "path": "members", "value": [{ "value": user }] }]);
        calls.spawn(async move { idp.call("PATCH", &below, patch(operations)).await.status.as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 204));
    let mut stay = people[20..].to_vec();
    stay.sort();
    assert_eq!(idp.members(below.trim_start_matches("/Groups/")).await, stay);
}

#[tokio::test]
async fn of_many_who_create_the_same_at_once_one_succeeds() {
    let idp = Provider::new();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..20 {
        let idp = idp.clone();
        let (below, body) = if n % 2 == 0 {
            ("/Users", person("alice"))
        } else {
            ("/Groups", json!({ "schemas": [GROUP], "displayName": "Eng" }))
        };
        calls.spawn(async move { idp.call("POST", below, body).await.status.as_u16() });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [201, 201]);
    assert!(statuses[2..].iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test]
async fn a_large_group_is_told_of_in_one_call_and_read_back_whole() {
    let idp = Provider::new();
    let (directory, organization) = (idp.directory, idp.organization);
    let request = "req_00000000000000000000000000000001".parse().unwrap();
    let speaker = Speaker::scim(organization, directory, request);
    let people: Vec<String> = idp.bench.write(move |tx, moment| {
        (0..3000)
            .map(|n| {
                let body = person(&format!("user{n}")).to_string();
                let (user, _) = portcullis_scim::parse_user(body.as_bytes())?;
                let made = scim::create_user(tx, moment, speaker, &scim::person_said(&user.with_defaults()))?;
                Ok(made.user.id.to_string())
            })
            .collect()
    });
    let members: Vec<Value> =
        people.iter().map(|id| json!({ "value": id, "display": "x".repeat(60) })).collect();
    let body = json!({ "schemas": [GROUP], "displayName": "All", "members": members });
    assert!(body.to_string().len() > 256 * 1024, "large enough to be read beside the others");
    let group = idp.made("/Groups", body).await;
    assert_eq!(idp.members(&group).await.len(), 3000);
    let one = json!([{ "op": "remove", "path": "members", "value": [{ "value": people[7] }] }]);
    idp.patched(&format!("/Groups/{group}"), one).await;
    assert_eq!(idp.members(&group).await.len(), 2999);
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_is_without_its_body() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    for below in ["/ServiceProviderConfig", "/Users", &format!("/Users/{alice}"), "/Users/nobody", "/Bulk"] {
        let got = idp.call("GET", below, Value::Null).await;
        let head = idp.call("HEAD", below, Value::Null).await;
        assert_eq!((head.status, head.text().as_str()), (got.status, ""), "{below}");
        for name in ["content-type", "etag", "location", "allow"] {
            assert_eq!(head.headers.get(name), got.headers.get(name), "{below}: {name}");
        }
    }
    let refused = idp.call("PUT", "/Users", Value::Null).await;
    assert_eq!(refused.headers["allow"], "GET, HEAD, POST");
}

#[tokio::test]
async fn when_the_database_does_not_answer_the_client_is_told_to_try_again() {
    let idp = Provider::new();
    idp.bench.portcullis().around().store.close();
    let answer = idp.call("POST", "/Users", person("alice")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["status"], "503");
}
