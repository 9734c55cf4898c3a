//! Typed ids with visible prefixes.
//!
//! One registry of kinds, so that an id of one noun cannot be passed for another and a reader of a log sees what it
//! names. The bits are a UUIDv7, so ids sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::audit::Target;
use crate::{Random, Timestamp};

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not an id with the prefix `{prefix}_`")]
pub struct IdError {
    /// The prefix that was wanted.
    pub prefix: &'static str,
}

/// The highest place that an id can carry: 12 bits, between the time and the randomness (RFC 9562 §6.2, method 1).
const MAX_PLACE: u16 = 0x0fff;

fn fresh(now: Timestamp, place: Option<u16>, random: &mut dyn Random) -> u128 {
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes);
    if let Some(place) = place {
        let [high, low] = place.min(MAX_PLACE).to_be_bytes();
        let [first, second, ..] = &mut bytes;
        (*first, *second) = (high, low);
    }
    let millis = u64::try_from(now.micros().div_euclid(1000)).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().as_u128()
}

fn parse(prefix: &'static str, text: &str) -> Result<u128, IdError> {
    let refused = || IdError { prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(refused)?;
    let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits.len() != 32 || !lower {
        return Err(refused());
    }
    u128::from_str_radix(digits, 16).map_err(|_| refused())
}

/// The most bytes of an id: a prefix, the underscore and 32 digits.
const MAX_BYTES: usize = 48;

/// Writes the text of an id there. Ids are written more than anything else, so not by the formatter of numbers, and in one
/// piece: a `String` of it is allocated once.
fn write<'t>(prefix: &str, bits: u128, to: &'t mut [u8; MAX_BYTES]) -> Result<&'t str, fmt::Error> {
    let (front, rest) = to.split_at_mut_checked(prefix.len()).ok_or(fmt::Error)?;
    front.copy_from_slice(prefix.as_bytes());
    let (underscore, rest) = rest.split_first_mut().ok_or(fmt::Error)?;
    *underscore = b'_';
    let digits = rest.get_mut(..32).ok_or(fmt::Error)?;
    hex::encode_to_slice(bits.to_be_bytes(), digits).map_err(|_| fmt::Error)?;
    let whole = to.get(..prefix.len() + 33).ok_or(fmt::Error)?;
    std::str::from_utf8(whole).map_err(|_| fmt::Error)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What every id of this kind begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: the time in its front, randomness behind.
            #[must_use]
            pub fn fresh(now: Timestamp, random: &mut dyn Random) -> Self {
                Self(fresh(now, None, random))
            }

            /// The id of the `place`th thing that was made at that moment: they sort in that order, up to 4,096.
            #[must_use]
            pub fn nth(now: Timestamp, place: u16, random: &mut dyn Random) -> Self {
                Self(fresh(now, Some(place), random))
            }
        }

        impl From<$name> for Target {
            fn from(id: $name) -> Self {
                Self { kind: $noun.to_owned(), id: id.to_string() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(write($prefix, self.0, &mut [0; MAX_BYTES])?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; MAX_BYTES];
                let text = write($prefix, self.0, &mut text).map_err(serde::ser::Error::custom)?;
                serializer.serialize_str(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organization.
    OrganizationId = "org", "organization";
    /// An environment of an organization.
    EnvironmentId = "env", "environment";
    /// An e-mail domain of an organization.
    DomainId = "dom", "domain";
    /// A human across organizations.
    UserId = "usr", "user";
    /// A person in an organization.
    MembershipId = "mem", "membership";
    /// A role of an organization.
    RoleId = "role", "role";
    /// A team of an organization.
    TeamId = "team", "team";
    /// A source of facts about people and groups.
    DirectoryId = "dir", "directory";
    /// A person as a directory told them. The `id` of a SCIM User.
    DirectoryUserId = "du", "directory_user";
    /// A group as a directory told it. The `id` of a SCIM Group.
    DirectoryGroupId = "dg", "directory_group";
    /// A mapping rule.
    MappingId = "map", "mapping";
    /// A grant.
    GrantId = "grt", "grant";
    /// A configured identity provider for sign-in.
    ConnectionId = "con", "connection";
    /// A match that an administrator decides.
    ReviewId = "rev", "review";
    /// What a directory's brake holds.
    HoldId = "hold", "hold";
    /// A non-human principal.
    AgentId = "agt", "agent";
    /// A token of any kind.
    TokenId = "tok", "token";
    /// An audit event.
    EventId = "evt", "event";
    /// A receipt of one off-boarding.
    ReceiptId = "rcp", "receipt";
    /// A trace of one sign-in or directory call.
    TraceId = "trc", "trace";
    /// One request, as the caller saw it in `X-Request-Id`.
    RequestId = "req", "request";
    /// A row of the outbox.
    OutboxId = "out", "outbox";
    /// A sign-in that is under way.
    SignInId = "sgn", "sign_in";
    /// A run of `serve`: the holder of the database's lease.
    NodeId = "node", "node";
}
