//! Agents: who may make and steer them, and which orders their state allows.
//!
//! An agent acts with its owner's role. So whoever may steer it may do so for that owner: with `agents.write` up to
//! their own rank, for themselves with `use`, and as a lead for the people of teams where their team role is `admin`.

use portcullis_domain::agent::{Agent, AgentOrder, AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{AgentChange, Change, TokenChange, TokenSet};
use portcullis_domain::id::{AgentId, MembershipId, OrganizationId, TokenId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission;
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::text::{Slug, name};
use portcullis_domain::token::{Holder, TokenEnd, TokenKind};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_store::token::TokenView;
use portcullis_store::{Tx, agent, membership as rows, token};
use serde_json::json;

use crate::caller::Caller;
use crate::error::inconsistent;
use crate::lead::{as_lead, leads};
use crate::member_key::{NewKey, environment_of};
use crate::membership::{active, held, known, must_be_active, must_not_outrank};
use crate::noun::Noun;
use crate::token::{Draft, Issued, end_one, issue_named};
use crate::{Moment, ServiceError};

/// The most agents that one page looks at for a lead, who sees only some of them.
pub const MAX_LOOKED_AT: usize = 2000;
const CHUNK: i64 = 200;
/// How many owners of one agent are waited for, one after the other, before it is left for a later try.
const MAX_OWNERS: usize = 4;
/// The most agents of one owner that have not ended: all of them are gone through in one transaction when the owner leaves.
pub const MAX_OF_OWNER: i64 = 1000;
const NOUN: Noun = Noun::Agent;

/// What an agent is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    /// Its name for people.
    pub name: String,
    /// Whose agent it is.
    pub owner: MembershipId,
    /// Where it may act; `production` if nothing is said.
    pub environment: Option<Slug>,
    /// Who gets it under `hand_over`.
    pub heir: Option<MembershipId>,
    /// What happens when the owner goes.
    pub on_owner_loss: OwnerLossRule,
}

/// What is to be different. `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentPatch {
    /// Its name for people.
    pub name: Option<String>,
    /// Where it may act: another environment ends its keys.
    pub environment: Option<Slug>,
    /// Who gets it; the inner `None` is nobody.
    pub heir: Option<Option<MembershipId>>,
    /// What happens when the owner goes.
    pub on_owner_loss: Option<OwnerLossRule>,
}

/// A page of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPage {
    /// The agents.
    pub items: Vec<Agent>,
    /// The last agent that was looked at, if there may be more.
    pub next: Option<AgentId>,
}

fn is_own(caller: &Caller, owner: &Membership) -> bool {
    caller.membership() == Some(owner.id) && caller.may(Permission::Use, owner.organization).is_ok()
}

/// May the caller steer agents of that owner?
///
/// # Errors
/// [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`] if the owner stands higher than the caller.
pub fn may_steer(tx: &mut Tx<'_>, caller: &Caller, owner: &Membership) -> Result<(), ServiceError> {
    if is_own(caller, owner) {
        return Ok(());
    }
    if !leads(caller, owner) {
        caller.may(Permission::AgentsWrite, owner.organization)?;
    }
    must_not_outrank(tx, caller, owner)
}

/// May the caller have to do with that agent of that owner?
///
/// # Errors
/// As [`may_steer`]; [`Refusal::OutsideEnvironment`].
pub(crate) fn may_order(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (agent, owner): (&Agent, &Membership),
) -> Result<(), ServiceError> {
    may_steer(tx, caller, owner)?;
    // INVARIANT I4: what stopped when its owner ended is theirs no longer. Whoever comes back takes nothing back by that.
    if agent.state == AgentState::Orphaned && caller.membership() == Some(owner.id) {
        caller.may(Permission::AgentsWrite, owner.organization)?;
    }
    Ok(caller.may_act_in(&agent.environment)?)
}

/// May the caller see agents of that owner?
fn may_see(caller: &Caller, owner: &Membership) -> Result<(), ServiceError> {
    if is_own(caller, owner) || leads(caller, owner) {
        return Ok(());
    }
    caller.may(Permission::AgentsRead, owner.organization)
}

/// The owner of an agent, with access as it is now.
fn owner_of(tx: &mut Tx<'_>, agent: &Agent, now: Timestamp) -> Result<Membership, ServiceError> {
    let owner = known(tx, agent.organization, agent.owner, now)?;
    owner.ok_or_else(|| inconsistent(format!("agent `{}` has no owner", agent.id)))
}

