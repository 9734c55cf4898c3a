//! What is said of the machine: each judgement takes what was measured and gives a finding, or none.
//!
//! Measuring is apart, because a test can give any measurement, and no test can make a disk full or a clock wrong.

use std::path::Path;

use portcullis_domain::Timestamp;

use super::Finding;
use super::code::Code;

/// Free bytes below which writing may stop soon.
pub(super) const MIN_FREE_BYTES: u64 = 512 * 1024 * 1024;
/// File systems on which SQLite's locks do not hold: NFS, CIFS, SMB2, 9P, Ceph, FUSE (as `statfs(2)` numbers them).
pub(super) const NETWORK_FILE_SYSTEMS: [i64; 6] =
    [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x00C3_6400, 0x6573_5546];
/// Seconds that this machine's clock may be apart from the database's. A lease, which goes by the database's, runs ten.
pub(super) const MAX_APART_S: i64 = 5;

/// Where the database is, as far as the file system matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// In a file there.
    Here,
    /// By a server, or in a file on another disk.
    Elsewhere,
}

/// Whose the data folder is, and who asks, as user ids.
pub(super) fn owner(folder: &Path, owner: u32, own: u32) -> Option<Finding> {
    (owner != own).then(|| {
        let folder = folder.display();
        Finding::warning(
            Code::DataFolderOwner,
            format!("the data folder `{folder}` belongs to user {owner}, and you are user {own}"),
            "run this as the user who serves",
        )
    })
}

/// How many bytes are free where that folder is.
pub(super) fn space(folder: &Path, free_bytes: u64) -> Option<Finding> {
    (free_bytes < MIN_FREE_BYTES).then(|| {
        Finding::error(
            Code::DiskSpace,
            format!("{} MiB are free at `{}`", free_bytes / (1024 * 1024), folder.display()),
            "make room: without it every write is refused, off-boardings too",
        )
    })
}

/// Which file system that folder is on.
pub(super) fn file_system(folder: &Path, kind: i64, kept: Kept) -> Option<Finding> {
    (kept == Kept::Here && NETWORK_FILE_SYSTEMS.contains(&kind)).then(|| {
        let folder = folder.display();
        Finding::error(
            Code::NetworkFileSystem,
            format!("`{folder}` is on a network file system, whose locks SQLite cannot rely on"),
            "move the database to a local disk, or use PostgreSQL",
        )
    })
}

/// What PostgreSQL says of `fsync` or `synchronous_commit`.
pub(super) fn durability(name: &str, value: &str) -> Option<Finding> {
    (value == "off").then(|| {
        Finding::warning(
            Code::PostgresDurability,
            format!("PostgreSQL has `{name} = {value}`: an answered off-boarding may be lost in a crash"),
            format!("set `{name} = on`"),
        )
    })
}

/// What two clocks say, asked one after the other.
pub(super) fn clocks(here: Timestamp, database: Timestamp) -> Option<Finding> {
    let apart_s = here.seconds() - database.seconds();
    (apart_s.abs() > MAX_APART_S).then(|| {
        let relation = if apart_s > 0 { "ahead of" } else { "behind" };
        Finding::error(
            Code::ClockDiffers,
            format!("this machine's clock is {} s {relation} PostgreSQL's", apart_s.abs()),
            "set both clocks (NTP): expiry goes by this one, the lease of the database by the other",
        )
    })
}
