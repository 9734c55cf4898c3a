//! `/organizations/{org}/directories`, with the tokens by which providers speak for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::brake::{self as domain_brake, Above as AboveLimit};
use portcullis_domain::directory::{self as domain, DirectoryKind};
use portcullis_domain::id::{DirectoryId, TokenId};
use portcullis_domain::permission::Permission::{DirectoriesRead, DirectoriesWrite};
use portcullis_service::directory::{self, DirectoryChanges, Governed, Nesting, NewDirectory};
use portcullis_service::google::{self, Ground, Polling, consent};
use portcullis_service::last_refusal::LastRefusals;
use portcullis_service::noun::Noun;
use portcullis_service::rules::Carried;
use portcullis_service::{ServiceError, Surroundings};
use portcullis_store::last_refusal::LastRefusal;
use portcullis_store::{Priority, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::google::{Google, GooglePatch, GoogleWish, Stored};
use crate::api::id;
use crate::api::last_refusal::RefusedCall;
use crate::api::token::{IssuedToken, TokenWire, page};
use crate::body::{At, Body, Page, PageQuery, Params, present, words};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A directory.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Directory {
    /// Its id.
    id: String,
    /// `scim`, `google`, or `claims` for the one that a connection's claims feed.
    kind: &'static str,
    /// Its name for people.
    name: String,
    /// The slug of the role of people in no mapped group; null: no access for them.
    default_role: Option<String>,
    /// Whether members of a group that is a member of another count as members of that.
    nested: bool,
    /// What holds endings above a limit; null: nothing does.
    brake: Option<Brake>,
    /// Seconds from the loss of the last granting group to the end.
    settle_s: i64,
    /// The connection whose claims feed it.
    connection: Option<String>,
    /// Where a provider speaks SCIM to it; null for the other kinds.
    base_url: Option<String>,
    /// Where a directory of Google Workspace gets its facts; null for the other kinds.
    google: Option<Google>,
    /// Which call of its provider was refused last; null if none was, and for the other kinds. Calls that a provider tries again
    /// by itself, or by which it only asks, do not count.
    last_refusal: Option<RefusedCall>,
    /// When it was made.
    created_at: At,
    /// Present and true while a change of it is still being stored for the people whom it touches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rules_pending: bool,
}

/// A directory that was made just now, with its first token if a provider speaks to it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreatedDirectory {
    /// The directory.
    #[serde(flatten)]
    about: Directory,
    /// The secret of its first SCIM token, here and never again; null for Google Workspace.
    token: Option<String>,
    /// The id of that token.
    token_id: Option<String>,
}

/// A directory with what stands beside it.
struct Found {
    directory: domain::Directory,
    /// Where it gets its facts, if it is one of Google Workspace.
    source: Option<Stored>,
    /// Which call of its provider was refused last.
    refused: Option<LastRefusal>,
}

impl Found {
    /// What was made just now.
    const fn made(directory: domain::Directory, source: Option<Stored>) -> Self {
        Self { directory, source, refused: None }
    }
}

impl Directory {
    fn of(found: Found, (around, polling): (&Surroundings, &Polling)) -> Self {
        let Found { directory: d, source, refused } = found;
        let scim = d.kind == DirectoryKind::Scim;
        Self {
            base_url: scim.then(|| around.url(&format!("/scim/v2/{}", d.id))),
            google: source.map(|source| Google::of(source, around, polling)),
            id: d.id.to_string(),
            kind: d.kind.as_str(),
            name: d.name,
            default_role: d.default_role.map(|r| r.to_string()),
            nested: d.nested_at.is_some(),
            brake: d.brake.map(Brake::of),
            settle_s: d.settle_s,
            connection: d.connection.map(|c| c.to_string()),
            last_refusal: refused.map(RefusedCall::from),
            created_at: At(d.created_at),
            rules_pending: false,
        }
    }
}

/// How a directory learns its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A provider pushes them by SCIM 2.0.
    Scim,
    /// Google Workspace is asked for them.
    Google,
}

