//! The brake over HTTP: what a directory ends above its limit waits for an administrator, and nobody acts meanwhile.

mod groups;

use portcullis_testkit::ROOT_TOKEN;
use serde_json::{Value, json};

use super::provider::{GROUP, Provider, person};

const PEOPLE: usize = 24;
/// Never fewer, whatever the limit says.
const FLOOR: usize = 10;

/// A directory with the default brake, 24 people in a mapped group, each with a key.
struct Company {
    provider: Provider,
    group: String,
    users: Vec<String>,
    keys: Vec<String>,
}

impl Company {
    async fn new() -> Self {
        Self::mapped(|group| json!({ "id": group })).await
    }

    /// The same, whose one mapping names the group like that.
    async fn mapped(by: impl Fn(&str) -> Value) -> Self {
        let provider = Provider::with(None, 0);
        let (status, changed) = provider.brake(json!({ "max_percent": 20 })).await;
        assert_eq!((status, &changed["brake"]["max_percent"]), (200, &json!(20)), "{changed}");
        let mut users = Vec::new();
        for n in 0..PEOPLE {
            users.push(provider.user(&format!("p{n}")).await);
        }
        let members: Vec<&str> = users.iter().map(String::as_str).collect();
        let group = provider.group("Eng", &members).await;
        let (status, _) = provider
            .admin(
                "POST",
                "/mappings",
                json!({
                    "directory": provider.directory.to_string(), "group": by(&group), "role": "member"
                }),
            )
            .await;
        assert_eq!(status, 201);
        let mut keys = Vec::new();
        for n in 0..PEOPLE {
            let member = provider.member(&format!("p{n}@acme.test")).await;
            assert_eq!(member["state"], "active", "{member}");
            keys.push(provider.key(&member).await);
        }
        Self { provider, group, users, keys }
    }

    async fn state(&self, n: usize) -> String {
        let member = self.provider.member(&format!("p{n}@acme.test")).await;
        member["state"].as_str().expect("a state").to_owned()
    }

    async fn deactivate(&self, n: usize) {
        let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
        let path = format!("/Users/{}", self.users[n]);
        let patched = self.provider.patched(&path, operations).await;
        assert_eq!(patched.json()["active"], false);
        let code = self.provider.code(&self.keys[n]).await;
        assert!(code == "token_ended" || code == "member_inactive", "person {n} is refused: {code}");
    }

    async fn activate(&self, n: usize) {
        let operations = json!([{ "op": "replace", "path": "active", "value": true }]);
        self.provider.patched(&format!("/Users/{}", self.users[n]), operations).await;
    }

    async fn only_hold(&self) -> Value {
        let holds = self.provider.holds().await;
        assert_eq!(holds.len(), 1, "{holds:#?}");
        holds[0].clone()
    }

    async fn decide(&self, hold: &Value, what: &str, body: Value) -> Value {
        let path = format!("/holds/{}/{what}", hold["id"].as_str().expect("an id"));
        let (status, decided) = self.provider.admin("POST", &path, body).await;
        assert_eq!(status, 200, "{decided}");
        decided
    }
}

impl Provider {
    async fn brake(&self, brake: Value) -> (u16, Value) {
        self.admin("PATCH", &format!("/directories/{}", self.directory), json!({ "brake": brake })).await
    }

