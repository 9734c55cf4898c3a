//! A provider's metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2), bounded and believed only about itself.
//!
//! Here because everything later trusts it: where the code goes, which keys verify, whether the answer carries `iss`.
//! So the document's `issuer` must be the configured one, byte for byte (RFC 8414 §3.3), and every endpoint `https`.

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::algorithm::SigningAlg;
use crate::encoding::shown;
use crate::issuer::{self, Insecure};
use crate::refusal::BrokenRule;
use crate::request::RESERVED_PARAMETERS;

/// Largest metadata document, in bytes; real ones stay below 20 KiB.
pub const MAX_DISCOVERY_BYTES: usize = 512 * 1024;
/// Most entries read of any list in it.
pub const MAX_LISTED: usize = 200;

/// Why metadata is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// More than [`MAX_DISCOVERY_BYTES`].
    #[error("the metadata has {bytes} bytes")]
    TooLarge {
        /// What came.
        bytes: usize,
    },
    /// Not JSON, or a member of a wrong type.
    #[error("the metadata cannot be read: {why}")]
    Malformed {
        /// The parser's words.
        why: String,
    },
    /// A required member is absent.
    #[error("the metadata has no `{name}`")]
    Missing {
        /// The member.
        name: &'static str,
    },
    /// The document speaks for another issuer (RFC 8414 §3.3).
    #[error("the metadata is of issuer `{received}`, not `{expected}`")]
    IssuerMismatch {
        /// The configured issuer.
        expected: String,
        /// The document's.
        received: String,
    },
    /// Entra's `common`, `organizations`, `consumers` or `{tenantid}`: it would admit every tenant.
    #[error("`{issuer}` stands for every tenant")]
    TemplateIssuer {
        /// The issuer.
        issuer: String,
    },
    /// Entra's tenant of personal accounts.
    #[error("the issuer is the tenant of personal microsoft accounts")]
    ConsumerTenant,
    /// Not `https`, and not what [`Insecure`] permits.
    #[error("`{name}` is not https")]
    NotHttps {
        /// The member.
        name: &'static str,
        /// What came, cut.
        received: String,
    },
    /// Otherwise unusable.
    #[error("`{name}` cannot be used: {why}")]
    BadUrl {
        /// The member.
        name: &'static str,
        /// What came, cut.
        received: String,
        /// The reason.
        why: &'static str,
    },
    /// The provider offers no algorithm of [`SigningAlg`].
    #[error("the provider signs with nothing that is allowed")]
    NoUsableAlg {
        /// What it offers, cut.
        received: String,
    },
    /// The provider takes no client secret, in neither of its two forms.
    #[error("the provider takes no client secret")]
    NoClientAuth {
        /// What it offers, cut.
        received: String,
    },
    /// The provider does not do the authorization code flow.
    #[error("the provider does not support the authorization code flow")]
    NoCodeFlow {
        /// What it offers, cut.
        received: String,
    },
}

