//! Members: `…/members`.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::access::{Access, By, Given};
use portcullis_domain::hold::HoldKind;
use portcullis_domain::id::{HoldId, MembershipId, OrganizationId, UserId};
use portcullis_domain::membership::{Membership, MembershipState};
use portcullis_domain::permission::Permission;
use portcullis_domain::text::{Slug, email_key, name_key};
use portcullis_service::membership::{self, Suspension};
use portcullis_service::noun::Noun;
use portcullis_service::{ServiceError, hold, restoring};
use portcullis_store::membership::MembershipFilter;
use portcullis_store::{Priority, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::hold::MemberHold;
use crate::api::id;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

const NOUN: Noun = Noun::Member;

/// A person in an organization.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// When it came to be.
    pub created_at: At,
    /// The person.
    pub user: MemberUser,
    /// What it is worth now.
    #[schemars(extend("enum" = ["invited", "active", "suspended", "deprovisioned"]))]
    pub state: &'static str,
    /// The role's slug.
    pub role: Option<String>,
    /// The teams.
    pub teams: Vec<MemberTeam>,
    /// The environments' slugs.
    pub environments: Vec<String>,
    /// Why it has each of them.
    pub reasons: Vec<MemberReason>,
    /// The directory that governs it.
    pub governed_by: Option<String>,
    /// Since when an administrator has suspended it.
    pub suspended_at: Option<At>,
    /// Whether the directory that governs it has yet to speak of it again, since a restore: until then it is suspended, and no
    /// order lifts that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_directory: bool,
    /// What the brake of a directory holds of it: why somebody is suspended, or keeps what a group gave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<MemberHold>,
    /// When it ended.
    pub ended_at: Option<At>,
    /// Why it ended.
    pub ended_because: Option<&'static str>,
}

/// The person behind a membership, as this organization knows them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberUser {
    /// The user's id.
    pub id: String,
    /// The address here.
    pub email: String,
    /// The name here.
    pub name: String,
}

/// A team that a member is in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberTeam {
    /// The team's slug.
    pub slug: String,
    /// What one is in it.
    #[schemars(extend("enum" = ["member", "admin"]))]
    pub role: &'static str,
}

/// Why a member has something: the whole chain.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberReason {
    /// What it has: `role:member`, `team:eng:admin` or `environment:production`.
    pub gives: String,
    /// By what.
    #[schemars(extend("enum" = ["mapping", "grant", "default"]))]
    pub by: &'static str,
    /// The mapping.
    pub mapping: Option<String>,
    /// The group that it matched.
    pub group: Option<String>,
    /// The directory that said so.
    pub directory: Option<String>,
    /// The request that brought it.
    pub request_id: Option<String>,
}

impl MemberUser {
    /// The person behind a membership.
    #[must_use]
    pub fn of(member: &Membership) -> Self {
        Self { id: member.user.to_string(), email: member.email.clone(), name: member.name.clone() }
    }
}

/// The teams of an access.
#[must_use]
pub fn teams(access: &Access) -> Vec<MemberTeam> {
    let team = |(slug, role): &(Slug, portcullis_domain::team::TeamRole)| MemberTeam {
        slug: slug.to_string(),
        role: role.as_str(),
    };
    access.teams.iter().map(team).collect()
}

fn reasons(access: &Access) -> Vec<MemberReason> {
    access
        .reasons
        .iter()
        .map(|reason| MemberReason {
            gives: match &reason.gives {
                Given::Role(role) => format!("role:{role}"),
                Given::Team(team, role) => format!("team:{team}:{}", role.as_str()),
                Given::Environment(environment) => format!("environment:{environment}"),
            },
            by: match reason.by {
                By::Mapping => "mapping",
                By::Grant => "grant",
                By::Default => "default",
            },
            mapping: reason.mapping.map(|i| i.to_string()),
            group: reason.group.map(|i| i.to_string()),
            directory: reason.directory.map(|i| i.to_string()),
            request_id: reason.request_id.map(|i| i.to_string()),
        })
        .collect()
}