    async fn holds(&self) -> Vec<Value> {
        let (status, page) = self.admin("GET", "/holds", Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().expect("items").clone()
    }

    async fn receipts(&self) -> Vec<Value> {
        let (status, page) = self.admin("GET", "/receipts?limit=200", Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().expect("items").clone()
    }
}

#[tokio::test]
async fn above_the_limit_everybody_is_refused_at_once_and_only_their_end_is_held() {
    let company = Company::new().await;
    for n in 0..PEOPLE {
        company.deactivate(n).await;
        let state = company.state(n).await;
        let must = if n < FLOOR { "deprovisioned" } else { "suspended" };
        assert_eq!(state, must, "person {n}");
    }
    assert_eq!(company.provider.receipts().await.len(), FLOOR);
    let hold = company.only_hold().await;
    assert_eq!((&hold["kind"], &hold["state"]), (&json!("endings"), &json!("open")));
    assert_eq!(hold["waiting"], PEOPLE - FLOOR);
    // Said again: nothing is counted twice, nothing is let through.
    company.deactivate(FLOOR).await;
    assert_eq!(company.only_hold().await["waiting"], PEOPLE - FLOOR);
    let (_, people) = company
        .provider
        .admin("GET", &format!("/holds/{}/people?limit=5", hold["id"].as_str().unwrap()), Value::Null)
        .await;
    assert_eq!(people["items"].as_array().map(Vec::len), Some(5));
    assert_eq!(people["items"][0]["because"], "inactive");
    let loses = json!({ "role": null, "tokens": 1, "agents": 0, "mappings": [] });
    assert_eq!(people["items"][0]["loses"], loses, "what a release would take");
    let member = company.provider.member(&format!("p{FLOOR}@acme.test")).await;
    let path = format!("/members/{}", member["id"].as_str().unwrap());
    let (_, member) = company.provider.admin("GET", &path, Value::Null).await;
    assert_eq!(member["holds"][0]["id"], hold["id"], "a member's page says why they are suspended");
    for change in [json!({}), json!({ "state": "active" })] {
        let (status, answer) = company.provider.admin("PATCH", &path, change).await;
        assert_eq!((status, &answer["holds"]), (200, &member["holds"]), "and so does a change of them");
    }
    let (_, listed) = company.provider.admin("GET", "/members?state=suspended", Value::Null).await;
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.len(), PEOPLE - FLOOR);
    assert!(listed.iter().all(|member| member["holds"][0]["id"] == hold["id"]), "and so does the list");
}

#[tokio::test]
async fn a_release_ends_whoever_waited_with_the_request_that_began_it() {
    let company = Company::new().await;
    for n in 0..FLOOR {
        company.deactivate(n).await;
    }
    let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
    let path = format!("/Users/{}", company.users[FLOOR]);
    let patched = company.provider.patched(&path, operations).await;
    let request = patched.headers["x-request-id"].to_str().unwrap().to_owned();
    company.deactivate(FLOOR + 1).await;
    let hold = company.only_hold().await;
    let member = company.provider.member(&format!("p{FLOOR}@acme.test")).await;
    let decided = company.decide(&hold, "release", json!({ "members": [member["id"]] })).await;
    assert_eq!((&decided["people"], &decided["hold"]["waiting"]), (&json!(1), &json!(1)));
    assert_eq!(company.state(FLOOR).await, "deprovisioned");
    assert_eq!(company.state(FLOOR + 1).await, "suspended");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "token_ended");
    let receipts = company.provider.receipts().await;
    let receipt = receipts.iter().find(|r| r["member"] == member["id"]).expect("a receipt");
    assert_eq!(receipt["cause"]["request_id"], request, "the provider's request began it");
    assert_eq!(receipt["cause"]["kind"], "scim");
    let decided = company.decide(&hold, "release", json!({})).await;
    assert_eq!((&decided["people"], &decided["hold"]["state"]), (&json!(1), &json!("closed")));
    let again = company.decide(&hold, "release", json!({})).await;
    assert_eq!(again["people"], 0, "nobody is left for the same decision");
    assert_eq!(company.provider.receipts().await.len(), FLOOR + 2);
}

#[tokio::test]
async fn a_refusal_keeps_the_suspension_until_the_directory_says_active_and_nothing_was_ended() {
    let company = Company::new().await;
    for n in 0..=FLOOR + 1 {
        company.deactivate(n).await;
    }
    let hold = company.only_hold().await;
    let decided = company.decide(&hold, "refuse", json!({})).await;
    assert_eq!((&decided["people"], &decided["hold"]["state"]), (&json!(2), &json!("refused")));
    for (state, count) in [("open", 0), ("refused", 1), ("closed", 0)] {
        let (_, page) = company.provider.admin("GET", &format!("/holds?state={state}"), Value::Null).await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(count), "{state}");
    }
    assert_eq!(company.provider.admin("GET", "/holds?state=lost", Value::Null).await.0, 400);
    assert_eq!(company.state(FLOOR).await, "suspended");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "member_inactive");
    company.activate(FLOOR).await;
    assert_eq!(company.state(FLOOR).await, "active");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "allowed", "nothing had ended");
    assert_eq!(company.only_hold().await["refused"], 1);
}

