//! A provider's metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2), bounded and believed only about itself.
//!
//! Here because everything later trusts it: where the code goes, which keys verify, whether the answer carries `iss`.
//! So the document's `issuer` must be the configured one, byte for byte (RFC 8414 §3.3), and every endpoint `https`.

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::algorithm::SigningAlg;
use crate::client_auth::ClientAuthOffer;
use crate::encoding::{from_object, shown};
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
    /// The provider does not take the proof of ourselves that the connection has.
    #[error("the provider does not take `{expected}`: it offers `{received}`")]
    NoClientAuth {
        /// What the connection can do.
        expected: String,
        /// What the provider offers, cut.
        received: String,
    },
    /// The provider takes assertions, but none that our key signs.
    #[error("the provider takes no assertion signed with `{alg}`: it offers `{received}`")]
    NoAssertionAlg {
        /// The algorithm of our key.
        alg: &'static str,
        /// What the provider offers, cut.
        received: String,
    },
    /// The provider lists the ways of answering, and a form is not among them.
    #[error("the provider does not answer by a form")]
    NoFormPost {
        /// What it offers, cut.
        received: String,
    },
    /// Requests are to be pushed, and the provider has no address for it.
    #[error("the provider takes no pushed requests")]
    NoPushedRequests,
    /// The provider does not do the authorization code flow.
    #[error("the provider does not support the authorization code flow")]
    NoCodeFlow {
        /// What it offers, cut.
        received: String,
    },
}

impl DiscoveryError {
    /// Whether what came is no metadata at all, and so says nothing of the provider: a page of somebody who stands before it,
    /// such as one that says that it is being mended.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Malformed { .. } | Self::Missing { name: "issuer" })
    }

    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let look = "open the issuer's `/.well-known/openid-configuration` and look at it";
        let member = "OIDC Discovery §3";
        match self {
            Self::TooLarge { bytes } => BrokenRule::new("discovery_too_large", member, look)
                .expected(format!("at most {MAX_DISCOVERY_BYTES} bytes"))
                .received(bytes),
            Self::Malformed { why } => BrokenRule::new("discovery_malformed", member, look)
                .expected("a JSON object with what the standard asks for")
                .received(why),
            Self::Missing { name } => {
                BrokenRule::new("discovery_incomplete", member, look).expected(name).received("absent")
            }
            Self::IssuerMismatch { expected, received } => of_another_issuer(
                "discovery_issuer_mismatch",
                "configure the issuer exactly as the provider writes it, a slash at the end included",
                (expected, received),
            ),
            Self::TemplateIssuer { issuer } => of_another_issuer(
                "template_issuer",
                "use your own tenant's issuer, `https://login.microsoftonline.com/<tenant id>/v2.0`",
                ("an issuer of one tenant", issuer),
            ),
            Self::ConsumerTenant => of_another_issuer(
                "consumer_tenant",
                "personal accounts belong to no company; use your own tenant's issuer",
                ("an issuer of a company's own tenant", issuer::ENTRA_CONSUMER_TENANT),
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
            Self::NoUsableAlg { received } => not_offered(
                ("no_usable_alg", "RFC 8725 §3.1"),
                "have the provider sign ID tokens with RS256, ES256 or EdDSA",
                (&crate::algorithm::names(&SigningAlg::ALL), received),
            ),
            Self::NoClientAuth { expected, received } => not_offered(
                ("no_client_auth", "OIDC Core §9"),
                "set `oidc.client_auth` of the connection to a method that the provider offers, or allow ours there",
                (expected, received),
            ),
            Self::NoAssertionAlg { alg, received } => not_offered(
                ("no_assertion_alg", "OIDC Core §9"),
                "make another client key: it gets an algorithm that the provider offers; then put it to use",
                (alg, received),
            ),
            Self::NoFormPost { received } => not_offered(
                ("no_form_post", "OAuth Form Post §2"),
                "set `oidc.response_mode` of the connection to `query`",
                ("form_post", received),
            ),
            Self::NoPushedRequests => not_offered(
                ("no_pushed_requests", "RFC 9126 §5"),
                "set `oidc.pushed_requests` of the connection to `where_required`",
                ("pushed_authorization_request_endpoint", "absent"),
            ),
            Self::NoCodeFlow { received } => not_offered(
                ("no_code_flow", "OIDC Core §3.1"),
                "allow the authorization code flow",
                ("code", received),
            ),
        }
    }
}

