//! Matching with review: what is exact is matched, what is not waits for an administrator, and nobody is matched across
//! organizations.

use std::collections::BTreeMap;

use portcullis_testkit::{Persona, ROOT_TOKEN};
use serde_json::{Value, json};

use super::provider::{Provider, person};

impl Provider {
    async fn reviews(&self, query: &str) -> Vec<Value> {
        let (status, page) = self.admin("GET", &format!("/reviews{query}"), Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().expect("items").clone()
    }

    async fn only_review(&self) -> Value {
        let reviews = self.reviews("").await;
        assert_eq!(reviews.len(), 1, "{reviews:#?}");
        reviews[0].clone()
    }

    async fn decide(&self, review: &Value, what: &str, body: Value) -> (u16, Value) {
        let path = format!("/reviews/{}/{what}", review["id"].as_str().expect("an id"));
        self.admin("POST", &path, body).await
    }

    /// Somebody who joined by themselves, before any directory told of them.
    fn joined(&self, name: &str, role: &str) -> Persona {
        self.bench.member(self.organization, &format!("{name}@acme.test"), role)
    }

    async fn by_id(&self, member: &Value) -> Value {
        let path = format!("/members/{}", member.as_str().expect("an id"));
        let (status, member) = self.admin("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{member}");
        member
    }
}

fn codes(reviews: &[Value]) -> Vec<&str> {
    reviews.iter().map(|r| r["reason"].as_str().expect("a reason")).collect()
}

#[tokio::test]
async fn an_exact_match_needs_no_review_and_nobody_unknown_makes_one() {
    let provider = Provider::with(Some("member"), 3600);
    provider.prove("acme.test");
    let ada = provider.joined("ada", "viewer");
    provider.user("ada").await;
    provider.user("bob").await;
    assert!(provider.reviews("").await.is_empty());
    let member = provider.member("ada@acme.test").await;
    assert_eq!(member["id"], ada.membership.to_string(), "matched by a proven address");
}

#[tokio::test]
async fn an_address_outside_the_proven_domains_is_matched_by_an_administrator_and_by_nobody_else() {
    let provider = Provider::with(Some("member"), 3600);
    let ada = provider.joined("ada", "viewer");
    let key = provider.key(&json!({ "id": ada.membership.to_string() })).await;
    provider.user("ada").await;
    let review = provider.only_review().await;
    assert_eq!((&review["reason"], &review["state"]), (&json!("domain_not_proven"), &json!("open")));
    assert_eq!(review["candidates"][0]["member"], ada.membership.to_string());
    assert_eq!(review["person"]["user_name"], "ada@acme.test");
    let made = review["person"]["member"].clone();
    assert_ne!(made, ada.membership.to_string());
    let body = json!({ "member": ada.membership.to_string() });
    let (status, attached) = provider.decide(&review, "attach", body.clone()).await;
    assert_eq!((status, &attached["state"]), (200, &json!("attached")), "{attached}");
    assert_eq!(provider.by_id(&made).await["state"], "deprovisioned", "the one that was made meanwhile");
    let member = provider.by_id(&json!(ada.membership.to_string())).await;
    assert_eq!(member["governed_by"], provider.directory.to_string(), "{member}");
    // Said again nothing changes; somebody else it cannot be any more.
    assert_eq!(provider.decide(&review, "attach", body).await.0, 200);
    let eve = provider.joined("eve", "viewer");
    let (status, refused) =
        provider.decide(&review, "attach", json!({ "member": eve.membership.to_string() })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("taken")));
    assert!(provider.reviews("").await.is_empty());
    assert_eq!(provider.reviews("?state=all").await.len(), 1);
    // From here on the directory's word ends them.
    let user = review["person"]["id"].as_str().unwrap();
    let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
    provider.patched(&format!("/Users/{user}"), operations).await;
    assert_eq!(provider.code(&key).await, "token_ended");
}

