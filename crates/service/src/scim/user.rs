//! People over SCIM.

use portcullis_domain::Timestamp;
use portcullis_domain::directory_user::{DirectoryUser, DirectoryUserQuery};
use portcullis_domain::id::{DirectoryGroupId, DirectoryId, DirectoryUserId};
use portcullis_domain::mapping::Facet;
use portcullis_domain::text::{email_key, json_text};
use portcullis_scim::facet::facets;
use portcullis_scim::{
    DialectNote, Filter, GroupOfUser, Lookup, Meta, Patch, Preconditions, ResourceType, ScimError, SortOrder,
    User, Work, render_user,
};
use portcullis_store::db::Lock;
use portcullis_store::directory_user::{Direction, ListedUser};
use portcullis_store::row::bound;
use portcullis_store::{StoreError, Tx, directory_user};
use serde_json::{Map, Value};

use super::list::{Ask, Resource};
use super::room::{Collected, Reading};
use super::version::VersionTag;
use super::{Belongings, MAX_GROUPS_SHOWN, Window};
use crate::noun::Noun;
use crate::provisioning::{self, PersonSaid, Speaker};
use crate::{Moment, Portcullis, ServiceError};

/// The one attribute that is kept in a column of its own, because access hangs on it.
const ACTIVE: &str = "active";

/// A person, and what the answer shows beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserShown {
    /// The person.
    pub user: ListedUser,
    /// Their groups, id and name; `None` if they were left out, or are more than [`MAX_GROUPS_SHOWN`].
    pub groups: Option<Vec<(DirectoryGroupId, String)>>,
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
        facets: facets(user).iter().filter_map(|(key, value)| Facet::attribute(key, value)).collect(),
        attributes: json_text(&Value::Object(attributes)),
    }
}

/// The SCIM user that is stored: what the directory said, and whether it is active, unless the directory removed that.
///
/// # Errors
/// [`StoreError::Inconsistent`] if the stored attributes are no JSON object.
pub fn stored_user(user: &DirectoryUser) -> Result<User, ServiceError> {
    with_active((user.id, &user.attributes), user.unconfirmed_at, user.inactive_at.is_none())
}

/// The SCIM user that is answered: whoever waits for their directory after a restore is not active, which is what makes
/// a provider that compares say it again.
///
/// # Errors
/// As [`stored_user`].
pub fn answered_user(user: &ListedUser) -> Result<User, ServiceError> {
    with_active((user.id, &user.attributes), user.unconfirmed_at, is_active(user))
}

const fn is_active(user: &ListedUser) -> bool {
    user.inactive_at.is_none() && user.unconfirmed_at.is_none()
}

fn with_active(
    (id, attributes): (DirectoryUserId, &str),
    unconfirmed_at: Option<Timestamp>,
    active: bool,
) -> Result<User, ServiceError> {
    let Ok(Value::Object(mut attributes)) = serde_json::from_str(attributes) else {
        return Err(StoreError::Inconsistent(format!("attributes of `{id}`")).into());
    };
    // What the directory removed is shown again while it is asked to confirm.
    if attributes.get(ACTIVE) == Some(&Value::Null) && unconfirmed_at.is_none() {
        attributes.remove(ACTIVE);
    } else {
        attributes.insert(ACTIVE.to_owned(), Value::Bool(active));
    }
    Ok(User::from_stored(attributes))
}

/// A person, with their groups if they are not more than `most`.
fn shown(
    tx: &mut Tx<'_>,
    user: ListedUser,
    (belongings, most): (Belongings, usize),
) -> Result<UserShown, ServiceError> {
    let groups = match belongings {
        Belongings::Read => directory_user::groups(tx, user.id, most)?,
        Belongings::LeftOut => None,
    };
    Ok(UserShown { user, groups })
}

/// The same within the room of a reading. True: nothing more has room.
fn shown_within(
    tx: &mut Tx<'_>,
    user: ListedUser,
    (belongings, reading): (Belongings, &Reading),
) -> Result<(UserShown, bool), ServiceError> {
    let most = reading.groups(MAX_GROUPS_SHOWN);
    let one = shown(tx, user, (belongings, most))?;
    if belongings == Belongings::Read && one.groups.is_none() && most < MAX_GROUPS_SHOWN {
        reading.outgrow();
    }
    let is_full = reading.show_beside(one.groups.as_deref().map_or(0, groups_bytes));
    Ok((one, is_full))
}

impl UserShown {
    /// How much text an answer has of it, roughly, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        ListedUser::shown_bytes(self)
    }

    /// The version, where the groups are known, because they belong to it.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.groups.as_deref().map(|groups| user_version(&self.user, groups))
    }
}

