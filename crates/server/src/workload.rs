//! The workload identity that the settings name: how this machine shows Google who it is, and who may use that.
//!
//! It is read once, at the start, so that a configuration which cannot be used refuses to start and says why.

use anyhow::{Context, Result};
use portcullis_service::google::Polling;
use portcullis_service::google::workload::{self, IdentitySource, Means, WorkloadIdentity};

use crate::settings::Settings;

/// What `google.workload_identity` says for the metadata server.
pub const METADATA: &str = "metadata";

/// The identity, and where this machine's own token is; `None` without one.
///
/// # Errors
/// If the credential configuration cannot be read or used.
pub fn read(settings: &Settings, polling: &Polling) -> Result<Option<(WorkloadIdentity, IdentitySource)>> {
    let (Some(named), Some(account)) =
        (&settings.google_workload_identity, &settings.google_workload_service_account)
    else {
        return Ok(None);
    };
    let (means, source) = if named == METADATA {
        (Means::Metadata, IdentitySource::Metadata)
    } else {
        let bytes = std::fs::read(named).with_context(|| format!("`google.workload_identity` `{named}`"))?;
        let read = workload::parse(&bytes, polling);
        let (federation, source) =
            read.with_context(|| format!("`google.workload_identity` `{named}` cannot be used"))?;
        (Means::Federated(federation), source)
    };
    let organizations = settings.google_workload_organizations.clone();
    Ok(Some((WorkloadIdentity { service_account: account.clone(), means, organizations }, source)))
}
