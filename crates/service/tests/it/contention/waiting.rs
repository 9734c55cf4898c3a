//! Who waits for one organization on PostgreSQL holds up no other.

use portcullis_service::local::{self, SignedIn};
use portcullis_service::membership;
use portcullis_service::sign_in::Visitor;
use portcullis_service::sign_in::binding::Bound;
use portcullis_testkit::{Bench, Persona};

use super::races::{LOOK_EVERY_MS, MAX_WAIT_MS, cause, client, leave, somebody_waits};
use crate::accepting::{accept, invited};

const ADA: &str = "ada@acme.test";
/// What the end of one member may take, in milliseconds: it waits for nobody.
const MAX_END_MS: u64 = 2_000;

#[test]
fn whoever_signs_in_to_two_organizations_leaves_one_while_the_rules_of_the_other_change_on_postgresql() {
    let Some(bench) = Bench::postgres_with(4) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let acme = bench.organization("acme");
    let secret = runtime.block_on(invited(&bench, ADA));
    runtime.block_on(accept(bench.portcullis(), &secret)).unwrap();
    let other = bench.organization("other");
    // Memberships are gone through in order of id: that of the other one comes later.
    bench.clock.pass_s(1);
    let here = bench.write(move |tx, moment| {
        let here = portcullis_store::membership::living_by_email(tx, acme, ADA)?.remove(0);
        membership::add(tx, moment, other, here.user, cause())?;
        Ok(here)
    });
    let ada = Persona { organization: acme, membership: here.id, user: here.user, key: String::new() };
    let (mut changing, mut looking) = (client(&bench), client(&bench));
    let mut rules = changing.transaction().unwrap();
    let alone = "SELECT pg_advisory_xact_lock(hashtextextended(CAST($1 AS TEXT), 0))";
    rules.execute(alone, &[&other.to_string()]).unwrap();
    std::thread::scope(|scope| {
        let signing_in = scope.spawn(|| {
            let visitor = Visitor {
                browser: None,
                bound: Bound::default(),
                presented: Vec::new(),
                source: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                request: "req_00000000000000000000000000000001".parse().unwrap(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(local::sign_in(
                bench.portcullis(),
                ADA,
                "a long sentence is fine".to_owned().into(),
                visitor,
            ))
        });
        let mut waited = 0;
        while !somebody_waits(&mut looking) {
            assert!(waited < MAX_WAIT_MS && !signing_in.is_finished(), "the sign-in did not wait");
            std::thread::sleep(std::time::Duration::from_millis(LOOK_EVERY_MS));
            waited += LOOK_EVERY_MS;
        }
        let leaving = scope.spawn(|| bench.write(leave(&ada)));
        let mut waited = 0;
        while !leaving.is_finished() && waited < MAX_END_MS {
            std::thread::sleep(std::time::Duration::from_millis(LOOK_EVERY_MS));
            waited += LOOK_EVERY_MS;
        }
        let passed = leaving.is_finished();
        rules.commit().unwrap();
        leaving.join().unwrap();
        assert!(passed, "what another organization does held up an end");
        let signed_in = signing_in.join().unwrap().unwrap();
        assert!(matches!(signed_in, SignedIn::Here(_)), "the one organization that is left");
    });
}
