//! File descriptors: each connection takes one, and so does everything else that is open.
//!
//! A service often begins with 1,024 of them, though it may have many more. Where they run out nobody is answered, a probe
//! neither, and no database and no provider is reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside the connections of callers: the database, files, sockets to providers.
const OTHERS: u64 = 100;

/// Takes as many as this process may have. Warns where that is too few for so many connections.
pub fn take_all(max_connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(error.message = %error, "the number of file descriptors was not raised");
    }
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    // Without a number there is no limit.
    if let Some(most) = getrlimit(Resource::Nofile).current.filter(|most| *most < wanted) {
        tracing::warn!(
            "this process may have {most} file descriptors, and `http.max_connections` = {max_connections} wants {wanted}: \
             raise the limit (systemd: `LimitNOFILE={wanted}`), or lower the setting"
        );
    }
}
