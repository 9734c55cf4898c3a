//! What follows from a change of rules, or of the facts of many, says so: whatever carries it out later names the event
//! that it follows from.

use portcullis_domain::Clock as _;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Actor, Cause, CauseKind};
use portcullis_domain::change::{DirectoryGroupChange, DirectoryUserChange, MappingChange, MembershipChange};
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::{DirectoryUserId, EventId, MembershipId, OrganizationId, RequestId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::plan::Plan;
use portcullis_service::access::{off_board_member, settle};
use portcullis_service::caller::Caller;
use portcullis_service::directory::{self, DirectoryChanges};
use portcullis_service::membership::settled;
use portcullis_service::provisioning::{self, PersonSaid};
use portcullis_service::rules::{self, Carried, MAX_AT_ONCE, MAX_PER_CALL};
use portcullis_service::{Moment, ServiceError};
use portcullis_store::audit::{AuditFilter, list_page};
use portcullis_store::db::Lock;
use portcullis_store::receipt::of_membership;
use portcullis_store::{Tx, directory_user, membership};
use portcullis_testkit::Bench;
use serde_json::{Value, json};

use crate::thread::{Place, leave_group, place, provision, said, say_active, speaker, state};

/// What was done to that membership under that action, oldest first.
pub(crate) fn logged(bench: &Bench, place: &Place, member: MembershipId, action: &'static str) -> Vec<Value> {
    let organization = place.organization;
    bench.write(move |tx, _| {
        let filter =
            AuditFilter { target: member.to_string(), action: action.to_owned(), ..AuditFilter::default() };
        let stored = list_page(tx, organization, &filter, "", 100)?;
        Ok(stored.iter().map(|e| serde_json::from_str(&e.content).unwrap()).collect())
    })
}

/// The causes of that.
fn causes(bench: &Bench, place: &Place, member: MembershipId, action: &'static str) -> Vec<Value> {
    logged(bench, place, member, action).iter().map(|event| event["cause"].clone()).collect()
}

/// So many people of whom the directory tells, and who are in no group.
fn told(bench: &Bench, place: &Place, count: usize) -> Vec<DirectoryUserId> {
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        (0..count)
            .map(|number| {
                let person = said(&format!("p{number}"));
                Ok(provisioning::create_user(tx, moment, speaker, &person)?.id)
            })
            .collect()
    })
}

/// The event of the last change of rules, or of the facts of many, that was left to a job.
fn rules_event(tx: &mut Tx<'_>, organization: OrganizationId) -> Option<EventId> {
    let filter = AuditFilter { action: Action::RulesChanged.as_str().to_owned(), ..AuditFilter::default() };
    list_page(tx, organization, &filter, "", 100).unwrap().last().map(|event| event.id)
}

/// Takes everybody out of the group past the road, and then does what makes access follow later; the event of that.
fn later(
    bench: &Bench,
    place: &Place,
    user: DirectoryUserId,
    follow: impl Fn(&mut Tx<'_>, &mut Moment, OrganizationId) -> Result<(), ServiceError> + Send + 'static,
) -> Option<EventId> {
    let (organization, group) = (place.organization, place.group);
    // Events of one instant are in no order: what comes now comes later than what was before.
    bench.clock.pass_s(1);
    let event = bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        let event = EventDraft::new(Action::DirectoryGroupMembersChanged, group);
        let change = DirectoryGroupChange::RemoveMembers(group, vec![user]);
        let plan = Plan::because(organization, Cause::system()).then(event, change);
        moment.apply(tx, &plan)?;
        follow(tx, moment, organization)?;
        Ok(rules_event(tx, organization))
    });
    bench.clock.pass_s(1);
    event
}

