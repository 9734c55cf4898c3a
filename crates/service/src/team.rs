//! Teams: groups of memberships. Who is in them follows from mappings.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::TeamChange;
use portcullis_domain::id::{OrganizationId, TeamId};
use portcullis_domain::plan::Plan;
use portcullis_domain::team::Team;
use portcullis_domain::text::{Slug, name};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, team};
use serde_json::json;

use crate::noun::Noun;
use crate::organization::must_live;
use crate::{Moment, ServiceError};

/// The team that a path names, by id or by slug.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, text: &str) -> Result<Team, ServiceError> {
    // An id has an underscore and a slug has none, so a text is never both.
    let found = match (text.parse::<TeamId>(), text.parse::<Slug>()) {
        (Ok(id), _) => team::find(tx, organization, id)?,
        (_, Ok(slug)) => team::find_by_slug(tx, organization, &slug)?,
        _ => None,
    };
    found.ok_or(ServiceError::NotFound(Noun::Team))
}

/// The team of that slug, as it stands in a body.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(tx: &mut Tx<'_>, organization: OrganizationId, slug: &str) -> Result<Team, ServiceError> {
    let slug = slug.parse().map_err(ServiceError::text("team"))?;
    team::find_by_slug(tx, organization, &slug)?.ok_or(ServiceError::NotFound(Noun::Team))
}

/// A page of teams after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Team>, ServiceError> {
    Ok(team::list(tx, organization, Some(after), limit)?)
}

/// Makes a team.
///
/// # Errors
/// [`ServiceError::Taken`] if the slug is.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (slug, called): (&str, &str),
    cause: Cause,
) -> Result<Team, ServiceError> {
    must_live(tx, organization)?;
    let made = Team {
        id: TeamId::fresh(moment.now, &mut moment.random),
        organization,
        slug: slug.parse().map_err(ServiceError::text("slug"))?,
        name: name(called).map_err(ServiceError::text("name"))?,
        created_at: moment.now,
    };
    let event =
        EventDraft::new(Action::TeamCreated, made.id).with(json!({ "slug": made.slug, "name": made.name }));
    let plan = Plan::because(organization, cause).then(event, TeamChange::Create(made.clone()));
    moment.apply(tx, &plan)?;
    Ok(made)
}

/// Gives a team another name for people.
///
/// # Errors
/// [`ServiceError::NotFound`]; a name that is none.
pub fn rename(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (id, called): (&str, &str),
    cause: Cause,
) -> Result<Team, ServiceError> {
    // It is not deleted meanwhile.
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    let name = name(called).map_err(ServiceError::text("name"))?;
    if name == found.name {
        return Ok(found);
    }
    let renamed = Team { name, ..found };
    let event = EventDraft::new(Action::TeamUpdated, renamed.id).with(json!({ "name": renamed.name }));
    let change = TeamChange::Rename(renamed.id, renamed.name.clone());
    moment.apply(tx, &Plan::because(organization, cause).then(event, change))?;
    Ok(renamed)
}

/// Deletes a team that no mapping gives.
///
/// # Errors
/// [`ServiceError::UsedBy`]; [`ServiceError::NotFound`].
pub fn delete(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    id: &str,
    cause: Cause,
) -> Result<(), ServiceError> {
    // Mappings are made under the same lock, so none can name it between the look and the end.
    tx.lock(Lock::Organization(organization))?;
    let found = find(tx, organization, id)?;
    if let Some(user) = team::used_by(tx, organization, &found.slug)? {
        return Err(ServiceError::UsedBy(Noun::Team, user));
    }
    let event = EventDraft::new(Action::TeamDeleted, found.id).with(json!({ "slug": found.slug }));
    let plan = Plan::because(organization, cause).then(event, TeamChange::Delete(found.id));
    moment.apply(tx, &plan)?;
    Ok(())
}
