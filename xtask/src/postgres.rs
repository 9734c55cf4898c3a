//! One throw-away PostgreSQL cluster for one test run.
//!
//! PostgreSQL refuses to run as root, CI runs as root, and a developer does not: the cluster belongs to the user
//! `postgres` in the first case and to the developer in the second. It listens on a free loopback port only, keeps no
//! password, and is gone with its files when the value is dropped, or when this process dies.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::Invocation;
use crate::scratch;
use crate::workspace::Workspace;

/// Names the cluster as `postgres://…`. Tests make databases of their own in it.
pub(crate) const URL: &str = "PORTCULLIS_TEST_POSTGRES";
/// Names the folder with `initdb`, `postgres` and `pg_ctl`, for tests that need a cluster of their own.
pub(crate) const BINARIES: &str = "PORTCULLIS_TEST_POSTGRES_BIN";

/// The major version that the product names as its least, preferred where several are installed.
const PREFERRED_MAJOR: u32 = 15;
/// How long `initdb` may take on a busy machine.
const MAX_INITDB: Duration = Duration::from_secs(120);
/// How long a new cluster may take until it answers.
const MAX_START: Duration = Duration::from_secs(60);
/// How long a cluster may take to stop before it is killed.
const MAX_STOP: Duration = Duration::from_secs(10);
/// How often a port that somebody else took in between is replaced by another.
const MAX_PORT_TRIES: u32 = 5;
/// Every test has a database and a pool of its own, and tests run side by side.
const MAX_CONNECTIONS: u32 = 300;
/// The user who owns the cluster when root starts it; Debian's package makes it.
const OWNER: &str = "postgres";

/// How a cluster's folder is named; the number of the process that made it follows.
const FOLDER_PREFIX: &str = "portcullis-postgres-";

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It does not: several times faster, and enough for tests that do not cut the power.
    Unsynced,
    /// It does, for figures and for tests of durability.
    Synced,
}

/// A running cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    server: Child,
    folder: PathBuf,
    binaries: PathBuf,
    port: u16,
}

/// Whom the cluster's processes run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunAs {
    Myself,
    Owner,
}

impl Cluster {
    /// Makes and starts a cluster and waits until it answers.
    pub(crate) fn start(workspace: &Workspace, durability: Durability) -> Result<Self> {
        let binaries = find_binaries()?;
        let run_as = if is_root()? { RunAs::Owner } else { RunAs::Myself };
        let folder = make_folder(workspace, run_as, durability)?;
        initialise(&binaries, &folder, run_as)?;
        for _ in 0..MAX_PORT_TRIES {
            let port = free_port()?;
            let server = spawn(&binaries, &folder, port, durability, run_as)?;
            let mut cluster = Self { server, folder: folder.clone(), binaries: binaries.clone(), port };
            if cluster.answers()? {
                println!("PostgreSQL from {} answers on port {port}", binaries.display());
                return Ok(cluster);
            }
            // The files are wanted for the next try: only the process goes.
            cluster.folder = PathBuf::new();
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        let _ = std::fs::remove_dir_all(&folder);
        bail!("PostgreSQL did not start; its log says:\n{log}")
    }

    /// What the tests need to know about the cluster.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        let url = format!("postgres://{OWNER}@127.0.0.1:{}/postgres", self.port);
        [(URL.to_owned(), url), (BINARIES.to_owned(), self.binaries.to_string_lossy().into_owned())]
    }

