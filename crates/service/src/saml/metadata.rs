//! A provider's metadata: read when an administrator names it, once a day, and after a signature of an unknown key.
//!
//! What is read never takes anything away. A new certificate is trusted at once or offered, as the connection says, and
//! so are other addresses; an old certificate stays until somebody retires it; another entity id is another provider
//! and is refused; what cannot be read leaves everything as it was. Reading goes through the one way out of the process
//! and its guard.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::audit::{Action, EventDraft};
use portcullis_domain::cause::Cause;
use portcullis_domain::change::{Change, ConnectionChange};
use portcullis_domain::id::{ConnectionId, OrganizationId};
use portcullis_domain::plan::Plan;
use portcullis_domain::role::Rank;
use portcullis_domain::saml::{
    CertificateState, LeftOut, NewCertificates, SamlBinding, SamlCertificate, SamlEndpoint, SamlProvider,
    SamlSettings, SamlSource,
};
use portcullis_domain::{Refusal, Timestamp};
use portcullis_saml::binding::Binding;
use portcullis_saml::certificate::Certificate;
use portcullis_saml::metadata::{
    CODES, Endpoint, IdpMetadata, MAX_METADATA_BYTES, MetadataTrust, MetadataWarning, parse_idp,
};
use portcullis_saml::signature::MAX_CERTIFICATES as MAX_TRIED;
use portcullis_store::db::Lock;
use portcullis_store::saml_refresh::SamlRefresh;
use portcullis_store::{Priority, Tx, saml_refresh};
use serde_json::json;
use tokio::sync::watch;
use url::Url;

use super::{certificate, settings};
use crate::caller::Caller;
use crate::connection::must_stand_above_automation;
use crate::fetch::FetchRequest;
use crate::throttle::Allowance;
use crate::{Insecure, Moment, Portcullis, ServiceError};

/// Seconds between two readings that nobody asked for.
pub const REFRESHED_EVERY_S: i64 = 24 * 3_600;
/// Seconds until a reading that failed is tried again.
pub const TRIED_AGAIN_AFTER_S: i64 = 3_600;
/// Seconds between two readings of one connection's metadata that are due, on however many nodes.
const MIN_REFRESH_S: i64 = 60;
/// Readings of one connection's metadata that administrators may begin.
const BY_HAND: Allowance = Allowance { max_tries: 1, window_s: 60 };
/// With which code a reading is noted that named other places than the one before, where an administrator decides.
pub(crate) const ENDPOINTS_OFFERED: &str = "metadata_endpoints_offered";
/// The most certificates of one connection that are remembered, retired ones among them.
pub const MAX_CERTIFICATES: usize = 60;
/// The longest address of metadata, in bytes.
const MAX_URL: usize = 2_048;
/// Milliseconds for one reading.
const TIMEOUT_MS: u64 = 10_000;
/// Milliseconds between two looks at what is due.
const LOOK_EVERY_MS: u64 = 60_000;
/// Readings that one look carries out, one after another; the next look goes on.
const MAX_A_LOOK: i64 = 20;

/// Why metadata is not taken beside the rules of the standard, each with what it means.
const REFUSALS: [(&str, &str); 4] = [
    (
        "metadata_certificates_retired",
        "the metadata names no certificate but those that were retired at the connection",
    ),
    ("metadata_entity_changed", "the metadata is of another identity provider now"),
    ("metadata_too_many_certificates", "the connection would have more certificates than are kept or tried"),
    ("metadata_unreachable", "the metadata could not be fetched"),
];

/// Every code with which metadata is refused, with what it means.
#[must_use]
pub fn refusals() -> Vec<(&'static str, String)> {
    let ours = REFUSALS.into_iter().map(|(code, meaning)| (code, meaning.to_owned()));
    let of_rules = CODES.into_iter().map(|(code, meaning)| (code, meaning.to_owned()));
    ours.chain(of_rules).collect()
}

/// Where metadata comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataSource {
    /// An address, which is read again.
    Url(String),
    /// A document, which is all that is known until somebody gives another.
    Document(String),
}

