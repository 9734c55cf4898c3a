//! What a member is known by: `…/members/{mem}/known-by`. Whoever vouches for it in a grant looks at it first.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::connection::Link;
use portcullis_domain::directory_user::DirectoryUser;
use portcullis_domain::id::MembershipId;
use portcullis_domain::permission::Permission;
use portcullis_domain::role::Rank;
use portcullis_service::known_by;
use portcullis_service::noun::Noun;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::api::id;
use crate::body::At;
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// What a member is known by, at providers and in directories.
#[derive(Debug, Serialize, JsonSchema)]
struct KnownBy {
    /// The accounts by which they sign in, 200 at most.
    links: Vec<KnownAtProvider>,
    /// What directories call them: by any of it an account that is not linked yet may come to be.
    told: Vec<KnownInDirectory>,
    /// The rank up to which a password of theirs is believed to be their own; null for any.
    password_believed_up_to: Option<i64>,
    /// Another text once any account or name is another. `POST …/grants` takes it beside `vouched`.
    revision: String,
}

/// An account at a provider.
#[derive(Debug, Serialize, JsonSchema)]
struct KnownAtProvider {
    /// The connection.
    connection: String,
    /// The provider's name for the account.
    subject: String,
    /// The rank up to which it is believed to be theirs; null for any.
    believed_up_to: Option<i64>,
    /// Since when.
    created_at: At,
}

/// What a directory calls somebody.
#[derive(Debug, Serialize, JsonSchema)]
struct KnownInDirectory {
    /// The directory.
    directory: String,
    /// The user name; null for what a provider says at sign-in, which tells of people by `external_id` alone.
    user_name: Option<String>,
    /// The id of the provider's own, if it gave one. Of what a provider says at sign-in, its name for the account.
    external_id: Option<String>,
    /// The addresses, the one that stands for them first.
    emails: Vec<String>,
    /// The rank up to which it is believed; null for any.
    believed_up_to: Option<i64>,
}

fn up_to(rank: Rank) -> Option<i64> {
    (rank != Rank::ROOT).then_some(rank.number())
}

impl KnownAtProvider {
    fn of(link: Link) -> Self {
        Self {
            connection: link.connection.to_string(),
            subject: link.subject,
            believed_up_to: up_to(link.believed_up_to),
            created_at: At(link.created_at),
        }
    }
}

impl KnownInDirectory {
    fn of(user: DirectoryUser) -> Self {
        Self {
            directory: user.directory.to_string(),
            user_name: user.name().map(str::to_owned),
            external_id: user.external_id,
            emails: user.email_keys,
            believed_up_to: up_to(user.believed_up_to),
        }
    }
}

/// The row of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/organizations/{org}/members/{mem}/known-by",
            Needs::Permission(Permission::MembersRead),
            "Shows by which accounts and names a member is known, for whoever is to vouch for them in a grant.",
            show,
        )
        .gives::<KnownBy>(),
    ]
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, mem)): Path<(String, String)>,
) -> Result<Json<KnownBy>, Problem> {
    let (organization, mem): (_, MembershipId) = (scope.organization.id, id(&mem, Noun::Member)?);
    let found = app.portcullis().read(move |tx, _| known_by::find(tx, organization, mem)).await?;
    Ok(Json(KnownBy {
        links: found.links.into_iter().map(KnownAtProvider::of).collect(),
        told: found.told.into_iter().map(KnownInDirectory::of).collect(),
        password_believed_up_to: up_to(found.password_believed_up_to),
        revision: found.revision,
    }))
}
