//! Agents: non-human principals, each with an owner and a rule for when the owner goes.

use crate::Refusal;
use crate::id::{AgentId, MembershipId, OrganizationId};
use crate::text::{Slug, texts};
use crate::time::Timestamp;

texts! {
    /// What happens to an agent when its owner is off-boarded.
    pub enum OwnerLossRule {
        /// It stops and waits for somebody with the right to re-assign it. The default.
        Pause = "pause",
        /// It goes to the heir, and runs on with keys that the leaver never saw.
        HandOver = "hand_over",
        /// It ends, with all its keys.
        Disable = "disable",
        /// It goes to the administrator who chose this, and runs on with keys that the leaver never saw.
        Keep = "keep",
    }
}

texts! {
    /// Whether an agent may act, as far as the agent itself goes.
    pub enum AgentState {
        /// May act while its owner may.
        Active = "active",
        /// Stopped by a person, or waiting for new keys after a hand-over.
        Paused = "paused",
        /// Its owner ended; waits for a new one.
        Orphaned = "orphaned",
        /// Ended for good.
        Disabled = "disabled",
    }
}

/// What a person orders of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentOrder {
    /// Stop until somebody says otherwise.
    Pause,
    /// Go on.
    Resume,
    /// Belong to another owner, who is active.
    Assign,
    /// Be changed in name, heir, environment or rule, or get a key.
    Change,
}

impl AgentOrder {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Assign, Self::Change];
}

impl AgentState {
    /// The state after an order. Nothing leads out of `disabled`, and only a new owner out of `orphaned` (I4).
    ///
    /// # Errors
    /// [`Refusal::AgentDisabled`] or [`Refusal::AgentOrphaned`] if the order is not possible in this state.
    pub const fn after(self, order: AgentOrder) -> Result<Self, Refusal> {
        match (self, order) {
            (Self::Disabled, _) => Err(Refusal::AgentDisabled),
            (Self::Orphaned, AgentOrder::Pause | AgentOrder::Resume) => Err(Refusal::AgentOrphaned),
            (Self::Active | Self::Paused, AgentOrder::Pause) => Ok(Self::Paused),
            (Self::Active | Self::Paused, AgentOrder::Resume) | (Self::Orphaned, AgentOrder::Assign) => {
                Ok(Self::Active)
            }
            (same, AgentOrder::Assign | AgentOrder::Change) => Ok(same),
        }
    }
}

/// An agent of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The organization.
    pub organization: OrganizationId,
    /// Its name for people.
    pub name: String,
    /// The membership whose agent it is.
    pub owner: MembershipId,
    /// Who gets it under [`OwnerLossRule::HandOver`].
    pub heir: Option<MembershipId>,
    /// What happens when the owner goes.
    pub on_owner_loss: OwnerLossRule,
    /// The administrator who chose that rule; `None` for the root token.
    pub rule_chosen_by: Option<MembershipId>,
    /// Where it may act.
    pub environment: Slug,
    /// Whether it may act.
    pub state: AgentState,
    /// When it was made.
    pub created_at: Timestamp,
}
