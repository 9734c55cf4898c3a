//! What a member is called here follows what the directory says that governs them.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::change::MembershipChange;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::plan::Plan;
use portcullis_store::{Tx, membership};
use serde_json::json;

use super::{PersonSaid, Speaker};
use crate::ServiceError;

/// Adds to a plan that the member is called from now on as the directory says, if it governs them. Whoever has life of
/// their own keeps the address that they were invited at: links and passwords hang on it, and no directory moves those.
pub(super) fn follow(
    tx: &mut Tx<'_>,
    plan: Plan,
    speaker: Speaker,
    (user, said): (&DirectoryUser, &PersonSaid),
) -> Result<Plan, ServiceError> {
    let Some(member) = membership::find(tx, speaker.organization, user.membership)? else { return Ok(plan) };
    if member.governed_by != Some(speaker.directory) {
        return Ok(plan);
    }
    let name = Some(said.name()).filter(|name| !name.is_empty()).unwrap_or_else(|| member.name.clone());
    let email = if member.joined_at.is_none() { said.address() } else { member.email.clone() };
    let (renamed, moved) = (name != member.name, email != member.email);
    if !renamed && !moved {
        return Ok(plan);
    }
    let event = EventDraft::new(Action::MemberUpdated, Target::new("membership", member.id))
        .about(Target::new("directory_user", user.id))
        .with(json!({ "name": renamed, "email": moved }));
    Ok(plan.then(event, MembershipChange::SetProfile(member.id, email, name)))
}
