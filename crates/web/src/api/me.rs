//! `GET /api/v1/me`: who one is.

use axum::Json;
use axum::extract::State;
use portcullis_domain::permission::Permission;
use portcullis_service::caller::Caller;
use portcullis_service::me;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::api::membership::{MemberTeam, MemberUser, teams};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Known;

/// Who one is, and what one may.
#[derive(Debug, Serialize, JsonSchema)]
struct Me {
    /// What kind of caller: `root`, `member` or `service_key`.
    #[schemars(extend("enum" = ["root", "member", "service_key"]))]
    caller: &'static str,
    /// The organization of the token; null for the root token.
    organization: Option<MyOrganization>,
    /// The token that was presented; null for the root token.
    token: Option<String>,
    /// The membership that one acts as.
    membership: Option<String>,
    /// The person behind it.
    user: Option<MemberUser>,
    /// The role's slug.
    role: Option<String>,
    /// How high the role stands; 1000 for the root token, 0 without a role.
    rank: i64,
    /// What one may.
    permissions: Vec<&'static str>,
    /// The teams.
    teams: Vec<MemberTeam>,
    /// The environments.
    environments: Vec<String>,
    /// What a service key may ask.
    scopes: Vec<&'static str>,
}

/// The organization that one calls from.
#[derive(Debug, Serialize, JsonSchema)]
struct MyOrganization {
    /// Its id.
    id: String,
    /// Its name in URLs.
    slug: String,
    /// Its name for people.
    name: String,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    vec![Operation::get("/me", Needs::Known, "Says who one is, and what one may.", show).gives::<Me>()]
}

async fn show(State(app): State<App>, known: Known) -> Result<Json<Me>, Problem> {
    let caller = known.caller.clone();
    let me = app.portcullis().read(move |tx, now| me::find(tx, &caller, now)).await?;
    let (kind, token, permissions, scopes) = match &known.caller {
        Caller::Root => ("root", None, Permission::ALL.to_vec(), vec![]),
        Caller::Member(m) => ("member", Some(m.token), m.permissions.iter().copied().collect(), vec![]),
        Caller::Service { token, scopes, .. } => ("service_key", Some(*token), vec![], scopes.clone()),
    };
    let access = me.membership.as_ref().map(|m| &m.access);
    Ok(Json(Me {
        caller: kind,
        organization: me.organization.map(|o| MyOrganization {
            id: o.id.to_string(),
            slug: o.slug.to_string(),
            name: o.name,
        }),
        token: token.map(|t| t.to_string()),
        membership: me.membership.as_ref().map(|m| m.id.to_string()),
        user: me.membership.as_ref().map(MemberUser::of),
        role: access.and_then(|a| a.role.as_ref()).map(ToString::to_string),
        rank: known.caller.rank().number(),
        permissions: permissions.into_iter().map(Permission::as_str).collect(),
        teams: access.map(teams).unwrap_or_default(),
        environments: access
            .map(|a| a.environments.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        scopes: scopes.iter().map(|s| s.as_str()).collect(),
    }))
}
