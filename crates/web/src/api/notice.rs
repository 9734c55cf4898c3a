//! What should be looked after, as the API shows it with whatever it is about.

use portcullis_service::warning::Warning;
use schemars::JsonSchema;
use serde::Serialize;

/// Something that should be looked after.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Notice {
    /// A stable code: `certificate_expires`, `certificate_offered`, `endpoints_offered`, `key_expires`, `sha1_accepted`,
    /// `metadata_stale`, `metadata_key_unsuitable`, `metadata_endpoint_left_out`, `metadata_over`, `no_certificate`;
    /// `groups_come_from_directory` (OIDC); `connected_twice`, `domain_not_proven`, `subject_reassignable` (both);
    /// `group_by_name`, `mapped_twice`, `group_unknown`, `production_by_default` (mappings).
    code: &'static str,
    /// What is the matter and what to do.
    message: String,
}

impl Notice {
    /// A code and what it means here.
    pub(super) const fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }
}

impl From<Warning> for Notice {
    fn from(warning: Warning) -> Self {
        Self { code: warning.code, message: warning.message }
    }
}
