//! Organizations: made with everything that each of them has, and ended with everything in them.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    Change, EnvironmentChange, OrganizationChange, RoleChange, TokenChange, TokenSet,
};
use portcullis_domain::environment::Environment;
use portcullis_domain::google::GoogleSource;
use portcullis_domain::id::{EnvironmentId, OrganizationId, RoleId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::organization::Organization;
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{BuiltInRole, Role};
use portcullis_domain::text::{Slug, has_nul, name};
use portcullis_domain::token::TokenEnd;
use portcullis_store::db::Lock;
use portcullis_store::membership::{MembershipFilter, list_page};
use portcullis_store::row::bound;
use portcullis_store::{Priority, StoreError, Tx, google, organization};

use crate::access::off_board_member;
use crate::caller::Caller;
use crate::google::consent::withdraw;
use crate::noun::Noun;
use crate::rules::MAX_PER_CALL;
use crate::{Moment, Portcullis, ServiceError};

/// The rules number that an organization is born with: access stored under a lower one is stale, and 0 is never
/// given to anything but what was marked stale.
const FIRST_RULES_NUMBER: i64 = 1;
/// The most consents that are given back with an organization, one after the other: somebody waits for it. Beyond that the
/// refresh tokens go all the same, and the consents stand at Google until they are removed there.
const MAX_CONSENTS: i64 = 20;

/// Makes an organization: `production`, the built-in roles, a first event in its log.
///
/// # Errors
/// [`ServiceError::Taken`] if the slug is, [`ServiceError::SlugRetired`] by one that was deleted.
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
        name: name(called).map_err(ServiceError::text("name"))?,
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
    for built_in in BuiltInRole::ALL {
        changes.push(
            RoleChange::Create(Role {
                id: RoleId::fresh(now, &mut moment.random),
                organization: organization.id,
                slug: built_in.slug(),
                rank: built_in.rank(),
                permissions: built_in.permissions(),
                giving: built_in.giving(),
                built_in_at: Some(now),
                created_at: now,
            })
            .into(),
        );
    }
    let event = EventDraft::new(Action::OrganizationCreated, organization.id)
        .with(serde_json::json!({ "slug": organization.slug, "name": organization.name }));
    let plan = Plan::because(organization.id, cause).then_all(event, changes);
    match moment.apply(tx, &plan) {
        // One that is there would be found by it.
        Err(StoreError::Taken(_)) if organization::find_by_slug(tx, &organization.slug)?.is_none() => {
            Err(ServiceError::SlugRetired)
        }
        applied => applied.map(|_| organization).map_err(ServiceError::from),
    }
}

/// The organization that a slug or id names.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(tx: &mut Tx<'_>, text: &str) -> Result<Organization, ServiceError> {
    if has_nul(text) {
        return Err(ServiceError::NotFound(Noun::Organization));
    }
    portcullis_store::organization::resolve(tx, text)?.ok_or(ServiceError::NotFound(Noun::Organization))
}

/// The organization whose log, receipts and public keys a slug or id names, also if it was deleted.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn of_log(tx: &mut Tx<'_>, text: &str) -> Result<Organization, ServiceError> {
    if has_nul(text) {
        return Err(ServiceError::NotFound(Noun::Organization));
    }
    organization::find_of_log(tx, text)?.ok_or(ServiceError::NotFound(Noun::Organization))
}

/// A page of the organizations that the caller may see, after the id `after`: every one for the root token, the
/// member's own for a member.
///
/// # Errors
/// [`ServiceError::Forbidden`].
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    after: &str,
    limit: i64,
) -> Result<Vec<Organization>, ServiceError> {
    let own = match caller {
        Caller::Root => return Ok(organization::list(tx, Some(after), limit)?),
        Caller::Member(member) => member.organization,
        Caller::Service { organization, .. } => *organization,
    };
    caller.may(Permission::OrganizationsRead, own)?;
    let found = organization::find(tx, own)?.filter(|o| o.id.to_string().as_str() > after);
    Ok(found.into_iter().collect())
}

