//! What must hold after every command: the product's rows against the model, and the invariants by themselves.
//!
//! Rows are read past the product, so that a look-up which hides a fault hides nothing here. Each finding begins with
//! the invariant that is broken, as the design numbers them.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_domain::text::Slug;
use portcullis_domain::tombstone::Identifier;
use portcullis_service::ServiceError;
use portcullis_service::evaluation::{About, ask};
use serde_json::{Value, json};

use super::braked;
use super::command::ORGANIZATIONS;
use super::model::{AgentState, End, Expect, Holder, Member, Model, Name, State};
use super::raw::{NULL, Raw};
use super::returning;
use super::world::{World, address};

/// Tables that belong to one organization, each with what its rows are found and ordered by.
const OF_ORGANIZATION: &[&str] = &[
    "SELECT * FROM environments WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM roles WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM memberships WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM directories WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM directory_users WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM directory_groups WHERE organization = '{org}' ORDER BY id",
    "SELECT f.* FROM directory_user_facets f JOIN directory_users u ON u.id = f.directory_user \
     WHERE u.organization = '{org}' ORDER BY f.directory_user, f.source, f.source_key",
    "SELECT s.* FROM directory_subgroups s JOIN directory_groups g ON g.id = s.parent \
     WHERE g.organization = '{org}' ORDER BY s.parent, s.child",
    "SELECT m.* FROM directory_members m JOIN directory_groups g ON g.id = m.directory_group \
     WHERE g.organization = '{org}' ORDER BY m.directory_group, m.directory_user",
    "SELECT * FROM mappings WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM grants WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM holds WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM held_people WHERE organization = '{org}' ORDER BY hold, membership",
    "SELECT * FROM agents WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM tokens WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM tombstones WHERE organization = '{org}' ORDER BY membership, kind, value",
    "SELECT * FROM receipts WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM outbox WHERE organization = '{org}' ORDER BY id",
    "SELECT * FROM audit_events WHERE organization = '{org}' ORDER BY id",
];

/// Events that stand for a change of a membership's stored access.
const ACCESS: [&str; 3] = ["member.access_changed", "member.deprovisioned", "member.revived"];
/// The event of an end that is held: access changes with it, but for somebody who had none.
const HELD: &str = "member.held";
/// Events that stand for a change of an agent's state or owner.
const AGENT: [&str; 5] =
    ["agent.paused", "agent.resumed", "agent.orphaned", "agent.handed_over", "agent.disabled"];

/// A finding: which invariant, and what is wrong.
pub(crate) type Finding = String;

macro_rules! ensure {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}

/// What was there after the last command.
#[derive(Default)]
pub(crate) struct Seen {
    dumps: Vec<Vec<Vec<Vec<String>>>>,
    /// A membership's stored access, with why it ended.
    access: BTreeMap<String, Vec<String>>,
    /// The directory that governs a membership.
    governed: BTreeMap<String, String>,
    agents: BTreeMap<String, Vec<String>>,
    ended_tokens: BTreeSet<String>,
    tokens: BTreeSet<String>,
    events: BTreeSet<String>,
}

/// Who did the last command, as its events must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doer {
    pub(crate) org: Option<usize>,
    pub(crate) directory: Option<usize>,
    /// Through which doors: where a job follows at once, there are two.
    pub(crate) kinds: &'static [&'static str],
}

fn dump(raw: &mut Raw, world: &World, org: usize) -> Vec<Vec<Vec<String>>> {
    let id = world.ids.organizations[org].to_string();
    OF_ORGANIZATION.iter().map(|sql| raw.rows(&sql.replace("{org}", &id))).collect()
}

/// Everything that must hold now. `doer` is who did what has just happened.
pub(crate) fn check(
    world: &World,
    model: &Model,
    raw: &mut Raw,
    seen: &mut Seen,
    doer: Doer,
) -> Result<(), Finding> {
    other_organizations(world, raw, seen, doer)?;
    explicit_roles(raw)?;
    returning::nothing_of_before(raw)?;
    nests(world, model, raw)?;
    titles(world, model, raw)?;
    members(world, model, raw)?;
    braked::holds(world, model, raw)?;
    counted(world, model)?;
    decisions(world, model)?;
    tokens(world, model, raw, seen)?;
    agents(world, model, raw)?;
    tombstones(world, model, raw)?;
    returning::doors(world, model, raw)?;
    receipts(world, model, raw)?;
    users(world, model, raw)?;
    events(world, raw, seen, doer)
}

