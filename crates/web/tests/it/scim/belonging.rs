//! What a directory's words do to access: given by groups, gone before the answer.

use portcullis_domain::mapping::MappingSource;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::ServiceError;
use portcullis_store::tombstone;
use serde_json::{Value, json};

use super::provider::{Provider, person};

fn eng() -> MappingSource {
    MappingSource::GroupDisplayName("Eng".to_owned())
}

fn off() -> Value {
    json!([{ "op": "Replace", "path": "active", "value": "False" }])
}

/// A person in the mapped group, with a key that is allowed.
async fn at_work(idp: &Provider) -> (String, String, Value, String) {
    idp.map(eng(), "member");
    let alice = idp.user("alice").await;
    let group = idp.group("Eng", &[&alice]).await;
    let member = idp.member("alice@acme.test").await;
    let key = idp.key(&member).await;
    assert_eq!(idp.code(&key).await, "allowed");
    (alice, group, member, key)
}

#[tokio::test]
async fn a_group_gives_the_role_and_active_false_takes_everything() {
    let idp = Provider::new();
    let alice = idp.user("alice").await;
    assert_eq!(idp.member("alice@acme.test").await["role"], Value::Null, "no group, no role");
    idp.map(eng(), "member");
    let group = idp.group("Eng", &[]).await;
    let added = idp
        .patched(
            &format!("/Groups/{group}"),
            json!([{ "op": "add", "path": "members", "value": [{ "value": alice }] }]),
        )
        .await;
    let member = idp.member("alice@acme.test").await;
    assert_eq!((&member["role"], &member["state"]), (&json!("member"), &json!("active")));
    let request = added.headers["x-request-id"].to_str().unwrap();
    assert_eq!(member["reasons"][0]["request_id"], request, "why is answerable: {member}");
    let key = idp.key(&member).await;
    assert_eq!(idp.code(&key).await, "allowed");

    let answer = idp.patched(&format!("/Users/{alice}"), off()).await;
    assert_eq!(idp.code(&key).await, "token_ended");
    let member = idp.member("alice@acme.test").await;
    assert_eq!((&member["state"], &member["role"]), (&json!("deprovisioned"), &Value::Null));
    let request = answer.headers["x-request-id"].to_str().unwrap();
    let (_, events) = idp.admin("GET", "/audit-events?action=token.ended&limit=200", Value::Null).await;
    assert_eq!(events["items"][0]["cause"]["request_id"], request, "{events}");
    let (_, receipts) = idp.admin("GET", "/receipts", Value::Null).await;
    assert_eq!(receipts["items"].as_array().unwrap().len(), 1, "{receipts}");

    let rows = idp.rows();
    idp.patched(&format!("/Users/{alice}"), off()).await;
    assert_eq!(idp.rows(), rows, "said again, nothing more ends");
    idp.patched(&format!("/Users/{alice}"), json!([{ "op": "replace", "value": { "active": true } }])).await;
    assert_eq!(idp.member("alice@acme.test").await["state"], "active");
    assert_eq!(idp.code(&key).await, "token_ended", "tokens never come back");
}

#[tokio::test]
async fn losing_the_last_group_refuses_at_once_and_ends_after_the_settling_time() {
    let idp = Provider::new();
    let (alice, group, member, key) = at_work(&idp).await;
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{alice}\"]") }]);
    idp.patched(&format!("/Groups/{group}"), remove.clone()).await;
    assert_eq!(idp.code(&key).await, "member_inactive");
    assert_eq!(idp.member("alice@acme.test").await["state"], "suspended");
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": alice }] }]);
    idp.patched(&format!("/Groups/{group}"), add).await;
    assert_eq!(idp.code(&key).await, "allowed", "moved by remove, then add");

    idp.patched(&format!("/Groups/{group}"), remove).await;
    idp.bench.clock.pass_s(3601);
    assert_ne!(idp.code(&key).await, "allowed");
    idp.bench.portcullis().step_rules().await.unwrap();
    assert_eq!(idp.code(&key).await, "token_ended");
    let below = format!("/members/{}", member["id"].as_str().unwrap());
    let (_, member) = idp.admin("GET", &below, Value::Null).await;
    assert_eq!(member["state"], "deprovisioned");
}

