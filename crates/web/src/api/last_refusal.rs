//! Which call of a directory was refused last, as a directory shows it: it has no row of its own.

use portcullis_store::last_refusal::LastRefusal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::body::At;

/// A call that was refused: its trace says more, as long as it is kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RefusedCall {
    /// When it came.
    at: At,
    /// The stable code, as the `outcome` of its trace.
    code: String,
    /// The id of the person or group that it was about, else of the directory: the `subject` of its trace.
    subject: String,
    /// The request, as the trace names it.
    request_id: String,
}

impl From<LastRefusal> for RefusedCall {
    fn from(last: LastRefusal) -> Self {
        Self { at: At(last.at), code: last.code, subject: last.subject, request_id: last.request.to_string() }
    }
}