#[tokio::test]
async fn whoever_is_said_to_be_active_again_is_held_no_longer() {
    let company = Company::new().await;
    for n in 0..=FLOOR {
        company.deactivate(n).await;
    }
    company.activate(FLOOR).await;
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "allowed");
    let hold = company.only_hold().await;
    assert_eq!((&hold["state"], &hold["waiting"]), (&json!("closed"), &json!(0)));
    // Whoever left below the limit is back without anything, as always.
    company.activate(0).await;
    assert_eq!(company.provider.code(&company.keys[0]).await, "token_ended");
}

#[tokio::test]
async fn a_deleted_person_is_gone_from_the_directory_at_once_and_their_end_is_held() {
    let company = Company::new().await;
    for n in 0..=FLOOR {
        let deleted =
            company.provider.call("DELETE", &format!("/Users/{}", company.users[n]), Value::Null).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        let gone = company.provider.call("GET", &format!("/Users/{}", company.users[n]), Value::Null).await;
        assert_eq!(gone.status, 404);
    }
    assert_eq!(company.state(FLOOR - 1).await, "deprovisioned");
    assert_eq!(company.state(FLOOR).await, "suspended");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "member_inactive");
    // Told of anew it is somebody new; the former person stays held, and nothing of theirs comes back.
    company.provider.prove("acme.test");
    let former = company.provider.member(&format!("p{FLOOR}@acme.test")).await;
    company.provider.made("/Users", person(&format!("p{FLOOR}"))).await;
    let same = format!("/members?email=p{FLOOR}@acme.test");
    let (_, page) = company.provider.admin("GET", &same, Value::Null).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2), "a membership of its own: {page}");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "member_inactive");
    let hold = company.only_hold().await;
    company.decide(&hold, "release", json!({})).await;
    let path = format!("/members/{}", former["id"].as_str().unwrap());
    assert_eq!(company.provider.admin("GET", &path, Value::Null).await.1["state"], "deprovisioned");
    assert_eq!(company.provider.code(&company.keys[FLOOR]).await, "token_ended");
}

#[tokio::test]
async fn a_list_that_leaves_many_out_is_held_whole_and_nobody_loses_anything_until_it_is_released() {
    let company = Company::new().await;
    let path = format!("/Groups/{}", company.group);
    let put = json!({ "schemas": [GROUP], "displayName": "Eng", "members": [] });
    assert_eq!(company.provider.call("PUT", &path, put.clone()).await.status, 200);
    assert!(company.provider.members(&company.group).await.is_empty(), "facts are kept as they were said");
    for n in 0..PEOPLE {
        assert_eq!(company.provider.code(&company.keys[n]).await, "allowed", "person {n}");
    }
    let hold = company.only_hold().await;
    assert_eq!((&hold["kind"], &hold["waiting"]), (&json!("losses"), &json!(PEOPLE)));
    assert_eq!(hold["group"]["display_name"], "Eng");
    let (_, mappings) = company.provider.admin("GET", "/mappings", Value::Null).await;
    let people = format!("/holds/{}/people", hold["id"].as_str().unwrap());
    let (_, people) = company.provider.admin("GET", &people, Value::Null).await;
    assert_eq!(people["items"][0]["loses"]["mappings"], json!([mappings["items"][0]["id"]]));
    // The same list again is no news.
    assert_eq!(company.provider.call("PUT", &path, put).await.status, 200);
    assert_eq!(company.only_hold().await["waiting"], PEOPLE);
    // Whoever is named is held no longer, whichever way.
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{}\"]", company.users[0]) }]);
    company.provider.patched(&path, remove).await;
    assert_eq!(
        company.state(0).await,
        "deprovisioned",
        "named, below the limit, and the directory does not wait"
    );
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": company.users[1] }] }]);
    company.provider.patched(&path, add).await;
    let decided = company.decide(&hold, "release", json!({})).await;
    assert_eq!(decided["hold"]["state"], "closed");
    assert_eq!(company.state(1).await, "active", "who was named again stays");
    for n in 2..PEOPLE {
        assert_eq!(company.state(n).await, "deprovisioned", "person {n}");
        assert_eq!(company.provider.code(&company.keys[n]).await, "token_ended");
    }
}

