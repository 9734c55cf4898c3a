//! What an end that comes later follows from: kept with who is left without a mapping, and with who waits for the job.

use portcullis_domain::Timestamp;
use portcullis_domain::access::Access;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::change::{Change, MembershipChange, OrganizationChange, Restamp};
use portcullis_domain::id::{EventId, OrganizationId, RequestId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_store::membership::Since;
use portcullis_store::{apply, audit, membership, organization};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

const CAUSES: &str = include_str!("../../migrations/0019_causes.sql");

/// Carries a change of that membership out because of that request; its event.
fn changed(database: &Database, of: &Membership, change: impl Into<Change>, request: RequestId) -> EventId {
    let (organization, id, change) = (of.organization, of.id, change.into());
    database
        .note(move |tx| {
            let event = EventDraft::new(Action::MemberAccessChanged, id);
            let cause = Cause { kind: CauseKind::Scim, request: Some(request), ..Cause::system() };
            let plan = Plan::because(organization, cause).then(event, change.clone());
            Ok(apply(tx, &plan, NOW, &mut Seeded::next())?.events[0])
        })
        .unwrap()
}

fn restamped(database: &Database, of: OrganizationId, restamp: Restamp) {
    let plan = Plan::because(of, Cause::system()).restamp(restamp);
    database.note(move |tx| apply(tx, &plan, NOW, &mut Seeded::next()).map(|_| ())).unwrap();
}

fn unmapped(of: &Membership, since: Option<Timestamp>) -> MembershipChange {
    MembershipChange::SetAccess {
        id: of.id,
        access: Box::new(Access::none(MembershipState::Suspended)),
        governed_by: None,
        unmapped_at: since,
        ended: None,
        bare_owner_at: None,
        rules_number: of.rules_number,
    }
}

fn since(database: &Database, of: &Membership) -> Since {
    let (organization, id) = (of.organization, of.id);
    database.read(move |tx| membership::since(tx, organization, id)).unwrap()
}

#[test]
fn the_event_that_left_somebody_without_a_mapping_is_remembered_until_they_have_one() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let ann = fixture::membership(database, acme, "ann");
        let id = ann.id;
        let remembered = || database.read(move |tx| membership::unmapped_event(tx, acme, id));
        let sets = |since| changed(database, &ann, unmapped(&ann, since), fresh!(RequestId));
        assert_eq!(remembered(), None);
        let first = sets(Some(NOW));
        assert_eq!(remembered(), Some(first));
        sets(Some(NOW));
        assert_eq!(remembered(), Some(first), "it began with the first");
        sets(None);
        assert_eq!(remembered(), None);
        let again = sets(Some(later(5)));
        assert_eq!(remembered(), Some(again));
        for (unmapped_at, must) in [(Some(later(5)), Some(again)), (None, None)] {
            let restamp = Restamp { id, governed_by: None, unmapped_at, rules_number: 1 };
            restamped(database, acme, restamp);
            assert_eq!(remembered(), must);
        }
    });
}

#[test]
fn what_follows_from_an_event_names_it_and_what_it_was_because_of() {
    on_each(|database| {
        let [acme, other] = ["acme", "globex"].map(|name| fixture::organization(database, name).id);
        let ann = fixture::membership(database, acme, "ann");
        let request = fresh!(RequestId);
        let event = changed(database, &ann, unmapped(&ann, Some(NOW)), request);
        let by_rules = Cause { kind: CauseKind::Rule, event: Some(event), ..Cause::system() };
        let said = Cause { request: Some(request), ..by_rules };
        assert_eq!(database.read(move |tx| audit::following(tx, acme, event)), said);
        assert_eq!(database.read(move |tx| audit::following(tx, other, event)), by_rules, "not theirs");
    });
}

#[test]
fn whoever_waits_for_the_job_keeps_what_marked_them_and_the_number_of_before() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let people = fixture::directory(database, acme, None);
        let ann = fixture::membership(database, acme, "ann");
        let user = fixture::directory_user(database, &people, &ann);
        let mark = || changed(database, &ann, MembershipChange::MarkStale(vec![user]), fresh!(RequestId));
        let before = Since { number: Some(ann.rules_number), marked_by: vec![] };
        assert_eq!(since(database, &ann), before);
        let (first, second) = (mark(), mark());
        let gone = changed(database, &ann, MembershipChange::LoseDirectory(people.id), fresh!(RequestId));
        assert_eq!(since(database, &ann), Since { marked_by: vec![first, second, gone], ..before.clone() });
        for _ in 0..100 {
            mark();
        }
        let marks = since(database, &ann).marked_by;
        assert_eq!(marks[..3], [first, second, gone]);
        assert!(marks.len() < 60, "{}", marks.len());
        changed(database, &ann, unmapped(&ann, None), fresh!(RequestId));
        assert_eq!(since(database, &ann), before, "in step");
        mark();
        let restamp = Restamp { id: ann.id, governed_by: None, unmapped_at: None, rules_number: 1 };
        let marked = since(database, &ann);
        restamped(database, fixture::organization(database, "globex").id, restamp);
        assert_eq!(since(database, &ann), marked, "a plan changes nobody of another organization");
        restamped(database, acme, restamp);
        assert_eq!(since(database, &ann).marked_by, vec![]);
    });
}

#[test]
fn each_change_of_rules_is_kept_with_its_number() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme");
        let ann = fixture::membership(database, acme.id, "ann");
        let raise = || changed(database, &ann, OrganizationChange::RaiseRules(acme.id), fresh!(RequestId));
        let (first, second) = (raise(), raise());
        let after = |number, limit| {
            let id = acme.id;
            database.read(move |tx| organization::rules_changes(tx, id, number, limit))
        };
        let number = acme.rules_number;
        assert_eq!(after(number, 10), [first, second]);
        assert_eq!(after(number, 1), [first]);
        assert_eq!(after(number + 1, 10), [second]);
        assert_eq!(after(number + 2, 10), []);
    });
}

#[test]
fn the_migration_finds_what_those_who_settle_or_wait_follow_from() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme");
        let [ann, bob] = ["ann", "bob"].map(|name| fixture::membership(database, acme.id, name));
        let event = changed(database, &ann, unmapped(&ann, Some(NOW)), fresh!(RequestId));
        let raised = changed(database, &bob, OrganizationChange::RaiseRules(acme.id), fresh!(RequestId));
        let fill = CAUSES.find("UPDATE memberships").unwrap();
        let before = format!(
            "ALTER TABLE organizations ADD COLUMN rules_event TEXT; \
             UPDATE organizations SET rules_event = '{raised}'; DELETE FROM rules_changes; \
             UPDATE memberships SET unmapped_event = NULL; \
             UPDATE memberships SET rules_number = 0 WHERE id = '{}'; {}",
            bob.id,
            &CAUSES[fill..]
        );
        database.note(move |tx| tx.batch(&before)).unwrap();
        let (organization, id) = (acme.id, ann.id);
        assert_eq!(database.read(move |tx| membership::unmapped_event(tx, organization, id)), Some(event));
        let number = acme.rules_number;
        let changes = database.read(move |tx| organization::rules_changes(tx, organization, number, 10));
        assert_eq!(changes, [raised]);
        assert_eq!(since(database, &bob), Since { number: None, marked_by: vec![raised] });
    });
}
