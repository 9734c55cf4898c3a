//! `/organizations/{org}/mappings`: the people of this directory group, organizational unit or attribute value get this
//! role, team, environment.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::access::Access;
use portcullis_domain::id::{MappingId, MembershipId};
use portcullis_domain::mapping::{self as domain, MappingSource};
use portcullis_domain::membership::MembershipState;
use portcullis_domain::permission::Permission::{MappingsRead, MappingsWrite};
use portcullis_domain::team::TeamRole;
use portcullis_service::ServiceError;
use portcullis_service::mapping::{self, Difference, NewMapping, Remarks};
use portcullis_service::noun::Noun;
use portcullis_service::rules::Carried;
use portcullis_store::{Priority, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notice::Notice;
use crate::App;
use crate::api::id;
use crate::body::{At, Body, Page, PageQuery, Params, present, words};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// Which group, by exactly one of its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The directory's own key: survives a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The id here: survives a rename, never matches another group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The name: changes hands when the provider renames groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

impl Group {
    fn source(self) -> Result<MappingSource, ServiceError> {
        match (self.external_id, self.id, self.display_name) {
            (Some(key), None, None) => Ok(MappingSource::GroupExternalId(key)),
            (None, Some(id), None) => Ok(MappingSource::GroupId(id)),
            (None, None, Some(name)) => Ok(MappingSource::GroupDisplayName(name)),
            _ => Err(ServiceError::invalid(
                "group",
                "takes exactly one of `external_id`, `id`, `display_name`",
            )),
        }
    }
}

/// An attribute of people and a value of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The attribute as the directory's protocol names it: `userType`, `roles`, `addresses.country`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`, or the name of a claim. Letter case
    /// does not distinguish SCIM's names.
    name: String,
    /// The value; letter case distinguishes.
    value: String,
}

/// Whom a mapping is about, in the three forms of which each mapping has one.
#[derive(Debug, Clone, Default)]
struct Source {
    group: Option<Group>,
    org_unit: Option<String>,
    attribute: Option<Attribute>,
}

impl Source {
    fn of(source: &MappingSource) -> Self {
        let group = |group| Self { group: Some(group), ..Self::default() };
        match source.clone() {
            MappingSource::GroupExternalId(key) => {
                group(Group { external_id: Some(key), ..Group::default() })
            }
            MappingSource::GroupId(id) => group(Group { id: Some(id), ..Group::default() }),
            MappingSource::GroupDisplayName(name) => {
                group(Group { display_name: Some(name), ..Group::default() })
            }
            MappingSource::OrgUnit(path) => Self { org_unit: Some(path), ..Self::default() },
            MappingSource::Attribute { name, value, .. } => {
                Self { attribute: Some(Attribute { name, value }), ..Self::default() }
            }
        }
    }

    /// The source that was said; `None` if none was.
    fn read(self) -> Result<Option<MappingSource>, ServiceError> {
        match (self.group, self.org_unit, self.attribute) {
            (None, None, None) => Ok(None),
            (Some(group), None, None) => group.source().map(Some),
            (None, Some(path), None) => Ok(Some(MappingSource::OrgUnit(path))),
            (None, None, Some(Attribute { name, value })) => {
                // The use case knows how the directory's protocol spells it.
                Ok(Some(MappingSource::Attribute { name_key: name.clone(), name, value }))
            }
            _ => Err(ServiceError::invalid("group", ONE_SOURCE)),
        }
    }
}

words! {
    /// What somebody is in a team.
    WireTeamRole of TeamRole {
        /// Belongs to it.
        Member,
        /// Manages its people and agents.
        Admin,
    }
}

/// A mapping.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Mapping {
    /// Its id.
    id: String,
    /// The id of the directory whose facts it reads.
    directory: String,
    /// The members of this group, if it is about a group.
    group: Option<Group>,
    /// The people of this organizational unit and of those below it, if it is about one.
    org_unit: Option<String>,
    /// The people with this value, if it is about an attribute.
    attribute: Option<Attribute>,
    /// The slug of the role that it gives.
    role: Option<String>,
    /// The slug of the team that it gives.
    team: Option<String>,
    /// What one is in that team.
    team_role: Option<WireTeamRole>,
    /// The slug of the environment that it gives; null gives none.
    environment: Option<String>,
    /// When it was made.
    created_at: At,
    /// What to know of it, such as that a name changes hands.
    warnings: Vec<Notice>,
    /// Present and true while a change of it is still being stored for the people whom it touches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rules_pending: bool,
}

