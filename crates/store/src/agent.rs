//! Agents: rows with an owner, a rule for the owner's loss, and a state.

use std::collections::BTreeMap;

use portcullis_domain::agent::{Agent, AgentState};
use portcullis_domain::change::AgentChange;
use portcullis_domain::id::{AgentId, MembershipId, OrganizationId};
use portcullis_domain::role::Rank;

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

macro_rules! columns {
    () => {
        "id, organization, name, owner, heir, on_owner_loss, rule_chosen_by, environment, state, created_at"
    };
}

const CREATE: Statement = Statement::change(
    "agent.create",
    "INSERT INTO agents (id, organization, name, owner, heir, on_owner_loss, rule_chosen_by, environment, state, \
     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
const UPDATE: Statement = Statement::change(
    "agent.update",
    "UPDATE agents SET name = $2, heir = $3, environment = $4, on_owner_loss = $5, rule_chosen_by = $6 \
     WHERE id = $1 AND organization = $7",
);
// `disabled` is the end: no state and no owner leads back from it.
const SET_STATE: Statement = Statement::change(
    "agent.set_state",
    "UPDATE agents SET state = $2, paused_rank = $4 WHERE id = $1 AND organization = $3 AND state <> 'disabled'",
);
// Who stopped it before that is kept: with a new owner it does not go on by itself.
const ORPHAN: Statement = Statement::change(
    "agent.orphan",
    "UPDATE agents SET state = 'orphaned' WHERE id = $1 AND organization = $2 AND state <> 'disabled'",
);
const FORGET_HEIR: Statement = Statement::change(
    "agent.forget_heir",
    "UPDATE agents SET heir = NULL WHERE heir = $1 AND organization = $2 RETURNING id",
);
const FORGET_CHOOSER: Statement = Statement::change(
    "agent.forget_chooser",
    "UPDATE agents SET rule_chosen_by = NULL WHERE rule_chosen_by = $1 AND organization = $2 RETURNING id",
);
const PAUSED_RANK: Statement = Statement::read(
    "agent.paused_rank",
    "SELECT paused_rank FROM agents WHERE id = $1 AND organization = $2",
);
// The heir whose it is now is the heir no more: an agent that stayed with both could not be changed, and would go to nobody.
const SET_OWNER: Statement = Statement::change(
    "agent.set_owner",
    "UPDATE agents SET owner = $2, state = $3, heir = CASE WHEN heir = $2 THEN NULL ELSE heir END WHERE id = $1 AND organization = $4 AND state <> 'disabled'",
);
const FIND: Statement = Statement::read(
    "agent.find",
    concat!("SELECT ", columns!(), " FROM agents WHERE organization = $1 AND id = $2"),
);
const LIST: Statement = Statement::read(
    "agent.list",
    concat!("SELECT ", columns!(), " FROM agents WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const LIST_OF_OWNER: Statement = Statement::read(
    "agent.list_of_owner",
    concat!(
        "SELECT ",
        columns!(),
        " FROM agents WHERE owner = $2 AND organization = $1 AND id > $3 ORDER BY id LIMIT $4"
    ),
);
const COUNT_LIVING: Statement = Statement::read(
    "agent.count_living",
    "SELECT COUNT(*) FROM (SELECT id FROM agents WHERE owner = $2 AND organization = $1 AND state <> 'disabled' \
     LIMIT $3) living",
);

/// The statements about agents.
pub(crate) const ALL: &[&Statement] = &[
    &CREATE,
    &UPDATE,
    &SET_STATE,
    &ORPHAN,
    &FORGET_HEIR,
    &FORGET_CHOOSER,
    &PAUSED_RANK,
    &SET_OWNER,
    &FIND,
    &LIST,
    &LIST_OF_OWNER,
    &COUNT_LIVING,
];

fn read(row: &Row) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        name: row.text(2)?.to_owned(),
        owner: row.parsed(3)?,
        heir: row.opt_parsed(4)?,
        on_owner_loss: row.parsed(5)?,
        rule_chosen_by: row.opt_parsed(6)?,
        environment: row.parsed(7)?,
        state: row.parsed(8)?,
        created_at: row.at(9)?,
    })
}

