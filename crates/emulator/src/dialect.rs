//! How different providers write the same SCIM request.
//!
//! Here apart from the client, because these shapes are the point: they were observed in the field, and a service
//! that reads only the standard's own spelling fails with each of them.

use serde_json::{Value, json};

use crate::people::{Group, Person, PersonState};

pub(crate) const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const ENTERPRISE_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const ENTRA_GROUP_SCHEMA: &str =
    "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
/// What an administrator appends to the address so that Entra keeps closer to the standard.
pub const ENTRA_FLAG: &str = "aadOptscim062020";
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Whose spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Okta: whole resources by PUT, path-less PATCH to deactivate.
    Okta,
    /// Entra ID with `aadOptscim062020` behind the base URL: nearly the standard, flat keys.
    EntraFlag,
    /// Entra ID as it is by default: capital operations, booleans as text, members removed by value.
    EntraLegacy,
    /// OneLogin: whole resources from a template that an administrator edits.
    OneLogin,
    /// JumpCloud: a test user and a test group first, members removed by value.
    JumpCloud,
    /// PingOne: whole resources only, look-ups by `emails`.
    PingOne,
    /// authentik: creates first and looks up on 409, one operation a member, members removed by value.
    Authentik,
    /// Keycloak, and any other: the standard as written.
    Keycloak,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Okta,
        Self::EntraFlag,
        Self::EntraLegacy,
        Self::OneLogin,
        Self::JumpCloud,
        Self::PingOne,
        Self::Authentik,
        Self::Keycloak,
    ];

    /// The word for it on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::EntraFlag => "entra",
            Self::EntraLegacy => "entra-legacy",
            Self::OneLogin => "onelogin",
            Self::JumpCloud => "jumpcloud",
            Self::PingOne => "pingone",
            Self::Authentik => "authentik",
            Self::Keycloak => "keycloak",
        }
    }

    /// What its makers call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Okta => "Okta",
            Self::EntraFlag => "Entra ID (with aadOptscim062020)",
            Self::EntraLegacy => "Entra ID (without a flag)",
            Self::OneLogin => "OneLogin",
            Self::JumpCloud => "JumpCloud",
            Self::PingOne => "PingOne",
            Self::Authentik => "authentik",
            Self::Keycloak => "Keycloak",
        }
    }

    /// What is special about it, in a sentence.
    #[must_use]
    pub fn special(self) -> &'static str {
        match self {
            Self::Okta => {
                "reads before each update, then PUTs the whole user with id, groups and a password; pushes groups in \
                 five shapes; never deletes a user"
            }
            Self::EntraFlag => {
                "hangs a flag on every address, sends flat keys in one operation, and falls back to the old spelling \
                 in provision on demand; needs 200 and an empty list where nobody matches, and every value back as sent"
            }
            Self::EntraLegacy => {
                "writes `Replace`, booleans as text, and removes a member by path `members` and a list: a server that \
                 keeps to the letter clears the group"
            }
            Self::OneLogin => {
                "sends whole users from a template that an administrator edits, with attributes that no schema knows"
            }
            Self::JumpCloud => {
                "makes a test user and a test group when it is switched on and removes both; removes members by a list"
            }
            Self::PingOne => {
                "sends whole users by PUT only; looks up by `emails eq`, and by filters of one's own"
            }
            Self::Authentik => {
                "reads what the server can do and keeps to it; creates first and looks up on 409; creates again where \
                 PUT is answered 404; one operation for each member"
            }
            Self::Keycloak => {
                "the standard as written, with discovery and versions; Keycloak itself provisions by extensions whose \
                 shapes differ"
            }
        }
    }

    pub(crate) fn user_agent(self) -> &'static str {
        match self {
            Self::Okta => "Okta SCIM Client 1.0.0",
            Self::EntraLegacy | Self::EntraFlag => "AzureAD-ProvisioningService",
            Self::OneLogin | Self::JumpCloud | Self::PingOne | Self::Authentik | Self::Keycloak => {
                "portcullis-emulator"
            }
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Okta | Self::EntraLegacy | Self::EntraFlag => "application/scim+json; charset=utf-8",
            Self::OneLogin => "application/json",
            Self::JumpCloud | Self::PingOne | Self::Authentik | Self::Keycloak => "application/scim+json",
        }
    }

    /// What it asks an answer to be.
    pub(crate) fn accept(self) -> &'static str {
        if self == Self::OneLogin {
            "application/json, application/scim+json"
        } else {
            "application/scim+json"
        }
    }

    /// What hangs on every request's query.
    pub(crate) fn query_flag(self) -> Option<&'static str> {
        (self == Self::EntraFlag).then_some(ENTRA_FLAG)
    }

    /// What follows a look-up's filter.
    pub(crate) fn find_parameters(self) -> &'static [(&'static str, &'static str)] {
        if self == Self::Okta { &[("startIndex", "1"), ("count", "100")] } else { &[] }
    }

    /// Whether a look-up of groups asks for them without their members.
    pub(crate) fn leaves_members_out(self) -> bool {
        self.is_entra()
    }

    /// Whether somebody is changed by the whole resource.
    pub(crate) fn updates_by_put(self) -> bool {
        match self {
            Self::Okta | Self::OneLogin | Self::JumpCloud | Self::PingOne | Self::Authentik => true,
            Self::EntraFlag | Self::EntraLegacy | Self::Keycloak => false,
        }
    }

    /// Whether somebody is let in and out by the whole resource.
    pub(crate) fn deactivates_by_put(self) -> bool {
        self.updates_by_put() && self != Self::Okta
    }

    /// Either spelling of Entra ID.
    pub(crate) fn is_entra(self) -> bool {
        matches!(self, Self::EntraFlag | Self::EntraLegacy)
    }

    /// Whether a member goes by path `members` and a list of who goes, which by the letter of RFC 7644 clears the group.
    pub(crate) fn removes_members_by_list(self) -> bool {
        matches!(self, Self::EntraLegacy | Self::JumpCloud | Self::Authentik)
    }

    pub(crate) fn user(self, person: &Person) -> Value {
        let mut user = json!({
            "schemas": [USER_SCHEMA],
            "userName": person.user_name,
            "externalId": person.id,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "displayName": person.display_name(),
            "emails": [{"primary": true, "type": "work", "value": person.email}],
            "active": person.state == PersonState::Active,
        });
        let formatted = json!({
            "formatted": person.display_name(), "givenName": person.given_name, "familyName": person.family_name,
        });
        let extra = match self {
            Self::Okta => json!({"locale": "en-US", "groups": [], "password": "placeholder"}),
            Self::EntraLegacy | Self::EntraFlag => json!({
                "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA], "name": formatted,
                "meta": {"resourceType": "User"}, "roles": [],
            }),
            Self::Authentik => json!({"name": formatted, "photos": [], "locale": "en"}),
            Self::OneLogin | Self::JumpCloud | Self::PingOne | Self::Keycloak => json!({}),
        };
        merge(&mut user, extra);
        user
    }

    pub(crate) fn group(self, group: &Group, member_ids: &[String]) -> Value {
        let schemas = match self {
            Self::EntraLegacy | Self::EntraFlag => json!([GROUP_SCHEMA, ENTRA_GROUP_SCHEMA]),
            _ => json!([GROUP_SCHEMA]),
        };
        let mut body = json!({
            "schemas": schemas, "displayName": group.display_name, "members": self.members(member_ids),
        });
        if self != Self::Okta {
            merge(&mut body, json!({"externalId": group.external_id}));
        }
        body
    }

    /// `active` as the provider says it, in a PATCH.
    #[must_use]
    pub fn set_active(self, state: PersonState) -> Value {
        let active = state == PersonState::Active;
        patch(vec![match self {
            Self::Okta => json!({"op": "replace", "value": {"active": active}}),
            Self::EntraLegacy => {
                json!({"op": "Replace", "path": "active", "value": if active { "True" } else { "False" }})
            }
            _ => json!({"op": "replace", "path": "active", "value": active}),
        }])
    }

    /// The names and address of somebody, as a change.
    pub(crate) fn update_user(self, person: &Person) -> Value {
        let work = "emails[type eq \"work\"].value";
        patch(match self {
            Self::EntraLegacy => vec![
                json!({"op": "Replace", "path": "userName", "value": person.user_name}),
                json!({"op": "Replace", "path": "displayName", "value": person.display_name()}),
                json!({"op": "Replace", "path": work, "value": person.email}),
                json!({"op": "Add", "path": "name.givenName", "value": person.given_name}),
                json!({"op": "Add", "path": "name.familyName", "value": person.family_name}),
            ],
            Self::EntraFlag => vec![
                json!({"op": "replace", "path": work, "value": person.email}),
                json!({"op": "replace", "value": {
                    "userName": person.user_name, "displayName": person.display_name(),
                    "name.givenName": person.given_name, "name.familyName": person.family_name,
                }}),
            ],
            _ => vec![json!({"op": "replace", "value": {
                "userName": person.user_name, "displayName": person.display_name(),
                "name": {"givenName": person.given_name, "familyName": person.family_name},
                "emails": [{"primary": true, "type": "work", "value": person.email}],
            }})],
        })
    }

    pub(crate) fn add_members(self, member_ids: &[String]) -> Value {
        patch(match self {
            Self::EntraLegacy => {
                vec![json!({"op": "Add", "path": "members", "value": self.members(member_ids)})]
            }
            Self::Authentik => {
                let one = |member| json!({"op": "add", "path": "members", "value": [member]});
                self.members(member_ids).into_iter().map(one).collect()
            }
            _ => vec![json!({"op": "add", "path": "members", "value": self.members(member_ids)})],
        })
    }

    pub(crate) fn remove_members(self, member_ids: &[String]) -> Value {
        let members = self.members(member_ids);
        patch(match self {
            Self::EntraLegacy => vec![json!({"op": "Remove", "path": "members", "value": members})],
            Self::JumpCloud => vec![json!({"op": "remove", "path": "members", "value": members})],
            Self::Authentik => {
                let one = |member| json!({"op": "remove", "path": "members", "value": [member]});
                members.into_iter().map(one).collect()
            }
            _ => {
                let one =
                    |id: &String| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
                member_ids.iter().map(one).collect()
            }
        })
    }

    pub(crate) fn replace_members(self, group_id: &str, display_name: &str, member_ids: &[String]) -> Value {
        let members = self.members(member_ids);
        patch(vec![match self {
            Self::Okta if member_ids.is_empty() => {
                json!({"op": "replace", "value": {"members": [], "id": group_id, "displayName": display_name}})
            }
            Self::EntraLegacy => json!({"op": "Replace", "path": "members", "value": members}),
            _ => json!({"op": "replace", "path": "members", "value": members}),
        }])
    }

    /// The name of a group, as a change.
    pub(crate) fn rename_group(self, group_id: &str, group: &Group) -> Value {
        let name = &group.display_name;
        patch(vec![match self {
            Self::Okta => json!({"op": "replace", "value": {"id": group_id, "displayName": name}}),
            Self::Authentik => json!({"op": "replace", "value": {
                "schemas": [GROUP_SCHEMA], "id": group_id, "externalId": group.external_id, "displayName": name,
            }}),
            Self::EntraLegacy => json!({"op": "Replace", "path": "displayName", "value": name}),
            _ => json!({"op": "replace", "path": "displayName", "value": name}),
        }])
    }

    pub(crate) fn members(self, member_ids: &[String]) -> Vec<Value> {
        let one = |id: &String| match self {
            Self::Okta => json!({"value": id, "display": id}),
            Self::EntraLegacy | Self::EntraFlag => json!({"$ref": null, "value": id}),
            _ => json!({"value": id}),
        };
        member_ids.iter().map(one).collect()
    }
}

/// A PATCH of these operations.
pub(crate) fn patch(operations: Vec<Value>) -> Value {
    json!({"schemas": [PATCH_SCHEMA], "Operations": operations})
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