impl Mapping {
    /// As it is shown, with what is to be known of it.
    fn shown(tx: &mut Tx<'_>, m: domain::Mapping) -> Result<Self, ServiceError> {
        let remarks = mapping::remarks(tx, &m)?;
        let (team, team_role) =
            m.gives.team.map(|(slug, role)| (slug.to_string(), WireTeamRole::of(role))).unzip();
        let Source { group, org_unit, attribute } = Source::of(&m.source);
        Ok(Self {
            id: m.id.to_string(),
            directory: m.directory.to_string(),
            group,
            org_unit,
            attribute,
            role: m.gives.role.map(|r| r.to_string()),
            team,
            team_role,
            environment: m.gives.environment.map(|e| e.to_string()),
            created_at: At(m.created_at),
            warnings: warnings(&m.source, remarks),
            rules_pending: false,
        })
    }

    fn of(tx: &mut Tx<'_>, (mapping, carried): (domain::Mapping, Carried)) -> Result<Self, ServiceError> {
        Ok(Self { rules_pending: carried == Carried::Pending, ..Self::shown(tx, mapping)? })
    }
}

/// Which of a group's keys is safe: a provider keeps its own key and we keep ours; a name is given to another group one day,
/// and with it goes what the mapping gives. And whether another mapping says the same, the group is not there, or
/// its loss leads into `production`.
fn warnings(source: &MappingSource, remarks: Remarks) -> Vec<Notice> {
    let twice = remarks.twin.map(|other| {
        let message =
            format!("`{other}` gives the same to the same people: to take it from them, delete both");
        Notice::new("mapped_twice", message)
    });
    let mut warnings = match source {
        MappingSource::GroupDisplayName(name) => vec![Notice::new(
            "group_by_name",
            format!(
                "`{name}` is a name: whichever group has it gives what this mapping gives, and a rename takes it away; \
                 name the group by `id` or `external_id`, which survive a rename"
            ),
        )],
        MappingSource::GroupExternalId(_)
        | MappingSource::GroupId(_)
        | MappingSource::OrgUnit(_)
        | MappingSource::Attribute { .. } => Vec::new(),
    };
    warnings.extend(twice);
    if remarks.is_group_unknown {
        let message = format!(
            "the directory tells of no group `{}`: until it does, the mapping gives nothing to anybody; \
             `GET …/directories/{{dir}}/groups` lists those that it tells of",
            source.written()
        );
        warnings.push(Notice::new("group_unknown", message));
    }
    if remarks.is_production_by_default {
        let message = "whom nothing gives an environment is in `production`: whoever falls out of what this mapping names, or \
                       whose group is renamed or deleted, comes in there as long as the directory's `default_role` or another \
                       mapping of it lets them live; let them live by mappings that give an environment alone";
        warnings.push(Notice::new("production_by_default", message.to_owned()));
    }
    warnings
}

/// A new mapping: a directory, one source, and at least one thing that it gives.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingWish {
    /// The id of the directory.
    directory: String,
    /// The members of this group.
    group: Option<Group>,
    /// The people of this organizational unit and of those below it, as a path from `/`.
    org_unit: Option<String>,
    /// The people with this value of an attribute.
    attribute: Option<Attribute>,
    /// The slug of a role; never an explicit-only one.
    role: Option<String>,
    /// The slug of a team.
    team: Option<String>,
    /// What one is in that team; `member` if nothing is said.
    team_role: Option<WireTeamRole>,
    /// The slug of an environment; null gives none.
    environment: Option<String>,
    /// The slug of a policy; not in this version.
    policy: Option<String>,
}

/// What changes of a mapping.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingPatch {
    /// The id of the directory.
    directory: Option<String>,
    /// The members of this group.
    group: Option<Group>,
    /// The people of this organizational unit and of those below it, as a path from `/`.
    org_unit: Option<String>,
    /// The people with this value of an attribute.
    attribute: Option<Attribute>,
    /// The slug of a role; null takes it out.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    role: Option<Option<String>>,
    /// The slug of a team; null takes it out.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    team: Option<Option<String>>,
    /// What one is in that team.
    team_role: Option<WireTeamRole>,
    /// The slug of an environment; null takes it out.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    environment: Option<Option<String>>,
    /// The slug of a policy; not in this version.
    policy: Option<String>,
}

