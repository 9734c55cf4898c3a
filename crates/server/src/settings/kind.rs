//! What the text of a setting may be, and how it is read.
//!
//! Apart from the table, so that the file, the environment and the command line are held to the same spelling and
//! a wrong one gets the same words wherever it came from.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use crate::log;

/// The most entries of one list; more is a mistake, and each is compared with every request.
pub const MAX_LIST_ENTRIES: usize = 256;

/// What the text of a setting must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address and a port.
    Address,
    /// Addresses and ports, separated by commas.
    Addresses,
    /// An absolute `http:` or `https:` URL.
    Url,
    /// A path, relative to where Portcullis was started.
    Path,
    /// `sqlite:FILE` or a `postgres:` URL.
    Database,
    /// `true` or `false`.
    Switch,
    /// Networks as CIDR, separated by commas.
    Networks,
    /// A whole number; its unit is the end of the setting's name.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Which log lines are written.
    Filter,
    /// Any text.
    Text,
    /// Any text, never shown.
    Secret,
}

impl Kind {
    /// What stands for the value in `--help` and the reference page.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS:PORT",
            Self::Addresses => "ADDRESS:PORT,…",
            Self::Url | Self::Database => "URL",
            Self::Path => "PATH",
            Self::Switch => "true|false",
            Self::Networks => "CIDR,…",
            Self::Number { .. } => "NUMBER",
            Self::Choice(_) => "WORD",
            Self::Filter => "FILTER",
            Self::Text => "TEXT",
            Self::Secret => "SECRET",
        }
    }

    /// The words for what is expected.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Address => "an address and port, as in `127.0.0.1:8080` or `[::1]:8080`".to_owned(),
            Self::Addresses => "addresses and ports separated by commas, as in `10.0.0.53:53`".to_owned(),
            Self::Url => "an absolute `http:` or `https:` URL".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Database => "`sqlite:FILE` or a `postgres://` URL".to_owned(),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Networks => "networks separated by commas, as in `10.0.0.0/8,fd00::/8`".to_owned(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Filter => {
                "a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or targets with levels separated by commas, \
                 as in `info,portcullis_web=debug`"
                    .to_owned()
            }
            Self::Text | Self::Secret => "a text that is not empty".to_owned(),
        }
    }

    /// Whether `text` is of this kind.
    #[must_use]
    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Address => address(text).is_some(),
            Self::Addresses => addresses(text).is_some_and(|list| !list.is_empty()),
            Self::Url => url(text).is_some(),
            Self::Database => {
                text.starts_with("postgres://") || text.starts_with("postgresql://") || {
                    text.strip_prefix("sqlite:").is_some_and(|file| !file.is_empty())
                }
            }
            Self::Switch => switch(text).is_some(),
            Self::Networks => networks(text).is_some(),
            Self::Number { min, max } => number(text).is_some_and(|number| (min..=max).contains(&number)),
            Self::Choice(words) => words.contains(&text),
            Self::Filter => log::filter(text).is_ok(),
            Self::Path | Self::Text | Self::Secret => !text.trim().is_empty(),
        }
    }
}

/// Reads a [`Kind::Address`].
#[must_use]
pub fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

/// Reads [`Kind::Addresses`]; the port may be absent and is 53 then, because only name servers are lists.
#[must_use]
pub fn addresses(text: &str) -> Option<Vec<SocketAddr>> {
    list(text, |entry| {
        address(entry).or_else(|| entry.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DNS_PORT)))
    })
}

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// Reads a [`Kind::Url`].
#[must_use]
pub fn url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Reads a [`Kind::Switch`].
#[must_use]
pub fn switch(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Reads [`Kind::Networks`]; a bare address is the network of itself.
#[must_use]
pub fn networks(text: &str) -> Option<Vec<IpNet>> {
    list(text, |entry| {
        entry
            .parse::<IpNet>()
            .ok()
            .map(|network| network.trunc())
            .or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))
    })
}

/// Reads a [`Kind::Number`], without its bounds.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.len() > MAX_LIST_ENTRIES {
        return None;
    }
    entries.into_iter().map(read).collect()
}
