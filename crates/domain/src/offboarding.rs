//! Off-boarding: the end of a membership for good, as one pure rule.
//!
//! Whatever the cause (a SCIM call in any dialect, the loss of the last granting group, an administrator), this is
//! the only place where a membership ends. It names no kinds of token: whatever lets somebody act ends with them.

use serde_json::json;

use crate::Timestamp;
use crate::access::{Access, EndedBecause, Resolved};
use crate::agent::{Agent, AgentState, OwnerLossRule};
use crate::audit::{Action, EventDraft};
use crate::cause::Cause;
use crate::change::{
    AgentChange, Change, GrantChange, HoldChange, MembershipChange, OutboxChange, ReceiptChange, TokenChange,
    TokenSet, TombstoneChange, UserChange,
};
use crate::id::{MembershipId, OutboxId, ReceiptId, TokenId};
use crate::membership::{Membership, MembershipState};
use crate::plan::Plan;
use crate::receipt::{Kept, KeptBecause, Receipt};
use crate::text::Slug;
use crate::token::TokenEnd;
use crate::tombstone::Identifier;

/// An agent of the leaver, with what decides where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaverAgent {
    /// The agent.
    pub agent: Agent,
    /// The heir, if there is one whose membership is active and has the agent's environment.
    pub active_heir: Option<NextOwner>,
    /// Who chose the rule, if it was a member whose membership is active, may still choose it and has the agent's environment.
    pub active_chooser: Option<NextOwner>,
}

/// Whose an agent may be after the leaver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextOwner {
    /// The membership.
    pub id: MembershipId,
    /// How many live keys would act for them: shown to somebody else than the leaver, who stands as high as they do.
    pub acting_keys: i64,
}

/// Whether the organization still has an owner without the leaver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The leaver is no owner.
    NotOwner,
    /// Somebody else is owner and can sign in.
    Shared,
    /// Nobody else is.
    Last,
}

/// Everything that the end of a membership touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// The membership, as stored.
    pub membership: Membership,
    /// What follows from its facts.
    pub resolved: Resolved,
    /// Whether the organization still has an owner.
    pub ownership: Ownership,
    /// The agents that it owns, ended ones excepted.
    pub agents: Vec<LeaverAgent>,
    /// Live service keys and SCIM tokens whose secret was shown to the leaver.
    pub to_rotate: Vec<TokenId>,
    /// Every identifier that the leaver ever had here.
    pub identifiers: Vec<Identifier>,
    /// Every e-mail key among them.
    pub email_keys: Vec<String>,
    /// Whether the same user has another membership that has not ended.
    pub lives_elsewhere: bool,
    /// The organization's rules number.
    pub rules_number: i64,
}

/// Ids for what an off-boarding makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewIds {
    /// The receipt.
    pub receipt: ReceiptId,
    /// The outbox row.
    pub outbox: OutboxId,
}

/// Where an agent goes when its owner is off-boarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Orphan,
    Disable,
    MoveTo(NextOwner),
}

impl Fate {
    /// The agent's state once this is carried out. A stopped agent stays stopped; a running one goes on only with keys
    /// that the leaver never saw, and that do not rest under the new owner.
    const fn after(self, before: AgentState) -> AgentState {
        match (self, before) {
            (Self::Disable, _) | (_, AgentState::Disabled) => AgentState::Disabled,
            (Self::Orphan, _) | (_, AgentState::Orphaned) => AgentState::Orphaned,
            (Self::MoveTo(to), AgentState::Active) if to.acting_keys > 0 => AgentState::Active,
            (Self::MoveTo(_), AgentState::Active | AgentState::Paused) => AgentState::Paused,
        }
    }
}

impl LeaverAgent {
    const fn fate(&self) -> Fate {
        match (self.agent.on_owner_loss, self.active_heir, self.active_chooser) {
            (OwnerLossRule::Disable, _, _) => Fate::Disable,
            (OwnerLossRule::HandOver, Some(heir), _) => Fate::MoveTo(heir),
            (OwnerLossRule::Keep, heir, chooser) => match (chooser, heir) {
                (Some(to), _) | (None, Some(to)) => Fate::MoveTo(to),
                (None, None) => Fate::Orphan,
            },
            (OwnerLossRule::Pause, _, _) | (OwnerLossRule::HandOver, None, _) => Fate::Orphan,
        }
    }
}

