//! The one table of settings.
//!
//! It is here once, so that the file, the environment, the command line, `--help` and the reference page cannot
//! disagree: each of them is made from [`TABLE`]. To add a setting, add a constant and a row, then read it in
//! [`resolved`]; a test fails until `docs/reference/settings.md` says the same.

pub mod flags;
pub mod kind;
pub mod load;
#[cfg(test)]
pub mod reference;
pub mod resolved;

pub use kind::Kind;
pub use load::{Loaded, Problem, SettingsError, Sources};
pub use resolved::{DatabaseUrl, Settings, Warning};

/// What every variable of ours begins with.
pub const ENVIRONMENT_PREFIX: &str = "PORTCULLIS_";

/// What a setting is when nobody gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This text, read like a given one.
    Value(&'static str),
    /// Made from other settings; the words say how.
    Derived(&'static str),
    /// Nothing; the words say what that means.
    Unset(&'static str),
}

/// Where a setting may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// File, environment and command line.
    Everywhere,
    /// Environment only: other processes can read a command line, and files are copied and committed.
    Environment,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The table of the file that it stands in; empty for the top.
    pub section: &'static str,
    /// Its name in that table.
    pub name: &'static str,
    /// What its text must be.
    pub kind: Kind,
    /// What it is when nobody gave it.
    pub fallback: Fallback,
    /// Where it may be given.
    pub reach: Reach,
    /// What it does: one sentence or two.
    pub doc: &'static str,
    /// Which failure it guards against, or brings when it is wrong.
    pub guards: &'static str,
}

impl Setting {
    /// The key in the file: `section.name`, or `name` at the top.
    #[must_use]
    pub fn key(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.key().replace('.', "_").to_ascii_uppercase())
    }

    /// The flag, without the leading dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key().replace(['.', '_'], "-")
    }
}

macro_rules! setting {
    ($constant:ident, $section:literal, $name:literal, $kind:expr, $fallback:expr, $doc:literal, $guards:literal) => {
        setting!($constant, $section, $name, $kind, $fallback, Reach::Everywhere, $doc, $guards);
    };
    ($constant:ident, $section:literal, $name:literal, $kind:expr, $fallback:expr, $reach:expr, $doc:literal, $guards:literal) => {
        #[doc = $doc]
        pub static $constant: Setting = Setting {
            section: $section,
            name: $name,
            kind: $kind,
            fallback: $fallback,
            reach: $reach,
            doc: $doc,
            guards: $guards,
        };
    };
}

