//! Directories of Google Workspace: asked by a poll, because Google pushes nothing to an application of one's own.
//!
//! A full poll reads people, groups, their direct members and the organizational units, and writes what differs from
//! what is stored, by the same functions that a SCIM call ends in ([`crate::provisioning`]). A fast poll between them
//! reads only who is suspended, archived or deleted, so that a leaver is gone within a minute. A list that is not whole
//! takes nothing away (invariant I11): a page that fails ends the run before anything is written, and somebody who is
//! missing is asked for by name before they are removed.
//!
//! - `key`: the service account's key and what it signs;
//! - `client`: one call of the API, with patience for quotas;
//! - `reading`: whole lists;
//! - `comparing`: what differs, and whether the missing are gone;
//! - `writing`: the one road;
//! - `run`: a run from claim to record, and when the next is due;
//! - `poller`: all directories, one run each at a time, whichever node it is on.

mod client;
mod comparing;
mod failure;
mod key;
mod poller;
mod reading;
mod run;
mod wire;
mod writing;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft, Target};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryChange;
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind};
use portcullis_domain::google::{GoogleSource, MY_CUSTOMER};
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::{domain_key, email_key, name};
use portcullis_store::db::Lock;
use portcullis_store::google::Poll;
use portcullis_store::{Tx, apply, google};
use serde_json::{Value, json};
use url::Url;

use crate::caller::Caller;
use crate::directory::{self, NewDirectory};
use crate::sealing::SealingKey;
use crate::{Moment, ServiceError};

pub use failure::advice;
pub use key::MAX_KEY_BYTES;

/// Where Google issues access tokens.
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Where the Directory API is.
pub const DIRECTORY_URL: &str = "https://admin.googleapis.com/admin/directory/v1";
/// The longest id of a customer, in bytes; Google's have nine.
const MAX_CUSTOMER: usize = 64;
const NOUN: &str = "directory";

/// How directories of Google Workspace are polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polling {
    /// Where access tokens are issued.
    pub token_url: String,
    /// Where the Directory API is, without a slash at the end.
    pub directory_url: String,
    /// Seconds between two full polls.
    pub full_every_s: i64,
    /// Seconds between two fast polls.
    pub fast_every_s: i64,
    /// Milliseconds before a refused call is tried again, the first time; it doubles with each.
    pub patience_ms: u64,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            token_url: TOKEN_URL.to_owned(),
            directory_url: DIRECTORY_URL.to_owned(),
            full_every_s: 15 * 60,
            fast_every_s: 60,
            patience_ms: 1_000,
        }
    }
}

impl Polling {
    /// The same, at a stand-in: tokens at `/token`, the Directory API at its usual path.
    #[must_use]
    pub fn at_stand_in(self, base: &Url) -> Self {
        let base = base.as_str().trim_end_matches('/');
        Self {
            token_url: format!("{base}/token"),
            directory_url: format!("{base}/admin/directory/v1"),
            ..self
        }
    }
}

/// Where a new directory gets its facts.
#[derive(Clone)]
pub struct NewSource {
    /// The customer's id at Google; the one of the administrator if nothing is said.
    pub customer: Option<String>,
    /// The one e-mail domain that is asked for.
    pub domain: Option<String>,
    /// The administrator in whose name is asked.
    pub delegated_admin: String,
    /// The service account's key file.
    pub service_account_key: Value,
}

/// Which parts of a source are to change.
#[derive(Clone, Default)]
pub struct SourceChanges {
    /// The one e-mail domain that is asked for; `Some(None)` asks for all.
    pub domain: Option<Option<String>>,
    /// The administrator in whose name is asked.
    pub delegated_admin: Option<String>,
    /// Another key file, of this or another service account.
    pub service_account_key: Option<Value>,
}

/// What an operator decided that making a source needs.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What seals the key.
    pub sealing: &'a SealingKey,
    /// Where tokens are issued: what a key file must name.
    pub polling: &'a Polling,
}

