//! When tokens were last used, without a write per check.
//!
//! A use is noted in memory, to the minute, and stored by a job. What a crash loses makes an idle limit end a session
//! early, never late.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::evaluation::USE_GRAIN_S;
use portcullis_domain::id::TokenId;
use portcullis_store::Tx;

use crate::ServiceError;

/// Uses are kept to that many seconds.
pub const GRAIN_S: i64 = USE_GRAIN_S;
/// The most tokens whose use waits to be stored; beyond it uses are dropped until the next run of the job.
pub const MAX_WAITING: usize = 100_000;

/// Uses that wait to be stored, and those that were stored last.
#[derive(Debug, Default)]
pub struct TokenUses {
    waiting: Mutex<HashMap<TokenId, Timestamp>>,
}

impl TokenUses {
    /// Notes a use. `stored` is what the database knows; within the same minute nothing is noted.
    pub fn note(&self, token: TokenId, stored: Option<Timestamp>, now: Timestamp) {
        let minute = Timestamp::from_seconds(now.seconds() - now.seconds().rem_euclid(GRAIN_S));
        if stored.is_some_and(|at| at >= minute) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING || waiting.contains_key(&token) {
            waiting.insert(token, minute);
        }
    }

    /// When a token was last used, as far as memory knows.
    #[must_use]
    pub fn last(&self, token: TokenId) -> Option<Timestamp> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&token).copied()
    }

    /// Takes what waits, to be stored.
    #[must_use]
    pub fn take(&self) -> Vec<(TokenId, Timestamp)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).into_iter().collect()
    }
}

/// Stores uses that were taken.
///
/// # Errors
/// [`ServiceError::Store`].
pub fn store(tx: &mut Tx<'_>, uses: &[(TokenId, Timestamp)]) -> Result<(), ServiceError> {
    Ok(portcullis_store::token::note_uses(tx, uses)?)
}
