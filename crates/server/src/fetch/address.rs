//! Which addresses may be reached, and what kind each of the others is.
//!
//! The question is asked of the very address that is connected to, after name resolution, so that a name that changes
//! its answer (DNS rebinding) gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use portcullis_service::fetch::AddressClass;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    let [a, b, c] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are not the public Internet (RFC 6890 and what clouds use).
const V4: [(Ipv4Net, AddressClass); 17] = [
    (v4(0, 0, 0, 0, 8), AddressClass::Unspecified),
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal),
    (v4(168, 63, 129, 16, 32), AddressClass::CloudMetadata),
    (v4(100, 100, 100, 200, 32), AddressClass::CloudMetadata),
    (v4(10, 0, 0, 0, 8), AddressClass::Private),
    (v4(172, 16, 0, 0, 12), AddressClass::Private),
    (v4(192, 168, 0, 0, 16), AddressClass::Private),
    (v4(100, 64, 0, 0, 10), AddressClass::CarrierShared),
    (v4(192, 0, 2, 0, 24), AddressClass::Documentation),
    (v4(198, 51, 100, 0, 24), AddressClass::Documentation),
    (v4(203, 0, 113, 0, 24), AddressClass::Documentation),
    (v4(198, 18, 0, 0, 15), AddressClass::Documentation),
    (v4(192, 0, 0, 0, 24), AddressClass::Reserved),
    (v4(224, 0, 0, 0, 4), AddressClass::Multicast),
    (v4(255, 255, 255, 255, 32), AddressClass::Broadcast),
    (v4(240, 0, 0, 0, 4), AddressClass::Reserved),
];

/// IPv6 networks that are not the public Internet, or hide an IPv4 address.
const V6: [(Ipv6Net, AddressClass); 13] = [
    (v6([0x64, 0xff9b, 0], 96), AddressClass::Embedded),
    (v6([0x64, 0xff9b, 1], 48), AddressClass::Embedded),
    (v6([0x2002, 0, 0], 16), AddressClass::Embedded),
    (v6([0x2001, 0, 0], 32), AddressClass::Embedded),
    (v6([0xfd00, 0xec2, 0], 96), AddressClass::CloudMetadata),
    (v6([0x2001, 0xdb8, 0], 32), AddressClass::Documentation),
    (v6([0x3fff, 0, 0], 20), AddressClass::Documentation),
    (v6([0xfe80, 0, 0], 10), AddressClass::LinkLocal),
    (v6([0xfec0, 0, 0], 10), AddressClass::Private),
    (v6([0xfc00, 0, 0], 7), AddressClass::UniqueLocal),
    (v6([0xff00, 0, 0], 8), AddressClass::Multicast),
    (v6([0x100, 0, 0], 64), AddressClass::Reserved),
    (v6([0x2001, 0, 0], 23), AddressClass::Reserved),
];

/// IPv6 loopback and unspecified, which [`class`] knows by themselves; in no network that an operator names.
const NEVER_V6: [Ipv6Net; 2] =
    [Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)];

/// What kind of address it is.
#[must_use]
pub fn class(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => V4
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map_or(AddressClass::Public, |(_, class)| *class),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    if address.is_unspecified() {
        return AddressClass::Unspecified;
    }
    if let Some((_, class)) = V6.iter().find(|(net, _)| net.contains(&address)) {
        return *class;
    }
    // Mapped and compatible forms (`::ffff:a.b.c.d`, `::a.b.c.d`), and ISATAP's interface ids.
    let parts = address.segments();
    let [.., isatap_high, isatap_low, _, _] = parts;
    let low = matches!(parts, [0, 0, 0, 0, 0, 0 | 0xffff, _, _]);
    if low || (isatap_low == 0x5efe && matches!(isatap_high, 0 | 0x0200)) {
        return AddressClass::Embedded;
    }
    // Only 2000::/3 is given out at all.
    if parts.first().is_none_or(|first| first & 0xe000 != 0x2000) {
        AddressClass::Reserved
    } else {
        AddressClass::Public
    }
}

/// Networks that no setting may name: nothing of a company's lies there, and much that is dangerous does.
#[must_use]
pub fn is_never_reached(net: &IpNet) -> bool {
    let never = |class: AddressClass| {
        matches!(
            class,
            AddressClass::Loopback
                | AddressClass::LinkLocal
                | AddressClass::CloudMetadata
                | AddressClass::Unspecified
                | AddressClass::Multicast
                | AddressClass::Broadcast
        )
    };
    // A private network may be named although a metadata address lies in it (`fd00::/8`): that one stays refused.
    let overlaps = |other: IpNet, class: AddressClass| {
        never(class)
            && (other.contains(net) || (net.contains(&other) && class != AddressClass::CloudMetadata))
    };
    V4.iter().any(|(other, class)| overlaps(IpNet::V4(*other), *class))
        || V6.iter().any(|(other, class)| overlaps(IpNet::V6(*other), *class))
        || NEVER_V6.iter().any(|other| net.contains(&IpNet::V6(*other)))
        || never(self::class(net.network()))
}

/// What the operator permits beyond public addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permitted {
    /// The company's own networks.
    pub networks: Vec<IpNet>,
    /// Loopback and private networks too, and plain `http:` there: development and tests.
    pub private: bool,
    /// By which scheme the connection is made.
    pub scheme: Scheme,
}

/// By which scheme a connection is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    /// To every permitted address.
    #[default]
    Https,
    /// Only to loopback and private addresses, where those are permitted.
    PlainHttp,
}

impl Permitted {
    /// Whether a connection to that address may be made.
    ///
    /// # Errors
    /// What kind of address it is, if not.
    pub fn check(&self, address: IpAddr) -> Result<(), AddressClass> {
        let class = class(address);
        let own = self.networks.iter().any(|net| net.contains(&address));
        let development = self.private
            && matches!(
                class,
                AddressClass::Loopback
                    | AddressClass::Private
                    | AddressClass::UniqueLocal
                    | AddressClass::CarrierShared
            );
        // Of an embedded address nobody can tell here where it leads: naming its network does not admit it.
        let never = class == AddressClass::Embedded || is_never_reached(&IpNet::from(address));
        let by_https = class == AddressClass::Public || (own && !never);
        match self.scheme {
            Scheme::Https if by_https || development => Ok(()),
            Scheme::PlainHttp if development => Ok(()),
            Scheme::Https | Scheme::PlainHttp => Err(class),
        }
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
