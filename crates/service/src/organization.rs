//! Organizations: made with everything that each of them has.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, EnvironmentChange, OrganizationChange, RoleChange};
use portcullis_domain::environment::Environment;
use portcullis_domain::id::{EnvironmentId, OrganizationId, RoleId};
use portcullis_domain::organization::Organization;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{BUILT_IN, Rank, Role};
use portcullis_domain::text::{Slug, name};
use portcullis_store::{Tx, apply};

use crate::{Moment, ServiceError};

/// The rules number that an organization is born with: access stored under a lower one is stale, and 0 is never
/// given to anything but what was marked stale.
const FIRST_RULES_NUMBER: i64 = 1;

/// Makes an organization: `production`, the built-in roles, a first event in its log.
///
/// # Errors
/// [`ServiceError::Taken`] if the slug is.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    slug: Slug,
    called: &str,
    cause: Cause,
) -> Result<Organization, ServiceError> {
    let now = moment.now;
    let organization = Organization {
        id: OrganizationId::fresh(now, &mut moment.random),
        slug,
        name: name(called)?,
        rules_number: FIRST_RULES_NUMBER,
        created_at: now,
    };
    let production = Environment {
        id: EnvironmentId::fresh(now, &mut moment.random),
        organization: organization.id,
        slug: Slug::production(),
        name: "Production".to_owned(),
        created_at: now,
    };
    let mut changes: Vec<Change> = vec![
        OrganizationChange::Create(organization.clone()).into(),
        EnvironmentChange::Create(production).into(),
    ];
    for built_in in &BUILT_IN {
        changes.push(
            RoleChange::Create(Role {
                id: RoleId::fresh(now, &mut moment.random),
                organization: organization.id,
                slug: built_in.slug.parse()?,
                rank: Rank::new(i64::from(built_in.rank))?,
                permissions: built_in.permissions(),
                giving: built_in.giving,
                built_in_at: Some(now),
                created_at: now,
            })
            .into(),
        );
    }
    let event = EventDraft::new(Action::OrganizationCreated, Target::new("organization", organization.id))
        .with(serde_json::json!({ "slug": organization.slug, "name": organization.name }));
    let plan = Plan::because(organization.id, cause).then_all(event, changes);
    apply(tx, &plan, now, &mut moment.random)?;
    Ok(organization)
}

/// The organization that a slug or id names.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(tx: &mut Tx<'_>, text: &str) -> Result<Organization, ServiceError> {
    portcullis_store::organization::resolve(tx, text)?.ok_or(ServiceError::NotFound("organization"))
}