fn stored(tx: &mut Tx<'_>, organization: OrganizationId, id: AgentId) -> Result<Agent, ServiceError> {
    agent::find(tx, organization, id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// An agent that the caller may steer, in a state that allows the order; with the state after it.
fn steered(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    order: AgentOrder,
) -> Result<(Agent, AgentState), ServiceError> {
    let (found, owner) = held_with_owner(tx, moment, (organization, id))?;
    may_order(tx, caller, (&found, &owner))?;
    let after = found.state.after(order)?;
    Ok((found, after))
}

/// An agent and its owner, who is held: nobody ends them or gives the agent to somebody else meanwhile.
fn held_with_owner(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, AgentId),
) -> Result<(Agent, Membership), ServiceError> {
    let mut before = stored(tx, organization, id)?.owner;
    for _ in 0..MAX_OWNERS {
        let owner = held(tx, moment, organization, before)?;
        // Settling the owner may have ended them and stopped the agent; and while they were waited for, it may have
        // become somebody else's.
        let found = stored(tx, organization, id)?;
        if found.owner == owner.id {
            return Ok((found, owner));
        }
        before = found.owner;
    }
    Err(tx.try_again("too many others change the owner of the same agent").into())
}

/// An agent.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`].
pub fn find(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    now: Timestamp,
) -> Result<Agent, ServiceError> {
    let found = stored(tx, organization, id)?;
    let owner = owner_of(tx, &found, now)?;
    may_see(caller, &owner)?;
    Ok(found)
}

/// A page of the agents that the caller may see, in order of id.
///
/// # Errors
/// [`ServiceError::Forbidden`] for callers who can see none.
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<AgentPage, ServiceError> {
    if caller.may(Permission::AgentsRead, organization).is_ok() {
        let found = agent::list(tx, organization, Some(after), limit.saturating_add(1))?;
        return Ok(page(found, limit));
    }
    let Caller::Member(member) = caller else {
        return Err(ServiceError::Forbidden(Permission::AgentsRead));
    };
    caller.may(Permission::Use, organization)?;
    if as_lead(caller, organization).is_some() {
        return list_of_lead(tx, caller, organization, (after, limit), now);
    }
    let found =
        agent::list_of_owner(tx, organization, member.membership, Some(after), limit.saturating_add(1))?;
    Ok(page(found, limit))
}

fn page(mut found: Vec<Agent>, limit: i64) -> AgentPage {
    let most = usize::try_from(limit).unwrap_or(0);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|a| a.id);
    AgentPage { items: found, next }
}

fn list_of_lead(
    tx: &mut Tx<'_>,
    caller: &Caller,
    organization: OrganizationId,
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<AgentPage, ServiceError> {
    let most = usize::try_from(limit).unwrap_or(0);
    let mut items = Vec::new();
    let mut last: Option<AgentId> = None;
    let mut looked_at = 0;
    loop {
        let from = last.map_or_else(|| after.to_owned(), |id| id.to_string());
        let chunk = agent::list(tx, organization, Some(&from), CHUNK)?;
        if chunk.is_empty() {
            return Ok(AgentPage { items, next: None });
        }
        for found in chunk {
            if items.len() == most || looked_at == MAX_LOOKED_AT {
                return Ok(AgentPage { items, next: last });
            }
            looked_at += 1;
            last = Some(found.id);
            let owner = owner_of(tx, &found, now)?;
            if may_see(caller, &owner).is_ok() {
                items.push(found);
            }
        }
    }
}

/// Who chose a rule: nobody need be remembered for the one that stops the agent.
fn chosen_by(caller: &Caller, rule: OwnerLossRule) -> Option<MembershipId> {
    caller.membership().filter(|_| rule != OwnerLossRule::Pause)
}

/// Refuses a rule that the caller may not choose, and an heir who cannot be one.
fn check_rule(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, owner): (OrganizationId, MembershipId),
    heir: Option<MembershipId>,
    rule: OwnerLossRule,
) -> Result<(), ServiceError> {
    if rule == OwnerLossRule::Keep {
        // The agent would go to whoever chose this.
        caller.may(Permission::AgentsWrite, organization)?;
    }
    let Some(heir) = heir else {
        return match rule {
            OwnerLossRule::HandOver => Err(ServiceError::invalid("heir", "`hand_over` needs an heir")),
            OwnerLossRule::Pause | OwnerLossRule::Disable | OwnerLossRule::Keep => Ok(()),
        };
    };
    if heir == owner {
        return Err(ServiceError::invalid("heir", "the heir is somebody else than the owner"));
    }
    // Held: their end takes them out as the heir of whatever names them then.
    let found = rows::find_locked(tx, heir)?.filter(|m| m.organization == organization && m.ended.is_none());
    let found = found.ok_or(ServiceError::NotFound(Noun::Member))?;
    // The agent would act with the heir's role one day.
    must_not_outrank(tx, caller, &found)
}

