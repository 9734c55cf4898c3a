//! How different providers write the same SCIM request.
//!
//! Here apart from the client, because these shapes are the point: they were observed in the field, and a service
//! that reads only the standard's own spelling fails with each of them.

use serde_json::{Value, json};

use crate::people::{Group, Person, PersonState};

const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTRA_GROUP_SCHEMA: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Whose spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Okta: whole resources by PUT, path-less PATCH to deactivate.
    Okta,
    /// Entra ID as it is by default: capital operations, booleans as text, members removed by value.
    EntraLegacy,
    /// Entra ID with `aadOptscim062020` behind the base URL: nearly the standard, flat keys.
    EntraFlag,
    /// The standard as written.
    Generic,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Okta, Self::EntraLegacy, Self::EntraFlag, Self::Generic];

    pub(crate) fn user_agent(self) -> &'static str {
        match self {
            Self::Okta => "Okta SCIM Client 1.0.0",
            Self::EntraLegacy | Self::EntraFlag => "AzureAD-ProvisioningService",
            Self::Generic => "portcullis-emulator",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Okta | Self::EntraLegacy | Self::EntraFlag => "application/scim+json; charset=utf-8",
            Self::Generic => "application/scim+json",
        }
    }

    /// What hangs on every request's query.
    pub(crate) fn query_flag(self) -> Option<&'static str> {
        (self == Self::EntraFlag).then_some("aadOptscim062020")
    }

    /// What follows a look-up's filter.
    pub(crate) fn find_parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Okta => &[("startIndex", "1"), ("count", "100")],
            Self::EntraLegacy | Self::EntraFlag | Self::Generic => &[],
        }
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
        let extra = match self {
            Self::Okta => json!({"locale": "en-US", "groups": [], "password": "placeholder"}),
            Self::EntraLegacy | Self::EntraFlag => json!({
                "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
                "meta": {"resourceType": "User"}, "roles": [], "title": null, "phoneNumbers": null,
            }),
            Self::Generic => json!({}),
        };
        merge(&mut user, extra);
        user
    }

    pub(crate) fn group(self, group: &Group, member_ids: &[String]) -> Value {
        let schemas = match self {
            Self::EntraLegacy | Self::EntraFlag => json!([GROUP_SCHEMA, ENTRA_GROUP_SCHEMA]),
            Self::Okta | Self::Generic => json!([GROUP_SCHEMA]),
        };
        let mut body = json!({
            "schemas": schemas, "displayName": group.display_name, "members": self.members(member_ids),
        });
        if self != Self::Okta {
            merge(&mut body, json!({"externalId": group.external_id}));
        }
        body
    }

    pub(crate) fn set_active(self, state: PersonState) -> Value {
        let active = state == PersonState::Active;
        patch(vec![match self {
            Self::Okta => json!({"op": "replace", "value": {"active": active}}),
            Self::EntraLegacy => {
                json!({"op": "Replace", "path": "active", "value": if active { "True" } else { "False" }})
            }
            Self::EntraFlag | Self::Generic => json!({"op": "replace", "path": "active", "value": active}),
        }])
    }

    /// The names and address of somebody, as a change.
    pub(crate) fn update_user(self, person: &Person) -> Value {
        let work = "emails[type eq \"work\"].value";
        patch(match self {
            Self::Okta => vec![json!({"op": "replace", "value": self.user(person)})],
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
            Self::Generic => vec![json!({"op": "replace", "value": {
                "userName": person.user_name, "displayName": person.display_name(),
                "name": {"givenName": person.given_name, "familyName": person.family_name},
                "emails": [{"primary": true, "type": "work", "value": person.email}],
            }})],
        })
    }

    pub(crate) fn add_members(self, member_ids: &[String]) -> Value {
        let op = if self == Self::EntraLegacy { "Add" } else { "add" };
        patch(vec![json!({"op": op, "path": "members", "value": self.members(member_ids)})])
    }

    pub(crate) fn remove_members(self, member_ids: &[String]) -> Value {
        match self {
            Self::EntraLegacy => {
                patch(vec![json!({"op": "Remove", "path": "members", "value": self.members(member_ids)})])
            }
            Self::Okta | Self::EntraFlag | Self::Generic => {
                let one =
                    |id: &String| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
                patch(member_ids.iter().map(one).collect())
            }
        }
    }

    pub(crate) fn replace_members(self, group_id: &str, display_name: &str, member_ids: &[String]) -> Value {
        let members = self.members(member_ids);
        patch(vec![match self {
            Self::Okta if member_ids.is_empty() => {
                json!({"op": "replace", "value": {"members": [], "id": group_id, "displayName": display_name}})
            }
            Self::EntraLegacy => json!({"op": "Replace", "path": "members", "value": members}),
            Self::Okta | Self::EntraFlag | Self::Generic => {
                json!({"op": "replace", "path": "members", "value": members})
            }
        }])
    }

    pub(crate) fn rename_group(self, group_id: &str, display_name: &str) -> Value {
        patch(vec![match self {
            Self::Okta => json!({"op": "replace", "value": {"id": group_id, "displayName": display_name}}),
            Self::EntraLegacy => json!({"op": "Replace", "path": "displayName", "value": display_name}),
            Self::EntraFlag | Self::Generic => {
                json!({"op": "replace", "path": "displayName", "value": display_name})
            }
        }])
    }

    fn members(self, member_ids: &[String]) -> Vec<Value> {
        let one = |id: &String| match self {
            Self::Okta => json!({"value": id, "display": id}),
            Self::EntraLegacy | Self::EntraFlag => json!({"$ref": null, "value": id}),
            Self::Generic => json!({"value": id}),
        };
        member_ids.iter().map(one).collect()
    }
}

fn patch(operations: Vec<Value>) -> Value {
    json!({"schemas": [PATCH_SCHEMA], "Operations": operations})
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