/// Makes a directory of Google Workspace. The first poll begins at once.
///
/// # Errors
/// As [`directory::create`]; [`ServiceError::Invalid`] for a key file or address that cannot be used.
pub fn create(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (caller, ground): (&Caller, Ground<'_>),
    organization: OrganizationId,
    (wish, source): (&NewDirectory, &NewSource),
    cause: Cause,
) -> Result<(Directory, GoogleSource), ServiceError> {
    directory::may_nest(DirectoryKind::Google, wish.nesting)?;
    tx.lock(Lock::Organization(organization))?;
    let made = Directory {
        id: DirectoryId::fresh(moment.now, &mut moment.random),
        organization,
        kind: DirectoryKind::Google,
        name: name(&wish.name)?,
        default_role: directory::default_role(tx, caller, organization, wish.default_role.as_deref())?,
        settle_s: directory::settle_s(wish.settle_s.unwrap_or(DEFAULT_SETTLE_S))?,
        nested_at: None,
        brake: wish.brake,
        connection: None,
        created_at: moment.now,
    };
    let file = key::parse(&source.service_account_key, &ground.polling.token_url)?;
    let place = key::place(made.id);
    let set = GoogleSource {
        directory: made.id,
        organization,
        customer: customer(source.customer.as_deref())?,
        domain: source.domain.as_deref().map(domain).transpose()?,
        delegated_admin: admin(&source.delegated_admin)?,
        key_sealed: file.seal(ground.sealing, &mut moment.random, &place)?,
        client_email: file.client_email,
        client_id: file.client_id,
        key_id: file.key_id,
        updated_at: moment.now,
    };
    let event = EventDraft::new(Action::DirectoryCreated, Target::new(NOUN, made.id))
        .with(json!({ "directory": directory::shown(&made), "google": shown(&set) }));
    let changes = vec![
        DirectoryChange::Create(made.clone()).into(),
        DirectoryChange::SetGoogle(Box::new(set.clone())).into(),
    ];
    let plan = Plan::because(organization, cause).then_all(event, changes);
    apply(tx, &plan, moment.now, &mut moment.random)?;
    google::begin(tx, organization, made.id, moment.now)?;
    Ok((made, set))
}

/// Changes where a directory gets its facts: whoever may, chooses who is in every group of it. The next full poll
/// begins at once.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for another kind of directory, a key file or address that
/// cannot be used; [`portcullis_domain::Refusal::AboveOwnRank`] if the directory gives a role above the caller's rank.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (caller, ground): (&Caller, Ground<'_>),
    organization: OrganizationId,
    (id, changes): (&str, &SourceChanges),
    cause: Cause,
) -> Result<(), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let found = directory::find(tx, organization, id)?;
    directory::must_reach(tx, caller, &found)?;
    let was = source_of(tx, &found)?;
    let mut is = was.clone();
    if let Some(said) = &changes.domain {
        is.domain = said.as_deref().map(domain).transpose()?;
    }
    if let Some(said) = &changes.delegated_admin {
        is.delegated_admin = admin(said)?;
    }
    if let Some(said) = &changes.service_account_key {
        let file = key::parse(said, &ground.polling.token_url)?;
        is.key_sealed = file.seal(ground.sealing, &mut moment.random, &key::place(found.id))?;
        is.client_email = file.client_email;
        is.client_id = file.client_id;
        is.key_id = file.key_id;
    }
    if is == was {
        return Ok(());
    }
    is.updated_at = moment.now;
    let event = EventDraft::new(Action::DirectoryUpdated, Target::new(NOUN, found.id))
        .with(json!({ "from": { "google": shown(&was) }, "to": { "google": shown(&is) } }));
    let plan = Plan::because(organization, cause).then(event, DirectoryChange::SetGoogle(Box::new(is)));
    apply(tx, &plan, moment.now, &mut moment.random)?;
    google::hasten(tx, found.id, moment.now)?;
    Ok(())
}

/// Where a directory gets its facts, if it is of this kind.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn find_source(tx: &mut Tx<'_>, of: &Directory) -> Result<Option<GoogleSource>, ServiceError> {
    match of.kind {
        DirectoryKind::Google => Ok(google::source(tx, of.organization, of.id)?),
        DirectoryKind::Scim | DirectoryKind::Claims => Ok(None),
    }
}

/// How the polls of a directory stand.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for another kind of directory.
pub fn find_poll(tx: &mut Tx<'_>, organization: OrganizationId, id: &str) -> Result<Poll, ServiceError> {
    let found = directory::find(tx, organization, id)?;
    source_of(tx, &found)?;
    google::poll(tx, found.id)?.ok_or(ServiceError::NotFound(NOUN))
}

/// Has a directory read as soon as nobody reads it: `Sync now`.
///
/// # Errors
/// As [`find_poll`].
pub fn hasten(
    tx: &mut Tx<'_>,
    moment: &Moment,
    organization: OrganizationId,
    id: &str,
) -> Result<Poll, ServiceError> {
    let poll = find_poll(tx, organization, id)?;
    google::hasten(tx, poll.directory, moment.now)?;
    Ok(Poll { full_at: moment.now, ..poll })
}

fn source_of(tx: &mut Tx<'_>, of: &Directory) -> Result<GoogleSource, ServiceError> {
    let other = || ServiceError::invalid(NOUN, "is not polled: only those of the kind `google` are");
    find_source(tx, of)?.ok_or_else(other)
}

fn customer(said: Option<&str>) -> Result<String, ServiceError> {
    let said = said.unwrap_or(MY_CUSTOMER);
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if said.is_empty() || said.len() > MAX_CUSTOMER || !said.chars().all(good) {
        let message = "is `my_customer`, or the customer's id as Admin console → Account shows it";
        return Err(ServiceError::invalid("google.customer", message));
    }
    Ok(said.to_owned())
}

fn domain(said: &str) -> Result<String, ServiceError> {
    domain_key(said).map_err(|error| ServiceError::invalid("google.domain", error.to_string()))
}

fn admin(said: &str) -> Result<String, ServiceError> {
    email_key(said).map_err(|error| ServiceError::invalid("google.delegated_admin", error.to_string()))
}

/// A source as an audit event shows it: everything but the key.
fn shown(source: &GoogleSource) -> Value {
    json!({
        "customer": source.customer,
        "domain": source.domain,
        "delegated_admin": source.delegated_admin,
        "service_account": source.client_email,
        "key_id": source.key_id,
    })
}

/// Seconds from now on, never before now.
const fn in_s(now: Timestamp, seconds: i64) -> Timestamp {
    now.plus_s(if seconds > 0 { seconds } else { 0 })
}
