//! The directory that calls, proven by its token before anything else of the call is looked at.
//!
//! A wrong token, an ended one, another directory's and an unknown directory answer alike. Failed attempts are limited
//! by where they come from, and by which directory they name from there; the token is checked first, so nobody can slow
//! down the real client by failing in its name.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_scim::ScimError;
use portcullis_service::proof::{self, Proof, Who};
use portcullis_service::provisioning::Speaker;
use portcullis_service::standing::Proven;
use portcullis_service::throttle::network;
use secrecy::SecretString;

use super::Call;
use super::error::Refused;
use crate::App;
use crate::scope::bearer_of;

/// Failed attempts within [`WINDOW_S`] from one source at one directory that are answered 401; then it is 429.
pub const MAX_FAILURES: u32 = 30;
/// Failed attempts within [`WINDOW_S`] from one source at whatever directories, those that it made up among them: ten
/// directories of one house may fail to the full beside each other.
pub const MAX_FAILURES_OF_SOURCE: u32 = 10 * MAX_FAILURES;
/// Seconds for which failed attempts are counted together.
pub const WINDOW_S: i64 = 60;
/// Sources that are counted at once, and pairs of a source and a directory. Beyond it failures of new ones are answered
/// and not counted: the limit saves work, and secrets of 192 bits are what keeps guessing hopeless.
pub const MAX_COUNTED: usize = 50_000;

/// Failed attempts of this minute.
#[derive(Debug, Default)]
pub struct Failures {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    sources: HashMap<IpAddr, u32>,
    counts: HashMap<(IpAddr, Option<DirectoryId>), u32>,
}

impl Default for Window {
    fn default() -> Self {
        Self { began_at: Timestamp::EPOCH, sources: HashMap::new(), counts: HashMap::new() }
    }
}

impl Failures {
    /// Counts a failed attempt.
    ///
    /// # Errors
    /// Seconds until the next one is counted anew, if there were too many.
    pub fn count(&self, source: IpAddr, directory: Option<DirectoryId>, now: Timestamp) -> Result<(), i64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let age_s = now.seconds_since(window.began_at);
        if !(0..WINDOW_S).contains(&age_s) {
            window.sources.clear();
            window.counts.clear();
            window.began_at = now;
        }
        let source = network(source);
        // The source first: one that has failed too often adds no directory of its invention to those that are counted.
        let too_many = count_in(&mut window.sources, source, MAX_FAILURES_OF_SOURCE)
            || count_in(&mut window.counts, (source, directory), MAX_FAILURES);
        if !too_many {
            return Ok(());
        }
        Err((WINDOW_S - now.seconds_since(window.began_at)).max(1))
    }
}

/// Counts one more under that key, if there is room for it; whether it is more than may be.
fn count_in<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K, max: u32) -> bool {
    if counts.len() >= MAX_COUNTED && !counts.contains_key(&key) {
        return false;
    }
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
    *count > max
}

/// Who speaks. A refusal comes with the organization that may read a trace of it, if the directory exists.
pub(super) async fn prove(app: &App, call: &Call) -> Result<Speaker, (Option<OrganizationId>, Refused)> {
    let named = call.address.directory.parse::<DirectoryId>().ok();
    let presented = bearer_of(&call.headers).unwrap_or("");
    let owner = match named {
        Some(directory) => match app.portcullis().prove_directory(presented, directory).await {
            Ok(Proven::Speaks(speaks, as_of)) => {
                let presented = SecretString::from(presented);
                proof::keep(Proof { presented, who: Who::Directory(directory, speaks.rank), as_of });
                return Ok(Speaker::scim(speaks.organization, directory, call.request).by(speaks.token));
            }
            Ok(Proven::Refused(owner)) => owner,
            Err(error) => return Err((None, error.into())),
        },
        None => None,
    };
    match app.scim_failures().count(call.source.0, named, call.started_at) {
        Ok(()) => Err((owner, ScimError::Unauthorized.into())),
        // No trace: whoever fails that often must not fill the organization's page.
        Err(retry_after_s) => Err((None, Refused::too_many(retry_after_s))),
    }
}