impl Member {
    fn of(member: &Membership) -> Self {
        Self {
            id: member.id.to_string(),
            created_at: At(member.created_at),
            user: MemberUser::of(member),
            state: member.access.state.as_str(),
            role: member.role().map(ToString::to_string),
            teams: teams(&member.access),
            environments: member.access.environments.iter().map(ToString::to_string).collect(),
            reasons: reasons(&member.access),
            governed_by: member.governed_by.map(|d| d.to_string()),
            suspended_at: member.suspended_at.map(At),
            waits_for_directory: false,
            holds: Vec::new(),
            ended_at: member.ended.map(|(at, _)| At(at)),
            ended_because: member.ended.map(|(_, because)| because.as_str()),
        }
    }

    /// The member, with what is held of them as it stands here.
    fn read(tx: &mut Tx<'_>, member: &Membership) -> Result<Self, ServiceError> {
        let mut beside = Beside::of(tx, member.organization, &[member.id])?;
        Ok(Self::with(member, &mut beside))
    }

    /// The member, with what is held of them and whom they wait for.
    fn with(member: &Membership, beside: &mut Beside) -> Self {
        let holds = beside.holds.remove(&member.id).into_iter().flatten().map(MemberHold::of).collect();
        Self { holds, waits_for_directory: beside.waiting.contains(&member.id), ..Self::of(member) }
    }
}

/// What is kept of some members elsewhere.
struct Beside {
    holds: BTreeMap<MembershipId, Vec<(HoldId, HoldKind)>>,
    waiting: BTreeSet<MembershipId>,
}

impl Beside {
    fn of(
        tx: &mut Tx<'_>,
        organization: OrganizationId,
        people: &[MembershipId],
    ) -> Result<Self, ServiceError> {
        let holds = hold::of_members(tx, organization, people)?;
        Ok(Self { holds, waiting: restoring::waiting(tx, organization, people)? })
    }
}

/// Which members.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    email: Option<String>,
    state: Option<MembershipState>,
    role: Option<Slug>,
}

/// A second membership of somebody whom another organization knows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// The user's id.
    #[schemars(with = "String")]
    user: UserId,
}

/// What is to be different about a member.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberPatch {
    /// `suspended` refuses everything of them and ends nothing; `active` lifts that.
    state: Option<Wish>,
}

/// What an administrator may say of a member's life.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wish {
    Active,
    Suspended,
}

/// Why a member goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OffBoarding {
    /// The reason, for the audit log.
    reason: String,
}

/// What an off-boarding answers.
#[derive(Debug, Serialize, JsonSchema)]
struct OffBoarded {
    /// The id of the receipt that accounts for it.
    receipt: String,
}

/// Who somebody was before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attaching {
    /// The membership of this organization that ended.
    former: String,
}

