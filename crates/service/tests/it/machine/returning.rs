//! Whoever left, and whoever comes back: what must hold of them whatever the model says, and runs that came to it.
//!
//! The model lays tombstones where the rule says so, and a rule that both forget would be seen by neither.

use std::collections::BTreeSet;

use portcullis_domain::agent::OwnerLossRule;
use portcullis_domain::tombstone::Identifier;
use portcullis_testkit::Bench;

use super::check::{Finding, identifiers};
use super::command::{About, By, CLAIMS, Called, Command, Given, Order};
use super::model::{Member, Model, State};
use super::raw::Raw;
use super::world::World;
use super::{Machine, Tally, run};

/// I2, I4: whoever came back has what was given to them since. Whatever the model says of it.
pub(super) fn nothing_of_before(raw: &mut Raw) -> Result<(), Finding> {
    let of_before = raw.rows(
        "SELECT g.id, g.role FROM grants g JOIN memberships m ON m.id = g.membership \
         WHERE g.ended_at IS NULL AND m.ended_at IS NULL AND g.created_at <= \
         (SELECT MAX(r.created_at) FROM receipts r WHERE r.membership = m.id)",
    );
    if of_before.is_empty() {
        return Ok(());
    }
    Err(format!("I2: somebody came back with what they had: {of_before:?}"))
}

/// I4: no name of whoever left is free while nobody is here who is called so: they would be a newcomer by it. Whatever the
/// model says of what was laid and lifted.
pub(super) fn doors(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let lying = raw.rows("SELECT DISTINCT organization, kind, value FROM tombstones WHERE lifted_at IS NULL");
    let lying: BTreeSet<Vec<String>> = lying.into_iter().collect();
    for (n, left) in model.members.iter().enumerate() {
        let same = |one: &&Member| (one.org, one.person) == (left.org, left.person);
        if model.members.iter().filter(same).any(|one| one.ended.is_none()) {
            continue;
        }
        for name in model.names_of(n) {
            for Identifier { kind, value } in identifiers(world, (left.org, left.person), name) {
                let organization = world.ids.organizations[left.org].to_string();
                let laid = lying.contains(&vec![organization, kind.as_str().to_owned(), value.clone()]);
                if !laid {
                    return Err(format!(
                        "I4: member {n} left, and whoever comes as `{value}` would be let in"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The run holds, and what the model says of it then is what the product stored.
fn holds(commands: &[Command]) -> Model {
    match run(Machine::new(Bench::sqlite(), ""), commands, |_| {}, &mut Tally::new()) {
        Ok(machine) => machine.model,
        Err(finding) => panic!("{finding}"),
    }
}

fn tell(person: usize) -> Command {
    Command::Tell { org: 0, directory: 0, person, active: true }
}

fn by_default(directory: usize, role: Option<&'static str>) -> Command {
    Command::Default { org: 0, directory, role }
}

const fn say(user: usize, active: bool) -> Command {
    Command::Say { user, active }
}

fn an_agent(owner: usize, heir: usize, rule: OwnerLossRule, by: By) -> Command {
    Command::MakeAgent { owner, heir, rule, by, staging: false }
}

#[test]
fn the_bare_ownership_of_whoever_comes_back_is_not_theirs_until_a_person_gives_it_anew() {
    let begin =
        [by_default(0, Some("member")), tell(0), Command::Grant { member: 0, role: "owner" }, say(0, false)];
    let left = holds(&begin);
    assert_eq!((left.members[0].role, left.members[0].bare), (Some("owner"), true));
    let mut back = begin.to_vec();
    back.extend([say(0, true), say(0, false), say(0, true)]);
    let is_back = holds(&back);
    assert_eq!((is_back.members[0].role, is_back.members[0].bare), (Some("member"), true));
    back.push(Command::Grant { member: 0, role: "owner" });
    let owner = holds(&back);
    assert_eq!((owner.members[0].role, owner.members[0].bare), (Some("owner"), false));
    // Nor is it where somebody else is owner since.
    let mut beside = begin.to_vec();
    beside.extend([
        tell(1),
        Command::Grant { member: 1, role: "owner" },
        Command::SetPassword { member: 1 },
        say(0, true),
        Command::OffBoard { member: 1 },
    ]);
    let alone = holds(&beside);
    assert_eq!((alone.members[0].role, alone.members[1].state), (Some("member"), State::Active));
}

#[test]
fn whoever_stays_out_keeps_their_tombstones_whatever_the_directory_says_of_them() {
    let gives = Given { role: Some("member"), team: None, environment: None };
    let about = About::Key(0);
    let left = holds(&[
        by_default(CLAIMS, Some("member")),
        Command::MakeGroup { org: 0, directory: 0, group: 0, called: Called::first(0) },
        Command::Map { org: 0, directory: 0, about, gives },
        tell(0),
        Command::Join { user: 0, group: 0 },
        say(0, false),
        Command::Leave { user: 0, group: 0 },
        say(0, true),
        Command::Delete { user: 0 },
        Command::Arrive { person: 0, grouped: false },
    ]);
    assert_eq!(left.members.len(), 1, "nobody comes in as somebody new");
}

#[test]
fn a_rule_brings_nobody_back_of_whom_claims_alone_spoke() {
    let gives = Given { role: Some("member"), team: None, environment: None };
    let left = holds(&[
        Command::Map { org: 0, directory: CLAIMS, about: About::Key(0), gives },
        Command::Arrive { person: 0, grouped: true },
        Command::Arrive { person: 0, grouped: false },
        Command::Pass(7200),
        by_default(CLAIMS, Some("member")),
        Command::Arrive { person: 0, grouped: true },
    ]);
    assert_eq!(left.members[0].state, State::Deprovisioned);
}

#[test]
fn what_a_person_stopped_stays_stopped_when_its_orphan_gets_an_owner() {
    let left = holds(&[
        by_default(0, Some("member")),
        tell(0),
        an_agent(0, 0, OwnerLossRule::Pause, By::Root),
        Command::AgentKey { agent: 0, by: By::Root },
        Command::OrderAgent { agent: 0, order: Order::Pause },
        say(0, false),
        say(0, true),
        Command::Assign { agent: 0, owner: 0 },
    ]);
    assert!(left.agents[0].stopped);
}

#[test]
fn whoever_was_heir_or_chose_a_rule_is_neither_when_they_come_back() {
    for (rule, by) in [(OwnerLossRule::HandOver, By::Root), (OwnerLossRule::Keep, By::Member(1))] {
        let left = holds(&[
            by_default(0, Some("admin")),
            tell(0),
            tell(1),
            an_agent(0, 1, rule, by),
            say(1, false),
            say(1, true),
            say(0, false),
        ]);
        assert_eq!(left.agents[0].owner, 0, "{rule:?}");
    }
}

#[test]
fn whoever_chose_to_keep_an_agent_and_may_no_longer_does_not_get_it() {
    let left = holds(&[
        by_default(0, Some("member")),
        tell(0),
        tell(1),
        Command::Grant { member: 1, role: "admin" },
        an_agent(0, 0, OwnerLossRule::Keep, By::Member(1)),
        Command::EndGrant { grant: 0 },
        say(0, false),
    ]);
    assert_eq!(left.agents[0].owner, 0);
}

#[test]
fn an_agent_that_waits_for_keys_is_in_the_receipt_of_the_end_that_stopped_it() {
    let left = holds(&[
        by_default(0, Some("member")),
        tell(0),
        tell(1),
        an_agent(0, 1, OwnerLossRule::HandOver, By::Root),
        say(0, false),
    ]);
    assert_eq!(left.members[0].receipts[0].agents.len(), 1);
}