/// That member, held, unless they ended.
fn still_here(tx: &mut Tx<'_>, id: Option<MembershipId>) -> Result<Option<MembershipId>, ServiceError> {
    let Some(id) = id else { return Ok(None) };
    Ok(rows::find_locked(tx, id)?.filter(|member| member.ended.is_none()).map(|member| member.id))
}

/// Refuses one more agent to an owner who has as many as one may. What leavers leave to their heirs comes all the same.
fn must_have_room(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    owner: MembershipId,
) -> Result<(), ServiceError> {
    let there = agent::count_living(tx, organization, owner, MAX_OF_OWNER)?;
    if there < MAX_OF_OWNER { Ok(()) } else { Err(Refusal::TooManyAgents.into()) }
}

/// Makes an agent.
///
/// # Errors
/// [`ServiceError::NotFound`] for an owner or heir who is not here; [`ServiceError::Forbidden`]; [`Refusal::TooManyAgents`];
/// [`Refusal::AboveOwnRank`]; [`Refusal::MemberInactive`]; [`Refusal::OtherEnvironment`]; [`Refusal::OutsideEnvironment`];
/// [`ServiceError::Invalid`] for an heir who cannot be one.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    organization: OrganizationId,
    wish: &NewAgent,
    cause: Cause,
) -> Result<Agent, ServiceError> {
    let owner = held(tx, moment, organization, wish.owner)?;
    may_steer(tx, caller, &owner)?;
    must_be_active(&owner)?;
    must_have_room(tx, organization, owner.id)?;
    let environment = environment_of(&owner, wish.environment.clone())?;
    caller.may_act_in(&environment)?;
    check_rule(tx, caller, (organization, owner.id), wish.heir, wish.on_owner_loss)?;
    let made = Agent {
        id: AgentId::fresh(moment.now, &mut moment.random),
        organization,
        name: name(&wish.name).map_err(ServiceError::text("name"))?,
        owner: owner.id,
        heir: wish.heir,
        on_owner_loss: wish.on_owner_loss,
        rule_chosen_by: chosen_by(caller, wish.on_owner_loss),
        environment,
        state: AgentState::Active,
        created_at: moment.now,
    };
    let event = event(Action::AgentCreated, &made).with(shown(&made));
    write(tx, moment, &made, cause, event, vec![AgentChange::Create(made.clone()).into()])?;
    Ok(made)
}

/// Changes an agent's name, environment, heir or rule.
///
/// # Errors
/// As [`create`], and [`Refusal::AgentDisabled`]; [`ServiceError::Forbidden`] for the former owner of an orphaned one without
/// `agents.write`, here and wherever an agent is changed or ended.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    patch: &AgentPatch,
    cause: Cause,
) -> Result<Agent, ServiceError> {
    let (before, _) = steered(tx, moment, caller, (organization, id), AgentOrder::Change)?;
    let mut after = before.clone();
    if let Some(text) = &patch.name {
        after.name = name(text).map_err(ServiceError::text("name"))?;
    }
    if patch.environment.is_some() {
        let owner = owner_of(tx, &before, moment.now)?;
        after.environment = environment_of(&owner, patch.environment.clone())?;
        caller.may_act_in(&after.environment)?;
    }
    if let Some(heir) = patch.heir {
        after.heir = heir;
    }
    if let Some(rule) = patch.on_owner_loss.filter(|rule| *rule != before.on_owner_loss) {
        after.on_owner_loss = rule;
        after.rule_chosen_by = chosen_by(caller, rule);
    }
    if after == before {
        return Ok(before);
    }
    if (after.heir, after.on_owner_loss) != (before.heir, before.on_owner_loss) {
        check_rule(tx, caller, (organization, before.owner), after.heir, after.on_owner_loss)?;
    }
    // INVARIANT I4: whoever ended since they were read was taken out then, and is not written back.
    after.heir = still_here(tx, after.heir)?;
    after.rule_chosen_by = still_here(tx, after.rule_chosen_by)?;
    let mut changes: Vec<Change> = vec![
        AgentChange::Update {
            id,
            name: after.name.clone(),
            heir: after.heir,
            environment: after.environment.clone(),
            on_owner_loss: after.on_owner_loss,
            rule_chosen_by: after.rule_chosen_by,
        }
        .into(),
    ];
    if after.environment != before.environment {
        changes.push(end_keys(&before, TokenEnd::Replaced, moment));
    }
    let event =
        event(Action::AgentUpdated, &after).with(json!({ "from": shown(&before), "to": shown(&after) }));
    write(tx, moment, &after, cause, event, changes)?;
    Ok(after)
}

