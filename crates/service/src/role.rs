//! Roles: named, ranked sets of permissions, and who may have to do with which.
//!
//! Nobody makes, changes or takes what stands above their own rank; a holder does not change their own role either.
//! A change of a role is a change of rules: everybody whom it touches is settled.

use std::collections::BTreeSet;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::RoleChange;
use portcullis_domain::directory::DirectoryKind;
use portcullis_domain::id::{DirectoryId, MembershipId, OrganizationId, RoleId, TokenId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::{Giving, Rank, Role, check_permissions, may_be_mapped, may_give};
use portcullis_domain::text::Slug;
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::db::Lock;
use portcullis_store::{
    StoreError, Tx, UniqueKey, connection, directory, google, grant, mapping, role, token,
};
use serde_json::json;

use crate::caller::Caller;
use crate::noun::Noun;
use crate::pages::whole;
use crate::rules::{Carried, Higher, after_rule_change, listed};
use crate::{Moment, ServiceError, mask, membership};

/// Directories, or tokens of one, that are looked at together.
const PAGE: i64 = 100;

/// What a role is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleShape {
    /// How high it stands.
    pub rank: i64,
    /// What it allows, as texts.
    pub permissions: Vec<String>,
    /// Whether automation may give it.
    pub giving: Giving,
}

/// Which parts of a role are to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleChanges {
    /// How high it stands.
    pub rank: Option<i64>,
    /// What it allows, as texts.
    pub permissions: Option<Vec<String>>,
    /// Whether automation may give it.
    pub giving: Option<Giving>,
}

/// The role that a path names, by id or by slug.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, text: &str) -> Result<Role, ServiceError> {
    // An id has an underscore and a slug has none, so a text is never both.
    let found = match (text.parse::<RoleId>(), text.parse::<Slug>()) {
        (Ok(id), _) => role::find(tx, organization, id)?,
        (_, Ok(slug)) => role::find_by_slug(tx, organization, &slug)?,
        _ => None,
    };
    found.ok_or(ServiceError::NotFound(Noun::Role))
}

/// The role of that slug, as it stands in that field of a body.
///
/// # Errors
/// [`ServiceError::NotFound`].
pub fn named(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (field, slug): (&'static str, &str),
) -> Result<Role, ServiceError> {
    let slug = slug.parse().map_err(ServiceError::text(field))?;
    role::find_by_slug(tx, organization, &slug)?.ok_or(ServiceError::NotFound(Noun::Role))
}

/// The role of that slug, if somebody of that rank may let automation give it.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`Refusal::RoleIsExplicitOnly`]; [`Refusal::AboveOwnRank`].
pub fn mappable(
    tx: &mut Tx<'_>,
    giver: Rank,
    organization: OrganizationId,
    named_in: (&'static str, &str),
) -> Result<Role, ServiceError> {
    let found = named(tx, organization, named_in)?;
    may_be_mapped(found.giving)?;
    may_give(giver, found.rank)?;
    Ok(found)
}

/// May the caller have to do with somebody or something that has this role?
///
/// # Errors
/// [`Refusal::AboveOwnRank`] if the role stands above the caller's rank.
pub fn must_not_stand_above(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    slug: Option<&Slug>,
) -> Result<(), ServiceError> {
    let Some(slug) = slug else { return Ok(()) };
    let found = role::find_by_slug(tx, organization, slug)?;
    let rank = found.map_or(Rank::NONE, |r| r.rank);
    Ok(may_give(caller.rank(), rank)?)
}

/// Refuses to let a directory give more than it did while a token of it was shown to somebody who stands below that:
/// with the token they would put themselves where it is given
/// ([why](../../../docs/decisions/0036-a-secret-is-worth-no-more-than-whoever-saw-it.md)). So does a token of another one that
/// tells of the same people, unless that gives as much
/// ([why](../../../docs/decisions/0042-of-whom-two-directories-tell-is-lent-by-neither.md)).
///
/// # Errors
/// [`ServiceError::TokenSeenBelow`], which names the token.
pub(crate) fn must_not_outgrow(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (of, rank): (DirectoryId, Rank),
    now: Timestamp,
) -> Result<(), ServiceError> {
    if rank <= highest_given(tx, organization, of)? {
        return Ok(());
    }
    must_not_be_seen_below(tx, organization, (of, rank), now)?;
    let mut after = String::new();
    loop {
        let page = directory::list(tx, organization, Some(&after), PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.to_string();
        for other in page.iter().filter(|other| other.id != of && other.kind != DirectoryKind::Claims) {
            let is_beside = highest_given(tx, organization, other.id)? < rank;
            if is_beside
                && let Some(refusal) = spoken_below(tx, organization, (other.id, rank), now)?
                && directory::tells_of_one_with(tx, organization, (of, other.id))?
            {
                return Err(refusal);
            }
        }
    }
}

/// How high somebody gets by the mappings and the default of a directory.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn highest_given(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    of: DirectoryId,
) -> Result<Rank, ServiceError> {
    Ok(directory::highest_given(tx, organization, of)?.unwrap_or(Rank::NONE))
}

/// Refuses while somebody who stands below that rank, or left, can speak for the directory.
///
/// # Errors
/// As [`spoken_below`] says.
pub(crate) fn must_not_be_seen_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (of, rank): (DirectoryId, Rank),
    now: Timestamp,
) -> Result<(), ServiceError> {
    spoken_below(tx, organization, (of, rank), now)?.map_or(Ok(()), Err)
}

/// Why somebody who stands below that rank can speak for the directory: a token of it was shown to them, or they chose where
/// it gets its facts. [`ServiceError::TokenSeenBelow`], which names the token, [`ServiceError::SourceSetBelow`], or of claims
/// [`ServiceError::ProviderChosenBelow`].
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn spoken_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (of, rank): (DirectoryId, Rank),
    now: Timestamp,
) -> Result<Option<ServiceError>, ServiceError> {
    if let Some(token) = seen_below(tx, organization, (of, rank), now)? {
        return Ok(Some(ServiceError::TokenSeenBelow(token)));
    }
    let asked = google::source(tx, organization, of)?.filter(|source| source.believed_up_to < rank);
    if let Some(source) = asked {
        return Ok(Some(ServiceError::SourceSetBelow(source.directory)));
    }
    let Some(claims_of) = directory::find(tx, organization, of)?.and_then(|of| of.connection) else {
        return Ok(None);
    };
    let waits = connection::find(tx, organization, claims_of)?.and_then(|of| of.unconfirmed);
    let is_below = waits.is_some_and(|waits| waits.chosen_from < rank);
    Ok(is_below.then_some(ServiceError::ProviderChosenBelow(claims_of)))
}

