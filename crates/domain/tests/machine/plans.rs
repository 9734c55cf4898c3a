//! Plans: a change and its event go together, and what can lessen access says so.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{MembershipChange, Restamp, TokenChange, TokenSet};
use portcullis_domain::id::EventId;
use portcullis_domain::plan::Plan;
use portcullis_domain::receipt::{EndedItem, statement};
use portcullis_domain::token::TokenEnd;
use serde_json::json;

use crate::fixture::{NOW, id, leaver, member, off_boarded, organization};
use crate::leaving::changes;

fn draft() -> EventDraft {
    EventDraft::new(Action::MemberSuspended, Target::new("membership", member(1)))
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
    assert!(plan().then(draft(), MembershipChange::SetSuspended(member(1), Some(NOW))).lessens());
    assert!(!plan().then(draft(), MembershipChange::Join(member(1), NOW)).lessens());
    let end = TokenChange::End {
        organization: organization(),
        set: TokenSet::OfOrganization(organization()),
        because: TokenEnd::Restored,
        at: NOW,
        receipt: None,
    };
    let both = plan().then(draft(), MembershipChange::Join(member(1), NOW)).and(plan().then(draft(), end));
    assert!(both.lessens());
    assert_eq!(changes(&both).len(), 2);
}

#[test]
fn a_restamp_alone_goes_without_an_event() {
    let restamp = Restamp { id: member(1), governed_by: None, unmapped_at: None, rules_number: 2 };
    let plan = Plan::because(organization(), Cause::system()).restamp(restamp);
    assert!(plan.steps()[0].event.is_none() && !plan.lessens() && !plan.is_empty());
}

#[test]
fn a_reason_stands_in_the_first_event_beside_what_was_there() {
    let plan = off_boarded(&leaver()).with_reason("left the company");
    let detail = &plan.steps()[0].event.as_ref().expect("an event").detail;
    assert_eq!(detail["reason"], "left the company");
    assert_eq!(detail["because"], "inactive");
    let bare = Plan::because(organization(), Cause::system()).noting(draft()).with_reason("why");
    assert_eq!(bare.steps()[0].event.as_ref().expect("an event").detail, json!({ "reason": "why" }));
}

#[test]
fn a_receipts_statement_names_who_what_and_by_which_request() {
    use portcullis_domain::change::{Change, ReceiptChange};
    let plan = off_boarded(&leaver());
    let Some(Change::Receipt(ReceiptChange::Open(receipt))) = changes(&plan).first().copied() else {
        panic!("the receipt is opened first");
    };
    let ended = [EndedItem { kind: "token".into(), id: "tok_1".into() }];
    let said = statement(receipt, plan.cause(), id!(EventId, 9), &ended);
    assert_eq!(said["member"], member(1).to_string());
    assert_eq!(said["ended"], json!([{ "type": "token", "id": "tok_1" }]));
    assert_eq!(said["cause"]["because"], "inactive");
    assert_eq!(said["cause"]["event"], id!(EventId, 9).to_string());
}
