//! Our own metadata, one document a connection: what an administrator gives to the identity provider.
//!
//! Here beside the keys that it shows: during a rotation both certificates stand in it (SAML Metadata §2.4.4).

use crate::certificate::Certificate;
use crate::draft::{Draft, attribute};
use crate::encoding::base64;
use crate::key::OwnKey;
use crate::names as n;
use crate::request::{MessageId, RequestError, instant};
use crate::subject::NameIdFormat;

/// What a provider should encrypt with (SAML Metadata §2.4.1.1): the first it knows.
const ENCRYPTION_METHODS: &str = "<md:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"></md:EncryptionMethod>\
     <md:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes128-gcm\"></md:EncryptionMethod>\
     <md:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"></md:EncryptionMethod>";

/// How long a provider that reads this by its address may keep it before it reads anew. It says when to look again and not
/// when to forget: who was handed a file has it for good.
const READ_AGAIN: &str = "P1D";

/// How a provider should name people: the first it can. One that reads this and is told nothing takes what it pleases,
/// Keycloak the user name, which is given to others one day.
const NAME_ID_FORMATS: [NameIdFormat; 2] = [NameIdFormat::Persistent, NameIdFormat::EmailAddress];

/// What a connection says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ServiceProvider<'a> {
    /// Our entity id for this connection.
    pub entity_id: &'a str,
    /// Where responses are posted.
    pub acs_url: &'a str,
    /// Where single logout is spoken (Redirect and POST), if it is.
    pub logout_url: Option<&'a str>,
    /// Certificates of keys that sign our requests, the current one first; empty if nothing is signed.
    pub signing: &'a [&'a Certificate],
    /// Certificates of keys that decrypt, the current one first; empty if nothing is to be encrypted for us.
    pub encryption: &'a [&'a Certificate],
    /// Whether our requests are signed.
    pub requests: RequestSigning,
    /// Seconds since 1970 from which on nobody may use this any more; `None` where it is never so.
    pub valid_until_s: Option<i64>,
}

/// Whether our requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSigning {
    /// Never.
    Unsigned,
    /// Always.
    Signed,
}

/// The document, signed by `signer` if one is given; `id` is a fresh one.
///
/// # Errors
/// [`RequestError`].
pub fn sp_metadata(
    provider: &ServiceProvider<'_>,
    id: &MessageId,
    signer: Option<&OwnKey>,
) -> Result<String, RequestError> {
    let draft = draft(provider, id)?;
    signer.map_or_else(|| Ok(draft.unsigned()), |key| draft.signed(key))
}

fn draft(provider: &ServiceProvider<'_>, id: &MessageId) -> Result<Draft, RequestError> {
    let valid_until = provider.valid_until_s.map(instant).transpose()?;
    let head = format!(
        "<md:EntityDescriptor xmlns:md=\"{}\"{}{}{}{}>",
        n::METADATA,
        attribute("ID", Some(id.as_str()))?,
        attribute("cacheDuration", Some(READ_AGAIN))?,
        attribute("entityID", Some(provider.entity_id))?,
        attribute("validUntil", valid_until.as_deref())?,
    );
    let signed = match provider.requests {
        RequestSigning::Unsigned => "false",
        RequestSigning::Signed => "true",
    };
    let mut tail = format!(
        "<md:SPSSODescriptor AuthnRequestsSigned=\"{signed}\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"{}\">",
        n::PROTOCOL
    );
    for (purpose, certificates) in [("signing", provider.signing), ("encryption", provider.encryption)] {
        for certificate in certificates {
            tail.push_str(&key_descriptor(purpose, certificate));
        }
    }
    if let Some(logout_url) = provider.logout_url {
        for binding in [n::BINDING_REDIRECT, n::BINDING_POST] {
            let location = attribute("Location", Some(logout_url))?;
            let service =
                format!("<md:SingleLogoutService Binding=\"{binding}\"{location}></md:SingleLogoutService>");
            tail.push_str(&service);
        }
    }
    for format in NAME_ID_FORMATS {
        tail.push_str(&format!("<md:NameIDFormat>{}</md:NameIDFormat>", format.uri()));
    }
    tail.push_str(&format!(
        "<md:AssertionConsumerService Binding=\"{}\"{} index=\"0\" isDefault=\"true\"></md:AssertionConsumerService>\
         </md:SPSSODescriptor></md:EntityDescriptor>",
        n::BINDING_POST,
        attribute("Location", Some(provider.acs_url))?,
    ));
    Ok(Draft { id: id.as_str().to_owned(), head, tail })
}

fn key_descriptor(purpose: &str, certificate: &Certificate) -> String {
    let methods = if purpose == "encryption" { ENCRYPTION_METHODS } else { "" };
    format!(
        "<md:KeyDescriptor use=\"{purpose}\"><ds:KeyInfo xmlns:ds=\"{}\"><ds:X509Data><ds:X509Certificate>{}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}</md:KeyDescriptor>",
        n::DSIG,
        base64(certificate.der()),
    )
}