/// What somebody has more, or has no longer.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Share {
    /// `active`, if it is about whether they may act at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// The slug of a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// Teams.
    teams: Vec<TeamShare>,
    /// Slugs of environments.
    environments: Vec<String>,
}

/// A place in a team.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TeamShare {
    /// The slug of the team.
    slug: String,
    /// What one is in it.
    role: WireTeamRole,
}

impl Share {
    /// What `has` has and `lacks` lacks.
    fn of(has: &Access, lacks: &Access) -> Self {
        let acts = |access: &Access| access.state == MembershipState::Active;
        let teams = has.teams.iter().filter(|team| !lacks.teams.contains(team));
        let environments = has.environments.iter().filter(|e| !lacks.environments.contains(e));
        Self {
            state: (acts(has) && !acts(lacks)).then(|| MembershipState::Active.as_str()),
            role: has.role.as_ref().filter(|_| has.role != lacks.role).map(ToString::to_string),
            teams: teams
                .map(|(slug, role)| TeamShare { slug: slug.to_string(), role: WireTeamRole::of(*role) })
                .collect(),
            environments: environments.map(ToString::to_string).collect(),
        }
    }
}

/// What one person would gain and lose.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Change {
    /// The id of the membership.
    member: String,
    /// The address.
    email: String,
    /// The name.
    name: String,
    /// What they would have more.
    gains: Share,
    /// What they would have no longer.
    loses: Share,
}

impl From<Difference> for Change {
    fn from(d: Difference) -> Self {
        Self {
            member: d.member.to_string(),
            email: d.email,
            name: d.name,
            gains: Share::of(&d.after, &d.before),
            loses: Share::of(&d.before, &d.after),
        }
    }
}

/// What a mapping would do. Nothing was changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Preview {
    /// How many people it is about.
    people: i64,
    /// How many of them would gain or lose something; null if they are too many to be gone through at once.
    changing: Option<i64>,
    /// What to know of the mapping before it is made.
    warnings: Vec<Notice>,
    /// Those on this page who would.
    items: Vec<Change>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

const LIST: &str = "/organizations/{org}/mappings";
const ONE: &str = "/organizations/{org}/mappings/{mapping}";
const PREVIEW: &str = "/organizations/{org}/mappings/preview";
const REFUSALS: [&str; 6] = [
    "invalid_slug",
    "role_is_explicit_only",
    "above_own_rank",
    "mapping_gives_nothing",
    "no_org_units",
    "not_available",
];
/// Whoever could have themselves named by the directory stands below the role.
const OUTGROWN: [&str; 3] = ["token_seen_below", "source_set_below", "provider_chosen_below"];

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(MappingsRead);
    let write = Needs::Permission(MappingsWrite);
    vec![
        Operation::create(LIST, write, "Makes a mapping, and gives what it gives.", create)
            .takes::<MappingWish>()
            .gives::<Mapping>()
            .refuses(&REFUSALS)
            .refuses(&OUTGROWN),
        Operation::act(PREVIEW, see, "Tells who would gain and lose what; nothing is changed.", preview)
            .takes::<MappingWish>()
            .gives::<Preview>()
            .paged()
            .refuses(&REFUSALS),
        Operation::get(LIST, see, "Lists mappings.", list)
            .gives::<Page<Mapping>>()
            .paged()
            .query("directory", "Only those of this directory."),
        Operation::get(ONE, see, "Shows a mapping.", show).gives::<Mapping>(),
        Operation::patch(ONE, write, "Changes a mapping, and everybody whom that touches.", change)
            .takes::<MappingPatch>()
            .gives::<Mapping>()
            .refuses(&REFUSALS)
            .refuses(&OUTGROWN),
        Operation::delete(ONE, write, "Deletes a mapping, and takes what it gave.", delete)
            .refuses(&["above_own_rank"]),
    ]
}

const fn available(policy: Option<&String>) -> Result<(), ServiceError> {
    match policy {
        Some(_) => Err(ServiceError::NotAvailable("policy")),
        None => Ok(()),
    }
}

const ONE_SOURCE: &str = "takes exactly one of `group`, `org_unit`, `attribute`";
const ROLE_OF_NO_TEAM: &str = "says what one is in a `team`, and there is none";

