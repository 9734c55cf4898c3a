//! The directory that calls, proven by its token before anything else of the call is looked at.
//!
//! A wrong token, an ended one, another directory's and an unknown directory answer alike. Failed attempts are limited
//! by where they come from and which directory they name; the token is checked first, so nobody can slow down the real
//! client by failing in its name.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_scim::ScimError;
use portcullis_service::proof::{self, Proof, Who};
use portcullis_service::provisioning::Speaker;
use portcullis_service::standing::Proven;
use secrecy::SecretString;

use super::Call;
use super::error::Refused;
use crate::App;
use crate::scope::bearer_of;

/// Failed attempts within [`WINDOW_S`] from one source at one directory that are answered 401; then it is 429.
pub const MAX_FAILURES: u32 = 30;
/// Seconds for which failed attempts are counted together.
pub const WINDOW_S: i64 = 60;
/// Sources and directories that are counted at once. Beyond it failures of new ones are answered and not counted: the
/// limit saves work, and secrets of 192 bits are what keeps guessing hopeless.
pub const MAX_COUNTED: usize = 50_000;

/// Failed attempts of this minute.
#[derive(Debug, Default)]
pub struct Failures {
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    counts: HashMap<(IpAddr, Option<DirectoryId>), u32>,
}

impl Default for Window {
    fn default() -> Self {
        Self { began_at: Timestamp::EPOCH, counts: HashMap::new() }
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
            window.counts.clear();
            window.began_at = now;
        }
        let key = (network(source), directory);
        if window.counts.len() >= MAX_COUNTED && !window.counts.contains_key(&key) {
            return Ok(());
        }
        let count = window.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        if *count <= MAX_FAILURES {
            return Ok(());
        }
        Err((WINDOW_S - now.seconds_since(window.began_at)).max(1))
    }
}

/// The network that one subscriber has: a whole /64 of IPv6, because all of its addresses are theirs.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Who speaks. A refusal comes with the organization that may read a trace of it, if the directory exists.
pub(super) async fn prove(app: &App, call: &Call) -> Result<Speaker, (Option<OrganizationId>, Refused)> {
    let named = call.address.directory.parse::<DirectoryId>().ok();
    let presented = bearer_of(&call.headers).unwrap_or("");
    let owner = match named {
        Some(directory) => match app.portcullis().prove_directory(presented, directory).await {
            Ok(Proven::Speaks(organization, as_of)) => {
                let presented = SecretString::from(presented);
                proof::hold(Proof { presented, who: Who::Directory(directory), as_of });
                return Ok(Speaker::scim(organization, directory, call.request));
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