/// I8, and I3 for everything but users: what happens in one organization changes nothing in another.
fn other_organizations(world: &World, raw: &mut Raw, seen: &mut Seen, doer: Doer) -> Result<(), Finding> {
    let dumps: Vec<_> = (0..ORGANIZATIONS).map(|org| dump(raw, world, org)).collect();
    for (org, before) in seen.dumps.iter().enumerate() {
        let same = Some(org) == doer.org || doer.kinds == ["rule"] || *before == dumps[org];
        ensure!(same, "I8: {doer:?} changed something of organization {org}");
    }
    seen.dumps = dumps;
    Ok(())
}

/// I9: what is said of groups in groups is kept as it was said, whether it counts or not.
fn nests(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let stored: BTreeSet<Vec<String>> =
        raw.rows("SELECT parent, child FROM directory_subgroups").into_iter().collect();
    let id = |key: (usize, usize, usize)| world.ids.groups[&key].to_string();
    let must: BTreeSet<Vec<String>> = model
        .nests
        .iter()
        .map(|&(o, d, parent, child)| vec![id((o, d, parent)), id((o, d, child))])
        .collect();
    ensure!(stored == must, "I9: groups in groups are {stored:?}, must be {must:?}");
    Ok(())
}

/// I9: what mappings can name of a person is what was said last.
fn titles(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let stored: BTreeSet<Vec<String>> =
        raw.rows("SELECT directory_user, source_key FROM directory_user_facets").into_iter().collect();
    let told = model.told.iter().zip(&world.ids.told).filter(|(told, _)| !told.gone);
    let titled = told.filter_map(|(told, id)| told.title.map(|title| (id.to_string(), title)));
    let must: BTreeSet<Vec<String>> =
        titled.map(|(id, title)| vec![id, format!("title=Title {title}")]).collect();
    ensure!(stored == must, "I9: titles are {stored:?}, must be {must:?}");
    Ok(())
}

/// What everybody may do, as it is stored.
pub(crate) fn access(raw: &mut Raw) -> Vec<Vec<String>> {
    raw.rows("SELECT id, state, role, teams, environments, reasons FROM memberships ORDER BY id")
}

/// I10: roles, groups and states in attributes that nobody asks for are kept as they were said, and move nobody's access.
pub(crate) fn nobody_gained(raw: &mut Raw, stood: &[Vec<String>]) -> Result<(), Finding> {
    let stands = access(raw);
    let moved: Vec<_> = stands.iter().filter(|row| !stood.contains(row)).collect();
    ensure!(moved.is_empty(), "I10: by what they boasted of now stand {moved:?}");
    Ok(())
}

/// I2: an explicit-only role stands on a grant by a person, whatever the mappings say.
fn explicit_roles(raw: &mut Raw) -> Result<(), Finding> {
    let without = raw.rows(
        "SELECT m.id, m.role FROM memberships m WHERE m.role IN ('owner', 'break-glass') AND NOT EXISTS \
         (SELECT 1 FROM grants g WHERE g.membership = m.id AND g.role = m.role AND g.ended_at IS NULL)",
    );
    ensure!(without.is_empty(), "I2: an explicit-only role without a grant: {without:?}");
    Ok(())
}

const fn state(state: State) -> &'static str {
    match state {
        State::Invited => "invited",
        State::Active => "active",
        State::Suspended => "suspended",
        State::Deprovisioned => "deprovisioned",
    }
}

fn because(end: Option<End>) -> &'static str {
    match end {
        None => NULL,
        Some(End::Inactive) => "inactive",
        Some(End::Deleted) => "deleted",
        Some(End::Unmapped) => "unmapped",
        Some(End::Administrator) => "administrator",
    }
}

