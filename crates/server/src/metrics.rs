//! Metrics of the process for Prometheus: one table, from which descriptions, buckets and the guide are held.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use portcullis_domain::Timestamp;
use portcullis_domain::cause::CauseKind;
use portcullis_domain::hold::HoldKind;
use portcullis_service::jobs::Job;
use portcullis_web::RenderMetrics;

/// What a metric is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Grows from the start of the process.
    Counter,
    /// Moves both ways.
    Gauge,
    /// Counts by these upper bounds.
    Histogram(&'static [f64]),
}

/// A metric. Each label takes its values from an enum or from the table of routes, so that their number is bounded.
#[derive(Debug)]
struct Metric {
    name: &'static str,
    kind: Kind,
    /// Only the guide tells them: a metric is described without.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the guide against them"))]
    labels: &'static [&'static str],
    meaning: &'static str,
}

/// Seconds from a thousandth to what a caller no longer waits for.
const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The same up to what a provider waits.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Seconds around the second in which a receipt should be signed, up to what `doctor` calls late.
const LAG_SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Requests in a commit, up to the most that one takes.
const REQUESTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// How often the samples of histograms are summed up. Until then each is kept, and nobody may ever come to scrape.
const SUM_UP_EVERY: Duration = Duration::from_secs(10);

const OFF_BOARDINGS: &str = "portcullis_offboardings_total";
const HOLDS: &str = "portcullis_holds_total";
const RULES_FAILURES: &str = "portcullis_rules_failures_total";
const LAST_OWNERS_KEPT: &str = "portcullis_last_owners_kept_total";
const SEQUENCER_FAILURES: &str = "portcullis_audit_sequencer_failures_total";
const JOB_FAILURES: &str = "portcullis_job_failures_total";
const ROOT_TOKEN_USES: &str = portcullis_service::root_use::USES;

/// Every metric.
const METRICS: &[Metric] = &[
    counter(
        "portcullis_http_requests_total",
        &["method", "route", "status"],
        "Requests by method, route and status",
    ),
    Metric {
        name: "portcullis_http_request_seconds",
        kind: Kind::Histogram(REQUEST_SECONDS),
        labels: &["surface"],
        meaning: "How long requests took until they were answered or their callers gave up",
    },
    counter(
        "portcullis_scim_calls_total",
        &["method", "outcome"],
        "Calls of directories by method and by how they ended",
    ),
    counter(
        "portcullis_google_polls_total",
        &["kind", "outcome"],
        "Polls of Google Workspace by kind and by how they ended",
    ),
    counter("portcullis_checks_total", &["door", "code"], "Checks by door and by the code of the answer"),
    counter(OFF_BOARDINGS, &["cause"], "Memberships that ended, by what caused it"),
    counter(HOLDS, &["kind"], "Times that a directory went over its brake's limit, by what is held"),
    counter(
        RULES_FAILURES,
        &[],
        "Turns of an organization in which nothing of its pending rules and ends could be carried out",
    ),
    counter(LAST_OWNERS_KEPT, &[], "Last owners who left: the organization has nobody who acts as its owner"),
    counter(
        "portcullis_tokens_ended_total",
        &["kind", "because"],
        "Tokens that were ended, by kind and reason",
    ),
    histogram(
        "portcullis_store_write_wait_seconds",
        SECONDS,
        "How long a write waited until the database took it up",
    ),
    histogram("portcullis_store_commit_requests", REQUESTS, "Requests that shared one commit of SQLite"),
    counter(
        "portcullis_store_rows_total",
        &["road"],
        "Rows that committed requests read, changed (facts, access, audit, outbox) and noted",
    ),
    gauge("portcullis_store_waiting_requests", "Requests that wait for the database"),
    gauge("portcullis_audit_unsequenced_events", "Audit events that wait for their place in the chain"),
    histogram(
        "portcullis_audit_sequencer_lag_seconds",
        LAG_SECONDS,
        "How old the oldest event of a step of the sequencer was when it had its place",
    ),
    counter(
        SEQUENCER_FAILURES,
        &[],
        "Turns of an organization whose log or receipts could not be numbered or signed",
    ),
    counter(
        ROOT_TOKEN_USES,
        &[],
        "Requests that came by the root token, the way in when every other is shut",
    ),
    counter(
        JOB_FAILURES,
        &["job"],
        "Steps of what goes on between requests that failed whole, by job; each is tried again",
    ),
    Metric {
        name: "portcullis_saml_certificates_expiring",
        kind: Kind::Gauge,
        labels: &["whose", "within_days"],
        meaning: "Certificates of SAML connections in use that run out within so many days",
    },
    gauge(
        "portcullis_google_oldest_success_time_seconds",
        "When the directory of Google Workspace was read whole that was read longest ago, in seconds since the epoch",
    ),
    gauge(
        "portcullis_saml_metadata_oldest_success_time_seconds",
        "When the metadata of SAML connections was read that was read longest ago, in seconds since the epoch",
    ),
    gauge("portcullis_traces_dropped", "Traces that were dropped since the start"),
    gauge("process_resident_memory_bytes", "Resident memory of the process"),
    gauge("process_start_time_seconds", "When the process started, in seconds since the epoch"),
    Metric {
        name: "portcullis_build_info",
        kind: Kind::Gauge,
        labels: &["version"],
        meaning: "1, with the version as a label",
    },
];

