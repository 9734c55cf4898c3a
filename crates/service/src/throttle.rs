//! Throttles: how often something may be tried, counted in memory and bounded.
//!
//! A window begins with the first try and is forgotten when it is over. What does not fit any more takes the place of
//! the oldest window, so that no flood of made-up addresses can fill the memory. A restart forgets everything, which
//! is the safe side for people and costs an attacker nothing less than the window.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;

use crate::ServiceError;

/// The most windows that are remembered.
const MAX_WINDOWS: usize = 20_000;
/// How many windows are looked at when one has to go: enough to find an old one, few enough to cost nothing.
const SAMPLED: usize = 64;

/// How often, in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Tries in a window.
    pub max_tries: u32,
    /// Seconds of a window.
    pub window_s: i64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began_at: Timestamp,
    ends_at: Timestamp,
    tries: u32,
}

/// The network that one subscriber has: a whole /64 of IPv6, because all of its addresses are theirs. What is counted by
/// source is counted by this.
#[must_use]
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Counted tries, each under a key of its own.
#[derive(Debug, Default)]
pub struct Throttle {
    windows: Mutex<HashMap<String, Window>>,
}

impl Throttle {
    /// Whether a try under that key is still allowed. Nothing is counted.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] with the seconds until the window is over.
    pub fn check(&self, key: &str, allowance: Allowance, now: Timestamp) -> Result<(), ServiceError> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        match windows.get(key) {
            Some(w) if w.ends_at > now && w.tries >= allowance.max_tries => {
                Err(ServiceError::TooMany { retry_after_s: w.ends_at.seconds_since(now).max(1) })
            }
            _ => Ok(()),
        }
    }

    /// Counts a try.
    pub fn count(&self, key: &str, allowance: Allowance, now: Timestamp) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX_WINDOWS && !windows.contains_key(key) {
            make_room(&mut windows, now);
        }
        let fresh = Window { began_at: now, ends_at: now.plus_s(allowance.window_s), tries: 0 };
        let window = windows.entry(key.to_owned()).or_insert(fresh);
        if window.ends_at <= now {
            *window = fresh;
        }
        window.tries = window.tries.saturating_add(1);
    }

    /// Counts a try if it is allowed.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn admit(&self, key: &str, allowance: Allowance, now: Timestamp) -> Result<(), ServiceError> {
        self.check(key, allowance, now)?;
        self.count(key, allowance, now);
        Ok(())
    }

    /// Takes one counted try back: it was right, and those before it stay counted.
    pub fn take_back(&self, key: &str) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(key) {
            window.tries = window.tries.saturating_sub(1);
        }
    }
}

/// Takes out a window that is over, or the oldest of a sample.
fn make_room(windows: &mut HashMap<String, Window>, now: Timestamp) {
    let sample = windows.iter().take(SAMPLED);
    let worst = sample.min_by_key(|(_, w)| (w.ends_at > now, w.began_at)).map(|(key, _)| key.clone());
    if let Some(key) = worst {
        windows.remove(&key);
    }
}
