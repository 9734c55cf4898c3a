//! SAML as the protocol of a connection: what it believes, what it signs with, and what an administrator is warned of.
//!
//! - [`metadata`]: the provider's metadata, read when it is named, once a day, and after a signature of an unknown key;
//! - [`certificate`]: whose signatures count; `trust`: what is verified by them, and by newer ones;
//! - [`key`]: our own keys, with overlap;
//! - `expiry`: what runs out soon, for whoever runs the server;
//! - [`assertion`]: what a verified assertion says of a person;
//! - [`settings`], [`wish`]: what an administrator wants of it;
//! - [`logout`]: the end of sessions, in both directions.
//!
//! The way in is [`crate::sign_in::saml`]; the rules of the protocol are the `saml` crate's.

pub mod assertion;
pub mod certificate;
pub(crate) mod expiry;
pub mod key;
pub mod logout;
pub mod metadata;
pub mod settings;
pub(crate) mod trust;
pub mod wish;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_domain::Timestamp;
use portcullis_domain::connection::{Connection, ConnectionKind, KeyState};
use portcullis_domain::id::ConnectionId;
use portcullis_domain::saml::{
    CertificateState, LeftOut, SamlBinding, SamlCertificate, SamlKey, SamlProvider, SamlSource,
};
use portcullis_saml::binding::{Binding, Incoming};
use portcullis_saml::certificate::Certificate;
use portcullis_saml::key::OwnKey;
use portcullis_saml::refusal::Refusal as SamlRefusal;
use portcullis_saml::request::MessageId;
use portcullis_saml::sp_metadata::{RequestSigning, ServiceProvider, sp_metadata};
use portcullis_store::saml_refresh::SamlRefresh;
use portcullis_store::{Tx, saml, saml_refresh};

use crate::error::inconsistent;
use crate::naming::Names;
use crate::refusal::SignInRefusal;
use crate::sealing::SealingKey;
use crate::warning::{Warning, due_days};
use crate::{Moment, Portcullis, ServiceError, Surroundings, sign_in};

/// The addresses of a connection of SAML at this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Where a browser begins.
    pub login: String,
    /// Where answers are posted.
    pub acs: String,
    /// Where messages about the end of sessions go.
    pub logout: String,
    /// Where our metadata is; also our entity id.
    pub metadata: String,
}

impl Addresses {
    /// Those of that connection. Each has its own, so that no answer is taken for another connection's.
    #[must_use]
    pub fn of(around: &Surroundings, id: ConnectionId) -> Self {
        let at = |end: &str| around.url(&format!("/sso/saml/{id}/{end}"));
        Self { login: at("login"), acs: at("acs"), logout: at("slo"), metadata: at("metadata") }
    }
}

/// What a connection of SAML believes and has, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamlView {
    /// The provider and what was set.
    pub source: SamlSource,
    /// Its certificates, whatever their state.
    pub certificates: Vec<SamlCertificate>,
    /// Our keys, whatever their state.
    pub keys: Vec<SamlKey>,
    /// How the reading of its metadata stands; `None` if it was given as a document.
    pub refresh: Option<SamlRefresh>,
    /// Whether the names stay by which people are known.
    pub names: Names,
}

impl SamlView {
    /// What is kept of that connection.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; also if the connection has no source.
    pub fn find(tx: &mut Tx<'_>, of: &Connection) -> Result<Self, ServiceError> {
        let source = saml::source(tx, of.organization, of.id)?
            .ok_or_else(|| inconsistent("a connection of SAML has no source"))?;
        Ok(Self {
            source,
            certificates: saml::certificates(tx, of.organization, of.id)?,
            keys: saml::keys(tx, of.organization, of.id)?,
            refresh: saml_refresh::find(tx, of.id)?,
            names: Names::NotAsked,
        })
    }

    /// The same for an administrator, who is told whether the names stay by which people are known.
    ///
    /// # Errors
    /// As [`SamlView::find`].
    pub fn shown(tx: &mut Tx<'_>, of: &Connection) -> Result<Self, ServiceError> {
        let view = Self::find(tx, of)?;
        Ok(Self { names: Names::find(tx, of, &view.source.settings)?, ..view })
    }

    /// The certificates whose signatures count.
    pub fn trusted(&self) -> impl Iterator<Item = &SamlCertificate> {
        self.certificates.iter().filter(|c| c.state == CertificateState::Trusted)
    }

