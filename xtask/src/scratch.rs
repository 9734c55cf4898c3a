//! Folders for what need not outlive a run: in memory where there is room, and gone with whoever made them.
//!
//! Each test makes a database of its own and throws it away. On a disk most of the time of that is the file system's, which
//! takes down who is to be found where after a power cut; nobody will look for a test's database then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Invocation;

/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";
/// What must be free there, and of memory, in KiB: databases of a run need a tenth of it, but for those that load on purpose,
/// and whatever else runs beside must not be killed for it.
const MIN_FREE_KIB: u64 = 4 * 1024 * 1024;

/// The folder for files in memory, if this machine has room for them.
pub(crate) fn in_memory() -> Option<&'static Path> {
    let df = Invocation::new("df", &["--output=avail", "-k", IN_MEMORY]).read(Duration::from_secs(5)).ok()?;
    let free = df.lines().last()?.trim().parse::<u64>().ok()?;
    let available = available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    (free.min(available) >= MIN_FREE_KIB).then_some(Path::new(IN_MEMORY))
}

/// `MemAvailable` of `/proc/meminfo`, in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Makes a folder below that one, named after this process. Those of processes that are gone are removed.
pub(crate) fn make(parent: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(prefix) else { continue };
        if !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(format!("{prefix}{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("could not make `{}`", folder.display()))?;
    Ok(folder)
}

/// A folder for the temporary files of tests, removed when it is dropped.
pub(crate) struct TestFiles(PathBuf);

impl TestFiles {
    /// In memory; none where there is no room, and then they lie where the system has its temporary files.
    pub(crate) fn in_memory() -> Option<Self> {
        make(in_memory()?, "portcullis-tests-").ok().map(Self)
    }

    /// What has tests use it.
    pub(crate) fn environment(&self) -> (String, String) {
        ("TMPDIR".to_owned(), self.0.to_string_lossy().into_owned())
    }
}

impl Drop for TestFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{available, make};

    #[test]
    fn what_is_available_is_read_and_nothing_is_taken_for_room() {
        let meminfo =
            "MemTotal:       24683712 kB\nMemFree:        1 kB\nMemAvailable:   23821012 kB\nBuffers: 2 kB\n";
        assert_eq!(available(meminfo), Some(23_821_012));
        for unknown in ["", "MemFree: 5 kB\n", "MemAvailable: much\n"] {
            assert_eq!(available(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_folder_is_this_processes_and_those_of_processes_that_are_gone_go() {
        let parent = std::env::temp_dir().join(format!("portcullis-scratch-{}", std::process::id()));
        // No process has that number: it is above what Linux gives.
        let (gone, other) = (parent.join("a-4294967295"), parent.join("b-4294967295"));
        for folder in [&gone, &other] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let own = make(&parent, "a-").unwrap();
        assert!(own.is_dir() && !gone.exists() && other.is_dir());
        assert_eq!(make(&parent, "a-").unwrap(), own, "and it stays while its process lives");
        std::fs::remove_dir_all(&parent).unwrap();
    }
}
