//! Two transactions that meet at a known place on PostgreSQL: whichever commits last, nothing of a leaver is left and
//! what is stored follows from the facts and the rules.
//!
//! The first one stops right before its commit. The second begins then, and runs until it is done or waits for the
//! first one; only then the first goes on. So each test is the one interleaving that it tells of, every time.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use portcullis_domain::Refusal;
use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::id::{AgentId, DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId};
use portcullis_domain::mapping::MappingSource;
use portcullis_domain::membership::Membership;
use portcullis_domain::role::{Giving, Rank};
use portcullis_domain::text::Slug;
use portcullis_service::access::{Settled, off_board_member, settle};
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::member_key::{self, NewKey};
use portcullis_service::membership::Suspension;
use portcullis_service::proof::{AsOf, Proof, Who, beside, hold};
use portcullis_service::provisioning::{self, GroupSaid, PersonSaid, Speaker};
use portcullis_service::{Moment, ServiceError, agent, directory, mapping, membership, role};
use portcullis_store::{Options, Priority, Tx, directory_group};
use portcullis_testkit::{Bench, Persona};

/// How long a test waits for the other side before it gives up, in milliseconds: far more than any of them needs.
pub(super) const MAX_WAIT_MS: u64 = 20_000;
/// How often a test looks whether somebody waits for a lock, in milliseconds.
pub(super) const LOOK_EVERY_MS: u64 = 5;

/// A place where a transaction stops until it is let on; only once, for it may be run again.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Stage>, Condvar)>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Nobody,
    Waiting,
    Open,
}

impl Gate {
    fn stop(&self) {
        let mut stage = self.0.0.lock().unwrap();
        if *stage == Stage::Nobody {
            *stage = Stage::Waiting;
            self.0.1.notify_all();
        }
        while *stage == Stage::Waiting {
            let (next, late) = self.0.1.wait_timeout(stage, Duration::from_millis(MAX_WAIT_MS)).unwrap();
            assert!(!late.timed_out(), "nobody let the first transaction go on");
            stage = next;
        }
    }

    /// Waits until somebody stands here; false if `done` said so first.
    fn wait(&self) {
        let mut stage = self.0.0.lock().unwrap();
        while *stage == Stage::Nobody {
            let (next, late) = self.0.1.wait_timeout(stage, Duration::from_millis(MAX_WAIT_MS)).unwrap();
            assert!(!late.timed_out(), "the first transaction never came to its gate");
            stage = next;
        }
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = Stage::Open;
        self.0.1.notify_all();
    }
}

/// What came of two transactions that met.
pub(super) struct Met<A, B> {
    pub(super) first: Result<A, ServiceError>,
    pub(super) second: Result<B, ServiceError>,
    /// Whether the second one was done before the first one went on.
    pub(super) passed: bool,
}

/// Runs `first` up to its commit, then `second` until it is done or waits, then lets `first` go on.
pub(super) fn meet<A: Send + 'static, B: Send + 'static>(
    bench: &Bench,
    first: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<A, ServiceError> + Send + 'static,
    second: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<B, ServiceError> + Send + 'static,
) -> Met<A, B> {
    meet_as(bench, (None, first), (None, second))
}

type Said<F> = (Option<Proof>, F);

fn meet_as<A: Send + 'static, B: Send + 'static>(
    bench: &Bench,
    (first_proof, mut first): Said<
        impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<A, ServiceError> + Send + 'static,
    >,
    (second_proof, second): Said<
        impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<B, ServiceError> + Send + 'static,
    >,
) -> Met<A, B> {
    let gate = Gate::default();
    let own = gate.clone();
    let stopped = move |tx: &mut Tx<'_>, moment: &mut Moment| {
        let done = first(tx, moment);
        own.stop();
        done
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| request(bench, first_proof, stopped));
        gate.wait();
        let second = scope.spawn(|| request(bench, second_proof, second));
        let mut client = client(bench);
        let mut waited = 0;
        while !second.is_finished() && !somebody_waits(&mut client) {
            assert!(waited < MAX_WAIT_MS, "the second transaction neither ended nor waited");
            std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS));
            waited += LOOK_EVERY_MS;
        }
        let passed = second.is_finished();
        gate.open();
        Met { first: first.join().unwrap(), second: second.join().unwrap(), passed }
    })
}

/// A request as the surface makes it: with its proof held beside it.
fn request<T: Send + 'static>(
    bench: &Bench,
    proof: Option<Proof>,
    run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let portcullis = bench.portcullis().clone();
    runtime.block_on(beside(async move {
        if let Some(proof) = proof {
            hold(proof);
        }
        portcullis.write(Priority::Ordinary, run).await
    }))
}

