//! The identity of this machine: read from the one place that the operator's settings name, and from no other.
//!
//! It stands beside the guard of outbound requests and not behind it, because a metadata server is link-local and a
//! platform's token service is on loopback. What makes that safe is that nobody can say where: the place is fixed when
//! the server starts, and a request takes no address.

use std::io::Read as _;
use std::time::Duration;

use portcullis_service::fetch::FetchError;
use portcullis_service::google::workload::{IdentitySource, MAX_IDENTITY_BYTES};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// The address of the metadata server (of Compute Engine, Kubernetes Engine and Cloud Run alike), by number: a name
/// could be answered by somebody else.
const METADATA_SERVER: &str = "http://169.254.169.254";
/// Where it gives an access token of the machine's service account.
const METADATA_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// What a request to it must carry, against requests that others forge, and what its answers carry.
const METADATA_FLAVOR: (&str, &str) = ("metadata-flavor", "Google");
/// Seconds for one answer: it comes from this machine.
const TIMEOUT_S: u64 = 10;

/// The one place.
pub struct Identity {
    place: Place,
}

enum Place {
    Nowhere,
    File(String),
    At { http: reqwest::Client, url: Url, headers: HeaderMap, whose: Whose },
}

/// Who is to answer at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Google's metadata server, which says so.
    Metadata,
    /// Whatever the operator named.
    Operator,
}

impl Identity {
    /// The place that the settings name; a stand-in's address takes the one of the metadata server.
    ///
    /// # Errors
    /// If a header cannot be sent or the client cannot be made.
    pub fn new(
        source: Option<IdentitySource>,
        stand_in: Option<&Url>,
        authorities: &[reqwest::Certificate],
    ) -> anyhow::Result<Self> {
        let place = match source {
            None => Place::Nowhere,
            Some(IdentitySource::File(path)) => Place::File(path),
            Some(IdentitySource::Metadata) => {
                let base = stand_in.map_or(METADATA_SERVER, |url| url.as_str().trim_end_matches('/'));
                let mut headers = HeaderMap::new();
                let (name, value) = METADATA_FLAVOR;
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
                let url = Url::parse(&format!("{base}{METADATA_TOKEN}"))?;
                Place::At { http: client(authorities)?, url, headers, whose: Whose::Metadata }
            }
            Some(IdentitySource::Url { url, headers: said }) => {
                let mut headers = HeaderMap::new();
                for (name, value) in said {
                    headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(&value)?);
                }
                Place::At { http: client(authorities)?, url, headers, whose: Whose::Operator }
            }
        };
        Ok(Self { place })
    }

    /// What stands there now.
    ///
    /// # Errors
    /// [`FetchError::IdentityUnreadable`].
    pub async fn read(&self) -> Result<Vec<u8>, FetchError> {
        let read = match &self.place {
            Place::Nowhere => Err("the settings name none".to_owned()),
            Place::File(path) => read_file(path).await,
            Place::At { http, url, headers, whose } => {
                let asked = ask(http, url.clone(), headers.clone(), *whose);
                let limit = Duration::from_secs(TIMEOUT_S);
                tokio::time::timeout(limit, asked)
                    .await
                    .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT_S} s")))
                    .map_err(|why| format!("`{}`: {why}", url.host_str().unwrap_or_default()))
            }
        };
        read.map_err(|why| FetchError::IdentityUnreadable { why })
    }
}

fn client(authorities: &[reqwest::Certificate]) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(Duration::from_secs(TIMEOUT_S));
    authorities.iter().fold(builder, |b, authority| b.add_root_certificate(authority.clone())).build()
}

async fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let (path, shown) = (path.to_owned(), path.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_IDENTITY_BYTES).unwrap_or(u64::MAX);
        std::fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    match read.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(bytes) if bytes.len() > MAX_IDENTITY_BYTES => {
            Err(format!("`{shown}` has more than {MAX_IDENTITY_BYTES} bytes"))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}

async fn ask(http: &reqwest::Client, url: Url, headers: HeaderMap, whose: Whose) -> Result<Vec<u8>, String> {
    // Without the URL: a query of the operator's may hold what only they should see.
    let words = |error: reqwest::Error| super::words(&error);
    let mut answer = http.get(url).headers(headers).send().await.map_err(words)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("answered {}", answer.status().as_u16()));
    }
    let (name, value) = METADATA_FLAVOR;
    if whose == Whose::Metadata
        && answer.headers().get(name).is_none_or(|flavor| flavor.as_bytes() != value.as_bytes())
    {
        return Err("what answered is no metadata server of Google Cloud".to_owned());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(words)? {
        if body.len() + chunk.len() > MAX_IDENTITY_BYTES {
            return Err(format!("more than {MAX_IDENTITY_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
