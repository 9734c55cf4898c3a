//! The settings as typed values, after the rules that hold between them.
//!
//! The rest of `server` reads only this: nothing below asks for a setting by name or parses one again.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use portcullis_service::google::workload::is_account;
use portcullis_store::Wire;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::load::masked_database;
use super::{
    ALLOW_NETWORKS, ALLOW_PRIVATE_NETWORKS, BEHIND_PROXY, DATA, DATABASE, DNS_SERVERS, FETCH_CA_FILE,
    GOOGLE_FAST_POLL_S, GOOGLE_FULL_POLL_S, GOOGLE_STAND_IN_URL, GOOGLE_WORKLOAD_IDENTITY,
    GOOGLE_WORKLOAD_ORGANIZATIONS, GOOGLE_WORKLOAD_SERVICE_ACCOUNT, HTTP_BODY_PAUSE_S, HTTP_DRAIN_S,
    HTTP_HEADER_TIMEOUT_S, HTTP_MAX_CONNECTIONS, HTTP_MAX_HEADER_BYTES, LISTEN, LOG_FILTER, LOG_FORMAT,
    Loaded, OTLP_ENDPOINT, POSTGRES_CA_FILE, POSTGRES_MAX_CONNECTIONS, PUBLIC_URL, Problem, ROOT_TOKEN,
    SEALING_KEY_FILE, SESSION_ABSOLUTE_S, SESSION_IDLE_S, Setting, SettingsError, Sources, TLS_CERT, TLS_KEY,
    TRACE_MAX_COUNT, TRUSTED_PROXIES, kind,
};
use crate::fetch::address::is_never_reached;

/// The SQLite file inside the data folder.
const DEFAULT_DATABASE_FILE: &str = "portcullis.sqlite";

/// The sealing key's file inside the data folder.
const DEFAULT_SEALING_KEY_FILE: &str = "sealing-key";

/// The shortest root token that is taken: below it, guessing is a matter of minutes.
const MIN_ROOT_TOKEN_CHARS: usize = 8;

/// The shortest root token that brings no warning: 24 characters of base64url are 144 bits.
const SAFE_ROOT_TOKEN_CHARS: usize = 24;

/// Where the database is.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres {
        /// Where it is; it may hold a password.
        url: SecretString,
        /// How it is spoken to.
        wire: Wire,
    },
}

impl DatabaseUrl {
    /// The file, if it is SQLite.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres { .. } => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// The whole path of the file, or the URL without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => std::path::absolute(path).as_ref().unwrap_or(path).display().fmt(f),
            Self::Postgres { url, .. } => f.write_str(&masked_database(url.expose_secret())),
        }
    }
}

/// What is permitted and seldom meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A setting, in these words.
    Setting(&'static str),
    /// The database is on another machine and spoken to in the clear.
    DatabaseInTheClear,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setting(words) => words,
            Self::DatabaseInTheClear => {
                "the database is on another machine and spoken to in the clear (`sslmode=disable`): whoever is in \
                 between reads every row and can answer that a leaver is active"
            }
        })
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The files that TLS is served with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// Every setting, typed. Field names are the keys of the file with `_` for `.`.
#[derive(Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// `None`: derived from the bound address, see [`Settings::public_url_for`].
    pub public_url: Option<Url>,
    pub data: PathBuf,
    pub database: DatabaseUrl,
    pub root_token: Option<SecretString>,
    pub sealing_key_file: PathBuf,
    pub behind_proxy: bool,
    pub trusted_proxies: Vec<IpNet>,
    pub allow_networks: Vec<IpNet>,
    pub allow_private_networks: bool,
    pub tls: Option<TlsFiles>,
    pub http_max_connections: usize,
    pub http_max_header_bytes: usize,
    pub http_header_timeout: Duration,
    pub http_body_pause: Duration,
    pub http_drain: Duration,
    pub log_format: LogFormat,
    pub log_filter: String,
    pub otlp_endpoint: Option<Url>,
    pub session_idle: Duration,
    pub session_absolute: Duration,
    pub trace_max_count: u64,
    pub google_full_poll: Duration,
    pub google_fast_poll: Duration,
    pub google_stand_in_url: Option<Url>,
    /// `metadata`, or a path.
    pub google_workload_identity: Option<String>,
    pub google_workload_service_account: Option<String>,
    /// Slugs or ids.
    pub google_workload_organizations: Vec<String>,
    pub postgres_max_connections: usize,
    pub postgres_ca_file: Option<PathBuf>,
    /// Empty: the system's.
    pub dns_servers: Vec<SocketAddr>,
    pub fetch_ca_file: Option<PathBuf>,
}

