//! Which orders an agent's state allows.

use portcullis_domain::Refusal;
use portcullis_domain::agent::AgentOrder::{Assign, Change, Pause, Resume};
use portcullis_domain::agent::AgentState::{Active, Disabled, Orphaned, Paused};
use portcullis_domain::agent::{AgentOrder, AgentState};

#[test]
fn every_order_in_every_state_is_decided() {
    let must = |state: AgentState, order: AgentOrder| match (state, order) {
        (Active, Pause) | (Paused, Pause | Assign | Change) => Ok(Paused),
        (Active, Resume | Assign | Change) | (Paused, Resume) | (Orphaned, Assign) => Ok(Active),
        (Orphaned, Change) => Ok(Orphaned),
        (Orphaned, Pause | Resume) => Err(Refusal::AgentOrphaned),
        (Disabled, _) => Err(Refusal::AgentDisabled),
    };
    for state in AgentState::ALL {
        for order in AgentOrder::ALL {
            assert_eq!(state.after(order), must(state, order), "{order:?} of an agent that is {state:?}");
        }
    }
}

#[test]
fn nothing_leads_out_of_disabled_and_only_a_new_owner_out_of_orphaned() {
    let out = |state: AgentState| {
        AgentOrder::ALL.into_iter().filter(move |o| state.after(*o).is_ok_and(|s| s != state))
    };
    assert_eq!(out(Disabled).count(), 0);
    assert_eq!(out(Orphaned).collect::<Vec<_>>(), [Assign]);
}
