//! Plans: a change and its event go together, and what can lessen access says so.

use std::collections::BTreeSet;

use portcullis_domain::agent::{AgentState, OwnerLossRule};
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{
    AgentChange, Change, ConnectionChange, DirectoryChange, Forgotten, MembershipChange, OrganizationChange,
    Restamp, RoleChange, TokenChange, TokenSet,
};
use portcullis_domain::connection::{ClaimRules, Connection, ConnectionKind};
use portcullis_domain::id::{ConnectionId, EventId, RoleId};
use portcullis_domain::plan::Plan;
use portcullis_domain::receipt::statement;
use portcullis_domain::role::{Giving, Rank, Role};
use portcullis_domain::text::Slug;
use portcullis_domain::token::TokenEnd;
use serde_json::json;

use crate::fixture::{NOW, agent, directory, id, leaver, member, off_boarded, organization, slug};
use crate::leaving::{changes, events};

fn draft() -> EventDraft {
    EventDraft::new(Action::MemberSuspended, member(1))
}

#[test]
fn a_plan_without_steps_is_empty_and_lessens_nothing() {
    let plan = Plan::because(organization(), Cause::system());
    assert!(plan.is_empty() && !plan.lessens());
    assert_eq!((plan.organization(), plan.cause()), (organization(), &Cause::system()));
    assert!(!plan.noting(draft()).lessens());
}

#[test]
fn a_suspension_and_an_end_lessen_and_a_coming_does_not() {
    let plan = || Plan::because(organization(), Cause::system());
    assert!(
        plan().then(draft(), MembershipChange::SetSuspended(member(1), Some((NOW, Rank::OWNER)))).lessens()
    );
    assert!(!plan().then(draft(), MembershipChange::Join(member(1), NOW)).lessens());
    let end = TokenChange::ended(TokenSet::OfOrganization(NOW), TokenEnd::Restored, NOW);
    let both = plan().then(draft(), MembershipChange::Join(member(1), NOW)).then(draft(), end);
    assert!(both.lessens());
    assert_eq!(changes(&both).len(), 2);
}

#[test]
fn a_restamp_alone_goes_without_an_event() {
    let restamp = Restamp { id: member(1), governed_by: None, unmapped_at: None, rules_number: 2 };
    let plan = Plan::because(organization(), Cause::system()).restamp(restamp);
    assert!(events(&plan).is_empty() && !plan.lessens() && !plan.is_empty());
}

#[test]
fn a_reason_stands_in_the_first_event_beside_what_was_there() {
    let plan = off_boarded(&leaver()).with_reason("left the company");
    let detail = &events(&plan)[0].detail;
    assert_eq!(detail["reason"], "left the company");
    assert_eq!(detail["because"], "inactive");
    let bare = Plan::because(organization(), Cause::system()).noting(draft()).with_reason("why");
    assert_eq!(events(&bare)[0].detail, json!({ "reason": "why" }));
}

#[test]
fn a_receipts_statement_names_who_what_and_by_which_request() {
    use portcullis_domain::change::ReceiptChange;
    let plan = off_boarded(&leaver());
    let Some(Change::Receipt(ReceiptChange::Open(receipt))) = changes(&plan).first().copied() else {
        panic!("the receipt is opened first");
    };
    let ended = [Target { kind: "token".into(), id: "tok_1".into() }];
    let said = statement(receipt, plan.cause(), id!(EventId, 9), &ended);
    assert_eq!(said["member"], member(1).to_string());
    assert_eq!(said["ended"], json!([{ "type": "token", "id": "tok_1" }]));
    assert_eq!(said["cause"]["because"], "inactive");
    assert_eq!(said["cause"]["event"], id!(EventId, 9).to_string());
}

#[test]
fn what_only_adds_lessens_nothing_and_what_can_take_moves_the_revision() {
    let role = Role {
        id: id!(RoleId, 1),
        organization: organization(),
        slug: slug("auditor"),
        rank: Rank::new(200).expect("a rank"),
        permissions: BTreeSet::new(),
        giving: Giving::Anyhow,
        built_in_at: None,
        created_at: NOW,
    };
    let agent = agent(1, OwnerLossRule::Pause, AgentState::Active);
    let connection = Connection {
        id: id!(ConnectionId, 1),
        organization: organization(),
        kind: ConnectionKind::Oidc,
        name: "Okta".into(),
        issuer: "https://idp.test".into(),
        client_id: "portcullis".into(),
        client_secret_sealed: "sealed".into(),
        directory: None,
        claims_directory: directory(1),
        jit_at: None,
        groups_claim: None,
        claim_rules: ClaimRules::default(),
        environment: Slug::production(),
        domains: vec![],
        unconfirmed: None,
        created_at: NOW,
    };
    let adds: [Change; 6] = [
        ConnectionChange::Create(Box::new(connection)).into(),
        OrganizationChange::Rename(organization(), "Acme".into()).into(),
        RoleChange::Create(role).into(),
        AgentChange::Create(agent.clone()).into(),
        MembershipChange::SetProfile(member(1), "ada@acme.test".into(), "Ada".into()).into(),
        DirectoryChange::Forget(directory(1), Forgotten::Everything, NOW).into(),
    ];
    let takes: [Change; 5] = [
        OrganizationChange::RaiseRules(organization()).into(),
        RoleChange::Delete(id!(RoleId, 1)).into(),
        AgentChange::SetState(agent.id, AgentState::Paused, None).into(),
        ConnectionChange::Delete(id!(ConnectionId, 1)).into(),
        DirectoryChange::Unconfirm(organization(), NOW).into(),
    ];
    for change in adds {
        assert!(!change.lessens(), "{change:?}");
    }
    for change in takes {
        assert!(change.lessens(), "{change:?}");
    }
}
