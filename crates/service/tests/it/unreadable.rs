//! What cannot be read is a fault of ours, and told as one: nobody hears that they may not, or are not known.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::cause::Cause;
use portcullis_domain::id::RequestId;
use portcullis_domain::permission::Permission;
use portcullis_domain::token::{Holder, ShownTo, TokenKind};
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::google::consent;
use portcullis_service::noun::Noun;
use portcullis_service::sign_in::Visitor;
use portcullis_service::sign_in::binding::Bound;
use portcullis_service::{Moment, ServiceError, token};
use portcullis_store::{Priority, StoreError, Tx, token as stored};
use portcullis_testkit::Bench;

use crate::machine::raw::Raw;
use crate::thread::{agent, key, place};

/// A directory that there is not.
const NOWHERE: &str = "dir_00000000000000000000000000000000";

/// Every role reads as nothing from now on.
fn spoil_roles(bench: &Bench) {
    assert!(Raw::of(bench).change("UPDATE roles SET permissions = 'none'") > 0);
}

fn is_a_fault<T>(answer: Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Store(StoreError::Inconsistent(_))))
}

#[tokio::test]
async fn whoever_may_steer_agents_is_not_told_that_they_may_not_when_the_rank_of_the_owner_cannot_be_read() {
    let bench = Bench::of_the_run();
    let place = place(&bench, "acme", 0);
    let acme = place.organization;
    let owner = bench.member(acme, "ada@acme.test", "member").membership;
    let agent = agent(&bench, &place, owner, OwnerLossRule::Pause);
    key(&bench, &place, TokenKind::AgentKey, Holder::Agent(agent), ShownTo::Membership(owner));
    let secret = bench.member(acme, "bob@acme.test", "admin").key;
    let portcullis = bench.portcullis().clone();
    let steward = bench.write(move |tx, moment| {
        let caller = authenticate(tx, portcullis.uses(), &secret, moment.now)?;
        let Caller::Member(mut member) = caller else { panic!("{caller:?}") };
        // As a role of their own would have it: all agents, and nobody's tokens.
        member.permissions = BTreeSet::from([Permission::AgentsWrite]);
        Ok(Caller::Member(member))
    });
    let id = bench.write(move |tx, _| {
        let known = stored::list_page(tx, acme, Some(Holder::Agent(agent)), "", 10)?;
        let [only] = known.as_slice() else { panic!("{known:?}") };
        Ok(only.id)
    });
    let find = {
        let steward = steward.clone();
        move |tx: &mut Tx<'_>, now| token::find(tx, &steward, acme, id, now)
    };
    assert!(bench.portcullis().read(find.clone()).await.is_ok());

    spoil_roles(&bench);
    assert!(is_a_fault(bench.portcullis().read(find).await));
    let end = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let cause = Cause::system();
        token::revoke(tx, moment, &steward, (acme, id), cause)
    };
    assert!(is_a_fault(bench.portcullis().write(Priority::Ordinary, end).await));
}

#[tokio::test]
async fn whoever_is_to_consent_for_a_directory_is_not_sent_to_sign_in_when_their_session_cannot_be_read() {
    let bench = Bench::of_the_run();
    let acme = bench.organization("acme");
    let secret = bench.member(acme, "ada@acme.test", "admin").key;
    let mut moment = bench.portcullis().moment();
    let visitor = Visitor {
        browser: None,
        bound: Bound::default(),
        presented: vec![secret],
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request: RequestId::fresh(moment.now, &mut moment.random),
    };
    let look = || consent::look(bench.portcullis(), NOWHERE.parse().expect("an id"), &visitor);
    assert_eq!(look().await, Err(ServiceError::NotFound(Noun::Directory)));
    spoil_roles(&bench);
    assert!(is_a_fault(look().await));
}
