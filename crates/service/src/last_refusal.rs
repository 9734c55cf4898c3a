//! Which call of a directory was refused last, for whoever looks at the directory and not for a trace.
//!
//! It is kept in memory and stored by a job: a call that succeeds writes nothing, and a provider that tries the same again
//! every forty minutes writes one row. What a crash loses is said again by its next try.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_store::last_refusal::{LastRefusal, find, note};
use portcullis_store::{Priority, Tx};

use crate::mask::text_without_ours;
use crate::provisioning::Speaker;
use crate::{Portcullis, ServiceError};

/// Directories whose last refusal waits to be stored; beyond it new ones are not kept until the next run of the job.
pub const MAX_WAITING: usize = 10_000;
/// Refusals that wait to be stored.
#[derive(Debug, Default)]
pub struct LastRefusals {
    waiting: Mutex<HashMap<DirectoryId, (OrganizationId, LastRefusal)>>,
}

impl LastRefusals {
    /// Keeps what was refused. What looks like a secret of ours is masked.
    pub fn note(&self, speaker: Speaker, mut refused: LastRefusal) {
        refused.subject = text_without_ours(&refused.subject);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING || waiting.contains_key(&speaker.directory) {
            waiting.insert(speaker.directory, (speaker.organization, refused));
        }
    }

    fn take(&self) -> Vec<(OrganizationId, DirectoryId, LastRefusal)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *waiting);
        taken.into_iter().map(|(directory, (organization, last))| (organization, directory, last)).collect()
    }

    /// Which call of a directory was refused last: what waits to be stored, else what is.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn of(&self, tx: &mut Tx<'_>, directory: DirectoryId) -> Result<Option<LastRefusal>, ServiceError> {
        let waits = {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.get(&directory).map(|(_, last)| last.clone())
        };
        match waits {
            Some(last) => Ok(Some(last)),
            None => Ok(find(tx, directory)?),
        }
    }
}

impl Portcullis {
    /// Stores which calls were refused last.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; they are lost then.
    pub async fn store_last_refusals(&self) -> Result<(), ServiceError> {
        let refused = self.last_refusals().take();
        if refused.is_empty() {
            return Ok(());
        }
        self.write(Priority::Ordinary, move |tx, _| Ok(note(tx, &refused)?)).await
    }
}