impl Settings {
    /// Reads all layers and holds the rules between them.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with every problem that was found.
    pub fn from_sources(sources: &Sources) -> Result<Self, SettingsError> {
        let (_, settings, problems) = Self::examined(sources)?;
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems }) }
    }

    /// Reads all layers and holds the rules, with all that is wrong: whoever mends a configuration mends it once. What is
    /// wrong counts as not given in the settings, so nothing may begin with them while there is a problem.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if nothing can be made of them at all.
    pub fn examined(sources: &Sources) -> Result<(Loaded, Self, Vec<Problem>), SettingsError> {
        let (loaded, mut problems) = Loaded::examined(sources);
        let settings = match read(&loaded, &mut problems) {
            Ok(settings) => settings,
            Err(problem) => {
                problems.push(problem);
                return Err(SettingsError { problems });
            }
        };
        let rules = settings.rules(&loaded).into_iter();
        let broken = rules.filter(|(broken, words)| *broken && !loaded.is_about_malformed(words));
        problems.extend(broken.map(|(_, words)| Problem::Refused(words.to_owned())));
        Ok((loaded, settings, problems))
    }

    /// What these settings make of one that nobody gave; nothing if that is not for showing, or known only later.
    pub(super) fn derived(&self, setting: &Setting) -> Option<String> {
        if *setting == PUBLIC_URL {
            let known = self.listen.port() != 0;
            return known.then(|| self.public_url_for(self.listen).as_str().trim_end_matches('/').to_owned());
        }
        if *setting == DATABASE {
            return Some(self.database.to_string());
        }
        (*setting == SEALING_KEY_FILE).then(|| self.sealing_key_file.display().to_string())
    }

    /// The public URL, once the address that was bound is known (port 0 asks the system for one).
    #[must_use]
    pub fn public_url_for(&self, bound: SocketAddr) -> Url {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url
            .clone()
            .or_else(|| Url::parse(&format!("{scheme}://{bound}")).ok())
            .unwrap_or_else(|| unreachable_url(bound))
    }

    /// What is permitted and seldom meant; for the log and for `config check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let short_token = self
            .root_token
            .as_ref()
            .is_some_and(|token| token.expose_secret().chars().count() < SAFE_ROOT_TOKEN_CHARS);
        let wire = match self.database {
            DatabaseUrl::Postgres { wire, .. } => wire,
            DatabaseUrl::Sqlite(_) => Wire::Local,
        };
        let setting = [
            (
                self.allow_private_networks,
                "`allow_private_networks` is on: outbound requests may reach loopback and private networks; never use it in production",
            ),
            (
                self.behind_proxy && self.trusted_proxies.is_empty(),
                "`behind_proxy` is on and `trusted_proxies` is empty: every caller is throttled and logged by the proxy's address",
            ),
            (short_token, "`PORTCULLIS_ROOT_TOKEN` has fewer than 24 characters and could be guessed"),
            (
                self.postgres_ca_file.is_some() && wire != Wire::Tls,
                "`postgres.ca_file` is given and says nothing here: this database is not spoken to by TLS",
            ),
        ];
        let in_the_clear = (wire == Wire::Clear).then_some(Warning::DatabaseInTheClear);
        let setting = setting.into_iter().filter_map(|(applies, words)| applies.then_some(words));
        in_the_clear.into_iter().chain(setting.map(Warning::Setting)).collect()
    }

    /// The rules between settings: what breaks them, and what to say then.
    fn rules(&self, loaded: &Loaded) -> Vec<(bool, &'static str)> {
        let loopback = self.listen.ip().is_loopback();
        let url = self.public_url.as_ref();
        let host = url.and_then(Url::host);
        let local_url = host.as_ref().is_some_and(is_loopback_host);
        let one_tls_file = loaded.text(&TLS_CERT).is_some() != loaded.text(&TLS_KEY).is_some();
        let token = self.root_token.as_ref().map(|token| token.expose_secret());
        vec![
            (one_tls_file, "`tls.cert` and `tls.key` must be given together"),
            (
                !loopback && !self.behind_proxy && self.tls.is_none() && !one_tls_file,
                "plain HTTP is served on loopback only: give `tls.cert` and `tls.key`, or `behind_proxy` if a proxy ends TLS",
            ),
            (
                url.is_none() && (!loopback || self.behind_proxy),
                "`public_url` must be given, because it cannot be told from `listen` here",
            ),
            (
                url.is_some_and(|url| url.scheme() != "https") && !local_url,
                "`public_url` must begin with https:, unless its host is loopback",
            ),
            (
                url.and_then(Url::host_str).is_some_and(|host| host.contains('_')),
                "`public_url` must have no underscore in its host, because identity providers refuse such a URL",
            ),
            (
                url.is_some_and(has_more_than_origin),
                "`public_url` must be scheme, host and port only, without name, path, query or fragment",
            ),
            (
                self.allow_networks.iter().any(is_never_reached),
                "`allow_networks` must not contain loopback, link-local, cloud metadata, multicast or unspecified addresses",
            ),
            (
                self.google_stand_in_url.is_some() && !self.allow_private_networks,
                "`google.stand_in_url` needs `allow_private_networks`: a stand-in is for development and tests",
            ),
            (
                self.google_workload_identity.is_some() != self.google_workload_service_account.is_some(),
                "`google.workload_identity` and `google.workload_service_account` must be given together",
            ),
            (
                self.google_workload_service_account.as_deref().is_some_and(|account| !is_account(account)),
                "`google.workload_service_account` must be the address of a service account",
            ),
            (
                !self.google_workload_organizations.is_empty() && self.google_workload_identity.is_none(),
                "`google.workload_organizations` needs `google.workload_identity`",
            ),
            (
                self.google_workload_organizations.len() > kind::MAX_LIST_ENTRIES,
                "`google.workload_organizations` must have at most 256 entries",
            ),
            (
                self.google_fast_poll > self.google_full_poll,
                "`google.fast_poll_s` must not be longer than `google.full_poll_s`",
            ),
            (
                self.session_idle > self.session_absolute,
                "`session.idle_s` must not be longer than `session.absolute_s`",
            ),
            (
                token.is_some_and(|token| token.chars().count() < MIN_ROOT_TOKEN_CHARS),
                "`PORTCULLIS_ROOT_TOKEN` must have at least 8 characters",
            ),
            (
                token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())),
                "`PORTCULLIS_ROOT_TOKEN` must be visible ASCII without blanks, because it is sent in a header",
            ),
        ]
    }
}

