//! A gate before the commit: the first transaction stops there, the second runs until it is done or waits.
//!
//! And who is about in these tests: an organization with a directory, people, agents, and what is proven of them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use portcullis_domain::agent::{Agent, AgentState, OwnerLossRule};
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::id::{AgentId, DirectoryId, DirectoryUserId, MembershipId, OrganizationId, RequestId};
use portcullis_domain::membership::Membership;
use portcullis_service::access::{Settled, off_board_member, settle};
use portcullis_service::caller::{Caller, authenticate};
use portcullis_service::member_key::NewKey;
use portcullis_service::proof::{AsOf, Proof, Who, beside, keep};
use portcullis_service::provisioning::{self, PersonSaid, Speaker};
use portcullis_service::{Moment, ServiceError, agent, directory};
use portcullis_store::{Options, Priority, Tx};
use portcullis_testkit::{Bench, Persona};

/// How long a test waits for the other side before it gives up, in milliseconds: far more than any of them needs.
pub(crate) const MAX_WAIT_MS: u64 = 20_000;
/// How often a test looks whether somebody waits for a lock, in milliseconds.
pub(crate) const LOOK_EVERY_MS: u64 = 5;

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
pub(crate) struct Met<A, B> {
    pub(crate) first: Result<A, ServiceError>,
    pub(crate) second: Result<B, ServiceError>,
    /// Whether the second one was done before the first one went on.
    pub(crate) passed: bool,
}

/// Runs `first` up to its commit, then `second` until it is done or waits, then lets `first` go on.
pub(crate) fn meet<A: Send + 'static, B: Send + 'static>(
    bench: &Bench,
    first: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<A, ServiceError> + Send + 'static,
    second: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<B, ServiceError> + Send + 'static,
) -> Met<A, B> {
    meet_as(bench, (None, first), (None, second))
}

pub(crate) type Said<F> = (Option<Proof>, F);

pub(crate) fn meet_as<A: Send + 'static, B: Send + 'static>(
    bench: &Bench,
    first: Said<impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<A, ServiceError> + Send + 'static>,
    (second_proof, second): Said<
        impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<B, ServiceError> + Send + 'static,
    >,
) -> Met<A, B> {
    meet_call(bench, first, || request(bench, second_proof, second))
}

/// The same, where the second is whatever a caller waits for.
pub(crate) fn meet_call<A: Send + 'static, B: Send>(
    bench: &Bench,
    (first_proof, mut first): Said<
        impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<A, ServiceError> + Send + 'static,
    >,
    second: impl FnOnce() -> Result<B, ServiceError> + Send,
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
        let second = scope.spawn(second);
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
pub(crate) fn request<T: Send + 'static>(
    bench: &Bench,
    proof: Option<Proof>,
    run: impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let portcullis = bench.portcullis().clone();
    runtime.block_on(beside(async move {
        if let Some(proof) = proof {
            keep(proof);
        }
        portcullis.write(Priority::Ordinary, run).await
    }))
}

pub(crate) fn client(bench: &Bench) -> postgres::Client {
    let Options::Postgres { url, .. } = bench.database() else { panic!("not PostgreSQL") };
    postgres::Client::connect(&url, postgres::NoTls).unwrap()
}

pub(crate) fn somebody_waits(client: &mut postgres::Client) -> bool {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0
}

pub(crate) fn cause() -> Cause {
    Cause { kind: CauseKind::Api, ..Cause::system() }
}

pub(crate) fn said(name: &str) -> PersonSaid {
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

pub(crate) fn speaker(
    moment: &mut Moment,
    (organization, directory): (OrganizationId, DirectoryId),
) -> Speaker {
    Speaker::scim(organization, directory, RequestId::fresh(moment.now, &mut moment.random))
}

/// An organization with a directory whose people are viewers by default.
pub(crate) fn place(bench: &Bench) -> (OrganizationId, DirectoryId) {
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

pub(crate) fn come(
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

pub(crate) fn is_in_step(bench: &Bench, id: MembershipId) -> bool {
    bench.write(move |tx, moment| Ok(settle(tx, moment, id, cause())? == Settled::Unchanged))
}

pub(crate) fn stored(bench: &Bench, organization: OrganizationId, id: MembershipId) -> Membership {
    bench.write(move |tx, _| Ok(portcullis_store::membership::find(tx, organization, id)?.unwrap()))
}

pub(crate) fn role_of(bench: &Bench, organization: OrganizationId, id: MembershipId) -> Option<String> {
    stored(bench, organization, id).access.role.map(|role| role.to_string())
}

pub(crate) fn agent_of(bench: &Bench, organization: OrganizationId, id: AgentId) -> Agent {
    bench.write(move |tx, _| Ok(portcullis_store::agent::find(tx, organization, id)?.unwrap()))
}

pub(crate) fn new_agent(owner: MembershipId, heir: Option<MembershipId>) -> agent::NewAgent {
    let on_owner_loss = if heir.is_some() { OwnerLossRule::HandOver } else { OwnerLossRule::Pause };
    agent::NewAgent { name: "builder".into(), owner, environment: None, heir, on_owner_loss }
}

pub(crate) fn make_agent(bench: &Bench, of: &Persona, heir: Option<MembershipId>) -> AgentId {
    let (organization, owner) = (of.organization, of.membership);
    bench.write(move |tx, moment| {
        let wish = new_agent(owner, heir);
        let made = agent::create(tx, moment, &Caller::Root, organization, &wish, cause())?;
        // A key that nobody who leaves has seen: without one an agent that is handed over waits for keys.
        let wish = NewKey { name: "runner".into(), environment: None, expires_at: None };
        agent::issue_key(tx, moment, &Caller::Root, (organization, made.id), &wish, cause())?;
        Ok(made.id)
    })
}

pub(crate) fn leave(
    of: &Persona,
) -> impl FnMut(&mut Tx<'_>, &mut Moment) -> Result<(), ServiceError> + Send + 'static + use<> {
    let (organization, id) = (of.organization, of.membership);
    move |tx, moment| off_board_member(tx, moment, organization, id, "gone", cause()).map(|_| ())
}

pub(crate) fn proof(bench: &Bench, of: &Persona) -> Proof {
    let key = of.key.clone();
    let product = bench.portcullis().clone();
    let (as_of, caller) = bench.write(move |tx, moment| {
        Ok((AsOf::read(tx, moment.now)?, authenticate(tx, product.uses(), &key, moment.now)?))
    });
    Proof { presented: of.key.clone().into(), who: Who::Caller(caller), as_of }
}

pub(crate) fn caller(proof: &Proof) -> Caller {
    let Who::Caller(caller) = &proof.who else { panic!("a directory") };
    caller.clone()
}

/// Nobody who left owns an agent that may run.
pub(crate) fn must_not_run_for_a_leaver(bench: &Bench, organization: OrganizationId, id: AgentId) {
    let agent = agent_of(bench, organization, id);
    let owner = stored(bench, organization, agent.owner);
    let runs = matches!(agent.state, AgentState::Active | AgentState::Paused);
    assert!(!runs || owner.ended.is_none(), "{:?} runs for somebody who left", agent.state);
}
