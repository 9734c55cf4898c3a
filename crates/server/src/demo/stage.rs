//! The process under show and the folder that it works in.
//!
//! Here so that both are gone when the demo ends, however it ends: dropping the stage kills the child and removes the
//! folder.

use std::fs::{DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use portcullis_domain::Random;
use tokio::sync::oneshot;

use crate::say::complain;
use crate::secrets;

/// How long the child may take until it says where it listens.
const MAX_START: Duration = Duration::from_secs(20);
/// How many of the child's last log lines an error repeats.
const MAX_LOG_LINES: usize = 12;
/// What precedes the address in the first line that `serve` prints.
const READY: &str = " is ready at ";

/// A running `portcullis serve` of this same binary.
pub(super) struct Stage {
    child: Child,
    program: PathBuf,
    folder: Folder,
    /// Its address, without a slash at the end.
    pub(super) base: String,
    /// Its root token.
    pub(super) root: String,
}

/// A private folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Stage {
    /// Starts `serve` on a free port of 127.0.0.1 and waits until it says where.
    ///
    /// # Errors
    /// If there is no place for the folder, or the child ends instead of listening; with its last words.
    pub(super) async fn start(random: &mut impl Random) -> Result<Self> {
        let program = std::env::current_exe().context("the path of this binary")?;
        let folder = Folder::make(random)?;
        let root = secrets::new_root_token(random);
        let log = folder.0.join("serve.log");
        let mut command = within(&program, &folder.0);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--allow-private-networks", "--data"])
            .arg(folder.0.join("data"))
            .env("PORTCULLIS_ROOT_TOKEN", &root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("`{}`", log.display()))?);
        let child = command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?;
        let mut stage = Self { child, program, folder, base: String::new(), root };
        stage.base = stage.address(&log).await?;
        Ok(stage)
    }

    /// The folder, for files of the demo's own.
    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Runs this binary with other words, beside the child.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn command(&self, build: impl FnOnce(&mut Command)) -> Result<Output> {
        let mut command = within(&self.program, &self.folder.0);
        build(&mut command);
        // A subcommand takes milliseconds; the runtime's other threads go on meanwhile.
        tokio::task::block_in_place(|| command.output())
            .with_context(|| format!("cannot start `{}`", self.program.display()))
    }

    /// Ends the child at once, as a failing machine would.
    ///
    /// # Errors
    /// The system's words.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("the child process")?;
        self.child.wait().context("the child process")?;
        Ok(())
    }

    async fn address(&mut self, log: &Path) -> Result<String> {
        let output = self.child.stdout.take().context("the child's output")?;
        let (sender, said) = oneshot::channel();
        // Reads on until the child ends, so that it never writes into a closed pipe.
        std::thread::spawn(move || {
            let mut sender = Some(sender);
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let address = line.split_once(READY).and_then(|(_, rest)| rest.split(' ').next());
                if let (Some(address), Some(sender)) = (address, sender.take_if(|_| line.contains(READY))) {
                    // Nobody waits any more if the demo was interrupted.
                    let _ = sender.send(address.to_owned());
                }
            }
        });
        match tokio::time::timeout(MAX_START, said).await {
            Ok(Ok(address)) => Ok(address),
            Ok(Err(_)) => {
                let status = self.child.wait().context("the child process")?;
                Err(anyhow!("`portcullis serve` ended ({status}) before it was ready:\n{}", last_lines(log)))
            }
            Err(_) => bail!(
                "`portcullis serve` was not ready after {} s:\n{}",
                MAX_START.as_secs(),
                last_lines(log)
            ),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to be done about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Folder {
    fn make(random: &mut impl Random) -> Result<Self> {
        let mut name = [0; 8];
        random.fill(&mut name);
        let parent = std::env::temp_dir();
        let path = parent.join(format!("portcullis-demo-{}", hex::encode(name)));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| {
            format!(
                "cannot make a temporary folder in `{}`; set TMPDIR to a folder that can be written",
                parent.display()
            )
        })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            complain!("portcullis: the folder `{}` stays: {error}", self.0.display());
        }
    }
}

/// This binary in that folder, without what the caller's environment or folder would configure.
fn within(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PORTCULLIS_") {
            command.env_remove(name);
        }
    }
    command
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(MAX_LOG_LINES)..).unwrap_or_default().join("\n")
}
