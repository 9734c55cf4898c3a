//! Metrics of the process for Prometheus.

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use portcullis_domain::Timestamp;
use portcullis_web::RenderMetrics;

/// Installs the recorder of the process, which started at `started_at`.
///
/// # Errors
/// If one is installed already.
pub fn install(started_at: Timestamp) -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    metrics::describe_counter!("portcullis_http_requests_total", "Requests by method, route and status");
    metrics::describe_gauge!(
        "process_resident_memory_bytes",
        metrics::Unit::Bytes,
        "Resident memory of the process"
    );
    metrics::describe_gauge!(
        "process_start_time_seconds",
        metrics::Unit::Seconds,
        "When the process started, in seconds since the epoch"
    );
    metrics::describe_gauge!("portcullis_store_waiting_requests", "Requests that wait for the database");
    metrics::describe_counter!("portcullis_checks_total", "Checks by door and by the code of the answer");
    metrics::describe_gauge!("portcullis_traces_dropped", "Traces that were dropped since the start");
    metrics::describe_gauge!(
        "portcullis_audit_unsequenced_events",
        "Audit events that wait for their place in the chain"
    );
    metrics::describe_gauge!("portcullis_build_info", "1, with the version as a label");
    metrics::gauge!("portcullis_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and seconds stay far below 2^52")]
    metrics::gauge!("process_start_time_seconds").set(started_at.seconds() as f64);
    Ok(handle)
}

/// How many traces were dropped since the start, because nobody could store them fast enough.
pub fn traces_dropped(dropped: f64) {
    metrics::gauge!("portcullis_traces_dropped").set(dropped);
}

/// How many audit events wait for their place in the chain.
pub fn unsequenced_events(waiting: f64) {
    metrics::gauge!("portcullis_audit_unsequenced_events").set(waiting);
}

/// What renders a scrape.
#[must_use]
pub fn renderer(
    handle: PrometheusHandle,
    waiting: impl Fn() -> usize + Send + Sync + 'static,
) -> RenderMetrics {
    Box::new(move || {
        handle.run_upkeep();
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("process_resident_memory_bytes").set(bytes);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; nobody waits in numbers beyond 2^52"
        )]
        metrics::gauge!("portcullis_store_waiting_requests").set(waiting() as f64);
        handle.render()
    })
}

/// Resident memory in bytes, from the kernel's own account.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
