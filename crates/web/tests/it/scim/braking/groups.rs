//! What is held of a group and is said of its people afterwards: what a directory says of somebody by name counts at once.

use serde_json::json;

use super::{Company, GROUP, PEOPLE};

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
async fn a_preview_counts_nobody_who_only_keeps_what_a_group_gave() {
    let company = Company::new().await;
    company.empty().await;
    let wish = json!({
        "directory": company.provider.directory.to_string(), "group": { "id": company.group }, "role": "admin"
    });
    let (status, seen) = company.provider.admin("POST", "/mappings/preview", wish).await;
    assert_eq!((status, &seen["people"], &seen["changing"]), (200, &json!(0), &json!(0)), "{seen}");
}
