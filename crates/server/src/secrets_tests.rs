//! The files with secrets: private from their first byte, refused when others can read them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{IfMissing, SecretFileError, make_empty, new_root_token, read, remove, replace, sealing_key};
use crate::data_dir::{DataDirError, lock, make};
use crate::random::SystemRandom;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_sealing_key_is_made_once_private_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    let made = sealing_key(&path, IfMissing::Make, &mut SystemRandom).ok().unwrap();
    assert_eq!(mode(&path), 0o600);
    let again = sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).ok().unwrap();
    assert_eq!(made.fingerprint(), again.fingerprint());
    let sealed = made.seal(&mut SystemRandom, "here", b"secret").unwrap();
    assert_eq!(*again.open("here", &sealed).unwrap(), b"secret");
}

#[test]
fn a_sealing_key_that_is_missing_is_not_made_for_a_database_that_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    let refused = sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).err();
    assert!(matches!(refused, Some(SecretFileError::Missing(_))));
    assert!(!path.exists());
}

#[test]
fn a_sealing_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    sealing_key(&path, IfMissing::Make, &mut SystemRandom).ok().unwrap();
    for open in [0o640, 0o604, 0o644, 0o660] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(open)).unwrap();
        let refused = sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).err();
        assert!(matches!(refused, Some(SecretFileError::File(DataDirError::Open { .. }))), "{open:o}");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    assert!(sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).is_ok());
}

#[test]
fn a_sealing_key_of_another_form_is_refused_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    for text in ["not base64!", "c2hvcnQ"] {
        replace(&path, text).unwrap();
        assert!(sealing_key(&path, IfMissing::Make, &mut SystemRandom).is_err(), "`{text}`");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    replace(&path, "").unwrap();
    assert!(sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn an_empty_file_is_no_key_and_a_new_database_gets_one_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    for left_behind in ["", "\n"] {
        replace(&path, left_behind).unwrap();
        let made = sealing_key(&path, IfMissing::Make, &mut SystemRandom).ok().unwrap();
        let again = sealing_key(&path, IfMissing::Refuse, &mut SystemRandom).ok().unwrap();
        assert_eq!((made.fingerprint(), mode(&path)), (again.fingerprint(), 0o600));
    }
}

#[test]
fn a_file_that_cannot_be_written_whole_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (path, fresh) = (folder.path().join("root-token"), folder.path().join("root-token.new"));
    replace(&path, "one\n").unwrap();
    // What was left by a process that was killed is in nobody's way.
    std::fs::write(&fresh, "ha").unwrap();
    replace(&path, "two\n").unwrap();
    assert!(!fresh.exists());
    std::fs::create_dir(&fresh).unwrap();
    assert!(replace(&path, "three\n").is_err());
    assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
}

#[test]
fn a_new_file_does_not_follow_what_lies_there_and_a_replaced_one_is_private_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root-token");
    replace(&path, "one\n").unwrap();
    assert!(make_empty(&path).is_err());
    assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    replace(&path, "three\n").unwrap();
    assert_eq!((mode(&path), read(&path).unwrap().as_deref()), (0o600, Some("three")));
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert_eq!(read(&path).unwrap(), None);
}

#[test]
fn root_tokens_differ_and_are_long() {
    let (one, other) = (new_root_token(&mut SystemRandom), new_root_token(&mut SystemRandom));
    assert_ne!(one, other);
    // 32 bytes in base64url without padding.
    assert_eq!(one.strip_prefix("pc_root_").map(str::len), Some(43));
}

#[test]
fn a_data_folder_is_made_private_and_held_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep").join("data");
    let locked = lock(&data, None).unwrap();
    assert_eq!(mode(&data), 0o700);
    assert!(matches!(lock(&data, None), Err(DataDirError::Held(_))));
    drop(locked);
    assert!(lock(&data, None).is_ok());
}

#[test]
fn a_file_or_folder_that_cannot_be_used_is_named_once_with_why_once() {
    let folder = tempfile::tempdir().unwrap();
    let within_a_file = folder.path().join("file").join("data");
    replace(&folder.path().join("file"), "").unwrap();
    let nowhere = folder.path().join("nowhere").join("x.backup");
    let told = [
        (&nowhere, format!("{:#}", anyhow::Error::from(replace(&nowhere, "").unwrap_err()))),
        (&within_a_file, format!("{:#}", anyhow::Error::from(make(&within_a_file).unwrap_err()))),
    ];
    for (path, said) in told {
        assert_eq!(said.matches(path.to_str().unwrap()).count(), 1, "{said}");
        assert_eq!(said.matches("os error").count(), 1, "{said}");
    }
    replace(&folder.path().join("key"), "c2hvcnQ").unwrap();
    let key = sealing_key(&folder.path().join("key"), IfMissing::Refuse, &mut SystemRandom).err().unwrap();
    let (alone, whole) = (key.to_string(), format!("{:#}", anyhow::Error::from(key)));
    assert_eq!(alone, whole, "nothing of it is said twice");
}
