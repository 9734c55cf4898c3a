//! Instants and the clock.
//!
//! Time is an input everywhere below `server`; one integer type keeps both databases and every record in the same
//! unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The epoch itself; also what an absent number of milliseconds in an id means.
    pub const EPOCH: Self = Self(0);

    /// An instant from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// An instant from whole seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant and `seconds` more (fewer, if negative).
    #[must_use]
    pub const fn plus_s(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole seconds from `earlier` to this instant; negative if `earlier` is later.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).div_euclid(1_000_000)
    }
}

impl Timestamp {
    /// The instant as people and other programs read it: RFC 3339, UTC, microseconds.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        format!("{instant:.6}")
    }

    /// The instant of an RFC 3339 text. `9999-12-31T23:59:59Z`, which many write for "never", is behind the last instant that
    /// can be reckoned with, two days earlier, and is taken for that one.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // The library takes fractions of its last second, and gives none back.
        let last = Self::from_seconds(jiff::Timestamp::MAX.as_second());
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(Self(instant.as_microsecond()).min(last));
        }
        let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
        let is_behind_all =
            pieces.date().year() == 9999 && pieces.time().is_some() && pieces.offset().is_some();
        is_behind_all.then_some(last)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µs", self.0)
    }
}

/// Where the time comes from. `server` reads the system's clock, tests set it.
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> Timestamp;
}
