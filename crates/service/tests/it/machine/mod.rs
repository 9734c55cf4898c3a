//! The property machine: random commands against the whole road, from a statement to the row, held against a model.
//!
//! Two organizations, two directories each, a handful of people who are in both; by a connection of the first one they come
//! just in time. After each command the machine checks
//! the invariants that the design numbers I1–I5, I8–I10 and I12, reading the database past the product. [`faults`] plants
//! faults that a careless change could bring, and each must be found.

mod braked;
mod check;
mod command;
mod faults;
mod model;
mod order;
pub(crate) mod raw;
mod returning;
mod world;

use std::collections::BTreeMap;

use portcullis_testkit::Bench;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use check::{Doer, Finding, Seen};
use command::{Command, commands};
use model::{Expect, Model};
use raw::Raw;
use world::World;

/// Commands of one run.
const LENGTH: usize = 70;
/// Runs whose seed is the same in every run of the tests.
const FIXED: u32 = 48;
/// Runs with a fresh seed, in every run of the tests and in the long one.
const FRESH: u32 = 8;
const FRESH_LONG: u32 = 1500;
/// Runs on PostgreSQL, where each makes and drops a database.
const ON_POSTGRES: u32 = 3;
const ON_POSTGRES_LONG: u32 = 100;
/// The seed of the fixed runs.
const SEED: [u8; 32] = *b"portcullis property machine seed";
/// Those whose access was worked out once more from the same facts in another order, in the tally, and how many they must be:
/// half of a person a run. A rule of who counts that nobody meets would be content with anything.
const IN_ANOTHER_ORDER: &str = "people in another order";
const MIN_IN_ANOTHER_ORDER: usize = FIXED as usize / 2;
/// What the job does is a rule's, and what comes without a call is the product's own.
const BY_THE_JOB: Doer = Doer { org: None, directory: None, kinds: &["rule"] };
const BY_ITSELF: Doer = Doer { org: None, directory: None, kinds: &["system"] };

/// A run: the product, the model, and what was seen after the last command.
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) model: Model,
    pub(crate) raw: Raw,
    seen: Seen,
}

/// How often each command was carried out: a machine whose commands are all refused proves nothing.
pub(crate) type Tally = BTreeMap<String, usize>;

impl Machine {
    /// A run on that database. `planted` is what it does wrong from the beginning: SQL, or nothing.
    pub(crate) fn new(bench: Bench, planted: &str) -> Self {
        let raw = Raw::of(&bench);
        let world = World::new(bench);
        let model = Model { now: World::start_s(), ..Model::default() };
        let mut machine = Self { world, model, raw, seen: Seen::default() };
        machine.raw.batch(planted);
        machine.begin();
        machine
    }

    /// What making the organizations left behind is where the run begins.
    fn begin(&mut self) {
        let began = self.check(BY_ITSELF);
        assert_eq!(began, Ok(()), "before the first command");
    }

    fn check(&mut self, doer: Doer) -> Result<(), Finding> {
        check::check(&self.world, &self.model, &mut self.raw, &mut self.seen, doer)
    }

    /// Time passes: what is due is refused at once, and ended by the job.
    fn pass(&mut self, seconds: i64) -> Result<(), Finding> {
        self.model.now += seconds;
        self.world.set_time(self.model.now);
        let mut later = self.model.clone();
        later.pass();
        self.before_the_job(&later)?;
        if self.model.is_due() || seconds > 1 {
            self.world.run_job();
            self.model.pass();
            self.check(BY_THE_JOB)?;
        }
        Ok(())
    }

    /// Nobody waits for the job: what it will store is answered already.
    fn before_the_job(&self, later: &Model) -> Result<(), Finding> {
        for (n, (is, must)) in check::answers(&self.world, later).into_iter().enumerate() {
            if (is == "allowed") != (must == "allowed") {
                let behind = check::holder(later, later.tokens[n].holder);
                return Err(format!(
                    "I1: before the job, token {n} answers `{is}`, must `{must}` ({behind})"
                ));
            }
        }
        Ok(())
    }