/// Metadata that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where; `None` for a document.
    pub url: Option<String>,
    /// What it says.
    pub metadata: IdpMetadata,
    /// The certificates of which one has signed it; none if the way in which it came is believed.
    pub signers: Vec<String>,
}

impl Read {
    /// Whether it was believed for what these settings ask for.
    ///
    /// # Errors
    /// [`ServiceError::Metadata`] if somebody asked for another signature meanwhile.
    pub(crate) fn require_believed(&self, settings: &SamlSettings) -> Result<(), ServiceError> {
        if self.signers == settings.metadata_signers {
            return Ok(());
        }
        let message = "who must sign the metadata was changed while it was read: do it again".to_owned();
        Err(ServiceError::Metadata { code: "metadata_signature_invalid", message })
    }

    /// What it says of the provider, certificates apart.
    pub(crate) fn provider(&self) -> Result<SamlProvider, ServiceError> {
        let sign_in = self.metadata.preferred_sign_on().map(endpoint);
        Ok(SamlProvider {
            sign_in: sign_in
                .ok_or_else(|| ServiceError::Fault("metadata without a place for sign-in was read".into()))?,
            logout: self.metadata.preferred_logout().map(endpoint),
            wants_signed_requests: self.metadata.wants_signed_requests,
            left_out: self.metadata.warnings.iter().copied().map(left_out).collect(),
            good_until: match self.url {
                Some(_) => None,
                None => self.metadata.valid_until_s.map(Timestamp::from_seconds),
            },
        })
    }

    /// Its signing certificates, as rows of that connection in that state.
    pub(crate) fn certificates(
        &self,
        (organization, connection): (OrganizationId, ConnectionId),
        (state, now): (CertificateState, Timestamp),
    ) -> Vec<SamlCertificate> {
        let row = |certificate: &Certificate| SamlCertificate {
            connection,
            organization,
            fingerprint: hex::encode(certificate.sha256()),
            der: STANDARD.encode(certificate.der()),
            state,
            not_before: Timestamp::from_seconds(certificate.not_before_s()),
            not_after: Timestamp::from_seconds(certificate.not_after_s()),
            seen_at: now,
            decided_at: now,
        };
        self.metadata.signing_certificates().into_iter().map(row).collect()
    }
}

const fn left_out(warning: MetadataWarning) -> LeftOut {
    match warning {
        MetadataWarning::EndpointLeftOut => LeftOut::Endpoint,
        MetadataWarning::UnsuitableKey => LeftOut::Key,
    }
}

fn endpoint(of: &Endpoint) -> SamlEndpoint {
    let binding = match of.binding {
        Binding::Redirect => SamlBinding::Redirect,
        Binding::Post => SamlBinding::Post,
    };
    SamlEndpoint { binding, location: of.location.clone(), response_location: of.response_location.clone() }
}

/// Reads metadata, which one of `signers` must have signed if there are any.
///
/// # Errors
/// [`ServiceError::Invalid`] for what is no address, and for a signer that is no certificate;
/// [`ServiceError::Metadata`] with the rule that it breaks, or why it could not be fetched.
pub async fn read(
    portcullis: &Portcullis,
    source: &MetadataSource,
    signers: &[String],
) -> Result<Read, ServiceError> {
    let now_s = portcullis.now().seconds();
    let pinned = settings::signers(signers)?;
    let (url, bytes) = match source {
        MetadataSource::Document(text) => (None, text.clone().into_bytes()),
        MetadataSource::Url(text) => {
            let bad = || ServiceError::invalid("metadata_url", "is no address of a document");
            let url =
                Some(text).filter(|t| t.len() <= MAX_URL).and_then(|t| Url::parse(t).ok()).ok_or_else(bad)?;
            let bytes = fetch(portcullis, &url).await?;
            (Some(url.to_string()), bytes)
        }
    };
    if bytes.len() > MAX_METADATA_BYTES {
        let message = format!("the metadata has more than {MAX_METADATA_BYTES} bytes");
        return Err(ServiceError::Metadata { code: "metadata_too_large", message });
    }
    // Without a signer it came over verified TLS or from an administrator's hand, and that is what is believed.
    let trust = if pinned.is_empty() { MetadataTrust::Channel } else { MetadataTrust::Pinned(&pinned) };
    let metadata = parse_idp(&bytes, trust, now_s).map_err(|error| {
        let message = format!("{error}: {}", error.broken().advice);
        ServiceError::Metadata { code: error.broken().code, message }
    })?;
    let metadata = without_plain_http(metadata, portcullis.around().limits.plain_http)?;
    Ok(Read { url, metadata, signers: signers.to_vec() })
}