fn is_followed(cause: &Value, event: Option<EventId>) {
    let event = event.unwrap();
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
        let event = EventDraft::new(Action::RulesChanged, organization);
        let stale = MembershipChange::MarkStale(vec![ann]);
        let plan = Plan::because(organization, Cause::system()).then(event, stale);
        moment.apply(tx, &plan)?;
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
    bench.portcullis().step_rules().await.unwrap();
    let ended = causes(&bench, &place, member, "member.deprovisioned");
    assert_eq!((ended.len(), ended[0]["kind"].as_str()), (1, Some(CauseKind::Rule.as_str())), "{ended:?}");
    let suspended = logged(&bench, &place, member, "member.access_changed").pop().unwrap();
    assert_eq!(ended[0]["event"], suspended["id"], "{ended:?}");
}

/// Ann loses her last group by a call of her directory, and is due before the job has come by: what suspended her.
fn due(bench: &Bench, place: &Place) -> (MembershipId, Value) {
    let (ann, member) = provision(bench, place, "ann");
    bench.clock.pass_s(1);
    leave_group(bench, place, ann);
    let suspended = logged(bench, place, member, "member.access_changed").pop().unwrap();
    assert_eq!(suspended["cause"]["directory"], json!(place.directory), "{suspended}");
    bench.clock.pass_s(3600);
    (member, suspended)
}

/// Ann has ended because of what suspended her, in log and receipt.
fn leads_back_to(bench: &Bench, place: &Place, (member, suspended): (MembershipId, Value)) {
    let ended = logged(bench, place, member, "member.deprovisioned");
    let [ended] = ended.as_slice() else { panic!("{ended:?}") };
    let [request, directory, token] =
        ["request_id", "directory", "token"].map(|field| &suspended["cause"][field]);
    assert_eq!(
        ended["cause"],
        json!({
            "kind": "rule", "event": suspended["id"], "request_id": request, "directory": directory, "token": token,
        })
    );
    assert_eq!(ended["actor"]["type"], "system", "whoever meets them has not ended them");
    let receipts = bench.write(move |tx, _| Ok(of_membership(tx, member)?));
    assert_eq!(
        serde_json::to_value(&receipts[0].cause).unwrap(),
        json!({ "kind": "rule", "request_id": request, "directory": directory })
    );
}

#[tokio::test]
async fn whoever_lost_their_last_group_ends_because_of_the_call_that_said_so() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let ann = due(&bench, &place);
    bench.portcullis().step_rules().await.unwrap();
    leads_back_to(&bench, &place, ann);
}

#[tokio::test]
async fn whoever_meets_somebody_who_is_due_is_not_why_they_end_nor_is_a_rule_that_changed_meanwhile() {
    type Meeting = fn(&mut Tx<'_>, &mut Moment, OrganizationId, MembershipId) -> Result<(), ServiceError>;
    let request = |moment: &mut Moment| RequestId::fresh(moment.now, &mut moment.random);
    let meetings: [Meeting; 3] = [
        |tx, moment, organization, member| settled(tx, moment, organization, member).map(|_| ()),
        |tx, moment, _, member| {
            let cause = Caller::Root.cause(RequestId::fresh(moment.now, &mut moment.random));
            settle(tx, moment, member, cause).map(|_| ())
        },
        |tx, moment, _, member| {
            let cause = Cause {
                kind: CauseKind::SignIn,
                actor: Actor::Membership(member),
                request: Some(RequestId::fresh(moment.now, &mut moment.random)),
                ..Cause::system()
            };
            settle(tx, moment, member, cause).map(|_| ())
        },
    ];
    for meet in meetings {
        let bench = Bench::of_the_run();
        let place = place(&bench, "acme", 3600);
        let organization = place.organization;
        let ann = due(&bench, &place);
        let member = ann.0;
        bench.write(move |tx, moment| {
            tx.lock(Lock::Organization(organization))?;
            let ordered = Caller::Root.cause(request(moment));
            rules::raise(tx, moment, organization, ordered)?;
            meet(tx, moment, organization, member)
        });
        leads_back_to(&bench, &place, ann);
    }
}

#[tokio::test]
async fn whoever_ends_early_because_they_are_waited_for_no_longer_ends_by_that_order() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 7200);
    let (member, _) = due(&bench, &place);
    let (organization, directory) = (place.organization, place.directory);
    let request = bench.write(move |tx, moment| {
        let request = RequestId::fresh(moment.now, &mut moment.random);
        let at_once = DirectoryChanges { settle_s: Some(0), ..DirectoryChanges::default() };
        let ordered = Caller::Root.cause(request);
        directory::update(tx, moment, &Caller::Root, organization, (directory, &at_once), ordered)?;
        Ok(request)
    });
    let ended = causes(&bench, &place, member, "member.deprovisioned");
    assert_eq!((&ended[0]["kind"], &ended[0]["request_id"]), (&json!("api"), &json!(request)));
}

