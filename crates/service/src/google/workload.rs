//! Workload identity: Google is asked in an administrator's name without any key that is kept here.
//!
//! The machine shows who it is: by a token of the metadata server of Google Cloud, or by one of its own platform that
//! Google's token service exchanges (workload identity federation, RFC 8693). With that, Google signs the assertion for
//! the service account (`signJwt` of the IAM Service Account Credentials API), and the assertion goes where one that was
//! signed here would go. No other road leads to domain-wide delegation without a key: a token of `generateAccessToken`
//! speaks for the service account and for nobody else.
//!
//! Which identity this is, only the operator's settings say. It is one for the whole server, and what it may read at
//! one customer must not be read for another: `may_use` says which organization may use it in whose name.

use portcullis_domain::google::WorkloadUse;
use portcullis_domain::id::OrganizationId;
use portcullis_store::{Tx, domain, organization};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use super::bearer::{Bearer, FORM, Way, form, is_token, read_token, short};
use super::failure::PollFailure;
use super::wire::{ApiError, TokenError};
use super::{Polling, key};
use crate::ServiceError;
use crate::fetch::FetchAnswer;

/// What the token is asked for that asks for signatures: nothing but that.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The grant of an exchange (RFC 8693 §2.1).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What an exchange asks for (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// How long an impersonated account's token is good: one signature.
const IMPERSONATED_LIFE: &str = "300s";
/// The most bytes of what stands where the identity is; tokens of platforms have a few thousand.
pub const MAX_IDENTITY_BYTES: usize = 64 * 1024;
/// The most bytes of a credential configuration.
const MAX_CONFIGURATION_BYTES: usize = 64 * 1024;
/// The longest address of a service account, in bytes.
const MAX_ACCOUNT: usize = 320;

/// The identity that the operator's settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadIdentity {
    /// The service account that Google signs for; its number is what customers grant the scopes to.
    pub service_account: String,
    /// How the machine shows who it is.
    pub means: Means,
    /// The organizations whose administrators may use it in the name of an administrator of a domain that they have
    /// proven; by slug or id.
    pub organizations: Vec<String>,
}

/// How the machine shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// By an access token of the metadata server.
    Metadata,
    /// By a token of its own platform, which Google exchanges.
    Federated(Federation),
}

/// A provider of a workload identity pool, as a credential configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    audience: String,
    subject_token_type: String,
    /// The service account whose token signs, if it is not the pool's own principal that may.
    impersonated: Option<String>,
    /// The field of JSON that holds the subject token; `None`: all of it is the token.
    field: Option<String>,
}

/// Where the token of the machine's own platform is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// At the metadata server of Google Cloud.
    Metadata,
    /// In a file.
    File(String),
    /// At an address.
    Url {
        /// Where.
        url: Url,
        /// With which headers.
        headers: Vec<(String, String)>,
    },
}

/// Why a credential configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigurationError(String);

#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "type")]
    kind: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    format: Option<SourceFormat>,
}

