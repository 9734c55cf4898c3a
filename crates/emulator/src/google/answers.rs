//! The Directory API (`directory_v1`): the calls that a reader of people, groups and units makes, in the documented
//! shapes. Lists that are empty are left out of an answer, as Google does.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::workspace::{GoogleGroup, GoogleMember, GooglePerson, Workspace};
use super::{DIRECTORY_PATH, GoogleAnswer, GoogleCall, GoogleErrorForm, GoogleFault, Rights, Shared, State};

/// The most people of a page, by the documentation.
const MAX_PEOPLE: usize = 500;
/// The most groups or members of a page, by the documentation.
const MAX_OTHERS: usize = 200;
/// How many items a page has if nothing is said: people, and everything else.
const DEFAULT_PEOPLE: usize = 100;

/// An error in the form of Google's APIs.
fn error(status: u16, reason: &str, message: &str) -> GoogleAnswer {
    let body = json!({ "error": {
        "code": status,
        "message": message,
        "errors": [{ "message": message, "domain": "global", "reason": reason }],
    } });
    GoogleAnswer { status, ..GoogleAnswer::ok(body) }
}

/// An error in the newer form, whose reason stands in its details alone.
fn detailed(status: u16, reason: &str, message: &str) -> GoogleAnswer {
    let body = json!({ "error": {
        "code": status,
        "message": message,
        "status": "PERMISSION_DENIED",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        }],
    } });
    GoogleAnswer { status, ..GoogleAnswer::ok(body) }
}

/// The parameters of a call.
struct Query(Vec<(String, String)>);

impl Query {
    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(super) fn answer(shared: &Shared, state: &mut State, call: &GoogleCall<'_>) -> GoogleAnswer {
    let now = shared.surroundings.now();
    let bearer = call.authorization.and_then(|text| text.strip_prefix("Bearer "));
    let issued =
        bearer.and_then(|text| state.tokens.iter().find(|known| known.text == text && known.until > now));
    let Some(issued) = issued else {
        return error(401, "authError", "Request had invalid authentication credentials.");
    };
    if issued.rights != Rights::Directory {
        return error(403, "forbidden", "Not Authorized to access this resource/api");
    }
    if let Some(failed) = failing(state, &format!("{}?{}", call.path, call.query)) {
        return failed;
    }
    let query = Query(form_urlencoded::parse(call.query.as_bytes()).into_owned().collect());
    let Some(path) = call.path.strip_prefix(DIRECTORY_PATH) else {
        return error(404, "notFound", "Not Found");
    };
    if call.method != "GET" {
        return error(403, "insufficientPermissions", "Request had insufficient authentication scopes.");
    }
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let answer = match parts.as_slice() {
        ["users"] => users(shared, state, call.path, &query),
        ["users", key] => user(&state.workspace, key),
        ["groups"] => groups(shared, state, call.path, &query),
        ["groups", key] => group(&state.workspace, key),
        ["groups", key, "members"] => members(shared, state, (call.path, key), &query),
        ["groups", key, "members", person] => member(state, key, person),
        ["groups", key, "hasMember", person] => has_member(&state.workspace, key, person),
        ["customer", _, "orgunits"] => org_units(&state.workspace),
        _ => error(404, "notFound", "Not Found"),
    };
    match query.find("fields").filter(|_| answer.status == 200) {
        Some(mask) => GoogleAnswer { body: masked(&answer.body, mask), ..answer },
        None => answer,
    }
}

/// What fails whatever is asked, and what fails at this.
fn failing(state: &mut State, asked: &str) -> Option<GoogleAnswer> {
    for fault in &mut state.faults {
        match fault {
            GoogleFault::Refused { of, status, reason, form } if asked.contains(of.as_str()) => {
                return Some(match form {
                    GoogleErrorForm::Errors => error(*status, reason, "It is refused."),
                    GoogleErrorForm::Details => detailed(*status, reason, "It is refused."),
                });
            }
            GoogleFault::Foreign(of) if asked.contains(of.as_str()) => {
                let page = GoogleAnswer::page("<html>404 Not Found</html>".to_owned());
                return Some(GoogleAnswer { status: 404, ..page });
            }
            GoogleFault::NoRights => {
                return Some(error(403, "forbidden", "Not Authorized to access this resource/api"));
            }
            GoogleFault::ApiDisabled => {
                return Some(error(
                    403,
                    "accessNotConfigured",
                    "Admin SDK API has not been used in project before.",
                ));
            }
            GoogleFault::Quota(left) if *left > 0 => {
                *left -= 1;
                return Some(error(403, "userRateLimitExceeded", "User Rate Limit Exceeded."));
            }
            GoogleFault::TooMany(left) if *left > 0 => {
                *left -= 1;
                let told = error(429, "rateLimitExceeded", "Quota exceeded.");
                return Some(GoogleAnswer { retry_after_s: Some(1), ..told });
            }
            GoogleFault::Broken(left) if *left > 0 => {
                *left -= 1;
                return Some(error(500, "backendError", "Internal error encountered."));
            }
            _ => {}
        }
    }
    None
}

/// One page of a list: which items, and the token of the next.
fn page<T>(
    shared: &Shared,
    state: &State,
    path: &str,
    query: &Query,
    (items, most, default): (Vec<T>, usize, usize),
) -> Result<(Vec<T>, Option<String>), GoogleAnswer> {
    let from = match query.find("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|offset| offset.parse::<usize>().ok())
            .ok_or_else(|| error(400, "invalid", "Invalid Input: pageToken"))?,
    };
    let asked = query.find("maxResults").and_then(|text| text.parse::<usize>().ok()).unwrap_or(default);
    if asked == 0 || asked > most {
        return Err(error(400, "invalid", "Invalid Input: maxResults"));
    }
    let size = asked.min(shared.max_page);
    let number = from / size + 1;
    let fails = |fault: &GoogleFault| matches!(fault, GoogleFault::Page { of, number: failing } if path.ends_with(of.as_str()) && *failing == number);
    if state.faults.iter().any(fails) {
        return Err(error(503, "backendError", "Service unavailable. Please try again"));
    }
    let has = |wanted: GoogleFault| state.faults.contains(&wanted);
    let end = path.rsplit('/').next().unwrap_or_default().to_owned();
    if number > 1 && has(GoogleFault::Ending(end.clone())) {
        return Err(error(404, "notFound", "Resource Not Found"));
    }
    let onward = if has(GoogleFault::Looping(end)) { 0 } else { from + size };
    let next = (from + size < items.len()).then(|| format!("page-{onward}"));
    Ok((items.into_iter().skip(from).take(size).collect(), next))
}

/// A list as the API writes it.
fn list(kind: &str, name: &str, (items, next): (Vec<Value>, Option<String>)) -> GoogleAnswer {
    let mut body = Map::new();
    body.insert("kind".to_owned(), json!(format!("admin#directory#{kind}")));
    body.insert("etag".to_owned(), json!(format!("\"{kind}/{}\"", items.len())));
    if !items.is_empty() {
        body.insert(name.to_owned(), Value::Array(items));
    }
    if let Some(token) = next {
        body.insert("nextPageToken".to_owned(), Value::String(token));
    }
    GoogleAnswer::ok(Value::Object(body))
}

fn is_of(email: &str, domain: &str) -> bool {
    email.split_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
}

/// Which customer or domain is meant: one of them must be said.
fn scope<'q>(workspace: &Workspace, query: &'q Query) -> Result<Option<&'q str>, GoogleAnswer> {
    match (query.find("customer"), query.find("domain")) {
        (None, None) => Err(error(400, "badRequest", "Bad Request")),
        (Some(customer), _) if customer != "my_customer" && customer != workspace.customer_id => {
            Err(error(404, "notFound", "Resource Not Found: customer"))
        }
        (_, domain) => Ok(domain),
    }
}

