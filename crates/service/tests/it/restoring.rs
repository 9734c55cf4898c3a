//! A restore revives nobody: no token of the backup is good, and whom a directory governs waits for it.

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::audit::Action;
use portcullis_domain::cause::Cause;
use portcullis_domain::evaluation::Decision;
use portcullis_domain::id::{DirectoryId, OrganizationId, RequestId};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::token::{Holder, ShownTo, TokenKind};
use portcullis_service::access::off_board_member;
use portcullis_service::organization::named;
use portcullis_service::provisioning::{self, Speaker};
use portcullis_service::restoring::{Since, Taken, Waits};
use portcullis_service::{restoring, scim};
use portcullis_store::audit::AuditFilter;
use portcullis_store::{checkup, directory_user, instance};
use portcullis_testkit::Bench;

use crate::deleting::{Source, a_connection, a_directory, said};
use crate::thread::{Place, agent, decision, key, leave_group, place, provision, say_active, state};

/// How many tokens that ended.
fn restore(bench: &Bench) -> u64 {
    bench.write(|tx, moment| {
        let organization = named(tx, "acme")?;
        let ended = restoring::revive_nobody(tx, moment, &organization, None)?;
        restoring::begin_timeline(tx, "another", 41)?;
        Ok(ended)
    })
}

fn store_it(bench: &Bench) -> usize {
    bench.write(|tx, moment| {
        let organization = named(tx, "acme")?;
        restoring::bring_in_step(tx, moment, &organization)
    })
}

fn is_allowed(bench: &Bench, place: &Place, secret: &str) -> bool {
    decision(bench, place, secret) == Decision::Allowed
}

#[test]
fn every_token_of_the_backup_is_refused_and_whom_a_directory_governs_is_suspended_until_it_speaks_of_them() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (ada, ada_member) = provision(&bench, &place, "ada");
    let (_, bob_member) = provision(&bench, &place, "bob");
    let own = key(
        &bench,
        &place,
        TokenKind::MemberKey,
        Holder::Membership(ada_member),
        ShownTo::Membership(ada_member),
    );
    let builder = agent(&bench, &place, bob_member, OwnerLossRule::Pause);
    let of_agent = key(&bench, &place, TokenKind::AgentKey, Holder::Agent(builder), ShownTo::Root);
    assert!(is_allowed(&bench, &place, &own) && is_allowed(&bench, &place, &of_agent));

    assert_eq!(restore(&bench), 2);
    assert!(!is_allowed(&bench, &place, &own) && !is_allowed(&bench, &place, &of_agent));
    assert_eq!(store_it(&bench), 2);
    assert_eq!(store_it(&bench), 0);
    assert_eq!(state(&bench, &place, ada_member), MembershipState::Suspended);
    assert_eq!(state(&bench, &place, bob_member), MembershipState::Suspended);

    say_active(&bench, &place, ada, true);
    assert_eq!(state(&bench, &place, ada_member), MembershipState::Active);
    assert_eq!(state(&bench, &place, bob_member), MembershipState::Suspended, "nobody spoke of bob");
    assert!(!is_allowed(&bench, &place, &own), "a token that ended never comes back");

    let (organization, timeline) = (place.organization, "another");
    let (actions, found, revision) = bench.write(move |tx, _| {
        let events = portcullis_store::audit::list_page(tx, organization, &AuditFilter::default(), "", 200)?;
        let actions: Vec<_> = events.iter().map(|event| event.content.to_string()).collect();
        Ok((actions, instance::find(tx, instance::TIMELINE)?, instance::revision(tx)?))
    });
    for action in [Action::BackupRestored, Action::DirectoryUserConfirmed] {
        assert_eq!(
            actions.iter().filter(|a| a.contains(&format!("\"{}\"", action.as_str()))).count(),
            1,
            "{}",
            action.as_str()
        );
    }
    assert_eq!(found.as_deref(), Some(timeline));
    assert!(revision >= 41, "the course of events begins beyond the one before");
}

#[test]
fn nobody_ends_while_they_wait_and_a_directory_that_says_inactive_ends_them() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 0);
    let (ada, ada_member) = provision(&bench, &place, "ada");
    let (bob, bob_member) = provision(&bench, &place, "bob");
    restore(&bench);
    store_it(&bench);
    // Out of the last granting group without any time to settle: the directory has not spoken of her life, so it waits.
    leave_group(&bench, &place, ada);
    assert_eq!(state(&bench, &place, ada_member), MembershipState::Suspended);
    say_active(&bench, &place, bob, false);
    assert_eq!(state(&bench, &place, bob_member), MembershipState::Deprovisioned);
}

