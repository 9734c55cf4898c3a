//! What an administrator is warned of, and when: here, because each protocol of a connection has something of it.

use portcullis_domain::Timestamp;

/// Days before the end of a certificate at which an administrator is told, each time once more.
pub const WARNED_AT_DAYS: [i64; 4] = [30, 14, 7, 1];
pub(crate) const DAY_S: i64 = 24 * 3_600;

/// What an administrator should look after, each with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The code.
    pub code: &'static str,
    /// What is the matter and what to do about it.
    pub message: String,
}

/// How many whole days are left; negative once it is over.
pub(crate) fn days_left(not_after: Timestamp, now: Timestamp) -> i64 {
    not_after.seconds_since(now).div_euclid(DAY_S)
}

/// How many days are left, if so few that somebody is told; negative if none.
pub(crate) fn due_days(not_after: Timestamp, now: Timestamp) -> Option<i64> {
    let days = days_left(not_after, now);
    WARNED_AT_DAYS.iter().any(|at| days <= *at).then_some(days)
}
