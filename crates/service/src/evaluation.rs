//! Checks: who is behind a presented secret, and may they act.
//!
//! One indexed look-up. Access that is stale is resolved for this answer, and nothing is stored.

use portcullis_domain::Timestamp;
use portcullis_domain::access::{Access, resolve};
use portcullis_domain::evaluation::{Bearer, Decision, evaluate};
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::secret::TokenSecret;
use portcullis_domain::text::Slug;
use portcullis_store::{Tx, bearer, facts, membership, role};

use crate::ServiceError;
use crate::token_use::TokenUses;

/// Who is behind a presented text, with access as it is now; `None` if it is no secret that was ever issued here.
///
/// # Errors
/// [`ServiceError::Store`].
pub(crate) fn find_bearer(
    tx: &mut Tx<'_>,
    presented: &str,
    now: Timestamp,
) -> Result<Option<Bearer>, ServiceError> {
    let Ok((kind, secret)) = TokenSecret::parse(presented) else { return Ok(None) };
    let Some(mut found) = bearer::find(tx, &secret.hash())? else { return Ok(None) };
    if found.kind != kind {
        return Ok(None);
    }
    if found.is_stale(now) {
        refresh(tx, &mut found, now)?;
    }
    Ok(Some(found))
}

/// Who is behind a presented text, with the last use that is known here: uses are stored later than they happen.
pub(crate) struct Presented {
    /// Who it is.
    pub(crate) bearer: Bearer,
    /// The last use that is stored.
    pub(crate) stored_use: Option<Timestamp>,
}

/// The same as [`find_bearer`], for whoever judges it as it was used last.
pub(crate) fn find_presented(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    presented: &str,
    now: Timestamp,
) -> Result<Option<Presented>, ServiceError> {
    let Some(mut bearer) = find_bearer(tx, presented, now)? else { return Ok(None) };
    let stored_use = bearer.last_used_at;
    bearer.last_used_at = stored_use.max(uses.last(bearer.token));
    Ok(Some(Presented { bearer, stored_use }))
}

/// Replaces stored access by what follows from facts and rules now.
fn refresh(tx: &mut Tx<'_>, bearer: &mut Bearer, now: Timestamp) -> Result<(), ServiceError> {
    let organization = bearer.organization;
    for shown_to in &mut bearer.shown_to {
        let access = access_now(tx, organization, shown_to.id, now)?;
        let role = role_of(tx, organization, access.as_ref())?;
        shown_to.rank = role.map_or(Rank::NONE, |role| role.rank);
        shown_to.state = access.map_or(MembershipState::Deprovisioned, |access| access.state);
    }
    let Some(member) = bearer.member.as_mut() else { return Ok(()) };
    let Some(access) = access_now(tx, organization, member.id, now)? else {
        bearer.member = None;
        return Ok(());
    };
    let role = role_of(tx, organization, Some(&access))?;
    member.state = access.state;
    member.rank = role.as_ref().map_or(Rank::NONE, |role| role.rank);
    member.giving = role.as_ref().map_or(Giving::Anyhow, |role| role.giving);
    member.permissions = role.map(|r| r.permissions).unwrap_or_default();
    member.role = access.role;
    member.teams = access.teams;
    member.environments = access.environments;
    member.until = access.until;
    Ok(())
}

/// A membership's access, resolved.
fn access_now(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: MembershipId,
    now: Timestamp,
) -> Result<Option<Access>, ServiceError> {
    let Some(stored) = membership::find(tx, organization, id)? else { return Ok(None) };
    let facts = facts::of(tx, &stored)?;
    Ok(Some(resolve(&facts, now).access))
}

/// The role that access gives.
fn role_of(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    access: Option<&Access>,
) -> Result<Option<Role>, ServiceError> {
    match access.and_then(|access| access.role.as_ref()) {
        Some(slug) => Ok(role::find_by_slug(tx, organization, slug)?),
        None => Ok(None),
    }
}

/// The answer to a question about a presented secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may, with its code.
    pub decision: Decision,
    /// Who it is; `None` where nothing may be said.
    pub bearer: Option<Bearer>,
}

/// Which organization a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// That one; a token of another is unknown.
    Organization(OrganizationId),
    /// Whichever the token belongs to: for the root token, which may ask about all.
    TheTokens,
}

/// May the bearer of that secret act in that environment of that organization?
///
/// # Errors
/// [`ServiceError::Store`]: the caller refuses then.
pub fn ask(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    presented: &str,
    about: About,
    environment: &Slug,
    now: Timestamp,
) -> Result<Answer, ServiceError> {
    let found = find_presented(tx, uses, presented, now)?;
    Ok(answer(found, uses, (about, environment), now))
}

/// May the bearer of that secret act in the environment that it is for? One that is for none is asked about in production.
///
/// # Errors
/// As [`ask`].
pub fn introspect(
    tx: &mut Tx<'_>,
    uses: &TokenUses,
    presented: &str,
    about: About,
    now: Timestamp,
) -> Result<Answer, ServiceError> {
    let found = find_presented(tx, uses, presented, now)?;
    let own = found.as_ref().and_then(|found| found.bearer.environment.clone());
    Ok(answer(found, uses, (about, &own.unwrap_or_else(Slug::production)), now))
}

/// The answer about whom a look-up found. Somebody who may has used their token.
fn answer(
    found: Option<Presented>,
    uses: &TokenUses,
    (about, environment): (About, &Slug),
    now: Timestamp,
) -> Answer {
    let Some(Presented { bearer, stored_use }) = found else {
        return Answer { decision: Decision::TokenUnknown, bearer: None };
    };
    let organization = match about {
        About::Organization(id) => id,
        About::TheTokens => bearer.organization,
    };
    let decision = evaluate(&bearer, organization, environment, now);
    if decision.is_allowed() {
        uses.note(bearer.token, stored_use, now);
    }
    let bearer = (decision != Decision::TokenUnknown).then_some(bearer);
    Answer { decision, bearer }
}