#[test]
fn whoever_waits_is_answered_as_inactive_so_that_a_provider_which_compares_says_it_again() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (ada, _) = provision(&bench, &place, "ada");
    let directory = place.directory;
    let answered = move |bench: &Bench| {
        bench.write(move |tx, _| {
            let user = directory_user::find(tx, directory, ada)?.unwrap();
            Ok(scim::answered_user(&user.into())?.active())
        })
    };
    assert_eq!(answered(&bench), Some(true));
    restore(&bench);
    assert_eq!(answered(&bench), Some(false));
    say_active(&bench, &place, ada, true);
    assert_eq!(answered(&bench), Some(true));
}

#[test]
fn whoever_was_suspended_by_order_waits_for_their_directory_as_well() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (_, ada) = provision(&bench, &place, "ada");
    let (bob_said, bob) = provision(&bench, &place, "bob");
    let organization = place.organization;
    bench.write(move |tx, moment| {
        restoring::carry_over(tx, moment, organization, &[(bob, Since::Suspended)]).map(|_| ())
    });
    let waiting = |bench: &Bench| {
        bench.write(move |tx, _| {
            let people = restoring::people(tx, organization, "")?;
            let ids: Vec<_> = people.iter().map(|member| member.id).collect();
            let shown = restoring::waiting(tx, organization, &ids)?;
            let of = |id| people.iter().find(|member| member.id == id).and_then(restoring::waits);
            Ok((of(ada), of(bob), shown.contains(&ada), shown.contains(&bob)))
        })
    };
    assert!(!waiting(&bench).2 && !waiting(&bench).3, "nothing was restored");
    assert_eq!(waiting(&bench).0, None, "she is active");
    let again = bench
        .write(move |tx, moment| restoring::carry_over(tx, moment, organization, &[(bob, Since::Suspended)]));
    assert_eq!(again.suspended, 0, "the order that stands is as high as whoever gave it");
    restore(&bench);
    store_it(&bench);
    assert_eq!(waiting(&bench), (Some(Waits::ForDirectory), Some(Waits::ForBoth), true, true));
    say_active(&bench, &place, bob_said, true);
    assert!(!waiting(&bench).3, "his directory spoke");
    assert_eq!(state(&bench, &place, bob), MembershipState::Suspended, "and the order stands");
}

#[test]
fn nobody_waits_for_whoever_ended_before_the_backup_though_their_directory_goes_on_telling_of_them() {
    let bench = Bench::sqlite();
    let place = place(&bench, "acme", 3600);
    let (_, ada) = provision(&bench, &place, "ada");
    provision(&bench, &place, "bob");
    let organization = place.organization;
    bench.write(move |tx, moment| {
        off_board_member(tx, moment, organization, ada, "left on Friday", Cause::system()).map(drop)
    });
    restore(&bench);
    store_it(&bench);
    let found = bench
        .write(|tx, moment| Ok(checkup::look(tx, moment.now, moment.now, moment.now)?.unconfirmed_people));
    assert_eq!(found, 1, "bob waits, ada ended");
}

#[test]
fn whoever_waits_since_one_restore_is_suspended_by_nobodys_order_at_the_next() {
    type Make = fn(&Bench, OrganizationId) -> Source;
    let makes: [(Make, bool); 2] = [(a_directory, true), (a_connection, false)];
    let benches = || [Some(Bench::sqlite()), Bench::postgres()].into_iter().flatten();
    let each = makes.into_iter().flat_map(|make| benches().map(move |bench| (make, bench)));
    for ((make, tells_of_everybody), bench) in each {
        let organization = bench.organization("acme");
        let of = make(&bench, organization).directory();
        let ada = bench.write(move |tx, moment| {
            let request = RequestId::fresh(moment.now, &mut moment.random);
            let speaker = Speaker::scim(organization, of, request);
            Ok(provisioning::create_user(tx, moment, speaker, &said("ada"))?.membership)
        });
        restore(&bench);
        store_it(&bench);
        let became = bench.write(move |tx, moment| restoring::since(tx, organization, &[ada], moment.now));
        assert_eq!(became, [Since::Waited(of)], "nothing was said of her");
        // The same file once more, in the place of what the first restore made of it.
        let taken = bench
            .write(move |tx, moment| restoring::carry_over(tx, moment, organization, &[(ada, became[0])]));
        assert_eq!(taken, Taken::default());
        // One in whose place that directory is not known: by whomever she was kept out, nobody waits for them.
        let unknown = bench.write(|_, moment| Ok(DirectoryId::fresh(moment.now, &mut moment.random)));
        let taken = bench.write(move |tx, moment| {
            restoring::carry_over(tx, moment, organization, &[(ada, Since::Waited(unknown))])
        });
        assert_eq!(taken.suspended, usize::from(!tells_of_everybody));
    }
}
