//! Throttles: how often something may be tried, counted in memory and bounded.
//!
//! A window begins with the first try and is forgotten when it is over. Those of one allowance have a room of their own: one try
//! of ten is more than one of sixty, and where both were weighed together, many of the first would keep every one of the second
//! from coming to its limit. Where no more fit into a room, the one goes that has used least, so that no flood of fresh keys
//! pushes out one that was tried more often; and among equals the one that ends first. What costs a stranger next to nothing to
//! fill is counted apart from what must hold ([`crate::sign_in::Door`]). A restart forgets everything, which is the safe side for
//! people and costs an attacker nothing less than the window.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_domain::Timestamp;

use crate::ServiceError;

/// The most windows of one allowance that are remembered.
const MAX_WINDOWS: usize = 20_000;
/// Windows that are over and go with one more try: more than it adds, so that a full memory empties, and few enough to cost
/// nothing.
const SWEPT: usize = 8;
/// How often, in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// Tries in a window.
    pub max_tries: u32,
    /// Seconds of a window.
    pub window_s: i64,
}

/// The network that one subscriber has: a whole /64 of IPv6, because all of its addresses are theirs. What is counted by
/// source is counted by this.
#[must_use]
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(cut(address, 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The network that one customer may have of many: a /48 of IPv6, which is 65,536 of what [`network`] tells apart. IPv4 is
/// handed out by the address.
#[must_use]
pub fn site(source: IpAddr) -> Option<IpAddr> {
    match source.to_canonical() {
        IpAddr::V6(address) => Some(IpAddr::V6(cut(address, 80))),
        IpAddr::V4(_) => None,
    }
}

/// An address without its last bits.
fn cut(address: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() >> bits << bits)
}

#[derive(Debug, Clone, Copy)]
struct Window {
    ends_at: Timestamp,
    tries: u32,
}

/// The windows of one allowance, in the order in which they end, and in that in which they go where no more fit.
#[derive(Debug, Default)]
struct Windows {
    by_key: HashMap<Arc<str>, Window>,
    by_end: BTreeSet<(Timestamp, Arc<str>)>,
    by_tries: BTreeSet<(u32, Timestamp, Arc<str>)>,
}

impl Windows {
    fn put(&mut self, key: Arc<str>, window: Window) {
        self.by_end.insert((window.ends_at, Arc::clone(&key)));
        self.by_tries.insert((window.tries, window.ends_at, Arc::clone(&key)));
        self.by_key.insert(key, window);
    }

    fn take(&mut self, key: &str) -> Option<(Arc<str>, Window)> {
        let (key, window) = self.by_key.remove_entry(key)?;
        self.by_end.remove(&(window.ends_at, Arc::clone(&key)));
        self.by_tries.remove(&(window.tries, window.ends_at, Arc::clone(&key)));
        Some((key, window))
    }

    /// Takes out some of those that are over.
    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEPT {
            let Some(key) =
                self.by_end.first().filter(|(end, _)| *end <= now).map(|(_, key)| Arc::clone(key))
            else {
                return;
            };
            self.take(&key);
        }
    }

    fn make_room(&mut self) {
        while self.by_key.len() >= MAX_WINDOWS {
            let Some(key) = self.by_tries.first().map(|(_, _, key)| Arc::clone(key)) else { return };
            self.take(&key);
        }
    }
}

/// Counted tries, each under a key of its own.
#[derive(Debug, Default)]
pub struct Throttle {
    /// There are as many allowances as the code names.
    rooms: Mutex<HashMap<Allowance, Windows>>,
}

impl Throttle {
    /// Whether a try under that key is still allowed. Nothing is counted.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] with the seconds until the window is over.
    pub fn check(&self, key: &str, allowance: Allowance, now: Timestamp) -> Result<(), ServiceError> {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        match rooms.get(&allowance).and_then(|windows| windows.by_key.get(key)) {
            Some(w) if w.ends_at > now && w.tries >= allowance.max_tries => {
                Err(ServiceError::TooMany { retry_after_s: w.ends_at.seconds_since(now).max(1) })
            }
            _ => Ok(()),
        }
    }

    /// Counts a try.
    pub fn count(&self, key: &str, allowance: Allowance, now: Timestamp) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = rooms.entry(allowance).or_default();
        windows.sweep(now);
        let fresh = Window { ends_at: now.plus_s(allowance.window_s), tries: 0 };
        let (key, mut window) = match windows.take(key) {
            Some((key, window)) if window.ends_at > now => (key, window),
            Some((key, _)) => (key, fresh),
            None => {
                windows.make_room();
                (Arc::from(key), fresh)
            }
        };
        window.tries = window.tries.saturating_add(1);
        windows.put(key, window);
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
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        for windows in rooms.values_mut() {
            if let Some((key, mut window)) = windows.take(key) {
                window.tries = window.tries.saturating_sub(1);
                windows.put(key, window);
            }
        }
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