#[tokio::test]
async fn nobody_new_is_called_by_an_address_that_a_member_has_whom_the_directory_does_not_name() {
    let provider = Provider::with(Some("member"), 3600);
    let ada = provider.joined("ada", "admin");
    let mut mallory = person("mallory");
    mallory["emails"] = json!([{ "value": "ada@acme.test", "primary": true, "type": "work" }]);
    let told = provider.made("/Users", mallory.clone()).await;
    provider.user("ada").await;
    let reviews = provider.reviews("").await;
    assert_eq!(codes(&reviews), ["domain_not_proven"; 2]);
    let mut called = BTreeMap::new();
    for review in &reviews {
        let member = provider.by_id(&review["person"]["member"]).await;
        assert_eq!(member["state"], "active", "who they are waits, and nothing else: {member}");
        called.insert(review["person"]["user_name"].as_str().expect("a text").to_owned(), member);
    }
    let email = |user_name: &str| called[user_name]["user"]["email"].clone();
    assert_eq!(
        email("mallory@acme.test"),
        "mallory@acme.test",
        "the name that the directory signs them in with"
    );
    assert_eq!(email("ada@acme.test"), "", "or nothing");
    let (_, page) = provider.admin("GET", "/members?email=ada@acme.test", Value::Null).await;
    assert_eq!(page["items"].as_array().expect("items").len(), 1, "{page}");
    // Once nobody else has it, it is theirs with the next word of the directory.
    let path = format!("/members/{}/offboard", ada.membership);
    assert_eq!(provider.admin("POST", &path, json!({ "reason": "left" })).await.0, 200);
    assert_eq!(provider.call("PUT", &format!("/Users/{told}"), mallory).await.status, 200);
    let now = provider.by_id(&called["mallory@acme.test"]["id"]).await;
    assert_eq!(now["user"]["email"], "ada@acme.test");
}

#[tokio::test]
async fn an_address_that_people_write_themselves_matches_nobody() {
    let provider = Provider::with(Some("member"), 3600);
    provider.prove("acme.test");
    let ada = provider.joined("ada", "admin");
    let mut carol = person("carol");
    carol["emails"] = json!([{ "value": "carol@acme.test", "primary": true, "type": "work" },
        { "value": "ada@acme.test", "type": "home" }]);
    provider.made("/Users", carol).await;
    let review = provider.only_review().await;
    assert_eq!(review["reason"], "other_address");
    assert_eq!(review["candidates"][0]["member"], ada.membership.to_string());
    assert_ne!(review["person"]["member"], ada.membership.to_string(), "she is nobody but herself");
}

#[tokio::test]
async fn who_is_deleted_by_one_directory_and_active_in_another_is_shown_and_comes_back_by_an_administrator() {
    let one = Provider::with(Some("member"), 3600);
    one.prove("acme.test");
    let other = Provider::beside(&one.bench, one.organization, "acme", Some("viewer"), 3600);
    let here = one.user("ada").await;
    let there = other.user("ada").await;
    let member = one.member("ada@acme.test").await;
    let key = one.key(&member).await;
    assert_eq!(one.call("DELETE", &format!("/Users/{here}"), Value::Null).await.status, 204);
    assert_eq!(one.code(&key).await, "token_ended");
    other
        .patched(&format!("/Users/{there}"), json!([{ "op": "replace", "path": "active", "value": true }]))
        .await;
    assert_eq!(one.by_id(&member["id"]).await["state"], "deprovisioned", "whatever the other one says");
    let review = one.only_review().await;
    assert_eq!((&review["reason"], &review["person"]["id"]), (&json!("ended_elsewhere"), &json!(there)));
    assert_eq!(review["directory"], other.directory.to_string(), "{review}");
    let invitation = json!({ "email": "ada@acme.test", "role": "member" });
    let (status, invited) = one.admin("POST", "/invitations", invitation).await;
    assert_eq!(status, 201, "{invited}");
    let (_, members) = one.admin("GET", "/members?email=ada@acme.test&state=invited", Value::Null).await;
    let now = members["items"][0]["id"].clone();
    let (status, attached) = one.decide(&review, "attach", json!({ "member": now })).await;
    assert_eq!((status, &attached["state"]), (200, &json!("attached")), "{attached}");
    let back = one.by_id(&now).await;
    assert_eq!(
        (&back["state"], &back["governed_by"]),
        (&json!("active"), &json!(other.directory.to_string())),
        "{back}"
    );
    assert_eq!(one.by_id(&member["id"]).await["state"], "deprovisioned", "the former membership stays ended");
    assert_eq!(one.code(&key).await, "token_ended");
}

#[tokio::test]
async fn who_is_deleted_by_one_directory_and_inactive_in_another_is_locked_out_by_both_and_nothing_to_decide()
{
    let one = Provider::with(Some("member"), 3600);
    one.prove("acme.test");
    let other = Provider::beside(&one.bench, one.organization, "acme", Some("viewer"), 3600);
    let here = one.user("ada").await;
    let there = other.user("ada").await;
    let member = one.member("ada@acme.test").await;
    other
        .patched(&format!("/Users/{there}"), json!([{ "op": "replace", "path": "active", "value": false }]))
        .await;
    assert_eq!(one.by_id(&member["id"]).await["state"], "active", "the other one does not govern");
    assert_eq!(one.call("DELETE", &format!("/Users/{here}"), Value::Null).await.status, 204);
    assert_eq!(one.by_id(&member["id"]).await["state"], "deprovisioned");
    assert!(one.reviews("?state=all").await.is_empty(), "both say that they left");
}