fn expected(world: &World, member: &Member) -> Vec<String> {
    let governor =
        member.governed_by.map_or(NULL.to_owned(), |d| world.ids.directories[member.org][d].to_string());
    let flag = |set: bool| if set { "set" } else { NULL };
    vec![
        world.ids.organizations[member.org].to_string(),
        if member.addressed { address(member.person) } else { String::new() },
        state(member.state).to_owned(),
        member.role.unwrap_or(NULL).to_owned(),
        json!(member.teams).to_string(),
        json!(member.environments).to_string(),
        because(member.ended).to_owned(),
        governor,
        flag(member.suspended).to_owned(),
        flag(member.bare).to_owned(),
    ]
}

fn flagged(value: &str) -> String {
    if value == NULL { NULL.to_owned() } else { "set".to_owned() }
}

fn same_json(text: &str) -> String {
    serde_json::from_str::<Value>(text).expect("JSON").to_string()
}

/// Stored access is what the model says, person by person (I9 within one order of arrival).
fn members(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let rows = raw.rows(
        "SELECT id, organization, email, state, role, teams, environments, ended_because, governed_by, \
         suspended_at, bare_owner_at FROM memberships ORDER BY id",
    );
    let stored: BTreeMap<String, Vec<String>> = rows
        .into_iter()
        .map(|mut row| {
            let id = row.remove(0);
            (row[4], row[5]) = (same_json(&row[4]), same_json(&row[5]));
            (row[8], row[9]) = (flagged(&row[8]), flagged(&row[9]));
            (id, row)
        })
        .collect();
    ensure!(stored.len() == model.members.len(), "I9: {} memberships are stored", stored.len());
    for (n, member) in model.members.iter().enumerate() {
        let (is, must) = (stored.get(&world.ids.members[n].to_string()), expected(world, member));
        ensure!(is == Some(&must), "I9: member {n} is {is:?}, must be {must:?}");
    }
    Ok(())
}

/// I1: whoever comes in by a connection has a session, and nobody else.
fn counted(world: &World, model: &Model) -> Result<(), Finding> {
    let (is, must) = (world.ids.tokens.len(), model.tokens.len());
    ensure!(is == must, "I1: {is} tokens were issued, must be {must}");
    Ok(())
}

/// I1: every token that was ever issued answers as the model says, now.
fn decisions(world: &World, model: &Model) -> Result<(), Finding> {
    for (n, (is, must)) in answers(world, model).into_iter().enumerate() {
        ensure!(is == must, "I1: token {n} ({:?}) answers `{is}`, must `{must}`", model.tokens[n]);
    }
    Ok(())
}

/// What the product answers about every token, and what the model says.
pub(crate) fn answers(world: &World, model: &Model) -> Vec<(&'static str, &'static str)> {
    let questions: Vec<_> = model
        .tokens
        .iter()
        .zip(&world.ids.tokens)
        .map(|(row, (_, secret))| (world.ids.organizations[row.org], row.environment, secret.clone()))
        .collect();
    let portcullis = world.bench.portcullis().clone();
    let now = portcullis.now();
    let store = std::sync::Arc::clone(&portcullis.around().store);
    let answers = store.read_blocking(move |tx| {
        let mut answers = Vec::new();
        for (organization, environment, secret) in &questions {
            let environment: Slug = environment.parse()?;
            let about = About::Organization(*organization);
            answers.push(ask(tx, portcullis.uses(), secret, about, &environment, now)?.decision.code());
        }
        Ok::<_, ServiceError>(answers)
    });
    let must = model.tokens.iter().map(|t| model.decision(t));
    answers.expect("checks are answered").into_iter().zip(must).collect()
}

/// I4: what ended has ended; what the model says has ended did, and nothing else.
fn tokens(world: &World, model: &Model, raw: &mut Raw, seen: &Seen) -> Result<(), Finding> {
    let rows = raw.rows("SELECT id, ended_at, shown_to FROM tokens");
    let stored: BTreeMap<_, _> = rows.iter().map(|r| (r[0].clone(), (r[1] != NULL, r[2].clone()))).collect();
    for id in &seen.ended_tokens {
        ensure!(stored.get(id).is_some_and(|(ended, _)| *ended), "I4: the ended token {id} came back");
    }
    for (n, row) in model.tokens.iter().enumerate() {
        let shown = row.shown_to.map_or(NULL.to_owned(), |m| world.ids.members[m].to_string());
        let (is, must) = (stored.get(&world.ids.tokens[n].0.to_string()), (row.ended, shown));
        ensure!(is == Some(&must), "I4: token {n} is stored as {is:?}, must be {must:?}");
    }
    Ok(())
}