fn users(shared: &Shared, state: &State, path: &str, query: &Query) -> GoogleAnswer {
    let domain = match scope(&state.workspace, query) {
        Ok(domain) => domain,
        Err(refused) => return refused,
    };
    let deleted = query.find("showDeleted") == Some("true");
    let filter = query.find("query");
    if !matches!(filter, None | Some("isSuspended=true" | "isArchived=true")) {
        return error(400, "invalid", "Invalid Input: query");
    }
    let is_hidden = |id: &str| {
        state.faults.iter().any(|fault| matches!(fault, GoogleFault::Hidden(hidden) if hidden == id))
    };
    let mut people: Vec<&GooglePerson> = state
        .workspace
        .people
        .iter()
        .filter(|person| person.deleted_at.is_some() == deleted && !is_hidden(&person.id))
        .filter(|person| domain.is_none_or(|domain| is_of(&person.primary_email, domain)))
        .filter(|person| match filter {
            Some("isSuspended=true") => person.suspended,
            Some(_) => person.archived,
            None => true,
        })
        .collect();
    people.sort_by(|a, b| a.primary_email.cmp(&b.primary_email));
    match page(shared, state, path, query, (people, MAX_PEOPLE, DEFAULT_PEOPLE)) {
        Ok((people, next)) => {
            let mut shown: Vec<Value> =
                people.into_iter().map(|person| person_wire(&state.workspace, person)).collect();
            if state.faults.contains(&GoogleFault::Unitless) {
                shown.iter_mut().filter_map(Value::as_object_mut).for_each(|person| {
                    person.remove("orgUnitPath");
                });
            }
            list("users", "users", (shown, next))
        }
        Err(refused) => refused,
    }
}

