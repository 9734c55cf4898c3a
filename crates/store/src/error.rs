//! What can go wrong below: driver errors end here.

use thiserror::Error;

use crate::UniqueKey;

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The database did not answer, or not in time. Nothing was committed: it may be asked again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database was lost while it committed. It was done, or it was not: nobody here knows.
    #[error("the outcome of the commit is not known: {0}")]
    OutcomeUnknown(String),
    /// A row does not read as what it must be: the database was changed by other hands, or a migration is wrong.
    #[error("inconsistent row: {0}")]
    Inconsistent(String),
    /// Ours: what cannot happen did.
    #[error("a fault of ours: {0}")]
    Fault(String),
    /// The driver refused a statement: a fault of ours.
    #[error("statement `{statement}`: {message}")]
    Statement {
        /// The statement's name.
        statement: &'static str,
        /// The driver's words.
        message: String,
    },
    /// A token was to be issued for somebody who is not active.
    #[error("what the token would act as is not active")]
    NotActive,
    /// A unique key is taken: somebody else was first.
    #[error("taken: {0}")]
    Taken(UniqueKey),
    /// The database was written by a newer Portcullis, or is older than a backup mark.
    #[error("{0}")]
    WrongVersion(String),
    /// Another node serves this database.
    #[error("{0}")]
    Held(String),
    /// This node's lease was taken by another: it may write no more.
    #[error("this node no longer holds the database's lease")]
    Fenced,
}

impl StoreError {
    /// Whether it is no fault of the request, nor of ours: the database does not serve this node now.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::Held(_) | Self::Fenced)
    }
}