const fn agent_state(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Paused => "paused",
        AgentState::Orphaned => "orphaned",
        AgentState::Disabled => "disabled",
    }
}

/// I4: agents are where their rules put them, and an orphaned one stays stopped.
fn agents(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let rows = raw.rows("SELECT id, organization, owner, state, heir, rule_chosen_by FROM agents");
    let stored: BTreeMap<_, _> = rows.iter().map(|r| (r[0].clone(), r[1..].to_vec())).collect();
    for (n, row) in model.agents.iter().enumerate() {
        let organization = world.ids.organizations[row.org].to_string();
        let owner = world.ids.members[row.owner].to_string();
        let [heir, chosen_by] = [row.heir, row.chosen_by]
            .map(|m| m.map_or(NULL.to_owned(), |m| world.ids.members[m].to_string()));
        let must = vec![organization, owner, agent_state(row.state).to_owned(), heir, chosen_by];
        let is = stored.get(&world.ids.agents[n].to_string());
        ensure!(is == Some(&must), "I4: agent {n} is {is:?}, must be {must:?}");
    }
    Ok(())
}

/// I4: a tombstone holds every identifier that a leaver ever had, until somebody with the right names it anew.
fn tombstones(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let rows =
        raw.rows("SELECT organization, kind, value, membership FROM tombstones WHERE lifted_at IS NULL");
    let stored: BTreeSet<Vec<String>> = rows.into_iter().collect();
    let must: BTreeSet<Vec<String>> = model
        .tombstones
        .iter()
        .flat_map(|(org, person, name, member)| {
            let identifiers = identifiers(world, (*org, *person), *name);
            let organization = world.ids.organizations[*org].to_string();
            let member = world.ids.members[*member].to_string();
            identifiers.into_iter().map(move |Identifier { kind, value }| {
                vec![organization.clone(), kind.as_str().to_owned(), value, member.clone()]
            })
        })
        .collect();
    let missing: Vec<_> = must.difference(&stored).collect();
    let surplus: Vec<_> = stored.difference(&must).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "I4: tombstones: missing {missing:?}, not to be {surplus:?}"
    );
    Ok(())
}

/// What a name is, as tombstones lie on it.
pub(super) fn identifiers(world: &World, (org, person): (usize, usize), name: Name) -> Vec<Identifier> {
    match name {
        Name::Login => vec![Identifier::user_name(&address(person))],
        Name::Email => vec![Identifier::email(&address(person))],
        Name::External(directory) => {
            let directory = world.ids.directories[org][directory];
            vec![Identifier::external_id(directory, &format!("ext-{person}"))]
        }
        Name::Claimed => world.claimed(person),
    }
}

/// A receipt names each token and agent that ended, no more and no less.
fn receipts(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let mut stored: BTreeMap<String, Vec<BTreeSet<(String, String)>>> = BTreeMap::new();
    for receipt in raw.rows("SELECT id, membership FROM receipts ORDER BY id") {
        let lines =
            raw.rows(&format!("SELECT kind, item FROM receipt_lines WHERE receipt = '{}'", receipt[0]));
        let lines = lines.into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
        stored.entry(receipt[1].clone()).or_default().push(lines);
    }
    for (n, member) in model.members.iter().enumerate() {
        let must: Vec<BTreeSet<(String, String)>> = member
            .receipts
            .iter()
            .map(|receipt| {
                let tokens = receipt.tokens.iter().map(|t| ("token", world.ids.tokens[*t].0.to_string()));
                let agents = receipt.agents.iter().map(|a| ("agent", world.ids.agents[*a].to_string()));
                tokens.chain(agents).map(|(kind, id)| (kind.to_owned(), id)).collect()
            })
            .collect();
        let is = stored.remove(&world.ids.members[n].to_string()).unwrap_or_default();
        ensure!(is == must, "I5: the receipts of member {n} say {is:?}, must say {must:?}");
    }
    ensure!(stored.is_empty(), "I5: receipts of nobody: {stored:?}");
    Ok(())
}