/// An organization in which somebody is about to make something: it is not deleted before that is made. The root token's
/// request named it before its body was read, which may have taken as long as the root token likes.
pub(crate) fn must_live(tx: &mut Tx<'_>, id: OrganizationId) -> Result<Organization, ServiceError> {
    tx.lock(Lock::Rules(id))?;
    organization::find(tx, id)?.ok_or(ServiceError::NotFound(Noun::Organization))
}

/// Gives an organization another name for people.
///
/// # Errors
/// A name that is none; [`ServiceError::NotFound`] for one that was deleted.
pub fn rename(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
    called: &str,
    cause: Cause,
) -> Result<Organization, ServiceError> {
    let found = must_live(tx, organization.id)?;
    let name = name(called).map_err(ServiceError::text("name"))?;
    if name == found.name {
        return Ok(found);
    }
    let renamed = Organization { name, ..found };
    let event = EventDraft::new(Action::OrganizationUpdated, renamed.id)
        .with(serde_json::json!({ "name": renamed.name }));
    let change = OrganizationChange::Rename(renamed.id, renamed.name.clone());
    moment.apply(tx, &Plan::because(renamed.id, cause).then(event, change))?;
    Ok(renamed)
}

/// What becomes of the people of something that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// Nothing was said: it is deleted only if there are none.
    Unsaid,
    /// They are off-boarded, each with a receipt.
    OffBoard,
}

/// Deletes an organization: its people are off-boarded if that is said, then every token in it ends. Its log stays.
///
/// People go in transactions of their own, [`MAX_PER_CALL`] at a time; a crash between them leaves an organization
/// with fewer people, and the same call goes on from there. Consents by which Google was asked are given back afterwards.
///
/// # Errors
/// [`ServiceError::InUse`] if it has people and nothing was said of them.
pub async fn delete(
    portcullis: &Portcullis,
    organization: OrganizationId,
    people: People,
    cause: Cause,
) -> Result<(), ServiceError> {
    let mut page = (people == People::OffBoard).then(String::new);
    while let Some(after) = page {
        let off_board = move |tx: &mut Tx<'_>, moment: &mut Moment| {
            off_board_page(tx, moment, organization, &after, cause)
        };
        page = portcullis.write(Priority::OffBoarding, off_board).await?;
    }
    let consented = portcullis
        .write(Priority::OffBoarding, move |tx, moment| end(tx, moment, organization, cause))
        .await?;
    for source in consented {
        withdraw(portcullis, &source).await;
    }
    Ok(())
}

/// Ends an organization without people; which consents of it are of no use any more.
fn end(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    cause: Cause,
) -> Result<Vec<GoogleSource>, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    if has_members(tx, organization)? {
        return Err(ServiceError::InUse(Noun::Organization));
    }
    let consented = google::consented(tx, organization, MAX_CONSENTS)?;
    let (people, agents) = organization::count_left(tx, organization)?;
    let event = EventDraft::new(Action::OrganizationDeleted, organization)
        .with(serde_json::json!({ "people": people, "agents": agents }));
    let tokens =
        TokenChange::ended(TokenSet::OfOrganization(moment.now), TokenEnd::HolderDeleted, moment.now);
    let changes = vec![tokens.into(), OrganizationChange::Delete(organization, moment.now).into()];
    moment.apply(tx, &Plan::because(organization, cause).then_all(event, changes))?;
    Ok(consented)
}

/// Off-boards everybody on the page after that id; where the next page begins, if there is one.
fn off_board_page(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: OrganizationId,
    after: &str,
    cause: Cause,
) -> Result<Option<String>, ServiceError> {
    tx.lock(Lock::Rules(organization))?;
    let page = list_page(tx, organization, &MembershipFilter::default(), after, bound(MAX_PER_CALL))?;
    for member in page.iter().filter(|m| m.ended.is_none()) {
        off_board_member(tx, moment, organization, member.id, "the organization was deleted", cause)?;
    }
    Ok(page.last().map(|m| m.id.to_string()))
}

/// Whether somebody is in it who was not off-boarded.
fn has_members(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<bool, ServiceError> {
    for state in [MembershipState::Active, MembershipState::Suspended, MembershipState::Invited] {
        let filter = MembershipFilter { state: Some(state), ..MembershipFilter::default() };
        if !list_page(tx, organization, &filter, "", 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
