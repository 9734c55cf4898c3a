//! Keeps what the claims say of a person as facts of the claims directory, as it was said; writes only what differs.

use std::collections::BTreeSet;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::change::{DirectoryGroupChange, DirectoryUserChange};
use portcullis_domain::directory_group::DirectoryGroup;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryGroupId, DirectoryUserId, MembershipId, RequestId};
use portcullis_domain::mapping::{Facet, FacetChange};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_store::directory_group::DirectoryGroupQuery;
use portcullis_store::directory_user::DirectoryUserQuery;
use portcullis_store::{Tx, directory_group, directory_user, facts, membership};
use serde_json::json;

use super::{Arrival, GroupsSaid, MAX_GROUPS};
use crate::{Moment, ServiceError};

/// Keeps what the claims say of a person, as it was said; writes only what differs.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn keep(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    membership: MembershipId,
    request: RequestId,
) -> Result<(), ServiceError> {
    let user = keep_user(tx, moment, arrival, membership, request)?;
    keep_facets(tx, moment, arrival, (user.id, membership), request)?;
    match &arrival.said.groups {
        GroupsSaid::These(groups) => keep_groups(tx, moment, arrival, (user.id, groups), request),
        GroupsSaid::Nothing | GroupsSaid::Overage if user.unconfirmed_at.is_some() => {
            confirm(tx, moment, arrival, user, request)
        }
        GroupsSaid::Nothing | GroupsSaid::Overage => Ok(()),
    }
}

fn keep_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    membership: MembershipId,
    request: RequestId,
) -> Result<DirectoryUser, ServiceError> {
    let directory = arrival.connection.claims_directory;
    let mut before = None;
    // Who is named anew stays the person of whom was told before: nothing of theirs is left behind under the old name.
    for subject in std::iter::once(&arrival.said.subject).chain(&arrival.said.former_subject) {
        if before.is_none() {
            let query = DirectoryUserQuery::ExternalId(subject.clone());
            before = directory_user::query(tx, directory, &query, 1)?.pop();
        }
    }
    let attributes = json!({
        "sub": arrival.said.subject,
        "email": arrival.said.address.as_ref().map(|a| &a.written),
        "name": arrival.said.name,
        "guest_of": arrival.said.home,
    });
    // Whoever waits for their groups waits on where none came, until it shows what else they live by.
    let unconfirmed_at = match &arrival.said.groups {
        GroupsSaid::These(_) => None,
        GroupsSaid::Nothing | GroupsSaid::Overage => before.as_ref().and_then(|b| b.unconfirmed_at),
    };
    let said = DirectoryUser {
        id: before.as_ref().map_or_else(|| DirectoryUserId::fresh(moment.now, &mut moment.random), |b| b.id),
        organization: arrival.connection.organization,
        directory,
        membership,
        external_id: Some(arrival.said.subject.clone()),
        // Addresses are given to somebody else one day; the subject is the provider's name for the person.
        user_name: arrival.said.subject.clone(),
        display_name: arrival.said.name.clone(),
        email_keys: arrival.said.address.iter().map(|a| a.key.clone()).collect(),
        inactive_at: None,
        unconfirmed_at,
        attributes: attributes.to_string(),
        believed_up_to: Rank::ROOT,
        created_at: before.as_ref().map_or(moment.now, |b| b.created_at),
        updated_at: before.as_ref().map_or(moment.now, |b| b.updated_at),
    };
    let plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    let id = said.id;
    let event = |action| EventDraft::new(action, id).about(membership);
    let plan = match before {
        None => {
            let create = DirectoryUserChange::Create(Box::new(said.clone()));
            plan.then(event(Action::DirectoryUserCreated), create)
        }
        Some(before) => {
            let mut changes = Vec::new();
            if before.membership != membership {
                changes.push(DirectoryUserChange::Attach(id, membership).into());
            }
            let same = DirectoryUser { membership: before.membership, ..said.clone() } == before;
            if !same {
                let said = DirectoryUser { updated_at: moment.now, ..said.clone() };
                changes.push(DirectoryUserChange::Update(Box::new(said)).into());
            }
            if changes.is_empty() {
                return Ok(said);
            }
            plan.then_all(event(Action::DirectoryUserUpdated), changes)
        }
    };
    moment.apply(tx, &plan)?;
    Ok(said)
}

