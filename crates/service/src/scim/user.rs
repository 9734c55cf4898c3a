//! People over SCIM.

use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_domain::text::{email_key, name_key};
use portcullis_scim::schema::ENTERPRISE_SCHEMA;
use portcullis_scim::{DialectNote, Lookup, Patch, ScimError, User};
use portcullis_store::directory_user::{Activity, DirectoryUserQuery};
use portcullis_store::{StoreError, Tx, directory_user};
use serde_json::{Map, Value};

use super::{Belongings, Listed, MAX_FOUND, Window};
use crate::provisioning::{self, PersonSaid, Speaker};
use crate::{Moment, ServiceError};

/// The one attribute that is kept in a column of its own, because access hangs on it.
const ACTIVE: &str = "active";

/// A person, and what the answer shows beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserShown {
    /// The person.
    pub user: DirectoryUser,
    /// Their groups, id and name; empty if they were left out.
    pub groups: Vec<(DirectoryGroupId, String)>,
}

/// What a directory says of a person by this SCIM user.
#[must_use]
pub fn person_said(user: &User) -> PersonSaid {
    let mut attributes = user.attributes().clone();
    attributes.remove(ACTIVE);
    said_with(user, attributes)
}

/// The same after a PATCH. A client that removed `active` is shown none until it says one again, whatever the person
/// is: to bring somebody back takes an explicit `true`.
fn person_patched(user: &User, notes: &[DialectNote]) -> PersonSaid {
    let removed = user.active().is_none() || notes.contains(&DialectNote::StaysInactive);
    let mut attributes = user.attributes().clone();
    if removed && user.active() != Some(true) {
        attributes.insert(ACTIVE.to_owned(), Value::Null);
    } else {
        attributes.remove(ACTIVE);
    }
    said_with(user, attributes)
}

fn said_with(user: &User, attributes: Map<String, Value>) -> PersonSaid {
    let mut emails = user.emails();
    emails.sort_by_key(|email| !email.is_primary);
    PersonSaid {
        external_id: user.external_id().filter(|id| !id.is_empty()).map(str::to_owned),
        user_name: user.user_name().to_owned(),
        display_name: user.display_name().unwrap_or_default().to_owned(),
        full_name: user.formatted_name().unwrap_or_default(),
        emails: emails.iter().map(|email| email.value.to_owned()).collect(),
        active: user.active(),
        attributes: Value::Object(attributes).to_string(),
    }
}

/// The SCIM user that is stored: what the directory said, and whether it is active, unless the directory removed that.
///
/// # Errors
/// [`StoreError::Inconsistent`] if the stored attributes are no JSON object.
pub fn stored_user(user: &DirectoryUser) -> Result<User, ServiceError> {
    with_active(user, user.inactive_at.is_none())
}

/// The SCIM user that is answered: whoever waits for their directory after a restore is not active, which is what makes
/// a provider that compares say it again.
///
/// # Errors
/// As [`stored_user`].
pub fn answered_user(user: &DirectoryUser) -> Result<User, ServiceError> {
    with_active(user, is_active(user))
}

const fn is_active(user: &DirectoryUser) -> bool {
    user.inactive_at.is_none() && user.unconfirmed_at.is_none()
}

fn with_active(user: &DirectoryUser, active: bool) -> Result<User, ServiceError> {
    let Ok(Value::Object(mut attributes)) = serde_json::from_str(&user.attributes) else {
        return Err(StoreError::Inconsistent(format!("attributes of `{}`", user.id)).into());
    };
    // What the directory removed is shown again while it is asked to confirm.
    if attributes.get(ACTIVE) == Some(&Value::Null) && user.unconfirmed_at.is_none() {
        attributes.remove(ACTIVE);
    } else {
        attributes.insert(ACTIVE.to_owned(), Value::Bool(active));
    }
    Ok(User::from_stored(attributes))
}

fn shown(tx: &mut Tx<'_>, user: DirectoryUser, belongings: Belongings) -> Result<UserShown, ServiceError> {
    let groups = match belongings {
        Belongings::Read => directory_user::groups(tx, user.id)?,
        Belongings::LeftOut => Vec::new(),
    };
    Ok(UserShown { user, groups })
}

/// POST: tells of a new person.
///
/// # Errors
/// As [`provisioning::create_user`].
pub fn create_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    said: &PersonSaid,
) -> Result<UserShown, ServiceError> {
    let user = provisioning::create_user(tx, moment, speaker, said)?;
    Ok(UserShown { user, groups: Vec::new() })
}

/// PUT: everything that the directory says, anew. What it does not say of `active` stays as it is.
///
/// # Errors
/// As [`provisioning::change_user`].
pub fn replace_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    said: &PersonSaid,
    belongings: Belongings,
) -> Result<UserShown, ServiceError> {
    let user = provisioning::change_user(tx, moment, speaker, id, |_| Ok(said.clone()))?;
    shown(tx, user, belongings)
}

/// PATCH: operations on what the directory said before, all of them or none.
///
/// # Errors
/// What the operations break, and as [`provisioning::change_user`].
pub fn patch_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    patch: &Patch,
    belongings: Belongings,
) -> Result<(UserShown, Vec<DialectNote>), ServiceError> {
    let mut notes = Vec::new();
    let user = provisioning::change_user(tx, moment, speaker, id, |stored| {
        let (user, heard) = patch.apply_to_user(&stored_user(stored)?)?;
        notes = heard;
        Ok(person_patched(&user, &notes))
    })?;
    Ok((shown(tx, user, belongings)?, notes))
}

