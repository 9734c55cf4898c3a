//! What an end that comes later follows from: kept with who is left without a mapping.

use portcullis_domain::Timestamp;
use portcullis_domain::access::Access;
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::change::{Change, MembershipChange, Restamp};
use portcullis_domain::id::{EventId, RequestId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::plan::Plan;
use portcullis_store::{apply, audit, membership};

use crate::database::{Database, NOW, Seeded, on_each};
use crate::fixture::{self, fresh, later};

const CAUSES: &str = include_str!("../../migrations/0019_causes.sql");

/// Carries a change of that membership out because of that request; its event.
fn changed(database: &Database, of: &Membership, change: impl Into<Change>, request: RequestId) -> EventId {
    let (organization, id, change) = (of.organization, of.id, change.into());
    database
        .note(move |tx| {
            let event = EventDraft::new(Action::MemberAccessChanged, Target::new("membership", id));
            let cause = Cause { kind: CauseKind::Scim, request: Some(request), ..Cause::system() };
            let plan = Plan::because(organization, cause).then(event, change.clone());
            Ok(apply(tx, &plan, NOW, &mut Seeded::next())?.events[0])
        })
        .unwrap()
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
            database
                .note(move |tx| {
                    let plan = Plan::because(acme, Cause::system()).restamp(restamp);
                    apply(tx, &plan, NOW, &mut Seeded::next()).map(|_| ())
                })
                .unwrap();
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
fn the_migration_finds_what_those_who_settle_follow_from() {
    on_each(|database| {
        let acme = fixture::organization(database, "acme").id;
        let ann = fixture::membership(database, acme, "ann");
        let event = changed(database, &ann, unmapped(&ann, Some(NOW)), fresh!(RequestId));
        let fill = &CAUSES[CAUSES.find("UPDATE memberships").unwrap()..];
        let again = format!("UPDATE memberships SET unmapped_event = NULL; {fill}");
        database.note(move |tx| tx.batch(&again)).unwrap();
        let id = ann.id;
        assert_eq!(database.read(move |tx| membership::unmapped_event(tx, acme, id)), Some(event));
    });
}