/// Plain HTTP is spoken where the operator permits it, and nowhere else.
fn without_plain_http(mut metadata: IdpMetadata, plain_http: Insecure) -> Result<IdpMetadata, ServiceError> {
    if plain_http == Insecure::Refused {
        let before = metadata.sign_on.len() + metadata.logout.len();
        metadata.sign_on.retain(|e| e.location.starts_with("https:"));
        metadata.logout.retain(|e| e.location.starts_with("https:"));
        let is_told = metadata.warnings.contains(&MetadataWarning::EndpointLeftOut);
        if metadata.sign_on.len() + metadata.logout.len() < before && !is_told {
            metadata.warnings.push(MetadataWarning::EndpointLeftOut);
        }
    }
    if metadata.sign_on.is_empty() {
        let message = "the metadata names no place for sign-in with `https:`".to_owned();
        return Err(ServiceError::Metadata { code: "metadata_no_sign_on_service", message });
    }
    Ok(metadata)
}

async fn fetch(portcullis: &Portcullis, url: &Url) -> Result<Vec<u8>, ServiceError> {
    let request = FetchRequest::get(url.clone(), MAX_METADATA_BYTES, TIMEOUT_MS)
        .with_header("accept", "application/samlmetadata+xml, application/xml, text/xml");
    let refused = |message: String| ServiceError::Metadata { code: "metadata_unreachable", message };
    let answer = portcullis.around().fetch.fetch(request).await.map_err(|e| refused(e.to_string()))?;
    if answer.status != 200 {
        let host = url.host_str().unwrap_or_default();
        return Err(refused(format!("`{host}` answered {} where the metadata should be", answer.status)));
    }
    Ok(answer.body)
}

/// What a reading changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// Something.
    Changed,
    /// Nothing.
    Same,
    /// It was read a moment ago, or is read from nowhere.
    NotAsked,
}

/// Who has metadata read again.
#[derive(Debug, Clone)]
enum By {
    /// Nobody: it is due.
    Itself,
    /// A signature of an unknown key. Such readings are counted where they are asked for.
    Signature,
    /// An administrator.
    Hand(Box<Caller>),
}