setting!(
    LISTEN,
    "",
    "listen",
    Kind::Address,
    Fallback::Value("127.0.0.1:8080"),
    "The address and port to serve on.",
    "Anything but loopback is refused unless `behind_proxy` or `tls.cert` and `tls.key` are given: bearer secrets would cross the network in the clear."
);
setting!(
    PUBLIC_URL,
    "",
    "public_url",
    Kind::Url,
    Fallback::Derived("from `listen`, if that is loopback"),
    "The URL under which browsers and identity providers reach Portcullis: scheme, host and port only. Every link, issuer and redirect URI is made from it, never from a request's headers.",
    "If it is wrong, identity providers refuse the redirect URI and every request with another Host is answered with 421. Entra ID refuses a SCIM address with an underscore in its host."
);
setting!(
    DATA,
    "",
    "data",
    Kind::Path,
    Fallback::Value("portcullis-data"),
    "The folder for the SQLite database, the sealing key, the root token and the lock. Made with mode 0700 if it does not exist.",
    "Two servers on one folder would end each other's writes: the second refuses to start."
);
setting!(
    DATABASE,
    "",
    "database",
    Kind::Database,
    Fallback::Derived("`sqlite:portcullis.sqlite` inside `data`"),
    "`sqlite:FILE`, or a `postgres://` URL. A PostgreSQL that is not on loopback or a socket is spoken to by TLS, with its certificate verified, unless the URL says `sslmode=disable`.",
    "A SQLite file on a network file system loses answered revocations: keep it on a local disk, or use PostgreSQL. In the clear, whoever is between server and database reads every row and can answer that a leaver is active."
);
setting!(
    ROOT_TOKEN,
    "",
    "root_token",
    Kind::Secret,
    Fallback::Derived("made at the first start and kept in `root-token` inside `data` (mode 0600)"),
    Reach::Environment,
    "The token that may do everything, for setting up and for breaking glass: 8 or more visible ASCII characters. Stored as a hash; `portcullis admin root-token off` ends it.",
    "Whoever has it is every owner of every organization. It is read from the environment only, because command lines are visible to other processes."
);
setting!(
    SEALING_KEY_FILE,
    "",
    "sealing_key_file",
    Kind::Path,
    Fallback::Derived("`sealing-key` inside `data`"),
    "The file with the 32 bytes (base64url) that seal client secrets and signing keys in the database. Made with mode 0600 for a new database.",
    "Without it nothing sealed opens again: back it up apart from the database. A missing or other key, or one that others can read, refuses to start."
);
setting!(
    BEHIND_PROXY,
    "",
    "behind_proxy",
    Kind::Switch,
    Fallback::Value("false"),
    "Says that a proxy in front ends TLS, so that plain HTTP may be served on other addresses than loopback.",
    "Without it, a listener reachable from outside would take bearer secrets in the clear."
);
setting!(
    TRUSTED_PROXIES,
    "",
    "trusted_proxies",
    Kind::Networks,
    Fallback::Value(""),
    "The networks whose `X-Forwarded-For` counts, as CIDR, separated by commas. The rightmost entry outside them is the caller.",
    "Too wide, and a caller chooses the address it is throttled and logged by; too narrow, and all callers share the proxy's."
);
setting!(
    ALLOW_NETWORKS,
    "",
    "allow_networks",
    Kind::Networks,
    Fallback::Value(""),
    "The company's own networks that outbound requests (discovery, keys, webhooks) may reach, as CIDR, separated by commas. Loopback and link-local networks cannot be named.",
    "Everything named here can be reached by whoever may set up a connection."
);
setting!(
    ALLOW_PRIVATE_NETWORKS,
    "",
    "allow_private_networks",
    Kind::Switch,
    Fallback::Value("false"),
    "For development and tests: outbound requests may reach loopback and private networks, and `http:` there.",
    "In production it lets whoever may set up a connection read what only this machine can reach."
);
setting!(
    TLS_CERT,
    "tls",
    "cert",
    Kind::Path,
    Fallback::Unset("plain HTTP"),
    "The PEM file with the certificate chain to serve TLS with.",
    "Needs `tls.key`."
);
setting!(
    TLS_KEY,
    "tls",
    "key",
    Kind::Path,
    Fallback::Unset("plain HTTP"),
    "The PEM file with the private key of `tls.cert`.",
    "Needs `tls.cert`."
);
setting!(
    HTTP_MAX_CONNECTIONS,
    "http",
    "max_connections",
    Kind::Number { min: 1, max: 100_000 },
    Fallback::Value("4096"),
    "How many connections may be open at once; further ones wait to be accepted.",
    "Without it, open connections alone could take all memory and file descriptors."
);
setting!(
    HTTP_MAX_HEADER_BYTES,
    "http",
    "max_header_bytes",
    Kind::Number { min: 8_192, max: 1_048_576 },
    Fallback::Value("32768"),
    "The most bytes, about, that the request line and headers of one request may have; there may be 100 headers.",
    "A larger head is answered with 431 and without a body, so that nobody fills memory before a token was looked at. One that \
     comes in a single piece may be some kilobytes larger."
);
setting!(
    HTTP_HEADER_TIMEOUT_S,
    "http",
    "header_timeout_s",
    Kind::Number { min: 1, max: 300 },
    Fallback::Value("30"),
    "How long a connection may take for its TLS handshake, and for the headers of each request; also how long it may idle \
     (five minutes by HTTP/2, once it asked).",
    "Without it, callers who send a byte a minute hold every connection."
);
setting!(
    HTTP_BODY_PAUSE_S,
    "http",
    "body_pause_s",
    Kind::Number { min: 1, max: 300 },
    Fallback::Value("20"),
    "How long a caller may pause while it sends a body; on the whole a body must bring 4 KiB a second. Whoever is slower is answered with 408.",
    "Without it, callers who send half a body hold every connection. What is asked is a rate and not a total, so that a group of 50,000 members passes over a slow link."
);
setting!(
    HTTP_DRAIN_S,
    "http",
    "drain_s",
    Kind::Number { min: 0, max: 8 },
    Fallback::Value("7"),
    "How long requests that are under way at SIGTERM may finish.",
    "Longer, and the promise to be gone within ten seconds would break."
);
setting!(
    LOG_FORMAT,
    "log",
    "format",
    Kind::Choice(&["text", "json"]),
    Fallback::Value("text"),
    "How log lines on stderr look: for people, or one JSON object a line.",
    "A collector that expects JSON drops text lines."
);
setting!(
    LOG_FILTER,
    "log",
    "filter",
    Kind::Filter,
    Fallback::Value("info"),
    "Which log lines are written: a level, or targets with levels as in `info,portcullis_web=debug`.",
    "A mistyped filter would hide what one looks for: it refuses to start."
);
setting!(
    OTLP_ENDPOINT,
    "otlp",
    "endpoint",
    Kind::Url,
    Fallback::Unset("nothing is exported"),
    "The OpenTelemetry collector to send spans to, by OTLP over HTTP with protobuf, as in `http://127.0.0.1:4318`. `/v1/traces` is added.",
    "Spans carry organization and membership ids: send them only where logs may go."
);
setting!(
    SESSION_IDLE_S,
    "session",
    "idle_s",
    Kind::Number { min: 60, max: 2_592_000 },
    Fallback::Value("3600"),
    "How long a browser session lives without a request, reckoned from the end of the minute of the last one.",
    "An unattended browser stays signed in this long."
);
setting!(
    SESSION_ABSOLUTE_S,
    "session",
    "absolute_s",
    Kind::Number { min: 60, max: 2_592_000 },
    Fallback::Value("86400"),
    "How long a browser session lives at most.",
    "A stolen session is worth something this long, unless it is ended."
);
setting!(
    TRACE_MAX_COUNT,
    "trace",
    "max_count",
    Kind::Number { min: 100, max: 10_000_000 },
    Fallback::Value("10000"),
    "How many traces of sign-ins and directory calls are kept for each organization; calls that succeeded go first, but for a tenth, then the oldest.",
    "Without it, a directory in a loop would fill the disk."
);
setting!(
    GOOGLE_FULL_POLL_S,
    "google",
    "full_poll_s",
    Kind::Number { min: 5, max: 86_400 },
    Fallback::Value("900"),
    "How many seconds lie between two full polls of a directory of Google Workspace: people, groups, members, organizational units.",
    "Whoever leaves a group at Google keeps what it gives this long. Below a few minutes, large directories use up Google's quota."
);
setting!(
    GOOGLE_FAST_POLL_S,
    "google",
    "fast_poll_s",
    Kind::Number { min: 1, max: 3_600 },
    Fallback::Value("60"),
    "How many seconds lie between two fast polls, which ask Google only who is suspended, archived or deleted.",
    "Whoever is suspended at Google keeps their access this long."
);
setting!(
    GOOGLE_STAND_IN_URL,
    "google",
    "stand_in_url",
    Kind::Url,
    Fallback::Unset("Google's own hosts"),
    "Where a stand-in of Google's token endpoint and Directory API is, for development and tests. Only with `allow_private_networks`.",
    "Whoever answers there says who works for every organization with a directory of Google Workspace."
);
setting!(
    GOOGLE_WORKLOAD_IDENTITY,
    "google",
    "workload_identity",
    Kind::Text,
    Fallback::Unset("directories need a key or a consent"),
    "How this machine shows Google who it is, so that directories of Google Workspace need no key: `metadata` for the metadata server of Google Cloud, or the path of a credential configuration of the type `external_account` (workload identity federation) whose subject token comes from a file or URL.",
    "The place that it names is asked without the guard of outbound requests: nothing but the operator's own may stand there. Needs `google.workload_service_account`."
);
setting!(
    GOOGLE_WORKLOAD_SERVICE_ACCOUNT,
    "google",
    "workload_service_account",
    Kind::Text,
    Fallback::Unset("no workload identity"),
    "The address of the service account that Google signs for in the name of that identity; its number is what customers of Google Workspace grant the scopes to.",
    "What customers grant to it, every organization that may use it can read in the name of administrators of its own domains."
);
setting!(
    GOOGLE_WORKLOAD_ORGANIZATIONS,
    "google",
    "workload_organizations",
    Kind::Text,
    Fallback::Unset("only the root token lets a directory use it"),
    "The organizations whose administrators may have a directory use the workload identity, by slug or id, separated by commas: in the name of an administrator whose domain the organization has proven, and of no other.",
    "Whoever is taken off this list is no longer polled by it, unless the root token named the administrator."
);
setting!(
    POSTGRES_MAX_CONNECTIONS,
    "postgres",
    "max_connections",
    Kind::Number { min: 2, max: 256 },
    Fallback::Value("16"),
    "How many connections to PostgreSQL are kept; every fourth is for reads alone, so that no check waits behind a write.",
    "More than the server's `max_connections` leaves room for, and starting fails."
);
setting!(
    POSTGRES_CA_FILE,
    "postgres",
    "ca_file",
    Kind::Path,
    Fallback::Unset("the system's authorities only"),
    "A PEM file with further certificate authorities that may sign the certificate of PostgreSQL, such as the company's own or the cloud's.",
    "Whoever holds one of those keys can be the database, and say who is active."
);
setting!(
    DNS_SERVERS,
    "dns",
    "servers",
    Kind::Addresses,
    Fallback::Unset("the system's, from `/etc/resolv.conf`"),
    "The name servers for outbound requests and for the proof of domains, as address and port, separated by commas.",
    "A resolver that answers for domains it does not own proves domains to people who do not own them."
);
setting!(
    FETCH_CA_FILE,
    "fetch",
    "ca_file",
    Kind::Path,
    Fallback::Unset("the system's authorities only"),
    "A PEM file with further certificate authorities that outbound requests trust, such as the company's own.",
    "Whoever holds one of those keys can speak for every identity provider."
);

