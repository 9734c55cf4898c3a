//! People who may be somebody whom the organization knows already: `…/reviews`.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::id::{MembershipId, ReviewId};
use portcullis_domain::membership::Membership;
use portcullis_domain::permission::Permission::{MembersRead, MembersWrite};
use portcullis_domain::review::ReviewState;
use portcullis_service::noun::Noun;
use portcullis_service::review::{self, Seen};
use portcullis_store::Priority;
use portcullis_store::review::Wanted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::body::{At, Body, Nothing, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

const NOUN: Noun = Noun::Review;

/// A person whom a directory told of and who may be a member already.
#[derive(Debug, Serialize, JsonSchema)]
struct Review {
    /// Its id.
    id: String,
    /// When it came up.
    created_at: At,
    /// `open`, `attached` or `dismissed`.
    #[schemars(extend("enum" = ["open", "attached", "dismissed"]))]
    state: &'static str,
    /// Why the person was not matched.
    #[schemars(extend("enum" = ["domain_not_proven", "several_members", "already_told", "end_held"]))]
    reason: &'static str,
    /// The directory that told of the person.
    directory: String,
    /// The person; null if the directory tells of them no longer.
    person: Option<Told>,
    /// Whom they may be.
    candidates: Vec<Candidate>,
    /// The member that they were attached to.
    attached_to: Option<String>,
}

/// A person as their directory tells of them.
#[derive(Debug, Serialize, JsonSchema)]
struct Told {
    /// The id in the directory.
    id: String,
    /// The member that they are now.
    member: String,
    /// The name that the directory signs them in with.
    user_name: String,
    /// The directory's own key.
    external_id: Option<String>,
    /// Their display name.
    display_name: String,
}

/// A member that the person may be.
#[derive(Debug, Serialize, JsonSchema)]
struct Candidate {
    /// The member.
    member: String,
    /// Their address here.
    email: String,
    /// Their name here.
    name: String,
    /// What the membership is worth now.
    state: &'static str,
    /// The role's slug.
    role: Option<String>,
}

/// Whom a person is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recognizing {
    /// The member, usually one of the candidates.
    #[schemars(with = "String")]
    member: MembershipId,
}

/// Which reviews.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    limit: Option<i64>,
    cursor: Option<String>,
    state: Option<Which>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    Open,
    All,
}

impl Candidate {
    fn of(member: &Membership) -> Self {
        Self {
            member: member.id.to_string(),
            email: member.email.clone(),
            name: member.name.clone(),
            state: member.access.state.as_str(),
            role: member.role().map(ToString::to_string),
        }
    }
}

impl Review {
    fn of(seen: Seen) -> Self {
        let Seen { review, told, candidates } = seen;
        let (state, attached_to) = match review.state {
            ReviewState::Open => ("open", None),
            ReviewState::Attached(member) => ("attached", Some(member.to_string())),
            ReviewState::Dismissed => ("dismissed", None),
        };
        Self {
            id: review.id.to_string(),
            created_at: At(review.created_at),
            state,
            reason: review.reason.as_str(),
            directory: review.directory.to_string(),
            person: told.map(|told| Told {
                id: told.id.to_string(),
                member: told.membership.to_string(),
                user_name: told.user_name,
                external_id: told.external_id,
                display_name: told.display_name,
            }),
            candidates: candidates.iter().map(Candidate::of).collect(),
            attached_to,
        }
    }
}

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const ALL: &str = "/organizations/{org}/reviews";
    const ONE: &str = "/organizations/{org}/reviews/{review}";
    let read = Needs::Permission(MembersRead);
    let write = Needs::Permission(MembersWrite);
    vec![
        Operation::get(ALL, read, "Lists people who may be members already, and were not matched.", list)
            .gives::<Page<Review>>()
            .query("state", "`open` (if nothing is said) or `all`.")
            .paged(),
        Operation::get(ONE, read, "Shows a review.", show).gives::<Review>(),
        Operation::act(
            "/organizations/{org}/reviews/{review}/attach",
            write,
            "Says that the person is that member; the membership made meanwhile ends.",
            attach,
        )
        .takes::<Recognizing>()
        .gives::<Review>()
        .refuses(&["above_own_rank", "member_inactive", "taken"]),
        Operation::act(
            "/organizations/{org}/reviews/{review}/dismiss",
            write,
            "Says that the person is somebody else; it may still be attached later.",
            dismiss,
        )
        .takes::<Nothing>()
        .gives::<Review>()
        .refuses(&["taken"]),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(query): Params<Query>,
) -> Result<Json<Page<Review>>, Problem> {
    let (limit, after) = PageQuery { limit: query.limit, cursor: query.cursor }.bounds::<ReviewId>()?;
    let organization = scope.organization.id;
    let wanted = match query.state {
        None | Some(Which::Open) => Wanted::Open,
        Some(Which::All) => Wanted::All,
    };
    let found = app
        .portcullis()
        .read(move |tx, _| review::list(tx, organization, wanted, (&after, limit + 1)))
        .await?;
    let items = found.into_iter().map(Review::of).collect();
    Ok(Json(Page::of(items, limit, |review: &Review| review.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, review)): Path<(String, String)>,
) -> Result<Json<Review>, Problem> {
    let (organization, review) = (scope.organization.id, id(&review, NOUN)?);
    let found = app.portcullis().read(move |tx, _| review::find(tx, organization, review)).await?;
    Ok(Json(Review::of(found)))
}

async fn attach(
    State(app): State<App>,
    scope: Scope,
    Path((_, review)): Path<(String, String)>,
    body: Body<Recognizing>,
) -> Result<Json<Review>, Problem> {
    let (organization, review, member) = (scope.organization.id, id(&review, NOUN)?, body.value.member);
    let cause = scope.cause();
    let attached = app
        .portcullis()
        .write(Priority::OffBoarding, move |tx, moment| {
            review::attach(tx, moment, &scope.caller, organization, (review, member), cause)
        })
        .await?;
    Ok(Json(Review::of(attached)))
}

async fn dismiss(
    State(app): State<App>,
    scope: Scope,
    Path((_, review)): Path<(String, String)>,
    _: Body<Nothing>,
) -> Result<Json<Review>, Problem> {
    let (organization, review) = (scope.organization.id, id(&review, NOUN)?);
    let cause = scope.cause();
    let dismissed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| review::dismiss(tx, moment, organization, review, cause))
        .await?;
    Ok(Json(Review::of(dismissed)))
}
