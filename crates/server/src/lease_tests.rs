//! Under which id this node takes the lease.

use super::{NODE_ID_FILE, node_id};
use crate::secrets;

#[test]
fn a_node_keeps_its_id_and_an_empty_file_is_none() {
    let folder = tempfile::tempdir().unwrap();
    secrets::replace(&folder.path().join(NODE_ID_FILE), "").unwrap();
    let first = node_id(folder.path()).unwrap();
    assert_eq!(node_id(folder.path()).unwrap(), first);
    secrets::replace(&folder.path().join(NODE_ID_FILE), "somebody\n").unwrap();
    assert!(format!("{:#}", node_id(folder.path()).unwrap_err()).contains("delete it"));
}