/// Every setting, in the order of the reference page.
pub static TABLE: [&Setting; 33] = [
    &LISTEN,
    &PUBLIC_URL,
    &DATA,
    &DATABASE,
    &ROOT_TOKEN,
    &SEALING_KEY_FILE,
    &BEHIND_PROXY,
    &TRUSTED_PROXIES,
    &ALLOW_NETWORKS,
    &ALLOW_PRIVATE_NETWORKS,
    &TLS_CERT,
    &TLS_KEY,
    &HTTP_MAX_CONNECTIONS,
    &HTTP_MAX_HEADER_BYTES,
    &HTTP_HEADER_TIMEOUT_S,
    &HTTP_BODY_PAUSE_S,
    &HTTP_DRAIN_S,
    &LOG_FORMAT,
    &LOG_FILTER,
    &OTLP_ENDPOINT,
    &SESSION_IDLE_S,
    &SESSION_ABSOLUTE_S,
    &TRACE_MAX_COUNT,
    &GOOGLE_FULL_POLL_S,
    &GOOGLE_FAST_POLL_S,
    &GOOGLE_STAND_IN_URL,
    &GOOGLE_WORKLOAD_IDENTITY,
    &GOOGLE_WORKLOAD_SERVICE_ACCOUNT,
    &GOOGLE_WORKLOAD_ORGANIZATIONS,
    &POSTGRES_MAX_CONNECTIONS,
    &POSTGRES_CA_FILE,
    &DNS_SERVERS,
    &FETCH_CA_FILE,
];

/// The settings that say where the state lies: all that a command beside `serve` needs.
pub static PLACE: [&Setting; 4] = [&DATA, &DATABASE, &POSTGRES_CA_FILE, &SEALING_KEY_FILE];

/// The setting with this key in the file, if there is one.
#[must_use]
pub fn find_by_key(key: &str) -> Option<&'static Setting> {
    TABLE.iter().copied().find(|setting| setting.reach == Reach::Everywhere && setting.key() == key)
}

/// The setting with this environment variable, if there is one.
#[must_use]
pub fn find_by_variable(variable: &str) -> Option<&'static Setting> {
    TABLE.iter().copied().find(|setting| setting.variable() == variable)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