#[tokio::test]
async fn with_no_settling_time_every_way_of_losing_the_group_ends_at_once() {
    for way in ["patch", "put", "push", "rename", "delete", "deprovision"] {
        let idp = Provider::with(None, 0);
        let (alice, group, _, key) = at_work(&idp).await;
        let below = format!("/Groups/{group}");
        match way {
            "patch" => {
                idp.patched(
                    &below,
                    json!([{ "op": "Remove", "path": "members", "value": [{ "value": alice }] }]),
                )
                .await
            }
            "put" => idp.call("PUT", &below, json!({ "displayName": "Eng", "members": [] })).await,
            "push" => idp.patched(&below, json!([{ "op": "replace", "path": "members", "value": [] }])).await,
            "rename" => {
                idp.patched(&below, json!([{ "op": "replace", "path": "displayName", "value": "Ops" }])).await
            }
            "delete" => idp.call("DELETE", &below, Value::Null).await,
            _ => idp.call("DELETE", &format!("/Users/{alice}"), Value::Null).await,
        };
        assert_eq!(idp.code(&key).await, "token_ended", "{way}");
        assert_eq!(idp.member("alice@acme.test").await["state"], "deprovisioned", "{way}");
    }
}

#[tokio::test]
async fn deleted_and_told_of_again_is_somebody_new() {
    let idp = Provider::new();
    let (alice, _, member, key) = at_work(&idp).await;
    idp.grant(&member, "admin");
    assert_eq!(idp.member("alice@acme.test").await["role"], "admin");
    let below = format!("/Users/{alice}");
    assert_eq!(idp.call("DELETE", &below, Value::Null).await.status, 204);
    assert_eq!(idp.call("DELETE", &below, Value::Null).await.status, 404);
    assert_eq!(idp.call("GET", &below, Value::Null).await.status, 404);
    assert_eq!(idp.code(&key).await, "token_ended");
    let again = idp.user("alice").await;
    assert_ne!(again, alice, "ids are never used again");
    assert!(idp.got(&format!("/Users/{again}")).await.get("groups").is_none(), "no group came along");
    let (_, page) = idp.admin("GET", "/members?email=alice@acme.test", Value::Null).await;
    let members = page["items"].as_array().unwrap();
    assert_eq!(members.len(), 2, "{page}");
    let new = members.iter().find(|m| m["id"] != member["id"]).unwrap();
    assert_ne!(new["user"]["id"], member["user"]["id"]);
    assert_eq!((&new["role"], &new["state"]), (&Value::Null, &json!("suspended")));
    assert_eq!(idp.code(&key).await, "token_ended");
}

#[tokio::test]
async fn whoever_is_told_of_as_inactive_has_nothing_and_is_not_brought_to_life_by_a_group() {
    let idp = Provider::new();
    idp.map(eng(), "member");
    let mut inactive = person("alice");
    inactive["active"] = json!("False");
    let alice = idp.made("/Users", inactive.clone()).await;
    idp.group("Eng", &[&alice]).await;
    assert_eq!(idp.member("alice@acme.test").await["state"], "deprovisioned");
    assert_eq!(idp.call("POST", "/Users", inactive).await.status, 409, "found by its name, not made twice");
    idp.patched(&format!("/Users/{alice}"), json!([{ "op": "Replace", "path": "active", "value": "True" }]))
        .await;
    let member = idp.member("alice@acme.test").await;
    assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("member")));
}

#[tokio::test]
async fn a_member_who_was_here_before_is_recognized_by_a_proven_address_and_ends_with_the_directory() {
    let idp = Provider::new();
    let before = idp.bench.member(idp.organization, "alice@acme.test", "member");
    idp.prove("acme.test");
    let alice = idp.user("alice").await;
    let member = idp.member("alice@acme.test").await;
    assert_eq!(member["id"], before.membership.to_string(), "one person, one membership");
    assert_eq!(idp.code(&before.key).await, "allowed", "being recognized takes nothing");
    idp.patched(&format!("/Users/{alice}"), off()).await;
    assert_eq!(idp.code(&before.key).await, "token_ended");
}

#[tokio::test]
async fn one_organizations_directory_touches_nothing_of_the_other() {
    let idp = Provider::new();
    let globex = idp.bench.organization("globex");
    let other = Provider::beside(&idp.bench, globex, "globex", Some("member"), 0);
    let (alice, ..) = at_work(&idp).await;
    other.user("alice").await;
    let there = other.key(&other.member("alice@acme.test").await).await;
    assert_eq!(other.code(&there).await, "allowed");
    assert_eq!(idp.call("DELETE", &format!("/Users/{alice}"), Value::Null).await.status, 204);
    assert_eq!(other.code(&there).await, "allowed");
    assert_eq!(other.member("alice@acme.test").await["state"], "active");
}

