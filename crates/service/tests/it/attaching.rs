//! Whoever comes back by a directory is said to be the user of before, unless one of the two is somebody already.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, MembershipChange, UserChange};
use portcullis_domain::id::{MembershipId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::user::AuthenticatorKind;
use portcullis_service::caller::Caller;
use portcullis_service::error::Taken;
use portcullis_service::membership::{add, attach};
use portcullis_service::{ServiceError, organization, provisioning};
use portcullis_store::membership;
use portcullis_testkit::Bench;

use crate::thread::{Place, place, provision, speaker};

/// Somebody of that name who came by the directory, left by it and came back; the membership of before and the new one.
fn returned(bench: &Bench, place: &Place, name: &'static str) -> (MembershipId, MembershipId) {
    let (told, former) = provision(bench, place, name);
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::delete_user(tx, moment, speaker, told)
    });
    (former, provision(bench, place, name).1)
}

/// Puts the user of a membership into another organization as well.
fn put_into(bench: &Bench, organization: OrganizationId, of: MembershipId, home: OrganizationId) {
    bench.write(move |tx, moment| {
        let user = membership::find(tx, home, of)?.unwrap().user;
        add(tx, moment, organization, user, Cause::system()).map(|_| ())
    });
}

fn globex(bench: &Bench) -> OrganizationId {
    bench.write(|tx, moment| {
        organization::create(tx, moment, "globex".parse()?, "Globex", Cause::system()).map(|o| o.id)
    })
}

/// Whether one is said to be the other; false if one of them is somebody already.
fn is_attached(bench: &Bench, place: &Place, id: MembershipId, former: MembershipId) -> bool {
    let organization = place.organization;
    bench.write(move |tx, moment| {
        match attach(tx, moment, &Caller::Root, (organization, id), former, Cause::system()) {
            Ok(_) => Ok(true),
            Err(ServiceError::Taken(Taken::User)) => Ok(false),
            Err(error) => Err(error),
        }
    })
}

/// Writes that about a membership past the use cases.
fn write(bench: &Bench, place: &Place, id: MembershipId, change: impl Into<Change>) {
    let (organization, change) = (place.organization, change.into());
    bench.write(move |tx, moment| {
        let event = EventDraft::new(Action::MemberUpdated, id);
        let plan = Plan::because(organization, Cause::system()).then_all(event, vec![change.clone()]);
        moment.apply(tx, &plan)?;
        Ok(())
    });
}

#[tokio::test]
async fn whoever_joined_or_has_a_password_or_is_elsewhere_too_is_somebody_already() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let globex = globex(&bench);
    let now = bench.portcullis().now();

    let (former, joined) = returned(&bench, &place, "ann");
    write(&bench, &place, joined, MembershipChange::Join(joined, now));
    assert!(!is_attached(&bench, &place, joined, former), "joined");

    let (former, proven) = returned(&bench, &place, "bob");
    let organization = place.organization;
    let user = bench.write(move |tx, _| Ok(membership::find(tx, organization, proven)?.unwrap().user));
    let password = UserChange::SetAuthenticator {
        user,
        kind: AuthenticatorKind::Password,
        secret: "no password has this hash".to_owned(),
        email_key: "bob@acme.test".to_owned(),
        at: now,
    };
    write(&bench, &place, proven, password);
    assert!(!is_attached(&bench, &place, proven, former), "has a password");

    let (former, elsewhere) = returned(&bench, &place, "cid");
    put_into(&bench, globex, elsewhere, place.organization);
    assert!(!is_attached(&bench, &place, elsewhere, former), "is in another organization too");

    let (former, nobody) = returned(&bench, &place, "dan");
    assert!(is_attached(&bench, &place, nobody, former));
}

#[tokio::test]
async fn a_former_user_who_lives_on_elsewhere_can_be_somebody_here_again_and_only_once() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let globex = globex(&bench);
    let (told, former) = provision(&bench, &place, "ann");
    put_into(&bench, globex, former, place.organization);
    let (organization, directory) = (place.organization, place.directory);
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, organization, directory);
        provisioning::delete_user(tx, moment, speaker, told)
    });
    let (_, again) = provision(&bench, &place, "ann");
    assert!(is_attached(&bench, &place, again, former));
    let (_, bob) = provision(&bench, &place, "bob");
    assert!(!is_attached(&bench, &place, bob, former), "the user lives here already");
}

#[test]
fn nobody_is_put_into_an_organization_twice_however_many_they_are_in() {
    let bench = Bench::of_the_run();
    let first = bench.organization("first");
    let user = bench.member(first, "ada@first.test", "member").user;
    let put = |organization| {
        bench.write(move |tx, moment| match add(tx, moment, organization, user, Cause::system()) {
            Ok(_) => Ok(true),
            Err(ServiceError::Taken(Taken::MemberUser)) => Ok(false),
            Err(error) => Err(error),
        })
    };
    let others: Vec<_> = (1..200).map(|number| bench.organization(&format!("other-{number}"))).collect();
    assert!(others.into_iter().all(put));
    // The newest of them, of 201.
    bench.clock.pass_s(1);
    let newest = bench.organization("newest");
    assert!(put(newest));
    assert!(!put(newest), "twice");
}
