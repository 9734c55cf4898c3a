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
use portcullis_store::{Tx, directory_group, directory_user, facts, membership};
use serde_json::json;

use super::{Arrival, GroupsSaid, MAX_GROUPS};
use crate::naming::is_subject_of;
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

/// Whether what the claims say of a member until now is what this very account said.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn is_word_of(
    tx: &mut Tx<'_>,
    arrival: &Arrival,
    membership: MembershipId,
) -> Result<bool, ServiceError> {
    let before = Before::find(tx, arrival, membership)?;
    Ok(before.over.is_empty() && before.told.is_some_and(|user| is_called_so(arrival, &user)))
}

/// What the claims of a connection said of somebody before.
struct Before {
    /// The row that goes on, under whatever name the provider gave them.
    told: Option<DirectoryUser>,
    /// Others, which end: what they gave nobody would take away any more.
    over: Vec<DirectoryUser>,
}

impl Before {
    /// One person is told of once, whatever they were called, and by the provider that the connection has now: what another
    /// one said is its word no longer
    /// ([why](../../../../docs/decisions/0062-claims-tell-of-one-person-once.md)).
    fn find(tx: &mut Tx<'_>, arrival: &Arrival, membership: MembershipId) -> Result<Self, ServiceError> {
        let connection = &arrival.connection;
        let mut over = directory_user::of_membership(tx, membership)?;
        over.retain(|user| user.directory == connection.claims_directory);
        let is_of_provider =
            |user: &DirectoryUser| is_subject_of(connection, user.external_id.as_deref().unwrap_or_default());
        over.sort_by_key(|user| {
            (is_of_provider(user), is_called_so(arrival, user), user.created_at, user.id)
        });
        let told = over.pop_if(|user| is_of_provider(user));
        Ok(Self { told, over })
    }
}

fn is_called_so(arrival: &Arrival, user: &DirectoryUser) -> bool {
    user.external_id.as_deref().is_some_and(|name| arrival.subjects().any(|subject| subject == name))
}

fn keep_user(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    arrival: &Arrival,
    membership: MembershipId,
    request: RequestId,
) -> Result<DirectoryUser, ServiceError> {
    let directory = arrival.connection.claims_directory;
    let Before { told: before, over } = Before::find(tx, arrival, membership)?;
    let attributes = json!({
        "sub": arrival.said.subject,
        "email": arrival.said.address.as_ref().map(|a| &a.written),
        "name": arrival.said.name,
        "guest_of": arrival.said.home,
    });
    // Whoever waits for their groups waits on where none came, until it shows what else they live by. So does whose groups
    // another provider told.
    let unconfirmed_at = match (&arrival.said.groups, &before) {
        (GroupsSaid::These(_), _) => None,
        (GroupsSaid::Nothing | GroupsSaid::Overage, Some(before)) => before.unconfirmed_at,
        (GroupsSaid::Nothing | GroupsSaid::Overage, None) => (!over.is_empty()).then_some(moment.now),
    };
    let id = before.as_ref().map_or_else(|| DirectoryUserId::fresh(moment.now, &mut moment.random), |b| b.id);
    let said = DirectoryUser {
        id,
        organization: arrival.connection.organization,
        directory,
        membership,
        external_id: Some(arrival.said.subject.clone()),
        // Names are unique in any letter case, and a provider's subjects are told apart by it: this is nobody's name.
        user_name: id.to_string(),
        display_name: arrival.said.name.clone(),
        email_keys: arrival.said.address.iter().map(|a| a.key.clone()).collect(),
        inactive_at: None,
        unconfirmed_at,
        attributes: attributes.to_string(),
        believed_up_to: Rank::ROOT,
        created_at: before.as_ref().map_or(moment.now, |b| b.created_at),
        updated_at: before.as_ref().map_or(moment.now, |b| b.updated_at),
    };
    let event = |action, id: DirectoryUserId| EventDraft::new(action, id).about(membership);
    let mut plan = Plan::because(arrival.connection.organization, arrival.cause(request));
    for user in &over {
        let deleted = event(Action::DirectoryUserDeleted, user.id);
        plan = plan.then(deleted, DirectoryUserChange::Delete(user.id));
    }
    match before {
        None => {
            let create = DirectoryUserChange::Create(Box::new(said.clone()));
            plan = plan.then(event(Action::DirectoryUserCreated, id), create);
        }
        Some(before) if before != said => {
            let said = DirectoryUser { updated_at: moment.now, ..said.clone() };
            let update = DirectoryUserChange::Update(Box::new(said));
            plan = plan.then(event(Action::DirectoryUserUpdated, id), update);
        }
        Some(_) => {}
    }
    if !plan.is_empty() {
        moment.apply(tx, &plan)?;
    }
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
