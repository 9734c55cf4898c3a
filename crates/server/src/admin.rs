//! What only whoever has the machine may do, also while `serve` runs: over a socket in the data folder (0600).
//!
//! One line asks, one line answers. Whoever can open the socket can read the database's file too, so nothing is proven
//! beyond that. Without a server the same is done on the database itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use portcullis_domain::Clock as _;
use portcullis_domain::secret::SecretHash;
use portcullis_service::{Moment, first_owner};
use portcullis_store::Store;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use url::Url;

use crate::clock::SystemClock;
use crate::data_dir::{self, DataDirError};
use crate::random::SystemRandom;
use crate::root_token::By;
use crate::say::say;
use crate::secrets::{self, OWNER_LINK_FILE, ROOT_TOKEN_FILE};
use crate::settings::Settings;
use crate::{database, root_token};

/// The socket's name in the data folder.
pub const SOCKET_FILE: &str = "control";
/// The longest path that the system takes for a socket, in bytes (`sun_path` of `unix(7)`, which ends with a zero).
const MAX_SOCKET_PATH: usize = 107;
/// The longest line that is read: an order is a word.
const MAX_LINE_BYTES: u64 = 4096;
/// How long to wait after the system could not give another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long either side waits for the other's line.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new first-owner link; only while there is no owner.
    FirstOwnerLink,
    /// The root token is refused from now on.
    RootTokenOff,
    /// Another root token, instead of the one before.
    RootTokenNew,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// Done; what to tell the person.
    Done(String),
    /// Not done, and why.
    Refused(String),
}

/// What orders are carried out on.
#[derive(Debug, Clone)]
pub struct Place {
    data: PathBuf,
    public_url: Url,
    /// Data folder and database, in the words that a person is told.
    named: String,
}

impl Place {
    /// The place in these settings; under that URL it is reached.
    #[must_use]
    pub fn of(settings: &Settings, public_url: Url) -> Self {
        Self { data: settings.data.clone(), public_url, named: database::place(settings) }
    }
}

/// Carries an order out on the database; what to tell the person, and where it was done: whoever is in another folder
/// than they think sees it.
fn carry_out(order: Order, store: &Store, place: &Place) -> Result<String> {
    let told = done(order, store, place)?;
    Ok(format!("{told}\n({})", place.named))
}

fn done(order: Order, store: &Store, Place { data, public_url, .. }: &Place) -> Result<String> {
    let file = data.join(ROOT_TOKEN_FILE);
    match order {
        Order::FirstOwnerLink => {
            let issued = store.write_blocking(|tx| {
                let mut moment = Moment::new(SystemClock.now(), Box::new(SystemRandom));
                first_owner::issue_link(tx, &mut moment)
            })?;
            let Some(secret) = issued else {
                bail!("somebody owns an organization here; an owner invites further people");
            };
            secrets::remove(&data.join(OWNER_LINK_FILE))?;
            let link = first_owner::text_under(public_url, &secret);
            Ok(format!("{link}\ngood for one hour, and only once; the link before is good no more"))
        }
        Order::RootTokenOff => {
            store.write_blocking(|tx| root_token::replace(tx, None, By::Order))?;
            secrets::remove(&file)?;
            Ok("the root token is off, also where a configuration still has it; `portcullis admin root-token new` makes \
                another"
                .to_owned())
        }
        Order::RootTokenNew => {
            let token = secrets::new_root_token(&mut SystemRandom);
            // The token that is good stays in its file until another one is; a start after an end in between finds this one.
            let written = secrets::prepare(&file, &format!("{token}\n"))?;
            let hash = SecretHash::of(&token);
            store.write_blocking(move |tx| root_token::replace(tx, Some(&hash), By::Order))?;
            written.place()?;
            Ok(format!(
                "a new root token is in {} (0600); the one before is refused from now on, also where a configuration still \
                 has it",
                file.display()
            ))
        }
    }
}

