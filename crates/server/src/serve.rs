//! `portcullis serve`: from settings to a server that answers, and back down again.

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use portcullis_domain::{Clock, Timestamp};
use portcullis_service::fetch::Fetch;
use portcullis_service::google::Polling;
use portcullis_service::sealing::SealingKey;
use portcullis_service::{Insecure, Limits, Portcullis, Surroundings, first_owner};
use portcullis_store::lease::{self as stored, Lease};
use portcullis_store::{Priority, Store, StoreError, audit, google, instance, migration, saml_refresh};
use portcullis_web::edge::EdgeSettings;
use portcullis_web::pace::Pace;
use portcullis_web::{App, router};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::admin::{Door, Place};
use crate::clock::SystemClock;
use crate::data_dir::{self, Locked};
use crate::ending::Ending;
use crate::mark::Mark;
use crate::random::{self, SystemRandom, sources};
use crate::say::say;
use crate::secrets::{self, IfMissing, OWNER_LINK_FILE, ROOT_TOKEN_FILE};
use crate::settings::Settings;
use crate::{database, descriptors, fetch, lease, listen, mark, metrics, root_token, workload};

/// Where the fingerprint of the sealing key is kept.
const SEALING_KEY_FINGERPRINT: &str = "sealing_key_fingerprint";
/// Seconds between two looks at how far the database has come. A process that is killed leaves a mark that is as old.
const MARK_EVERY_S: u64 = 10;

/// Connections that wait until they are accepted.
const BACKLOG: u32 = 1024;

/// How long the jobs, and then the last writes, may take after the drain: with the longest drain, all of it ends within
/// ten seconds.
const MAX_WIND_UP: Duration = Duration::from_millis(700);

/// What a run holds: dropped last, so that nobody else begins before everything is closed.
pub struct Opened {
    /// The store.
    pub store: Arc<Store>,
    /// The key that seals.
    pub sealing: SealingKey,
    /// The lease, where the database is in PostgreSQL.
    pub lease: Option<Lease>,
    /// The locks of data folder and database.
    pub locked: Locked,
}

/// Holds data folder and database, opens the database and the sealing key that belongs to it, and makes the root token known.
///
/// # Errors
/// If another process serves, the database is newer, or the sealing key is missing or another one.
pub fn open(settings: &Settings) -> Result<Opened> {
    let locked = data_dir::lock(&settings.data, settings.database.file())?;
    let (store, lease) = database::open_to_serve(settings)?;
    let begun = || {
        // Their files first, and then all that is new in one transaction: whoever dies before it begins anew.
        let (sealing, fingerprint) = sealing_key(settings, &store)?;
        let timeline = mark::check(&settings.data, &store, &mut SystemRandom)?;
        let fingerprint = fingerprint.map(|text| (SEALING_KEY_FINGERPRINT, text));
        let timeline = timeline.map(|text| (instance::TIMELINE, text));
        root_token::install(settings, &store, fingerprint.into_iter().chain(timeline).collect())?;
        Ok(sealing)
    };
    match begun() {
        Ok(sealing) => Ok(Opened { store: Arc::new(store), sealing, lease, locked }),
        Err(error) => {
            give_back_unused(&store, lease);
            Err(error)
        }
    }
}

/// Gives the lease of a start that failed back: whoever can serve need not wait for its end.
fn give_back_unused(store: &Store, lease: Option<Lease>) {
    if let Err(error) = lease::give_back(store, lease) {
        tracing::warn!(error.message = %error, "the lease was not given back and runs out by itself");
    }
}

/// The sealing key, and its fingerprint if the database does not know one yet.
fn sealing_key(settings: &Settings, store: &Store) -> Result<(SealingKey, Option<String>)> {
    let known: Option<String> = store.read_blocking(|tx| instance::find(tx, SEALING_KEY_FINGERPRINT))?;
    let if_missing = if known.is_some() { IfMissing::Refuse } else { IfMissing::Make };
    let key = secrets::sealing_key(&settings.sealing_key_file, if_missing, &mut SystemRandom)?;
    let fingerprint = key.fingerprint().to_owned();
    match known {
        Some(known) if known != fingerprint => bail!(
            "the sealing key in `{}` is not the one that this database was sealed with (fingerprint `{fingerprint}`, \
             wanted `{known}`); restore the right file",
            settings.sealing_key_file.display()
        ),
        Some(_) => Ok((key, None)),
        None => Ok((key, Some(fingerprint))),
    }
}

