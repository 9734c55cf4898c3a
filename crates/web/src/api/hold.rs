//! What the brakes of directories hold: `…/holds`.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::hold::{HoldKind, HoldState};
use portcullis_domain::id::{DirectoryId, HoldId, MembershipId};
use portcullis_domain::permission::Permission::{DirectoriesRead, DirectoriesWrite};
use portcullis_service::hold::{self, Decision};
use portcullis_service::noun::Noun;
use portcullis_store::hold::{HeldView, HoldFilter, HoldView, WouldLose};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

const NOUN: Noun = Noun::Hold;

/// An occasion on which a directory went over its brake's limit.
#[derive(Debug, Serialize, JsonSchema)]
struct Hold {
    /// Its id.
    id: String,
    /// When it began.
    created_at: At,
    /// The directory whose limit it is.
    directory: String,
    /// `endings`: the people are suspended and their end waits; `losses`: they keep what a group gave; `missing`: they
    /// stay although a poll missed them.
    #[schemars(extend("enum" = ["endings", "losses", "missing"]))]
    kind: &'static str,
    /// The group that lost its members or was deleted, for `losses`.
    group: Option<HeldGroup>,
    /// What made it.
    cause: HoldCause,
    /// `open` while anybody waits, `refused` while only people are left whose part was refused, else `closed`.
    #[schemars(extend("enum" = ["open", "refused", "closed"]))]
    state: &'static str,
    /// How many people wait for a decision.
    waiting: i64,
    /// How many people's part was refused; it can be released after all.
    refused: i64,
}

/// The group that a hold is about.
#[derive(Debug, Serialize, JsonSchema)]
struct HeldGroup {
    /// Its id.
    id: String,
    /// What it was called.
    display_name: String,
}

/// What made a hold.
#[derive(Debug, Serialize, JsonSchema)]
struct HoldCause {
    /// Through which door it came.
    kind: &'static str,
    /// The request, as its caller saw it.
    request_id: Option<String>,
}

/// A person of a hold.
#[derive(Debug, Serialize, JsonSchema)]
struct HeldPerson {
    /// The member.
    member: String,
    /// Their address here.
    email: String,
    /// Their name here.
    name: String,
    /// Why they would end: `inactive`, `deleted` or `unmapped`; null where nobody's end is held.
    because: Option<&'static str>,
    /// The request that it follows from.
    request_id: Option<String>,
    /// Since when.
    at: At,
    /// `held` or `refused`.
    #[schemars(extend("enum" = ["held", "refused"]))]
    state: &'static str,
    /// What it would take from them.
    loses: Losses,
}

/// What a release would take from somebody.
#[derive(Debug, Serialize, JsonSchema)]
struct Losses {
    /// The role that they have left, where they would end: whoever is called inactive has none but by a grant.
    role: Option<String>,
    /// How many tokens of theirs would end.
    tokens: i64,
    /// How many agents of theirs would stop, or go by their rule.
    agents: i64,
    /// The mappings whose gifts they would lose, where a group lost them.
    mappings: Vec<String>,
}

/// Whom a decision is about.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct About {
    /// These people only, 1,000 at most, whether they wait or were refused; everybody who waits if nothing is said.
    #[schemars(with = "Option<Vec<String>>")]
    members: Option<Vec<MembershipId>>,
}

/// What a decision answers.
#[derive(Debug, Serialize, JsonSchema)]
struct Decided {
    /// How many people it was about.
    people: u64,
    /// The hold afterwards.
    hold: Hold,
}

/// Which holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    directory: Option<String>,
    state: Option<HoldState>,
}

impl Hold {
    fn of(found: HoldView) -> Self {
        Self {
            id: found.id.to_string(),
            created_at: At(found.opened_at),
            directory: found.directory.to_string(),
            kind: found.kind.as_str(),
            group: found.group.map(|(id, display_name)| HeldGroup { id: id.to_string(), display_name }),
            cause: HoldCause {
                kind: found.cause_kind.as_str(),
                request_id: found.request.map(|r| r.to_string()),
            },
            state: HoldState::of(found.waiting, found.refused).as_str(),
            waiting: found.waiting,
            refused: found.refused,
        }
    }
}

impl HeldPerson {
    fn of((person, lost): &(HeldView, WouldLose)) -> Self {
        Self {
            member: person.membership.to_string(),
            email: person.email.clone(),
            name: person.name.clone(),
            because: person.because.map(|b| b.as_str()),
            request_id: person.request.map(|r| r.to_string()),
            at: At(person.held_at),
            state: person.state.as_str(),
            loses: Losses {
                role: person.role.as_ref().filter(|_| lost.mappings.is_empty()).map(ToString::to_string),
                tokens: lost.tokens,
                agents: lost.agents,
                mappings: lost.mappings.iter().map(ToString::to_string).collect(),
            },
        }
    }
}