/// A token of the directory that is good, and that somebody saw who stands below that rank, or left; or that a session issued
/// whose password somebody below that rank may have chosen.
fn seen_below(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    (of, rank): (DirectoryId, Rank),
    now: Timestamp,
) -> Result<Option<TokenId>, ServiceError> {
    let mut looked_at = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = token::of_directory_since(tx, (organization, of), now, (&after, PAGE))?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = last.to_string();
        for (token, seen) in page {
            if seen.believed_up_to < rank {
                return Ok(Some(token));
            }
            for saw in seen.by {
                if looked_at.insert(saw) && rank_now(tx, organization, saw, now)?.unwrap_or(Rank::NONE) < rank
                {
                    return Ok(Some(token));
                }
            }
        }
    }
}

/// How high somebody stands by the rules of now, unless they left.
fn rank_now(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
    now: Timestamp,
) -> Result<Option<Rank>, ServiceError> {
    let member = membership::find(tx, organization, id, now)?;
    match member.access.state {
        MembershipState::Deprovisioned => Ok(None),
        _ => membership::rank_of(tx, organization, member.role()).map(Some),
    }
}

/// A page of roles after the id `after`.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<Role>, ServiceError> {
    Ok(role::list(tx, organization, Some(after), limit)?)
}

/// Makes a role.
///
/// # Errors
/// [`ServiceError::Taken`] if the slug is, [`Refusal::RankTaken`] if the rank is; [`Refusal::AboveOwnRank`];
/// [`Refusal::PermissionIsExplicitOnly`]; [`Refusal::RankOutOfRange`].
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (slug, shape): (&str, RoleShape),
    cause: Cause,
) -> Result<Role, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let rank = Rank::new(shape.rank)?;
    may_give(caller.rank(), rank)?;
    let permissions = parse(&shape.permissions)?;
    check_permissions(shape.giving, &permissions)?;
    let made = Role {
        id: RoleId::fresh(moment.now, &mut moment.random),
        organization,
        slug: slug.parse().map_err(ServiceError::text("slug"))?,
        rank,
        permissions,
        giving: shape.giving,
        built_in_at: None,
        created_at: moment.now,
    };
    let event = EventDraft::new(Action::RoleCreated, made.id).with(shown(&made));
    let plan = Plan::because(organization, cause).then(event, RoleChange::Create(made.clone()));
    moment.apply(tx, &plan).map_err(rank_taken)?;
    Ok(made)
}