    /// What should be looked after at that moment.
    #[must_use]
    pub fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for certificate in self.trusted() {
            if let Some(days) = due_days(certificate.not_after, now) {
                warnings.push(expires("certificate_expires", &certificate.fingerprint, days));
            }
        }
        for key in self.keys.iter().filter(|k| k.state.is_published()) {
            if let Some(days) = due_days(key.not_after, now) {
                warnings.push(expires("key_expires", &key.fingerprint, days));
            }
        }
        if self.trusted().next().is_none() {
            let message = "no certificate of the provider counts, so nobody comes in: accept one, or give metadata that \
                           names another";
            warnings.push(Warning { code: "no_certificate", message: message.to_owned() });
        }
        if self.certificates.iter().any(|c| c.state == CertificateState::Offered) {
            let message = "the provider's metadata names a certificate that nobody accepted yet";
            warnings.push(Warning { code: "certificate_offered", message: message.to_owned() });
        }
        if let Some(until) = self.source.settings.sha1_until.filter(|until| *until > now) {
            let message =
                format!("signatures with SHA-1, which can be forged, are taken until {}", until.rfc3339());
            warnings.push(Warning { code: "sha1_accepted", message });
        }
        if let Some(refresh) = self.refresh.as_ref().filter(|r| r.failures > 0) {
            warnings.push(not_taken_over(refresh));
        }
        warnings.extend(of_metadata(&self.source.provider, now));
        if self.names == Names::MayMove {
            let message = "people are known here by what the provider may give to others one day, an address or a name to \
                           sign in with: have it send a persistent name identifier, or set `subject_attribute` to what \
                           never changes";
            warnings.push(Warning { code: "subject_reassignable", message: message.to_owned() });
        }
        warnings
    }
}

/// What was left out of the metadata, and whether a document that nobody reads again has had its day.
fn of_metadata(provider: &SamlProvider, now: Timestamp) -> Vec<Warning> {
    let left_out = provider.left_out.iter().map(|left_out| match left_out {
        LeftOut::Key => (
            "metadata_key_unsuitable",
            "the metadata names a key that must not verify, too small or of another kind, and it was left out: answers that \
             it signs are refused; have the provider use RSA with 2,048 bits, or a curve of NIST"
                .to_owned(),
        ),
        LeftOut::Endpoint => (
            "metadata_endpoint_left_out",
            "the metadata names an address without TLS, or one that is no URL, and it was left out: of single logout, nobody \
             is signed out there"
                .to_owned(),
        ),
    });
    let over = provider.good_until.filter(|until| *until <= now).map(|until| {
        let message = format!(
            "the document that was given as metadata was good until {}: give the provider's present one, or its address",
            until.rfc3339()
        );
        ("metadata_over", message)
    });
    left_out.chain(over).map(|(code, message)| Warning { code, message }).collect()
}

/// What was read and not taken over, or not read.
fn not_taken_over(refresh: &SamlRefresh) -> Warning {
    let why = refresh.error_message.clone().unwrap_or_default();
    if refresh.error_code.as_deref() == Some(metadata::ENDPOINTS_OFFERED) {
        return Warning { code: "endpoints_offered", message: why };
    }
    let message = format!("the provider's metadata could not be read {} times: {why}", refresh.failures);
    Warning { code: "metadata_stale", message }
}

fn expires(code: &'static str, fingerprint: &str, days: i64) -> Warning {
    let short = fingerprint.get(..16).unwrap_or(fingerprint);
    let message = if days < 0 {
        format!("`{short}…` ran out {} days ago: retire it once another one is in use", -days)
    } else {
        format!("`{short}…` runs out in {days} days: have another one in place before")
    };
    Warning { code, message }
}

/// Everything that an exchange with the provider of a connection needs, opened.
pub(crate) struct Setup {
    /// The connection.
    pub(crate) connection: Connection,
    /// What it believes and has.
    pub(crate) view: SamlView,
    /// The certificates that count.
    pub(crate) trusted: Vec<Certificate>,
    /// Its addresses here.
    pub(crate) at: Addresses,
    sealing: Arc<SealingKey>,
}

impl Setup {
    /// The setup of the connection of SAML that a URL names.
    pub(crate) async fn load(portcullis: &Portcullis, id: ConnectionId) -> Result<Self, ServiceError> {
        Ok(Self::load_with(portcullis, id, |_| Ok(())).await?.0)
    }