const fn counter(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, meaning }
}

const fn gauge(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: &[], meaning }
}

const fn histogram(name: &'static str, bounds: &'static [f64], meaning: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), labels: &[], meaning }
}

/// Installs the recorder of the process, which started at `started_at`, and keeps its memory bounded from then on, on the
/// runtime that it is called on.
///
/// # Errors
/// If one is installed already.
pub fn install(started_at: Timestamp) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    let handle = builder.install_recorder()?;
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.meaning),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.meaning),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.meaning),
        }
    }
    begin_at_zero();
    metrics::gauge!("portcullis_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and seconds stay far below 2^52")]
    metrics::gauge!("process_start_time_seconds").set(started_at.seconds() as f64);
    tokio::spawn(sum_up(handle.clone(), SUM_UP_EVERY));
    Ok(handle)
}

/// Has what the guide says to watch for the first of there from the start: an alarm sees a rise, and no beginning.
fn begin_at_zero() {
    for cause in CauseKind::ALL {
        metrics::counter!(OFF_BOARDINGS, "cause" => cause.as_str()).increment(0);
    }
    for kind in HoldKind::ALL {
        metrics::counter!(HOLDS, "kind" => kind.as_str()).increment(0);
    }
    for job in Job::ALL {
        metrics::counter!(JOB_FAILURES, "job" => job.as_str()).increment(0);
    }
    for name in [RULES_FAILURES, LAST_OWNERS_KEPT, SEQUENCER_FAILURES, ROOT_TOKEN_USES] {
        metrics::counter!(name).increment(0);
    }
}

/// Sums up the samples of histograms, again and again.
async fn sum_up(handle: PrometheusHandle, every: Duration) {
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

/// How many traces were dropped since the start, because nobody could store them fast enough.
pub fn traces_dropped(dropped: f64) {
    metrics::gauge!("portcullis_traces_dropped").set(dropped);
}

/// How many audit events wait for their place in the chain.
pub fn unsequenced_events(waiting: f64) {
    metrics::gauge!("portcullis_audit_unsequenced_events").set(waiting);
}

/// When the directory of Google Workspace, and the metadata, was read that was read longest ago, in seconds since the epoch;
/// not a number where there is none.
pub fn oldest_successes(directory: f64, metadata: f64) {
    metrics::gauge!("portcullis_google_oldest_success_time_seconds").set(directory);
    metrics::gauge!("portcullis_saml_metadata_oldest_success_time_seconds").set(metadata);
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