/// INVARIANT: the text of every `SocketAddr` is an authority, so this is never asked; it keeps the caller total.
fn unreachable_url(bound: SocketAddr) -> Url {
    tracing::error!(server.address = %bound, "no public url can be made from the bound address");
    std::process::abort()
}

fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

fn has_more_than_origin(url: &Url) -> bool {
    !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
}

fn read(loaded: &Loaded, problems: &mut Vec<Problem>) -> Result<Settings, Problem> {
    let from = Reader { loaded };
    let data = PathBuf::from(from.needed(&DATA, |text| Some(text.to_owned()))?);
    Ok(Settings {
        listen: from.needed(&LISTEN, kind::address)?,
        public_url: from.wanted(&PUBLIC_URL, kind::url)?,
        database: database(&from, &data).unwrap_or_else(|problem| {
            problems.push(problem);
            DatabaseUrl::Sqlite(data.join(DEFAULT_DATABASE_FILE))
        }),
        root_token: loaded.text(&ROOT_TOKEN).map(SecretString::from),
        sealing_key_file: from.path(&SEALING_KEY_FILE).unwrap_or_else(|| data.join(DEFAULT_SEALING_KEY_FILE)),
        data,
        behind_proxy: from.needed(&BEHIND_PROXY, kind::switch)?,
        trusted_proxies: from.needed(&TRUSTED_PROXIES, kind::networks)?,
        allow_networks: from.needed(&ALLOW_NETWORKS, kind::networks)?,
        allow_private_networks: from.needed(&ALLOW_PRIVATE_NETWORKS, kind::switch)?,
        tls: from.path(&TLS_CERT).and_then(|cert| from.path(&TLS_KEY).map(|key| TlsFiles { cert, key })),
        http_max_connections: from.number(&HTTP_MAX_CONNECTIONS)?,
        http_max_header_bytes: from.number(&HTTP_MAX_HEADER_BYTES)?,
        http_header_timeout: from.seconds(&HTTP_HEADER_TIMEOUT_S)?,
        http_body_pause: from.seconds(&HTTP_BODY_PAUSE_S)?,
        http_drain: from.seconds(&HTTP_DRAIN_S)?,
        log_format: from.needed(&LOG_FORMAT, |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        })?,
        log_filter: from.needed(&LOG_FILTER, |text| Some(text.to_owned()))?,
        otlp_endpoint: from.wanted(&OTLP_ENDPOINT, kind::url)?,
        session_idle: from.seconds(&SESSION_IDLE_S)?,
        session_absolute: from.seconds(&SESSION_ABSOLUTE_S)?,
        trace_max_count: from.number(&TRACE_MAX_COUNT)?,
        google_full_poll: from.seconds(&GOOGLE_FULL_POLL_S)?,
        google_fast_poll: from.seconds(&GOOGLE_FAST_POLL_S)?,
        google_stand_in_url: from.wanted(&GOOGLE_STAND_IN_URL, kind::url)?,
        google_workload_identity: loaded.text(&GOOGLE_WORKLOAD_IDENTITY).map(str::to_owned),
        google_workload_service_account: loaded.text(&GOOGLE_WORKLOAD_SERVICE_ACCOUNT).map(str::to_owned),
        google_workload_organizations: from.words(&GOOGLE_WORKLOAD_ORGANIZATIONS),
        postgres_max_connections: from.number(&POSTGRES_MAX_CONNECTIONS)?,
        postgres_ca_file: from.path(&POSTGRES_CA_FILE),
        dns_servers: from.wanted(&DNS_SERVERS, kind::addresses)?.unwrap_or_default(),
        fetch_ca_file: from.path(&FETCH_CA_FILE),
    })
}

