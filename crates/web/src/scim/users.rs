//! People: `/Users` and `/Users/{id}` (RFC 7644 section 3).

use axum::body::Bytes;
use portcullis_domain::id::DirectoryUserId;
use portcullis_scim::{
    DialectNote, Notes, Patch, Projection, ResourceType, ScimError, parse_patch_noting, parse_user_noting,
};
use portcullis_service::ServiceError;
use portcullis_service::provisioning::PersonSaid;
use portcullis_service::scim::{
    Ask, Listed, UserShown, create_user, delete_user, patch_user, person_said, replace_user, represented_user,
};
use portcullis_store::Priority;
use serde_json::Value;

use super::error::Refused;
use super::{Answer, Desk, aside, parsed};

const KIND: ResourceType = ResourceType::User;

fn parse_id(text: &str) -> Result<DirectoryUserId, ScimError> {
    text.parse().map_err(|_| ScimError::NotFound)
}

fn location(desk: &Desk<'_>, id: DirectoryUserId) -> String {
    format!("{}/Users/{id}", desk.base)
}

/// A person and their version, which is made of all their groups.
async fn versioned(shown: UserShown) -> Result<(UserShown, Option<String>), Refused> {
    aside(shown.bytes(), move || {
        let version = shown.version();
        (shown, version)
    })
    .await
}

/// What is answered of a person. Of whom there is much, that is rendered where nobody waits.
async fn answer_of(
    desk: &Desk<'_>,
    (shown, version): (UserShown, Option<String>),
    projection: Projection,
) -> Result<Answer, Refused> {
    let (base, bytes) = (desk.base.clone(), shown.bytes());
    let body = aside(bytes, move || render(&base, &shown, &projection)).await??;
    Ok(Answer::ok(body).of_bytes(bytes).of_version(version))
}

fn render(base: &str, shown: &UserShown, projection: &Projection) -> Result<Value, ServiceError> {
    let whole = represented_user(&shown.user, shown.groups.as_deref(), base)?;
    Ok(projection.apply(KIND, whole))
}

/// What ends access goes first.
fn priority(said: &PersonSaid) -> Priority {
    if said.active == Some(false) { Priority::OffBoarding } else { Priority::Ordinary }
}

/// A PATCH, and the same of it by what its operations name: whether they can be carried out is seen in the write.
fn parse_prioritised(body: &[u8], notes: &mut Notes) -> Result<(Patch, Priority), ScimError> {
    let patch = parse_patch_noting(body, notes)?;
    let priority = if patch.says_inactive() { Priority::OffBoarding } else { Priority::Ordinary };
    Ok((patch, priority))
}

/// The people whom a query finds.
pub(super) async fn list(
    desk: &Desk<'_>,
    ask: Ask,
    projection: &Projection,
) -> Result<Listed<Value>, Refused> {
    let Listed { items, total, next, bytes } = desk.app.portcullis().list_users(ask).await?;
    let (base, projection) = (desk.base.clone(), projection.clone());
    let rendered =
        move || items.iter().map(|user| render(&base, user, &projection)).collect::<Result<_, _>>();
    Ok(Listed { items: aside(bytes, rendered).await??, total, next, bytes })
}

pub(super) async fn create(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let projection = desk.projection()?;
    let user = parsed(desk, body, parse_user_noting).await?;
    let said = person_said(&user.with_defaults());
    let speaker = desk.speaker;
    let created = desk
        .app
        .portcullis()
        .write(priority(&said), move |tx, moment| create_user(tx, moment, speaker, &said))
        .await;
    let created = desk.counted_anew(KIND, created)?;
    let location = location(desk, created.user.id);
    Ok(answer_of(desk, versioned(created).await?, projection).await?.at(location))
}

pub(super) async fn read(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let found = desk.app.portcullis().find_user(desk.speaker.directory, id).await?;
    let (found, version) = versioned(found).await?;
    if version.as_ref().map_or(Ok(false), |version| desk.preconditions()?.is_known(version))? {
        return Ok(Answer::not_modified().of_version(version));
    }
    answer_of(desk, (found, version), projection).await
}

pub(super) async fn replace(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection, known) = (parse_id(id)?, desk.projection()?, desk.preconditions()?);
    let user = parsed(desk, body, parse_user_noting).await?;
    let said = person_said(&user);
    if said.active.is_none() {
        desk.hear([DialectNote::ActiveNotSaid]);
    }
    let speaker = desk.speaker;
    let replaced = desk
        .app
        .portcullis()
        .write(priority(&said), move |tx, moment| replace_user(tx, moment, speaker, id, &said, &known))
        .await?;
    answer_of(desk, versioned(replaced).await?, projection).await
}

pub(super) async fn patch(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection, known) = (parse_id(id)?, desk.projection()?, desk.preconditions()?);
    let (patch, priority) = parsed(desk, body, parse_prioritised).await?;
    let speaker = desk.speaker;
    let (patched, notes) = desk
        .app
        .portcullis()
        .write(priority, move |tx, moment| patch_user(tx, moment, speaker, id, &patch, &known))
        .await?;
    desk.hear(notes);
    answer_of(desk, versioned(patched).await?, projection).await
}

pub(super) async fn delete(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, speaker, known) = (parse_id(id)?, desk.speaker, desk.preconditions()?);
    let deleted = desk
        .app
        .portcullis()
        .write(Priority::OffBoarding, move |tx, moment| delete_user(tx, moment, speaker, id, &known))
        .await;
    desk.counted_anew(KIND, deleted)?;
    Ok(Answer::nothing())
}
