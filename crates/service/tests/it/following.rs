//! What follows from a change of rules, or of the facts of many, says so: whatever carries it out later names the event
//! that it follows from.

use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::change::{DirectoryGroupChange, MembershipChange};
use portcullis_domain::id::{DirectoryUserId, EventId, MembershipId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_service::membership::settled;
use portcullis_service::{Moment, ServiceError, rules};
use portcullis_store::audit::{AuditFilter, list_page};
use portcullis_store::db::Lock;
use portcullis_store::{Tx, apply};
use portcullis_testkit::Bench;
use serde_json::Value;

use crate::thread::{Place, place, provision};

/// The causes of what was done to that membership under that action, oldest first.
fn causes(bench: &Bench, place: &Place, member: MembershipId, action: &'static str) -> Vec<Value> {
    let organization = place.organization;
    bench.write(move |tx, _| {
        let filter =
            AuditFilter { target: member.to_string(), action: action.to_owned(), ..AuditFilter::default() };
        let stored = list_page(tx, organization, &filter, "", 100)?;
        Ok(stored
            .iter()
            .map(|e| serde_json::from_str::<Value>(&e.content).unwrap()["cause"].clone())
            .collect())
    })
}

/// Takes everybody out of the group past the road, and then does what makes access follow later; the event of that.
fn later(
    bench: &Bench,
    place: &Place,
    user: DirectoryUserId,
    follow: impl Fn(&mut Tx<'_>, &mut Moment, OrganizationId) -> Result<(), ServiceError> + Send + 'static,
) -> EventId {
    let (organization, group) = (place.organization, place.group);
    // Events of one instant are in no order: what comes now comes later than what was before.
    bench.clock.pass_s(1);
    let event = bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        let event =
            EventDraft::new(Action::DirectoryGroupMembersChanged, Target::new("directory_group", group));
        let change = DirectoryGroupChange::RemoveMembers(group, vec![user]);
        let plan = Plan::because(organization, Cause::system()).then(event, change);
        apply(tx, &plan, moment.now, &mut moment.random)?;
        follow(tx, moment, organization)?;
        Ok(portcullis_store::apply::rules_event(tx, organization)?.unwrap())
    });
    bench.clock.pass_s(1);
    event
}

fn is_followed(cause: &Value, event: EventId) {
    let said = (cause["kind"].as_str().unwrap(), cause["event"].as_str());
    assert_eq!(said, (CauseKind::Rule.as_str(), Some(event.to_string().as_str())), "{cause}");
}

#[tokio::test]
async fn what_a_job_stores_follows_from_the_rules_that_were_changed() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (ann, member) = provision(&bench, &place, "ann");
    let (_, bob) = provision(&bench, &place, "bob");
    let before = causes(&bench, &place, member, "member.access_changed").len();
    let event = later(&bench, &place, ann, |tx, moment, organization| {
        rules::raise(tx, moment, organization, Cause::system()).map(|_| ())
    });
    let others = causes(&bench, &place, bob, "member.access_changed");
    let organization = place.organization;
    assert_eq!(bench.write(move |tx, moment| rules::step(tx, moment, organization, 10)), 2);
    let after = causes(&bench, &place, member, "member.access_changed");
    assert_eq!(after.len(), before + 1);
    is_followed(after.last().unwrap(), event);
    assert_eq!(
        causes(&bench, &place, bob, "member.access_changed"),
        others,
        "whose access is as it was is not said to have changed"
    );
}

#[tokio::test]
async fn whoever_is_brought_in_step_before_the_job_follows_from_the_same_event() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (ann, member) = provision(&bench, &place, "ann");
    let event = later(&bench, &place, ann, move |tx, moment, organization| {
        let event = EventDraft::new(Action::RulesChanged, Target::new("organization", organization));
        let stale = MembershipChange::MarkStale(vec![ann]);
        let plan = Plan::because(organization, Cause::system()).then(event, stale);
        apply(tx, &plan, moment.now, &mut moment.random)?;
        Ok(())
    });
    let organization = place.organization;
    bench.write(move |tx, moment| settled(tx, moment, organization, member));
    is_followed(causes(&bench, &place, member, "member.access_changed").last().unwrap(), event);
}

#[tokio::test]
async fn whoever_ends_once_the_time_to_settle_is_over_ends_by_the_rules() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (ann, member) = provision(&bench, &place, "ann");
    later(&bench, &place, ann, |tx, moment, organization| {
        rules::raise(tx, moment, organization, Cause::system()).map(|_| ())
    });
    let organization = place.organization;
    bench.write(move |tx, moment| rules::step(tx, moment, organization, 10));
    bench.clock.pass_s(3600);
    assert_eq!(bench.write(|tx, moment| rules::settle_due(tx, moment, 10)), 1);
    let ended = causes(&bench, &place, member, "member.deprovisioned");
    assert_eq!((ended.len(), ended[0]["kind"].as_str()), (1, Some(CauseKind::Rule.as_str())), "{ended:?}");
}