fn person_wire(workspace: &Workspace, person: &GooglePerson) -> Value {
    let mut emails = vec![json!({ "address": person.primary_email, "primary": true })];
    emails.extend(person.aliases.iter().map(|alias| json!({ "address": alias })));
    let mut wire = json!({
        "kind": "admin#directory#user",
        "id": person.id,
        "etag": format!("\"{}-{}-{}\"", person.id, person.suspended, person.archived),
        "primaryEmail": person.primary_email,
        "name": {
            "givenName": person.given_name,
            "familyName": person.family_name,
            "fullName": format!("{} {}", person.given_name, person.family_name),
        },
        "isAdmin": person.is_admin,
        "isDelegatedAdmin": false,
        "agreedToTerms": true,
        "suspended": person.suspended,
        "archived": person.archived,
        "emails": emails,
        "customerId": workspace.customer_id,
        "orgUnitPath": person.org_unit,
        "isMailboxSetup": true,
        "lastLoginTime": "2026-01-01T08:00:00.000Z",
        "creationTime": "2020-01-01T08:00:00.000Z",
    });
    if let Some(object) = wire.as_object_mut() {
        if !person.aliases.is_empty() {
            object.insert("aliases".to_owned(), json!(person.aliases));
        }
        if person.suspended {
            object.insert("suspensionReason".to_owned(), json!("ADMIN"));
        }
        if let Some(at) = &person.deleted_at {
            object.insert("deletionTime".to_owned(), json!(at));
        }
    }
    wire
}

fn user(workspace: &Workspace, key: &str) -> GoogleAnswer {
    match workspace.find_person(&decoded(key)) {
        Some(person) => GoogleAnswer::ok(person_wire(workspace, person)),
        None => error(404, "notFound", "Resource Not Found: userKey"),
    }
}

fn group_wire(group: &GoogleGroup) -> Value {
    json!({
        "kind": "admin#directory#group",
        "id": group.id,
        "etag": format!("\"{}\"", group.id),
        "email": group.email,
        "name": group.name,
        "description": "",
        "directMembersCount": group.members.iter().filter(|member| member.is_person()).count().to_string(),
        "adminCreated": true,
    })
}

fn groups(shared: &Shared, state: &State, path: &str, query: &Query) -> GoogleAnswer {
    let domain = match scope(&state.workspace, query) {
        Ok(domain) => domain,
        Err(refused) => return refused,
    };
    let of_domain = |group: &&GoogleGroup| domain.is_none_or(|domain| is_of(&group.email, domain));
    let is_hidden = |id: &str| state.faults.contains(&GoogleFault::HiddenGroup(id.to_owned()));
    let all: Vec<&GoogleGroup> =
        state.workspace.groups.iter().filter(of_domain).filter(|group| !is_hidden(&group.id)).collect();
    match page(shared, state, path, query, (all, MAX_OTHERS, MAX_OTHERS)) {
        Ok((all, next)) => list("groups", "groups", (all.into_iter().map(group_wire).collect(), next)),
        Err(refused) => refused,
    }
}

fn group(workspace: &Workspace, key: &str) -> GoogleAnswer {
    let key = decoded(key);
    match workspace.find_group(&key) {
        Some(group) => GoogleAnswer::ok(group_wire(group)),
        None => no_group(workspace, &key),
    }
}

/// A group that is not the customer's: another customer's is one that may not be read.
fn no_group(workspace: &Workspace, key: &str) -> GoogleAnswer {
    let foreign = GoogleMember::Group(key.to_owned());
    if workspace.groups.iter().any(|group| group.members.contains(&foreign)) {
        return error(403, "forbidden", "Not Authorized to access this resource/api");
    }
    error(404, "notFound", "Resource Not Found: groupKey")
}

fn member_wire(workspace: &Workspace, member: &GoogleMember) -> Value {
    let (id, email, kind) = match member {
        GoogleMember::User(id) => {
            let person = workspace.people.iter().find(|person| person.id == *id);
            (id.clone(), person.map(|person| person.primary_email.clone()), "USER")
        }
        GoogleMember::Group(id) => (id.clone(), workspace.find_group(id).map(|g| g.email.clone()), "GROUP"),
        GoogleMember::Customer => (workspace.customer_id.clone(), None, "CUSTOMER"),
        GoogleMember::External(email) => (format!("ext-{email}"), Some(email.clone()), "EXTERNAL"),
    };
    let mut wire = json!({
        "kind": "admin#directory#member",
        "id": id,
        "etag": format!("\"{id}\""),
        "role": "MEMBER",
        "type": kind,
        "status": "ACTIVE",
    });
    if let (Some(object), Some(email)) = (wire.as_object_mut(), email) {
        object.insert("email".to_owned(), Value::String(email));
    }
    wire
}

