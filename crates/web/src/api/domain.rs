//! `/organizations/{org}/domains`: e-mail domains and their proof.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use portcullis_domain::domain as fact;
use portcullis_domain::id::DomainId;
use portcullis_domain::permission::Permission::{DomainsRead, DomainsWrite};
use portcullis_domain::text::domain_key;
use portcullis_service::ServiceError;
use portcullis_service::domain::{self, Vouched};
use portcullis_store::{Priority, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::body::{At, Body, Page, PageQuery, Params};
use crate::error::Problem;
use crate::once::{self, Created, IdempotencyKey};
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// An e-mail domain.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Domain {
    /// Its id.
    id: String,
    /// The name.
    domain: String,
    /// Where the TXT record is looked for.
    txt_name: String,
    /// The value that it must have.
    txt_value: String,
    /// `pending` or `proven`.
    state: &'static str,
    /// When it was proven.
    proven_at: Option<At>,
    /// When it was added.
    created_at: At,
    /// In the answer of a look at the record: `proven`, `no_record`, `another_value`, or `unanswered` by DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<&'static str>,
}

impl From<fact::Domain> for Domain {
    fn from(d: fact::Domain) -> Self {
        Self {
            id: d.id.to_string(),
            txt_name: d.txt_name(),
            txt_value: d.txt_value,
            state: d.state.as_str(),
            proven_at: d.proven_at.map(At),
            created_at: At(d.created_at),
            domain: d.domain,
            checked: None,
        }
    }
}

/// A new domain.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// The name, such as `example.com`.
    domain: String,
    /// Proven on the root token's word; only the root token may say so.
    vouched: Option<bool>,
}

/// What is said of a domain that is there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainWord {
    /// Proven on the root token's word; only the root token may say so.
    vouched: Option<bool>,
}

/// What is said where a domain is verified.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainProof {
    /// The name of the domain, if it is said beside the path: the same.
    domain: Option<String>,
    /// Proven on the root token's word; only the root token may say so.
    vouched: Option<bool>,
}

/// Whoever says the name in the body too says that of the path.
fn must_be_named(said: &str, found: &fact::Domain) -> Result<(), ServiceError> {
    match domain_key(said).is_ok_and(|name| name == found.domain) {
        true => Ok(()),
        false => Err(ServiceError::invalid("domain", "is another one than the path names")),
    }
}

const LIST: &str = "/organizations/{org}/domains";
const ONE: &str = "/organizations/{org}/domains/{domain}";
const VERIFY: &str = "/organizations/{org}/domains/{domain}/verify";

/// The rows of this noun.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let see = Needs::Permission(DomainsRead);
    let write = Needs::Permission(DomainsWrite);
    vec![
        Operation::create(LIST, write, "Adds an e-mail domain.", create)
            .takes::<NewDomain>()
            .gives::<Domain>()
            .refuses(&["taken", "invalid_domain", "root_only"]),
        Operation::get(LIST, see, "Lists e-mail domains.", list).gives::<Page<Domain>>().paged(),
        Operation::get(ONE, see, "Shows an e-mail domain.", show).gives::<Domain>(),
        Operation::patch(ONE, write, "Vouches for an e-mail domain.", change)
            .takes::<DomainWord>()
            .gives::<Domain>()
            .refuses(&["taken", "root_only"]),
        Operation::act(
            VERIFY,
            write,
            "Looks for the TXT record, and proves the domain if it is there.",
            verify,
        )
        .takes::<DomainProof>()
        .gives::<Domain>()
        .refuses(&["taken", "root_only", "above_own_rank"]),
        Operation::delete(ONE, write, "Removes an e-mail domain.", delete).refuses(&["above_own_rank"]),
    ]
}

const fn vouched(said: Option<bool>) -> Vouched {
    if matches!(said, Some(true)) { Vouched::ByRoot } else { Vouched::No }
}

async fn create(
    State(app): State<App>,
    scope: Scope,
    key: IdempotencyKey,
    body: Body<NewDomain>,
) -> Result<Created, Problem> {
    let (org, cause, caller, wish) = (scope.organization.id, scope.cause(), scope.caller.clone(), body.value);
    once::create(&app, &scope.caller, &key, &body.bytes, move |tx, moment| {
        domain::add(tx, moment, &caller, org, (&wish.domain, vouched(wish.vouched)), cause).map(Domain::from)
    })
    .await
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<Domain>>, Problem> {
    let (limit, after) = page.bounds::<DomainId>()?;
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| domain::list(tx, org, &after, limit + 1)).await?;
    let items = found.into_iter().map(Domain::from).collect();
    Ok(Json(Page::of(items, limit, |d: &Domain| d.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Domain>, Problem> {
    let org = scope.organization.id;
    let found = app.portcullis().read(move |tx, _| domain::find(tx, org, &id)).await?;
    Ok(Json(found.into()))
}

async fn change(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
    body: Body<DomainWord>,
) -> Result<Json<Domain>, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller);
    let said = vouched(body.value.vouched);
    let changed = app
        .portcullis()
        .write(Priority::Ordinary, move |tx, moment| {
            let found = domain::find(tx, org, &id)?;
            match said {
                Vouched::No => Ok(found),
                Vouched::ByRoot => domain::vouch(tx, moment, &caller, found, cause),
            }
        })
        .await?;
    Ok(Json(changed.into()))
}

async fn verify(
    app: State<App>,
    scope: Scope,
    path: Path<(String, String)>,
    body: Body<DomainProof>,
) -> Result<Json<Domain>, Problem> {
    let DomainProof { domain: named, vouched } = body.value;
    let (org, cause, caller, id) =
        (scope.organization.id, scope.cause(), scope.caller.clone(), path.0.1.clone());
    if let Some(named) = named {
        let asked = id.clone();
        let find = move |tx: &mut Tx<'_>, _| must_be_named(&named, &domain::find(tx, org, &asked)?);
        app.portcullis().read(find).await?;
    }
    if vouched == Some(true) {
        let word = Body { value: DomainWord { vouched }, bytes: body.bytes };
        return change(app, scope, path, word).await;
    }
    let (found, checked) = domain::verify(app.portcullis(), (org, id), caller, cause).await?;
    Ok(Json(Domain { checked: Some(checked.as_str()), ..found.into() }))
}

async fn delete(
    State(app): State<App>,
    scope: Scope,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (org, cause, caller) = (scope.organization.id, scope.cause(), scope.caller.clone());
    app.portcullis()
        .write(Priority::Ordinary, move |tx, moment| domain::remove(tx, moment, &caller, (org, &id), cause))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