/// What an agent has no longer once somebody is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// They were its heir.
    pub(crate) heir: bool,
    /// They chose its rule.
    pub(crate) chooser: bool,
}

/// Carries a change out; of [`AgentChange::Forget`] which agents it touched.
pub(crate) fn apply(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    change: &AgentChange,
) -> Result<BTreeMap<AgentId, Forgotten>, StoreError> {
    match change {
        AgentChange::Forget(member) => return forget(tx, organization, *member),
        AgentChange::Create(a) => tx
            .run(
                &CREATE,
                params![
                    a.id,
                    a.organization,
                    a.name,
                    a.owner,
                    a.heir,
                    a.on_owner_loss.as_str(),
                    a.rule_chosen_by,
                    a.environment,
                    a.state.as_str(),
                    a.created_at,
                ],
            )
            .map(|_| ()),
        AgentChange::Update { id, name, heir, environment, on_owner_loss, rule_chosen_by } => {
            let rule = on_owner_loss.as_str();
            tx.run_on_row(&UPDATE, params![id, name, heir, environment, rule, rule_chosen_by, organization])
        }
        AgentChange::SetState(id, state, by) => {
            let by = by.map(Rank::number);
            tx.run_on_row(&SET_STATE, params![id, state.as_str(), organization, by])
        }
        AgentChange::SetOwner(id, owner, state, _) => {
            tx.run_on_row(&SET_OWNER, params![id, owner, state.as_str(), organization])
        }
        // Either may have ended before.
        AgentChange::Disable(id, _) => {
            let state = AgentState::Disabled.as_str();
            tx.run(&SET_STATE, params![id, state, organization, None::<i64>]).map(|_| ())
        }
        AgentChange::Orphan(id, _) => tx.run(&ORPHAN, params![id, organization]).map(|_| ()),
    }?;
    Ok(BTreeMap::new())
}

/// Nothing is left to somebody, nor for having chosen a rule.
fn forget(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    member: MembershipId,
) -> Result<BTreeMap<AgentId, Forgotten>, StoreError> {
    let mut forgotten: BTreeMap<AgentId, Forgotten> = BTreeMap::new();
    for row in tx.rows(&FORGET_HEIR, params![member, organization])? {
        forgotten.entry(row.parsed(0)?).or_default().heir = true;
    }
    for row in tx.rows(&FORGET_CHOOSER, params![member, organization])? {
        forgotten.entry(row.parsed(0)?).or_default().chooser = true;
    }
    Ok(forgotten)
}

/// How high stands who stopped an agent, if a person did.
///
/// # Errors
/// As [`find`].
pub fn paused_rank(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: AgentId,
) -> Result<Option<Rank>, StoreError> {
    tx.row(&PAUSED_RANK, params![id, organization])?.map_or(Ok(None), |row| row.opt_rank(0))
}

/// An agent of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(tx: &mut Tx<'_>, organization: OrganizationId, id: AgentId) -> Result<Option<Agent>, StoreError> {
    tx.row(&FIND, params![organization, id])?.as_ref().map(read).transpose()
}

/// How many agents a membership has that have not ended; counted no further than `most`.
///
/// # Errors
/// As [`find`].
pub fn count_living(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    owner: MembershipId,
    most: i64,
) -> Result<i64, StoreError> {
    let row = tx.row(&COUNT_LIVING, params![organization, owner, most])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// A page of agents in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Agent>, StoreError> {
    tx.rows(&LIST, params![organization, after.unwrap_or(""), limit])?.iter().map(read).collect()
}

/// A page of a membership's agents in order of id, after `after`.
///
/// # Errors
/// As [`find`].
pub fn list_of_owner(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    owner: MembershipId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Agent>, StoreError> {
    tx.rows(&LIST_OF_OWNER, params![organization, owner, after.unwrap_or(""), limit])?
        .iter()
        .map(read)
        .collect()
}
