//! What binds a sign-in to the browser that began it: a value in a cookie, one for each of sixteen slots.
//!
//! Tabs that are opened at once begin without knowing of each other. Were there one cookie, the last tab would take its
//! place from all the others, and they would fail. The slot follows from the secret that a sign-in comes back with. So
//! there are never more cookies than slots, however many sign-ins a stranger's page begins in somebody's browser, and
//! none of those takes a value away: what a browser brought is bound once more.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_domain::Random;
use portcullis_domain::secret::SecretHash;

use super::{fresh_browser, is_browser};

/// The slot of a sign-in that comes back with that secret: one hexadecimal digit.
fn slot(secret: &str) -> char {
    SecretHash::of(secret).as_str().chars().next().unwrap_or('0')
}

/// A value that binds a browser, and the slot that it is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// One hexadecimal digit.
    pub slot: char,
    /// The value.
    pub value: String,
}

/// The values that a browser brought, each in its slot.
#[derive(Clone, Default)]
pub struct Bound(BTreeMap<char, String>);

impl Bound {
    /// The values, whichever sign-ins they bind.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// What must have been bound for that secret to come back with.
    pub(super) fn value(&self, secret: &str) -> Option<&str> {
        self.0.get(&slot(secret)).map(String::as_str)
    }

    /// Binds the browser for that secret: by what it brought for the slot, else by a fresh value.
    pub(super) fn tie(&self, secret: &str, random: &mut dyn Random) -> Tie {
        let slot = slot(secret);
        let value = self.0.get(&slot).cloned().unwrap_or_else(|| fresh_browser(random));
        Tie { slot, value }
    }
}

impl FromIterator<(char, String)> for Bound {
    /// Of a slot the first value counts; what can be none of ours is left aside.
    fn from_iter<T: IntoIterator<Item = (char, String)>>(brought: T) -> Self {
        let mut bound = BTreeMap::new();
        for (slot, value) in brought {
            if slot.is_ascii_hexdigit() && is_browser(&value) {
                bound.entry(slot).or_insert(value);
            }
        }
        Self(bound)
    }
}

/// Shows no value: whoever has one could come back in this browser's place.
impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Which cookie binds a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// One that comes along when somebody is redirected to us.
    Redirected(Tie),
    /// One that comes along with a form of somebody else's page.
    Crossing(Tie),
}

impl Binding {
    /// What it binds by.
    #[must_use]
    pub const fn tie(&self) -> &Tie {
        match self {
            Self::Redirected(tie) | Self::Crossing(tie) => tie,
        }
    }
}