impl By {
    /// Whether people may be sent to another place by this reading, where somebody must say so.
    fn may_move_people(&self, tx: &mut Tx<'_>, organization: OrganizationId) -> Result<bool, ServiceError> {
        let Self::Hand(caller) = self else { return Ok(false) };
        match must_stand_above_automation(tx, organization, caller) {
            Ok(()) => Ok(true),
            Err(ServiceError::Refused(Refusal::AboveOwnRank)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Reads a connection's metadata again for an administrator, unless one had it read within the last minute. What it says
/// is taken over; where administrators decide, other addresses wait for one who stands above automation.
///
/// # Errors
/// As [`read`]; [`ServiceError::Metadata`] too if it is another provider's. It is noted with the connection.
pub async fn refresh(
    portcullis: &Portcullis,
    at: (OrganizationId, ConnectionId),
    caller: Caller,
    cause: Cause,
) -> Result<Refreshed, ServiceError> {
    let _alone = portcullis.door().readers.alone(at.1).await;
    let by_hand = format!("read-by-hand/{}", at.1);
    if portcullis.door().throttle.admit(&by_hand, BY_HAND, portcullis.now()).is_err() {
        return Ok(Refreshed::NotAsked);
    }
    read_again(portcullis, at, By::Hand(Box::new(caller)), cause).await
}

/// The same because no trusted key signed a message. Nobody else may read it meanwhile.
///
/// # Errors
/// As [`refresh`].
pub(super) async fn read_for_a_signature(
    portcullis: &Portcullis,
    at: (OrganizationId, ConnectionId),
    cause: Cause,
) -> Result<Refreshed, ServiceError> {
    read_again(portcullis, at, By::Signature, cause).await
}

async fn read_again(
    portcullis: &Portcullis,
    at: (OrganizationId, ConnectionId),
    by: By,
    cause: Cause,
) -> Result<Refreshed, ServiceError> {
    let (organization, id) = at;
    let apart_s = if matches!(by, By::Itself) { MIN_REFRESH_S } else { 0 };
    let claimed = portcullis
        .write(Priority::Ordinary, move |tx, moment| {
            let (_, view) = certificate::find(tx, (organization, id))?;
            let Some(url) = view.source.metadata_url else { return Ok(None) };
            let due = moment.now.plus_s(TRIED_AGAIN_AFTER_S);
            let not_since = moment.now.plus_s(-apart_s);
            let mine = saml_refresh::claim(tx, id, moment.now, (due, not_since))?;
            Ok(mine.then_some((url, view.source.settings.metadata_signers)))
        })
        .await?;
    let Some((url, signers)) = claimed else { return Ok(Refreshed::NotAsked) };
    let done = match read(portcullis, &MetadataSource::Url(url), &signers).await {
        Ok(read) => {
            portcullis
                .write(Priority::Ordinary, move |tx, moment| take_over(tx, moment, at, (&read, &by), cause))
                .await
        }
        Err(error) => Err(error),
    };
    let outcome = match &done {
        Ok((_, Places::Offered)) => {
            let message = "the metadata names other addresses of the provider: have it read by an administrator to take them over";
            Some((ENDPOINTS_OFFERED.to_owned(), message.to_owned()))
        }
        Ok((_, Places::AsKept)) => None,
        Err(error) => Some((error.code().to_owned(), error.to_string())),
    };
    portcullis.write(Priority::Ordinary, move |tx, moment| note(tx, moment, id, outcome.clone())).await?;
    done.map(|(refreshed, _)| refreshed)
}

/// Where people are sent, after a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    /// As the connection has it.
    AsKept,
    /// The metadata names others, which wait for an administrator.
    Offered,
}

/// Notes how a reading went.
fn note(
    tx: &mut Tx<'_>,
    moment: &Moment,
    id: ConnectionId,
    failed: Option<(String, String)>,
) -> Result<(), ServiceError> {
    let Some(before) = saml_refresh::find(tx, id)? else { return Ok(()) };
    let now = moment.now;
    let after = match failed {
        None => SamlRefresh {
            due_at: now.plus_s(REFRESHED_EVERY_S),
            succeeded_at: Some(now),
            failures: 0,
            error_code: None,
            error_message: None,
            ..before
        },
        Some((code, message)) => {
            tracing::warn!(connection.id = %id, error.code = code, error.message = message, "metadata was not read");
            SamlRefresh {
                due_at: now.plus_s(TRIED_AGAIN_AFTER_S),
                failures: before.failures.saturating_add(1),
                error_code: Some(code),
                error_message: Some(message),
                ..before
            }
        }
    };
    Ok(saml_refresh::finish(tx, &after)?)
}

/// Takes over what was read: endpoints, and new certificates by the connection's rule.
fn take_over(
    tx: &mut Tx<'_>,
    moment: &mut Moment,
    (organization, id): (OrganizationId, ConnectionId),
    (read, by): (&Read, &By),
    cause: Cause,
) -> Result<(Refreshed, Places), ServiceError> {
    tx.lock(Lock::Organization(organization))?;
    let (of, view) = certificate::find(tx, (organization, id))?;
    if view.source.metadata_url != read.url {
        // Somebody named another address meanwhile, and read what is there.
        return Ok((Refreshed::NotAsked, Places::AsKept));
    }
    read.require_believed(&view.source.settings)?;
    if read.metadata.entity_id != of.issuer {
        let message = format!(
            "the metadata is of `{}` now and not of `{}`: if that is right, set the connection's metadata anew",
            read.metadata.entity_id, of.issuer
        );
        return Err(ServiceError::Metadata { code: "metadata_entity_changed", message });
    }
    let asks = view.source.settings.new_certificates == NewCertificates::Ask;
    let state = match view.source.settings.new_certificates {
        NewCertificates::Automatic => CertificateState::Trusted,
        NewCertificates::Ask => CertificateState::Offered,
    };
    let new = unknown(&view.certificates, read.certificates((organization, id), (state, moment.now)))?;
    let mut plan = Plan::because(organization, cause);
    let mut provider = read.provider()?;
    let moved = !provider.is_spoken_to_as(&view.source.provider);
    let takes = !asks || by.may_move_people(tx, organization)?;
    let places = if moved && !takes { Places::Offered } else { Places::AsKept };
    if places == Places::Offered {
        let left_out = std::mem::take(&mut provider.left_out);
        provider = SamlProvider { left_out, ..view.source.provider.clone() };
    }
    if provider != view.source.provider {
        let event = EventDraft::new(Action::ConnectionRefreshed, id)
            .with(json!({ "sign_in": provider.sign_in.location }));
        let source = SamlSource { provider, updated_at: moment.now, ..view.source };
        let mut changes: Vec<Change> = vec![ConnectionChange::SetSaml(Box::new(source)).into()];
        if let (true, By::Hand(caller)) = (asks && moved, by)
            && caller.rank() < Rank::OWNER
        {
            let waits = of.chosen_by(caller.rank(), moment.now);
            changes.push(ConnectionChange::Update(Box::new(waits)).into());
        }
        plan = plan.then_all(event, changes);
    }
    for certificate in new {
        let event = certificate::event(&certificate);
        plan = plan.then(event, ConnectionChange::PutCertificate(Box::new(certificate)));
    }
    if plan.is_empty() {
        return Ok((Refreshed::Same, places));
    }
    moment.apply(tx, &plan)?;
    Ok((Refreshed::Changed, places))
}

/// Those of `named` that are not among `known`: what was decided about a known one stands.
///
/// # Errors
/// [`ServiceError::Metadata`] if they would be too many.
pub(crate) fn unknown(
    known: &[SamlCertificate],
    mut named: Vec<SamlCertificate>,
) -> Result<Vec<SamlCertificate>, ServiceError> {
    named.retain(|new| known.iter().all(|old| old.fingerprint != new.fingerprint));
    let trusted = known.iter().filter(|c| c.state == CertificateState::Trusted).count();
    if known.len() + named.len() > MAX_CERTIFICATES || trusted + named.len() > MAX_TRIED {
        let message = format!(
            "the connection would have more than {MAX_TRIED} certificates that count, or {MAX_CERTIFICATES} in all: \
             retire old ones, or make it anew"
        );
        return Err(ServiceError::Metadata { code: "metadata_too_many_certificates", message });
    }
    Ok(named)
}

impl Portcullis {
    /// Reads metadata that is due until `stop` is true. No job among the others: a provider is waited for, and receipts
    /// must be signed meanwhile.
    pub async fn refresh_metadata(&self, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(LOOK_EVERY_MS));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                _ = look.tick() => {}
            }
            let done = tokio::select! {
                _ = stop.changed() => break,
                done = self.refresh_due_metadata() => done,
            };
            if let Err(error) = done {
                tracing::warn!(error.message = %error, "what metadata is due was not found");
            }
        }
    }

    /// Reads the metadata that is due, a bounded number of them; how many.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what a reading itself fails at is noted with its connection.
    pub async fn refresh_due_metadata(&self) -> Result<usize, ServiceError> {
        let due = self.read(|tx, now| Ok(saml_refresh::due(tx, now, MAX_A_LOOK)?)).await?;
        let many = due.len();
        for (id, organization) in due {
            let _alone = self.door().readers.alone(id).await;
            // Noted with the connection; the others do not wait for it.
            let _ = read_again(self, (organization, id), By::Itself, Cause::system()).await;
        }
        Ok(many)
    }
}