/// Raises the rules, as somebody who deletes a mapping of thousands does; the request of that.
fn raise(bench: &Bench, place: &Place) -> RequestId {
    let organization = place.organization;
    bench.clock.pass_s(1);
    bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        let request = RequestId::fresh(moment.now, &mut moment.random);
        rules::raise(tx, moment, organization, Caller::Root.cause(request))?;
        Ok(request)
    })
}

/// A call of the directory about that person and a hundred others; the request of that.
fn many_said(bench: &Bench, place: &Place, user: DirectoryUserId, others: &[DirectoryUserId]) -> RequestId {
    let (organization, directory) = (place.organization, place.directory);
    let mut users = others.to_vec();
    users.push(user);
    bench.clock.pass_s(1);
    bench.write(move |tx, moment| {
        tx.lock(Lock::Rules(organization))?;
        let request = RequestId::fresh(moment.now, &mut moment.random);
        let said = Cause {
            kind: CauseKind::Scim,
            actor: Actor::Directory(directory),
            token: None,
            request: Some(request),
            event: None,
            directory: Some(directory),
        };
        assert_eq!(rules::after_facts(tx, moment, organization, &users, said)?, Carried::Pending);
        Ok(request)
    })
}

/// The causes of what the job stores of these people, each with the receipt's.
fn ended_by_the_job(bench: &Bench, place: &Place, people: &[MembershipId]) -> Vec<(Value, Value)> {
    let organization = place.organization;
    while bench.write(move |tx, moment| rules::step(tx, moment, organization, 500)) > 0 {}
    let of = |member: &MembershipId| {
        let member = *member;
        let receipts = bench.write(move |tx, _| Ok(of_membership(tx, member)?));
        let cause = causes(bench, place, member, "member.deprovisioned").pop().unwrap();
        (cause, serde_json::to_value(&receipts[0].cause).unwrap())
    };
    people.iter().map(of).collect()
}

fn event(bench: &Bench, place: &Place, id: &Value) -> Value {
    let (organization, id) = (place.organization, id.as_str().unwrap().parse().unwrap());
    let stored = bench.write(move |tx, _| Ok(portcullis_store::audit::find(tx, organization, id)?));
    serde_json::from_str(&stored.unwrap().content).unwrap()
}

#[tokio::test]
async fn whoever_a_later_call_is_not_about_ends_by_the_change_that_was_before_it() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let others = told(&bench, &place, MAX_PER_CALL);
    let (_, a) = provision(&bench, &place, "ann");
    let (bob, b) = provision(&bench, &place, "bob");
    let organization = place.organization;
    while bench.write(move |tx, moment| rules::step(tx, moment, organization, 500)) > 0 {}
    bench.write(move |tx, moment| {
        tx.lock(Lock::Organization(organization))?;
        for one in portcullis_store::mapping::list(tx, organization, None, None, 10)? {
            let event = EventDraft::new(Action::MappingDeleted, one.id);
            let plan =
                Plan::because(organization, Cause::system()).then(event, MappingChange::Delete(one.id));
            moment.apply(tx, &plan)?;
        }
        Ok(())
    });
    let by_rule = raise(&bench, &place);
    let said = many_said(&bench, &place, bob, &others);
    let ended = ended_by_the_job(&bench, &place, &[a, b]);
    let (cause, receipt) = &ended[0];
    assert_eq!(cause["request_id"], json!(by_rule), "{cause}");
    assert_eq!(event(&bench, &place, &cause["event"])["cause"]["request_id"], json!(by_rule));
    assert_eq!(*receipt, json!({ "kind": "rule", "request_id": by_rule, "directory": null }));
    let joint = event(&bench, &place, &ended[1].0["event"]);
    assert_eq!(joint["detail"]["events"].as_array().unwrap().len(), 2, "{joint}");
    assert_eq!(ended[1].1["request_id"], Value::Null, "neither `{by_rule}` nor `{said}` is claimed");
}

