//! Directories that were proven a moment ago, in memory, for as long as nothing was taken away.
//!
//! A directory that synchronises calls thousands of times a second with one token. Each call would read the same rows
//! again, and behind every commit of another call the reader would fetch their pages anew. So the proof of its last call
//! stands for the next one until any commit takes access away from anybody, and for
//! [`MAX_STANDING_S`](crate::proof::MAX_STANDING_S) at most. The writing transaction asks again in any case
//! ([`crate::proof`]).
//!
//! Where other nodes commit too nothing is kept: this one would not hear of it in time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::{DirectoryId, OrganizationId};
use portcullis_domain::secret::SecretHash;

use crate::caller::{Spokesman, authenticate_directory, owner_of_directory};
use crate::proof::AsOf;
use crate::{Portcullis, ServiceError};

/// The most tokens whose proofs are kept; beyond it the others are proven by the database each time.
const MAX_KEPT: usize = 4096;

/// What a presented text proves of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// It speaks for the directory, as of then.
    Speaks(Spokesman, AsOf),
    /// It does not; whose the directory is, if there is one, for the trace and never for the answer.
    Refused(Option<OrganizationId>),
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    directory: DirectoryId,
    speaks: Spokesman,
    as_of: AsOf,
    /// How often access had been taken away when the proof began.
    lessenings: u64,
}

impl Kept {
    fn stands(&self, lessenings: u64, now: Timestamp) -> bool {
        self.lessenings == lessenings
            && self.as_of.is_fresh(now)
            && self.speaks.runs_out_at.is_none_or(|runs_out_at| now < runs_out_at)
    }
}

/// Proofs that stand.
#[derive(Debug, Default)]
pub struct Standing {
    kept: Mutex<HashMap<SecretHash, Kept>>,
}

impl Standing {
    fn find(
        &self,
        hash: &SecretHash,
        directory: DirectoryId,
        lessenings: u64,
        now: Timestamp,
    ) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(hash).filter(|k| k.directory == directory && k.stands(lessenings, now)).copied()
    }

    fn keep(&self, hash: SecretHash, one: Kept, now: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT && !kept.contains_key(&hash) {
            kept.retain(|_, k| k.stands(one.lessenings, now));
        }
        if kept.len() < MAX_KEPT || kept.contains_key(&hash) {
            kept.insert(hash, one);
        }
    }
}

impl Portcullis {
    /// Whether that text speaks for a directory, from memory where its last proof stands.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn prove_directory(
        &self,
        presented: &str,
        directory: DirectoryId,
    ) -> Result<Proven, ServiceError> {
        // Before anything is read: what is taken away from here on makes the proof void.
        let lessenings = self.around().store.lessenings();
        let hash = SecretHash::of(presented);
        if let Some(lessenings) = lessenings
            && let Some(kept) = self.standing().find(&hash, directory, lessenings, self.now())
        {
            return Ok(Proven::Speaks(kept.speaks, kept.as_of));
        }
        let (product, presented) = (self.clone(), presented.to_owned());
        self.read(move |tx, now| {
            let as_of = AsOf::read(tx, now)?;
            match authenticate_directory(tx, product.uses(), &presented, directory, now) {
                Ok(speaks) => {
                    if let Some(lessenings) = lessenings {
                        let one = Kept { directory, speaks, as_of, lessenings };
                        product.standing().keep(hash.clone(), one, now);
                    }
                    Ok(Proven::Speaks(speaks, as_of))
                }
                Err(ServiceError::Unauthenticated) => Ok(Proven::Refused(owner_of_directory(tx, directory)?)),
                Err(other) => Err(other),
            }
        })
        .await
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