/// I3: a user ends with the last membership, and not before.
fn users(world: &World, model: &Model, raw: &mut Raw) -> Result<(), Finding> {
    let rows = raw.rows(
        "SELECT m.id, u.ended_at, (SELECT COUNT(*) FROM authenticators a WHERE a.user_id = u.id) \
         FROM memberships m JOIN users u ON u.id = m.user_id",
    );
    let stored: BTreeMap<_, _> =
        rows.into_iter().map(|r| (r[0].clone(), (r[1] != NULL, r[2] != "0"))).collect();
    for (n, member) in model.members.iter().enumerate() {
        let must = (model.is_user_ended(member.user), model.users[member.user]);
        let is = stored.get(&world.ids.members[n].to_string());
        ensure!(
            is == Some(&must),
            "I3: the user of member {n} is {is:?} (ended, can sign in), must be {must:?}"
        );
    }
    Ok(())
}

/// I5: each change of stored access, of an agent and of a token has exactly one event, and the event says why.
fn events(world: &World, raw: &mut Raw, seen: &mut Seen, doer: Doer) -> Result<(), Finding> {
    let rows = raw.rows("SELECT id, action, target, content FROM audit_events ORDER BY id");
    let known: BTreeSet<String> = rows.iter().map(|r| r[0].clone()).collect();
    let lost: Vec<_> = seen.events.difference(&known).collect();
    ensure!(lost.is_empty(), "I5: events are gone: {lost:?}");
    let new: Vec<&Vec<String>> = rows.iter().filter(|r| !seen.events.contains(&r[0])).collect();
    // That somebody is kept who was here because of a directory is told beside what it changes.
    let is_beside = |r: &[String]| r[1] == "member.access_changed" && r[3].contains("\"kept_from\"");
    let count = |target: &str, actions: &[&str]| {
        new.iter().filter(|r| r[2] == target && actions.contains(&r[1].as_str()) && !is_beside(r)).count()
    };

    let access = raw
        .rows("SELECT id, state, role, teams, environments, reasons, until, ended_because FROM memberships");
    let access: BTreeMap<_, _> = access.into_iter().map(|r| (r[0].clone(), r[1..].to_vec())).collect();
    let governed = raw.rows("SELECT id, governed_by FROM memberships");
    let governed: BTreeMap<_, _> = governed.into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
    for (id, is) in &access {
        let created = count(id, &["member.created"]);
        let held = count(id, &[HELD]);
        let unchanged = seen.access.get(id).is_some_and(|was| was == is);
        let changed = count(id, &ACCESS) + if unchanged { 0 } else { held };
        let (must_create, must_change) = match seen.access.get(id) {
            // A newcomer may come and go, or come and be settled, by one statement: each is stored with its event.
            None => (1, usize::from(is[0] == "deprovisioned").max(changed.min(1))),
            // Another directory that governs somebody has an event too, unless it goes with one that is told of otherwise.
            Some(was) if was == is && seen.governed.get(id) != governed.get(id) => (0, changed.min(1)),
            Some(was) => (0, usize::from(was != is)),
        };
        ensure!(
            (created, changed) == (must_create, must_change),
            "I5: member {id} has {created} events of coming and {changed} of access, must have {must_create} and {must_change}"
        );
    }
    let agents = raw.rows("SELECT id, owner, state FROM agents");
    let agents: BTreeMap<_, _> = agents.into_iter().map(|r| (r[0].clone(), r[1..].to_vec())).collect();
    for (id, is) in &agents {
        let Some(was) = seen.agents.get(id) else {
            ensure!(count(id, &["agent.created"]) == 1, "I5: agent {id} came without an event");
            continue;
        };
        // Where an owner and the heir end by one change of rules, the agent goes from one to the other and stops.
        let changed = count(id, &AGENT);
        let ends = new.iter().filter(|r| r[1] == "member.deprovisioned").count().max(1);
        ensure!(was == is || (1..=ends).contains(&changed), "I5: agent {id} changed with {changed} events");
    }
    let tokens = raw.rows("SELECT id, ended_at FROM tokens");
    let ended: BTreeSet<String> = tokens.iter().filter(|r| r[1] != NULL).map(|r| r[0].clone()).collect();
    let tokens: BTreeSet<String> = tokens.into_iter().map(|r| r[0].clone()).collect();
    for id in &tokens {
        let must_issue = usize::from(!seen.tokens.contains(id));
        let must_end = usize::from(ended.contains(id) && !seen.ended_tokens.contains(id));
        let (issued, over) = (count(id, &["token.issued"]), count(id, &["token.ended"]));
        ensure!(
            (issued, over) == (must_issue, must_end),
            "I5: token {id} has {issued} events of issue and {over} of its end"
        );
    }
    for event in &new {
        causes(world, event, doer)?;
        leads_back(&rows, event)?;
    }
    seen.access = access;
    seen.governed = governed;
    seen.agents = agents;
    seen.tokens = tokens;
    seen.ended_tokens = ended;
    seen.events = known;
    Ok(())
}

