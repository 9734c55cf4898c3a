//! Planted faults: what a careless hand or a careless change would do, each of which the machine must find.
//!
//! Some change rows behind the product's back between a command and its check. Others are triggers that make a
//! statement do nothing, as if a change had been forgotten in a plan. The product itself is never changed for a test.

use portcullis_testkit::Bench;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::command::{self, Command};
use super::{LENGTH, Machine, Tally, config, order, run};

/// In so many runs a fault must come to light.
const MAX_RUNS: usize = 60;
/// Enough commands that every road is walked in most runs.
const SEED: [u8; 32] = *b"planted faults must all be found";

/// How a fault is planted.
enum Planted {
    /// Rows are changed once, as soon as there are some. That run must fail.
    Rows(&'static str),
    /// From the beginning the database does something else than it was told. Some run must fail.
    FromTheStart(&'static str),
}

struct Fault {
    what: &'static str,
    planted: Planted,
    /// The invariants under which it may come to light.
    breaks: &'static [&'static str],
}

const ROWS: &[Fault] = &[
    Fault {
        what: "an ended token lives again",
        planted: Planted::Rows(
            "UPDATE tokens SET ended_at = NULL, ended_because = NULL, ended_by_event = NULL \
             WHERE ended_at IS NOT NULL",
        ),
        breaks: &["I1", "I4"],
    },
    Fault {
        what: "somebody is owner without a grant",
        planted: Planted::Rows("UPDATE memberships SET role = 'owner' WHERE role = 'member'"),
        breaks: &["I2"],
    },
    Fault {
        what: "a stored role changes without an event",
        planted: Planted::Rows("UPDATE memberships SET role = 'viewer' WHERE role = 'member'"),
        breaks: &["I9", "I5"],
    },
    Fault {
        what: "an event is taken out of the log",
        planted: Planted::Rows("DELETE FROM audit_events WHERE action = 'member.deprovisioned'"),
        breaks: &["I5"],
    },
    Fault {
        what: "an event is told as another",
        planted: Planted::Rows(
            "UPDATE audit_events SET action = 'member.updated' WHERE action = 'token.issued'",
        ),
        breaks: &["I5"],
    },
    Fault {
        what: "a tombstone is dropped",
        planted: Planted::Rows("DELETE FROM tombstones WHERE lifted_at IS NULL"),
        breaks: &["I4"],
    },
    Fault {
        what: "an orphaned agent runs again",
        planted: Planted::Rows("UPDATE agents SET state = 'active' WHERE state = 'orphaned'"),
        // Where the agent is another organization's than the command's, that shows first.
        breaks: &["I1", "I4", "I8"],
    },
    Fault {
        what: "a membership moves to another organization",
        planted: Planted::Rows(
            "UPDATE memberships SET organization = \
             (SELECT o.id FROM organizations o WHERE o.id <> memberships.organization)",
        ),
        breaks: &["I8"],
    },
    Fault {
        what: "a line of a receipt is changed",
        planted: Planted::Rows("UPDATE receipt_lines SET item = 'tok_of_somebody_else'"),
        breaks: &["I5"],
    },
    Fault {
        what: "nobody remembers whom a secret was shown to",
        planted: Planted::Rows("UPDATE tokens SET shown_to = NULL WHERE shown_to IS NOT NULL"),
        // Where somebody is suspended who was shown a key of another's, that shows first.
        breaks: &["I1", "I4"],
    },
    Fault {
        what: "a key of a disabled agent stays alive",
        planted: Planted::Rows(
            "UPDATE tokens SET ended_at = NULL WHERE ended_at IS NOT NULL \
             AND agent IN (SELECT id FROM agents WHERE state = 'disabled')",
        ),
        breaks: &["I4"],
    },
    Fault {
        what: "a suspension is forgotten",
        planted: Planted::Rows("UPDATE memberships SET suspended_at = NULL WHERE suspended_at IS NOT NULL"),
        breaks: &["I9"],
    },
    Fault {
        what: "a hold forgets whose end waits in it",
        planted: Planted::Rows("DELETE FROM held_people WHERE kind = 'endings'"),
        breaks: &["I12"],
    },
    Fault {
        what: "somebody keeps nothing of what a hold keeps for them",
        planted: Planted::Rows("DELETE FROM held_matches"),
        breaks: &["I12"],
    },
    Fault {
        what: "a user ends who is still a member",
        planted: Planted::Rows("UPDATE users SET ended_at = 1 WHERE ended_at IS NULL"),
        breaks: &["I3"],
    },
    Fault {
        what: "an event names no request",
        planted: Planted::Rows(
            "UPDATE audit_events SET content = replace(content, '\"request_id\":\"req_', '\"request\":\"req_') \
             WHERE action = 'member.created' AND content LIKE '%\"request_id\":\"req%'",
        ),
        breaks: &["I5"],
    },
];

macro_rules! forgotten {
    ($event:literal, $when:literal) => {
        concat!(
            "CREATE TRIGGER forgotten BEFORE ",
            $event,
            " FOR EACH ROW WHEN ",
            $when,
            " BEGIN SELECT RAISE(IGNORE); END;"
        )
    };
}

const FORGOTTEN: &[Fault] = &[
    Fault {
        what: "off-boarding forgets the keys of agents that were shown to the leaver",
        planted: Planted::FromTheStart(forgotten!(
            "UPDATE OF ended_at ON tokens",
            "NEW.ended_because = 'off_boarded' AND OLD.kind = 'agent_key'"
        )),
        breaks: &["I1"],
    },
    Fault {
        what: "off-boarding forgets sessions",
        planted: Planted::FromTheStart(forgotten!(
            "UPDATE OF ended_at ON tokens",
            "NEW.ended_because = 'off_boarded' AND OLD.kind = 'session'"
        )),
        breaks: &["I1"],
    },
    Fault {
        what: "off-boarding forgets invitations to the leaver's address",
        planted: Planted::FromTheStart(forgotten!(
            "UPDATE OF ended_at ON tokens",
            "NEW.ended_because = 'off_boarded' AND OLD.kind = 'invitation'"
        )),
        breaks: &["I1"],
    },
    Fault {
        what: "off-boarding forgets tombstones of external ids",
        planted: Planted::FromTheStart(forgotten!("INSERT ON tombstones", "NEW.kind = 'external_id'")),
        breaks: &["I4"],
    },
    Fault {
        what: "off-boarding forgets grants",
        planted: Planted::FromTheStart(forgotten!("UPDATE ON grants", "NEW.ended_at IS NOT NULL")),
        breaks: &["I9", "I5"],
    },
    Fault {
        what: "off-boarding forgets to stop agents",
        planted: Planted::FromTheStart(forgotten!("UPDATE ON agents", "NEW.state = 'orphaned'")),
        breaks: &["I1", "I4"],
    },
    Fault {
        what: "a receipt leaves agents out",
        planted: Planted::FromTheStart(forgotten!("INSERT ON receipt_lines", "NEW.kind = 'agent'")),
        breaks: &["I5"],
    },
    Fault {
        what: "a user does not end with the last membership",
        planted: Planted::FromTheStart(forgotten!("UPDATE ON users", "NEW.ended_at IS NOT NULL")),
        breaks: &["I3"],
    },
    Fault {
        what: "a revival leaves no event",
        planted: Planted::FromTheStart(forgotten!("INSERT ON audit_events", "NEW.action = 'member.revived'")),
        breaks: &["I5"],
    },
    Fault {
        what: "losing the last group is forgotten where the directory waits",
        planted: Planted::FromTheStart(forgotten!(
            "UPDATE ON memberships",
            "OLD.state = 'active' AND NEW.unmapped_at IS NOT NULL"
        )),
        breaks: &["I9", "I1"],
    },
    Fault {
        what: "a group that is taken out of another stays in it",
        planted: Planted::FromTheStart(forgotten!(
            "DELETE ON directory_subgroups",
            "OLD.parent <> OLD.child"
        )),
        breaks: &["I9", "I1"],
    },
    Fault {
        what: "a title that somebody lost is kept",
        planted: Planted::FromTheStart(forgotten!(
            "DELETE ON directory_user_facets",
            "OLD.source = 'attribute'"
        )),
        breaks: &["I9", "I1"],
    },
    Fault {
        what: "an end above the limit is held nowhere",
        planted: Planted::FromTheStart(forgotten!("INSERT ON held_people", "NEW.kind = 'endings'")),
        breaks: &["I12"],
    },
    Fault {
        what: "a release leaves people in the hold",
        planted: Planted::FromTheStart(forgotten!("DELETE ON held_people", "OLD.kind = 'endings'")),
        // Whoever is still held is suspended, where they must have ended or be active.
        breaks: &["I12", "I9"],
    },
    Fault {
        what: "a refusal is forgotten",
        planted: Planted::FromTheStart(forgotten!("UPDATE ON held_people", "NEW.refused_at IS NOT NULL")),
        breaks: &["I12"],
    },
    Fault {
        what: "what nobody stated is carried out above the limit",
        planted: Planted::FromTheStart(forgotten!("INSERT ON held_matches", "NEW.mapping IS NOT NULL")),
        breaks: &["I12", "I9"],
    },
    Fault {
        what: "whoever is named again keeps what was held of them",
        planted: Planted::FromTheStart(forgotten!("DELETE ON held_matches", "OLD.mapping IS NOT NULL")),
        breaks: &["I12", "I9"],
    },
    Fault {
        what: "whoever is out of a group below keeps what a group above gave by it",
        planted: Planted::FromTheStart(forgotten!(
            "DELETE ON held_matches",
            "OLD.through <> OLD.directory_group"
        )),
        breaks: &["I12", "I9"],
    },
    Fault {
        what: "a mapping that is pointed elsewhere stays where it was",
        // The product refuses to go on where a change finds no row, so the row is changed and then put back.
        planted: Planted::FromTheStart(
            "CREATE TRIGGER forgotten AFTER UPDATE ON mappings FOR EACH ROW WHEN OLD.source_key <> NEW.source_key \
             BEGIN UPDATE mappings SET directory = OLD.directory, source = OLD.source, source_key = OLD.source_key \
             WHERE id = NEW.id; END;",
        ),
        breaks: &["I9", "I1", "I12"],
    },
    Fault {
        what: "a deleted directory forgets whom it governs and tells of no more",
        planted: Planted::FromTheStart(forgotten!(
            "UPDATE OF rules_number ON memberships",
            "NEW.rules_number = 0 AND NOT EXISTS (SELECT 1 FROM directory_users u WHERE u.membership = NEW.id)"
        )),
        breaks: &["I9"],
    },
    Fault {
        what: "nobody counts whom a directory ended",
        planted: Planted::FromTheStart(forgotten!("INSERT ON brake_hours", "NEW.people > 0")),
        breaks: &["I12", "I9"],
    },
    Fault {
        what: "a mapping can give ownership",
        planted: Planted::FromTheStart("UPDATE roles SET explicit_only_at = NULL WHERE slug = 'owner'"),
        breaks: &["I2"],
    },
    Fault {
        what: "a directory's PATCH gives the role that stands in it",
        planted: Planted::FromTheStart(
            "CREATE TRIGGER believed AFTER UPDATE OF attributes ON directory_users FOR EACH ROW \
             WHEN NEW.attributes LIKE '%\"role\":\"owner\"%' \
             BEGIN UPDATE memberships SET role = 'admin' WHERE id = NEW.membership; END;",
        ),
        breaks: &["I10"],
    },
];

fn commands(runner: &mut TestRunner) -> Vec<Command> {
    command::commands(LENGTH..=LENGTH).new_tree(runner).expect("commands").current()
}

/// Runs until the fault was planted and came to light.
fn find(fault: &Fault) {
    let mut runner = TestRunner::new_with_rng(config(1), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    for _ in 0..MAX_RUNS {
        let commands = commands(&mut runner);
        let from_the_start = if let Planted::FromTheStart(sql) = fault.planted { sql } else { "" };
        let mut planted = false;
        let meddle = |machine: &mut Machine| {
            if let Planted::Rows(sql) = fault.planted
                && !planted
            {
                planted = machine.raw.change(sql) > 0;
            }
        };
        let machine = Machine::new(Bench::sqlite(), from_the_start);
        let outcome = run(machine, &commands, meddle, &mut Tally::new());
        match outcome {
            Err(finding) => {
                let right = fault.breaks.iter().any(|invariant| finding.starts_with(invariant));
                assert!(right, "`{}` came to light as something else: {finding}", fault.what);
                return;
            }
            Ok(_) => assert!(!planted, "`{}` was planted and not found", fault.what),
        }
    }
    panic!("`{}` did not come to light in {MAX_RUNS} runs", fault.what);
}

#[test]
fn rows_that_are_changed_behind_the_products_back_are_found() {
    ROWS.iter().for_each(find);
}

#[test]
fn changes_that_are_forgotten_in_a_plan_are_found() {
    FORGOTTEN.iter().for_each(find);
}

/// In the empty product whoever comes to the role `member` after they are there has less.
const ROLE_OF_THE_LATE: &str = "CREATE TRIGGER late AFTER UPDATE OF role ON memberships FOR EACH ROW WHEN NEW.role = 'member' \
     BEGIN UPDATE memberships SET role = 'viewer' WHERE id = NEW.id; END;";

#[test]
fn access_that_depends_on_the_order_of_the_facts_is_found() {
    let mut runner = TestRunner::new_with_rng(config(1), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let found = (0..MAX_RUNS).find_map(|_| {
        let commands = commands(&mut runner);
        let sound = run(Machine::new(Bench::sqlite(), ""), &commands, |_| {}, &mut Tally::new());
        order::replays(&sound.expect("a sound run"), ROLE_OF_THE_LATE).err()
    });
    let finding = found.unwrap_or_else(|| panic!("it did not come to light in {MAX_RUNS} runs"));
    assert!(finding.starts_with(order::OTHERWISE), "it came to light as something else: {finding}");
}

#[test]
fn the_same_runs_without_a_fault_find_nothing() {
    let mut runner = TestRunner::new_with_rng(config(1), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    for _ in 0..8 {
        let commands = commands(&mut runner);
        let outcome = run(Machine::new(Bench::sqlite(), ""), &commands, |_| {}, &mut Tally::new());
        assert_eq!(outcome.err(), None);
    }
}
