//! What a scrape holds.

use portcullis_domain::Timestamp;

use super::{install, renderer};

#[test]
fn a_scrape_holds_memory_start_waiting_requests_and_the_version() {
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
}