impl DiscoveryError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let look = "open the issuer's `/.well-known/openid-configuration` and look at it";
        let member = "OIDC Discovery §3";
        match self {
            Self::TooLarge { bytes } => BrokenRule::new("discovery_too_large", member, look)
                .expected(format!("at most {MAX_DISCOVERY_BYTES} bytes"))
                .received(bytes),
            Self::Malformed { why } => BrokenRule::new("discovery_malformed", member, look).received(why),
            Self::Missing { name } => BrokenRule::new("discovery_incomplete", member, look).expected(name),
            Self::IssuerMismatch { expected, received } => BrokenRule::new(
                "discovery_issuer_mismatch",
                "RFC 8414 §3.3",
                "configure the issuer exactly as the provider writes it, a slash at the end included",
            )
            .expected(expected)
            .received(received),
            Self::TemplateIssuer { issuer } => BrokenRule::new(
                "template_issuer",
                "RFC 8414 §3.3",
                "use your own tenant's issuer, `https://login.microsoftonline.com/<tenant id>/v2.0`",
            )
            .expected("an issuer of one tenant")
            .received(issuer),
            Self::ConsumerTenant => BrokenRule::new(
                "consumer_tenant",
                "RFC 8414 §3.3",
                "personal accounts belong to no company; use your own tenant's issuer",
            ),
            Self::NotHttps { name, received } => BrokenRule::new(
                "endpoint_not_https",
                "RFC 8414 §2",
                "the provider must serve its endpoints over https",
            )
            .expected(format!("{name} over https"))
            .received(received),
            Self::BadUrl { name, received, why } => BrokenRule::new("endpoint_unusable", "RFC 8414 §2", look)
                .expected(format!("{name}: {why}"))
                .received(received),
            Self::NoUsableAlg { received } => BrokenRule::new(
                "no_usable_alg",
                "RFC 8725 §3.1",
                "have the provider sign ID tokens with RS256, ES256 or EdDSA",
            )
            .expected(crate::algorithm::names(&SigningAlg::ALL))
            .received(received),
            Self::NoClientAuth { received } => BrokenRule::new(
                "no_client_auth",
                "OIDC Core §9",
                "allow `client_secret_basic` or `client_secret_post` for this application",
            )
            .expected("client_secret_basic, client_secret_post")
            .received(received),
            Self::NoCodeFlow { received } => {
                BrokenRule::new("no_code_flow", "OIDC Core §3.1", "allow the authorization code flow")
                    .expected("code")
                    .received(received)
            }
        }
    }
}

/// Whether the provider says that its answers carry `iss` (RFC 9207 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssParameter {
    /// It must be there, and right.
    Promised,
    /// It must be right where it is there.
    NotPromised,
}

/// How a client proves itself at the token endpoint (OIDC Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// What a provider says about itself, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// Identical with the configured issuer.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// The only place where codes of this connection go.
    pub token_endpoint: Url,
    /// Where its keys are.
    pub jwks_uri: Url,
    /// Where more claims are, if anywhere.
    pub userinfo_endpoint: Option<Url>,
    /// Allowed algorithms that it signs ID tokens with; never empty.
    pub id_token_algs: Vec<SigningAlg>,
    /// The method to use at the token endpoint: basic wherever it is offered, as RFC 6749 §2.3.1 asks for.
    pub token_auth: TokenAuthMethod,
    /// Whether its answers carry `iss`.
    pub iss_parameter: IssParameter,
    /// Scopes that it says it knows; empty where it says nothing.
    pub scopes: Vec<String>,
}

#[derive(Deserialize)]
struct RawMetadata {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    response_types_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    scopes_supported: Option<Vec<String>>,
}

/// Where the metadata of `issuer` is (OpenID Connect Discovery 1.0 §4.1).
///
/// # Errors
/// [`DiscoveryError`] if the issuer itself cannot be used.
pub fn metadata_url(issuer: &str, insecure: Insecure) -> Result<Url, DiscoveryError> {
    let url = issuer::parse(issuer, insecure)?;
    let text = format!("{}/.well-known/openid-configuration", url.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|_| DiscoveryError::BadUrl {
        name: "issuer",
        received: shown(issuer),
        why: "no metadata URL can be made of it",
    })
}