#[tokio::test]
async fn a_large_change_is_refused_to_its_people_at_once_and_ended_by_the_job() {
    let idp = Provider::with(None, 0);
    idp.map(eng(), "member");
    let mut people = Vec::new();
    for n in 0..130 {
        people.push(idp.user(&format!("user{n}")).await);
    }
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let group = idp.group("Eng", &ids).await;
    idp.bench.portcullis().step_rules().await.unwrap();
    let key = idp.key(&idp.member("user7@acme.test").await).await;
    assert_eq!(idp.code(&key).await, "allowed");
    idp.patched(&format!("/Groups/{group}"), json!([{ "op": "replace", "path": "members", "value": [] }]))
        .await;
    assert_ne!(idp.code(&key).await, "allowed", "stale access is resolved where it is asked");
    idp.bench.portcullis().step_rules().await.unwrap();
    assert_eq!(idp.code(&key).await, "token_ended");
}

#[tokio::test]
async fn an_address_whose_domain_is_not_proven_recognizes_nobody() {
    let idp = Provider::new();
    let before = idp.bench.member(idp.organization, "alice@acme.test", "member");
    let alice = idp.user("alice").await;
    idp.patched(&format!("/Users/{alice}"), off()).await;
    assert_eq!(idp.code(&before.key).await, "allowed", "a directory ends only whom it may know");
}

#[tokio::test]
async fn an_owner_leaves_like_everybody_and_the_last_one_keeps_the_bare_ownership() {
    let idp = Provider::new();
    idp.prove("acme.test");
    let first = idp.bench.member(idp.organization, "alice@acme.test", "owner");
    let last = idp.bench.member(idp.organization, "bob@acme.test", "owner");
    let (alice, bob) = (idp.user("alice").await, idp.user("bob").await);
    let answer = idp.patched(&format!("/Users/{alice}"), off()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["active"]), (200, &json!(false)));
    let member = idp.member("alice@acme.test").await;
    assert_eq!((&member["state"], &member["role"]), (&json!("deprovisioned"), &Value::Null));
    assert_eq!(idp.code(&first.key).await, "token_ended");

    let answer = idp.patched(&format!("/Users/{bob}"), off()).await;
    assert_eq!(answer.status, 200, "the call is answered, whoever it is about");
    assert_eq!(idp.code(&last.key).await, "token_ended");
    let member = idp.member("bob@acme.test").await;
    assert_eq!((&member["state"], &member["role"]), (&json!("deprovisioned"), &json!("owner")));
    let (_, events) = idp.admin("GET", "/audit-events?action=member.last_owner_kept", Value::Null).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
}

#[tokio::test]
async fn a_last_owner_who_comes_back_is_owner_only_when_a_person_says_so() {
    let idp = Provider::with(Some("member"), 0);
    idp.prove("acme.test");
    idp.bench.member(idp.organization, "bob@acme.test", "owner");
    let bob = idp.user("bob").await;
    idp.patched(&format!("/Users/{bob}"), off()).await;
    assert_eq!(idp.member("bob@acme.test").await["role"], json!("owner"), "bare");
    let on = json!([{ "op": "replace", "value": { "active": true } }]);
    idp.patched(&format!("/Users/{bob}"), on).await;
    let member = idp.member("bob@acme.test").await;
    assert_eq!((&member["state"], &member["role"]), (&json!("active"), &json!("member")), "{member}");
    let (_, grants) = idp.admin("GET", "/grants", Value::Null).await;
    assert!(!grants.to_string().contains(member["id"].as_str().unwrap()), "{grants}");
    let given = json!({ "member": member["id"], "role": "owner", "reason": "it is theirs again" });
    let (status, answer) = idp.admin("POST", "/grants", given).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(idp.member("bob@acme.test").await["role"], json!("owner"));
}

