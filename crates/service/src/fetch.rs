//! Outbound requests as use cases see them: what is asked for, what came back, why it was refused.
//!
//! Here is only the shape. The one implementation stands in `server`, where the guard against reaching the
//! operator's own networks is, so that no use case can open a connection of its own; tests give one that fails in
//! the ways that matter.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use thiserror::Error;
use url::Url;

/// What a [`Fetch`] answers with: a future that may cross threads.
pub type FetchFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// The way out of the process: HTTP requests and DNS TXT look-ups for addresses that other people chose.
///
/// An implementation follows no redirect, uses no proxy, and refuses every address inside the operator's networks
/// but for those that the operator named.
pub trait Fetch: Send + Sync {
    /// Sends one request and reads the whole answer.
    ///
    /// Any status outside 300–399 is an answer, not an error.
    ///
    /// # Errors
    ///
    /// [`FetchError`] says which rule refused it or where it broke; nothing of a broken answer is given.
    fn fetch(&self, request: FetchRequest) -> FetchFuture<'_, FetchAnswer>;

    /// The TXT records at `name` (RFC 1035 §3.3.14), each with its strings joined (RFC 7208 §3.3). A name without
    /// any gives an empty list.
    ///
    /// # Errors
    ///
    /// [`FetchError::Unresolvable`] if no server gave an answer, [`FetchError::TimedOut`] if none came in time.
    fn txt_records(&self, name: &str) -> FetchFuture<'_, Vec<String>>;

    /// What stands where the operator's settings say that the identity of this machine is: in a file, at an address,
    /// or at the metadata server of Google Cloud. It takes no address, so that nobody but the operator chooses one.
    ///
    /// # Errors
    ///
    /// [`FetchError::IdentityUnreadable`], also where the settings name none.
    fn identity(&self) -> FetchFuture<'_, Vec<u8>> {
        let why = "the settings name none".to_owned();
        Box::pin(async { Err(FetchError::IdentityUnreadable { why }) })
    }
}

/// The methods that anything here sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchMethod {
    /// GET (RFC 9110 §9.3.1).
    Get,
    /// POST (RFC 9110 §9.3.3).
    Post,
}

/// One request, with the limits of its answer.
///
/// It has no `Debug`: headers and body carry client secrets and authorization codes.
#[derive(Clone)]
pub struct FetchRequest {
    /// GET or POST.
    pub method: FetchMethod,
    /// Where to; absolute, without userinfo.
    pub url: Url,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// The most bytes of body that the answer may have, counted after decompression.
    pub max_bytes: usize,
    /// The most milliseconds from the name look-up to the last byte.
    pub timeout_ms: u64,
}

impl FetchRequest {
    /// A GET without headers.
    #[must_use]
    pub fn get(url: Url, max_bytes: usize, timeout_ms: u64) -> Self {
        Self { method: FetchMethod::Get, url, headers: Vec::new(), body: None, max_bytes, timeout_ms }
    }

    /// A POST of `body` without headers.
    #[must_use]
    pub fn post(url: Url, body: Vec<u8>, max_bytes: usize, timeout_ms: u64) -> Self {
        Self { method: FetchMethod::Post, url, headers: Vec::new(), body: Some(body), max_bytes, timeout_ms }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A whole answer.
#[derive(Clone)]
pub struct FetchAnswer {
    /// The status code; never 300–399.
    pub status: u16,
    /// Names in lower case and values, in order. A value that is no text is left out.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed, at most `max_bytes` long.
    pub body: Vec<u8>,
}

impl FetchAnswer {
    /// The first value of the header `name` (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why an address may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`: also where most clouds keep machine identities.
    LinkLocal,
    /// Where clouds keep machine identities outside the link-local networks.
    CloudMetadata,
    /// RFC 1918, `fec0::/10`.
    Private,
    /// `fc00::/7` (RFC 4193).
    UniqueLocal,
    /// `100.64.0.0/10` (RFC 6598).
    CarrierShared,
    /// `0.0.0.0/8`, `::`: means this machine on many systems.
    Unspecified,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// The documentation and benchmarking networks (RFC 5737, RFC 3849, RFC 9637, RFC 2544).
    Documentation,
    /// An IPv4 address inside an IPv6 one: mapped, compatible, 6to4, NAT64, Teredo, ISATAP.
    Embedded,
    /// Any other network that RFC 6890 keeps from the public Internet.
    Reserved,
    /// A public address, refused because plain `http:` goes to loopback and private networks only.
    Public,
}

impl AddressClass {
    /// The words for a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::CloudMetadata => "cloud metadata",
            Self::Private => "private",
            Self::UniqueLocal => "unique local",
            Self::CarrierShared => "carrier shared",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Embedded => "embedded IPv4",
            Self::Reserved => "reserved",
            Self::Public => "public",
        }
    }
}

/// Why a request gave no answer. `code` is stable; the message is for the trace, not for the outside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The address is inside a network that may not be reached.
    #[error("`{address}` of `{host}` is a {} address and may not be reached", class.words())]
    AddressRefused {
        /// The host as it was asked for.
        host: String,
        /// The address that it stands for.
        address: IpAddr,
        /// What kind of address that is.
        class: AddressClass,
    },
    /// The scheme is not `https:` (or not `http:` to a private network where the operator permits that).
    #[error("`{url}` is not an https: URL")]
    NotHttps {
        /// The URL, without query.
        url: String,
    },
    /// The URL has no host, or carries a name or password.
    #[error("`{url}` is not a URL that can be fetched: {why}")]
    UrlRefused {
        /// The URL, without userinfo and query.
        url: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A header name or value has bytes that HTTP does not allow.
    #[error("the header `{name}` cannot be sent")]
    HeaderRefused {
        /// The header's name.
        name: String,
    },
    /// No name server knows the host, or none answered.
    #[error("`{host}` does not resolve: {why}")]
    Unresolvable {
        /// The host or DNS name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No connection, or the certificate did not hold.
    #[error("cannot connect to `{host}`: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the connection or TLS said.
        why: String,
    },
    /// The whole took longer than the request's limit.
    #[error("`{host}` did not answer within {timeout_ms} ms")]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        timeout_ms: u64,
    },
    /// The answer is a redirect; none is followed, because the next address was chosen by nobody here.
    #[error("`{host}` answered {status}, a redirect, and none is followed")]
    Redirected {
        /// The host.
        host: String,
        /// The status, 300–399.
        status: u16,
    },
    /// The body is longer than the request's limit.
    #[error("the answer of `{host}` is larger than {max_bytes} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        max_bytes: usize,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the answer of `{host}` broke off: {why}")]
    Broken {
        /// The host.
        host: String,
        /// What was wrong.
        why: String,
    },
    /// The identity of this machine is not to be had where the operator's settings say.
    #[error("the identity of this machine cannot be read: {why}")]
    IdentityUnreadable {
        /// What was tried, and what came of it; nothing of what stood there.
        why: String,
    },
}

impl FetchError {
    /// The stable code, for traces, tests and problem bodies.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AddressRefused { .. } => "address_refused",
            Self::NotHttps { .. } => "not_https",
            Self::UrlRefused { .. } => "url_refused",
            Self::HeaderRefused { .. } => "header_refused",
            Self::Unresolvable { .. } => "unresolvable",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge { .. } => "too_large",
            Self::Broken { .. } => "broken_answer",
            Self::IdentityUnreadable { .. } => "identity_unreadable",
        }
    }
}