/// The hold of a member, as `…/members` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberHold {
    /// The hold.
    id: String,
    /// What is held of them.
    #[schemars(extend("enum" = ["endings", "losses", "missing"]))]
    kind: &'static str,
}

impl MemberHold {
    /// What is held of a member.
    #[must_use]
    pub fn of((id, kind): (portcullis_domain::id::HoldId, HoldKind)) -> Self {
        Self { id: id.to_string(), kind: kind.as_str() }
    }
}

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/holds";
    const ONE: &str = "/organizations/{org}/holds/{hold}";
    let read = Needs::Permission(DirectoriesRead);
    let write = Needs::Permission(DirectoriesWrite);
    vec![
        Operation::get(ALL, read, "Lists what the brakes of directories hold.", list)
            .gives::<Page<Hold>>()
            .query("directory", "Only holds of this directory.")
            .query("state", "Only holds in this state: `open`, `refused` or `closed`.")
            .paged(),
        Operation::get(ONE, read, "Shows a hold.", show).gives::<Hold>(),
        Operation::get(
            "/organizations/{org}/holds/{hold}/people",
            read,
            "Lists the people of a hold, and where each stands.",
            people,
        )
        .gives::<Page<HeldPerson>>()
        .paged(),
        Operation::act(
            "/organizations/{org}/holds/{hold}/release",
            write,
            "Carries out what is held, with a receipt for everybody who ends by it.",
            release,
        )
        .takes::<About>()
        .gives::<Decided>()
        .refuses(&["above_own_rank"]),
        Operation::act(
            "/organizations/{org}/holds/{hold}/refuse",
            write,
            "Refuses what is held: it is not carried out until the directory says it anew, or it is released.",
            refuse,
        )
        .takes::<About>()
        .gives::<Decided>()
        .refuses(&["above_own_rank"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<Hold>>, Problem> {
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds::<HoldId>()?;
    let organization = scope.organization.id;
    let directory = match wanted.directory.as_deref().map(str::parse::<DirectoryId>) {
        None => None,
        Some(Ok(id)) => Some(id),
        // What cannot be an id has no holds, like an unknown one.
        Some(Err(_)) => return Ok(Json(Page::of(Vec::new(), limit, |hold: &Hold| hold.id.clone()))),
    };
    let filter = HoldFilter { directory, state: wanted.state };
    let found =
        app.portcullis().read(move |tx, _| hold::list(tx, organization, filter, (&after, limit + 1))).await?;
    Ok(Json(Page::of(found.into_iter().map(Hold::of).collect(), limit, |hold: &Hold| hold.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, hold)): Path<(String, String)>,
) -> Result<Json<Hold>, Problem> {
    let (organization, hold) = (scope.organization.id, id(&hold, NOUN)?);
    let found = app.portcullis().read(move |tx, _| hold::find(tx, organization, hold)).await?;
    Ok(Json(Hold::of(found)))
}

async fn people(
    State(app): State<App>,
    scope: Scope,
    Path((_, hold)): Path<(String, String)>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<HeldPerson>>, Problem> {
    let (limit, after) = query.bounds::<MembershipId>()?;
    let (organization, hold) = (scope.organization.id, id(&hold, NOUN)?);
    let found = app
        .portcullis()
        .read(move |tx, now| hold::people(tx, organization, hold, (&after, limit + 1), now))
        .await?;
    let items = found.iter().map(HeldPerson::of).collect();
    Ok(Json(Page::of(items, limit, |person: &HeldPerson| person.member.clone())))
}

async fn release(
    state: State<App>,
    scope: Scope,
    path: Path<(String, String)>,
    body: Body<About>,
) -> Result<Json<Decided>, Problem> {
    decide(state, scope, path, (Decision::Release, body.value)).await
}

async fn refuse(
    state: State<App>,
    scope: Scope,
    path: Path<(String, String)>,
    body: Body<About>,
) -> Result<Json<Decided>, Problem> {
    decide(state, scope, path, (Decision::Refuse, body.value)).await
}

async fn decide(
    State(app): State<App>,
    scope: Scope,
    Path((_, hold)): Path<(String, String)>,
    (decision, about): (Decision, About),
) -> Result<Json<Decided>, Problem> {
    let (organization, hold) = (scope.organization.id, id(&hold, NOUN)?);
    let cause = scope.cause();
    let place = (organization, hold);
    let people =
        hold::decide(app.portcullis(), scope.caller, place, (decision, about.members), cause).await?;
    let found = app.portcullis().read(move |tx, _| hold::find(tx, organization, hold)).await?;
    Ok(Json(Decided { people, hold: Hold::of(found) }))
}