#[tokio::test]
async fn a_deleted_group_is_held_whole_and_what_is_refused_stays() {
    let company = Company::new().await;
    let deleted = company.provider.call("DELETE", &format!("/Groups/{}", company.group), Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(company.provider.code(&company.keys[3]).await, "allowed");
    let hold = company.only_hold().await;
    company.decide(&hold, "refuse", json!({})).await;
    assert_eq!(company.provider.code(&company.keys[3]).await, "allowed");
    let member = company.provider.member("p3@acme.test").await;
    assert_eq!(member["reasons"][0]["group"], company.group, "{member}");
    // The mapping is an administrator's: its end is carried out, held or not.
    let (_, mappings) = company.provider.admin("GET", "/mappings", Value::Null).await;
    for mapping in mappings["items"].as_array().unwrap() {
        let path = format!("/mappings/{}", mapping["id"].as_str().unwrap());
        assert_eq!(company.provider.admin("DELETE", &path, Value::Null).await.0, 204);
    }
    let member = company.provider.member("p3@acme.test").await;
    assert_eq!(company.provider.code(&company.keys[3]).await, "token_ended", "{member}");
}

#[tokio::test]
async fn whoever_leaves_stays_a_leaver_whatever_is_held_of_their_groups() {
    let company = Company::new().await;
    let put = json!({ "schemas": [GROUP], "displayName": "Eng", "members": [] });
    company.provider.call("PUT", &format!("/Groups/{}", company.group), put).await;
    company.deactivate(0).await;
    assert_eq!(company.state(0).await, "deprovisioned");
    let member = company.provider.member("p5@acme.test").await;
    let path = format!("/members/{}/offboard", member["id"].as_str().unwrap());
    let (status, _) = company.provider.admin("POST", &path, json!({ "reason": "left" })).await;
    assert_eq!(status, 200);
    assert_eq!(company.provider.code(&company.keys[5]).await, "token_ended");
}

#[tokio::test]
async fn what_an_administrator_orders_is_never_held_and_null_switches_the_brake_off() {
    let company = Company::new().await;
    for n in 0..=FLOOR + 1 {
        let member = company.provider.member(&format!("p{n}@acme.test")).await;
        let path = format!("/members/{}/offboard", member["id"].as_str().unwrap());
        assert_eq!(company.provider.admin("POST", &path, json!({ "reason": "left" })).await.0, 200);
    }
    assert!(company.provider.holds().await.is_empty());
    let (status, changed) = company.provider.brake(Value::Null).await;
    assert_eq!((status, &changed["brake"]), (200, &Value::Null));
    for n in FLOOR + 2..PEOPLE {
        company.deactivate(n).await;
        assert_eq!(company.state(n).await, "deprovisioned");
    }
}

#[tokio::test]
async fn an_import_of_people_who_never_had_access_trips_nothing() {
    let provider = Provider::with(None, 0);
    provider.brake(json!({ "max_people": 0 })).await;
    for n in 0..FLOOR * 2 {
        let mut inactive = person(&format!("p{n}"));
        inactive["active"] = json!(false);
        provider.made("/Users", inactive).await;
    }
    assert!(provider.holds().await.is_empty());
}

#[tokio::test]
async fn limits_that_cannot_be_meant_are_refused_and_a_foreign_hold_is_an_unknown_one() {
    let company = Company::new().await;
    for brake in [json!({}), json!({ "max_people": -1 }), json!({ "max_percent": 101 })] {
        let (status, problem) = company.provider.brake(brake).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_brake")), "{problem}");
    }
    for n in 0..=FLOOR {
        company.deactivate(n).await;
    }
    let hold = company.only_hold().await;
    company.provider.bench.organization("beta");
    for path in ["", "/people", "/release", "/refuse"] {
        let method = if path.len() > 7 || path == "/refuse" { "POST" } else { "GET" };
        let of = |id: &str| format!("/api/v1/organizations/beta/holds/{id}{path}");
        let body = if method == "POST" { json!({}) } else { Value::Null };
        let foreign = of(hold["id"].as_str().unwrap());
        let unknown = of("hold_00000000000000000000000000000001");
        let (status, foreign) = company.provider.bench.call(method, &foreign, ROOT_TOKEN, body.clone()).await;
        let (other, unknown) = company.provider.bench.call(method, &unknown, ROOT_TOKEN, body).await;
        assert_eq!((status, &foreign["code"]), (404, &json!("not_found")), "{path} {foreign}");
        assert_eq!((other, &unknown["code"]), (404, &foreign["code"]));
    }
    let path = format!("/holds/{}/release", hold["id"].as_str().unwrap());
    let stranger = json!({ "members": ["mem_00000000000000000000000000000001"] });
    let (status, problem) = company.provider.admin("POST", &path, stranger).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")), "{problem}");
}

#[tokio::test]
async fn what_groups_above_gave_is_held_too_when_one_of_them_is_deleted() {
    let company = Company::new().await;
    let nested = json!({ "nested": true });
    let path = format!("/directories/{}", company.provider.directory);
    assert_eq!(company.provider.admin("PATCH", &path, nested).await.0, 200);
    let above = company.provider.group("All", &[company.group.as_str()]).await;
    let mapping = json!({
        "directory": company.provider.directory.to_string(), "group": { "id": above }, "role": "admin"
    });
    assert_eq!(company.provider.admin("POST", "/mappings", mapping).await.0, 201);
    assert_eq!(company.provider.member("p0@acme.test").await["role"], "admin");
    let deleted = company.provider.call("DELETE", &format!("/Groups/{above}"), Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(company.provider.member("p0@acme.test").await["role"], "admin", "held whole");
    let hold = company.only_hold().await;
    assert_eq!((&hold["kind"], &hold["waiting"]), (&json!("losses"), &json!(PEOPLE)));
    company.decide(&hold, "release", json!({})).await;
    let member = company.provider.member("p0@acme.test").await;
    assert_eq!((&member["role"], &member["state"]), (&json!("member"), &json!("active")));
}

#[tokio::test]
async fn a_group_that_is_mapped_by_its_name_and_renamed_takes_nothing_until_it_is_released() {
    let company = Company::new().await;
    let mapping = json!({
        "directory": company.provider.directory.to_string(), "group": { "display_name": "Eng" }, "role": "admin"
    });
    assert_eq!(company.provider.admin("POST", "/mappings", mapping).await.0, 201);
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "Engineering" }]);
    company.provider.patched(&format!("/Groups/{}", company.group), rename).await;
    assert_eq!(company.provider.member("p0@acme.test").await["role"], "admin", "held whole");
    let hold = company.only_hold().await;
    assert_eq!(hold["group"]["display_name"], "Eng", "the name by which the mapping knew it");
    company.decide(&hold, "release", json!({})).await;
    assert_eq!(company.provider.member("p0@acme.test").await["role"], "member", "mapped by its id too");
}