/// What holds endings above a limit: people whom the directory ends, or takes something from without naming them,
/// within 24 hours. Where both are said the lower one holds; ten people are always below.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Brake {
    /// People; null: no such limit.
    max_people: Option<i64>,
    /// A share of the people whom it governs, in percent; null: no such limit.
    max_percent: Option<i64>,
    /// What becomes of a statement above them.
    above: Above,
}

/// What is to hold endings above a limit.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrakeWish {
    /// People, 0–10,000,000.
    max_people: Option<i64>,
    /// A share of the people whom it governs, in percent, 0–100.
    max_percent: Option<i64>,
    /// What becomes of a statement above them; `hold` if nothing is said. `refuse` is for the kind `scim` only.
    above: Option<Above>,
}

words! {
    /// What becomes of a statement above the limit.
    Above of AboveLimit {
        /// It is taken: whoever is named is suspended at once, and the end is held until somebody decides.
        Hold,
        /// It is answered 503 with `Retry-After`, and nothing of it takes effect.
        Refuse,
    }
}

impl Default for Above {
    fn default() -> Self {
        Self::of(AboveLimit::default())
    }
}

/// A new directory.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryWish {
    /// How it learns its facts.
    kind: Kind,
    /// Where a directory of Google Workspace gets its facts; for that kind only, and needed there.
    google: Option<GoogleWish>,
    /// Its name for people.
    name: String,
    /// The slug of the role of people in no mapped group; null, and if nothing is said: no access for them.
    default_role: Option<String>,
    /// Whether members of a group that is a member of another count as members of that; false if nothing is said.
    nested: Option<bool>,
    /// What holds endings above a limit; 20 percent if nothing is said, null: nothing does.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<BrakeWish>")]
    brake: Option<Option<BrakeWish>>,
    /// Seconds from the loss of the last granting group to the end; 3600 if nothing is said.
    settle_s: Option<i64>,
}

/// What changes of a directory.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPatch {
    /// Where a directory of Google Workspace gets its facts from now on; for that kind only.
    google: Option<GooglePatch>,
    /// Its name for people.
    name: Option<String>,
    /// The slug of the role of people in no mapped group; null: no access for them.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    default_role: Option<Option<String>>,
    /// Whether members of a group that is a member of another count as members of that; false if nothing is said.
    nested: Option<bool>,
    /// What holds endings above a limit; null: nothing does. What is held already stays held.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<BrakeWish>")]
    brake: Option<Option<BrakeWish>>,
    /// Seconds from the loss of the last granting group to the end.
    settle_s: Option<i64>,
}

/// A new token of a directory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryTokenWish {
    /// When it runs out by itself.
    expires_at: Option<At>,
}

/// What becomes of the people whom something that is deleted governs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    people: Option<People>,
}

