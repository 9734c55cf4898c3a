//! Environments: parts of an organization with sign-in rules of their own.

use portcullis_domain::Refusal;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::EnvironmentChange;
use portcullis_domain::environment::Environment;
use portcullis_domain::id::{EnvironmentId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::{Slug, name};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, environment};
use serde_json::json;

use crate::noun::Noun;
use crate::organization::must_live;
use crate::{Moment, ServiceError};

/// The environment that a path names, by id or by slug.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, text: &str) -> Result<Environment, ServiceError> {
    // An id has an underscore and a slug has none, so a text is never both.
    let found = match (text.parse::<EnvironmentId>(), text.parse::<Slug>()) {
        (Ok(id), _) => environment::find(tx, organization, id)?,
        (_, Ok(slug)) => environment::find_by_slug(tx, organization, &slug)?,
        _ => None,
    };
    found.ok_or(ServiceError::NotFound(Noun::Environment))
}

/// The environment of that slug, as it stands in a body.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(tx: &mut Tx<'_>, organization: OrganizationId, slug: &str) -> Result<Environment, ServiceError> {
    let slug = slug.parse().map_err(ServiceError::text("environment"))?;
    environment::find_by_slug(tx, organization, &slug)?.ok_or(ServiceError::NotFound(Noun::Environment))
}

/// A page of environments after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Environment>, ServiceError> {
    Ok(environment::list(tx, organization, Some(after), limit)?)
}

/// Makes an environment.
///
/// # Errors
/// [`ServiceError::Taken`] if the slug is.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (slug, called): (&str, &str),
    cause: Cause,
) -> Result<Environment, ServiceError> {
    must_live(tx, organization)?;
    let made = Environment {
        id: EnvironmentId::fresh(moment.now, &mut moment.random),
        organization,
        slug: slug.parse().map_err(ServiceError::text("slug"))?,
        name: name(called).map_err(ServiceError::text("name"))?,
        created_at: moment.now,
    };
    let event = EventDraft::new(Action::EnvironmentCreated, made.id)
        .with(json!({ "slug": made.slug, "name": made.name }));
    let plan = Plan::because(organization, cause).then(event, EnvironmentChange::Create(made.clone()));
    moment.apply(tx, &plan)?;
    Ok(made)
}

/// Gives an environment another name for people.
///
/// # Errors
/// [`ServiceError::NotFound`]; a name that is none.
pub fn rename(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    (id, called): (&str, &str),
    cause: Cause,
) -> Result<Environment, ServiceError> {
    // It is not deleted meanwhile.
    tx.lock(Lock::Rules(organization))?;
    let found = find(tx, organization, id)?;
    let name = name(called).map_err(ServiceError::text("name"))?;
    if name == found.name {
        return Ok(found);
    }
    let renamed = Environment { name, ..found };
    let event = EventDraft::new(Action::EnvironmentUpdated, renamed.id).with(json!({ "name": renamed.name }));
    let change = EnvironmentChange::Rename(renamed.id, renamed.name.clone());
    moment.apply(tx, &Plan::because(organization, cause).then(event, change))?;
    Ok(renamed)
}

/// Deletes an environment that nothing names.
///
/// # Errors
/// [`Refusal::BuiltIn`] for `production`; [`ServiceError::UsedBy`]; [`ServiceError::NotFound`].
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
    if found.slug == Slug::production() {
        return Err(Refusal::BuiltIn.into());
    }
    if let Some(user) = environment::used_by(tx, organization, &found.slug, moment.now)? {
        return Err(ServiceError::UsedBy(Noun::Environment, user));
    }
    let event = EventDraft::new(Action::EnvironmentDeleted, found.id).with(json!({ "slug": found.slug }));
    let plan = Plan::because(organization, cause).then(event, EnvironmentChange::Delete(found.id));
    moment.apply(tx, &plan)?;
    Ok(())
}