/// The rule that a document breaks which is not of the issuer that was asked.
fn of_another_issuer(
    code: &'static str,
    advice: &'static str,
    (expected, received): (&str, &str),
) -> BrokenRule {
    BrokenRule::new(code, "RFC 8414 §3.3", advice).expected(expected).received(received)
}

/// The rule that a provider breaks by not offering what is needed.
fn not_offered(
    (code, section): (&'static str, &'static str),
    advice: &'static str,
    (expected, received): (&str, &str),
) -> BrokenRule {
    BrokenRule::new(code, section, advice).expected(expected).received(received)
}

/// Whether the provider says that its answers carry `iss` (RFC 9207 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssParameter {
    /// It must be there, and right.
    Promised,
    /// It must be right where it is there.
    NotPromised,
}

/// Whether the provider takes authorization requests only if they were pushed (RFC 9126 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushedRequests {
    /// It takes no others.
    Required,
    /// It takes others too.
    Optional,
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
    /// How clients may prove themselves to it.
    pub client_auth: ClientAuthOffer,
    /// Where requests are pushed to, if anywhere (RFC 9126).
    pub pushed_request_endpoint: Option<Url>,
    /// Whether they must be.
    pub pushed_requests: PushedRequests,
    /// Where a browser ends the provider's own session, if anywhere (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session_endpoint: Option<Url>,
    /// Whether its answers carry `iss`.
    pub iss_parameter: IssParameter,
    /// Scopes that it says it knows; empty where it says nothing.
    pub scopes: Vec<String>,
    response_modes: Option<Vec<String>>,
}

impl ProviderMetadata {
    /// That the provider can have the browser post its answer. One that lists no ways may know it all the same.
    ///
    /// # Errors
    /// [`DiscoveryError::NoFormPost`].
    pub fn require_form_post(&self) -> Result<(), DiscoveryError> {
        match &self.response_modes {
            Some(modes) if !modes.iter().any(|mode| mode == "form_post") => {
                Err(DiscoveryError::NoFormPost { received: shown(&modes.join(", ")) })
            }
            _ => Ok(()),
        }
    }

    /// Where a request is pushed to.
    ///
    /// # Errors
    /// [`DiscoveryError::NoPushedRequests`].
    pub fn require_pushed_request_endpoint(&self) -> Result<&Url, DiscoveryError> {
        self.pushed_request_endpoint.as_ref().ok_or(DiscoveryError::NoPushedRequests)
    }
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
    token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    pushed_authorization_request_endpoint: Option<String>,
    require_pushed_authorization_requests: Option<bool>,
    end_session_endpoint: Option<String>,
    response_modes_supported: Option<Vec<String>>,
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
    let raw: RawMetadata =
        from_object(body).map_err(|error| DiscoveryError::Malformed { why: shown(&error.to_string()) })?;
    require_issuer(raw.issuer.as_deref(), issuer)?;
    require_code_flow(raw.response_types_supported.as_deref())?;
    let optional = |name: &'static str, value: Option<String>| {
        value.map(|text| issuer::parse_endpoint(name, &text, insecure)).transpose()
    };
    let endpoint = |name: &'static str, value: Option<String>| {
        optional(name, value)?.ok_or(DiscoveryError::Missing { name })
    };
    // What a sign-in can do without is left out where it cannot be used.
    let usable = |name: &'static str, value: Option<String>| optional(name, value).ok().flatten();
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
        userinfo_endpoint: optional("userinfo_endpoint", raw.userinfo_endpoint)?,
        id_token_algs: usable_algs(raw.id_token_signing_alg_values_supported.as_deref())?,
        client_auth: ClientAuthOffer::new(
            raw.token_endpoint_auth_methods_supported,
            raw.token_endpoint_auth_signing_alg_values_supported,
        ),
        pushed_request_endpoint: usable(
            "pushed_authorization_request_endpoint",
            raw.pushed_authorization_request_endpoint,
        ),
        pushed_requests: match raw.require_pushed_authorization_requests {
            Some(true) => PushedRequests::Required,
            Some(false) | None => PushedRequests::Optional,
        },
        end_session_endpoint: usable("end_session_endpoint", raw.end_session_endpoint),
        iss_parameter: match raw.authorization_response_iss_parameter_supported {
            Some(true) => IssParameter::Promised,
            Some(false) | None => IssParameter::NotPromised,
        },
        scopes: raw.scopes_supported.unwrap_or_default().into_iter().take(MAX_LISTED).collect(),
        response_modes: raw.response_modes_supported.map(|all| all.into_iter().take(MAX_LISTED).collect()),
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