#[tokio::test]
async fn whoever_decides_stands_as_high_as_those_whom_it_is_about_and_needs_the_right_to_it() {
    let company = Company::new().await;
    let organization = company.provider.organization;
    let bench = &company.provider.bench;
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let reader = bench.member(organization, "reader@acme.test", "viewer");
    let owner = company.provider.member("p20@acme.test").await;
    let grant = json!({ "member": owner["id"], "role": "owner", "reason": "the founder" });
    assert_eq!(company.provider.admin("POST", "/grants", grant).await.0, 201);
    for n in (0..=FLOOR).chain([20]) {
        company.deactivate(n).await;
    }
    let hold = company.only_hold().await;
    let path = format!("/api/v1/organizations/acme/holds/{}/release", hold["id"].as_str().unwrap());
    let (status, problem) = bench.call("POST", &path, &reader.key, json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{problem}");
    for about in [json!({}), json!({ "members": [owner["id"]] })] {
        let (status, problem) = bench.call("POST", &path, &boss.key, about).await;
        assert_eq!((status, &problem["code"]), (403, &json!("above_own_rank")), "{problem}");
    }
    let member = company.provider.member(&format!("p{FLOOR}@acme.test")).await;
    let (status, decided) = bench.call("POST", &path, &boss.key, json!({ "members": [member["id"]] })).await;
    assert_eq!((status, &decided["people"]), (200, &json!(1)), "{decided}");
    assert_eq!(company.state(FLOOR).await, "deprovisioned");
    assert_eq!(company.state(20).await, "suspended", "the owner's end waits for an owner");
    let (_, events) = company.provider.admin("GET", "/audit-events?action=hold.released", Value::Null).await;
    assert_eq!(events["items"][0]["actor"]["id"], boss.membership.to_string(), "{events}");
    let path = format!("/audit-events?action=member.deprovisioned&target={}", member["id"].as_str().unwrap());
    let (_, events) = company.provider.admin("GET", &path, Value::Null).await;
    let event = &events["items"][0];
    assert_eq!(
        (&event["cause"]["kind"], &event["actor"]["id"]),
        (&json!("scim"), &json!(boss.membership.to_string()))
    );
}
