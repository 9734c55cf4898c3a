//! Directories of Google Workspace: asked by a poll, because Google pushes nothing to an application of one's own.
//!
//! A full poll reads people, groups, their direct members and the organizational units, and writes what differs from
//! what is stored, by the same functions that a SCIM call ends in ([`crate::provisioning`]). A fast poll between them
//! reads only who is suspended, archived or deleted, so that a leaver is gone within a minute. A list that is not whole
//! takes nothing away (invariant I11): a page that fails ends the run before anything is written, and somebody who is
//! missing is asked for by name before they are removed.
//!
//! - `source`: where a directory gets its facts and by which right, as somebody wishes it;
//! - `key`: the service account's key and what it signs;
//! - `workload`: the identity of this machine in place of a key;
//! - `consent`: an administrator's consent in place of either;
//! - `bearer`: access tokens by each of the three;
//! - `client`: one call of the API, with patience for quotas;
//! - `reading`: whole lists;
//! - `comparing`: what differs, and whether the missing are gone;
//! - `writing`: the one road;
//! - `run`: a run from claim to record, and when the next is due;
//! - `poller`: all directories, one run each at a time, whichever node it is on.

mod bearer;
mod client;
mod comparing;
pub mod consent;
mod failure;
mod key;
mod poller;
mod reading;
mod run;
mod source;
mod wire;
pub mod workload;
mod writing;

use portcullis_domain::Timestamp;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::DirectoryChange;
use portcullis_domain::directory::{DEFAULT_SETTLE_S, Directory, DirectoryKind};
use portcullis_domain::google::{GoogleRight, GoogleSource};
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::text::name;
use portcullis_store::db::Lock;
use portcullis_store::google::Poll;
use portcullis_store::{Tx, google};
use serde_json::json;
use url::Url;

use crate::caller::Caller;
use crate::directory::{self, NewDirectory};
use crate::noun::Noun;
use crate::organization::must_live;
use crate::sealing::SealingKey;
use crate::{Moment, ServiceError};

pub use failure::advice;
pub use key::MAX_KEY_BYTES;
pub use source::{NewRight, NewSource, SourceChanges};

/// Where Google issues access tokens.
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Where an administrator is asked for consent.
pub const CONSENT_URL: &str = "https://accounts.google.com/o/oauth2/v2/auth";
/// Where a consent is withdrawn.
pub const REVOKE_URL: &str = "https://oauth2.googleapis.com/revoke";
/// Where Google exchanges the token of another platform.
pub const STS_URL: &str = "https://sts.googleapis.com/v1/token";
/// Where the IAM Service Account Credentials API is.
pub const IAM_URL: &str = "https://iamcredentials.googleapis.com/v1";
/// Where the Directory API is.
pub const DIRECTORY_URL: &str = "https://admin.googleapis.com/admin/directory/v1";
const NOUN: Noun = Noun::Directory;

/// How directories of Google Workspace are polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polling {
    /// Where access tokens are issued.
    pub token_url: String,
    /// Where the Directory API is, without a slash at the end.
    pub directory_url: String,
    /// Where an administrator is asked for consent.
    pub consent_url: String,
    /// Where a consent is withdrawn.
    pub revoke_url: String,
    /// Where the token of another platform is exchanged.
    pub sts_url: String,
    /// Where the IAM Service Account Credentials API is, without a slash at the end.
    pub iam_url: String,
    /// The identity that the operator's settings name, if they do.
    pub workload: Option<workload::WorkloadIdentity>,
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
            consent_url: CONSENT_URL.to_owned(),
            revoke_url: REVOKE_URL.to_owned(),
            sts_url: STS_URL.to_owned(),
            iam_url: IAM_URL.to_owned(),
            workload: None,
            full_every_s: 15 * 60,
            fast_every_s: 60,
            patience_ms: 1_000,
        }
    }
}

impl Polling {
    /// The same, at a stand-in: everything at its usual path, of one host.
    #[must_use]
    pub fn at_stand_in(self, base: &Url) -> Self {
        let base = base.as_str().trim_end_matches('/');
        Self {
            token_url: format!("{base}/token"),
            directory_url: format!("{base}/admin/directory/v1"),
            consent_url: format!("{base}/o/oauth2/v2/auth"),
            revoke_url: format!("{base}/revoke"),
            sts_url: format!("{base}/v1/token"),
            iam_url: format!("{base}/v1"),
            ..self
        }
    }
}