/// Changes a role, and everybody whom that touches.
///
/// # Errors
/// As [`create`]; [`Refusal::BuiltIn`]; [`ServiceError::NotFound`]; [`ServiceError::TokenSeenBelow`] if a directory
/// would give more by it than whoever saw a token of it has; [`ServiceError::ToldFromBelow`] for somebody who has it by a
/// grant; [`Refusal::AboveOwnRank`] for somebody above the caller who lives by a directory's giving it.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    (id, changes): (&str, &RoleChanges),
    cause: Cause,
) -> Result<(Role, Carried), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let was = changeable(tx, caller, organization, id)?;
    let rank = changes.rank.map_or(Ok(was.rank), Rank::new)?;
    may_give(caller.rank(), rank)?;
    let permissions = match &changes.permissions {
        Some(texts) => parse(texts)?,
        None => was.permissions.clone(),
    };
    let giving = changes.giving.unwrap_or(was.giving);
    check_permissions(giving, &permissions)?;
    let is = Role { rank, permissions, giving, ..was.clone() };
    if is == was {
        return Ok((is, Carried::Out));
    }
    // What only people give, no directory gives.
    if giving == Giving::Anyhow && (rank > was.rank || was.giving == Giving::ExplicitOnly) {
        no_directory_outgrows(tx, &is, moment.now)?;
    }
    if rank > was.rank
        && let Some(member) = grant::linked_below(tx, organization, &is.slug, is.rank)?
    {
        return Err(ServiceError::ToldFromBelow(member));
    }
    let event =
        EventDraft::new(Action::RoleUpdated, is.id).with(json!({ "from": shown(&was), "to": shown(&is) }));
    let change = RoleChange::Update(is.id, is.rank, is.permissions.clone(), is.giving);
    let plan = Plan::because(organization, cause).then(event, change);
    if (is.rank, is.giving) == (was.rank, was.giving) {
        // What a role allows is looked up where it is asked: nobody's access hangs on it.
        moment.apply(tx, &plan).map_err(rank_taken)?;
        return Ok((is, Carried::Out));
    }
    let touched = mapping::affected_by_role(tx, organization, &is.slug, listed())?;
    // What only people give is no directory's default any more, by which people live.
    let higher = match is.giving {
        Giving::ExplicitOnly => {
            let lives_by_it = (organization, &*given_by(tx, &is)?);
            Some(Higher::of(tx, caller, lives_by_it, &touched, moment.now)?)
        }
        Giving::Anyhow => None,
    };
    let cause = moment.apply(tx, &plan).map_err(rank_taken)?.cause;
    let carried = after_rule_change(tx, moment, organization, &touched, cause)?;
    higher.map_or(Ok(()), |higher| higher.must_lose_nothing(tx, organization, moment.now))?;
    Ok((is, carried))
}

/// The directories that give that role, by a mapping or to whoever is in no mapped group: no more than people made.
fn given_by(tx: &mut Tx<'_>, role: &Role) -> Result<Vec<DirectoryId>, ServiceError> {
    let read = |after: &str, page| directory::giving(tx, role.organization, &role.slug, (after, page));
    Ok(whole(PAGE, read, DirectoryId::to_string)?)
}

/// No directory that gives the role would give more by it than whoever saw a token of it has.
fn no_directory_outgrows(tx: &mut Tx<'_>, role: &Role, now: Timestamp) -> Result<(), ServiceError> {
    for of in given_by(tx, role)? {
        must_not_outgrow(tx, role.organization, (of, role.rank), now)?;
    }
    Ok(())
}

/// Deletes a role that nobody has and nothing gives.
///
/// # Errors
/// [`Refusal::BuiltIn`]; [`ServiceError::UsedBy`]; [`Refusal::AboveOwnRank`]; [`ServiceError::NotFound`].
pub fn delete(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    id: &str,
    cause: Cause,
) -> Result<(), ServiceError> {
    // Mappings, grants and default roles are given under the same lock.
    tx.lock(Lock::Organization(organization))?;
    let found = changeable(tx, caller, organization, id)?;
    if let Some(user) = role::used_by(tx, organization, &found.slug)? {
        return Err(ServiceError::UsedBy(Noun::Role, user));
    }
    let event = EventDraft::new(Action::RoleDeleted, found.id).with(shown(&found));
    let plan = Plan::because(organization, cause).then(event, RoleChange::Delete(found.id));
    moment.apply(tx, &plan)?;
    Ok(())
}

/// A role of people's own making that stands below the caller.
fn changeable(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    id: &str,
) -> Result<Role, ServiceError> {
    let found = find(tx, organization, id)?;
    if found.built_in_at.is_some() {
        return Err(Refusal::BuiltIn.into());
    }
    // One's own role too: who could widen it would need no other rank rule.
    if found.rank >= caller.rank() {
        return Err(Refusal::AboveOwnRank.into());
    }
    Ok(found)
}

fn parse(texts: &[String]) -> Result<BTreeSet<Permission>, ServiceError> {
    let unknown = |text: &str| {
        ServiceError::invalid("permissions", format!("no such permission `{}`", mask::shown(text)))
    };
    texts.iter().map(|text| text.parse().map_err(|_| unknown(text))).collect()
}

fn rank_taken(error: StoreError) -> ServiceError {
    match error {
        StoreError::Taken(UniqueKey::RoleRank) => Refusal::RankTaken.into(),
        other => other.into(),
    }
}

/// A role as an audit event shows it.
fn shown(role: &Role) -> serde_json::Value {
    json!({
        "slug": role.slug,
        "rank": role.rank,
        "permissions": role.permissions,
        "explicit_only": role.giving == Giving::ExplicitOnly,
    })
}
