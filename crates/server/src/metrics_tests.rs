//! What a scrape holds.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis_domain::Timestamp;

use super::{METRICS, install, renderer, resident_bytes, sum_up};

/// Samples that are recorded between two looks: sixteen megabytes, where each is kept.
const SAMPLES: usize = 500_000;
/// Rounds of them.
const ROUNDS: usize = 10;

#[tokio::test]
async fn memory_does_not_grow_with_samples_where_nobody_scrapes() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let summing = tokio::spawn(sum_up(recorder.handle(), Duration::from_millis(1)));
    let before = resident_bytes().unwrap();
    for _ in 0..ROUNDS {
        metrics::with_local_recorder(&recorder, || {
            let waits = metrics::histogram!("portcullis_store_write_wait_seconds");
            (0..SAMPLES).for_each(|_| waits.record(0.01));
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let grown = resident_bytes().unwrap() - before;
    summing.abort();
    assert!(grown < 100.0 * 1024.0 * 1024.0, "it grew by {grown} bytes");
}

#[tokio::test]
async fn a_scrape_holds_memory_start_waiting_requests_and_the_version() {
    // The recorder is the process's; this is the one test that installs it.
    let render = renderer(install(Timestamp::from_seconds(1_800_000_000)).unwrap(), || 7);
    let scrape = render();
    let value = |name: &str| {
        let line = scrape.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1_000_000.0);
    assert!((value("process_start_time_seconds ") - 1_800_000_000.0).abs() < 1.0);
    assert!((value("portcullis_store_waiting_requests ") - 7.0).abs() < 0.1);
    let version = format!("portcullis_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(scrape.contains(&version), "{scrape}");
    let watched = watched_for_any();
    assert!(watched.len() >= 4, "{watched:?}");
    for series in watched {
        assert!(value(&series).abs() < f64::EPSILON, "{series}");
    }
}

/// The series of which the guide says that any is an alarm, each value of a label one.
fn watched_for_any() -> Vec<String> {
    let guide = include_str!("../../../docs/guide/operations.md");
    let mut series = Vec::new();
    for line in guide.lines().filter(|line| line.starts_with("| `portcullis_")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        if !cells[2].trim().starts_with("any:") {
            continue;
        }
        let name = cells[0].trim().trim_matches('`');
        let words: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
        match words.split_first() {
            Some((label, values)) => {
                series.extend(values.iter().map(|one| format!("{name}{{{label}=\"{one}\"}} ")));
            }
            None => series.push(format!("{name} ")),
        }
    }
    series
}

#[test]
fn the_guide_names_every_metric_with_its_labels_and_no_other() {
    let guide = include_str!("../../../docs/guide/operations.md");
    let (_, section) = guide.split_once("## Metrics").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        // What stands in brackets are values.
        let outside = cells[1].split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
        let labels: Vec<String> = outside.flat_map(quoted).collect();
        rows.extend(quoted(cells[0]).into_iter().map(|name| (name, labels.clone())));
    }
    rows.sort_unstable();
    let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
    let mut table: Vec<_> = METRICS.iter().map(|m| (m.name.to_owned(), owned(m.labels))).collect();
    table.sort_unstable();
    assert_eq!(rows, table);
}
