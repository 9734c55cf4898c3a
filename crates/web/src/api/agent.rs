//! Agents and their keys: `…/agents`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::agent::{Agent, AgentOrder, OwnerLossRule};
use portcullis_domain::id::{AgentId, MembershipId, TokenId};
use portcullis_domain::permission::Permission;
use portcullis_service::agent::{self, AgentPatch, NewAgent};
use portcullis_service::member_key::NewKey;
use portcullis_service::noun::Noun;
use portcullis_store::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::api::token::{IssuedToken, TokenWire, page};
use crate::body::{At, Body, Nothing, Page, PageQuery, Params, present, slug};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

const NOUN: Noun = Noun::Agent;

/// An agent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Agent")]
struct AgentWire {
    /// Its id.
    id: String,
    /// When it was made.
    created_at: At,
    /// Its name.
    name: String,
    /// The membership whose agent it is.
    owner: String,
    /// Where it may act.
    environment: String,
    /// Who gets it under `hand_over`.
    heir: Option<String>,
    /// What happens when the owner is off-boarded.
    #[schemars(extend("enum" = ["pause", "hand_over", "disable", "keep"]))]
    on_owner_loss: &'static str,
    /// The member who chose that; null for the default and for the root token.
    rule_chosen_by: Option<String>,
    /// `active` may act; `paused` was stopped by a person; `orphaned` waits for a new owner; `disabled` ended.
    #[schemars(extend("enum" = ["active", "paused", "orphaned", "disabled"]))]
    state: &'static str,
}

impl AgentWire {
    fn of(agent: &Agent) -> Self {
        Self {
            id: agent.id.to_string(),
            created_at: At(agent.created_at),
            name: agent.name.clone(),
            owner: agent.owner.to_string(),
            environment: agent.environment.to_string(),
            heir: agent.heir.map(|m| m.to_string()),
            on_owner_loss: agent.on_owner_loss.as_str(),
            rule_chosen_by: agent.rule_chosen_by.map(|m| m.to_string()),
            state: agent.state.as_str(),
        }
    }
}

/// What happens to an agent when its owner is off-boarded.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnOwnerLoss {
    /// It stops and waits for a new owner.
    Pause,
    /// It goes to the heir.
    HandOver,
    /// It ends.
    Disable,
    /// It goes to whoever chose this.
    Keep,
}

impl From<OnOwnerLoss> for OwnerLossRule {
    fn from(rule: OnOwnerLoss) -> Self {
        match rule {
            OnOwnerLoss::Pause => Self::Pause,
            OnOwnerLoss::HandOver => Self::HandOver,
            OnOwnerLoss::Disable => Self::Disable,
            OnOwnerLoss::Keep => Self::Keep,
        }
    }
}

/// An agent that is to be made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewAgent")]
struct New {
    /// Its name.
    name: String,
    /// The membership whose agent it is; must be active.
    #[schemars(with = "String")]
    owner: MembershipId,
    /// Where it may act, by slug; `production` if absent.
    environment: Option<String>,
    /// Who gets it under `hand_over`.
    #[schemars(with = "Option<String>")]
    heir: Option<MembershipId>,
    /// What happens when the owner is off-boarded; `pause` if absent.
    on_owner_loss: Option<OnOwnerLoss>,
}

/// What is to be different about an agent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AgentPatch")]
struct Patch {
    /// Its name.
    name: Option<String>,
    /// Where it may act, by slug. Another one ends its keys.
    environment: Option<String>,
    /// Who gets it under `hand_over`; null is nobody.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    heir: Option<Option<MembershipId>>,
    /// What happens when the owner is off-boarded.
    on_owner_loss: Option<OnOwnerLoss>,
}

/// Another owner.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewOwner {
    /// The membership; must be active.
    #[schemars(with = "String")]
    owner: MembershipId,
}

/// A key that is to be issued.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewAgentKey {
    /// Its name.
    name: String,
    /// When it runs out; never if absent.
    expires_at: Option<At>,
}

