//! What somebody wants a connection of SAML to believe, as changes.

use portcullis_domain::Timestamp;
use portcullis_domain::change::{Change, ConnectionChange};
use portcullis_domain::connection::{Connection, KeyState};
use portcullis_domain::saml::{CertificateState, SamlCertificate, SamlSettings, SamlSource};
use portcullis_store::{Tx, saml_refresh};

use super::key::NewKey;
use super::metadata::{REFRESHED_EVERY_S, Read, unknown};
use super::{SamlView, settings};
use crate::{Moment, ServiceError, Surroundings};

/// A connection of SAML as somebody wants it.
#[derive(Clone)]
pub struct SamlWish {
    /// The provider's metadata, read; `None` keeps what is there.
    pub read: Option<Read>,
    /// What an administrator sets.
    pub settings: SamlSettings,
}

/// What a wish of a new connection comes to.
pub(crate) struct Made {
    /// The provider's entity id.
    pub(crate) issuer: String,
    /// What is written beside the connection itself.
    pub(crate) changes: Vec<Change>,
}

/// What a wish of one that is there comes to.
pub(crate) struct Outcome {
    /// The provider's entity id.
    pub(crate) issuer: String,
    /// What is written beside the connection itself.
    pub(crate) changes: Vec<Change>,
    /// Whether other people may come in by it than before.
    pub(crate) opens_elsewhere: bool,
}

/// A new connection's source, certificates and key.
pub(crate) fn made(
    (around, moment): (&Surroundings, &mut Moment),
    of: &Connection,
    (wish, key): (&SamlWish, &NewKey),
) -> Result<Made, ServiceError> {
    settings::check(&wish.settings, moment.now)?;
    let read = wish
        .read
        .as_ref()
        .ok_or_else(|| ServiceError::invalid("metadata_url", "is required for `saml`, or `metadata_xml`"))?;
    read.require_believed(&wish.settings)?;
    let source = SamlSource {
        connection: of.id,
        organization: of.organization,
        metadata_url: read.url.clone(),
        provider: read.provider()?,
        settings: wish.settings.clone(),
        updated_at: moment.now,
    };
    // Whoever names the provider means all of its keys.
    let trusted = (CertificateState::Trusted, moment.now);
    let certificates = unknown(&[], read.certificates((of.organization, of.id), trusted))?;
    let state = (KeyState::Signing, moment.now);
    let key = key.kept(of, (&around.sealing, &mut moment.random), state)?;
    let mut changes: Vec<Change> = vec![ConnectionChange::SetSaml(Box::new(source)).into()];
    changes.extend(certificates.into_iter().map(put));
    changes.push(ConnectionChange::PutKey(Box::new(key)).into());
    Ok(Made { issuer: read.metadata.entity_id.clone(), changes })
}

fn put(certificate: SamlCertificate) -> Change {
    ConnectionChange::PutCertificate(Box::new(certificate)).into()
}

/// What changes of a connection's source and certificates. Those of a provider that another one takes the place of count no
/// longer; else the old ones stay until somebody retires them.
pub(crate) fn changed(
    tx: &mut Tx<'_>,
    moment: &Moment,
    of: &Connection,
    (view, wish): (&SamlView, &SamlWish),
) -> Result<Outcome, ServiceError> {
    settings::check(&wish.settings, moment.now)?;
    let mut source = SamlSource { settings: wish.settings.clone(), ..view.source.clone() };
    let mut changes: Vec<Change> = Vec::new();
    let mut issuer = of.issuer.clone();
    let signers = &wish.settings.metadata_signers;
    if wish.read.is_none() && !signers.is_empty() && *signers != view.source.settings.metadata_signers {
        let message =
            "come with `metadata_url` or `metadata_xml`: what was read before was signed by nobody asked for";
        return Err(ServiceError::invalid("saml.metadata_signers", message));
    }
    if let Some(read) = &wish.read {
        read.require_believed(&wish.settings)?;
        source.provider = read.provider()?;
        source.metadata_url.clone_from(&read.url);
        issuer.clone_from(&read.metadata.entity_id);
        let trusted = (CertificateState::Trusted, moment.now);
        let named = read.certificates((of.organization, of.id), trusted);
        let moves = if issuer == of.issuer { Moves::Not } else { Moves::Elsewhere };
        changes.extend(decided(view, named, (moves, moment.now))?.into_iter().map(put));
        note_reading(tx, moment, of, read)?;
    }
    // What is merely to be looked after lets nobody in.
    let says_the_same = SamlSource { provider: view.source.provider.clone(), ..source.clone() }
        == view.source
        && source.provider.is_spoken_to_as(&view.source.provider);
    let opens_elsewhere = !changes.is_empty() || !says_the_same;
    if source != view.source {
        source.updated_at = moment.now;
        changes.push(ConnectionChange::SetSaml(Box::new(source)).into());
    }
    Ok(Outcome { issuer, changes, opens_elsewhere })
}

/// Whether a connection gets another provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moves {
    Not,
    Elsewhere,
}

/// The certificates of which something else is decided once an administrator has named those. Whoever names another
/// provider means its keys and none of the one before, but none that somebody retired: that was about the key.
///
/// # Errors
/// [`ServiceError::Metadata`] if they would be too many, or if none would count.
fn decided(
    view: &SamlView,
    named: Vec<SamlCertificate>,
    (moves, now): (Moves, Timestamp),
) -> Result<Vec<SamlCertificate>, ServiceError> {
    let (mut known, mut decided) = (view.certificates.clone(), Vec::new());
    for old in known.iter_mut().filter(|_| moves == Moves::Elsewhere) {
        let is_named = named.iter().any(|new| new.fingerprint == old.fingerprint);
        let state = match (old.state, is_named) {
            (CertificateState::Retired, _) => CertificateState::Retired,
            (_, true) => CertificateState::Trusted,
            (_, false) => CertificateState::Former,
        };
        if state != old.state {
            *old = SamlCertificate { state, decided_at: now, ..old.clone() };
            decided.push(old.clone());
        }
    }
    let new = unknown(&known, named)?;
    if new.is_empty() && known.iter().all(|c| c.state != CertificateState::Trusted) {
        let message = "the metadata names no certificate but those that were retired here: have the provider use another \
                       key, or accept one whose key nobody else has"
            .to_owned();
        return Err(ServiceError::Metadata { code: "metadata_certificates_retired", message });
    }
    decided.extend(new);
    Ok(decided)
}

/// Notes that metadata was read, and when it is read again: a document never is.
pub(crate) fn note_reading(
    tx: &mut Tx<'_>,
    moment: &Moment,
    of: &Connection,
    read: &Read,
) -> Result<(), ServiceError> {
    match &read.url {
        Some(_) => {
            let due = moment.now.plus_s(REFRESHED_EVERY_S);
            Ok(saml_refresh::begin(tx, of.id, moment.now, due)?)
        }
        None => Ok(saml_refresh::forget(tx, of.id)?),
    }
}
