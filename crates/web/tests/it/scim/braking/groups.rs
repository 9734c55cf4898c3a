//! What is held of a group and is said of its people afterwards: what a directory says of somebody by name counts at once.

use serde_json::{Value, json};

use super::{Company, FLOOR, GROUP, PEOPLE};

impl Company {
    async fn rename(&self, to: &str) {
        let rename = json!([{ "op": "replace", "path": "displayName", "value": to }]);
        self.provider.patched(&format!("/Groups/{}", self.group), rename).await;
    }

    async fn empty(&self) {
        let put = json!({ "schemas": [GROUP], "displayName": "Eng", "members": [] });
        self.provider.call("PUT", &format!("/Groups/{}", self.group), put).await;
    }

    /// Takes somebody out of a group, as most providers spell it.
    async fn take_out(&self, n: usize, group: &str) {
        let path = format!("members[value eq \"{}\"]", self.users[n]);
        let operations = json!([{ "op": "remove", "path": path }]);
        self.provider.patched(&format!("/Groups/{group}"), operations).await;
    }

    async fn put_in(&self, n: usize, group: &str) {
        let operations = json!([{ "op": "add", "path": "members", "value": [{ "value": self.users[n] }] }]);
        self.provider.patched(&format!("/Groups/{group}"), operations).await;
    }

    async fn code(&self, n: usize) -> String {
        self.provider.code(&self.keys[n]).await
    }

    async fn role(&self, n: usize) -> Value {
        self.provider.member(&format!("p{n}@acme.test")).await["role"].clone()
    }

    async fn map(&self, group: Value, role: &str) -> (u16, Value) {
        let directory = self.provider.directory.to_string();
        let mapping = json!({ "directory": directory, "group": group, "role": role });
        self.provider.admin("POST", "/mappings", mapping).await
    }

    async fn nest(&self) {
        let path = format!("/directories/{}", self.provider.directory);
        assert_eq!(self.provider.admin("PATCH", &path, json!({ "nested": true })).await.0, 200);
    }

    async fn only_mapping(&self) -> String {
        let (_, mappings) = self.provider.admin("GET", "/mappings", Value::Null).await;
        mappings["items"][0]["id"].as_str().expect("an id").to_owned()
    }
}

#[tokio::test]
async fn a_group_that_gives_nothing_may_lose_everybody_and_nobody_is_counted() {
    let company = Company::new().await;
    let users: Vec<&str> = company.users.iter().map(String::as_str).collect();
    let social = company.provider.group("Social", &users).await;
    let put = json!({ "schemas": [GROUP], "displayName": "Social", "members": [] });
    company.provider.call("PUT", &format!("/Groups/{social}"), put).await;
    assert_eq!(company.provider.holds().await, Vec::<Value>::new());
    for n in 0..FLOOR {
        company.deactivate(n).await;
        assert_eq!(company.state(n).await, "deprovisioned", "person {n}");
    }
}

#[tokio::test]
async fn whoever_is_named_in_a_group_that_was_renamed_above_the_limit_loses_what_only_its_name_gave_at_once()
{
    let company = Company::mapped(|_| json!({ "display_name": "Eng" })).await;
    company.rename("Engineering").await;
    assert_eq!(company.only_hold().await["waiting"], PEOPLE);
    assert_eq!(company.code(0).await, "allowed", "held whole");
    company.take_out(0, &company.group).await;
    assert_eq!(company.code(0).await, "token_ended", "a statement about a person takes effect at once");
    // In the group, which no mapping is about: what is said of them counts, not what was held.
    company.put_in(1, &company.group).await;
    assert_eq!(company.code(1).await, "token_ended");
    assert_eq!(company.only_hold().await["waiting"], PEOPLE - 2);
    assert_eq!(company.code(2).await, "allowed", "nobody named them");
}

#[tokio::test]
async fn a_mapping_that_is_pointed_elsewhere_gives_nothing_to_whoever_keeps_what_a_group_gave_by_it() {
    let company = Company::new().await;
    company.empty().await;
    assert_eq!(company.code(0).await, "allowed", "held whole");
    let path = format!("/mappings/{}", company.only_mapping().await);
    let elsewhere = json!({ "group": { "display_name": "Bosses" }, "role": "admin" });
    assert_eq!(company.provider.admin("PATCH", &path, elsewhere).await.0, 200);
    let member = company.provider.member("p0@acme.test").await;
    assert_eq!(
        (&member["role"], company.code(0).await),
        (&Value::Null, "token_ended".to_owned()),
        "{member}"
    );
    assert_eq!(company.only_hold().await["waiting"], 0, "nobody keeps anything");
}

#[tokio::test]
async fn a_group_that_was_deleted_and_made_again_stands_for_the_one_of_before() {
    let company = Company::mapped(|_| json!({ "display_name": "Eng" })).await;
    let path = format!("/Groups/{}", company.group);
    assert_eq!(company.provider.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(company.only_hold().await["waiting"], PEOPLE);
    let [first, second] = [0, 1].map(|n| company.users[n].as_str());
    let again = company.provider.group("Eng", &[first, second]).await;
    assert_eq!(company.only_hold().await["waiting"], PEOPLE - 2, "named as members again");
    company.take_out(0, &again).await;
    assert_eq!(company.code(0).await, "token_ended", "and out of it");
    for n in [1, 2] {
        assert_eq!(company.code(n).await, "allowed", "person {n}");
    }
}

#[tokio::test]
async fn whoever_is_taken_out_of_the_group_below_by_name_loses_what_a_group_above_gave_by_it_and_is_held() {
    let company = Company::new().await;
    company.nest().await;
    let ops = company.provider.group("Ops", &[company.users[1].as_str()]).await;
    let above = company.provider.group("All", &[company.group.as_str(), ops.as_str()]).await;
    assert_eq!(company.map(json!({ "id": above }), "admin").await.0, 201);
    assert_eq!(company.provider.call("DELETE", &format!("/Groups/{above}"), Value::Null).await.status, 204);
    assert_eq!(
        (company.role(0).await, company.role(1).await),
        (json!("admin"), json!("admin")),
        "held whole"
    );
    for n in [0, 1] {
        company.take_out(n, &company.group).await;
    }
    assert_eq!(company.code(0).await, "token_ended", "they were below it by this group alone");
    assert_eq!(
        (company.role(1).await, company.code(1).await),
        (json!("admin"), "allowed".to_owned()),
        "by another too"
    );
    company.take_out(1, &ops).await;
    assert_eq!(company.code(1).await, "token_ended");
    // Named as a member of the group below: that says nothing of the group above.
    company.put_in(2, &company.group).await;
    assert_eq!(company.role(2).await, "admin");
    assert_eq!(company.only_hold().await["waiting"], PEOPLE - 2);
}

#[tokio::test]
async fn a_preview_counts_nobody_who_only_keeps_what_a_group_gave() {
    let company = Company::new().await;
    company.empty().await;
    let wish = json!({
        "directory": company.provider.directory.to_string(), "group": { "id": company.group }, "role": "admin"
    });
    let (status, seen) = company.provider.admin("POST", "/mappings/preview", wish).await;
    assert_eq!((status, &seen["people"], &seen["changing"]), (200, &json!(0), &json!(0)), "{seen}");
}
