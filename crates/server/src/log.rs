//! Logs to standard error, as text or JSON lines, and spans to an OpenTelemetry collector if one is named.
//!
//! Fields are dotted and carry their unit; no secret is ever a field. Each failure is logged once, at the boundary.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use url::Url;

use crate::say::complain;
use crate::settings::resolved::{LogFormat, Settings};
use crate::table::Ink;

/// Where a collector takes spans, below its address (OTLP specification 1.9, OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";
/// Where the span of each request is made, which the log's filter leaves out.
const EXPORTED: &str = "portcullis_web::edge=debug";
/// What sends the spans makes none that are sent: else each export would bring another.
const NOT_EXPORTED: &str = "hyper=off,hyper_util=off,h2=off,reqwest=off,tower=off,opentelemetry=off,\
                            opentelemetry_sdk=off,opentelemetry_otlp=off,opentelemetry_http=off";
/// Seconds for one export, also the last: a collector that is away must not hold up the end.
const MAX_EXPORT_S: u64 = 2;

/// What must be flushed before the process ends.
#[must_use = "spans that wait are sent when this is finished"]
pub struct Logging {
    provider: Option<SdkTracerProvider>,
}

impl Logging {
    /// Sends what waits to the collector.
    pub fn finish(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            complain!("portcullis: spans were lost at the end: {error}");
        }
    }
}

/// The rooms whose targets are `portcullis_<room>`; `portcullis` itself is the binary's.
const ROOMS: [&str; 8] = ["domain", "saml", "oidc", "scim", "store", "service", "web", "emulator"];

/// Reads a filter. A bare word that is no level is a target, and with it everything else would be off: one that is no
/// target of ours is a mistyped level, and nobody wants a log of nothing.
///
/// # Errors
/// If it names no level and no target, or what cannot be read.
pub fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    let directives: Vec<&str> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    ensure!(!directives.is_empty(), "it names nothing");
    for bare in directives.iter().filter(|one| !one.contains(['=', '['])) {
        ensure!(is_level(bare) || is_ours(bare), "`{bare}` is no level and no target of Portcullis");
    }
    Ok(EnvFilter::try_new(directives.join(","))?)
}

fn is_level(word: &str) -> bool {
    word.parse::<LevelFilter>().is_ok()
}

fn is_ours(target: &str) -> bool {
    let of = target.split("::").next().unwrap_or(target);
    of == "portcullis" || of.strip_prefix("portcullis_").is_some_and(|room| ROOMS.contains(&room))
}

/// Begins to log.
///
/// # Errors
/// If the filter cannot be read or the collector's address cannot be used.
pub fn begin(settings: &Settings) -> anyhow::Result<Logging> {
    let wanted = filter(&settings.log_filter).context("`log.filter`")?;
    let for_spans = format!("{},{EXPORTED},{NOT_EXPORTED}", settings.log_filter);
    let span_filter = filter(&for_spans).context("`log.filter`")?;
    let is_coloured = Ink::on(&std::io::stderr()) == Ink::Colour;
    let to_stderr = tracing_subscriber::fmt::layer().with_ansi(is_coloured).with_writer(std::io::stderr);
    // Where nobody reads the log any more there is nobody to complain to, and a complaint there would be a panic.
    let to_stderr = to_stderr.log_internal_errors(false);
    let lines = match settings.log_format {
        LogFormat::Text => to_stderr.with_target(false).boxed(),
        LogFormat::Json => to_stderr.json().flatten_event(true).boxed(),
    };
    let provider = settings.otlp_endpoint.as_ref().map(exporting_to).transpose()?;
    let spans = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("portcullis")));
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .with(spans.map(|layer| layer.with_filter(span_filter)))
        .try_init()
        .context("logging")?;
    Ok(Logging { provider })
}

/// A client for a thread that is not the runtime's: batches are sent from one, and the HTTP client needs the runtime.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

/// Sends spans to the collector at `endpoint`, in batches.
fn exporting_to(endpoint: &Url) -> anyhow::Result<SdkTracerProvider> {
    let traces = format!("{}{TRACES_PATH}", endpoint.as_str().trim_end_matches('/'));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(MAX_EXPORT_S))
        .build()
        .context("`otlp.endpoint`")?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime { client, runtime: Handle::try_current().context("`otlp.endpoint`")? })
        .with_endpoint(traces)
        .build()
        .context("`otlp.endpoint`")?;
    let resource = Resource::builder()
        .with_service_name("portcullis")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
