//! Forgets what claims said of one person, whose it was not to say; their life does not hang on it for that.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{DirectoryGroupChange, DirectoryUserChange};
use portcullis_domain::connection::Connection;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::MembershipId;
use portcullis_domain::plan::Plan;
use portcullis_store::{Tx, directory_user, facts, membership};
use serde_json::json;

use super::MAX_GROUPS;
use crate::access::settle;
use crate::{Moment, ServiceError};

/// Forgets groups and values of that member, whatever they were called when it was said. Whom these claims govern, and who lives
/// by nothing else of them, waits until they sign in: nobody is off-boarded by it.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn forget(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (of, id): (&Connection, MembershipId),
    cause: Cause,
) -> Result<(), ServiceError> {
    let mut told = directory_user::of_membership(tx, id)?;
    told.retain(|user| user.directory == of.claims_directory);
    for user in told {
        let mut plan = Plan::because(of.organization, cause);
        // As many as a sign-in may bring, so these are all.
        let most = i64::try_from(MAX_GROUPS).unwrap_or(i64::MAX);
        for group in directory_user::group_ids(tx, user.id, most)? {
            let event = EventDraft::new(Action::DirectoryGroupMembersChanged, group)
                .about(user.id)
                .with(json!({ "added": 0, "removed": 1 }));
            plan = plan.then(event, DirectoryGroupChange::RemoveMembers(group, vec![user.id]));
        }
        let facets = directory_user::facets(tx, user.id)?;
        if !facets.is_empty() {
            let event = EventDraft::new(Action::DirectoryUserUpdated, user.id)
                .about(id)
                .with(json!({ "values_removed": facets.len() }));
            plan = plan.then(event, DirectoryUserChange::RemoveFacets(user.id, facets));
        }
        if !plan.is_empty() {
            moment.apply(tx, &plan)?;
        }
        await_word(tx, moment, (of, user), cause)?;
    }
    settle(tx, moment, id, cause)?;
    Ok(())
}

/// Has somebody wait until they sign in, if nothing gives them life any more. Whoever lost it before goes on settling.
fn await_word(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (of, user): (&Connection, DirectoryUser),
    cause: Cause,
) -> Result<(), ServiceError> {
    let Some(member) = membership::find(tx, of.organization, user.membership)? else { return Ok(()) };
    let waits =
        member.governed_by == Some(user.directory) && member.ended.is_none() && member.unmapped_at.is_none();
    if !waits || facts::of(tx, &member)?.lives_by(user.directory) {
        return Ok(());
    }
    let event = EventDraft::new(Action::DirectoryUserUpdated, user.id).about(user.membership);
    let said = DirectoryUser { unconfirmed_at: Some(moment.now), updated_at: moment.now, ..user };
    let plan = Plan::because(of.organization, cause);
    moment.apply(tx, &plan.then(event, DirectoryUserChange::Update(Box::new(said))))?;
    Ok(())
}
