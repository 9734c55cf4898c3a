//! Microsoft Graph as far as it says which groups somebody is in: what is asked, and what is answered.
//!
//! Here because Entra ID leaves groups out of tokens beyond 200 and names an address to ask in their place. That address
//! is never called: it came in a token. What is asked is Graph of the issuer's own cloud, by our own client.

use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::encoding::{from_object, shown};
use crate::issuer::is_guid;
use crate::oauth_error::OAuthError;
use crate::refusal::BrokenRule;

/// Largest answer, in bytes: Graph gives 11,000 ids at most, each of 40.
pub const MAX_GRAPH_BYTES: usize = 1024 * 1024;
/// What is asked: security groups, nested ones too, as Entra puts them into tokens.
pub const QUESTION: &str = r#"{"securityEnabledOnly":true}"#;

/// Clouds of Microsoft's beside the public one, by the host of the issuer, with their Graph.
const CLOUDS: [(&str, &str); 2] = [
    ("login.microsoftonline.us", "https://graph.microsoft.us"),
    ("login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
];
const PUBLIC_CLOUD: &str = "https://graph.microsoft.com";

/// Why Graph's answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GraphError {
    /// No access token for our client.
    #[error("the token endpoint gave our client no token for graph")]
    NoToken {
        /// The status, or the provider's code.
        received: String,
    },
    /// 401 or 403: our client may not ask.
    #[error("graph says that the client may not ask for a person's groups")]
    Denied {
        /// The status.
        status: u16,
    },
    /// Any other status but 200.
    #[error("graph answered status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Too large, no JSON, or something else than ids.
    #[error("graph's answer cannot be read: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
}

impl GraphError {
    /// The broken rule, for a trace.
    #[must_use]
    pub fn broken(&self) -> BrokenRule {
        let section = "Microsoft Graph, getMemberObjects";
        match self {
            Self::NoToken { received } => BrokenRule::new(
                "graph_token_refused",
                "RFC 6749 §4.4",
                "check the client's secret, and that an administrator consented to its application permissions",
            )
            .expected("an access token")
            .received(received),
            Self::Denied { status } => BrokenRule::new(
                "graph_denied",
                section,
                "give the application the permissions `User.Read.All` and `GroupMember.Read.All`, with admin consent",
            )
            .expected(200)
            .received(status),
            Self::Status { status } => BrokenRule::new(
                "graph_failed",
                section,
                "try again; for people in more than 1,000 groups have the token carry only groups assigned to the \
                 application",
            )
            .expected(200)
            .received(status),
            Self::Malformed { why } => BrokenRule::new(
                "graph_malformed",
                section,
                "something between this server and Microsoft Graph changes answers",
            )
            .expected("a JSON object with the list `value`")
            .received(why),
        }
    }
}

/// Where Graph of an issuer's cloud is.
#[must_use]
pub fn base_of(issuer: &str) -> &'static str {
    let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    CLOUDS.iter().find(|(cloud, _)| *cloud == host).map_or(PUBLIC_CLOUD, |(_, graph)| graph)
}

/// Where somebody's groups are asked for, by their object id.
///
/// # Errors
/// [`GraphError::Malformed`] if it is no object id, or `base` no address.
pub fn question_url(base: &str, object: &str) -> Result<Url, GraphError> {
    if !is_guid(object) {
        return Err(GraphError::Malformed { why: "the person has no object id".to_owned() });
    }
    let url = format!("{}/v1.0/users/{object}/getMemberObjects", base.trim_end_matches('/'));
    Url::parse(&url).map_err(|error| GraphError::Malformed { why: shown(&error.to_string()) })
}

/// The access token of our client, from the answer of HTTP `status`.
///
/// # Errors
/// [`GraphError::NoToken`].
pub fn parse_token(status: u16, body: &[u8]) -> Result<secrecy::SecretString, GraphError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: secrecy::SecretString,
    }
    let refused = |received: String| GraphError::NoToken { received: shown(&received) };
    if status != 200 {
        let said = OAuthError::parse(body).map(|error| error.error.to_string());
        return Err(refused(said.unwrap_or_else(|| status.to_string())));
    }
    let answer: Result<Answer, _> = from_object(body);
    answer.map(|answer| answer.access_token).map_err(|_| refused("no access token".to_owned()))
}

/// The ids of the groups, from the answer of HTTP `status`. A list that goes on elsewhere is no whole list.
///
/// # Errors
/// [`GraphError`].
pub fn parse_groups(status: u16, body: &[u8]) -> Result<Vec<String>, GraphError> {
    #[derive(Deserialize)]
    struct Answer {
        value: Vec<String>,
        #[serde(rename = "@odata.nextLink")]
        next: Option<String>,
    }
    match status {
        200 => {}
        401 | 403 => return Err(GraphError::Denied { status }),
        _ => return Err(GraphError::Status { status }),
    }
    let malformed = |why: &str| GraphError::Malformed { why: why.to_owned() };
    if body.len() > MAX_GRAPH_BYTES {
        return Err(malformed("it is too large"));
    }
    let answer: Answer = from_object(body).map_err(|_| malformed("it is no list of ids"))?;
    if answer.next.is_some() {
        return Err(malformed("the list goes on elsewhere"));
    }
    if !answer.value.iter().all(|id| is_guid(id)) {
        return Err(malformed("something in the list is no object id"));
    }
    Ok(answer.value)
}
