//! Revisions: what stands for something that somebody looks at, so that they speak for that and for nothing else
//! ([why](../../../docs/decisions/0071-what-is-confirmed-is-what-was-looked-at.md)).

use portcullis_domain::secret::SecretHash;
use serde_json::Value;

/// The revision of what was looked at: another text once any of it is another.
pub(crate) fn revision(looked_at: &Value) -> String {
    SecretHash::of(&looked_at.to_string()).as_str().to_owned()
}