#[tokio::test]
async fn whoever_stays_out_is_called_by_nothing_that_somebody_new_may_come_in_by() {
    let idp = Provider::new();
    let (alice, group, _, _) = at_work(&idp).await;
    let lies = |address: &'static str| {
        let organization = idp.organization;
        let names = [Identifier::email(address), Identifier::user_name(address)];
        idp.bench.write(move |tx, _| {
            let found = names.iter().map(|name| Ok(tombstone::find(tx, organization, name)?.is_some()));
            Ok(found.collect::<Result<Vec<_>, ServiceError>>()? == [true, true])
        })
    };
    let (said, name, other) = (format!("/Users/{alice}"), "alice@acme.test", "a.liddell@acme.test");
    idp.patched(&said, off()).await;
    idp.patched(&format!("/Groups/{group}"), json!([{ "op": "remove", "path": "members" }])).await;
    assert!(lies(name));
    idp.patched(&said, json!([{ "op": "replace", "value": { "active": true } }])).await;
    assert_eq!(idp.member(name).await["state"], json!("deprovisioned"), "in no group");
    assert!(lies(name));
    idp.patched(&said, json!([{ "op": "replace", "path": "userName", "value": other }])).await;
    assert!(lies(name) && lies(other));
    assert_eq!(idp.call("DELETE", &said, Value::Null).await.status, 204);
    assert!(lies(name) && lies(other));
}

#[tokio::test]
async fn invitations_to_any_address_of_a_leaver_end_with_them_and_those_to_others_stay() {
    let idp = Provider::with(Some("member"), 0);
    for address in ["a.liddell@acme.test", "bob@acme.test"] {
        let body = json!({ "email": address, "role": "viewer" });
        assert_eq!(idp.admin("POST", "/invitations", body).await.0, 201, "{address}");
    }
    let mut alice = person("alice");
    alice["emails"] = json!([{ "type": "home", "value": "A.Liddell@acme.test" }]);
    let alice = idp.made("/Users", alice).await;
    idp.patched(&format!("/Users/{alice}"), off()).await;
    let (_, invitations) = idp.admin("GET", "/invitations", Value::Null).await;
    let states = invitations["items"].as_array().unwrap().iter();
    let mut states: Vec<_> = states.map(|i| (i["email"].as_str(), i["state"].as_str())).collect();
    states.sort_unstable();
    let expected =
        [("a.liddell@acme.test", "ended"), ("bob@acme.test", "pending")].map(|(e, s)| (Some(e), Some(s)));
    assert_eq!(states, expected, "{invitations}");
}

#[tokio::test]
async fn automation_never_gives_ownership() {
    let idp = Provider::new();
    idp.map(eng(), "owner");
    let alice = idp.user("alice").await;
    idp.group("Eng", &[&alice]).await;
    assert_eq!(idp.member("alice@acme.test").await["role"], Value::Null);
    let roles = json!([{ "op": "add", "path": "roles", "value": [{ "value": "owner", "primary": true }] }]);
    idp.patched(&format!("/Users/{alice}"), roles).await;
    assert_eq!(idp.member("alice@acme.test").await["role"], Value::Null);
}

/// What everybody is told of a member: members, and the proxy that asks.
async fn called(idp: &Provider, member: &str, key: &str) -> (Value, Value, String) {
    let (_, shown) = idp.admin("GET", &format!("/members/{member}"), Value::Null).await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let asked = idp.bench.exchange("GET", "/authz/forward?organization=acme", &headers, &Value::Null).await;
    let header = asked.headers["x-portcullis-email"].to_str().unwrap().to_owned();
    (shown["user"]["name"].clone(), shown["user"]["email"].clone(), header)
}

#[tokio::test]
async fn a_new_name_and_address_are_the_members_and_a_second_directory_gives_neither() {
    let idp = Provider::new();
    let (alice, _, member, key) = at_work(&idp).await;
    let member = member["id"].as_str().unwrap();
    let married = json!([
        { "op": "replace", "path": "displayName", "value": "Alice King" },
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "alice.king@acme.test" },
        { "op": "replace", "path": "userName", "value": "alice.king@acme.test" },
    ]);
    idp.patched(&format!("/Users/{alice}"), married.clone()).await;
    let now = (json!("Alice King"), json!("alice.king@acme.test"), "alice.king@acme.test".to_owned());
    assert_eq!(called(&idp, member, &key).await, now);
    let (_, events) = idp.admin("GET", "/audit-events?action=member.updated", Value::Null).await;
    let changed = &events["items"][0];
    assert_eq!(changed["detail"], json!({ "name": true, "email": true }), "{events}");
    assert_eq!(changed["cause"]["kind"], "scim");
    let rows = idp.rows();
    idp.patched(&format!("/Users/{alice}"), married).await;
    assert_eq!(idp.rows(), rows, "said again");

    idp.prove("acme.test");
    let other = Provider::beside(&idp.bench, idp.organization, "acme", Some("member"), 3600);
    let theirs = other.user("alice.king").await;
    assert_eq!(other.member("alice.king@acme.test").await["id"], member, "recognized");
    let renamed = json!([{ "op": "replace", "path": "displayName", "value": "Mallory" }]);
    other.patched(&format!("/Users/{theirs}"), renamed).await;
    assert_eq!(called(&idp, member, &key).await, now, "only who governs them names them");
}

