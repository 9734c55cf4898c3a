//! From the start to the first answer, and resident memory at rest.

use std::time::Duration;

use crate::Size;
use crate::server::Server;
use crate::table::{Table, median};

pub async fn measure(size: Size) -> Table {
    let mut table = Table::new("Start and rest");
    let (mut starts, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..size.runs.max(3) {
        let server = Server::start().await;
        starts.push(server.started_in.as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        resident.push(server.resident_mb());
    }
    table.at_most("start to first answer, empty SQLite", "", (median(starts), 50.0), " ms");
    table.at_most("resident memory, idle", "", (median(resident), 25.0), " MB");
    table
}