#[tokio::test]
async fn what_a_directory_said_of_many_is_in_their_receipts_whatever_it_said_of_others_later() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let others = told(&bench, &place, MAX_PER_CALL);
    let (ann, a) = provision(&bench, &place, "ann");
    let organization = place.organization;
    while bench.write(move |tx, moment| rules::step(tx, moment, organization, 500)) > 0 {}
    let (group, directory) = (place.group, json!(place.directory));
    bench.write(move |tx, moment| {
        let event = EventDraft::new(Action::DirectoryGroupMembersChanged, group);
        let change = DirectoryGroupChange::RemoveMembers(group, vec![ann]);
        let plan = Plan::because(organization, Cause::system()).then(event, change);
        moment.apply(tx, &plan)?;
        Ok(())
    });
    let said = many_said(&bench, &place, ann, &others);
    let (bob, _) = provision(&bench, &place, "bob");
    many_said(&bench, &place, bob, &others);
    let (cause, receipt) = ended_by_the_job(&bench, &place, &[a]).pop().unwrap();
    assert_eq!(event(&bench, &place, &cause["event"])["cause"]["request_id"], json!(said));
    assert_eq!(receipt, json!({ "kind": "rule", "request_id": said, "directory": directory }));
}

#[tokio::test]
async fn as_many_as_the_limit_are_carried_out_at_once_and_one_more_is_left_to_the_job() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (_, member) = provision(&bench, &place, "ann");
    let organization = place.organization;
    for (count, expected) in [(MAX_AT_ONCE, Carried::Out), (MAX_AT_ONCE + 1, Carried::Pending)] {
        let carried = bench.write(move |tx, moment| {
            tx.lock(Lock::Organization(organization))?;
            rules::after_rule_change(tx, moment, organization, &vec![member; count], Cause::system())
        });
        assert_eq!(carried, expected, "{count} of a change of rules");
    }
    let users = told(&bench, &place, MAX_PER_CALL + 1);
    for (count, expected) in [(MAX_PER_CALL, Carried::Out), (MAX_PER_CALL + 1, Carried::Pending)] {
        let touched = users[..count].to_vec();
        let carried = bench.write(move |tx, moment| {
            tx.lock(Lock::Rules(organization))?;
            rules::after_facts(tx, moment, organization, &touched, Cause::system())
        });
        assert_eq!(carried, expected, "{count} of a directory's call");
    }
}

#[tokio::test]
async fn a_group_that_no_mapping_names_moves_nobody_however_many_are_in_it() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let users = told(&bench, &place, MAX_PER_CALL + 1);
    let (organization, directory) = (place.organization, place.directory);
    let (before, after) = bench.write(move |tx, moment| {
        let before = rules_event(tx, organization);
        let speaker = speaker(moment, organization, directory);
        provisioning::create_group(tx, moment, speaker, ("Everybody", None), &users)?;
        Ok((before, rules_event(tx, organization)))
    });
    assert_eq!(before, after, "nobody's access is looked at again");
}

