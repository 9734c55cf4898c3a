//! Who leaves while somebody acts, for them or by them; and two who leave at once.

use portcullis_domain::Refusal;
use portcullis_domain::agent::{AgentState, OwnerLossRule};
use portcullis_domain::id::{MembershipId, OrganizationId, RequestId};
use portcullis_domain::role::Rank;
use portcullis_service::caller::Caller;
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::membership::Suspension;
use portcullis_service::proof::{AsOf, Proof, Who};
use portcullis_service::provisioning;
use portcullis_service::session::{self, Opening, SignOut};
use portcullis_service::{Limits, Moment, ServiceError, agent, directory, membership};
use portcullis_store::Tx;
use portcullis_testkit::{Bench, Persona};

use super::gate::{
    agent_of, caller, cause, leave, make_agent, meet, meet_as, must_not_run_for_a_leaver, new_agent, place,
    proof, said, speaker, stored,
};

#[test]
fn what_a_caller_does_is_refused_if_they_left_before_it_was_kept_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let proof = proof(&bench, &boss);
    let (by, owner) = (caller(&proof), ada.membership);
    let met = meet_as(
        &bench,
        (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            agent::create(tx, moment, &by, organization, &new_agent(owner, None), cause())
        }),
        (None, leave(&boss)),
    );
    met.second.unwrap();
    assert!(met.passed, "who leaves waits for nobody who has not asked for the last time");
    assert!(matches!(met.first, Err(ServiceError::Unauthenticated)), "{:?}", met.first.err());
}

#[test]
fn what_a_caller_does_while_they_leave_waits_and_is_refused_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let bob = bench.member(organization, "bob@acme.test", "admin");
    let cleo = bench.member(organization, "cleo@acme.test", "member");
    for (who, owner) in [(&ada, ada.membership), (&bob, cleo.membership)] {
        let proof = proof(&bench, who);
        let by = caller(&proof);
        let met = meet_as(
            &bench,
            (None, leave(who)),
            (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
                agent::create(tx, moment, &by, organization, &new_agent(owner, None), cause())
            }),
        );
        met.first.unwrap();
        assert!(met.second.is_err(), "an agent was made by somebody who had left");
        assert!(!met.passed);
    }
}

#[test]
fn a_token_that_ends_meanwhile_carries_no_write_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let proof = proof(&bench, &boss);
    let by = caller(&proof);
    let Caller::Member(member) = &by else { panic!("no member") };
    let (token, id, owner) = (member.token, boss.membership, ada.membership);
    let met = meet_as(
        &bench,
        (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let wish = NewKey { name: "laptop".into(), environment: None, expires_at: None };
            member_key::issue(tx, moment, &by, (organization, owner), &wish, cause()).map(|_| ())
        }),
        (None, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            member_key::revoke(tx, moment, &Caller::Root, (organization, id), token, cause())
        }),
    );
    met.second.unwrap();
    assert_eq!(met.passed, met.first.is_err(), "it is kept before the token ends, or not at all");
}

#[test]
fn who_ends_their_own_key_while_somebody_else_leaves_is_answered_as_if_nobody_did_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let bob = bench.member(organization, "bob@acme.test", "member");
    let proof = proof(&bench, &ada);
    let by = caller(&proof);
    let Caller::Member(member) = &by else { panic!("no member") };
    let (token, id) = (member.token, ada.membership);
    let met = meet_as(
        &bench,
        (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            member_key::revoke(tx, moment, &by, (organization, id), token, cause())
        }),
        (None, leave(&bob)),
    );
    met.second.unwrap();
    assert!(met.passed, "they have nothing to do with each other");
    met.first.unwrap();
    let ended = bench.write(move |tx, _| Ok(portcullis_store::token::find(tx, organization, token)?));
    assert!(ended.is_some_and(|token| token.ended_at.is_some()));
}

#[test]
fn what_a_directory_says_by_a_token_that_ends_meanwhile_is_not_kept_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let (organization, id) = place(&bench);
    let (token, proof) = bench.write(move |tx, moment| {
        let wish = (id, None);
        let issued = directory::issue_token(tx, moment, &Caller::Root, organization, wish, cause())?;
        let as_of = AsOf::read(tx, moment.now)?;
        let presented = issued.secret.expose().to_owned().into();
        Ok((issued.token.id, Proof { presented, who: Who::Directory(id, Rank::ROOT), as_of }))
    });
    let met = meet_as(
        &bench,
        (None, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let named = (id, token);
            directory::revoke_token(tx, moment, &Caller::Root, organization, named, cause())
        }),
        (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, (organization, id));
            provisioning::create_user(tx, moment, speaker, &said("ada")).map(|_| ())
        }),
    );
    met.first.unwrap();
    assert!(!met.passed, "the call waits for the end of its token");
    assert!(matches!(met.second, Err(ServiceError::Unauthenticated)), "{:?}", met.second);
}