/// Lets what was said before count again of whoever has signed in, although no groups came. But whom these claims govern, and
/// who lives by nothing of it, waits on: as if they had lost their last group they would be off-boarded for a claim that is
/// not theirs to send.
fn confirm(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    user: DirectoryUser,
    request: RequestId,
) -> Result<(), ServiceError> {
    let Some(member) = membership::find(tx, user.organization, user.membership)? else { return Ok(()) };
    let governs = member.governed_by == Some(user.directory);
    if governs && !facts::of(tx, &member)?.lives_by(user.directory) {
        return Ok(());
    }
    let event = EventDraft::new(Action::DirectoryUserUpdated, user.id).about(user.membership);
    let said = DirectoryUser { unconfirmed_at: None, updated_at: moment.now, ..user };
    let plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    moment.apply(tx, &plan.then(event, DirectoryUserChange::Update(Box::new(said))))?;
    Ok(())
}

/// Keeps the values of the claims that came; a claim that did not come keeps those it had.
fn keep_facets(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    (user, membership): (DirectoryUserId, MembershipId),
    request: RequestId,
) -> Result<(), ServiceError> {
    let before = directory_user::facets(tx, user)?;
    // The claim that carries groups says nothing else: what it gave by its values while it did not is over.
    let carries_groups = |name: &str| arrival.said.groups_claim == name;
    let is_said = |facet: &Facet| {
        facet
            .attribute_key()
            .is_some_and(|name| arrival.said.texts.contains_key(name) || carries_groups(name))
    };
    let values =
        arrival.said.texts.iter().flat_map(|(name, texts)| texts.iter().map(move |text| (name, text)));
    let now: BTreeSet<Facet> = values.filter_map(|(name, text)| Facet::attribute(name, text)).collect();
    let FacetChange { new, gone, left_out } = FacetChange::between(&before, &now, is_said);
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let directory = arrival.connection.claims_directory;
    let event = EventDraft::new(Action::DirectoryUserUpdated, user).about(membership).with(json!({
        "values_added": new.len(), "values_removed": gone.len(), "values_left_out": left_out,
    }));
    let mut changes = Vec::new();
    if !gone.is_empty() {
        changes.push(DirectoryUserChange::RemoveFacets(user, gone).into());
    }
    if !new.is_empty() {
        changes.push(DirectoryUserChange::AddFacets(user, directory, new, Some(request)).into());
    }
    let plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    moment.apply(tx, &plan.then_all(event, changes))?;
    Ok(())
}

/// Puts the person into exactly these groups; a group that nobody told of before is made.
fn keep_groups(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    (user, wanted): (DirectoryUserId, &BTreeSet<String>),
    request: RequestId,
) -> Result<(), ServiceError> {
    let directory = arrival.connection.claims_directory;
    // As many as a sign-in may bring, so these are all.
    let most = i64::try_from(MAX_GROUPS).unwrap_or(i64::MAX);
    let before: BTreeSet<DirectoryGroupId> = directory_user::group_ids(tx, user, most)?.into_iter().collect();
    let mut after = BTreeSet::new();
    for name in wanted {
        let query = DirectoryGroupQuery::ExternalId(name.clone());
        let group = match directory_group::query(tx, directory, &query, 1)?.pop() {
            Some(group) => group.id,
            None => make_group(tx, moment, arrival, name, request)?,
        };
        after.insert(group);
    }
    let plan = || Plan::because(arrival.connection.organization, arrival.cause(request));
    let event = |group: DirectoryGroupId, added: u8, removed: u8| {
        EventDraft::new(Action::DirectoryGroupMembersChanged, group)
            .about(user)
            .with(json!({ "added": added, "removed": removed }))
    };
    let mut changes = plan();
    for group in after.difference(&before) {
        let add = DirectoryGroupChange::AddMembers(*group, vec![user], Some(request));
        changes = changes.then(event(*group, 1, 0), add);
    }
    for group in before.difference(&after) {
        let remove = DirectoryGroupChange::RemoveMembers(*group, vec![user]);
        changes = changes.then(event(*group, 0, 1), remove);
    }
    if !changes.is_empty() {
        moment.apply(tx, &changes)?;
    }
    Ok(())
}

fn make_group(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    name: &str,
    request: RequestId,
) -> Result<DirectoryGroupId, ServiceError> {
    let group = DirectoryGroup {
        id: DirectoryGroupId::fresh(moment.now, &mut moment.random),
        organization: arrival.connection.organization,
        directory: arrival.connection.claims_directory,
        external_id: Some(name.to_owned()),
        display_name: name.to_owned(),
        created_at: moment.now,
        updated_at: moment.now,
    };
    let id = group.id;
    let event = EventDraft::new(Action::DirectoryGroupCreated, id)
        .with(json!({ "display_name": name, "external_id": name }));
    let plan = Plan::because(group.organization, arrival.cause(request))
        .then(event, DirectoryGroupChange::Create(group));
    moment.apply(tx, &plan)?;
    Ok(id)
}