/// Reads the document that was fetched for the configured `issuer`. A later document for the same connection comes
/// through here too, so a changed issuer is refused (an administrator has to change the connection).
///
/// # Errors
/// [`DiscoveryError`], the first rule that is broken.
pub fn parse(body: &[u8], issuer: &str, insecure: Insecure) -> Result<ProviderMetadata, DiscoveryError> {
    issuer::parse(issuer, insecure)?;
    if body.len() > MAX_DISCOVERY_BYTES {
        return Err(DiscoveryError::TooLarge { bytes: body.len() });
    }
    let raw: RawMetadata = serde_json::from_slice(body)
        .map_err(|error| DiscoveryError::Malformed { why: shown(&error.to_string()) })?;
    require_issuer(raw.issuer.as_deref(), issuer)?;
    require_code_flow(raw.response_types_supported.as_deref())?;
    let endpoint = |name: &'static str, value: Option<String>| match value {
        Some(text) => issuer::parse_endpoint(name, &text, insecure),
        None => Err(DiscoveryError::Missing { name }),
    };
    let authorization_endpoint = endpoint("authorization_endpoint", raw.authorization_endpoint)?;
    if authorization_endpoint.query_pairs().any(|(name, _)| RESERVED_PARAMETERS.contains(&name.as_ref())) {
        return Err(DiscoveryError::BadUrl {
            name: "authorization_endpoint",
            received: shown(authorization_endpoint.as_str()),
            why: "its query holds parameters of the request",
        });
    }
    Ok(ProviderMetadata {
        issuer: issuer.to_owned(),
        authorization_endpoint,
        token_endpoint: endpoint("token_endpoint", raw.token_endpoint)?,
        jwks_uri: endpoint("jwks_uri", raw.jwks_uri)?,
        userinfo_endpoint: raw
            .userinfo_endpoint
            .map(|text| issuer::parse_endpoint("userinfo_endpoint", &text, insecure))
            .transpose()?,
        id_token_algs: usable_algs(raw.id_token_signing_alg_values_supported.as_deref())?,
        token_auth: token_auth(raw.token_endpoint_auth_methods_supported.as_deref())?,
        iss_parameter: match raw.authorization_response_iss_parameter_supported {
            Some(true) => IssParameter::Promised,
            Some(false) | None => IssParameter::NotPromised,
        },
        scopes: raw.scopes_supported.unwrap_or_default().into_iter().take(MAX_LISTED).collect(),
    })
}

fn require_issuer(received: Option<&str>, expected: &str) -> Result<(), DiscoveryError> {
    let received = received.ok_or(DiscoveryError::Missing { name: "issuer" })?;
    if received == expected {
        return Ok(());
    }
    if received.contains("{tenantid}") {
        return Err(DiscoveryError::TemplateIssuer { issuer: shown(received) });
    }
    Err(DiscoveryError::IssuerMismatch { expected: shown(expected), received: shown(received) })
}

fn require_code_flow(offered: Option<&[String]>) -> Result<(), DiscoveryError> {
    match offered {
        Some(offered) if !offered.iter().any(|one| one == "code") => {
            Err(DiscoveryError::NoCodeFlow { received: shown(&offered.join(", ")) })
        }
        _ => Ok(()),
    }
}

/// A provider that does not list its algorithms signs with RS256, the one that every provider must have
/// (OpenID Connect Core §15.1).
fn usable_algs(offered: Option<&[String]>) -> Result<Vec<SigningAlg>, DiscoveryError> {
    let Some(offered) = offered else {
        return Ok(vec![SigningAlg::Rs256]);
    };
    let mut usable: Vec<SigningAlg> =
        offered.iter().take(MAX_LISTED).filter_map(|name| SigningAlg::parse(name)).collect();
    usable.sort_unstable();
    usable.dedup();
    if usable.is_empty() {
        return Err(DiscoveryError::NoUsableAlg { received: shown(&offered.join(", ")) });
    }
    Ok(usable)
}

/// A provider that lists no methods takes basic (OpenID Connect Discovery 1.0 §3).
fn token_auth(offered: Option<&[String]>) -> Result<TokenAuthMethod, DiscoveryError> {
    let Some(offered) = offered else {
        return Ok(TokenAuthMethod::Basic);
    };
    let offers = |name: &str| offered.iter().any(|one| one == name);
    if offers("client_secret_basic") {
        Ok(TokenAuthMethod::Basic)
    } else if offers("client_secret_post") {
        Ok(TokenAuthMethod::Post)
    } else {
        Err(DiscoveryError::NoClientAuth { received: shown(&offered.join(", ")) })
    }
}
