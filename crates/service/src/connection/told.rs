//! What the audit log tells of a connection beside its own row: what is set of its protocol, and one event for each certificate
//! and key.
//!
//! Whose signatures count is who may come in: whoever looks for a fingerprint finds when it came to count, by whichever call.

use std::collections::BTreeSet;

use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::change::{Change, ConnectionChange};
use portcullis_domain::plan::Plan;
use portcullis_domain::saml::{CertificateState, SamlSource};
use serde_json::{Value, json};

use super::ProtocolView;
use crate::{oidc, saml};

/// What is set of a connection, by the protocol that it speaks.
#[derive(Default)]
pub(super) struct Told {
    pub(super) saml: Option<Value>,
    pub(super) oidc: Option<Value>,
}

/// What is set once `beside` is written.
pub(super) fn set_of(before: Option<&ProtocolView>, beside: &[Change]) -> Told {
    let view = before.and_then(ProtocolView::saml);
    let mut source = view.map(|view| &view.source);
    let mut trusted: BTreeSet<&str> =
        view.iter().flat_map(|view| view.trusted()).map(|c| c.fingerprint.as_str()).collect();
    let mut settings = before.and_then(ProtocolView::oidc).map(|view| &view.settings);
    for change in beside {
        match change {
            Change::Connection(ConnectionChange::SetSaml(set)) => source = Some(&**set),
            Change::Connection(ConnectionChange::SetOidc(set)) => settings = Some(&set.settings),
            Change::Connection(ConnectionChange::PutCertificate(put)) => {
                match put.state {
                    CertificateState::Trusted => trusted.insert(&put.fingerprint),
                    CertificateState::Offered | CertificateState::Former | CertificateState::Retired => {
                        trusted.remove(put.fingerprint.as_str())
                    }
                };
            }
            _ => {}
        }
    }
    Told { saml: source.map(|source| shown(source, &trusted)), oidc: settings.map(|set| json!(set)) }
}

/// A source as an event shows it, with the certificates that count.
fn shown(source: &SamlSource, trusted: &BTreeSet<&str>) -> Value {
    json!({
        "metadata_url": source.metadata_url,
        "sign_in": source.provider.sign_in.location,
        "settings": source.settings,
        "certificates": trusted,
    })
}

/// The plan with a step for the connection itself, and behind it one for each certificate and key of `beside`.
pub(super) fn planned(
    plan: Plan,
    event: EventDraft,
    (mut changes, beside): (Vec<Change>, Vec<Change>),
) -> Plan {
    let mut apart = Vec::new();
    for change in beside {
        match event_of(&change) {
            Some(event) => apart.push((event, change)),
            None => changes.push(change),
        }
    }
    apart.into_iter().fold(plan.then_all(event, changes), |plan, (event, change)| plan.then(event, change))
}

/// The event of its own that a certificate or a key has.
fn event_of(change: &Change) -> Option<EventDraft> {
    match change {
        Change::Connection(ConnectionChange::PutCertificate(put)) => Some(saml::certificate::event(put)),
        Change::Connection(ConnectionChange::PutKey(put)) => {
            Some(saml::key::event(Action::ConnectionKeyCreated, put))
        }
        Change::Connection(ConnectionChange::PutClientKey(put)) => {
            Some(oidc::key::event(Action::ConnectionKeyCreated, put))
        }
        _ => None,
    }
}
