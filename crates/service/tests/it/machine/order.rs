//! The same facts in another order (I9), and the log that a stranger verifies (I5).

use portcullis_service::audit_export::{self, Known};
use portcullis_testkit::Bench;

use super::Machine;
use super::check::Finding;
use super::command::{CLAIMS, Command};
use super::model::{Expect, Member, Model, State};
use super::raw::{NULL, Raw};
use super::world::World;

/// How the finding begins that somebody has other access by the same facts.
pub(crate) const OTHERWISE: &str = "I9: in another order";

/// Exports the log of each organization and verifies it as a stranger would.
pub(crate) fn log_verifies(machine: &mut Machine) -> Result<(), Finding> {
    for organization in machine.world.ids.organizations.clone() {
        let lines = machine.world.bench.write(move |tx, _| {
            let mut text = Vec::new();
            audit_export::export(tx, organization, |line| {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
                Ok(())
            })?;
            Ok(text)
        });
        let verified = audit_export::verify(lines.as_slice(), &Known::default());
        let events = verified.map_err(|found| format!("I5: the log does not verify: {found}"))?.events;
        let count = format!("SELECT COUNT(*) FROM audit_events WHERE organization = '{organization}'");
        let rows = machine.raw.rows(&count);
        if rows[0][0] != events.to_string() {
            return Err(format!("I5: {events} of {} events are in the export", rows[0][0]));
        }
    }
    Ok(())
}

/// Gives the facts that stand at the end of a run to an empty product, the other way round: rules last instead of
/// first, people last to first. Whoever has nothing but those facts has the same access; how many they were. `planted` is
/// what the empty product does wrong from the beginning: SQL, or nothing.
pub(crate) fn replays(machine: &Machine, planted: &str) -> Result<usize, Finding> {
    let then = &machine.model;
    let mut world = World::new(Bench::sqlite());
    let mut raw = Raw::of(&world.bench);
    raw.batch(planted);
    let mut now = Model { now: World::start_s(), ..Model::default() };
    let mut same: Vec<(usize, usize)> = Vec::new();
    let mut again: Vec<Command> = then
        .groups
        .iter()
        .rev()
        .filter(|((_, directory, _), _)| *directory != CLAIMS)
        .map(|(&(org, directory, group), &called)| Command::MakeGroup { org, directory, group, called })
        .collect();
    for (n, told) in then.told.iter().enumerate().rev() {
        if !is_plain(then, n) {
            continue;
        }
        same.push((told.member, same.len()));
        let (org, directory, person) = (told.org, told.directory, told.person);
        again.push(Command::Tell { org, directory, person, active: true });
    }
    let places = then.told.iter().enumerate().rev().filter(|(n, _)| is_plain(then, *n));
    for (user, (_, told)) in places.enumerate() {
        again.extend(told.title.map(|title| Command::Title { user, title: Some(title) }));
        again.extend(told.groups.iter().rev().map(|group| Command::Join { user, group: *group }));
    }
    let nests = then.nests.iter().rev();
    again.extend(nests.map(|&(org, directory, parent, child)| Command::Nest {
        org,
        directory,
        parent,
        child,
    }));
    for org in (0..2).rev() {
        again.extend((0..2).rev().map(|directory| Command::Nesting {
            org,
            directory,
            counts: then.nesting[org][directory],
        }));
    }
    for &(was, is) in &same {
        if then.members[was].suspended {
            again.push(Command::Suspend { member: is });
        }
        let grants = then.grants.iter().rev().filter(|g| g.member == was && g.live);
        again.extend(grants.map(|g| Command::Grant { member: is, role: g.role }));
    }
    for rule in then.mappings.iter().rev().filter(|m| !m.gone) {
        let (org, directory, about) = (rule.org, rule.directory, rule.about);
        again.push(Command::Map { org, directory, about, gives: rule.gives.clone() });
    }
    for org in (0..2).rev() {
        again.extend((0..2).rev().map(|directory| Command::Default {
            org,
            directory,
            role: then.defaults[org][directory],
        }));
    }
    for command in &again {
        now.now += 1;
        world.set_time(now.now);
        let before = now.clone();
        if now.carry_out(command) != Expect::Nothing {
            let answer = world.carry_out(command, &before);
            answer.map_err(|error| format!("I9: {command:?} again: {error:?}"))?;
        }
    }
    let mut stored = |id: String| {
        let select = "SELECT state, role, teams, environments FROM memberships WHERE id =";
        raw.rows(&format!("{select} '{id}'")).concat()
    };
    for &(was, is) in &same {
        let must = shown(&then.members[was]);
        let found = stored(world.ids.members[is].to_string());
        if found != must {
            return Err(format!("{OTHERWISE} member {was} has {found:?}, not {must:?}"));
        }
    }
    Ok(same.len())
}

/// Whether all that is known of a person is that one directory tells of them now: no past that counts.
fn is_plain(model: &Model, told: usize) -> bool {
    let user = &model.told[told];
    let member = &model.members[user.member];
    let of_theirs = |t: &&super::model::Told| t.member == user.member;
    // An address that two memberships share is recognized by history, and so is who governs.
    let shares = |m: &&Member| (m.org, m.person) == (member.org, member.person);
    user.directory != CLAIMS
        && !user.gone
        && user.active
        && member.ended.is_none()
        && !member.joined
        && !model.brakes.is_about(user.member)
        && model.told.iter().filter(of_theirs).count() == 1
        && model.members.iter().filter(shares).count() == 1
}

fn shown(member: &Member) -> Vec<String> {
    let state = match member.state {
        State::Invited => "invited",
        State::Active => "active",
        State::Suspended => "suspended",
        State::Deprovisioned => "deprovisioned",
    };
    let role = member.role.unwrap_or(NULL).to_owned();
    let teams = serde_json::json!(member.teams).to_string();
    vec![state.to_owned(), role, teams, serde_json::json!(member.environments).to_string()]
}