/// The event's content names the door, the request and the directory.
fn causes(world: &World, event: &[String], doer: Doer) -> Result<(), Finding> {
    let content: Value = serde_json::from_str(&event[3]).expect("JSON");
    let cause = &content["cause"];
    ensure!(content["action"] == event[1].as_str(), "I5: event {} says another action", event[0]);
    // What was held is carried out because of what began it, and of the event that let it go.
    let let_go = doer.kinds == ["api"] && cause["directory"].is_string() && cause["event"].is_string();
    if let_go {
        return Ok(());
    }
    let kind = cause["kind"].as_str().unwrap_or_default();
    ensure!(doer.kinds.contains(&kind), "I5: event {} was caused by {cause}, not by {doer:?}", event[0]);
    if !["rule", "system"].contains(&kind) {
        ensure!(cause["request_id"].is_string(), "I5: event {} names no request: {cause}", event[0]);
    }
    if let (Some(org), Some(directory)) = (doer.org, doer.directory) {
        let must = world.ids.directories[org][directory].to_string();
        ensure!(cause["directory"] == must.as_str(), "I5: event {} names no directory: {cause}", event[0]);
    }
    Ok(())
}

/// An end that the job carries out follows from what left the person without a mapping, or without the directory that
/// governed them, and names its request.
fn leads_back(rows: &[Vec<String>], event: &[String]) -> Result<(), Finding> {
    let content = |row: &[String]| serde_json::from_str::<Value>(&row[3]).expect("JSON");
    let said = content(event);
    if event[1] != "member.deprovisioned"
        || said["cause"]["kind"] != "rule"
        || said["actor"]["type"] != "system"
    {
        return Ok(());
    }
    let begun = rows.iter().find(|row| said["cause"]["event"] == row[0].as_str());
    let begun = begun.filter(|row| {
        (row[1] == "member.access_changed" && row[2] == event[2]) || row[1] == "directory.deleted"
    });
    let request = begun.map(|row| content(row)["cause"]["request_id"].clone());
    ensure!(
        request.as_ref() == Some(&said["cause"]["request_id"]),
        "I5: the end {said} does not lead back to what began it"
    );
    Ok(())
}

/// What the product must have answered.
pub(crate) fn answered(expect: Expect, answer: &Result<(), ServiceError>) -> Result<(), Finding> {
    match (expect, answer) {
        (Expect::Done, Err(error)) => Err(format!("a command that must be carried out: {error:?}")),
        (Expect::Refused, Ok(())) => Err("a command that must be refused was carried out".to_owned()),
        _ => Ok(()),
    }
}

/// What stands behind a token in the model: for readers of a finding.
pub(crate) fn holder(model: &Model, holder: Holder) -> String {
    match holder {
        Holder::Member(m) => format!("member {m}: {:?}", model.members[m]),
        Holder::Agent(a) => format!("agent {a}: {:?}", model.agents[a]),
    }
}
