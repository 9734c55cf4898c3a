//! Where people are at home: the networks from which they signed in by password not long ago.
//!
//! Kept in memory and bounded, as throttles are: for each person too, so that nobody pushes out the homes of others by coming
//! from everywhere. Forgetting one costs a person nothing but the tries of their own that they have there while somebody
//! elsewhere tries their password; no home lets anybody in.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use portcullis_domain::Timestamp;
use portcullis_domain::id::UserId;

/// Seconds for which a network is somebody's home after they signed in there: a month, holidays included.
const HOME_S: i64 = 31 * 24 * 3_600;
/// The most homes that are remembered.
const MAX_HOMES: usize = 20_000;
/// The most of one person: their house, their office, and the trains between, for a while.
const MAX_OF_ONE: usize = 16;

/// Each person's homes with when they were there last, and all of them in that order.
#[derive(Debug, Default)]
struct Known {
    of: HashMap<UserId, HashMap<IpAddr, Timestamp>>,
    by_age: BTreeSet<(Timestamp, UserId, IpAddr)>,
}

impl Known {
    fn forget(&mut self, user: UserId, network: IpAddr) {
        let Some(homes) = self.of.get_mut(&user) else { return };
        if let Some(at) = homes.remove(&network) {
            self.by_age.remove(&(at, user, network));
        }
        if homes.is_empty() {
            self.of.remove(&user);
        }
    }
}

/// Homes, with when each was last seen.
#[derive(Debug, Default)]
pub struct Homes(Mutex<Known>);

impl Homes {
    /// Whether that person signed in from that network not long ago.
    pub(crate) fn has(&self, user: UserId, network: IpAddr, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.of.get(&user).and_then(|homes| homes.get(&network));
        at.is_some_and(|at| now < at.plus_s(HOME_S))
    }

    /// Notes that they did just now.
    pub(crate) fn note(&self, user: UserId, network: IpAddr, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget(user, network);
        let own = known.of.get(&user).filter(|homes| homes.len() >= MAX_OF_ONE);
        if let Some(oldest) = own.and_then(|homes| homes.iter().min_by_key(|(_, at)| **at)).map(|(at, _)| *at)
        {
            known.forget(user, oldest);
        }
        if known.by_age.len() >= MAX_HOMES
            && let Some((_, whose, oldest)) = known.by_age.first().copied()
        {
            known.forget(whose, oldest);
        }
        known.of.entry(user).or_default().insert(network, now);
        known.by_age.insert((now, user, network));
    }
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
