//! What a start does with the mark where nothing can be written.

use std::sync::Arc;

use portcullis_store::{Options, Store, StoreError, instance};

use super::{MARK_FILE, Mark, MarkError, check, find, put};
use crate::clock::SystemClock;
use crate::random::SystemRandom;

#[test]
fn a_start_that_finds_no_room_goes_on_by_the_mark_that_is_there_and_not_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let options = Options::Sqlite { path: data.join("portcullis.sqlite") };
    let store = Store::open(&options, Arc::new(SystemClock)).unwrap();
    let revision = store
        .write_blocking(|tx| -> Result<i64, StoreError> {
            instance::put(tx, instance::TIMELINE, "this")?;
            instance::raise_revision(tx, 7)?;
            instance::revision(tx)
        })
        .unwrap();
    let mark = |revision| Mark { timeline: "this".to_owned(), revision };
    for marked in [mark(revision), mark(revision - 1)] {
        put(data, &marked).unwrap();
        // Where the next mark would be written lies what cannot be removed, as it is without room.
        std::fs::create_dir(data.join("revision-mark.new")).unwrap();
        assert_eq!(check(data, &store, &mut SystemRandom).unwrap(), None);
        assert_eq!(find(data).unwrap(), Some(marked), "what is there refuses as much as before");
        std::fs::remove_dir(data.join("revision-mark.new")).unwrap();
    }
    assert_eq!(check(data, &store, &mut SystemRandom).unwrap(), None);
    assert_eq!(find(data).unwrap(), Some(mark(revision)), "with room it is brought up to date");

    std::fs::create_dir(data.join("revision-mark.new")).unwrap();
    put_by_hand(data, &mark(revision + 1));
    assert!(matches!(check(data, &store, &mut SystemRandom), Err(MarkError::Older { .. })));
    std::fs::remove_file(data.join(MARK_FILE)).unwrap();
    let refused = check(data, &store, &mut SystemRandom);
    assert!(matches!(refused, Err(MarkError::File(_))), "nothing would tell an older file: {refused:?}");
}

fn put_by_hand(data: &std::path::Path, mark: &Mark) {
    std::fs::write(data.join(MARK_FILE), format!("{} {}\n", mark.timeline, mark.revision)).unwrap();
}
