//! The end of a membership, and where its agents go.

use portcullis_domain::agent::{AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::change::{
    AgentChange, Change, GrantChange, MembershipChange, OutboxChange, ReceiptChange, TokenChange, TokenSet,
    TombstoneChange, UserChange,
};
use portcullis_domain::id::TokenId;
use portcullis_domain::membership::MembershipState;
use portcullis_domain::offboarding::{Leaver, Ownership};
use portcullis_domain::plan::{Plan, Step};
use portcullis_domain::receipt::{KeptBecause, Receipt};
use portcullis_domain::text::Slug;
use portcullis_domain::token::TokenEnd;

use crate::fixture::{NOW, id, leaver, left_behind, member, new_ids, off_boarded};

pub(crate) fn changes(plan: &Plan) -> Vec<&Change> {
    let of = plan.steps().iter().flat_map(|step| match step {
        Step::Did { changes, .. } => changes.as_slice(),
        Step::Restamp(_) => &[],
    });
    of.collect()
}

/// Every event of a plan.
pub(crate) fn events(plan: &Plan) -> Vec<&EventDraft> {
    let of = plan.steps().iter().filter_map(|step| match step {
        Step::Did { event, .. } => Some(event),
        Step::Restamp(_) => None,
    });
    of.collect()
}

fn receipt(plan: &Plan) -> &Receipt {
    let opened = changes(plan).into_iter().find_map(|change| match change {
        Change::Receipt(ReceiptChange::Open(receipt)) => Some(&**receipt),
        _ => None,
    });
    opened.expect("a receipt")
}

/// What every end of a membership holds, whoever left.
pub(crate) fn ends_everything(leaver: &Leaver, plan: &Plan) {
    let id = leaver.membership.id;
    let all = changes(plan);
    let of_leaver = all.iter().any(|change| {
        matches!(change, Change::Token(TokenChange::End { set: TokenSet::OfLeaver(of, emails), because, receipt, .. })
            if *of == id && *emails == leaver.email_keys && *because == TokenEnd::OffBoarded
                && *receipt == Some(new_ids().receipt))
    });
    assert!(of_leaver, "everything that acts as them, or was shown to them, ends");
    let bare = leaver.ownership == Ownership::Last;
    let deprovisioned = all.iter().any(|change| {
        matches!(change, Change::Membership(MembershipChange::SetAccess { id: of, access, ended, bare_owner_at, .. })
            if *of == id && access.state == MembershipState::Deprovisioned && ended.is_some()
                && access.teams.is_empty() && access.environments.is_empty()
                && access.role == bare.then(Slug::owner) && bare_owner_at.is_some() == bare)
    });
    assert!(deprovisioned, "the membership ends, bare ownership only for a last owner");
    let laid = all.iter().any(|change| {
        matches!(change, Change::Tombstone(TombstoneChange::Lay { membership, identifiers, .. })
            if *membership == id && *identifiers == leaver.identifiers)
    });
    assert!(laid, "every identifier is on the tombstone");
    let granted = all.iter().any(|change| {
        matches!(change, Change::Grant(GrantChange::EndOf { membership, keep, .. })
            if *membership == id && *keep == bare.then(Slug::owner))
    });
    assert!(granted, "grants end");
    let forgotten = all.iter().any(|c| matches!(c, Change::Agent(AgentChange::Forget(of)) if *of == id));
    assert!(forgotten, "they are nobody's heir any more");
    assert!(all.iter().any(|c| matches!(c, Change::Outbox(OutboxChange::Put { .. }))), "others are told");
    assert_eq!(receipt(plan).membership, id);
    let user = all
        .iter()
        .any(|c| matches!(c, Change::User(UserChange::End(of, _)) if *of == leaver.membership.user));
    assert_eq!(user, !leaver.lives_elsewhere, "the user ends with the last membership and not before");
    assert!(plan.lessens());
    assert_eq!(events(plan).len(), plan.steps().len(), "no change without an event");
    let deprovisioned = events(plan).into_iter().filter(|e| e.action == Action::MemberDeprovisioned);
    assert_eq!(deprovisioned.count(), 1);
}

/// What becomes of one agent: its change, if there is one, and why the receipt keeps it.
fn fate(leaver: &Leaver) -> (Option<AgentChange>, Option<KeptBecause>) {
    let plan = off_boarded(leaver);
    let agent = leaver.agents[0].agent.id.to_string();
    let change = changes(&plan).into_iter().find_map(|change| match change {
        Change::Agent(AgentChange::Forget(_)) => None,
        Change::Agent(change) => Some(change.clone()),
        _ => None,
    });
    (change, receipt(&plan).kept.iter().find(|kept| kept.what.id == agent).map(|kept| kept.why))
}

fn with(rule: OwnerLossRule, state: AgentState, others: i64) -> Leaver {
    let mut left = left_behind(1, rule, state);
    for next in [&mut left.active_heir, &mut left.active_chooser] {
        next.as_mut().expect("active").acting_keys = others;
    }
    Leaver { agents: vec![left], ..leaver() }
}

#[test]
fn the_end_of_a_membership_ends_everything_of_it() {
    let leaver = leaver();
    ends_everything(&leaver, &off_boarded(&leaver));
}

#[test]
fn the_end_names_no_kind_of_token() {
    let all = off_boarded(&leaver());
    let sets = changes(&all).into_iter().filter(|c| matches!(c, Change::Token(TokenChange::End { .. })));
    assert_eq!(sets.count(), 1, "one set, whatever kinds there are");
}

#[test]
fn by_default_an_agent_stops_and_waits() {
    let leaver = with(OwnerLossRule::Pause, AgentState::Active, 5);
    let receipt = new_ids().receipt;
    let orphaned = AgentChange::Orphan(leaver.agents[0].agent.id, receipt);
    assert_eq!(fate(&leaver), (Some(orphaned), Some(KeptBecause::Orphaned)));
}

#[test]
fn an_agent_that_is_to_be_disabled_ends_with_all_its_keys() {
    let leaver = with(OwnerLossRule::Disable, AgentState::Active, 5);
    let id = leaver.agents[0].agent.id;
    assert_eq!(fate(&leaver), (Some(AgentChange::Disable(id, Some(new_ids().receipt))), None));
    let plan = off_boarded(&leaver);
    let keys = changes(&plan).into_iter().any(|change| {
        matches!(change, Change::Token(TokenChange::End { set: TokenSet::OfAgent(of), receipt, .. })
            if *of == id && receipt.is_some())
    });
    assert!(keys, "also keys that the leaver never saw");
}

#[test]
fn an_agent_without_an_active_heir_stops() {
    let mut leaver = with(OwnerLossRule::HandOver, AgentState::Active, 1);
    leaver.agents[0].active_heir = None;
    assert_eq!(fate(&leaver).1, Some(KeptBecause::Orphaned));
}

#[test]
fn a_kept_agent_goes_to_whoever_chose_that_else_to_the_heir_else_it_stops() {
    let mut leaver = with(OwnerLossRule::Keep, AgentState::Active, 1);
    let id = leaver.agents[0].agent.id;
    assert_eq!(fate(&leaver).0, Some(AgentChange::SetOwner(id, member(3), AgentState::Active, None)));
    leaver.agents[0].active_chooser = None;
    assert_eq!(fate(&leaver).0, Some(AgentChange::SetOwner(id, member(2), AgentState::Active, None)));
    leaver.agents[0].active_heir = None;
    assert_eq!(fate(&leaver).0, Some(AgentChange::Orphan(id, new_ids().receipt)));
}

#[test]
fn what_the_receipt_says_of_an_agent_is_what_becomes_of_it() {
    use AgentState::{Active, Orphaned, Paused};
    use KeptBecause::{HandedOver, Orphaned as Waits, StaysPaused, WaitsForKeys};
    for (rule, next) in [(OwnerLossRule::HandOver, member(2)), (OwnerLossRule::Keep, member(3))] {
        for (before, keys, after, why) in [
            (Active, 1, Active, HandedOver),
            (Active, 0, Paused, WaitsForKeys),
            (Paused, 1, Paused, StaysPaused),
            (Paused, 0, Paused, WaitsForKeys),
            (Orphaned, 1, Orphaned, Waits),
            (Orphaned, 0, Orphaned, Waits),
        ] {
            let leaver = with(rule, before, keys);
            let stopped = (before == Active && after == Paused).then(|| new_ids().receipt);
            let moved = AgentChange::SetOwner(leaver.agents[0].agent.id, next, after, stopped);
            assert_eq!(fate(&leaver), (Some(moved), Some(why)), "{rule:?}: {before:?} with {keys} keys");
        }
    }
    let receipt = new_ids().receipt;
    for (before, change) in [(Active, true), (Paused, true), (Orphaned, false)] {
        let leaver = with(OwnerLossRule::Pause, before, 1);
        let stops = change.then(|| AgentChange::Orphan(leaver.agents[0].agent.id, receipt));
        assert_eq!(fate(&leaver), (stops, Some(Waits)), "one {before:?} that nobody gets stops once");
        let leaver = with(OwnerLossRule::Disable, before, 1);
        let ends = AgentChange::Disable(leaver.agents[0].agent.id, Some(receipt));
        assert_eq!(fate(&leaver), (Some(ends), None));
    }
}

#[test]
fn a_last_owner_keeps_the_bare_ownership_and_loses_everything_else() {
    let leaver = Leaver { ownership: Ownership::Last, ..leaver() };
    let plan = off_boarded(&leaver);
    ends_everything(&leaver, &plan);
    assert!(receipt(&plan).kept.iter().any(|kept| kept.why == KeptBecause::LastOwner));
    assert!(events(&plan).iter().any(|e| e.action == Action::LastOwnerKept));
}

#[test]
fn whoever_came_back_without_their_ownership_leaves_as_the_last_owner_who_left() {
    let mut back = Leaver { ownership: Ownership::NotOwner, ..leaver() };
    back.membership.bare_owner_at = Some(NOW);
    let plan = off_boarded(&back);
    let marked = changes(&plan).into_iter().any(|change| {
        matches!(change, Change::Membership(MembershipChange::SetAccess { access, bare_owner_at, .. })
            if access.role.is_none() && *bare_owner_at == Some(NOW))
    });
    assert!(marked, "an administrator still hears of it");
}

#[test]
fn an_owner_beside_whom_there_is_another_keeps_nothing() {
    let leaver = Leaver { ownership: Ownership::Shared, ..leaver() };
    ends_everything(&leaver, &off_boarded(&leaver));
}

#[test]
fn secrets_of_the_organization_that_the_leaver_saw_are_to_be_rotated() {
    let (service, scim) = (id!(TokenId, 1), id!(TokenId, 2));
    let plan = off_boarded(&Leaver { to_rotate: vec![service, scim], ..leaver() });
    let kept: Vec<_> = receipt(&plan).kept.iter().map(|kept| (kept.what.id.clone(), kept.why)).collect();
    assert_eq!(kept, [(service.to_string(), KeptBecause::Rotate), (scim.to_string(), KeptBecause::Rotate)]);
}

#[test]
fn a_user_who_is_a_member_elsewhere_stays_and_the_receipt_says_so() {
    let leaver = Leaver { lives_elsewhere: true, ..leaver() };
    let plan = off_boarded(&leaver);
    ends_everything(&leaver, &plan);
    assert!(receipt(&plan).kept.iter().any(|kept| kept.why == KeptBecause::OtherMembership));
}