    /// Waits until the cluster answers; false if the server ended, as it does when its port is taken.
    fn answers(&mut self) -> Result<bool> {
        let began_at = Instant::now();
        let port = self.port.to_string();
        let ready = Invocation::new(
            self.binaries.join("pg_isready"),
            &["--quiet", "--host=127.0.0.1", "--username", OWNER, "--port", &port],
        );
        while began_at.elapsed() < MAX_START {
            if self.server.try_wait().context("could not watch PostgreSQL")?.is_some() {
                return Ok(false);
            }
            if ready.read(Duration::from_secs(5)).is_ok() {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL did not answer within {} s", MAX_START.as_secs())
    }

    /// Asks for PostgreSQL's fast shutdown, which frees its shared memory, and kills it only if it does not obey.
    fn stop(&mut self) {
        let interrupt = format!("kill -INT {}", self.server.id());
        let _ = Invocation::new("sh", &["-c", &interrupt]).succeeds();
        let began_at = Instant::now();
        while began_at.elapsed() < MAX_STOP {
            if matches!(self.server.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// What this process was told about a cluster that somebody else has started.
pub(crate) fn named() -> Vec<(String, String)> {
    [URL, BINARIES]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// Finds the folder with the server's programs: what the environment names, else Debian's, else what is in `PATH`.
pub(crate) fn find_binaries() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BINARIES) {
        let named = PathBuf::from(named);
        if named.join("initdb").exists() {
            return Ok(named);
        }
        bail!("`{BINARIES}` names `{}`, where there is no `initdb`", named.display());
    }
    let mut found: Vec<(bool, u32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let binaries = entry.path().join("bin");
        let major = entry.file_name().to_string_lossy().parse::<u32>();
        if let (Ok(major), true) = (major, binaries.join("initdb").exists()) {
            found.push((major == PREFERRED_MAJOR, major, binaries));
        }
    }
    found.sort();
    if let Some((_, _, binaries)) = found.pop() {
        return Ok(binaries);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
        .context("PostgreSQL's `initdb` is nowhere; `cargo xtask setup` installs it")
}

/// True if this process is root.
pub(crate) fn is_root() -> Result<bool> {
    Ok(Invocation::new("id", &["-u"]).read(Duration::from_secs(5))?.trim() == "0")
}

/// Makes the cluster's folder: in memory if nothing waits for the disk and there is room, else in the build folder if its owner
/// can reach that, else in the system's temporary folder.
fn make_folder(workspace: &Workspace, run_as: RunAs, durability: Durability) -> Result<PathBuf> {
    std::fs::create_dir_all(&workspace.target).context("could not make the build folder")?;
    let reachable = match run_as {
        RunAs::Myself => true,
        RunAs::Owner => as_owner("test", &["-x"]).and([path_text(&workspace.target)]).succeeds(),
    };
    let on_disk = if reachable { workspace.target.clone() } else { std::env::temp_dir() };
    let in_memory = if durability == Durability::Unsynced { scratch::in_memory() } else { None };
    let folder = scratch::make(in_memory.unwrap_or(&on_disk), FOLDER_PREFIX)?;
    if run_as == RunAs::Owner {
        Invocation::new("chown", &[OWNER]).and([path_text(&folder)]).read(Duration::from_secs(5))?;
    }
    Ok(folder)
}

fn initialise(binaries: &Path, folder: &Path, run_as: RunAs) -> Result<()> {
    let data = format!("--pgdata={}", path_text(&folder.join("data")));
    let username = format!("--username={OWNER}");
    let arguments = [
        data.as_str(),
        &username,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
    ];
    let initdb = path_text(&binaries.join("initdb"));
    let invocation = match run_as {
        RunAs::Myself => Invocation::new(&initdb, &arguments),
        RunAs::Owner => as_owner(&initdb, &arguments),
    };
    invocation.within(folder).read(MAX_INITDB).context("could not make a PostgreSQL cluster")?;
    Ok(())
}

/// Starts the server itself, not `pg_ctl`: it is this process's child, and `setpriv` lets it die with its parent.
fn spawn(binaries: &Path, folder: &Path, port: u16, durability: Durability, run_as: RunAs) -> Result<Child> {
    let log = std::fs::File::create(folder.join("log")).context("could not make PostgreSQL's log")?;
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=INT");
    if run_as == RunAs::Owner {
        command.args([&format!("--reuid={OWNER}"), &format!("--regid={OWNER}"), "--clear-groups"]);
    }
    command.arg(binaries.join("postgres")).arg("-D").arg(folder.join("data"));
    for setting in settings(folder, port, durability) {
        command.arg("-c").arg(setting);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().context("could not start PostgreSQL")
}

fn settings(folder: &Path, port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", path_text(folder)),
        format!("max_connections={MAX_CONNECTIONS}"),
        "shared_buffers=128MB".to_owned(),
        "timezone=UTC".to_owned(),
        "log_min_messages=warning".to_owned(),
    ];
    if durability == Durability::Unsynced {
        settings.push("fsync=off".to_owned());
        settings.push("full_page_writes=off".to_owned());
        // What was written is not needed for long, and may lie in memory.
        settings.push("max_wal_size=256MB".to_owned());
    }
    settings
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no loopback port is free")?;
    Ok(listener.local_addr()?.port())
}

fn as_owner(program: &str, arguments: &[&str]) -> Invocation {
    let words = ["--user", OWNER, "--", program];
    Invocation::new("runuser", &words).and(arguments.iter().map(|&argument| argument.to_owned()))
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
