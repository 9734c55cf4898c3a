//! The one way out of the process: HTTP requests and TXT look-ups for addresses that other people chose.
//!
//! No redirect is followed and no proxy used. Names are resolved here, every address is judged
//! ([`address::Permitted`]), and only judged addresses are connected to.

pub mod address;
mod identity;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::proto::rr::{Name, RData};
use portcullis_service::fetch::{
    AddressClass, Fetch, FetchAnswer, FetchError, FetchFuture, FetchMethod, FetchRequest,
};
use portcullis_service::google::workload::IdentitySource;
use reqwest::dns::{Addrs, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use self::address::{Permitted, Scheme};
use self::identity::Identity;
use crate::settings::Settings;

/// How long a TXT look-up may take, in milliseconds.
const MAX_TXT_MS: u64 = 5000;
/// The most TXT records that are read of one name.
const MAX_TXT_RECORDS: usize = 64;
/// Seconds for TCP and TLS: an unreachable host must not use up the whole limit of a request.
const MAX_CONNECT_S: u64 = 5;
/// Seconds for which an idle connection is kept.
const MAX_IDLE_S: u64 = 30;
/// Idle connections kept to one host.
const MAX_IDLE_CONNECTIONS: usize = 4;
/// The most headers of an answer by HTTP/1.1.
const MAX_ANSWER_HEADERS: usize = 100;
/// The most bytes of headers of an answer by HTTP/2.
const MAX_ANSWER_HEADER_BYTES: u32 = 64 * 1024;

/// The way out in these settings, with the place of this machine's identity.
///
/// # Errors
/// If the resolver or the authorities' file cannot be read.
pub fn outbound(settings: &Settings, identity: Option<IdentitySource>) -> anyhow::Result<Arc<dyn Fetch>> {
    let permitted = Permitted {
        networks: settings.allow_networks.clone(),
        private: settings.allow_private_networks,
        scheme: Scheme::Https,
    };
    let resolver = resolver(&settings.dns_servers)?;
    let ca = match &settings.fetch_ca_file {
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("`fetch.ca_file` `{}`", path.display()))?;
            reqwest::Certificate::from_pem_bundle(&pem).context("`fetch.ca_file`")?
        }
        None => Vec::new(),
    };
    let identity = Identity::new(identity, settings.google_stand_in_url.as_ref(), &ca)?;
    Ok(Arc::new(Outbound::new(permitted, resolver, ca, identity)?))
}

fn resolver(servers: &[SocketAddr]) -> anyhow::Result<TokioResolver> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().context("`/etc/resolv.conf`")?
    } else {
        let servers = servers
            .iter()
            .map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            })
            .collect();
        let config = ResolverConfig::from_parts(None, vec![], servers);
        TokioResolver::builder_with_config(
            config,
            hickory_resolver::net::runtime::TokioRuntimeProvider::default(),
        )
    };
    // A proof that was just published must be seen: "there is none" is not remembered.
    builder.options_mut().negative_max_ttl = Some(Duration::ZERO);
    Ok(builder.build()?)
}

/// Resolves names and gives judged addresses only.
#[derive(Clone)]
struct Judging {
    resolver: TokioResolver,
    permitted: Permitted,
}

#[derive(Debug, thiserror::Error)]
#[error("`{address}` is refused")]
struct Refused {
    address: IpAddr,
    class: AddressClass,
}

impl Resolve for Judging {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let judging = self.clone();
        Box::pin(async move {
            let found = judging.resolver.lookup_ip(name.as_str()).await?;
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found.iter() {
                // One bad address refuses the name: a mixed answer is an attack, not a company's set-up.
                judging.permitted.check(address).map_err(|class| Refused { address, class })?;
                addresses.push(SocketAddr::new(address, 0));
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// One client and whom it may reach.
struct Way {
    http: reqwest::Client,
    judging: Judging,
}

impl Way {
    fn new(judging: Judging, ca: &[reqwest::Certificate]) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(judging.clone()))
            .https_only(judging.permitted.scheme == Scheme::Https)
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(MAX_CONNECT_S))
            .pool_idle_timeout(Duration::from_secs(MAX_IDLE_S))
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .http1_max_headers(MAX_ANSWER_HEADERS)
            .http2_max_header_list_size(MAX_ANSWER_HEADER_BYTES);
        for authority in ca {
            http = http.add_root_certificate(authority.clone());
        }
        Ok(Self { http: http.build()?, judging })
    }
}

/// The way out: by `https:`, and by `http:` where the operator permits private networks.
struct Outbound {
    https: Way,
    plain: Option<Way>,
    identity: Identity,
}

impl Outbound {
    fn new(
        permitted: Permitted,
        resolver: TokioResolver,
        ca: Vec<reqwest::Certificate>,
        identity: Identity,
    ) -> Result<Self, reqwest::Error> {
        let plain = if permitted.private {
            let permitted = Permitted { scheme: Scheme::PlainHttp, ..permitted.clone() };
            Some(Way::new(Judging { resolver: resolver.clone(), permitted }, &[])?)
        } else {
            None
        };
        Ok(Self { https: Way::new(Judging { resolver, permitted }, &ca)?, plain, identity })
    }

