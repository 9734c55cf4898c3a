//! What is changed on PostgreSQL while it is deleted is not there, and no fault of the database.

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::change::{Change, OrganizationChange};
use portcullis_domain::plan::Plan;
use portcullis_service::caller::Caller;
use portcullis_service::domain::{self, Vouched};
use portcullis_service::grant;
use portcullis_service::noun::Noun;
use portcullis_service::{Moment, ServiceError, environment, organization, team};
use portcullis_store::Tx;
use portcullis_store::db::Lock;
use portcullis_testkit::Bench;

use super::races::{cause, meet};

#[test]
fn what_is_renamed_while_it_is_deleted_is_not_found_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = bench.organization("acme");
    let team =
        bench.write(move |tx, moment| Ok(team::create(tx, moment, here, ("core", "Core"), cause())?.id));
    let met = meet(
        &bench,
        move |tx, moment| team::delete(tx, moment, here, &team.to_string(), cause()),
        move |tx, moment| team::rename(tx, moment, here, (&team.to_string(), "Kern"), cause()).map(|_| ()),
    );
    met.first.unwrap();
    assert_eq!(met.second, Err(ServiceError::NotFound(Noun::Team)));

    let place = bench.write(move |tx, moment| {
        Ok(environment::create(tx, moment, here, ("staging", "Staging"), cause())?.id)
    });
    let met = meet(
        &bench,
        move |tx, moment| environment::delete(tx, moment, here, &place.to_string(), cause()),
        move |tx, moment| {
            environment::rename(tx, moment, here, (&place.to_string(), "Probe"), cause()).map(|_| ())
        },
    );
    met.first.unwrap();
    assert_eq!(met.second, Err(ServiceError::NotFound(Noun::Environment)));
}

#[test]
fn an_organization_that_is_renamed_while_it_is_deleted_is_not_found_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = bench.organization("acme");
    let found = bench.write(move |tx, _| organization::named(tx, "acme"));
    let met = meet(
        &bench,
        move |tx, moment| {
            tx.lock(Lock::Organization(here))?;
            let change: Change = OrganizationChange::Delete(here, moment.now).into();
            let event = EventDraft::new(Action::OrganizationDeleted, here);
            moment.apply(tx, &Plan::because(here, cause()).then_all(event, vec![change]))?;
            Ok(())
        },
        move |tx, moment| organization::rename(tx, moment, &found, "Acme Ltd", cause()).map(|_| ()),
    );
    met.first.unwrap();
    assert_eq!(met.second, Err(ServiceError::NotFound(Noun::Organization)));
}

#[test]
fn a_domain_that_is_vouched_for_while_it_is_removed_is_not_found_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = bench.organization("acme");
    let added = bench.write(move |tx, moment| {
        domain::add(tx, moment, &Caller::Root, here, ("acme.test", Vouched::No), cause())
    });
    let found = added.clone();
    let met = meet(
        &bench,
        move |tx, moment| {
            domain::remove(tx, moment, &Caller::Root, (here, &added.id.to_string()), cause()).map(|_| ())
        },
        move |tx, moment| domain::vouch(tx, moment, &Caller::Root, found.clone(), cause()).map(|_| ()),
    );
    met.first.unwrap();
    assert_eq!(met.second, Err(ServiceError::NotFound(Noun::Domain)));
}

#[test]
fn a_grant_that_gets_another_reason_while_it_ends_is_not_found_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = bench.organization("acme");
    let ada = bench.member(here, "ada@acme.test", "member");
    let id = bench.write(move |tx, _| Ok(portcullis_store::grant::live_of(tx, here, ada.membership)?[0].id));
    let met = meet(
        &bench,
        move |tx: &mut Tx<'_>, moment: &mut Moment| grant::end(tx, moment, &Caller::Root, here, id, cause()),
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            grant::update(tx, moment, &Caller::Root, here, (id, Some("new")), cause()).map(|_| ())
        },
    );
    met.first.unwrap();
    assert_eq!(met.second, Err(ServiceError::NotFound(Noun::Grant)));
}
