//! What a restore does before anybody may act again: it revives nobody (invariant I4).
//!
//! A backup says who was active and which tokens were good when it was taken. So every token in it ends, and whoever a
//! directory governs is suspended until that directory has spoken of them again. Then nothing of it is left of what
//! was taken away between the backup and now; people who joined by themselves are as the backup says, without a token.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{DirectoryChange, OrganizationChange, TokenChange, TokenSet};
use portcullis_domain::organization::Organization;
use portcullis_domain::plan::Plan;
use portcullis_domain::token::TokenEnd;
use portcullis_store::{Tx, apply, instance, organization};

use crate::{Moment, ServiceError, first_owner, rules};

/// Organizations that are looked at together.
const PAGE: i64 = 100;

/// The next organizations after that id, in order of id.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn organizations(tx: &mut Tx<'_>, after: &str) -> Result<Vec<Organization>, ServiceError> {
    Ok(organization::list(tx, Some(after), PAGE)?)
}

/// Ends every token of an organization and makes everything that its directories say wait for them; how many tokens
/// ended. Stored access is stale from here on, so a check refuses at once; [`bring_in_step`] stores what follows.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn revive_nobody(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
) -> Result<u64, ServiceError> {
    let id = organization.id;
    let event = EventDraft::new(Action::BackupRestored, Target::new("organization", id));
    let end = TokenChange::End {
        organization: id,
        set: TokenSet::OfOrganization(id),
        because: TokenEnd::Restored,
        at: moment.now,
        receipt: None,
    };
    let plan = Plan::because(id, Cause::system()).then_all(
        event,
        vec![
            end.into(),
            DirectoryChange::Unconfirm(id, moment.now).into(),
            OrganizationChange::RaiseRules(id).into(),
        ],
    );
    Ok(apply(tx, &plan, moment.now, &mut moment.random)?.tokens_ended)
}

/// Stores what follows for some memberships; how many there were. Zero means that everything is stored.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn bring_in_step(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    organization: &Organization,
) -> Result<usize, ServiceError> {
    rules::step(tx, moment, organization.id, rules::MAX_AT_ONCE)
}

/// What the installation knows beside its organizations: another course of events begins at that revision, and the
/// link for a first owner is good no more.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn begin_timeline(tx: &mut Tx<'_>, timeline: &str, revision: i64) -> Result<(), ServiceError> {
    instance::put(tx, instance::TIMELINE, timeline)?;
    instance::raise_revision(tx, revision)?;
    first_owner::withdraw_link(tx)
}