/// Refuses to write a person of another version than the client knows. The person is locked, so that it stays that one;
/// the rules before them, because what follows holds those and locks are taken in one order.
fn check_version(
    tx: &mut Tx<'_>,
    speaker: Speaker,
    id: DirectoryUserId,
    known: &Preconditions,
) -> Result<(), ServiceError> {
    if known.is_empty() {
        return Ok(());
    }
    tx.lock(Lock::Rules(speaker.organization))?;
    let user =
        directory_user::find_locked(tx, speaker.directory, id)?.ok_or(ServiceError::NotFound(Noun::User))?;
    // Somebody in more groups than are shown has no version that anybody could know.
    let groups = directory_user::groups(tx, id, MAX_GROUPS_SHOWN)?;
    let version = groups.map(|groups| user_version(&user.into(), &groups)).unwrap_or_default();
    Ok(known.check_write(&version)?)
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
    Ok(UserShown { user: user.into(), groups: Some(Vec::new()) })
}

/// PUT: everything that the directory says, anew. What it does not say of `active` stays as it is.
///
/// # Errors
/// [`portcullis_scim::ScimError::PreconditionFailed`], and as [`provisioning::change_user`].
pub fn replace_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    said: &PersonSaid,
    known: &Preconditions,
) -> Result<UserShown, ServiceError> {
    check_version(tx, speaker, id, known)?;
    let user = provisioning::replace_user(tx, moment, speaker, id, said)?;
    shown(tx, user.into(), (Belongings::Read, MAX_GROUPS_SHOWN))
}

/// PATCH: operations on what the directory said before, all of them or none.
///
/// # Errors
/// What the operations break, [`portcullis_scim::ScimError::PreconditionFailed`], and as [`provisioning::change_user`].
pub fn patch_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    patch: &Patch,
    known: &Preconditions,
) -> Result<(UserShown, Vec<DialectNote>), ServiceError> {
    check_version(tx, speaker, id, known)?;
    let mut notes = Vec::new();
    let user = provisioning::change_user(tx, moment, speaker, id, |stored| {
        let (user, heard) = patch.apply_to_user(&stored_user(stored)?)?;
        notes = heard;
        Ok(person_patched(&user, &notes))
    })?;
    Ok((shown(tx, user.into(), (Belongings::Read, MAX_GROUPS_SHOWN))?, notes))
}

/// DELETE: the person is gone from the directory, and what they had ends.
///
/// # Errors
/// [`portcullis_scim::ScimError::PreconditionFailed`], and as [`provisioning::delete_user`].
pub fn delete_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    speaker: Speaker,
    id: DirectoryUserId,
    known: &Preconditions,
) -> Result<(), ServiceError> {
    check_version(tx, speaker, id, known)?;
    provisioning::delete_user(tx, moment, speaker, id)
}

impl Portcullis {
    /// GET: one person, with their groups.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`]; [`ServiceError::TooMany`] for somebody in many groups where too many large things are
    /// read.
    pub async fn find_user(
        &self,
        directory: DirectoryId,
        id: DirectoryUserId,
    ) -> Result<UserShown, ServiceError> {
        self.read_within(directory, move |tx, reading| {
            let user = directory_user::find(tx, directory, id)?.ok_or(ServiceError::NotFound(Noun::User))?;
            shown_within(tx, user.into(), (Belongings::Read, reading)).map(|(one, _)| one)
        })
        .await
    }
}

/// The representation of a person, before any projection. `base` is the directory's base URL; `groups` are their
/// groups, id and name, if they were read: without them no version is told, because they belong to it.
///
/// # Errors
/// As [`stored_user`].
pub fn represented_user(
    user: &ListedUser,
    groups: Option<&[(DirectoryGroupId, String)]>,
    base: &str,
) -> Result<Value, ServiceError> {
    let shown: Vec<GroupOfUser> = groups
        .unwrap_or_default()
        .iter()
        .map(|(id, name)| GroupOfUser {
            id: id.to_string(),
            location: format!("{base}/Groups/{id}"),
            display: name.clone(),
        })
        .collect();
    let version = groups.map(|groups| user_version(user, groups));
    let meta = Meta {
        id: &user.id.to_string(),
        created: &user.created_at.rfc3339(),
        last_modified: &user.updated_at.rfc3339(),
        location: &format!("{base}/Users/{}", user.id),
        version: version.as_deref(),
    };
    Ok(render_user(&answered_user(user)?, &meta, &shown))
}

/// The version of a person: what is said of them, whether they wait to be confirmed, and their groups.
fn user_version(user: &ListedUser, groups: &[(DirectoryGroupId, String)]) -> String {
    let mut version = VersionTag::since(user.updated_at);
    if user.unconfirmed_at.is_some() {
        version.add("unconfirmed");
    }
    for (id, name) in groups {
        version.add(&id.to_string());
        version.add(name);
    }
    version.into_text()
}

impl Resource for ListedUser {
    type Id = DirectoryUserId;
    type Shown = UserShown;
    const KIND: ResourceType = ResourceType::User;
    const AT_ONCE: usize = 20;

    fn text_bytes(&self) -> usize {
        self.attributes.len()
    }

    fn id(&self) -> DirectoryUserId {
        self.id
    }

    fn shown_bytes(shown: &UserShown) -> usize {
        shown.user.attributes.len() + shown.groups.as_deref().map_or(0, groups_bytes)
    }

    fn id_of(shown: &UserShown) -> DirectoryUserId {
        shown.user.id
    }