    /// One command, and the check after it. `meddle` does what nobody should between the two.
    pub(crate) fn step(
        &mut self,
        command: &Command,
        meddle: &mut impl FnMut(&mut Self),
        tally: &mut Tally,
    ) -> Result<(), Finding> {
        self.pass(match command {
            Command::Pass(seconds) => *seconds,
            _ => 1,
        })?;
        let before = self.model.clone();
        let expect = self.model.carry_out(command);
        let name: String = format!("{command:?}").chars().take_while(char::is_ascii_alphabetic).collect();
        *tally.entry(format!("{name} {expect:?}")).or_default() += 1;
        if expect != Expect::Nothing {
            let stood = check::access(&mut self.raw);
            let answer = self.world.carry_out(command, &before);
            check::answered(expect, &answer)?;
            if matches!(command, Command::Boast { .. }) {
                check::nobody_gained(&mut self.raw, &stood)?;
            }
        }
        let mut doer = doer(command, &before);
        if expect == Expect::Done && matches!(command, Command::DropDirectory { crowded: true, .. }) {
            self.before_the_job(&self.model)?;
            self.world.run_job();
            doer.kinds = &["api", "rule"];
        }
        meddle(self);
        self.check(doer)
    }

    /// At the end of a run the log of each organization verifies offline, whole.
    fn end(&mut self) -> Result<(), Finding> {
        self.world.sign();
        order::log_verifies(self)
    }
}

/// Who does a command.
fn doer(command: &Command, model: &Model) -> Doer {
    let told = |n: usize| model.told(n).map(|t| (model.told[t].org, model.told[t].directory));
    let of_nest = |n: usize| model.nest(n).map(|(org, directory, ..)| (org, directory));
    let of_member = |n: usize| model.member(n).map(|m| model.members[m].org);
    let directory = match *command {
        Command::Tell { org, directory, .. }
        | Command::MakeGroup { org, directory, .. }
        | Command::Rename { org, directory, .. }
        | Command::Rekey { org, directory, .. }
        | Command::DropGroup { org, directory, .. }
        | Command::Nest { org, directory, .. }
        | Command::ReplaceNested { org, directory, .. }
        | Command::Replace { org, directory, .. } => Some((org, directory)),
        Command::Say { user, .. }
        | Command::Boast { user }
        | Command::Title { user, .. }
        | Command::Delete { user }
        | Command::Join { user, .. }
        | Command::Leave { user, .. } => told(user),
        Command::Unnest { nest } => of_nest(nest),
        _ => None,
    };
    if matches!(command, Command::Arrive { .. }) {
        return Doer { org: Some(0), directory: None, kinds: &["sign_in"] };
    }
    if let Some((org, directory)) = directory {
        return Doer { org: Some(org), directory: Some(directory), kinds: &["scim"] };
    }
    let org = match *command {
        Command::Map { org, .. }
        | Command::Default { org, .. }
        | Command::Brake { org, .. }
        | Command::Decide { org, .. }
        | Command::Nesting { org, .. }
        | Command::DropDirectory { org, .. }
        | Command::Invite { org, .. }
        | Command::Add { org, .. } => Some(org),
        Command::Unmap { mapping } | Command::Remap { mapping, .. } => {
            model.mapping(mapping).map(|m| model.mappings[m].org)
        }
        Command::EndGrant { grant } => model.grant(grant).map(|g| model.members[model.grants[g].member].org),
        Command::Grant { member, .. }
        | Command::SetPassword { member }
        | Command::Suspend { member }
        | Command::Restore { member }
        | Command::OffBoard { member }
        | Command::MemberKey { member, .. }
        | Command::Session { member } => of_member(member),
        Command::MakeAgent { owner, .. } => of_member(owner),
        Command::AgentKey { agent, .. }
        | Command::OrderAgent { agent, .. }
        | Command::Assign { agent, .. } => model.agent(agent).map(|a| model.agents[a].org),
        Command::Accept { token } | Command::Revoke { token } => {
            model.token(token).map(|t| model.tokens[t].org)
        }
        _ => None,
    };
    Doer { org, directory: None, kinds: &["api"] }
}

