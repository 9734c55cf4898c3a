//! Who was let in before a request was read is proven again by the transaction that writes.
//!
//! A caller decides how slowly a body comes. Between the proof and the write they may have been off-boarded, their
//! token ended or their role taken; so the proof is held beside the request, and every write of that request begins by
//! asking again (invariant I1). What no request asked for (jobs, sign-in) holds nothing.

use std::cell::RefCell;
use std::future::Future;

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_store::Tx;
use secrecy::{ExposeSecret, SecretString};

use crate::ServiceError;
use crate::caller::{Caller, authenticate, authenticate_directory};
use crate::token_use::TokenUses;

tokio::task_local! {
    static HELD: RefCell<Option<Proof>>;
}

/// By what somebody was let in.
#[derive(Clone)]
pub enum Proof {
    /// A caller of the administration API.
    Caller {
        /// The bearer text.
        presented: SecretString,
        /// Who that was.
        caller: Caller,
    },
    /// A directory.
    Directory {
        /// The bearer text.
        presented: SecretString,
        /// Which directory that was.
        directory: DirectoryId,
    },
}

impl Proof {
    /// Whether it still holds, in the transaction that is about to write.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] if the token is no longer good, or no longer for as much.
    pub(crate) fn check(
        &self,
        tx: &mut Tx<'_>,
        uses: &TokenUses,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        match self {
            Self::Caller { presented, caller } => {
                let same = authenticate(tx, presented.expose_secret(), now)? == *caller;
                if same { Ok(()) } else { Err(ServiceError::Unauthenticated) }
            }
            Self::Directory { presented, directory } => {
                authenticate_directory(tx, uses, presented.expose_secret(), *directory, now).map(|_| ())
            }
        }
    }
}

/// Runs a request with room for its proof.
pub fn beside<F: Future>(request: F) -> impl Future<Output = F::Output> {
    HELD.scope(RefCell::new(None), request)
}

/// Holds a proof for the rest of the request that runs here; nothing outside of one.
pub fn hold(proof: Proof) {
    let _ = HELD.try_with(|held| held.replace(Some(proof)));
}

/// The proof of the request that runs here.
pub(crate) fn held() -> Option<Proof> {
    HELD.try_with(|held| held.borrow().clone()).ok().flatten()
}