#[test]
fn an_agent_is_not_handed_to_an_heir_who_leaves_beside_its_owner_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    for round in ["a", "b"] {
        let ada = bench.member(organization, &format!("ada-{round}@acme.test"), "member");
        let bob = bench.member(organization, &format!("bob-{round}@acme.test"), "member");
        let id = make_agent(&bench, &ada, Some(bob.membership));
        let (first, second) = if round == "a" { (&ada, &bob) } else { (&bob, &ada) };
        let met = meet(&bench, leave(first), leave(second));
        met.first.unwrap();
        met.second.unwrap();
        assert!(!met.passed, "who inherits is held");
        must_not_run_for_a_leaver(&bench, organization, id);
    }
}

#[test]
fn who_leaves_beside_another_change_of_an_agent_is_neither_its_heir_nor_remembered_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let bob = bench.member(organization, "bob@acme.test", "member");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let (by, owner) = (caller(&proof(&bench, &boss)), ada.membership);
    let inherited = make_agent(&bench, &ada, Some(bob.membership));
    let kept = bench.write(move |tx, moment| {
        let wish = agent::NewAgent { on_owner_loss: OwnerLossRule::Keep, ..new_agent(owner, None) };
        Ok(agent::create(tx, moment, &by, organization, &wish, cause())?.id)
    });
    for (id, leaver) in [(inherited, &bob), (kept, &boss)] {
        let met = meet(&bench, leave(leaver), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let patch = agent::AgentPatch { name: Some("robot".into()), ..agent::AgentPatch::default() };
            agent::update(tx, moment, &Caller::Root, (organization, id), &patch, cause())
        });
        met.first.unwrap();
        assert_eq!(met.second.unwrap().name, "robot");
        let agent = agent_of(&bench, organization, id);
        assert_eq!((agent.heir, agent.rule_chosen_by), (None, None), "{}", agent.name);
    }
}

#[test]
fn an_agent_that_is_kept_does_not_go_to_a_chooser_who_leaves_beside_its_owner_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let (by, owner) = (caller(&proof(&bench, &boss)), ada.membership);
    let id = bench.write(move |tx, moment| {
        let wish = agent::NewAgent { on_owner_loss: OwnerLossRule::Keep, ..new_agent(owner, None) };
        Ok(agent::create(tx, moment, &by, organization, &wish, cause())?.id)
    });
    let met = meet(&bench, leave(&boss), leave(&ada));
    met.first.unwrap();
    met.second.unwrap();
    must_not_run_for_a_leaver(&bench, organization, id);
}

#[test]
fn an_agent_that_is_made_while_its_owner_leaves_does_not_run_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let owner = ada.membership;
    let met = meet(
        &bench,
        move |tx, moment| {
            Ok(agent::create(tx, moment, &Caller::Root, organization, &new_agent(owner, None), cause())?.id)
        },
        leave(&ada),
    );
    met.second.unwrap();
    must_not_run_for_a_leaver(&bench, organization, met.first.unwrap());
}

#[test]
fn an_agent_that_is_given_to_somebody_who_leaves_does_not_run_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    for round in ["a", "b"] {
        let bob = bench.member(organization, &format!("bob-{round}@acme.test"), "member");
        let id = make_agent(&bench, &ada, None);
        let to = bob.membership;
        let give = move |tx: &mut Tx<'_>, moment: &mut Moment| {
            agent::assign(tx, moment, &Caller::Root, (organization, id), to, cause()).map(|_| ())
        };
        if round == "a" {
            let met = meet(&bench, give, leave(&bob));
            met.first.unwrap();
            met.second.unwrap();
        } else {
            let met = meet(&bench, leave(&bob), give);
            met.first.unwrap();
            assert!(met.second.is_err(), "it was given to somebody who had left");
        }
        must_not_run_for_a_leaver(&bench, organization, id);
    }
}

#[test]
fn an_agent_that_goes_on_while_its_owner_leaves_is_stopped_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let id = make_agent(&bench, &ada, None);
    let order = move |wish| {
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            agent::order(tx, moment, &Caller::Root, (organization, id), wish, cause()).map(|_| ())
        }
    };
    bench.write(order(portcullis_domain::agent::AgentOrder::Pause));
    let met = meet(&bench, leave(&ada), order(portcullis_domain::agent::AgentOrder::Resume));
    met.first.unwrap();
    assert!(met.second.is_err(), "it goes on for somebody who had left");
    must_not_run_for_a_leaver(&bench, organization, id);
}

fn add_to(
    organization: OrganizationId,
    of: &Persona,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<MembershipId, ServiceError> + Send + 'static + use<> {
    let user = of.user;
    move |tx, moment| Ok(membership::add(tx, moment, organization, user, cause())?.id)
}

fn has_ended(bench: &Bench, of: &Persona) -> bool {
    let user = of.user;
    bench.write(move |tx, _| {
        let authenticators = portcullis_store::user::authenticators_of(tx, user)?;
        let ended = portcullis_store::user::find(tx, user)?.unwrap().ended_at.is_some();
        assert_eq!(ended, authenticators.is_empty(), "what one proves oneself with goes with the user");
        Ok(ended)
    })
}

