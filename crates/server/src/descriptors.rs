//! File descriptors: each connection takes one, and so does everything else that is open.
//!
//! A service often begins with 1,024 of them, though it may have many more. Where they run out nobody is answered, a probe
//! neither, and no database and no provider is reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::{DatabaseUrl, Settings};

/// What is open beside the connections of callers and to PostgreSQL: SQLite's files, logs, sockets to providers.
const OTHERS: usize = 100;
/// What one connection to PostgreSQL takes: its socket, and what its thread waits with.
const OF_A_DATABASE_CONNECTION: usize = 5;

/// Takes as many as this process may have. Warns where that is too few for what these settings let it open.
pub fn take_all(settings: &Settings) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(error.message = %error, "the number of file descriptors was not raised");
    }
    let max_connections = settings.http_max_connections;
    let of_database = match settings.database {
        DatabaseUrl::Sqlite(_) => 0,
        DatabaseUrl::Postgres { .. } => OF_A_DATABASE_CONNECTION * settings.postgres_max_connections,
    };
    let wanted = max_connections.saturating_add(of_database + OTHERS);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    // Without a number there is no limit.
    if let Some(most) = getrlimit(Resource::Nofile).current.filter(|most| *most < wanted) {
        tracing::warn!(
            "this process may have {most} file descriptors, and `http.max_connections` = {max_connections} wants {wanted}, \
             with {of_database} for the database: raise the limit (systemd: `LimitNOFILE={wanted}`), or lower the setting"
        );
    }
}