pub(super) fn client(bench: &Bench) -> postgres::Client {
    let Options::Postgres { url, .. } = bench.database() else { panic!("not PostgreSQL") };
    postgres::Client::connect(&url, postgres::NoTls).unwrap()
}

pub(super) fn somebody_waits(client: &mut postgres::Client) -> bool {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0
}

fn cause() -> Cause {
    Cause { kind: CauseKind::Api, ..Cause::system() }
}

fn said(name: &str) -> PersonSaid {
    PersonSaid {
        external_id: Some(format!("ext-{name}")),
        user_name: format!("{name}@acme.test"),
        display_name: name.to_owned(),
        full_name: String::new(),
        emails: vec![format!("{name}@acme.test")],
        active: Some(true),
        facets: std::collections::BTreeSet::new(),
        attributes: "{}".into(),
    }
}

fn speaker(moment: &mut Moment, (organization, directory): (OrganizationId, DirectoryId)) -> Speaker {
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

/// An organization with a directory whose people are viewers by default.
fn place(bench: &Bench) -> (OrganizationId, DirectoryId) {
    let organization = bench.organization("acme");
    bench.write(move |tx, moment| {
        let wish = directory::NewDirectory {
            brake: None,
            name: "Okta".into(),
            default_role: Some("viewer".into()),
            settle_s: Some(0),
            nesting: directory::Nesting::Off,
        };
        let made = directory::create(tx, moment, &Caller::Root, organization, &wish, cause())?;
        Ok((organization, made.0.id))
    })
}

fn come(
    bench: &Bench,
    here: (OrganizationId, DirectoryId),
    name: &'static str,
) -> (DirectoryUserId, MembershipId) {
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, here);
        let user = provisioning::create_user(tx, moment, speaker, &said(name))?;
        Ok((user.id, user.membership))
    })
}

fn is_in_step(bench: &Bench, id: MembershipId) -> bool {
    bench.write(move |tx, moment| Ok(settle(tx, moment, id, cause())? == Settled::Unchanged))
}

fn stored(bench: &Bench, organization: OrganizationId, id: MembershipId) -> Membership {
    bench.write(move |tx, _| Ok(portcullis_store::membership::find(tx, organization, id)?.unwrap()))
}

fn role_of(bench: &Bench, organization: OrganizationId, id: MembershipId) -> Option<String> {
    stored(bench, organization, id).access.role.map(|role| role.to_string())
}

fn agent_of(bench: &Bench, organization: OrganizationId, id: AgentId) -> Agent {
    bench.write(move |tx, _| Ok(portcullis_store::agent::find(tx, organization, id)?.unwrap()))
}

fn new_agent(owner: MembershipId, heir: Option<MembershipId>) -> agent::NewAgent {
    let on_owner_loss = if heir.is_some() { OwnerLossRule::HandOver } else { OwnerLossRule::Pause };
    agent::NewAgent { name: "builder".into(), owner, environment: None, heir, on_owner_loss }
}

fn make_agent(bench: &Bench, of: &Persona, heir: Option<MembershipId>) -> AgentId {
    let (organization, owner) = (of.organization, of.membership);
    bench.write(move |tx, moment| {
        let wish = new_agent(owner, heir);
        let made = agent::create(tx, moment, &Caller::Root, organization, wish, cause())?;
        // A key that nobody who leaves has seen: without one an agent that is handed over waits for keys.
        let wish = NewKey { name: "runner".into(), environment: None, expires_at: None };
        agent::issue_key(tx, moment, &Caller::Root, (organization, made.id), wish, cause())?;
        Ok(made.id)
    })
}

fn leave(
    of: &Persona,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static + use<> {
    let (organization, id) = (of.organization, of.membership);
    move |tx, moment| off_board_member(tx, moment, organization, id, "gone", cause()).map(|_| ())
}

fn proof(bench: &Bench, of: &Persona) -> Proof {
    let key = of.key.clone();
    let product = bench.portcullis().clone();
    let (as_of, caller) = bench.write(move |tx, moment| {
        Ok((AsOf::read(tx, moment.now)?, authenticate(tx, product.uses(), &key, moment.now)?))
    });
    Proof { presented: of.key.clone().into(), who: Who::Caller(caller), as_of }
}

fn caller(proof: &Proof) -> Caller {
    let Who::Caller(caller) = &proof.who else { panic!("a directory") };
    caller.clone()
}

/// Nobody who left owns an agent that may run.
fn must_not_run_for_a_leaver(bench: &Bench, organization: OrganizationId, id: AgentId) {
    let agent = agent_of(bench, organization, id);
    let owner = stored(bench, organization, agent.owner);
    let runs = matches!(agent.state, AgentState::Active | AgentState::Paused);
    assert!(!runs || owner.ended.is_none(), "{:?} runs for somebody who left", agent.state);
}

#[test]
fn a_newcomer_beside_a_change_of_the_default_role_has_the_new_one_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_user(tx, moment, speaker, &said("ada"))?.membership)
        },
        move |tx, moment| {
            let changes = directory::DirectoryChanges {
                default_role: Some(Some("member".into())),
                ..Default::default()
            };
            directory::update(tx, moment, &Caller::Root, here.0, (&here.1.to_string(), &changes), cause())
        },
    );
    met.second.unwrap();
    let ada = met.first.unwrap();
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
    assert!(is_in_step(&bench, ada), "what is stored follows from the rules");
}

