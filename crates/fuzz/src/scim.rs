//! SCIM: filters, paths, bodies, searches.

mod filter;
mod resource;

use std::collections::{HashMap, HashSet};
use std::str;

use portcullis_scim::limits::{MAX_BULK_OPERATIONS, MAX_MEMBERS_PER_CALL, MAX_RESULTS};
use portcullis_scim::{GroupChange, ListQuery, Members, Patch, ResourceType, parse_bulk, parse_group};
use portcullis_scim::{parse_group_patch, parse_patch, parse_user};
use serde_json::{Value, json};

use crate::{Taken, refusal};

pub(crate) use filter::filter;

/// A `path` of a PATCH: whatever is done with it leaves a user canonical, and a refusal has its type.
pub(crate) fn path(bytes: &[u8], taken: &mut Taken) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for operation in [
        json!({"op": "remove", "path": text}),
        json!({"op": "add", "path": text, "value": "a@b.test"}),
        json!({"op": "replace", "path": text, "value": {"value": "a@b.test", "type": "work"}}),
    ] {
        let body = json!({"schemas": [PATCH_SCHEMA], "Operations": [operation]});
        read_patch(body.to_string().as_bytes(), taken);
    }
}

/// A body of a user: canonical once it is read, and read as the same from its own form.
pub(crate) fn user(bytes: &[u8], taken: &mut Taken) {
    let user = match parse_user(bytes) {
        Ok((user, _)) => user,
        Err(error) => return refusal::of_scim_with_type(&error),
    };
    taken.note("user");
    resource::require_canonical(&user);
    let form = Value::Object(user.attributes().clone()).to_string();
    match parse_user(form.as_bytes()) {
        Ok((again, _)) => assert_eq!(again, user, "{form}"),
        Err(error) => panic!("its own form is refused ({error}): {form}"),
    }
    resource::require_rendered(&user);
}

/// A body of a group: each member once, within the bounds.
pub(crate) fn group(bytes: &[u8], taken: &mut Taken) {
    match parse_group(bytes) {
        Ok((group, _)) => {
            taken.note("group");
            assert!(!group.display_name.is_empty());
            group.members.as_ref().map(require_members);
        }
        Err(error) => refusal::of_scim_with_type(&error),
    }
}

/// A body of a PATCH, for a user and for a group.
pub(crate) fn patch(bytes: &[u8], taken: &mut Taken) {
    read_patch(bytes, taken);
}

/// A body of a bulk request: everything has its turn once, and what is resolved refers to nothing.
pub(crate) fn bulk(bytes: &[u8], taken: &mut Taken) {
    let bulk = match parse_bulk(bytes) {
        Ok(bulk) => bulk,
        Err(error) => return refusal::of_scim(&error),
    };
    taken.note("bulk");
    assert!((1..=MAX_BULK_OPERATIONS).contains(&bulk.operations.len()));
    assert_ne!(bulk.fail_on_errors, Some(0));
    let turns = bulk.turns();
    let had: HashSet<usize> = turns.iter().map(portcullis_scim::Turn::index).collect();
    assert_eq!((turns.len(), had.len()), (bulk.operations.len(), bulk.operations.len()), "{turns:?}");
    for operation in &bulk.operations {
        let names = operation.references();
        let ids: HashMap<String, String> =
            names.iter().enumerate().map(|(n, name)| (name.clone(), format!("id-{n}"))).collect();
        match operation.resolved(&ids) {
            Ok((_, body)) if body.is_empty() => {}
            Ok((_, body)) => {
                assert!(serde_json::from_slice::<Value>(&body).is_ok_and(|body| body.is_object()));
                read_patch(&body, taken);
            }
            Err(error) => panic!("every reference has an id, and yet: {error}"),
        }
        if !names.is_empty() {
            assert!(operation.resolved(&HashMap::new()).is_err(), "{names:?} stand for nothing");
        }
    }
}

/// A body of a search, and the same text as the parameters of a URL.
pub(crate) fn search(bytes: &[u8], taken: &mut Taken) {
    let mut require = |read, what| {
        if require_query(read) {
            taken.note(what);
        }
    };
    require(ListQuery::parse_search(bytes), "body");
    let parameters: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
    let parameters = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    require(ListQuery::parse(parameters), "parameters");
}

/// The schema of a PATCH.
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn read_patch(bytes: &[u8], taken: &mut Taken) {
    let patch = match parse_patch(bytes) {
        Ok(patch) => patch,
        Err(error) => return refusal::of_scim_with_type(&error),
    };
    if patch_user(&patch, bytes) {
        taken.note("patch of a user");
    }
    let changes = patch.into_group_changes();
    // Long lists are read another way where it is known that a group is meant: it must mean the same.
    assert_eq!(parse_group_patch(bytes).ok(), changes.clone().ok(), "two ways to read one PATCH");
    match changes {
        Ok((changes, _)) => {
            taken.note("patch of a group");
            changes.iter().for_each(require_change);
        }
        Err(error) => refusal::of_scim_with_type(&error),
    }
}

/// A leaver stays one unless the body says `true` somewhere; whatever was there before stays canonical. Whether it means
/// something for a user.
fn patch_user(patch: &Patch, bytes: &[u8]) -> bool {
    let leaver = resource::leaver();
    let applied = patch.apply_to_user(&leaver);
    let is_taken = applied.is_ok();
    match applied {
        Ok((after, _)) => {
            resource::require_canonical(&after);
            resource::require_rendered(&after);
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            // An escape may hide the word; then nothing is asked.
            let says_true = text.contains("true") || text.contains("\\u");
            assert!(says_true || after.active() == Some(false), "nobody said that the leaver is back");
            assert_eq!(patch.apply_to_user(&leaver).map(|(user, _)| user), Ok(after), "the same again");
        }
        Err(error) => refusal::of_scim_with_type(&error),
    }
    is_taken
}

fn require_change(change: &GroupChange) {
    match change {
        GroupChange::SetDisplayName(name) => assert!(!name.is_empty()),
        GroupChange::AddMembers(members)
        | GroupChange::ReplaceMembers(members)
        | GroupChange::RemoveMembers(members)
        | GroupChange::RemoveMembersOf(_, members) => require_members(members),
        GroupChange::SetExternalId(_) | GroupChange::ClearMembers | GroupChange::ClearMembersOf(_) => {}
    }
}

fn require_members(members: &Members) {
    assert!(members.len() <= MAX_MEMBERS_PER_CALL);
    let once: HashSet<&str> = members.iter().map(|member| member.value).collect();
    assert_eq!(once.len(), members.len(), "a member is named twice");
    assert!(!once.contains(""), "a member without an id");
}

/// Whether there was one.
fn require_query(read: Result<ListQuery, portcullis_scim::ScimError>) -> bool {
    let query = match read {
        Ok(query) => query,
        Err(error) => {
            refusal::of_scim_with_type(&error);
            return false;
        }
    };
    assert!(query.page_size() <= MAX_RESULTS, "{} resources on a page", query.page_size());
    for kind in ResourceType::ALL {
        if let Some(Err(error)) = query.sort.as_ref().map(|wish| wish.resolve(kind)) {
            refusal::of_scim_with_type(&error);
        }
        if let Some(filter) = &query.filter {
            filter::require_sound(filter, kind);
        }
        let shown = query.projection.apply(kind, resource::sample(kind));
        assert!(shown["id"].is_string(), "the id is always there: {shown}");
    }
    true
}