const ALL: &str = "/organizations/{org}/agents";
const ONE: &str = "/organizations/{org}/agents/{agt}";
const KEYS: &str = "/organizations/{org}/agents/{agt}/keys";
const KEY: &str = "/organizations/{org}/agents/{agt}/keys/{tok}";
const READ: Needs = Needs::PermissionOrOwn(Permission::AgentsRead);
const WRITE: Needs = Needs::PermissionOrOwn(Permission::AgentsWrite);

/// The rows.
pub fn operations() -> Vec<Operation> {
    let mut rows = vec![
        Operation::get(ALL, READ, "Lists the agents that one may see.", list)
            .paged()
            .gives::<Page<AgentWire>>(),
        Operation::create(ALL, WRITE, "Makes an agent.", create).takes::<New>().gives::<AgentWire>().refuses(
            &[
                "invalid_name",
                "invalid_slug",
                "above_own_rank",
                "member_inactive",
                "other_environment",
                "too_many_agents",
            ],
        ),
        Operation::get(ONE, READ, "Shows an agent.", show).gives::<AgentWire>(),
        Operation::patch(ONE, WRITE, "Changes an agent's name, environment, heir or rule.", patch)
            .takes::<Patch>()
            .gives::<AgentWire>()
            .refuses(&["invalid_name", "invalid_slug", "above_own_rank", "agent_state", "other_environment"]),
        Operation::delete(ONE, WRITE, "Ends an agent for good, with its keys.", disable)
            .refuses(&["above_own_rank"]),
    ];
    rows.extend(orders());
    rows.extend(keys());
    rows
}

fn orders() -> Vec<Operation> {
    vec![
        Operation::act("/organizations/{org}/agents/{agt}/pause", WRITE, "Stops an agent.", pause)
            .takes::<Nothing>()
            .gives::<AgentWire>()
            .refuses(&["above_own_rank", "agent_state"]),
        Operation::act("/organizations/{org}/agents/{agt}/resume", WRITE, "Lets an agent go on.", resume)
            .takes::<Nothing>()
            .gives::<AgentWire>()
            .refuses(&["above_own_rank", "agent_state"]),
        Operation::act(
            "/organizations/{org}/agents/{agt}/owner",
            WRITE,
            "Gives an agent another owner.",
            assign,
        )
        .takes::<NewOwner>()
        .gives::<AgentWire>()
        .refuses(&[
            "above_own_rank",
            "agent_state",
            "member_inactive",
            "other_environment",
            "too_many_agents",
        ]),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        Operation::get(KEYS, READ, "Lists an agent's keys, ended ones too.", list_keys)
            .paged()
            .gives::<Page<TokenWire>>(),
        Operation::create(KEYS, WRITE, "Issues a key that acts as the agent.", issue_key)
            .takes::<NewAgentKey>()
            .gives::<IssuedToken>()
            .refuses(&[
                "invalid_name",
                "above_own_rank",
                "agent_state",
                "member_inactive",
                "other_environment",
                "seen_by_others",
                "too_many_keys",
            ]),
        Operation::get(KEY, READ, "Shows an agent's key.", show_key).gives::<TokenWire>(),
        Operation::delete(KEY, WRITE, "Ends an agent's key.", revoke_key).refuses(&["above_own_rank"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<PageQuery>,
) -> Result<Json<Page<AgentWire>>, Problem> {
    let organization = scope.organization.id;
    let (limit, after) = wanted.bounds::<AgentId>()?;
    let found = app
        .portcullis()
        .read(move |tx, now| agent::list(tx, &scope.caller, organization, (&after, limit), now))
        .await?;
    Ok(Json(Page {
        items: found.items.iter().map(AgentWire::of).collect(),
        next: found.next.map(|id| id.to_string()),
        rules_pending: false,
    }))
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<New>,
) -> Result<Created, Problem> {
    let organization = scope.organization.id;
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    let wish = NewAgent {
        name: body.value.name,
        owner: body.value.owner,
        environment: slug("environment", body.value.environment.as_deref())?,
        heir: body.value.heir,
        on_owner_loss: body.value.on_owner_loss.map_or(OwnerLossRule::Pause, Into::into),
    };
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        Ok(AgentWire::of(&agent::create(tx, moment, &caller, organization, &wish, cause)?))
    })
    .await
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
) -> Result<Json<AgentWire>, Problem> {
    let about = (scope.organization.id, id(&agt, NOUN)?);
    let found = app.portcullis().read(move |tx, now| agent::find(tx, &scope.caller, about, now)).await?;
    Ok(Json(AgentWire::of(&found)))
}

async fn patch(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    body: Body<Patch>,
) -> Result<Json<AgentWire>, Problem> {
    let (about, cause) = ((scope.organization.id, id(&agt, NOUN)?), scope.cause());
    let wish = AgentPatch {
        name: body.value.name,
        environment: slug("environment", body.value.environment.as_deref())?,
        heir: body.value.heir,
        on_owner_loss: body.value.on_owner_loss.map(Into::into),
    };
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            agent::update(tx, moment, &scope.caller, about, &wish, cause)
        })
        .await?;
    Ok(Json(AgentWire::of(&changed)))
}

