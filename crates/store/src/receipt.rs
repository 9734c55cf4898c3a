//! Receipts: opened in the transaction that ends the membership, with a line for each row that ended; signed after it.

use portcullis_domain::audit::Target;
use portcullis_domain::cause::{Cause, CauseKind};
use portcullis_domain::id::{DirectoryId, EventId, MembershipId, OrganizationId, ReceiptId, RequestId};
use portcullis_domain::receipt::{Kept, Receipt};
use serde::{Deserialize, Serialize};

use crate::row::{Row, Waiting, list, to_json};
use crate::statement::Statement;
use crate::{StoreError, Tx, params};

/// The most receipts of one membership that are read: each is of another end, and whoever asks wants the newest.
const MAX_OF_MEMBERSHIP: i64 = 100;

const OPEN: Statement = Statement::change(
    "receipt.open",
    "INSERT INTO receipts (id, organization, membership, because, kept, cause, event, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const ADD_LINE: Statement = Statement::change(
    "receipt.add_line",
    "INSERT INTO receipt_lines (receipt, kind, item) VALUES ($1, $2, $3) \
     ON CONFLICT (receipt, kind, item) DO NOTHING",
);
/// The next number of its organization goes with it. Of two nodes that would give one number the later is refused by the
/// index, and begins anew.
const SIGN: Statement = Statement::note(
    "receipt.sign",
    "UPDATE receipts SET jws = $2, number = (SELECT COALESCE(MAX(s.number), 0) + 1 FROM receipts s \
     WHERE s.organization = receipts.organization AND s.number IS NOT NULL) WHERE id = $1 AND jws IS NULL",
);

macro_rules! columns {
    () => {
        "id, organization, membership, because, kept, cause, event, jws, created_at, number"
    };
}

const FIND: Statement = Statement::read(
    "receipt.find",
    concat!("SELECT ", columns!(), " FROM receipts WHERE id = $1 AND organization = $2"),
);
const OF_MEMBERSHIP: Statement = Statement::read(
    "receipt.of_membership",
    concat!("SELECT ", columns!(), " FROM receipts WHERE membership = $1 ORDER BY id DESC LIMIT $2"),
);
const LIST: Statement = Statement::read(
    "receipt.list",
    concat!("SELECT ", columns!(), " FROM receipts WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3"),
);
const LIST_NUMBERED: Statement = Statement::read(
    "receipt.list_numbered",
    concat!(
        "SELECT ",
        columns!(),
        " FROM receipts WHERE organization = $1 AND number > $2 AND number IS NOT NULL ORDER BY number LIMIT $3"
    ),
);
const LAST_NUMBER: Statement = Statement::read(
    "receipt.last_number",
    "SELECT MAX(number) FROM receipts WHERE organization = $1 AND number IS NOT NULL",
);
const UNSIGNED: Statement = Statement::read(
    "receipt.unsigned",
    concat!(
        "SELECT ",
        columns!(),
        " FROM receipts WHERE jws IS NULL AND organization NOT IN_LIST($2) ORDER BY id LIMIT $1"
    ),
);
const LINES: Statement = Statement::read(
    "receipt.lines",
    "SELECT kind, item FROM receipt_lines WHERE receipt = $1 ORDER BY kind, item",
);

pub(crate) const ALL: &[&Statement] =
    &[&OPEN, &ADD_LINE, &SIGN, &FIND, &OF_MEMBERSHIP, &LIST, &LIST_NUMBERED, &LAST_NUMBER, &UNSIGNED, &LINES];

/// The cause of an off-boarding, as it is kept with the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCause {
    /// Through which door.
    pub kind: CauseKind,
    /// The request, as its caller saw it.
    pub request_id: Option<RequestId>,
    /// The directory whose statement it was.
    pub directory: Option<DirectoryId>,
}

/// A receipt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// What made it happen.
    pub cause: ReceiptCause,
    /// The event `member.deprovisioned`.
    pub event: EventId,
    /// What ended.
    pub ended: Vec<Target>,
    /// The signature, once it is made.
    pub jws: Option<String>,
    /// Its place among the receipts of the organization in the order in which they were signed, once it is.
    pub number: Option<i64>,
}

