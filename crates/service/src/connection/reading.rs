//! What a connection reads of what its provider says, and what is forgotten once it reads something else.
//!
//! Claims come at a sign-in and stay until they come again. What nobody reads any more nobody takes away again either, so it
//! ends when an administrator turns to another claim
//! ([why](../../../../docs/decisions/0058-claims-give-way-to-a-directory.md)) or to another provider
//! ([why](../../../../docs/decisions/0062-claims-tell-of-one-person-once.md)).

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{DirectoryChange, Forgotten};
use portcullis_domain::connection::Connection;
use portcullis_domain::plan::Plan;
use portcullis_oidc::preset::Preset;
use portcullis_store::Tx;
use serde_json::json;

use super::{ConnectionView, ProtocolView};
use crate::claims::DEFAULT_GROUPS_CLAIM;
use crate::oidc::preset;
use crate::saml::assertion;
use crate::{Moment, ServiceError};

/// The name for Auth0's claim of groups, which every customer calls by a URL of their own.
const OF_AUTH0: &str = "\u{2026}/groups";

/// What a connection reads of groups and values.
#[derive(PartialEq, Eq)]
pub(super) enum Reads {
    /// Nothing: a directory is asked.
    Nothing,
    /// What that provider says: groups in that claim, and values in the others.
    Claims { issuer: String, groups: String },
}

pub(super) fn reads(view: &ConnectionView) -> Reads {
    let of = &view.connection;
    if of.directory.is_some() {
        return Reads::Nothing;
    }
    let usual = || match &view.protocol {
        ProtocolView::Oidc(_) if preset::in_force(of) == Preset::Auth0 => OF_AUTH0.to_owned(),
        ProtocolView::Oidc(_) => DEFAULT_GROUPS_CLAIM.to_owned(),
        ProtocolView::Saml(saml) => {
            let names = assertion::preset(of, &saml.source.settings).map(|preset| preset.names());
            names.and_then(|names| names.groups).unwrap_or_else(|| DEFAULT_GROUPS_CLAIM.to_owned())
        }
    };
    Reads::Claims { issuer: of.issuer.clone(), groups: of.groups_claim.clone().unwrap_or_else(usual) }
}

/// Forgets what the connection read before and does not now. What it does not read because a directory is asked gives nothing
/// but to whom it governs, and is forgotten when claims are read again.
pub(super) fn forget(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    of: &Connection,
    (before, after): (&Reads, &Reads),
    cause: Cause,
) -> Result<(), ServiceError> {
    let (forgotten, shown) = match (before, after) {
        (_, Reads::Nothing) => return Ok(()),
        (before, after) if before == after => return Ok(()),
        (Reads::Claims { issuer: former, .. }, Reads::Claims { issuer, .. }) if former == issuer => {
            (Forgotten::Groups, "groups")
        }
        // What another provider said, or what was said long ago.
        (Reads::Claims { .. } | Reads::Nothing, Reads::Claims { .. }) => {
            (Forgotten::Everything, "everything")
        }
    };
    let event = EventDraft::new(Action::DirectoryUpdated, of.claims_directory)
        .about(of.id)
        .with(json!({ "forgotten": shown }));
    let change = DirectoryChange::Forget(of.claims_directory, forgotten, moment.now);
    moment.apply(tx, &Plan::because(of.organization, cause).then(event, change))?;
    Ok(())
}