/// May the caller let an agent go on that somebody of that rank stopped? Who steers everybody's agents may; its own owner, or
/// who leads them, only if nobody above them ordered it.
fn may_let_go_on(
    caller: &Caller,
    organization: OrganizationId,
    ordered: Option<Rank>,
) -> Result<(), ServiceError> {
    let is_above = ordered.is_some_and(|rank| rank > caller.rank());
    if is_above && caller.may(Permission::AgentsWrite, organization).is_err() {
        return Err(Refusal::AboveOwnRank.into());
    }
    Ok(())
}

/// Stops an agent until somebody says otherwise, or lets it go on. What is so already stays so, unless somebody of higher
/// rank makes the order to stop it their own.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`], for its owner and their leads also
/// where somebody higher stopped what is to go on; [`Refusal::AgentDisabled`]; [`Refusal::AgentOrphaned`].
pub fn order(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    wish: AgentOrder,
    cause: Cause,
) -> Result<Agent, ServiceError> {
    let (mut found, after) = steered(tx, moment, caller, (organization, id), wish)?;
    let ordered = agent::paused_rank(tx, organization, id)?;
    let (action, by) = if after == AgentState::Paused {
        (Action::AgentPaused, Some(caller.rank()))
    } else {
        (Action::AgentResumed, None)
    };
    if found.state == after && (by.is_none() || ordered >= by) {
        return Ok(found);
    }
    if by.is_none() {
        may_let_go_on(caller, organization, ordered)?;
    }
    found.state = after;
    let set = AgentChange::SetState(id, after, by);
    write(tx, moment, &found, cause, event(action, &found), vec![set.into()])?;
    Ok(found)
}

/// Gives an agent another owner, who is active. An orphaned one goes on, unless a person had stopped it: that is for whoever
/// may let it go on.
///
/// # Errors
/// As [`order`], for both owners; [`Refusal::MemberInactive`]; [`Refusal::OtherEnvironment`]; [`Refusal::TooManyAgents`];
/// [`ServiceError::Invalid`] for a caller who takes it by a key that ends before one of the agent's.
pub fn assign(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    owner: MembershipId,
    cause: Cause,
) -> Result<Agent, ServiceError> {
    let (mut found, mut after) = steered(tx, moment, caller, (organization, id), AgentOrder::Assign)?;
    if found.state == AgentState::Orphaned && agent::paused_rank(tx, organization, id)?.is_some() {
        after = AgentState::Paused;
    }
    let new = held(tx, moment, organization, owner)?;
    may_steer(tx, caller, &new)?;
    must_be_active(&new)?;
    environment_of(&new, Some(found.environment.clone()))?;
    if found.owner == owner && found.state == after {
        return Ok(found);
    }
    let former = found.owner;
    if former != owner {
        must_have_room(tx, organization, owner)?;
        must_not_outlast(tx, caller, (organization, id), owner)?;
    }
    found.owner = owner;
    found.state = after;
    let event = event(Action::AgentHandedOver, &found)
        .with(json!({ "from": former, "owner": owner, "state": after.as_str() }));
    write(tx, moment, &found, cause, event, vec![AgentChange::SetOwner(id, owner, after, None).into()])?;
    Ok(found)
}

/// Refuses an agent that becomes the caller's own while a key of it is good for longer than the key that asks: that would act
/// as them once their own has run out.
fn must_not_outlast(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    owner: MembershipId,
) -> Result<(), ServiceError> {
    let Some(end) = caller.until(None)?.filter(|_| caller.membership() == Some(owner)) else { return Ok(()) };
    let keys = (Holder::Agent(id), TokenKind::AgentKey);
    if token::count_living(tx, organization, keys, 1, end)? == 0 {
        return Ok(());
    }
    Err(ServiceError::invalid("owner", "has asked by a key that ends before a key of the agent does"))
}