impl MappingWish {
    fn read(self) -> Result<NewMapping, ServiceError> {
        let source = Source { group: self.group, org_unit: self.org_unit, attribute: self.attribute };
        let source = source.read()?.ok_or_else(|| ServiceError::invalid("group", ONE_SOURCE))?;
        available(self.policy.as_ref())?;
        if self.team_role.is_some() && self.team.is_none() {
            return Err(ServiceError::invalid("team_role", ROLE_OF_NO_TEAM));
        }
        let team_role = self.team_role.map_or(TeamRole::Member, WireTeamRole::meant);
        Ok(NewMapping {
            directory: self.directory,
            source,
            role: self.role,
            team: self.team.map(|slug| (slug, team_role)),
            environment: self.environment,
        })
    }
}

impl MappingPatch {
    fn over(self, was: NewMapping) -> Result<NewMapping, ServiceError> {
        available(self.policy.as_ref())?;
        let source = Source { group: self.group, org_unit: self.org_unit, attribute: self.attribute };
        let source = source.read()?.unwrap_or(was.source);
        let (was_team, was_role) = was.team.unzip();
        let team = self.team.unwrap_or(was_team);
        if self.team_role.is_some() && team.is_none() {
            return Err(ServiceError::invalid("team_role", ROLE_OF_NO_TEAM));
        }
        let team_role = self.team_role.map(WireTeamRole::meant).or(was_role).unwrap_or(TeamRole::Member);
        Ok(NewMapping {
            directory: self.directory.unwrap_or(was.directory),
            source,
            role: self.role.unwrap_or(was.role),
            team: team.map(|slug| (slug, team_role)),
            environment: self.environment.unwrap_or(was.environment),
        })
    }
}

/// Which mappings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    directory: Option<String>,
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<MappingWish>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let wish = body.value.read()?;
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let made = mapping::create(tx, moment, &caller, org, &wish, cause)?;
        Mapping::of(tx, made)
    })
    .await
}

async fn preview(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
    body: Body<MappingWish>,
) -> Result<Json<Preview>, Problem> {
    let org = scope.organization.id;
    let (limit, after) = page.bounds::<MembershipId>()?;
    let wish = body.value.read()?;
    let source = wish.source.clone();
    let mut moment = app.portcullis().moment();
    let look = move |tx: &mut Tx<'_>, _| mapping::preview(tx, &mut moment, org, &wish, (&after, limit));
    let seen = app.portcullis().read_apart(look).await?;
    Ok(Json(Preview {
        people: seen.people,
        changing: seen.changing,
        warnings: warnings(&source, seen.remarks),
        items: seen.page.into_iter().map(Change::from).collect(),
        next: seen.next.map(|id| id.to_string()),
    }))
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<Mapping>>, Problem> {
    let (limit, after) = PageQuery { limit: wanted.limit, cursor: wanted.cursor }.bounds::<MappingId>()?;
    let (org, of) = (scope.organization.id, wanted.directory);
    let items = app
        .portcullis()
        .read(move |tx, _| {
            let found = mapping::list(tx, org, of.as_deref(), (&after, limit + 1))?;
            found.into_iter().map(|m| Mapping::shown(tx, m)).collect()
        })
        .await?;
    Ok(Json(Page::of(items, limit, |m: &Mapping| m.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, map)): Path<(String, String)>,
) -> Result<Json<Mapping>, Problem> {
    let (org, map) = (scope.organization.id, id(&map, Noun::Mapping)?);
    let read = move |tx: &mut Tx<'_>, _| {
        let found = mapping::find(tx, org, map)?;
        Mapping::shown(tx, found)
    };
    Ok(Json(app.portcullis().read(read).await?))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, map)): Path<(String, String)>,
    body: Body<MappingPatch>,
) -> Result<Json<Mapping>, Problem> {
    let (org, cause, caller, said) = (scope.organization.id, scope.cause(), scope.caller, body.value);
    let map = id(&map, Noun::Mapping)?;
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let said = said.clone();
            let changed = mapping::update(tx, moment, &caller, org, (map, |was| said.over(was)), cause)?;
            Mapping::of(tx, changed)
        })
        .await?;
    Ok(Json(changed))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, map)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    let map = id(&map, Noun::Mapping)?;
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| mapping::delete(tx, moment, &caller, org, map, cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
