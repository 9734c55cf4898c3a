//! People: `/Users` and `/Users/{id}` (RFC 7644 section 3).

use axum::body::Bytes;
use portcullis_domain::id::DirectoryUserId;
use portcullis_scim::{
    Belonging, GroupOfUser, ListQuery, Meta, Patch, Projection, ResourceType, ScimError, User, parse_patch,
    parse_user, render_user,
};
use portcullis_service::ServiceError;
use portcullis_service::provisioning::{PersonSaid, delete_user};
use portcullis_service::scim::{
    Belongings, UserShown, Window, answered_user, create_user, find_user, list_users, patch_user,
    person_said, replace_user,
};
use portcullis_store::Priority;
use serde_json::{Map, Value};

use super::error::Refused;
use super::{Answer, Desk, parsed};

const KIND: ResourceType = ResourceType::User;

fn parse_id(text: &str) -> Result<DirectoryUserId, ScimError> {
    text.parse().map_err(|_| ScimError::NotFound)
}

fn belongings(projection: &Projection) -> Belongings {
    if projection.wants(KIND, "groups") { Belongings::Read } else { Belongings::LeftOut }
}

fn location(desk: &Desk<'_>, id: DirectoryUserId) -> String {
    format!("{}/Users/{id}", desk.base)
}

fn render(desk: &Desk<'_>, shown: &UserShown, projection: &Projection) -> Result<Value, ServiceError> {
    let user = &shown.user;
    let groups: Vec<GroupOfUser> = shown
        .groups
        .iter()
        .map(|(id, name)| GroupOfUser {
            id: id.to_string(),
            location: format!("{}/Groups/{id}", desk.base),
            display: name.clone(),
            belonging: Belonging::Direct,
        })
        .collect();
    let meta = Meta {
        id: &user.id.to_string(),
        created: &user.created_at.rfc3339(),
        last_modified: &user.updated_at.rfc3339(),
        location: &location(desk, user.id),
        version: None,
    };
    Ok(projection.apply(KIND, render_user(&answered_user(user)?, &meta, &groups)))
}

/// What ends access goes first.
fn priority(said: &PersonSaid) -> Priority {
    if said.active == Some(false) { Priority::OffBoarding } else { Priority::Ordinary }
}

/// Whether a PATCH may end access: tried on somebody active of whom nothing else is known.
fn priority_of(patch: &Patch) -> Priority {
    let somebody = User::from_stored(Map::from_iter([
        ("userName".to_owned(), Value::from("somebody")),
        ("active".to_owned(), Value::Bool(true)),
    ]));
    match patch.apply_to_user(&somebody) {
        Ok((user, _)) if user.is_active() => Priority::Ordinary,
        // What cannot be told beforehand is treated as if it did.
        Ok(_) | Err(_) => Priority::OffBoarding,
    }
}

/// The people whom a query finds, of what `window` shows, and how many there are.
pub(super) async fn list(
    desk: &Desk<'_>,
    query: &ListQuery,
    window: Window,
) -> Result<(Vec<Value>, u64), Refused> {
    let lookups = query.filter.as_ref().map(|f| f.as_lookup(KIND)).transpose()?.unwrap_or_default();
    let (directory, belongings) = (desk.speaker.directory, belongings(&query.projection));
    let listed = desk
        .app
        .portcullis()
        .read(move |tx, _| list_users(tx, directory, &lookups, window, belongings))
        .await?;
    let shown = listed.items.iter().map(|user| render(desk, user, &query.projection));
    let resources = shown.collect::<Result<Vec<_>, _>>()?;
    Ok((resources, listed.total))
}

pub(super) async fn create(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let projection = desk.projection()?;
    let (user, notes) = parsed(body, parse_user).await?;
    let said = person_said(&user.with_defaults());
    let speaker = desk.speaker;
    let created = desk
        .app
        .portcullis()
        .write(priority(&said), move |tx, moment| create_user(tx, moment, speaker, &said))
        .await?;
    let location = location(desk, created.user.id);
    Ok(Answer::created(render(desk, &created, &projection)?, location).noting(notes))
}

pub(super) async fn read(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (directory, belongings) = (desk.speaker.directory, belongings(&projection));
    let found = desk.app.portcullis().read(move |tx, _| find_user(tx, directory, id, belongings)).await?;
    Ok(Answer::ok(render(desk, &found, &projection)?))
}

pub(super) async fn replace(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (user, notes) = parsed(body, parse_user).await?;
    let said = person_said(&user);
    let (speaker, belongings) = (desk.speaker, belongings(&projection));
    let replaced = desk
        .app
        .portcullis()
        .write(priority(&said), move |tx, moment| replace_user(tx, moment, speaker, id, &said, belongings))
        .await?;
    Ok(Answer::ok(render(desk, &replaced, &projection)?).noting(notes))
}

pub(super) async fn patch(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let patch = parsed(body, parse_patch).await?;
    let (speaker, belongings) = (desk.speaker, belongings(&projection));
    let (patched, notes) = desk
        .app
        .portcullis()
        .write(priority_of(&patch), move |tx, moment| patch_user(tx, moment, speaker, id, &patch, belongings))
        .await?;
    Ok(Answer::ok(render(desk, &patched, &projection)?).noting(notes))
}

pub(super) async fn delete(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, speaker) = (parse_id(id)?, desk.speaker);
    desk.app
        .portcullis()
        .write(Priority::OffBoarding, move |tx, moment| delete_user(tx, moment, speaker, id))
        .await?;
    Ok(Answer::nothing())
}