    fn page(
        tx: &mut Tx<'_>,
        ask: &Ask,
        window: Window,
        reading: &Reading,
    ) -> Result<Option<Vec<Self>>, ServiceError> {
        let directory = ask.directory;
        match (&ask.filter, &ask.sort) {
            (None, None) => {
                let rows =
                    Collected::read(reading, window.count, |limit, before: &[Self]| match before.last() {
                        Some(last) => Self::page_after(tx, directory, &last.id.to_string(), limit),
                        None => Ok(directory_user::page(tx, directory, bound(limit), window.skipped())?),
                    })?;
                Ok(Some(rows.rows))
            }
            (None, Some(sort)) if sort.plain_name() == Some("userName") => {
                let direction = match sort.order() {
                    SortOrder::Ascending => Direction::Forwards,
                    SortOrder::Descending => Direction::Backwards,
                };
                let rows = Collected::read(reading, window.count, |limit, before: &[Self]| {
                    let limit = bound(limit);
                    Ok(match before.last() {
                        Some(last) => directory_user::page_after_user_name(
                            tx,
                            directory,
                            direction,
                            &last.user_name,
                            limit,
                        )?,
                        None => {
                            let offset = window.skipped();
                            directory_user::page_by_user_name(tx, directory, direction, limit, offset)?
                        }
                    })
                })?;
                Ok(Some(rows.rows))
            }
            _ => Ok(None),
        }
    }

    fn count(tx: &mut Tx<'_>, directory: DirectoryId) -> Result<u64, ServiceError> {
        Ok(directory_user::count(tx, directory)?.unsigned_abs())
    }

    fn page_after(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Self>, ServiceError> {
        Ok(directory_user::page_after(tx, directory, after, bound(limit))?)
    }

    fn by_ids(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        ids: &[DirectoryUserId],
    ) -> Result<Vec<Self>, ServiceError> {
        Ok(directory_user::by_ids(tx, directory, ids)?)
    }

    fn indexed(
        tx: &mut Tx<'_>,
        directory: DirectoryId,
        lookup: &Lookup,
        window: Window,
    ) -> Result<Option<Vec<Self>>, ServiceError> {
        let query = match lookup {
            Lookup::Id(id) => match id.parse() {
                Ok(id) => DirectoryUserQuery::Id(id),
                Err(_) => return Ok(Some(Vec::new())),
            },
            Lookup::UserName(name) => DirectoryUserQuery::UserName(name.clone()),
            Lookup::ExternalId(id) => DirectoryUserQuery::ExternalId(id.clone()),
            Lookup::DisplayName(name) => DirectoryUserQuery::DisplayName(name.clone()),
            // What is no address is kept as it was said, but in no index.
            Lookup::EmailValue(value) => match email_key(value) {
                Ok(key) => DirectoryUserQuery::Email(key),
                Err(_) => return Ok(None),
            },
            Lookup::UserNamePrefix(prefix) => DirectoryUserQuery::UserNamePrefix(prefix.clone()),
            Lookup::ExternalIdPrefix(prefix) => DirectoryUserQuery::ExternalIdPrefix(prefix.clone()),
            Lookup::DisplayNamePrefix(prefix) => DirectoryUserQuery::DisplayNamePrefix(prefix.clone()),
            Lookup::Member(_) => return Ok(Some(Vec::new())),
        };
        let (limit, offset) = window.bounds();
        Ok(Some(directory_user::query_page(tx, directory, &query, limit, offset)?))
    }

    fn view(&self, tx: &mut Tx<'_>, ask: &Ask, work: &Work) -> Result<Map<String, Value>, ServiceError> {
        // The groups of a person belong to their version.
        let needs = |filter: &Filter| filter.names("groups") || filter.names_part("meta", "version");
        let needs_groups = ask.filter.as_ref().is_some_and(needs);
        let groups = match needs_groups {
            true => Some(directory_user::groups(tx, self.id, MAX_GROUPS_SHOWN)?.ok_or(ScimError::TooMany)?),
            false => None,
        };
        work.spend(groups.as_deref().map_or(0, groups_bytes))?;
        let Value::Object(mut view) = represented_user(self, groups.as_deref(), &ask.base)? else {
            return Ok(Map::new());
        };
        // Somebody of whom the directory said no `active` has access like anybody else: a filter finds them with those.
        view.insert(ACTIVE.to_owned(), Value::Bool(is_active(self)));
        Ok(view)
    }

    fn show(
        tx: &mut Tx<'_>,
        rows: Vec<Self>,
        belongings: Belongings,
        reading: &Reading,
    ) -> Result<Vec<UserShown>, ServiceError> {
        let mut items = Vec::with_capacity(rows.len());
        for user in rows {
            let (one, is_full) = shown_within(tx, user, (belongings, reading))?;
            items.push(one);
            if is_full {
                break;
            }
        }
        Ok(items)
    }
}

/// What an answer has of a group beside its name: its id twice, and the words around them.
const GROUP_BYTES: usize = 256;

fn groups_bytes(groups: &[(DirectoryGroupId, String)]) -> usize {
    groups.iter().map(|(_, name)| GROUP_BYTES + name.len()).sum()
}