/// Ends an agent for good, with its keys. One that ended already stays as it is.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`]; [`Refusal::AboveOwnRank`].
pub fn disable(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    cause: Cause,
) -> Result<(), ServiceError> {
    // The end of its owner decides what becomes of it: the one waits for the other.
    let (found, owner) = held_with_owner(tx, moment, (organization, id))?;
    may_order(tx, caller, (&found, &owner))?;
    if found.state == AgentState::Disabled {
        return Ok(());
    }
    let keys = end_keys(&found, TokenEnd::AgentDisabled, moment);
    let changes = vec![AgentChange::Disable(id, None).into(), keys];
    write(tx, moment, &found, cause, event(Action::AgentDisabled, &found), changes)
}

/// Issues a key that acts as that agent.
///
/// # Errors
/// As [`order`], and [`Refusal::MemberInactive`] while its owner is not active; [`Refusal::OtherEnvironment`] while they do not
/// have the one where it acts; [`Refusal::TooManyKeys`];
/// [`ServiceError::Invalid`] for an expiry in the past, or after that of a key by which its owner asks for another.
pub fn issue_key(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    wish: &NewKey,
    cause: Cause,
) -> Result<Issued, ServiceError> {
    let (found, _) = steered(tx, moment, caller, (organization, id), AgentOrder::Change)?;
    if found.state == AgentState::Orphaned {
        return Err(Refusal::AgentOrphaned.into());
    }
    let owner = active(tx, moment, organization, found.owner)?;
    let environment = environment_of(&owner, Some(found.environment))?;
    let is_own = caller.membership() == Some(found.owner);
    let draft = Draft {
        organization,
        kind: TokenKind::AgentKey,
        holder: Holder::Agent(id),
        parent: caller.parent()?,
        shown_to: caller.shown_to(),
        believed_up_to: caller.believed_up_to(),
        name: wish.name.clone(),
        confined_at: caller.confines(&environment, &owner, moment.now),
        environment: Some(environment),
        scopes: vec![],
        expires_at: if is_own { caller.until(wish.expires_at)? } else { wish.expires_at },
    };
    issue_named(tx, moment, draft, cause)
}

/// A page of an agent's keys, ended ones too.
///
/// # Errors
/// As [`find`].
pub fn list_keys(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    (after, limit): (&str, i64),
    now: Timestamp,
) -> Result<Vec<TokenView>, ServiceError> {
    find(tx, caller, (organization, id), now)?;
    Ok(token::list_of_kind(tx, organization, (Holder::Agent(id), TokenKind::AgentKey), after, limit)?)
}

/// One of an agent's keys.
///
/// # Errors
/// As [`find`].
pub fn find_key(
    tx: &mut Tx<'_>,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    key: TokenId,
    now: Timestamp,
) -> Result<TokenView, ServiceError> {
    find(tx, caller, (organization, id), now)?;
    token::find(tx, organization, key)?
        .filter(|t| t.kind == TokenKind::AgentKey && t.holder == Holder::Agent(id))
        .ok_or(ServiceError::NotFound(Noun::Key))
}

/// Ends one of an agent's keys.
///
/// # Errors
/// As [`find`], and [`Refusal::AboveOwnRank`].
pub fn revoke_key(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    caller: &Caller,
    (organization, id): (OrganizationId, AgentId),
    key: TokenId,
    cause: Cause,
) -> Result<(), ServiceError> {
    let (agent, owner) = held_with_owner(tx, moment, (organization, id))?;
    may_order(tx, caller, (&agent, &owner))?;
    let found = find_key(tx, caller, (organization, id), key, moment.now)?;
    end_one(tx, moment, organization, &found, cause)
}

fn event(action: Action, agent: &Agent) -> EventDraft {
    EventDraft::new(action, agent.id).about(agent.owner)
}

fn end_keys(agent: &Agent, because: TokenEnd, moment: &Moment) -> Change {
    TokenChange::ended(TokenSet::OfAgent(agent.id), because, moment.now).into()
}

fn write(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    agent: &Agent,
    cause: Cause,
    event: EventDraft,
    changes: Vec<Change>,
) -> Result<(), ServiceError> {
    let plan = Plan::because(agent.organization, cause).then_all(event, changes);
    moment.apply(tx, &plan)?;
    Ok(())
}

/// An agent as an audit event shows it.
fn shown(agent: &Agent) -> serde_json::Value {
    json!({
        "name": agent.name,
        "owner": agent.owner,
        "heir": agent.heir,
        "on_owner_loss": agent.on_owner_loss.as_str(),
        "rule_chosen_by": agent.rule_chosen_by,
        "environment": agent.environment,
    })
}