#[tokio::test]
async fn several_members_and_a_member_who_is_told_of_already_are_reviewed() {
    let provider = Provider::with(Some("member"), 3600);
    provider.prove("acme.test");
    provider.joined("ada", "viewer");
    provider.joined("lovelace", "viewer");
    let mut both = person("ada");
    both["emails"] =
        json!([{ "value": "ada@acme.test", "primary": true }, { "value": "lovelace@acme.test" }]);
    provider.made("/Users", both).await;
    assert_eq!(codes(&provider.reviews("").await), ["several_members"]);
    provider.joined("bob", "viewer");
    provider.user("bob").await;
    let mut again = person("bob");
    again["userName"] = json!("bob.second");
    again["externalId"] = json!("ext-second");
    provider.made("/Users", again).await;
    let reviews = provider.reviews("").await;
    assert_eq!(codes(&reviews), ["several_members", "already_told"]);
    let member = reviews[1]["candidates"][0]["member"].clone();
    let (status, refused) = provider.decide(&reviews[1], "attach", json!({ "member": member })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("taken")), "one person of a directory is one member");
    let (status, dismissed) = provider.decide(&reviews[1], "dismiss", json!({})).await;
    assert_eq!((status, &dismissed["state"]), (200, &json!("dismissed")));
    assert_eq!(provider.decide(&reviews[1], "dismiss", json!({})).await.0, 200);
    assert_eq!(codes(&provider.reviews("").await), ["several_members"]);
    let ada = provider.member("ada@acme.test").await;
    assert_eq!(ada["governed_by"], Value::Null, "nothing was decided by itself");
}

#[tokio::test]
async fn what_a_directory_tells_of_no_longer_is_nothing_to_decide() {
    let provider = Provider::with(Some("member"), 3600);
    provider.joined("ada", "viewer");
    let user = provider.user("ada").await;
    let review = provider.only_review().await;
    let deleted = provider.call("DELETE", &format!("/Users/{user}"), Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert!(provider.reviews("").await.is_empty());
    let member = review["candidates"][0]["member"].clone();
    let (status, refused) = provider.decide(&review, "attach", json!({ "member": member })).await;
    assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn nobody_attaches_a_directory_to_somebody_above_them_or_of_another_organization() {
    let provider = Provider::with(Some("member"), 3600);
    let owner = provider.joined("ada", "owner");
    let admin = provider.joined("eve", "admin");
    provider.user("ada").await;
    let review = provider.only_review().await;
    let path = format!("/api/v1/organizations/acme/reviews/{}/attach", review["id"].as_str().expect("an id"));
    let body = json!({ "member": owner.membership.to_string() });
    let (status, refused) = provider.bench.call("POST", &path, &admin.key, body.clone()).await;
    assert_eq!((status, &refused["code"]), (403, &json!("above_own_rank")));
    let beta = provider.bench.organization("beta");
    let other = Provider::beside(&provider.bench, beta, "beta", Some("member"), 3600);
    other.user("ada").await;
    let stranger = other.member("ada@acme.test").await;
    assert_eq!(other.reviews("").await.len(), 0, "nobody is looked for across organizations");
    assert_eq!(provider.only_review().await["candidates"].as_array().map(Vec::len), Some(1));
    let (status, refused) = provider.decide(&review, "attach", json!({ "member": stranger["id"] })).await;
    assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
    let foreign = path.replace("/acme/", "/beta/");
    let (status, refused) = provider.bench.call("POST", &foreign, ROOT_TOKEN, body).await;
    assert_eq!((status, &refused["code"]), (404, &json!("not_found")));
    let (status, attached) = provider
        .bench
        .call("POST", &path, &owner.key, json!({ "member": owner.membership.to_string() }))
        .await;
    assert_eq!(status, 200, "{attached}");
}

#[tokio::test]
async fn whoever_comes_again_while_their_end_is_held_is_somebody_new_and_an_administrator_sees_both() {
    let provider = Provider::with(Some("member"), 3600);
    provider.prove("acme.test");
    let path = format!("/directories/{}", provider.directory);
    assert_eq!(provider.admin("PATCH", &path, json!({ "brake": { "max_people": 10 } })).await.0, 200);
    for n in 0..11 {
        let user = provider.user(&format!("p{n}")).await;
        let deleted = provider.call("DELETE", &format!("/Users/{user}"), Value::Null).await;
        assert_eq!(deleted.status, 204);
    }
    provider.user("p10").await;
    let review = provider.only_review().await;
    assert_eq!(review["reason"], "end_held");
    assert_eq!(review["candidates"][0]["state"], "suspended");
    assert_ne!(review["candidates"][0]["member"], review["person"]["member"]);
}