/// Whether a database was ever sealed with a key, as every one is that was served; one with nothing of Portcullis in it was
/// not.
///
/// # Errors
/// From the database.
pub fn was_sealed(store: &Store) -> Result<bool> {
    Ok(store.read_blocking(|tx| {
        let is_ours = !migration::applied(tx)?.is_empty();
        Ok::<_, StoreError>(is_ours && instance::find(tx, SEALING_KEY_FINGERPRINT)?.is_some())
    })?)
}

/// Refuses a database that was sealed with another key than the one here.
///
/// # Errors
/// If the key is missing, not usable, or another one.
pub fn must_be_sealed_by(settings: &Settings, store: &Store) -> Result<()> {
    if was_sealed(store)? {
        sealing_key(settings, store)?;
    }
    Ok(())
}

/// What reaches out of the process.
struct Outside {
    fetch: Arc<dyn Fetch>,
    polling: Polling,
}

/// Sets up what reaches out; the authorities of the system are read for it.
fn outside(settings: &Settings) -> Result<Outside> {
    let mut polling = polling(settings);
    let (identity, source) = workload::read(settings, &polling)?.unzip();
    polling.workload = identity;
    Ok(Outside { fetch: fetch::outbound(settings, source)?, polling })
}

/// The product in these settings.
fn portcullis(
    settings: &Settings,
    opened: Opened,
    outside: Outside,
    public_url: url::Url,
) -> (Portcullis, Locked) {
    let around = Surroundings {
        store: opened.store,
        clock: Arc::new(SystemClock),
        randoms: sources(),
        sealing: Arc::new(opened.sealing),
        fetch: outside.fetch,
        public_url,
        limits: limits(settings),
    };
    (Portcullis::new(around).polling_google(outside.polling), opened.locked)
}

/// How much of everything there may be.
fn limits(settings: &Settings) -> Limits {
    Limits {
        session_idle_s: seconds(settings.session_idle),
        session_absolute_s: seconds(settings.session_absolute),
        max_traces: i64::try_from(settings.trace_max_count).unwrap_or(i64::MAX),
        plain_http: if settings.allow_private_networks { Insecure::Permitted } else { Insecure::Refused },
        ..Limits::default()
    }
}

/// Whom the edge believes, and how long it waits for a body.
fn edge(settings: &Settings) -> EdgeSettings {
    let pace = Pace { max_pause: settings.http_body_pause, ..Pace::default() };
    EdgeSettings { trusted_proxies: settings.trusted_proxies.clone(), pace }
}