async fn disable(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (about, cause) = ((scope.organization.id, id(&agt, NOUN)?), scope.cause());
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            agent::disable(tx, moment, &scope.caller, about, cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn order(
    app: App,
    scope: Scope,
    agt: &str,
    (wish, priority): (AgentOrder, Priority),
) -> Result<Json<AgentWire>, Problem> {
    let about: (_, AgentId) = (scope.organization.id, id(agt, NOUN)?);
    let cause = scope.cause();
    let changed = app
        .portcullis()
        .write(priority, move |tx, moment| agent::order(tx, moment, &scope.caller, about, wish, cause))
        .await?;
    Ok(Json(AgentWire::of(&changed)))
}

async fn pause(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    _: Body<Nothing>,
) -> Result<Json<AgentWire>, Problem> {
    order(app, scope, &agt, (AgentOrder::Pause, Priority::OffBoarding)).await
}

async fn resume(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    _: Body<Nothing>,
) -> Result<Json<AgentWire>, Problem> {
    order(app, scope, &agt, (AgentOrder::Resume, Priority::Ordinary)).await
}

async fn assign(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    body: Body<NewOwner>,
) -> Result<Json<AgentWire>, Problem> {
    let (about, cause) = ((scope.organization.id, id(&agt, NOUN)?), scope.cause());
    let owner = body.value.owner;
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            agent::assign(tx, moment, &scope.caller, about, owner, cause)
        })
        .await?;
    Ok(Json(AgentWire::of(&changed)))
}

async fn list_keys(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    Params(wanted): Params<PageQuery>,
) -> Result<Json<Page<TokenWire>>, Problem> {
    let about = (scope.organization.id, id(&agt, NOUN)?);
    let (limit, after) = wanted.bounds::<TokenId>()?;
    let found = app
        .portcullis()
        .read(move |tx, now| agent::list_keys(tx, &scope.caller, about, (&after, limit + 1), now))
        .await?;
    Ok(Json(page(&found, limit)))
}

async fn issue_key(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt)): Path<(String, String)>,
    key: IdempotencyKey,
    body: Body<NewAgentKey>,
) -> Result<Created, Problem> {
    let about = (scope.organization.id, id(&agt, NOUN)?);
    let (caller, cause) = (scope.caller.clone(), scope.cause());
    let expires_at = body.value.expires_at.map(|at| at.0);
    let wish = NewKey { name: body.value.name, environment: None, expires_at };
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        Ok(IssuedToken::of(&agent::issue_key(tx, moment, &caller, about, &wish, cause)?))
    })
    .await
}

async fn show_key(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt, tok)): Path<(String, String, String)>,
) -> Result<Json<TokenWire>, Problem> {
    let (about, key) = ((scope.organization.id, id(&agt, NOUN)?), id(&tok, Noun::Key)?);
    let found =
        app.portcullis().read(move |tx, now| agent::find_key(tx, &scope.caller, about, key, now)).await?;
    Ok(Json(TokenWire::of(&found)))
}

async fn revoke_key(
    State(app): State<App>,
    scope: Scope,
    Path((_, agt, tok)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (about, key) = ((scope.organization.id, id(&agt, NOUN)?), id(&tok, Noun::Key)?);
    let cause = scope.cause();
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            agent::revoke_key(tx, moment, &scope.caller, about, key, cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
