//! `/organizations/{org}/directories/{dir}/groups`: what a mapping can name, without the provider's token.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::id::DirectoryGroupId;
use portcullis_domain::permission::Permission::DirectoriesRead;
use portcullis_service::directory_group::{self, GroupView};
use portcullis_service::noun::Noun;
use portcullis_store::Tx;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// A group that a directory tells of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DirectoryGroup {
    /// Its id, the same as over SCIM: what a mapping names to survive a rename.
    id: String,
    /// The provider's own key, if it gave one.
    external_id: Option<String>,
    /// Its name, as the provider writes it.
    display_name: String,
    /// How many people the provider names as its members; those of groups inside it are not counted.
    members: i64,
    /// When the directory first told of it.
    created_at: At,
}

impl From<GroupView> for DirectoryGroup {
    fn from(GroupView { group, members }: GroupView) -> Self {
        Self {
            id: group.id.to_string(),
            external_id: group.external_id,
            display_name: group.display_name,
            members,
            created_at: At(group.created_at),
        }
    }
}

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const LIST: &str = "/organizations/{org}/directories/{dir}/groups";
    let see = Needs::Permission(DirectoriesRead);
    vec![
        Operation::get(LIST, see, "Lists the groups that a directory tells of.", list)
            .gives::<Page<DirectoryGroup>>()
            .paged(),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Path((_, dir)): Path<(String, String)>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<DirectoryGroup>>, Problem> {
    let (limit, after) = page.bounds::<DirectoryGroupId>()?;
    let (org, dir) = (scope.organization.id, id(&dir, Noun::Directory)?);
    let read = move |tx: &mut Tx<'_>, _| directory_group::list(tx, org, dir, (&after, limit + 1));
    let items = app.portcullis().read(read).await?.into_iter().map(DirectoryGroup::from).collect();
    Ok(Json(Page::of(items, limit, |group: &DirectoryGroup| group.id.clone())))
}
