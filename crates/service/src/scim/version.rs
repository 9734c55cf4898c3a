//! Versions of resources (RFC 7644 section 3.14): weak entity tags, made from what is known without reading more.

use portcullis_domain::Timestamp;

/// The start of a 64-bit FNV-1a hash. It tells versions apart and protects nothing.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// A version under construction.
pub(super) struct VersionTag {
    changed_at: Timestamp,
    hash: Option<u64>,
}

impl VersionTag {
    /// The version of what was last changed then.
    pub(super) const fn since(changed_at: Timestamp) -> Self {
        Self { changed_at, hash: None }
    }

    /// Adds something that belongs to the resource and changes apart from it.
    pub(super) fn add(&mut self, part: &str) {
        let mut hash = self.hash.unwrap_or(FNV_OFFSET);
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        self.hash = Some(hash);
    }

    /// The entity tag.
    pub(super) fn into_text(self) -> String {
        let changed_at = self.changed_at.micros();
        match self.hash {
            None => format!("W/\"{changed_at:x}\""),
            Some(hash) => format!("W/\"{changed_at:x}-{hash:x}\""),
        }
    }
}