/// GET: one person.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find_user(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    id: DirectoryUserId,
    belongings: Belongings,
) -> Result<UserShown, ServiceError> {
    let user = directory_user::find(tx, directory, id)?.ok_or(ServiceError::NotFound("user"))?;
    shown(tx, user, belongings)
}

/// GET: the people whom all of these look-ups find, in a stable order.
///
/// # Errors
/// [`ScimError::UnsupportedFilter`] if no index serves them, [`ScimError::TooMany`] beyond [`MAX_FOUND`].
pub fn list_users(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    lookups: &[Lookup],
    window: Window,
    belongings: Belongings,
) -> Result<Listed<UserShown>, ServiceError> {
    let (limit, offset) = window.bounds();
    let (users, total) = match lookups {
        [] => {
            let total = directory_user::count(tx, directory)?;
            (directory_user::page(tx, directory, limit, offset)?, total)
        }
        [Lookup::Active(active)] => {
            let activity = if *active { Activity::Active } else { Activity::Inactive };
            let total = directory_user::count_by_activity(tx, directory, activity)?;
            (directory_user::page_by_activity(tx, directory, activity, limit, offset)?, total)
        }
        _ => {
            let all = found(tx, directory, lookups)?;
            let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
            (window.of(all), total)
        }
    };
    let items = users.into_iter().map(|user| shown(tx, user, belongings)).collect::<Result<_, _>>()?;
    Ok(Listed { items, total: total.unsigned_abs() })
}

/// The people of an index, of whom those are left that fulfil every look-up.
fn found(
    tx: &mut Tx<'_>,
    directory: DirectoryId,
    lookups: &[Lookup],
) -> Result<Vec<DirectoryUser>, ServiceError> {
    const SERVED: &str = "`manager` beside `id`, `userName`, `externalId`, `emails` or `displayName`";
    let best = lookups.iter().min_by_key(|lookup| dearness(lookup));
    let Some(query) = best.map(query).ok_or(ServiceError::NotFound("filter"))? else {
        return Err(ScimError::UnsupportedFilter { served: SERVED }.into());
    };
    let Query::Index(query) = query else { return Ok(Vec::new()) };
    let candidates = directory_user::query(tx, directory, &query, MAX_FOUND + 1)?;
    if i64::try_from(candidates.len()).unwrap_or(i64::MAX) > MAX_FOUND {
        return Err(ScimError::TooMany.into());
    }
    let mut users = Vec::new();
    for user in candidates {
        if fulfils_all(&user, lookups)? {
            users.push(user);
        }
    }
    Ok(users)
}

/// How many people a look-up finds at most, roughly: the rarest is asked of the database.
const fn dearness(lookup: &Lookup) -> u8 {
    match lookup {
        Lookup::Id(_) => 0,
        Lookup::UserName(_) => 1,
        Lookup::ExternalId(_) => 2,
        Lookup::EmailValue { .. } => 3,
        Lookup::DisplayName(_) => 4,
        Lookup::Active(_) | Lookup::Manager(_) | Lookup::Member(_) => 5,
    }
}

enum Query {
    /// Asked of an index.
    Index(DirectoryUserQuery),
    /// Nobody can have it.
    Nobody,
}

/// The question to the database; `None` where no index serves it.
fn query(lookup: &Lookup) -> Option<Query> {
    let named = |value: &str, query: fn(String) -> DirectoryUserQuery| {
        // An absent attribute equals no text, and an absent name is stored as an empty one.
        if value.trim().is_empty() { Query::Nobody } else { Query::Index(query(value.to_owned())) }
    };
    Some(match lookup {
        Lookup::Id(id) => id.parse().map_or(Query::Nobody, |id| Query::Index(DirectoryUserQuery::Id(id))),
        Lookup::UserName(name) => named(name, DirectoryUserQuery::UserName),
        Lookup::ExternalId(id) => named(id, DirectoryUserQuery::ExternalId),
        Lookup::DisplayName(name) => named(name, DirectoryUserQuery::DisplayName),
        Lookup::EmailValue { value, .. } => {
            email_key(value).map_or(Query::Nobody, |key| Query::Index(DirectoryUserQuery::Email(key)))
        }
        Lookup::Active(_) | Lookup::Manager(_) | Lookup::Member(_) => return None,
    })
}

fn fulfils_all(user: &DirectoryUser, lookups: &[Lookup]) -> Result<bool, ServiceError> {
    let stored = stored_user(user)?;
    Ok(lookups.iter().all(|lookup| fulfils(user, &stored, lookup)))
}

fn fulfils(user: &DirectoryUser, stored: &User, lookup: &Lookup) -> bool {
    let same = |a: &str, b: &str| name_key(a) == name_key(b);
    match lookup {
        Lookup::Id(id) => user.id.to_string() == *id,
        Lookup::UserName(name) => same(&user.user_name, name),
        Lookup::ExternalId(id) => user.external_id.as_deref() == Some(id.as_str()),
        Lookup::DisplayName(name) => same(&user.display_name, name),
        Lookup::EmailValue { value, kind } => stored.emails().iter().any(|email| {
            let of_kind = kind.as_ref().is_none_or(|kind| email.kind.is_some_and(|k| same(k, kind)));
            of_kind && same(email.value, value)
        }),
        Lookup::Active(active) => is_active(user) == *active,
        Lookup::Manager(id) => {
            let enterprise = stored.attributes().get(ENTERPRISE_SCHEMA);
            let manager = enterprise.and_then(|e| e.get("manager")).and_then(|m| m.get("value"));
            manager.and_then(Value::as_str) == Some(id.as_str())
        }
        Lookup::Member(_) => false,
    }
}
