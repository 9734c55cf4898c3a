//! Arrivals: whom a provider has proven, kept for the moment until their browser comes with all of its cookies. Each is
//! good for one use.
//!
//! A provider of SAML has the browser post to us from its own page, and browsers hold back our session cookies then.
//! What was proven waits here until the browser comes from our page; only then somebody is let in.

use portcullis_domain::Timestamp;
use portcullis_domain::id::{ConnectionId, MembershipId};

use crate::row::Row;
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// How many arrivals that nobody came for each new one sweeps away.
const SWEPT_AT_ONCE: i64 = 8;

macro_rules! columns {
    () => {
        "ticket_hash, connection, browser_hash, content, return_to, linking, expires_at"
    };
}

const INSERT: Statement = Statement::note(
    "arrival.insert",
    concat!("INSERT INTO arrivals (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)"),
);
const FIND: Statement = Statement::read(
    "arrival.find",
    concat!("SELECT ", columns!(), " FROM arrivals WHERE ticket_hash = $1 AND connection = $2"),
);
const TAKE: Statement = Statement::note(
    "arrival.take",
    concat!("DELETE FROM arrivals WHERE ticket_hash = $1 AND connection = $2 RETURNING ", columns!()),
);
const SWEEP: Statement = Statement::note(
    "arrival.sweep",
    "DELETE FROM arrivals WHERE ticket_hash IN \
     (SELECT ticket_hash FROM arrivals WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
);

pub(crate) const ALL: &[&Statement] = &[&INSERT, &FIND, &TAKE, &SWEEP];

/// Somebody whom a provider has proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The hash of the ticket that their browser comes with.
    pub ticket_hash: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The hash of the cookie that binds it to that browser.
    pub browser_hash: String,
    /// What was proven, as JSON text.
    pub content: String,
    /// Where the browser goes afterwards, a path of ours.
    pub return_to: String,
    /// The membership that links a new subject from its own session.
    pub linking: Option<MembershipId>,
    /// When it is too late to come.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("connection", &self.connection)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn read(row: &Row) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        ticket_hash: row.text(0)?.to_owned(),
        connection: row.parsed(1)?,
        browser_hash: row.text(2)?.to_owned(),
        content: row.text(3)?.to_owned(),
        return_to: row.text(4)?.to_owned(),
        linking: row.opt_parsed(5)?,
        expires_at: row.at(6)?,
    })
}

/// Keeps an arrival.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn insert(tx: &mut Tx<'_>, waiting: &Waiting, now: Timestamp) -> Result<(), StoreError> {
    tx.run(&SWEEP, params![now, SWEPT_AT_ONCE])?;
    tx.run(
        &INSERT,
        params![
            waiting.ticket_hash,
            waiting.connection,
            waiting.browser_hash,
            waiting.content,
            waiting.return_to,
            waiting.linking,
            waiting.expires_at,
        ],
    )
    .map(|_| ())
}

/// The arrival of a ticket, which stays good.
///
/// # Errors
/// As [`insert`].
pub fn find(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    ticket_hash: &str,
) -> Result<Option<Waiting>, StoreError> {
    tx.row(&FIND, params![ticket_hash, connection])?.as_ref().map(read).transpose()
}

/// Takes an arrival out: nobody can take it again. Whether it is too late is the caller's to judge.
///
/// # Errors
/// As [`insert`].
pub fn take(
    tx: &mut Tx<'_>,
    connection: ConnectionId,
    ticket_hash: &str,
) -> Result<Option<Waiting>, StoreError> {
    tx.row(&TAKE, params![ticket_hash, connection])?.as_ref().map(read).transpose()
}
