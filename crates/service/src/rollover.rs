//! A signature of a key that is not known: the provider may have turned its keys a moment ago, and they are read once more.
//!
//! Strangers can send such signatures too, so readings are counted: for each source, so that nobody uses up what honest
//! people need, and for each connection, so that many sources together make no flood. A reading that brought the key is
//! not counted against its source.

use std::net::IpAddr;

use portcullis_domain::id::ConnectionId;

use crate::Portcullis;
use crate::throttle::{Allowance, network};

/// Readings that one source may cause at one connection.
const OF_ONE_SOURCE: Allowance = Allowance { max_tries: 1, window_s: 60 };
/// Readings that all sources together may cause at one connection. Whoever is refused above it comes in by trying again:
/// the metadata is read every few seconds then.
const OF_ONE_CONNECTION: Allowance = Allowance { max_tries: 6, window_s: 60 };

/// Who brought the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// The provider itself, asked by us: nobody else can.
    ByTheProvider,
    /// Whoever calls from there.
    From(IpAddr),
}

/// A reading that such a signature wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// At which connection.
    pub(crate) at: ConnectionId,
    /// By whom.
    pub(crate) brought: Brought,
}

impl Wanted {
    fn of_source(self) -> Option<String> {
        match self.brought {
            Brought::ByTheProvider => None,
            Brought::From(source) => Some(format!("read-again/{}/{}", self.at, network(source))),
        }
    }

    /// What a provider says itself is counted apart: no stranger uses that up.
    fn of_connection(self) -> String {
        let by_whom = match self.brought {
            Brought::ByTheProvider => "provider",
            Brought::From(_) => "anybody",
        };
        format!("read-again/{}/{by_whom}", self.at)
    }

    /// Counts it, if it may be.
    pub(crate) fn admit(self, portcullis: &Portcullis) -> bool {
        let (throttle, now) = (&portcullis.door().throttle, portcullis.now());
        let whole = self.of_connection();
        if throttle.check(&whole, OF_ONE_CONNECTION, now).is_err() {
            return false;
        }
        if self.of_source().is_some_and(|source| throttle.admit(&source, OF_ONE_SOURCE, now).is_err()) {
            return false;
        }
        throttle.count(&whole, OF_ONE_CONNECTION, now);
        true
    }

    /// It brought the key.
    pub(crate) fn was_right(self, portcullis: &Portcullis) {
        if let Some(source) = self.of_source() {
            portcullis.door().throttle.take_back(&source);
        }
    }
}
