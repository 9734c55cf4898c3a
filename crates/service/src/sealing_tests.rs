//! What sealing must hold: it opens where it was sealed and nowhere else.

use portcullis_domain::Random;

use super::{MAX_SEALED_PLAIN_BYTES, SealingError, SealingKey};

/// Counts up, so that two nonces differ.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

fn key(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&[byte; 32]).unwrap()
}

#[test]
fn a_sealed_value_opens_with_the_same_key_and_place() {
    let sealed = key(1).seal(&mut Counting(0), "connection.client_secret/con_1", b"hunter2").unwrap();
    assert!(sealed.starts_with("v1."), "{sealed}");
    assert!(!sealed.contains("hunter2"));
    assert_eq!(*key(1).open("connection.client_secret/con_1", &sealed).unwrap(), b"hunter2");
}

#[test]
fn a_sealed_value_moved_to_another_row_does_not_open() {
    let sealed = key(1).seal(&mut Counting(0), "connection/con_1", b"hunter2").unwrap();
    assert_eq!(key(1).open("connection/con_2", &sealed).unwrap_err(), SealingError::NotOpened);
}

#[test]
fn another_key_does_not_open_and_shows_another_fingerprint() {
    let sealed = key(1).seal(&mut Counting(0), "a", b"hunter2").unwrap();
    assert_eq!(key(2).open("a", &sealed).unwrap_err(), SealingError::NotOpened);
    assert_ne!(key(1).fingerprint(), key(2).fingerprint());
    assert_eq!(key(1).fingerprint(), key(1).fingerprint());
    assert_eq!(key(1).fingerprint().len(), 16);
}

#[test]
fn every_changed_character_is_found() {
    let sealed = key(1).seal(&mut Counting(0), "a", b"hunter2").unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(key(1).open("a", &changed).is_err(), "changed at {at}");
    }
}

#[test]
fn the_same_value_sealed_twice_looks_different() {
    let mut random = Counting(0);
    let first = key(1).seal(&mut random, "a", b"hunter2").unwrap();
    let second = key(1).seal(&mut random, "a", b"hunter2").unwrap();
    assert_ne!(first, second);
}

#[test]
fn what_is_not_a_sealed_value_is_malformed() {
    for text in ["", "v1.", "v1.AAAA", "v2.AAAAAAAAAAAAAAAAAAAAAAAA", "v1.****", "hunter2"] {
        assert_eq!(key(1).open("a", text).unwrap_err(), SealingError::Malformed, "{text}");
    }
}

#[test]
fn the_longest_value_is_sealed_and_one_byte_more_is_refused() {
    let longest = vec![7; MAX_SEALED_PLAIN_BYTES];
    let sealed = key(1).seal(&mut Counting(0), "a", &longest).unwrap();
    assert_eq!(*key(1).open("a", &sealed).unwrap(), longest);
    let longer = vec![7; MAX_SEALED_PLAIN_BYTES + 1];
    assert_eq!(
        key(1).seal(&mut Counting(0), "a", &longer).unwrap_err(),
        SealingError::TooLong(MAX_SEALED_PLAIN_BYTES + 1)
    );
}

#[test]
fn a_key_of_another_length_is_refused() {
    for length in [0, 16, 31, 33] {
        assert_eq!(SealingKey::from_bytes(&vec![0; length]).err(), Some(SealingError::KeyLength(length)));
    }
}

#[test]
fn a_value_under_a_key_of_its_own_opens_at_its_place_only_and_is_no_secret_of_the_database() {
    let mut random = Counting(0);
    let sealed = key(1).seal_apart(&mut random, "cursor/1", b"position").unwrap();
    assert_eq!(*key(1).open_apart("cursor/1", &sealed).unwrap(), b"position");
    assert_eq!(key(1).open_apart("cursor/2", &sealed).unwrap_err(), SealingError::NotOpened);
    assert_eq!(key(2).open_apart("cursor/1", &sealed).unwrap_err(), SealingError::NotOpened);
    assert_ne!(key(1).seal_apart(&mut random, "cursor/1", b"position").unwrap(), sealed);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(key(1).open_apart("cursor/1", &changed).is_err(), "changed at {at}");
    }

    let secret = key(1).seal(&mut random, "cursor/1", b"position").unwrap();
    assert_eq!(key(1).open_apart("cursor/1", &secret).unwrap_err(), SealingError::Malformed);
    assert_eq!(key(1).open("cursor/1", &sealed).unwrap_err(), SealingError::Malformed);
    let renamed = sealed.replacen("a1.", "v1.", 1);
    assert_eq!(key(1).open("cursor/1", &renamed).unwrap_err(), SealingError::NotOpened);
    for text in ["", "a1.", "a1.AAAA", "a1.****"] {
        assert_eq!(key(1).open_apart("a", text).unwrap_err(), SealingError::Malformed, "{text}");
    }
    let longer = vec![7; MAX_SEALED_PLAIN_BYTES + 1];
    assert!(key(1).seal_apart(&mut random, "a", &longer).is_err());
}