impl From<DeleteQuery> for Governed {
    fn from(query: DeleteQuery) -> Self {
        match query.people {
            None => Self::Unsaid,
            Some(People::Keep) => Self::Keep,
            Some(People::Offboard) => Self::OffBoard,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum People {
    Keep,
    Offboard,
}

const LIST: &str = "/organizations/{org}/directories";
const ONE: &str = "/organizations/{org}/directories/{dir}";
const TOKENS: &str = "/organizations/{org}/directories/{dir}/tokens";
const TOKEN: &str = "/organizations/{org}/directories/{dir}/tokens/{tok}";
const REFUSALS: [&str; 8] = [
    "invalid_name",
    "invalid_slug",
    "invalid_brake",
    "not_available",
    "identity_not_allowed",
    "identity_off",
    "role_is_explicit_only",
    "above_own_rank",
];

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(DirectoriesRead);
    let write = Needs::Permission(DirectoriesWrite);
    vec![
        Operation::create(LIST, write, "Makes a directory and its first token.", create)
            .takes::<DirectoryWish>()
            .gives::<CreatedDirectory>()
            .refuses(&REFUSALS)
            .refuses(&["seen_by_others"]),
        Operation::get(LIST, see, "Lists directories.", list).gives::<Page<Directory>>().paged(),
        Operation::get(ONE, see, "Shows a directory.", show).gives::<Directory>(),
        Operation::patch(ONE, write, "Changes a directory, and everybody whom that touches.", change)
            .takes::<DirectoryPatch>()
            .gives::<Directory>()
            .refuses(&REFUSALS)
            .refuses(&["token_seen_below", "source_set_below"]),
        Operation::delete(ONE, write, "Deletes a directory with its facts and mappings.", delete)
            .query("people", "`keep` or `offboard`: what becomes of the people whom it governs.")
            .refuses(&["governs_people", "in_use", "above_own_rank", "told_from_below"]),
        Operation::create(TOKENS, write, "Issues one more SCIM token; several may be valid at once.", issue)
            .takes::<DirectoryTokenWish>()
            .gives::<IssuedToken>()
            .refuses(&["above_own_rank", "seen_by_others", "too_many_keys"]),
        Operation::get(TOKENS, see, "Lists a directory's tokens, ended ones too.", tokens)
            .gives::<Page<TokenWire>>()
            .paged(),
        Operation::get(TOKEN, see, "Shows a directory's token.", token).gives::<TokenWire>(),
        Operation::delete(TOKEN, write, "Ends a directory's token.", revoke).refuses(&["above_own_rank"]),
    ]
}

impl Brake {
    const fn of(of: domain_brake::Brake) -> Self {
        Self { max_people: of.max_people, max_percent: of.max_percent, above: Above::of(of.above) }
    }
}

impl BrakeWish {
    fn read(self) -> Result<domain_brake::Brake, ServiceError> {
        let brake = domain_brake::Brake::new(self.max_people, self.max_percent)?;
        Ok(brake.with_above(self.above.unwrap_or_default().meant()))
    }
}

const fn nesting(said: bool) -> Nesting {
    if said { Nesting::On } else { Nesting::Off }
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<DirectoryWish>,
) -> Result<Created, Problem> {
    let (org, cause, caller, said) = (scope.organization.id, scope.cause(), scope.caller.clone(), body.value);
    let brake = match said.brake {
        None => Some(domain_brake::Brake::default()),
        Some(said) => said.map(BrakeWish::read).transpose()?,
    };
    let source = match (said.kind, said.google) {
        (Kind::Google, Some(google)) => Some(google.read()?),
        (Kind::Google, None) => return Err(ServiceError::invalid("google", "is required").into()),
        (Kind::Scim, Some(_)) => {
            return Err(ServiceError::invalid("google", "is for the kind `google` only").into());
        }
        (Kind::Scim, None) => None,
    };
    let wish = NewDirectory {
        name: said.name,
        default_role: said.default_role,
        settle_s: said.settle_s,
        nesting: nesting(said.nested == Some(true)),
        brake,
    };
    let (around, polling) = (app.portcullis().around().clone(), app.portcullis().google());
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        if let Some(source) = &source {
            let ground = Ground { sealing: &around.sealing, polling: &polling };
            let (made, source) = google::create(tx, moment, (&caller, ground), org, (&wish, source), cause)?;
            let stored = Stored { source, is_revoked: false };
            let about = Directory::of(Found::made(made, Some(stored)), (&around, &polling));
            return Ok(CreatedDirectory { about, token: None, token_id: None });
        }
        let (made, issued) = directory::create(tx, moment, &caller, org, &wish, cause)?;
        Ok(CreatedDirectory {
            about: Directory::of(Found::made(made, None), (&around, &polling)),
            token: Some(issued.secret.expose().to_owned()),
            token_id: Some(issued.token.id.to_string()),
        })
    })
    .await
}

