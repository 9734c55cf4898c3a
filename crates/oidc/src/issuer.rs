//! Issuer identifiers: their shape, whose they are, and what a few providers do differently.
//!
//! Here so that every special case of Entra ID and Google stands on one page: template issuers, the tenant inside the
//! issuer, the two spellings of Google's issuer.

use std::net::IpAddr;

use url::{Host, Url};

use crate::discovery::DiscoveryError;
use crate::encoding::shown;

/// Longest issuer or endpoint, in bytes: what browsers and proxies carry safely.
pub const MAX_URL_BYTES: usize = 2048;
/// The tenant of personal Microsoft accounts: nobody's company.
pub const ENTRA_CONSUMER_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

const GOOGLE_ISSUER: &str = "https://accounts.google.com";
const GOOGLE_ISSUER_WITHOUT_SCHEME: &str = "accounts.google.com";
const ENTRA_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.windows.net",
    "sts.windows.net",
];
const ENTRA_TEMPLATES: [&str; 4] = ["common", "organizations", "consumers", "{tenantid}"];

/// Whether plain HTTP may be spoken with a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// Endpoints are `https`. What production runs with.
    Refused,
    /// `http` too, where the host is this machine, a private address or a name without a dot: development and tests.
    Permitted,
}

/// Whose issuer it is, where that changes a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// One Entra ID tenant.
    Entra {
        /// Its id, a lower-case GUID.
        tenant_id: String,
    },
    /// Google accounts.
    Google,
    /// Any other provider: nothing special.
    Other,
}

impl IssuerKind {
    /// Recognises an issuer by its host. An Entra issuer without a tenant's GUID is [`IssuerKind::Other`] here;
    /// [`parse`] refuses it before.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        if issuer == GOOGLE_ISSUER {
            return Self::Google;
        }
        match tenant_of(issuer) {
            Some(tenant_id) if Url::parse(issuer).is_ok_and(|url| is_entra_host(&url)) => {
                Self::Entra { tenant_id }
            }
            _ => Self::Other,
        }
    }
}

/// Checks the issuer that an administrator configured.
///
/// # Errors
/// Not `https` (or what `insecure` permits), user info, query or fragment in it (RFC 8414 §2), an Entra template or
/// the tenant of personal accounts.
pub fn parse(issuer: &str, insecure: Insecure) -> Result<Url, DiscoveryError> {
    if issuer.contains("{tenantid}") {
        return Err(DiscoveryError::TemplateIssuer { issuer: shown(issuer) });
    }
    let url = parse_endpoint("issuer", issuer, insecure)?;
    if url.query().is_some() {
        return Err(bad("issuer", issuer, "an issuer has no query"));
    }
    if url.host_str() == Some(GOOGLE_ISSUER_WITHOUT_SCHEME) && issuer != GOOGLE_ISSUER {
        return Err(bad(
            "issuer",
            issuer,
            "Google's issuer is `https://accounts.google.com`, without anything behind it",
        ));
    }
    if is_entra_host(&url) {
        let tenant = first_segment(&url).unwrap_or_default().to_ascii_lowercase();
        if ENTRA_TEMPLATES.contains(&tenant.as_str()) {
            return Err(DiscoveryError::TemplateIssuer { issuer: shown(issuer) });
        }
        if tenant == ENTRA_CONSUMER_TENANT {
            return Err(DiscoveryError::ConsumerTenant);
        }
        if !is_guid(&tenant) {
            return Err(bad(
                "issuer",
                issuer,
                "Entra ID's issuer has the tenant's id behind the host, a GUID, and not a name",
            ));
        }
    }
    Ok(url)
}

/// The tenant that an issuer of Entra ID names in its path, in lower case, whatever host serves it.
pub(crate) fn tenant_of(issuer: &str) -> Option<String> {
    let tenant = Url::parse(issuer).ok().and_then(|url| first_segment(&url))?;
    is_guid(&tenant).then(|| tenant.to_ascii_lowercase())
}

/// Checks one URL of a provider. `name` is the metadata member, for the message.
pub(crate) fn parse_endpoint(
    name: &'static str,
    text: &str,
    insecure: Insecure,
) -> Result<Url, DiscoveryError> {
    if text.len() > MAX_URL_BYTES {
        return Err(bad(name, text, "it is too long"));
    }
    let url = Url::parse(text).map_err(|_| bad(name, text, "it is not an absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(name, text, "it holds a user name or password"));
    }
    if url.fragment().is_some() {
        return Err(bad(name, text, "it has a fragment"));
    }
    let passes = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => insecure == Insecure::Permitted && is_private(&url),
        _ => false,
    };
    if passes { Ok(url) } else { Err(DiscoveryError::NotHttps { name, received: shown(text) }) }
}

/// Whether a token's `iss` is the configured issuer: exact, but for Google, which writes its own in two ways.
pub(crate) fn is_same(configured: &str, received: &str) -> bool {
    configured == received || (configured == GOOGLE_ISSUER && received == GOOGLE_ISSUER_WITHOUT_SCHEME)
}

/// Whether it has the form of a GUID, as Entra's tenant and object ids have.
#[must_use]
pub fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn bad(name: &'static str, text: &str, why: &'static str) -> DiscoveryError {
    DiscoveryError::BadUrl { name, received: shown(text), why }
}

fn is_entra_host(url: &Url) -> bool {
    url.host_str().is_some_and(|host| ENTRA_HOSTS.contains(&host) || host.ends_with(".ciamlogin.com"))
}

fn first_segment(url: &Url) -> Option<String> {
    url.path_segments()?.next().map(str::to_owned)
}

fn is_private(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Domain(name)) => return !name.contains('.') || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
        None => return false,
    };
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}
