//! What the root token makes while the organization is deleted, whose body comes late: nothing.

use std::collections::BTreeSet;

use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::connection::ClaimRules;
use portcullis_domain::text::Slug;
use portcullis_domain::token::Scope;
use portcullis_service::caller::Caller;
use portcullis_service::connection::{self, Newcomers, Protocol, Wanted};
use portcullis_service::directory::{self, Nesting, NewDirectory};
use portcullis_service::domain::{self, Vouched};
use portcullis_service::noun::Noun;
use portcullis_service::organization::{self, People};
use portcullis_service::service_key::{self, NewServiceKey};
use portcullis_service::{Moment, ServiceError, environment, invitation, membership, owner_link, team};
use portcullis_store::{Priority, Tx};
use portcullis_testkit::Bench;

fn cause() -> Cause {
    Cause { kind: CauseKind::Api, ..Cause::system() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn must_not_be_made(
    bench: &Bench,
    make: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static,
) {
    let made = run(bench.portcullis().write(Priority::Ordinary, make));
    assert_eq!(made, Err(ServiceError::NotFound(Noun::Organization)));
}

#[test]
fn nothing_is_made_in_an_organization_that_was_deleted_meanwhile() {
    for bench in [Some(Bench::sqlite()), Bench::postgres()].into_iter().flatten() {
        let (acme, other) = (bench.organization("acme"), bench.organization("other"));
        let user = bench.member(other, "ada@other.test", "member").user;
        let found = bench.write(move |tx, _| organization::named(tx, "acme"));
        run(organization::delete(bench.portcullis(), acme, People::Unsaid, cause())).unwrap();

        must_not_be_made(&bench, move |tx, moment| {
            membership::add(tx, moment, acme, user, cause()).map(|_| ())
        });
        for vouched in [Vouched::No, Vouched::ByRoot] {
            must_not_be_made(&bench, move |tx, moment| {
                domain::add(tx, moment, &Caller::Root, acme, ("acme.test", vouched), cause()).map(|_| ())
            });
        }
        must_not_be_made(&bench, move |tx, moment| {
            let wish = NewDirectory {
                brake: None,
                name: "Okta".into(),
                default_role: None,
                settle_s: None,
                nesting: Nesting::Off,
            };
            directory::create(tx, moment, &Caller::Root, acme, &wish, cause()).map(|_| ())
        });
        let around = bench.portcullis().around().clone();
        must_not_be_made(&bench, move |tx, moment| {
            let wanted = Wanted {
                name: "Login".into(),
                protocol: Protocol::Oidc {
                    issuer: "https://idp.example".into(),
                    client_id: "client".into(),
                    client_secret: Some("a secret".to_owned().into()),
                    wish: Box::default(),
                },
                directory: None,
                newcomers: Newcomers::Admitted,
                default_role: None,
                groups_claim: None,
                claim_rules: ClaimRules::default(),
                environment: Slug::production(),
                domains: vec![],
            };
            let wish = (&around, &wanted, None);
            connection::create(tx, moment, acme, &Caller::Root, wish, cause()).map(|_| ())
        });
        must_not_be_made(&bench, move |tx, moment| {
            let wish = ("bob@acme.test", &"member".parse()?);
            invitation::create(tx, moment, acme, &Caller::Root, wish, cause()).map(|_| ())
        });
        must_not_be_made(&bench, move |tx, moment| {
            owner_link::create(tx, moment, &found, "bob@acme.test", cause()).map(|_| ())
        });
        must_not_be_made(&bench, move |tx, moment| {
            let wish = NewServiceKey { name: "gate".into(), scopes: BTreeSet::from([Scope::Evaluate]) };
            service_key::issue(tx, moment, &Caller::Root, acme, &wish, cause()).map(|_| ())
        });
        must_not_be_made(&bench, move |tx, moment| {
            team::create(tx, moment, acme, ("core", "Core"), cause()).map(|_| ())
        });
        must_not_be_made(&bench, move |tx, moment| {
            environment::create(tx, moment, acme, ("staging", "Staging"), cause()).map(|_| ())
        });
        bench.write(move |tx, moment| {
            domain::add(tx, moment, &Caller::Root, other, ("acme.test", Vouched::ByRoot), cause()).map(|_| ())
        });
    }
}
