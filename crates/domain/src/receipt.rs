//! Receipts: the signed account of one off-boarding.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Timestamp;
use crate::access::EndedBecause;
use crate::audit::Target;
use crate::cause::Cause;
use crate::id::{EventId, MembershipId, OrganizationId, ReceiptId};

/// Something that outlives the membership, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What.
    #[serde(flatten)]
    pub what: Target,
    /// Why it stays.
    pub why: KeptBecause,
}

/// Why something outlives the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptBecause {
    /// A secret of the organization that the leaver saw: replace it.
    Rotate,
    /// The agent went to another owner, and runs on with keys that the leaver never saw.
    HandedOver,
    /// The agent went to another owner, and waits for keys that the leaver never saw.
    WaitsForKeys,
    /// The agent went to another owner, and stays paused as a person ordered before.
    StaysPaused,
    /// The agent is stopped and waits for a new owner.
    Orphaned,
    /// The person is a member elsewhere.
    OtherMembership,
    /// The organization would have no owner: the bare ownership stays.
    LastOwner,
}

/// A receipt as it is opened in the transaction that ends the membership. Lines follow from the rows that ended;
/// the signature is made after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// The organization.
    pub organization: OrganizationId,
    /// Who left.
    pub membership: MembershipId,
    /// Why the membership ended.
    pub because: EndedBecause,
    /// What outlives it.
    pub kept: Vec<Kept>,
    /// When.
    pub at: Timestamp,
}

/// The statement that is signed: what the API shows, in one canonical form (RFC 8785).
#[must_use]
pub fn statement(receipt: &Receipt, cause: &Cause, event: EventId, ended: &[Target]) -> Value {
    json!({
        "id": receipt.id,
        "organization": receipt.organization,
        "member": receipt.membership,
        "at": receipt.at.rfc3339(),
        "cause": {
            "kind": cause.kind.as_str(),
            "because": receipt.because.as_str(),
            "request_id": cause.request,
            "event": event,
            "directory": cause.directory,
        },
        "ended": ended,
        "kept": receipt.kept,
    })
}
