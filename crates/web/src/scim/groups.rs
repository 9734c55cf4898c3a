//! Groups: `/Groups` and `/Groups/{id}` (RFC 7644 section 3). Members are read only where the answer shows them.

use axum::body::Bytes;
use portcullis_domain::id::{DirectoryGroupId, DirectoryUserId};
use portcullis_scim::{
    Group, ListQuery, MemberOfGroup, Meta, Projection, ResourceType, ScimError, parse_group, parse_patch,
    render_group,
};
use portcullis_service::provisioning::{GroupSaid, delete_group};
use portcullis_service::scim::{
    Belongings, GroupShown, Window, change_group, create_group, find_group, group_changes, group_draft,
    list_groups,
};
use portcullis_store::Priority;
use serde_json::Value;

use super::error::Refused;
use super::{Answer, Desk, parsed};

const KIND: ResourceType = ResourceType::Group;

fn parse_id(text: &str) -> Result<DirectoryGroupId, ScimError> {
    text.parse().map_err(|_| ScimError::NotFound)
}

fn belongings(projection: &Projection) -> Belongings {
    if projection.wants(KIND, "members") { Belongings::Read } else { Belongings::LeftOut }
}

fn location(desk: &Desk<'_>, id: DirectoryGroupId) -> String {
    format!("{}/Groups/{id}", desk.base)
}

/// A member by id. A name beside it would have to be kept in step, and clients compare what they wrote.
fn member(desk: &Desk<'_>, id: DirectoryUserId) -> MemberOfGroup {
    MemberOfGroup {
        id: id.to_string(),
        kind: ResourceType::User,
        location: format!("{}/Users/{id}", desk.base),
        display: None,
    }
}

fn render(desk: &Desk<'_>, shown: &GroupShown, projection: &Projection) -> Value {
    let group = &shown.group;
    let meta = Meta {
        id: &group.id.to_string(),
        created: &group.created_at.rfc3339(),
        last_modified: &group.updated_at.rfc3339(),
        location: &location(desk, group.id),
        version: None,
    };
    let members: Option<Vec<MemberOfGroup>> =
        shown.members.as_ref().map(|members| members.iter().map(|(id, _)| member(desk, *id)).collect());
    let named = Group {
        display_name: group.display_name.clone(),
        external_id: group.external_id.clone(),
        members: None,
    };
    projection.apply(KIND, render_group(&named, &meta, members.as_deref()))
}

/// The groups that a query finds, of what `window` shows, and how many there are.
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
        .read(move |tx, _| list_groups(tx, directory, &lookups, window, belongings))
        .await?;
    let resources = listed.items.iter().map(|group| render(desk, group, &query.projection)).collect();
    Ok((resources, listed.total))
}

pub(super) async fn create(desk: &Desk<'_>, body: &Bytes) -> Result<Answer, Refused> {
    let projection = desk.projection()?;
    let (group, notes) = parsed(body, parse_group).await?;
    let draft = group_draft(group)?;
    let (speaker, belongings) = (desk.speaker, belongings(&projection));
    let created = desk
        .app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| create_group(tx, moment, speaker, &draft, belongings))
        .await?;
    let location = location(desk, created.group.id);
    Ok(Answer::created(render(desk, &created, &projection), location).noting(notes))
}

pub(super) async fn read(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (directory, belongings) = (desk.speaker.directory, belongings(&projection));
    let found = desk.app.portcullis().read(move |tx, _| find_group(tx, directory, id, belongings)).await?;
    Ok(Answer::ok(render(desk, &found, &projection)))
}

async fn change(
    desk: &Desk<'_>,
    id: DirectoryGroupId,
    said: Vec<GroupSaid>,
    belongings: Belongings,
) -> Result<GroupShown, Refused> {
    let speaker = desk.speaker;
    let changed = desk
        .app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| change_group(tx, moment, speaker, id, &said, belongings))
        .await?;
    Ok(changed)
}

pub(super) async fn replace(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (group, notes) = parsed(body, parse_group).await?;
    let said = group_draft(group)?.into_changes();
    let replaced = change(desk, id, said, belongings(&projection)).await?;
    Ok(Answer::ok(render(desk, &replaced, &projection)).noting(notes))
}

/// 204, because a group may be large; the resource only where the client says which attributes it wants
/// (RFC 7644 section 3.5.2).
pub(super) async fn patch(desk: &Desk<'_>, id: &str, body: &Bytes) -> Result<Answer, Refused> {
    let (id, projection) = (parse_id(id)?, desk.projection()?);
    let (changes, notes) = parsed(body, |body| parse_patch(body)?.into_group_changes()).await?;
    let said = group_changes(changes)?;
    if projection == Projection::Default {
        change(desk, id, said, Belongings::LeftOut).await?;
        return Ok(Answer::nothing().noting(notes));
    }
    let patched = change(desk, id, said, belongings(&projection)).await?;
    Ok(Answer::ok(render(desk, &patched, &projection)).noting(notes))
}

pub(super) async fn delete(desk: &Desk<'_>, id: &str) -> Result<Answer, Refused> {
    let (id, speaker) = (parse_id(id)?, desk.speaker);
    desk.app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| delete_group(tx, moment, speaker, id))
        .await?;
    Ok(Answer::nothing())
}
