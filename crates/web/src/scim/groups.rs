//! Groups: `/Groups` and `/Groups/{id}` (RFC 7644 section 3). Members are read only where the answer shows them.

use axum::body::Bytes;
use portcullis_domain::id::DirectoryGroupId;
use portcullis_scim::{Projection, ResourceType, ScimError, parse_group_noting, parse_group_patch_noting};
use portcullis_service::provisioning::GroupSaid;
use portcullis_service::scim::{
    Ask, Belongings, GroupShown, Listed, change_group, create_group, delete_group, group_changes,
    group_draft, represented_group,
};
use portcullis_store::Priority;
use serde_json::Value;

use super::error::Refused;
use super::{Answer, Desk, aside, parsed};

const KIND: ResourceType = ResourceType::Group;

fn parse_id(text: &str) -> Result<DirectoryGroupId, ScimError> {
    text.parse().map_err(|_| ScimError::NotFound)
}

fn belongings(desk: &Desk<'_>, projection: &Projection) -> Belongings {
    if desk.is_shown() && projection.wants(KIND, "members") { Belongings::Read } else { Belongings::LeftOut }
}

fn location(desk: &Desk<'_>, id: DirectoryGroupId) -> String {
    format!("{}/Groups/{id}", desk.base)
}

/// What is answered of a group, and its version. A large one is rendered where nobody waits.
async fn answer_of(desk: &Desk<'_>, shown: GroupShown, projection: Projection) -> Result<Answer, Refused> {
    let (base, bytes, version) = (desk.base.clone(), shown.bytes(), shown.version());
    let body = aside(bytes, move || render(&base, &shown, &projection)).await?;
    Ok(Answer::ok(body).of_bytes(bytes).of_version(Some(version)))
}

fn render(base: &str, shown: &GroupShown, projection: &Projection) -> Value {
    projection.apply(KIND, represented_group(shown, base))
}

/// The groups that a query finds.
pub(super) async fn list(
    desk: &Desk<'_>,
    ask: Ask,
    projection: &Projection,
) -> Result<Listed<Value>, Refused> {
    let Listed { items, total, next, bytes } = desk.app.portcullis().list_groups(ask).await?;
    let (base, projection) = (desk.base.clone(), projection.clone());
    let rendered = move || items.iter().map(|group| render(&base, group, &projection)).collect();
    Ok(Listed { items: aside(bytes, rendered).await?, total, next, bytes })
}

pub(super) async fn create(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let projection = desk.projection()?;
    let group = parsed(desk, body, parse_group_noting).await?;
    let draft = group_draft(group)?;
    let (speaker, belongings) = (desk.speaker, belongings(desk, &projection));
    let created = desk
        .app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| create_group(tx, moment, speaker, &draft))
        .await;
    let created = desk.counted_anew(KIND, created)?;
    let location = location(desk, created.id);
    let created = desk.app.portcullis().show_group(created, belongings).await?;
    Ok(answer_of(desk, created, projection).await?.at(location))
}

pub(super) async fn read(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (directory, belongings) = (desk.speaker.directory, belongings(desk, &projection));
    let found = desk.app.portcullis().find_group(directory, id, belongings).await?;
    let version = found.version();
    if desk.preconditions()?.is_known(&version)? {
        return Ok(Answer::not_modified().of_version(Some(version)));
    }
    answer_of(desk, found, projection).await
}

async fn change(
    desk: &Desk<'_>,
    id: DirectoryGroupId,
    said: Vec<GroupSaid>,
    belongings: Belongings,
) -> Result<GroupShown, Refused> {
    let (speaker, known) = (desk.speaker, desk.preconditions()?);
    let portcullis = desk.app.portcullis();
    // Whoever is taken out of a group waits for nobody who comes in.
    let takes_out = said.iter().any(GroupSaid::takes_out);
    let priority = if takes_out { Priority::OffBoarding } else { Priority::Ordinary };
    let changed = portcullis
        .write(priority, move |tx, moment| change_group(tx, moment, speaker, id, &said, &known))
        .await?;
    Ok(portcullis.show_group(changed, belongings).await?)
}

pub(super) async fn replace(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let group = parsed(desk, body, parse_group_noting).await?;
    let said = group_draft(group)?.into_changes();
    let replaced = change(desk, id, said, belongings(desk, &projection)).await?;
    answer_of(desk, replaced, projection).await
}

/// 204, because a group may be large; the resource only where the client says which attributes it wants
/// (RFC 7644 section 3.5.2).
pub(super) async fn patch(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let changes = parsed(desk, body, parse_group_patch_noting).await?;
    let said = group_changes(changes)?;
    if projection == Projection::Default {
        let patched = change(desk, id, said, Belongings::LeftOut).await?;
        return Ok(Answer::nothing().of_version(Some(patched.version())));
    }
    let patched = change(desk, id, said, belongings(desk, &projection)).await?;
    answer_of(desk, patched, projection).await
}

pub(super) async fn delete(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, speaker, known) = (parse_id(id)?, desk.speaker, desk.preconditions()?);
    let deleted = desk
        .app
        .portcullis()
        .write(Priority::OffBoarding, move |tx, moment| delete_group(tx, moment, speaker, id, &known))
        .await;
    desk.counted_anew(KIND, deleted)?;
    Ok(Answer::nothing())
}
