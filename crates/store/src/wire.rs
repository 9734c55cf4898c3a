//! How PostgreSQL is spoken to: by TLS wherever somebody could stand in between, unless the URL says otherwise.
//!
//! Every check of a token is answered from what the database says, so whoever can change that on its way can let a
//! leaver in. The driver's own default, `prefer`, goes on in the clear with whoever says that they speak no TLS.

use std::error::Error as _;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::{CertificateError, ClientConfig};
use thiserror::Error;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;
use crate::client::{Client, NotOpened};

/// How a database is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// In the clear on this machine, by loopback or a socket.
    Local,
    /// By TLS, with the certificate verified for the host's name.
    Tls,
    /// In the clear to another machine, because the URL says `sslmode=disable`.
    Clear,
}

/// What is wrong with the URL of a database. Nothing of its text is told: a password may stand anywhere in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// An `sslmode` that is not known, as `verify-full`.
    #[error(
        "`sslmode` is `disable`, `prefer` or `require`; with TLS the certificate and its name are always verified"
    )]
    SslMode,
    /// `sslrootcert`, which libpq takes.
    #[error(
        "`sslrootcert` is no part of the URL: the file of the authority is the setting `postgres.ca_file`"
    )]
    RootCertificate,
    /// Anything else.
    #[error(
        "this is no URL of a database: see its host, its port and its options; `@`, `:`, `/` and `?` inside a name or \
         password are written `%40`, `%3A`, `%2F` and `%3F`"
    )]
    Malformed,
}

impl Wire {
    /// How the database at this URL is spoken to. Of several hosts, the one that asks for most decides for all.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn of_url(url: &str) -> Result<Self, UrlError> {
        read(url).map(|config| of(&config))
    }
}

fn read(url: &str) -> Result<tokio_postgres::Config, UrlError> {
    url.parse().map_err(|error: tokio_postgres::Error| {
        match error.source().map(ToString::to_string).as_deref() {
            Some("invalid value for option `sslmode`") => UrlError::SslMode,
            Some("unknown option `sslrootcert`") => UrlError::RootCertificate,
            _ => UrlError::Malformed,
        }
    })
}

fn of(config: &tokio_postgres::Config) -> Wire {
    match (config.get_ssl_mode(), stays_here(config)) {
        (SslMode::Disable, false) => Wire::Clear,
        (SslMode::Disable | SslMode::Prefer, true) => Wire::Local,
        _ => Wire::Tls,
    }
}

/// Whether every host that may be connected to is this machine.
fn stays_here(config: &tokio_postgres::Config) -> bool {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    if addresses.is_empty() {
        hosts.iter().all(is_here)
    } else {
        // An address is connected to in the host's stead. The driver refuses other numbers of them.
        hosts.len() <= addresses.len() && addresses.iter().all(is_loopback)
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        // Other names under `localhost` and other spellings of addresses are asked of the name servers.
        Host::Tcp(name) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<IpAddr>().is_ok_and(|address| is_loopback(&address))
        }
    }
}