/// The rows.
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/members";
    const ONE: &str = "/organizations/{org}/members/{mem}";
    let read = Needs::PermissionOrLed(Permission::MembersRead);
    let steer = Needs::PermissionOrLed(Permission::MembersWrite);
    let write = Needs::Permission(Permission::MembersWrite);
    vec![
        Operation::get(ALL, read, "Lists the members whom one may see, with what they have and why.", list)
            .paged()
            .query("email", "Only members with this address.")
            .query("state", "Only members in this state.")
            .query("role", "Only members with this role.")
            .gives::<Page<Member>>(),
        Operation::create(ALL, Needs::Root, "Puts a user of another organization into this one.", add)
            .takes::<NewMember>()
            .gives::<Member>()
            .refuses(&["taken", "member_inactive"]),
        Operation::get(ONE, read, "Shows a member, with what they have and why.", show).gives::<Member>(),
        Operation::patch(ONE, steer, "Suspends a member, or lifts that.", patch)
            .takes::<MemberPatch>()
            .gives::<Member>()
            .refuses(&["above_own_rank", "last_owner", "member_inactive"]),
        Operation::act(
            "/organizations/{org}/members/{mem}/offboard",
            write,
            "Ends a membership for good, with everything that acts as it.",
            off_board,
        )
        .takes::<OffBoarding>()
        .gives::<OffBoarded>()
        .refuses(&["above_own_rank", "last_owner"]),
        Operation::act(
            "/organizations/{org}/members/{mem}/attach",
            write,
            "Says that somebody whom a directory brought back is the user whom they were before.",
            attach,
        )
        .takes::<Attaching>()
        .gives::<Member>()
        .refuses(&["above_own_rank", "member_inactive", "taken"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<Member>>, Problem> {
    let filter = MembershipFilter {
        email_key: wanted.email.map(|text| email_key(&text).unwrap_or_else(|_| name_key(&text))),
        state: wanted.state,
        role: wanted.role,
    };
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds::<MembershipId>()?;
    let organization = scope.organization.id;
    let read = move |tx: &mut Tx<'_>, now| {
        let page = membership::list(tx, &scope.caller, organization, &filter, (&after, limit), now)?;
        let ids: Vec<MembershipId> = page.items.iter().map(|member| member.id).collect();
        let beside = Beside::of(tx, organization, &ids)?;
        Ok((page, beside))
    };
    // Narrowed by state or role it walks everybody, leavers too.
    let (page, mut beside) = app.portcullis().read_apart(read).await?;
    let with = |member: &Membership| Member::with(member, &mut beside);
    Ok(Json(Page {
        items: page.items.iter().map(with).collect(),
        next: page.next.map(|id| id.to_string()),
        rules_pending: page.rules_pending,
    }))
}

/// The id in the path. What is no id is as unknown as any other: whoever may not ask is told nothing more by it.
fn seen_id(scope: &Scope, mem: &str, permission: Permission) -> Result<MembershipId, Problem> {
    let parsed = id(mem, NOUN);
    if parsed.is_err() {
        scope.caller.may(permission, scope.organization.id)?;
    }
    Ok(parsed?)
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
) -> Result<Json<Member>, Problem> {
    let about = (scope.organization.id, seen_id(&scope, &mem, Permission::MembersRead)?);
    let read = move |tx: &mut Tx<'_>, now| {
        let found = membership::show(tx, &scope.caller, about, Permission::MembersRead, now)?;
        Member::read(tx, &found)
    };
    Ok(Json(app.portcullis().read(read).await?))
}

async fn add(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewMember>,
) -> Result<Created, Problem> {
    let (organization, user, cause) = (scope.organization.id, body.value.user, scope.cause());
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let added = membership::add(tx, moment, organization, user, cause)?;
        Member::read(tx, &added)
    })
    .await
}

async fn patch(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
    body: Body<MemberPatch>,
) -> Result<Json<Member>, Problem> {
    let organization = scope.organization.id;
    let member = seen_id(&scope, &mem, Permission::MembersWrite)?;
    let (wish, priority) = match body.value.state {
        Some(Wish::Suspended) => (Suspension::Suspend, Priority::OffBoarding),
        Some(Wish::Active) => (Suspension::Lift, Priority::Ordinary),
        None => {
            let about = (organization, member);
            let found = app.portcullis().read(move |tx, now| {
                let found = membership::show(tx, &scope.caller, about, Permission::MembersWrite, now)?;
                Member::read(tx, &found)
            });
            return Ok(Json(found.await?));
        }
    };
    let cause = scope.cause();
    let changed = app
        .portcullis()
        .write(priority, move |tx, moment| {
            let about = (organization, member);
            let changed = membership::set_suspension(tx, moment, &scope.caller, about, wish, cause)?;
            Member::read(tx, &changed)
        })
        .await?;
    Ok(Json(changed))
}

async fn off_board(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
    body: Body<OffBoarding>,
) -> Result<Json<OffBoarded>, Problem> {
    let (organization, member) = (scope.organization.id, id(&mem, NOUN)?);
    let (reason, cause) = (body.value.reason, scope.cause());
    let receipt = app
        .portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            membership::off_board(tx, moment, &scope.caller, (organization, member), &reason, cause)
        })
        .await?;
    Ok(Json(OffBoarded { receipt: receipt.to_string() }))
}

async fn attach(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
    body: Body<Attaching>,
) -> Result<Json<Member>, Problem> {
    let (organization, member, former) =
        (scope.organization.id, id(&mem, NOUN)?, id(&body.value.former, NOUN)?);
    let cause = scope.cause();
    let attached = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let about = (organization, member);
            let attached = membership::attach(tx, moment, &scope.caller, about, former, cause)?;
            Member::read(tx, &attached)
        })
        .await?;
    Ok(Json(attached))
}
