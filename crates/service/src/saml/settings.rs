//! What an administrator wants of a connection of SAML, checked before it is kept.

use portcullis_domain::Timestamp;
use portcullis_domain::saml::{MAX_SKEW_S, SamlSettings};
use portcullis_domain::text::has_nul;
use portcullis_saml::certificate::{Certificate, CertificateError};
use portcullis_saml::preset::Preset;

use crate::ServiceError;

/// The longest name of an attribute or class of authentication, in bytes: they are URIs.
pub const MAX_NAME: usize = 256;
/// The most classes of authentication that one connection asks for.
pub const MAX_CONTEXTS: usize = 10;
/// The most certificates of which one must have signed the metadata: those of today, and those that come after.
pub const MAX_SIGNERS: usize = 4;
/// The longest of them as text, in bytes.
pub const MAX_SIGNER: usize = 8 * 1_024;
/// The longest that signatures with SHA-1 may be taken, in seconds: an exception is for a migration, not for good.
pub const MAX_SHA1_S: i64 = MAX_SHA1_DAYS * 24 * 3_600;
const MAX_SHA1_DAYS: i64 = 180;

/// Checks settings.
///
/// # Errors
/// [`ServiceError::Invalid`] with the field as the API calls it.
pub fn check(settings: &SamlSettings, now: Timestamp) -> Result<(), ServiceError> {
    if !(0..=MAX_SKEW_S).contains(&settings.skew_s) {
        return Err(ServiceError::invalid("saml.skew_s", format!("is 0 to {MAX_SKEW_S} seconds")));
    }
    if settings.authn_contexts.len() > MAX_CONTEXTS {
        return Err(ServiceError::invalid("saml.authn_contexts", format!("are at most {MAX_CONTEXTS}")));
    }
    for context in &settings.authn_contexts {
        name("saml.authn_contexts", context)?;
    }
    if settings.sha1_until.is_some_and(|until| until > now.plus_s(MAX_SHA1_S)) {
        let message = format!("is {MAX_SHA1_DAYS} days from now at most");
        return Err(ServiceError::invalid("saml.sha1_until", message));
    }
    let names = [
        ("saml.subject_attribute", &settings.subject_attribute),
        ("saml.email_attribute", &settings.email_attribute),
        ("saml.name_attribute", &settings.name_attribute),
    ];
    for (field, value) in names {
        if let Some(value) = value {
            name(field, value)?;
        }
    }
    if settings.preset.as_deref().is_some_and(|slug| Preset::from_slug(slug).is_none()) {
        let all = Preset::ALL.map(Preset::slug).join("`, `");
        return Err(ServiceError::invalid("saml.preset", format!("is null or one of `{all}`")));
    }
    signers(&settings.metadata_signers).map(|_| ())
}

/// The certificates of which one must have signed the metadata.
///
/// # Errors
/// [`ServiceError::Invalid`] for too many, and for what is no certificate whose key can verify.
pub(crate) fn signers(texts: &[String]) -> Result<Vec<Certificate>, ServiceError> {
    const FIELD: &str = "saml.metadata_signers";
    if texts.len() > MAX_SIGNERS {
        return Err(ServiceError::invalid(FIELD, format!("are at most {MAX_SIGNERS}")));
    }
    if texts.iter().any(|text| text.len() > MAX_SIGNER) {
        return Err(ServiceError::invalid(FIELD, format!("have at most {MAX_SIGNER} bytes each")));
    }
    let read = texts.iter().map(|text| {
        let refused = |e: CertificateError| format!("{e}: {}", e.broken().advice);
        Certificate::from_text(text).map_err(|e| ServiceError::invalid(FIELD, refused(e)))
    });
    read.collect()
}

fn name(field: &'static str, value: &str) -> Result<(), ServiceError> {
    let bad = value.trim().is_empty()
        || value.len() > MAX_NAME
        || has_nul(value)
        || value.chars().any(char::is_control);
    if bad {
        let message = format!("has 1 to {MAX_NAME} bytes and no control characters");
        return Err(ServiceError::invalid(field, message));
    }
    Ok(())
}