/// The end of a membership: everything that acts as it, its agents by their rules, a tombstone on every identifier,
/// a receipt, and a row for those who must be told.
pub fn off_board(leaver: &Leaver, because: EndedBecause, ids: NewIds, cause: Cause, now: Timestamp) -> Plan {
    let membership = &leaver.membership;
    let mut kept: Vec<Kept> =
        leaver.to_rotate.iter().map(|&id| Kept { what: id.into(), why: KeptBecause::Rotate }).collect();
    let fates: Vec<(&LeaverAgent, Fate)> = leaver.agents.iter().map(|a| (a, a.fate())).collect();
    kept.extend(fates.iter().filter_map(|(a, fate)| kept_agent(a, *fate)));
    if leaver.lives_elsewhere {
        kept.push(Kept { what: membership.user.into(), why: KeptBecause::OtherMembership });
    }
    if leaver.ownership == Ownership::Last {
        kept.push(Kept { what: membership.id.into(), why: KeptBecause::LastOwner });
    }
    let receipt = Receipt {
        id: ids.receipt,
        organization: membership.organization,
        membership: membership.id,
        because,
        kept,
        at: now,
    };
    let deprovisioned = EventDraft::new(Action::MemberDeprovisioned, membership.id)
        .about(ids.receipt)
        .with(json!({ "because": because.as_str() }));
    let mut plan = Plan::because(membership.organization, cause)
        .then_all(deprovisioned, ending(leaver, receipt, because, ids, now));
    for (agent, fate) in fates {
        plan = agent_step(plan, agent, fate, (ids.receipt, now), membership.id);
    }
    if leaver.ownership == Ownership::Last {
        plan = plan.noting(EventDraft::new(Action::LastOwnerKept, membership.id));
    }
    if !leaver.lives_elsewhere {
        let ended = EventDraft::new(Action::UserEnded, membership.user).about(membership.id);
        plan = plan.then(ended, UserChange::End(membership.user, now));
    }
    plan
}

/// What happens in the one step that `member.deprovisioned` stands for.
fn ending(
    leaver: &Leaver,
    receipt: Receipt,
    because: EndedBecause,
    ids: NewIds,
    now: Timestamp,
) -> Vec<Change> {
    let membership = &leaver.membership;
    let bare = leaver.ownership == Ownership::Last;
    let mut access = Access::none(MembershipState::Deprovisioned);
    access.role = bare.then(Slug::owner);
    let told = json!({ "membership": membership.id, "receipt": ids.receipt, "because": because.as_str() });
    vec![
        ReceiptChange::Open(Box::new(receipt)).into(),
        MembershipChange::SetAccess {
            id: membership.id,
            access: Box::new(access),
            governed_by: leaver.resolved.governed_by,
            unmapped_at: leaver.resolved.unmapped_at,
            ended: Some((now, because)),
            // Whoever came back without their ownership, and leaves again, is still the last owner who left.
            bare_owner_at: bare.then_some(now).or(membership.bare_owner_at),
            rules_number: leaver.rules_number,
        }
        .into(),
        TokenChange::End {
            set: TokenSet::OfLeaver(membership.id, leaver.email_keys.clone()),
            because: TokenEnd::OffBoarded,
            at: now,
            receipt: Some(ids.receipt),
        }
        .into(),
        HoldChange::Drop(membership.id).into(),
        // INVARIANT I4: whoever comes back is not given what somebody meant for them before they left.
        AgentChange::Forget(membership.id).into(),
        GrantChange::EndOf { membership: membership.id, keep: bare.then(Slug::owner), at: now }.into(),
        TombstoneChange::Lay { membership: membership.id, identifiers: leaver.identifiers.clone(), at: now }
            .into(),
        OutboxChange::Put { id: ids.outbox, kind: "member.deprovisioned", body: told.to_string(), at: now }
            .into(),
    ]
}

fn kept_agent(agent: &LeaverAgent, fate: Fate) -> Option<Kept> {
    let why = match (fate.after(agent.agent.state), fate) {
        (AgentState::Disabled, _) => return None,
        (AgentState::Orphaned, _) => KeptBecause::Orphaned,
        (AgentState::Active, _) => KeptBecause::HandedOver,
        (AgentState::Paused, Fate::MoveTo(to)) if to.acting_keys > 0 => KeptBecause::StaysPaused,
        (AgentState::Paused, _) => KeptBecause::WaitsForKeys,
    };
    Some(Kept { what: agent.agent.id.into(), why })
}

fn agent_step(
    plan: Plan,
    agent: &LeaverAgent,
    fate: Fate,
    (receipt, now): (ReceiptId, Timestamp),
    leaver: MembershipId,
) -> Plan {
    let id = agent.agent.id;
    let event = |action| EventDraft::new(action, id).about(leaver);
    match fate {
        // It stopped when its owner ended before, and that receipt says so.
        Fate::Orphan if agent.agent.state == AgentState::Orphaned => plan,
        Fate::Orphan => plan.then(event(Action::AgentOrphaned), AgentChange::Orphan(id, receipt)),
        Fate::Disable => plan.then_all(
            event(Action::AgentDisabled),
            vec![
                AgentChange::Disable(id, Some(receipt)).into(),
                TokenChange::End {
                    set: TokenSet::OfAgent(id),
                    because: TokenEnd::AgentDisabled,
                    at: now,
                    receipt: Some(receipt),
                }
                .into(),
            ],
        ),
        Fate::MoveTo(NextOwner { id: owner, .. }) => {
            let state = fate.after(agent.agent.state);
            let moved =
                event(Action::AgentHandedOver).with(json!({ "owner": owner, "state": state.as_str() }));
            let stopped = agent.agent.state == AgentState::Active && state != AgentState::Active;
            plan.then(moved, AgentChange::SetOwner(id, owner, state, stopped.then_some(receipt)))
        }
    }
}
