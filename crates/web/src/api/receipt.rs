//! Receipts of off-boardings: `…/receipts`. Read only.

use axum::Json;
use axum::extract::{Path, State};
use portcullis_domain::id::ReceiptId;
use portcullis_domain::permission::Permission;
use portcullis_domain::receipt::KeptBecause;
use portcullis_service::noun::Noun;
use portcullis_service::receipt;
use portcullis_store::receipt::StoredReceipt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::api::id;
use crate::body::{At, Page, PageQuery, Params};
use crate::error::Problem;
use crate::route::{Needs, Operation};
use crate::scope::Scope;

/// The account of one off-boarding.
#[derive(Debug, Serialize, JsonSchema)]
struct Receipt {
    /// Its id.
    id: String,
    /// Its place among the receipts of the organization, in the order in which they were signed; null until it is, a second
    /// at most.
    number: Option<i64>,
    /// When it was opened.
    created_at: At,
    /// Who left.
    member: String,
    /// When.
    at: At,
    /// What made it happen.
    cause: ReceiptCause,
    /// What ended.
    ended: Vec<EndedThing>,
    /// What outlives the membership, and why.
    kept: Vec<KeptThing>,
    /// The signed account (compact JWS, EdDSA over RFC 8785); null until it is signed, a second at most.
    jws: Option<String>,
}

/// What made an off-boarding happen.
#[derive(Debug, Serialize, JsonSchema)]
struct ReceiptCause {
    /// Through which door.
    kind: &'static str,
    /// Why the membership ended.
    because: &'static str,
    /// The request, as its caller saw it.
    request_id: Option<String>,
    /// The event `member.deprovisioned`.
    event: String,
    /// The directory whose statement it was.
    directory: Option<String>,
}

/// Something that ended.
#[derive(Debug, Serialize, JsonSchema)]
struct EndedThing {
    /// The noun.
    #[serde(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
}

/// Something that outlives the membership.
#[derive(Debug, Serialize, JsonSchema)]
struct KeptThing {
    /// The noun.
    #[serde(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
    /// Why it stays.
    why: &'static str,
}

const fn why(because: KeptBecause) -> &'static str {
    match because {
        KeptBecause::Rotate => "rotate",
        KeptBecause::HandedOver => "handed_over",
        KeptBecause::WaitsForKeys => "waits_for_keys",
        KeptBecause::StaysPaused => "stays_paused",
        KeptBecause::Orphaned => "orphaned",
        KeptBecause::OtherMembership => "other_membership",
        KeptBecause::LastOwner => "last_owner",
    }
}

impl Receipt {
    fn of(stored: &StoredReceipt) -> Self {
        let receipt = &stored.receipt;
        let ended = stored.ended.iter().map(|e| EndedThing { kind: e.kind.clone(), id: e.id.clone() });
        let kept = receipt.kept.iter();
        Self {
            id: receipt.id.to_string(),
            number: stored.number,
            created_at: At(receipt.at),
            member: receipt.membership.to_string(),
            at: At(receipt.at),
            cause: ReceiptCause {
                kind: stored.cause.kind.as_str(),
                because: receipt.because.as_str(),
                request_id: stored.cause.request_id.map(|r| r.to_string()),
                event: stored.event.to_string(),
                directory: stored.cause.directory.map(|d| d.to_string()),
            },
            ended: ended.collect(),
            kept: kept
                .map(|k| KeptThing { kind: k.what.kind.clone(), id: k.what.id.clone(), why: why(k.why) })
                .collect(),
            jws: stored.jws.clone(),
        }
    }
}

/// Which receipts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    limit: Option<i64>,
    cursor: Option<String>,
    after: Option<u64>,
}

/// What `after` means.
const AFTER: &str = "Only what has a number above this one, in order of number; 0: from the first. Behind the last number that \
                     was read none is missed: the way to follow receipts. `cursor` is a number then.";

/// The rows.
pub fn operations() -> Vec<Operation> {
    let read = Needs::PermissionOfRecords(Permission::ReceiptsRead);
    vec![
        Operation::get("/organizations/{org}/receipts", read, "Lists receipts of off-boardings.", list)
            .paged()
            .query("after", AFTER)
            .gives::<Page<Receipt>>()
            .refuses(&["after_beyond_end"]),
        Operation::get("/organizations/{org}/receipts/{rcp}", read, "Shows a receipt.", show)
            .gives::<Receipt>(),
    ]
}

async fn list(
    State(app): State<App>,
    scope: Scope,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<Receipt>>, Problem> {
    let organization = scope.organization.id;
    let page = PageQuery { limit: wanted.limit, cursor: wanted.cursor };
    if let Some(after) = wanted.after {
        let (limit, after) = page.numbers(after)?;
        let found =
            app.portcullis().read(move |tx, _| receipt::follow(tx, organization, (after, limit + 1))).await?;
        let number = |r: &Receipt| r.number.unwrap_or_default().to_string();
        return Ok(Json(Page::of(found.iter().map(Receipt::of).collect(), limit, number)));
    }
    let (limit, after) = page.bounds::<ReceiptId>()?;
    let found =
        app.portcullis().read(move |tx, _| receipt::list(tx, organization, (&after, limit + 1))).await?;
    Ok(Json(Page::of(found.iter().map(Receipt::of).collect(), limit, |r| r.id.clone())))
}

async fn show(
    State(app): State<App>,
    scope: Scope,
    Path((_, rcp)): Path<(String, String)>,
) -> Result<Json<Receipt>, Problem> {
    let (organization, receipt) = (scope.organization.id, id(&rcp, Noun::Receipt)?);
    let found = app.portcullis().read(move |tx, _| receipt::find(tx, organization, receipt)).await?;
    Ok(Json(Receipt::of(&found)))
}