/// How directories of Google Workspace are polled; without the workload identity, which lies in a file.
#[must_use]
pub fn polling(settings: &Settings) -> Polling {
    let polling = Polling {
        full_every_s: seconds(settings.google_full_poll),
        fast_every_s: seconds(settings.google_fast_poll),
        ..Polling::default()
    };
    match &settings.google_stand_in_url {
        Some(base) => polling.at_stand_in(base),
        None => polling,
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// What runs, from the first answer to the last.
struct Running {
    product: Portcullis,
    app: App,
    store: Arc<Store>,
    lease: Option<Lease>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
    /// Dropped last, so that nobody else begins before everything is closed.
    locked: Locked,
}

/// Serves until SIGTERM or SIGINT; then `ending` says how long the end may take.
///
/// # Errors
/// If it cannot begin, or the lease of the database was lost.
pub async fn serve(settings: Settings, ending: &Ending) -> Result<()> {
    // Before anything answers: whoever sees it ready may tell it to stop.
    let mut orders = Orders::listen()?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    descriptors::take_all(&settings);
    let Running { product, app, store, lease, listener, tls, door, locked } = tokio::select! {
        running = prepare(&settings) => running?,
        // A database that does not answer holds up the start, and must not hold up the end.
        () = orders.stop() => {
            ending.begin();
            tracing::info!("stopped before it was ready");
            return Ok(());
        }
    };

    let (stop, stopped) = watch::channel(false);
    let (stop_jobs, jobs_stopped) = watch::channel(false);
    let (bound, public_url) = (listener.local_addr()?, product.around().public_url.clone());
    let routes = router(app.clone());
    let (greeted, has_greeted) = oneshot::channel();
    let mut tasks = Tasks {
        // Whoever is answered finds in the files what the greeting says of them.
        serving: tokio::spawn({
            let settings = settings.clone();
            async move {
                match has_greeted.await {
                    Ok(()) => listen::serve(listener, tls, routes, &settings, stopped).await,
                    Err(_) => Ok(()),
                }
            }
        }),
        jobs: tokio::spawn(run_jobs(product.clone(), jobs_stopped)),
        marking: tokio::spawn(keep_mark(settings.data.clone(), product.clone())),
        taking_orders: tokio::spawn(door.run(Arc::clone(&store), Place::of(&settings, public_url))),
    };
    tokio::task::spawn_blocking(random::prepare_library);
    let failed: Option<anyhow::Error> = tokio::select! {
        () = orders.stop() => None,
        lost = lease::keep(&product, lease) => Some(lost),
        ended = tasks.ended() => Some(ended),
        error = begin_with_greeting(&settings, &product, bound, greeted) => Some(error),
    };
    ending.begin();
    tracing::info!("draining: what comes is answered for a second more, and what has come until then");
    app.drain();
    let _ = stop.send(true);
    let Tasks { serving, jobs, marking, taking_orders } = tasks;
    if !serving.is_finished() {
        let _ = serving.await;
    }
    let _ = stop_jobs.send(true);
    marking.abort();
    taking_orders.abort();
    if !jobs.is_finished() && ending.within(MAX_WIND_UP, jobs).await.is_none() {
        tracing::warn!("a job was cut off; what it left is done after the next start");
    }
    if ending.within(MAX_WIND_UP, last_writes(&settings.data, &product, lease)).await.is_none() {
        tracing::warn!("the database did not take the last writes in time; the lease runs out by itself");
    }
    drop((app, product));
    if ending.rest(tokio::task::spawn_blocking(move || store.close())).await.is_none() {
        tracing::warn!("the database does not answer; its connections are left as they are");
    }
    drop(locked);
    tracing::info!("stopped");
    failed.map_or(Ok(()), Err)
}

/// What runs beside each other, and must not end before somebody says so.
struct Tasks {
    serving: JoinHandle<std::io::Result<()>>,
    jobs: JoinHandle<()>,
    marking: JoinHandle<()>,
    taking_orders: JoinHandle<()>,
}

impl Tasks {
    /// Resolves with which of them ended, and why: a server that answers while nothing of its jobs is done any more would
    /// look whole, and whoever starts it again makes it so.
    async fn ended(&mut self) -> anyhow::Error {
        let (what, ended) = tokio::select! {
            ended = &mut self.serving => ("the listener", ended.map(|ended| ended.map_err(anyhow::Error::from))),
            ended = &mut self.jobs => ("the jobs", ended.map(Ok)),
            ended = &mut self.marking => ("the watch over the mark", ended.map(Ok)),
            ended = &mut self.taking_orders => ("the control socket", ended.map(Ok)),
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("{what} ended"),
            Ok(Err(error)) => error.context(format!("{what} ended")),
            Err(error) => anyhow::Error::from(error).context(format!("{what} ended by a fault of ours")),
        }
    }
}

async fn run_jobs(product: Portcullis, stopped: watch::Receiver<bool>) {
    tokio::join!(
        product.run_jobs(stopped.clone()),
        product.poll_google(stopped.clone()),
        product.refresh_metadata(stopped),
    );
}

/// Opens and takes everything that serving needs.
async fn prepare(settings: &Settings) -> Result<Running> {
    // The port first: where it is taken, nothing is made. Nobody is answered, nor kept waiting, before everything is there.
    let socket = bound(settings.listen).map_err(|error| {
        let is_kept_for_root = error.kind() == ErrorKind::PermissionDenied && settings.listen.port() < 1024;
        anyhow::Error::from(error).context(if is_kept_for_root {
            kept_for_root(settings)
        } else {
            unbound(settings)
        })
    })?;
    let recorder = metrics::install(SystemClock.now()).context("metrics")?;
    let (opening, reaching) = (settings.clone(), settings.clone());
    let opened = tokio::task::spawn_blocking(move || open(&opening));
    // The disk and the processor each have their part: neither waits for the other.
    let outside = tokio::task::spawn_blocking(move || outside(&reaching));
    let (opened, outside) = tokio::join!(opened, outside);
    let opened = opened??;
    let (store, lease) = (Arc::clone(&opened.store), opened.lease);
    let running = outside?.and_then(|outside| assemble(settings, socket, recorder, opened, outside));
    if running.is_err() {
        tokio::task::spawn_blocking(move || give_back_unused(&store, lease)).await?;
    }
    running
}

/// Puts together what was opened.
fn assemble(
    settings: &Settings,
    socket: TcpSocket,
    recorder: PrometheusHandle,
    opened: Opened,
    outside: Outside,
) -> Result<Running> {
    let listener = socket.listen(BACKLOG).with_context(|| unbound(settings))?;
    let public_url = settings.public_url_for(listener.local_addr()?);
    let tls = settings.tls.as_ref().map(listen::tls).transpose()?;
    let door = Door::open(&settings.data)?;
    let lease = opened.lease;
    let (mut product, locked) = portcullis(settings, opened, outside, public_url);
    if let Some(lease) = lease {
        product = product.under(lease);
    }
    let store = Arc::clone(&product.around().store);
    let waiting = Arc::clone(&store);
    let render = metrics::renderer(recorder, move || waiting.waiting());
    let app = App::with_metrics(product.clone(), edge(settings), Some(render));
    Ok(Running { product, app, store, lease, listener, tls, door, locked })
}

fn unbound(settings: &Settings) -> String {
    format!(
        "cannot listen on `{}`; if something else is there, `--listen` names another address",
        settings.listen
    )
}

fn kept_for_root(settings: &Settings) -> String {
    format!(
        "cannot listen on `{}`: ports below 1024 need the capability CAP_NET_BIND_SERVICE (systemd: \
         `AmbientCapabilities=CAP_NET_BIND_SERVICE`); or give `--listen` a higher port",
        settings.listen
    )
}

/// A socket that has the address and takes no connection yet.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A start right after an end must not wait for connections that are over.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Gives the lease back and brings the mark up to date.
async fn last_writes(data: &Path, product: &Portcullis, lease: Option<Lease>) {
    if let Some(lease) = lease {
        let given_back = product.write(Priority::Ordinary, move |tx, _| Ok(stored::release(tx, lease)?));
        if let Err(error) = given_back.await {
            tracing::warn!(error.message = %error, "the lease was not given back and runs out by itself");
        }
    }
    if let Err(error) = move_mark(data, product).await {
        tracing::warn!(error.message = %error, "the mark of the newest revision was not written");
    }
}

/// Writes the mark again and again, while it moves.
async fn keep_mark(data: PathBuf, product: Portcullis) {
    let mut tick = tokio::time::interval(Duration::from_secs(MARK_EVERY_S));
    // While the greeting may be writing its link, none is looked at.
    let mut may_greet = true;
    loop {
        tick.tick().await;
        if let Err(error) = move_mark(&data, &product).await {
            tracing::warn!(error.message = %error, "the mark of the newest revision was not written");
        }
        measure(&product).await;
        if std::mem::take(&mut may_greet) {
            continue;
        }
        if let Err(error) = drop_dead_link(&data, &product).await {
            tracing::warn!(error.message = %error, "the first-owner link that is good no more stays in its file");
        }
    }
}

/// Deletes the file with the first-owner link once nobody could use that any more: a dead link in a file that is there only
/// while there is no owner tells whoever finds it the wrong thing.
async fn drop_dead_link(data: &Path, product: &Portcullis) -> Result<()> {
    let file = data.join(OWNER_LINK_FILE);
    if file.exists() && !product.read(first_owner::is_link_good).await? {
        secrets::remove(&file)?;
    }
    Ok(())
}

/// Sets the gauges of what waits and of what was dropped.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; no count here goes beyond 2^52")]
async fn measure(product: &Portcullis) {
    metrics::traces_dropped(product.traces().dropped() as f64);
    match product.read(|tx, _| Ok(audit::count_waiting(tx)?)).await {
        Ok(waiting) => metrics::unsequenced_events(waiting as f64),
        Err(error) => {
            // What was counted last says nothing of now.
            metrics::unsequenced_events(f64::NAN);
            tracing::warn!(error.message = %error, "the sequencer's backlog was not counted");
        }
    }
    let seconds = |at: Option<Timestamp>| at.map_or(f64::NAN, |at| at.seconds() as f64);
    match product.read(|tx, _| Ok((google::oldest_success(tx)?, saml_refresh::oldest_success(tx)?))).await {
        Ok((directory, metadata)) => metrics::oldest_successes(seconds(directory), seconds(metadata)),
        Err(error) => {
            metrics::oldest_successes(f64::NAN, f64::NAN);
            tracing::warn!(error.message = %error, "what was read longest ago was not looked for");
        }
    }
}

/// Brings the mark beside the database to where the database is.
async fn move_mark(data: &Path, product: &Portcullis) -> Result<()> {
    let found =
        product.read(|tx, _| Ok((instance::find(tx, instance::TIMELINE)?, instance::revision(tx)?))).await?;
    let (Some(timeline), revision) = found else { return Ok(()) };
    let (data, mark) = (data.to_owned(), Mark { timeline, revision });
    tokio::task::spawn_blocking(move || {
        if mark::find(&data)?.as_ref() != Some(&mark) {
            mark::put(&data, &mark)?;
        }
        anyhow::Ok(())
    })
    .await?
}

/// The signals that stop the process.
struct Orders {
    term: Signal,
    int: Signal,
}

impl Orders {
    /// Takes both signals from now on.
    fn listen() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Resolves when the process is told to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Greets, and has whoever waits answered then; resolves with why it could not.
async fn begin_with_greeting(
    settings: &Settings,
    product: &Portcullis,
    bound: SocketAddr,
    greeted: oneshot::Sender<()>,
) -> anyhow::Error {
    if let Err(error) = greet(settings, product, bound).await {
        return error;
    }
    let _ = greeted.send(());
    std::future::pending().await
}

/// Prints where things are: to people on a terminal what they need, and nothing secret anywhere else.
async fn greet(settings: &Settings, product: &Portcullis, bound: SocketAddr) -> Result<()> {
    let base = product.around().public_url.as_str().trim_end_matches('/').to_owned();
    say!("Portcullis {} is ready at {base} (listening on {bound})", env!("CARGO_PKG_VERSION"));
    say!("  console          {base}/console");
    let around = product.around().clone();
    let issued = product.write(Priority::Ordinary, first_owner::issue_link).await?;
    let file = settings.data.join(OWNER_LINK_FILE);
    let Some(secret) = issued else {
        // While somebody owns something here, there is no such link.
        secrets::remove(&file)?;
        return Ok(());
    };
    let link = first_owner::text(&around, &secret);
    if std::io::stdout().is_terminal() {
        secrets::remove(&file)?;
        say!("  first owner      {link}  (good for one hour)");
    } else {
        secrets::replace(&file, &format!("{link}\n"))?;
        say!("  first owner      the link is in {} (0600, good for one hour)", file.display());
    }
    let root = settings.data.join(ROOT_TOKEN_FILE);
    let given = root_token::given_hash(settings);
    let (is_given, is_on) = product
        .read(move |tx, _| Ok((root_token::is_good(tx, given.as_ref())?, root_token::is_on(tx)?)))
        .await?;
    if root.exists() {
        say!("  root token       in {} (0600)", root.display());
    } else if is_given {
        say!("  root token       the one in your configuration");
    } else if is_on {
        say!(
            "  root token       the one that was configured before; `portcullis admin root-token off` ends it"
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
