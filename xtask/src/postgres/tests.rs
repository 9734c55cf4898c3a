//! A cluster comes up, answers where it says, and leaves nothing behind.

use std::net::TcpStream;

use super::{BINARIES, Cluster, Durability, URL};
use crate::workspace::Workspace;

#[test]
fn a_cluster_answers_at_its_url_and_is_gone_when_it_is_dropped() {
    let workspace = Workspace::find().unwrap();
    let cluster = Cluster::start(&workspace, Durability::Synced).unwrap();
    let environment = cluster.environment();
    let names: Vec<&str> = environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [URL, BINARIES]);
    let address = ("127.0.0.1", cluster.port);
    assert!(TcpStream::connect(address).is_ok());
    let folder = cluster.folder.clone();
    assert!(folder.join("data/PG_VERSION").exists());
    drop(cluster);
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}
