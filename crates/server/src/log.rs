//! Logs to standard error, as text or JSON lines, and spans to an OpenTelemetry collector if one is named.
//!
//! Fields are dotted and carry their unit; no secret is ever a field. Each failure is logged once, at the boundary.

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::settings::resolved::{LogFormat, Settings};

/// What must be flushed before the process ends.
#[must_use = "spans that wait are sent when this is finished"]
pub struct Logging {
    provider: Option<SdkTracerProvider>,
}

impl Logging {
    /// Sends what waits to the collector.
    pub fn finish(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            eprintln!("portcullis: spans were lost at the end: {error}");
        }
    }
}

/// Begins to log.
///
/// # Errors
/// If the filter cannot be read or the collector's address cannot be used.
pub fn begin(settings: &Settings) -> anyhow::Result<Logging> {
    let filter = EnvFilter::try_new(&settings.log_filter).context("`log.filter`")?;
    let to_stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => to_stderr.with_target(false).boxed(),
        LogFormat::Json => to_stderr.json().flatten_event(true).boxed(),
    };
    let provider = match &settings.otlp_endpoint {
        None => None,
        Some(endpoint) => {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(endpoint.as_str())
                .build()
                .context("`otlp.endpoint`")?;
            let resource = Resource::builder()
                .with_service_name("portcullis")
                .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build();
            Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
        }
    };
    let spans = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("portcullis")));
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init()
        .context("logging")?;
    Ok(Logging { provider })
}
