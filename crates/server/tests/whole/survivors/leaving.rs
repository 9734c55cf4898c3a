//! Somebody leaves: what is made ready for it, what is said, and what an administrator decides about it.

use portcullis_domain::connection::ConnectionKind;
use portcullis_emulator::GooglePerson;
use serde_json::{Value, json};

use super::scene::{Idps, Leaver, Scene};
use super::ways::Way;
use crate::harness::{Server, text, until};

/// More than one call carries out itself.
const CROWD: usize = 500;
/// Seconds in which the loss of the last group settles.
const SETTLE_S: u64 = 1;

/// A PATCH with that operation.
pub fn patch(operation: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

/// Somebody who leaves that scene that way.
pub struct Leaving<'l> {
    pub server: &'l Server,
    pub idps: &'l Idps,
    pub scene: &'l Scene,
    pub other: &'l Scene,
    pub way: Way,
    pub leaver: &'l Leaver,
}

/// What was made ready.
#[derive(Default)]
pub struct Ready {
    /// A group of their own, by which they have access, and its mapping.
    group: String,
    mapping: String,
    /// What an administrator is to decide about.
    hold: String,
}

impl Leaving<'_> {
    /// Makes ready what the way takes. Nothing is lost by it.
    pub async fn prepare(&self) -> Ready {
        let mut ready = Ready::default();
        let (server, scene) = (self.server, self.scene);
        match self.way {
            Way::GroupDeleted | Way::LastOfTwoGroups | Way::MappingDeleted => {
                (ready.group, ready.mapping) = self.own_group().await;
            }
            Way::GroupSettled => scene.patch_directory(server, json!({ "settle_s": SETTLE_S })).await,
            Way::DirectoryDeleted => scene.free_directory(server).await,
            Way::DirectoryOfManyDeleted => {
                scene.crowd(server, CROWD).await;
                scene.free_directory(server).await;
            }
            Way::MappingOfManyDeleted => {
                scene.crowd(server, CROWD).await;
                ready.mapping = self.mapping_of(&json!({ "external_id": "admins" })).await;
            }
            Way::HeldLossReleased => {
                self.say("PUT", &format!("/Groups/{}", scene.org.admins), self.admins_without_members())
                    .await;
                ready.hold = self.hold().await;
            }
            Way::HeldMissingReleased => {
                scene.change_google(self.idps, |company, group| {
                    for number in 0..CROWD / 25 {
                        let id = format!("missing-{number}");
                        company.people.push(GooglePerson::new(&id, &format!("{id}@google.test")));
                        let members = portcullis_emulator::GoogleGroup::new("", "", &[&id]).members;
                        company.group_mut(group).unwrap().members.extend(members);
                    }
                });
                scene.polled(server, &scene.google_directory()).await;
                let name = self.leaver.name.clone();
                scene.change_google(self.idps, |company, _| {
                    company.people.retain(|one| one.id != name && !one.id.starts_with("missing-"));
                });
                scene.polled(server, &scene.google_directory()).await;
                ready.hold = self.hold().await;
            }
            _ => {}
        }
        ready
    }

    /// Says what takes them out, and returns with the answer.
    pub async fn leave(&self, ready: &Ready) {
        let (server, scene, leaver) = (self.server, self.scene, self.leaver);
        let user = format!("/Users/{}", leaver.user);
        let admins = format!("/Groups/{}", scene.org.admins);
        let own = format!("/Groups/{}", ready.group);
        let remove = json!({ "op": "Remove", "path": "members", "value": [{ "value": leaver.user }] });
        let inactive = json!({ "op": "replace", "value": { "active": false } });
        let member = format!("/members/{}", leaver.member);
        match self.way {
            Way::PatchPathless | Way::HeldInactiveReleased => {
                self.say("PATCH", &user, patch(&inactive)).await
            }
            Way::PatchEntra | Way::HeldInactiveRefused => {
                let operation = json!({ "op": "Replace", "path": "active", "value": "False" });
                self.say("PATCH", &user, patch(&operation)).await;
            }
            Way::Put => self.say("PUT", &user, self.inactive()).await,
            Way::PostInactive => {
                let mut inactive = scene.org.user(&leaver.name);
                inactive["active"] = json!(false);
                self.say("POST", "/Users", inactive).await;
            }
            Way::Bulk => self.bulk(&user, patch(&inactive)).await,
            Way::Delete | Way::HeldDeleteReleased => self.say("DELETE", &user, Value::Null).await,
            Way::GroupPatch | Way::GroupSettled => self.say("PATCH", &admins, patch(&remove)).await,
            Way::GroupReplaced => {
                let nobody = json!({ "op": "replace", "path": "members", "value": [] });
                self.say("PATCH", &admins, patch(&nobody)).await;
            }
            Way::GroupPut => self.say("PUT", &admins, self.admins_without_members()).await,
            Way::GroupDeleted => self.say("DELETE", &own, Value::Null).await,
            Way::LastOfTwoGroups => self.say("PATCH", &own, patch(&remove)).await,
            Way::HeldLossReleased | Way::HeldMissingReleased => self.decide("release", &ready.hold).await,
            Way::GoogleSuspended => {
                self.at_google(|person| person.suspended = true).await;
            }
            Way::GoogleDeleted => {
                self.at_google(|person| person.deleted_at = Some("2026-01-01T00:00:30.000Z".into())).await;
            }
            Way::GoogleGroupLost => {
                scene.change_google(self.idps, |company, group| {
                    company.group_mut(group).unwrap().members.clear();
                });
                scene.polled(server, &scene.google_directory()).await;
            }
            Way::ClaimsLost => {
                let address = format!("{}@{}", leaver.name, scene.org.domain);
                let (page, session) = scene.comes(server, self.idps, &address, &["guests"]).await;
                assert!(session.is_none(), "{page}");
            }
            Way::OffBoarded => {
                self.root("POST", &format!("{member}/offboard"), json!({ "reason": "left" })).await;
            }
            Way::Suspended => self.root("PATCH", &member, json!({ "state": "suspended" })).await,
            Way::MappingDeleted | Way::MappingOfManyDeleted => {
                self.root("DELETE", &format!("/mappings/{}", ready.mapping), Value::Null).await;
            }
            Way::DirectoryDeleted | Way::DirectoryOfManyDeleted => {
                let path = format!("/directories/{}?people=offboard", scene.org.directory);
                self.root("DELETE", &path, Value::Null).await;
            }
            Way::ConnectionOfClaimsDeleted => {
                let connection = text(scene.doors.of(ConnectionKind::Saml), "id");
                self.root("DELETE", &format!("/connections/{connection}?people=offboard"), Value::Null).await;
            }
            Way::ConnectionDeleted => {
                let connection = text(scene.doors.of(ConnectionKind::Oidc), "id");
                self.root("DELETE", &format!("/connections/{connection}"), Value::Null).await;
            }
            Way::CertificateRetired => {
                let connection = text(scene.doors.of(ConnectionKind::Saml), "id");
                let fingerprint = self.idps.saml.fingerprint();
                let path = format!("/connections/{connection}/certificates/{fingerprint}/retire");
                self.root("POST", &path, Value::Null).await;
            }
            Way::Restored => panic!("a restore is no way of somebody who is served"),
        }
    }

    /// An administrator decides about what was held, if the way has that.
    pub async fn decide_later(&self) {
        match self.way {
            Way::HeldInactiveReleased | Way::HeldDeleteReleased => {
                self.decide("release", &self.hold().await).await;
            }
            Way::HeldInactiveRefused => self.decide("refuse", &self.hold().await).await,
            _ => {}
        }
    }

    async fn decide(&self, decision: &str, hold: &str) {
        let body = json!({ "members": [self.leaver.member] });
        self.root("POST", &format!("/holds/{hold}/{decision}"), body).await;
    }

    async fn say(&self, method: &str, path: &str, body: Value) {
        self.scene.org.say(self.server, method, path, body).await;
    }

    async fn root(&self, method: &str, path: &str, body: Value) {
        self.server.root(method, &self.scene.at(path), body).await;
    }

    async fn bulk(&self, path: &str, data: Value) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [{ "method": "PATCH", "path": path, "data": data }],
        });
        let said = self.scene.org.say(self.server, "POST", "/Bulk", body).await;
        assert_eq!(said["Operations"][0]["status"], "200", "{said}");
    }

    fn inactive(&self) -> Value {
        let mut user = self.scene.user(&self.leaver.name, &self.other.org);
        user["active"] = json!(false);
        user
    }

    fn admins_without_members(&self) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "admins", "externalId": "admins", "members": [],
        })
    }

    /// Moves them from `admins` to a group of their own that gives the same: the group and its mapping.
    async fn own_group(&self) -> (String, String) {
        let (server, org) = (self.server, &self.scene.org);
        let name = format!("of-{}", self.leaver.name);
        let group = org.group(server, &name).await;
        let mapping =
            json!({ "directory": org.directory, "group": { "external_id": name }, "role": "admin" });
        let mapping = text(&server.root("POST", &self.scene.at("/mappings"), mapping).await, "id");
        org.add_member(server, &group, &self.leaver.user).await;
        let operation =
            json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", self.leaver.user) });
        self.say("PATCH", &format!("/Groups/{}", org.admins), patch(&operation)).await;
        (group, mapping)
    }

    /// The mapping of that group.
    async fn mapping_of(&self, group: &Value) -> String {
        let mappings = self.server.all(&self.scene.at("/mappings")).await;
        let found = mappings.iter().find(|mapping| mapping["group"] == *group);
        text(found.unwrap_or_else(|| panic!("no mapping of {group} in {mappings:?}")), "id")
    }

    /// The hold that the leaver is in.
    async fn hold(&self) -> String {
        let shown = self.scene.shown(self.server, &self.leaver.member).await;
        shown["holds"][0]["id"].as_str().unwrap_or_else(|| panic!("nothing is held: {shown}")).to_owned()
    }

    /// Google says so of them; who left is asked for each second, and what was found is carried out when the receipt is there.
    async fn at_google(&self, change: impl FnOnce(&mut GooglePerson)) {
        self.scene
            .change_google(self.idps, |company, _| change(company.person_mut(&self.leaver.name).unwrap()));
        until("the end of whoever left at Google", async || {
            let shown = self.scene.shown(self.server, &self.leaver.member).await;
            (shown["state"] == "deprovisioned").then_some(())
        })
        .await;
    }
}