/// What an operator decided that making a source needs.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What seals keys and secrets.
    pub sealing: &'a SealingKey,
    /// Where tokens are issued, and which identity the settings name.
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
    directory::may_brake(DirectoryKind::Google, wish.brake)?;
    tx.lock(Lock::Organization(organization))?;
    must_live(tx, organization)?;
    let made = Directory {
        id: DirectoryId::fresh(moment.now, &mut moment.random),
        organization,
        kind: DirectoryKind::Google,
        name: name(&wish.name).map_err(ServiceError::text("name"))?,
        default_role: directory::default_role(tx, caller, organization, wish.default_role.as_deref())?,
        settle_s: directory::settle_s(wish.settle_s.unwrap_or(DEFAULT_SETTLE_S))?,
        nested_at: None,
        brake: wish.brake,
        connection: None,
        created_at: moment.now,
    };
    let set = source::made(tx, moment, (caller, ground), (organization, made.id), source)?;
    let event = EventDraft::new(Action::DirectoryCreated, made.id)
        .with(json!({ "directory": directory::shown(&made), "google": source::shown(&set) }));
    let changes = vec![
        DirectoryChange::Create(made.clone()).into(),
        DirectoryChange::SetGoogle(Box::new(set.clone())).into(),
    ];
    let plan = Plan::because(organization, cause).then_all(event, changes);
    moment.apply(tx, &plan)?;
    google::begin(tx, organization, made.id, moment.now)?;
    Ok((made, set))
}

/// Changes where a directory gets its facts: whoever may, chooses who is in every group of it. The next full poll
/// begins at once. Gives the former source if its consent is not used any more, to be withdrawn after the commit.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for another kind of directory, a key file or address that
/// cannot be used; [`portcullis_domain::Refusal::AboveOwnRank`] if the directory gives a role above the caller's rank, or
/// names somebody above it whom a connection lets in by its word.
pub fn update(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (caller, ground): (&Caller, Ground<'_>),
    organization: OrganizationId,
    (id, changes): (DirectoryId, &SourceChanges),
    cause: Cause,
) -> Result<Option<GoogleSource>, ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let found = directory::find(tx, organization, id)?;
    directory::may_speak_for(tx, caller, &found)?;
    let was = source_of(tx, &found)?;
    let mut is = source::changed(tx, moment, (caller, ground), &was, changes)?;
    if is == was {
        return Ok(None);
    }
    is.updated_at = moment.now;
    set(tx, moment, (&was, is.clone()), cause)?;
    Ok(consent::is_left_behind(&was, &is).then_some(was))
}

/// Has a directory get its facts so from now on, and read at once.
fn set(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (was, is): (&GoogleSource, GoogleSource),
    cause: Cause,
) -> Result<(), ServiceError> {
    let (organization, directory) = (is.organization, is.directory);
    let event = EventDraft::new(Action::DirectoryUpdated, directory).with(json!({
        "from": { "google": source::shown(was) },
        "to": { "google": source::shown(&is) },
        "secret_changed": source::secret_changed(was, &is),
    }));
    let plan = Plan::because(organization, cause).then(event, DirectoryChange::SetGoogle(Box::new(is)));
    moment.apply(tx, &plan)?;
    Ok(google::hasten(tx, directory, moment.now)?)
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

/// Whether the last poll found that a consent which was given is good no longer.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn is_consent_revoked(tx: &mut Tx<'_>, source: &GoogleSource) -> Result<bool, ServiceError> {
    let GoogleRight::Consent(client) = &source.right else { return Ok(false) };
    let Some(given) = &client.given else { return Ok(false) };
    let revoked = failure::PollFailure::ConsentRevoked(String::new());
    Ok(google::poll(tx, source.directory)?.is_some_and(|poll| {
        poll.error_code.as_deref() == Some(revoked.code()) && poll.finished_at.is_some_and(|at| at > given.at)
    }))
}

/// How the polls of a directory stand.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Invalid`] for another kind of directory.
pub fn find_poll(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Poll, ServiceError> {
    let found = directory::find(tx, organization, id)?;
    let source = source_of(tx, &found)?;
    let mut poll = google::poll(tx, found.id)?.ok_or(ServiceError::NotFound(NOUN))?;
    if source.right.asks_as().is_none() {
        // Nobody is asked, so no poll says so.
        let missing = failure::PollFailure::ConsentMissing;
        poll.error_code = Some(missing.code().to_owned());
        poll.error_message = Some(missing.to_string());
    }
    Ok(poll)
}

/// Has a directory read as soon as nobody reads it: `Sync now`.
///
/// # Errors
/// As [`find_poll`].
pub fn hasten(
    tx: &mut Tx<'_>,
    moment: &Moment,
    organization: OrganizationId,
    id: DirectoryId,
) -> Result<Poll, ServiceError> {
    let poll = find_poll(tx, organization, id)?;
    google::hasten(tx, poll.directory, moment.now)?;
    Ok(Poll { full_at: moment.now, ..poll })
}

fn source_of(tx: &mut Tx<'_>, of: &Directory) -> Result<GoogleSource, ServiceError> {
    let other = || ServiceError::invalid(NOUN.as_str(), "is not polled: only those of the kind `google` are");
    find_source(tx, of)?.ok_or_else(other)
}

/// Seconds from now on, never before now.
const fn in_s(now: Timestamp, seconds: i64) -> Timestamp {
    now.plus_s(if seconds > 0 { seconds } else { 0 })
}