#[test]
fn of_two_owners_who_leave_at_once_one_keeps_the_bare_ownership_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let acme = bench.organization("acme");
    let owners = ["ada@acme.test", "bob@acme.test"].map(|email| bench.member(acme, email, "owner"));
    let met = meet(&bench, leave(&owners[0]), leave(&owners[1]));
    met.first.unwrap();
    met.second.unwrap();
    let is_bare = |owner: &&Persona| stored(&bench, acme, owner.membership).bare_owner_at.is_some();
    assert_eq!(owners.iter().filter(is_bare).count(), 1, "each took the other one for the owner that stays");
}

#[test]
fn of_two_owners_whom_administrators_suspend_at_once_one_acts_on_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let acme = bench.organization("acme");
    let owners = ["ada@acme.test", "bob@acme.test"].map(|email| bench.member(acme, email, "owner"));
    let suspend = |of: &Persona| {
        let member = (of.organization, of.membership);
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            membership::set_suspension(tx, moment, &Caller::Root, member, Suspension::Suspend, cause())
                .map(|_| ())
        }
    };
    let met = meet(&bench, suspend(&owners[0]), suspend(&owners[1]));
    met.first.unwrap();
    assert!(matches!(met.second, Err(ServiceError::Refused(Refusal::LastOwner))), "{:?}", met.second);
}

#[test]
fn a_user_whom_two_organizations_off_board_at_once_ends_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let (acme, other) = (bench.organization("acme"), bench.organization("other"));
    let ada = bench.member(acme, "ada@acme.test", "member");
    let there = Persona { organization: other, membership: bench.write(add_to(other, &ada)), ..ada.clone() };
    let met = meet(&bench, leave(&ada), leave(&there));
    met.first.unwrap();
    met.second.unwrap();
    assert!(has_ended(&bench, &ada), "no membership is left, and the user stays");
}

#[test]
fn a_user_who_comes_to_another_organization_while_they_leave_the_last_one_is_whole_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let acme = bench.organization("acme");
    for round in ["a", "b"] {
        let other = bench.organization(&format!("other-{round}"));
        let ada = bench.member(acme, &format!("ada-{round}@acme.test"), "member");
        let came = if round == "a" {
            let met = meet(&bench, add_to(other, &ada), leave(&ada));
            met.second.unwrap();
            met.first.is_ok()
        } else {
            let met = meet(&bench, leave(&ada), add_to(other, &ada));
            met.first.unwrap();
            met.second.is_ok()
        };
        assert_eq!(has_ended(&bench, &ada), !came, "a member has a user, and nobody else has one");
    }
}

#[test]
fn whoever_leaves_while_an_agent_of_theirs_is_ended_leaves_whole_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let bob = bench.member(organization, "bob@acme.test", "member");
    let id = make_agent(&bench, &ada, Some(bob.membership));
    let disable = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        agent::disable(tx, moment, &Caller::Root, (organization, id), cause())
    };
    let met = meet(&bench, disable, leave(&ada));
    met.first.unwrap();
    met.second.unwrap();
    assert!(!met.passed, "whose agent it is stands still until it has ended");
    assert!(stored(&bench, organization, ada.membership).ended.is_some());
    let agent = agent_of(&bench, organization, id);
    assert_eq!((agent.state, agent.owner), (AgentState::Disabled, ada.membership), "it went to nobody");
}

#[test]
fn what_a_session_does_while_it_is_signed_out_is_kept_before_that_or_not_at_all_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let opened = bench.write(move |tx, moment| {
        let member = portcullis_store::membership::find(tx, organization, boss.membership)?.unwrap();
        let opening = Opening {
            membership: &member,
            environment: "production".parse()?,
            link: None,
            not_after: None,
            presented: &[],
            limits: Limits::default(),
            request: RequestId::fresh(moment.now, &mut moment.random),
        };
        session::open(tx, moment, &opening)
    });
    let secret = opened.secret.expose().to_owned();
    let proof = proof(&bench, &Persona { key: secret.clone(), ..boss });
    let (by, owner) = (caller(&proof), ada.membership);
    let met = meet_as(
        &bench,
        (None, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let request = RequestId::fresh(moment.now, &mut moment.random);
            session::sign_out(tx, moment, std::slice::from_ref(&secret), SignOut::All, request)
        }),
        (Some(proof), move |tx: &mut Tx<'_>, moment: &mut Moment| {
            agent::create(tx, moment, &by, organization, &new_agent(owner, None), cause()).map(|_| ())
        }),
    );
    met.first.unwrap();
    assert!(!met.passed, "it waits for the end of the session that it goes by");
    assert!(matches!(met.second, Err(ServiceError::Unauthenticated)), "{:?}", met.second);
}