fn found(
    tx: &mut Tx<'_>,
    directory: domain::Directory,
    refusals: &LastRefusals,
) -> Result<Found, ServiceError> {
    let source = Stored::find(tx, &directory)?;
    let refused = refusals.of(tx, directory.id)?;
    Ok(Found { directory, source, refused })
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Directory>>, Problem> {
    let (limit, after) = page.bounds::<DirectoryId>()?;
    let (org, refusals) = (scope.organization.id, Arc::clone(app.portcullis().last_refusals()));
    let read = move |tx: &mut Tx<'_>, _| {
        let listed = directory::list(tx, org, &after, limit + 1)?;
        listed.into_iter().map(|d| found(tx, d, &refusals)).collect::<Result<Vec<_>, _>>()
    };
    let listed = app.portcullis().read(read).await?;
    let (around, polling) = (app.portcullis().around(), app.portcullis().google());
    let items = listed.into_iter().map(|d| Directory::of(d, (around, &polling))).collect();
    Ok(Json(Page::of(items, limit, |d: &Directory| d.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
) -> Result<Json<Directory>, Problem> {
    let (org, refusals) = (scope.organization.id, Arc::clone(app.portcullis().last_refusals()));
    let dir = id(&dir, Noun::Directory)?;
    let read = move |tx: &mut Tx<'_>, _| {
        let one = directory::find(tx, org, dir)?;
        found(tx, one, &refusals)
    };
    let one = app.portcullis().read(read).await?;
    Ok(Json(Directory::of(one, (app.portcullis().around(), &app.portcullis().google()))))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    body: Body<DirectoryPatch>,
) -> Result<Json<Directory>, Problem> {
    let (org, cause, caller, said) = (scope.organization.id, scope.cause(), scope.caller, body.value);
    let changes = DirectoryChanges {
        name: said.name,
        default_role: said.default_role,
        settle_s: said.settle_s,
        nesting: said.nested.map(nesting),
        brake: said.brake.map(|said| said.map(BrakeWish::read).transpose()).transpose()?,
    };
    let source = said.google.map(GooglePatch::read).transpose()?;
    let dir = id(&dir, Noun::Directory)?;
    let (around, polling) = (app.portcullis().around().clone(), app.portcullis().google());
    let refusals = Arc::clone(app.portcullis().last_refusals());
    let (changed, carried, left) = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let (changed, carried) = directory::update(tx, moment, &caller, org, (dir, &changes), cause)?;
            let ground = Ground { sealing: &around.sealing, polling: &polling };
            let left = match &source {
                Some(source) => google::update(tx, moment, (&caller, ground), org, (dir, source), cause)?,
                None => None,
            };
            Ok((found(tx, changed, &refusals)?, carried, left))
        })
        .await?;
    if let Some(left) = left {
        consent::withdraw(app.portcullis(), &left).await;
    }
    let changed = Directory::of(changed, (app.portcullis().around(), &app.portcullis().google()));
    Ok(Json(Directory { rules_pending: carried == Carried::Pending, ..changed }))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    Params(query): Params<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let (org, cause) = (scope.organization.id, scope.cause());
    let dir = id(&dir, Noun::Directory)?;
    directory::delete(app.portcullis(), scope.caller, org, (dir, query.into()), cause).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn issue(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    key: IdempotencyKey,
    body: Body<DirectoryTokenWish>,
) -> Result<Created, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    let (dir, expires_at) = (id(&dir, Noun::Directory)?, body.value.expires_at.map(|at| at.0));
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        let issued = directory::issue_token(tx, moment, &caller, org, (dir, expires_at), cause)?;
        Ok(IssuedToken::of(&issued))
    })
    .await
}

async fn tokens(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Page<TokenWire>>, Problem> {
    let (limit, after) = query.bounds::<TokenId>()?;
    let (org, dir) = (scope.organization.id, id(&dir, Noun::Directory)?);
    let found =
        app.portcullis().read(move |tx, _| directory::list_tokens(tx, org, dir, &after, limit + 1)).await?;
    Ok(Json(page(&found, limit)))
}

async fn token(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir, tok)): Path<(String, String, String)>,
) -> Result<Json<TokenWire>, Problem> {
    let org = scope.organization.id;
    let about = (id(&dir, Noun::Directory)?, id(&tok, Noun::Token)?);
    let found = app.portcullis().read(move |tx, _| directory::find_token(tx, org, about)).await?;
    Ok(Json(TokenWire::of(&found)))
}

async fn revoke(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir, tok)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (caller, org, cause) = (scope.caller.clone(), scope.organization.id, scope.cause());
    let about = (id(&dir, Noun::Directory)?, id(&tok, Noun::Token)?);
    app.portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            directory::revoke_token(tx, moment, &caller, org, about, cause)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