/// Carries an order out: by the server that runs, else on the database itself. Prints what came of it.
///
/// # Errors
/// What was refused, or why nobody answered.
pub fn order(settings: &Settings, order: Order) -> Result<()> {
    // Before anything is made: a folder that is not the one would get a lock, and a token that is good for nothing.
    if !settings.data.is_dir() {
        bail!("there is no data folder at `{}`; name it with `--data`", settings.data.display());
    }
    if !settings.data.join(SOCKET_FILE).exists() {
        database::must_be_there(settings)?;
    }
    let told = match data_dir::lock(&settings.data, settings.database.file()) {
        Ok(_locked) => {
            let store = database::open_existing(settings)?;
            carry_out(order, &store, &Place::of(settings, settings.public_url_for(settings.listen)))?
        }
        Err(DataDirError::Held(_)) => ask(&settings.data, order)?,
        Err(error) => return Err(error.into()),
    };
    say!("{told}");
    Ok(())
}

fn ask(data: &Path, order: Order) -> Result<String> {
    let socket = data.join(SOCKET_FILE);
    let mut stream = UnixStream::connect(&socket).with_context(|| {
        format!("somebody holds `{}` and does not answer at `{}`", data.display(), socket.display())
    })?;
    stream.set_read_timeout(Some(MAX_WAIT))?;
    stream.set_write_timeout(Some(MAX_WAIT))?;
    writeln!(stream, "{}", serde_json::to_string(&order)?)?;
    let mut line = String::new();
    let bounded = std::io::Read::take(stream, MAX_LINE_BYTES);
    BufReader::new(bounded).read_line(&mut line).context("the server did not answer")?;
    match serde_json::from_str(&line).context("the server's answer is not understood")? {
        Answer::Done(told) => Ok(told),
        Answer::Refused(why) => bail!(why),
    }
}

/// Where orders come in while a server runs; the socket goes with it.
pub struct Door {
    listener: UnixListener,
    socket: PathBuf,
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = secrets::remove(&self.socket) {
            tracing::warn!(error.message = %error, "the control socket stays behind");
        }
    }
}

impl Door {
    /// Refuses a data folder in which no socket can be made, because its path is too long for one.
    ///
    /// # Errors
    /// If it is.
    pub fn must_fit(data: &Path) -> Result<()> {
        let socket = data.join(SOCKET_FILE);
        std::os::unix::net::SocketAddr::from_pathname(&socket).map(drop).map_err(|_| {
            anyhow!(
                "the path of the data folder `{}` is too long: the socket for orders, `{}`, may have {MAX_SOCKET_PATH} bytes, \
                 and has {}",
                data.display(),
                socket.display(),
                socket.as_os_str().len()
            )
        })
    }

    /// Opens the door in that data folder, which this process holds.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn open(data: &Path) -> Result<Self> {
        Self::must_fit(data)?;
        let socket = data.join(SOCKET_FILE);
        // Whoever made it is gone: the folder's lock is ours.
        secrets::remove(&socket)?;
        let listener =
            UnixListener::bind(&socket).with_context(|| format!("the socket `{}`", socket.display()))?;
        data_dir::make_private(&socket)?;
        Ok(Self { listener, socket })
    }

    /// Takes orders one after the other, for as long as the server runs.
    pub async fn run(self, store: Arc<Store>, place: Place) {
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // It passes: file descriptors come back, and this is the door that has to open when nothing else does.
                    tracing::warn!(error.message = %error, "no order was taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let serving = serve_one(stream, &store, &place);
            match tokio::time::timeout(MAX_WAIT, serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error.message = %error, "an order was not answered"),
                Err(_) => tracing::warn!("an order took too long"),
            }
        }
    }
}

async fn serve_one(stream: tokio::net::UnixStream, store: &Arc<Store>, place: &Place) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let order: Order = serde_json::from_str(&line).context("an order that is not known")?;
    let (store, place) = (Arc::clone(store), place.clone());
    let done = tokio::task::spawn_blocking(move || carry_out(order, &store, &place)).await?;
    let answer = match done {
        Ok(told) => {
            tracing::info!(order = ?order, "carried out an order from this machine");
            Answer::Done(told)
        }
        Err(error) => Answer::Refused(format!("{error:#}")),
    };
    writer.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes()).await?;
    writer.shutdown().await?;
    Ok(())
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