#[tokio::test]
async fn an_address_follows_its_directory_and_is_taken_from_nobody_whom_that_does_not_name() {
    let idp = Provider::with(Some("member"), 3600);
    let joined = idp.bench.member(idp.organization, "dora@acme.test", "member");
    let [bob, carol] = [idp.user("bob").await, idp.user("carol").await];
    let [of_bob, of_carol] = [idp.member("bob@acme.test").await, idp.member("carol@acme.test").await]
        .map(|member| member["id"].as_str().unwrap().to_owned());
    let to = |name: &str| {
        let address = format!("{name}@acme.test");
        json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": address }])
    };
    let at = async |name: &str| {
        let (_, page) = idp.admin("GET", &format!("/members?email={name}@acme.test"), Value::Null).await;
        let ids = page["items"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<String>>()
    };
    // Two swap theirs, one after the other.
    idp.patched(&format!("/Users/{bob}"), to("carol")).await;
    idp.patched(&format!("/Users/{carol}"), to("bob")).await;
    assert_eq!((at("carol").await, at("bob").await), (vec![of_bob.clone()], vec![of_carol]));

    idp.patched(&format!("/Users/{bob}"), to("dora")).await;
    let dora = vec![joined.membership.to_string()];
    assert_eq!(
        (at("dora").await, at("carol").await),
        (dora.clone(), vec![of_bob.clone()]),
        "hers stays hers"
    );
    let leave = json!({ "reason": "left" });
    assert_eq!(idp.admin("POST", &format!("/members/{}/offboard", dora[0]), leave).await.0, 200);
    idp.patched(&format!("/Users/{bob}"), to("dora")).await;
    assert!(at("dora").await.contains(&of_bob), "said again, it follows");
}

#[tokio::test]
async fn whoever_has_life_of_their_own_is_renamed_by_their_directory_and_keeps_their_address() {
    let idp = Provider::with(Some("member"), 3600);
    idp.prove("acme.test");
    let joined = idp.bench.member(idp.organization, "alice@acme.test", "member");
    let alice = idp.user("alice").await;
    let member = idp.member("alice@acme.test").await;
    assert_eq!(member["id"], joined.membership.to_string(), "recognized");
    assert_eq!(member["user"]["name"], "alice Example", "called as the directory says from the first day");
    let married = json!([
        { "op": "replace", "path": "displayName", "value": "Alice King" },
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "alice.king@acme.test" },
    ]);
    idp.patched(&format!("/Users/{alice}"), married).await;
    let (_, shown) = idp.admin("GET", &format!("/members/{}", joined.membership), Value::Null).await;
    assert_eq!(shown["user"]["name"], "Alice King", "{shown}");
    assert_eq!(shown["user"]["email"], "alice@acme.test", "their own sign-in hangs on it: {shown}");
}

#[tokio::test]
async fn whoever_has_an_open_invitation_keeps_the_address_that_it_is_for() {
    let idp = Provider::with(Some("member"), 3600);
    idp.prove("acme.test");
    let wish = json!({ "email": "alice@acme.test", "role": "member" });
    assert_eq!(idp.admin("POST", "/invitations", wish).await.0, 201);
    let alice = idp.user("alice").await;
    let member = idp.member("alice@acme.test").await["id"].as_str().unwrap().to_owned();
    let moved = json!([
        { "op": "replace", "path": "displayName", "value": "Alice King" },
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "mallory@acme.test" },
    ]);
    idp.patched(&format!("/Users/{alice}"), moved.clone()).await;
    let shown = async || idp.admin("GET", &format!("/members/{member}"), Value::Null).await.1["user"].clone();
    let now = shown().await;
    assert_eq!((&now["name"], &now["email"]), (&json!("Alice King"), &json!("alice@acme.test")), "{now}");
    idp.bench.clock.pass_s(90 * 24 * 3_600);
    idp.patched(&format!("/Users/{alice}"), moved).await;
    assert_eq!(shown().await["email"], "mallory@acme.test", "once it ran out");
}
