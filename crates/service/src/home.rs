//! Where people are at home: the networks from which they signed in by password not long ago.
//!
//! Kept in memory and bounded, as throttles are. Forgetting one costs a person nothing but the tries of their own that
//! they have there while somebody elsewhere tries their password; no home lets anybody in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::UserId;

/// Seconds for which a network is somebody's home after they signed in there: a month, holidays included.
const HOME_S: i64 = 31 * 24 * 3_600;
/// The most homes that are remembered.
const MAX_HOMES: usize = 20_000;
/// How many are looked at when one has to go: enough to find an old one, few enough to cost nothing.
const SAMPLED: usize = 64;

/// Homes, with when each was last seen.
#[derive(Debug, Default)]
pub struct Homes(Mutex<HashMap<(UserId, IpAddr), Timestamp>>);

impl Homes {
    /// Whether that person signed in from that network not long ago.
    pub(crate) fn has(&self, user: UserId, network: IpAddr, now: Timestamp) -> bool {
        let homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        homes.get(&(user, network)).is_some_and(|at| now < at.plus_s(HOME_S))
    }

    /// Notes that they did just now.
    pub(crate) fn note(&self, user: UserId, network: IpAddr, now: Timestamp) {
        let mut homes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if homes.len() >= MAX_HOMES && !homes.contains_key(&(user, network)) {
            let oldest = homes.iter().take(SAMPLED).min_by_key(|(_, at)| **at).map(|(home, _)| *home);
            oldest.map(|home| homes.remove(&home));
        }
        homes.insert((user, network), now);
    }
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
