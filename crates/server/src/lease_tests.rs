//! Under which id this node takes the lease.

use super::{NODE_ID_FILE, node_id, node_id_on};
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

#[test]
fn a_data_folder_that_was_copied_to_another_machine_is_another_node() {
    let folder = tempfile::tempdir().unwrap();
    let on = |machine: &str| node_id_on(folder.path(), machine).unwrap();
    let first = on("one");
    assert_eq!(on("one"), first, "a server that was killed takes its lease back at once");
    let second = on("two");
    assert_ne!(second, first);
    assert_eq!(on("two"), second);
    // A file of the version before says of no machine.
    secrets::replace(&folder.path().join(NODE_ID_FILE), &format!("{first}\n")).unwrap();
    assert_ne!(on("two"), first);
    // Where the system does not say, the folder decides.
    secrets::replace(&folder.path().join(NODE_ID_FILE), &format!("{first}\n")).unwrap();
    assert_eq!(on(""), first);
}
