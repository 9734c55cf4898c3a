//! Bodies as they come over the wire, and their meaning, in as few words as a test wants.

use portcullis_scim::{
    DialectNote, GroupChange, Members, ScimError, User, parse_group, parse_group_patch, parse_patch,
    parse_user,
};
use serde_json::{Value, json};

pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

pub(crate) fn user(body: &Value) -> User {
    parse_user(body.to_string().as_bytes()).expect("a user").0
}

pub(crate) fn refused_user(body: &Value) -> ScimError {
    parse_user(body.to_string().as_bytes()).expect_err("a refusal")
}

pub(crate) fn attributes(user: &User) -> Value {
    Value::from(user.attributes().clone())
}

pub(crate) fn patch_body(operations: &Value) -> Vec<u8> {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
        .to_string()
        .into_bytes()
}

pub(crate) fn patch(user: &User, operations: &Value) -> Result<(User, Vec<DialectNote>), ScimError> {
    parse_patch(&patch_body(operations))?.apply_to_user(user)
}

pub(crate) fn patched(user: &User, operations: &Value) -> User {
    patch(user, operations).expect("a patched user").0
}

pub(crate) fn refused_patch(user: &User, operations: &Value) -> ScimError {
    patch(user, operations).expect_err("a refusal")
}

pub(crate) fn group_patch(operations: &Value) -> Result<(Vec<GroupChange>, Vec<DialectNote>), ScimError> {
    parse_group_patch(&patch_body(operations))
}

pub(crate) fn changes(operations: &Value) -> Vec<GroupChange> {
    group_patch(operations).expect("changes").0
}

pub(crate) fn members(ids: &[&str]) -> Members {
    let named: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
    let body = json!({"displayName": "Group", "members": named}).to_string();
    parse_group(body.as_bytes()).expect("a group").0.members.expect("members")
}

pub(crate) fn ids(ids: &[&str]) -> Members {
    members(ids)
}
