//! Who was let in before a request was read is proven again by the transaction that writes.
//!
//! A caller decides how slowly a body comes. Between the proof and the write they may have been off-boarded, their
//! token ended or their role taken; so the proof is kept beside the request, and every write of that request begins by
//! asking again (invariant I1). What no request asked for (jobs, sign-in) keeps nothing.
//!
//! To ask again is usually to read one number: every commit that takes access away moves the revision, so while it
//! stands where it stood when the caller was proven, they may do what they might then.
//!
//! On PostgreSQL others commit between that and the end of the transaction. So it ends by asking once more: the
//! caller's membership, and that of whoever else was shown the secret, is locked, which whoever takes it away locks
//! too, and the number is read again. (What a directory may say is kept as it is by the lock under which access is
//! resolved.) It is the end and not the beginning, because the organization is locked before memberships, and only the
//! use case knows whether it needs that.

use std::cell::RefCell;
use std::future::Future;

use portcullis_domain::Timestamp;
use portcullis_domain::id::DirectoryId;
use portcullis_domain::role::Rank;
use portcullis_store::{Dialect, Tx, instance, membership};
use secrecy::{ExposeSecret, SecretString};

use crate::ServiceError;
use crate::caller::{Caller, authenticate, authenticate_directory};
use crate::token_use::TokenUses;

/// Seconds for which a proof is good while the revision stands still. No revision moves when a token runs out or access
/// changes by itself, so a request that takes longer is proven in full again.
pub const MAX_STANDING_S: i64 = 1;

tokio::task_local! {
    static KEPT: RefCell<Option<Proof>>;
}

/// As of when somebody was proven. Read before the proof, so that what is taken away meanwhile is not missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    revision: i64,
    at: Timestamp,
}

impl AsOf {
    /// Where the revision stands now.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn read(tx: &mut Tx<'_>, now: Timestamp) -> Result<Self, ServiceError> {
        Ok(Self { revision: instance::revision(tx)?, at: now })
    }

    #[cfg(test)]
    pub(crate) const fn of(revision: i64, at: Timestamp) -> Self {
        Self { revision, at }
    }

    /// Whether nothing can have been taken away since.
    fn stands(self, tx: &mut Tx<'_>, now: Timestamp) -> Result<bool, ServiceError> {
        Ok(self.is_fresh(now) && instance::revision(tx)? == self.revision)
    }

    /// Whether it was a moment ago.
    pub(crate) fn is_fresh(self, now: Timestamp) -> bool {
        self.at <= now && now < self.at.plus_s(MAX_STANDING_S)
    }
}

/// By what somebody was let in.
#[derive(Clone)]
pub struct Proof {
    /// The bearer text.
    pub presented: SecretString,
    /// Who that was.
    pub who: Who,
    /// As of when.
    pub as_of: AsOf,
}

/// Who was let in.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one a request, and nearly always a caller")]
pub enum Who {
    /// A caller of the administration API.
    Caller(Caller),
    /// A directory, whose word is believed that far.
    Directory(DirectoryId, Rank),
}

impl Who {
    const fn spoken_from(&self) -> Rank {
        match self {
            Self::Caller(_) => Rank::ROOT,
            Self::Directory(_, rank) => *rank,
        }
    }
}

impl Proof {
    /// Whether it still holds, in the transaction that is about to write: as of when, and how high the lowest stands by then
    /// who saw a directory's token. That such a one fell since takes belief from the word, and does not refuse it: the
    /// directory goes on to say who left.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] if the token is no longer good, or a caller's no longer for as much.
    pub(crate) fn check(
        &self,
        tx: &mut Tx<'_>,
        uses: &TokenUses,
        now: Timestamp,
    ) -> Result<(AsOf, Rank), ServiceError> {
        // No revision moves when the root token is made anew: it is always looked up.
        if !matches!(self.who, Who::Caller(Caller::Root)) && self.as_of.stands(tx, now)? {
            return Ok((self.as_of, self.who.spoken_from()));
        }
        let as_of = AsOf::read(tx, now)?;
        let presented = self.presented.expose_secret();
        match &self.who {
            Who::Caller(caller) if authenticate(tx, uses, presented, now)? == *caller => {
                Ok((as_of, self.who.spoken_from()))
            }
            Who::Caller(_) => Err(ServiceError::Unauthenticated),
            Who::Directory(directory, rank) => {
                let speaks = authenticate_directory(tx, uses, presented, *directory, now)?;
                Ok((as_of, speaks.rank.min(*rank)))
            }
        }
    }

    /// Whether it still holds in the transaction that has written and is about to commit; nobody takes it away until
    /// then. `as_of` is what [`Self::check`] gave.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`], as [`Self::check`].
    pub(crate) fn check_last(
        &self,
        tx: &mut Tx<'_>,
        uses: &TokenUses,
        as_of: AsOf,
    ) -> Result<(), ServiceError> {
        if tx.dialect() == Dialect::Sqlite || matches!(self.who, Who::Caller(Caller::Root)) {
            // One transaction at a time; and the root token is taken away on the machine.
            return Ok(());
        }
        if let Who::Caller(Caller::Member(member)) = &self.who {
            let mut behind: Vec<_> = member.shown_to.iter().copied().chain([member.membership]).collect();
            behind.sort();
            for one in behind {
                membership::lock(tx, one)?;
            }
        }
        if instance::revision(tx)? == as_of.revision {
            return Ok(());
        }
        let presented = self.presented.expose_secret();
        let holds = match &self.who {
            Who::Caller(before) => {
                authenticate(tx, uses, presented, as_of.at).map(|now| no_less(before, &now))
            }
            Who::Directory(directory, _) => {
                authenticate_directory(tx, uses, presented, *directory, as_of.at).map(|_| true)
            }
        };
        match holds {
            Ok(true) => Ok(()),
            // What this transaction took away may be the caller's own; the next try sees what others did alone.
            Ok(false) | Err(ServiceError::Unauthenticated) if tx.has_lessened() => {
                Err(tx.try_again("others take access away at the same time").into())
            }
            Ok(false) => Err(ServiceError::Unauthenticated),
            Err(error) => Err(error),
        }
    }
}

/// Whether the same caller may at least as much: what was done may have given them more.
fn no_less(before: &Caller, now: &Caller) -> bool {
    let (Caller::Member(before), Caller::Member(now)) = (before, now) else { return before == now };
    before.token == now.token
        && before.membership == now.membership
        && before.rank <= now.rank
        && before.permissions.is_subset(&now.permissions)
        && before.teams.iter().all(|team| now.teams.contains(team))
}

/// Runs a request with room for its proof.
pub fn beside<F: Future>(request: F) -> impl Future<Output = F::Output> {
    KEPT.scope(RefCell::new(None), request)
}

/// Keeps a proof for the rest of the request that runs here; nothing outside of one.
pub fn keep(proof: Proof) {
    let _ = KEPT.try_with(|kept| kept.replace(Some(proof)));
}

/// The proof of the request that runs here.
pub(crate) fn kept() -> Option<Proof> {
    KEPT.try_with(|kept| kept.borrow().clone()).ok().flatten()
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