    /// Refuses a URL before anything is sent; gives its way and its host for messages.
    fn check(&self, url: &Url) -> Result<(&Way, String), FetchError> {
        let mut shown = url.clone();
        shown.set_query(None);
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let refused = |why| FetchError::UrlRefused { url: shown.to_string(), why };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it carries a name or password"));
        }
        let host = url.host().ok_or_else(|| refused("it has no host"))?;
        let name = host.to_string();
        let way = match url.scheme() {
            "https" => Some(&self.https),
            "http" => self.plain.as_ref(),
            _ => None,
        };
        let way = way.ok_or_else(|| FetchError::NotHttps { url: shown.to_string() })?;
        // The client asks the resolver about names only, so an address is judged here.
        let address = match host {
            Host::Domain(_) => return Ok((way, name)),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        let refused = |class| FetchError::AddressRefused { host: name.clone(), address, class };
        way.judging.permitted.check(address).map_err(refused)?;
        Ok((way, name))
    }

    async fn send(&self, request: FetchRequest) -> Result<FetchAnswer, FetchError> {
        let (way, host) = self.check(&request.url)?;
        let timeout_ms = request.timeout_ms;
        let whole = exchange(way, request, &host);
        let limit = Duration::from_millis(timeout_ms);
        tokio::time::timeout(limit, whole)
            .await
            .unwrap_or(Err(FetchError::TimedOut { host: host.clone(), timeout_ms }))
    }
}

async fn exchange(way: &Way, request: FetchRequest, host: &str) -> Result<FetchAnswer, FetchError> {
    let method = match request.method {
        FetchMethod::Get => reqwest::Method::GET,
        FetchMethod::Post => reqwest::Method::POST,
    };
    let mut builder = way.http.request(method, request.url).headers(headers(&request.headers)?);
    if let Some(body) = request.body {
        builder = builder.body(body);
    }
    let mut answer = builder.send().await.map_err(|error| connect_error(host, &error))?;
    let status = answer.status().as_u16();
    if (300..400).contains(&status) {
        return Err(FetchError::Redirected { host: host.to_owned(), status });
    }
    let known = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = answer.headers().iter().filter_map(known).collect();
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| FetchError::Broken { host: host.to_owned(), why: words(&error) };
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > request.max_bytes {
            return Err(FetchError::TooLarge { host: host.to_owned(), max_bytes: request.max_bytes });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(FetchAnswer { status, headers, body })
}

fn headers(list: &[(String, String)]) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let refused = || FetchError::HeaderRefused { name: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        headers.append(key, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(headers)
}

/// The words of an error and of what caused it, without the URL, whose query may carry secrets.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    if words.is_empty() { "no connection".to_owned() } else { words.join(": ") }
}

fn connect_error(host: &str, error: &reqwest::Error) -> FetchError {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = next {
        if let Some(Refused { address, class }) = inner.downcast_ref() {
            return FetchError::AddressRefused { host: host.to_owned(), address: *address, class: *class };
        }
        if inner.is::<hickory_resolver::net::NetError>() {
            return FetchError::Unresolvable { host: host.to_owned(), why: inner.to_string() };
        }
        next = inner.source();
    }
    if error.is_connect() {
        FetchError::Unreachable { host: host.to_owned(), why: words(error) }
    } else {
        FetchError::Broken { host: host.to_owned(), why: words(error) }
    }
}

impl Fetch for Outbound {
    fn fetch(&self, request: FetchRequest) -> FetchFuture<'_, FetchAnswer> {
        Box::pin(self.send(request))
    }

    fn identity(&self) -> FetchFuture<'_, Vec<u8>> {
        Box::pin(self.identity.read())
    }

    fn txt_records(&self, name: &str) -> FetchFuture<'_, Vec<String>> {
        let name = name.to_owned();
        Box::pin(async move {
            let limit = Duration::from_millis(MAX_TXT_MS);
            let timed_out = || FetchError::TimedOut { host: name.clone(), timeout_ms: MAX_TXT_MS };
            let unresolvable = |why: String| FetchError::Unresolvable { host: name.clone(), why };
            let mut full = Name::from_utf8(&name).map_err(|error| unresolvable(error.to_string()))?;
            // Without this, a record under the company's own search domain would prove somebody else's.
            full.set_fqdn(true);
            let found = tokio::time::timeout(limit, self.https.judging.resolver.txt_lookup(full))
                .await
                .map_err(|_| timed_out())?;
            match found {
                Ok(records) => Ok(texts(&records)),
                Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
                Err(error) => Err(unresolvable(error.to_string())),
            }
        })
    }
}

fn texts(records: &hickory_resolver::lookup::Lookup) -> Vec<String> {
    records
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
            _ => None,
        })
        .take(MAX_TXT_RECORDS)
        .collect()
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