#[derive(Deserialize)]
struct SourceFormat {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

/// Reads a credential configuration of the type `external_account`, as Google Cloud writes it for a pool's provider.
///
/// # Errors
/// [`ConfigurationError`] says what of it cannot be used. Of where tokens are sent nothing is believed: Google's own
/// addresses are constants, and a configuration that names others is refused.
pub fn parse(bytes: &[u8], polling: &Polling) -> Result<(Federation, IdentitySource), ConfigurationError> {
    let refused = |why: &str| ConfigurationError(why.to_owned());
    if bytes.len() > MAX_CONFIGURATION_BYTES {
        return Err(refused("it has more than 65,536 bytes"));
    }
    let read: Configuration = serde_json::from_slice(bytes)
        .map_err(|error| ConfigurationError(format!("it is no credential configuration: {error}")))?;
    if read.kind != "external_account" {
        return Err(refused("its `type` is not `external_account`"));
    }
    if read.token_url != polling.sts_url {
        return Err(refused("its `token_url` is not the one of Google's token service"));
    }
    let impersonated = match &read.service_account_impersonation_url {
        None => None,
        Some(url) => {
            let rest = url.strip_prefix(polling.iam_url.as_str());
            let named = rest
                .and_then(|rest| rest.strip_prefix("/projects/-/serviceAccounts/"))
                .and_then(|rest| rest.strip_suffix(":generateAccessToken"))
                .filter(|account| is_account(account));
            let why = "its `service_account_impersonation_url` is not one of Google's `generateAccessToken`";
            Some(named.ok_or_else(|| refused(why))?.to_owned())
        }
    };
    let field = match read.credential_source.format {
        None => None,
        Some(format) if format.kind == "text" => None,
        Some(SourceFormat { kind, subject_token_field_name: Some(field) }) if kind == "json" => Some(field),
        Some(_) => {
            return Err(refused(
                "the `format` of its `credential_source` is neither `text` nor `json` with a field",
            ));
        }
    };
    let source = match (read.credential_source.file, read.credential_source.url) {
        (Some(file), None) => IdentitySource::File(file),
        (None, Some(url)) => {
            let url =
                Url::parse(&url).map_err(|_| refused("the `url` of its `credential_source` is none"))?;
            IdentitySource::Url { url, headers: read.credential_source.headers.into_iter().collect() }
        }
        _ => return Err(refused("its `credential_source` has not either a `file` or a `url`")),
    };
    let (audience, subject_token_type) = (read.audience, read.subject_token_type);
    Ok((Federation { audience, subject_token_type, impersonated, field }, source))
}

/// Whether a text can be the address of a service account in a URL's path.
#[must_use]
pub fn is_account(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._@".contains(c);
    text.len() <= MAX_ACCOUNT
        && text.chars().all(plain)
        && text.split('@').filter(|p| !p.is_empty()).count() == 2
}

/// Whether an organization may use the identity in the name of that administrator. Asked when the administrator is
/// named, and at each poll: what was taken away from the settings or from the proven domains is taken away here.
///
/// # Errors
/// [`ServiceError::Store`].
pub(super) fn may_use(
    tx: &mut Tx<'_>,
    identity: &WorkloadIdentity,
    (asking, used): (OrganizationId, &WorkloadUse),
) -> Result<bool, ServiceError> {
    if used.vouched_at.is_some() {
        return Ok(true);
    }
    let Some(found) = organization::find(tx, asking)? else { return Ok(false) };
    let id = asking.to_string();
    if !identity.organizations.iter().any(|named| *named == id || *named == found.slug.as_str()) {
        return Ok(false);
    }
    // INVARIANT: customers let one identity read for all of them, so whose administrator it is decides whose people
    // are read. A proven domain belongs to one organization.
    let Some((_, of)) = used.delegated_admin.rsplit_once('@') else { return Ok(false) };
    let proven = domain::find_proven(tx, of)?;
    Ok(proven.is_some_and(|domain| domain.organization == asking))
}

/// An assertion in the name of that administrator, signed by Google for the service account of the settings.
///
/// # Errors
/// [`PollFailure`].
pub(super) async fn assertion(way: &Way, administrator: &str) -> Result<String, PollFailure> {
    let identity = way.polling.workload.as_ref().ok_or(PollFailure::IdentityOff)?;
    let bytes = Zeroizing::new(way.fetch.identity().await?);
    let own = match &identity.means {
        Means::Metadata => {
            let answer = FetchAnswer { status: 200, headers: Vec::new(), body: bytes.to_vec() };
            read_token("metadata", &answer, way.clock.now())?.0
        }
        Means::Federated(federation) => federated(way, federation, &bytes).await?,
    };
    let claims =
        key::claims(&identity.service_account, administrator, &way.polling.token_url, way.clock.now());
    let body = json!({ "payload": claims.to_string() });
    let answer = ask_iam(way, "signJwt", (&identity.service_account, &own), &body).await?;
    let signed = answer.get("signedJwt").and_then(Value::as_str).filter(|text| is_token(text));
    signed.map(str::to_owned).ok_or_else(|| broken("signJwt", "no `signedJwt`"))
}

/// The token by which Google knows a principal of a pool.
async fn federated(way: &Way, federation: &Federation, bytes: &[u8]) -> Result<SecretString, PollFailure> {
    let subject = subject_token(federation, bytes)?;
    let body = form(&[
        ("grant_type", TOKEN_EXCHANGE),
        ("audience", &federation.audience),
        ("scope", IAM_SCOPE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", subject.expose_secret()),
        ("subject_token_type", &federation.subject_token_type),
    ]);
    let answer = way.post("sts", &way.polling.sts_url, &[("content-type", FORM)], body).await?;
    if answer.status != 200 {
        let said: TokenError = serde_json::from_slice(&answer.body).unwrap_or_default();
        let words = short(&format!("{}: {}", said.error, said.error_description));
        return Err(PollFailure::IdentityRefused(words));
    }
    let (token, _): Bearer = read_token("sts", &answer, way.clock.now())?;
    let Some(account) = &federation.impersonated else { return Ok(token) };
    let body = json!({ "scope": [IAM_SCOPE], "lifetime": IMPERSONATED_LIFE });
    let answer = ask_iam(way, "generateAccessToken", (account, &token), &body).await?;
    let token = answer.get("accessToken").and_then(Value::as_str).filter(|text| is_token(text));
    token.map(SecretString::from).ok_or_else(|| broken("generateAccessToken", "no `accessToken`"))
}

/// The subject token in what stood where the identity is.
fn subject_token(federation: &Federation, bytes: &[u8]) -> Result<SecretString, PollFailure> {
    let unreadable = |why: &str| PollFailure::IdentityUnreadable(format!("the subject token {why}"));
    let text = match &federation.field {
        None => Zeroizing::new(String::from_utf8(bytes.to_vec()).unwrap_or_default()),
        Some(field) => {
            let read: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let value = read.get(field).and_then(Value::as_str).unwrap_or_default();
            Zeroizing::new(value.to_owned())
        }
    };
    let text = text.trim();
    if text.is_empty() { Err(unreadable("is not where the configuration says")) } else { Ok(text.into()) }
}

/// One call of the IAM Service Account Credentials API about that account.
async fn ask_iam(
    way: &Way,
    call: &'static str,
    (account, token): (&str, &SecretString),
    body: &Value,
) -> Result<Value, PollFailure> {
    let url = format!("{}/projects/-/serviceAccounts/{account}:{call}", way.polling.iam_url);
    let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let answer = way.post(call, &url, &headers, Zeroizing::new(body.to_string())).await?;
    if answer.status == 200 {
        return serde_json::from_slice(&answer.body).map_err(|_| broken(call, "not as documented"));
    }
    let said: ApiError = serde_json::from_slice(&answer.body).unwrap_or_default();
    Err(PollFailure::IdentityRefused(short(&format!("{} at {call}: {}", answer.status, said.error.message))))
}

fn broken(call: &str, why: &str) -> PollFailure {
    PollFailure::Broken { call: call.to_owned(), why: why.to_owned() }
}