pub(crate) fn open(
    tx: &mut Tx<'_>,
    receipt: &Receipt,
    cause: &Cause,
    event: EventId,
) -> Result<(), StoreError> {
    let cause = ReceiptCause { kind: cause.kind, request_id: cause.request, directory: cause.directory };
    tx.run(
        &OPEN,
        params![
            receipt.id,
            receipt.organization,
            receipt.membership,
            receipt.because.as_str(),
            to_json(&receipt.kept)?,
            to_json(&cause)?,
            event,
            receipt.at,
        ],
    )?;
    Ok(())
}

pub(crate) fn add_line(tx: &mut Tx<'_>, receipt: ReceiptId, ended: &Target) -> Result<(), StoreError> {
    tx.run(&ADD_LINE, params![receipt, ended.kind.as_str(), ended.id.as_str()]).map(|_| ())
}

fn read(tx: &mut Tx<'_>, row: &Row) -> Result<StoredReceipt, StoreError> {
    let kept: Vec<Kept> = row.json(4)?;
    let receipt = Receipt {
        id: row.parsed(0)?,
        organization: row.parsed(1)?,
        membership: row.parsed(2)?,
        because: row.parsed(3)?,
        kept,
        at: row.at(8)?,
    };
    let mut ended = Vec::new();
    for line in tx.rows(&LINES, params![receipt.id])? {
        ended.push(Target { kind: line.text(0)?.to_owned(), id: line.text(1)?.to_owned() });
    }
    Ok(StoredReceipt {
        receipt,
        cause: row.json(5)?,
        event: row.parsed(6)?,
        ended,
        jws: row.opt_text(7)?.map(str::to_owned),
        number: row.opt_int(9)?,
    })
}

/// A receipt of that organization.
///
/// # Errors
/// [`StoreError`] from the driver or an undecodable row; so for every function here.
pub fn find(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    id: ReceiptId,
) -> Result<Option<StoredReceipt>, StoreError> {
    let row = tx.row(&FIND, params![id, organization])?;
    row.map(|r| read(tx, &r)).transpose()
}

/// The receipts of a membership, newest first; 100 at most.
///
/// # Errors
/// As [`find`].
pub fn of_membership(tx: &mut Tx<'_>, membership: MembershipId) -> Result<Vec<StoredReceipt>, StoreError> {
    let rows = tx.rows(&OF_MEMBERSHIP, params![membership, MAX_OF_MEMBERSHIP])?;
    rows.iter().map(|r| read(tx, r)).collect()
}

/// A page of receipts in order of id, which is the order in which their transactions began.
///
/// # Errors
/// As [`find`].
pub fn list_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: &str,
    limit: i64,
) -> Result<Vec<StoredReceipt>, StoreError> {
    let rows = tx.rows(&LIST, params![organization, after, limit])?;
    rows.iter().map(|r| read(tx, r)).collect()
}

/// A page of signed receipts in order of number, behind number `after`. As of events, none comes in before one that was seen.
///
/// # Errors
/// As [`find`].
pub fn numbered_page(
    tx: &mut Tx<'_>,
    organization: OrganizationId,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredReceipt>, StoreError> {
    let rows = tx.rows(&LIST_NUMBERED, params![organization, after, limit])?;
    rows.iter().map(|r| read(tx, r)).collect()
}

/// The number of the receipt of an organization that was signed last.
///
/// # Errors
/// As [`find`].
pub fn last_number(tx: &mut Tx<'_>, organization: OrganizationId) -> Result<Option<i64>, StoreError> {
    tx.row(&LAST_NUMBER, params![organization])?.map_or(Ok(None), |row| row.opt_int(0))
}

/// Receipts that wait for their signature, each beside its organization as it stands in the row: one that does not read
/// keeps no other waiting. None of those organizations, 1,000 at most.
///
/// # Errors
/// As [`find`].
pub fn unsigned(
    tx: &mut Tx<'_>,
    but: &[String],
    limit: i64,
) -> Result<Vec<Waiting<StoredReceipt>>, StoreError> {
    let rows = tx.rows(&UNSIGNED, params![limit, list(but)])?;
    rows.iter().map(|row| Ok((row.text(1)?.to_owned(), read(tx, row)))).collect()
}

/// Keeps the signature of a receipt, which has its number with it. A second one is not kept.
///
/// # Errors
/// As [`find`].
pub fn sign(tx: &mut Tx<'_>, id: ReceiptId, jws: &str) -> Result<(), StoreError> {
    tx.run(&SIGN, params![id, jws]).map(|_| ())
}