#[tokio::test]
async fn a_change_of_access_is_in_the_log_with_what_was_and_with_what_is() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (_, member) = provision(&bench, &place, "ann");
    let changes = logged(&bench, &place, member, "member.access_changed");
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    let none = json!([]);
    let nothing = json!({
        "state": "suspended", "role": null, "teams": none, "environments": none, "until": null,
        "reasons": none, "reasons_left_out": 0, "governed_by": null,
    });
    let (from, to) = (&change["detail"]["from"], &change["detail"]["to"]);
    assert_eq!(*from, nothing);
    let given = |name: &str| to[name].clone();
    assert_eq!([given("state"), given("role")], ["active", "member"]);
    assert_eq!([given("teams"), given("environments")], [none, json!(["production"])]);
    assert_eq!(given("governed_by"), place.directory.to_string());
    let by: Vec<_> = to["reasons"].as_array().unwrap().iter().map(|reason| &reason["by"]).collect();
    assert_eq!(by, ["mapping", "default"]);
}

#[tokio::test]
async fn whoever_is_said_to_be_inactive_again_ends_before_the_answer_though_the_job_has_not_come_by() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 3600);
    let (ann, member) = provision(&bench, &place, "ann");
    let directory = place.directory;
    later(&bench, &place, ann, move |tx, moment, organization| {
        let told = directory_user::find(tx, directory, ann)?.unwrap();
        let inactive = DirectoryUser { inactive_at: Some(moment.now), ..told };
        let event = EventDraft::new(Action::DirectoryUserDeactivated, ann);
        let changes = vec![
            DirectoryUserChange::Update(Box::new(inactive)).into(),
            MembershipChange::MarkStale(vec![ann]).into(),
        ];
        let plan = Plan::because(organization, Cause::system()).then_all(event, changes);
        moment.apply(tx, &plan)?;
        Ok(())
    });
    assert_eq!(state(&bench, &place, member), MembershipState::Active);
    say_active(&bench, &place, ann, false);
    assert_eq!(state(&bench, &place, member), MembershipState::Deprovisioned);
}

/// The address is somebody else's when it is said, and free when what is said next settles the person.
#[tokio::test]
async fn the_address_that_somebody_comes_to_have_is_held_before_they_are() {
    const WANTED: &str = "queen@acme.test";
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let (ada, member) = provision(&bench, &place, "ada");
    let other = bench.member(place.organization, WANTED, "member").membership;
    let (organization, directory) = (place.organization, place.directory);
    let email = || {
        let member = bench.write(move |tx, _| Ok(membership::find(tx, organization, member)?));
        member.unwrap().email
    };
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        let said = PersonSaid { emails: vec![WANTED.to_owned()], ..said("ada") };
        provisioning::replace_user(tx, moment, speaker, ada, &said)?;
        Ok(())
    });
    assert_eq!(email(), "ada@acme.test", "it is another's");
    bench.write(move |tx, moment| {
        off_board_member(tx, moment, organization, other, "left", Cause::system())?;
        Ok(())
    });
    say_active(&bench, &place, ada, false);
    say_active(&bench, &place, ada, true);
    assert_eq!(email(), WANTED);
}

/// More often than one page of receipts holds.
const OFTEN: usize = 101;

#[test]
fn whoever_has_ended_more_often_than_a_page_holds_is_accounted_for_by_their_newest_receipt() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let (ada, member) = provision(&bench, &place, "ada");
    for _ in 1..OFTEN {
        say_active(&bench, &place, ada, false);
        bench.clock.pass_s(1);
        say_active(&bench, &place, ada, true);
    }
    let before = bench.clock.now();
    say_active(&bench, &place, ada, false);
    let organization = place.organization;
    let newest = bench.write(move |tx, moment| {
        let id = off_board_member(tx, moment, organization, member, "left", Cause::system())?;
        Ok(portcullis_store::receipt::find(tx, organization, id)?)
    });
    assert_eq!(newest.unwrap().receipt.at, before);
}