/// A whole run on that machine, with somebody who meddles after each command.
pub(crate) fn run(
    mut machine: Machine,
    commands: &[Command],
    mut meddle: impl FnMut(&mut Machine),
    tally: &mut Tally,
) -> Result<Machine, Finding> {
    for (n, command) in commands.iter().enumerate() {
        machine
            .step(command, &mut meddle, tally)
            .map_err(|found| format!("{found} (command {n}: {command:?})"))?;
    }
    machine.end()?;
    Ok(machine)
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() }
}

/// Random runs, shrunk when one fails.
fn runs(mut runner: TestRunner, bench: impl Fn() -> Bench, tally: &mut Tally) {
    let tally = std::cell::RefCell::new(tally);
    let outcome = runner.run(&commands(1..=LENGTH), |commands| {
        let machine = run(Machine::new(bench(), ""), &commands, |_| {}, &mut tally.borrow_mut());
        let machine = machine.map_err(TestCaseError::fail)?;
        let same = order::replays(&machine, "").map_err(TestCaseError::fail)?;
        *tally.borrow_mut().entry(IN_ANOTHER_ORDER.to_owned()).or_default() += same;
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn every_invariant_holds_after_every_command() {
    let mut tally = Tally::new();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    runs(TestRunner::new_with_rng(config(FIXED), rng), Bench::sqlite, &mut tally);
    // The fixed runs must have walked every road often enough to mean something.
    for name in [
        "Tell Done",
        "Tell Refused",
        "Say Done",
        "Boast Done",
        "Title Done",
        "Delete Done",
        "MakeGroup Done",
        "Rename Done",
        "Rename Refused",
        "Rekey Done",
        "DropGroup Done",
        "Join Done",
        "Leave Done",
        "Replace Done",
        "Nest Done",
        "Nest Refused",
        "Unnest Done",
        "ReplaceNested Done",
        "Nesting Done",
        "Map Done",
        "Unmap Done",
        "Remap Done",
        "DropDirectory Done",
        "DropDirectory Refused",
        "Default Done",
        "Grant Done",
        "EndGrant Done",
        "Arrive Done",
        "Arrive Refused",
        "Invite Done",
        "Accept Done",
        "Add Done",
        "Add Refused",
        "SetPassword Done",
        "Suspend Done",
        "Suspend Refused",
        "Restore Done",
        "OffBoard Done",
        "OffBoard Refused",
        "MemberKey Done",
        "MemberKey Refused",
        "Session Done",
        "MakeAgent Done",
        "MakeAgent Refused",
        "AgentKey Done",
        "AgentKey Refused",
        "OrderAgent Done",
        "OrderAgent Refused",
        "Assign Done",
        "Assign Refused",
        "Revoke Done",
        "Brake Done",
        "Decide Done",
        "Pass Nothing",
    ] {
        assert!(tally.contains_key(name), "no run came to `{name}`: {tally:#?}");
    }
    assert!(tally[IN_ANOTHER_ORDER] >= MIN_IN_ANOTHER_ORDER, "{tally:#?}");
}

#[test]
fn every_invariant_holds_in_runs_that_nobody_has_seen_before() {
    let cases = if crate::in_long_tier() { FRESH_LONG } else { FRESH };
    runs(TestRunner::new(config(cases)), Bench::sqlite, &mut Tally::new());
}

#[test]
fn every_invariant_holds_on_postgresql_too() {
    if Bench::postgres().is_none() {
        return;
    }
    let cases = if crate::in_long_tier() { ON_POSTGRES_LONG } else { ON_POSTGRES };
    let bench = || Bench::postgres().expect("the cluster that was there a moment ago");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    runs(TestRunner::new_with_rng(config(cases), rng), bench, &mut Tally::new());
}