    /// As [`Setup::load`], with what else is read in the same moment.
    pub(crate) async fn load_with<T: Send + 'static>(
        portcullis: &Portcullis,
        id: ConnectionId,
        mut more: impl FnMut(&mut Tx<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<(Self, T), ServiceError> {
        let (found, more) = portcullis
            .read(move |tx, _| {
                let connection = sign_in::named(tx, id, ConnectionKind::Saml)?;
                let view = SamlView::find(tx, &connection)?;
                Ok(((connection, view), more(tx)?))
            })
            .await?;
        Ok((Self::open(portcullis.around(), found)?, more))
    }

    fn open(around: &Surroundings, (connection, view): (Connection, SamlView)) -> Result<Self, ServiceError> {
        let trusted = view.trusted().map(opened).collect::<Result<Vec<_>, _>>()?;
        let at = Addresses::of(around, connection.id);
        Ok(Self { connection, view, trusted, at, sealing: Arc::clone(&around.sealing) })
    }

    /// Our keys that are published, the one that signs first.
    fn published(&self) -> Vec<&SamlKey> {
        let mut published: Vec<&SamlKey> = self.view.keys.iter().filter(|k| k.state.is_published()).collect();
        published.sort_by_key(|k| (k.state != KeyState::Signing, k.created_at));
        published
    }

    /// The key that signs. Opened where it is used, because the library proves a key before it takes it.
    pub(crate) fn key(&self) -> Result<OwnKey, ServiceError> {
        let published = self.published();
        let first = published.first().ok_or_else(|| inconsistent("a connection of SAML has no key"))?;
        key::open(&self.sealing, first)
    }

    /// All keys that may decrypt what a message brings: none are opened for one that brings nothing encrypted.
    pub(crate) fn keys_for(&self, message: Incoming<'_>) -> Result<Vec<OwnKey>, ServiceError> {
        if !message.may_be_encrypted() {
            return Ok(Vec::new());
        }
        self.published().into_iter().map(|k| key::open(&self.sealing, k)).collect()
    }

    /// The key that signs what we send, if requests are signed.
    pub(crate) fn signer(&self) -> Result<Option<OwnKey>, ServiceError> {
        let signed =
            self.view.source.settings.sign_requests || self.view.source.provider.wants_signed_requests;
        signed.then(|| self.key()).transpose()
    }

    /// Whether what was believed since this was loaded still is: under the same rules, and by the certificate of that
    /// fingerprint. A new one beside it, or another place to send people to, takes nothing from an answer.
    pub(crate) fn still_holds(&self, tx: &mut Tx<'_>, signed_by: &str) -> Result<bool, ServiceError> {
        let of = &self.connection;
        let source = saml::source(tx, of.organization, of.id)?;
        let certificates = saml::certificates(tx, of.organization, of.id)?;
        let counts = |c: &SamlCertificate| c.fingerprint == signed_by && c.state == CertificateState::Trusted;
        let rules = source.is_some_and(|source| source.settings == self.view.source.settings);
        Ok(rules && certificates.iter().any(counts))
    }
}

fn opened(certificate: &SamlCertificate) -> Result<Certificate, ServiceError> {
    read_certificate(&certificate.der)
}

fn read_certificate(base64: &str) -> Result<Certificate, ServiceError> {
    let der = STANDARD.decode(base64).map_err(|_| inconsistent("a certificate is not base64"))?;
    Certificate::from_der(&der).map_err(|e| inconsistent(format!("a kept certificate: {e}")))
}

pub(crate) const fn binding(of: SamlBinding) -> Binding {
    match of {
        SamlBinding::Redirect => Binding::Redirect,
        SamlBinding::Post => Binding::Post,
    }
}

/// A refusal of the protocol, as a sign-in tells it.
pub(crate) fn broken(refusal: &SamlRefusal) -> ServiceError {
    SignInRefusal::Protocol(Box::new(refusal.broken().into())).into()
}

/// Our metadata of a connection, for its provider.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::TooMany`].
pub async fn own_metadata(
    portcullis: &Portcullis,
    id: ConnectionId,
    source: IpAddr,
) -> Result<String, ServiceError> {
    sign_in::admit_source(portcullis, source)?;
    let setup = Setup::load(portcullis, id).await?;
    let published = setup.published();
    let own = published.iter().map(|k| read_certificate(&k.certificate)).collect::<Result<Vec<_>, _>>()?;
    let certificates: Vec<&Certificate> = own.iter().collect();
    let mut moment = portcullis.moment();
    let signer = setup.signer()?;
    let description = ServiceProvider {
        entity_id: &setup.connection.client_id,
        acs_url: &setup.at.acs,
        logout_url: setup.view.source.provider.logout.as_ref().map(|_| setup.at.logout.as_str()),
        signing: &certificates,
        encryption: &certificates,
        requests: if signer.is_some() { RequestSigning::Signed } else { RequestSigning::Unsigned },
        valid_until_s: good_until(&published, moment.now).map(Timestamp::seconds),
    };
    let id = message_id(&mut moment);
    sp_metadata(&description, &id, signer.as_ref()).map_err(|e| ServiceError::fault("our metadata", e))
}

/// Until when our metadata may be used: as long as the last of the certificates that stand in it, because many providers are
/// handed it as a file and forget us on that day. A certificate that ran out still counts here, and then nothing is said.
fn good_until(published: &[&SamlKey], now: Timestamp) -> Option<Timestamp> {
    published.iter().map(|key| key.not_after).max().filter(|until| *until > now)
}

pub(crate) fn message_id(moment: &mut Moment) -> MessageId {
    let mut bytes = [0_u8; 20];
    moment.random.fill(&mut bytes);
    MessageId::from_random(&bytes)
}