#[test]
fn who_joins_a_group_while_its_role_becomes_explicit_only_does_not_get_it_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let (group, role) = bench.write(move |tx, moment| {
        let shape = role::RoleShape { rank: 310, permissions: vec!["use".into()], giving: Giving::Anyhow };
        let made = role::create(tx, moment, &Caller::Root, here.0, ("builder", shape), cause())?;
        let wish = mapping::NewMapping {
            directory: here.1.to_string(),
            source: MappingSource::GroupExternalId("g-1".into()),
            role: Some("builder".into()),
            team: None,
            environment: None,
        };
        mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause())?;
        let speaker = speaker(moment, here);
        let group = provisioning::create_group(tx, moment, speaker, ("Builders", Some("g-1")), &[])?;
        Ok((group.id, made.id))
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            let said = [GroupSaid::AddMembers(vec![user])];
            provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
        },
        move |tx, moment| {
            let changes = role::RoleChanges { giving: Some(Giving::ExplicitOnly), ..Default::default() };
            role::update(tx, moment, &Caller::Root, here.0, (&role.to_string(), changes), cause())
        },
    );
    met.first.unwrap();
    met.second.unwrap();
    assert_ne!(role_of(&bench, here.0, ada).as_deref(), Some("builder"), "automation gives no such role");
    assert!(is_in_step(&bench, ada), "what is stored follows from the rules");
}

#[test]
fn a_group_that_gets_its_key_while_a_mapping_of_that_key_is_made_is_mapped_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let group = bench.write(move |tx, moment| {
        let speaker = speaker(moment, here);
        Ok(provisioning::create_group(tx, moment, speaker, ("Builders", None), &[user])?.id)
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let speaker = speaker(moment, here);
            let said = [GroupSaid::ExternalId(Some("g-1".into()))];
            provisioning::change_group(tx, moment, speaker, group, &said).map(|_| ())
        },
        move |tx, moment| {
            let wish = mapping::NewMapping {
                directory: here.1.to_string(),
                source: MappingSource::GroupExternalId("g-1".into()),
                role: Some("member".into()),
                team: None,
                environment: None,
            };
            mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause()).map(|_| ())
        },
    );
    met.first.unwrap();
    met.second.unwrap();
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
}

#[test]
fn a_group_that_is_renamed_while_a_group_is_put_into_it_begins_again_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let named = |name: &'static str| {
        bench.write(move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_group(tx, moment, speaker, (name, None), &[])?.id)
        })
    };
    let (above, below) = (named("Builders"), named("Masons"));
    let change = move |said: GroupSaid| {
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, here);
            provisioning::change_group(tx, moment, speaker, above, std::slice::from_ref(&said)).map(|_| ())
        }
    };
    let rename = || GroupSaid::DisplayName("Makers".into());
    let met = meet(&bench, change(GroupSaid::AddGroups(vec![below])), change(rename()));
    met.first.unwrap();
    met.second.unwrap();
    let renamed = move |tx: &mut Tx<'_>, _: &mut Moment| Ok(directory_group::find(tx, here.1, above)?);
    assert_eq!(bench.write(renamed).unwrap().display_name, "Makers");
}

#[test]
fn members_of_groups_that_hold_groups_come_and_go_beside_each_other_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let people = [come(&bench, here, "ada").0, come(&bench, here, "bob").0];
    let [above, other, below] = ["Builders", "Makers", "Masons"].map(|name| {
        bench.write(move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_group(tx, moment, speaker, (name, None), &[])?.id)
        })
    });
    let change = |group, said: GroupSaid| {
        move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let speaker = speaker(moment, here);
            provisioning::change_group(tx, moment, speaker, group, std::slice::from_ref(&said)).map(|_| ())
        }
    };
    for group in [above, other] {
        bench.write(change(group, GroupSaid::AddGroups(vec![below])));
    }
    let add = |group, person| change(group, GroupSaid::AddMembers(vec![person]));
    let met = meet(&bench, add(above, people[0]), add(other, people[1]));
    met.first.unwrap();
    met.second.unwrap();
    assert!(met.passed, "whoever names people moves nobody else, and waits for nobody");
}