fn database(from: &Reader<'_>, data: &Path) -> Result<DatabaseUrl, Problem> {
    let Some(text) = from.loaded.text(&DATABASE) else {
        return Ok(DatabaseUrl::Sqlite(data.join(DEFAULT_DATABASE_FILE)));
    };
    if let Some(file) = text.strip_prefix("sqlite:") {
        return Ok(DatabaseUrl::Sqlite(PathBuf::from(file.strip_prefix("//").unwrap_or(file))));
    }
    let place = from.loaded.origin(&DATABASE).place_of(&DATABASE);
    let wire = Wire::of_url(text).map_err(|error| Problem::Refused(format!("{place}: {error}")))?;
    Ok(DatabaseUrl::Postgres { url: SecretString::from(text), wire })
}

/// Reads texts that were found to be of their kind; a second failure is still an error, never a guess.
struct Reader<'a> {
    loaded: &'a Loaded,
}

impl Reader<'_> {
    fn wanted<T>(&self, setting: &Setting, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.loaded.text(setting) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| self.malformed(setting))
    }

    fn needed<T>(&self, setting: &Setting, read: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        self.wanted(setting, read)?.ok_or_else(|| self.malformed(setting))
    }

    fn number<T: TryFrom<u64>>(&self, setting: &Setting) -> Result<T, Problem> {
        self.needed(setting, |text| kind::number(text).and_then(|number| T::try_from(number).ok()))
    }

    fn seconds(&self, setting: &Setting) -> Result<Duration, Problem> {
        self.number(setting).map(Duration::from_secs)
    }

    fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.loaded.text(setting).map(PathBuf::from)
    }

    /// What stands between commas.
    fn words(&self, setting: &Setting) -> Vec<String> {
        let text = self.loaded.text(setting).unwrap_or_default();
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn malformed(&self, setting: &Setting) -> Problem {
        Problem::Malformed {
            place: self.loaded.origin(setting).place_of(setting),
            text: self.loaded.text(setting).unwrap_or_default().to_owned(),
            expected: setting.kind.expected(),
        }
    }
}
