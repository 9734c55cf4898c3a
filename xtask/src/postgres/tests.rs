//! A cluster comes up, answers where it says, and leaves nothing behind.

use std::net::TcpStream;

use super::{BINARIES, Cluster, Durability, FOLDER_PREFIX, URL, sweep};
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

#[test]
fn the_folder_of_a_dead_run_is_swept_and_that_of_a_living_one_is_kept() {
    let parent = std::env::temp_dir().join(format!("portcullis-sweep-{}", std::process::id()));
    let dead = parent.join(format!("{FOLDER_PREFIX}4194305"));
    let living = parent.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
    let foreign = parent.join("portcullis-data");
    for folder in [&dead, &living, &foreign] {
        std::fs::create_dir_all(folder).unwrap();
    }
    sweep(&parent);
    assert!(!dead.exists() && living.exists() && foreign.exists());
    std::fs::remove_dir_all(parent).unwrap();
}