fn is_loopback(address: &IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A PostgreSQL server and how it is spoken to.
pub(crate) struct Server {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    /// Whether somebody took the last connection and said nothing: of several hosts, another one is asked first then.
    was_silent: AtomicBool,
}

/// Why there is no connection.
pub(crate) struct Unreached {
    pub(crate) error: StoreError,
    /// Whether a database said so: it is there, and others may have their connections.
    pub(crate) is_answered: bool,
}

/// How long to try to reach a host, unless the URL says how long. To be heard by it takes no longer than that again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what was sent may stay without a sign that it arrived.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// How long a connection that waits for an answer may be silent before the other side is asked for a sign of life, how
/// long after that again, and how often.
const SILENCE: Duration = Duration::from_secs(10);
const ASKED_AGAIN: Duration = Duration::from_secs(5);
const ASKED_TIMES: u32 = 3;
/// The driver's own silence, which nobody who is asked for tokens can wait for.
const SILENCE_OF_THE_DRIVER: Duration = Duration::from_secs(2 * 60 * 60);

/// Asks for the server that takes writes, and bounds how long one that vanished without a word is waited for, unless the
/// URL says how long. A standby answers with what was true before: whoever left since would be let in.
fn bound(config: &mut tokio_postgres::Config) {
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    if config.get_keepalives_idle() == SILENCE_OF_THE_DRIVER {
        config.keepalives_idle(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(ASKED_AGAIN);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(ASKED_TIMES);
    }
}

impl Server {
    /// The server at this URL; `tls` is whom to trust where TLS is spoken.
    pub(crate) fn new(url: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Self, StoreError> {
        let mut config =
            read(url).map_err(|error| StoreError::Unavailable(format!("not a PostgreSQL URL: {error}")))?;
        let tls = match (of(&config), tls) {
            (Wire::Local | Wire::Clear, _) => None,
            (Wire::Tls, Some(tls)) => {
                // INVARIANT: what the driver takes as `prefer` would go on in the clear.
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(ClientConfig::clone(tls)))
            }
            (Wire::Tls, None) => {
                let why = "it must be spoken to by TLS, and nobody said whom to trust";
                return Err(StoreError::Unavailable(why.into()));
            }
        };
        bound(&mut config);
        Ok(Self { config, tls, was_silent: AtomicBool::new(false) })
    }

    /// A new connection that has carried out `first`, for the thread that asks.
    pub(crate) fn open(&self, first: &str) -> Result<Client, Unreached> {
        let (config, within) = (self.next(), self.within());
        let opened = match &self.tls {
            None => Client::open(&config, NoTls, within, first),
            Some(tls) => Client::open(&config, tls.clone(), within, first),
        };
        self.was_silent.store(matches!(opened, Err(NotOpened::Silent)), Ordering::Relaxed);
        opened.map_err(|error| {
            let is_answered = matches!(&error, NotOpened::Refused(error) if error.as_db_error().is_some());
            let why = match error {
                NotOpened::NoRoom(error) => format!("no connection can be made here: {error}"),
                NotOpened::Refused(error) => why(&error),
                NotOpened::Silent => format!("nobody answered for {} s", within.as_secs()),
            };
            Unreached { error: StoreError::Unavailable(why), is_answered }
        })
    }

    /// How to try the next time. Behind a host that is silent the others would never be asked, were it always the first.
    fn next(&self) -> tokio_postgres::Config {
        let mut config = self.config.clone();
        if self.was_silent.load(Ordering::Relaxed) {
            config.load_balance_hosts(LoadBalanceHosts::Random);
        }
        config
    }

    /// How long all of a try may take.
    fn within(&self) -> Duration {
        let hosts = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1);
        let each = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        each.saturating_mul(2).saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX))
    }
}

/// Why there is no connection, and what to do where that can be told.
fn why(error: &tokio_postgres::Error) -> String {
    let cause = error.source();
    let refused = cause
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(refused) = refused {
        return of_handshake(refused);
    }
    let text = cause.map(ToString::to_string).unwrap_or_default();
    match text.as_str() {
        "" => error.to_string(),
        "database does not allow writes" => {
            "the server takes no writes: it is a standby, or `default_transaction_read_only` is on there; checks are not \
             answered from it, because it may not know yet who left"
                .to_owned()
        }
        "server does not support TLS" => {
            "the server speaks no TLS: switch it on there (`ssl = on`); `sslmode=disable` \
             in the URL goes in the clear, where whoever is in between can say who may act"
                .to_owned()
        }
        "no hostname provided for TLS handshake" => {
            "TLS needs a name: give `host` beside `hostaddr`, the one that the certificate is for".to_owned()
        }
        _ => format!("{error}: {text}"),
    }
}

fn of_handshake(refused: &rustls::Error) -> String {
    match refused {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no authority that is trusted has signed the server's certificate: name the file of its authority as \
             `postgres.ca_file`"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => not_for_the_name(refused),
        other => format!("TLS failed: {other}"),
    }
}

/// Tells what the certificate is for, and not the name that the URL has: a password that was not escaped may be in it.
fn not_for_the_name(refused: &rustls::Error) -> String {
    let mut text = "the server's certificate is not for the host that the URL names".to_owned();
    if let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) =
        refused
        && !presented.is_empty()
    {
        let _ = write!(text, ", but for {}", presented.join(", "));
    }
    text + ": write the host as the certificate has it; `hostaddr` says where to connect to"
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
