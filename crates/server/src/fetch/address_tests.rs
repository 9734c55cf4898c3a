//! Every network that may not be reached, each with its neighbour that may.

use std::net::IpAddr;

use portcullis_service::fetch::AddressClass;

use super::{Permitted, Scheme, class, is_never_reached};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Inside the network, its class, and the nearest addresses outside that are public.
const TABLE: [(&str, AddressClass, &[&str]); 34] = [
    ("0.0.0.0", AddressClass::Unspecified, &["1.0.0.0"]),
    ("0.255.255.255", AddressClass::Unspecified, &[]),
    ("10.0.0.0", AddressClass::Private, &["9.255.255.255"]),
    ("10.255.255.255", AddressClass::Private, &["11.0.0.0"]),
    ("100.64.0.0", AddressClass::CarrierShared, &["100.63.255.255"]),
    ("100.127.255.255", AddressClass::CarrierShared, &["100.128.0.0"]),
    ("100.100.100.200", AddressClass::CloudMetadata, &[]),
    ("168.63.129.16", AddressClass::CloudMetadata, &["168.63.129.15", "168.63.129.17"]),
    ("127.0.0.1", AddressClass::Loopback, &["126.255.255.255", "128.0.0.0"]),
    ("169.254.169.254", AddressClass::LinkLocal, &["169.253.255.255", "169.255.0.0"]),
    ("172.16.0.0", AddressClass::Private, &["172.15.255.255"]),
    ("172.31.255.255", AddressClass::Private, &["172.32.0.0"]),
    ("192.0.0.8", AddressClass::Reserved, &["192.0.1.0"]),
    ("192.0.2.1", AddressClass::Documentation, &["192.0.3.0"]),
    ("192.168.255.255", AddressClass::Private, &["192.167.255.255", "192.169.0.0"]),
    ("198.19.255.255", AddressClass::Documentation, &["198.17.255.255", "198.20.0.0"]),
    ("198.51.100.1", AddressClass::Documentation, &["198.51.101.0"]),
    ("203.0.113.1", AddressClass::Documentation, &["203.0.114.0"]),
    ("224.0.0.1", AddressClass::Multicast, &["223.255.255.255"]),
    ("240.0.0.1", AddressClass::Reserved, &[]),
    ("255.255.255.255", AddressClass::Broadcast, &[]),
    ("::", AddressClass::Unspecified, &[]),
    ("::1", AddressClass::Loopback, &[]),
    ("::ffff:127.0.0.1", AddressClass::Embedded, &[]),
    ("::ffff:8.8.8.8", AddressClass::Embedded, &[]),
    ("64:ff9b::7f00:1", AddressClass::Embedded, &[]),
    ("2002:7f00:1::", AddressClass::Embedded, &["2003::1"]),
    ("2001:db8::1", AddressClass::Documentation, &["2001:db9::1"]),
    ("fc00::1", AddressClass::UniqueLocal, &[]),
    ("fd00:ec2::254", AddressClass::CloudMetadata, &[]),
    ("fe80::1", AddressClass::LinkLocal, &[]),
    ("ff02::1", AddressClass::Multicast, &[]),
    ("4000::1", AddressClass::Reserved, &["3ffe::1"]),
    ("2600::5efe:7f00:1", AddressClass::Embedded, &["2600::5eff:7f00:1"]),
];

#[test]
fn every_special_network_has_its_class_and_its_neighbours_are_public() {
    for (address, expected, neighbours) in TABLE {
        assert_eq!(class(ip(address)), expected, "{address}");
        for neighbour in neighbours {
            assert_eq!(class(ip(neighbour)), AddressClass::Public, "{neighbour}");
        }
    }
}

#[test]
fn without_permission_only_public_addresses_are_reached() {
    let strict = Permitted::default();
    for (address, expected, neighbours) in TABLE {
        assert_eq!(strict.check(ip(address)), Err(expected), "{address}");
        for neighbour in neighbours {
            assert_eq!(strict.check(ip(neighbour)), Ok(()), "{neighbour}");
        }
    }
}

#[test]
fn private_networks_permit_loopback_and_private_addresses_and_nothing_else() {
    let loose = Permitted { private: true, ..Permitted::default() };
    for (address, class, _) in TABLE {
        let inner = matches!(
            class,
            AddressClass::Loopback
                | AddressClass::Private
                | AddressClass::UniqueLocal
                | AddressClass::CarrierShared
        );
        assert_eq!(loose.check(ip(address)).is_ok(), inner, "{address}");
    }
}

#[test]
fn plain_http_reaches_loopback_and_private_addresses_only_and_never_public_ones() {
    let plain = Permitted { private: true, scheme: Scheme::PlainHttp, ..Permitted::default() };
    assert_eq!(plain.check(ip("127.0.0.1")), Ok(()));
    assert_eq!(plain.check(ip("10.1.2.3")), Ok(()));
    assert_eq!(plain.check(ip("8.8.8.8")), Err(AddressClass::Public));
    assert_eq!(plain.check(ip("169.254.169.254")), Err(AddressClass::LinkLocal));
    let named = Permitted {
        networks: vec!["203.0.113.0/24".parse().unwrap()],
        private: true,
        scheme: Scheme::PlainHttp,
    };
    assert_eq!(named.check(ip("203.0.113.1")), Err(AddressClass::Documentation));
}

#[test]
fn a_named_network_is_reached_but_never_loopback_link_local_metadata_or_embedded_addresses_in_it() {
    let networks = ["0.0.0.0/0", "::/0"].iter().map(|net| net.parse().unwrap()).collect();
    let wide = Permitted { networks, ..Permitted::default() };
    for (address, class, _) in TABLE {
        let never = matches!(
            class,
            AddressClass::Loopback
                | AddressClass::LinkLocal
                | AddressClass::CloudMetadata
                | AddressClass::Unspecified
                | AddressClass::Multicast
                | AddressClass::Broadcast
                | AddressClass::Embedded
        );
        assert_eq!(wide.check(ip(address)).is_ok(), !never, "{address}");
    }
    let ten = Permitted { networks: vec!["10.1.0.0/16".parse().unwrap()], ..Permitted::default() };
    assert_eq!(ten.check(ip("10.1.2.3")), Ok(()));
    assert_eq!(ten.check(ip("10.2.0.1")), Err(AddressClass::Private));
}

#[test]
fn networks_with_forbidden_addresses_cannot_be_named_and_private_ones_can() {
    for net in ["127.0.0.0/8", "127.1.2.3/32", "0.0.0.0/0", "169.254.0.0/16", "::/0", "::1/128", "fe80::/64"]
    {
        assert!(is_never_reached(&net.parse().unwrap()), "{net}");
    }
    for net in ["10.0.0.0/8", "192.168.1.0/24", "fd00::/8", "100.64.0.0/10", "172.16.0.0/12"] {
        assert!(!is_never_reached(&net.parse().unwrap()), "{net}");
    }
}