#[test]
fn a_change_of_rules_does_not_wait_for_those_who_come_after_it_on_postgresql() {
    let Some(bench) = Bench::postgres_with(4) else { return };
    let here = place(&bench);
    let met = meet(
        &bench,
        move |tx, moment| {
            let changes = directory::DirectoryChanges {
                default_role: Some(Some("member".into())),
                ..Default::default()
            };
            directory::update(tx, moment, &Caller::Root, here.0, (&here.1.to_string(), &changes), cause())
        },
        move |tx, moment| {
            let speaker = speaker(moment, here);
            Ok(provisioning::create_user(tx, moment, speaker, &said("ada"))?.membership)
        },
    );
    met.first.unwrap();
    let ada = met.second.unwrap();
    assert!(!met.passed, "who resolves access waits for the rules");
    assert_eq!(role_of(&bench, here.0, ada).as_deref(), Some("member"));
}

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
            agent::create(tx, moment, &by, organization, new_agent(owner, None), cause())
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
                agent::create(tx, moment, &by, organization, new_agent(owner, None), cause())
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
            member_key::issue(tx, moment, &by, (organization, owner), wish, cause()).map(|_| ())
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
        let wish = (&*id.to_string(), None);
        let issued = directory::issue_token(tx, moment, &Caller::Root, organization, wish, cause())?;
        let as_of = AsOf::read(tx, moment.now)?;
        let presented = issued.secret.expose().to_owned().into();
        Ok((issued.token.id, Proof { presented, who: Who::Directory(id, Rank::ROOT), as_of }))
    });
    let met = meet_as(
        &bench,
        (None, move |tx: &mut Tx<'_>, moment: &mut Moment| {
            let named = (&*id.to_string(), &*token.to_string());
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
fn an_agent_that_is_kept_does_not_go_to_a_chooser_who_leaves_beside_its_owner_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let organization = bench.organization("acme");
    let ada = bench.member(organization, "ada@acme.test", "member");
    let boss = bench.member(organization, "boss@acme.test", "admin");
    let (by, owner) = (caller(&proof(&bench, &boss)), ada.membership);
    let id = bench.write(move |tx, moment| {
        let wish = agent::NewAgent { on_owner_loss: OwnerLossRule::Keep, ..new_agent(owner, None) };
        Ok(agent::create(tx, moment, &by, organization, wish, cause())?.id)
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
            Ok(agent::create(tx, moment, &Caller::Root, organization, new_agent(owner, None), cause())?.id)
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
fn an_environment_in_which_an_agent_is_made_is_not_deleted_meanwhile_on_postgresql() {
    let Some(bench) = Bench::postgres_with(3) else { return };
    let here = place(&bench);
    let (user, ada) = come(&bench, here, "ada");
    let staging: Slug = "staging".parse().unwrap();
    let (environment, gives) = bench.write(move |tx, moment| {
        let made =
            portcullis_service::environment::create(tx, moment, here.0, ("staging", "Staging"), cause())?;
        let wish = mapping::NewMapping {
            directory: here.1.to_string(),
            source: MappingSource::GroupExternalId("g-1".into()),
            role: Some("member".into()),
            team: None,
            environment: Some("staging".into()),
        };
        Ok((made.id, mapping::create(tx, moment, &Caller::Root, here.0, &wish, cause())?.0.id))
    });
    bench.write(move |tx, moment| {
        let speaker = speaker(moment, here);
        provisioning::create_group(tx, moment, speaker, ("Builders", Some("g-1")), &[user]).map(|_| ())
    });
    let met = meet(
        &bench,
        move |tx, moment| {
            let wish = agent::NewAgent { environment: Some(staging.clone()), ..new_agent(ada, None) };
            agent::create(tx, moment, &Caller::Root, here.0, wish, cause()).map(|_| ())
        },
        move |tx, moment| {
            mapping::delete(tx, moment, &Caller::Root, here.0, &gives.to_string(), cause())?;
            let id = environment.to_string();
            portcullis_service::environment::delete(tx, moment, here.0, &id, cause())
        },
    );
    met.first.unwrap();
    assert!(matches!(met.second, Err(ServiceError::InUse(_))), "{:?}", met.second);
}