fn members(shared: &Shared, state: &State, (path, key): (&str, &str), query: &Query) -> GoogleAnswer {
    let key = decoded(key);
    let Some(group) = state.workspace.find_group(&key) else {
        return no_group(&state.workspace, &key);
    };
    let is_short = |id: &str| {
        let same = |fault: &GoogleFault| matches!(fault, GoogleFault::ShortGroup(of, person) if *of == group.id && person == id);
        state.faults.iter().any(same)
    };
    let all: Vec<Value> = group
        .members
        .iter()
        .filter(|member| !matches!(member, GoogleMember::User(id) if is_short(id)))
        .map(|member| member_wire(&state.workspace, member))
        .collect();
    match page(shared, state, path, query, (all, MAX_OTHERS, MAX_OTHERS)) {
        Ok(found) => list("members", "members", found),
        Err(refused) => refused,
    }
}

/// Somebody who is in a group themselves.
fn member(state: &State, key: &str, person: &str) -> GoogleAnswer {
    let (key, person) = (decoded(key), decoded(person));
    let workspace = &state.workspace;
    let Some(group) = workspace.find_group(&key) else {
        return no_group(workspace, &key);
    };
    let own = workspace.find_person(&person).map(|found| GoogleMember::User(found.id.clone()));
    match own.filter(|own| group.members.contains(own)) {
        Some(own) => GoogleAnswer::ok(member_wire(workspace, &own)),
        None => error(404, "notFound", "Resource Not Found: memberKey"),
    }
}

/// Whether somebody is in a group, directly or, within one domain, through others.
fn has_member(workspace: &Workspace, key: &str, person: &str) -> GoogleAnswer {
    let (key, person) = (decoded(key), decoded(person));
    let Some(first) = workspace.find_group(&key) else {
        return no_group(workspace, &key);
    };
    let invalid = || error(400, "invalid", "Invalid Input: memberKey");
    let Some(person) = workspace.find_person(&person) else { return invalid() };
    let own = GoogleMember::User(person.id.clone());
    if first.members.contains(&own) {
        return GoogleAnswer::ok(json!({ "isMember": true }));
    }
    let domain = first.email.split_once('@').map(|(_, domain)| domain).unwrap_or_default();
    if !is_of(&person.primary_email, domain) {
        return invalid();
    }
    let (mut seen, mut open) = (BTreeSet::new(), vec![first]);
    let mut found = false;
    while let Some(group) = open.pop() {
        if !seen.insert(&group.id) {
            continue;
        }
        for member in &group.members {
            match member {
                GoogleMember::User(id) => found |= *id == person.id,
                GoogleMember::Customer => found = true,
                GoogleMember::Group(id) => open.extend(workspace.find_group(id)),
                GoogleMember::External(_) => {}
            }
        }
    }
    GoogleAnswer::ok(json!({ "isMember": found }))
}

fn org_units(workspace: &Workspace) -> GoogleAnswer {
    let units: Vec<Value> = workspace
        .org_units
        .iter()
        .map(|path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            json!({
                "kind": "admin#directory#orgUnit",
                "etag": format!("\"{path}\""),
                "name": name,
                "orgUnitPath": path,
                "orgUnitId": format!("id:{}", hex(path)),
                "parentOrgUnitPath": if parent.is_empty() { "/" } else { parent },
            })
        })
        .collect();
    let mut body = json!({ "kind": "admin#directory#orgUnits", "etag": "\"units\"" });
    if let Some(object) = body.as_object_mut().filter(|_| !units.is_empty()) {
        object.insert("organizationUnits".to_owned(), Value::Array(units));
    }
    GoogleAnswer::ok(body)
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A part of a path as it was meant.
fn decoded(part: &str) -> String {
    // A plus is a plus in a path, and a blank in a form.
    let form = format!("k={}", part.replace('+', "%2B"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// What a `fields` mask leaves of an answer: `nextPageToken,users(id,name)`.
fn masked(body: &Value, mask: &str) -> Value {
    let Some(object) = body.as_object() else { return body.clone() };
    let mut left = Map::new();
    for part in top_level(mask) {
        let (name, inner) = match part.split_once('(') {
            Some((name, inner)) => (name, inner.strip_suffix(')')),
            None => (part, None),
        };
        let Some(value) = object.get(name) else { continue };
        let value = match (inner, value) {
            (Some(inner), Value::Array(items)) => items.iter().map(|item| masked(item, inner)).collect(),
            (Some(inner), other) => masked(other, inner),
            (None, other) => other.clone(),
        };
        left.insert(name.to_owned(), value);
    }
    Value::Object(left)
}

/// The parts of a mask between commas that stand in no parentheses.
fn top_level(mask: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, sign) in mask.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.extend(mask.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(mask.get(from..));
    parts
}
